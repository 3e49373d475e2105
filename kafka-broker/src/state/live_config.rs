//! The configuration of the broker as it is now, for many readers and who changes it. Knows no log: the
//! catalog writes down what changes here.

use std::sync::{Arc, PoisonError, RwLock};

use crate::config::effective::EffectiveConfig;

/// What holds now.
#[derive(Debug)]
pub(crate) struct LiveConfig {
    current: RwLock<Arc<EffectiveConfig>>,
}

impl LiveConfig {
    /// What holds until it is changed.
    pub(crate) fn new(config: Arc<EffectiveConfig>) -> Self {
        Self {
            current: RwLock::new(config),
        }
    }

    /// What holds now. Whoever keeps it does not see it change.
    pub(crate) fn get(&self) -> Arc<EffectiveConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this holds.
    pub(crate) fn set(&self, config: Arc<EffectiveConfig>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}
