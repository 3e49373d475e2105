//! Compaction told as stories: what a reader finds of each key before and after, and what a log makes of its
//! remains.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kafka_protocol::compression::{Compression, Compressor, Decompressor};
use kafka_protocol::record::{Batch, BatchBuilder, BatchHeader, BatchOptions, ProducerStamp};

use crate::log::test_batches::{marker, stamp};
use crate::log::{
    AppendOrigin, CompactionStats, Disk, Fault, Keep, Log, LogConfig, LogError, LogStart,
    MemoryDisk, OpenMode, Operation,
};

const DIR: &str = "data/t-0";
const NOW: i64 = 1_760_000_000_000;
const HOUR_MS: i64 = 3_600_000;
const MEMORY: usize = 1 << 20;

/// Offset, key and value of a record that a reader of committed records sees.
type Seen = (i64, Option<String>, Option<String>);

fn memory() -> Arc<MemoryDisk> {
    let disk = MemoryDisk::journaled();
    disk.create_dir(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new("data")).unwrap();
    Arc::new(disk)
}

fn config() -> LogConfig {
    LogConfig {
        compact: true,
        delete: false,
        min_cleanable_dirty_ratio: 0.0,
        index_interval_bytes: 100,
        delete_retention_ms: HOUR_MS,
        ..LogConfig::default()
    }
}

fn open_with(disk: &Arc<MemoryDisk>, config: LogConfig, start: LogStart) -> Log {
    let disk: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    Log::open(disk, Path::new(DIR), config, start, NOW).unwrap()
}

fn open(disk: &Arc<MemoryDisk>) -> Log {
    open_with(disk, config(), LogStart::default())
}

fn options() -> BatchOptions {
    BatchOptions::new()
}

fn batch(records: &[(&str, Option<&str>)], options: BatchOptions, stamp: ProducerStamp) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Vec::new(), options);
    for (nth, (key, value)) in records.iter().enumerate() {
        let value = value.map(str::as_bytes);
        let headers = [("h", Some(b"1".as_slice())), ("h", None)];
        batch
            .append(NOW + nth as i64, Some(key.as_bytes()), value, headers)
            .unwrap();
    }
    batch.seal(stamp)
}

fn put(log: &mut Log, records: &[(&str, Option<&str>)]) -> i64 {
    let bytes = batch(records, options(), ProducerStamp::NONE);
    append(log, &bytes)
}

fn append(log: &mut Log, bytes: &[u8]) -> i64 {
    let header = BatchHeader::decode(bytes).unwrap();
    let origin = match header.attributes.is_control() {
        true => AppendOrigin::Coordinator,
        false => AppendOrigin::Client,
    };
    log.append(bytes, origin, 0, NOW).unwrap().base_offset
}

fn flush_closed(log: &mut Log) {
    let job = log.begin_flush_closed().unwrap();
    let result = job.run();
    log.finish_flush(&job, result, NOW).unwrap();
}

/// A round of compaction as a broker runs it.
fn compact_at(log: &mut Log, now_ms: i64, memory: usize) -> Result<CompactionStats, LogError> {
    let goes_on = || true;
    flush_closed(log);
    let end = log.log_end_offset();
    let mut compaction = log.begin_compaction(end, now_ms)?;
    compaction.index(memory, &goes_on)?;
    while let Some(replacement) = compaction.next_segment(&goes_on)? {
        assert!(log.replace_segments(replacement)?);
    }
    log.finish_compaction(&compaction);
    Ok(compaction.stats())
}

fn compact(log: &mut Log, now_ms: i64) -> CompactionStats {
    log.roll(now_ms).unwrap();
    compact_at(log, now_ms, MEMORY).unwrap()
}

fn headers(log: &Log) -> Vec<BatchHeader> {
    batches(log).iter().map(|batch| *batch.header()).collect()
}

fn batches(log: &Log) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let data = log.read(offset, 300, i64::MAX, true).unwrap();
        if data.next_offset == offset {
            // Nothing up to the end: all that was there is compacted away.
            break;
        }
        offset = data.next_offset;
        let mut bytes = data.load().unwrap();
        while !bytes.is_empty() {
            let len = BatchHeader::decode(&bytes).unwrap().total_len();
            batches.push(Batch::decode(bytes.split_to(len)).unwrap());
        }
    }
    batches
}

