//! What the broker allows consumer groups.

use crate::state::consumer_group::assignor::Assignor;

/// What the broker allows consumer groups.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerGroupLimits {
    /// The most members.
    pub(crate) size_max: usize,
    /// The assignors that members may ask for; the first is the one if none does.
    pub(crate) assignors: Vec<Assignor>,
    /// Which groups may become groups of the other protocol.
    pub(crate) migration: MigrationPolicy,
    /// The rack of this broker, where all replicas are.
    pub(crate) rack: Option<String>,
}

impl ConsumerGroupLimits {
    /// The assignor, if no member prefers one.
    pub(crate) fn default_assignor(&self) -> Assignor {
        self.assignors.first().copied().unwrap_or(Assignor::Uniform)
    }

    /// The assignor of this name, if it is allowed.
    pub(crate) fn assignor(&self, name: &str) -> Option<Assignor> {
        Assignor::named(name).filter(|assignor| self.assignors.contains(assignor))
    }
}

/// Which groups may become groups of the other protocol while they have members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MigrationPolicy {
    /// `disabled`: none.
    Disabled,
    /// `upgrade`: classic groups may become consumer groups.
    Upgrade,
    /// `downgrade`: consumer groups may become classic ones.
    Downgrade,
    /// `bidirectional`: both.
    Bidirectional,
}

impl MigrationPolicy {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [
            Self::Disabled,
            Self::Upgrade,
            Self::Downgrade,
            Self::Bidirectional,
        ]
        .into_iter()
        .find(|policy| policy.name().eq_ignore_ascii_case(name))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Bidirectional => "bidirectional",
        }
    }

    /// Whether a classic group may become a consumer group.
    pub(crate) fn allows_upgrade(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    /// Whether a consumer group may become a classic one.
    pub(crate) fn allows_downgrade(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }
}
