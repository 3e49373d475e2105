//! The directory that holds the logs of one broker: whose it is, which partitions lie in it, up to where
//! each is durable, and whether it was left in order. What is in a log is not its business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::Uuid;

use crate::log::checkpoint;
use crate::log::disk::{Disk, DiskLock, DiskSpace, read_file, replace_file};
use crate::log::error::{DiskError, LogError};
use crate::log::health::Health;
use crate::log::meta_properties::MetaProperties;
use crate::log::sound_batches::SoundBatches;
use crate::log::tail::TailBudget;
use crate::log::topic_partition::{TopicPartition, is_deleted_dir};

/// A log directory, locked for this broker as long as this lives.
#[derive(Debug)]
pub struct LogDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    meta: MetaProperties,
    was_clean: bool,
    /// As they were when the directory was opened; `None` if the file was missing or made no sense.
    recovery_points: Option<Offsets>,
    log_start_offsets: Option<Offsets>,
    high_watermarks: Option<Offsets>,
    first_dirty_offsets: Option<Offsets>,
    health: Health,
    tail_budget: TailBudget,
    _lock: DiskLock,
}

type Offsets = BTreeMap<TopicPartition, i64>;

/// Who opens a log directory.
#[derive(Clone, Debug)]
pub struct LogDirOwner {
    /// The cluster, if the broker was told; else the directory tells.
    pub cluster_id: Option<String>,
    /// The number of the broker.
    pub node_id: i32,
    /// The identifier that the directory gets if it is new, from the caller's source of randomness.
    pub new_directory_id: Uuid,
    /// The cluster that the directory gets if it is new and the broker was not told.
    pub new_cluster_id: Uuid,
}

/// A partition found in a log directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct FoundPartition {
    /// Its name.
    pub name: TopicPartition,
    /// The identifier of its topic; `None` if the partition has no sound `partition.metadata`.
    pub topic_id: Option<Uuid>,
}

/// The sum of the records of a metadata log up to an offset, which Kafka writes beside the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetadataSnapshot {
    /// The offset behind the last record that it stands for.
    pub end_offset: i64,
    /// Whole batches, each with a sound checksum.
    pub batches: Bytes,
}

/// What the checkpoints keep of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionCheckpoint {
    /// The partition.
    pub name: TopicPartition,
    /// Up to where it is durable.
    pub recovery_point: i64,
    /// Its first offset.
    pub log_start_offset: i64,
    /// Its high watermark.
    pub high_watermark: i64,
    /// Up to where it was compacted, if it is.
    pub first_dirty_offset: Option<i64>,
}

impl LogDir {
    /// Opens a log directory, making it if there is none, and locks it.
    ///
    /// The word of a clean shutdown is taken away at once, so that it is never believed twice.
    ///
    /// # Errors
    ///
    /// [`LogError::Locked`] if another broker has it; [`LogError::Mismatch`] if it belongs to another
    /// broker or cluster; or if the disk fails.
    pub fn open(disk: Arc<dyn Disk>, path: &Path, owner: &LogDirOwner) -> Result<Self, LogError> {
        disk.create_dir(path)?;
        let Some(lock) = disk.lock(&path.join(LOCK))? else {
            return Err(LogError::Locked {
                dir: path.to_owned(),
            });
        };
        let meta = match MetaProperties::read(disk.as_ref(), path)? {
            Some(meta) => {
                meta.check(path, owner.cluster_id.as_deref(), owner.node_id)?;
                meta
            }
            None => found(disk.as_ref(), path, owner)?,
        };
        let marker = path.join(CLEAN_SHUTDOWN);
        let was_clean = disk.exists(&marker)?;
        if was_clean {
            disk.remove_file(&marker)?;
            disk.sync_dir(path)?;
        }
        let offsets = |name| read_offsets(disk.as_ref(), &path.join(name));
        Ok(Self {
            recovery_points: offsets(RECOVERY_POINTS)?,
            log_start_offsets: offsets(LOG_START_OFFSETS)?,
            high_watermarks: offsets(HIGH_WATERMARKS)?,
            first_dirty_offsets: offsets(FIRST_DIRTY_OFFSETS)?,
            disk,
            path: path.to_owned(),
            meta,
            was_clean,
            health: Health::new(),
            tail_budget: TailBudget::default(),
            _lock: lock,
        })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk it lies on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// How much room there is where it lies; `None` on a disk without a size.
    ///
    /// # Errors
    ///
    /// If the disk cannot tell.
    pub fn space(&self) -> Result<Option<DiskSpace>, LogError> {
        Ok(self.disk.space(&self.path)?)
    }

    /// The cluster it belongs to.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.meta.cluster_id
    }

