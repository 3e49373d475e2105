//! The one table of what is served: an API that is not in it is neither answered nor advertised.

use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, Request, VersionRange};

use crate::config::release::Release;
use crate::control::rule::ApiSubjects;
use crate::control::subjects::Subjects;
use crate::handler::add_offsets_to_txn::AddOffsetsToTxn;
use crate::handler::add_partitions_to_txn::AddPartitionsToTxn;
use crate::handler::alter_configs::AlterConfigs;
use crate::handler::api_versions::ApiVersions;
use crate::handler::call::{Call, Handler, Reply, Work};
use crate::handler::consumer_group_describe::ConsumerGroupDescribe;
use crate::handler::consumer_group_heartbeat::ConsumerGroupHeartbeat;
use crate::handler::create_partitions::CreatePartitions;
use crate::handler::create_topics::CreateTopics;
use crate::handler::delete_groups::DeleteGroups;
use crate::handler::delete_records::DeleteRecords;
use crate::handler::delete_topics::DeleteTopics;
use crate::handler::describe_cluster::DescribeCluster;
use crate::handler::describe_configs::DescribeConfigs;
use crate::handler::describe_groups::DescribeGroups;
use crate::handler::describe_log_dirs::DescribeLogDirs;
use crate::handler::describe_producers::DescribeProducers;
use crate::handler::describe_topic_partitions::DescribeTopicPartitions;
use crate::handler::describe_transactions::DescribeTransactions;
use crate::handler::end_txn::EndTxn;
use crate::handler::exchange::{Refusal, run, subjects};
use crate::handler::fetch::Fetch;
use crate::handler::find_coordinator::FindCoordinator;
use crate::handler::heartbeat::Heartbeat;
use crate::handler::incremental_alter_configs::IncrementalAlterConfigs;
use crate::handler::init_producer_id::InitProducerId;
use crate::handler::inspect::message::Inspect;
use crate::handler::join_group::JoinGroup;
use crate::handler::leave_group::LeaveGroup;
use crate::handler::list_config_resources::ListConfigResources;
use crate::handler::list_groups::ListGroups;
use crate::handler::list_offsets::ListOffsets;
use crate::handler::list_transactions::ListTransactions;
use crate::handler::metadata::Metadata;
use crate::handler::offset_commit::OffsetCommit;
use crate::handler::offset_delete::OffsetDelete;
use crate::handler::offset_fetch::OffsetFetch;
use crate::handler::offset_for_leader_epoch::OffsetForLeaderEpoch;
use crate::handler::produce::Produce;
use crate::handler::sync_group::SyncGroup;
use crate::handler::txn_offset_commit::TxnOffsetCommit;
use crate::handler::write_txn_markers::WriteTxnMarkers;
use crate::state::node::ServedApi;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: ApiKey,
    pub(crate) work: Work,
    pub(crate) short_max: usize,
    /// The newest version that is answered, where that is not the newest of all.
    newest: i16,
    pub(crate) run: fn(Call, i32, Reader) -> Result<Reply, Refusal>,
    pub(crate) subjects: fn(&Call, Reader) -> Subjects,
    names_topics: bool,
    names_groups: bool,
}

/// The row of an API, by the number of its key.
pub(crate) fn entry_of(code: i16) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.key.code() == code)
}

/// What is served by a broker of the newest release, or by one that makes itself look like an older one.
pub(crate) fn served_apis(emulated: Option<Release>) -> Vec<ServedApi> {
    let served = |entry: &Entry| {
        let known = VersionRange::new(0, entry.newest);
        let advertised = entry.key.advertised_versions();
        // No API is without a version that is known, and none has stable versions only outside of
        // those that exist.
        let advertised = advertised.intersection(known).unwrap_or(advertised);
        let valid = entry.key.valid_versions();
        ServedApi {
            key: entry.key,
            served: valid.intersection(advertised).unwrap_or(valid),
            advertised,
        }
    };
    let apis = REGISTRY.iter().map(served);
    match emulated {
        None => apis.collect(),
        Some(release) => apis.filter_map(|api| as_of(release, api)).collect(),
    }
}

/// An API as far as a release had it.
fn as_of(release: Release, api: ServedApi) -> Option<ServedApi> {
    let is_switched_off = !release.has_features() && NEEDS_FEATURES.contains(&api.key);
    let had = release.versions(api.key).filter(|_| !is_switched_off)?;
    Some(ServedApi {
        key: api.key,
        served: api.served.intersection(had)?,
        advertised: api.advertised.intersection(had)?,
    })
}

/// What requests are about, of each API that is served.
pub(crate) fn api_subjects() -> Vec<ApiSubjects> {
    let facts = |entry: &Entry| ApiSubjects {
        api: entry.key,
        topics: entry.names_topics,
        groups: entry.names_groups,
    };
    REGISTRY.iter().map(facts).collect()
}

const fn entry<H: Handler + 'static>() -> Entry {
    entry_up_to::<H>(i16::MAX)
}

const fn entry_up_to<H: Handler + 'static>(newest: i16) -> Entry {
    Entry {
        key: H::Request::KEY,
        work: H::WORK,
        short_max: H::SHORT_MAX,
        newest,
        run: run::<H>,
        subjects: subjects::<H>,
        names_topics: H::Request::TOPICS,
        names_groups: H::Request::GROUPS,
    }
}

/// These were there before 4.0, but refused by every broker that was not told to have them.
const NEEDS_FEATURES: &[ApiKey] = &[
    ApiKey::ConsumerGroupHeartbeat,
    ApiKey::ConsumerGroupDescribe,
];

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
    entry::<AddPartitionsToTxn>(),
    entry::<AddOffsetsToTxn>(),
    entry::<EndTxn>(),
    entry_up_to::<WriteTxnMarkers>(1),
    entry::<TxnOffsetCommit>(),
    entry::<DescribeConfigs>(),
    entry::<AlterConfigs>(),
    entry::<DescribeLogDirs>(),
    entry::<CreatePartitions>(),
    entry::<DeleteGroups>(),
    entry::<IncrementalAlterConfigs>(),
    entry::<OffsetDelete>(),
    entry::<DescribeCluster>(),
    entry::<DescribeProducers>(),
    entry::<DescribeTransactions>(),
    entry_up_to::<ListTransactions>(1),
    entry::<ConsumerGroupHeartbeat>(),
    entry::<ConsumerGroupDescribe>(),
    entry::<ListConfigResources>(),
    entry::<DescribeTopicPartitions>(),
];
