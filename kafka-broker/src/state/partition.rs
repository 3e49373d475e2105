//! One partition that this broker leads: its log behind a lock, and who waits for more of it.
//!
//! There is one replica, so that everything appended is committed: the high watermark is the end of
//! the log. Knows no requests.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};

use bytestring::ByteString;
use kafka_protocol::compression::DECOMPRESSED_MAX;

use crate::log::{
    AbortedTransaction, ActiveProducer, AppendInfo, AppendOrigin, CompactionStats, EpochEnd,
    FetchData, FlushJob, Log, LogConfig, LogError, PartitionCheckpoint, SoundBatches, TimedBatch,
    TimestampedOffset, TopicPartition,
};
use crate::state::unpackers::{SMALL_MAX, Unpacker, Unpackers, is_too_large};

/// A partition.
#[derive(Debug)]
pub(crate) struct Partition {
    /// The name of its topic.
    pub(crate) topic: ByteString,
    /// The id of its topic.
    /// Its number in the topic.
    pub(crate) index: i32,
    /// How often it got a leader, beginning with 0.
    pub(crate) leader_epoch: i32,
    /// `None` once the partition is gone from this broker.
    log: RwLock<Option<Log>>,
    watchers: Mutex<Vec<Weak<dyn Watcher>>>,
    /// Held by whoever makes appends durable, for all who wait meanwhile.
    flushing: Mutex<()>,
    /// Set once compaction has failed.
    is_uncleanable: AtomicBool,
}

/// Someone who waits for news of partitions.
pub(crate) trait Watcher: fmt::Debug + Send + Sync {
    /// Batches of this many bytes were appended.
    fn handle_append(&self, bytes: usize);

    /// Something else has changed: look again.
    fn handle_change(&self);
}

/// Where a partition begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The first offset that readers may see.
    pub(crate) log_start_offset: i64,
    /// The offset behind the last record that all replicas have.
    pub(crate) high_watermark: i64,
    /// Up to where a reader of committed records may read.
    pub(crate) last_stable_offset: i64,
}

/// How to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadRequest {
    /// From where.
    pub(crate) offset: i64,
    /// How much.
    pub(crate) max_bytes: usize,
    /// Whether the first batch is given however large it is.
    pub(crate) at_least_one: bool,
    /// Whether to stop before transactions that are open.
    pub(crate) committed: bool,
}

/// What a read found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Batches, perhaps still on the disk.
    pub(crate) data: FetchData,
    /// Where the partition began and ended.
    pub(crate) marks: Marks,
    /// For a reader of committed records, the transactions that it must skip.
    pub(crate) aborted: Option<Vec<AbortedTransaction>>,
}

/// Why a partition refuses.
#[derive(Debug)]
pub(crate) enum PartitionError {
    /// It was deleted, or the broker stops.
    Gone,
    /// Its log refuses.
    Log(LogError),
}

impl From<LogError> for PartitionError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl fmt::Display for PartitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the partition is gone"),
            Self::Log(error) => {
                error.fmt(f)?;
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                Ok(())
            }
        }
    }
}

impl Partition {
    /// The partition over this log.
    pub(crate) fn new(topic: ByteString, index: i32, leader_epoch: i32, log: Log) -> Self {
        let log = RwLock::new(Some(log));
        Self {
            topic,
            index,
            leader_epoch,
            log,
            watchers: Mutex::default(),
            flushing: Mutex::default(),
            is_uncleanable: AtomicBool::new(false),
        }
    }

    /// Appends batches and wakes who waits for them. Compares their checksums without the lock.
    pub(crate) fn append(
        &self,
        batches: &[u8],
        origin: AppendOrigin,
        now_ms: i64,
    ) -> Result<AppendInfo, PartitionError> {
        self.append_sound(SoundBatches::check(batches)?, origin, now_ms)
    }

