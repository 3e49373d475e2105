//! What a read found: bytes in memory, or the stretch of a file that is still to be read.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::record::BatchHeader;

use crate::log::batch_scan::check_crc;
use crate::log::disk::DiskFile;
use crate::log::error::{InvalidBatch, LogError};

/// Whole batches, found but perhaps not read yet, so that the log need not be locked while the disk
/// works: take this under the lock, then [`load`](Self::load) it without.
#[derive(Debug)]
#[must_use]
pub struct FetchData {
    pub(crate) source: Source,
    /// The base offset of the first batch, which may be below the offset that was asked for; that
    /// offset if there is no batch.
    pub base_offset: i64,
    /// The offset behind the last batch: where the next read goes on.
    pub next_offset: i64,
}

#[derive(Debug)]
pub(crate) enum Source {
    Memory(Bytes),
    File {
        file: Arc<dyn DiskFile>,
        position: u64,
        len: usize,
    },
}

impl FetchData {
    pub(crate) fn empty(offset: i64) -> Self {
        Self {
            source: Source::Memory(Bytes::new()),
            base_offset: offset,
            next_offset: offset,
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Memory(bytes) => bytes.len(),
            Source::File { len, .. } => *len,
        }
    }

    /// Whether there is no batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they need not be read from a file.
    #[must_use]
    pub fn in_memory(&self) -> Option<&Bytes> {
        match &self.source {
            Source::Memory(bytes) => Some(bytes),
            Source::File { .. } => None,
        }
    }

    /// The bytes, read from the file if they have to be: one read, after which every checksum is
    /// compared, so that a bit that fell over on the disk is never served.
    ///
    /// # Errors
    ///
    /// If the disk fails, the file has been cut in the meantime, or a batch is damaged.
    pub fn load(self) -> Result<Bytes, LogError> {
        match self.source {
            Source::Memory(bytes) => Ok(bytes),
            Source::File {
                file,
                position,
                len,
            } => {
                let bytes = file.read_at(position, len)?;
                check(file.as_ref(), position, len, &bytes)?;
                Ok(Bytes::from(bytes))
            }
        }
    }
}

/// Whether these are whole batches with sound checksums.
fn check(file: &dyn DiskFile, start: u64, len: usize, mut bytes: &[u8]) -> Result<(), LogError> {
    let read = bytes.len();
    loop {
        let position = start + (read - bytes.len()) as u64;
        let corrupt = |reason| LogError::CorruptFile {
            path: file.path().to_owned(),
            position,
            reason,
        };
        if bytes.is_empty() {
            return match read == len {
                true => Ok(()),
                false => Err(corrupt(InvalidBatch::Torn {
                    length: len,
                    available: read,
                })),
            };
        }
        let header =
            BatchHeader::decode(bytes).map_err(|error| corrupt(InvalidBatch::Header(error)))?;
        let Some((batch, rest)) = bytes.split_at_checked(header.total_len()) else {
            return Err(corrupt(InvalidBatch::Torn {
                length: header.total_len(),
                available: bytes.len(),
            }));
        };
        check_crc(&header, batch).map_err(corrupt)?;
        bytes = rest;
    }
}
