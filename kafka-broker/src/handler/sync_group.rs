//! SyncGroup, versions 0 to 5: a member fetches its assignment, the leader brings everyone's. The
//! answer waits for the leader.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::handler::call::{Call, Handler, Later, Outcome, Work};
use crate::handler::detached::{detached, detached_bytes};
use crate::state::classic_group::answer::{Answer, MemberClaim, SyncAnswer, SyncRequest};
use crate::state::groups::Parked;
use crate::state::signal::Signal;
use crate::state::time::Now;

/// SyncGroup.
#[derive(Debug)]
pub(crate) struct SyncGroup;

impl Handler for SyncGroup {
    type Request = SyncGroupRequest;
    const WORK: Work = Work::Append;

    fn handle(call: &Call, request: SyncGroupRequest) -> Outcome<SyncGroupResponse> {
        let refuse = |error| Outcome::Ready(response(SyncAnswer::refused(error)));
        if call.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none())
        {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if request.group_id.is_empty() {
            return refuse(ErrorCode::INVALID_GROUP_ID);
        }
        let Some(group) = call.node.groups.find(&request.group_id) else {
            return refuse(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let sync = SyncRequest {
            member: MemberClaim {
                member_id: request.member_id,
                instance_id: request.group_instance_id,
                generation: request.generation_id,
            },
            protocol_type: request.protocol_type,
            protocol: request.protocol_name,
            assignments: request
                .assignments
                .iter()
                .map(|row| (detached(&row.member_id), detached_bytes(&row.assignment)))
                .collect(),
        };
        let topics = call.node.topics().table();
        let parked = call.node.groups.park(call.now, &group, |state, ticket| {
            state.members.handle_sync(call.now, &*topics, ticket, sync);
        });
        Outcome::Later(Box::new(Syncing { parked }))
    }
}

fn response(answer: SyncAnswer) -> SyncGroupResponse {
    let mut response = SyncGroupResponse::default();
    response.error_code = answer.error.code();
    response.protocol_type = answer.protocol_type;
    response.protocol_name = answer.protocol;
    response.assignment = answer.assignment;
    response
}

/// A sync that waits for the leader's assignment.
struct Syncing {
    parked: Arc<Parked>,
}

impl Later<SyncGroupResponse> for Syncing {
    fn signal(&self) -> &Arc<Signal> {
        &self.parked.signal
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn poll(&mut self, _: Now) -> Option<SyncGroupResponse> {
        match self.parked.take()? {
            Answer::Sync(answer) => Some(response(answer)),
            Answer::Join(_) => None,
        }
    }
}
