//! From API key to handler: one file per API, named after it, and the table that knows them all.
//!
//! Handlers answer from the state. They know no socket and no runtime; what must wait says so.

pub(crate) mod add_offsets_to_txn;
pub(crate) mod add_partitions_to_txn;
pub(crate) mod alter_configs;
pub(crate) mod api_versions;
#[cfg(test)]
mod apis_page;
pub(crate) mod call;
pub(crate) mod committable;
pub(crate) mod config_resource;
pub(crate) mod consumer_group_describe;
pub(crate) mod consumer_group_heartbeat;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_groups;
pub(crate) mod delete_records;
pub(crate) mod delete_topics;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_groups;
pub(crate) mod describe_producers;
pub(crate) mod describe_topic_partitions;
pub(crate) mod describe_transactions;
pub(crate) mod detached;
pub(crate) mod dispatch;
pub(crate) mod end_txn;
pub(crate) mod error_code;
pub(crate) mod exchange;
pub(crate) mod fetch;
pub(crate) mod fetch_partition;
pub(crate) mod find_coordinator;
pub(crate) mod heartbeat;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod inspect;
pub(crate) mod join_group;
pub(crate) mod leader_epoch;
pub(crate) mod leave_group;
pub(crate) mod list_groups;
pub(crate) mod list_offsets;
pub(crate) mod list_transactions;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_delete;
pub(crate) mod offset_fetch;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod placeholder;
pub(crate) mod produce;
pub(crate) mod produce_keys;
pub(crate) mod produce_transaction;
pub(crate) mod registry;
pub(crate) mod sync_group;
pub(crate) mod topic_ref;
pub(crate) mod txn_offset_commit;
pub(crate) mod write_txn_markers;
