//! EndTxn, versions 0 to 5: a producer commits or aborts its transaction. From version 5 on the answer
//! says what the producer is to call itself in the next one.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse};

use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::state::transaction::{ProducerClaim, Protocol};

/// EndTxn.
#[derive(Debug)]
pub(crate) struct EndTxn;

impl Handler for EndTxn {
    type Request = EndTxnRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: EndTxnRequest) -> Outcome<EndTxnResponse> {
        let mut response = EndTxnResponse::default();
        response.producer_id = -1;
        response.producer_epoch = -1;
        match end(call, &request) {
            Ok(successor) if call.version >= 5 => {
                response.producer_id = successor.producer_id;
                response.producer_epoch = successor.epoch;
            }
            Ok(_) => {}
            Err(ErrorCode::PRODUCER_FENCED) if call.version < 2 => {
                response.error_code = ErrorCode::INVALID_PRODUCER_EPOCH.code();
            }
            Err(error) => response.error_code = error.code(),
        }
        Outcome::Ready(response)
    }
}

fn end(call: &Call, request: &EndTxnRequest) -> Result<ProducerClaim, ErrorCode> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let claim = ProducerClaim {
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
    };
    let protocol = match call.version {
        ..5 => Protocol::First,
        5.. => Protocol::Second,
    };
    let id = &request.transactional_id;
    call.node
        .transactions
        .end(call.now, id, claim, request.committed, protocol)
}
