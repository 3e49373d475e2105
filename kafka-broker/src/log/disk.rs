//! The few things a log asks of a disk, so that the same log runs on a real one and on one in memory
//! that loses writes on request. It knows nothing of segments or batches.

use std::fmt::Debug;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use crate::log::error::DiskError;

/// A tree of directories and files.
///
/// Nothing survives a power failure before it was made durable: the content of a file by
/// [`DiskFile::sync`], its being there (or gone, or renamed) by [`Disk::sync_dir`] of its directory.
/// Every error names the path and the operation.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    ///
    /// If it is missing and `mode` is [`OpenMode::Existing`], or the system refuses.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// What lies in a directory, sorted by name. Names that are not UTF-8 are left out: no file of a
    /// log has one.
    ///
    /// # Errors
    ///
    /// If the directory is missing or the system refuses.
    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError>;

    /// Makes a directory and those above it; one that exists is fine.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    fn create_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// Whether a file or directory is there.
    ///
    /// # Errors
    ///
    /// If the system cannot tell.
    fn exists(&self, path: &Path) -> Result<bool, DiskError>;

    /// Gives a file or directory another name, replacing a file of that name atomically.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Removes a file; one that is missing is fine.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    fn remove_file(&self, path: &Path) -> Result<(), DiskError>;

    /// Removes a directory and all it holds; one that is missing is fine.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    ///
    /// If the system refuses. What was lost is then unknown.
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// Takes the lock that keeps a second owner out, held until the answer is dropped. `None` if
    /// another holds it, in this process or in another.
    ///
    /// # Errors
    ///
    /// If the system refuses for another reason.
    fn lock(&self, path: &Path) -> Result<Option<DiskLock>, DiskError>;

    /// How much room there is where a directory lies; `None` for a disk without a size.
    ///
    /// # Errors
    ///
    /// If the directory is missing or the system refuses.
    fn space(&self, _dir: &Path) -> Result<Option<DiskSpace>, DiskError> {
        Ok(None)
    }
}

/// The room of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// What this process may still write, in bytes.
    pub usable_bytes: u64,
}

/// An open file; positions are bytes from its start.
pub trait DiskFile: Debug + Send + Sync {
    /// The name it was opened by.
    fn path(&self) -> &Path;

    /// Its length in bytes.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    fn len(&self) -> Result<u64, DiskError>;

    /// Whether it holds nothing.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }

    /// The bytes at `position`: `len` of them, fewer only at the end of the file.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    fn read_at(&self, position: u64, len: usize) -> Result<Vec<u8>, DiskError>;

    /// Writes all of `bytes` at `position`.
    ///
    /// # Errors
    ///
    /// If the system refuses; any part of the bytes may have been written then.
    fn write_at(&self, position: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Writes all of the parts, one behind the other, at `position`.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at).
    fn write_parts_at(&self, position: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        self.write_at(position, &parts.concat())
    }

    /// The open file by which the operating system can send its content somewhere without handing it
    /// to this process; `None` if the system has no such file.
    #[cfg(unix)]
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Cuts the file, or fills it with zeroes, to `len` bytes.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;

    /// Makes content and length durable.
    ///
    /// # Errors
    ///
    /// If the system refuses. What was lost is then unknown, and a second call that succeeds proves
    /// nothing.
    fn sync(&self) -> Result<(), DiskError>;
}

/// What [`Disk::open`] does about a file that is missing or there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenMode {
    /// It must be there.
    Existing,
    /// Made if missing, kept as it is if there.
    Create,
    /// Made if missing, emptied if there.
    Replace,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name, without the path.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// A lock, held until it is dropped.
#[derive(Debug)]
pub struct DiskLock {
    _held: Box<dyn Held>,
}

impl DiskLock {
    /// Wraps what must live as long as the lock.
    pub fn new(held: impl Debug + Send + Sync + 'static) -> Self {
        Self {
            _held: Box::new(held),
        }
    }
}

trait Held: Debug + Send + Sync {}

impl<T: Debug + Send + Sync> Held for T {}

/// Writes a whole small file so that a reader finds either the old content or the new one: to a
/// temporary name beside it, then renamed over it. Durable only if `durable`.
///
/// # Errors
///
/// If the disk fails; the old content then stands unless only the last step failed.
pub(crate) fn replace_file(
    disk: &dyn Disk,
    path: &Path,
    content: &[u8],
    durable: bool,
) -> Result<(), DiskError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let file = disk.open(temporary, OpenMode::Replace)?;
    file.write_at(0, content)?;
    if durable {
        file.sync()?;
    }
    drop(file);
    disk.rename(temporary, path)?;
    if durable && let Some(dir) = path.parent() {
        disk.sync_dir(dir)?;
    }
    Ok(())
}

/// The whole content of a file, `None` if it is missing.
///
/// # Errors
///
/// If the disk fails.
pub(crate) fn read_file(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    let file = match disk.open(path, OpenMode::Existing) {
        Ok(file) => file,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    Ok(Some(file.read_at(0, len)?))
}
