//! OffsetFetch, versions 1 to 10: what groups have committed; one group per request up to version 7,
//! several from version 8 on, topics by id from version 10 on.
//!
//! Not here: `RequireStable` has nothing to wait for, as there are no transactions.

use bytestring::ByteString;
use kafka_protocol::Uuid;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};

use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::topic_ref::find_topic;
use crate::state::groups::Group;
use crate::state::offsets::CommittedOffset;
use crate::state::topics::TopicTable;

/// OffsetFetch.
#[derive(Debug)]
pub(crate) struct OffsetFetch;

impl Handler for OffsetFetch {
    type Request = OffsetFetchRequest;

    fn handle(call: &Call, request: OffsetFetchRequest) -> Outcome<OffsetFetchResponse> {
        let table = call.node.topics().table();
        Outcome::Ready(if call.version < 8 {
            fetch_one(call, &table, request)
        } else {
            let mut response = OffsetFetchResponse::default();
            let groups = request.groups.into_iter();
            response.groups = groups
                .map(|group| fetch_group(call, &table, group))
                .collect();
            response
        })
    }
}

fn fetch_one(call: &Call, table: &TopicTable, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let group = call.node.groups.find(&request.group_id);
    let mut response = OffsetFetchResponse::default();
    let topics = match request.topics {
        Some(topics) => topics
            .into_iter()
            .map(|topic| (topic.name, topic.partition_indexes))
            .collect(),
        None => all_partitions(group.as_deref(), table),
    };
    for (name, partitions) in topics {
        let mut row = OffsetFetchResponseTopic::default();
        for index in partitions {
            let found = committed(group.as_deref(), table, &name, index);
            let mut answer = OffsetFetchResponsePartition::default();
            answer.partition_index = index;
            answer.committed_offset = found.offset;
            answer.committed_leader_epoch = found.leader_epoch;
            answer.metadata = Some(found.metadata);
            row.partitions.push(answer);
        }
        row.name = name;
        response.topics.push(row);
    }
    response
}

fn fetch_group(
    call: &Call,
    table: &TopicTable,
    request: OffsetFetchRequestGroup,
) -> OffsetFetchResponseGroup {
    let by_id = call.version >= 10;
    let group = call.node.groups.find(&request.group_id);
    let mut response = OffsetFetchResponseGroup::default();
    let topics: Vec<(ByteString, Uuid, Vec<i32>)> = match request.topics {
        Some(topics) => topics
            .into_iter()
            .map(|topic| (topic.name, topic.topic_id, topic.partition_indexes))
            .collect(),
        None => all_partitions(group.as_deref(), table)
            .into_iter()
            .filter_map(|(name, partitions)| {
                let id = table.by_name(&name).map(|topic| topic.id);
                // Who asks by id cannot be told of a topic that has none.
                match id {
                    None if by_id => None,
                    id => Some((name, id.unwrap_or_default(), partitions)),
                }
            })
            .collect(),
    };
    for (name, id, partitions) in topics {
        let mut row = OffsetFetchResponseTopics::default();
        let topic = if by_id {
            find_topic(table, by_id, &name, id).map(|topic| topic.name.clone())
        } else {
            Ok(name.clone())
        };
        for index in partitions {
            let mut answer = OffsetFetchResponsePartitions::default();
            answer.partition_index = index;
            let found = match &topic {
                Ok(name) => committed(group.as_deref(), table, name, index),
                Err(error) => {
                    answer.error_code = error.code();
                    nothing()
                }
            };
            answer.committed_offset = found.offset;
            answer.committed_leader_epoch = found.leader_epoch;
            answer.metadata = Some(found.metadata);
            row.partitions.push(answer);
        }
        row.name = name;
        row.topic_id = id;
        response.topics.push(row);
    }
    response.group_id = request.group_id;
    response
}

fn all_partitions(group: Option<&Group>, table: &TopicTable) -> Vec<(ByteString, Vec<i32>)> {
    let Some(group) = group else {
        return Vec::new();
    };
    let state = group.lock();
    let topics = state.offsets.iter();
    topics
        .filter_map(|(name, partitions)| {
            let id = table.by_name(name).map(|topic| topic.id);
            let is_committed = |index: &i32| state.offsets.get_of(name, id, *index).is_some();
            let found: Vec<_> = partitions.keys().copied().filter(is_committed).collect();
            (!found.is_empty()).then(|| (name.clone(), found))
        })
        .collect()
}

fn committed(
    group: Option<&Group>,
    table: &TopicTable,
    topic: &str,
    partition: i32,
) -> CommittedOffset {
    let id = table.by_name(topic).map(|topic| topic.id);
    let found = group.and_then(|group| {
        let state = group.lock();
        state.offsets.get_of(topic, id, partition).cloned()
    });
    found.unwrap_or_else(nothing)
}

/// What the protocol says for "never committed".
fn nothing() -> CommittedOffset {
    CommittedOffset {
        offset: -1,
        leader_epoch: -1,
        metadata: ByteString::new(),
        committed_at_ms: -1,
        expires_at_ms: None,
        topic_id: Uuid::default(),
    }
}
