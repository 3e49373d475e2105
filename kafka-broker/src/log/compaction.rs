//! Compaction: of all records with the same key only the last one is kept, at the offset that it had.
//!
//! The segments below the first that must be left alone are *cleanable*; those that the last round has
//! already been through are *clean*, the others *dirty*. A round learns from the dirty ones where each key
//! is found last, as far as memory allows, and then writes clean and dirty ones anew without what is
//! superseded, several small ones into one. What it reads does not change, so that it holds no lock: the
//! log is asked for a [`Compaction`], which runs by itself, and is told of each segment that is done.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::batch_filter::{BatchFilter, Codecs, Filtered, decode};
use crate::log::batch_scan::{BatchScan, ScannedBatch};
use crate::log::cleaned_transactions::CleanedTransactions;
use crate::log::config::LogConfig;
use crate::log::disk::{Disk, DiskFile, OpenMode};
use crate::log::error::{DiskError, LogError};
use crate::log::file_name::{self, CLEANED};
use crate::log::key_map::KeyMap;
use crate::log::producer_state::LastRecord;
use crate::log::segment::Segment;
use crate::log::transaction_index::AbortedTransaction;

/// How much of a log compaction could do something about.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Dirtiness {
    /// Bytes of dirty segments as a share of all that are clean or could be cleaned now.
    pub ratio: f64,
    /// Whether the log is to be compacted: `min.cleanable.dirty.ratio` is exceeded, or a record has waited
    /// for `max.compaction.lag.ms`.
    pub is_due: bool,
}

/// A round of compaction over one log.
#[derive(Debug)]
pub struct Compaction {
    plan: Plan,
    state: State,
    stats: CompactionStats,
}

/// What a round has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionStats {
    /// Bytes of the segments that were read.
    pub bytes_before: u64,
    /// Bytes of the segments that were written.
    pub bytes_after: u64,
    /// Segments that were read.
    pub segments_before: usize,
    /// Segments that were written.
    pub segments_after: usize,
}

/// What a log gives a round to go by.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) config: LogConfig,
    /// The cleanable segments, the oldest first.
    pub(crate) sources: Vec<SourceSegment>,
    pub(crate) first_dirty_offset: i64,
    /// The base offset of the first segment that is left alone.
    pub(crate) end_offset: i64,
    pub(crate) aborted: Vec<AbortedTransaction>,
    pub(crate) last_records: BTreeMap<i64, LastRecord>,
    /// How often the log had been truncated, after which its offsets mean other records.
    pub(crate) truncations: u64,
    pub(crate) now_ms: i64,
}

/// A segment that is read.
#[derive(Clone, Debug)]
pub(crate) struct SourceSegment {
    pub(crate) path: PathBuf,
    pub(crate) base_offset: i64,
    /// The base offset of the segment behind it.
    pub(crate) end_offset: i64,
    pub(crate) size: u64,
    pub(crate) index_sizes: (usize, usize),
}

/// A segment that takes the place of others, durable under a name that means nothing yet.
#[derive(Debug)]
#[must_use = "the log must be told of it"]
pub struct Replacement {
    pub(crate) segment: Segment,
    /// The base offsets of those that it replaces, the first of which is its own.
    pub(crate) replaced: Vec<i64>,
    pub(crate) end_offset: i64,
    pub(crate) truncations: u64,
}

#[derive(Debug)]
enum State {
    /// The keys are not known yet.
    Begun,
    /// These groups of segments are to be written anew.
    Indexed {
        filter: Box<BatchFilter>,
        groups: VecDeque<Vec<SourceSegment>>,
    },
    /// It was told to stop, or the log has changed under it.
    Stopped,
}

