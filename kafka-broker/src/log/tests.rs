//! One log told as stories: what goes in comes out, before and after every kind of stop.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::record::{
    BatchBuilder, BatchHeader, BatchOptions, ProducerStamp, TimestampType, crc32c,
};

use crate::log::test_batches::{batch, marker, produced, transactional};
use crate::log::{
    AppendInfo, AppendOrigin, Disk, DiskFile, EpochEnd, EpochStart, Fault, InvalidBatch, Log,
    LogConfig, LogError, LogStart, MemoryDisk, OpenMode, Operation, OsDisk,
};

const DIR: &str = "data/t-0";
const NOW: i64 = 1_760_000_000_000;

fn memory() -> Arc<dyn Disk> {
    Arc::new(faulty())
}

fn faulty() -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    disk
}

fn file(disk: &Arc<dyn Disk>, name: &str) -> Arc<dyn DiskFile> {
    disk.open(&Path::new(DIR).join(name), OpenMode::Existing)
        .unwrap()
}

fn names(disk: &Arc<dyn Disk>) -> Vec<String> {
    let entries = disk.list(Path::new(DIR)).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 1000,
        index_interval_bytes: 200,
        tail_bytes: 0,
        ..LogConfig::default()
    }
}

fn open_with(disk: &Arc<dyn Disk>, config: LogConfig, start: LogStart) -> Log {
    Log::open(Arc::clone(disk), Path::new(DIR), config, start, NOW).unwrap()
}

fn open(disk: &Arc<dyn Disk>, config: LogConfig) -> Log {
    open_with(disk, config, LogStart::default())
}

fn clean() -> LogStart {
    LogStart {
        clean_shutdown: true,
        ..LogStart::default()
    }
}

fn append(log: &mut Log, batch: &[u8]) -> AppendInfo {
    log.append(batch, AppendOrigin::Client, 0, NOW).unwrap()
}

fn fill(log: &mut Log, batches: i64) {
    for nth in 0..batches {
        let info = append(log, &batch(2, 30, NOW + nth * 10));
        assert_eq!(info.base_offset, nth * 2);
    }
}

/// All batches from `offset` to the end, checked for offsets without gaps.
fn read_all(log: &Log, mut offset: i64) -> Vec<BatchHeader> {
    let mut headers = Vec::new();
    while offset < log.log_end_offset() {
        let data = log.read(offset, 300, i64::MAX, true).unwrap();
        let next_offset = data.next_offset;
        let found = split(&data.load().unwrap());
        assert!(!found.is_empty(), "nothing at {offset}");
        assert_eq!(found.last().unwrap().next_offset(), next_offset);
        headers.extend(found);
        offset = next_offset;
    }
    headers
}

fn split(mut bytes: &[u8]) -> Vec<BatchHeader> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let header = BatchHeader::decode(bytes).unwrap();
        bytes = &bytes[header.total_len()..];
        headers.push(header);
    }
    headers
}

fn load(log: &Log, offset: i64, max: usize, end: i64, one: bool) -> Bytes {
    log.read(offset, max, end, one).unwrap().load().unwrap()
}

#[test]
fn what_is_appended_is_read_across_segments() {
    let disk = memory();
    let mut log = open(&disk, small());
    fill(&mut log, 50);
    assert!(log.segment_count() > 5);
    let headers = read_all(&log, 0);
    assert_eq!(headers.len(), 50);
    for (nth, header) in headers.iter().enumerate() {
        assert_eq!(header.base_offset, nth as i64 * 2);
        assert_eq!(header.partition_leader_epoch, 0);
    }
    for offset in 0..100 {
        let first = split(&load(&log, offset, 1, i64::MAX, true));
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].base_offset, offset / 2 * 2);
    }
}

#[test]
fn a_real_disk_does_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new());
    let open = |start| Log::open(Arc::clone(&disk), dir.path(), small(), start, NOW).unwrap();
    let mut log = open(LogStart::default());
    fill(&mut log, 50);
    assert_eq!(read_all(&log, 0).len(), 50);
    let size = log.size();
    log.close(NOW).unwrap();
    let log = open(clean());
    assert_eq!((log.log_end_offset(), log.size()), (100, size));
    drop(log);
    let log = open(LogStart::default());
    assert_eq!(log.cut(), None);
    assert_eq!(read_all(&log, 0).len(), 50);
}

