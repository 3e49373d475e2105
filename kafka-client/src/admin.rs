//! The operator's face: what exists in the cluster, and making and removing it.

pub mod topics;

pub use topics::{NewTopic, PartitionDescription, TopicDescription, TopicListing};

use crate::driver::cluster_task::ClusterHandle;

/// Administers a cluster. Cheap to clone; does no I/O until it is asked for something.
///
/// Every call has `default.api.timeout.ms` for all its attempts, and answers item by item: that one topic is
/// refused does not keep the others from being made.
#[derive(Clone, Debug)]
pub struct Admin {
    cluster: ClusterHandle,
}

impl Admin {
    pub(crate) const fn new(cluster: ClusterHandle) -> Self {
        Self { cluster }
    }
}
