//! Batches for the tests of this folder, made without the encoder of the protocol crate, so that the two
//! check each other.

use kafka_protocol::record::{BatchHeader, crc32c};

/// The head of a batch of `count` records of one second each, at this offset.
pub(crate) fn header(base_offset: i64, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset,
        batch_length: 49,
        partition_leader_epoch: -1,
        crc: 0,
        attributes: kafka_protocol::record::Attributes::default(),
        last_offset_delta: count - 1,
        base_timestamp: 1000,
        max_timestamp: 1000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: count,
    }
}

/// A batch as a producer sends it: `count` records with a value of `value_len` bytes, the first at
/// `timestamp` and each one millisecond later.
pub(crate) fn batch(count: i32, value_len: usize, timestamp: i64) -> Vec<u8> {
    batch_with(count, value_len, timestamp, |_| {})
}

/// The same, with a change to its head.
pub(crate) fn batch_with(
    count: i32,
    value_len: usize,
    timestamp: i64,
    change: impl FnOnce(&mut BatchHeader),
) -> Vec<u8> {
    let mut records = Vec::new();
    for nth in 0..count {
        let mut record = vec![0];
        varint(&mut record, i64::from(nth));
        varint(&mut record, i64::from(nth));
        let key = nth.to_string();
        varint(&mut record, key.len() as i64);
        record.extend_from_slice(key.as_bytes());
        varint(&mut record, value_len as i64);
        record.resize(record.len() + value_len, b'v');
        varint(&mut record, 0);
        varint(&mut records, record.len() as i64);
        records.extend_from_slice(&record);
    }
    let mut header = header(0, count);
    header.base_timestamp = timestamp;
    header.max_timestamp = timestamp + i64::from(count) - 1;
    header.batch_length = (records.len() + 49) as i32;
    change(&mut header);
    seal(header, &records)
}

/// The bytes of a batch with a right checksum.
pub(crate) fn seal(mut header: BatchHeader, records: &[u8]) -> Vec<u8> {
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(records);
    header.crc = crc32c(&bytes[BatchHeader::CRC_START..]);
    bytes[..BatchHeader::LEN].copy_from_slice(&header.encode());
    bytes
}

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