#[test]
fn reads_respect_their_limits() {
    let disk = memory();
    let mut in_files = open(&disk, small());
    fill(&mut in_files, 40);
    let other = memory();
    let config = LogConfig {
        segment_bytes: 1 << 20,
        tail_bytes: 1 << 20,
        ..small()
    };
    let mut in_memory = open(&other, config);
    fill(&mut in_memory, 40);
    let len = batch(2, 30, NOW).len();
    for log in [&in_files, &in_memory] {
        for offset in [0, 1, 7, 13] {
            assert!(load(log, offset, len - 1, i64::MAX, false).is_empty());
            assert_eq!(load(log, offset, len - 1, i64::MAX, true).len(), len);
            assert_eq!(load(log, offset, len, i64::MAX, false).len(), len);
            assert_eq!(load(log, offset, 2 * len - 1, i64::MAX, false).len(), len);
            let end = offset / 2 * 2 + 2;
            assert_eq!(load(log, offset, 10 * len, end, true).len(), len);
            assert_eq!(load(log, offset, 10 * len, end + 1, true).len(), len);
            assert!(load(log, offset, 10 * len, end - 1, true).is_empty());
            assert!(load(log, offset, 10 * len, offset, true).is_empty());
        }
        assert!(load(log, 80, 10 * len, i64::MAX, true).is_empty());
        for outside in [-1, 81] {
            let refused = log.read(outside, 1, i64::MAX, true).unwrap_err();
            assert!(matches!(
                refused,
                LogError::OffsetOutOfRange {
                    log_start_offset: 0,
                    log_end_offset: 80,
                    ..
                }
            ));
        }
    }
    assert!(
        in_memory
            .read(0, 1 << 20, 80, true)
            .unwrap()
            .in_memory()
            .is_some()
    );
    let all = load(&in_memory, 0, 1 << 20, 80, true);
    assert_eq!(split(&all).len(), 40);
    assert!(
        in_files
            .read(70, 1 << 20, 80, true)
            .unwrap()
            .in_memory()
            .is_none()
    );
}

#[test]
fn a_batch_that_breaks_a_rule_is_refused_with_its_reason() {
    let disk = memory();
    let mut log = open(
        &disk,
        LogConfig {
            max_message_bytes: 2000,
            ..small()
        },
    );
    fill(&mut log, 1);
    let mut refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = batch(2, 30, NOW);
        change(&mut bytes);
        let refused = log
            .append(&bytes, AppendOrigin::Client, 0, NOW)
            .unwrap_err();
        assert_eq!(log.log_end_offset(), 2, "{refused}");
        refused
    };
    let reason = |error| match error {
        LogError::CorruptBatch { reason } => reason,
        other => panic!("{other}"),
    };
    assert!(matches!(
        reason(refused(&|bytes| bytes[70] ^= 1)),
        InvalidBatch::Checksum { .. }
    ));
    assert!(matches!(
        reason(refused(&|bytes| bytes[16] = 3)),
        InvalidBatch::Header(_)
    ));
    let invalid = |error| assert!(matches!(error, LogError::InvalidRecord { .. }), "{error}");
    invalid(refused(&|bytes| bytes[16] = 1));
    invalid(refused(&|bytes| bytes.truncate(80)));
    invalid(refused(&|bytes| bytes.push(0)));
    invalid(refused(&|bytes| bytes.clear()));
    invalid(refused(&|bytes| bytes.extend(batch(1, 1, NOW))));
    invalid(refused(&|bytes| bytes[7] = 1));
    invalid(refused(&|bytes| *bytes = marker(NOW, 1, 0, true)));
    invalid(refused(&|bytes| *bytes = produced(2, NOW, 1, 0, -1)));
    invalid(refused(&|bytes| *bytes = transactional(2, NOW, -1, 0, 0)));
    let hour = 60 * 60 * 1000;
    assert!(matches!(
        refused(&|bytes| *bytes = batch(1, 1, NOW + hour + 1)),
        LogError::InvalidTimestamp { .. }
    ));
    assert!(matches!(
        refused(&|bytes| *bytes = batch(1, 3000, NOW)),
        LogError::BatchTooLarge { max: 2000, .. }
    ));
    assert!(matches!(
        refused(&|bytes| *bytes = batch(1, 1500, NOW)),
        LogError::LargerThanSegment { max: 1000, .. }
    ));
    append(&mut log, &batch(1, 1, NOW + hour));
}

#[test]
fn the_time_of_the_log_replaces_that_of_the_records() {
    let disk = memory();
    let config = LogConfig {
        message_timestamp_type: TimestampType::LogAppendTime,
        ..small()
    };
    let mut log = open(&disk, config);
    let info = append(&mut log, &batch(3, 10, 5));
    assert_eq!(info.log_append_time_ms, NOW);
    let [header] = read_all(&log, 0)[..] else {
        panic!("one batch");
    };
    assert_eq!(header.max_timestamp, NOW);
    assert_eq!(
        header.attributes.timestamp_type(),
        TimestampType::LogAppendTime
    );
    drop(log);
    // The checksum was made anew.
    assert_eq!(open(&disk, small()).cut(), None);
}