/// What a reader of committed records sees, by the rules of a consumer.
fn seen(log: &Log) -> Vec<Seen> {
    let stable = log.last_stable_offset(log.log_end_offset());
    let mut aborted = log.aborted_transactions(0, stable).unwrap();
    aborted.reverse();
    let mut skipped = std::collections::BTreeSet::new();
    let mut seen = Vec::new();
    for batch in batches(log) {
        let header = batch.header();
        if header.next_offset() > stable {
            break;
        }
        while aborted
            .last()
            .is_some_and(|next| next.first_offset <= header.last_offset())
        {
            skipped.extend(aborted.pop().map(|next| next.producer_id));
        }
        if header.attributes.is_control() {
            skipped.remove(&header.producer_id);
            continue;
        }
        if header.attributes.is_transactional() && skipped.contains(&header.producer_id) {
            continue;
        }
        let mut buffer = Vec::new();
        let records = batch.records(&mut Decompressor::new(), &mut buffer, 1 << 20);
        for record in records.unwrap() {
            let record = record.unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let headers: Vec<_> = record.headers.map(|header| header.value).collect();
            assert_eq!(headers, [Some(b"1".as_slice()), None], "its headers");
            assert!((NOW..NOW + 100).contains(&record.timestamp));
            seen.push((record.offset, record.key.map(text), record.value.map(text)));
        }
    }
    seen
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The last of each key, tombstones included.
fn last_of_each(seen: &[Seen]) -> Vec<Seen> {
    let last: BTreeMap<_, _> = seen.iter().map(|one| (one.1.clone(), one.0)).collect();
    let is_last = |one: &&Seen| last[&one.1] == one.0;
    seen.iter().filter(is_last).cloned().collect()
}

#[test]
fn the_last_record_of_each_key_stays_where_it_was() {
    let disk = memory();
    let mut log = open(&disk);
    put(&mut log, &[("a", Some("1")), ("b", Some("1"))]);
    put(&mut log, &[("a", Some("2"))]);
    log.roll(NOW).unwrap();
    put(&mut log, &[("c", Some("1")), ("a", Some("3"))]);
    log.roll(NOW).unwrap();
    put(&mut log, &[("b", Some("active"))]);
    let before = seen(&log);
    assert_eq!(before.len(), 6);
    let size = log.size();
    let stats = compact_at(&mut log, NOW, MEMORY).unwrap();
    let expected = [
        (1, some("b"), some("1")),
        (3, some("c"), some("1")),
        (4, some("a"), some("3")),
        (5, some("b"), some("active")),
    ];
    assert_eq!(seen(&log), expected);
    assert_eq!((stats.segments_before, stats.segments_after), (2, 1));
    assert_eq!(size - log.size(), stats.bytes_before - stats.bytes_after);
    assert_eq!(log.segment_count(), 2);
    assert_eq!(log.first_dirty_offset(), Some(5));
    // Every offset is answered, also those of records that are gone.
    for (offset, found) in [(0, 0), (1, 0), (2, 3), (3, 3), (4, 3), (5, 5)] {
        let data = log.read(offset, 1, i64::MAX, true).unwrap();
        assert_eq!(data.base_offset, found, "offset {offset}");
    }
    assert_eq!(log.offset_for_timestamp(NOW).unwrap().unwrap().offset, 1);
    let recovered = log.recovery_point();
    drop(log);
    for start in [
        LogStart::default(),
        LogStart {
            recovery_point: Some(recovered),
            ..LogStart::default()
        },
    ] {
        let log = open_with(&disk, config(), start);
        assert_eq!(log.cut(), None);
        assert_eq!(seen(&log), expected);
        assert_eq!(log.log_end_offset(), 6);
    }
}

#[test]
fn a_log_is_compacted_when_enough_of_it_is_dirty_or_has_waited() {
    let disk = memory();
    let mut log = open(&disk);
    let mut config = config();
    config.min_cleanable_dirty_ratio = 0.4;
    config.min_compaction_lag_ms = 1000;
    log.set_config(config.clone(), NOW).unwrap();
    put(&mut log, &[("a", Some("1"))]);
    let end = log.log_end_offset();
    assert_eq!(log.dirtiness(end, NOW).unwrap(), None, "the active segment");
    log.roll(NOW).unwrap();
    assert_eq!(log.dirtiness(end, NOW + 999).unwrap(), None, "too young");
    let dirty = log.dirtiness(end, NOW + 1000).unwrap().unwrap();
    assert_eq!((dirty.ratio, dirty.is_due), (1.0, true));
    compact_at(&mut log, NOW + 1000, MEMORY).unwrap();
    assert_eq!(log.dirtiness(end, NOW + 1000).unwrap(), None);
    put(
        &mut log,
        &[("b", Some("1")), ("c", Some("1")), ("d", Some("1"))],
    );
    log.roll(NOW).unwrap();
    let end = log.log_end_offset();
    let dirty = log.dirtiness(end, NOW + 2000).unwrap().unwrap();
    assert!(dirty.ratio > 0.4 && dirty.is_due, "{dirty:?}");
    compact_at(&mut log, NOW + 2000, MEMORY).unwrap();
    put(&mut log, &[("e", Some("1"))]);
    log.roll(NOW).unwrap();
    let end = log.log_end_offset();
    let dirty = log.dirtiness(end, NOW + 2000).unwrap().unwrap();
    assert!(dirty.ratio < 0.4 && !dirty.is_due, "{dirty:?}");
    config.max_compaction_lag_ms = 5000;
    log.set_config(config.clone(), NOW).unwrap();
    assert!(!log.dirtiness(end, NOW + 5000).unwrap().unwrap().is_due);
    assert!(log.dirtiness(end, NOW + 5001).unwrap().unwrap().is_due);
    config.compact = false;
    log.set_config(config, NOW).unwrap();
    assert_eq!(log.dirtiness(end, NOW + 5001).unwrap(), None);
    assert_eq!(log.first_dirty_offset(), None);
}

#[test]
fn a_tombstone_is_told_for_delete_retention_ms_and_then_gone() {
    let disk = memory();
    let mut log = open(&disk);
    put(&mut log, &[("a", Some("1")), ("b", Some("1"))]);
    put(&mut log, &[("a", None), ("c", Some("1"))]);
    compact(&mut log, NOW);
    let with_tombstone = [
        (1, some("b"), some("1")),
        (2, some("a"), None),
        (3, some("c"), some("1")),
    ];
    assert_eq!(seen(&log), with_tombstone);
    let horizon = headers(&log)
        .into_iter()
        .find(|header| header.attributes.has_delete_horizon())
        .unwrap();
    assert_eq!(horizon.base_timestamp, NOW + HOUR_MS);
    assert_eq!(horizon.max_timestamp, NOW + 1);
    // The horizon is not moved by looking at it again.
    put(&mut log, &[("d", Some("1"))]);
    compact(&mut log, NOW + HOUR_MS - 1);
    assert!(seen(&log).contains(&(2, some("a"), None)));
    put(&mut log, &[("d", Some("2"))]);
    compact(&mut log, NOW + HOUR_MS);
    let without = [
        (1, some("b"), some("1")),
        (3, some("c"), some("1")),
        (5, some("d"), some("2")),
    ];
    assert_eq!(seen(&log), without);
    // The end stays where it was although the last record is a tombstone that goes.
    put(&mut log, &[("e", None)]);
    compact(&mut log, NOW);
    put(&mut log, &[("e", None)]);
    compact(&mut log, NOW + 2 * HOUR_MS);
    put(&mut log, &[("e", None)]);
    compact(&mut log, NOW + 4 * HOUR_MS);
    assert_eq!(log.log_end_offset(), 9);
    drop(log);
    assert_eq!(open(&disk).log_end_offset(), 9);
}

#[test]
fn a_record_without_a_key_goes() {
    let disk = memory();
    let mut log = open(&disk);
    let keyless = || {
        let mut keyless = BatchBuilder::new(Vec::new(), options());
        keyless.append(NOW, None, Some(b"x"), []).unwrap();
        keyless.seal(ProducerStamp::NONE)
    };
    append(&mut log, &keyless());
    put(&mut log, &[("a", Some("1"))]);
    append(&mut log, &keyless());
    compact(&mut log, NOW);
    assert_eq!(seen(&log), [(1, some("a"), some("1"))]);
    // Of the last one the head stays, to tell where the log ends.
    let last = *headers(&log).last().unwrap();
    assert_eq!((last.base_offset, last.record_count), (2, 0));
}

#[test]
fn every_codec_is_read_and_written_again() {
    for compression in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let disk = memory();
        let mut log = open(&disk);
        let mut compressor = Compressor::new(compression).unwrap();
        for value in ["1", "2"] {
            let mut batch = BatchBuilder::new(Vec::new(), options());
            for key in ["a", value] {
                let headers = [("h", Some(b"1".as_slice())), ("h", None)];
                let value = Some(value.as_bytes());
                batch
                    .append(NOW, Some(key.as_bytes()), value, headers)
                    .unwrap();
            }
            let mut bytes = Vec::new();
            batch
                .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut bytes)
                .unwrap();
            append(&mut log, &bytes);
        }
        compact(&mut log, NOW);
        let expected = [
            (1, some("1"), some("1")),
            (2, some("a"), some("2")),
            (3, some("2"), some("2")),
        ];
        assert_eq!(seen(&log), expected, "{compression:?}");
        for header in headers(&log) {
            assert_eq!(header.attributes.compression(), Some(compression));
        }
    }
}

