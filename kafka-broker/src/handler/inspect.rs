//! What rules and the journal look at in messages, in a file for each kind of API.

mod cluster;
mod groups;
pub(crate) mod message;
mod records;
mod topics;
mod transactions;
