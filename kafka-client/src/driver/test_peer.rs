//! For tests of the driver: a peer that behaves like a broker as far as a test wants it to.
//!
//! One node, one topic. It answers what every broker answers, and departs from that where [`Habits`] say so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceRequest, ProduceResponse,
    RequestHeader,
};
use kafka_protocol::request::Message;
use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::config::client::ClientConfig;
use crate::driver::cluster_task::ClusterHandle;

/// Where a peer departs from what a broker does.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// How many partitions its topic has.
    pub(crate) partitions: i32,
    /// It never answers this.
    pub(crate) silent_to: Option<ApiKey>,
    /// From this request on it reads nothing more.
    pub(crate) deaf_to: Option<ApiKey>,
    /// It hangs up on this.
    pub(crate) hangs_up_on: Option<ApiKey>,
    /// It takes its time for this.
    pub(crate) slow_to: Option<(ApiKey, Duration)>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            partitions: 1,
            silent_to: None,
            deaf_to: None,
            hangs_up_on: None,
            slow_to: None,
        }
    }
}

/// A peer that listens until it is dropped.
#[derive(Debug)]
pub(crate) struct TestPeer {
    pub(crate) port: u16,
    pub(crate) connections: Arc<AtomicUsize>,
    habits: Arc<Mutex<Habits>>,
    task: JoinHandle<()>,
}

impl TestPeer {
    pub(crate) async fn start(habits: Habits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let habits = Arc::new(Mutex::new(habits));
        let (count, theirs) = (Arc::clone(&connections), Arc::clone(&habits));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, port, Arc::clone(&theirs)));
            }
        });
        Self {
            port,
            connections,
            habits,
            task,
        }
    }

    /// Behaves in another way from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.habits.lock().unwrap());
    }

    /// The peer as its client sees it.
    pub(crate) fn cluster(&self) -> ClusterHandle {
        ClusterHandle::new(ClientConfig {
            bootstrap_servers: vec![format!("127.0.0.1:{}", self.port)],
            ..ClientConfig::default()
        })
    }
}

impl Drop for TestPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, port: u16, habits: Arc<Mutex<Habits>>) {
    let mut input = BytesMut::new();
    loop {
        let Some(request) = frame::split(&mut input, 64 << 20).unwrap() else {
            match stream.read_buf(&mut input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            }
        };
        let key = ApiKey::from_code(i16::from_be_bytes([request[0], request[1]])).unwrap();
        let version = i16::from_be_bytes([request[2], request[3]]);
        let habits = habits.lock().unwrap().clone();
        if habits.deaf_to == Some(key) {
            return std::future::pending().await;
        }
        if habits.hangs_up_on == Some(key) {
            return;
        }
        if habits.silent_to == Some(key) {
            continue;
        }
        if let Some((slow, time)) = habits.slow_to
            && slow == key
        {
            tokio::time::sleep(time).await;
        }
        for chunk in answer(key, version, request, port, habits.partitions) {
            if stream.write_all(&chunk).await.is_err() {
                return;
            }
        }
    }
}

fn answer(key: ApiKey, version: i16, request: Bytes, port: u16, partitions: i32) -> Vec<Bytes> {
    let mut body = Reader::new(request);
    let header = RequestHeader::decode(&mut body, key.request_header_version(version)).unwrap();
    let id = header.correlation_id;
    match key {
        ApiKey::ApiVersions => {
            let mut response = ApiVersionsResponse::default();
            for (key, max) in [
                (ApiKey::Produce, 9),
                (ApiKey::Metadata, 9),
                (ApiKey::ApiVersions, 3),
                (ApiKey::InitProducerId, 4),
            ] {
                let mut api = ApiVersion::default();
                api.api_key = key.code();
                api.max_version = max;
                response.api_keys.push(api);
            }
            frame::encode_response(&response, version, id).unwrap()
        }
        ApiKey::Metadata => {
            frame::encode_response(&metadata(port, partitions), version, id).unwrap()
        }
        ApiKey::InitProducerId => {
            let mut response = InitProducerIdResponse::default();
            response.producer_id = 7;
            frame::encode_response(&response, version, id).unwrap()
        }
        ApiKey::Produce => {
            let request = ProduceRequest::decode(&mut body, version).unwrap();
            if request.acks == 0 {
                return Vec::new();
            }
            let mut response = ProduceResponse::default();
            for topic in request.topic_data {
                let mut row = TopicProduceResponse::default();
                row.name = topic.name;
                for partition in topic.partition_data {
                    let mut answer = PartitionProduceResponse::default();
                    answer.index = partition.index;
                    row.partition_responses.push(answer);
                }
                response.responses.push(row);
            }
            frame::encode_response(&response, version, id).unwrap()
        }
        key => panic!("the peer does not know {}", key.name()),
    }
}

fn metadata(port: u16, partitions: i32) -> MetadataResponse {
    let mut response = MetadataResponse::default();
    let mut broker = MetadataResponseBroker::default();
    broker.host = "127.0.0.1".into();
    broker.port = i32::from(port);
    response.brokers.push(broker);
    let mut topic = MetadataResponseTopic::default();
    topic.name = Some("t".into());
    for index in 0..partitions {
        let mut partition = MetadataResponsePartition::default();
        partition.partition_index = index;
        topic.partitions.push(partition);
    }
    response.topics.push(topic);
    response
}
