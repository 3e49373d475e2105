//! A file of batches and its indexes: one stretch of a log. It does not know its neighbours, nor who
//! may read how far.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use kafka_protocol::record::{BatchHeader, crc32c};

use crate::log::batch_chain::BatchChain;
use crate::log::batch_scan::{BatchScan, ScanError, ScannedBatch};
use crate::log::config::LogConfig;
use crate::log::disk::{Disk, DiskFile, OpenMode};
use crate::log::error::{DiskError, LogError};
use crate::log::file_name;
use crate::log::offset_index::{OffsetIndex, OffsetPosition};
use crate::log::sound_range::SoundRange;
use crate::log::time_index::{TimeIndex, TimestampOffset};
use crate::log::transaction_index::{AbortedTransaction, TransactionIndex};

/// One segment of a log.
#[derive(Debug)]
pub(crate) struct Segment {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    base_offset: i64,
    /// Opened when first needed, so that a log of many segments does not hold as many files.
    file: OnceLock<Arc<dyn DiskFile>>,
    size: u64,
    next_offset: i64,
    offset_index: OffsetIndex,
    time_index: TimeIndex,
    transaction_index: TransactionIndex,
    /// Bytes since the batch of the last entry of the offset index, that batch included.
    bytes_since_entry: u64,
    /// The highest timestamp and the last offset of the first batch that has it.
    max_timestamp: TimestampOffset,
    /// The highest timestamp of the first batch.
    first_timestamp: Option<i64>,
    created_ms: i64,
    /// The bytes whose checksums were compared by this process.
    sound: Arc<SoundRange>,
}

/// Where the batches for a reader lie.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) position: u64,
    pub(crate) len: usize,
    pub(crate) base_offset: i64,
    pub(crate) next_offset: i64,
}

/// How a segment failed to take a batch.
#[derive(Debug)]
pub(crate) struct AppendFailure {
    pub(crate) error: DiskError,
    /// Whether the file is known to be as it was before.
    pub(crate) is_undone: bool,
}

