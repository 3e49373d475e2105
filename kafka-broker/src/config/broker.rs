//! What a broker was started with: what was set, checked, and read out into fields.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::broker_properties::{BROKER_PROPERTIES, broker_property};
use crate::config::error::ConfigError;
use crate::config::overrides::known;
use crate::config::property::{ValueError, list, parse_bool};

/// What a broker was started with.
///
/// A field stands for each property that the broker itself reads and that stays as it is while it runs; the
/// others, and the defaults of topics, are read through [`EffectiveConfig`](super::effective::EffectiveConfig).
#[derive(Clone, Debug)]
pub(crate) struct BrokerConfig {
    given: BTreeMap<&'static str, String>,
    /// `node.id`.
    pub(crate) node_id: i32,
    /// `broker.rack`.
    pub(crate) rack: Option<String>,
    /// `num.partitions`.
    pub(crate) partitions: i32,
    /// `auto.create.topics.enable`.
    pub(crate) auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub(crate) delete_topics: bool,
    /// `fetch.max.bytes`.
    pub(crate) fetch_max_bytes: usize,
    /// `socket.request.max.bytes`.
    pub(crate) request_max_bytes: usize,
    /// `connections.max.idle.ms`.
    pub(crate) idle_max: Duration,
    /// `max.incremental.fetch.session.cache.slots`.
    pub(crate) fetch_session_slots: usize,
    /// `group.initial.rebalance.delay.ms`.
    pub(crate) initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`.
    pub(crate) session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub(crate) session_timeout_max_ms: i32,
    /// `group.max.size`.
    pub(crate) group_size_max: usize,
    /// `group.consumer.assignors`, the default first.
    pub(crate) consumer_group_assignors: Vec<String>,
    /// `group.consumer.min.assignment.interval.ms` and `group.consumer.max.assignment.interval.ms`.
    pub(crate) consumer_group_assignment_interval_bounds: (i64, i64),
    /// `group.consumer.min.heartbeat.interval.ms` and `group.consumer.max.heartbeat.interval.ms`.
    pub(crate) consumer_group_heartbeat_interval_bounds: (i64, i64),
    /// `group.consumer.max.size`.
    pub(crate) consumer_group_size_max: usize,
    /// `group.consumer.migration.policy`.
    pub(crate) consumer_group_migration_policy: String,
    /// `group.consumer.min.session.timeout.ms` and `group.consumer.max.session.timeout.ms`.
    pub(crate) consumer_group_session_timeout_bounds: (i64, i64),
    /// Whether `group.coordinator.rebalance.protocols` has the new one.
    pub(crate) consumer_groups: bool,
    /// `offset.metadata.max.bytes`.
    pub(crate) offset_metadata_max: usize,
    /// `offsets.topic.num.partitions`.
    pub(crate) offsets_partitions: i32,
    /// `offsets.topic.segment.bytes`.
    pub(crate) offsets_segment_bytes: i32,
    /// `offsets.retention.minutes`.
    pub(crate) offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`.
    pub(crate) offsets_retention_check: Duration,
    /// `log.retention.check.interval.ms`.
    pub(crate) retention_check: Duration,
    /// `transaction.max.timeout.ms`.
    pub(crate) transaction_timeout_max_ms: i32,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub(crate) transactional_id_check: Duration,
    /// `transaction.state.log.num.partitions`.
    pub(crate) transactions_partitions: i32,
    /// `transaction.state.log.segment.bytes`.
    pub(crate) transactions_segment_bytes: i32,
    /// `transactional.id.expiration.ms`.
    pub(crate) transactional_id_expiration: Duration,
}

impl BrokerConfig {
    /// Checks and reads what was set; everything else takes its default.
    ///
    /// # Errors
    ///
    /// A name that is not in the table, or a value that does not fit its property.
    pub(crate) fn new<'a>(
        set: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigError> {
        let mut given = BTreeMap::new();
        for (name, value) in set {
            let property = known(BROKER_PROPERTIES, name)?;
            property.check(value).map_err(ConfigError::Value)?;
            given.insert(property.name, value.trim().to_owned());
        }
        match (given.get("broker.id").cloned(), given.get("node.id")) {
            (Some(id), None) => drop(given.insert("node.id", id)),
            (Some(id), Some(node)) if id != *node => {
                let must = format!("that of node.id, which is {node}");
                return Err(ConfigError::Value(ValueError::new("broker.id", id, must)));
            }
            _ => {}
        }
        let mut config = Self {
            given,
            ..Self::bare()
        };
        config.read();
        Ok(config)
    }