impl Compaction {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            state: State::Begun,
            stats: CompactionStats::default(),
        }
    }

    /// Learns where each key is found last, holding at most `max_bytes` of keys: what does not fit waits for
    /// the next round. Stops when `goes_on` says no.
    ///
    /// # Errors
    ///
    /// If the disk fails or a batch is damaged: this log cannot be compacted then.
    pub fn index(&mut self, max_bytes: usize, goes_on: &dyn Fn() -> bool) -> Result<(), LogError> {
        let Some(keys) = self.keys(max_bytes, goes_on)? else {
            self.state = State::Stopped;
            return Ok(());
        };
        let clean_to = keys.latest_offset().saturating_add(1);
        let plan = &self.plan;
        let read = plan.sources.iter();
        let read = read.filter(|source| source.base_offset < clean_to);
        let groups = groups(read.cloned().collect(), &plan.config);
        let filter = BatchFilter::new(
            keys,
            &plan.aborted,
            plan.last_records.clone(),
            plan.end_offset,
            plan.now_ms,
            plan.config.delete_retention_ms,
        );
        self.state = State::Indexed {
            filter: Box::new(filter),
            groups,
        };
        Ok(())
    }

    /// Writes the next segment anew; `None` when all are done, or `goes_on` says no.
    ///
    /// # Errors
    ///
    /// As [`index`](Self::index). Nothing of the segment is left then.
    pub fn next_segment(
        &mut self,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<Replacement>, LogError> {
        let State::Indexed { filter, groups } = &mut self.state else {
            return Ok(None);
        };
        let Some(group) = groups.pop_front() else {
            return Ok(None);
        };
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok(None);
        };
        let plan = &self.plan;
        let written = Rewriting::begin(plan, first.base_offset)
            .and_then(|rewriting| rewriting.run(&group, filter, last.end_offset, goes_on));
        match written {
            Ok(Some(segment)) => {
                self.stats.segments_before += group.len();
                self.stats.segments_after += 1;
                self.stats.bytes_before += group.iter().map(|source| source.size).sum::<u64>();
                self.stats.bytes_after += segment.size();
                Ok(Some(Replacement {
                    segment,
                    replaced: group.iter().map(|source| source.base_offset).collect(),
                    end_offset: last.end_offset,
                    truncations: plan.truncations,
                }))
            }
            stopped => {
                discard(plan.disk.as_ref(), &plan.dir, first.base_offset);
                self.state = State::Stopped;
                stopped.map(|_| None)
            }
        }
    }

    /// Stops here: the log has changed in a way that leaves nothing to be done.
    pub fn stop(&mut self) {
        self.state = State::Stopped;
    }

    /// What the round has come to so far.
    #[must_use]
    pub fn stats(&self) -> CompactionStats {
        self.stats
    }

    /// Up to where the log is clean now; `None` if the round did not get to its end.
    pub(crate) fn clean_to(&self) -> Option<i64> {
        match &self.state {
            State::Indexed { filter, groups } if groups.is_empty() => {
                Some(filter.keys.latest_offset().saturating_add(1))
            }
            _ => None,
        }
    }

    pub(crate) fn truncations(&self) -> u64 {
        self.plan.truncations
    }

    /// The keys of the dirty segments; `None` if the walk was stopped.
    fn keys(
        &self,
        max_bytes: usize,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<KeyMap>, LogError> {
        let plan = &self.plan;
        let mut keys = KeyMap::new(max_bytes);
        let mut codecs = Codecs::default();
        let dirty = plan.sources.iter();
        let dirty: Vec<_> = dirty
            .filter(|source| source.end_offset > plan.first_dirty_offset)
            .collect();
        // Of a transaction that has ended before, the walk would never meet the end.
        let from = dirty.first().map_or(0, |first| first.base_offset);
        let aborted = plan.aborted.iter();
        let aborted = aborted.filter(|aborted| aborted.last_offset >= from);
        let mut transactions = CleanedTransactions::new(aborted);
        for source in dirty {
            let Some(file) = source.open(plan.disk.as_ref())? else {
                return Ok(None);
            };
            let mut scan = BatchScan::of_batches(file.as_ref(), 0, source.size);
            while let Some(batch) = next_sound(&mut scan, file.as_ref())? {
                if !goes_on() {
                    return Ok(None);
                }
                let header = batch.header;
                let bytes = whole(&mut scan, file.as_ref(), &batch)?;
                let has_keys = if header.attributes.is_control() {
                    transactions.note_control(&header, bytes);
                    false
                } else {
                    !transactions.note_batch(&header)
                };
                if header.last_offset() < plan.first_dirty_offset {
                    continue;
                }
                // Whole batches, so that one more than fits is the most that is taken.
                if keys.is_full() {
                    return Ok(Some(keys));
                }
                if has_keys && header.record_count > 0 {
                    codecs.each(&decode(bytes)?, |record| {
                        if let Some(key) = record.key {
                            keys.insert(key, record.offset);
                        }
                    })?;
                }
                keys.advance_to(header.last_offset());
            }
            // An earlier round may have left nothing at the end.
            keys.advance_to(source.end_offset - 1);
        }
        Ok(Some(keys))
    }
}

