//! Settings of the broker that are made while it runs: they hold at once, and for the next start.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_broker::Broker;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ProduceRequest,
};
use kafka_protocol::record::{BatchBuilder, BatchHeader, BatchOptions, Compression, ProducerStamp};

use crate::connection::{Connection, batch, broker, fetch};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Sets, or takes back, and gives the error code.
fn alter(
    connection: &mut Connection,
    (kind, name): (i8, &str),
    key: &str,
    value: Option<&str>,
) -> i16 {
    let mut config = AlterableConfig::default();
    config.name = key.into();
    config.config_operation = i8::from(value.is_none());
    config.value = value.map(Into::into);
    let mut resource = AlterConfigsResource::default();
    resource.resource_type = kind;
    resource.resource_name = name.into();
    resource.configs.push(config);
    let mut request = IncrementalAlterConfigsRequest::default();
    request.resources.push(resource);
    connection.ask(&request, 1).responses[0].error_code
}

fn set(connection: &mut Connection, resource: (i8, &str), key: &str, value: &str) {
    assert_eq!(alter(connection, resource, key, Some(value)), 0, "{key}");
}

/// The value of a setting and the number of where it comes from.
fn told(connection: &mut Connection, (kind, name): (i8, &str), key: &str) -> (String, i8) {
    let mut resource = DescribeConfigsResource::default();
    resource.resource_type = kind;
    resource.resource_name = name.into();
    resource.configuration_keys = Some(vec![key.into()]);
    let mut request = DescribeConfigsRequest::default();
    request.resources.push(resource);
    let response = connection.ask(&request, 4);
    let config = &response.results[0].configs[0];
    let value = config.value.clone().unwrap_or_default();
    (value.to_string(), config.config_source)
}

/// The error code of an append, with all acknowledgements.
fn produce(connection: &mut Connection, topic: &str, batch: &Bytes) -> ErrorCode {
    let mut data = PartitionProduceData::default();
    data.records = Some(batch.clone());
    let mut row = TopicProduceData::default();
    row.name = topic.into();
    row.partition_data.push(data);
    let mut request = ProduceRequest::default();
    request.acks = -1;
    request.topic_data.push(row);
    let response = connection.ask(&request, 9);
    ErrorCode::from_code(response.responses[0].partition_responses[0].error_code)
}

#[tokio::test]
async fn topics_follow_the_broker_at_once_unless_they_have_a_word_of_their_own() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    let connection = &mut connection;
    for topic in ["follows", "differs"] {
        connection.create_topic(topic, 1);
    }
    set(connection, (TOPIC, "differs"), "max.message.bytes", "3000");
    let large = batch(2000, 1);
    let fits = |connection: &mut Connection, expected: [bool; 2]| {
        let fits = ["follows", "differs"].map(|topic| match produce(connection, topic, &large) {
            ErrorCode::NONE => true,
            ErrorCode::MESSAGE_TOO_LARGE => false,
            other => panic!("{topic}: {other}"),
        });
        assert_eq!(fits, expected);
    };
    const NAME: &str = "message.max.bytes";
    fits(connection, [true, true]);
    set(connection, (BROKER, ""), NAME, "1000");
    fits(connection, [false, true]);
    set(connection, (BROKER, "1"), NAME, "4000");
    fits(connection, [true, true]);
    set(connection, (BROKER, "1"), NAME, "900");
    fits(connection, [false, true]);
    assert_eq!(alter(connection, (BROKER, "1"), NAME, None), 0);
    assert_eq!(
        told(connection, (TOPIC, "follows"), "max.message.bytes"),
        ("1000".to_owned(), 3)
    );
    assert_eq!(alter(connection, (BROKER, ""), NAME, None), 0);
    fits(connection, [true, true]);
    // A topic that is made later follows as well.
    set(connection, (BROKER, ""), NAME, "1000");
    connection.create_topic("later", 1);
    for topic in ["follows", "later"] {
        let refused = produce(connection, topic, &large);
        assert_eq!(refused, ErrorCode::MESSAGE_TOO_LARGE, "{topic}");
    }
}

#[tokio::test]
async fn no_more_replicas_are_waited_for_than_there_are() {
    let broker = broker(&[("min.insync.replicas", "2")]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 1);
    let written = produce(&mut connection, "t", &batch(100, 1));
    assert_eq!(written, ErrorCode::NONE);
}

#[tokio::test]
async fn the_number_of_connections_can_be_changed_while_there_are_some() {
    let broker = broker(&[]).await;
    let mut first = Connection::open(&broker);
    for name in ["max.connections", "max.connections.per.ip"] {
        let mut second = Connection::open(&broker);
        second.assert_served();
        set(&mut first, (BROKER, "1"), name, "2");
        Connection::open(&broker).assert_hung_up();
        set(&mut first, (BROKER, "1"), name, "1");
        // Who is there already stays.
        second.assert_served();
        let refused = alter(&mut first, (BROKER, "1"), name, Some("0"));
        assert_eq!(refused, ErrorCode::INVALID_REQUEST.code());
        assert_eq!(alter(&mut first, (BROKER, "1"), name, None), 0);
        Connection::open(&broker).assert_served();
    }
}

