//! What a disk after a crash is held against.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_broker::log::{AppendOrigin, Keep, Log, MemoryDisk};
use kafka_protocol::compression::Decompressor;
use kafka_protocol::record::{Batch as RecordBatch, EndTransactionMarker, ProducerStamp};

use crate::workload::{Batch, NOW, Step, Story, TOPIC, batch, batches_of, open_dir, partition};

/// One crash of one story.
pub(crate) struct Judge<'a> {
    pub(crate) story: &'a Story,
    pub(crate) at: usize,
    pub(crate) keep: Keep,
    /// The crash while that one was being recovered from: behind which event, and what of it survived.
    pub(crate) again: Option<(usize, Keep)>,
    /// Whether everything is compared that can be asked of a log.
    pub(crate) is_thorough: bool,
}

/// The log as it is after a crash.
pub(crate) fn recover(story: &Story, disk: &Arc<MemoryDisk>) -> Log {
    let config = || story.config.clone();
    let dir = open_dir(disk);
    let found = dir.partitions().unwrap();
    match found.as_slice() {
        [] => Log::begin_in(&dir, &partition(), TOPIC, config(), NOW),
        [found] => {
            assert!(found.topic_id.is_none_or(|id| id == TOPIC));
            dir.create_partition(&partition(), TOPIC).unwrap();
            let log = Log::open_in(&dir, &partition(), config(), NOW).unwrap();
            let is_known = found.topic_id.is_some();
            assert!(
                is_known || log.log_end_offset() == 0,
                "records of nobody knows whom"
            );
            log
        }
        more => panic!("{more:?}"),
    }
}

/// Says where a test was when it panicked: the seed of a random crash is part of it.
pub(crate) struct Told<F: Fn() -> String>(pub(crate) F);

impl<F: Fn() -> String> Drop for Told<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed in {}", self.0());
        }
    }
}

impl Step {
    /// The batches without those of transactions that were aborted.
    fn committed(&self) -> Vec<&Batch> {
        let is_aborted = |batch: &Batch| {
            let markers = self.batches.iter().filter(|later| {
                later.header.producer_id == batch.header.producer_id
                    && later.header.base_offset > batch.header.base_offset
            });
            let ended = markers.filter_map(marker).next();
            batch.header.attributes.is_transactional() && ended.is_none_or(|end| !end.committed)
        };
        let batches = self.batches.iter();
        batches.filter(|batch| !is_aborted(batch)).collect()
    }
}

