//! Scripted lives of a log, and what was acknowledged after each step.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kafka_broker::log::{
    AppendOrigin, Disk, Log, LogConfig, LogDir, LogDirOwner, MemoryDisk, PartitionCheckpoint,
    TopicPartition,
};
use kafka_protocol::Uuid;
use kafka_protocol::record::{
    BatchBuilder, BatchHeader, BatchOptions, EndTransactionMarker, ProducerStamp,
};

pub(crate) const NOW: i64 = 1_760_000_000_000;

/// The topic that the partition is of.
pub(crate) const TOPIC: Uuid = Uuid([3; 16]);

/// A life of a log on a disk that remembers it.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) config: LogConfig,
    pub(crate) disk: MemoryDisk,
    /// The event behind which the partition is known to its owner.
    pub(crate) start: usize,
    pub(crate) steps: Vec<Step>,
}

impl Story {
    /// Whether a step ended behind so many events.
    pub(crate) fn is_acknowledged(&self, events: usize) -> bool {
        self.steps.iter().any(|step| step.events == events)
    }
}

/// What was true when a step was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// How many events had happened by then.
    pub(crate) events: usize,
    pub(crate) batches: Vec<Batch>,
    pub(crate) log_start_offset: i64,
    pub(crate) log_end_offset: i64,
    /// Up to where the log must be durable by what was asked of it, or calls itself so.
    pub(crate) durable: i64,
}

/// A batch as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) header: BatchHeader,
    pub(crate) bytes: Bytes,
}

pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new("t", 0).unwrap()
}

pub(crate) fn config() -> LogConfig {
    let mut config = LogConfig::default();
    config.segment_bytes = 600;
    config.index_interval_bytes = 150;
    config.tail_bytes = 0;
    config
}

pub(crate) fn open_dir(disk: &Arc<MemoryDisk>) -> LogDir {
    let owner = LogDirOwner {
        cluster_id: None,
        node_id: 1,
        new_directory_id: Uuid::from_bytes([1; 16]),
        new_cluster_id: Uuid::from_bytes([2; 16]),
    };
    let disk: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    LogDir::open(disk, Path::new("data"), &owner).unwrap()
}

/// All batches of a log, read in small pieces.
pub(crate) fn batches_of(log: &Log) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let data = log.read(offset, 400, i64::MAX, true).unwrap();
        if data.is_empty() && log.config().compact {
            // Compaction has left nothing up to the end.
            break;
        }
        assert!(data.next_offset > offset, "a hole at {offset}");
        offset = data.next_offset;
        let mut bytes = data.load().unwrap();
        while !bytes.is_empty() {
            let header = BatchHeader::decode(&bytes).unwrap();
            let bytes = bytes.split_to(header.total_len());
            batches.push(Batch { header, bytes });
        }
    }
    batches
}

pub(crate) fn batch(
    value: usize,
    timestamp: i64,
    transactional: bool,
    stamp: ProducerStamp,
) -> Vec<u8> {
    keyed_batch("key", value, timestamp, transactional, stamp)
}

fn keyed_batch(
    key: &str,
    value: usize,
    timestamp: i64,
    transactional: bool,
    stamp: ProducerStamp,
) -> Vec<u8> {
    let mut options = BatchOptions::new();
    if transactional {
        options = options.transactional();
    }
    let mut batch = BatchBuilder::new(Vec::new(), options);
    for nth in 0..2 {
        let value = vec![b'a' + (value % 26) as u8; 10 + value % 50];
        batch
            .append(timestamp + nth, Some(key.as_bytes()), Some(&value), [])
            .unwrap();
    }
    batch.seal(stamp)
}

/// A log that is being told its story.
struct Teller {
    disk: Arc<MemoryDisk>,
    dir: Option<LogDir>,
    log: Option<Log>,
    story: Story,
    epoch: i32,
    count: usize,
    /// Up to where a flush, or the flush policy, has made the log durable.
    promised: i64,
}

