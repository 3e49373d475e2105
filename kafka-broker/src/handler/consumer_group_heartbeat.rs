//! ConsumerGroupHeartbeat, versions 0 and 1: a member of a consumer group (KIP-848) joins, says that it is
//! there and what has changed, or leaves, and is told what it may read. From version 1 on members make
//! their ids themselves.

use bytestring::ByteString;
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use kafka_protocol::{ErrorCode, Uuid};

use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::detached::detached;
use crate::state::consumer_group::change::Partitions;
use crate::state::consumer_group::heartbeat::{
    Heartbeat, HeartbeatAnswer, JOINS, LEAVES, Leave, WILL_BE_BACK,
};
use crate::state::refusal::Refusal;

/// ConsumerGroupHeartbeat.
#[derive(Debug)]
pub(crate) struct ConsumerGroupHeartbeat;

impl Handler for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    const WORK: Work = Work::Append;

    fn handle(
        call: &Call,
        request: ConsumerGroupHeartbeatRequest,
    ) -> Outcome<ConsumerGroupHeartbeatResponse> {
        let mut response = ConsumerGroupHeartbeatResponse::default();
        let config = call.node.catalog().group_configs.of(&request.group_id);
        match check(call, &request).and_then(|()| answer(call, request)) {
            Ok(answer) => {
                if answer.member_epoch >= 0 {
                    response.heartbeat_interval_ms =
                        i32::try_from(config.heartbeat_interval.as_millis()).unwrap_or(i32::MAX);
                }
                response.member_id = Some(answer.member_id);
                response.member_epoch = answer.member_epoch;
                response.assignment = answer.assignment.map(rows);
            }
            Err(refusal) => {
                response.error_code = refusal.code().code();
                response.error_message = Some(refusal.to_string().into());
            }
        }
        Outcome::Ready(response)
    }
}

/// Whether the request makes sense by itself.
fn check(call: &Call, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    let invalid = |reason: &str| Err(Refusal::new(ErrorCode::INVALID_REQUEST, reason));
    let is_blank = |text: &ByteString| text.trim().is_empty();
    if is_blank(&request.group_id) {
        return invalid("GroupId can't be empty.");
    }
    if request.instance_id.as_ref().is_some_and(is_blank) {
        return invalid("InstanceId can't be empty.");
    }
    if request.rack_id.as_ref().is_some_and(is_blank) {
        return invalid("RackId can't be empty.");
    }
    let epoch = request.member_epoch;
    if (call.version >= 1 || epoch != JOINS) && is_blank(&request.member_id) {
        return invalid("MemberId can't be empty.");
    }
    match epoch {
        JOINS => {
            if request.rebalance_timeout_ms == -1 {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if request
                .topic_partitions
                .as_ref()
                .is_none_or(|owned| !owned.is_empty())
            {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none()
            {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                );
            }
        }
        WILL_BE_BACK if request.instance_id.is_none() => {
            return invalid("InstanceId can't be null.");
        }
        ..WILL_BE_BACK => return invalid("MemberEpoch is invalid."),
        _ => {}
    }
    let allowed = &call.node.config.consumer_group_assignors;
    match &request.server_assignor {
        Some(name) if !allowed.iter().any(|one| *name == **one) => Err(Refusal::new(
            ErrorCode::UNSUPPORTED_ASSIGNOR,
            format!(
                "ServerAssignor {name} is not supported. Supported assignors: {}.",
                allowed.join(", ")
            ),
        )),
        _ => Ok(()),
    }
}

fn answer(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Result<HeartbeatAnswer, Refusal> {
    let groups = &call.node.groups;
    let group = match groups.find(&request.group_id) {
        Some(group) => group,
        None if request.member_epoch == JOINS => {
            groups.find_or_create(call.now, &detached(&request.group_id))
        }
        None => {
            return Err(Refusal::new(
                ErrorCode::GROUP_ID_NOT_FOUND,
                format!("consumer group {} not found", request.group_id),
            ));
        }
    };
    let topics = call.node.topics().table();
    let topics = &*topics;
    let turned = if matches!(request.member_epoch, LEAVES | WILL_BE_BACK) {
        let leave = Leave {
            member_id: request.member_id,
            instance_id: request.instance_id,
            will_be_back: request.member_epoch == WILL_BE_BACK,
        };
        groups.turn_saved(call.now, &group, |state| {
            state.members.handle_leave(call.now, topics, &leave)
        })
    } else {
        let heartbeat = read(call, request);
        groups.turn_saved(call.now, &group, |state| {
            state.members.handle_heartbeat(call.now, topics, &heartbeat)
        })
    };
    let answer =
        turned.unwrap_or_else(|error| Err(Refusal::new(error, "the group could not be saved")));
    if answer.is_err() {
        groups.forget_bare(call.now, &group);
    }
    answer
}

fn read(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Heartbeat {
    let own = |text: Option<ByteString>| text.as_ref().map(detached);
    let member_id = match request.member_id.is_empty() {
        true => Uuid(call.node.random()).to_string().into(),
        false => detached(&request.member_id),
    };
    let owned = request.topic_partitions.map(|topics| {
        let topics = topics.into_iter();
        topics
            .flat_map(|row| {
                row.partitions
                    .into_iter()
                    .map(move |index| (row.topic_id, index))
            })
            .collect()
    });
    let topics = request.subscribed_topic_names;
    Heartbeat {
        member_id,
        member_epoch: request.member_epoch,
        instance_id: own(request.instance_id),
        rack_id: own(request.rack_id),
        client_id: detached(&call.client_id),
        client_host: call.client_host.clone(),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|ms| *ms != -1),
        topics: topics.map(|names| names.iter().map(detached).collect()),
        regex: own(request.subscribed_topic_regex),
        assignor: own(request.server_assignor),
        owned,
    }
}

fn rows(partitions: Partitions) -> Assignment {
    let mut assignment = Assignment::default();
    for (topic, index) in partitions {
        match assignment.topic_partitions.last_mut() {
            Some(row) if row.topic_id == topic => row.partitions.push(index),
            _ => {
                let mut row = TopicPartitions::default();
                row.topic_id = topic;
                row.partitions = vec![index];
                assignment.topic_partitions.push(row);
            }
        }
    }
    assignment
}
