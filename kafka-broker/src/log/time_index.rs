//! From a timestamp to an offset, roughly: the reader walks the rest.

use std::path::PathBuf;
use std::sync::Arc;

use crate::log::disk::Disk;
use crate::log::entry_file::EntryFile;
use crate::log::error::DiskError;

/// The sparse time index of one segment.
///
/// An entry is twelve bytes, big-endian: the highest timestamp so far, and the last offset of the first
/// batch that has it, less the segment's base offset. Timestamps rise strictly.
#[derive(Debug)]
pub(crate) struct TimeIndex {
    base_offset: i64,
    pub(crate) file: EntryFile<12>,
}

/// One entry, with the whole offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampOffset {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
}

impl TimeIndex {
    pub(crate) fn empty(disk: Arc<dyn Disk>, path: PathBuf, base_offset: i64) -> Self {
        Self {
            base_offset,
            file: EntryFile::empty(disk, path),
        }
    }

    /// `None` if the file is missing or cannot be right.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        base_offset: i64,
    ) -> Result<Option<Self>, DiskError> {
        let Some(file) = EntryFile::open(disk, path)? else {
            return Ok(None);
        };
        let index = Self { base_offset, file };
        let sound = index
            .last()
            .is_none_or(|last| last.offset >= base_offset && last.timestamp >= 0);
        Ok(sound.then_some(index))
    }

    pub(crate) fn last(&self) -> Option<TimestampOffset> {
        self.file.last().map(|entry| self.decode(entry))
    }

    /// Adds an entry unless its timestamp is no news. The offset must lie within `i32::MAX` of the
    /// base.
    pub(crate) fn push(&mut self, timestamp: i64, offset: i64) {
        if timestamp < 0 || self.last().is_some_and(|last| timestamp <= last.timestamp) {
            return;
        }
        let [a, b, c, d, e, f, g, h] = timestamp.to_be_bytes();
        let [i, j, k, l] = ((offset - self.base_offset) as u32).to_be_bytes();
        self.file.push([a, b, c, d, e, f, g, h, i, j, k, l]);
    }

    /// The last entry below `timestamp`: no batch up to its offset reaches the timestamp.
    pub(crate) fn last_below(&self, timestamp: i64) -> Result<Option<TimestampOffset>, DiskError> {
        let count = self
            .file
            .partition_point(|entry| self.decode(entry).timestamp < timestamp)?;
        let Some(index) = count.checked_sub(1) else {
            return Ok(None);
        };
        Ok(self.file.entry(index)?.map(|entry| self.decode(entry)))
    }

    fn decode(&self, [a, b, c, d, e, f, g, h, i, j, k, l]: [u8; 12]) -> TimestampOffset {
        let relative = i32::from_be_bytes([i, j, k, l]);
        TimestampOffset {
            timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            offset: self.base_offset.saturating_add(i64::from(relative)),
        }
    }
}
