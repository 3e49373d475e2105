//! TxnOffsetCommit, versions 0 to 6: a producer commits the offsets of a group inside of its
//! transaction. They hold once the transaction is committed. Up to version 4 it has said so before
//! with AddOffsetsToTxn; from version 6 on topics go by their ids.

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::committable::check_committable;
use crate::handler::detached::detached;
use crate::handler::topic_ref::find_topic;
use crate::state::classic_group::answer::MemberClaim;
use crate::state::offsets::CommittedOffset;
use crate::state::topics::TopicTable;
use crate::state::transaction::ProducerClaim;
use crate::state::transactions::Admission;

/// TxnOffsetCommit.
#[derive(Debug)]
pub(crate) struct TxnOffsetCommit;

impl Handler for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    const WORK: Work = Work::Slow;

    fn handle(
        call: &Call,
        mut request: TxnOffsetCommitRequest,
    ) -> Outcome<TxnOffsetCommitResponse> {
        let table = call.node.topics().table();
        let mut sorted = Sorted::default();
        for topic in std::mem::take(&mut request.topics) {
            sorted.add(call, &table, topic);
        }
        let error = commit(call, request, sorted.offsets).err();
        let mut response = TxnOffsetCommitResponse::default();
        response.topics = sorted.rows;
        if let Some(error) = error {
            let code = translate(call.version, error).code();
            let partitions = response.topics.iter_mut();
            for partition in partitions.flat_map(|topic| &mut topic.partitions) {
                if partition.error_code == ErrorCode::NONE.code() {
                    partition.error_code = code;
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
    rows: Vec<TxnOffsetCommitResponseTopic>,
}

impl Sorted {
    fn add(&mut self, call: &Call, table: &TopicTable, request: TxnOffsetCommitRequestTopic) {
        let topic = find_topic(table, call.version >= 6, &request.name, request.topic_id);
        let mut row = TxnOffsetCommitResponseTopic::default();
        for partition in request.partitions {
            let mut answer = TxnOffsetCommitResponsePartition::default();
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
                        expires_at_ms: None,
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
    request: TxnOffsetCommitRequest,
    offsets: Vec<(ByteString, i32, CommittedOffset)>,
) -> Result<(), ErrorCode> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let home = call.node.home_of_group(call.now, &request.group_id);
    let home = home.map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    let producer = ProducerClaim {
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
    };
    let member = MemberClaim {
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id_or_member_epoch,
    };
    let admission = match call.version {
        ..5 => Admission::Joined,
        5.. => Admission::Joins,
    };
    let groups = &call.node.groups;
    let group = match groups.find(&request.group_id) {
        Some(group) => group,
        None if member.generation >= 0 => return Err(ErrorCode::GROUP_ID_NOT_FOUND),
        None => groups.find_or_create(call.now, &detached(&request.group_id)),
    };
    let id = &request.transactional_id;
    let error = call.node.transactions.write(
        call.now,
        id,
        producer,
        std::slice::from_ref(&home),
        admission,
        |refused| match refused.get(&home) {
            Some(error) => *error,
            None => groups.commit_in_transaction(call.now, &group, &member, producer, offsets),
        },
    );
    match error {
        ErrorCode::NONE => Ok(()),
        error => {
            groups.forget_bare(call.now, &group);
            Err(error)
        }
    }
}

/// What a client of this version understands of a refusal.
fn translate(version: i16, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if version < 4 => ErrorCode::INVALID_TXN_STATE,
        ErrorCode::STALE_MEMBER_EPOCH | ErrorCode::GROUP_ID_NOT_FOUND if version < 6 => {
            ErrorCode::ILLEGAL_GENERATION
        }
        ErrorCode::CONCURRENT_TRANSACTIONS if version < 5 => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        error => error,
    }
}
