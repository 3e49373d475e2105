//! What members ask of a classic group and what they are told.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::ErrorCode;

/// Whom an answer is for: the caller numbers its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// A request to join.
#[derive(Clone, Debug)]
pub(crate) struct JoinRequest {
    /// Empty for who has none yet.
    pub(crate) member_id: ByteString,
    /// The id that a member without one would get.
    pub(crate) fresh_member_id: ByteString,
    /// The id that outlives a restart of the member, if it is a static one.
    pub(crate) instance_id: Option<ByteString>,
    /// The client's name for itself.
    pub(crate) client_id: ByteString,
    /// Where the client is.
    pub(crate) client_host: ByteString,
    /// Silence longer than this ends a membership.
    pub(crate) session_timeout: Duration,
    /// How long a rebalance waits for this member.
    pub(crate) rebalance_timeout: Duration,
    /// Such as `consumer`.
    pub(crate) protocol_type: ByteString,
    /// The member's protocols with its metadata for each, the best first.
    pub(crate) protocols: Vec<(ByteString, Bytes)>,
    /// What is kept while a client is waited for that was given an id, in bytes: that id, and the group's.
    pub(crate) footprint: usize,
    /// Version 4 on: a new dynamic member must come back with the id it is given.
    pub(crate) must_know_id: bool,
    /// Version 9 on: a static leader that returns may be told to assign nothing.
    pub(crate) may_skip_assignment: bool,
}

/// A request for one's assignment, from the leader with everyone's.
#[derive(Clone, Debug)]
pub(crate) struct SyncRequest {
    /// Who asks.
    pub(crate) member: MemberClaim,
    /// From version 5 on the type that the member believes in.
    pub(crate) protocol_type: Option<ByteString>,
    /// From version 5 on the protocol that the member believes in.
    pub(crate) protocol: Option<ByteString>,
    /// Assignments by member id; empty from all but the leader.
    pub(crate) assignments: Vec<(ByteString, Bytes)>,
}

/// Who a request says that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct MemberClaim {
    /// The id the member was given.
    pub(crate) member_id: ByteString,
    /// The instance id of a static member.
    pub(crate) instance_id: Option<ByteString>,
    /// The generation that the member believes in.
    pub(crate) generation: i32,
}

impl MemberClaim {
    /// Whether it is the claim of who is no member: a consumer that uses a group for its offsets alone.
    pub(crate) fn claims_nothing(&self) -> bool {
        self.generation < 0 && self.member_id.is_empty() && self.instance_id.is_none()
    }
}

/// An answer that was waited for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// To a [`JoinRequest`].
    Join(JoinAnswer),
    /// To a [`SyncRequest`].
    Sync(SyncAnswer),
}

/// The answer to a join.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JoinAnswer {
    pub(crate) error: ErrorCode,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<ByteString>,
    pub(crate) protocol: Option<ByteString>,
    pub(crate) leader: ByteString,
    pub(crate) member_id: ByteString,
    pub(crate) skip_assignment: bool,
    /// For the leader: everyone, with the metadata of the chosen protocol.
    pub(crate) members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JoinedMember {
    pub(crate) member_id: ByteString,
    pub(crate) instance_id: Option<ByteString>,
    pub(crate) metadata: Bytes,
}

/// The answer to a sync.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyncAnswer {
    pub(crate) error: ErrorCode,
    pub(crate) protocol_type: Option<ByteString>,
    pub(crate) protocol: Option<ByteString>,
    pub(crate) assignment: Bytes,
}

impl JoinAnswer {
    /// A refusal.
    pub(crate) fn refused(error: ErrorCode, member_id: ByteString) -> Self {
        Self {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: ByteString::new(),
            member_id,
            skip_assignment: false,
            members: Vec::new(),
        }
    }
}

impl SyncAnswer {
    /// A refusal.
    pub(crate) fn refused(error: ErrorCode) -> Self {
        Self {
            error,
            protocol_type: None,
            protocol: None,
            assignment: Bytes::new(),
        }
    }
}
