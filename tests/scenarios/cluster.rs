//! What a story may ask of the cluster it is told to. It does not know whose broker answers.

use std::pin::Pin;
use std::time::Duration;

use kafka_broker::control::Control;

/// A cluster that serves.
pub(crate) trait Cluster: Send + Sync {
    /// What clients take for `bootstrap.servers`.
    fn bootstrap_servers(&self) -> String;

    /// The shortest session timeout that a group member may ask for.
    fn session_timeout_min(&self) -> Duration;

    /// Faults on demand and a journal, if it has them.
    fn control(&self) -> Option<Control> {
        None
    }

    /// Its switch, if stories may stop it.
    fn power(&self) -> Option<&dyn Power> {
        None
    }
}

/// Ends a cluster and brings it back, with the same data at the same address.
pub(crate) trait Power: Send + Sync {
    /// Ends it in order.
    fn stop(&self) -> Switching<'_>;

    /// Ends it as it stands: nothing is closed, flushed or written down.
    fn kill(&self) -> Switching<'_>;

    /// Brings it back. It serves when this is done.
    fn start(&self) -> Switching<'_>;
}

/// A switch that is being turned. It panics if it cannot be.
pub(crate) type Switching<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
