//! JoinGroup, versions 0 to 9: a client becomes a member of a classic group, or joins the next
//! generation. The answer waits for the others.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Later, Outcome, Work};
use crate::handler::detached::{detached, detached_bytes};
use crate::state::classic_group::answer::{Answer, JoinAnswer, JoinRequest};
use crate::state::groups::Parked;
use crate::state::signal::Signal;
use crate::state::time::Now;

/// JoinGroup.
#[derive(Debug)]
pub(crate) struct JoinGroup;

impl Handler for JoinGroup {
    type Request = JoinGroupRequest;
    const WORK: Work = Work::Append;

    fn handle(call: &Call, request: JoinGroupRequest) -> Outcome<JoinGroupResponse> {
        let version = call.version;
        let refuse = |error: ErrorCode| {
            let answer = JoinAnswer::refused(error, request.member_id.clone());
            Outcome::Ready(response(version, answer))
        };
        let config = &call.node.config;
        if let Err(code) = call.admit(About::WHOLE) {
            return refuse(code);
        }
        if request.group_id.is_empty() {
            return refuse(ErrorCode::INVALID_GROUP_ID);
        }
        let allowed = config.session_timeout_min_ms..=config.session_timeout_max_ms;
        if !allowed.contains(&request.session_timeout_ms) {
            return refuse(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        let sizes = request.protocols.iter().map(|one| one.metadata.len());
        if sizes.sum::<usize>() > SUBSCRIPTION_MAX {
            return refuse(ErrorCode::INVALID_REQUEST);
        }
        let known = call.node.groups.find(&request.group_id);
        let is_new = known.is_none();
        let group = match known {
            Some(group) => group,
            None if !request.member_id.is_empty() => return refuse(ErrorCode::UNKNOWN_MEMBER_ID),
            None => {
                let id = detached(&request.group_id);
                call.node.groups.find_or_create(call.now, &id)
            }
        };
        let join = read(call, request);
        let topics = call.node.topics().table();
        let parked = call.node.groups.park(call.now, &group, |state, ticket| {
            state.members.handle_join(call.now, &*topics, ticket, join);
        });
        if is_new {
            call.node.groups.forget_bare(call.now, &group);
        }
        Outcome::Later(Box::new(Joining { parked, version }))
    }
}

fn read(call: &Call, request: JoinGroupRequest) -> JoinRequest {
    let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    let session_timeout = millis(request.session_timeout_ms);
    let name = request
        .group_instance_id
        .as_ref()
        .unwrap_or(&call.client_id);
    let fresh_member_id = fresh_member_id(name, call.node.random());
    JoinRequest {
        footprint: fresh_member_id.len() + request.group_id.len(),
        fresh_member_id,
        member_id: detached(&request.member_id),
        instance_id: request.group_instance_id.as_ref().map(detached),
        client_id: detached(&call.client_id),
        client_host: call.client_host.clone(),
        session_timeout,
        rebalance_timeout: match call.version {
            0 => session_timeout,
            _ => millis(request.rebalance_timeout_ms),
        },
        protocol_type: detached(&request.protocol_type),
        protocols: request
            .protocols
            .iter()
            .map(|protocol| (detached(&protocol.name), detached_bytes(&protocol.metadata)))
            .collect(),
        must_know_id: call.version >= 4,
        may_skip_assignment: call.version >= 9,
    }
}

/// A name with a random UUID behind it, in hex with dashes. Of a long name only the beginning: the id is kept before
/// anybody is a member, and is new in any case.
fn fresh_member_id(name: &str, random: [u8; 16]) -> ByteString {
    let (name, _) = name.split_at(name.floor_char_boundary(NAME_MAX));
    let mut id = String::with_capacity(name.len() + 37);
    id.push_str(name);
    id.push('-');
    for (at, byte) in random.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        id.push_str(&format!("{byte:02x}"));
    }
    id.into()
}

fn response(version: i16, answer: JoinAnswer) -> JoinGroupResponse {
    let mut response = JoinGroupResponse::default();
    response.error_code = answer.error.code();
    response.generation_id = answer.generation;
    response.protocol_type = answer.protocol_type;
    // Only from version 7 on is there a way to say that there is none.
    response.protocol_name = match version {
        ..7 => Some(answer.protocol.unwrap_or_default()),
        _ => answer.protocol,
    };
    response.leader = answer.leader;
    response.skip_assignment = answer.skip_assignment;
    response.member_id = answer.member_id;
    response.members = answer
        .members
        .into_iter()
        .map(|member| {
            let mut row = JoinGroupResponseMember::default();
            row.member_id = member.member_id;
            row.group_instance_id = member.instance_id;
            row.metadata = member.metadata;
            row
        })
        .collect();
    response
}

/// A join that waits for the generation to be complete.
struct Joining {
    parked: Arc<Parked>,
    version: i16,
}

impl Later<JoinGroupResponse> for Joining {
    fn signal(&self) -> &Arc<Signal> {
        &self.parked.signal
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn poll(&mut self, _: Now) -> Option<JoinGroupResponse> {
        match self.parked.take()? {
            Answer::Join(answer) => Some(response(self.version, answer)),
            Answer::Sync(_) => None,
        }
    }
}

/// The most that a member may say in all of its protocols. What is larger than the largest record of the log
/// could not be saved anyway.
const SUBSCRIPTION_MAX: usize = 4 << 20;

/// How much of a client's name is in the id of a member, in bytes: more than any client is called on purpose.
const NAME_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_ids_carry_a_uuid() {
        let random = std::array::from_fn(|at| at as u8 * 0x11);
        assert_eq!(
            fresh_member_id("c", random),
            "c-00112233-4455-6677-8899-aabbccddeeff"
        );
    }

    #[test]
    fn of_a_long_name_a_member_id_has_whole_characters() {
        let name = "ü".repeat(16_000);
        let id = fresh_member_id(&name, [0; 16]);
        let (kept, uuid) = id.split_at(NAME_MAX - 1);
        assert_eq!(kept, "ü".repeat(127));
        assert_eq!(uuid, "-00000000-0000-0000-0000-000000000000");
    }
}
