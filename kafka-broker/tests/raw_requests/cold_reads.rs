//! Batches that are sent from their files are those that were appended, in every version, whole, and
//! though their topic be deleted in the meantime.

use std::time::Duration;

use bytes::Bytes;
use kafka_broker::Broker;
use kafka_protocol::messages::{DeleteTopicsRequest, FetchRequest};
use kafka_protocol::record::{Batch, BatchHeader};

use crate::connection::{Connection, batch, fetch};

/// What partition 0 holds from an offset on, as one fetch of this version tells.
fn read(connection: &mut Connection, version: i16, offset: i64) -> Bytes {
    let mut response = connection.ask(&fetch("cold", &[(0, offset)]), version);
    let partition = response.responses[0].partitions.remove(0);
    assert_eq!(partition.error_code, 0);
    partition.records.unwrap()
}

/// Large batches, so that none is kept in memory. Gives them as the log must hold them.
fn fill(connection: &mut Connection, count: u8) -> Vec<Bytes> {
    let mut stored = Vec::new();
    for nth in 0..count {
        let sent = batch(100_000, nth);
        assert_eq!(connection.append("cold", 0, &sent), i64::from(nth));
        let mut header = BatchHeader::decode(&sent).unwrap();
        header.base_offset = nth.into();
        header.partition_leader_epoch = 0;
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(&sent[BatchHeader::LEN..]);
        stored.push(bytes.into());
    }
    stored
}

#[tokio::test]
async fn files_are_sent_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let builder = Broker::builder().data_dir(folder.path());
        builder.start().await.unwrap()
    };
    let broker = start().await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("cold", 1);
    let stored = fill(&mut connection, 30);
    let check = |connection: &mut Connection| {
        // Old clients need a look into the batches, which newer ones do not.
        for version in [4, 9, 10, 11, 12] {
            for offset in [0, 3, 25] {
                let records = read(connection, version, offset);
                let last = 30.min(offset as usize + 10);
                assert_eq!(records, stored[offset as usize..last].concat(), "{version}");
            }
        }
    };
    check(&mut connection);
    drop(connection);
    broker.stop().await.unwrap();
    // What another process wrote is compared with its checksums the first time, and sent from then on.
    let broker = start().await;
    let mut connection = Connection::open(&broker);
    check(&mut connection);
    check(&mut connection);
    drop(connection);
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn a_bit_that_fell_over_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Broker::builder().data_dir(folder.path());
    let broker = builder.clone().start().await.unwrap();
    let mut connection = Connection::open(&broker);
    connection.create_topic("cold", 1);
    fill(&mut connection, 3);
    drop(connection);
    broker.stop().await.unwrap();
    let file = folder.path().join("cold-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[150_000] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let broker = builder.start().await.unwrap();
    let mut connection = Connection::open(&broker);
    for _ in 0..2 {
        let response = connection.ask(&fetch("cold", &[(0, 1)]), 12);
        let partition = &response.responses[0].partitions[0];
        assert_ne!(partition.error_code, 0);
        assert!(partition.records.as_ref().is_none_or(Bytes::is_empty));
    }
}

#[tokio::test]
async fn a_topic_may_go_while_it_is_sent() {
    let broker = crate::connection::broker(&[]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("cold", 1);
    fill(&mut connection, 100);
    // Far more than the system buffers for a connection that is not read from.
    let mut slow = Connection::open(&broker);
    let mut request = fetch("cold", &[(0, 0)]);
    request.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    slow.send(&request, 12);
    let mut first = [0; 4];
    while slow.0.peek(&mut first).unwrap() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut deletion = DeleteTopicsRequest::default();
    deletion.topic_names.push("cold".into());
    let deleted = connection.ask(&deletion, 5);
    assert_eq!(deleted.responses[0].error_code, 0);
    let mut response = slow.receive::<FetchRequest>(12);
    let mut records = response.responses[0].partitions.remove(0).records.unwrap();
    for offset in 0..100 {
        let header = BatchHeader::decode(&records).unwrap();
        assert_eq!(header.base_offset, offset);
        Batch::decode(records.split_to(header.total_len())).unwrap();
    }
    assert!(records.is_empty());
}
