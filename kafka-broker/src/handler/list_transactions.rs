//! ListTransactions, versions 0 and 1: transactional ids by state, producer and age.
//!
//! Not here: version 2, whose pattern is an expression in the language of RE2.

use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};

use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::state::transaction::{Phase, Transaction};

/// ListTransactions.
#[derive(Debug)]
pub(crate) struct ListTransactions;

impl Handler for ListTransactions {
    type Request = ListTransactionsRequest;
    /// Whoever writes in a transaction holds it meanwhile.
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: ListTransactionsRequest) -> Outcome<ListTransactionsResponse> {
        let mut response = ListTransactionsResponse::default();
        let found = call.node.transactions.list().into_iter();
        let rows = found
            .filter(|(_, transaction)| is_wanted(call, &request, transaction))
            .map(|(id, transaction)| {
                let mut row = TransactionState::default();
                row.transactional_id = id;
                row.producer_id = transaction.producer_id;
                row.transaction_state = transaction.phase.name().into();
                row
            });
        response.transaction_states = rows.collect();
        let is_known = |name: &str| OTHER_STATES.contains(&name) || names().any(|one| one == name);
        response.unknown_state_filters = request.state_filters;
        response
            .unknown_state_filters
            .retain(|name| !is_known(name));
        Outcome::Ready(response)
    }
}

fn is_wanted(call: &Call, request: &ListTransactionsRequest, transaction: &Transaction) -> bool {
    let states = &request.state_filters;
    let producers = &request.producer_id_filters;
    let age_ms = call.now.unix_ms.saturating_sub(transaction.started_ms);
    let is_old = transaction.started_ms >= 0 && age_ms > request.duration_filter;
    (states.is_empty() || states.iter().any(|name| *name == transaction.phase.name()))
        && (producers.is_empty() || producers.contains(&transaction.producer_id))
        && (call.version < 1 || request.duration_filter < 0 || is_old)
}

fn names() -> impl Iterator<Item = &'static str> {
    Phase::ALL.into_iter().map(Phase::name)
}

/// States of a real broker that no transactional id is ever found in here.
const OTHER_STATES: [&str; 2] = ["Dead", "PrepareEpochFence"];
