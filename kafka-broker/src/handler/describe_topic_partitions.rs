//! DescribeTopicPartitions, version 0: topics by name, or all, in pages.
//!
//! Not here: eligible leader replicas, which one node has none of.

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use kafka_protocol::{BrokerIds, ErrorCode};

use crate::control::subjects::About;
use crate::handler::authorized_operations::OF_TOPIC;
use crate::handler::call::{Call, Handler, Outcome};
use crate::state::partition::Partition;
use crate::state::topic_name::check_topic_name;

/// DescribeTopicPartitions.
#[derive(Debug)]
pub(crate) struct DescribeTopicPartitions;

impl Handler for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;

    fn handle(
        call: &Call,
        request: DescribeTopicPartitionsRequest,
    ) -> Outcome<DescribeTopicPartitionsResponse> {
        let table = call.node.topics().table();
        let mut names: Vec<_> = if request.topics.is_empty() {
            table.iter().map(|topic| topic.name.clone()).collect()
        } else {
            request.topics.into_iter().map(|topic| topic.name).collect()
        };
        names.sort_unstable();
        names.dedup();
        let (first, mut from) = match request.cursor {
            Some(cursor) => (cursor.topic_name, cursor.partition_index.max(0)),
            None => (Default::default(), 0),
        };
        names.retain(|name| *name >= first);

        let mut room = usize::try_from(request.response_partition_limit)
            .unwrap_or(1)
            .clamp(1, LIMIT_MAX);
        let mut response = DescribeTopicPartitionsResponse::default();
        for name in names {
            if name != first {
                from = 0;
            }
            if room == 0 {
                response.next_cursor = Some(cursor(&name, 0));
                break;
            }
            let mut row = DescribeTopicPartitionsResponseTopic::default();
            row.name = Some(name.clone());
            // Also of one that is not there: it may be made.
            row.topic_authorized_operations = OF_TOPIC;
            match table.by_name(&name) {
                _ if let Err(code) = call.admit(About::topic(&name)) => {
                    row.error_code = code.code();
                }
                None => {
                    let unknown = if check_topic_name(&name).is_err() {
                        ErrorCode::INVALID_TOPIC_EXCEPTION
                    } else {
                        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    };
                    row.error_code = unknown.code();
                }
                Some(topic) => {
                    row.topic_id = topic.id;
                    row.is_internal = topic.is_internal;
                    let rest = topic
                        .partitions
                        .iter()
                        .filter(|partition| partition.index >= from);
                    row.partitions = rest
                        .take(room)
                        .map(|one| describe(call, &name, one))
                        .collect();
                    room -= row.partitions.len();
                    let end = row
                        .partitions
                        .last()
                        .map_or(from, |last| last.partition_index + 1);
                    if usize::try_from(end).is_ok_and(|end| end < topic.partitions.len()) {
                        response.next_cursor = Some(cursor(&name, end));
                        response.topics.push(row);
                        break;
                    }
                }
            }
            response.topics.push(row);
        }
        Outcome::Ready(response)
    }
}

fn cursor(name: &bytestring::ByteString, partition: i32) -> Cursor {
    let mut cursor = Cursor::default();
    cursor.topic_name = name.clone();
    cursor.partition_index = partition;
    cursor
}

fn describe(
    call: &Call,
    topic: &str,
    partition: &Partition,
) -> DescribeTopicPartitionsResponsePartition {
    let node_id = call.node.config.node_id;
    let mut row = DescribeTopicPartitionsResponsePartition::default();
    row.partition_index = partition.index;
    row.leader_id = node_id;
    if let Err(code) = call.admit(About::topic(topic).partition(partition.index)) {
        row.error_code = code.code();
        row.leader_id = -1;
    }
    row.leader_epoch = partition.leader_epoch;
    row.replica_nodes = [node_id].into();
    row.isr_nodes = [node_id].into();
    row.eligible_leader_replicas = Some(BrokerIds::new());
    row.last_known_elr = Some(BrokerIds::new());
    row
}

/// The most partitions of one answer, as `max.request.partition.size.limit` in Kafka.
const LIMIT_MAX: usize = 2000;
