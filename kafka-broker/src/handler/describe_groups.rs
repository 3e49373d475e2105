//! DescribeGroups, versions 0 to 6: classic groups with their members and assignments. Those of the new
//! protocol are none of these, whatever members they have.

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use crate::control::subjects::About;
use crate::handler::authorized_operations::OF_GROUP;
use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::each_once::each_once;
use crate::state::classic_group::ClassicGroup;
use crate::state::group_members::GroupKind;

/// DescribeGroups.
#[derive(Debug)]
pub(crate) struct DescribeGroups;

impl Handler for DescribeGroups {
    type Request = DescribeGroupsRequest;

    fn handle(call: &Call, request: DescribeGroupsRequest) -> Outcome<DescribeGroupsResponse> {
        let mut response = DescribeGroupsResponse::default();
        response.groups = each_once(request.groups, ByteString::clone)
            .map(|id| describe(call, id))
            .collect();
        if request.include_authorized_operations {
            for group in response
                .groups
                .iter_mut()
                .filter(|group| group.error_code == 0)
            {
                group.authorized_operations = OF_GROUP;
            }
        }
        Outcome::Ready(response)
    }
}

fn describe(call: &Call, id: ByteString) -> DescribedGroup {
    if let Err(code) = call.admit(About::group(&id)) {
        let mut row = DescribedGroup::default();
        row.group_state = "Dead".into();
        row.error_code = code.code();
        row.group_id = id;
        return row;
    }
    let found = call.node.groups.find(&id);
    let state = found.as_ref().map(|group| group.lock());
    let classic = match state.as_ref().map(|state| state.members.kind()) {
        Some(GroupKind::Classic(classic)) => Ok(classic),
        Some(GroupKind::Consumer(_)) => Err(format!("group {id} is not a classic group")),
        None => Err(format!("group {id} not found")),
    };
    let mut row = match classic {
        Ok(classic) => describe_classic(classic),
        Err(message) => {
            let mut row = DescribedGroup::default();
            row.group_state = "Dead".into();
            if call.version >= 6 {
                row.error_code = ErrorCode::GROUP_ID_NOT_FOUND.code();
                row.error_message = Some(message.into());
            }
            row
        }
    };
    row.group_id = id;
    row
}

fn describe_classic(group: &ClassicGroup) -> DescribedGroup {
    let mut row = DescribedGroup::default();
    let stable = group.is_stable();
    row.group_state = group.phase_name().into();
    row.protocol_type = group.protocol_type();
    if stable {
        row.protocol_data = group.protocol();
    }
    for (member_id, member) in group.members() {
        let mut entry = DescribedGroupMember::default();
        entry.member_id = member_id.clone();
        entry.group_instance_id = member.instance_id.clone();
        entry.client_id = member.client_id.clone();
        entry.client_host = member.client_host.clone();
        // Before a generation is stable, nobody has an assignment to speak of.
        if stable {
            entry.member_metadata = member.metadata(&row.protocol_data);
            entry.member_assignment = member.assignment.clone();
        }
        row.members.push(entry);
    }
    row
}
