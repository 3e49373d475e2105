//! Which transactions of a segment were aborted, so that a reader of committed records can leave their
//! batches out.

use std::path::PathBuf;
use std::sync::Arc;

use crate::log::disk::Disk;
use crate::log::entry_file::EntryFile;
use crate::log::error::DiskError;

/// The aborted transactions whose marker lies in one segment, in the order of the markers.
///
/// An entry is 34 bytes, big-endian: version 0 (2 bytes), producer id, first offset, last offset (that
/// of the marker), and the last stable offset after the abort (8 bytes each). The file exists only if
/// there is an entry.
#[derive(Debug)]
pub(crate) struct TransactionIndex {
    pub(crate) file: EntryFile<34>,
}

/// An aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose it was.
    pub producer_id: i64,
    /// The offset of its first record.
    pub first_offset: i64,
    /// The offset of its marker.
    pub last_offset: i64,
    /// The last stable offset of the log once the marker stood.
    pub last_stable_offset: i64,
}

impl TransactionIndex {
    pub(crate) fn empty(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self {
            file: EntryFile::empty(disk, path),
        }
    }

    /// A missing file is an index without entries; `None` if the file cannot be right.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        base_offset: i64,
    ) -> Result<Option<Self>, DiskError> {
        if !disk.exists(&path)? {
            return Ok(Some(Self::empty(disk, path)));
        }
        let Some(file) = EntryFile::open(disk, path)? else {
            return Ok(None);
        };
        let index = Self { file };
        let mut previous = base_offset;
        for entry in index.file.entries()? {
            match decode(entry) {
                Some(aborted) if aborted.last_offset >= previous => previous = aborted.last_offset,
                _ => return Ok(None),
            }
        }
        Ok(Some(index))
    }

    pub(crate) fn push(&mut self, aborted: AbortedTransaction) {
        let mut entry = [0; 34];
        let (_, numbers) = entry.split_at_mut(2);
        let fields = [
            aborted.producer_id,
            aborted.first_offset,
            aborted.last_offset,
            aborted.last_stable_offset,
        ];
        for (place, field) in numbers.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        self.file.push(entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.file.len() == 0
    }

    /// All entries.
    pub(crate) fn aborted(&self) -> Result<Vec<AbortedTransaction>, DiskError> {
        let entries = self.file.entries()?;
        Ok(entries.into_iter().filter_map(decode).collect())
    }
}

/// `None` if no broker writes such an entry.
fn decode(entry: [u8; 34]) -> Option<AbortedTransaction> {
    let (version, numbers) = entry.split_first_chunk::<2>()?;
    let ([producer_id, first_offset, last_offset, last_stable_offset], []) =
        numbers.as_chunks::<8>()
    else {
        return None;
    };
    let aborted = AbortedTransaction {
        producer_id: i64::from_be_bytes(*producer_id),
        first_offset: i64::from_be_bytes(*first_offset),
        last_offset: i64::from_be_bytes(*last_offset),
        last_stable_offset: i64::from_be_bytes(*last_stable_offset),
    };
    let possible = i16::from_be_bytes(*version) == VERSION
        && aborted.producer_id >= 0
        && (0..=aborted.last_offset).contains(&aborted.first_offset)
        && (0..=aborted.last_offset.saturating_add(1)).contains(&aborted.last_stable_offset);
    possible.then_some(aborted)
}

const VERSION: i16 = 0;
