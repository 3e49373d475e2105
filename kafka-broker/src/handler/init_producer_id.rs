//! InitProducerId, versions 0 to 5: an id for an idempotent producer; and for one with a transactional
//! id also an epoch that shuts out whoever had that id before. Producers that come back name what
//! they had from version 3 on.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::state::transaction::ProducerClaim;

/// InitProducerId.
#[derive(Debug)]
pub(crate) struct InitProducerId;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: InitProducerIdRequest) -> Outcome<InitProducerIdResponse> {
        let mut response = InitProducerIdResponse::default();
        match init(call, &request) {
            Ok(claim) => {
                response.producer_id = claim.producer_id;
                response.producer_epoch = claim.epoch;
            }
            Err(error) => {
                response.error_code = match error {
                    ErrorCode::PRODUCER_FENCED if call.version < 4 => {
                        ErrorCode::INVALID_PRODUCER_EPOCH.code()
                    }
                    error => error.code(),
                };
                response.producer_id = -1;
                response.producer_epoch = -1;
            }
        }
        Outcome::Ready(response)
    }
}

fn init(call: &Call, request: &InitProducerIdRequest) -> Result<ProducerClaim, ErrorCode> {
    let Some(id) = request.transactional_id.as_deref() else {
        let fresh = call.node.catalog().next_producer_id(call.now);
        let producer_id = fresh.map_err(|error| {
            tracing::error!("cannot give out a producer id: {error}");
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        })?;
        return Ok(ProducerClaim {
            producer_id,
            epoch: 0,
        });
    };
    let expected = match (request.producer_id, request.producer_epoch) {
        (-1, -1) => None,
        (producer_id @ 0.., epoch @ 0..) => Some(ProducerClaim { producer_id, epoch }),
        _ => return Err(ErrorCode::INVALID_REQUEST),
    };
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let timeout_ms = request.transaction_timeout_ms;
    call.node
        .transactions
        .take_over(call.now, id, timeout_ms, expected)
}
