//! What is true after a crash: the longest run of sound batches, and what follows from it. It decides
//! nothing about what may be deleted later.
//!
//! The rules, each of which keeps a promise:
//!
//! * After a clean shutdown nothing is read but the end of the last segment. Otherwise every segment that
//!   reaches the recovery point, and always the last one, is read whole: each checksum, each offset.
//! * The first batch that is torn, damaged or out of order ends the log. It and all behind it go, and the
//!   cut is durable before anything is appended.
//! * Offsets are only skipped where compaction may have been: below the recovery point, in a compacted
//!   log, or where nothing is known of the log.
//! * Indexes, leader epochs and producers follow from the batches, and are made from them wherever a file
//!   is missing or cannot be right. The recovery point stays where it is, so that recovering twice is
//!   recovering once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kafka_protocol::record::BatchHeader;

use crate::log::batch_chain::{Expectation, sound_prefix};
use crate::log::batch_scan::{BatchScan, ScanError};
use crate::log::config::LogConfig;
use crate::log::disk::{Disk, OpenMode, read_file};
use crate::log::error::{DiskError, InvalidBatch, LogError};
use crate::log::file_name;
use crate::log::leader_epochs::LeaderEpochs;
use crate::log::producer_snapshot;
use crate::log::producer_state::ProducerState;
use crate::log::segment::Segment;
use crate::log::segment_swap;
use crate::log::segments::Segments;
use crate::log::transaction_index::AbortedTransaction;
use crate::log::transaction_marker;

/// What the last owner of a log left word of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeftBehind {
    pub(crate) recovery_point: Option<i64>,
    pub(crate) log_start_offset: i64,
    pub(crate) clean_shutdown: bool,
}

/// A log as it is after opening.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) segments: Segments,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: ProducerState,
    pub(crate) log_start_offset: i64,
    /// The base offset of the first segment whose files are not known to be durable.
    pub(crate) closed_durable: i64,
    pub(crate) cut: Option<Cut>,
}

/// What recovery took off the end of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file with the first batch that could not stay.
    pub path: PathBuf,
    /// Where in it the log now ends, in bytes.
    pub position: u64,
    /// The offset behind the last batch that stayed.
    pub offset: i64,
    /// How many bytes went, later segments included.
    pub bytes: u64,
    /// What was wrong with that batch.
    pub reason: InvalidBatch,
}

/// Opens what lies in a directory. A new log is made if there is none.
pub(crate) fn recover(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    config: &LogConfig,
    left: LeftBehind,
    now_ms: i64,
) -> Result<Recovered, LogError> {
    let bases = sweep(disk.as_ref(), dir)?;
    let verify_from = first_to_verify(&bases, &left);
    let mut replay = Replay::start(disk, dir, &bases, verify_from)?;
    let walk = Walk {
        disk,
        dir,
        config,
        left: &left,
        now_ms,
    };
    let mut opened: BTreeMap<i64, Segment> = BTreeMap::new();
    let mut cut = None;
    for base in &bases {
        let next_base = bases.range(base + 1..).next().copied();
        let expected = opened.last_key_value().map(|(_, last)| last.next_offset());
        if let Some(expected) = expected
            && !walk.may_follow(expected, *base)
        {
            cut = Some(Cut {
                path: file_name::at_offset(dir, *base, file_name::LOG),
                position: 0,
                offset: expected,
                bytes: 0,
                reason: InvalidBatch::Offset {
                    expected,
                    found: *base,
                },
            });
            break;
        }
        let trusted = verify_from.is_none_or(|from| *base < from);
        let segment = match trusted {
            true => walk.trusted(*base, next_base, &opened, &mut replay, &mut cut)?,
            false => walk.verified(*base, next_base, &opened, &mut replay, &mut cut)?,
        };
        opened.insert(*base, segment);
        if cut.is_some() {
            break;
        }
    }
    if let Some(cut) = &mut cut {
        cut.bytes += walk.remove_behind(&bases, &opened)?;
    }
    let (segments, log_start_offset) = walk.whole(opened, &mut replay)?;
    let log_end_offset = segments.active.next_offset();
    let mut epochs = replay.epochs;
    epochs.truncate_from_end(log_end_offset);
    epochs.truncate_from_start(log_start_offset);
    if epochs.version() > 0 {
        epochs.write()?;
    }
    let snapshots_gone = remove_snapshots_behind(disk.as_ref(), dir, log_end_offset)?;
    if snapshots_gone {
        disk.sync_dir(dir)?;
    }
    let producers = if replay.producers_from > log_end_offset {
        rebuild_producers(disk, dir, segments.iter(), log_end_offset)?
    } else {
        replay.producers
    };
    let active_base = segments.active.base_offset();
    Ok(Recovered {
        closed_durable: verify_from.unwrap_or(active_base).min(active_base),
        segments,
        epochs,
        producers,
        log_start_offset,
        cut,
    })
}

