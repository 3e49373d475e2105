//! Whether every record of a batch has a key, as compacted topics demand: the one thing that takes a
//! look at the records themselves.

use std::fmt;

use bytes::Bytes;
use kafka_protocol::ErrorCode;
use kafka_protocol::compression::{DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{Batch, RecordError};

/// What is wrong with the keys.
#[derive(Debug)]
pub(crate) enum KeyError {
    /// The records of these numbers have none.
    Missing(Vec<i32>),
    /// The records cannot be read.
    Unreadable(RecordError),
}

impl KeyError {
    /// Kafka's code.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Missing(_) => ErrorCode::INVALID_RECORD,
            Self::Unreadable(_) => ErrorCode::CORRUPT_MESSAGE,
        }
    }

    /// The records that are to blame: all of them, since a producer sends the others again.
    pub(crate) fn into_records(self) -> Vec<i32> {
        match self {
            Self::Missing(records) => records,
            Self::Unreadable(_) => Vec::new(),
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(_) => f.write_str("no key, which a compacted topic demands"),
            Self::Unreadable(error) => write!(f, "unreadable records: {error}"),
        }
    }
}

/// Refuses a batch with a record without a key.
pub(crate) fn check_keys(records: &Bytes) -> Result<(), KeyError> {
    // Bytes that are no sound batch are the log's to refuse.
    let Ok(batch) = Batch::decode(records.clone()) else {
        return Ok(());
    };
    if batch.verify_crc().is_err() {
        return Ok(());
    }
    let mut buffer = Vec::new();
    let records = batch
        .records(&mut Decompressor::new(), &mut buffer, DECOMPRESSED_MAX)
        .map_err(KeyError::Unreadable)?;
    let mut missing = Vec::new();
    for (at, record) in (0..).zip(records) {
        if record.map_err(KeyError::Unreadable)?.key.is_none() {
            missing.push(at);
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(KeyError::Missing(missing)),
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

    use super::*;

    #[test]
    fn every_record_without_a_key_is_named() {
        let batch = |keys: &[Option<&[u8]>]| {
            let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
            for key in keys {
                builder.append(1, *key, Some(b"v"), []).unwrap();
            }
            Bytes::from(builder.seal(ProducerStamp::NONE))
        };
        let refused = check_keys(&batch(&[None, Some(b"k"), None])).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::INVALID_RECORD);
        assert_eq!(refused.into_records(), [0, 2]);
        assert!(check_keys(&batch(&[Some(b"k"), Some(b"")])).is_ok());
    }
}
