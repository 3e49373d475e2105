//! Whether the records of a batch can be read, and have keys where a compacted topic demands them: what
//! a batch's head and checksum do not tell. As in Kafka nothing is stored that no consumer could read. And the batch in
//! the codec that its topic wants, since the records are at hand here.

use std::fmt;

use bytes::Bytes;
use kafka_protocol::ErrorCode;
use kafka_protocol::compression::{Compression, CompressionError, DECOMPRESSED_MAX};
use kafka_protocol::record::{Batch, BatchHeader, RecordError};

use crate::handler::recompress::Recompression;
use crate::state::unpackers::{SMALL_MAX, Unpacker, Unpackers, unpacked_max};

/// What is wrong with the records.
#[derive(Debug)]
pub(crate) enum RecordsError {
    /// The records of these numbers have no key, and maybe others behind the last of them.
    KeysMissing(Vec<i32>),
    /// The records cannot be read.
    Unreadable(RecordError),
    /// In the codec of the topic the batch is too large.
    NotRecompressed(CompressionError),
}

impl RecordsError {
    /// How the producer is told. The checksum is right: so the batch was sent, and the same would come again.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::KeysMissing(_) | Self::Unreadable(_) => ErrorCode::INVALID_RECORD,
            Self::NotRecompressed(CompressionError::TooLarge { .. }) => {
                ErrorCode::MESSAGE_TOO_LARGE
            }
            Self::NotRecompressed(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }

    /// The records that are to blame, all that are named: each is told so by itself.
    pub(crate) fn into_records(self) -> Vec<i32> {
        match self {
            Self::KeysMissing(records) => records,
            Self::Unreadable(_) | Self::NotRecompressed(_) => Vec::new(),
        }
    }
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeysMissing(_) => f.write_str("no key, which a compacted topic demands"),
            Self::Unreadable(error) => write!(f, "unreadable records: {error}"),
            Self::NotRecompressed(error) => write!(f, "in the codec of the topic: {error}"),
        }
    }
}

/// The batch in the codec that is wanted, if it is another than it came in. Refuses one with records that cannot be
/// read, or with one without a key where all need one. Its checksum was compared before: nothing is unpacked that was
/// damaged on the way.
pub(crate) fn admit_records(
    bytes: &Bytes,
    need_keys: bool,
    wanted: Option<Recompression<'_>>,
    unpackers: &Unpackers,
) -> Result<Option<Bytes>, RecordsError> {
    let batch = Batch::decode(bytes.clone()).map_err(RecordsError::Unreadable)?;
    let compression = batch.compression().unwrap_or_default();
    // What the log would refuse must not become something that it takes.
    let wanted = wanted
        .filter(|wanted| bytes.len() <= wanted.max_len && wanted.codec.compression != compression);
    let admit = |unpacker: &mut Unpacker| {
        walk(&batch, need_keys, unpacker)?;
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        let records = match compression {
            Compression::None => bytes.get(BatchHeader::LEN..).unwrap_or_default(),
            _ => &unpacker.buffer,
        };
        let packed = wanted.apply(&batch, records);
        packed.map(Some).map_err(RecordsError::NotRecompressed)
    };
    match wanted.is_some() || unpacked_max(compression, bytes.len()) > SMALL_MAX {
        true => unpackers.lend_in_turn(admit),
        false => unpackers.lend(admit),
    }
}