/// The producers as of `end_offset`: the newest snapshot at or before it, and the batches since, which lie in
/// these segments.
pub(crate) fn rebuild_producers<'s>(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    segments: impl Iterator<Item = &'s Segment>,
    end_offset: i64,
) -> Result<ProducerState, LogError> {
    let (from, mut producers) = newest_snapshot(disk.as_ref(), dir, end_offset)?
        .unwrap_or_else(|| (i64::MIN, ProducerState::default()));
    for segment in segments {
        let is_asked_for = segment.next_offset() > from && segment.base_offset() < end_offset;
        if !is_asked_for || segment.size() == 0 {
            continue;
        }
        let file = segment.file()?;
        let start = segment
            .find(from)?
            .map_or_else(|| segment.size(), |batch| batch.position);
        let mut scan = BatchScan::of_headers(file.as_ref(), start, segment.size());
        while let Some(batch) = scan.next().map_err(|error| error.in_file(file.as_ref()))? {
            if batch.header.next_offset() > end_offset {
                break;
            }
            if batch.header.base_offset >= from {
                let bytes = scan
                    .whole(&batch)
                    .map_err(|error| error.in_file(file.as_ref()))?;
                note_producer(&mut producers, &batch.header, bytes);
            }
        }
    }
    Ok(producers)
}

/// Removes the snapshots that lie behind `offset`; says whether there were any. The caller syncs the
/// directory: one that came back would speak of batches that are gone.
pub(crate) fn remove_snapshots_behind(
    disk: &dyn Disk,
    dir: &Path,
    offset: i64,
) -> Result<bool, DiskError> {
    let mut found = false;
    for at in snapshots(disk, dir)?.range(offset.saturating_add(1)..) {
        disk.remove_file(&file_name::at_offset(
            dir,
            *at,
            file_name::PRODUCER_SNAPSHOT,
        ))?;
        found = true;
    }
    Ok(found)
}

/// The offsets that have a snapshot.
pub(crate) fn snapshots(disk: &dyn Disk, dir: &Path) -> Result<BTreeSet<i64>, DiskError> {
    let mut offsets = BTreeSet::new();
    for entry in disk.list(dir)? {
        if let Some((offset, file_name::PRODUCER_SNAPSHOT)) = file_name::parse(&entry.name) {
            offsets.insert(offset);
        }
    }
    Ok(offsets)
}

/// Takes note of a batch with its producer; says which transaction it aborted.
pub(crate) fn note_producer(
    producers: &mut ProducerState,
    header: &BatchHeader,
    bytes: &[u8],
) -> Option<AbortedTransaction> {
    if !header.attributes.is_control() {
        producers.apply(header);
        return None;
    }
    let marker = transaction_marker::decode(header, bytes)?;
    let ended = producers.apply_marker(&marker)?;
    (!ended.commit).then(|| AbortedTransaction {
        producer_id: ended.producer_id,
        first_offset: ended.first_offset,
        last_offset: ended.last_offset,
        last_stable_offset: producers
            .first_open_offset()
            .unwrap_or(ended.last_offset + 1),
    })
}

