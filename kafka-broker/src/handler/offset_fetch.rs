//! OffsetFetch, versions 1 to 10: what groups have committed; one group per request up to version 7,
//! several from version 8 on, topics by id from version 10 on. Who wants only what is stable, from
//! version 7 on, is refused what an open transaction may change.

use std::collections::BTreeSet;

use bytestring::ByteString;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use kafka_protocol::{ErrorCode, Uuid};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::each_once::NamedPartitions;
use crate::handler::topic_ref::find_topic;
use crate::state::group_members::GroupKind;
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
            let stable = request.require_stable;
            let all_of = |group: &OffsetFetchRequestGroup| match &group.topics {
                Some(_) => None,
                None => Some(group.group_id.clone()),
            };
            let mut seen = BTreeSet::new();
            let groups = request.groups.into_iter();
            let groups = groups.filter(|group| all_of(group).is_none_or(|id| seen.insert(id)));
            let mut told = Told::default();
            response.groups = groups
                .map(|group| fetch_group(call, &table, group, stable, &mut told))
                .collect();
            response
        })
    }
}

/// What an answer tells of already, by group and topic: with an offset goes what its committer wrote beside it, which is
/// far longer than the number of a partition.
type Told = NamedPartitions<(ByteString, ByteString, Uuid)>;

fn fetch_one(call: &Call, table: &TopicTable, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let group = call.node.groups.find(&request.group_id);
    let stable = call.version >= 7 && request.require_stable;
    let mut response = OffsetFetchResponse::default();
    // The first versions have no code at the top.
    let refused = call.admit(About::group(&request.group_id)).err();
    if let Some(code) = refused
        && call.version >= 2
    {
        response.error_code = code.code();
        return response;
    }
    let topics = match request.topics {
        Some(topics) => topics
            .into_iter()
            .map(|topic| (topic.name, topic.partition_indexes))
            .collect(),
        None => all_partitions(group.as_deref(), table),
    };
    let mut told = Told::default();
    for (name, partitions) in topics {
        let mut row = OffsetFetchResponseTopic::default();
        let of = (request.group_id.clone(), name.clone(), Uuid::ZERO);
        for index in told.news_of(of, partitions) {
            let mut answer = OffsetFetchResponsePartition::default();
            answer.partition_index = index;
            let about = About::topic(&name).partition(index);
            let found = call
                .admit(about)
                .and_then(|()| committed(group.as_deref(), table, &name, index, stable));
            let found = found.unwrap_or_else(|error| {
                answer.error_code = error.code();
                nothing()
            });
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
    stable: bool,
    told: &mut Told,
) -> OffsetFetchResponseGroup {
    let by_id = call.version >= 10;
    let group = call.node.groups.find(&request.group_id);
    let mut response = OffsetFetchResponseGroup::default();
    if let Err(code) = call.admit(About::group(&request.group_id)) {
        response.error_code = code.code();
        response.group_id = request.group_id;
        return response;
    }
    let error = group.as_deref().map(|group| check_member(group, &request));
    if let Some(error) = error.filter(|error| *error != ErrorCode::NONE) {
        response.error_code = error.code();
        response.group_id = request.group_id;
        return response;
    }
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
        let of = (request.group_id.clone(), name.clone(), id);
        for index in told.news_of(of, partitions) {
            let mut answer = OffsetFetchResponsePartitions::default();
            answer.partition_index = index;
            let about = About::topic_by(&name, id).partition(index);
            let about = about.in_group(&request.group_id);
            let found = call
                .admit(about)
                .and_then(|()| topic.as_ref().map_err(|error| *error))
                .and_then(|name| committed(group.as_deref(), table, name, index, stable));
            let found = found.unwrap_or_else(|error| {
                answer.error_code = error.code();
                nothing()
            });
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

/// Whether the member that asks, if one does, is up to date: one that is not would read on from where another
/// may have come further.
fn check_member(group: &Group, request: &OffsetFetchRequestGroup) -> ErrorCode {
    match (group.lock().members.kind(), &request.member_id) {
        (GroupKind::Classic(_), _) => ErrorCode::NONE,
        (GroupKind::Consumer(_), None) if request.member_epoch < 0 => ErrorCode::NONE,
        (GroupKind::Consumer(group), id) => {
            let id = id.as_deref().unwrap_or_default();
            group.check_fetch(id, request.member_epoch)
        }
    }
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
    stable: bool,
) -> Result<CommittedOffset, ErrorCode> {
    let Some(group) = group else {
        return Ok(nothing());
    };
    let id = table.by_name(topic).map(|topic| topic.id);
    let state = group.lock();
    if stable && state.pending.is_pending(topic, partition) {
        return Err(ErrorCode::UNSTABLE_OFFSET_COMMIT);
    }
    let found = state.offsets.get_of(topic, id, partition).cloned();
    Ok(found.unwrap_or_else(nothing))
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
