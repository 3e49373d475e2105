//! A connection that says what it is told to, and a broker to say it to.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use kafka_broker::Broker;
use kafka_protocol::frame;
use kafka_protocol::header::decode_response_header;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, FetchRequest, ProduceRequest,
};
use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};
use kafka_protocol::wire::Reader;
use kafka_protocol::{Message, Request};

/// A broker with these properties.
pub(crate) async fn broker(properties: &[(&str, &str)]) -> Broker {
    let mut builder = Broker::builder();
    for (name, value) in properties {
        builder = builder.set(*name, *value);
    }
    builder.start().await.unwrap()
}

/// A connection to a broker.
pub(crate) struct Connection(pub(crate) TcpStream);

impl Connection {
    pub(crate) fn open(broker: &Broker) -> Self {
        Self::to(broker.local_address())
    }

    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(crate) fn send<R: Request>(&mut self, request: &R, version: i16) {
        let chunks = frame::encode_request(request, version, 7, Some("raw")).unwrap();
        self.0.write_all(&chunks.concat()).unwrap();
    }

    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let mut size = [0; frame::SIZE_LEN];
        self.0.read_exact(&mut size).unwrap();
        let mut answer = vec![0; i32::from_be_bytes(size) as usize];
        self.0.read_exact(&mut answer).unwrap();
        let mut reader = Reader::new(Bytes::from(answer));
        let header = decode_response_header(&mut reader, R::KEY, version).unwrap();
        assert_eq!(header.correlation_id, 7);
        let response = R::Response::decode(&mut reader, version).unwrap();
        reader.finish().unwrap();
        response
    }

    pub(crate) fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.send(request, version);
        self.receive::<R>(version)
    }

    /// Whether the broker answers.
    pub(crate) fn assert_served(&mut self) {
        self.ask(&ApiVersionsRequest::default(), 0);
    }

    /// Whether the broker hangs up, whatever it says before.
    pub(crate) fn assert_hung_up(mut self) {
        match io::copy(&mut self.0, &mut io::sink()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    }

    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32) {
        let mut topic = CreatableTopic::default();
        topic.name = name.into();
        topic.num_partitions = partitions;
        topic.replication_factor = 1;
        let mut request = CreateTopicsRequest::default();
        request.topics.push(topic);
        let response = self.ask(&request, 5);
        assert_eq!(response.topics[0].error_code, 0);
    }

    /// Gives the offset of the batch.
    pub(crate) fn append(&mut self, topic: &str, partition: i32, batch: &Bytes) -> i64 {
        let response = self.ask(&produce(topic, partition, batch), 9);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, 0);
        partition.base_offset
    }
}

/// A batch of one record of this many bytes, which tell batches with different seeds apart.
pub(crate) fn batch(len: usize, seed: u8) -> Bytes {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    let value: Vec<u8> = (0..len).map(|at| (at % 251) as u8 ^ seed).collect();
    builder.append(-1, None, Some(&value), []).unwrap();
    builder.seal(ProducerStamp::NONE).into()
}

/// A request that appends a batch to a partition.
pub(crate) fn produce(topic: &str, partition: i32, batch: &Bytes) -> ProduceRequest {
    let mut data = PartitionProduceData::default();
    data.index = partition;
    data.records = Some(batch.clone());
    let mut row = TopicProduceData::default();
    row.name = topic.into();
    row.partition_data.push(data);
    let mut request = ProduceRequest::default();
    request.acks = -1;
    request.topic_data.push(row);
    request
}

/// A fetch of these partitions of a topic, each from an offset.
pub(crate) fn fetch(topic: &str, partitions: &[(i32, i64)]) -> FetchRequest {
    let mut named = FetchTopic::default();
    named.topic = topic.into();
    for (index, offset) in partitions {
        let mut row = FetchPartition::default();
        row.partition = *index;
        row.fetch_offset = *offset;
        row.partition_max_bytes = 1 << 20;
        named.partitions.push(row);
    }
    let mut request = FetchRequest::default();
    if !partitions.is_empty() {
        request.topics.push(named);
    }
    request
}

const PATIENCE: Duration = Duration::from_secs(20);
