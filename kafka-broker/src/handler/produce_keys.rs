//! Whether every record of a batch has a key, as compacted topics demand: the one thing that takes a
//! look at the records themselves.

use std::fmt;

use bytes::Bytes;
use kafka_protocol::compression::{DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{Batch, RecordError};

/// What is wrong with the keys.
#[derive(Debug)]
pub(crate) enum KeyError {
    /// The records of these numbers have none, and maybe others behind the last of them.
    Missing(Vec<i32>),
    /// The records cannot be read.
    Unreadable(RecordError),
}

impl KeyError {
    /// The records that are to blame, all that are named: each is told so by itself.
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
            if missing.len() == NAMED_MAX {
                break;
            }
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(KeyError::Missing(missing)),
    }
}

/// The most records that are named: a batch of a megabyte may unpack to millions, and each is told why.
const NAMED_MAX: usize = 10_000;

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
        assert_eq!(refused.into_records(), [0, 2]);
        assert!(check_keys(&batch(&[Some(b"k"), Some(b"")])).is_ok());
    }

    #[test]
    fn of_very_many_records_without_a_key_only_so_many_are_named() {
        let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
        for _ in 0..NAMED_MAX + 5 {
            batch.append(0, None, None, []).unwrap();
        }
        let refused = check_keys(&batch.seal(ProducerStamp::NONE).into()).unwrap_err();
        let records = refused.into_records();
        assert_eq!((records.len(), records.last()), (NAMED_MAX, Some(&9_999)));
    }
}