impl Teller {
    fn begin(name: &'static str, config: LogConfig) -> Self {
        let disk = Arc::new(MemoryDisk::journaled());
        let dir = open_dir(&disk);
        let start = disk.event_count();
        let log = Log::begin_in(&dir, &partition(), TOPIC, config.clone(), NOW);
        let mut teller = Self {
            story: Story {
                name,
                config,
                disk: disk.as_ref().clone(),
                start,
                steps: vec![Step {
                    events: 0,
                    batches: Vec::new(),
                    log_start_offset: 0,
                    log_end_offset: 0,
                    durable: 0,
                }],
            },
            disk,
            dir: Some(dir),
            log: Some(log),
            epoch: 0,
            count: 0,
            promised: 0,
        };
        teller.note();
        teller
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn note(&mut self) {
        let log = self.log.as_ref().unwrap();
        let end = log.log_end_offset();
        if log.config().flush_messages == 1 {
            self.promised = end;
        }
        self.promised = self.promised.min(end);
        self.story.steps.push(Step {
            events: self.disk.event_count(),
            batches: batches_of(log),
            log_start_offset: log.log_start_offset(),
            log_end_offset: end,
            durable: self.promised.max(log.recovery_point()),
        });
    }

    fn append_bytes(&mut self, bytes: &[u8], origin: AppendOrigin) {
        let epoch = self.epoch;
        self.log().append(bytes, origin, epoch, NOW).unwrap();
        if self.log().is_flush_owed() {
            self.log().flush(NOW).unwrap();
        }
        self.note();
    }

    fn append(&mut self, times: usize) {
        for _ in 0..times {
            self.count += 1;
            let bytes = batch(
                self.count,
                NOW + self.count as i64 * 10,
                false,
                ProducerStamp::NONE,
            );
            self.append_bytes(&bytes, AppendOrigin::Client);
        }
    }

    fn produce(&mut self, id: i64, sequence: i32, transactional: bool) {
        self.count += 1;
        let stamp = ProducerStamp {
            producer_id: id,
            producer_epoch: 0,
            base_sequence: sequence,
        };
        let bytes = batch(
            self.count,
            NOW + self.count as i64 * 10,
            transactional,
            stamp,
        );
        self.append_bytes(&bytes, AppendOrigin::Client);
    }

    fn end(&mut self, id: i64, committed: bool) {
        let marker = EndTransactionMarker::new(committed, 0);
        let bytes = marker.batch(id, 0, NOW, BatchOptions::new());
        self.append_bytes(&bytes, AppendOrigin::Coordinator);
    }

    fn flush(&mut self) {
        self.log().flush(NOW).unwrap();
        self.promised = self.log().log_end_offset();
        self.note();
    }

    fn flush_closed(&mut self) {
        let job = self.log().begin_flush_closed().unwrap();
        self.promised = self.promised.max(job.up_to());
        let result = job.run();
        self.log().finish_flush(&job, result, NOW).unwrap();
        self.note();
    }

    /// Two records of a key, in a transaction of this producer if there is one.
    fn put(&mut self, key: &str, producer: Option<(i64, i32)>) {
        self.count += 1;
        let (count, timestamp) = (self.count, NOW + self.count as i64 * 10);
        let stamp = producer.map_or(ProducerStamp::NONE, |(id, sequence)| ProducerStamp {
            producer_id: id,
            producer_epoch: 0,
            base_sequence: sequence,
        });
        let bytes = keyed_batch(key, count, timestamp, producer.is_some(), stamp);
        self.append_bytes(&bytes, AppendOrigin::Client);
    }

    /// A round of compaction, of which each segment that is done is a step.
    fn compact(&mut self) {
        self.flush_closed();
        let goes_on = || true;
        let end = self.log().log_end_offset();
        let mut compaction = self.log().begin_compaction(end, NOW).unwrap();
        compaction.index(1 << 20, &goes_on).unwrap();
        while let Some(replacement) = compaction.next_segment(&goes_on).unwrap() {
            assert!(self.log().replace_segments(replacement).unwrap());
            self.note();
        }
        self.log().finish_compaction(&compaction);
    }

    fn roll(&mut self) {
        self.log().roll(NOW).unwrap();
        self.note();
    }

    fn truncate(&mut self, offset: i64) {
        self.epoch += 1;
        self.log().truncate_to(offset).unwrap();
        self.note();
    }

    fn checkpoint(&mut self) {
        let log = self.log.as_ref().unwrap();
        let checkpoint = PartitionCheckpoint {
            name: partition(),
            recovery_point: log.recovery_point(),
            log_start_offset: log.log_start_offset(),
            high_watermark: log.log_end_offset(),
            first_dirty_offset: log.first_dirty_offset(),
        };
        let dir = self.dir.as_ref().unwrap();
        dir.write_checkpoints(&[checkpoint]).unwrap();
        self.note();
    }

    fn stop_cleanly(&mut self, config: LogConfig) {
        let log = self.log.take().unwrap();
        let first_dirty_offset = log.first_dirty_offset();
        let closed = log.close(NOW).unwrap();
        let checkpoint = PartitionCheckpoint {
            name: partition(),
            recovery_point: closed.log_end_offset,
            log_start_offset: closed.log_start_offset,
            high_watermark: closed.log_end_offset,
            first_dirty_offset,
        };
        self.dir.take().unwrap().close(&[checkpoint], -1).unwrap();
        let dir = open_dir(&self.disk);
        assert!(dir.was_clean());
        let log = Log::open_in(&dir, &partition(), config, NOW).unwrap();
        assert_eq!(log.cut(), None);
        self.promised = log.log_end_offset();
        self.dir = Some(dir);
        self.log = Some(log);
        self.note();
    }
}

pub(crate) fn appends() -> Story {
    let mut teller = Teller::begin("appends", config());
    teller.append(7);
    teller.flush();
    teller.append(5);
    teller.checkpoint();
    teller.epoch = 1;
    teller.append(6);
    teller.flush_closed();
    teller.append(3);
    teller.flush();
    teller.checkpoint();
    teller.roll();
    teller.epoch = 4;
    teller.append(4);
    teller.checkpoint();
    teller.append(4);
    teller.story
}

pub(crate) fn flushed_appends() -> Story {
    let mut config = config();
    config.flush_messages = 1;
    let mut teller = Teller::begin("flushed appends", config);
    teller.append(9);
    teller.checkpoint();
    teller.epoch = 1;
    teller.append(9);
    teller.story
}

pub(crate) fn truncations() -> Story {
    let mut teller = Teller::begin("truncations", config());
    // A producer of which the truncation leaves less than a snapshot tells.
    teller.produce(1, 0, false);
    teller.append(1);
    teller.produce(1, 2, false);
    teller.roll();
    teller.append(1);
    teller.truncate(4);
    teller.append(5);
    teller.flush();
    teller.checkpoint();
    teller.append(6);
    teller.truncate(14);
    teller.append(3);
    teller.flush();
    teller.checkpoint();
    teller.append(3);
    teller.truncate(3);
    teller.append(8);
    teller.story
}

pub(crate) fn deletions() -> Story {
    let mut config = config();
    config.retention_bytes = 1000;
    let mut teller = Teller::begin("deletions", config);
    teller.append(12);
    teller.flush();
    teller.checkpoint();
    let end = teller.log().log_end_offset();
    teller.log().apply_retention(end, NOW).unwrap();
    teller.note();
    teller.append(3);
    teller.log().delete_records_before(25).unwrap();
    teller.note();
    teller.checkpoint();
    teller.append(4);
    teller.log().delete_records_before(34).unwrap();
    teller.note();
    teller.append(3);
    teller.story
}

pub(crate) fn transactions() -> Story {
    let mut teller = Teller::begin("transactions", config());
    teller.produce(1, 0, false);
    teller.produce(2, 0, true);
    teller.produce(3, 0, true);
    teller.produce(1, 2, false);
    teller.end(2, false);
    teller.produce(1, 4, false);
    teller.flush();
    teller.produce(2, 2, true);
    teller.end(3, true);
    teller.checkpoint();
    teller.produce(3, 2, true);
    teller.produce(1, 6, false);
    teller.end(2, false);
    teller.end(3, false);
    teller.flush_closed();
    teller.produce(2, 4, true);
    teller.produce(1, 8, false);
    teller.produce(1, 10, false);
    teller.append(6);
    teller.end(2, true);
    teller.story
}

pub(crate) fn clean_stops() -> Story {
    let mut teller = Teller::begin("clean stops", config());
    teller.append(5);
    teller.produce(1, 0, false);
    teller.stop_cleanly(config());
    teller.epoch = 1;
    teller.produce(1, 2, true);
    teller.append(3);
    teller.stop_cleanly(config());
    teller.append(5);
    teller.end(1, false);
    teller.stop_cleanly(config());
    teller.story
}

pub(crate) fn compacted() -> LogConfig {
    let mut config = config();
    config.compact = true;
    config.delete = false;
    config
}

pub(crate) fn compactions() -> Story {
    let mut teller = Teller::begin("compactions", compacted());
    for key in ["a", "b", "a", "c", "a", "b"] {
        teller.put(key, None);
    }
    teller.put("t", Some((1, 0)));
    teller.put("u", Some((2, 0)));
    teller.end(1, false);
    teller.end(2, true);
    teller.flush();
    teller.checkpoint();
    teller.put("a", None);
    teller.roll();
    teller.compact();
    teller.checkpoint();
    for key in ["d", "c", "d"] {
        teller.put(key, None);
    }
    teller.put("u", Some((2, 2)));
    teller.end(2, false);
    teller.roll();
    teller.put("a", None);
    teller.compact();
    teller.put("b", None);
    teller.checkpoint();
    teller.put("b", None);
    teller.stop_cleanly(compacted());
    teller.roll();
    teller.compact();
    teller.put("e", None);
    teller.story
}