/// Ends an interrupted compaction, removes what an interrupted deletion or rewriting left, and indexes
/// without batches. Gives the base offsets of the segments.
fn sweep(disk: &dyn Disk, dir: &Path) -> Result<BTreeSet<i64>, DiskError> {
    segment_swap::recover(disk, dir)?;
    let entries = disk.list(dir)?;
    let mut bases = BTreeSet::new();
    for entry in &entries {
        if let Some((base, file_name::LOG)) = file_name::parse(&entry.name) {
            bases.insert(base);
        }
    }
    for entry in &entries {
        let leftover = [
            file_name::DELETED,
            file_name::CLEANED,
            file_name::SWAP,
            file_name::TEMPORARY,
        ]
        .iter()
        .any(|suffix| entry.name.ends_with(suffix));
        let orphan = match file_name::parse(&entry.name) {
            Some((
                base,
                file_name::OFFSET_INDEX | file_name::TIME_INDEX | file_name::TRANSACTION_INDEX,
            )) => !bases.contains(&base),
            _ => false,
        };
        if (leftover || orphan) && !entry.is_dir {
            disk.remove_file(&dir.join(&entry.name))?;
        }
    }
    Ok(bases)
}

/// The base of the first segment that must be read whole; `None` if none must.
fn first_to_verify(bases: &BTreeSet<i64>, left: &LeftBehind) -> Option<i64> {
    if left.clean_shutdown {
        return None;
    }
    let recovery_point = left.recovery_point.unwrap_or(0);
    let last = bases.last().copied()?;
    // A segment that ends right at the recovery point may have been closed after the flush, and its
    // indexes written since.
    let reaching = bases.iter().zip(bases.iter().skip(1));
    let first = reaching
        .filter(|(_, next)| **next >= recovery_point)
        .map(|(base, _)| *base)
        .next();
    Some(first.unwrap_or(last))
}

/// What is rebuilt from batches on the way.
#[derive(Clone, Debug)]
struct Replay {
    epochs: LeaderEpochs,
    epochs_from: i64,
    producers: ProducerState,
    producers_from: i64,
}

impl Replay {
    /// Takes from the files what can be trusted up to the first segment that is verified.
    fn start(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        bases: &BTreeSet<i64>,
        verify_from: Option<i64>,
    ) -> Result<Self, LogError> {
        let first = bases.first().copied().unwrap_or(0);
        let known = verify_from.unwrap_or(i64::MAX);
        let mut written = LeaderEpochs::open(Arc::clone(disk), dir)?;
        if let Some(epochs) = &mut written {
            epochs.truncate_from_end(known);
        }
        // Where the file and a batch contradict each other, the batches before decide.
        let next = match verify_from {
            Some(base) => first_epoch(disk.as_ref(), dir, base)?,
            None => None,
        };
        let (epochs, epochs_from) = match written {
            Some(epochs) if next.is_none_or(|next| epochs.latest() <= Some(next)) => {
                (epochs, known)
            }
            _ => (LeaderEpochs::empty(Arc::clone(disk), dir), first),
        };
        let (producers_from, producers) = newest_snapshot(disk.as_ref(), dir, known)?
            .unwrap_or_else(|| (first, ProducerState::default()));
        Ok(Self {
            epochs,
            epochs_from,
            producers,
            producers_from,
        })
    }

    /// The first offset whose batches must be looked at.
    fn from(&self) -> i64 {
        self.epochs_from.min(self.producers_from)
    }

    fn note(&mut self, header: &BatchHeader, bytes: &[u8]) -> Option<AbortedTransaction> {
        if header.base_offset >= self.epochs_from {
            self.epochs
                .assign(header.partition_leader_epoch, header.base_offset);
        }
        if header.base_offset < self.producers_from {
            return None;
        }
        note_producer(&mut self.producers, header, bytes)
    }