    /// The broker it belongs to.
    #[must_use]
    pub fn node_id(&self) -> i32 {
        self.meta.node_id
    }

    /// Its own identifier.
    #[must_use]
    pub fn directory_id(&self) -> Uuid {
        self.meta.directory_id
    }

    /// Whether the last owner left it in order.
    #[must_use]
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Whether it can still be trusted, and all its logs with it.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What its logs hold in memory together.
    #[must_use]
    pub fn tail_budget(&self) -> &TailBudget {
        &self.tail_budget
    }

    /// The high watermark of a partition as the last owner left it.
    #[must_use]
    pub fn high_watermark(&self, name: &TopicPartition) -> Option<i64> {
        self.high_watermarks.as_ref()?.get(name).copied()
    }

    /// Up to where a partition is durable, as the last owner left it; `None` if nothing can be told.
    pub(crate) fn recovery_point(&self, name: &TopicPartition) -> Option<i64> {
        let points = self.recovery_points.as_ref()?;
        // A partition younger than the checkpoint.
        Some(points.get(name).copied().unwrap_or(0))
    }

    /// The first offset of a partition as the last owner left it.
    pub(crate) fn log_start_offset(&self, name: &TopicPartition) -> i64 {
        let offsets = self.log_start_offsets.as_ref();
        offsets
            .and_then(|offsets| offsets.get(name))
            .copied()
            .unwrap_or(0)
    }

    /// Up to where a partition was compacted, as the last owner left it.
    pub(crate) fn first_dirty_offset(&self, name: &TopicPartition) -> Option<i64> {
        self.first_dirty_offsets.as_ref()?.get(name).copied()
    }

    /// The directory of a partition.
    #[must_use]
    pub fn partition_path(&self, name: &TopicPartition) -> PathBuf {
        self.path.join(name.dir_name())
    }

