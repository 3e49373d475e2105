//! InitProducerId, versions 0 to 5: an id for an idempotent producer.
//!
//! Not here: transactional ids. A producer that has one is refused with a fatal error, since this
//! broker keeps no transactions.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::handler::call::{Call, Handler, Outcome, Work};

/// InitProducerId.
#[derive(Debug)]
pub(crate) struct InitProducerId;

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: InitProducerIdRequest) -> Outcome<InitProducerIdResponse> {
        let mut response = InitProducerIdResponse::default();
        match producer_id(call, &request) {
            Ok(id) => {
                response.producer_id = id;
                response.producer_epoch = 0;
            }
            Err(error) => {
                response.error_code = error.code();
                response.producer_id = -1;
                response.producer_epoch = -1;
            }
        }
        Outcome::Ready(response)
    }
}

fn producer_id(call: &Call, request: &InitProducerIdRequest) -> Result<i64, ErrorCode> {
    match request.transactional_id.as_deref() {
        Some("") => Err(ErrorCode::INVALID_REQUEST),
        Some(id) => {
            tracing::warn!(
                transactional_id = id,
                "refused: this broker has no transactions"
            );
            Err(ErrorCode::INVALID_REQUEST)
        }
        None => call
            .node
            .catalog()
            .next_producer_id(call.now)
            .map_err(|error| {
                tracing::error!("cannot give out a producer id: {error}");
                ErrorCode::COORDINATOR_NOT_AVAILABLE
            }),
    }
}
