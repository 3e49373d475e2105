//! What a log makes of a disk that gives back other bits than it was given.
//!
//! The leader epoch of a batch lies outside its checksum, and a checkpoint is text without one: of a bit
//! that fell over there nothing is asked but that no record changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kafka_broker::log::{Disk, Keep, Log, LogError, MemoryDisk, OpenMode};
use kafka_protocol::record::BatchHeader;

use crate::check::{Told, recover};
use crate::workload::{Step, Story};

/// Turns over one bit in so many of each file, after some of the steps. Gives how many disks there were.
pub(crate) fn enumerate(story: &Story, one_in: usize) -> usize {
    let mut states = 0;
    let stride = story.steps.len() / 4;
    let told = story.steps.iter().filter(|step| !step.batches.is_empty());
    for step in told.rev().step_by(stride.max(1)) {
        let whole = story.disk.crash(step.events, Keep::All);
        for (path, len) in files(&whole) {
            for bit in (states % one_in..len * 8).step_by(one_in) {
                states += 1;
                let disk = whole.crash(0, Keep::All);
                disk.flip_bit(&path, bit).unwrap();
                let _told = Told(|| format!("{}: bit {bit} of {}", story.name, path.display()));
                Flip {
                    story,
                    step,
                    path: &path,
                    hit: batch_at(&whole, &path, bit / 8),
                }
                .check(disk);
            }
        }
    }
    println!("{}: {states} states with a flipped bit", story.name);
    states
}

/// The files of the partition, and the recovery points.
fn files(disk: &MemoryDisk) -> Vec<(PathBuf, usize)> {
    let dir = Path::new("data/t-0");
    let names = disk.list(dir).unwrap().into_iter();
    names
        .filter(|entry| entry.name != "partition.metadata")
        .map(|entry| dir.join(entry.name))
        .chain([PathBuf::from("data/recovery-point-offset-checkpoint")])
        .map(|path| {
            let file = disk.open(&path, OpenMode::Existing).unwrap();
            let len = file.len().unwrap() as usize;
            (path, len)
        })
        .collect()
}

struct Flip<'a> {
    story: &'a Story,
    step: &'a Step,
    path: &'a Path,
    /// The batch with the bit, and the byte in it.
    hit: Option<(BatchHeader, usize)>,
}

impl Flip<'_> {
    fn check(&self, disk: MemoryDisk) {
        let log = recover(self.story, &Arc::new(disk));
        let (step, end) = (self.step, log.log_end_offset());
        let in_epoch = self.hit.is_some_and(|(_, at)| EPOCH.contains(&at));
        match self.hit {
            _ if in_epoch => assert!(end <= step.log_end_offset),
            Some((hit, _)) => {
                let before = step.batches.iter().map(|batch| batch.header.next_offset());
                let before = before.filter(|end| *end <= hit.base_offset).max();
                assert!(end >= before.unwrap_or(0), "more is lost than was hit");
            }
            None => assert_eq!(end, step.log_end_offset, "records are lost"),
        }
        for batch in &step.batches {
            if (log.log_start_offset()..end).contains(&batch.header.base_offset) {
                match read(&log, batch.header.base_offset) {
                    Ok(found) if in_epoch => assert_eq!(covered(&found), covered(&batch.bytes)),
                    Ok(found) => assert_eq!(found, batch.bytes, "the flipped bit is served"),
                    Err(LogError::CorruptFile { path, .. }) => assert_eq!(path, self.path),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

/// The batch of a segment that holds this byte, and which of its bytes that is.
fn batch_at(disk: &MemoryDisk, path: &Path, mut at: usize) -> Option<(BatchHeader, usize)> {
    if path.extension()? != "log" {
        return None;
    }
    let file = disk.open(path, OpenMode::Existing).unwrap();
    let bytes = file.read_at(0, usize::MAX >> 1).unwrap();
    let mut rest = bytes.as_slice();
    loop {
        let header = BatchHeader::decode(rest).unwrap();
        match at.checked_sub(header.total_len()) {
            Some(behind) => at = behind,
            None => return Some((header, at)),
        }
        rest = &rest[header.total_len()..];
    }
}

fn read(log: &Log, offset: i64) -> Result<bytes::Bytes, LogError> {
    log.read(offset, 1, i64::MAX, true)?.load()
}

fn covered(batch: &[u8]) -> &[u8] {
    &batch[BatchHeader::CRC_START..]
}

/// Where the leader epoch lies in a batch.
const EPOCH: std::ops::Range<usize> = 12..16;