impl SourceSegment {
    /// Its file; `None` if it was removed meanwhile, as retention does.
    fn open(&self, disk: &dyn Disk) -> Result<Option<Arc<dyn DiskFile>>, DiskError> {
        match disk.open(&self.path, OpenMode::Existing) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A segment that is being written from others.
struct Rewriting<'p> {
    plan: &'p Plan,
    segment: Segment,
    /// Batches that wait to be written together.
    waiting: Vec<u8>,
    headers: Vec<kafka_protocol::record::BatchHeader>,
}

impl<'p> Rewriting<'p> {
    fn begin(plan: &'p Plan, base_offset: i64) -> Result<Self, LogError> {
        Ok(Self {
            segment: Segment::create_cleaned(&plan.disk, &plan.dir, base_offset, plan.now_ms)?,
            plan,
            waiting: Vec::new(),
            headers: Vec::new(),
        })
    }

    /// Gives the segment, durable; `None` if it was stopped.
    fn run(
        mut self,
        group: &[SourceSegment],
        filter: &mut BatchFilter,
        end_offset: i64,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<Segment>, LogError> {
        for source in group {
            let Some(file) = source.open(self.plan.disk.as_ref())? else {
                return Ok(None);
            };
            let mut scan = BatchScan::of_batches(file.as_ref(), 0, source.size);
            while let Some(batch) = next_sound(&mut scan, file.as_ref())? {
                if !goes_on() {
                    return Ok(None);
                }
                let bytes = whole(&mut scan, file.as_ref(), &batch)?;
                let outcome = filter.apply(&batch.header, bytes)?;
                match outcome.batch {
                    Filtered::Whole => self.push(bytes)?,
                    Filtered::Rewritten(bytes) => self.push(&bytes)?,
                    Filtered::Nothing => {}
                }
                if let Some(aborted) = outcome.aborted {
                    self.segment.note_aborted(aborted);
                }
            }
        }
        self.write()?;
        self.segment.complete_cleaned(end_offset)?;
        self.plan.disk.sync_dir(&self.plan.dir)?;
        Ok(Some(self.segment))
    }

    fn push(&mut self, batch: &[u8]) -> Result<(), LogError> {
        self.headers.push(*decode(batch)?.header());
        self.waiting.extend_from_slice(batch);
        if self.waiting.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), LogError> {
        let interval = self.plan.config.index_interval_bytes;
        self.segment
            .append(&self.waiting, &self.headers, interval)
            .map_err(|failure| failure.error)?;
        self.waiting.clear();
        self.headers.clear();
        Ok(())
    }
}

/// The next batch of a file that is thought to be sound, with its checksum compared: a bit that fell over
/// must not be given a new checksum.
fn next_sound(
    scan: &mut BatchScan<'_>,
    file: &dyn DiskFile,
) -> Result<Option<ScannedBatch>, LogError> {
    let batch = scan.next().map_err(|error| error.in_file(file))?;
    if let Some(batch) = &batch {
        scan.verify(batch).map_err(|error| error.in_file(file))?;
    }
    Ok(batch)
}

fn whole<'s>(
    scan: &'s mut BatchScan<'_>,
    file: &dyn DiskFile,
    batch: &ScannedBatch,
) -> Result<&'s [u8], LogError> {
    scan.whole(batch).map_err(|error| error.in_file(file))
}

/// Segments that fit into one together.
fn groups(sources: Vec<SourceSegment>, config: &LogConfig) -> VecDeque<Vec<SourceSegment>> {
    let mut groups: VecDeque<Vec<SourceSegment>> = VecDeque::new();
    for source in sources {
        match groups.back_mut() {
            Some(group) if fits(group, &source, config) => group.push(source),
            _ => groups.push_back(vec![source]),
        }
    }
    groups
}

fn fits(group: &[SourceSegment], next: &SourceSegment, config: &LogConfig) -> bool {
    let Some(first) = group.first() else {
        return true;
    };
    let all = || group.iter().chain([next]);
    let size: u64 = all().map(|source| source.size).sum();
    let offsets: usize = all().map(|source| source.index_sizes.0).sum();
    let times: usize = all().map(|source| source.index_sizes.1).sum();
    size <= config.segment_bytes as u64
        && offsets <= config.segment_index_bytes
        && times <= config.segment_index_bytes
        && next.end_offset - first.base_offset <= i64::from(i32::MAX)
}

/// Removes what there is of a segment that will not be needed. What cannot be removed is swept up when the
/// log is opened.
pub(crate) fn discard(disk: &dyn Disk, dir: &Path, base_offset: i64) {
    for kind in [
        file_name::LOG,
        file_name::OFFSET_INDEX,
        file_name::TIME_INDEX,
        file_name::TRANSACTION_INDEX,
    ] {
        let path = file_name::at_offset(dir, base_offset, &format!("{kind}{CLEANED}"));
        let _ = disk.remove_file(&path);
    }
}

/// How many bytes are written at once.
const WRITE_BYTES: usize = 1 << 20;
