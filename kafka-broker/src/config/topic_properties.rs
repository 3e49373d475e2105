//! The properties of a topic, and which property of the broker gives the default of each.

use crate::config::property::{Kind, Limit, Property};

/// The row of this name.
pub(crate) fn topic_property(name: &str) -> Option<&'static Property> {
    TOPIC_PROPERTIES
        .iter()
        .find(|property| property.name == name)
}

const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    limit: Limit,
    broker_name: Option<&'static str>,
    doc: &'static str,
) -> Property {
    Property {
        name,
        kind,
        default: Some(default),
        limit,
        broker_name,
        doc,
    }
}

/// What a topic can be configured with, by name.
pub(crate) const TOPIC_PROPERTIES: &[Property] = &[
    row(
        "cleanup.policy",
        Kind::List,
        "delete",
        Limit::SubsetOf(&["delete", "compact"]),
        Some("log.cleanup.policy"),
        "Whether old segments are deleted, or compacted to the last record of each key.",
    ),
    row(
        "compression.type",
        Kind::Text,
        "producer",
        Limit::OneOf(&["producer"]),
        Some("compression.type"),
        "The codec of stored batches; only the producer's own is supported.",
    ),
    row(
        "delete.retention.ms",
        Kind::Long,
        "86400000",
        Limit::AtLeast(0),
        Some("log.cleaner.delete.retention.ms"),
        "How long a tombstone stays in a compacted topic.",
    ),
    row(
        "file.delete.delay.ms",
        Kind::Long,
        "60000",
        Limit::AtLeast(0),
        Some("log.segment.delete.delay.ms"),
        "How long the files of a deleted segment stay on the disk.",
    ),
    row(
        "flush.messages",
        Kind::Long,
        "9223372036854775807",
        Limit::AtLeast(1),
        Some("log.flush.interval.messages"),
        "After how many records the log is synced to the disk.",
    ),
    row(
        "flush.ms",
        Kind::Long,
        "9223372036854775807",
        Limit::AtLeast(0),
        Some("log.flush.interval.ms"),
        "After how much time the log is synced to the disk.",
    ),
    row(
        "index.interval.bytes",
        Kind::Int,
        "4096",
        Limit::AtLeast(0),
        Some("log.index.interval.bytes"),
        "How many bytes of a log lie between two entries of its offset index.",
    ),
    row(
        "max.compaction.lag.ms",
        Kind::Long,
        "9223372036854775807",
        Limit::AtLeast(1),
        Some("log.cleaner.max.compaction.lag.ms"),
        "The longest time a record stays uncompacted.",
    ),
    row(
        "max.message.bytes",
        Kind::Int,
        "1048588",
        Limit::AtLeast(0),
        Some("message.max.bytes"),
        "The largest batch that the topic takes.",
    ),
    row(
        "message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        Limit::AtLeast(0),
        Some("log.message.timestamp.after.max.ms"),
        "How far a record's timestamp may lie in the future.",
    ),
    row(
        "message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        Limit::AtLeast(0),
        Some("log.message.timestamp.before.max.ms"),
        "How far a record's timestamp may lie in the past.",
    ),
    row(
        "message.timestamp.type",
        Kind::Text,
        "CreateTime",
        Limit::OneOf(&["CreateTime", "LogAppendTime"]),
        Some("log.message.timestamp.type"),
        "Whether records keep the producer's timestamp or get the time of the append.",
    ),
    row(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        "0.5",
        Limit::Ratio,
        Some("log.cleaner.min.cleanable.ratio"),
        "The share of uncompacted bytes at which a log is compacted.",
    ),
    row(
        "min.compaction.lag.ms",
        Kind::Long,
        "0",
        Limit::AtLeast(0),
        Some("log.cleaner.min.compaction.lag.ms"),
        "The shortest time a record stays uncompacted.",
    ),
    row(
        "min.insync.replicas",
        Kind::Int,
        "1",
        Limit::AtLeast(1),
        Some("min.insync.replicas"),
        "How many replicas must be in sync for a produce request with acks=all.",
    ),
    row(
        "preallocate",
        Kind::Bool,
        "false",
        Limit::Any,
        Some("log.preallocate"),
        "Whether the file of a new segment is made at its full size; kept, without effect.",
    ),
    row(
        "retention.bytes",
        Kind::Long,
        "-1",
        Limit::AtLeast(-1),
        Some("log.retention.bytes"),
        "The size of a partition above which its oldest segments are deleted; -1 is no limit.",
    ),
    row(
        "retention.ms",
        Kind::Long,
        "604800000",
        Limit::AtLeast(-1),
        Some("log.retention.ms"),
        "The age at which segments are deleted; -1 is no limit.",
    ),
    row(
        "segment.bytes",
        Kind::Int,
        "1073741824",
        Limit::AtLeast(14),
        Some("log.segment.bytes"),
        "The size of a segment's file.",
    ),
    row(
        "segment.index.bytes",
        Kind::Int,
        "10485760",
        Limit::AtLeast(12),
        Some("log.index.size.max.bytes"),
        "The largest size of an index of a segment.",
    ),
    row(
        "segment.jitter.ms",
        Kind::Long,
        "0",
        Limit::AtLeast(0),
        Some("log.roll.jitter.ms"),
        "By how much at most a segment is closed before its time, so that not all are at once.",
    ),
    row(
        "segment.ms",
        Kind::Long,
        "604800000",
        Limit::AtLeast(1),
        Some("log.roll.ms"),
        "The age at which a new segment is begun.",
    ),
    row(
        "unclean.leader.election.enable",
        Kind::Bool,
        "false",
        Limit::Any,
        Some("unclean.leader.election.enable"),
        "Whether a replica out of sync may lead; without effect on a single node.",
    ),
];
