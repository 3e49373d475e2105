//! Batches that came from outside and are whole: cut apart, and each checksum compared, once and for all that is
//! done with them. Their records may still be anything.

use kafka_protocol::record::{BatchHeader, HeaderError};

use crate::log::batch_scan::{check_counts, check_crc};
use crate::log::error::{InvalidBatch, LogError};

/// Batches whose checksums are right.
#[derive(Clone, Debug)]
pub(crate) struct SoundBatches<'b> {
    pub(crate) bytes: &'b [u8],
    /// Their heads, in order.
    pub(crate) headers: Vec<BatchHeader>,
}

impl<'b> SoundBatches<'b> {
    /// Compares the checksums. What the bytes say wrongly is corrupt, and what they say rightly but may not is
    /// invalid.
    pub(crate) fn check(bytes: &'b [u8]) -> Result<Self, LogError> {
        let mut headers = Vec::with_capacity(1);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (header, batch, behind) = split_first(rest)?;
            check_sound(&header, batch)?;
            headers.push(header);
            rest = behind;
        }
        Ok(Self { bytes, headers })
    }

    /// One batch that the caller has checked, or sealed itself.
    pub(crate) fn sealed(bytes: &'b [u8], header: BatchHeader) -> Self {
        Self {
            bytes,
            headers: vec![header],
        }
    }
}

/// Cuts off the first batch, which is whole.
pub(crate) fn split_first(bytes: &[u8]) -> Result<(BatchHeader, &[u8], &[u8]), LogError> {
    let header = match BatchHeader::decode(bytes) {
        Ok(header) => header,
        Err(error @ (HeaderError::Magic(0 | 1) | HeaderError::Truncated { .. })) => {
            return Err(invalid(&error));
        }
        Err(error) => return Err(corrupt(InvalidBatch::Header(error))),
    };
    let len = header.total_len();
    let (batch, behind) = bytes.split_at_checked(len).ok_or_else(|| {
        invalid(&InvalidBatch::Torn {
            length: len,
            available: bytes.len(),
        })
    })?;
    Ok((header, batch, behind))
}

/// Whether the checksum of a batch is right, and what its head counts can be.
pub(crate) fn check_sound(header: &BatchHeader, batch: &[u8]) -> Result<(), LogError> {
    check_crc(header, batch).map_err(corrupt)?;
    check_counts(header).map_err(|error| invalid(&error))
}

fn corrupt(reason: InvalidBatch) -> LogError {
    LogError::CorruptBatch { reason }
}

fn invalid(reason: &dyn std::fmt::Display) -> LogError {
    LogError::InvalidRecord {
        reason: reason.to_string(),
    }
}
