//! Topics of a run, and the batches that go into them.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafka_protocol::ErrorCode;
use kafka_protocol::compression::{Compression, Compressor};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, ProduceRequest, ProduceResponse,
};
use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

use crate::connection::{Connection, frame_of};
use crate::failure::{Failure, check};

/// Version 12 of Produce and Fetch is the last that goes by names.
pub(crate) const DATA_VERSION: i16 = 12;

/// A batch of random values, and how many records it has.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) records: usize,
}

impl Batch {
    /// As many records of `value_len` bytes as fit into `max_len`.
    pub(crate) fn of(value_len: usize, max_len: usize) -> Result<Self, Failure> {
        Self::packed(value_len, max_len, Compression::None)
    }

    /// The same, which fits before it is compressed.
    pub(crate) fn packed(
        value_len: usize,
        max_len: usize,
        compression: Compression,
    ) -> Result<Self, Failure> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let timestamp = i64::try_from(now.as_millis()).unwrap_or_default();
        let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new().max_len(max_len));
        let mut value = vec![0; value_len];
        let mut random = fastrand::Rng::with_seed(5);
        let mut records = 0;
        loop {
            random.fill(&mut value);
            if compression != Compression::None {
                // Digits, so that there is something to save.
                value.iter_mut().for_each(|byte| *byte = b'0' + *byte % 10);
            }
            if builder.append(timestamp, None, Some(&value), []).is_err() {
                break;
            }
            records += 1;
        }
        let mut bytes = Vec::new();
        let mut compressor = Compressor::new(compression)?;
        builder.seal_compressed(ProducerStamp::NONE, &mut compressor, &mut bytes)?;
        Ok(Self {
            bytes: bytes.into(),
            records,
        })
    }
}

/// Makes a topic and waits until it has leaders.
pub(crate) fn create(
    connection: &mut Connection,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Result<(), Failure> {
    let mut topic = CreatableTopic::default();
    topic.name = name.into();
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    for (key, value) in configs {
        let mut config = CreatableTopicConfig::default();
        config.name = (*key).into();
        config.value = Some((*value).into());
        topic.configs.push(config);
    }
    let mut request = CreateTopicsRequest::default();
    request.topics.push(topic);
    let response = connection.ask(&request, 5)?;
    for topic in response.topics {
        check("create topic", topic.error_code)?;
    }
    let deadline = Instant::now() + PATIENCE;
    while !is_led(connection, name)? {
        if Instant::now() > deadline {
            return Err(format!("topic {name} gets no leaders").into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Deletes a topic.
pub(crate) fn delete(connection: &mut Connection, name: &str) -> Result<(), Failure> {
    let mut request = DeleteTopicsRequest::default();
    request.topic_names.push(name.into());
    request.timeout_ms = 30_000;
    let response = connection.ask(&request, 5)?;
    for topic in response.responses {
        check("delete topic", topic.error_code)?;
    }
    Ok(())
}

fn is_led(connection: &mut Connection, name: &str) -> Result<bool, Failure> {
    let mut request = MetadataRequest::default();
    let mut topic = MetadataRequestTopic::default();
    topic.name = Some(name.into());
    request.topics = Some(vec![topic]);
    request.allow_auto_topic_creation = false;
    let response = connection.ask(&request, 9)?;
    let led = |code: i16, partitions: usize| code == ErrorCode::NONE.code() && partitions > 0;
    Ok(response.topics.iter().all(|topic| {
        led(topic.error_code, topic.partitions.len())
            && topic.partitions.iter().all(|one| one.leader_id >= 0)
    }))
}

/// The frame of a request that appends a batch.
pub(crate) fn append_frame(topic: &str, partition: i32, batch: &Batch) -> Result<Vec<u8>, Failure> {
    let mut data = PartitionProduceData::default();
    data.index = partition;
    data.records = Some(batch.bytes.clone());
    let mut row = TopicProduceData::default();
    row.name = topic.into();
    row.partition_data.push(data);
    let mut request = ProduceRequest::default();
    request.acks = -1;
    request.timeout_ms = 30_000;
    request.topic_data.push(row);
    frame_of(&request, DATA_VERSION)
}

/// Fails unless all was appended.
pub(crate) fn check_appended(response: &ProduceResponse) -> Result<(), Failure> {
    let rows = response.responses.iter();
    for partition in rows.flat_map(|topic| &topic.partition_responses) {
        check("append", partition.error_code)?;
    }
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(60);