#[test]
fn what_a_producer_sends_twice_is_stored_once_even_after_a_restart() {
    let disk = memory();
    let mut log = open(&disk, small());
    let first = append(&mut log, &produced(3, NOW, 7, 0, 0));
    append(&mut log, &batch(2, 10, NOW));
    append(&mut log, &produced(3, NOW, 7, 0, 3));
    let again = append(&mut log, &produced(3, NOW, 7, 0, 0));
    assert!(again.is_duplicate);
    assert_eq!(
        (again.base_offset, again.last_offset),
        (first.base_offset, first.last_offset)
    );
    assert_eq!(log.log_end_offset(), 8);
    log.roll(NOW).unwrap();
    fill_on(&mut log, 20);
    let end = log.log_end_offset();
    let check = |mut log: Log| {
        assert_eq!(log.log_end_offset(), end);
        let again = append(&mut log, &produced(3, NOW, 7, 0, 3));
        assert_eq!((again.is_duplicate, again.base_offset), (true, 5));
        let gap = log.append(&produced(3, NOW, 7, 0, 9), AppendOrigin::Client, 0, NOW);
        assert!(matches!(
            gap,
            Err(LogError::OutOfOrderSequence {
                last_sequence: 5,
                ..
            })
        ));
        log
    };
    let log = check(log);
    drop(log);
    let log = check(open(&disk, small()));
    log.close(NOW).unwrap();
    drop(check(open_with(&disk, small(), clean())));
    // Without any snapshot the batches tell.
    for name in names(&disk) {
        if name.ends_with(".snapshot") {
            disk.remove_file(&Path::new(DIR).join(name)).unwrap();
        }
    }
    check(open_with(&disk, small(), clean()));
}

fn fill_on(log: &mut Log, batches: i64) {
    for nth in 0..batches {
        append(log, &batch(2, 30, NOW + nth * 10));
    }
}

#[test]
fn a_torn_tail_is_cut_and_all_before_it_is_kept() {
    let whole = memory();
    let mut log = open(
        &whole,
        LogConfig {
            segment_bytes: 1 << 20,
            ..small()
        },
    );
    fill(&mut log, 10);
    drop(log);
    let name = "00000000000000000000.log";
    let len = file(&whole, name).len().unwrap();
    let bytes = file(&whole, name).read_at(0, len as usize).unwrap();
    let batch_len = len / 10;
    for cut in (len - batch_len..len).rev() {
        let disk = memory();
        let torn = disk
            .open(&Path::new(DIR).join(name), OpenMode::Create)
            .unwrap();
        torn.write_at(0, &bytes[..cut as usize]).unwrap();
        let mut log = open(&disk, small());
        assert_eq!(log.log_end_offset(), 18, "cut at {cut}");
        match log.cut() {
            Some(found) => {
                assert_eq!(found.position, len - batch_len);
                assert_eq!((found.offset, found.bytes), (18, cut - found.position));
            }
            None => assert_eq!(cut, len - batch_len),
        }
        assert_eq!(read_all(&log, 0).len(), 9);
        assert_eq!(append(&mut log, &batch(1, 1, NOW)).base_offset, 18);
    }
}

#[test]
fn no_flipped_bit_in_a_log_is_served() {
    let whole = faulty();
    let disk: Arc<dyn Disk> = Arc::new(whole.clone());
    let mut log = open(
        &disk,
        LogConfig {
            segment_bytes: 1 << 20,
            ..small()
        },
    );
    fill(&mut log, 3);
    drop(log);
    let path = Path::new(DIR).join("00000000000000000000.log");
    let name = "00000000000000000000.log";
    let len = file(&disk, name).len().unwrap() as usize;
    let sound = file(&disk, name).read_at(0, len).unwrap();
    let epoch = |bit: usize| (12..16).contains(&(bit / 8 % (len / 3)));
    for bit in 0..len * 8 {
        file(&disk, name).write_at(0, &sound).unwrap();
        whole.flip_bit(&path, bit).unwrap();
        let nth = (bit / 8 / (len / 3)) as i64;
        // Found on reading, after a clean shutdown: all before it is served, it is not.
        let at = nth * 2;
        match Log::open(Arc::clone(&disk), Path::new(DIR), small(), clean(), NOW) {
            Ok(log) if log.cut().is_some() => {
                assert!(log.cut().unwrap().offset <= at || epoch(bit), "bit {bit}");
                continue;
            }
            Ok(log) => match log.read(at, 1, i64::MAX, true).and_then(|data| data.load()) {
                Ok(_) => assert!(epoch(bit), "bit {bit} is served"),
                Err(LogError::CorruptFile { path: named, .. }) => assert_eq!(named, path),
                Err(other) => panic!("bit {bit}: {other}"),
            },
            Err(other) => panic!("bit {bit}: {other}"),
        }
        // Found on recovery after a crash.
        let log = open(&disk, small());
        match log.cut() {
            Some(cut) => assert!(cut.offset <= at + 2, "bit {bit}: {cut:?}"),
            None => assert!(epoch(bit), "bit {bit} is not found"),
        }
    }
}

