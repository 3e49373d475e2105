//! Where to begin without a position: asking leaders for the offset of a timestamp.

use std::collections::BTreeMap;

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use crate::config::consumer::IsolationLevel;
use crate::error::{Error, ErrorKind};
use crate::machine::subscription::position::{NEWEST, Partition, Phase, Position, ResetReason};
use crate::machine::time::Instant;
use crate::record::topic_partition::TopicPartition;

/// The questions to one leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LookupPlan {
    pub(crate) node: i32,
    isolation: IsolationLevel,
    partitions: BTreeMap<TopicPartition, Question>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    stint: u64,
    leader_epoch: i32,
    timestamp: i64,
}

impl LookupPlan {
    pub(crate) fn request(&self) -> ListOffsetsRequest {
        let mut request = ListOffsetsRequest::default();
        request.replica_id = CONSUMER;
        request.isolation_level = self.isolation.code();
        for (tp, question) in &self.partitions {
            let mut partition = ListOffsetsPartition::default();
            partition.partition_index = tp.partition();
            partition.current_leader_epoch = question.leader_epoch;
            partition.timestamp = question.timestamp;
            match request.topics.last_mut() {
                Some(topic) if topic.name == *tp.name() => topic.partitions.push(partition),
                _ => {
                    let mut topic = ListOffsetsTopic::default();
                    topic.name = tp.name().clone();
                    topic.partitions.push(partition);
                    request.topics.push(topic);
                }
            }
        }
        request
    }
}

/// The next leader to ask, if there is one.
pub(crate) fn poll_lookup(
    now: Instant,
    isolation: IsolationLevel,
    partitions: &mut BTreeMap<TopicPartition, Partition>,
) -> Option<LookupPlan> {
    let mut plan: Option<LookupPlan> = None;
    for (tp, partition) in partitions {
        if partition.waits_until(now).is_some() {
            continue;
        }
        let Phase::Lookup { timestamp, asked } = &mut partition.phase else {
            continue;
        };
        let (false, Some(leader)) = (*asked, partition.leader) else {
            continue;
        };
        let plan = plan.get_or_insert_with(|| LookupPlan {
            node: leader.node,
            isolation,
            partitions: BTreeMap::new(),
        });
        if plan.node == leader.node {
            *asked = true;
            let question = Question {
                stint: partition.stint,
                leader_epoch: leader.epoch,
                timestamp: *timestamp,
            };
            plan.partitions.insert(tp.clone(), question);
        }
    }
    plan
}

/// A position that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) partition: TopicPartition,
    pub(crate) stint: u64,
    pub(crate) position: Position,
    /// The position before, if a policy gave it up.
    pub(crate) reset: Option<(i64, ResetReason)>,
    /// The application chose it.
    pub(crate) sought: bool,
}

/// What an answer led to, beside the partitions' new phases.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) begun: Vec<Begun>,
    /// What the application must be told.
    pub(crate) errors: Vec<Error>,
    /// Somebody else may lead by now.
    pub(crate) metadata_doubted: bool,
}

/// The leader answered or could not be asked. A failure is tried again and never taken for an
/// answer: no reset for want of a connection.
pub(crate) fn handle_lookup(
    now: Instant,
    random: u32,
    plan: &LookupPlan,
    answer: Result<ListOffsetsResponse, Error>,
    partitions: &mut BTreeMap<TopicPartition, Partition>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut offsets = BTreeMap::new();
    let mut failure = Error::new(ErrorKind::Protocol, "the answer leaves the partition out");
    match answer {
        Ok(response) => {
            for topic in response.topics {
                for partition in topic.partitions {
                    let tp = TopicPartition::new(topic.name.clone(), partition.partition_index);
                    offsets.insert(tp, partition);
                }
            }
        }
        Err(error) => {
            failure = error;
            outcome.metadata_doubted = true;
        }
    }
    for (tp, question) in &plan.partitions {
        let expected = Phase::Lookup {
            timestamp: question.timestamp,
            asked: true,
        };
        let Some(partition) = partitions.get_mut(tp) else {
            continue;
        };
        if partition.stint != question.stint || partition.phase != expected {
            continue;
        }
        let Some(found) = offsets.get(tp) else {
            if failure.kind() == ErrorKind::UnsupportedVersion {
                let error = failure.clone().with_partition(tp.topic(), tp.partition());
                outcome.errors.push(error.clone());
                partition.stop(now, error);
                continue;
            }
            partition.failed(now, random, failure.clone());
            continue;
        };
        match ErrorCode::from(found.error_code) {
            // No record that young: what comes from now on is.
            ErrorCode::NONE if found.offset < 0 && question.timestamp >= 0 => {
                let asked = false;
                let timestamp = NEWEST;
                partition.enter(now, Phase::Lookup { timestamp, asked });
            }
            ErrorCode::NONE if found.offset >= 0 && partition.out_of_range.is_some() => {
                if let Some(error) = learn_range(now, tp, partition, found.offset) {
                    outcome.errors.push(error);
                }
            }
            ErrorCode::NONE if found.offset >= 0 => {
                let position = Position {
                    offset: found.offset,
                    epoch: found.leader_epoch,
                };
                partition.advance(now, position);
                outcome.begun.push(Begun {
                    partition: tp.clone(),
                    stint: partition.stint,
                    position,
                    reset: partition.reset_from.take(),
                    sought: partition.sought,
                });
            }
            ErrorCode::NONE => {
                let text = format!("the broker answered with the offset {}", found.offset);
                partition.failed(now, random, Error::new(ErrorKind::Protocol, text));
            }
            code => {
                let error = Error::broker(code, None).with_partition(tp.topic(), tp.partition());
                if is_final(code) {
                    outcome.errors.push(error.clone());
                    partition.stop(now, error);
                } else {
                    outcome.metadata_doubted |= code.invalidates_metadata();
                    partition.failed(now, random, error);
                }
            }
        }
    }
    outcome
}

/// One end of what the leader holds became known. With the second the partition stops, and there is an error to
/// tell.
fn learn_range(
    now: Instant,
    tp: &TopicPartition,
    partition: &mut Partition,
    offset: i64,
) -> Option<Error> {
    let known = partition.out_of_range.as_mut()?;
    let Some(oldest) = known.oldest else {
        known.oldest = Some(offset);
        let (timestamp, asked) = (NEWEST, false);
        partition.enter(now, Phase::Lookup { timestamp, asked });
        return None;
    };
    let text = out_of_range_text(known.offset, oldest, offset);
    let error = Error::new(ErrorKind::OffsetOutOfRange, text);
    let error = error.with_partition(tp.topic(), tp.partition());
    partition.stop(now, error.clone());
    Some(error)
}

pub(crate) fn out_of_range_text(offset: i64, oldest: i64, newest: i64) -> String {
    format!("offset {offset} lies outside of what the partition holds, {oldest} to {newest}")
}

/// Codes that no waiting will cure.
pub(crate) fn is_final(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::INVALID_TOPIC_EXCEPTION
            | ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
            | ErrorCode::INVALID_REQUEST
    )
}

/// Who asks, in requests that replicas send too.
const CONSUMER: i32 = -1;