#[test]
fn aborted_records_go_and_the_marker_after_them() {
    let disk = memory();
    let mut log = open(&disk);
    let transactional = |records: &[_], id, sequence| {
        batch(records, options().transactional(), stamp(id, 0, sequence))
    };
    put(&mut log, &[("a", Some("0"))]);
    append(&mut log, &transactional(&[("a", Some("aborted"))], 7, 0));
    append(&mut log, &transactional(&[("a", Some("committed"))], 8, 0));
    append(&mut log, &marker(NOW, 7, 0, false));
    append(&mut log, &marker(NOW, 8, 0, true));
    // The last of each producer, so that the batches above need not be kept for their sequences.
    append(&mut log, &transactional(&[("b", Some("7"))], 7, 1));
    append(&mut log, &transactional(&[("c", Some("8"))], 8, 1));
    append(&mut log, &marker(NOW, 7, 0, true));
    append(&mut log, &marker(NOW, 8, 0, true));
    let expected = [
        (2, some("a"), some("committed")),
        (5, some("b"), some("7")),
        (6, some("c"), some("8")),
    ];
    assert_eq!(last_of_each(&seen(&log)), expected);
    compact(&mut log, NOW);
    assert_eq!(seen(&log), expected);
    let offsets = |log: &Log| -> Vec<_> {
        let headers = headers(log).into_iter();
        headers.map(|header| header.base_offset).collect()
    };
    assert_eq!(offsets(&log), [2, 3, 4, 5, 6, 7, 8], "the markers stay");
    assert_eq!(
        log.aborted_transactions(0, 9).unwrap().len(),
        1,
        "for a while"
    );
    // Nothing is left of the aborted transaction: its marker gets a horizon, and goes when that is past.
    put(&mut log, &[("x", Some("1"))]);
    compact(&mut log, NOW + 1);
    assert_eq!(offsets(&log), [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(log.aborted_transactions(0, 9).unwrap(), []);
    put(&mut log, &[("x", Some("2"))]);
    compact(&mut log, NOW + 1 + HOUR_MS);
    assert_eq!(offsets(&log), [2, 4, 5, 6, 7, 8, 10]);
    put(&mut log, &[("a", Some("over"))]);
    // And the one of the first commit once its record is superseded.
    compact(&mut log, NOW + 2 * HOUR_MS);
    put(&mut log, &[("x", Some("3"))]);
    compact(&mut log, NOW + 2 * HOUR_MS);
    put(&mut log, &[("x", Some("4"))]);
    compact(&mut log, NOW + 4 * HOUR_MS);
    assert_eq!(offsets(&log), [5, 6, 7, 8, 11, 13]);
}

#[test]
fn what_a_transaction_holds_open_is_left_alone() {
    let disk = memory();
    let mut log = open(&disk);
    put(&mut log, &[("a", Some("1"))]);
    put(&mut log, &[("a", Some("2"))]);
    log.roll(NOW).unwrap();
    let open = batch(
        &[("a", Some("3"))],
        options().transactional(),
        stamp(7, 0, 0),
    );
    append(&mut log, &open);
    put(&mut log, &[("a", Some("4"))]);
    compact(&mut log, NOW);
    assert_eq!(log.first_dirty_offset(), Some(2));
    let offsets: Vec<_> = headers(&log)
        .iter()
        .map(|header| header.base_offset)
        .collect();
    assert_eq!(offsets, [1, 2, 3]);
}

#[test]
fn nothing_gives_way_to_a_record_that_is_not_durable() {
    let disk = memory();
    let mut log = open(&disk);
    put(&mut log, &[("a", Some("1"))]);
    log.flush(NOW).unwrap();
    put(&mut log, &[("a", Some("2"))]);
    log.roll(NOW).unwrap();
    let mut compaction = log.begin_compaction(2, NOW).unwrap();
    compaction.index(MEMORY, &|| true).unwrap();
    assert!(compaction.next_segment(&|| true).unwrap().is_none());
    assert_eq!(
        compact_at(&mut log, NOW, MEMORY).unwrap().segments_before,
        1
    );
    assert_eq!(seen(&log), [(1, some("a"), some("2"))]);
}

#[test]
fn the_last_sequence_of_a_producer_outlives_its_records() {
    let disk = memory();
    let mut log = open(&disk);
    append(
        &mut log,
        &batch(&[("a", Some("1"))], options(), stamp(7, 3, 0)),
    );
    append(
        &mut log,
        &batch(&[("a", Some("2"))], options(), stamp(7, 3, 1)),
    );
    put(&mut log, &[("a", Some("3"))]);
    compact(&mut log, NOW);
    let left = headers(&log);
    assert_eq!(left.len(), 2);
    assert_eq!((left[0].base_offset, left[0].record_count), (1, 0));
    assert_eq!(left[0].base_timestamp, -1);
    assert_eq!(left[0].max_timestamp, NOW);
    // Also where no snapshot helps.
    drop(log);
    for entry in disk.list(Path::new(DIR)).unwrap() {
        if entry.name.ends_with(".snapshot") {
            disk.remove_file(&Path::new(DIR).join(entry.name)).unwrap();
        }
    }
    let mut log = open(&disk);
    let again = batch(&[("a", Some("2"))], options(), stamp(7, 3, 1));
    let again = log.append(&again, AppendOrigin::Client, 0, NOW).unwrap();
    assert!(again.is_duplicate);
    append(
        &mut log,
        &batch(&[("a", Some("4"))], options(), stamp(7, 3, 2)),
    );
}

/// A coordinator numbers nothing; of what it wrote for a producer the last offset is known all the same,
/// so that markers do not pile up.
#[test]
fn the_markers_of_a_coordinator_do_not_pile_up() {
    let disk = memory();
    let mut log = open(&disk);
    for round in 0..20 {
        let records = [("group", Some("offset"))];
        let bytes = batch(&records, options().transactional(), stamp(7, 0, -1));
        log.append(&bytes, AppendOrigin::Coordinator, 0, NOW)
            .unwrap();
        append(&mut log, &marker(NOW, 7, 0, true));
        compact(&mut log, NOW + round * 2 * HOUR_MS);
    }
    assert!(headers(&log).len() <= 6, "{:?}", headers(&log).len());
    assert_eq!(seen(&log).len(), 1);
}

#[test]
fn keys_beyond_the_memory_wait_for_the_next_round() {
    let disk = memory();
    let mut log = open(&disk);
    for round in 0..3 {
        for key in 0..40 {
            let value = round.to_string();
            put(&mut log, &[(&format!("key {key}"), Some(&value))]);
        }
    }
    log.roll(NOW).unwrap();
    let expected = last_of_each(&seen(&log));
    let (mut rounds, mut before) = (0, 0);
    while log.dirtiness(120, NOW).unwrap().is_some() {
        rounds += 1;
        compact_at(&mut log, NOW, 1000).unwrap();
        let clean = log.first_dirty_offset().unwrap();
        assert!(
            clean > before,
            "round {rounds} got no further than {before}"
        );
        assert_eq!(last_of_each(&seen(&log)), expected);
        before = clean;
    }
    assert!(rounds > 5, "{rounds}");
    assert_eq!(seen(&log), expected);
    // A single batch of more keys than fit goes through too.
    let keys: Vec<_> = (0..100).map(|key| key.to_string()).collect();
    let records: Vec<_> = keys.iter().map(|key| (key.as_str(), Some("x"))).collect();
    put(&mut log, &records);
    log.roll(NOW).unwrap();
    compact_at(&mut log, NOW, 1).unwrap();
    assert_eq!(log.first_dirty_offset(), Some(220));
}

#[test]
fn a_damaged_batch_is_not_given_a_new_checksum() {
    let disk = memory();
    let mut log = open(&disk);
    put(&mut log, &[("a", Some("1")), ("b", Some("1"))]);
    put(&mut log, &[("a", Some("2"))]);
    log.roll(NOW).unwrap();
    put(&mut log, &[("a", Some("3"))]);
    let path = Path::new(DIR).join("00000000000000000000.log");
    // In a value.
    disk.flip_bit(&path, (61 + 20) * 8).unwrap();
    let failed = compact_at(&mut log, NOW, MEMORY).unwrap_err();
    assert!(matches!(failed, LogError::CorruptFile { .. }), "{failed}");
    disk.flip_bit(&path, (61 + 20) * 8).unwrap();
    assert_eq!(seen(&log).len(), 4, "nothing has changed");
}

#[test]
fn a_disk_that_fills_up_leaves_the_log_as_it_was() {
    for operation in [Operation::Write, Operation::Sync, Operation::Open] {
        for skip in 0..4 {
            let disk = memory();
            let mut log = open(&disk);
            put(&mut log, &[("a", Some("1"))]);
            put(&mut log, &[("a", Some("2"))]);
            log.roll(NOW).unwrap();
            let before = seen(&log);
            let full = std::io::ErrorKind::StorageFull;
            disk.inject(Fault::new(operation, full).on("cleaned").after(skip));
            let failed = compact_at(&mut log, NOW, MEMORY);
            if operation != Operation::Open {
                assert!(failed.is_err(), "{operation:?} {skip}");
            }
            disk.heal();
            if failed.is_err() {
                assert_eq!(seen(&log), before);
                let left = disk.list(Path::new(DIR)).unwrap();
                assert!(left.iter().all(|entry| !entry.name.contains("cleaned")));
                compact_at(&mut log, NOW, MEMORY).unwrap();
            }
            assert_eq!(seen(&log), [(1, some("a"), some("2"))]);
        }
    }
}

#[test]
fn a_log_that_was_changed_meanwhile_is_left_alone() {
    let goes_on = || true;
    let prepare = |disk: &Arc<MemoryDisk>| {
        let mut log = open(disk);
        for value in ["1", "2", "3"] {
            put(&mut log, &[("a", Some(value))]);
            log.roll(NOW).unwrap();
        }
        flush_closed(&mut log);
        let mut compaction = log.begin_compaction(3, NOW).unwrap();
        compaction.index(MEMORY, &goes_on).unwrap();
        let replacement = compaction.next_segment(&goes_on).unwrap().unwrap();
        (log, compaction, replacement)
    };
    let changes: [fn(&mut Log); 2] = [
        |log| log.delete_records_before(1).unwrap(),
        |log| log.truncate_to(2).unwrap(),
    ];
    for change in changes {
        let disk = memory();
        let (mut log, compaction, replacement) = prepare(&disk);
        change(&mut log);
        let before = seen(&log);
        assert!(!log.replace_segments(replacement).unwrap());
        log.finish_compaction(&compaction);
        assert_eq!(seen(&log), before);
        let left = disk.list(Path::new(DIR)).unwrap();
        assert!(left.iter().all(|entry| !entry.name.contains("cleaned")));
    }
    // And one that is told to stop stops.
    let disk = memory();
    let mut log = open(&disk);
    put(&mut log, &[("a", Some("1"))]);
    log.roll(NOW).unwrap();
    flush_closed(&mut log);
    let mut compaction = log.begin_compaction(1, NOW).unwrap();
    compaction.index(MEMORY, &|| false).unwrap();
    assert!(compaction.next_segment(&goes_on).unwrap().is_none());
    log.finish_compaction(&compaction);
    assert_eq!(log.first_dirty_offset(), Some(0));
}

/// Any history of keys, tombstones and transactions: a reader finds the same last record of each key, and
/// nothing else below what is clean.
#[test]
fn whatever_was_written_the_last_of_each_key_is_found() {
    for seed in 0..60 {
        let disk = memory();
        let mut log = open(&disk);
        let mut random = Random(seed);
        let mut producers: BTreeMap<i64, (i32, bool)> = BTreeMap::new();
        let mut now_ms = NOW;
        for step in 0..120 {
            match random.below(12) {
                0 => log.roll(now_ms).unwrap(),
                1 => {
                    for id in 1..4 {
                        if producers.get(&id).is_some_and(|producer| producer.1) {
                            append(&mut log, &marker(NOW, id, 0, random.below(2) == 0));
                            producers.entry(id).or_default().1 = false;
                        }
                    }
                }
                2 => {
                    let known = last_of_each(&seen(&log));
                    // Tombstones of which a reader was told may go.
                    let values = |seen: &[Seen]| -> Vec<_> {
                        let values = seen.iter().filter(|one| one.2.is_some());
                        values.cloned().collect()
                    };
                    now_ms += random.below(2) as i64 * HOUR_MS;
                    let memory = [300, MEMORY][random.below(2)];
                    compact_at(&mut log, now_ms, memory).unwrap();
                    let found = seen(&log);
                    let place = format!("seed {seed} step {step}");
                    assert_eq!(values(&last_of_each(&found)), values(&known), "{place}");
                    let clean = log.first_dirty_offset().unwrap();
                    let cleaned: Vec<_> = found.into_iter().filter(|one| one.0 < clean).collect();
                    assert_eq!(last_of_each(&cleaned), cleaned, "{place}");
                    if random.below(3) == 0 {
                        let end = log.log_end_offset();
                        let stable = log.last_stable_offset(end);
                        drop(log);
                        log = open_with(
                            &disk,
                            config(),
                            LogStart {
                                recovery_point: Some([0, end][random.below(2)]),
                                first_dirty_offset: Some(clean),
                                ..LogStart::default()
                            },
                        );
                        assert_eq!(log.cut(), None, "{place}");
                        assert_eq!(log.log_end_offset(), end, "{place}");
                        assert_eq!(log.last_stable_offset(end), stable, "{place}");
                        assert_eq!(values(&last_of_each(&seen(&log))), values(&known));
                    }
                }
                kind => {
                    let id = [-1, 1, 2, 3][random.below(4)];
                    let value = format!("{step}");
                    let keys: Vec<_> = (0..=random.below(3))
                        .map(|_| ["a", "b", "c", "d", "e"][random.below(5)])
                        .collect();
                    let records: Vec<_> = keys
                        .iter()
                        .map(|key| (*key, (kind > 4).then_some(value.as_str())))
                        .collect();
                    let bytes = if id < 0 {
                        batch(&records, options(), ProducerStamp::NONE)
                    } else {
                        let producer = producers.entry(id).or_default();
                        let sequence = producer.0;
                        producer.0 += records.len() as i32;
                        producer.1 = true;
                        batch(&records, options().transactional(), stamp(id, 0, sequence))
                    };
                    append(&mut log, &bytes);
                }
            }
        }
    }
}

/// The renames that put a segment in its place, broken off at any of them.
#[test]
fn a_crash_leaves_the_old_segments_or_the_new_one() {
    let disk = memory();
    let mut log = open(&disk);
    let transactional =
        |records: &[_], sequence| batch(records, options().transactional(), stamp(7, 0, sequence));
    put(&mut log, &[("a", Some("1")), ("b", Some("1"))]);
    append(&mut log, &transactional(&[("a", Some("aborted"))], 0));
    append(&mut log, &marker(NOW, 7, 0, false));
    log.roll(NOW).unwrap();
    put(&mut log, &[("a", Some("2"))]);
    append(&mut log, &transactional(&[("c", Some("7"))], 1));
    append(&mut log, &marker(NOW, 7, 0, true));
    log.roll(NOW).unwrap();
    put(&mut log, &[("c", Some("8"))]);
    log.flush(NOW).unwrap();
    let old = seen(&log);
    let begun = disk.event_count();
    compact_at(&mut log, NOW, MEMORY).unwrap();
    let new = seen(&log);
    assert_ne!(old, new);
    let end = log.log_end_offset();
    drop(log);
    let mut both = [false; 2];
    for at in begun..=disk.event_count() {
        let unsynced = disk.unsynced(at).into_iter();
        let alone = unsynced.flat_map(|event| [Keep::Without(event), Keep::Only(event)]);
        let draws = (0..20).map(|draw| Keep::Random(at as u64 * 100 + draw));
        for keep in [Keep::All, Keep::Synced]
            .into_iter()
            .chain(alone)
            .chain(draws)
        {
            let crashed = Arc::new(disk.crash(at, keep));
            for recovery_point in [0, end] {
                let log = open_with(
                    &crashed,
                    config(),
                    LogStart {
                        recovery_point: Some(recovery_point),
                        ..LogStart::default()
                    },
                );
                let place = format!("at {at} keeping {keep:?} from {recovery_point}");
                let found = seen(&log);
                assert!(found == old || found == new, "{place}: {found:?}");
                both[usize::from(found == new)] = true;
                assert_eq!(log.cut(), None, "{place}");
                assert_eq!(log.log_end_offset(), end, "{place}");
                let left = crashed.list(Path::new(DIR)).unwrap();
                let is_final = |name: &str| !name.ends_with("swap") && !name.ends_with("cleaned");
                assert!(left.iter().all(|entry| is_final(&entry.name)), "{place}");
            }
        }
    }
    assert_eq!(both, [true, true]);
}

/// As Kafka leaves them: without a transaction index, and with the old one still there.
#[test]
fn a_swap_that_another_broker_began_is_ended() {
    let disk = memory();
    let mut log = open(&disk);
    put(&mut log, &[("a", Some("1"))]);
    put(&mut log, &[("a", Some("2"))]);
    log.roll(NOW).unwrap();
    put(&mut log, &[("b", Some("1"))]);
    flush_closed(&mut log);
    let mut compaction = log.begin_compaction(3, NOW).unwrap();
    compaction.index(MEMORY, &|| true).unwrap();
    let _replacement = compaction.next_segment(&|| true).unwrap().unwrap();
    drop(log);
    let path = |name: &str| Path::new(DIR).join(format!("00000000000000000000.{name}"));
    for kind in ["log", "index", "timeindex"] {
        let (from, to) = (
            path(&format!("{kind}.cleaned")),
            path(&format!("{kind}.swap")),
        );
        disk.rename(&from, &to).unwrap();
    }
    disk.remove_file(&path("txnindex.cleaned")).unwrap();
    disk.open(&path("txnindex"), OpenMode::Create).unwrap();
    let log = open_with(
        &disk,
        config(),
        LogStart {
            recovery_point: Some(3),
            ..LogStart::default()
        },
    );
    assert_eq!(
        seen(&log),
        [(1, some("a"), some("2")), (2, some("b"), some("1"))]
    );
    assert!(!disk.exists(&path("txnindex")).unwrap());
}

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
