//! AddOffsetsToTxn, versions 0 to 4: a producer is about to commit the offsets of a group inside of its
//! transaction, so that the partition joins in which they are saved.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::state::transaction::ProducerClaim;

/// AddOffsetsToTxn.
#[derive(Debug)]
pub(crate) struct AddOffsetsToTxn;

impl Handler for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: AddOffsetsToTxnRequest) -> Outcome<AddOffsetsToTxnResponse> {
        let mut response = AddOffsetsToTxnResponse::default();
        response.error_code = match add(call, &request) {
            Ok(()) => ErrorCode::NONE.code(),
            Err(ErrorCode::PRODUCER_FENCED) if call.version < 2 => {
                ErrorCode::INVALID_PRODUCER_EPOCH.code()
            }
            Err(error) => error.code(),
        };
        Outcome::Ready(response)
    }
}

fn add(call: &Call, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let claim = ProducerClaim {
        producer_id: request.producer_id,
        epoch: request.producer_epoch,
    };
    let home = call.node.home_of_group(call.now, &request.group_id);
    let home = home.map_err(|error| {
        tracing::error!("no topic for offsets: {error}");
        ErrorCode::COORDINATOR_NOT_AVAILABLE
    })?;
    call.node
        .transactions
        .join(call.now, &request.transactional_id, claim, &[home])
}