impl Judge<'_> {
    pub(crate) fn check(&self, crashed: &MemoryDisk) {
        let _told = Told(|| self.place());
        let crashed = Arc::new(crashed.clone());
        let log = recover(self.story, &crashed);
        let found = batches_of(&log);
        self.check_history(&log, &found);
        self.check_epochs(&log, &found);
        // Recovering twice is recovering once.
        let end = log.log_end_offset();
        drop(log);
        let mut log = recover(self.story, &crashed);
        assert_eq!(log.cut(), None, "cut again");
        assert_eq!(log.log_end_offset(), end);
        if self.is_thorough {
            assert_eq!(batches_of(&log), found);
            self.check_look_ups(&log, &found);
            self.check_transactions(&log, &found);
            self.check_producers(&mut log, &found);
            let next = log.log_end_offset();
            let info = log.append(
                &batch(1, NOW, false, ProducerStamp::NONE),
                AppendOrigin::Client,
                99,
                NOW,
            );
            assert_eq!(info.unwrap().base_offset, next);
        }
    }

    fn place(&self) -> String {
        let Self { at, keep, .. } = self;
        let again = self.again.map_or_else(String::new, |(at, keep)| {
            format!(", then at {at} keeping {keep:?}")
        });
        format!("{} at {at} keeping {keep:?}{again}", self.story.name)
    }

    /// The last step that was acknowledged, and the one that may have begun.
    fn steps(&self) -> (&Step, &Step) {
        let steps = &self.story.steps;
        let done = steps.partition_point(|step| step.events <= self.at);
        let next = steps.get(done).unwrap_or(&steps[steps.len() - 1]);
        (&steps[done - 1], next)
    }

    /// All that was promised is there, and nothing that never was.
    fn check_history(&self, log: &Log, found: &[Batch]) {
        let (done, next) = self.steps();
        let end = log.log_end_offset();
        assert!(log.log_start_offset() <= end);
        assert!(log.recovery_point() <= end);
        assert!(
            log.log_start_offset() <= done.log_start_offset.max(next.log_start_offset),
            "begins at {}",
            log.log_start_offset()
        );
        let promised = match self.keep {
            Keep::All => done.log_end_offset,
            _ => done.durable,
        };
        // A truncation that has begun may have happened; one of a story also forgets what it cut.
        let promised = promised.min(next.log_end_offset.max(next.durable));
        let cut = log.cut();
        assert!(end >= promised, "from {end} to {promised} is lost: {cut:?}");
        if self.story.config.compact {
            return self.check_compacted(found, promised);
        }
        for (before, after) in found.iter().zip(found.iter().skip(1)) {
            assert_eq!(before.header.next_offset(), after.header.base_offset);
        }
        let is_of = |step: &Step| {
            end <= step.log_end_offset
                && found.iter().all(|batch| {
                    let known = step
                        .batches
                        .iter()
                        .find(|known| known.header.base_offset == batch.header.base_offset);
                    match known {
                        Some(known) => known == batch,
                        // Deleted by then: it must have been as it was before.
                        None => {
                            batch.header.next_offset() <= step.log_start_offset
                                && self
                                    .story
                                    .steps
                                    .iter()
                                    .any(|old| old.batches.contains(batch))
                        }
                    }
                })
        };
        assert!(is_of(done) || is_of(next), "a history that never was");
    }

    /// Each batch is as it was before or after the compaction that was under way, and of each key the last
    /// record that was promised is there, or a later one.
    fn check_compacted(&self, found: &[Batch], promised: i64) {
        let (done, next) = self.steps();
        for (before, after) in found.iter().zip(found.iter().skip(1)) {
            assert!(before.header.next_offset() <= after.header.base_offset);
        }
        for batch in found {
            let is_known = done.batches.contains(batch) || next.batches.contains(batch);
            assert!(is_known, "a batch that never was: {:?}", batch.header);
        }
        let mut last: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
        let all = found.iter().flat_map(keyed);
        for (key, offset) in all {
            last.insert(key, offset);
        }
        for (key, offset) in done.committed().into_iter().flat_map(keyed) {
            if offset < promised {
                assert!(
                    last.get(&key).is_some_and(|last| *last >= offset),
                    "{} of {offset} is lost",
                    String::from_utf8_lossy(&key)
                );
            }
        }
    }

    fn check_epochs(&self, log: &Log, found: &[Batch]) {
        for Batch { header, .. } in found {
            if header.base_offset >= log.log_start_offset() {
                assert_eq!(
                    log.epoch_at(header.base_offset),
                    Some(header.partition_leader_epoch),
                );
            }
        }
        let entries = log.epochs();
        assert!(
            entries.iter().all(|entry| {
                // The epoch of a log whose records are all deleted begins where the log does.
                entry.start_offset < log.log_end_offset().max(log.log_start_offset() + 1)
            }),
            "{entries:?}"
        );
        if let Some(last) = found.last() {
            assert_eq!(log.latest_epoch(), last.header.partition_leader_epoch);
        }
    }

    /// Every offset and every timestamp leads to its record.
    fn check_look_ups(&self, log: &Log, found: &[Batch]) {
        for Batch { header, bytes } in found {
            for offset in header.base_offset..header.next_offset() {
                if offset >= log.log_start_offset() {
                    let data = log.read(offset, 1, i64::MAX, true).unwrap().load().unwrap();
                    assert_eq!(&data, bytes, "offset {offset}");
                }
            }
        }
        let start = log.log_start_offset();
        let records: Vec<(i64, i64)> = found
            .iter()
            .flat_map(records)
            .filter(|(_, offset)| *offset >= start)
            .collect();
        for (timestamp, _) in &records {
            for wanted in [*timestamp, timestamp + 1] {
                let known = records.iter().find(|(at, _)| *at >= wanted);
                let told = log.offset_for_timestamp(wanted).unwrap();
                let told = told.map(|found| (found.timestamp, found.offset));
                assert_eq!(told, known.copied(), "timestamp {wanted}");
            }
        }
    }

    /// Open and aborted transactions are those that the batches tell of.
    fn check_transactions(&self, log: &Log, found: &[Batch]) {
        if log.log_start_offset() > 0 {
            return;
        }
        let mut open: BTreeMap<i64, i64> = BTreeMap::new();
        let mut aborted = Vec::new();
        for batch in found {
            let id = batch.header.producer_id;
            if let Some(marker) = marker(batch) {
                if let Some(first) = open.remove(&id)
                    && !marker.committed
                {
                    aborted.push((id, first, batch.header.base_offset));
                }
            } else if batch.header.attributes.is_transactional() {
                open.entry(id).or_insert(batch.header.base_offset);
            }
        }
        let end = log.log_end_offset();
        let stable = open.values().min().copied().unwrap_or(end);
        assert_eq!(log.last_stable_offset(end), stable);
        let mut told: Vec<_> = log
            .aborted_transactions(0, end)
            .unwrap()
            .iter()
            .map(|known| (known.producer_id, known.first_offset, known.last_offset))
            .collect();
        told.sort_unstable();
        aborted.sort_unstable();
        if self.story.config.compact {
            // Its batches may be gone, and the entry still there.
            told.retain(|entry| aborted.contains(entry));
        }
        assert_eq!(told, aborted);
    }

    /// What a producer sends again is recognised, and what it sends next is taken.
    fn check_producers(&self, log: &mut Log, found: &[Batch]) {
        let mut last: BTreeMap<i64, &Batch> = BTreeMap::new();
        for batch in found {
            if batch.header.base_sequence >= 0 {
                last.insert(batch.header.producer_id, batch);
            }
        }
        // Of a batch that compaction has been at the producer would send more.
        let is_whole =
            |batch: &&&Batch| batch.header.record_count == batch.header.last_offset_delta + 1;
        for batch in last.values().filter(is_whole) {
            let mut again = batch.bytes.to_vec();
            again[..8].fill(0);
            let info = log.append(&again, AppendOrigin::Client, 99, NOW).unwrap();
            assert!(info.is_duplicate);
            assert_eq!(info.base_offset, batch.header.base_offset);
        }
        for Batch { header, .. } in last.values() {
            let stamp = ProducerStamp {
                producer_id: header.producer_id,
                producer_epoch: header.producer_epoch,
                base_sequence: header.base_sequence + header.last_offset_delta + 1,
            };
            let next = batch(2, NOW, header.attributes.is_transactional(), stamp);
            let info = log.append(&next, AppendOrigin::Client, 99, NOW).unwrap();
            assert!(!info.is_duplicate, "what was cut is remembered");
        }
    }
}