    /// As [`Partition::append`], with checksums that are known to be right.
    pub(crate) fn append_sound(
        &self,
        batches: SoundBatches<'_>,
        origin: AppendOrigin,
        now_ms: i64,
    ) -> Result<AppendInfo, PartitionError> {
        let len = batches.bytes.len();
        let epoch = self.leader_epoch;
        let info = self.write(|log| log.append_sound(batches, origin, epoch, now_ms))?;
        self.flush_if_owed(info.last_offset + 1, now_ms)?;
        if !info.is_duplicate {
            self.tell(|watcher| watcher.handle_append(len));
        }
        Ok(info)
    }

    /// Appends the marker that ends a transaction, and wakes who waits for what it lets go.
    pub(crate) fn append_marker(&self, marker: &[u8], now_ms: i64) -> Result<(), PartitionError> {
        let origin = AppendOrigin::Coordinator;
        let info = self.write(|log| log.append(marker, origin, self.leader_epoch, now_ms))?;
        self.flush_if_owed(info.last_offset + 1, now_ms)?;
        self.write(|log| {
            log.release_ended(log.settled_offset());
            Ok(())
        })?;
        // Far more may be readable now than was appended.
        self.tell(|watcher| watcher.handle_change());
        Ok(())
    }

    /// Who writes here with a producer id.
    pub(crate) fn active_producers(&self) -> Result<Vec<ActiveProducer>, PartitionError> {
        self.with(|log| Ok(log.active_producers()))
    }

    /// Looks for batches.
    pub(crate) fn read(&self, request: ReadRequest) -> Result<Found, PartitionError> {
        self.with(|log| {
            let marks = marks(log);
            let end = if request.committed {
                marks.last_stable_offset
            } else {
                marks.high_watermark
            };
            let ReadRequest {
                offset,
                max_bytes,
                at_least_one,
                ..
            } = request;
            let data = log.read(offset, max_bytes, end, at_least_one)?;
            let aborted = if request.committed {
                Some(log.aborted_transactions(offset, data.next_offset)?)
            } else {
                None
            };
            Ok(Found {
                data,
                marks,
                aborted,
            })
        })
    }

    /// How many bytes its log has.
    pub(crate) fn size(&self) -> Result<u64, PartitionError> {
        self.with(|log| Ok(log.size()))
    }

    /// Where the partition begins and ends now.
    pub(crate) fn marks(&self) -> Result<Marks, PartitionError> {
        self.with(|log| Ok(marks(log)))
    }

    /// The epoch of the leader that appended the record at this offset.
    pub(crate) fn epoch_at(&self, offset: i64) -> Result<Option<i32>, PartitionError> {
        self.with(|log| Ok(log.epoch_at(offset)))
    }

    /// Where an epoch ended; that of the leader ends where the log does, even before its first record.
    pub(crate) fn epoch_end_offset(&self, epoch: i32) -> Result<EpochEnd, PartitionError> {
        self.with(|log| {
            if epoch == self.leader_epoch {
                return Ok(EpochEnd {
                    epoch,
                    end_offset: log.settled_offset(),
                });
            }
            Ok(log.epoch_end_offset(epoch))
        })
    }

    /// The first record at or after a time. Reads and unpacks batches without the lock.
    pub(crate) fn offset_for_timestamp(
        &self,
        timestamp: i64,
        unpackers: &Unpackers,
    ) -> Result<Option<TimestampedOffset>, PartitionError> {
        TimedBatch::search(
            |from| self.with(|log| log.locate_timestamp(timestamp, from)),
            |timed, batch| {
                let look = |unpacker: &mut Unpacker, limit| {
                    let Unpacker {
                        decompressor,
                        buffer,
                    } = unpacker;
                    timed.first_record(batch, decompressor, buffer, limit)
                };
                // It is what is large that takes a turn, not whoever waits for the disk.
                let found = match unpackers.lend(|unpacker| look(unpacker, SMALL_MAX)) {
                    Err(error) if is_too_large(&error) => unpackers
                        .lend_in_turn(|unpacker| look(unpacker, DECOMPRESSED_MAX))
                        .ok_or(PartitionError::Gone)?,
                    found => found,
                };
                Ok(found.map_err(TimedBatch::unreadable)?)
            },
        )
    }

