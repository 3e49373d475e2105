//! Batches for the tests of this folder.

use kafka_protocol::record::{
    Attributes, BatchBuilder, BatchHeader, BatchOptions, EndTransactionMarker, ProducerStamp,
};

/// The head of a batch of `count` records, all of the first second, at this offset.
pub(crate) fn header(base_offset: i64, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset,
        batch_length: 49,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: count - 1,
        base_timestamp: 1000,
        max_timestamp: 1000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: count,
    }
}

/// A batch as a plain producer sends it: `count` records with a value of `value_len` bytes, the first at
/// `timestamp` and each one millisecond later.
pub(crate) fn batch(count: i32, value_len: usize, timestamp: i64) -> Vec<u8> {
    sealed(
        count,
        value_len,
        timestamp,
        BatchOptions::new(),
        ProducerStamp::NONE,
    )
}

/// The same of an idempotent producer.
pub(crate) fn produced(count: i32, timestamp: i64, id: i64, epoch: i16, sequence: i32) -> Vec<u8> {
    sealed(
        count,
        10,
        timestamp,
        BatchOptions::new(),
        stamp(id, epoch, sequence),
    )
}

/// The same in a transaction.
pub(crate) fn transactional(
    count: i32,
    timestamp: i64,
    id: i64,
    epoch: i16,
    sequence: i32,
) -> Vec<u8> {
    let options = BatchOptions::new().transactional();
    sealed(count, 10, timestamp, options, stamp(id, epoch, sequence))
}

/// The marker that ends a transaction.
pub(crate) fn marker(timestamp: i64, id: i64, epoch: i16, committed: bool) -> Vec<u8> {
    EndTransactionMarker::new(committed, 0).batch(id, epoch, timestamp, BatchOptions::new())
}

fn sealed(
    count: i32,
    value_len: usize,
    timestamp: i64,
    options: BatchOptions,
    stamp: ProducerStamp,
) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Vec::new(), options);
    let value = vec![b'v'; value_len];
    for nth in 0..count {
        let key = nth.to_string();
        batch
            .append(
                timestamp + i64::from(nth),
                Some(key.as_bytes()),
                Some(&value),
                [],
            )
            .unwrap();
    }
    batch.seal(stamp)
}

pub(crate) fn stamp(producer_id: i64, producer_epoch: i16, base_sequence: i32) -> ProducerStamp {
    ProducerStamp {
        producer_id,
        producer_epoch,
        base_sequence,
    }
}
