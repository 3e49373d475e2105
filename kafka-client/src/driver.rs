//! Turns the machines: sockets, tasks, timers. The only folder that names tokio.
//!
//! A request goes from its caller straight into the outbox of a connection and, if nothing is queued
//! there, onto the socket in the same call. Its answer is completed by the connection's reader. So a
//! request costs at most one hop between tasks each way.

pub(crate) mod broker_pool;
pub(crate) mod budget;
pub(crate) mod calls;
pub(crate) mod clock;
pub(crate) mod cluster_task;
pub(crate) mod connection_task;
pub(crate) mod consumed;
pub(crate) mod consumer_task;
pub(crate) mod delivery;
pub(crate) mod events;
pub(crate) mod producer_task;
pub(crate) mod stint;
pub(crate) mod tasks;
#[cfg(test)]
pub(crate) mod test_peer;
pub(crate) mod transport;
