//! FindCoordinator, versions 0 to 6: which broker looks after a group or a transactional id. There is
//! one broker, so the work is to make sure that there is a topic to keep them in.
//!
//! Not here: coordinators of share groups, of which there are none.

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};

/// FindCoordinator.
#[derive(Debug)]
pub(crate) struct FindCoordinator;

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: FindCoordinatorRequest) -> Outcome<FindCoordinatorResponse> {
        let mut response = FindCoordinatorResponse::default();
        if call.version < 4 {
            let found = find(call, request.key_type, request.key);
            response.error_code = found.error_code;
            response.error_message = found.error_message;
            response.node_id = found.node_id;
            response.host = found.host;
            response.port = found.port;
        } else {
            let keys = request.coordinator_keys.into_iter();
            response.coordinators = keys.map(|key| find(call, request.key_type, key)).collect();
        }
        Outcome::Ready(response)
    }
}

fn find(call: &Call, key_type: i8, key: ByteString) -> Coordinator {
    let mut row = Coordinator::default();
    row.key = key;
    let refusal = match key_type {
        _ if let Err(code) = call.admit(about(key_type, &row.key)) => {
            Some((code, "a rule refuses it".to_owned()))
        }
        GROUP => call.node.ensure_offsets_topic(call.now).err().map(|error| {
            (
                ErrorCode::COORDINATOR_NOT_AVAILABLE,
                format!("no topic for offsets: {error}"),
            )
        }),
        TRANSACTION => {
            let ensured = call.node.transaction_topic.ensure(call.now);
            ensured.err().map(|error| {
                (
                    ErrorCode::COORDINATOR_NOT_AVAILABLE,
                    format!("no topic for transactions: {error}"),
                )
            })
        }
        other => Some((
            ErrorCode::INVALID_REQUEST,
            format!("there is no coordinator of type {other}"),
        )),
    };
    match refusal {
        None => {
            let endpoint = &call.endpoint;
            row.node_id = call.node.config.node_id;
            row.host = endpoint.host.clone();
            row.port = i32::from(endpoint.port);
        }
        Some((error, message)) => {
            row.node_id = -1;
            row.port = -1;
            row.error_code = error.code();
            row.error_message = Some(message.into());
        }
    }
    row
}

/// What the answer for a key is about.
fn about(key_type: i8, key: &str) -> About<'_> {
    match key_type {
        GROUP => About::group(key),
        _ => About::WHOLE,
    }
}

pub(crate) const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