    /// The record with the highest timestamp.
    pub(crate) fn max_timestamp(
        &self,
        unpackers: &Unpackers,
    ) -> Result<Option<TimestampedOffset>, PartitionError> {
        match self.with(|log| Ok(log.highest_timestamp()))? {
            Some(timestamp) => self.offset_for_timestamp(timestamp, unpackers),
            None => Ok(None),
        }
    }

    /// Lets readers see nothing below `offset`. Gives the first offset that they see.
    pub(crate) fn delete_records_before(&self, offset: i64) -> Result<i64, PartitionError> {
        let start = self.write(|log| {
            log.delete_records_before(offset)?;
            Ok(log.log_start_offset())
        })?;
        self.tell(|watcher| watcher.handle_change());
        Ok(start)
    }

    /// Keeps the log in another way from now on.
    pub(crate) fn set_config(&self, config: LogConfig, now_ms: i64) -> Result<(), PartitionError> {
        self.write(|log| log.set_config(config, now_ms))
    }

    /// Lets go of what is too old or too much. Gives how many segments went.
    pub(crate) fn apply_retention(&self, now_ms: i64) -> Result<usize, PartitionError> {
        self.write(|log| {
            let high_watermark = log.settled_offset();
            let removed = log.apply_retention(high_watermark, now_ms)?;
            log.forget_idle(high_watermark, now_ms);
            Ok(removed)
        })
    }

    /// Makes durable what is due: closed segments always, the rest by `flush.ms`. Waits for the disk
    /// without the lock.
    pub(crate) fn flush_due(&self, now_ms: i64) -> Result<(), PartitionError> {
        let job = self.with(|log| {
            if log.is_flush_due(now_ms) {
                log.begin_flush().map(Some)
            } else if log.has_unflushed_closed() {
                log.begin_flush_closed().map(Some)
            } else {
                Ok(None)
            }
        })?;
        job.map_or(Ok(()), |job| self.run(&job, now_ms))
    }

    /// Makes all durable. Waits for the disk without the lock.
    pub(crate) fn flush(&self, now_ms: i64) -> Result<(), PartitionError> {
        let job = self.with(Log::begin_flush)?;
        self.run(&job, now_ms)
    }

    /// What the checkpoints say of it.
    pub(crate) fn checkpoint(&self) -> Result<PartitionCheckpoint, PartitionError> {
        self.with(|log| {
            Ok(PartitionCheckpoint {
                name: TopicPartition::new(self.topic.to_string(), self.index)?,
                recovery_point: log.recovery_point(),
                log_start_offset: log.log_start_offset(),
                high_watermark: marks(log).high_watermark,
                first_dirty_offset: log.first_dirty_offset(),
            })
        })
    }

    /// How much compaction could do for the log now, as a share of it; `None` if it is not due.
    pub(crate) fn dirty_ratio(&self, now_ms: i64) -> Result<Option<f64>, PartitionError> {
        if self.is_uncleanable.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let is_to_roll = self.with(|log| Ok(log.config().compact))?;
        if is_to_roll {
            self.write(|log| log.roll_if_due(now_ms))?;
        }
        let dirtiness = self.with(|log| log.dirtiness(marks(log).high_watermark, now_ms))?;
        Ok(dirtiness
            .filter(|dirtiness| dirtiness.is_due)
            .map(|dirtiness| dirtiness.ratio))
    }

