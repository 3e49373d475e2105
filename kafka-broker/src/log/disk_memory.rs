//! A disk in memory: for logs that need not outlive the process, and for finding out what a log makes of
//! a disk that fails, fills up, or loses what was not synced.

mod crash;
mod fault;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub use crash::Keep;
pub use fault::{Fault, Operation};

use crate::log::disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode};
use crate::log::disk_memory::crash::{Event, Journal, move_tree, place};
use crate::log::disk_memory::fault::Faults;
use crate::log::error::DiskError;

/// A tree of files that lives as long as its clones, which share it.
///
/// ```
/// use std::path::Path;
/// use kafka_broker::log::{Disk, Keep, MemoryDisk, OpenMode};
///
/// let disk = MemoryDisk::journaled();
/// let file = disk.open(Path::new("a"), OpenMode::Create)?;
/// disk.sync_dir(Path::new(""))?;
/// file.write_at(0, b"durable")?;
/// file.sync()?;
/// file.write_at(7, b" or not")?;
///
/// let after = disk.crash(disk.event_count(), Keep::Synced);
/// let file = after.open(Path::new("a"), OpenMode::Existing)?;
/// assert_eq!(file.read_at(0, 100)?, b"durable");
/// # Ok::<(), kafka_broker::log::DiskError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    tree: Mutex<Tree>,
    next_inode: AtomicU64,
    faults: Faults,
    /// What happened, for a disk that can crash.
    journal: Option<Mutex<Journal>>,
}

/// The names as the process sees them.
#[derive(Debug, Default)]
struct Tree {
    files: BTreeMap<PathBuf, Arc<Inode>>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeMap<PathBuf, Weak<()>>,
}

/// A file, whatever its name.
#[derive(Debug)]
struct Inode {
    number: u64,
    content: Mutex<Vec<u8>>,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that remembers all that happens to it, so that it can [`crash`](Self::crash). It
    /// grows with every write.
    #[must_use]
    pub fn journaled() -> Self {
        Self::from_journal(Journal::default())
    }

    /// How many changes and syncs there were so far. Always 0 without a journal.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.journal().map_or(0, |journal| journal.events.len())
    }

    /// Of the first `at` events those whose effect a power failure may still undo.
    #[must_use]
    pub fn unsynced(&self, at: usize) -> Vec<usize> {
        self.journal()
            .map_or_else(Vec::new, |journal| journal.unsynced(at))
    }

    /// Whether the event of this number wrote bytes, and how many: a write can be torn.
    #[must_use]
    pub fn written_by(&self, event: usize) -> Option<usize> {
        match self.journal()?.events.get(event)? {
            Event::Write { bytes, .. } => Some(bytes.len()),
            _ => None,
        }
    }

    /// A new disk as this one would be found after a stop behind its first `at` events, of which those
    /// that are not durable survive as `keep` says. It has a journal of its own. Without a journal: an
    /// empty disk.
    #[must_use]
    pub fn crash(&self, at: usize, keep: Keep) -> Self {
        match self.journal() {
            Some(journal) => Self::from_journal(journal.after_crash(at, keep)),
            None => Self::journaled(),
        }
    }

    /// Lets an operation fail.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.inject(fault);
    }

    /// How many injected faults have not happened as often as they are to; one that only delays happens when the
    /// delay begins.
    pub fn pending_faults(&self) -> usize {
        self.shared.faults.pending()
    }

    /// Lets no fault happen any more that has not happened yet.
    pub fn heal(&self) {
        self.shared.faults.clear();
    }

    /// Limits the bytes of all files together; `None` lifts the limit. Writes beyond it write what fits
    /// and fail.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.faults.set_capacity(bytes);
    }

    /// Turns over one bit of a file, as a bad disk does, unnoticed. The bit must be there.
    ///
    /// # Errors
    ///
    /// If the file is missing or shorter.
    pub fn flip_bit(&self, path: &Path, bit: usize) -> Result<(), DiskError> {
        let tree = self.tree();
        let inode = tree
            .files
            .get(path)
            .ok_or_else(|| missing("damage", path))?;
        let mut content = locked(&inode.content);
        match content.get_mut(bit / 8) {
            Some(byte) => {
                *byte ^= 1 << (bit % 8);
                Ok(())
            }
            None => Err(DiskError::new(
                "damage",
                path,
                io::ErrorKind::UnexpectedEof.into(),
            )),
        }
    }

    fn from_journal(journal: Journal) -> Self {
        let base = &journal.base;
        let faults = Faults::default();
        let mut tree = Tree {
            dirs: base.dirs.clone(),
            ..Tree::default()
        };
        for (path, number) in &base.names {
            let content = base.contents.get(number).cloned().unwrap_or_default();
            faults.resized(0, content.len());
            let inode = Inode {
                number: *number,
                content: Mutex::new(content),
            };
            tree.files.insert(path.clone(), Arc::new(inode));
        }
        // A file that was never written has a number but no content.
        let next_inode = base.names.values().max().map_or(0, |last| last + 1);
        Self {
            shared: Arc::new(Shared {
                tree: Mutex::new(tree),
                next_inode: AtomicU64::new(next_inode),
                faults,
                journal: Some(Mutex::new(journal)),
            }),
        }
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        locked(&self.shared.tree)
    }

    fn journal(&self) -> Option<MutexGuard<'_, Journal>> {
        self.shared.journal.as_ref().map(locked)
    }

    fn check(&self, operation: Operation, path: &Path) -> Result<(), DiskError> {
        self.shared.faults.check(operation, path).map(|_| ())
    }
}