#[test]
fn a_damaged_length_that_leads_past_batches_is_no_gap() {
    let disk = memory();
    let config = LogConfig {
        segment_bytes: 1 << 20,
        index_interval_bytes: 1 << 20,
        ..small()
    };
    let mut log = open(&disk, config.clone());
    fill(&mut log, 4);
    log.roll(NOW).unwrap();
    append(&mut log, &batch(2, 30, NOW));
    log.close(NOW).unwrap();
    let name = "00000000000000000000.log";
    let len = file(&disk, name).len().unwrap() / 4;
    for (skipped, read) in [(1, 4), (2, 4), (2, 6)] {
        // The second batch claims those behind it.
        let claimed = ((1 + skipped) * len - 12) as u32;
        let at = len + 8;
        file(&disk, name)
            .write_at(at, &claimed.to_be_bytes())
            .unwrap();
        let log = open_with(&disk, config.clone(), clean());
        let found = log.read(read, 1, i64::MAX, true);
        assert!(
            matches!(found, Err(LogError::CorruptFile { .. })),
            "{found:?}"
        );
    }
}

#[test]
fn a_damaged_epoch_file_takes_no_batch_away() {
    let disk = memory();
    let mut log = open(&disk, small());
    fill(&mut log, 40);
    log.flush(NOW).unwrap();
    let (end, epochs) = (log.log_end_offset(), log.epochs().to_vec());
    assert!(log.segment_count() > 2);
    drop(log);
    let name = "leader-epoch-checkpoint";
    let text = file(&disk, name).read_at(0, 100).unwrap();
    let text = String::from_utf8(text).unwrap();
    let EpochStart {
        epoch,
        start_offset,
    } = epochs[0];
    let flipped = text.replace(
        &format!("\n{epoch} {start_offset}"),
        &format!("\n9 {start_offset}"),
    );
    assert_ne!(flipped, text);
    file(&disk, name).write_at(0, flipped.as_bytes()).unwrap();
    let start = LogStart {
        recovery_point: Some(end),
        ..LogStart::default()
    };
    let log = open_with(&disk, small(), start);
    assert_eq!(log.cut(), None);
    assert_eq!(log.log_end_offset(), end);
    assert_eq!(log.epochs(), epochs);
}

#[test]
fn lost_and_damaged_indexes_are_made_again() {
    for clean_shutdown in [true, false] {
        for damage in 0..3 {
            let disk = memory();
            let mut log = open(&disk, small());
            fill(&mut log, 30);
            log.close(NOW).unwrap();
            let whole: Vec<_> = names(&disk);
            for name in names(&disk) {
                if name.ends_with("index") {
                    match damage {
                        0 => disk.remove_file(&Path::new(DIR).join(name)).unwrap(),
                        1 => file(&disk, &name).set_len(3).unwrap(),
                        _ => file(&disk, &name).write_at(0, &[0xff; 24]).unwrap(),
                    }
                }
            }
            let start = LogStart {
                clean_shutdown,
                ..LogStart::default()
            };
            let log = open_with(&disk, small(), start);
            assert_eq!(log.cut(), None, "damage {damage}");
            assert_eq!(read_all(&log, 0).len(), 30);
            let found = log.offset_for_timestamp(NOW + 100).unwrap().unwrap();
            assert_eq!((found.offset, found.timestamp), (20, NOW + 100));
            log.close(NOW).unwrap();
            assert_eq!(names(&disk), whole);
        }
    }
}

