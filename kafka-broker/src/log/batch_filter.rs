//! What compaction leaves of one batch: all of it, some of its records, its bare head or nothing. It
//! knows no file.
//!
//! A record stays if none with its key comes behind it. A tombstone, which has no value, says so for a
//! while: the first compaction that meets it sets the time until which its batch is kept, the *delete
//! horizon*, in the place of the base timestamp (KIP-534). The marker of a transaction of which nothing is
//! left goes the same way. Offsets never change, and a batch whose head still says something keeps its
//! head: the last one of a producer, for its sequence, and the last one of all, for the end of the log.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::compression::{Compression, Compressor, DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{
    Attributes, Batch, BatchBuilder, BatchHeader, BatchOptions, ProducerStamp, RecordRef,
    TimestampType,
};

use crate::log::cleaned_transactions::{CleanedTransactions, MarkerFate};
use crate::log::error::LogError;
use crate::log::key_map::KeyMap;
use crate::log::producer_state::LastRecord;
use crate::log::transaction_index::AbortedTransaction;

/// What one round of compaction goes by.
#[derive(Debug)]
pub(crate) struct BatchFilter {
    pub(crate) keys: KeyMap,
    pub(crate) transactions: CleanedTransactions,
    /// The last that each producer wrote, of those that are remembered.
    pub(crate) last_records: BTreeMap<i64, LastRecord>,
    /// The offset behind the last batch of the round, of which the head stays.
    pub(crate) end_offset: i64,
    pub(crate) now_ms: i64,
    pub(crate) delete_retention_ms: i64,
    codecs: Codecs,
}

/// What is left of a batch.
#[derive(Debug, PartialEq)]
pub(crate) enum Filtered {
    /// All of it.
    Whole,
    /// This, in its place.
    Rewritten(Vec<u8>),
    /// Nothing.
    Nothing,
}

/// A batch as the filter has left it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) batch: Filtered,
    /// An aborted transaction whose marker this is, and which is still needed.
    pub(crate) aborted: Option<AbortedTransaction>,
}

impl BatchFilter {
    pub(crate) fn new(
        keys: KeyMap,
        aborted: &[AbortedTransaction],
        last_records: BTreeMap<i64, LastRecord>,
        end_offset: i64,
        now_ms: i64,
        delete_retention_ms: i64,
    ) -> Self {
        Self {
            keys,
            transactions: CleanedTransactions::new(aborted),
            last_records,
            end_offset,
            now_ms,
            delete_retention_ms,
            codecs: Codecs::default(),
        }
    }

    /// Filters the next batch of the walk, whose checksum is known to be right.
    ///
    /// # Errors
    ///
    /// If its records cannot be read.
    pub(crate) fn apply(
        &mut self,
        header: &BatchHeader,
        bytes: &[u8],
    ) -> Result<Outcome, LogError> {
        let mut aborted = None;
        let is_control = header.attributes.is_control();
        let is_expendable = if is_control {
            match self.transactions.note_control(header, bytes) {
                MarkerFate::Needed => false,
                MarkerFate::NeededWith(entry) => {
                    aborted = Some(entry);
                    false
                }
                MarkerFate::Idle => true,
            }
        } else {
            self.transactions.note_batch(header)
        };
        let batch = if header.record_count == 0 {
            self.without_records(header)
        } else if is_control {
            self.marker(header, bytes, is_expendable)?
        } else if is_expendable {
            self.without_records(header)
        } else {
            self.data(header, bytes)?
        };
        Ok(Outcome { batch, aborted })
    }

    fn marker(
        &mut self,
        header: &BatchHeader,
        bytes: &[u8],
        is_expendable: bool,
    ) -> Result<Filtered, LogError> {
        if !is_expendable {
            return Ok(Filtered::Whole);
        }
        match delete_horizon(header) {
            Some(horizon) if horizon <= self.now_ms => Ok(self.without_records(header)),
            Some(_) => Ok(Filtered::Whole),
            None => {
                let horizon = self.new_horizon();
                let batch = decode(bytes)?;
                self.codecs.rebuild(&batch, Some(horizon), |_| true)
            }
        }
    }

