//! What costs a broker more than it costs who sends it: batches that unpack to much, and looks into them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_broker::Broker;
use kafka_broker::log::{Fault, MemoryDisk, Operation};
use kafka_protocol::ErrorCode;
use kafka_protocol::compression::{Compression, Compressor};
use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
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

fn at_time(timestamp: i64) -> ListOffsetsRequest {
    let mut partition = ListOffsetsPartition::default();
    partition.timestamp = timestamp;
    let mut topic = ListOffsetsTopic::default();
    topic.name = "t".into();
    topic.partitions.push(partition);
    let mut request = ListOffsetsRequest::default();
    request.replica_id = -1;
    request.topics.push(topic);
    request
}

#[tokio::test]
async fn who_looks_for_a_time_holds_no_other_connection_up() {
    let disk = MemoryDisk::new();
    // One thread for all connections.
    let builder = Broker::builder().worker_threads(1);
    let broker = builder.memory_disk(disk.clone()).start().await.unwrap();
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 1);
    let batch = Bytes::from(packed(Compression::Gzip, &[7; 100]));
    connection.append("t", 0, &batch);
    let request = at_time(TIMESTAMP);
    let found = connection.ask(&request, 7);
    assert_eq!(found.topics[0].partitions[0].offset, 0);
    disk.inject(Fault::delay(Operation::Read, READ));
    let mut looking: Vec<_> = (0..4).map(|_| Connection::open(&broker)).collect();
    let began = Instant::now();
    for connection in &mut looking {
        connection.send(&request, 7);
    }
    std::thread::sleep(Duration::from_millis(100));
    Connection::open(&broker).assert_served();
    let took = began.elapsed();
    disk.heal();
    assert!(took < READ, "{took:?}");
    for connection in &mut looking {
        let found = connection.receive::<ListOffsetsRequest>(7);
        assert_eq!(found.topics[0].partitions[0].offset, 0);
    }
}

/// Longer than everything else takes together.
const READ: Duration = Duration::from_secs(2);
const TIMESTAMP: i64 = 1_760_000_000_000;
