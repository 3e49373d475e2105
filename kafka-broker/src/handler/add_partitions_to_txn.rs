//! AddPartitionsToTxn, versions 0 to 5: partitions join a transaction before anything is written to
//! them. Producers send one transaction, up to version 3; brokers send many, and may ask only whether
//! the partitions have joined.

use std::collections::BTreeSet;

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::state::transaction::{Participant, ProducerClaim};
use crate::state::transactions::{Admission, Refused};

/// AddPartitionsToTxn.
#[derive(Debug)]
pub(crate) struct AddPartitionsToTxn;

impl Handler for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    /// It waits for whatever is being written in the transaction.
    const WORK: Work = Work::Slow;

    fn handle(
        call: &Call,
        request: AddPartitionsToTxnRequest,
    ) -> Outcome<AddPartitionsToTxnResponse> {
        let mut response = AddPartitionsToTxnResponse::default();
        if call.version < 4 {
            let mut transaction = AddPartitionsToTxnTransaction::default();
            transaction.transactional_id = request.v3_and_below_transactional_id;
            transaction.producer_id = request.v3_and_below_producer_id;
            transaction.producer_epoch = request.v3_and_below_producer_epoch;
            transaction.topics = request.v3_and_below_topics;
            response.results_by_topic_v3_and_below = add(call, transaction);
        } else {
            let transactions = request.transactions.into_iter();
            let rows = transactions.map(|transaction| {
                let mut row = AddPartitionsToTxnResult::default();
                row.transactional_id = transaction.transactional_id.clone();
                row.topic_results = add(call, transaction);
                row
            });
            response.results_by_transaction = rows.collect();
        }
        Outcome::Ready(response)
    }
}

fn add(
    call: &Call,
    transaction: AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let id = &transaction.transactional_id;
    let claim = ProducerClaim {
        producer_id: transaction.producer_id,
        epoch: transaction.producer_epoch,
    };
    let admitted = |(topic, index): &Participant| {
        let about = About::topic(topic).partition(*index);
        call.admit(about)
    };
    let (known, unknown) = sort(call, &transaction.topics);
    let transactions = &call.node.transactions;
    if id.is_empty() {
        return answer(transaction.topics, |_| ErrorCode::INVALID_REQUEST);
    }
    if known
        .iter()
        .chain(&unknown)
        .any(|one| admitted(one).is_err())
    {
        return answer(transaction.topics, |one| {
            admitted(one)
                .err()
                .unwrap_or(ErrorCode::OPERATION_NOT_ATTEMPTED)
        });
    }
    if !unknown.is_empty() {
        return answer(transaction.topics, |one| {
            if unknown.contains(one) {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            } else {
                ErrorCode::OPERATION_NOT_ATTEMPTED
            }
        });
    }
    if transaction.verify_only {
        let refused = transactions.write(
            call.now,
            id,
            claim,
            &known,
            Admission::Joined,
            Refused::clone,
        );
        return answer(transaction.topics, |one| {
            refused.get(one).copied().unwrap_or(ErrorCode::NONE)
        });
    }
    let joined = transactions.join(call.now, id, claim, &known);
    let code = match joined {
        Ok(()) => ErrorCode::NONE,
        Err(ErrorCode::PRODUCER_FENCED) if call.version < 2 => ErrorCode::INVALID_PRODUCER_EPOCH,
        Err(code) => code,
    };
    answer(transaction.topics, |_| code)
}

/// The partitions that there are, and those that there are not.
fn sort(
    call: &Call,
    topics: &[AddPartitionsToTxnTopic],
) -> (Vec<Participant>, BTreeSet<Participant>) {
    let table = call.node.topics().table();
    let (mut known, mut unknown) = (Vec::new(), BTreeSet::new());
    for topic in topics {
        let found = table.by_name(&topic.name);
        for index in &topic.partitions {
            match found.filter(|topic| topic.partition(*index).is_some()) {
                Some(found) => known.push((found.name.clone(), *index)),
                None => {
                    unknown.insert((topic.name.clone(), *index));
                }
            }
        }
    }
    (known, unknown)
}

fn answer(
    topics: Vec<AddPartitionsToTxnTopic>,
    code_of: impl Fn(&Participant) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let rows = topics.into_iter().map(|topic| {
        let mut row = AddPartitionsToTxnTopicResult::default();
        let partitions = topic.partitions.into_iter().map(|index| {
            let mut answer = AddPartitionsToTxnPartitionResult::default();
            answer.partition_index = index;
            answer.partition_error_code = code_of(&(topic.name.clone(), index)).code();
            answer
        });
        row.results_by_partition = partitions.collect();
        row.name = topic.name;
        row
    });
    rows.collect()
}