    /// Compacts the log, holding at most `max_bytes` of keys, unless `goes_on` says that it is to stop.
    /// Appends and reads go on meanwhile. After a failure it is not tried again.
    pub(crate) fn compact(
        &self,
        max_bytes: usize,
        now_ms: i64,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<CompactionStats, PartitionError> {
        let done = self.compact_segments(max_bytes, now_ms, goes_on);
        if let Err(PartitionError::Log(_)) = &done {
            // Of a partition that was deleted under way the files are gone.
            self.with(|_| Ok(()))?;
            self.is_uncleanable.store(true, Ordering::Relaxed);
        }
        done
    }

    fn compact_segments(
        &self,
        max_bytes: usize,
        now_ms: i64,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<CompactionStats, PartitionError> {
        if self.with(|log| Ok(log.has_unflushed_closed()))? {
            let job = self.with(Log::begin_flush_closed)?;
            self.run(&job, now_ms)?;
        }
        let mut compaction =
            self.with(|log| log.begin_compaction(marks(log).high_watermark, now_ms))?;
        compaction.index(max_bytes, goes_on)?;
        while let Some(replacement) = compaction.next_segment(goes_on)? {
            if !self.write(|log| log.replace_segments(replacement))? {
                compaction.stop();
            }
        }
        self.write(|log| {
            log.finish_compaction(&compaction);
            Ok(())
        })?;
        Ok(compaction.stats())
    }

    /// Takes the log out; whoever asks for something later is told that it is gone.
    pub(crate) fn take_log(&self) -> Option<Log> {
        let log = self
            .log
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.tell(|watcher| watcher.handle_change());
        log
    }

    /// From now on the watcher is told of this partition, as long as it lives.
    pub(crate) fn watch(&self, watcher: &Arc<dyn Watcher>) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.push(Arc::downgrade(watcher));
    }

    /// The watcher wants to hear no more.
    pub(crate) fn unwatch(&self, watcher: &Arc<dyn Watcher>) {
        let leaving = Arc::downgrade(watcher);
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|one| !one.ptr_eq(&leaving));
    }

    /// Makes what was appended up to `offset` durable if `flush.messages` asks for it: by one flush for all
    /// who have appended while the one before was under way.
    fn flush_if_owed(&self, offset: i64, now_ms: i64) -> Result<(), PartitionError> {
        let is_owed = || self.with(|log| Ok(log.is_flush_owed() && log.recovery_point() < offset));
        if !is_owed()? {
            return Ok(());
        }
        let _turn = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        if is_owed()? {
            self.flush(now_ms)?;
        }
        Ok(())
    }

    fn run(&self, job: &FlushJob, now_ms: i64) -> Result<(), PartitionError> {
        let result = job.run();
        self.write(|log| log.finish_flush(job, result, now_ms))
    }

    fn tell(&self, news: impl Fn(&dyn Watcher)) {
        let watchers: Vec<_> = {
            let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
            watchers.iter().filter_map(Weak::upgrade).collect()
        };
        for watcher in watchers {
            news(watcher.as_ref());
        }
    }

    fn with<T>(&self, ask: impl FnOnce(&Log) -> Result<T, LogError>) -> Result<T, PartitionError> {
        let guard: RwLockReadGuard<'_, _> = self.log.read().map_err(|_| panicked())?;
        Ok(ask(guard.as_ref().ok_or(PartitionError::Gone)?)?)
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&mut Log) -> Result<T, LogError>,
    ) -> Result<T, PartitionError> {
        let mut guard = self.log.write().map_err(|_| panicked())?;
        Ok(change(guard.as_mut().ok_or(PartitionError::Gone)?)?)
    }
}

fn marks(log: &Log) -> Marks {
    let high_watermark = log.settled_offset();
    Marks {
        log_start_offset: log.log_start_offset(),
        high_watermark,
        last_stable_offset: log.last_stable_offset(high_watermark),
    }
}