fn walk(batch: &Batch, need_keys: bool, unpacker: &mut Unpacker) -> Result<(), RecordsError> {
    let Unpacker {
        decompressor,
        buffer,
    } = unpacker;
    let records = batch
        .records(decompressor, buffer, DECOMPRESSED_MAX)
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

/// The most records that an answer names: a batch of a megabyte may unpack to millions, and each is told why.
pub(crate) const NAMED_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use kafka_protocol::compression::{Compressor, Decompressor};
    use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

    use super::*;
    use crate::config::codec::Codec;
    use crate::state::compressors::Compressors;

    fn check_records(bytes: &Bytes, need_keys: bool) -> Result<(), RecordsError> {
        let rewritten = admit_records(bytes, need_keys, None, &Unpackers::new(1))?;
        assert_eq!(rewritten, None, "it is stored as it came");
        Ok(())
    }

    /// A batch in which every field is another than the default.
    fn batch_in(compression: Compression) -> Bytes {
        let options = BatchOptions::new().transactional();
        let mut builder = BatchBuilder::new(Vec::new(), options);
        for at in 0..200_u8 {
            let bytes = [at; 50];
            let headers = [("h", Some(&bytes[..7])), ("null", None)];
            let key = (at % 2 == 0).then_some(&bytes[..1]);
            let value = (at % 3 > 0).then_some(&bytes[..]);
            let timestamp = 1_760_000_000_000 + i64::from(at % 7);
            builder.append(timestamp, key, value, headers).unwrap();
        }
        let stamp = ProducerStamp {
            producer_id: 7,
            producer_epoch: 3,
            base_sequence: 11,
        };
        let mut output = Vec::new();
        let mut compressor = Compressor::new(compression).unwrap();
        builder
            .seal_compressed(stamp, &mut compressor, &mut output)
            .unwrap();
        output.into()
    }

    fn told(batch: &Bytes) -> (BatchHeader, Vec<String>) {
        let batch = Batch::decode(batch.clone()).unwrap();
        batch.verify_crc().unwrap();
        let mut buffer = Vec::new();
        let records = batch
            .records(&mut Decompressor::new(), &mut buffer, 1 << 20)
            .unwrap();
        let records = records.map(|record| {
            let record = record.unwrap();
            let headers: Vec<_> = record
                .headers
                .map(|header| (header.key().into_owned(), header.value))
                .collect();
            let (offset, timestamp) = (record.offset, record.timestamp);
            format!(
                "{offset} {timestamp} {:?} {:?} {headers:?}",
                record.key, record.value
            )
        });
        (*batch.header(), records.collect())
    }

    #[test]
    fn nothing_but_the_codec_changes_when_another_is_wanted() {
        let compressors = Compressors::default();
        let unpackers = Unpackers::new(1);
        for from in Compression::ALL {
            let came = batch_in(from);
            for compression in Compression::ALL {
                let wanted = Recompression {
                    codec: Codec {
                        compression,
                        level: None,
                    },
                    compressors: &compressors,
                    max_len: 1 << 20,
                };
                let stored = admit_records(&came, false, Some(wanted), &unpackers).unwrap();
                assert_eq!(
                    stored.is_none(),
                    from == compression,
                    "{from} to {compression}"
                );
                let Some(stored) = stored else { continue };
                let (old, records) = told(&came);
                let (new, same) = told(&stored);
                assert_eq!(records, same, "{from} to {compression}");
                let expected = BatchHeader {
                    batch_length: stored.len() as i32 - 12,
                    crc: new.crc,
                    attributes: old.attributes.with_compression(compression),
                    ..old
                };
                assert_eq!(new, expected, "{from} to {compression}");
            }
        }
    }

    #[test]
    fn what_the_log_would_refuse_comes_to_it_as_it_was() {
        let compressors = Compressors::default();
        let unpackers = Unpackers::new(1);
        let wanted = |compression, max_len| Recompression {
            codec: Codec {
                compression,
                level: None,
            },
            compressors: &compressors,
            max_len,
        };
        let came = batch_in(Compression::None);
        let small = wanted(Compression::Gzip, came.len() - 1);
        let admitted = admit_records(&came, false, Some(small), &unpackers).unwrap();
        assert_eq!(admitted, None, "too large, though it would not be in gzip");
        let packed = batch_in(Compression::Gzip);
        for (max_len, is_admitted) in [(came.len(), true), (came.len() - 1, false)] {
            let plain = wanted(Compression::None, max_len);
            let admitted = admit_records(&packed, false, Some(plain), &unpackers);
            assert_eq!(
                admitted.is_ok(),
                is_admitted,
                "too large once it is unpacked"
            );
            if let Err(error) = admitted {
                assert_eq!(error.code(), ErrorCode::MESSAGE_TOO_LARGE);
            }
        }
    }

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
    fn what_cannot_be_read_is_refused_and_the_next_batch_is_read() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
            builder.append(1, None, Some(&[b'v'; 100]), []).unwrap();
            let mut sound = Vec::new();
            let mut compressor = Compressor::new(compression).unwrap();
            builder
                .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut sound)
                .unwrap();
            let mut batch = sound.clone();
            batch[BatchHeader::LEN..BatchHeader::LEN + 4].fill(0x7e);
            let refused = check_records(&batch.into(), false).unwrap_err();
            assert!(
                matches!(refused, RecordsError::Unreadable(_)),
                "{compression:?}"
            );
            assert!(
                check_records(&sound.into(), false).is_ok(),
                "{compression:?}"
            );
        }
    }

    #[test]
    fn what_may_become_large_or_is_packed_anew_waits_for_its_turn() {
        let unpackers = Unpackers::new(1);
        let compressors = Compressors::default();
        let plain = batch_in(Compression::None);
        let packed = batch_in(Compression::Zstd);
        let to_gzip = Recompression {
            codec: Codec {
                compression: Compression::Gzip,
                level: None,
            },
            compressors: &compressors,
            max_len: 1 << 20,
        };
        let (done, is_done) = mpsc::channel();
        thread::scope(|scope| {
            unpackers.lend_in_turn(|_| {
                admit_records(&plain, false, None, &unpackers).unwrap();
                for (batch, wanted) in [(&packed, None), (&plain, Some(to_gzip))] {
                    let (done, unpackers) = (done.clone(), &unpackers);
                    scope.spawn(move || {
                        admit_records(batch, false, wanted, unpackers).unwrap();
                        done.send(()).unwrap();
                    });
                }
                let early = is_done.recv_timeout(Duration::from_millis(50));
                assert!(early.is_err(), "the turn is somebody else's");
            });
            for _ in 0..2 {
                is_done.recv_timeout(Duration::from_secs(20)).unwrap();
            }
        });
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
