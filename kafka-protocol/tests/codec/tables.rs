//! What the crate knows of APIs and fields beside their bytes, against a list that was written from
//! Kafka's documentation and not from its specs.

use std::collections::BTreeMap;

use kafka_protocol::api_key::{Listener, Receiver};
use kafka_protocol::catalog::{self, ENTITY_FIELDS, EntityType, MessageKind};
use kafka_protocol::{ApiKey, VersionRange};

#[test]
fn each_api_has_the_versions_and_listeners_of_the_list() {
    let mut live = 0;
    for row in rows() {
        let (code, name) = (row[0].parse().unwrap(), row[1]);
        let Some(valid) = range(row[2]) else {
            assert_eq!(ApiKey::from_code(code), None, "{name}");
            assert!(ApiKey::REMOVED.contains(&(code, name)), "{name}");
            continue;
        };
        live += 1;
        let key = ApiKey::from_code(code).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(key.name(), name);
        assert_eq!(key.valid_versions(), valid, "{name}");
        // The list tells where they began to be flexible, be that version valid or not.
        let flexible = row[3].strip_suffix('+');
        let flexible = flexible.map(|first| valid.min.max(first.parse().unwrap()));
        assert_eq!(key.first_flexible_version(), flexible, "{name}");
        let unstable = row[5] == "true";
        assert_eq!(key.is_newest_version_unstable(), unstable, "{name}");
        // Old librdkafka looks for versions of Produce that no broker serves any more.
        let lowest = if key == ApiKey::Produce { 0 } else { valid.min };
        let highest = valid.max - i16::from(unstable);
        let advertised = VersionRange::new(lowest, highest);
        assert_eq!(key.advertised_versions(), advertised, "{name}");
        let listeners: Vec<_> = row[4]
            .split('+')
            .map(|listener| match listener {
                "broker" => Listener::Broker,
                "controller" => Listener::Controller,
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(key.listeners().len(), listeners.len(), "{name}");
        let served = |listener| key.listeners().contains(listener);
        assert!(listeners.iter().all(served), "{name}");
        // Only a controller can serve what no broker listens for.
        if listeners == [Listener::Controller] {
            let fits = matches!(
                key.receiver(),
                Receiver::Controller
                    | Receiver::Voters
                    | Receiver::NamedBroker
                    | Receiver::Connection
            );
            assert!(
                fits || name == "FetchSnapshot",
                "{name}: {:?}",
                key.receiver()
            );
        }
    }
    assert_eq!(ApiKey::ALL.len(), live);
}

#[test]
fn requests_go_to_whom_kafka_sends_them() {
    for (receiver, names) in [
        (
            Receiver::PartitionLeader,
            "Produce Fetch ListOffsets DeleteRecords ShareFetch",
        ),
        (
            Receiver::GroupCoordinator,
            "JoinGroup SyncGroup Heartbeat LeaveGroup OffsetCommit OffsetFetch ConsumerGroupHeartbeat ShareGroupHeartbeat StreamsGroupHeartbeat TxnOffsetCommit",
        ),
        (
            Receiver::TransactionCoordinator,
            "AddPartitionsToTxn AddOffsetsToTxn EndTxn InitProducerId",
        ),
        (Receiver::AnyBroker, "Metadata FindCoordinator"),
        (Receiver::AllBrokers, "ListGroups ListTransactions"),
        (
            Receiver::Controller,
            "CreateTopics DeleteTopics AlterPartition BrokerHeartbeat FetchSnapshot",
        ),
        (Receiver::Voters, "Vote BeginQuorumEpoch EndQuorumEpoch"),
        (
            Receiver::Connection,
            "ApiVersions SaslHandshake SaslAuthenticate",
        ),
    ] {
        for name in names.split(' ') {
            let key = ApiKey::ALL.iter().find(|key| key.name() == name).unwrap();
            assert_eq!(key.receiver(), receiver, "{name}");
        }
    }
}

#[test]
fn every_kind_of_message_is_there() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for info in catalog::ALL {
        let count = counts.entry(format!("{:?}", info.kind)).or_default();
        count.0 += 1;
        count.1 += info.versions.iter().count();
        assert!(!info.versions.is_empty(), "{}", info.name);
        match info.kind {
            MessageKind::Request | MessageKind::Response => {
                let key = ApiKey::from_code(info.key.unwrap()).unwrap();
                assert_eq!(info.versions, key.valid_versions(), "{}", info.name);
                let first = key.first_flexible_version().unwrap_or(i16::MAX);
                assert_eq!(info.first_flexible, first, "{}", info.name);
            }
            _ => {}
        }
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(kind, (names, versions))| format!("{kind} {names} {versions}"))
        .collect();
    assert_eq!(counts, COUNTS);
}

#[test]
fn fields_that_name_something_are_listed() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for field in ENTITY_FIELDS {
        let info = catalog::ALL.iter().find(|info| info.name == field.message);
        let versions = info.unwrap().versions;
        assert!(!field.versions.is_empty(), "{field:?}");
        assert_eq!(
            field.versions.intersection(versions),
            Some(field.versions),
            "{field:?}"
        );
        *counts.entry(format!("{:?}", field.entity)).or_default() += 1;
    }
    let has = |message: &str, path: &str, entity, min, max| {
        ENTITY_FIELDS.iter().any(|field| {
            field.message == message
                && field.path == path
                && field.entity == entity
                && field.versions == VersionRange::new(min, max)
        })
    };
    assert!(has(
        "ProduceRequest",
        "topic_data[].name",
        EntityType::TopicName,
        3,
        12
    ));
    assert!(has(
        "FetchRequest",
        "replica_state.replica_id",
        EntityType::BrokerId,
        15,
        18
    ));
    assert!(has(
        "JoinGroupRequest",
        "group_id",
        EntityType::GroupId,
        0,
        9
    ));
    assert!(has(
        "EndTxnRequest",
        "transactional_id",
        EntityType::TransactionalId,
        0,
        5
    ));
    assert!(has(
        "InitProducerIdRequest",
        "producer_id",
        EntityType::ProducerId,
        3,
        6
    ));
    assert!(has(
        "MetadataResponse",
        "topics[].partitions[].replica_nodes[]",
        EntityType::BrokerId,
        0,
        13
    ));
    assert_eq!(counts.len(), 5);
}

/// Key, name, valid versions, flexible versions, listeners, whether the newest version is unstable.
fn rows() -> Vec<Vec<&'static str>> {
    let rows = include_str!("apis.tsv").lines();
    rows.map(|row| row.split('\t').collect()).collect()
}

fn range(text: &str) -> Option<VersionRange> {
    if text == "none" {
        return None;
    }
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    Some(VersionRange::new(
        min.parse().unwrap(),
        max.parse().unwrap(),
    ))
}

/// Kinds, their messages, and versions of all of these.
const COUNTS: [&str; 7] = [
    "CoordinatorKey 25 25",
    "CoordinatorValue 25 34",
    "Data 13 21",
    "Header 2 4",
    "MetadataRecord 31 42",
    "Request 91 309",
    "Response 91 309",
];