    fn forget(&mut self) {
        self.epochs.truncate_from_end(0);
        self.producers.clear();
    }
}

/// What stays the same from segment to segment.
struct Walk<'a> {
    disk: &'a Arc<dyn Disk>,
    dir: &'a Path,
    config: &'a LogConfig,
    left: &'a LeftBehind,
    now_ms: i64,
}

impl Walk<'_> {
    /// Offsets below this one may have been compacted away.
    fn gaps_below(&self) -> i64 {
        match self.left.recovery_point {
            Some(point) if !self.config.compact && !self.left.clean_shutdown => point,
            _ => i64::MAX,
        }
    }

    /// Whether a segment at `found` may come next where `expected` was.
    fn may_follow(&self, expected: i64, found: i64) -> bool {
        found == expected || (found > expected && expected < self.gaps_below())
    }

    /// A segment whose files are believed. It is read only as far as something else must be made from it,
    /// and verified after all if its indexes or its end make no sense.
    fn trusted(
        &self,
        base: i64,
        next_base: Option<i64>,
        before: &BTreeMap<i64, Segment>,
        replay: &mut Replay,
        cut: &mut Option<Cut>,
    ) -> Result<Segment, LogError> {
        let opened = Segment::open(self.disk, self.dir, base, next_base, self.now_ms)?;
        let Some(segment) = opened else {
            return self.mistrusted(base, next_base, before, replay, cut);
        };
        if segment.next_offset() <= replay.from() || segment.size() == 0 {
            return Ok(segment);
        }
        let unread = replay.clone();
        let file = segment.file()?;
        let mut scan = BatchScan::of_headers(file.as_ref(), 0, segment.size());
        loop {
            match scan.next() {
                Ok(None) => return Ok(segment),
                Ok(Some(batch)) if batch.header.attributes.is_control() => {
                    let bytes = scan
                        .whole(&batch)
                        .map_err(|error| error.in_file(file.as_ref()))?;
                    replay.note(&batch.header, bytes);
                }
                Ok(Some(batch)) => {
                    replay.note(&batch.header, &[]);
                }
                Err(ScanError::Disk(error)) => return Err(error.into()),
                Err(ScanError::Invalid { .. }) => break,
            }
        }
        *replay = unread;
        self.mistrusted(base, next_base, before, replay, cut)
    }

    /// A segment that should have been sound and is not. What is made anew of it is durable at once, since
    /// the next recovery will believe it again.
    fn mistrusted(
        &self,
        base: i64,
        next_base: Option<i64>,
        before: &BTreeMap<i64, Segment>,
        replay: &mut Replay,
        cut: &mut Option<Cut>,
    ) -> Result<Segment, LogError> {
        let mut segment = self.verified(base, next_base, before, replay, cut)?;
        segment.close_indexes()?;
        for file in segment.index_files()? {
            file.sync()?;
        }
        self.disk.sync_dir(self.dir)?;
        Ok(segment)
    }

    /// A segment that is read whole. What does not make sense is cut off, durably.
    fn verified(
        &self,
        base: i64,
        next_base: Option<i64>,
        before: &BTreeMap<i64, Segment>,
        replay: &mut Replay,
        cut: &mut Option<Cut>,
    ) -> Result<Segment, LogError> {
        let (mut segment, file) = Segment::reopen(self.disk, self.dir, base, self.now_ms)?;
        let len = file.len()?;
        let known = Expectation {
            base_offset: base,
            next_base,
            epoch: replay.epochs.epoch_at(base - 1).unwrap_or(-1),
            gaps_below: self.gaps_below(),
            gap_before_last: self.config.compact,
        };
        let sound = sound_prefix(BatchScan::of_batches(file.as_ref(), 0, len), known)?;
        if sound.len < len {
            file.set_len(sound.len)?;
            file.sync()?;
        }
        // Where the replay takes its producers from a snapshot behind this segment, it cannot tell which
        // transactions were open here.
        let mut producers = match base < replay.producers_from {
            true => Some(rebuild_producers(
                self.disk,
                self.dir,
                before.values(),
                base,
            )?),
            false => None,
        };
        let mut scan = BatchScan::of_headers(file.as_ref(), 0, sound.len);
        while let Some(batch) = scan.next().map_err(|error| error.in_file(file.as_ref()))? {
            segment.note(&batch.header, self.config.index_interval_bytes);
            let bytes = match batch.header.attributes.is_control() {
                true => scan
                    .whole(&batch)
                    .map_err(|error| error.in_file(file.as_ref()))?,
                false => &[],
            };
            let replayed = replay.note(&batch.header, bytes);
            let aborted = match &mut producers {
                Some(producers) => note_producer(producers, &batch.header, bytes),
                None => replayed,
            };
            if let Some(aborted) = aborted {
                segment.note_aborted(aborted);
            }
        }
        if let Some(reason) = sound.flaw {
            *cut = Some(Cut {
                path: segment.path().to_owned(),
                position: sound.len,
                offset: segment.next_offset(),
                bytes: len - sound.len,
                reason,
            });
        }
        if next_base.is_some() {
            segment.close_indexes()?;
        }
        Ok(segment)
    }

    /// Removes the segments that were not opened, the last one first, so that a crash on the way leaves
    /// no hole. Gives the bytes that went.
    fn remove_behind(
        &self,
        bases: &BTreeSet<i64>,
        opened: &BTreeMap<i64, Segment>,
    ) -> Result<u64, LogError> {
        let mut bytes = 0;
        for base in bases.iter().rev().filter(|base| !opened.contains_key(base)) {
            let (segment, file) = Segment::reopen(self.disk, self.dir, *base, self.now_ms)?;
            bytes += file.len()?;
            segment.remove()?;
            self.disk.sync_dir(self.dir)?;
        }
        Ok(bytes)
    }

    /// The segments with an active one among them, and the first offset of the log.
    fn whole(
        &self,
        mut opened: BTreeMap<i64, Segment>,
        replay: &mut Replay,
    ) -> Result<(Segments, i64), LogError> {
        let wanted = self.left.log_start_offset.max(0);
        if let Some((_, active)) = opened.pop_last() {
            let segments = Segments::new(opened, active);
            let first = segments.first_offset().max(wanted);
            if first <= segments.active.next_offset() {
                return Ok((segments, first));
            }
            // Deleted up to an offset that the crash has taken away: the log begins anew there.
            let mut segments = segments;
            while segments.remove_active()? {
                self.disk.sync_dir(self.dir)?;
            }
            segments.active.remove()?;
            self.disk.sync_dir(self.dir)?;
            replay.forget();
        }
        let active = Segment::create(self.disk, self.dir, wanted, self.now_ms)?;
        Ok((Segments::new(BTreeMap::new(), active), wanted))
    }
}

/// The leader epoch of the first batch of a segment, if there is one and it looks like a batch.
fn first_epoch(disk: &dyn Disk, dir: &Path, base: i64) -> Result<Option<i32>, DiskError> {
    let path = file_name::at_offset(dir, base, file_name::LOG);
    let file = disk.open(&path, OpenMode::Existing)?;
    let first = BatchScan::of_headers(file.as_ref(), 0, file.len()?).peek()?;
    Ok(first.map(|batch| batch.header.partition_leader_epoch))
}

/// The newest snapshot at or before `offset` that is sound, and its offset.
fn newest_snapshot(
    disk: &dyn Disk,
    dir: &Path,
    offset: i64,
) -> Result<Option<(i64, ProducerState)>, DiskError> {
    for at in snapshots(disk, dir)?.range(..=offset).rev() {
        let path = file_name::at_offset(dir, *at, file_name::PRODUCER_SNAPSHOT);
        let content = read_file(disk, &path)?.unwrap_or_default();
        if let Some(state) = producer_snapshot::decode(&content) {
            return Ok(Some((*at, state)));
        }
    }
    Ok(None)
}