/// A panic inside the log may have left it half-way: it must not be used any more.
fn panicked() -> PartitionError {
    LogError::Offline {
        cause: "a panic in the log".to_owned(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

    use super::*;
    use crate::log::{Disk, Fault, LogStart, MemoryDisk, Operation};

    const NOW: i64 = 1_760_000_000_000;

    fn flushed(disk: &MemoryDisk) -> Partition {
        let dir = Path::new("t-0");
        disk.create_dir(dir).unwrap();
        let config = LogConfig {
            flush_messages: 1,
            ..LogConfig::default()
        };
        let start = LogStart::default();
        let log = Log::open(Arc::new(disk.clone()), dir, config, start, NOW).unwrap();
        Partition::new("t".into(), 0, 0, log)
    }

    fn batch() -> Vec<u8> {
        let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
        batch.append(NOW, None, Some(b"value"), []).unwrap();
        batch.seal(ProducerStamp::NONE)
    }

    /// All who have appended while a sync is under way share the next one.
    #[test]
    fn one_sync_serves_all_who_wait_for_it() {
        let disk = MemoryDisk::journaled();
        let partition = flushed(&disk);
        // The first one begins an epoch and makes names durable besides.
        let append = || partition.append(&batch(), AppendOrigin::Client, NOW);
        append().unwrap();
        let before = disk.event_count();
        let end = || partition.with(|log| Ok(log.log_end_offset())).unwrap();
        std::thread::scope(|scope| {
            let sync = partition.flushing.lock().unwrap();
            let appends: Vec<_> = (0..8).map(|_| scope.spawn(append)).collect();
            while end() < 9 {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(partition.marks().unwrap().high_watermark, 1);
            assert!(appends.iter().all(|append| !append.is_finished()));
            drop(sync);
            for append in appends {
                append.join().unwrap().unwrap();
            }
        });
        assert_eq!(partition.marks().unwrap().high_watermark, 9);
        let writes = 8;
        let syncs = disk.event_count() - before - writes;
        assert_eq!(syncs, 1);
    }

    /// After a sync that failed nothing is acknowledged, and what was appended is not shown.
    #[test]
    fn nothing_is_acknowledged_after_a_failed_sync() {
        let disk = MemoryDisk::journaled();
        let partition = flushed(&disk);
        let append = || partition.append(&batch(), AppendOrigin::Client, NOW);
        append().unwrap();
        disk.inject(Fault::new(Operation::Sync, std::io::ErrorKind::Other));
        for _ in 0..3 {
            let refused = append().unwrap_err();
            let PartitionError::Log(error) = &refused else {
                panic!("{refused}");
            };
            let code = error.error_code();
            assert_eq!(code, kafka_protocol::ErrorCode::KAFKA_STORAGE_ERROR);
            assert!(refused.to_string().contains("sync"), "{refused}");
            assert_eq!(partition.marks().unwrap().high_watermark, 1);
        }
    }

    /// To read a batch may take long, and to unpack it too: who appends need not wait for it.
    #[test]
    fn who_looks_for_a_time_holds_no_append_up() {
        let disk = MemoryDisk::journaled();
        let partition = flushed(&disk);
        let append = || partition.append(&batch(), AppendOrigin::Client, NOW);
        append().unwrap();
        let unpackers = Unpackers::new(1);
        let find = || partition.offset_for_timestamp(NOW, &unpackers);
        let reads = (0..100).take_while(|nth| {
            disk.inject(Fault::new(Operation::Read, std::io::ErrorKind::Other).after(*nth));
            let is_failed = find().is_err();
            disk.heal();
            is_failed
        });
        let reads = reads.count();
        assert!(reads > 1, "the heads and the batch: {reads}");
        disk.inject(Fault::delay(Operation::Read, Duration::from_secs(2)).after(reads - 1));
        std::thread::scope(|scope| {
            let finding = scope.spawn(find);
            while disk.pending_faults() > 0 {
                std::thread::yield_now();
            }
            let before = std::time::Instant::now();
            append().unwrap();
            assert!(before.elapsed() < Duration::from_secs(1));
            assert!(!finding.is_finished(), "the last read is under way");
            let found = finding.join().unwrap().unwrap();
            assert_eq!(found.unwrap().offset, 0);
        });
    }
}
