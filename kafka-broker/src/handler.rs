//! From API key to handler: one file per API, named after it, and the table that knows them all.
//!
//! Handlers answer from the state. They know no socket and no runtime; what must wait says so.

pub(crate) mod alter_configs;
pub(crate) mod api_versions;
pub(crate) mod call;
pub(crate) mod config_resource;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_groups;
pub(crate) mod delete_records;
pub(crate) mod delete_topics;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_groups;
pub(crate) mod describe_topic_partitions;
pub(crate) mod dispatch;
pub(crate) mod error_code;
pub(crate) mod exchange;
pub(crate) mod fetch;
pub(crate) mod fetch_partition;
pub(crate) mod find_coordinator;
pub(crate) mod heartbeat;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod join_group;
pub(crate) mod leader_epoch;
pub(crate) mod leave_group;
pub(crate) mod list_groups;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_fetch;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod produce;
pub(crate) mod produce_keys;
pub(crate) mod registry;
pub(crate) mod sync_group;
pub(crate) mod topic_ref;
