//! What an assignor is told of a member.

use std::collections::BTreeMap;

use bytestring::ByteString;
use kafka_protocol::Uuid;

use crate::state::consumer_group::change::Partitions;

/// A member as an assignor sees it.
#[derive(Clone, Debug)]
pub(crate) struct Claimant<'a> {
    pub(crate) member_id: &'a ByteString,
    pub(crate) instance_id: Option<&'a ByteString>,
    /// The topics that it is subscribed to, with the numbers of their partitions.
    pub(crate) topics: BTreeMap<Uuid, i32>,
    /// What it was to have so far.
    pub(crate) before: Option<&'a Partitions>,
}
