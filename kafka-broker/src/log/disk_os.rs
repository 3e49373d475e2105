//! The disk of the operating system.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::disk::{DirEntry, Disk, DiskFile, DiskLock, DiskSpace, OpenMode};
use crate::log::error::DiskError;

/// The file system that the process sees.
#[derive(Clone, Copy, Debug)]
pub struct OsDisk {
    syncs: bool,
}

impl OsDisk {
    /// The file system, on which what is synced survives a power failure.
    #[must_use]
    pub fn new() -> Self {
        Self { syncs: true }
    }

    /// The file system for data that goes with the process anyway: a sync does nothing.
    #[must_use]
    pub fn for_temporary_data() -> Self {
        Self { syncs: false }
    }
}

impl Default for OsDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(mode != OpenMode::Existing)
            .truncate(mode == OpenMode::Replace)
            .open(path)
            .map_err(|error| DiskError::new("open", path, error))?;
        Ok(Arc::new(OsFile {
            file,
            path: path.to_owned(),
            syncs: self.syncs,
        }))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        let failed = |error| DiskError::new("list", dir, error);
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().into_string() {
                let is_dir = entry.file_type().map_err(failed)?.is_dir();
                entries.push(DirEntry { name, is_dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> Result<(), DiskError> {
        std::fs::create_dir_all(dir).map_err(|error| {
            // The system's words are that the file exists.
            let error = match dir.is_file() {
                true => io::Error::new(error.kind(), "it is a file"),
                false => error,
            };
            DiskError::new("create directory", dir, error)
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        path.try_exists()
            .map_err(|error| DiskError::new("look for", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        std::fs::rename(from, to).map_err(|error| DiskError::new("rename", from, error))
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        absent_is_fine(std::fs::remove_file(path))
            .map_err(|error| DiskError::new("remove", path, error))
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError> {
        absent_is_fine(std::fs::remove_dir_all(dir))
            .map_err(|error| DiskError::new("remove directory", dir, error))
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        if !self.syncs {
            return Ok(());
        }
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|error| DiskError::new("sync directory", dir, error))
    }

    // Where a directory cannot be opened, the system keeps names durable by itself.
    #[cfg(not(unix))]
    fn sync_dir(&self, _dir: &Path) -> Result<(), DiskError> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<Option<DiskLock>, DiskError> {
        let failed = |error| DiskError::new("lock", path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(DiskLock::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    #[cfg(unix)]
    fn space(&self, dir: &Path) -> Result<Option<DiskSpace>, DiskError> {
        let volume = rustix::fs::statvfs(dir)
            .map_err(|error| DiskError::new("measure", dir, error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
        Ok(Some(DiskSpace {
            total_bytes: bytes(volume.f_blocks),
            usable_bytes: bytes(volume.f_bavail),
        }))
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[derive(Debug)]
struct OsFile {
    file: File,
    path: PathBuf,
    syncs: bool,
}

impl OsFile {
    fn failed(&self, operation: &'static str) -> impl FnOnce(io::Error) -> DiskError + '_ {
        move |error| DiskError::new(operation, &self.path, error)
    }
}

impl DiskFile for OsFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata().map_err(self.failed("measure"))?;
        Ok(metadata.len())
    }

    fn read_at(&self, position: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        positional::read(&self.file, position, len).map_err(self.failed("read"))
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        positional::write(&self.file, position, bytes).map_err(self.failed("write"))
    }

    fn write_parts_at(&self, position: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        positional::write_parts(&self.file, position, parts).map_err(self.failed("write"))
    }

    #[cfg(unix)]
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.file.set_len(len).map_err(self.failed("truncate"))
    }

    fn sync(&self) -> Result<(), DiskError> {
        if !self.syncs {
            return Ok(());
        }
        self.file.sync_data().map_err(self.failed("sync"))
    }
}

/// Reading and writing at a position, which every system names differently.
#[cfg(unix)]
mod positional {
    use std::fs::File;
    use std::io::{self, IoSlice};
    use std::os::unix::fs::FileExt;

    use rustix::buffer::spare_capacity;
    use rustix::io::Errno;

    /// Reads into memory that nobody has filled with zeroes before: that would add a third to the
    /// cost of a large read.
    pub(super) fn read(file: &File, position: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = position + bytes.len() as u64;
            match rustix::io::pread(file, spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    pub(super) fn write(file: &File, position: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, position)
    }

    /// Writes parts that lie apart in memory as one.
    pub(super) fn write_parts(file: &File, mut position: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = slices.as_mut_slice();
        // Nothing that is empty may stand in front, or the end would not be seen.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let at_once = rest.get(..SLICES_MAX).unwrap_or(rest);
            match rustix::io::pwritev(file, at_once, position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The most that every system takes at once.
    const SLICES_MAX: usize = 1024;
}

#[cfg(windows)]
mod positional {
    use std::fs::File;
    use std::io;
    use std::os::windows::fs::FileExt;

    pub(super) fn read(file: &File, position: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let Some(rest) = bytes.get_mut(filled..) else {
                break;
            };
            match file.seek_read(rest, position + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(super) fn write(file: &File, mut position: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match file.seek_write(bytes, position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    position += written as u64;
                    bytes = bytes.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn write_parts(file: &File, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        write(file, position, &parts.concat())
    }
}
