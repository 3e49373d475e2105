//! What is changed in a sealed batch without touching its records: by a producer that numbers it
//! anew, and by a leader that stores it.

use crate::record::checksum::crc32c;
use crate::record::error::{RecordError, RecordErrorKind};
use crate::record::header::{Attributes, BatchHeader, HeaderError, ProducerStamp, TimestampType};

/// Gives a sealed batch another writer or sequence, and its checksum anew.
///
/// # Errors
///
/// If `batch` is not exactly one batch of magic 2; it is then as it was.
pub fn set_producer(batch: &mut [u8], stamp: ProducerStamp) -> Result<(), RecordError> {
    rewrite(batch, |header| {
        header.producer_id = stamp.producer_id;
        header.producer_epoch = stamp.producer_epoch;
        header.base_sequence = stamp.base_sequence;
    })
}

/// Marks a batch as stamped by the log at `timestamp` (milliseconds), and gives its checksum anew.
///
/// # Errors
///
/// If `batch` is not exactly one batch of magic 2; it is then as it was.
pub fn set_log_append_time(batch: &mut [u8], timestamp: i64) -> Result<(), RecordError> {
    rewrite(batch, |header| {
        header.attributes =
            Attributes::with_timestamp_type(header.attributes, TimestampType::LogAppendTime);
        header.max_timestamp = timestamp;
    })
}

/// Gives a batch the offset of its first record; the checksum does not cover it.
///
/// # Errors
///
/// If there are fewer bytes than a header has.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) -> Result<(), RecordError> {
    let head = head(batch)?;
    head[..8].copy_from_slice(&base_offset.to_be_bytes());
    Ok(())
}

/// Gives a batch the epoch of the leader that appends it; the checksum does not cover it.
///
/// # Errors
///
/// If there are fewer bytes than a header has.
pub fn set_leader_epoch(batch: &mut [u8], leader_epoch: i32) -> Result<(), RecordError> {
    let head = head(batch)?;
    head[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
    Ok(())
}

fn rewrite(batch: &mut [u8], change: impl FnOnce(&mut BatchHeader)) -> Result<(), RecordError> {
    let mut header = BatchHeader::decode(batch)
        .map_err(|error| RecordError::new(0, RecordErrorKind::Header(error)))?;
    if header.total_len() != batch.len() {
        return Err(RecordError::new(
            BatchHeader::LENGTH_AT,
            RecordErrorKind::Truncated {
                needed: header.total_len(),
                available: batch.len(),
            },
        ));
    }
    change(&mut header);
    seal(batch, header);
    Ok(())
}

/// Writes `header` to the front of `batch` with the checksum that the bytes then have.
///
/// The caller vouches that `batch` begins with room for a header.
#[expect(
    clippy::indexing_slicing,
    reason = "both callers hold a batch that begins with a header"
)]
pub(super) fn seal(batch: &mut [u8], mut header: BatchHeader) {
    batch[..BatchHeader::LEN].copy_from_slice(&header.encode());
    header.crc = crc32c(&batch[BatchHeader::CRC_START..]);
    batch[BatchHeader::CRC_AT..BatchHeader::CRC_START].copy_from_slice(&header.crc.to_be_bytes());
}

fn head(batch: &mut [u8]) -> Result<&mut [u8; BatchHeader::LEN], RecordError> {
    let len = batch.len();
    let truncated = RecordErrorKind::Header(HeaderError::Truncated { len });
    batch.first_chunk_mut().ok_or(RecordError {
        at: 0,
        kind: truncated,
    })
}
