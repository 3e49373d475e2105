//! From an offset to a position in the segment's file, roughly: the reader walks the rest.

use std::path::PathBuf;
use std::sync::Arc;

use crate::log::disk::Disk;
use crate::log::entry_file::EntryFile;
use crate::log::error::DiskError;

/// The sparse offset index of one segment.
///
/// An entry is eight bytes, big-endian: the last offset of a batch less the segment's base offset, and
/// the position of that batch. Both rise strictly.
#[derive(Debug)]
pub(crate) struct OffsetIndex {
    base_offset: i64,
    pub(crate) file: EntryFile<8>,
}

/// One entry, with the whole offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetPosition {
    pub(crate) offset: i64,
    pub(crate) position: u32,
}

impl OffsetIndex {
    pub(crate) fn empty(disk: Arc<dyn Disk>, path: PathBuf, base_offset: i64) -> Self {
        Self {
            base_offset,
            file: EntryFile::empty(disk, path),
        }
    }

    /// `None` if the file is missing or cannot be right for a segment of `size` bytes.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        base_offset: i64,
        size: u64,
    ) -> Result<Option<Self>, DiskError> {
        let Some(file) = EntryFile::open(disk, path)? else {
            return Ok(None);
        };
        let index = Self { base_offset, file };
        let sound = match index.last() {
            Some(last) => last.offset >= base_offset && u64::from(last.position) < size,
            None => true,
        };
        Ok(sound.then_some(index))
    }

    pub(crate) fn last(&self) -> Option<OffsetPosition> {
        self.file.last().map(|entry| self.decode(entry))
    }

    /// The offset must lie within `i32::MAX` of the base.
    pub(crate) fn push(&mut self, offset: i64, position: u32) {
        let relative = (offset - self.base_offset) as u32;
        let [a, b, c, d] = relative.to_be_bytes();
        let [e, f, g, h] = position.to_be_bytes();
        self.file.push([a, b, c, d, e, f, g, h]);
    }

    /// Where to start looking for the batch that contains `offset`.
    pub(crate) fn position_before(&self, offset: i64) -> Result<u32, DiskError> {
        let count = self
            .file
            .partition_point(|entry| self.decode(entry).offset <= offset)?;
        Ok(self.nth_before(count)?.map_or(0, |entry| entry.position))
    }

    /// The last entry at or before `position` whose batch ends below `offset`.
    pub(crate) fn last_within(
        &self,
        position: u64,
        offset: i64,
    ) -> Result<Option<OffsetPosition>, DiskError> {
        let count = self.file.partition_point(|entry| {
            let entry = self.decode(entry);
            u64::from(entry.position) <= position && entry.offset < offset
        })?;
        self.nth_before(count)
    }

    fn nth_before(&self, count: usize) -> Result<Option<OffsetPosition>, DiskError> {
        let Some(index) = count.checked_sub(1) else {
            return Ok(None);
        };
        Ok(self.file.entry(index)?.map(|entry| self.decode(entry)))
    }

    fn decode(&self, [a, b, c, d, e, f, g, h]: [u8; 8]) -> OffsetPosition {
        // Signed, so that a damaged entry gives an offset below the base, which checks find.
        let relative = i32::from_be_bytes([a, b, c, d]);
        OffsetPosition {
            offset: self.base_offset.saturating_add(i64::from(relative)),
            position: u32::from_be_bytes([e, f, g, h]),
        }
    }
}
