//! A batch that was found by its timestamp, to be read without the log: it may have to be fetched from the disk and
//! unpacked before its records tell.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::compression::Decompressor;
use kafka_protocol::record::{Batch, RecordError};

use crate::log::batch_scan::ScannedBatch;
use crate::log::disk::DiskFile;
use crate::log::error::LogError;

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimestampedOffset {
    /// The timestamp of the record, in milliseconds.
    pub timestamp: i64,
    /// Its offset.
    pub offset: i64,
    /// The leader epoch of its batch.
    pub leader_epoch: i32,
}

/// Where the first record of a timestamp may be.
#[derive(Debug)]
pub(crate) struct TimedBatch {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) batch: ScannedBatch,
    /// The least timestamp that is wanted.
    pub(crate) timestamp: i64,
    /// Where the log began.
    pub(crate) log_start_offset: i64,
}

impl TimedBatch {
    /// Reads batch after batch, as they are located from an offset on, until `look` finds a record in one.
    ///
    /// A head promises such a record, and keeps its promise unless the record lies before the log begins: the broker
    /// has set right what clients said. Heads of another origin may lie, and to unpack batch after batch for nothing
    /// would take for ever. After so many broken promises one is believed: nothing that is wanted lies before its batch.
    pub(crate) fn search<E: From<LogError>>(
        locate: impl Fn(i64) -> Result<Option<Self>, E>,
        mut look: impl FnMut(&Self, &Batch) -> Result<Option<TimestampedOffset>, E>,
    ) -> Result<Option<TimestampedOffset>, E> {
        let mut from = 0;
        let mut promises = 0;
        while let Some(batch) = locate(from)? {
            from = batch.batch.header.next_offset();
            // Compaction leaves the heads of batches without records.
            if batch.batch.header.record_count == 0 {
                continue;
            }
            if promises == BROKEN_PROMISES_MAX {
                return Ok(Some(batch.promised()));
            }
            if let Some(found) = look(&batch, &batch.read()?)? {
                return Ok(Some(found));
            }
            promises += 1;
        }
        Ok(None)
    }

    /// What the head says of the record that is wanted: it stands here or behind.
    fn promised(&self) -> TimestampedOffset {
        let header = &self.batch.header;
        TimestampedOffset {
            timestamp: header.max_timestamp,
            offset: header.base_offset.max(self.log_start_offset),
            leader_epoch: header.partition_leader_epoch,
        }
    }

    fn read(&self) -> Result<Batch, LogError> {
        let len = self.batch.header.total_len();
        let bytes = self.file.read_at(self.batch.position, len)?;
        Batch::decode(Bytes::from(bytes)).map_err(Self::unreadable)
    }

    /// How it is told that a batch cannot be read.
    pub(crate) fn unreadable(error: RecordError) -> LogError {
        LogError::InvalidRecord {
            reason: error.to_string(),
        }
    }

    /// The first record that is wanted of a batch that was read, which unpacks to `limit` bytes at the most.
    pub(crate) fn first_record(
        &self,
        batch: &Batch,
        decompressor: &mut Decompressor,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Result<Option<TimestampedOffset>, RecordError> {
        for record in batch.records(decompressor, buffer, limit)? {
            let record = record?;
            if record.timestamp >= self.timestamp && record.offset >= self.log_start_offset {
                return Ok(Some(TimestampedOffset {
                    timestamp: record.timestamp,
                    offset: record.offset,
                    leader_epoch: batch.header().partition_leader_epoch,
                }));
            }
        }
        Ok(None)
    }
}

/// How many batches are read in vain by one look-up. Each may become as large as a batch can.
const BROKEN_PROMISES_MAX: usize = 4;
