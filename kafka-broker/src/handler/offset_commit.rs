//! OffsetCommit, versions 2 to 10: a member of a group, or a consumer that uses the group for its
//! offsets alone, stores where it stands. From version 10 on topics go by their ids.

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::committable::check_committable;
use crate::handler::detached::detached;
use crate::handler::topic_ref::find_topic;
use crate::state::classic_group::answer::MemberClaim;
use crate::state::group_members::GroupKind;
use crate::state::offsets::CommittedOffset;
use crate::state::topics::TopicTable;

/// OffsetCommit.
#[derive(Debug)]
pub(crate) struct OffsetCommit;

impl Handler for OffsetCommit {
    type Request = OffsetCommitRequest;
    const WORK: Work = Work::Append;

    fn handle(call: &Call, request: OffsetCommitRequest) -> Outcome<OffsetCommitResponse> {
        let claim = MemberClaim {
            member_id: request.member_id,
            instance_id: request.group_instance_id,
            generation: request.generation_id_or_member_epoch,
        };
        let expires_at_ms = (request.retention_time_ms >= 0)
            .then(|| call.now.unix_ms.saturating_add(request.retention_time_ms));
        let table = call.node.topics().table();
        let mut sorted = Sorted::default();
        for topic in request.topics {
            sorted.add(call, &table, topic, expires_at_ms);
        }
        let error = commit(call, &request.group_id, &claim, sorted.offsets);
        let mut response = OffsetCommitResponse::default();
        response.topics = sorted.rows;
        for topic in &mut response.topics {
            for partition in &mut topic.partitions {
                if partition.error_code == ErrorCode::NONE.code() {
                    partition.error_code = error.code();
                }
            }
        }
        Outcome::Ready(response)
    }
}

/// What can be committed, and a row for all that was asked.
#[derive(Default)]
struct Sorted {
    offsets: Vec<(ByteString, i32, CommittedOffset)>,
    rows: Vec<OffsetCommitResponseTopic>,
}

impl Sorted {
    fn add(
        &mut self,
        call: &Call,
        table: &TopicTable,
        request: OffsetCommitRequestTopic,
        expires_at_ms: Option<i64>,
    ) {
        let by_id = call.version >= 10;
        let topic = find_topic(table, by_id, &request.name, request.topic_id);
        let mut row = OffsetCommitResponseTopic::default();
        for partition in request.partitions {
            let mut answer = OffsetCommitResponsePartition::default();
            answer.partition_index = partition.partition_index;
            let metadata = partition.committed_metadata.unwrap_or_default();
            let index = partition.partition_index;
            let about = About::topic_by(&request.name, request.topic_id).partition(index);
            let admitted = call.admit(about);
            match admitted.and_then(|()| check_committable(call, &topic, index, &metadata)) {
                Err(error) => answer.error_code = error.code(),
                Ok(topic) => {
                    let offset = CommittedOffset {
                        offset: partition.committed_offset,
                        leader_epoch: partition.committed_leader_epoch,
                        metadata: detached(&metadata),
                        committed_at_ms: call.now.unix_ms,
                        expires_at_ms,
                        topic_id: topic.id,
                    };
                    self.offsets
                        .push((topic.name.clone(), partition.partition_index, offset));
                }
            }
            row.partitions.push(answer);
        }
        row.name = request.name;
        row.topic_id = request.topic_id;
        self.rows.push(row);
    }
}

fn commit(
    call: &Call,
    group_id: &ByteString,
    claim: &MemberClaim,
    offsets: Vec<(ByteString, i32, CommittedOffset)>,
) -> ErrorCode {
    let groups = &call.node.groups;
    let group = match groups.find(group_id) {
        Some(group) => group,
        None if claim.generation >= 0 && call.version >= KNOWS_EPOCHS => {
            return ErrorCode::GROUP_ID_NOT_FOUND;
        }
        None if claim.generation >= 0 => return ErrorCode::ILLEGAL_GENERATION,
        None => groups.find_or_create(call.now, &detached(group_id)),
    };
    let is_new = || match group.lock().members.kind() {
        GroupKind::Classic(_) => false,
        GroupKind::Consumer(group) => group.has_member(&claim.member_id),
    };
    if call.version < KNOWS_EPOCHS && is_new() {
        return ErrorCode::UNSUPPORTED_VERSION;
    }
    let is_nothing = offsets.is_empty();
    let error = groups.commit(call.now, &group, claim, offsets);
    if is_nothing || error != ErrorCode::NONE {
        groups.forget_bare(call.now, &group);
    }
    error
}

/// The first version whose users know of member epochs.
const KNOWS_EPOCHS: i16 = 9;
