//! LeaveGroup, versions 0 to 5: members of a classic group go, from version 3 on several at once and
//! static ones by their instance id.

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::handler::call::{Call, Handler, Outcome, Work};

/// LeaveGroup.
#[derive(Debug)]
pub(crate) struct LeaveGroup;

impl Handler for LeaveGroup {
    type Request = LeaveGroupRequest;
    const WORK: Work = Work::Append;

    fn handle(call: &Call, request: LeaveGroupRequest) -> Outcome<LeaveGroupResponse> {
        let mut response = LeaveGroupResponse::default();
        if request.group_id.is_empty() {
            response.error_code = ErrorCode::INVALID_GROUP_ID.code();
            return Outcome::Ready(response);
        }
        if call.version < 3 {
            response.error_code = leave(call, &request.group_id, &request.member_id, None).code();
            return Outcome::Ready(response);
        }
        response.members = request
            .members
            .into_iter()
            .map(|member| {
                let mut row = MemberResponse::default();
                let instance_id = member.group_instance_id.as_ref();
                row.error_code =
                    leave(call, &request.group_id, &member.member_id, instance_id).code();
                row.member_id = member.member_id;
                row.group_instance_id = member.group_instance_id;
                row
            })
            .collect();
        Outcome::Ready(response)
    }
}

fn leave(
    call: &Call,
    group_id: &str,
    member_id: &ByteString,
    instance_id: Option<&ByteString>,
) -> ErrorCode {
    let Some(group) = call.node.groups.find(group_id) else {
        return ErrorCode::UNKNOWN_MEMBER_ID;
    };
    let topics = call.node.topics().table();
    let left = call.node.groups.turn_saved(call.now, &group, |state| {
        let members = &mut state.members;
        members.handle_classic_leave(call.now, &*topics, member_id, instance_id)
    });
    left.unwrap_or_else(|error| error)
}
