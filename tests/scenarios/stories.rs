//! The stories: what a client and a cluster do together, told once for every cluster.
//!
//! A story has names of its own for its topics and groups, so that all of them run side by side; it waits
//! for nothing without a deadline; and it looks at every record.

mod cluster;
mod reading;
mod stage;

mod batches;
mod partition_consumer;
mod send;

use std::pin::Pin;

pub(crate) use cluster::{Cluster, Power, Switching};
pub(crate) use stage::Stage;

/// A story that can be told to a cluster.
#[derive(Clone, Copy)]
pub(crate) struct Story {
    /// What it tells, as `file::story`.
    pub(crate) name: &'static str,
    /// Whether it turns the cluster off and on, and so needs one of its own.
    pub(crate) needs_power: bool,
    /// Tells it. It panics where the story goes wrong.
    pub(crate) tell: fn(Stage) -> Telling,
}

/// A story that is being told.
pub(crate) type Telling = Pin<Box<dyn Future<Output = ()>>>;

/// A story by its path.
macro_rules! story {
    ($path:path) => {
        Story {
            name: stringify!($path),
            needs_power: false,
            tell: |stage| Box::pin($path(stage)),
        }
    };
    ($path:path, needs_power) => {
        Story {
            needs_power: true,
            ..story!($path)
        }
    };
}

/// Every story.
pub(crate) const STORIES: &[Story] = &[
    story!(send::each_record_comes_back_as_it_was_sent),
    story!(send::null_and_empty_are_different),
    story!(partition_consumer::order_is_kept_in_each_partition),
    story!(batches::every_codec_is_read_back),
];
