//! Walks the batches of a file from a known boundary on, and says where they stop making sense. It
//! knows the head of a batch and nothing of records, indexes or segments.

use kafka_protocol::record::{BatchHeader, HeaderError, crc32c};

use crate::log::disk::DiskFile;
use crate::log::error::{DiskError, InvalidBatch, LogError};

/// A walk over the batches of a file.
#[derive(Debug)]
pub(crate) struct BatchScan<'f> {
    file: &'f dyn DiskFile,
    position: u64,
    end: u64,
    read_ahead: usize,
    window: Vec<u8>,
    window_at: u64,
}

/// A batch met on the walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScannedBatch {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

impl ScannedBatch {
    /// Where the next one begins.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.header.total_len() as u64
    }
}

/// Why a walk stopped before the end.
#[derive(Debug)]
pub(crate) enum ScanError {
    Disk(DiskError),
    Invalid { position: u64, reason: InvalidBatch },
}

impl ScanError {
    /// As the error of a file that was thought to be sound.
    pub(crate) fn in_file(self, file: &dyn DiskFile) -> LogError {
        match self {
            Self::Disk(error) => LogError::Disk(error),
            Self::Invalid { position, reason } => LogError::CorruptFile {
                path: file.path().to_owned(),
                position,
                reason,
            },
        }
    }
}

impl From<DiskError> for ScanError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl<'f> BatchScan<'f> {
    /// A walk that looks at heads alone.
    pub(crate) fn of_headers(file: &'f dyn DiskFile, position: u64, end: u64) -> Self {
        Self::new(file, position, end, HEADER_READ_AHEAD)
    }

    /// A walk that looks at whole batches.
    pub(crate) fn of_batches(file: &'f dyn DiskFile, position: u64, end: u64) -> Self {
        Self::new(file, position, end, BATCH_READ_AHEAD)
    }

    fn new(file: &'f dyn DiskFile, position: u64, end: u64, read_ahead: usize) -> Self {
        Self {
            file,
            position,
            end,
            read_ahead,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// The next batch by its head: it lies within the file and its counts are possible. The checksum is
    /// not looked at.
    pub(crate) fn next(&mut self) -> Result<Option<ScannedBatch>, ScanError> {
        let position = self.position;
        if position >= self.end {
            return Ok(None);
        }
        let available = self.end - position;
        let head = self.bytes(position, BatchHeader::LEN)?;
        let invalid = |reason| ScanError::Invalid { position, reason };
        let header =
            BatchHeader::decode(head).map_err(|error| invalid(InvalidBatch::Header(error)))?;
        check_counts(&header).map_err(invalid)?;
        if header.total_len() as u64 > available {
            return Err(invalid(InvalidBatch::Torn {
                length: header.total_len(),
                available: usize::try_from(available).unwrap_or(usize::MAX),
            }));
        }
        let batch = ScannedBatch { position, header };
        self.position = batch.end();
        Ok(Some(batch))
    }

    /// Compares the checksum of a batch with its bytes.
    pub(crate) fn verify(&mut self, batch: &ScannedBatch) -> Result<(), ScanError> {
        let bytes = self.bytes(batch.position, batch.header.total_len())?;
        check_crc(&batch.header, bytes).map_err(|reason| ScanError::Invalid {
            position: batch.position,
            reason,
        })
    }

    /// All bytes of a batch.
    pub(crate) fn whole(&mut self, batch: &ScannedBatch) -> Result<&[u8], ScanError> {
        self.bytes(batch.position, batch.header.total_len())
    }

    /// `len` bytes at `position`, fewer if the file ends before.
    fn bytes(&mut self, position: u64, len: usize) -> Result<&[u8], ScanError> {
        let held = position
            .checked_sub(self.window_at)
            .and_then(|skip| usize::try_from(skip).ok())
            .is_some_and(|skip| skip.saturating_add(len) <= self.window.len());
        if !held {
            let rest = usize::try_from(self.end - position).unwrap_or(usize::MAX);
            self.window = self
                .file
                .read_at(position, rest.min(len.max(self.read_ahead)))?;
            self.window_at = position;
        }
        let start = (position - self.window_at) as usize;
        let end = start.saturating_add(len).min(self.window.len());
        Ok(self.window.get(start..end).unwrap_or_default())
    }
}

/// Whether the last offset and the count of records can be: compaction takes records away, so that the
/// count may be the smaller.
pub(crate) fn check_counts(header: &BatchHeader) -> Result<(), InvalidBatch> {
    let delta = i64::from(header.last_offset_delta);
    let count = i64::from(header.record_count);
    let possible = delta >= 0
        && (0..=delta + 1).contains(&count)
        && header.base_offset.checked_add(delta + 1).is_some();
    if possible {
        Ok(())
    } else {
        Err(InvalidBatch::Count {
            last_offset_delta: header.last_offset_delta,
            record_count: header.record_count,
        })
    }
}

/// Whether the checksum in the head is that of the bytes, which are those of the whole batch.
pub(crate) fn check_crc(header: &BatchHeader, batch: &[u8]) -> Result<(), InvalidBatch> {
    let Some(covered) = batch.get(BatchHeader::CRC_START..header.total_len()) else {
        return Err(InvalidBatch::Header(HeaderError::Truncated {
            len: batch.len(),
        }));
    };
    let computed = crc32c(covered);
    if computed == header.crc {
        Ok(())
    } else {
        Err(InvalidBatch::Checksum {
            stored: header.crc,
            computed,
        })
    }
}

/// Enough for the heads of a run of small batches between two index entries.
const HEADER_READ_AHEAD: usize = 4096;
/// Enough that a read costs little against the checksum.
const BATCH_READ_AHEAD: usize = 1 << 20;
