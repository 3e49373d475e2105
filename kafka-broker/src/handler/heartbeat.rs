//! Heartbeat, versions 0 to 4: a member of a classic group says that it is there, and learns of
//! rebalances.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::state::classic_group::answer::MemberClaim;

/// Heartbeat.
#[derive(Debug)]
pub(crate) struct Heartbeat;

impl Handler for Heartbeat {
    type Request = HeartbeatRequest;
    const WORK: Work = Work::Append;

    fn handle(call: &Call, request: HeartbeatRequest) -> Outcome<HeartbeatResponse> {
        let mut response = HeartbeatResponse::default();
        response.error_code = heartbeat(call, request).code();
        Outcome::Ready(response)
    }
}

fn heartbeat(call: &Call, request: HeartbeatRequest) -> ErrorCode {
    if request.group_id.is_empty() {
        return ErrorCode::INVALID_GROUP_ID;
    }
    let Some(group) = call.node.groups.find(&request.group_id) else {
        return ErrorCode::UNKNOWN_MEMBER_ID;
    };
    let claim = MemberClaim {
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id,
    };
    call.node.groups.turn(call.now, &group, |state| {
        state.members.handle_classic_heartbeat(call.now, &claim)
    })
}
