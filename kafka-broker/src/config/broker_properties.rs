//! The properties of a broker.
//!
//! What is not in this table is refused: a property that is taken and not heeded would be a lie.

use crate::config::codec::TYPES;
use crate::config::property::{Kind, Limit, Property};

/// The row of this name.
pub(crate) fn broker_property(name: &str) -> Option<&'static Property> {
    let at = BROKER_PROPERTIES.binary_search_by_key(&name, |property| property.name);
    BROKER_PROPERTIES.get(at.ok()?)
}

/// Whether and how a property may be changed while the broker runs; Kafka's documentation has the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateMode {
    /// Not at all.
    ReadOnly,
    /// For each broker by itself.
    PerBroker,
    /// For a broker, or for all that have nothing set for themselves.
    ClusterWide,
}

/// How the property of this name may be changed while the broker runs.
pub(crate) fn update_mode(name: &str) -> UpdateMode {
    if CLUSTER_WIDE.contains(&name) {
        UpdateMode::ClusterWide
    } else if PER_BROKER.contains(&name) {
        UpdateMode::PerBroker
    } else {
        UpdateMode::ReadOnly
    }
}

const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    limit: Limit,
    doc: &'static str,
) -> Property {
    Property {
        name,
        kind,
        default: Some(default),
        limit,
        broker_name: None,
        doc,
    }
}

const fn unset(name: &'static str, kind: Kind, limit: Limit, doc: &'static str) -> Property {
    Property {
        name,
        kind,
        default: None,
        limit,
        broker_name: None,
        doc,
    }
}