#[test]
fn records_are_found_by_their_time() {
    let disk = memory();
    let mut log = open(&disk, small());
    fill(&mut log, 30);
    let find = |log: &Log, timestamp| {
        let found = log.offset_for_timestamp(timestamp).unwrap()?;
        Some((found.timestamp - NOW, found.offset))
    };
    assert_eq!(find(&log, 0), Some((0, 0)));
    for nth in 0..30 {
        let at = nth * 10;
        assert_eq!(find(&log, NOW + at), Some((at, nth * 2)));
        assert_eq!(find(&log, NOW + at + 1), Some((at + 1, nth * 2 + 1)));
        let next = (nth < 29).then_some((at + 10, nth * 2 + 2));
        assert_eq!(find(&log, NOW + at + 2), next);
    }
    let newest = log.max_timestamp().unwrap().unwrap();
    assert_eq!((newest.timestamp, newest.offset), (NOW + 291, 59));
    // Time may go back.
    append(&mut log, &batch(2, 30, NOW + 5));
    assert_eq!(log.max_timestamp().unwrap().unwrap().offset, 59);
    log.delete_records_before(7).unwrap();
    assert_eq!(find(&log, 0), Some((31, 7)));
}

#[test]
fn truncation_is_as_if_the_rest_had_never_been() {
    for offset in [0, 1, 2, 17, 18, 30, 59] {
        let disk = memory();
        let mut log = open(&disk, small());
        append(&mut log, &produced(2, NOW, 7, 0, 0));
        for nth in 1..30 {
            let bytes = produced(2, NOW + nth * 10, 7, 0, nth as i32 * 2);
            log.append(&bytes, AppendOrigin::Client, nth as i32 / 10, NOW)
                .unwrap();
        }
        log.flush(NOW).unwrap();
        assert_eq!(log.recovery_point(), 60);
        log.truncate_to(offset).unwrap();
        let end = offset / 2 * 2;
        assert_eq!(log.log_end_offset(), end);
        assert_eq!(log.recovery_point(), end.min(offset));
        assert!(log.epochs().iter().all(|entry| entry.start_offset < end));
        let next = append_as(&mut log, &produced(2, NOW, 7, 0, end as i32), 9);
        assert_eq!(next.base_offset, end);
        assert_eq!(log.latest_epoch(), 9);
        assert_eq!(read_all(&log, 0).len() as i64, end / 2 + 1);
        drop(log);
        let log = open(&disk, small());
        assert_eq!(log.cut(), None);
        assert_eq!(log.log_end_offset(), end + 2);
    }
}

fn append_as(log: &mut Log, batch: &[u8], epoch: i32) -> AppendInfo {
    log.append(batch, AppendOrigin::Client, epoch, NOW).unwrap()
}

#[test]
fn epochs_come_back_from_the_file_and_from_the_batches() {
    let disk = memory();
    let mut log = open(&disk, small());
    for epoch in [0, 0, 3, 3, 5] {
        append_as(&mut log, &batch(2, 30, NOW), epoch);
    }
    let expected: Vec<_> = log.epochs().to_vec();
    assert_eq!(expected.len(), 3);
    let end = log.epoch_end_offset(4);
    assert_eq!(
        end,
        EpochEnd {
            epoch: 3,
            end_offset: 8
        }
    );
    log.close(NOW).unwrap();
    let path = Path::new(DIR).join("leader-epoch-checkpoint");
    for start in [clean(), LogStart::default()] {
        assert_eq!(open_with(&disk, small(), start.clone()).epochs(), expected);
        disk.remove_file(&path).unwrap();
        assert_eq!(open_with(&disk, small(), start.clone()).epochs(), expected);
        file(&disk, "leader-epoch-checkpoint")
            .write_at(0, b"x")
            .unwrap();
        assert_eq!(open_with(&disk, small(), start).epochs(), expected);
    }
}

