//! The batches that share a produce request, and what its answer says of each.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::{ErrorCode, Uuid};

use crate::config::producer::ProducerConfig;
use crate::driver::clock;
use crate::driver::delivery::Delivered;
use crate::driver::producer_task::topic_state::{PartitionState, QueuedBatch};
use crate::error::{Error, ErrorKind};
use crate::machine::time::Duration;

/// Batches that share a request.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) parts: Vec<Part>,
    pub(crate) bytes: usize,
}

/// A batch in its request.
pub(crate) struct Part {
    pub(crate) partition: Arc<PartitionState>,
    pub(crate) batch: QueuedBatch,
    bytes: Bytes,
    topic_id: Uuid,
}

impl Outgoing {
    pub(crate) fn add(
        &mut self,
        partition: &Arc<PartitionState>,
        batch: QueuedBatch,
        bytes: Bytes,
        topic_id: Uuid,
    ) {
        self.bytes += bytes.len();
        self.parts.push(Part {
            partition: Arc::clone(partition),
            batch,
            bytes,
            topic_id,
        });
    }

    pub(crate) fn all_have_ids(&self) -> bool {
        self.parts.iter().all(|part| !part.topic_id.is_zero())
    }

    pub(crate) fn request(&mut self, config: &ProducerConfig, timeout: Duration) -> ProduceRequest {
        // A topic stands in a request once.
        self.parts
            .sort_by(|a, b| a.partition.topic.name.cmp(&b.partition.topic.name));
        let mut topics: Vec<TopicProduceData> = Vec::new();
        for part in &mut self.parts {
            let name = &part.partition.topic.name;
            let mut data = PartitionProduceData::default();
            data.index = part.partition.index;
            data.records = Some(std::mem::take(&mut part.bytes));
            match topics.last_mut() {
                Some(topic) if topic.name == *name => topic.partition_data.push(data),
                _ => {
                    let mut topic = TopicProduceData::default();
                    topic.name = name.clone();
                    topic.topic_id = part.topic_id;
                    topic.partition_data.push(data);
                    topics.push(topic);
                }
            }
        }
        let mut request = ProduceRequest::default();
        request.transactional_id = None;
        request.acks = config.acks.code();
        request.timeout_ms = clock::millis(timeout);
        request.topic_data = topics;
        request
    }
}

impl Part {
    pub(crate) fn outcome(&self, response: &ProduceResponse) -> Outcome {
        let of_this = |topic: &&TopicProduceResponse| {
            if topic.topic_id.is_zero() {
                topic.name == self.partition.topic.name
            } else {
                topic.topic_id == self.topic_id
            }
        };
        let answer = response.responses.iter().filter(of_this).find_map(|topic| {
            let mut answers = topic.partition_responses.iter();
            answers.find(|answer| answer.index == self.partition.index)
        });
        match answer {
            Some(answer) => outcome_of(answer),
            None => Outcome::Failed(Error::new(
                ErrorKind::Protocol,
                "the response leaves the partition out",
            )),
        }
    }
}

fn outcome_of(answer: &PartitionProduceResponse) -> Outcome {
    match ErrorCode::from(answer.error_code) {
        ErrorCode::NONE => Outcome::Delivered(Delivered {
            base_offset: answer.base_offset,
            append_time_ms: answer.log_append_time_ms,
        }),
        // Written by an earlier attempt, too long ago for the broker to remember where.
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Outcome::Delivered(UNKNOWN_PLACE),
        code => {
            let mut message = answer
                .error_message
                .as_deref()
                .unwrap_or_default()
                .to_owned();
            for record in &answer.record_errors {
                let detail = record
                    .batch_index_error_message
                    .as_deref()
                    .unwrap_or_default();
                message.push_str(&format!("; record {}: {detail}", record.batch_index));
            }
            Outcome::Failed(Error::broker(code, Some(&message)))
        }
    }
}

/// What an answer says of a batch.
pub(crate) enum Outcome {
    Delivered(Delivered),
    Failed(Error),
}

/// The fate of a batch whose broker does not say where it put it.
pub(crate) const UNKNOWN_PLACE: Delivered = Delivered {
    base_offset: -1,
    append_time_ms: -1,
};
