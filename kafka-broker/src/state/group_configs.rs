//! The settings of single groups, and what holds for each. Groups need not exist to be configured. Knows no
//! log: the catalog writes down what changes here.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytestring::ByteString;

use crate::config::broker::BrokerConfig;
use crate::config::group::GroupConfig;
use crate::config::overrides::Overrides;

/// The settings of single groups.
#[derive(Debug)]
pub(crate) struct GroupConfigs {
    broker: Arc<BrokerConfig>,
    /// What holds for a group without settings of its own.
    default: GroupConfig,
    by_group: RwLock<BTreeMap<ByteString, (Overrides, GroupConfig)>>,
}

impl GroupConfigs {
    /// The settings of these groups over those of the broker.
    pub(crate) fn new(
        broker: Arc<BrokerConfig>,
        set: impl IntoIterator<Item = (ByteString, Overrides)>,
    ) -> Self {
        let configs = Self {
            default: GroupConfig::new(&broker, &Overrides::new()),
            broker,
            by_group: RwLock::default(),
        };
        for (group, overrides) in set {
            configs.set(&group, overrides);
        }
        configs
    }

    /// What holds for a group.
    pub(crate) fn of(&self, group: &str) -> GroupConfig {
        let by_group = self.by_group.read().unwrap_or_else(PoisonError::into_inner);
        by_group
            .get(group)
            .map_or(self.default, |(_, config)| *config)
    }

    /// What was set for a group.
    pub(crate) fn overrides(&self, group: &str) -> Overrides {
        let by_group = self.by_group.read().unwrap_or_else(PoisonError::into_inner);
        let found = by_group.get(group);
        found
            .map(|(overrides, _)| overrides.clone())
            .unwrap_or_default()
    }

    /// The groups for which something is set, by name.
    pub(crate) fn names(&self) -> Vec<ByteString> {
        let by_group = self.by_group.read().unwrap_or_else(PoisonError::into_inner);
        by_group.keys().cloned().collect()
    }

    /// Sets what was checked, in the place of all that was set before.
    pub(crate) fn set(&self, group: &ByteString, overrides: Overrides) {
        let mut by_group = self
            .by_group
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if overrides.is_empty() {
            by_group.remove(group);
            return;
        }
        let config = GroupConfig::new(&self.broker, &overrides);
        by_group.insert(group.clone(), (overrides, config));
    }
}