#[test]
fn old_segments_go_by_time_by_size_and_by_request() {
    let day = 24 * 60 * 60 * 1000;
    let aged = |config: LogConfig| {
        let disk = memory();
        let mut log = open(&disk, config);
        for nth in 0..30 {
            let at = NOW + nth * day;
            log.append(&batch(2, 30, at), AppendOrigin::Client, 0, at)
                .unwrap();
        }
        (log, disk)
    };
    let (mut log, _) = aged(small());
    assert_eq!(log.apply_retention(60, NOW).unwrap(), 0);
    let removed = log.apply_retention(60, NOW + 30 * day).unwrap();
    assert!(removed > 0);
    let first = log.log_start_offset();
    assert!((36..=46).contains(&first), "{first}");
    assert_eq!(read_all(&log, first).len() as i64, 30 - first / 2);
    assert!(log.read(first - 1, 1, i64::MAX, true).is_err());

    let (mut log, disk) = aged(small());
    assert_eq!(
        log.apply_retention(20, NOW + 30 * day).unwrap(),
        1,
        "up to the high watermark"
    );
    let all = log.apply_retention(60, NOW + 300 * day).unwrap();
    assert!(all > 0);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (60, 60));
    assert_eq!(log.size(), 0);
    assert_eq!(append(&mut log, &batch(1, 1, NOW)).base_offset, 60);
    drop(log);
    let log = open(&disk, small());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (60, 61));

    let never = LogConfig {
        retention_ms: -1,
        retention_bytes: 2500,
        ..small()
    };
    let (mut log, _) = aged(never);
    log.apply_retention(60, NOW + 300 * day).unwrap();
    assert!((2500..3500).contains(&log.size()), "{}", log.size());

    let (mut log, disk) = aged(small());
    log.delete_records_before(31).unwrap();
    assert_eq!(log.log_start_offset(), 31);
    assert!(log.read(30, 1, i64::MAX, true).is_err());
    assert_eq!(split(&load(&log, 31, 1, i64::MAX, true))[0].base_offset, 30);
    assert!(log.delete_records_before(61).is_err());
    log.delete_records_before(60).unwrap();
    assert_eq!(log.segment_count(), 1);
    log.close(NOW).unwrap();
    let start = LogStart {
        log_start_offset: 60,
        ..clean()
    };
    assert_eq!(open_with(&disk, small(), start).log_start_offset(), 60);
}

#[test]
fn transactions_hold_back_readers_and_aborted_ones_are_listed() {
    let disk = memory();
    let mut log = open(&disk, small());
    append(&mut log, &batch(2, 10, NOW));
    append(&mut log, &transactional(2, NOW, 1, 0, 0));
    append(&mut log, &transactional(2, NOW, 2, 0, 0));
    assert_eq!(log.last_stable_offset(6), 2);
    let end = |log: &mut Log, id, committed| {
        log.append(
            &marker(NOW, id, 0, committed),
            AppendOrigin::Coordinator,
            0,
            NOW,
        )
        .unwrap()
    };
    assert_eq!(end(&mut log, 2, false).base_offset, 6);
    assert_eq!(log.last_stable_offset(7), 2);
    assert_eq!(end(&mut log, 1, true).base_offset, 7);
    assert_eq!(log.last_stable_offset(7), 2, "the marker is not replicated");
    assert_eq!(log.last_stable_offset(8), 8);
    fill_on(&mut log, 20);
    append(&mut log, &transactional(2, NOW, 3, 0, 0));
    let open_since = log.log_end_offset() - 2;
    let check = |log: &Log| {
        let aborted = log.aborted_transactions(0, 8).unwrap();
        assert_eq!(aborted.len(), 1);
        assert_eq!(
            (
                aborted[0].producer_id,
                aborted[0].first_offset,
                aborted[0].last_offset
            ),
            (2, 4, 6)
        );
        assert_eq!(aborted[0].last_stable_offset, 2);
        assert!(log.aborted_transactions(7, 8).unwrap().is_empty());
        assert!(log.aborted_transactions(0, 4).unwrap().is_empty());
        let end = log.log_end_offset();
        assert_eq!(log.last_stable_offset(end), open_since);
    };
    check(&log);
    drop(log);
    let log = open(&disk, small());
    check(&log);
    log.close(NOW).unwrap();
    check(&open_with(&disk, small(), clean()));
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged() {
    let faulty = faulty();
    let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
    let mut log = open(&disk, small());
    fill(&mut log, 2);
    faulty.inject(Fault::new(Operation::Sync, io::ErrorKind::Other));
    let failed = log.flush(NOW).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "cannot sync data/t-0/00000000000000000000.log"
    );
    let refused = log
        .append(&batch(1, 1, NOW), AppendOrigin::Client, 0, NOW)
        .unwrap_err();
    assert!(
        refused.to_string().contains("00000000000000000000.log"),
        "{refused}"
    );
    assert!(matches!(refused, LogError::Offline { .. }));
    assert!(matches!(log.flush(NOW), Err(LogError::Offline { .. })));
    assert_eq!(log.recovery_point(), 0);
    assert_eq!(read_all(&log, 0).len(), 2);
    assert!(log.close(NOW).is_err());
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let faulty = faulty();
    let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
    let mut log = open(&disk, small());
    fill(&mut log, 5);
    for room in [0, 1, 50, 100] {
        faulty.set_capacity(Some(log.size() + room));
        let refused = log
            .append(&batch(2, 30, NOW), AppendOrigin::Client, 0, NOW)
            .unwrap_err();
        assert!(matches!(refused, LogError::Disk(error) if error.is_full()));
        assert_eq!(read_all(&log, 0).len(), 5);
        assert_eq!(
            file(&disk, "00000000000000000000.log").len().unwrap(),
            log.size()
        );
    }
    faulty.set_capacity(None);
    fill_on(&mut log, 5);
    drop(log);
    let log = open(&disk, small());
    assert_eq!((log.cut(), log.log_end_offset()), (None, 20));
}

