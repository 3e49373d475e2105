//! DescribeTransactions, version 0: transactional ids, each with what is under way.

use std::collections::BTreeMap;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::each_once::each_once;

/// DescribeTransactions.
#[derive(Debug)]
pub(crate) struct DescribeTransactions;

impl Handler for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    /// Whoever writes in a transaction holds it meanwhile.
    const WORK: Work = Work::Slow;

    fn handle(
        call: &Call,
        request: DescribeTransactionsRequest,
    ) -> Outcome<DescribeTransactionsResponse> {
        let mut response = DescribeTransactionsResponse::default();
        let ids = each_once(request.transactional_ids, ByteString::clone);
        response.transaction_states = ids.map(|id| describe(call, id)).collect();
        Outcome::Ready(response)
    }
}

fn describe(call: &Call, id: ByteString) -> TransactionState {
    let mut row = TransactionState::default();
    let found = match call.admit(About::WHOLE) {
        Ok(()) => {
            let found = call.node.transactions.describe(&id);
            found.ok_or(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND)
        }
        Err(code) => Err(code),
    };
    match found {
        Err(code) => {
            row.error_code = code.code();
        }
        Ok(transaction) => {
            row.transaction_state = transaction.phase.name().into();
            row.transaction_timeout_ms = transaction.timeout_ms;
            row.transaction_start_time_ms = transaction.started_ms;
            row.producer_id = transaction.producer_id;
            row.producer_epoch = transaction.epoch;
            let mut topics: BTreeMap<ByteString, Vec<i32>> = BTreeMap::new();
            for (topic, partition) in transaction.partitions {
                topics.entry(topic).or_default().push(partition);
            }
            let topics = topics.into_iter().map(|(topic, partitions)| {
                let mut row = TopicData::default();
                row.topic = topic;
                row.partitions = partitions;
                row
            });
            row.topics = topics.collect();
        }
    }
    row.transactional_id = id;
    row
}
