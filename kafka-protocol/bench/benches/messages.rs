//! Messages without records, and messages around them: written and read, beside other codecs that make
//! the same bytes of them.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsResponse, FetchResponse, MetadataResponse, ProduceRequest,
};
use kafka_protocol::{ApiKey, Message};
use kafka_protocol_bench::{Comparison, noise};
use peer::protocol::{Decodable, Encodable};

/// Compares one message, which all codecs name alike.
macro_rules! compare {
    ($title:expr, $unit:expr, $units:expr, $message:expr, $version:expr, $type:ident, $module:ident) => {{
        let message = $message;
        let bytes = message.to_bytes($version).expect("a message");
        let peer = their::<peer::messages::$type>(&bytes, $version);
        let title = format!("{} v{}, {} bytes", $title, $version, bytes.len());
        let (encode_title, decode_title) = (format!("encode {title}"), format!("decode {title}"));

        let comparison = Comparison::new(&encode_title, $unit, $units)
            .with("ours", || {
                black_box(message.to_bytes($version).expect("a message"));
            })
            .with("kafka-protocol 0.18", || {
                let mut buffer = BytesMut::new();
                peer.encode(&mut buffer, $version).expect("a message");
                black_box(buffer);
            });
        #[cfg(feature = "krabka")]
        let krabka = krabka::same::<krabka_protocol::owned::$module::$type>(&bytes, $version);
        #[cfg(feature = "krabka")]
        let comparison = comparison.with("krabka-protocol 0.8", || {
            black_box(krabka::encode(&krabka, $version));
        });
        comparison.run();

        let comparison = Comparison::new(&decode_title, $unit, $units)
            .with("ours", || {
                black_box($type::from_bytes(bytes.clone(), $version).expect("a message"));
            })
            .with("kafka-protocol 0.18", || {
                let decoded = peer::messages::$type::decode(&mut bytes.clone(), $version);
                black_box(decoded.expect("a message"));
            });
        #[cfg(feature = "krabka")]
        let comparison = comparison
            .with("krabka-protocol 0.8", || {
                let decoded =
                    krabka::decode::<krabka_protocol::owned::$module::$type>(&bytes, $version);
                black_box(decoded);
            })
            .with("krabka-protocol 0.8, borrowed", || {
                use krabka_protocol::DecodeBorrow as _;
                use krabka_protocol::borrowed::$module::$type;
                let decoded = $type::decode_borrow(&mut &*bytes, $version);
                black_box(decoded.expect("a message"));
            });
        comparison.run();
    }};
}

fn main() {
    for (topics, partitions) in [(1, 1000), (100, 10)] {
        let title = format!("Metadata response, {topics} x {partitions} partitions");
        let message = metadata(topics, partitions);
        compare!(
            title,
            "partition",
            1000,
            message,
            12,
            MetadataResponse,
            metadata_response
        );
    }
    compare!(
        "ApiVersions response",
        "api",
        70,
        api_versions(),
        3,
        ApiVersionsResponse,
        api_versions_response
    );
    let title = "Produce request, 10 batches of 16 KiB";
    compare!(
        title,
        "batch",
        10,
        produce(),
        9,
        ProduceRequest,
        produce_request
    );
    let title = "Fetch response, 10 batches of 16 KiB";
    compare!(
        title,
        "batch",
        10,
        fetch(),
        12,
        FetchResponse,
        fetch_response
    );
}

/// Three brokers, and three replicas of each partition.
fn metadata(topics: i32, partitions: i32) -> MetadataResponse {
    let mut response = MetadataResponse::default();
    response.cluster_id = Some("MkU3OEVBNTcwNTJENDM2Qk".into());
    response.controller_id = 1;
    for node_id in 1..=3 {
        let mut broker = MetadataResponseBroker::default();
        broker.node_id = node_id;
        broker.host = format!("broker-{node_id}.kafka.example").into();
        broker.port = 9092;
        broker.rack = Some("eu-west-1a".into());
        response.brokers.push(broker);
    }
    for number in 0..topics {
        let mut topic = MetadataResponseTopic::default();
        topic.name = Some(format!("orders-{number}").into());
        for index in 0..partitions {
            let replicas = [0, 1, 2].map(|replica| (index + replica) % 3 + 1);
            let mut partition = MetadataResponsePartition::default();
            partition.partition_index = index;
            partition.leader_id = replicas[0];
            partition.leader_epoch = 7;
            partition.replica_nodes = replicas.into();
            partition.isr_nodes = replicas.into();
            topic.partitions.push(partition);
        }
        response.topics.push(topic);
    }
    response
}

/// As many APIs as brokers have.
fn api_versions() -> ApiVersionsResponse {
    let mut response = ApiVersionsResponse::default();
    for key in ApiKey::ALL.iter().take(70) {
        let versions = key.advertised_versions();
        let mut api = ApiVersion::default();
        api.api_key = key.code();
        api.min_version = versions.min;
        api.max_version = versions.max;
        response.api_keys.push(api);
    }
    response
}

fn produce() -> ProduceRequest {
    let mut topic = TopicProduceData::default();
    topic.name = "orders".into();
    for index in 0..10 {
        let mut partition = PartitionProduceData::default();
        partition.index = index;
        partition.records = Some(batch());
        topic.partition_data.push(partition);
    }
    let mut request = ProduceRequest::default();
    request.acks = -1;
    request.timeout_ms = 30_000;
    request.topic_data.push(topic);
    request
}

fn fetch() -> FetchResponse {
    let mut topic = FetchableTopicResponse::default();
    topic.topic = "orders".into();
    for index in 0..10 {
        let mut partition = PartitionData::default();
        partition.partition_index = index;
        partition.high_watermark = 1_000_000;
        partition.last_stable_offset = 1_000_000;
        partition.records = Some(batch());
        topic.partitions.push(partition);
    }
    let mut response = FetchResponse::default();
    response.session_id = 77;
    response.responses.push(topic);
    response
}

/// A batch of 16 records of 1 KiB.
fn batch() -> Bytes {
    use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};
    let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
    for n in 0..16 {
        let value = noise(1024, n + 1);
        batch
            .append(1_760_000_000_000, None, Some(&value), [])
            .expect("room");
    }
    batch.seal(ProducerStamp::NONE).into()
}

/// What `kafka-protocol` 0.18 makes of the bytes, if it writes the same again.
fn their<T: Decodable + Encodable>(bytes: &Bytes, version: i16) -> T {
    let message = T::decode(&mut bytes.clone(), version).expect("a message");
    let mut again = BytesMut::new();
    message.encode(&mut again, version).expect("a message");
    assert_eq!(*bytes, again, "the same bytes");
    message
}

#[cfg(feature = "krabka")]
mod krabka {
    use bytes::{Bytes, BytesMut};
    use krabka_protocol::{Decode, Encode};

    /// What it makes of the bytes, if it writes the same again.
    pub(crate) fn same<T: for<'a> Decode<'a> + Encode>(bytes: &Bytes, version: i16) -> T {
        let message: T = decode(bytes, version);
        assert_eq!(*bytes, encode(&message, version), "the same bytes");
        message
    }

    pub(crate) fn encode(message: &impl Encode, version: i16) -> BytesMut {
        let mut buffer = BytesMut::with_capacity(message.encoded_len(version));
        message.encode(&mut buffer, version).expect("a message");
        buffer
    }

    pub(crate) fn decode<T: for<'a> Decode<'a>>(bytes: &Bytes, version: i16) -> T {
        T::decode(&mut bytes.clone(), version).expect("a message")
    }
}
