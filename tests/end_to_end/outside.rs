//! A cluster that somebody else runs.

use std::time::Duration;

use crate::stories::Cluster;

pub(crate) struct Outside {
    bootstrap_servers: String,
}

impl Outside {
    pub(crate) fn new(bootstrap_servers: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
        }
    }
}

impl Cluster for Outside {
    fn bootstrap_servers(&self) -> String {
        self.bootstrap_servers.clone()
    }

    /// Kafka's default.
    fn session_timeout_min(&self) -> Duration {
        Duration::from_secs(6)
    }
}