    /// The value that holds for a property of the broker, set or default.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        match self.given.get(name) {
            Some(value) => Some(value),
            None => broker_property(name)?.default,
        }
    }

    /// The value that was set, without the default.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// Holds a value that was set by other means than its name, and was checked.
    pub(crate) fn put(&mut self, name: &'static str, value: String) {
        debug_assert!(broker_property(name).is_some(), "{name} is no property");
        self.given.insert(name, value);
    }

    fn read(&mut self) {
        self.node_id = self.number("node.id");
        self.rack = self.given("broker.rack").map(str::to_owned);
        self.partitions = self.number("num.partitions");
        self.auto_create_topics = self.truth("auto.create.topics.enable");
        self.delete_topics = self.truth("delete.topic.enable");
        self.fetch_max_bytes = self.count("fetch.max.bytes");
        self.request_max_bytes = self.count("socket.request.max.bytes");
        self.idle_max = self.millis("connections.max.idle.ms");
        self.fetch_session_slots = self.count("max.incremental.fetch.session.cache.slots");
        self.initial_rebalance_delay = self.millis("group.initial.rebalance.delay.ms");
        self.session_timeout_min_ms = self.number("group.min.session.timeout.ms");
        self.session_timeout_max_ms = self.number("group.max.session.timeout.ms");
        self.group_size_max = self.count("group.max.size");
        self.consumer_group_assignors = self.words("group.consumer.assignors");
        self.consumer_group_assignment_interval_bounds =
            self.bounds_of_groups("assignment.interval.ms");
        self.consumer_group_heartbeat_interval_bounds =
            self.bounds_of_groups("heartbeat.interval.ms");
        self.consumer_group_size_max = self.count("group.consumer.max.size");
        self.consumer_group_migration_policy = self.text("group.consumer.migration.policy");
        self.consumer_group_session_timeout_bounds = self.bounds_of_groups("session.timeout.ms");
        self.consumer_groups = self
            .words("group.coordinator.rebalance.protocols")
            .contains(&"consumer".to_owned());
        self.offset_metadata_max = self.count("offset.metadata.max.bytes");
        self.offsets_partitions = self.number("offsets.topic.num.partitions");
        self.offsets_segment_bytes = self.number("offsets.topic.segment.bytes");
        self.offsets_retention = self.millis("offsets.retention.minutes") * 60_000;
        self.offsets_retention_check = self.millis("offsets.retention.check.interval.ms");
        self.retention_check = self.millis("log.retention.check.interval.ms");
        self.transaction_timeout_max_ms = self.number("transaction.max.timeout.ms");
        self.transactional_id_check =
            self.millis("transaction.remove.expired.transaction.cleanup.interval.ms");
        self.transactions_partitions = self.number("transaction.state.log.num.partitions");
        self.transactions_segment_bytes = self.number("transaction.state.log.segment.bytes");
        self.transactional_id_expiration = self.millis("transactional.id.expiration.ms");
    }

    /// A number whose text was checked, or is a default.
    fn number(&self, name: &str) -> i32 {
        i32::try_from(self.long(name)).unwrap_or(i32::MAX)
    }

    fn long(&self, name: &str) -> i64 {
        let text = self.value(name).unwrap_or_default();
        debug_assert!(text.parse::<i64>().is_ok(), "{name} has no number");
        text.parse().unwrap_or_default()
    }

    /// The least and the most that a consumer group may set for this property.
    fn bounds_of_groups(&self, name: &str) -> (i64, i64) {
        let bound = |which: &str| self.long(&format!("group.consumer.{which}.{name}"));
        (bound("min"), bound("max"))
    }

    fn count(&self, name: &str) -> usize {
        usize::try_from(self.long(name)).unwrap_or_default()
    }

    fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.long(name)).unwrap_or_default())
    }

    fn text(&self, name: &str) -> String {
        self.value(name).unwrap_or_default().to_owned()
    }

    fn words(&self, name: &str) -> Vec<String> {
        let text = self.value(name).unwrap_or_default();
        list(text).map(str::to_owned).collect()
    }

    fn truth(&self, name: &str) -> bool {
        self.value(name).and_then(parse_bool).unwrap_or_default()
    }

    fn bare() -> Self {
        Self {
            given: BTreeMap::new(),
            node_id: 0,
            rack: None,
            partitions: 0,
            auto_create_topics: false,
            delete_topics: false,
            fetch_max_bytes: 0,
            request_max_bytes: 0,
            idle_max: Duration::ZERO,
            fetch_session_slots: 0,
            initial_rebalance_delay: Duration::ZERO,
            session_timeout_min_ms: 0,
            session_timeout_max_ms: 0,
            group_size_max: 0,
            consumer_group_assignors: Vec::new(),
            consumer_group_assignment_interval_bounds: (0, 0),
            consumer_group_heartbeat_interval_bounds: (0, 0),
            consumer_group_size_max: 0,
            consumer_group_migration_policy: String::new(),
            consumer_group_session_timeout_bounds: (0, 0),
            consumer_groups: false,
            offset_metadata_max: 0,
            offsets_partitions: 0,
            offsets_segment_bytes: 0,
            offsets_retention: Duration::ZERO,
            offsets_retention_check: Duration::ZERO,
            retention_check: Duration::ZERO,
            transaction_timeout_max_ms: 0,
            transactional_id_check: Duration::ZERO,
            transactions_partitions: 0,
            transactions_segment_bytes: 0,
            transactional_id_expiration: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_fits_its_own_row() {
        for property in BROKER_PROPERTIES {
            if let Some(default) = property.default {
                property.check(default).unwrap();
            }
        }
        assert!(BROKER_PROPERTIES.is_sorted_by_key(|property| property.name));
        BrokerConfig::new([]).unwrap();
    }

    #[test]
    fn what_is_set_holds_and_what_is_not_is_the_default() {
        let config = BrokerConfig::new([("num.partitions", " 7"), ("broker.id", "5")]).unwrap();
        assert_eq!((config.partitions, config.node_id), (7, 5));
        assert_eq!(config.offsets_retention, Duration::from_secs(7 * 24 * 3600));
        assert_eq!(config.given("node.id"), Some("5"));
        assert_eq!(config.given("message.max.bytes"), None);
        assert_eq!(config.value("message.max.bytes"), Some("1048588"));
    }

    #[test]
    fn unknown_names_and_bad_values_are_refused_by_name() {
        let error = BrokerConfig::new([("num.partition", "7")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown configuration num.partition (did you mean num.partitions?)"
        );
        let error = BrokerConfig::new([("num.partitions", "0")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value 0 for configuration num.partitions: must be at least 1"
        );
        let same = BrokerConfig::new([("broker.id", "6"), ("node.id", "6")]);
        assert_eq!(same.unwrap().node_id, 6);
        let error = BrokerConfig::new([("broker.id", "6"), ("node.id", "5")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value 6 for configuration broker.id: must be that of node.id, which is 5"
        );
    }
}