impl Segment {
    /// A new segment without batches; a file of that name is emptied. Its name must be durable before the
    /// next segment is made.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        base_offset: i64,
        now_ms: i64,
    ) -> Result<Self, DiskError> {
        let segment = Self::unindexed(disk, dir, base_offset, 0, now_ms);
        let file = disk.open(&segment.path, OpenMode::Replace)?;
        let _ = segment.file.set(file);
        Ok(segment)
    }

    /// A segment without batches under the names of files that compaction has not finished.
    pub(crate) fn create_cleaned(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        base_offset: i64,
        now_ms: i64,
    ) -> Result<Self, DiskError> {
        let mut segment = Self::unindexed(disk, dir, base_offset, 0, now_ms);
        segment.set_names(dir, file_name::CLEANED);
        let file = disk.open(&segment.path, OpenMode::Replace)?;
        let _ = segment.file.set(file);
        Ok(segment)
    }

    /// A segment that compaction has written is whole: makes it durable, all three indexes included. It
    /// ends where the last of the segments does that it was made from.
    pub(crate) fn complete_cleaned(&mut self, end_offset: i64) -> Result<(), DiskError> {
        self.close_indexes()?;
        self.transaction_index.file.write_pending()?;
        self.file()?.sync()?;
        self.offset_index.file.file()?.sync()?;
        self.time_index.file.file()?.sync()?;
        self.transaction_index.file.file()?.sync()?;
        self.next_offset = self.next_offset.max(end_offset);
        Ok(())
    }

    /// The files of a segment that compaction has written have got their final names.
    pub(crate) fn settle(&mut self, dir: &Path) {
        self.set_names(dir, "");
        self.file = OnceLock::new();
    }

    fn set_names(&mut self, dir: &Path, suffix: &str) {
        let path = |kind| file_name::at_offset(dir, self.base_offset, &format!("{kind}{suffix}"));
        self.path = path(file_name::LOG);
        let (offsets, times, transactions) = (
            path(file_name::OFFSET_INDEX),
            path(file_name::TIME_INDEX),
            path(file_name::TRANSACTION_INDEX),
        );
        self.offset_index.file.set_path(offsets);
        self.time_index.file.set_path(times);
        self.transaction_index.file.set_path(transactions);
    }

    /// A segment without batches and without a file.
    pub(crate) fn unmade(disk: &Arc<dyn Disk>, dir: &Path, base_offset: i64, now_ms: i64) -> Self {
        Self::unindexed(disk, dir, base_offset, 0, now_ms)
    }

    /// An existing segment, as if it had no batches and no indexes yet: the caller walks the file and
    /// tells of each batch by [`note`](Self::note).
    pub(crate) fn reopen(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        base_offset: i64,
        now_ms: i64,
    ) -> Result<(Self, Arc<dyn DiskFile>), DiskError> {
        let segment = Self::unindexed(disk, dir, base_offset, 0, now_ms);
        let file = disk.open(&segment.path, OpenMode::Existing)?;
        let _ = segment.file.set(Arc::clone(&file));
        // The other two are replaced when they are written; this one only if it gets an entry.
        disk.remove_file(segment.transaction_index.file.path())?;
        Ok((segment, file))
    }

    /// An existing segment with its indexes as they are; `None` if an index is missing or cannot be
    /// right. Only what lies behind the last index entry is looked at, and only if the end of the
    /// segment is not known.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        base_offset: i64,
        next_offset: Option<i64>,
        now_ms: i64,
    ) -> Result<Option<Self>, LogError> {
        let mut segment = Self::unindexed(disk, dir, base_offset, 0, now_ms);
        segment.size = segment.file()?.len()?;
        let path = |kind| file_name::at_offset(dir, base_offset, kind);
        let offset_index = OffsetIndex::open(
            Arc::clone(disk),
            path(file_name::OFFSET_INDEX),
            base_offset,
            segment.size,
        )?;
        let time_index =
            TimeIndex::open(Arc::clone(disk), path(file_name::TIME_INDEX), base_offset)?;
        let transaction_index = TransactionIndex::open(
            Arc::clone(disk),
            path(file_name::TRANSACTION_INDEX),
            base_offset,
        )?;
        let (Some(offset_index), Some(time_index), Some(transaction_index)) =
            (offset_index, time_index, transaction_index)
        else {
            return Ok(None);
        };
        segment.offset_index = offset_index;
        segment.time_index = time_index;
        segment.transaction_index = transaction_index;
        if let Some(last) = segment.time_index.last() {
            segment.max_timestamp = last;
        }
        match next_offset {
            // A closed segment has its last timestamp in the index.
            Some(_) if segment.size > 0 && segment.max_timestamp == NO_TIMESTAMP => {
                return Ok(None);
            }
            Some(next_offset) => segment.next_offset = next_offset,
            None => {
                if !segment.find_end()? {
                    return Ok(None);
                }
                if segment.size > 0 {
                    segment.first_timestamp = Some(segment.first_timestamp()?);
                }
            }
        }
        Ok(Some(segment))
    }

    fn unindexed(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        base_offset: i64,
        size: u64,
        created_ms: i64,
    ) -> Self {
        let path = |kind| file_name::at_offset(dir, base_offset, kind);
        Self {
            path: path(file_name::LOG),
            base_offset,
            file: OnceLock::new(),
            size,
            next_offset: base_offset,
            offset_index: OffsetIndex::empty(
                Arc::clone(disk),
                path(file_name::OFFSET_INDEX),
                base_offset,
            ),
            time_index: TimeIndex::empty(
                Arc::clone(disk),
                path(file_name::TIME_INDEX),
                base_offset,
            ),
            transaction_index: TransactionIndex::empty(
                Arc::clone(disk),
                path(file_name::TRANSACTION_INDEX),
            ),
            disk: Arc::clone(disk),
            bytes_since_entry: 0,
            max_timestamp: NO_TIMESTAMP,
            first_timestamp: None,
            created_ms,
            sound: Arc::default(),
        }
    }

    /// Finds the end by walking from the last index entry on. False if the batches there are not sound or
    /// leave a gap, which takes a closer look.
    fn find_end(&mut self) -> Result<bool, LogError> {
        let entry = self.offset_index.last();
        let position = entry.map_or(0, |entry| entry.position);
        let mut expected = entry.is_none().then_some(self.base_offset);
        let file = Arc::clone(self.file()?);
        let mut scan = BatchScan::of_batches(file.as_ref(), position.into(), self.size);
        loop {
            let batch = match scan.next() {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(ScanError::Disk(error)) => return Err(error.into()),
                Err(ScanError::Invalid { .. }) => return Ok(false),
            };
            let header = &batch.header;
            let continues = match expected {
                Some(expected) => header.base_offset == expected,
                None => entry.is_some_and(|entry| header.last_offset() == entry.offset),
            };
            match scan.verify(&batch) {
                Ok(()) if continues => {}
                Err(ScanError::Disk(error)) => return Err(error.into()),
                _ => return Ok(false),
            }
            expected = Some(header.next_offset());
            self.next_offset = header.next_offset();
            self.note_timestamp(header);
        }
        self.bytes_since_entry = self.size - u64::from(position);
        Ok(true)
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// The offset behind the last batch; of a segment that was closed, at most that of the next one.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Bytes of batches.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn max_timestamp(&self) -> TimestampOffset {
        self.max_timestamp
    }

    /// The highest timestamp of the first batch, -1 if there is none.
    pub(crate) fn first_timestamp(&self) -> Result<i64, DiskError> {
        if let Some(known) = self.first_timestamp {
            return Ok(known);
        }
        if self.size == 0 {
            return Ok(NO_TIMESTAMP.timestamp);
        }
        let file = self.file()?;
        let first = BatchScan::of_headers(file.as_ref(), 0, self.size).peek()?;
        Ok(first.map_or(NO_TIMESTAMP.timestamp, |batch| batch.header.max_timestamp))
    }

    /// Bytes of the offset index and of the time index.
    pub(crate) fn index_sizes(&self) -> (usize, usize) {
        (
            self.offset_index.file.len() * 8,
            self.time_index.file.len() * 12,
        )
    }

    pub(crate) fn sound(&self) -> &Arc<SoundRange> {
        &self.sound
    }

    pub(crate) fn file(&self) -> Result<&Arc<dyn DiskFile>, DiskError> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = self.disk.open(&self.path, OpenMode::Existing)?;
        Ok(self.file.get_or_init(|| file))
    }

    /// Lets the file go until it is needed again.
    pub(crate) fn release_file(&mut self) {
        self.file = OnceLock::new();
    }

    /// Whether the log must go on in a new segment before this batch is taken.
    pub(crate) fn is_full_for(
        &self,
        len: usize,
        last_offset: i64,
        max_timestamp: i64,
        config: &LogConfig,
        now_ms: i64,
    ) -> bool {
        let offset_entries = self.offset_index.file.len() + 1;
        // One more is added when the segment is closed.
        let time_entries = self.time_index.file.len() + 2;
        self.size > 0
            && (self.size + len as u64 > config.segment_bytes as u64
                || self.age(max_timestamp, now_ms) > self.roll_ms(config)
                || offset_entries * 8 > config.segment_index_bytes
                || time_entries * 12 > config.segment_index_bytes)
            || last_offset - self.base_offset > i64::from(i32::MAX)
    }

    /// How old the first record may become. The jitter is the same each time for a segment, and another one
    /// for each.
    fn roll_ms(&self, config: &LogConfig) -> i64 {
        let roll_ms = config.roll_ms();
        match config.segment_jitter_ms.min(roll_ms) {
            ..=0 => roll_ms,
            most => roll_ms - i64::from(crc32c(self.path.as_os_str().as_encoded_bytes())) % most,
        }
    }

    /// How old the first record is: by its own clock if it has one, else by ours.
    fn age(&self, max_timestamp: i64, now_ms: i64) -> i64 {
        match self.first_timestamp {
            Some(first) if first >= 0 && max_timestamp >= 0 => max_timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(self.created_ms),
        }
    }

    /// Whether the first record is older than `segment.ms`.
    pub(crate) fn is_due(&self, config: &LogConfig, now_ms: i64) -> bool {
        self.size > 0 && self.age(now_ms, now_ms) > self.roll_ms(config)
    }

    /// Writes whole batches, each with the head that `headers` has for it in the place of its own.
    pub(crate) fn append(
        &mut self,
        batches: &[u8],
        headers: &[BatchHeader],
        index_interval_bytes: usize,
    ) -> Result<(), AppendFailure> {
        let untouched = |error| AppendFailure {
            error,
            is_undone: true,
        };
        if self.offset_index.file.is_page_pending() {
            self.write_indexes().map_err(|error| AppendFailure {
                is_undone: error.is_full(),
                error,
            })?;
        }
        let file = Arc::clone(self.file().map_err(untouched)?);
        let heads: Vec<_> = headers.iter().map(BatchHeader::encode).collect();
        let mut parts: Vec<&[u8]> = Vec::with_capacity(2 * heads.len());
        for (head, batch) in heads.iter().zip(split_batches(batches, headers)) {
            parts.push(head);
            parts.push(batch.get(BatchHeader::LEN..).unwrap_or_default());
        }
        if let Err(error) = file.write_parts_at(self.size, &parts) {
            // Synced, lest the rest of this write outlive a crash and a later write of the same place.
            let undone = file.set_len(self.size).and_then(|()| file.sync());
            return Err(AppendFailure {
                is_undone: error.is_full() && undone.is_ok(),
                error,
            });
        }
        let position = self.size;
        for header in headers {
            self.note(header, index_interval_bytes);
        }
        self.sound.add(position..self.size);
        Ok(())
    }

    /// Takes note of the batch that now ends the segment.
    pub(crate) fn note(&mut self, header: &BatchHeader, index_interval_bytes: usize) {
        let position = self.size;
        self.note_timestamp(header);
        if self.first_timestamp.is_none() {
            self.first_timestamp = Some(header.max_timestamp);
        }
        if self.bytes_since_entry > index_interval_bytes as u64
            && let Ok(position) = u32::try_from(position)
        {
            self.offset_index.push(header.last_offset(), position);
            self.time_index
                .push(self.max_timestamp.timestamp, self.max_timestamp.offset);
            self.bytes_since_entry = 0;
        }
        let len = header.total_len() as u64;
        self.bytes_since_entry += len;
        self.size += len;
        self.next_offset = header.next_offset();
    }

    fn note_timestamp(&mut self, header: &BatchHeader) {
        if header.max_timestamp > self.max_timestamp.timestamp {
            self.max_timestamp = TimestampOffset {
                timestamp: header.max_timestamp,
                offset: header.last_offset(),
            };
        }
    }

    /// Brings the index files up to date.
    pub(crate) fn write_indexes(&mut self) -> Result<(), DiskError> {
        self.offset_index.file.write_pending()?;
        self.time_index.file.write_pending()?;
        if !self.transaction_index.is_empty() {
            self.transaction_index.file.write_pending()?;
        }
        Ok(())
    }

    /// The segment takes no more batches for now: its last timestamp is indexed, its indexes written.
    pub(crate) fn close_indexes(&mut self) -> Result<(), DiskError> {
        self.time_index
            .push(self.max_timestamp.timestamp, self.max_timestamp.offset);
        self.write_indexes()
    }

    /// The index files to sync, after [`close_indexes`](Self::close_indexes).
    pub(crate) fn index_files(&self) -> Result<Vec<Arc<dyn DiskFile>>, DiskError> {
        let mut files = vec![self.offset_index.file.file()?, self.time_index.file.file()?];
        if !self.transaction_index.is_empty() {
            files.push(self.transaction_index.file.file()?);
        }
        Ok(files)
    }

    /// Takes note of a transaction whose abort marker lies here.
    pub(crate) fn note_aborted(&mut self, aborted: AbortedTransaction) {
        self.transaction_index.push(aborted);
    }

    /// The transactions whose abort marker lies here, in the order of the markers.
    pub(crate) fn aborted(&self) -> Result<Vec<AbortedTransaction>, DiskError> {
        self.transaction_index.aborted()
    }

    /// Whole batches from the one that holds `offset` (or the next that exists) on, as many as fit into
    /// `max_bytes` and end at or below `end_offset`; the first one in any case if `at_least_one`.
    /// `None` if there is no batch at or behind `offset` here.
    pub(crate) fn locate(
        &self,
        offset: i64,
        max_bytes: usize,
        end_offset: i64,
        at_least_one: bool,
    ) -> Result<Option<Located>, LogError> {
        let Some(first) = self.find(offset)? else {
            return Ok(None);
        };
        let mut located = Located {
            position: first.position,
            len: 0,
            base_offset: first.header.base_offset,
            next_offset: first.header.base_offset,
        };
        let limit = first.position.saturating_add(max_bytes as u64);
        let fits = |batch: &ScannedBatch| {
            batch.header.next_offset() <= end_offset
                && (batch.end() <= limit || (at_least_one && batch.position == first.position))
        };
        if !fits(&first) {
            return Ok(Some(located));
        }
        let mut end = first.end();
        located.next_offset = first.header.next_offset();
        // The heads between here and the index entry next to the limit need not be looked at.
        let resume = self.offset_index.last_within(limit, end_offset)?;
        let resume = resume.filter(|entry| u64::from(entry.position) > end);
        let mut chain = match resume {
            Some(entry) if self.is_entry_sound(entry)? => {
                self.chain(entry.position.into(), None)?
            }
            _ => self.chain(end, Some(located.next_offset))?,
        };
        while let Some(batch) = self.next_of(&mut chain)? {
            if !fits(&batch) {
                // The batch of the entry may itself be the one that crosses the limit.
                end = end.max(batch.position);
                located.next_offset = located.next_offset.max(batch.header.base_offset);
                break;
            }
            end = batch.end();
            located.next_offset = batch.header.next_offset();
        }
        located.len = (end - first.position) as usize;
        Ok(Some(located))
    }

    /// The batch that holds `offset`, or else the first one behind it.
    pub(crate) fn find(&self, offset: i64) -> Result<Option<ScannedBatch>, LogError> {
        let mut chain = match self.offset_index.last_before(offset)? {
            Some(entry) if self.is_entry_sound(entry)? => {
                self.chain(entry.position.into(), None)?
            }
            // No entry yet, or one that a bad disk has changed.
            _ => self.chain(0, Some(self.base_offset))?,
        };
        let mut before = None;
        while let Some(batch) = self.next_of(&mut chain)? {
            if batch.header.last_offset() >= offset {
                if batch.header.base_offset > offset {
                    self.check_gap_behind(before)?;
                }
                return Ok(Some(batch));
            }
            before = Some(batch);
        }
        if offset < self.next_offset {
            self.check_gap_behind(before)?;
        }
        Ok(None)
    }

    /// Whether a gap is one of compaction: a length that a bad disk has changed leads past batches, too.
    fn check_gap_behind(&self, before: Option<ScannedBatch>) -> Result<(), LogError> {
        let Some(before) = before else {
            return Ok(());
        };
        let file = self.file()?;
        BatchScan::of_batches(file.as_ref(), before.position, before.end())
            .verify(&before)
            .map_err(|error| error.in_file(file.as_ref()))
    }

    /// Whether the batch of an entry is there.
    fn is_entry_sound(&self, entry: OffsetPosition) -> Result<bool, LogError> {
        let file = self.file()?;
        let mut scan = BatchScan::of_headers(file.as_ref(), entry.position.into(), self.size);
        let batch = scan.peek()?;
        Ok(batch.is_some_and(|batch| batch.header.last_offset() == entry.offset))
    }

    fn chain(&self, position: u64, expected: Option<i64>) -> Result<BatchChain<'_>, DiskError> {
        let scan = BatchScan::of_headers(self.file()?.as_ref(), position, self.size);
        Ok(BatchChain::new(scan, expected, self.next_offset))
    }

    fn next_of(&self, chain: &mut BatchChain<'_>) -> Result<Option<ScannedBatch>, LogError> {
        chain.next().map_err(|error| match self.file() {
            Ok(file) => error.in_file(file.as_ref()),
            Err(error) => error.into(),
        })
    }

    /// The first batch at or behind `offset` whose highest timestamp is at least `timestamp`.
    pub(crate) fn find_by_time(
        &self,
        timestamp: i64,
        offset: i64,
    ) -> Result<Option<ScannedBatch>, LogError> {
        let first = match self.time_index.last_below(timestamp)? {
            Some(entry) if entry.offset > offset => match self.find(entry.offset)? {
                Some(batch) if is_indexed_by(&batch, entry) => Some(batch),
                // The entry is damaged.
                _ => self.find(offset)?,
            },
            _ => self.find(offset)?,
        };
        let Some(first) = first else {
            return Ok(None);
        };
        let mut chain = self.chain(first.position, None)?;
        while let Some(batch) = self.next_of(&mut chain)? {
            if batch.header.max_timestamp >= timestamp {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Cuts off the batches from the one that holds `offset` on, and makes that durable.
    pub(crate) fn truncate_to(&mut self, offset: i64, config: &LogConfig) -> Result<(), LogError> {
        let Some(first) = self.find(offset)? else {
            return Ok(());
        };
        self.cut(first.position, config)
    }

    /// Cuts the file at a batch boundary and makes that durable.
    pub(crate) fn cut(&mut self, position: u64, config: &LogConfig) -> Result<(), LogError> {
        let file = Arc::clone(self.file()?);
        file.set_len(position)?;
        file.sync()?;
        // What the indexes and the timestamps are now is easier made again than undone.
        let mut again = Self::unindexed(
            &self.disk,
            self.path.parent().unwrap_or_else(|| Path::new("")),
            self.base_offset,
            0,
            self.created_ms,
        );
        let mut scan = BatchScan::of_headers(file.as_ref(), 0, position);
        while let Some(batch) = scan.next().map_err(|error| error.in_file(file.as_ref()))? {
            again.note(&batch.header, config.index_interval_bytes);
        }
        for aborted in self.aborted()? {
            if aborted.last_offset < again.next_offset {
                again.note_aborted(aborted);
            }
        }
        again.write_indexes()?;
        if again.transaction_index.is_empty() {
            self.disk.remove_file(self.transaction_index.file.path())?;
        }
        let _ = again.file.set(Arc::clone(&file));
        *self = again;
        Ok(())
    }

    /// Removes the files, the batches first: an index without batches is swept up later, batches without
    /// an index would come back.
    pub(crate) fn remove(self) -> Result<(), DiskError> {
        self.disk.remove_file(&self.path)?;
        self.disk.remove_file(self.offset_index.file.path())?;
        self.disk.remove_file(self.time_index.file.path())?;
        self.disk.remove_file(self.transaction_index.file.path())
    }
}

/// Whole batches one by one; `headers` are theirs, as far as lengths go.
pub(crate) fn split_batches<'b>(
    mut batches: &'b [u8],
    headers: &[BatchHeader],
) -> impl Iterator<Item = &'b [u8]> {
    headers.iter().map(move |header| {
        let (batch, rest) = batches
            .split_at_checked(header.total_len())
            .unwrap_or((batches, &[]));
        batches = rest;
        batch
    })
}

fn is_indexed_by(batch: &ScannedBatch, entry: TimestampOffset) -> bool {
    batch.header.last_offset() == entry.offset && batch.header.max_timestamp == entry.timestamp
}

const NO_TIMESTAMP: TimestampOffset = TimestampOffset {
    timestamp: -1,
    offset: -1,
};
