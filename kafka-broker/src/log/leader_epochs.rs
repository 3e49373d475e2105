//! Which leader epoch began at which offset: how a follower or a consumer finds where two histories
//! part. It does not know who leads now.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::checkpoint;
use crate::log::disk::{Disk, DiskFile, OpenMode, read_file, replace_file};
use crate::log::error::DiskError;

/// The epochs of one log, kept in the file `leader-epoch-checkpoint` of its directory.
#[derive(Clone, Debug)]
pub(crate) struct LeaderEpochs {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Both fields rise strictly.
    entries: Vec<EpochStart>,
    /// Counts changes, so that a flush knows which it has made durable.
    version: u64,
}

/// An epoch and the offset of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch of the leader.
    pub epoch: i32,
    /// The offset of its first record.
    pub start_offset: i64,
}

/// An epoch and the offset behind its last record; both -1 if that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch of the log that is not above the one asked for.
    pub epoch: i32,
    /// The offset behind its last record.
    pub end_offset: i64,
}

impl EpochEnd {
    /// The log cannot tell.
    pub const UNDEFINED: Self = Self {
        epoch: -1,
        end_offset: -1,
    };
}

impl LeaderEpochs {
    pub(crate) fn empty(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self {
            disk,
            path: dir.join(FILE_NAME),
            entries: Vec::new(),
            version: 0,
        }
    }

    /// Reads the file; `None` if it is missing or makes no sense.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Option<Self>, DiskError> {
        let path = dir.join(FILE_NAME);
        let Some(content) = read_file(disk.as_ref(), &path)? else {
            return Ok(None);
        };
        let Some(entries) = decode(&content) else {
            return Ok(None);
        };
        Ok(Some(Self {
            disk,
            path,
            entries,
            version: 0,
        }))
    }

    pub(crate) fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    pub(crate) fn latest(&self) -> Option<i32> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// The epoch of the record at this offset.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<i32> {
        let count = self
            .entries
            .partition_point(|entry| entry.start_offset <= offset);
        Some(self.entries.get(count.checked_sub(1)?)?.epoch)
    }

    /// Notes that records of this epoch begin here; says whether that was news. An epoch that is not
    /// above the latest is none.
    pub(crate) fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || self.latest().is_some_and(|latest| epoch <= latest) {
            return false;
        }
        // An epoch that got no record leaves no trace.
        self.entries
            .retain(|entry| entry.start_offset < start_offset);
        self.entries.push(EpochStart {
            epoch,
            start_offset,
        });
        self.version += 1;
        true
    }

    /// Where the epoch ended, by the rule of OffsetForLeaderEpoch.
    pub(crate) fn end_of(&self, epoch: i32, log_end_offset: i64) -> EpochEnd {
        if epoch == EpochEnd::UNDEFINED.epoch {
            return EpochEnd::UNDEFINED;
        }
        if self.latest() == Some(epoch) {
            return EpochEnd {
                epoch,
                end_offset: log_end_offset,
            };
        }
        let count = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let Some(higher) = self.entries.get(count) else {
            return EpochEnd::UNDEFINED;
        };
        let floor = count
            .checked_sub(1)
            .and_then(|index| self.entries.get(index));
        EpochEnd {
            epoch: floor.map_or(epoch, |floor| floor.epoch),
            end_offset: higher.start_offset,
        }
    }

    /// Forgets epochs that begin at or behind `offset`.
    pub(crate) fn truncate_from_end(&mut self, offset: i64) {
        let count = self
            .entries
            .partition_point(|entry| entry.start_offset < offset);
        if count < self.entries.len() {
            self.entries.truncate(count);
            self.version += 1;
        }
    }

    /// Forgets epochs that ended before `offset`; the one that holds it begins there now.
    pub(crate) fn truncate_from_start(&mut self, offset: i64) {
        let count = self
            .entries
            .partition_point(|entry| entry.start_offset <= offset);
        let Some(gone) = count.checked_sub(1) else {
            return;
        };
        self.entries.drain(..gone);
        if let Some(first) = self.entries.first_mut()
            && first.start_offset < offset
        {
            first.start_offset = offset;
            self.version += 1;
        }
    }

    /// Writes the file. It becomes durable with the next flush: until then it can be made again from
    /// the batches, which are not durable either.
    pub(crate) fn write(&self) -> Result<(), DiskError> {
        replace_file(
            self.disk.as_ref(),
            &self.path,
            &encode(&self.entries),
            false,
        )
    }

    /// The file to sync.
    pub(crate) fn file(&self) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.disk.open(&self.path, OpenMode::Existing)
    }

    /// How often the epochs have changed since they were read.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}

