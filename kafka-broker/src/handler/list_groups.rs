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
            let phase = state.classic.phase_name();
            if !wanted(&request.states_filter, phase) || !wanted(&request.types_filter, CLASSIC) {
                continue;
            }
            let mut row = ListedGroup::default();
            row.group_id = group.id().clone();
            row.protocol_type = state.classic.protocol_type();
            row.group_state = phase.into();
            row.group_type = CLASSIC.into();
            response.groups.push(row);
        }
        Outcome::Ready(response)
    }
}

/// The only type of group there is yet.
const CLASSIC: &str = "classic";
