//! What batches cost in memory, by a counting allocator: nothing for each record, and of what is
//! compressed no more than the limit.

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use kafka_protocol::compression::{Compressor, Decompressor};
use kafka_protocol::record::{
    Batch, BatchBuilder, BatchOptions, Batches, Compression, ProducerStamp,
};

use crate::hostile::legacy_set;

#[test]
fn nothing_is_allocated_for_a_record() {
    let value = [7; 100];
    let headers = [("trace", Some(b"1".as_slice())), ("none", None)];
    for compression in Compression::ALL {
        let mut compressor = Compressor::new(compression).unwrap();
        let (mut filled, mut sealed) = (Vec::new(), Vec::new());
        let mut write = || {
            let mut batch = BatchBuilder::new(std::mem::take(&mut filled), BatchOptions::new());
            for n in 0..COUNT {
                let key = n.to_be_bytes();
                batch
                    .append(n as i64, Some(&key), Some(&value), headers)
                    .unwrap();
            }
            batch
                .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut sealed)
                .unwrap();
            filled = batch.into_buffer();
        };
        // The first batch fills the pools, so to speak.
        write();
        write();
        let counted = measure(write);
        // The encoder of zstd makes some lists for each of its blocks.
        let allowed = if compression == Compression::Zstd {
            50
        } else {
            0
        };
        assert!(counted.count_total <= allowed, "{compression}: {counted:?}");

        let batch = Batch::decode(Bytes::from(sealed)).unwrap();
        let (mut decompressor, mut buffer) = (Decompressor::new(), Vec::new());
        let mut read = || {
            batch.verify_crc().unwrap();
            let decoded = batch
                .decompress(&mut decompressor, &mut buffer, 1 << 20)
                .unwrap();
            let mut headers = 0;
            for record in decoded.records() {
                headers += record.unwrap().headers.count();
            }
            assert_eq!(headers, 2 * COUNT);
            buffer = decoded.into_buffer().unwrap_or_default();
        };
        read();
        let counted = measure(read);
        // What makes a buffer one that can be shared; nothing else.
        assert!(counted.count_total <= 2, "{compression}: {counted:?}");
    }
}

#[test]
fn an_old_set_takes_what_it_is_allowed_once() {
    for magic in [0, 1] {
        for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            // Messages as small as can be, of which records and lists would take the most.
            let mut set = Vec::new();
            for n in 0.. {
                let message = legacy_set(magic, Compression::None, n, None, None);
                if set.len() + message.len() > LIMIT {
                    break;
                }
                set.extend_from_slice(&message);
            }
            let last =
                (set.len() / legacy_set(magic, Compression::None, 0, None, None).len()) as i64;
            let mut wrapped = Vec::new();
            Compressor::new(compression)
                .unwrap()
                .compress(&set, &mut wrapped)
                .unwrap();
            let bytes = Bytes::from(legacy_set(magic, compression, last, None, Some(&wrapped)));
            let batch = Batches::new(bytes).next().unwrap().unwrap();
            let mut records = 0;
            let (mut decompressor, mut buffer) = (Decompressor::new(), Vec::new());
            let mut read = |limit| {
                let decoded = batch.decompress(&mut decompressor, &mut buffer, limit)?;
                records = decoded.records().filter(Result::is_ok).count();
                buffer = decoded.into_buffer().unwrap();
                Ok::<_, kafka_protocol::record::RecordError>(())
            };
            let counted = measure(|| read(LIMIT).unwrap());
            assert!(
                peak(&counted) < LIMIT + LIMIT / 2 + CODEC_TABLES,
                "{magic} {compression}: {counted:?}"
            );
            // With the buffer of the one before it costs nothing but the codec's tables.
            let counted = measure(|| read(LIMIT).unwrap());
            assert!(
                peak(&counted) < CODEC_TABLES,
                "{magic} {compression}: {counted:?}"
            );
            assert!(read(set.len() - 1).is_err());
            assert_eq!(records as i64, last);
        }
    }
}

fn peak(counted: &AllocationInfo) -> usize {
    counted.bytes_max as usize
}

const COUNT: usize = 1000;
/// Bytes that a set may become.
const LIMIT: usize = 2 << 20;
/// What a codec needs for itself.
const CODEC_TABLES: usize = 256 << 10;
