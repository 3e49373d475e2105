//! What members of the new protocol say, and what they are told.

use std::collections::BTreeSet;

use bytestring::ByteString;

use crate::state::consumer_group::change::{MemberMetadata, Partitions};

/// The epoch of a member that joins.
pub(crate) const JOINS: i32 = 0;

/// The epoch of a member that leaves.
pub(crate) const LEAVES: i32 = -1;

/// The epoch of a static member that leaves and will be back.
pub(crate) const WILL_BE_BACK: i32 = -2;

/// A member says that it is there, and what has changed. What is `None` is as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heartbeat {
    pub(crate) member_id: ByteString,
    /// The epoch that the member has caught up with; 0 if it joins.
    pub(crate) member_epoch: i32,
    pub(crate) instance_id: Option<ByteString>,
    pub(crate) rack_id: Option<ByteString>,
    pub(crate) client_id: ByteString,
    pub(crate) client_host: ByteString,
    pub(crate) rebalance_timeout_ms: Option<i32>,
    pub(crate) topics: Option<BTreeSet<ByteString>>,
    pub(crate) regex: Option<ByteString>,
    pub(crate) assignor: Option<ByteString>,
    /// The partitions that the member has.
    pub(crate) owned: Option<Partitions>,
}

impl Heartbeat {
    /// Whether the member tells all, as it does when it is in doubt.
    pub(crate) fn is_full(&self) -> bool {
        let subscribes = self.topics.is_some() || self.regex.is_some();
        self.member_epoch == JOINS
            || (self.rebalance_timeout_ms.is_some() && subscribes && self.owned.is_some())
    }

    /// Who the member is, and what it wants from now on.
    pub(crate) fn metadata(&self, before: &MemberMetadata) -> MemberMetadata {
        let or = |news: &Option<ByteString>, before: &Option<ByteString>| {
            news.clone().or_else(|| before.clone())
        };
        MemberMetadata {
            instance_id: or(&self.instance_id, &before.instance_id),
            rack_id: or(&self.rack_id, &before.rack_id),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topics: self.topics.clone().unwrap_or_else(|| before.topics.clone()),
            regex: or(&self.regex, &before.regex),
            rebalance_timeout_ms: self
                .rebalance_timeout_ms
                .unwrap_or(before.rebalance_timeout_ms),
            assignor: or(&self.assignor, &before.assignor),
            classic: None,
        }
    }
}

/// The answer to a [`Heartbeat`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HeartbeatAnswer {
    pub(crate) member_id: ByteString,
    pub(crate) member_epoch: i32,
    /// What the member may have, if that has changed or the member has told all.
    pub(crate) assignment: Option<Partitions>,
}

/// A member goes.
#[derive(Clone, Debug)]
pub(crate) struct Leave {
    pub(crate) member_id: ByteString,
    pub(crate) instance_id: Option<ByteString>,
    /// Whether it is a static member that will be back.
    pub(crate) will_be_back: bool,
}