#[test]
fn a_write_that_fails_otherwise_ends_the_log_for_good() {
    let faulty = faulty();
    let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
    let mut log = open(&disk, small());
    fill(&mut log, 3);
    let fault = Fault::new(Operation::Write, io::ErrorKind::Other);
    faulty.inject(fault.on(".log").written(40));
    let append = |log: &mut Log| log.append(&batch(2, 30, NOW), AppendOrigin::Client, 0, NOW);
    assert!(matches!(append(&mut log), Err(LogError::Disk(_))));
    assert!(matches!(append(&mut log), Err(LogError::Offline { .. })));
    assert_eq!(read_all(&log, 0).len(), 3);
}

#[test]
fn a_flush_follows_as_many_records_as_the_topic_says() {
    let disk = memory();
    let config = LogConfig {
        flush_messages: 5,
        ..small()
    };
    let mut log = open(&disk, config);
    let mut flushed = Vec::new();
    for _ in 0..4 {
        append(&mut log, &batch(2, 30, NOW));
        if log.is_flush_owed() {
            log.flush(NOW).unwrap();
        }
        flushed.push(log.recovery_point());
    }
    assert_eq!(flushed, [0, 0, 6, 6]);
}

#[test]
fn where_each_record_is_to_be_durable_nothing_else_is_settled() {
    let disk = memory();
    let each = LogConfig {
        flush_messages: 1,
        ..small()
    };
    let mut log = open(&disk, small());
    fill(&mut log, 2);
    assert_eq!((log.settled_offset(), log.recovery_point()), (4, 0));
    log.set_config(each.clone(), NOW).unwrap();
    assert_eq!((log.settled_offset(), log.recovery_point()), (4, 4));
    fill_on(&mut log, 1);
    assert_eq!((log.settled_offset(), log.log_end_offset()), (4, 6));
    assert!(log.is_flush_owed());
    drop(log);
    // What a kill has left is made durable before anyone sees it.
    assert_eq!(open(&disk, each).recovery_point(), 6);
}

/// A segment far behind the newest snapshot loses an index: what is made again must know the transactions that
/// were open when the segment began.
#[test]
fn a_rebuilt_segment_has_its_aborted_transactions_again() {
    let disk = memory();
    let mut log = open(&disk, small());
    append(&mut log, &transactional(2, NOW, 7, 0, 0));
    append(&mut log, &transactional(2, NOW, 8, 0, 0));
    log.roll(NOW).unwrap();
    let end = |log: &mut Log, id, committed| {
        let marker = marker(NOW, id, 0, committed);
        log.append(&marker, AppendOrigin::Coordinator, 0, NOW)
            .unwrap();
    };
    end(&mut log, 7, false);
    append(&mut log, &transactional(2, NOW, 7, 0, 2));
    end(&mut log, 8, false);
    log.roll(NOW).unwrap();
    end(&mut log, 7, false);
    let known = log.aborted_transactions(0, i64::MAX).unwrap();
    assert_eq!(known.len(), 3);
    log.close(NOW).unwrap();
    for kind in ["index", "timeindex"] {
        for base in [0, 4, 8] {
            let name = format!("{base:020}.{kind}");
            disk.remove_file(&Path::new(DIR).join(name)).unwrap();
            let log = open_with(&disk, small(), clean());
            let found = log.aborted_transactions(0, i64::MAX).unwrap();
            assert_eq!(found, known, "without {kind} {base}");
        }
    }
}

#[test]
fn a_flush_speaks_of_what_was_there_when_it_began() {
    let disk = memory();
    let mut log = open(&disk, small());
    fill(&mut log, 2);
    let job = log.begin_flush().unwrap();
    fill_on(&mut log, 2);
    let result = job.run();
    log.finish_flush(&job, result, NOW).unwrap();
    assert_eq!(log.recovery_point(), 4);
    let job = log.begin_flush().unwrap();
    log.truncate_to(2).unwrap();
    fill_on(&mut log, 2);
    let result = job.run();
    log.finish_flush(&job, result, NOW).unwrap();
    assert_eq!(
        log.recovery_point(),
        2,
        "the offsets are those of other records now"
    );
}

