//! One log told as stories: what goes in comes out, before and after every kind of stop.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::record::{BatchHeader, TimestampType};

use crate::log::test_batches::{batch, marker, produced, transactional};
use crate::log::{
    AppendInfo, AppendOrigin, Disk, EpochEnd, InvalidBatch, Log, LogConfig, LogError, LogStart,
    MemoryDisk, OpenMode, OsDisk,
};

const DIR: &str = "data/t-0";
const NOW: i64 = 1_760_000_000_000;

fn memory() -> Arc<dyn Disk> {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    Arc::new(disk)
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
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
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
