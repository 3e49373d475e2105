//! The one table of what is served: an API that is not in it is neither answered nor advertised.

use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, Request};

use crate::handler::alter_configs::AlterConfigs;
use crate::handler::api_versions::ApiVersions;
use crate::handler::call::{Call, Handler, Reply, Work};
use crate::handler::create_partitions::CreatePartitions;
use crate::handler::create_topics::CreateTopics;
use crate::handler::delete_groups::DeleteGroups;
use crate::handler::delete_records::DeleteRecords;
use crate::handler::delete_topics::DeleteTopics;
use crate::handler::describe_cluster::DescribeCluster;
use crate::handler::describe_configs::DescribeConfigs;
use crate::handler::describe_groups::DescribeGroups;
use crate::handler::describe_topic_partitions::DescribeTopicPartitions;
use crate::handler::exchange::{Refusal, run};
use crate::handler::fetch::Fetch;
use crate::handler::find_coordinator::FindCoordinator;
use crate::handler::heartbeat::Heartbeat;
use crate::handler::incremental_alter_configs::IncrementalAlterConfigs;
use crate::handler::init_producer_id::InitProducerId;
use crate::handler::join_group::JoinGroup;
use crate::handler::leave_group::LeaveGroup;
use crate::handler::list_groups::ListGroups;
use crate::handler::list_offsets::ListOffsets;
use crate::handler::metadata::Metadata;
use crate::handler::offset_commit::OffsetCommit;
use crate::handler::offset_fetch::OffsetFetch;
use crate::handler::offset_for_leader_epoch::OffsetForLeaderEpoch;
use crate::handler::produce::Produce;
use crate::handler::sync_group::SyncGroup;
use crate::state::node::ServedApi;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: ApiKey,
    pub(crate) work: Work,
    pub(crate) run: fn(Call, i32, Reader) -> Result<Reply, Refusal>,
}

/// The row of an API, by the number of its key.
pub(crate) fn entry_of(code: i16) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.key.code() == code)
}

/// What a broker of the newest release serves.
pub(crate) fn served_apis() -> Vec<ServedApi> {
    let served = |entry: &Entry| ServedApi {
        key: entry.key,
        served: entry
            .key
            .valid_versions()
            .intersection(entry.key.advertised_versions())
            // No API has stable versions only outside of those that exist.
            .unwrap_or_else(|| entry.key.valid_versions()),
        advertised: entry.key.advertised_versions(),
    };
    REGISTRY.iter().map(served).collect()
}

const fn entry<H: Handler + 'static>() -> Entry {
    Entry {
        key: H::Request::KEY,
        work: H::WORK,
        run: run::<H>,
    }
}

static REGISTRY: &[Entry] = &[
    entry::<Produce>(),
    entry::<Fetch>(),
    entry::<ListOffsets>(),
    entry::<Metadata>(),
    entry::<OffsetCommit>(),
    entry::<OffsetFetch>(),
    entry::<FindCoordinator>(),
    entry::<JoinGroup>(),
    entry::<Heartbeat>(),
    entry::<LeaveGroup>(),
    entry::<SyncGroup>(),
    entry::<DescribeGroups>(),
    entry::<ListGroups>(),
    entry::<ApiVersions>(),
    entry::<CreateTopics>(),
    entry::<DeleteTopics>(),
    entry::<DeleteRecords>(),
    entry::<InitProducerId>(),
    entry::<OffsetForLeaderEpoch>(),
    entry::<DescribeConfigs>(),
    entry::<AlterConfigs>(),
    entry::<CreatePartitions>(),
    entry::<DeleteGroups>(),
    entry::<IncrementalAlterConfigs>(),
    entry::<DescribeCluster>(),
    entry::<DescribeTopicPartitions>(),
];
