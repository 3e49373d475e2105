//! Batches of 1,000 records without key and headers: written and read, checksum included.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use kafka_protocol::compression::Decompressor;
use kafka_protocol::record::{Batch, BatchBuilder, BatchOptions, DecodedBatch, ProducerStamp};
use kafka_protocol_bench::{Comparison, noise};
use peer::indexmap::IndexMap;
use peer::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

fn main() {
    for len in [100, 1000] {
        let values: Vec<_> = (0..COUNT).map(|n| noise(len, n as u64 + 1)).collect();
        let bytes = Bytes::from(ours(&values, Vec::new()));
        assert_eq!(bytes, theirs(&their_records(&values)), "the same batch");
        #[cfg(feature = "krabka")]
        assert_eq!(
            bytes,
            krabka::encode(&krabka::batch(&values)),
            "the same batch"
        );
        encode(len, &values);
        decode(len, &bytes);
    }
}

fn encode(len: usize, values: &[Vec<u8>]) {
    let records = their_records(values);
    let mut buffer = Vec::new();
    let mut copy = Vec::new();
    let title = format!("encode, values of {len} bytes");
    let comparison = Comparison::new(&title, "record", COUNT)
        .with("ours", || {
            let sealed = ours(values, std::mem::take(&mut buffer));
            buffer = black_box(sealed);
        })
        .with("kafka-protocol 0.18, records made", || {
            black_box(theirs(&records));
        })
        .with("kafka-protocol 0.18, from values", || {
            black_box(theirs(&their_records(values)));
        })
        .with("copying the values alone", || {
            copy.clear();
            for value in values {
                copy.extend_from_slice(black_box(value));
            }
            black_box(&copy);
        });
    #[cfg(feature = "krabka")]
    let batch = krabka::batch(values);
    #[cfg(feature = "krabka")]
    let comparison = comparison
        .with("krabka-protocol 0.8, records made", || {
            black_box(krabka::encode(&batch));
        })
        .with("krabka-protocol 0.8, from values", || {
            black_box(krabka::encode(&krabka::batch(values)));
        });
    comparison.run();
}

fn decode(len: usize, bytes: &Bytes) {
    let title = format!("decode, values of {len} bytes");
    let comparison = Comparison::new(&title, "record", COUNT)
        .with("ours, borrowed", || {
            let batch = open(bytes, true);
            for record in batch.records() {
                black_box(record.expect("a record"));
            }
        })
        .with("ours, borrowed, no checksum", || {
            let batch = open(bytes, false);
            for record in batch.records() {
                black_box(record.expect("a record"));
            }
        })
        .with("ours, owned", || {
            let batch = open(bytes, true);
            for record in batch.owned_records() {
                black_box(record.expect("a record"));
            }
        })
        .with("kafka-protocol 0.18", || {
            let set = RecordBatchDecoder::decode(&mut bytes.clone()).expect("a batch");
            black_box(set);
        });
    #[cfg(feature = "krabka")]
    let comparison = comparison
        .with("krabka-protocol 0.8, borrowed", || {
            krabka::decode_borrowed(bytes)
        })
        .with("krabka-protocol 0.8, owned", || krabka::decode_owned(bytes));
    comparison.run();
}

fn open(bytes: &Bytes, verify: bool) -> DecodedBatch {
    let batch = Batch::decode(bytes.clone()).expect("a batch");
    if verify {
        batch.verify_crc().expect("its checksum");
    }
    batch
        .decompress(&mut Decompressor::new(), &mut Vec::new(), 0)
        .expect("a plain batch")
}

fn ours(values: &[Vec<u8>], buffer: Vec<u8>) -> Vec<u8> {
    let mut batch = BatchBuilder::new(buffer, BatchOptions::new());
    for (n, value) in values.iter().enumerate() {
        batch
            .append(timestamp(n), None, Some(value), [])
            .expect("room");
    }
    batch.seal(ProducerStamp::NONE)
}

fn theirs(records: &[Record]) -> Bytes {
    let mut buffer = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut buffer, records, &options).expect("a batch");
    buffer.freeze()
}

fn their_records(values: &[Vec<u8>]) -> Vec<Record> {
    values
        .iter()
        .enumerate()
        .map(|(n, value)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset: n as i64,
            // One batch for them means a sequence that rises with the offset.
            sequence: n as i32 - 1,
            timestamp: timestamp(n),
            key: None,
            value: Some(Bytes::copy_from_slice(value)),
            headers: IndexMap::new(),
        })
        .collect()
}

/// The other codec, which also has a way to read records without a copy.
#[cfg(feature = "krabka")]
mod krabka {
    use std::hint::black_box;

    use bytes::{Bytes, BytesMut};
    use krabka_protocol::DecodeBorrow;
    use krabka_protocol::records::{Record, RecordBatch, RecordBatchBorrowed};

    use super::timestamp;

    pub(super) fn batch(values: &[Vec<u8>]) -> RecordBatch {
        let records = values.iter().enumerate().map(|(n, value)| Record {
            timestamp_delta: timestamp(n) - timestamp(0),
            offset_delta: n as i32,
            value: Some(Bytes::copy_from_slice(value)),
            ..Record::default()
        });
        RecordBatch {
            partition_leader_epoch: -1,
            last_offset_delta: values.len() as i32 - 1,
            base_timestamp: timestamp(0),
            max_timestamp: timestamp(values.len() - 1),
            records: records.collect(),
            ..RecordBatch::default()
        }
    }

    pub(super) fn encode(batch: &RecordBatch) -> Bytes {
        let mut buffer = BytesMut::new();
        batch.encode_batch(&mut buffer).expect("a batch");
        buffer.freeze()
    }

    pub(super) fn decode_borrowed(bytes: &Bytes) {
        let mut rest = bytes.as_ref();
        let batch = RecordBatchBorrowed::decode_borrow(&mut rest, 0).expect("a batch");
        for record in &batch {
            black_box(record.expect("a record"));
        }
    }

    pub(super) fn decode_owned(bytes: &Bytes) {
        black_box(RecordBatch::decode_batch(&mut bytes.clone()).expect("a batch"));
    }
}

fn timestamp(n: usize) -> i64 {
    1_760_000_000_000 + (n / 50) as i64
}

const COUNT: usize = 1000;