/// What a broker can be configured with, by name.
pub(crate) const BROKER_PROPERTIES: &[Property] = &[
    unset(
        "advertised.listeners",
        Kind::List,
        Limit::Any,
        "The address that clients of each listener are told, as NAME://HOST:PORT; where it listens if it is not named.",
    ),
    row(
        "auto.create.topics.enable",
        Kind::Bool,
        "true",
        Limit::Any,
        "Whether a topic that a client names is created when it does not exist.",
    ),
    unset(
        "broker.id",
        Kind::Int,
        Limit::AtLeast(0),
        "Another name of node.id.",
    ),
    unset(
        "broker.rack",
        Kind::Text,
        Limit::Any,
        "The rack that clients are told.",
    ),
    row(
        "compression.gzip.level",
        Kind::Int,
        "-1",
        Limit::OneOrBetween(-1, 1, 9),
        "How hard gzip tries, if it is the codec of stored batches; -1 is 6.",
    ),
    row(
        "compression.lz4.level",
        Kind::Int,
        "9",
        Limit::Between(1, 17),
        "How hard lz4 tries, if it is the codec of stored batches; here all levels are one.",
    ),
    row(
        "compression.type",
        Kind::Text,
        "producer",
        Limit::OneOf(TYPES),
        "The codec that batches are stored in: what comes in another is compressed anew; producer keeps each as it came.",
    ),
    row(
        "compression.zstd.level",
        Kind::Int,
        "3",
        Limit::Between(-131_072, 22),
        "How hard zstd tries, if it is the codec of stored batches; here as hard as at 4 at the most.",
    ),
    row(
        "connections.max.idle.ms",
        Kind::Long,
        "600000",
        Limit::AtLeast(1),
        "A connection without a request for so long is closed.",
    ),
    row(
        "default.replication.factor",
        Kind::Int,
        "1",
        Limit::Between(1, 1),
        "Replicas of a topic that asks for no number; this broker is one node.",
    ),
    row(
        "delete.topic.enable",
        Kind::Bool,
        "true",
        Limit::Any,
        "Whether topics can be deleted.",
    ),
    row(
        "fetch.max.bytes",
        Kind::Int,
        "57671680",
        Limit::AtLeast(1024),
        "The largest answer to one fetch.",
    ),
    row(
        "group.consumer.assignment.interval.ms",
        Kind::Int,
        "0",
        Limit::AtLeast(0),
        "How long after an assignment of a consumer group the next is made at the earliest; 1000 in Kafka.",
    ),
    row(
        "group.consumer.assignors",
        Kind::List,
        "uniform,range",
        Limit::SubsetOf(&["uniform", "range"]),
        "The assignors that members of consumer groups may ask for; the first is the one if none does.",
    ),
    row(
        "group.consumer.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        Limit::AtLeast(1),
        "How often the members of a consumer group shall send heartbeats.",
    ),
    row(
        "group.consumer.max.assignment.interval.ms",
        Kind::Int,
        "15000",
        Limit::AtLeast(0),
        "The longest time between two assignments that a consumer group may set.",
    ),
    row(
        "group.consumer.max.heartbeat.interval.ms",
        Kind::Int,
        "15000",
        Limit::AtLeast(1),
        "The longest heartbeat interval that a consumer group may set.",
    ),
    row(
        "group.consumer.max.session.timeout.ms",
        Kind::Int,
        "60000",
        Limit::AtLeast(1),
        "The longest session timeout that a consumer group may set.",
    ),
    row(
        "group.consumer.max.size",
        Kind::Int,
        "2147483647",
        Limit::AtLeast(1),
        "The most members of one consumer group.",
    ),
    row(
        "group.consumer.migration.policy",
        Kind::Text,
        "bidirectional",
        Limit::OneOf(&["disabled", "upgrade", "downgrade", "bidirectional"]),
        "Which groups with members may become groups of the other protocol.",
    ),
    row(
        "group.consumer.min.assignment.interval.ms",
        Kind::Int,
        "0",
        Limit::AtLeast(0),
        "The shortest time between two assignments that a consumer group may set.",
    ),
    row(
        "group.consumer.min.heartbeat.interval.ms",
        Kind::Int,
        "5000",
        Limit::AtLeast(1),
        "The shortest heartbeat interval that a consumer group may set.",
    ),
    row(
        "group.consumer.min.session.timeout.ms",
        Kind::Int,
        "45000",
        Limit::AtLeast(1),
        "The shortest session timeout that a consumer group may set.",
    ),
    row(
        "group.consumer.session.timeout.ms",
        Kind::Int,
        "45000",
        Limit::AtLeast(1),
        "How long a member of a consumer group may be silent.",
    ),
    row(
        "group.coordinator.rebalance.protocols",
        Kind::List,
        "classic,consumer",
        Limit::SubsetOf(&["classic", "consumer"]),
        "The protocols of groups; without consumer, clients are not told that there is the new one.",
    ),
    row(
        "group.initial.rebalance.delay.ms",
        Kind::Int,
        "0",
        Limit::AtLeast(0),
        "How long the first rebalance of an empty group waits for more members; 3000 in Kafka.",
    ),
    row(
        "group.max.session.timeout.ms",
        Kind::Int,
        "1800000",
        Limit::AtLeast(1),
        "The longest session timeout a group member may ask for.",
    ),
    row(
        "group.max.size",
        Kind::Int,
        "2147483647",
        Limit::AtLeast(1),
        "The most members of one group.",
    ),
    row(
        "group.min.session.timeout.ms",
        Kind::Int,
        "6000",
        Limit::AtLeast(1),
        "The shortest session timeout a group member may ask for.",
    ),
    row(
        "listener.security.protocol.map",
        Kind::List,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        Limit::Any,
        "The protocol of each listener, as NAME:PROTOCOL; it must be PLAINTEXT.",
    ),
    unset(
        "listeners",
        Kind::List,
        Limit::Any,
        "The addresses to listen at, as NAME://HOST:PORT; clients are told the address of the one that they come by.",
    ),
    row(
        "log.cleaner.backoff.ms",
        Kind::Long,
        "15000",
        Limit::AtLeast(0),
        "How often it is looked for logs that are to be compacted; every 10 ms at the most.",
    ),
    row(
        "log.cleaner.dedupe.buffer.size",
        Kind::Long,
        "134217728",
        Limit::AtLeast(0),
        "How many bytes of keys a round of compaction holds in memory; what is beyond waits for the next.",
    ),
    row(
        "log.cleaner.delete.retention.ms",
        Kind::Long,
        "86400000",
        Limit::AtLeast(0),
        "How long a tombstone stays in a compacted topic.",
    ),
    row(
        "log.cleaner.max.compaction.lag.ms",
        Kind::Long,
        "9223372036854775807",
        Limit::AtLeast(1),
        "The longest time a record stays uncompacted.",
    ),
    row(
        "log.cleaner.min.cleanable.ratio",
        Kind::Double,
        "0.5",
        Limit::Ratio,
        "The share of uncompacted bytes at which a log is compacted.",
    ),
    row(
        "log.cleaner.min.compaction.lag.ms",
        Kind::Long,
        "0",
        Limit::AtLeast(0),
        "The shortest time a record stays uncompacted.",
    ),
    row(
        "log.cleanup.policy",
        Kind::List,
        "delete",
        Limit::SubsetOf(&["delete", "compact"]),
        "Whether old segments are deleted, or compacted to the last record of each key.",
    ),
    unset("log.dir", Kind::Text, Limit::Any, "The data directory."),
    unset(
        "log.dirs",
        Kind::List,
        Limit::Any,
        "The data directory; one only.",
    ),
    row(
        "log.flush.interval.messages",
        Kind::Long,
        "9223372036854775807",
        Limit::AtLeast(1),
        "After how many records a log is synced to the disk.",
    ),
    unset(
        "log.flush.interval.ms",
        Kind::Long,
        Limit::AtLeast(0),
        "After how much time a log is synced to the disk; never if it is not set.",
    ),
    row(
        "log.index.interval.bytes",
        Kind::Int,
        "4096",
        Limit::AtLeast(0),
        "How many bytes of a log lie between two entries of its offset index.",
    ),
    row(
        "log.index.size.max.bytes",
        Kind::Int,
        "10485760",
        Limit::AtLeast(12),
        "The largest size of an index of a segment.",
    ),
    row(
        "log.message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        Limit::AtLeast(0),
        "How far a record's timestamp may lie in the future.",
    ),
    row(
        "log.message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        Limit::AtLeast(0),
        "How far a record's timestamp may lie in the past.",
    ),
    row(
        "log.message.timestamp.type",
        Kind::Text,
        "CreateTime",
        Limit::OneOf(&["CreateTime", "LogAppendTime"]),
        "Whether records keep the producer's timestamp or get the time of the append.",
    ),
    row(
        "log.preallocate",
        Kind::Bool,
        "false",
        Limit::Any,
        "Whether the file of a new segment is made at its full size; kept, without effect.",
    ),
    row(
        "log.retention.bytes",
        Kind::Long,
        "-1",
        Limit::AtLeast(-1),
        "The size of a partition above which its oldest segments are deleted; -1 is no limit.",
    ),
    row(
        "log.retention.check.interval.ms",
        Kind::Long,
        "300000",
        Limit::AtLeast(1),
        "How often old segments are looked for.",
    ),
    row(
        "log.retention.hours",
        Kind::Int,
        "168",
        Limit::AtLeast(-1),
        "The age at which segments are deleted, in hours; log.retention.minutes goes before it.",
    ),
    unset(
        "log.retention.minutes",
        Kind::Int,
        Limit::AtLeast(-1),
        "The age at which segments are deleted, in minutes; log.retention.ms goes before it.",
    ),
    unset(
        "log.retention.ms",
        Kind::Long,
        Limit::AtLeast(-1),
        "The age at which segments are deleted; -1 is no limit.",
    ),
    row(
        "log.roll.hours",
        Kind::Int,
        "168",
        Limit::AtLeast(1),
        "The age at which a new segment is begun, in hours; log.roll.ms goes before it.",
    ),
    row(
        "log.roll.jitter.hours",
        Kind::Int,
        "0",
        Limit::AtLeast(0),
        "By how many hours at most a segment is closed before its time; log.roll.jitter.ms goes before it.",
    ),
    unset(
        "log.roll.jitter.ms",
        Kind::Long,
        Limit::AtLeast(0),
        "By how much at most a segment is closed before its time, so that not all are at once.",
    ),
    unset(
        "log.roll.ms",
        Kind::Long,
        Limit::AtLeast(1),
        "The age at which a new segment is begun.",
    ),
    row(
        "log.segment.bytes",
        Kind::Int,
        "1073741824",
        Limit::AtLeast(14),
        "The size of a segment's file.",
    ),
    row(
        "log.segment.delete.delay.ms",
        Kind::Long,
        "60000",
        Limit::AtLeast(0),
        "How long the files of a deleted segment stay on the disk.",
    ),
    row(
        "max.connections",
        Kind::Int,
        "2147483647",
        Limit::AtLeast(1),
        "The most connections at one time.",
    ),
    row(
        "max.connections.per.ip",
        Kind::Int,
        "2147483647",
        Limit::AtLeast(1),
        "The most connections from one address at one time.",
    ),
    row(
        "max.incremental.fetch.session.cache.slots",
        Kind::Int,
        "1000",
        Limit::AtLeast(0),
        "The most fetch sessions at one time; 0 is none.",
    ),
    row(
        "message.max.bytes",
        Kind::Int,
        "1048588",
        Limit::AtLeast(0),
        "The largest batch that a topic takes.",
    ),
    row(
        "min.insync.replicas",
        Kind::Int,
        "1",
        Limit::AtLeast(1),
        "How many replicas must be in sync for a produce request with acks=all, but not more than there are: here one.",
    ),
    row(
        "node.id",
        Kind::Int,
        "1",
        Limit::AtLeast(0),
        "The number of this broker.",
    ),
    row(
        "num.partitions",
        Kind::Int,
        "1",
        Limit::AtLeast(1),
        "Partitions of a topic that asks for no number.",
    ),
    row(
        "offset.metadata.max.bytes",
        Kind::Int,
        "4096",
        Limit::AtLeast(0),
        "The longest text that may be committed with an offset.",
    ),
    row(
        "offsets.retention.check.interval.ms",
        Kind::Long,
        "600000",
        Limit::AtLeast(1),
        "How often expired offsets are looked for.",
    ),
    row(
        "offsets.retention.minutes",
        Kind::Int,
        "10080",
        Limit::AtLeast(1),
        "How long the offsets of a group stay after its last member has left.",
    ),
    row(
        "offsets.topic.num.partitions",
        Kind::Int,
        "50",
        Limit::AtLeast(1),
        "Partitions of the topic of committed offsets; fixed once that topic exists.",
    ),
    row(
        "offsets.topic.replication.factor",
        Kind::Int,
        "1",
        Limit::Between(1, 1),
        "Replicas of the topic of committed offsets; this broker is one node.",
    ),
    row(
        "offsets.topic.segment.bytes",
        Kind::Int,
        "104857600",
        Limit::AtLeast(14),
        "The size of a segment of the topic of committed offsets.",
    ),
    row(
        "producer.id.expiration.ms",
        Kind::Int,
        "86400000",
        Limit::AtLeast(1),
        "How long a partition remembers a producer that writes no more.",
    ),
    row(
        "socket.request.max.bytes",
        Kind::Int,
        "104857600",
        Limit::AtLeast(1),
        "The largest request.",
    ),
    row(
        "transaction.max.timeout.ms",
        Kind::Int,
        "900000",
        Limit::AtLeast(1),
        "The longest time that a producer may ask for its transactions.",
    ),
    row(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Kind::Int,
        "3600000",
        Limit::AtLeast(1),
        "How often expired transactional ids are looked for.",
    ),
    row(
        "transaction.state.log.min.isr",
        Kind::Int,
        "1",
        Limit::AtLeast(1),
        "How many replicas of the topic of transactional ids must be in sync; without effect on a single node.",
    ),
    row(
        "transaction.state.log.num.partitions",
        Kind::Int,
        "50",
        Limit::AtLeast(1),
        "Partitions of the topic of transactional ids; fixed once that topic exists.",
    ),
    row(
        "transaction.state.log.replication.factor",
        Kind::Int,
        "1",
        Limit::Between(1, 1),
        "Replicas of the topic of transactional ids; this broker is one node.",
    ),
    row(
        "transaction.state.log.segment.bytes",
        Kind::Int,
        "104857600",
        Limit::AtLeast(14),
        "The size of a segment of the topic of transactional ids.",
    ),
    row(
        "transactional.id.expiration.ms",
        Kind::Int,
        "604800000",
        Limit::AtLeast(1),
        "How long a transactional id is remembered that has no transactions any more.",
    ),
    row(
        "unclean.leader.election.enable",
        Kind::Bool,
        "false",
        Limit::Any,
        "Whether a replica out of sync may lead; without effect on a single node.",
    ),
];

const PER_BROKER: &[&str] = &["listener.security.protocol.map", "listeners"];

/// What Kafka 4.4 lets be changed while its brokers run, of what is in the table.
const CLUSTER_WIDE: &[&str] = &[
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "group.consumer.assignment.interval.ms",
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.delete.retention.ms",
    "log.cleaner.max.compaction.lag.ms",
    "log.cleaner.min.cleanable.ratio",
    "log.cleaner.min.compaction.lag.ms",
    "log.cleanup.policy",
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "log.index.interval.bytes",
    "log.index.size.max.bytes",
    "log.message.timestamp.after.max.ms",
    "log.message.timestamp.before.max.ms",
    "log.message.timestamp.type",
    "log.preallocate",
    "log.retention.bytes",
    "log.retention.ms",
    "log.roll.jitter.ms",
    "log.roll.ms",
    "log.segment.bytes",
    "log.segment.delete.delay.ms",
    "max.connections",
    "max.connections.per.ip",
    "message.max.bytes",
    "min.insync.replicas",
    "producer.id.expiration.ms",
    "unclean.leader.election.enable",
];
