//! `docs/apis.md`: what is served and what is left out, written from the table of handlers, and the proof
//! that it is fresh.

use std::fmt::Write as _;
use std::path::Path;

use kafka_protocol::{ApiKey, VersionRange};

use crate::handler::registry::served_apis;
use crate::state::node::ServedApi;

/// Why an API is not served.
fn reason(key: ApiKey) -> &'static str {
    use ApiKey as K;
    match key {
        K::SaslHandshake | K::SaslAuthenticate => "there is no authentication yet",
        K::DescribeAcls | K::CreateAcls | K::DeleteAcls => "everything is allowed",
        K::DescribeUserScramCredentials | K::AlterUserScramCredentials => {
            "there is no authentication yet"
        }
        K::CreateDelegationToken
        | K::RenewDelegationToken
        | K::ExpireDelegationToken
        | K::DescribeDelegationToken => "there is no authentication yet",
        K::DescribeClientQuotas | K::AlterClientQuotas => "nobody is throttled",
        K::GetTelemetrySubscriptions | K::PushTelemetry => {
            "the metrics of clients are not gathered"
        }
        K::AlterReplicaLogDirs | K::AssignReplicasToDirs => "there is one data directory",
        K::ElectLeaders
        | K::AlterPartitionReassignments
        | K::ListPartitionReassignments
        | K::UnregisterBroker => "there is one broker, which leads everything",
        K::DescribeQuorum | K::AddRaftVoter | K::RemoveRaftVoter | K::UnregisterController => {
            "there is no quorum of controllers"
        }
        K::UpdateFeatures => "features are those of the release",
        K::ShareGroupHeartbeat
        | K::ShareGroupDescribe
        | K::ShareFetch
        | K::ShareAcknowledge
        | K::DescribeShareGroupOffsets
        | K::AlterShareGroupOffsets
        | K::DeleteShareGroupOffsets => "there are no share groups",
        K::StreamsGroupHeartbeat
        | K::StreamsGroupDescribe
        | K::StreamsGroupTopologyDescriptionUpdate => "there are no streams groups",
        K::Vote
        | K::BeginQuorumEpoch
        | K::EndQuorumEpoch
        | K::AlterPartition
        | K::Envelope
        | K::FetchSnapshot
        | K::BrokerRegistration
        | K::BrokerHeartbeat
        | K::AllocateProducerIds
        | K::ControllerRegistration
        | K::UpdateRaftVoter
        | K::InitializeShareGroupState
        | K::ReadShareGroupState
        | K::WriteShareGroupState
        | K::DeleteShareGroupState
        | K::ReadShareGroupStateSummary => "spoken between brokers and controllers alone",
        _ => "not yet",
    }
}

fn page() -> String {
    let served = served_apis(None);
    let find = |key| served.iter().find(|api: &&ServedApi| api.key == key);
    let mut keys: Vec<_> = ApiKey::ALL.to_vec();
    keys.sort_by_key(|key| key.code());
    let mut page = format!(
        "# What the broker serves\n\n\
         Written from the broker's table of handlers by `{COMMAND}`;\n\
         the test fails while this page says something else.\n\n\
         An API that is not served is not advertised either: clients that ask first do without it, and a\n\
         request for it ends the connection.\n\n\
         ## Served: {} of {}\n\n\
         | key | API | versions | of |\n| --- | --- | --- | --- |\n",
        served.len(),
        keys.len(),
    );
    for api in keys.iter().filter_map(|key| find(*key)) {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            api.key.code(),
            api.key.name(),
            range(api.served),
            range(api.key.valid_versions()),
        );
    }
    page.push_str("\n## Left out\n\n| key | API | why |\n| --- | --- | --- |\n");
    for key in keys.iter().filter(|key| find(**key).is_none()) {
        let _ = writeln!(
            page,
            "| {} | {} | {} |",
            key.code(),
            key.name(),
            reason(*key)
        );
    }
    page
}

fn range(versions: VersionRange) -> String {
    if versions.min == versions.max {
        versions.min.to_string()
    } else {
        format!("{}-{}", versions.min, versions.max)
    }
}

#[test]
fn the_page_of_apis_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/apis.md");
    let page = page();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/apis.md is stale: {COMMAND}");
}

const COMMAND: &str = "WRITE_DOCS=1 cargo test -p kafka-broker page_of_apis";