#[tokio::test]
async fn batches_are_compressed_as_is_wanted_now() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    let connection = &mut connection;
    connection.create_topic("t", 1);
    let stored = |connection: &mut Connection| {
        let offset = connection.append("t", 0, &batch(2000, 0));
        let response = connection.ask(&fetch("t", &[(0, offset)]), 12);
        let partition = &response.responses[0].partitions[0];
        let records = partition.records.clone().unwrap_or_default();
        let header = BatchHeader::decode(&records).unwrap();
        assert_eq!(header.base_offset, offset);
        (header.attributes.compression().unwrap(), records.len())
    };
    let (codec, plain) = stored(connection);
    assert_eq!(codec, Compression::None);
    const TYPE: &str = "compression.type";
    set(connection, (BROKER, ""), TYPE, "zstd");
    let (codec, packed) = stored(connection);
    assert_eq!(codec, Compression::Zstd);
    assert!(packed < plain / 2, "{packed} of {plain}");
    set(connection, (TOPIC, "t"), TYPE, "gzip");
    set(connection, (TOPIC, "t"), "compression.gzip.level", "1");
    let (_, fast) = stored(connection);
    set(connection, (TOPIC, "t"), "compression.gzip.level", "9");
    let (codec, best) = stored(connection);
    assert_eq!(codec, Compression::Gzip);
    assert!(best < fast, "{best} and {fast}");
    set(connection, (TOPIC, "t"), TYPE, "producer");
    assert_eq!(stored(connection), (Compression::None, plain));
}

/// With a look every few milliseconds in the place of one in an hour.
#[tokio::test]
async fn the_cleaner_looks_as_often_as_it_is_told_to() {
    let broker = broker(&[("log.cleaner.backoff.ms", "3600000")]).await;
    let mut connection = Connection::open(&broker);
    let connection = &mut connection;
    connection.create_topic("t", 1);
    let keyed = || {
        let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
        batch.append(1, Some(b"k"), Some(&[0; 1000]), []).unwrap();
        Bytes::from(batch.seal(ProducerStamp::NONE))
    };
    for (name, value) in [
        ("log.segment.bytes", "1500"),
        ("log.cleaner.min.cleanable.ratio", "0.01"),
        ("log.cleanup.policy", "compact"),
    ] {
        set(connection, (BROKER, ""), name, value);
    }
    for _ in 0..5 {
        connection.append("t", 0, &keyed());
    }
    // The last record is in the segment that is written to, and the one before it the last of its key.
    let records = |connection: &mut Connection| {
        let response = connection.ask(&fetch("t", &[(0, 0)]), 12);
        let partition = &response.responses[0].partitions[0];
        let records = partition.records.clone().unwrap_or_default();
        records.len() / keyed().len()
    };
    assert_eq!(records(connection), 5, "nobody has compacted it yet");
    set(connection, (BROKER, ""), "log.cleaner.backoff.ms", "10");
    let deadline = Instant::now() + Duration::from_secs(10);
    while records(connection) > 2 {
        assert!(Instant::now() < deadline, "the cleaner does not come");
        thread::sleep(Duration::from_millis(10));
    }
}

async fn start_in(dir: &Path, properties: &[(&str, &str)]) -> Broker {
    let mut builder = Broker::builder().data_dir(dir);
    for (name, value) in properties {
        builder = builder.set(*name, *value);
    }
    builder.start().await.unwrap()
}

#[tokio::test]
async fn what_was_set_holds_after_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let own = ("log.segment.bytes", "5000");
    {
        let broker = start_in(dir.path(), &[]).await;
        let mut connection = Connection::open(&broker);
        connection.create_topic("t", 1);
        set(&mut connection, (BROKER, "1"), own.0, own.1);
        set(&mut connection, (BROKER, "1"), "log.retention.ms", "6000");
        set(&mut connection, (BROKER, ""), "log.retention.ms", "7000");
        set(&mut connection, (BROKER, ""), "log.preallocate", "true");
        let taken_back = alter(&mut connection, (BROKER, ""), "log.preallocate", None);
        assert_eq!(taken_back, 0);
        // Killed: what was acknowledged was durable.
    }
    for retention in [("6000", 2), ("7000", 3)] {
        let broker = start_in(dir.path(), &[("log.segment.bytes", "9999")]).await;
        let mut connection = Connection::open(&broker);
        let connection = &mut connection;
        let expected = |(value, source): (&str, i8)| (value.to_owned(), source);
        assert_eq!(
            told(connection, (TOPIC, "t"), "retention.ms"),
            expected(retention)
        );
        assert_eq!(
            told(connection, (TOPIC, "t"), "segment.bytes"),
            expected(("5000", 2))
        );
        assert_eq!(
            told(connection, (BROKER, "1"), "log.preallocate"),
            expected(("false", 5))
        );
        alter(connection, (BROKER, "1"), "log.retention.ms", None);
        broker.stop().await.unwrap();
    }
}