fn marker(batch: &Batch) -> Option<EndTransactionMarker> {
    if !batch.header.attributes.is_control() {
        return None;
    }
    let decoded = RecordBatch::decode(batch.bytes.clone()).unwrap();
    let mut buffer = Vec::new();
    let mut records = decoded
        .records(&mut Decompressor::new(), &mut buffer, 1000)
        .unwrap();
    let record = records.next().unwrap().unwrap();
    EndTransactionMarker::decode(record.key, record.value).unwrap()
}

/// Key and offset of each record.
fn keyed(batch: &Batch) -> Vec<(Vec<u8>, i64)> {
    if batch.header.attributes.is_control() {
        return Vec::new();
    }
    let decoded = RecordBatch::decode(batch.bytes.clone()).unwrap();
    let mut buffer = Vec::new();
    decoded
        .records(&mut Decompressor::new(), &mut buffer, 100_000)
        .unwrap()
        .map(|record| record.unwrap())
        .map(|record| (record.key.unwrap().to_vec(), record.offset))
        .collect()
}

/// Timestamp and offset of each record.
fn records(batch: &Batch) -> Vec<(i64, i64)> {
    let decoded = RecordBatch::decode(batch.bytes.clone()).unwrap();
    let mut buffer = Vec::new();
    decoded
        .records(&mut Decompressor::new(), &mut buffer, 100_000)
        .unwrap()
        .map(|record| {
            record
                .map(|record| (record.timestamp, record.offset))
                .unwrap()
        })
        .collect()
}
