//! The properties of a consumer group, and which property of the broker gives the default of each.
//!
//! Those of share groups and Streams groups are not here: there are no such groups.

use crate::config::property::{Kind, Limit, Property};

const fn row(
    name: &'static str,
    default: &'static str,
    least: i64,
    broker_name: &'static str,
    doc: &'static str,
) -> Property {
    Property {
        name,
        kind: Kind::Int,
        default: Some(default),
        limit: Limit::AtLeast(least),
        broker_name: Some(broker_name),
        doc,
    }
}

/// What a group can be configured with, by name.
pub(crate) const GROUP_PROPERTIES: &[Property] = &[
    row(
        ASSIGNMENT_INTERVAL,
        "0",
        0,
        "group.consumer.assignment.interval.ms",
        "How long after an assignment of the group the next is made at the earliest.",
    ),
    row(
        HEARTBEAT_INTERVAL,
        "5000",
        1,
        "group.consumer.heartbeat.interval.ms",
        "How often the members of the group shall send heartbeats.",
    ),
    row(
        SESSION_TIMEOUT,
        "45000",
        1,
        "group.consumer.session.timeout.ms",
        "How long a member of the group may be silent.",
    ),
];

pub(crate) const ASSIGNMENT_INTERVAL: &str = "consumer.assignment.interval.ms";
pub(crate) const HEARTBEAT_INTERVAL: &str = "consumer.heartbeat.interval.ms";
pub(crate) const SESSION_TIMEOUT: &str = "consumer.session.timeout.ms";
