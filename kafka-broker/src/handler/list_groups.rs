//! ListGroups, versions 0 to 5: the groups of this broker, from version 4 on filtered by state, from
//! version 5 on by type.

use bytestring::ByteString;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::handler::call::{Call, Handler, Outcome};

/// ListGroups.
#[derive(Debug)]
pub(crate) struct ListGroups;

impl Handler for ListGroups {
    type Request = ListGroupsRequest;

    fn handle(call: &Call, request: ListGroupsRequest) -> Outcome<ListGroupsResponse> {
        let wanted = |filter: &[ByteString], value: &str| {
            filter.is_empty() || filter.iter().any(|wish| wish.eq_ignore_ascii_case(value))
        };
        let mut response = ListGroupsResponse::default();
        for group in call.node.groups.all() {
            let state = group.lock();
            let members = &state.members;
            let (name, kind) = (members.state_name(), members.type_name());
            if !wanted(&request.states_filter, name) || !wanted(&request.types_filter, kind) {
                continue;
            }
            let mut row = ListedGroup::default();
            row.group_id = group.id().clone();
            row.protocol_type = members.protocol_type();
            row.group_state = name.into();
            row.group_type = kind.into();
            response.groups.push(row);
        }
        Outcome::Ready(response)
    }
}
