//! The storage core: segments of record batches in Kafka's own log directory format.
//!
//! Synchronous, and knows neither sockets nor replication: who may read how far is said by the caller,
//! and so is what time it is. A [`Log`] is one partition; a [`LogDir`] is the directory that holds the
//! logs of one broker.

mod batch_chain;
mod batch_filter;
mod batch_scan;
mod checkpoint;
mod cleaned_transactions;
mod client_batch;
mod compaction;
mod config;
mod disk;
mod disk_memory;
mod disk_os;
mod entry_file;
mod error;
mod fetch_data;
mod file_name;
mod flush;
mod health;
mod key_map;
mod leader_epochs;
mod log_dir;
mod meta_properties;
mod offset_index;
mod producer_snapshot;
mod producer_state;
mod recovery;
mod segment;
mod segment_swap;
mod segments;
mod sound_batches;
mod sound_range;
mod tail;
#[cfg(test)]
mod test_batches;
#[cfg(test)]
mod tests;
mod time_index;
mod timed_batch;
mod topic_partition;
mod transaction_index;
mod transaction_marker;
mod validation;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kafka_protocol::Uuid;
use kafka_protocol::compression::{DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{BatchHeader, TimestampType, set_log_append_time};

pub(crate) use client_batch::ClientBatch;
pub use compaction::{Compaction, CompactionStats, Dirtiness, Replacement};
pub use config::LogConfig;
pub use disk::{DirEntry, Disk, DiskFile, DiskLock, DiskSpace, OpenMode};
pub use disk_memory::{Fault, Keep, MemoryDisk, Operation};
pub use disk_os::OsDisk;
pub use error::{DiskError, InvalidBatch, LogError};
pub use fetch_data::{FetchData, FileStretch};
pub use flush::FlushJob;
pub use health::Health;
pub use leader_epochs::{EpochEnd, EpochStart};
pub use log_dir::{FoundPartition, LogDir, LogDirOwner, MetadataSnapshot, PartitionCheckpoint};
pub use producer_state::ActiveProducer;
pub use recovery::Cut;
pub(crate) use sound_batches::SoundBatches;
pub use tail::TailBudget;
pub(crate) use timed_batch::TimedBatch;
pub use timed_batch::TimestampedOffset;
pub use topic_partition::TopicPartition;
pub use transaction_index::AbortedTransaction;

use crate::log::compaction::{Plan, SourceSegment};
use crate::log::disk::replace_file;
use crate::log::fetch_data::Source;
use crate::log::flush::FlushVersions;
use crate::log::leader_epochs::LeaderEpochs;
use crate::log::producer_state::{ProducerState, Verdict};
use crate::log::recovery::{LeftBehind, Recovered};
use crate::log::segment::{Segment, split_batches};
use crate::log::segments::Segments;
use crate::log::tail::Tail;

/// The log of one partition.
///
/// Appends need it exclusively; reads share it, and what they find can be loaded without it. Every error
/// names the file. After a write or sync that failed for another reason than a full disk, every append
/// and flush fails with [`LogError::Offline`]; reading goes on.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    config: LogConfig,
    segments: Segments,
    tail: Tail,
    epochs: LeaderEpochs,
    producers: ProducerState,
    log_start_offset: i64,
    /// Below this one compaction has been everywhere.
    first_dirty_offset: i64,
    recovery_point: i64,
    /// The base offset of the first segment whose files, indexes included, are not known to be durable.
    /// The recovery point alone does not tell: a segment that was flushed while it was active has its
    /// indexes written when it is closed.
    closed_durable: i64,
    cut: Option<Cut>,
    health: Health,
    /// What has changed, and what of it is durable.
    versions: FlushVersions,
    durable: FlushVersions,
    last_flush_ms: i64,
    /// Where the log ended when it was last looked at for what is idle.
    idle_since: i64,
    /// Set once the log was cut below a recovery point that may be on disk: until the broker restarts,
    /// a closed segment must then be durable before the next one begins, since recovery will believe it.
    flush_before_roll: bool,
    /// Set as long as there is no directory: the topic that it will be said to be of.
    unmade: Option<Uuid>,
}

/// What the last owner of a log left word of, and what the logs of a broker share.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogStart {
    /// Up to where the log is known to be durable; `None` if no checkpoint tells.
    pub recovery_point: Option<i64>,
    /// The first offset that readers may see.
    pub log_start_offset: i64,
    /// Up to where compaction has been everywhere; `None` if no checkpoint tells.
    pub first_dirty_offset: Option<i64>,
    /// Whether all logs of the directory were closed: then nothing is verified.
    pub clean_shutdown: bool,
    /// Whether the log can be trusted.
    pub health: Health,
    /// What the logs may hold in memory together.
    pub tail_budget: TailBudget,
}

/// Who wants a batch appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendOrigin {
    /// A client: all rules hold, and a repetition is recognised.
    Client,
    /// A coordinator in this broker, which may write control batches and numbers nothing.
    Coordinator,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendInfo {
    /// The offset of the first record.
    pub base_offset: i64,
    /// The offset of the last record.
    pub last_offset: i64,
    /// The timestamp that the log gave the records, in milliseconds; -1 if they kept their own.
    pub log_append_time_ms: i64,
    /// The first offset of the log.
    pub log_start_offset: i64,
    /// Whether the batch was there already; the offsets are then those of the first time.
    pub is_duplicate: bool,
}

