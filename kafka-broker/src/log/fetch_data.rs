//! What a read found: bytes in memory, or the stretch of a file that is still to be read.

#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::record::BatchHeader;

use crate::log::batch_scan::check_crc;
use crate::log::disk::DiskFile;
use crate::log::error::{DiskError, InvalidBatch, LogError};
use crate::log::sound_range::SoundRange;

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
        sound: Arc<SoundRange>,
        position: u64,
        len: usize,
    },
}

/// Whole batches in a file that the operating system can send by itself.
///
/// The file is held open: what is asked for stays there though the segment be deleted meanwhile.
#[derive(Clone, Debug)]
pub struct FileStretch {
    file: Arc<dyn DiskFile>,
    position: u64,
    len: usize,
}

impl FileStretch {
    pub(crate) fn new(file: Arc<dyn DiskFile>, position: u64, len: usize) -> Self {
        Self {
            file,
            position,
            len,
        }
    }

    /// Where it begins in the file.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The open file; `None` if the system has no such file.
    #[cfg(unix)]
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }

    /// Leaves out what was sent.
    pub fn advance(&mut self, sent: usize) {
        let sent = sent.min(self.len);
        self.position += sent as u64;
        self.len -= sent;
    }

    /// Up to `max_len` bytes of it, from its beginning.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn read(&self, max_len: usize) -> Result<Vec<u8>, DiskError> {
        self.file.read_at(self.position, self.len.min(max_len))
    }
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

    /// The stretch of the file, if that will do: it is known to be sound, since this process wrote it or
    /// has compared its checksums before. Else [`load`](Self::load) it.
    #[must_use]
    pub fn stretch(&self) -> Option<FileStretch> {
        match &self.source {
            Source::File {
                file,
                sound,
                position,
                len,
            } if sound.covers(&(*position..*position + *len as u64)) => {
                Some(FileStretch::new(Arc::clone(file), *position, *len))
            }
            _ => None,
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
                sound,
                position,
                len,
            } => {
                let bytes = file.read_at(position, len)?;
                let checked = check(&bytes, len, self.base_offset, self.next_offset);
                checked.map_err(|(at, reason)| LogError::CorruptFile {
                    path: file.path().to_owned(),
                    position: position + at as u64,
                    reason,
                })?;
                sound.add(position..position + len as u64);
                Ok(Bytes::from(bytes))
            }
        }
    }
}

/// Whether these are whole batches with sound checksums that follow one another. If not: where and why.
fn check(
    bytes: &[u8],
    len: usize,
    base_offset: i64,
    next_offset: i64,
) -> Result<(), (usize, InvalidBatch)> {
    let mut expected = base_offset;
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let header =
            BatchHeader::decode(rest).map_err(|error| (at, InvalidBatch::Header(error)))?;
        let Some((batch, behind)) = rest.split_at_checked(header.total_len()) else {
            return Err((at, torn(header.total_len(), rest.len())));
        };
        check_crc(&header, batch).map_err(|reason| (at, reason))?;
        if header.base_offset < expected || header.next_offset() > next_offset {
            let found = header.base_offset;
            return Err((at, InvalidBatch::Offset { expected, found }));
        }
        expected = header.next_offset();
        rest = behind;
    }
    if bytes.len() < len {
        return Err((bytes.len(), torn(len, bytes.len())));
    }
    Ok(())
}

fn torn(length: usize, available: usize) -> InvalidBatch {
    InvalidBatch::Torn { length, available }
}
