//! OffsetDelete, version 0: a group lets go of what it has committed for topics that none of its members
//! reads any more.

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::state::consumer_protocol::PROTOCOL_TYPE;
use crate::state::group_members::SubscribedTopics;
use crate::state::groups::Group;

/// OffsetDelete.
#[derive(Debug)]
pub(crate) struct OffsetDelete;

impl Handler for OffsetDelete {
    type Request = OffsetDeleteRequest;
    const WORK: Work = Work::Append;

    fn handle(call: &Call, request: OffsetDeleteRequest) -> Outcome<OffsetDeleteResponse> {
        let mut response = OffsetDeleteResponse::default();
        match delete(call, &request) {
            Ok(topics) => response.topics = topics,
            Err(error) => response.error_code = error.code(),
        }
        Outcome::Ready(response)
    }
}

fn delete(
    call: &Call,
    request: &OffsetDeleteRequest,
) -> Result<Vec<OffsetDeleteResponseTopic>, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let groups = &call.node.groups;
    let group = groups.find(&request.group_id);
    let group = group.ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    let subscribed_topics = subscriptions(&group)?;
    let table = call.node.topics().table();
    let mut offsets: Vec<(ByteString, i32)> = Vec::new();
    let mut rows = Vec::new();
    for topic in &request.topics {
        let known = table.by_name(&topic.name);
        let subscribed = subscribed_topics.may_have(&topic.name);
        let mut row = OffsetDeleteResponseTopic::default();
        row.name = topic.name.clone();
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let about = About::topic(&topic.name).partition(index);
            let exists = known.is_some_and(|topic| topic.partition(index).is_some());
            let error = if let Err(code) = call.admit(about) {
                code
            } else if !exists {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            } else if subscribed {
                ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
            } else {
                offsets.push((topic.name.clone(), index));
                ErrorCode::NONE
            };
            let mut answer = OffsetDeleteResponsePartition::default();
            answer.partition_index = index;
            answer.error_code = error.code();
            row.partitions.push(answer);
        }
        rows.push(row);
    }
    if !offsets.is_empty() && !groups.delete_offsets(call.now, &group, offsets) {
        return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
    }
    Ok(rows)
}

/// The topics that members read.
fn subscriptions(group: &Group) -> Result<SubscribedTopics, ErrorCode> {
    let state = group.lock();
    if state.members.is_dead() {
        return Err(ErrorCode::GROUP_ID_NOT_FOUND);
    }
    // Only of consumers does the broker know what they read.
    let kind = state.members.protocol_type();
    if !state.members.is_empty() && kind != PROTOCOL_TYPE {
        return Err(ErrorCode::NON_EMPTY_GROUP);
    }
    Ok(state.members.subscribed_topics())
}