    /// The partitions that lie here, sorted by name. Directories that are on their way out or not of a
    /// partition are left out.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn partitions(&self) -> Result<Vec<FoundPartition>, LogError> {
        let mut found = Vec::new();
        for entry in self.disk.list(&self.path)? {
            let Some(name) = TopicPartition::of_dir(&entry.name) else {
                continue;
            };
            if entry.is_dir {
                let path = self.partition_path(&name).join(PARTITION_METADATA);
                let content = read_file(self.disk.as_ref(), &path)?;
                let topic_id = content.as_deref().and_then(decode_metadata);
                found.push(FoundPartition { name, topic_id });
            }
        }
        found.sort();
        Ok(found)
    }

    /// The newest snapshot beside the log of a partition, if there is one.
    ///
    /// # Errors
    ///
    /// If the disk fails, or the snapshot is damaged.
    pub fn metadata_snapshot(
        &self,
        name: &TopicPartition,
    ) -> Result<Option<MetadataSnapshot>, LogError> {
        let dir = self.partition_path(name);
        let names = self.disk.list(&dir)?.into_iter();
        let found = names.filter_map(|entry| Some((snapshot_offset(&entry.name)?, entry.name)));
        let Some((end_offset, name)) = found.max() else {
            return Ok(None);
        };
        let path = dir.join(name);
        let batches = read_file(self.disk.as_ref(), &path)?.unwrap_or_default();
        SoundBatches::check(&batches)?;
        Ok(Some(MetadataSnapshot {
            end_offset,
            batches: batches.into(),
        }))
    }

    /// Makes the directory of a new partition. It is durable before this returns.
    ///
    /// # Errors
    ///
    /// [`LogError::Mismatch`] if the partition is there already with another topic identifier; or if
    /// the disk fails.
    pub fn create_partition(
        &self,
        name: &TopicPartition,
        topic_id: Uuid,
    ) -> Result<PathBuf, LogError> {
        self.health.check()?;
        let dir = self.partition_path(name);
        make_partition(&self.disk, &dir, topic_id)?;
        Ok(dir)
    }

    /// Takes a partition out of sight, durably; its log must not be used any more. The files go with
    /// [`remove_deleted`](Self::remove_deleted). `unique` tells this deletion from others of the name. A
    /// partition that never had a record has nothing to be taken away.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn delete_partition(&self, name: &TopicPartition, unique: Uuid) -> Result<(), LogError> {
        self.health.check()?;
        if !self.disk.exists(&self.partition_path(name))? {
            return Ok(());
        }
        let gone = self.path.join(name.deleted_dir_name(unique.as_bytes()));
        self.disk.rename(&self.partition_path(name), &gone)?;
        self.disk.sync_dir(&self.path)?;
        Ok(())
    }

    /// Removes the files of deleted partitions, which may take a while. Gives how many there were.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn remove_deleted(&self) -> Result<usize, LogError> {
        let mut removed = 0;
        for entry in self.disk.list(&self.path)? {
            if entry.is_dir && is_deleted_dir(&entry.name) {
                self.disk.remove_dir(&self.path.join(&entry.name))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Writes down what is durable of each partition, each file whole or not at all.
    ///
    /// # Errors
    ///
    /// If the disk fails; a failure other than a full disk takes the directory offline.
    pub fn write_checkpoints(&self, partitions: &[PartitionCheckpoint]) -> Result<(), LogError> {
        self.health.check()?;
        let write = |file, offset: fn(&PartitionCheckpoint) -> Option<i64>| {
            let lines = partitions
                .iter()
                .filter_map(|partition| Some((&partition.name, offset(partition)?)));
            write_offsets(self.disk.as_ref(), &self.path.join(file), lines)
        };
        let result = write(RECOVERY_POINTS, |partition| Some(partition.recovery_point))
            .and_then(|()| {
                write(LOG_START_OFFSETS, |partition| {
                    Some(partition.log_start_offset)
                })
            })
            .and_then(|()| write(HIGH_WATERMARKS, |partition| Some(partition.high_watermark)))
            .and_then(|()| {
                write(FIRST_DIRTY_OFFSETS, |partition| {
                    partition.first_dirty_offset
                })
            });
        if let Err(error) = result {
            if !error.is_full() {
                self.health.fail(&error);
            }
            return Err(error.into());
        }
        Ok(())
    }

    /// Leaves word that all logs were closed, and gives the directory free. `partitions` must be all
    /// there are, each closed; `broker_epoch` is for the next registration, -1 if there is none.
    ///
    /// # Errors
    ///
    /// If the disk fails or has failed before: no word is left then.
    pub fn close(
        self,
        partitions: &[PartitionCheckpoint],
        broker_epoch: i64,
    ) -> Result<(), LogError> {
        self.write_checkpoints(partitions)?;
        let content = format!(r#"{{"version":0,"brokerEpoch":{broker_epoch}}}"#);
        let path = self.path.join(CLEAN_SHUTDOWN);
        replace_file(self.disk.as_ref(), &path, content.as_bytes(), true)?;
        Ok(())
    }
}

/// Makes the directory of a partition, durably, and leaves word in it which topic it is of.
pub(crate) fn make_partition(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    topic_id: Uuid,
) -> Result<(), LogError> {
    let path = dir.join(PARTITION_METADATA);
    disk.create_dir(dir)?;
    let known = read_file(disk.as_ref(), &path)?;
    match known.as_deref().and_then(decode_metadata) {
        Some(known) if known != topic_id => {
            return Err(LogError::Mismatch {
                path,
                reason: format!("topic_id is {known} where {topic_id} is expected"),
            });
        }
        Some(_) => {}
        None => replace_file(disk.as_ref(), &path, &encode_metadata(topic_id), true)?,
    }
    if let Some(above) = dir.parent() {
        disk.sync_dir(above)?;
    }
    Ok(())
}

/// Makes a new log directory of what is an empty one.
fn found(disk: &dyn Disk, path: &Path, owner: &LogDirOwner) -> Result<MetaProperties, LogError> {
    let meta = MetaProperties {
        cluster_id: match &owner.cluster_id {
            Some(cluster_id) => cluster_id.clone(),
            None => owner.new_cluster_id.to_string(),
        },
        node_id: owner.node_id,
        directory_id: owner.new_directory_id,
    };
    // Checkpoints that say nothing, so that a log without a line is known to be younger than they are.
    for file in [
        RECOVERY_POINTS,
        LOG_START_OFFSETS,
        HIGH_WATERMARKS,
        FIRST_DIRTY_OFFSETS,
    ] {
        if !disk.exists(&path.join(file))? {
            write_offsets(disk, &path.join(file), std::iter::empty())?;
        }
    }
    meta.write(disk, path)?;
    if let Some(above) = path.parent()
        && disk.exists(above)?
    {
        disk.sync_dir(above)?;
    }
    Ok(meta)
}

fn write_offsets<'a>(
    disk: &dyn Disk,
    path: &Path,
    offsets: impl Iterator<Item = (&'a TopicPartition, i64)>,
) -> Result<(), DiskError> {
    let lines = offsets.map(|(name, offset)| {
        let (topic, partition) = (name.topic(), name.partition());
        format!("{topic} {partition} {offset}")
    });
    replace_file(disk, path, &checkpoint::encode(lines), true)
}

fn read_offsets(disk: &dyn Disk, path: &Path) -> Result<Option<Offsets>, DiskError> {
    let content = read_file(disk, path)?;
    Ok(content.as_deref().and_then(decode_offsets))
}

fn decode_offsets(content: &[u8]) -> Option<Offsets> {
    let mut offsets = Offsets::new();
    for line in checkpoint::decode(content)? {
        let mut fields = line.split(' ');
        let (topic, partition, offset) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        let name = TopicPartition::new(topic, partition.parse().ok()?).ok()?;
        let offset: i64 = offset.parse().ok()?;
        offsets.insert(name, offset.max(0));
    }
    Some(offsets)
}

/// The offset in the name of a snapshot, which is `OFFSET-EPOCH.checkpoint`.
fn snapshot_offset(name: &str) -> Option<i64> {
    let (offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    let is_number =
        |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_snapshot = is_number(offset, 20) && is_number(epoch, 10);
    is_snapshot.then(|| offset.parse().ok()).flatten()
}

fn encode_metadata(topic_id: Uuid) -> Vec<u8> {
    format!("version: 0\ntopic_id: {topic_id}").into_bytes()
}

fn decode_metadata(content: &[u8]) -> Option<Uuid> {
    let text = std::str::from_utf8(content).ok()?;
    let rest = text.strip_prefix("version: 0\ntopic_id: ")?;
    rest.trim_end().parse().ok()
}

const LOCK: &str = ".lock";
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
const FIRST_DIRTY_OFFSETS: &str = "cleaner-offset-checkpoint";
const PARTITION_METADATA: &str = "partition.metadata";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::disk::OpenMode;
    use crate::log::disk_memory::MemoryDisk;

    const PATH: &str = "data";

    fn owner() -> LogDirOwner {
        LogDirOwner {
            cluster_id: None,
            node_id: 1,
            new_directory_id: Uuid::from_bytes([1; 16]),
            new_cluster_id: Uuid::from_bytes([2; 16]),
        }
    }

    fn open(disk: &Arc<dyn Disk>) -> Result<LogDir, LogError> {
        LogDir::open(Arc::clone(disk), Path::new(PATH), &owner())
    }

    fn memory() -> Arc<dyn Disk> {
        Arc::new(MemoryDisk::new())
    }

    fn name(topic: &str) -> TopicPartition {
        TopicPartition::new(topic, 0).unwrap()
    }

    #[test]
    fn a_second_owner_is_kept_out_until_the_first_is_gone() {
        let disk = memory();
        let first = open(&disk).unwrap();
        let refused = open(&disk).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "log directory data is in use by another broker"
        );
        drop(first);
        open(&disk).unwrap();
    }

    #[test]
    fn the_word_of_a_clean_shutdown_is_believed_once() {
        let disk = memory();
        let dir = open(&disk).unwrap();
        assert!(!dir.was_clean());
        let id = dir.directory_id();
        dir.close(&[], -1).unwrap();
        let dir = open(&disk).unwrap();
        assert!(dir.was_clean());
        assert_eq!(dir.directory_id(), id);
        drop(dir);
        assert!(!open(&disk).unwrap().was_clean());
    }

    #[test]
    fn another_cluster_or_node_is_refused_by_name() {
        let disk = memory();
        drop(open(&disk).unwrap());
        let mut other = owner();
        other.node_id = 2;
        let refused = LogDir::open(Arc::clone(&disk), Path::new(PATH), &other).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "data/meta.properties: node.id is 1 where 2 is expected"
        );
        other.node_id = 1;
        other.cluster_id = Some("elsewhere".to_owned());
        let refused = LogDir::open(Arc::clone(&disk), Path::new(PATH), &other).unwrap_err();
        assert!(matches!(refused, LogError::Mismatch { .. }), "{refused}");
    }

    #[test]
    fn partitions_are_made_found_and_deleted() {
        let disk = memory();
        let dir = open(&disk).unwrap();
        let id = Uuid::from_bytes([9; 16]);
        dir.create_partition(&name("b"), id).unwrap();
        dir.create_partition(&name("a"), id).unwrap();
        dir.create_partition(&name("a"), id).unwrap();
        let other = dir.create_partition(&name("a"), Uuid::from_bytes([8; 16]));
        assert!(matches!(other, Err(LogError::Mismatch { .. })));
        disk.create_dir(Path::new("data/stray-0-stray")).unwrap();
        let found: Vec<_> = dir.partitions().unwrap();
        let names: Vec<_> = found.iter().map(|found| found.name.to_string()).collect();
        assert_eq!(names, ["a-0", "b-0"]);
        assert_eq!(found[0].topic_id, Some(id));
        dir.delete_partition(&name("a"), Uuid::from_bytes([3; 16]))
            .unwrap();
        assert_eq!(dir.partitions().unwrap().len(), 1);
        assert_eq!(dir.remove_deleted().unwrap(), 1);
        assert_eq!(dir.remove_deleted().unwrap(), 0);
    }

    #[test]
    fn checkpoints_come_back_and_a_damaged_one_tells_nothing() {
        let disk = memory();
        let dir = open(&disk).unwrap();
        let checkpoint = PartitionCheckpoint {
            name: name("a"),
            recovery_point: 30,
            log_start_offset: 10,
            high_watermark: 40,
            first_dirty_offset: Some(20),
        };
        dir.write_checkpoints(&[checkpoint]).unwrap();
        drop(dir);
        let dir = open(&disk).unwrap();
        assert_eq!(dir.recovery_point(&name("a")), Some(30));
        assert_eq!(dir.recovery_point(&name("younger")), Some(0));
        assert_eq!(dir.log_start_offset(&name("a")), 10);
        assert_eq!(dir.high_watermark(&name("a")), Some(40));
        assert_eq!(dir.first_dirty_offset(&name("a")), Some(20));
        drop(dir);
        let path = Path::new("data/recovery-point-offset-checkpoint");
        let file = disk.open(path, OpenMode::Existing).unwrap();
        file.set_len(file.len().unwrap() - 1).unwrap();
        assert_eq!(open(&disk).unwrap().recovery_point(&name("a")), None);
    }
}