fn encode(entries: &[EpochStart]) -> Vec<u8> {
    checkpoint::encode(
        entries
            .iter()
            .map(|entry| format!("{} {}", entry.epoch, entry.start_offset)),
    )
}

fn decode(content: &[u8]) -> Option<Vec<EpochStart>> {
    let mut entries: Vec<EpochStart> = Vec::new();
    for line in checkpoint::decode(content)? {
        let (epoch, start_offset) = line.split_once(' ')?;
        let entry = EpochStart {
            epoch: epoch.parse().ok()?,
            start_offset: start_offset.parse().ok()?,
        };
        let rises = entries
            .last()
            .is_none_or(|last| last.epoch < entry.epoch && last.start_offset < entry.start_offset);
        if !rises || entry.epoch < 0 || entry.start_offset < 0 {
            return None;
        }
        entries.push(entry);
    }
    Some(entries)
}

const FILE_NAME: &str = "leader-epoch-checkpoint";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::disk_memory::MemoryDisk;

    fn epochs(list: &[(i32, i64)]) -> LeaderEpochs {
        let disk = MemoryDisk::new();
        disk.create_dir(Path::new("t-0")).unwrap();
        let mut epochs = LeaderEpochs::empty(Arc::new(disk), Path::new("t-0"));
        for (epoch, start) in list {
            epochs.assign(*epoch, *start);
        }
        epochs
    }

    fn list(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
        let pair = |entry: &EpochStart| (entry.epoch, entry.start_offset);
        epochs.entries().iter().map(pair).collect()
    }

    #[test]
    fn the_end_of_an_epoch_follows_the_rule_of_the_protocol() {
        let epochs = epochs(&[(2, 0), (4, 10), (7, 30)]);
        let end = |epoch| {
            let end = epochs.end_of(epoch, 50);
            (end.epoch, end.end_offset)
        };
        assert_eq!(end(-1), (-1, -1));
        assert_eq!(end(1), (1, 0), "smaller than all: the start of the first");
        assert_eq!(end(2), (2, 10));
        assert_eq!(end(3), (2, 10));
        assert_eq!(end(4), (4, 30));
        assert_eq!(end(7), (7, 50), "the latest ends where the log ends");
        assert_eq!(end(8), (-1, -1), "larger than all");
    }

    #[test]
    fn an_epoch_without_records_leaves_no_trace() {
        let mut epochs = epochs(&[(0, 0), (1, 5), (2, 5)]);
        assert_eq!(list(&epochs), [(0, 0), (2, 5)]);
        assert!(!epochs.assign(2, 9));
        assert!(!epochs.assign(1, 9));
        assert_eq!(epochs.epoch_at(4), Some(0));
        assert_eq!(epochs.epoch_at(5), Some(2));
    }

    #[test]
    fn truncation_at_both_ends() {
        let mut cut = epochs(&[(0, 0), (1, 5), (3, 9)]);
        cut.truncate_from_end(9);
        assert_eq!(list(&cut), [(0, 0), (1, 5)]);
        cut.truncate_from_start(7);
        assert_eq!(list(&cut), [(1, 7)]);
        cut.truncate_from_start(7);
        assert_eq!(list(&cut), [(1, 7)]);
        cut.truncate_from_end(7);
        assert_eq!(list(&cut), []);
        cut.truncate_from_start(100);
        assert_eq!(list(&cut), []);
    }

    #[test]
    fn the_file_comes_back_and_nonsense_does_not() {
        let epochs = epochs(&[(0, 0), (1, 5)]);
        epochs.write().unwrap();
        let again = LeaderEpochs::open(Arc::clone(&epochs.disk), Path::new("t-0"));
        assert_eq!(list(&again.unwrap().unwrap()), [(0, 0), (1, 5)]);
        assert_eq!(encode(epochs.entries()), b"0\n2\n0 0\n1 5\n");
        for bad in [
            "",
            "0\n",
            "0\n1\n",
            "1\n0\n",
            "0\n2\n1 0\n0 5\n",
            "0\n1\n-1 0\n",
            "0\n1\n0 0 0\n",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
