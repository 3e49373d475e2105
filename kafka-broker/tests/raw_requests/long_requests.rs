//! Requests that take long: nobody else waits for them, not even where one thread serves all connections.

use std::io;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kafka_broker::Broker;
use kafka_protocol::Request;
use kafka_protocol::compression::{Compression, Compressor};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::TopicProduceData;
use kafka_protocol::messages::{DescribeConfigsRequest, OffsetFetchRequest, ProduceRequest};
use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

use crate::connection::{Connection, produce};

/// A batch that has a value of so many zeros in it, and is far smaller.
fn packed(zeros: usize, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    builder.append(0, None, Some(&vec![0; zeros]), []).unwrap();
    let mut compressor = Compressor::new(compression).unwrap();
    let mut batch = Vec::new();
    builder
        .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut batch)
        .unwrap();
    batch.into()
}

/// Has another connection served while the first one waits for the answer to its request.
fn assert_holds_nobody_up<R: Request>(broker: &Broker, request: &R, version: i16) -> R::Response {
    let mut bystander = Connection::open(broker);
    bystander.assert_served();
    let mut connection = Connection::open(broker);
    connection.send(request, version);
    thread::sleep(Duration::from_millis(10));
    bystander.assert_served();
    connection.0.set_nonblocking(true).unwrap();
    let answer = connection.0.peek(&mut [0]);
    let kind = answer.map_err(|error| error.kind());
    assert_eq!(kind, Err(io::ErrorKind::WouldBlock), "it was served before");
    connection.0.set_nonblocking(false).unwrap();
    connection.receive::<R>(version)
}

#[tokio::test]
async fn what_unpacks_to_very_much_is_unpacked_aside() {
    let broker = Broker::builder().worker_threads(1).start().await.unwrap();
    Connection::open(&broker).create_topic("t", 1);
    for compression in [Compression::Gzip, Compression::Zstd] {
        let batch = packed(100 << 20, compression);
        let request: ProduceRequest = produce("t", 0, &batch);
        let answer = assert_holds_nobody_up(&broker, &request, 9);
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
}

/// What was written before something that is too much for the thread of the connection is not written again, and the
/// answers stand in the order of the request.
#[tokio::test]
async fn a_request_that_is_long_in_part_is_carried_out_once() {
    let broker = Broker::builder().worker_threads(1).start().await.unwrap();
    let mut connection = Connection::open(&broker);
    let sizes = [100, 8 << 20, 200, 9 << 20, 300];
    let mut request = ProduceRequest::default();
    request.acks = -1;
    for name in ["t", "u"] {
        connection.create_topic(name, 5);
        let rows = (0..).zip(sizes).map(|(index, zeros)| {
            let batch = packed(zeros, Compression::Zstd);
            produce(name, index, &batch).topic_data.remove(0)
        });
        let partitions = rows.flat_map(|row| row.partition_data).collect();
        let mut topic = TopicProduceData::default();
        topic.name = name.into();
        topic.partition_data = partitions;
        request.topic_data.push(topic);
    }
    for round in 0..3 {
        let answer = connection.ask(&request, 9);
        for (topic, name) in answer.responses.iter().zip(["t", "u"]) {
            let rows = topic.partition_responses.iter();
            let told: Vec<_> = rows
                .map(|row| (row.index, row.error_code, row.base_offset))
                .collect();
            assert_eq!(topic.name, name);
            assert_eq!(
                told,
                (0..5).map(|index| (index, 0, round)).collect::<Vec<_>>()
            );
        }
        assert_eq!(answer.responses.len(), 2);
    }
}

#[tokio::test]
async fn what_names_very_much_is_read_and_answered_aside() {
    let broker = Broker::builder().worker_threads(1).start().await.unwrap();
    let mut topic = OffsetFetchRequestTopic::default();
    topic.name = "t".into();
    topic.partition_indexes = (0..400_000).collect();
    let mut request = OffsetFetchRequest::default();
    request.group_id = "g".into();
    request.topics = Some(vec![topic]);
    let answer = assert_holds_nobody_up(&broker, &request, 5);
    assert_eq!(answer.topics[0].partitions.len(), 400_000);

    let mut resource = DescribeConfigsResource::default();
    resource.resource_type = 4;
    resource.resource_name = "1".into();
    let keys = (0..200_000_u32).map(|nth| format!("no.such.{nth}").into());
    resource.configuration_keys = Some(keys.collect());
    let mut request = DescribeConfigsRequest::default();
    request.resources = vec![resource];
    let answer = assert_holds_nobody_up(&broker, &request, 4);
    assert_eq!(answer.results[0].configs, []);
}
