//! The logic of the client, without I/O.
//!
//! A machine takes the world's news (`handle_*`), yields decisions (`poll_*`) and says when it wants to
//! be asked again (`poll_deadline`). Time and randomness are arguments. No machine knows a socket, a
//! task, a clock, a lock or an unordered map, so that a rebalance or a retry is tested by calling
//! functions.

pub mod backoff;
pub mod cluster;
pub mod connection;
pub mod consumer;
pub mod fetch;
pub mod group;
pub(crate) mod outages;
pub mod producer;
pub mod subscription;
pub mod time;
pub(crate) mod topic_name;
pub mod versions;
