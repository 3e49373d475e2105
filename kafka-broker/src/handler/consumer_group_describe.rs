//! ConsumerGroupDescribe, versions 0 and 1: consumer groups (KIP-848) with their epochs, members and
//! assignments.

use bytestring::ByteString;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use kafka_protocol::{ErrorCode, Uuid};

use crate::control::subjects::About;
use crate::handler::authorized_operations::OF_GROUP;
use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::each_once::each_once;
use crate::state::consumer_group::ConsumerGroup;
use crate::state::consumer_group::change::TopicIdPartition;
use crate::state::consumer_group::ledger::Member as MemberState;
use crate::state::group_members::GroupKind;
use crate::state::topics::TopicTable;

/// ConsumerGroupDescribe.
#[derive(Debug)]
pub(crate) struct ConsumerGroupDescribe;

impl Handler for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;

    fn handle(
        call: &Call,
        request: ConsumerGroupDescribeRequest,
    ) -> Outcome<ConsumerGroupDescribeResponse> {
        let table = call.node.topics().table();
        let mut response = ConsumerGroupDescribeResponse::default();
        let ids = each_once(request.group_ids, ByteString::clone);
        response.groups = ids.map(|id| describe(call, &table, id)).collect();
        if request.include_authorized_operations {
            for group in response
                .groups
                .iter_mut()
                .filter(|group| group.error_code == 0)
            {
                group.authorized_operations = OF_GROUP;
            }
        }
        Outcome::Ready(response)
    }
}

fn describe(call: &Call, table: &TopicTable, id: ByteString) -> DescribedGroup {
    let found = call.node.groups.find(&id);
    let state = found.as_ref().map(|group| group.lock());
    let mut row = DescribedGroup::default();
    let mut refuse = |error: ErrorCode, message: String| {
        row.error_code = error.code();
        row.error_message = Some(message.into());
    };
    match state.as_ref().map(|state| state.members.kind()) {
        _ if let Err(code) = call.admit(About::group(&id)) => {
            refuse(code, "a rule refuses it".to_owned());
        }
        _ if id.is_empty() => {
            refuse(
                ErrorCode::INVALID_GROUP_ID,
                "the group id is empty".to_owned(),
            );
        }
        None => refuse(
            ErrorCode::GROUP_ID_NOT_FOUND,
            format!("group {id} not found"),
        ),
        Some(GroupKind::Classic(_)) => {
            let message = format!("group {id} is not a consumer group");
            refuse(ErrorCode::GROUP_ID_NOT_FOUND, message);
        }
        Some(GroupKind::Consumer(group)) => fill(&mut row, call.version, table, group),
    }
    row.group_id = id;
    row
}

fn fill(row: &mut DescribedGroup, version: i16, table: &TopicTable, group: &ConsumerGroup) {
    let ledger = group.ledger();
    row.group_state = group.state_name().into();
    row.group_epoch = ledger.epoch().epoch;
    row.assignment_epoch = ledger.target_epoch().epoch;
    row.assignor_name = group.assignor().into();
    for (id, state) in ledger.members() {
        let target = ledger.targets().get(id).into_iter().flatten();
        let mut member = describe_member(state, version);
        member.member_id = id.clone();
        member.assignment = assignment(table, state.current.assigned.keys());
        member.target_assignment = assignment(table, target);
        row.members.push(member);
    }
}

fn describe_member(state: &MemberState, version: i16) -> Member {
    let metadata = &state.metadata;
    let mut member = Member::default();
    member.instance_id = metadata.instance_id.clone();
    member.rack_id = metadata.rack_id.clone();
    member.member_epoch = state.current.epoch;
    member.client_id = metadata.client_id.clone();
    member.client_host = metadata.client_host.clone();
    member.subscribed_topic_names = metadata.topics.iter().cloned().collect();
    // Kafka says the empty one for none.
    member.subscribed_topic_regex = Some(metadata.pattern().cloned().unwrap_or_default());
    if version >= 1 {
        member.member_type = match state.is_classic() {
            true => CLASSIC,
            false => CONSUMER,
        };
    }
    member
}

/// The partitions of topics that there still are.
fn assignment<'a>(
    table: &TopicTable,
    partitions: impl Iterator<Item = &'a TopicIdPartition>,
) -> Assignment {
    let mut assignment = Assignment::default();
    for (topic, index) in partitions {
        match assignment.topic_partitions.last_mut() {
            Some(row) if row.topic_id == *topic => row.partitions.push(*index),
            _ => assignment
                .topic_partitions
                .extend(row(table, *topic, *index)),
        }
    }
    assignment
}

fn row(table: &TopicTable, topic: Uuid, index: i32) -> Option<TopicPartitions> {
    let mut row = TopicPartitions::default();
    row.topic_id = topic;
    row.topic_name = table.by_id(topic)?.name.clone();
    row.partitions = vec![index];
    Some(row)
}

/// A member that speaks the classic protocol.
const CLASSIC: i8 = 0;

/// A member that speaks the new protocol.
const CONSUMER: i8 = 1;
