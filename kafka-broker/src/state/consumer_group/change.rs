//! What a consumer group consists of, piece by piece as it is saved: a change sets one piece or takes it
//! away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::Uuid;

/// A partition, by the id of its topic and its number.
pub(crate) type TopicIdPartition = (Uuid, i32);

/// Partitions, each once.
pub(crate) type Partitions = BTreeSet<TopicIdPartition>;

/// Partitions with the epoch of the group in which each was assigned.
pub(crate) type DatedPartitions = BTreeMap<TopicIdPartition, i32>;

/// One piece set, or with `None` taken away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// Who a member is and what it wants.
    Member {
        id: ByteString,
        metadata: Option<Arc<MemberMetadata>>,
    },
    /// How often the group has changed.
    Epoch(Option<GroupEpoch>),
    /// Which epoch the target assignment is for.
    TargetEpoch(Option<TargetEpoch>),
    /// What a member shall have.
    Target {
        id: ByteString,
        partitions: Option<Partitions>,
    },
    /// What a member has.
    Current {
        id: ByteString,
        assignment: Option<CurrentAssignment>,
    },
    /// Which topics a regular expression stands for.
    Regex {
        pattern: ByteString,
        resolved: Option<ResolvedRegex>,
    },
    /// Whether there is a record of partition metadata, which brokers before 4.1 wrote and later ones take
    /// away.
    PartitionMetadata(bool),
}

impl Change {
    /// Whether a piece is taken away.
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Self::Member { metadata, .. } => metadata.is_none(),
            Self::Epoch(epoch) => epoch.is_none(),
            Self::TargetEpoch(epoch) => epoch.is_none(),
            Self::Target { partitions, .. } => partitions.is_none(),
            Self::Current { assignment, .. } => assignment.is_none(),
            Self::Regex { resolved, .. } => resolved.is_none(),
            Self::PartitionMetadata(exists) => !exists,
        }
    }
}

/// The epoch of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupEpoch {
    pub(crate) epoch: i32,
    /// Stands for the topics that members are subscribed to, as they were in this epoch.
    pub(crate) metadata_hash: i64,
}

/// The epoch of a target assignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetEpoch {
    pub(crate) epoch: i32,
    pub(crate) assigned_at_ms: i64,
}

/// Topics that a regular expression stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedRegex {
    pub(crate) topics: BTreeSet<ByteString>,
    /// The version of the topics that it was applied to.
    pub(crate) version: i64,
    pub(crate) resolved_at_ms: i64,
}

/// Who a member is and what it wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemberMetadata {
    /// The id that outlives a restart of the member, if it is a static one.
    pub(crate) instance_id: Option<ByteString>,
    pub(crate) rack_id: Option<ByteString>,
    pub(crate) client_id: ByteString,
    pub(crate) client_host: ByteString,
    /// The topics it names.
    pub(crate) topics: BTreeSet<ByteString>,
    /// The regular expression that it is subscribed to beside; an empty one is none.
    pub(crate) regex: Option<ByteString>,
    /// How long it may take to give partitions up.
    pub(crate) rebalance_timeout_ms: i32,
    /// The assignor that it prefers.
    pub(crate) assignor: Option<ByteString>,
    /// What there is beside of a member that speaks the classic protocol.
    pub(crate) classic: Option<ClassicMetadata>,
}

impl MemberMetadata {
    /// The regular expression that the member is subscribed to.
    pub(crate) fn pattern(&self) -> Option<&ByteString> {
        self.regex.as_ref().filter(|regex| !regex.is_empty())
    }
}

/// A member that speaks the classic protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassicMetadata {
    pub(crate) session_timeout_ms: i32,
    /// The member's protocols with its metadata for each, the best first.
    pub(crate) protocols: Vec<(ByteString, Bytes)>,
}

impl ClassicMetadata {
    /// The protocol that the member is told to be the group's.
    pub(crate) fn protocol(&self) -> ByteString {
        let best = self.protocols.first().map(|(name, _)| name.clone());
        best.unwrap_or_default()
    }
}

/// What a member has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CurrentAssignment {
    /// The epoch of the group that the member has caught up with.
    pub(crate) epoch: i32,
    /// The one before: its answer may have been lost.
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    /// What it may have.
    pub(crate) assigned: DatedPartitions,
    /// What it has until it says that it has not any more.
    pub(crate) revoking: DatedPartitions,
}

impl CurrentAssignment {
    /// All that nobody else may have.
    pub(crate) fn held(&self) -> impl Iterator<Item = &TopicIdPartition> {
        self.assigned.keys().chain(self.revoking.keys())
    }

    /// Whether the member has all of the target assignment of this epoch, and nothing else.
    pub(crate) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }
}

/// How far a member is from its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has what it shall have.
    #[default]
    Stable,
    /// It must give partitions up.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given up yet.
    UnreleasedPartitions,
    /// What a later release knows and this one does not.
    Unknown,
}