impl Shared {
    fn record(&self, event: impl FnOnce() -> Event) {
        if let Some(journal) = &self.journal {
            locked(journal).events.push(event());
        }
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.check(Operation::Open, path)?;
        let mut tree = self.tree();
        let known = tree.files.get(path).map(Arc::clone);
        let inode = match known {
            Some(inode) => inode,
            None if mode == OpenMode::Existing || !tree.has_parent(path) => {
                return Err(missing("open", path));
            }
            None => {
                let number = self.shared.next_inode.fetch_add(1, Ordering::Relaxed);
                let inode = Arc::new(Inode {
                    number,
                    content: Mutex::default(),
                });
                tree.files.insert(path.to_owned(), Arc::clone(&inode));
                self.shared.record(|| Event::CreateFile {
                    path: path.to_owned(),
                    inode: number,
                });
                inode
            }
        };
        drop(tree);
        let file = MemoryFile {
            path: path.to_owned(),
            inode,
            shared: Arc::clone(&self.shared),
        };
        if mode == OpenMode::Replace && !file.is_empty()? {
            file.set_len(0)?;
        }
        Ok(Arc::new(file))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.check(Operation::List, dir)?;
        let tree = self.tree();
        if !tree.has_dir(dir) {
            return Err(missing("list", dir));
        }
        let name = |path: &Path, is_dir| {
            let name = path.file_name()?.to_str()?.to_owned();
            (path.parent() == Some(dir)).then_some(DirEntry { name, is_dir })
        };
        let under = |path: &&PathBuf| path.starts_with(dir);
        let files = tree.files.range(dir.to_owned()..);
        let files = files.map(|(path, _)| path).take_while(under);
        let dirs = tree.dirs.range(dir.to_owned()..).take_while(under);
        let mut entries: Vec<DirEntry> = files
            .filter_map(|path| name(path, false))
            .chain(dirs.filter_map(|path| name(path, true)))
            .collect();
        entries.sort();
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.check(Operation::Open, dir)?;
        let mut tree = self.tree();
        let mut missing: Vec<&Path> = dir.ancestors().filter(|dir| !tree.has_dir(dir)).collect();
        missing.reverse();
        for dir in missing {
            tree.dirs.insert(dir.to_owned());
            self.shared.record(|| Event::CreateDir {
                path: dir.to_owned(),
            });
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        let tree = self.tree();
        Ok(tree.files.contains_key(path) || tree.has_dir(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.check(Operation::Rename, from)?;
        let mut tree = self.tree();
        if let Some(inode) = tree.files.remove(from) {
            let number = inode.number;
            if let Some(replaced) = tree.files.insert(to.to_owned(), inode) {
                self.shared
                    .faults
                    .resized(locked(&replaced.content).len(), 0);
            }
            self.shared.record(|| Event::RenameFile {
                from: from.to_owned(),
                to: to.to_owned(),
                inode: number,
            });
            return Ok(());
        }
        if !tree.dirs.contains(from) {
            return Err(missing("rename", from));
        }
        let Tree { files, dirs, .. } = &mut *tree;
        move_tree(files, dirs, from, to);
        self.shared.record(|| Event::RenameDir {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.check(Operation::Remove, path)?;
        let mut tree = self.tree();
        if let Some(inode) = tree.files.remove(path) {
            self.shared.faults.resized(locked(&inode.content).len(), 0);
            self.shared.record(|| Event::RemoveFile {
                path: path.to_owned(),
            });
        }
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.check(Operation::Remove, dir)?;
        let mut tree = self.tree();
        tree.files.retain(|path, inode| {
            let stays = !path.starts_with(dir);
            if !stays {
                self.shared.faults.resized(locked(&inode.content).len(), 0);
            }
            stays
        });
        tree.dirs.retain(|path| !path.starts_with(dir));
        self.shared.record(|| Event::RemoveDir {
            path: dir.to_owned(),
        });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.check(Operation::SyncDir, dir)?;
        self.shared.record(|| Event::SyncDir {
            path: dir.to_owned(),
        });
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<Option<DiskLock>, DiskError> {
        let mut tree = self.tree();
        let known = tree.locks.get(path);
        if known.is_some_and(|held| held.strong_count() > 0) {
            return Ok(None);
        }
        let held = Arc::new(());
        tree.locks.insert(path.to_owned(), Arc::downgrade(&held));
        Ok(Some(DiskLock::new(held)))
    }
}

impl Tree {
    /// The directory that relative paths start from is always there.
    fn has_dir(&self, dir: &Path) -> bool {
        dir.as_os_str().is_empty() || self.dirs.contains(dir)
    }

    fn has_parent(&self, path: &Path) -> bool {
        path.parent().is_some_and(|dir| self.has_dir(dir))
    }
}

#[derive(Debug)]
struct MemoryFile {
    path: PathBuf,
    inode: Arc<Inode>,
    shared: Arc<Shared>,
}

impl DiskFile for MemoryFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(locked(&self.inode.content).len() as u64)
    }

    fn read_at(&self, position: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        self.shared.faults.check(Operation::Read, &self.path)?;
        let content = locked(&self.inode.content);
        let start = usize::try_from(position)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let end = start.saturating_add(len).min(content.len());
        Ok(content.get(start..end).unwrap_or_default().to_vec())
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut content = locked(&self.inode.content);
        let start = position as usize;
        let growth = (start + bytes.len()).saturating_sub(content.len());
        let (written, result) = self.shared.faults.write(&self.path, bytes.len(), growth);
        let bytes = bytes.get(..written).unwrap_or(bytes);
        if !bytes.is_empty() {
            place(&mut content, start, bytes);
            self.shared.record(|| Event::Write {
                inode: self.inode.number,
                at: start,
                bytes: bytes.into(),
            });
        }
        result
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.shared.faults.check(Operation::SetLen, &self.path)?;
        let mut content = locked(&self.inode.content);
        let len = len as usize;
        self.shared.faults.resized(content.len(), len);
        content.resize(len, 0);
        self.shared.record(|| Event::SetLen {
            inode: self.inode.number,
            len,
        });
        Ok(())
    }

    fn sync(&self) -> Result<(), DiskError> {
        let result = self.shared.faults.check(Operation::Sync, &self.path);
        self.shared.record(|| match result {
            Ok(_) => Event::Sync {
                inode: self.inode.number,
            },
            Err(_) => Event::FailedSync {
                inode: self.inode.number,
            },
        });
        result.map(|_| ())
    }
}

fn missing(operation: &'static str, path: &Path) -> DiskError {
    DiskError::new(operation, path, io::ErrorKind::NotFound.into())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic left behind is still the best that is known of the disk.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
