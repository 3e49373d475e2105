//! Whether the records of a batch can be read, and have keys where a compacted topic demands them: what
//! a batch's head and checksum do not tell. As in Kafka nothing is stored that no consumer could read.

use std::fmt;

use bytes::Bytes;
use kafka_protocol::compression::{DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{Batch, RecordError};

/// What is wrong with the records.
#[derive(Debug)]
pub(crate) enum RecordsError {
    /// The records of these numbers have no key, and maybe others behind the last of them.
    KeysMissing(Vec<i32>),
    /// The records cannot be read.
    Unreadable(RecordError),
}

impl RecordsError {
    /// The records that are to blame, all that are named: each is told so by itself.
    pub(crate) fn into_records(self) -> Vec<i32> {
        match self {
            Self::KeysMissing(records) => records,
            Self::Unreadable(_) => Vec::new(),
        }
    }
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeysMissing(_) => f.write_str("no key, which a compacted topic demands"),
            Self::Unreadable(error) => write!(f, "unreadable records: {error}"),
        }
    }
}

/// Refuses a batch with records that cannot be read, or with one without a key where all need one.
pub(crate) fn check_records(bytes: &Bytes, need_keys: bool) -> Result<(), RecordsError> {
    // Bytes that are no sound batch are the log's to refuse.
    let Ok(batch) = Batch::decode(bytes.clone()) else {
        return Ok(());
    };
    match walk(&batch, need_keys) {
        // So are those with a wrong checksum. Most have a right one, which the log compares in any case.
        Err(_) if batch.verify_crc().is_err() => Ok(()),
        walked => walked,
    }
}

fn walk(batch: &Batch, need_keys: bool) -> Result<(), RecordsError> {
    let mut buffer = Vec::new();
    let records = batch
        .records(&mut Decompressor::new(), &mut buffer, DECOMPRESSED_MAX)
        .map_err(RecordsError::Unreadable)?;
    let mut missing = Vec::new();
    for (at, record) in (0..).zip(records) {
        let key = record.map_err(RecordsError::Unreadable)?.key;
        if need_keys && key.is_none() {
            missing.push(at);
            if missing.len() == NAMED_MAX {
                break;
            }
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(RecordsError::KeysMissing(missing)),
    }
}

/// The most records that are named: a batch of a megabyte may unpack to millions, and each is told why.
const NAMED_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use kafka_protocol::compression::{Compression, Compressor};
    use kafka_protocol::record::{BatchBuilder, BatchHeader, BatchOptions, ProducerStamp, crc32c};

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
        let refused = check_records(&batch(&[None, Some(b"k"), None]), true).unwrap_err();
        assert_eq!(refused.into_records(), [0, 2]);
        assert!(check_records(&batch(&[Some(b"k"), Some(b"")]), true).is_ok());
        assert!(check_records(&batch(&[None, Some(b"k")]), false).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_refused_unless_the_checksum_is_wrong_too() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
            builder.append(1, None, Some(&[b'v'; 100]), []).unwrap();
            let mut batch = Vec::new();
            let mut compressor = Compressor::new(compression).unwrap();
            builder
                .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut batch)
                .unwrap();
            assert!(check_records(&batch.clone().into(), false).is_ok());
            batch[BatchHeader::LEN..BatchHeader::LEN + 4].fill(0x7e);
            // The log compares the checksum and calls the batch corrupt.
            assert!(check_records(&batch.clone().into(), false).is_ok());
            let crc = crc32c(&batch[BatchHeader::CRC_START..]);
            batch[BatchHeader::CRC_AT..BatchHeader::CRC_START].copy_from_slice(&crc.to_be_bytes());
            let refused = check_records(&batch.into(), false).unwrap_err();
            assert!(
                matches!(refused, RecordsError::Unreadable(_)),
                "{compression:?}"
            );
        }
    }

    #[test]
    fn of_very_many_records_without_a_key_only_so_many_are_named() {
        let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
        for _ in 0..NAMED_MAX + 5 {
            batch.append(0, None, None, []).unwrap();
        }
        let refused = check_records(&batch.seal(ProducerStamp::NONE).into(), true).unwrap_err();
        let records = refused.into_records();
        assert_eq!((records.len(), records.last()), (NAMED_MAX, Some(&9_999)));
    }
}
