//! Batches, good and bad.

use bytes::Bytes;
use kafka_protocol::compression::Compressor;
use kafka_protocol::record::{
    BatchBuilder, BatchHeader, BatchOptions, Compression, ProducerStamp, crc32c,
};

/// A plain batch of these values, with keys.
pub(crate) fn batch(values: &[&str]) -> Vec<u8> {
    batch_of(BatchOptions::new(), ProducerStamp::NONE, values)
}

pub(crate) fn batch_of(options: BatchOptions, stamp: ProducerStamp, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Vec::new(), options);
    for value in values {
        builder
            .append(TIMESTAMP, Some(b"key"), Some(value.as_bytes()), [])
            .unwrap();
    }
    builder.seal(stamp)
}

/// A batch of an idempotent producer.
pub(crate) fn batch_by(
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    values: &[&str],
) -> Bytes {
    batch_of(
        BatchOptions::new(),
        stamp(producer_id, producer_epoch, base_sequence),
        values,
    )
    .into()
}

/// A batch of a transaction.
pub(crate) fn batch_in_transaction(
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    values: &[&str],
) -> Bytes {
    let stamp = stamp(producer_id, producer_epoch, base_sequence);
    batch_of(BatchOptions::new().transactional(), stamp, values).into()
}

pub(crate) fn stamp(producer_id: i64, producer_epoch: i16, base_sequence: i32) -> ProducerStamp {
    ProducerStamp {
        producer_id,
        producer_epoch,
        base_sequence,
    }
}

pub(crate) fn compressed(compression: Compression, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    for value in values {
        builder
            .append(TIMESTAMP, Some(b"key"), Some(value.as_bytes()), [])
            .unwrap();
    }
    let mut output = Vec::new();
    let mut compressor = Compressor::new(compression).unwrap();
    builder
        .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut output)
        .unwrap();
    output.into()
}

/// The batch with these bytes at this place, under a checksum that fits.
pub(crate) fn patched(mut batch: Vec<u8>, at: usize, bytes: &[u8]) -> Bytes {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c(&batch[BatchHeader::CRC_START..]);
    batch[BatchHeader::CRC_START - 4..BatchHeader::CRC_START].copy_from_slice(&crc.to_be_bytes());
    batch.into()
}

/// A moment of 2025, in milliseconds.
pub(crate) const TIMESTAMP: i64 = 1_760_000_000_000;
