//! What a disk may look like after a power failure, given all that happened to it: what was synced is
//! there, and of the rest anything may be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which of the changes that are not durable survive.
///
/// A change to a file is durable once the file was synced after it, a change of names once their directory
/// was. The others survive or not, each for itself and in no order; a write may survive in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// All of them: the process was killed, not the machine.
    All,
    /// None of them.
    Synced,
    /// All but the event of this number.
    Without(usize),
    /// None but the event of this number.
    Only(usize),
    /// All, but of the write of this number only the first bytes.
    Torn {
        /// The number of the event.
        event: usize,
        /// How many bytes of it survive.
        len: usize,
    },
    /// All, but the first bytes of the write of this number are zeroes, as when a file system grew the
    /// file and lost the first page.
    Holed {
        /// The number of the event.
        event: usize,
        /// How many bytes of it are lost.
        len: usize,
    },
    /// Any of them, drawn by this seed.
    Random(u64),
}

/// A disk and what happened to it since.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    pub(super) base: Image,
    pub(super) events: Vec<Event>,
}

/// What lies on a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) contents: BTreeMap<u64, Vec<u8>>,
}

/// Something that changed a disk or made changes durable.
#[derive(Clone, Debug)]
pub(super) enum Event {
    CreateFile {
        path: PathBuf,
        inode: u64,
    },
    CreateDir {
        path: PathBuf,
    },
    RenameFile {
        from: PathBuf,
        to: PathBuf,
        inode: u64,
    },
    RenameDir {
        from: PathBuf,
        to: PathBuf,
    },
    RemoveFile {
        path: PathBuf,
    },
    RemoveDir {
        path: PathBuf,
    },
    Write {
        inode: u64,
        at: usize,
        bytes: Arc<[u8]>,
    },
    SetLen {
        inode: u64,
        len: usize,
    },
    Sync {
        inode: u64,
    },
    FailedSync {
        inode: u64,
    },
    SyncDir {
        path: PathBuf,
    },
}

impl Journal {
    /// Of the first `at` events those that are not durable.
    pub(super) fn unsynced(&self, at: usize) -> Vec<usize> {
        let mut synced_files = BTreeSet::new();
        let mut synced_dirs: BTreeSet<&Path> = BTreeSet::new();
        let mut unsynced = Vec::new();
        for (number, event) in self.events.iter().enumerate().take(at).rev() {
            let durable = match event {
                Event::Sync { inode } => {
                    synced_files.insert(*inode);
                    true
                }
                Event::FailedSync { inode } => {
                    // The system has given these pages up: a later sync speaks of later writes.
                    synced_files.remove(inode);
                    true
                }
                Event::SyncDir { path } => {
                    synced_dirs.insert(path);
                    true
                }
                Event::Write { inode, .. } | Event::SetLen { inode, .. } => {
                    synced_files.contains(inode)
                }
                Event::CreateFile { path, .. }
                | Event::CreateDir { path }
                | Event::RenameFile { to: path, .. }
                | Event::RenameDir { to: path, .. }
                | Event::RemoveFile { path }
                | Event::RemoveDir { path } => path
                    .parent()
                    .is_none_or(|dir| dir.as_os_str().is_empty() || synced_dirs.contains(dir)),
            };
            if !durable {
                unsynced.push(number);
            }
        }
        unsynced.reverse();
        unsynced
    }

    pub(super) fn after_crash(&self, at: usize, keep: Keep) -> Self {
        let unsynced: BTreeSet<usize> = match keep {
            Keep::All => BTreeSet::new(),
            _ => self.unsynced(at).into_iter().collect(),
        };
        let mut chance = Chance::new(match keep {
            Keep::Random(seed) => seed,
            _ => 0,
        });
        let mut image = self.base.clone();
        for (number, event) in self.events.iter().enumerate().take(at) {
            let lost = if !unsynced.contains(&number) {
                Lost::Nothing
            } else {
                match keep {
                    Keep::All => Lost::Nothing,
                    Keep::Synced => Lost::All,
                    Keep::Without(event) if event == number => Lost::All,
                    Keep::Only(event) if event != number => Lost::All,
                    Keep::Torn { event, len } if event == number => Lost::From(len),
                    Keep::Holed { event, len } if event == number => Lost::UpTo(len),
                    Keep::Random(_) => chance.loss(event),
                    _ => Lost::Nothing,
                }
            };
            image.apply(event, &lost);
        }
        let reachable: BTreeSet<u64> = image.names.values().copied().collect();
        image.contents.retain(|inode, _| reachable.contains(inode));
        Self {
            base: image,
            events: Vec::new(),
        }
    }
}

