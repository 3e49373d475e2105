//! What costs a broker more than it costs who sends it: batches that unpack to much.

use bytes::Bytes;
use kafka_protocol::ErrorCode;
use kafka_protocol::compression::{Compression, Compressor};
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::record::{BatchBuilder, BatchHeader, BatchOptions, ProducerStamp};

use crate::connection::{Connection, broker, produce};

fn packed(compression: Compression, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    builder.append(TIMESTAMP, None, Some(value), []).unwrap();
    let mut output = Vec::new();
    let mut compressor = Compressor::new(compression).unwrap();
    builder
        .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut output)
        .unwrap();
    output
}

fn code_of(connection: &mut Connection, batch: Vec<u8>) -> ErrorCode {
    let answer = connection.ask(&produce("t", 0, &Bytes::from(batch)), 9);
    ErrorCode::from(answer.responses[0].partition_responses[0].error_code)
}

/// Each would be told otherwise, if at all, by who unpacks first.
#[tokio::test]
async fn what_is_damaged_or_too_large_is_not_unpacked() {
    let broker = broker(&[("message.max.bytes", "2000")]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 1);
    for compression in Compression::ALL {
        let mut damaged = packed(compression, &[7; 100]);
        damaged[BatchHeader::LEN..].fill(0x7e);
        let code = code_of(&mut connection, damaged.clone());
        assert_eq!(code, ErrorCode::CORRUPT_MESSAGE, "{compression}");
        damaged.resize(3000, 0x7e);
        let len = (3000 - BatchHeader::LENGTH_PREFIX) as i32;
        damaged[BatchHeader::LENGTH_AT..][..4].copy_from_slice(&len.to_be_bytes());
        let code = code_of(&mut connection, damaged);
        assert_eq!(code, ErrorCode::MESSAGE_TOO_LARGE, "{compression}");
        let sound = packed(compression, &[7; 100]);
        assert_eq!(code_of(&mut connection, sound), ErrorCode::NONE);
    }
}

/// A request of a few kilobytes cannot have gigabytes unpacked: its batches share what there is.
#[tokio::test]
async fn the_batches_of_a_request_share_what_they_may_become() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 5);
    // In zstd a run of zeros is next to nothing, at both ends.
    let large = Bytes::from(packed(Compression::Zstd, &vec![0; 100 << 20]));
    assert!(large.len() < 20_000, "{}", large.len());
    let mut request = produce("t", 0, &large);
    for index in 1..5 {
        let mut data = PartitionProduceData::default();
        data.index = index;
        data.records = Some(large.clone());
        request.topic_data[0].partition_data.push(data);
    }
    for _ in 0..2 {
        let answer = connection.ask(&request, 9);
        let rows = &answer.responses[0].partition_responses;
        let codes: Vec<_> = rows.iter().map(|row| row.error_code).collect();
        let too_large = ErrorCode::MESSAGE_TOO_LARGE.code();
        assert_eq!(codes, [0, 0, too_large, too_large, too_large]);
    }
}

const TIMESTAMP: i64 = 1_760_000_000_000;
