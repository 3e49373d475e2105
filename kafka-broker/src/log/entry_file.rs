//! A file of entries of one size: what the three indexes of a segment are made of. It does not know
//! what an entry means.
//!
//! New entries are kept in memory and written a page at a time: an index that lags behind after a crash
//! is made again from the batches anyway, and one write per batch would cost as much as the batch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::disk::{Disk, DiskFile, OpenMode};
use crate::log::error::DiskError;

/// Entries of `N` bytes.
#[derive(Debug)]
pub(crate) struct EntryFile<const N: usize> {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// How many entries the file holds.
    stored: usize,
    /// Those behind them.
    pending: Vec<[u8; N]>,
    last: Option<[u8; N]>,
}

impl<const N: usize> EntryFile<N> {
    /// A file without entries. What a file of that name holds goes with the first write.
    pub(crate) fn empty(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self {
            disk,
            path,
            stored: 0,
            pending: Vec::new(),
            last: None,
        }
    }

    /// The entries of an existing file; `None` if it is missing or its length is not that of whole
    /// entries.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf) -> Result<Option<Self>, DiskError> {
        let file = match disk.open(&path, OpenMode::Existing) {
            Ok(file) => file,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error),
        };
        let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        if len % N != 0 {
            return Ok(None);
        }
        let stored = len / N;
        let last = match stored.checked_sub(1) {
            Some(index) => Some(read_entry(file.as_ref(), index)?),
            None => None,
        };
        Ok(Some(Self {
            disk,
            path,
            stored,
            pending: Vec::new(),
            last,
        }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file has another name from now on.
    pub(crate) fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    pub(crate) fn len(&self) -> usize {
        self.stored + self.pending.len()
    }

    pub(crate) fn last(&self) -> Option<[u8; N]> {
        self.last
    }

    /// Adds an entry, in memory.
    pub(crate) fn push(&mut self, entry: [u8; N]) {
        self.pending.push(entry);
        self.last = Some(entry);
    }

    /// Whether a page of entries waits to be written.
    pub(crate) fn is_page_pending(&self) -> bool {
        self.pending.len() >= PAGE_ENTRIES
    }

    /// Brings the file up to what is in memory, and makes it if there is none.
    pub(crate) fn write_pending(&mut self) -> Result<(), DiskError> {
        if self.pending.is_empty() && self.stored > 0 {
            return Ok(());
        }
        let mode = if self.stored == 0 {
            OpenMode::Replace
        } else {
            OpenMode::Create
        };
        let file = self.disk.open(&self.path, mode)?;
        file.write_at((self.stored * N) as u64, self.pending.as_flattened())?;
        self.stored += self.pending.len();
        self.pending.clear();
        Ok(())
    }

    /// The file itself, there after [`write_pending`](Self::write_pending).
    pub(crate) fn file(&self) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.disk.open(&self.path, OpenMode::Existing)
    }

    /// How many entries, from the first on, fulfil `predicate`, which none does behind the first that
    /// does not.
    pub(crate) fn partition_point(
        &self,
        predicate: impl Fn([u8; N]) -> bool,
    ) -> Result<usize, DiskError> {
        match self.pending.first() {
            Some(first) if predicate(*first) => {
                return Ok(self.stored + self.pending.partition_point(|entry| predicate(*entry)));
            }
            _ => {}
        }
        if self.stored == 0 {
            return Ok(0);
        }
        let file = self.file()?;
        let mut low = 0;
        let mut high = self.stored;
        while low < high {
            let middle = low + (high - low) / 2;
            if predicate(read_entry(file.as_ref(), middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The entry of this number; `None` behind the last.
    pub(crate) fn entry(&self, index: usize) -> Result<Option<[u8; N]>, DiskError> {
        match index.checked_sub(self.stored) {
            Some(pending) => Ok(self.pending.get(pending).copied()),
            None => {
                let file = self.file()?;
                read_entry(file.as_ref(), index).map(Some)
            }
        }
    }

    /// All entries.
    pub(crate) fn entries(&self) -> Result<Vec<[u8; N]>, DiskError> {
        let mut entries = Vec::new();
        if self.stored > 0 {
            let file = self.file()?;
            let bytes = file.read_at(0, self.stored * N)?;
            entries.extend_from_slice(bytes.as_chunks().0);
        }
        entries.extend_from_slice(&self.pending);
        Ok(entries)
    }
}

fn read_entry<const N: usize>(file: &dyn DiskFile, index: usize) -> Result<[u8; N], DiskError> {
    let bytes = file.read_at((index * N) as u64, N)?;
    <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| {
        let shrunk = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        DiskError::new("read", file.path(), shrunk)
    })
}

/// How many entries wait in memory before they are written.
const PAGE_ENTRIES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::disk_memory::MemoryDisk;

    #[test]
    fn entries_are_found_in_the_file_and_behind_it() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        disk.create_dir(Path::new("d")).unwrap();
        let path = PathBuf::from("d/x.index");
        let mut file = EntryFile::<2>::empty(Arc::clone(&disk), path.clone());
        for value in [1, 3, 5] {
            file.push([0, value]);
        }
        file.write_pending().unwrap();
        file.push([0, 7]);
        file.push([0, 9]);
        for (below, count) in [(0, 0), (1, 0), (2, 1), (6, 3), (7, 3), (8, 4), (99, 5)] {
            assert_eq!(
                file.partition_point(|[_, value]| value < below).unwrap(),
                count
            );
        }
        assert_eq!(file.entry(1).unwrap(), Some([0, 3]));
        assert_eq!(file.entry(4).unwrap(), Some([0, 9]));
        assert_eq!(file.entry(5).unwrap(), None);
        assert_eq!(file.last(), Some([0, 9]));
        file.write_pending().unwrap();
        let again = EntryFile::<2>::open(disk, path).unwrap().unwrap();
        assert_eq!(again.entries().unwrap(), file.entries().unwrap());
        assert_eq!(again.entries().unwrap().len(), 5);
        assert_eq!(again.last(), Some([0, 9]));
    }

    #[test]
    fn a_torn_or_missing_file_is_none() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        disk.create_dir(Path::new("d")).unwrap();
        let path = PathBuf::from("d/x.index");
        assert!(
            EntryFile::<8>::open(Arc::clone(&disk), path.clone())
                .unwrap()
                .is_none()
        );
        let file = disk.open(&path, OpenMode::Create).unwrap();
        file.write_at(0, &[0; 12]).unwrap();
        assert!(
            EntryFile::<8>::open(Arc::clone(&disk), path.clone())
                .unwrap()
                .is_none()
        );
        file.set_len(8).unwrap();
        assert_eq!(EntryFile::<8>::open(disk, path).unwrap().unwrap().len(), 1);
    }
}