#[test]
fn a_follower_takes_batches_as_they_are() {
    let disk = memory();
    let mut leader = open(&disk, small());
    for epoch in [0, 0, 2, 2] {
        append_as(
            &mut leader,
            &produced(1, NOW, i64::from(epoch), 0, 0),
            epoch,
        );
        append_as(&mut leader, &batch(2, 30, NOW), epoch);
    }
    let other = memory();
    let mut follower = open(&other, small());
    let mut offset = 0;
    while offset < leader.log_end_offset() {
        let data = leader.read(offset, 1 << 20, i64::MAX, true).unwrap();
        offset = data.next_offset;
        follower
            .append_replicated(&data.load().unwrap(), NOW)
            .unwrap();
    }
    assert_eq!(read_all(&follower, 0), read_all(&leader, 0));
    assert_eq!(follower.epochs(), leader.epochs());
    let twice = load(&leader, 0, 1, i64::MAX, true);
    assert!(matches!(
        follower.append_replicated(&twice, NOW),
        Err(LogError::UnexpectedOffset { offset: 0, .. })
    ));
    follower.restart_at(1000).unwrap();
    assert_eq!(
        (follower.log_start_offset(), follower.log_end_offset()),
        (1000, 1000)
    );
    assert!(follower.epochs().is_empty());
    drop(follower);
    let follower = open(&other, small());
    assert_eq!(
        (follower.log_start_offset(), follower.log_end_offset()),
        (1000, 1000)
    );
}

#[test]
fn jitter_closes_segments_at_different_times_before_their_time() {
    let mut ages = std::collections::BTreeSet::new();
    for name in ["a-0", "b-0", "c-0"] {
        let disk = memory();
        disk.create_dir(Path::new(name)).unwrap();
        let config = LogConfig {
            segment_ms: 10_000,
            segment_jitter_ms: 5000,
            ..small()
        };
        let (start, path) = (LogStart::default(), Path::new(name));
        let mut log = Log::open(Arc::clone(&disk), path, config, start, NOW).unwrap();
        append(&mut log, &batch(1, 10, NOW));
        let closed = (0..=10_001).find(|age| {
            log.roll_if_due(NOW + age).unwrap();
            log.segment_count() > 1
        });
        ages.insert(closed.unwrap());
    }
    assert!(ages.iter().all(|age| (5001..=10_001).contains(age)));
    assert_eq!(ages.len(), 3, "{ages:?}");
}

/// By the clock of its records, not by when the broker was started.
#[test]
fn the_age_of_a_segment_outlives_a_restart() {
    for start in [clean(), LogStart::default()] {
        let disk = memory();
        let config = LogConfig {
            segment_ms: 10_000,
            ..small()
        };
        let mut log = open(&disk, config.clone());
        append(&mut log, &batch(1, 10, NOW - 9000));
        log.close(NOW).unwrap();
        let mut log = open_with(&disk, config, start);
        log.roll_if_due(NOW + 1000).unwrap();
        assert_eq!(log.segment_count(), 1);
        log.roll_if_due(NOW + 1001).unwrap();
        assert_eq!(log.segment_count(), 2);
    }
}

/// Heads of another origin may promise times that no record has.
#[test]
fn who_looks_for_a_time_is_not_led_on_for_ever() {
    let disk = memory();
    let mut log = open(&disk, LogConfig::default());
    let lying = |promised: i64| {
        let mut batch = batch(2, 10, NOW);
        let mut header = BatchHeader::decode(&batch).unwrap();
        header.max_timestamp = promised;
        batch[..BatchHeader::LEN].copy_from_slice(&header.encode());
        header.crc = crc32c(&batch[BatchHeader::CRC_START..]);
        batch[..BatchHeader::LEN].copy_from_slice(&header.encode());
        batch
    };
    append(&mut log, &batch(2, 10, NOW));
    for nth in 0..50 {
        append(&mut log, &lying(NOW + 1000 + nth));
    }
    append(&mut log, &batch(1, 10, NOW + 2000));
    let found = log.offset_for_timestamp(NOW + 500).unwrap().unwrap();
    assert_eq!(
        (found.offset, found.timestamp),
        (10, NOW + 1004),
        "the fifth promise is believed"
    );
    // Honest heads are never in the way.
    let found = log.offset_for_timestamp(NOW + 1500).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (102, NOW + 2000));
    // Nor are those without records, as compaction leaves them.
    for _ in 0..10 {
        let options = BatchOptions::new()
            .base_offset(log.log_end_offset())
            .max_timestamp(NOW + 3000);
        let bare = BatchBuilder::new(Vec::new(), options).seal(ProducerStamp::NONE);
        log.append_replicated(&bare, NOW).unwrap();
    }
    append(&mut log, &batch(1, 10, NOW + 4000));
    let found = log.offset_for_timestamp(NOW + 2500).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (113, NOW + 4000));
}
