//! A disk in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::log::disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode};
use crate::log::error::DiskError;

/// A tree of files that lives as long as its clones.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    tree: Arc<Mutex<Tree>>,
}

#[derive(Debug, Default)]
struct Tree {
    files: BTreeMap<PathBuf, Arc<Content>>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeMap<PathBuf, std::sync::Weak<()>>,
}

type Content = Mutex<Vec<u8>>;

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut tree = self.tree();
        let content = match tree.files.get(path) {
            Some(content) => Arc::clone(content),
            None if mode == OpenMode::Existing || !tree.has_parent(path) => {
                return Err(missing("open", path));
            }
            None => {
                let content = Arc::new(Content::default());
                tree.files.insert(path.to_owned(), Arc::clone(&content));
                content
            }
        };
        let file = MemoryFile {
            path: path.to_owned(),
            content,
        };
        if mode == OpenMode::Replace {
            file.content().clear();
        }
        Ok(Arc::new(file))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        let tree = self.tree();
        if !tree.dirs.contains(dir) {
            return Err(missing("list", dir));
        }
        let name = |path: &Path, is_dir| {
            let name = path.file_name()?.to_str()?.to_owned();
            (path.parent() == Some(dir)).then_some(DirEntry { name, is_dir })
        };
        let files = tree.files.keys().filter_map(|path| name(path, false));
        let dirs = tree.dirs.iter().filter_map(|path| name(path, true));
        let mut entries: Vec<DirEntry> = files.chain(dirs).collect();
        entries.sort();
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let mut tree = self.tree();
        for dir in dir.ancestors() {
            tree.dirs.insert(dir.to_owned());
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        let tree = self.tree();
        Ok(tree.files.contains_key(path) || tree.dirs.contains(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let mut tree = self.tree();
        if let Some(content) = tree.files.remove(from) {
            tree.files.insert(to.to_owned(), content);
            return Ok(());
        }
        if !tree.dirs.contains(from) {
            return Err(missing("rename", from));
        }
        let moved = |path: &Path| path.strip_prefix(from).ok().map(|rest| to.join(rest));
        let files = std::mem::take(&mut tree.files);
        tree.files = files
            .into_iter()
            .map(|(path, content)| (moved(&path).unwrap_or(path), content))
            .collect();
        let dirs = std::mem::take(&mut tree.dirs);
        tree.dirs = dirs
            .into_iter()
            .map(|path| moved(&path).unwrap_or(path))
            .collect();
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.tree().files.remove(path);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let mut tree = self.tree();
        tree.files.retain(|path, _| !path.starts_with(dir));
        tree.dirs.retain(|path| !path.starts_with(dir));
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> Result<(), DiskError> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> Result<Option<DiskLock>, DiskError> {
        let mut tree = self.tree();
        if tree
            .locks
            .get(path)
            .is_some_and(|held| held.strong_count() > 0)
        {
            return Ok(None);
        }
        let held = Arc::new(());
        tree.locks.insert(path.to_owned(), Arc::downgrade(&held));
        Ok(Some(DiskLock::new(held)))
    }
}

impl Tree {
    fn has_parent(&self, path: &Path) -> bool {
        path.parent().is_some_and(|dir| self.dirs.contains(dir))
    }
}

#[derive(Debug)]
struct MemoryFile {
    path: PathBuf,
    content: Arc<Content>,
}

impl MemoryFile {
    fn content(&self) -> MutexGuard<'_, Vec<u8>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskFile for MemoryFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.content().len() as u64)
    }

    fn read_at(&self, position: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        let content = self.content();
        let start = usize::try_from(position)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let end = start.saturating_add(len).min(content.len());
        Ok(content.get(start..end).unwrap_or_default().to_vec())
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut content = self.content();
        let start = position as usize;
        let end = start + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        if let Some(place) = content.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.content().resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> Result<(), DiskError> {
        Ok(())
    }
}

fn missing(operation: &'static str, path: &Path) -> DiskError {
    DiskError::new(operation, path, io::ErrorKind::NotFound.into())
}
