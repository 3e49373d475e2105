//! The operator's face: what exists in the cluster, and making and removing it.

pub mod topics;

pub use topics::{NewTopic, PartitionDescription, TopicDescription, TopicListing};

use crate::driver::cluster_task::ClusterHandle;

/// Administers a cluster. Cheap to clone; does no I/O until it is asked for something.
///
/// Every call has `default.api.timeout.ms` for all its attempts. Calls for many topics answer item by item, since
/// a topic that is refused does not keep the others from being made: their `Ok` holds a result for each topic, to
/// be looked at. Calls for one topic give its error itself.
#[derive(Clone, Debug)]
pub struct Admin {
    cluster: ClusterHandle,
}

impl Admin {
    pub(crate) const fn new(cluster: ClusterHandle) -> Self {
        Self { cluster }
    }
}
