//! The state of a broker: topics and partitions, groups and offsets, and how they are kept in logs.
//!
//! Decides, and touches the disk through `log` alone. It reads no clock and owns no randomness: both
//! are arguments. Locks are held for one call, never across a wait.

pub(crate) mod catalog;
pub(crate) mod classic_group;
pub(crate) mod compressors;
pub(crate) mod consumer_group;
pub(crate) mod consumer_group_record;
pub(crate) mod consumer_protocol;
pub(crate) mod coordinator_hash;
pub(crate) mod fetch_sessions;
pub(crate) mod group_clocks;
pub(crate) mod group_configs;
pub(crate) mod group_members;
pub(crate) mod group_record;
pub(crate) mod groups;
pub(crate) mod live_config;
pub(crate) mod metadata_image;
pub(crate) mod metadata_record;
pub(crate) mod node;
pub(crate) mod offsets;
pub(crate) mod partition;
pub(crate) mod pending_offsets;
pub(crate) mod record_log;
pub(crate) mod refusal;
pub(crate) mod signal;
pub(crate) mod time;
pub(crate) mod topic_image;
pub(crate) mod topic_name;
pub(crate) mod topics;
pub(crate) mod transaction;
pub(crate) mod transaction_record;
pub(crate) mod transaction_topic;
pub(crate) mod transactions;
pub(crate) mod typed_record;
pub(crate) mod unpackers;