/// What of an event does not survive.
enum Lost {
    Nothing,
    All,
    From(usize),
    UpTo(usize),
}

impl Image {
    fn apply(&mut self, event: &Event, lost: &Lost) {
        if matches!(lost, Lost::All) {
            return;
        }
        match event {
            Event::CreateFile { path, inode } => {
                self.names.insert(path.clone(), *inode);
            }
            Event::CreateDir { path } => {
                self.dirs.insert(path.clone());
            }
            Event::RenameFile { from, to, inode } => {
                if self.names.get(from) == Some(inode) {
                    self.names.remove(from);
                }
                self.names.insert(to.clone(), *inode);
            }
            Event::RenameDir { from, to } => {
                if self.dirs.contains(from) {
                    move_tree(&mut self.names, &mut self.dirs, from, to);
                }
            }
            Event::RemoveFile { path } => {
                self.names.remove(path);
            }
            Event::RemoveDir { path } => {
                self.names.retain(|name, _| !name.starts_with(path));
                self.dirs.retain(|name| !name.starts_with(path));
            }
            Event::Write { inode, at, bytes } => {
                let content = self.contents.entry(*inode).or_default();
                match lost {
                    Lost::From(len) => {
                        place(content, *at, bytes.get(..*len).unwrap_or(bytes));
                    }
                    Lost::UpTo(len) => {
                        let rest = bytes.get(*len..).unwrap_or_default();
                        place(content, at + bytes.len() - rest.len(), rest);
                    }
                    _ => place(content, *at, bytes),
                }
            }
            Event::SetLen { inode, len } => {
                self.contents.entry(*inode).or_default().resize(*len, 0);
            }
            Event::Sync { .. } | Event::FailedSync { .. } | Event::SyncDir { .. } => {}
        }
    }
}

/// Gives a directory and all below it another name.
pub(super) fn move_tree<T>(
    files: &mut BTreeMap<PathBuf, T>,
    dirs: &mut BTreeSet<PathBuf>,
    from: &Path,
    to: &Path,
) {
    let moved = |path: PathBuf| match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => path,
    };
    *files = std::mem::take(files)
        .into_iter()
        .map(|(path, file)| (moved(path), file))
        .collect();
    *dirs = std::mem::take(dirs).into_iter().map(moved).collect();
}

/// Puts bytes into a file, with zeroes before them if it was shorter.
pub(super) fn place(content: &mut Vec<u8>, start: usize, bytes: &[u8]) {
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(start..end) {
        place.copy_from_slice(bytes);
    }
}

