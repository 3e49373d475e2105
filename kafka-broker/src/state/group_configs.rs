//! The settings of single groups, and what holds for each. Groups need not exist to be configured. Knows no
//! log: the catalog writes down what changes here.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytestring::ByteString;

use crate::config::effective::EffectiveConfig;
use crate::config::group::GroupConfig;
use crate::config::overrides::Overrides;

/// The settings of single groups.
#[derive(Debug)]
pub(crate) struct GroupConfigs {
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    broker: Arc<EffectiveConfig>,
    /// What holds for a group without settings of its own.
    default: GroupConfig,
    by_group: BTreeMap<ByteString, (Overrides, GroupConfig)>,
}

impl GroupConfigs {
    /// The settings of these groups over those of the broker.
    pub(crate) fn new(
        broker: Arc<EffectiveConfig>,
        set: impl IntoIterator<Item = (ByteString, Overrides)>,
    ) -> Self {
        let configs = Self {
            inner: RwLock::new(Inner {
                default: GroupConfig::new(&broker, &Overrides::new()),
                broker,
                by_group: BTreeMap::new(),
            }),
        };
        for (group, overrides) in set {
            configs.set(&group, overrides);
        }
        configs
    }

    /// What holds for a group.
    pub(crate) fn of(&self, group: &str) -> GroupConfig {
        let inner = self.read();
        let found = inner.by_group.get(group);
        found.map_or(inner.default, |(_, config)| *config)
    }

    /// What was set for a group.
    pub(crate) fn overrides(&self, group: &str) -> Overrides {
        let inner = self.read();
        let found = inner.by_group.get(group);
        found
            .map(|(overrides, _)| overrides.clone())
            .unwrap_or_default()
    }

    /// The groups for which something is set, by name.
    pub(crate) fn names(&self) -> Vec<ByteString> {
        self.read().by_group.keys().cloned().collect()
    }

    /// Sets what was checked, in the place of all that was set before.
    pub(crate) fn set(&self, group: &ByteString, overrides: Overrides) {
        let mut inner = self.write();
        if overrides.is_empty() {
            inner.by_group.remove(group);
            return;
        }
        let config = GroupConfig::new(&inner.broker, &overrides);
        inner.by_group.insert(group.clone(), (overrides, config));
    }

    /// From now on this holds for the broker, and so for what groups leave to it.
    pub(crate) fn set_broker(&self, broker: Arc<EffectiveConfig>) {
        let mut inner = self.write();
        inner.default = GroupConfig::new(&broker, &Overrides::new());
        for (overrides, config) in inner.by_group.values_mut() {
            *config = GroupConfig::new(&broker, overrides);
        }
        inner.broker = broker;
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}
