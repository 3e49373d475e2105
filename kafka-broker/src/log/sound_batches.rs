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
        let corrupt = |reason| LogError::CorruptBatch { reason };
        let invalid = |reason| LogError::InvalidRecord { reason };
        let mut headers = Vec::with_capacity(1);
        let mut rest = bytes;
        while !rest.is_empty() {
            let header = match BatchHeader::decode(rest) {
                Ok(header) => header,
                Err(error @ (HeaderError::Magic(0 | 1) | HeaderError::Truncated { .. })) => {
                    return Err(invalid(error.to_string()));
                }
                Err(error) => return Err(corrupt(InvalidBatch::Header(error))),
            };
            let Some((batch, behind)) = rest.split_at_checked(header.total_len()) else {
                let torn = InvalidBatch::Torn {
                    length: header.total_len(),
                    available: rest.len(),
                };
                return Err(invalid(torn.to_string()));
            };
            check_crc(&header, batch).map_err(corrupt)?;
            check_counts(&header).map_err(|error| invalid(error.to_string()))?;
            headers.push(header);
            rest = behind;
        }
        Ok(Self { bytes, headers })
    }
}
