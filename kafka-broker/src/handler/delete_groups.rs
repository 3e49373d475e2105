//! DeleteGroups, versions 0 to 3: groups without members go, and what they committed.

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};

/// DeleteGroups.
#[derive(Debug)]
pub(crate) struct DeleteGroups;

impl Handler for DeleteGroups {
    type Request = DeleteGroupsRequest;
    const WORK: Work = Work::Append;

    fn handle(call: &Call, request: DeleteGroupsRequest) -> Outcome<DeleteGroupsResponse> {
        let mut response = DeleteGroupsResponse::default();
        response.results = request
            .groups_names
            .into_iter()
            .map(|id| {
                let mut row = DeletableGroupResult::default();
                let error = match call.admit(About::group(&id)) {
                    Ok(()) => call.node.groups.delete(call.now, &id),
                    Err(code) => code,
                };
                row.error_code = error.code();
                row.error_message = match error {
                    ErrorCode::NONE => None,
                    error => error.meaning().map(ByteString::from_static),
                };
                row.group_id = id;
                row
            })
            .collect();
        Outcome::Ready(response)
    }
}