/// A small generator of random numbers, so that a seed gives the same disk everywhere (SplitMix64).
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn loss(&mut self, event: &Event) -> Lost {
        let (kind, place) = (self.next() % 4, self.next());
        match (kind, event) {
            (0 | 1, _) => Lost::Nothing,
            (3, Event::Write { bytes, .. }) => {
                let len = (place >> 1) as usize % (bytes.len() + 1);
                if place % 2 == 0 {
                    Lost::From(len)
                } else {
                    Lost::UpTo(len)
                }
            }
            _ => Lost::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::log::disk::{Disk, DiskFile, OpenMode};
    use crate::log::disk_memory::{Fault, MemoryDisk, Operation};

    fn written() -> (MemoryDisk, Arc<dyn DiskFile>) {
        let disk = MemoryDisk::journaled();
        disk.create_dir(Path::new("d")).unwrap();
        let file = disk.open(Path::new("d/a"), OpenMode::Create).unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        file.write_at(0, b"one").unwrap();
        file.sync().unwrap();
        file.write_at(3, b"two").unwrap();
        file.write_at(6, b"three").unwrap();
        (disk, file)
    }

    fn content(disk: &MemoryDisk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(Path::new(path), OpenMode::Existing).ok()?;
        Some(file.read_at(0, 100).unwrap())
    }

    #[test]
    fn unsynced_writes_go_one_by_one() {
        let (disk, _file) = written();
        let after = |keep| content(&disk.crash(disk.event_count(), keep), "d/a").unwrap();
        let unsynced = disk.unsynced(disk.event_count());
        assert_eq!(unsynced.len(), 2);
        assert_eq!(after(Keep::All), b"onetwothree");
        assert_eq!(after(Keep::Synced), b"one");
        assert_eq!(after(Keep::Without(unsynced[0])), b"one\0\0\0three");
        assert_eq!(after(Keep::Only(unsynced[0])), b"onetwo");
        let event = unsynced[1];
        assert_eq!(after(Keep::Torn { event, len: 2 }), b"onetwoth");
        assert_eq!(after(Keep::Holed { event, len: 2 }), b"onetwo\0\0ree");
        let some: BTreeSet<_> = (0..200).map(|seed| after(Keep::Random(seed))).collect();
        assert!(some.len() > 10, "{some:?}");
        assert!(some.iter().all(|bytes| bytes.starts_with(b"one")));
    }

    #[test]
    fn names_are_lost_without_a_sync_of_their_directory() {
        let (disk, file) = written();
        file.sync().unwrap();
        disk.rename(Path::new("d/a"), Path::new("d/b")).unwrap();
        let at = disk.event_count();
        let lost = disk.crash(at, Keep::Synced);
        assert!(content(&lost, "d/a").is_some());
        assert!(content(&lost, "d/b").is_none());
        disk.sync_dir(Path::new("d")).unwrap();
        let kept = disk.crash(disk.event_count(), Keep::Synced);
        assert!(content(&kept, "d/a").is_none());
        assert_eq!(content(&kept, "d/b").unwrap(), b"onetwothree");
    }

    #[test]
    fn a_disk_after_a_crash_takes_new_files_for_new() {
        let disk = MemoryDisk::journaled();
        let open = |disk: &MemoryDisk, name| disk.open(Path::new(name), OpenMode::Create).unwrap();
        open(&disk, "empty");
        let disk = disk.crash(disk.event_count(), Keep::All);
        open(&disk, "new").write_at(0, b"new").unwrap();
        let disk = disk.crash(disk.event_count(), Keep::All);
        assert_eq!(content(&disk, "empty").unwrap(), b"");
        assert_eq!(content(&disk, "new").unwrap(), b"new");
    }

    #[test]
    fn what_a_failed_sync_gave_up_stays_lost() {
        let (disk, file) = written();
        disk.inject(Fault::new(Operation::Sync, io::ErrorKind::Other));
        assert!(file.sync().is_err());
        file.sync().unwrap();
        let after = disk.crash(disk.event_count(), Keep::Synced);
        assert_eq!(content(&after, "d/a").unwrap(), b"one");
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let (disk, file) = written();
        disk.set_capacity(Some(13));
        let error = file.write_at(11, b"four").unwrap_err();
        assert!(error.is_full());
        assert_eq!(content(&disk, "d/a").unwrap(), b"onetwothreefo");
        file.set_len(11).unwrap();
        file.write_at(11, b"45").unwrap();
        file.write_at(0, b"ONE").unwrap();
    }

    #[test]
    fn faults_happen_where_and_when_they_should() {
        let (disk, file) = written();
        let fault = Fault::new(Operation::Write, io::ErrorKind::Other);
        disk.inject(fault.on("d/a").after(1).times(2).written(1));
        file.write_at(0, b"x").unwrap();
        assert!(file.write_at(0, b"abc").is_err());
        assert_eq!(content(&disk, "d/a").unwrap(), b"anetwothree");
        assert!(file.write_at(0, b"yz").is_err());
        file.write_at(0, b"ok").unwrap();
    }
}