impl Log {
    /// Opens the log in a directory, which must exist, or begins a new one there.
    ///
    /// After anything but a clean shutdown the segments from the recovery point on are verified, and the
    /// log ends before the first batch that makes no sense: see [`cut`](Self::cut).
    ///
    /// # Errors
    ///
    /// If the disk fails. A damaged log is no error.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        start: LogStart,
        now_ms: i64,
    ) -> Result<Self, LogError> {
        let left = LeftBehind {
            recovery_point: start.recovery_point,
            log_start_offset: start.log_start_offset,
            clean_shutdown: start.clean_shutdown,
        };
        let recovered = recovery::recover(&disk, dir, &config, left, now_ms)?;
        let Recovered {
            mut segments,
            epochs,
            producers,
            log_start_offset,
            closed_durable,
            cut,
        } = recovered;
        // A broker of many partitions would have as many files open before anyone asks.
        segments.release_files(true);
        let log_end_offset = segments.active.next_offset();
        let recovery_point = match start.clean_shutdown {
            true => log_end_offset,
            false => start.recovery_point.unwrap_or(0).clamp(0, log_end_offset),
        };
        let versions = FlushVersions {
            names: 1,
            epochs: epochs.version(),
            truncations: 0,
        };
        let mut log = Self {
            tail: Tail::new(config.tail_bytes, start.tail_budget),
            disk,
            dir: dir.to_owned(),
            config,
            segments,
            epochs,
            producers,
            log_start_offset,
            // One beyond the end speaks of records that are gone.
            first_dirty_offset: start
                .first_dirty_offset
                .filter(|offset| *offset <= log_end_offset)
                .unwrap_or(0)
                .max(log_start_offset),
            recovery_point,
            closed_durable,
            cut,
            health: start.health,
            versions,
            durable: FlushVersions::default(),
            last_flush_ms: now_ms,
            idle_since: 0,
            flush_before_roll: false,
            unmade: None,
        };
        if log.is_each_durable() && log.recovery_point < log_end_offset {
            log.flush(now_ms)?;
        }
        Ok(log)
    }

    /// Opens the log of a partition in a log directory, or begins it if
    /// [`LogDir::create_partition`] has just made it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_in(
        log_dir: &LogDir,
        name: &TopicPartition,
        config: LogConfig,
        now_ms: i64,
    ) -> Result<Self, LogError> {
        let start = LogStart {
            recovery_point: log_dir.recovery_point(name),
            log_start_offset: log_dir.log_start_offset(name),
            first_dirty_offset: log_dir.first_dirty_offset(name),
            clean_shutdown: log_dir.was_clean(),
            health: log_dir.health().of_log(),
            tail_budget: log_dir.tail_budget().clone(),
        };
        let dir = log_dir.partition_path(name);
        Self::open(Arc::clone(log_dir.disk()), &dir, config, start, now_ms)
    }

    /// Begins the log of a partition that has no directory yet. It gets one with its first record; until
    /// then nothing of it is on the disk, and whoever has made the topic must remember that it is there.
    /// So a topic costs as many syncs as partitions of it are used, not as it has.
    #[must_use]
    pub fn begin_in(
        log_dir: &LogDir,
        name: &TopicPartition,
        topic_id: Uuid,
        config: LogConfig,
        now_ms: i64,
    ) -> Self {
        let disk = Arc::clone(log_dir.disk());
        let dir = log_dir.partition_path(name);
        let active = Segment::unmade(&disk, &dir, 0, now_ms);
        Self {
            tail: Tail::new(config.tail_bytes, log_dir.tail_budget().clone()),
            epochs: LeaderEpochs::empty(Arc::clone(&disk), &dir),
            disk,
            dir,
            config,
            segments: Segments::new(BTreeMap::new(), active),
            producers: ProducerState::default(),
            log_start_offset: 0,
            first_dirty_offset: 0,
            recovery_point: 0,
            closed_durable: 0,
            cut: None,
            health: log_dir.health().of_log(),
            versions: FlushVersions::default(),
            durable: FlushVersions::default(),
            last_flush_ms: now_ms,
            idle_since: 0,
            flush_before_roll: false,
            unmade: Some(topic_id),
        }
    }

    /// The directory it lies in, or will lie in once it has a record.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How it is cut, kept and flushed.
    #[must_use]
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Cuts, keeps and flushes it in another way from now on.
    ///
    /// # Errors
    ///
    /// If each record is to be durable from now on, and those that are there cannot be made so.
    pub fn set_config(&mut self, config: LogConfig, now_ms: i64) -> Result<(), LogError> {
        self.config = config;
        if self.is_each_durable() && self.recovery_point < self.log_end_offset() {
            self.flush(now_ms)?;
        }
        Ok(())
    }

    /// What recovery took off the end, if anything.
    #[must_use]
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// The first offset that readers may see.
    #[must_use]
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn log_end_offset(&self) -> i64 {
        self.segments.active.next_offset()
    }

    /// Up to where compaction has been everywhere; `None` if the log is not compacted.
    #[must_use]
    pub fn first_dirty_offset(&self) -> Option<i64> {
        self.config.compact.then_some(self.first_dirty_offset)
    }

    /// Up to where the log is durable.
    #[must_use]
    pub fn recovery_point(&self) -> i64 {
        self.recovery_point
    }

    /// Bytes of batches in all segments.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.segments.size()
    }

    /// How many segments there are.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.segments.iter().count()
    }

    /// Appends one or more whole batches as the leader of this epoch, which gives them offsets.
    ///
    /// The batches are stored as they are but for base offset, leader epoch and, where the topic says
    /// so, the timestamp of the log; their records are not looked at. All of them are appended or none.
    ///
    /// # Errors
    ///
    /// If a batch is not acceptable, the disk fails, or has failed before. The log is then as it was.
    pub fn append(
        &mut self,
        batches: &[u8],
        origin: AppendOrigin,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<AppendInfo, LogError> {
        self.append_sound(SoundBatches::check(batches)?, origin, leader_epoch, now_ms)
    }

    /// As [`append`](Self::append), with checksums that are known to be right.
    pub(crate) fn append_sound(
        &mut self,
        batches: SoundBatches<'_>,
        origin: AppendOrigin,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<AppendInfo, LogError> {
        self.health.check()?;
        let SoundBatches {
            bytes: batches,
            mut headers,
        } = batches;
        if let Some(batch) = self.judge(&headers, batches, origin, now_ms)? {
            return Ok(batch);
        }
        let log_append_time_ms = self.stamp(&mut headers, batches, leader_epoch, now_ms)?;
        let base_offset = self.log_end_offset();
        self.write(&headers, batches, now_ms)?;
        Ok(AppendInfo {
            base_offset,
            last_offset: self.log_end_offset() - 1,
            log_append_time_ms,
            log_start_offset: self.log_start_offset,
            is_duplicate: false,
        })
    }

    /// Appends whole batches as a leader has stored them, offsets, epochs and all.
    ///
    /// # Errors
    ///
    /// If they do not continue this log, are damaged, or the disk fails. The log is then as it was.
    pub fn append_replicated(&mut self, batches: &[u8], now_ms: i64) -> Result<(), LogError> {
        self.health.check()?;
        let headers = SoundBatches::check(batches)?.headers;
        let mut log_end_offset = self.log_end_offset();
        for header in &headers {
            // Compaction on the leader leaves gaps, but nothing comes twice.
            if header.base_offset < log_end_offset {
                return Err(LogError::UnexpectedOffset {
                    offset: header.base_offset,
                    log_end_offset,
                });
            }
            log_end_offset = header.next_offset();
        }
        if headers.is_empty() {
            return Ok(());
        }
        self.write(&headers, batches, now_ms)
    }

    /// Finds the batches from the one that holds `offset` on, as many as fit into `max_bytes` and lie
    /// wholly below `end_offset` (the high watermark, the last stable offset or the log end offset, by
    /// who asks). The first one is given however large it is if `at_least_one`.
    ///
    /// Nothing at all is found at the end of the log, and nothing beyond the end of a segment.
    ///
    /// # Errors
    ///
    /// [`LogError::OffsetOutOfRange`] if `offset` is outside the log; or if the disk fails or a file is
    /// damaged.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        end_offset: i64,
        at_least_one: bool,
    ) -> Result<FetchData, LogError> {
        self.check_range(offset)?;
        if offset >= end_offset.min(self.log_end_offset()) {
            return Ok(FetchData::empty(offset));
        }
        if let Some(found) = self.tail.read(offset, max_bytes, end_offset, at_least_one) {
            return Ok(FetchData {
                source: Source::Memory(found.bytes),
                base_offset: found.base_offset,
                next_offset: found.next_offset,
            });
        }
        for segment in self.segments.starting_at(offset) {
            if let Some(found) = segment.locate(offset, max_bytes, end_offset, at_least_one)? {
                return Ok(FetchData {
                    source: Source::File {
                        file: Arc::clone(segment.file()?),
                        sound: Arc::clone(segment.sound()),
                        position: found.position,
                        len: found.len,
                    },
                    base_offset: found.base_offset,
                    next_offset: found.next_offset,
                });
            }
        }
        Ok(FetchData::empty(offset))
    }

    /// The first record whose timestamp is at least `timestamp`.
    ///
    /// # Errors
    ///
    /// If the disk fails, or the records of a batch cannot be read.
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
    ) -> Result<Option<TimestampedOffset>, LogError> {
        let (mut decompressor, mut buffer) = (Decompressor::new(), Vec::new());
        TimedBatch::search(
            |from| self.locate_timestamp(timestamp, from),
            |timed, batch| {
                timed
                    .first_record(batch, &mut decompressor, &mut buffer, DECOMPRESSED_MAX)
                    .map_err(TimedBatch::unreadable)
            },
        )
    }

    /// The first batch from an offset on whose highest timestamp is at least `timestamp`. It may turn out that no
    /// record of it is both that late and at or behind the first offset of the log.
    pub(crate) fn locate_timestamp(
        &self,
        timestamp: i64,
        from: i64,
    ) -> Result<Option<TimedBatch>, LogError> {
        let from = from.max(self.log_start_offset);
        for segment in self.segments.iter() {
            if segment.max_timestamp().timestamp < timestamp || segment.next_offset() <= from {
                continue;
            }
            if let Some(batch) = segment.find_by_time(timestamp, from)? {
                return Ok(Some(TimedBatch {
                    file: Arc::clone(segment.file()?),
                    batch,
                    timestamp,
                    log_start_offset: self.log_start_offset,
                }));
            }
        }
        Ok(None)
    }

    /// The first record that has the highest timestamp of the log.
    ///
    /// # Errors
    ///
    /// If the disk fails, or the records of a batch cannot be read.
    pub fn max_timestamp(&self) -> Result<Option<TimestampedOffset>, LogError> {
        match self.highest_timestamp() {
            Some(timestamp) => self.offset_for_timestamp(timestamp),
            None => Ok(None),
        }
    }

    /// The highest timestamp of the log, if a record has any.
    pub(crate) fn highest_timestamp(&self) -> Option<i64> {
        let segments = self.segments.iter();
        let highest = segments
            .map(|segment| segment.max_timestamp().timestamp)
            .max();
        highest.filter(|timestamp| *timestamp >= 0)
    }

    /// The epoch of the leader that appended last, -1 if the log never had a record.
    #[must_use]
    pub fn latest_epoch(&self) -> i32 {
        self.epochs.latest().unwrap_or(-1)
    }

    /// All epochs and where they began.
    #[must_use]
    pub fn epochs(&self) -> &[EpochStart] {
        self.epochs.entries()
    }

    /// The epoch of the leader that appended the record at this offset.
    #[must_use]
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        self.epochs.epoch_at(offset)
    }

    /// Where an epoch ended, by the rule of OffsetForLeaderEpoch (KIP-101, KIP-279).
    #[must_use]
    pub fn epoch_end_offset(&self, epoch: i32) -> EpochEnd {
        self.epochs.end_of(epoch, self.log_end_offset())
    }

    /// Up to where a reader of committed records may read: the high watermark, or the first record of a
    /// transaction that is open or whose marker is not below the high watermark.
    #[must_use]
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        self.producers
            .first_unstable_offset(high_watermark)
            .map_or(high_watermark, |first| first.min(high_watermark))
    }

    /// The aborted transactions that have a record from `offset` on and below `end_offset`, sorted by
    /// first offset.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn aborted_transactions(
        &self,
        offset: i64,
        end_offset: i64,
    ) -> Result<Vec<AbortedTransaction>, LogError> {
        let mut found = Vec::new();
        'segments: for segment in self.segments.starting_at(offset) {
            for aborted in segment.aborted()? {
                if aborted.last_offset >= offset && aborted.first_offset < end_offset {
                    found.push(aborted);
                }
                if aborted.last_stable_offset >= end_offset {
                    break 'segments;
                }
            }
        }
        found.sort_by_key(|aborted| aborted.first_offset);
        Ok(found)
    }

    /// Lets readers see nothing below `offset` any more, and removes the segments that lie wholly below.
    ///
    /// # Errors
    ///
    /// [`LogError::OffsetOutOfRange`] if `offset` is behind the end; or if the disk fails.
    pub fn delete_records_before(&mut self, offset: i64) -> Result<(), LogError> {
        if offset > self.log_end_offset() {
            return Err(self.out_of_range(offset));
        }
        if offset <= self.log_start_offset {
            return Ok(());
        }
        self.health.check()?;
        self.log_start_offset = offset;
        while self
            .segments
            .closed()
            .next()
            .is_some_and(|oldest| oldest.next_offset() <= offset)
        {
            self.remove_oldest()?;
        }
        self.forget_before_start()
    }

    /// Closes the active segment and begins another, unless it is empty.
    ///
    /// # Errors
    ///
    /// If the disk fails. The log is then as it was.
    pub fn roll(&mut self, now_ms: i64) -> Result<(), LogError> {
        self.health.check()?;
        if self.segments.active.size() == 0 {
            return Ok(());
        }
        self.roll_to(self.log_end_offset(), now_ms)
    }

    /// Makes all that was appended durable.
    ///
    /// # Errors
    ///
    /// If the disk fails; the log is offline then.
    pub fn flush(&mut self, now_ms: i64) -> Result<(), LogError> {
        let job = self.begin_flush()?;
        let result = job.run();
        self.finish_flush(&job, result, now_ms)
    }

    /// Gathers what must be synced to make durable all that was appended. See [`FlushJob`].
    ///
    /// # Errors
    ///
    /// If the log is offline, or a file cannot be opened.
    pub fn begin_flush(&self) -> Result<FlushJob, LogError> {
        self.begin_flush_to(self.log_end_offset())
    }

    /// The same for the closed segments alone: what a broker does after each roll, so that recovery
    /// need not read them.
    ///
    /// # Errors
    ///
    /// As [`begin_flush`](Self::begin_flush).
    pub fn begin_flush_closed(&self) -> Result<FlushJob, LogError> {
        self.begin_flush_to(self.segments.active.base_offset())
    }

    /// Whether there is a closed segment that is not known to be durable.
    #[must_use]
    pub fn has_unflushed_closed(&self) -> bool {
        self.closed_durable < self.segments.active.base_offset()
    }

    /// Whether there are as many records that are not durable as `flush.messages` allows: a flush is to
    /// follow before the last of them is acknowledged. The log leaves that to its owner, so that one flush
    /// serves all who have appended meanwhile.
    #[must_use]
    pub fn is_flush_owed(&self) -> bool {
        self.log_end_offset() - self.recovery_point >= self.config.flush_messages
    }

    /// Up to where there is nothing that a crash could take back against the flush policy: the end of the
    /// log, or where each record is to be durable, the end of those that are. Where there is one replica it
    /// is the high watermark.
    #[must_use]
    pub fn settled_offset(&self) -> i64 {
        match self.is_each_durable() {
            true => self.recovery_point,
            false => self.log_end_offset(),
        }
    }

    fn is_each_durable(&self) -> bool {
        self.config.flush_messages <= 1
    }

    /// Whether `flush.ms` has passed for a record that is not durable.
    #[must_use]
    pub fn is_flush_due(&self, now_ms: i64) -> bool {
        self.recovery_point < self.log_end_offset()
            && now_ms.saturating_sub(self.last_flush_ms) >= self.config.flush_ms
    }

    /// Notes what became of a flush.
    ///
    /// # Errors
    ///
    /// The failure of the job; the log is offline then.
    pub fn finish_flush(
        &mut self,
        job: &FlushJob,
        result: Result<(), DiskError>,
        now_ms: i64,
    ) -> Result<(), LogError> {
        if let Err(error) = result {
            self.health.fail(&error);
            return Err(error.into());
        }
        self.durable.names = self.durable.names.max(job.versions.names);
        self.durable.epochs = self.durable.epochs.max(job.versions.epochs);
        if job.versions.truncations == self.versions.truncations {
            self.recovery_point = self.recovery_point.max(job.up_to);
            self.closed_durable = self.closed_durable.max(job.closed_up_to);
            self.last_flush_ms = now_ms;
        }
        Ok(())
    }

    /// Cuts off all records from `offset` on, durably: what a follower does whose history is not that of
    /// its leader. A batch that holds `offset` goes whole.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn truncate_to(&mut self, offset: i64) -> Result<(), LogError> {
        self.health.check()?;
        if offset >= self.log_end_offset() {
            return Ok(());
        }
        if offset < self.segments.first_offset() {
            return self.restart_at(offset);
        }
        self.note_truncation(offset);
        let result = self.truncate_files(offset);
        self.offline_if_failed(result)?;
        let end = self.log_end_offset();
        self.log_start_offset = self.log_start_offset.min(end);
        self.recovery_point = self.recovery_point.min(end);
        self.closed_durable = self.closed_durable.min(self.segments.active.base_offset());
        self.first_dirty_offset = self.first_dirty_offset.min(end);
        self.producers =
            recovery::rebuild_producers(&self.disk, &self.dir, self.segments.iter(), end)?;
        Ok(())
    }

    /// Throws all records away; the next one gets `offset`. What a follower does that has fallen behind
    /// the first record of its leader.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn restart_at(&mut self, offset: i64) -> Result<(), LogError> {
        self.health.check()?;
        self.make(self.last_flush_ms)?;
        self.note_truncation(self.segments.first_offset().min(offset));
        let result = self.restart_files(offset);
        self.offline_if_failed(result)?;
        self.log_start_offset = offset;
        self.first_dirty_offset = offset;
        self.recovery_point = self.recovery_point.min(offset);
        self.closed_durable = self.closed_durable.min(offset);
        self.producers.clear();
        Ok(())
    }

    /// Removes the oldest segments that `retention.ms` or `retention.bytes` no longer want, or that lie
    /// below the first offset; none with a record at or above the high watermark. Closes the active
    /// segment when its time has come. Gives how many segments went.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn apply_retention(&mut self, high_watermark: i64, now_ms: i64) -> Result<usize, LogError> {
        self.health.check()?;
        let mut removed = 0;
        while self.is_oldest_expendable(high_watermark, now_ms) {
            if self.segments.closed().next().is_none() {
                // All of the log is old: it goes on in a new segment.
                self.roll(now_ms)?;
            }
            self.remove_oldest()?;
            removed += 1;
        }
        if removed > 0 {
            self.log_start_offset = self.log_start_offset.max(self.segments.first_offset());
            self.forget_before_start()?;
        }
        self.roll_if_due(now_ms)?;
        Ok(removed)
    }

    /// Closes the active segment if its first record is older than `segment.ms`, or than
    /// `max.compaction.lag.ms` in a log that is compacted.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn roll_if_due(&mut self, now_ms: i64) -> Result<(), LogError> {
        if self.segments.active.is_due(&self.config, now_ms) {
            self.roll(now_ms)?;
        }
        Ok(())
    }

    /// How much there is to be compacted; `None` if that is nothing, or the log is not compacted at all.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn dirtiness(
        &self,
        high_watermark: i64,
        now_ms: i64,
    ) -> Result<Option<Dirtiness>, LogError> {
        if !self.config.compact {
            return Ok(None);
        }
        let first_dirty = self.first_dirty_offset;
        let (mut clean, mut dirty, mut is_overdue) = (0, 0, false);
        for (segment, end_offset) in self.cleanable(high_watermark, now_ms) {
            if end_offset <= first_dirty {
                clean += segment.size();
                continue;
            }
            dirty += segment.size();
            if self.config.max_compaction_lag_ms < i64::MAX {
                let first = segment.first_timestamp()?;
                let age = now_ms.saturating_sub(first);
                is_overdue |= first > 0 && age > self.config.max_compaction_lag_ms;
            }
        }
        if dirty == 0 {
            return Ok(None);
        }
        let ratio = dirty as f64 / (clean + dirty) as f64;
        Ok(Some(Dirtiness {
            ratio,
            is_due: is_overdue || ratio > self.config.min_cleanable_dirty_ratio,
        }))
    }

    /// A round of compaction over this log as it is now, which runs without it: see [`Compaction`].
    ///
    /// Only what is durable is compacted, so that no record gives way to one that a crash takes back: the
    /// closed segments are flushed before, by [`begin_flush_closed`](Self::begin_flush_closed).
    ///
    /// # Errors
    ///
    /// If the log is offline or the disk fails.
    pub fn begin_compaction(
        &self,
        high_watermark: i64,
        now_ms: i64,
    ) -> Result<Compaction, LogError> {
        self.health.check()?;
        let cleanable = self.cleanable(high_watermark, now_ms);
        let durable = cleanable.take_while(|(_, end_offset)| *end_offset <= self.recovery_point);
        let sources = durable.map(|(segment, end_offset)| SourceSegment {
            path: segment.path().to_owned(),
            base_offset: segment.base_offset(),
            end_offset,
            size: segment.size(),
            index_sizes: segment.index_sizes(),
        });
        let sources: Vec<_> = sources.collect();
        let mut aborted = Vec::new();
        for segment in self.segments.iter() {
            aborted.extend(segment.aborted()?);
        }
        Ok(Compaction::new(Plan {
            disk: Arc::clone(&self.disk),
            dir: self.dir.clone(),
            config: self.config.clone(),
            first_dirty_offset: self.first_dirty_offset,
            end_offset: sources.last().map_or(0, |source| source.end_offset),
            sources,
            aborted,
            last_records: self.producers.last_records(),
            truncations: self.versions.truncations,
            now_ms,
        }))
    }

    /// Puts a segment that compaction has written in the place of those it was made from, durably. False if
    /// the log has changed so much meanwhile that it cannot be.
    ///
    /// # Errors
    ///
    /// If the disk fails; the log is offline then.
    pub fn replace_segments(&mut self, replacement: Replacement) -> Result<bool, LogError> {
        let base_offset = replacement.segment.base_offset();
        let bases = &replacement.replaced;
        let is_current =
            replacement.truncations == self.versions.truncations && self.segments.has_closed(bases);
        if !is_current || self.health.check().is_err() {
            compaction::discard(self.disk.as_ref(), &self.dir, base_offset);
            self.health.check()?;
            return Ok(false);
        }
        let (disk, dir) = (self.disk.as_ref(), &self.dir);
        let swapped = segment_swap::commit(disk, dir, base_offset)
            .and_then(|()| {
                segment_swap::remove_replaced(disk, dir, base_offset, bases.iter().copied())
            })
            .and_then(|()| segment_swap::finish(disk, dir, base_offset))
            .and_then(|()| self.remove_snapshots_of(bases))
            .map_err(LogError::from);
        self.offline_if_failed(swapped)?;
        self.tail.forget_below(replacement.end_offset);
        let mut segment = replacement.segment;
        segment.settle(&self.dir);
        self.segments.replace(bases, segment);
        Ok(true)
    }

    /// Notes that a round of compaction has ended, and up to where the log is clean since.
    pub fn finish_compaction(&mut self, compaction: &Compaction) {
        if let Some(offset) = compaction.clean_to()
            && compaction.truncations() == self.versions.truncations
        {
            self.first_dirty_offset = self.first_dirty_offset.max(offset);
        }
    }

    /// The segments that compaction may write anew, each with the base offset of the next: closed, below all
    /// transactions that are open or not replicated, and their dirty records older than
    /// `min.compaction.lag.ms`.
    fn cleanable(&self, high_watermark: i64, now_ms: i64) -> impl Iterator<Item = (&Segment, i64)> {
        let stable = self.last_stable_offset(high_watermark);
        let ends = self.segments.iter().skip(1).map(Segment::base_offset);
        let min_lag_ms = self.config.min_compaction_lag_ms;
        let newest = now_ms.saturating_sub(min_lag_ms);
        self.segments
            .closed()
            .zip(ends)
            .take_while(move |(segment, end_offset)| {
                let is_young = min_lag_ms > 0 && segment.max_timestamp().timestamp > newest;
                *end_offset <= stable && (*end_offset <= self.first_dirty_offset || !is_young)
            })
    }

    /// Removes the snapshots at the beginning of segments that were joined to the one before them.
    fn remove_snapshots_of(&self, bases: &[i64]) -> Result<(), DiskError> {
        for base in bases.iter().skip(1) {
            let path = file_name::at_offset(&self.dir, *base, file_name::PRODUCER_SNAPSHOT);
            self.disk.remove_file(&path)?;
        }
        Ok(())
    }

    /// Forgets what only saves time: producers that were silent for `producer.id.expiration.ms`, ended
    /// transactions below the high watermark, and open files, the active segment's too if nothing was appended
    /// since the last time.
    pub fn forget_idle(&mut self, high_watermark: i64, now_ms: i64) {
        let end = self.log_end_offset();
        let is_idle = self.idle_since == end && self.unmade.is_none();
        self.segments.release_files(is_idle);
        self.idle_since = end;
        let silent_since = now_ms.saturating_sub(self.config.producer_id_expiration_ms);
        self.producers.expire(silent_since);
        self.release_ended(high_watermark);
    }

    /// Forgets ended transactions whose marker is below the high watermark: they hold no reader back.
    pub fn release_ended(&mut self, high_watermark: i64) {
        self.producers.release_ended(high_watermark);
    }

    /// Who writes here with a producer id.
    #[must_use]
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        self.producers.active()
    }

    /// Makes all durable and leaves word for the next owner, who may then open the log as cleanly shut
    /// down.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn close(mut self, now_ms: i64) -> Result<ClosedLog, LogError> {
        self.health.check()?;
        if self.unmade.is_none() {
            self.segments.active.close_indexes()?;
            let snapshot = self.write_snapshot()?;
            self.flush_closing(snapshot, now_ms)?;
        }
        Ok(ClosedLog {
            log_start_offset: self.log_start_offset,
            log_end_offset: self.log_end_offset(),
        })
    }

    /// The answer for a batch that need not be appended; `None` if it is to be.
    fn judge(
        &self,
        headers: &[BatchHeader],
        mut bytes: &[u8],
        origin: AppendOrigin,
        now_ms: i64,
    ) -> Result<Option<AppendInfo>, LogError> {
        for header in headers {
            validation::check_leader(header, &self.config)?;
        }
        match origin {
            AppendOrigin::Client => {
                validation::check_client(headers, &self.config, now_ms)?;
                for header in headers {
                    if let Verdict::Duplicate(batch) = self.producers.judge(header)? {
                        return Ok(Some(self.duplicate(batch)));
                    }
                }
            }
            AppendOrigin::Coordinator => {
                for header in headers {
                    let (batch, rest) = bytes
                        .split_at_checked(header.total_len())
                        .unwrap_or((bytes, &[]));
                    if header.attributes.is_control()
                        && let Some(marker) = transaction_marker::decode(header, batch)
                    {
                        self.producers.judge_marker(&marker)?;
                    } else {
                        self.producers.judge_epoch(header)?;
                    }
                    bytes = rest;
                }
            }
        }
        Ok(None)
    }

    fn duplicate(&self, batch: producer_state::ProducedBatch) -> AppendInfo {
        let by_log = self.config.message_timestamp_type == TimestampType::LogAppendTime;
        AppendInfo {
            base_offset: batch.first_offset(),
            last_offset: batch.last_offset,
            log_append_time_ms: if by_log { batch.timestamp } else { -1 },
            log_start_offset: self.log_start_offset,
            is_duplicate: true,
        }
    }

    /// Gives the heads of batches their offsets, epoch and, where the topic says so, time and the
    /// checksum that goes with it. The time is given back, or -1.
    fn stamp(
        &self,
        headers: &mut [BatchHeader],
        mut batches: &[u8],
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<i64, LogError> {
        let by_log = self.config.message_timestamp_type == TimestampType::LogAppendTime;
        let mut next_offset = self.log_end_offset();
        for header in headers {
            if by_log && let Some((batch, rest)) = batches.split_at_checked(header.total_len()) {
                let corrupt = |error| LogError::CorruptBatch {
                    reason: InvalidBatch::Header(error),
                };
                let mut batch = batch.to_vec();
                if set_log_append_time(&mut batch, now_ms).is_ok() {
                    *header = BatchHeader::decode(&batch).map_err(corrupt)?;
                }
                batches = rest;
            }
            header.base_offset = next_offset;
            header.partition_leader_epoch = leader_epoch;
            next_offset = header.next_offset();
        }
        Ok(if by_log { now_ms } else { -1 })
    }

    /// Writes batches with these final heads in the place of their own, and takes note of them.
    fn write(
        &mut self,
        headers: &[BatchHeader],
        bytes: &[u8],
        now_ms: i64,
    ) -> Result<(), LogError> {
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Ok(());
        };
        if bytes.len() > self.config.segment_bytes {
            return Err(LogError::LargerThanSegment {
                size: bytes.len(),
                max: self.config.segment_bytes,
            });
        }
        self.make(now_ms)?;
        if self.segments.active.is_full_for(
            bytes.len(),
            last.last_offset(),
            last.max_timestamp,
            &self.config,
            now_ms,
        ) {
            self.roll_to(first.base_offset, now_ms)?;
        }
        if let Err(failure) =
            self.segments
                .active
                .append(bytes, headers, self.config.index_interval_bytes)
        {
            if !failure.is_undone {
                self.health.fail(&failure.error);
            }
            return Err(failure.error.into());
        }
        self.note(headers, bytes)
    }

    /// Makes the directory and the first segment if there are none. The directory is durable then, with
    /// the topic that it is of: records must not turn up under the name of a later one.
    fn make(&mut self, now_ms: i64) -> Result<(), LogError> {
        let Some(topic_id) = self.unmade else {
            return Ok(());
        };
        let offset = self.log_end_offset();
        let made = log_dir::make_partition(&self.disk, &self.dir, topic_id).and_then(|()| {
            let first = Segment::create(&self.disk, &self.dir, offset, now_ms)?;
            self.segments.active = first;
            Ok(())
        });
        match made {
            // Begun again with the next record, as if it never had been.
            Err(LogError::Disk(error)) if error.is_full() => return Err(error.into()),
            made => self.offline_if_failed(made)?,
        }
        self.versions.names += 1;
        self.unmade = None;
        Ok(())
    }

    /// Takes note of batches that are written.
    fn note(&mut self, headers: &[BatchHeader], bytes: &[u8]) -> Result<(), LogError> {
        let mut begun = false;
        for (header, batch) in headers.iter().zip(split_batches(bytes, headers)) {
            begun |= self
                .epochs
                .assign(header.partition_leader_epoch, header.base_offset);
            if let Some(aborted) = recovery::note_producer(&mut self.producers, header, batch) {
                self.segments.active.note_aborted(aborted);
            }
            self.tail.push(header, batch);
        }
        if begun {
            self.write_epochs()?;
        }
        Ok(())
    }

    /// Writes the epochs. A failure is fatal: recovery would make them again, but only after a restart.
    fn write_epochs(&mut self) -> Result<(), LogError> {
        self.versions.epochs = self.epochs.version();
        self.versions.names += 1;
        if let Err(error) = self.epochs.write() {
            self.health.fail(&error);
            return Err(error.into());
        }
        Ok(())
    }

    fn roll_to(&mut self, base_offset: i64, now_ms: i64) -> Result<(), LogError> {
        // One that is missing before one that is there would be a hole, and end the log.
        self.sync_names()?;
        if self.segments.active.size() == 0 {
            // Nothing could be found in it: the next one takes its place.
            let next = Segment::create(&self.disk, &self.dir, base_offset, now_ms)?;
            self.disk.sync_dir(&self.dir)?;
            let empty = std::mem::replace(&mut self.segments.active, next);
            self.versions.names += 1;
            return Ok(empty.remove()?);
        }
        self.segments.active.close_indexes()?;
        let snapshot = self.write_snapshot()?;
        if self.flush_before_roll {
            self.flush_closing(snapshot, now_ms)?;
        }
        let next = Segment::create(&self.disk, &self.dir, base_offset, now_ms)?;
        self.segments.roll(next);
        self.versions.names += 1;
        Ok(())
    }

    /// Makes all durable, the indexes of the active segment and the snapshot behind it included.
    fn flush_closing(&mut self, snapshot: Arc<dyn DiskFile>, now_ms: i64) -> Result<(), LogError> {
        self.versions.names += 1;
        let mut job = self.begin_flush()?;
        job.files.extend(self.segments.active.index_files()?);
        job.files.push(snapshot);
        let result = job.run();
        self.finish_flush(&job, result, now_ms)
    }

    /// Makes durable which files there are.
    fn sync_names(&mut self) -> Result<(), LogError> {
        if self.durable.names != self.versions.names {
            let result = self.disk.sync_dir(&self.dir).map_err(LogError::from);
            self.offline_if_failed(result)?;
            self.durable.names = self.versions.names;
        }
        Ok(())
    }

    /// Writes down who wrote last. Without producers too: a log that says so need not be read for them.
    fn write_snapshot(&self) -> Result<Arc<dyn DiskFile>, LogError> {
        let path = file_name::at_offset(
            &self.dir,
            self.log_end_offset(),
            file_name::PRODUCER_SNAPSHOT,
        );
        let content = producer_snapshot::encode(&self.producers);
        replace_file(self.disk.as_ref(), &path, &content, false)?;
        Ok(self.disk.open(&path, OpenMode::Existing)?)
    }

    fn begin_flush_to(&self, offset: i64) -> Result<FlushJob, LogError> {
        self.health.check()?;
        if self.unmade.is_some() {
            return Ok(FlushJob::nothing(offset));
        }
        let mut files = Vec::new();
        let from = self.recovery_point.min(self.closed_durable);
        for segment in self.segments.starting_at(from) {
            if segment.base_offset() >= offset && segment.size() > 0 {
                break;
            }
            files.push(Arc::clone(segment.file()?));
            if segment.base_offset() != self.segments.active.base_offset() {
                files.extend(segment.index_files()?);
            }
        }
        if self.versions.epochs != self.durable.epochs {
            files.push(self.epochs.file()?);
        }
        let dir = (self.versions.names != self.durable.names)
            .then(|| (Arc::clone(&self.disk), self.dir.clone()));
        Ok(FlushJob {
            files,
            dir,
            up_to: offset,
            closed_up_to: self.segments.active.base_offset(),
            versions: self.versions,
        })
    }

    fn note_truncation(&mut self, offset: i64) {
        if offset < self.recovery_point {
            self.recovery_point = offset;
            self.flush_before_roll = true;
        }
        self.versions.truncations += 1;
        self.versions.names += 1;
        self.tail.clear();
    }

    fn truncate_files(&mut self, offset: i64) -> Result<(), LogError> {
        while self.segments.active.base_offset() > offset {
            if !self.segments.remove_active()? {
                break;
            }
            // One by one, so that a crash on the way leaves no hole.
            self.disk.sync_dir(&self.dir)?;
        }
        self.segments.active.truncate_to(offset, &self.config)?;
        let end = self.log_end_offset();
        if recovery::remove_snapshots_behind(self.disk.as_ref(), &self.dir, end)? {
            self.disk.sync_dir(&self.dir)?;
        }
        self.epochs.truncate_from_end(end);
        self.write_epochs()
    }

    fn restart_files(&mut self, offset: i64) -> Result<(), LogError> {
        while self.segments.remove_active()? {
            self.disk.sync_dir(&self.dir)?;
        }
        recovery::remove_snapshots_behind(self.disk.as_ref(), &self.dir, -1)?;
        let now_ms = self.last_flush_ms;
        let next = Segment::create(&self.disk, &self.dir, offset, now_ms)?;
        let last = std::mem::replace(&mut self.segments.active, next);
        if last.base_offset() != offset {
            last.remove()?;
        }
        self.disk.sync_dir(&self.dir)?;
        self.epochs.truncate_from_end(0);
        self.write_epochs()
    }

    /// A change of files that failed half-way leaves a log that only a restart can make sense of.
    fn offline_if_failed(&self, result: Result<(), LogError>) -> Result<(), LogError> {
        if let Err(LogError::Disk(error)) = &result {
            self.health.fail(error);
        }
        result
    }

    fn is_oldest_expendable(&self, high_watermark: i64, now_ms: i64) -> bool {
        let Some(oldest) = self.segments.iter().next() else {
            return false;
        };
        if oldest.size() == 0 || oldest.next_offset() > high_watermark {
            return false;
        }
        if self.segments.closed().next().is_some() && oldest.next_offset() <= self.log_start_offset
        {
            return true;
        }
        if !self.config.delete {
            return false;
        }
        let config = &self.config;
        let age = now_ms.saturating_sub(oldest.max_timestamp().timestamp);
        let is_old = config.retention_ms >= 0
            && oldest.max_timestamp().timestamp >= 0
            && age > config.retention_ms;
        let is_too_much = u64::try_from(config.retention_bytes)
            .is_ok_and(|limit| self.size().saturating_sub(limit) >= oldest.size());
        is_old || is_too_much
    }

    /// Removes the oldest segment, durably, so that a crash never brings it back behind a hole.
    fn remove_oldest(&mut self) -> Result<(), LogError> {
        let Some(oldest) = self.segments.pop_oldest() else {
            return Ok(());
        };
        let result = oldest
            .remove()
            .and_then(|()| self.disk.sync_dir(&self.dir))
            .map_err(LogError::from);
        self.offline_if_failed(result)
    }

    /// Lets epochs and snapshots begin where the log begins.
    fn forget_before_start(&mut self) -> Result<(), LogError> {
        let version = self.epochs.version();
        self.epochs.truncate_from_start(self.log_start_offset);
        if self.epochs.version() != version {
            self.write_epochs()?;
        }
        let snapshots = recovery::snapshots(self.disk.as_ref(), &self.dir)?;
        let newest = snapshots.last().copied().unwrap_or(i64::MAX);
        for at in snapshots.range(..self.segments.first_offset()) {
            if *at < newest {
                let path = file_name::at_offset(&self.dir, *at, file_name::PRODUCER_SNAPSHOT);
                self.disk.remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn check_range(&self, offset: i64) -> Result<(), LogError> {
        if (self.log_start_offset..=self.log_end_offset()).contains(&offset) {
            return Ok(());
        }
        Err(self.out_of_range(offset))
    }

    fn out_of_range(&self, offset: i64) -> LogError {
        LogError::OffsetOutOfRange {
            offset,
            log_start_offset: self.log_start_offset,
            log_end_offset: self.log_end_offset(),
        }
    }
}

/// What a log that was closed leaves for the checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClosedLog {
    /// The first offset.
    pub log_start_offset: i64,
    /// The offset behind the last record, up to which all is durable.
    pub log_end_offset: i64,
}
