//! A batch that was found by its timestamp, to be read without the log: it may have to be fetched from the disk and
//! unpacked before its records tell.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::compression::{DECOMPRESSED_MAX, Decompressor};
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
    /// Reads batch after batch, as they are located from an offset on, until one has a record that is wanted.
    pub(crate) fn search<E: From<LogError>>(
        locate: impl Fn(i64) -> Result<Option<Self>, E>,
    ) -> Result<Option<TimestampedOffset>, E> {
        let mut from = 0;
        while let Some(batch) = locate(from)? {
            if let Some(found) = batch.first_record()? {
                return Ok(Some(found));
            }
            from = batch.batch.header.next_offset();
        }
        Ok(None)
    }

    fn first_record(&self) -> Result<Option<TimestampedOffset>, LogError> {
        let unreadable = |error: RecordError| LogError::InvalidRecord {
            reason: error.to_string(),
        };
        let len = self.batch.header.total_len();
        let bytes = self.file.read_at(self.batch.position, len)?;
        let batch = Batch::decode(Bytes::from(bytes)).map_err(unreadable)?;
        let mut buffer = Vec::new();
        let records = batch
            .records(&mut Decompressor::new(), &mut buffer, DECOMPRESSED_MAX)
            .map_err(unreadable)?;
        for record in records {
            let record = record.map_err(unreadable)?;
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