    fn data(&mut self, header: &BatchHeader, bytes: &[u8]) -> Result<Filtered, LogError> {
        let batch = decode(bytes)?;
        let horizon = delete_horizon(header);
        let are_tombstones_kept = horizon.is_none_or(|horizon| self.now_ms < horizon);
        let keys = &self.keys;
        let stays = |record: &RecordRef<'_>| {
            record.offset > keys.latest_offset()
                || record.key.is_some_and(|key| {
                    keys.is_last(key, record.offset)
                        && (record.value.is_some() || are_tombstones_kept)
                })
        };
        let (mut kept, mut has_tombstone) = (0, false);
        self.codecs.each(&batch, |record| {
            if stays(record) {
                kept += 1;
                has_tombstone |= record.value.is_none();
            }
        })?;
        if kept == 0 {
            return Ok(self.without_records(header));
        }
        let needs_horizon = has_tombstone && horizon.is_none();
        if kept == header.record_count && !needs_horizon {
            return Ok(Filtered::Whole);
        }
        let horizon = match needs_horizon {
            true => Some(self.new_horizon()),
            false => horizon,
        };
        self.codecs.rebuild(&batch, horizon, stays)
    }

    /// The head alone if it still says something.
    fn without_records(&self, header: &BatchHeader) -> Filtered {
        if header.next_offset() != self.end_offset && !self.is_last_of_producer(header) {
            return Filtered::Nothing;
        }
        let mut attributes =
            Attributes::default().with_timestamp_type(header.attributes.timestamp_type());
        if header.attributes.is_transactional() {
            attributes = attributes.with_transactional();
        }
        if header.attributes.is_control() {
            attributes = attributes.with_control();
        }
        let options = options(header, attributes).max_timestamp(header.max_timestamp);
        Filtered::Rewritten(BatchBuilder::new(Vec::new(), options).seal(stamp(header)))
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let Some(last) = self.last_records.get(&header.producer_id) else {
            return false;
        };
        match last.data_offset {
            Some(offset) => header.last_offset() == offset,
            // Only its epoch is left to tell.
            None => header.attributes.is_control() && header.producer_epoch == last.epoch,
        }
    }

    fn new_horizon(&self) -> i64 {
        self.now_ms.saturating_add(self.delete_retention_ms)
    }
}

/// Reads and writes the records of batches, with buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct Codecs {
    decompressor: Decompressor,
    decompressed: Vec<u8>,
    compressor: Option<Compressor>,
}

impl Codecs {
    /// Goes over the records of a batch.
    pub(crate) fn each(
        &mut self,
        batch: &Batch,
        mut take: impl FnMut(&RecordRef<'_>),
    ) -> Result<(), LogError> {
        let records = batch
            .records(
                &mut self.decompressor,
                &mut self.decompressed,
                DECOMPRESSED_MAX,
            )
            .map_err(unreadable)?;
        for record in records {
            take(&record.map_err(unreadable)?);
        }
        Ok(())
    }

    /// The batch with the records that stay, which are at least one.
    fn rebuild(
        &mut self,
        batch: &Batch,
        horizon: Option<i64>,
        stays: impl Fn(&RecordRef<'_>) -> bool,
    ) -> Result<Filtered, LogError> {
        let header = batch.header();
        let compression = batch.compression().map_err(unreadable)?;
        let mut options = options(header, header.attributes);
        if let Some(horizon) = horizon {
            options = options
                .attributes(header.attributes.with_delete_horizon())
                .base_timestamp(horizon);
        }
        if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
            options = options.max_timestamp(header.max_timestamp);
        }
        let mut rebuilt = BatchBuilder::new(Vec::new(), options);
        let mut result = Ok(0);
        self.each(batch, |record| {
            if result.is_ok() && stays(record) {
                let headers: Vec<_> = record
                    .headers
                    .map(|header| (header.key(), header.value))
                    .collect();
                let headers = headers.iter().map(|(key, value)| (key.as_ref(), *value));
                // It was in the batch, so that its distance from the base fits.
                let delta = (record.offset - header.base_offset) as i32;
                let (key, value) = (record.key, record.value);
                result = rebuilt.append_at(delta, record.timestamp, key, value, headers);
            }
        })?;
        result.map_err(unreadable)?;
        if compression == Compression::None {
            return Ok(Filtered::Rewritten(rebuilt.seal(stamp(header))));
        }
        let known = self.compressor.take();
        let mut compressor = match known.filter(|known| known.compression() == compression) {
            Some(known) => known,
            None => Compressor::new(compression).map_err(unreadable)?,
        };
        let mut output = Vec::new();
        rebuilt
            .seal_compressed(stamp(header), &mut compressor, &mut output)
            .map_err(unreadable)?;
        self.compressor = Some(compressor);
        Ok(Filtered::Rewritten(output))
    }
}

/// What a rewritten batch takes over from the one before.
fn options(header: &BatchHeader, attributes: Attributes) -> BatchOptions {
    BatchOptions::new()
        .base_offset(header.base_offset)
        .leader_epoch(header.partition_leader_epoch)
        .last_offset_delta(header.last_offset_delta)
        .attributes(attributes)
}

fn stamp(header: &BatchHeader) -> ProducerStamp {
    ProducerStamp {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
    }
}

fn delete_horizon(header: &BatchHeader) -> Option<i64> {
    header
        .attributes
        .has_delete_horizon()
        .then_some(header.base_timestamp)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Batch, LogError> {
    Batch::decode(Bytes::copy_from_slice(bytes)).map_err(unreadable)
}

fn unreadable(error: impl std::fmt::Display) -> LogError {
    LogError::InvalidRecord {
        reason: error.to_string(),
    }
}
