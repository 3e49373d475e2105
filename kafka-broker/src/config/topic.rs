//! The configuration of a topic: its own settings over the broker's defaults.

use kafka_protocol::record::TimestampType;

use crate::config::codec::Codec;
use crate::config::effective::EffectiveConfig;
use crate::config::overrides::Overrides;
use crate::config::property::list;
use crate::config::topic_properties::topic_property;

/// What holds for a topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicConfig {
    /// `compression.type` with the level of its codec; `None` for the producer's own.
    pub(crate) codec: Option<Codec>,
    /// `cleanup.policy` contains `compact`.
    pub(crate) compact: bool,
    /// `cleanup.policy` contains `delete`.
    pub(crate) delete: bool,
    /// `delete.retention.ms`.
    pub(crate) delete_retention_ms: i64,
    /// `file.delete.delay.ms`.
    pub(crate) file_delete_delay_ms: i64,
    /// `flush.messages`.
    pub(crate) flush_messages: i64,
    /// `flush.ms`.
    pub(crate) flush_ms: i64,
    /// `index.interval.bytes`.
    pub(crate) index_interval_bytes: i32,
    /// `max.message.bytes`.
    pub(crate) message_max_bytes: i32,
    /// `message.timestamp.after.max.ms`.
    pub(crate) timestamp_after_max_ms: i64,
    /// `message.timestamp.before.max.ms`.
    pub(crate) timestamp_before_max_ms: i64,
    /// `message.timestamp.type`.
    pub(crate) timestamp_type: TimestampType,
    /// `min.cleanable.dirty.ratio`.
    pub(crate) min_cleanable_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub(crate) min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub(crate) max_compaction_lag_ms: i64,
    /// `retention.bytes`.
    pub(crate) retention_bytes: i64,
    /// `retention.ms`.
    pub(crate) retention_ms: i64,
    /// `segment.bytes`.
    pub(crate) segment_bytes: i32,
    /// `segment.index.bytes`.
    pub(crate) segment_index_bytes: i32,
    /// `segment.jitter.ms`.
    pub(crate) segment_jitter_ms: i64,
    /// `segment.ms`.
    pub(crate) segment_ms: i64,
}

impl TopicConfig {
    /// Reads `overrides`, which were checked, over the defaults of `broker`.
    pub(crate) fn new(broker: &EffectiveConfig, overrides: &Overrides) -> Self {
        let value = |name: &str| effective(broker, overrides, name).unwrap_or_default();
        let long = |name: &str| value(name).trim().parse::<i64>().unwrap_or_default();
        let int = |name: &str| i32::try_from(long(name)).unwrap_or(i32::MAX);
        let policy = value("cleanup.policy");
        Self {
            codec: Codec::wanted(&value("compression.type"), value),
            compact: list(&policy).any(|word| word == "compact"),
            delete: list(&policy).any(|word| word == "delete"),
            delete_retention_ms: long("delete.retention.ms"),
            file_delete_delay_ms: long("file.delete.delay.ms"),
            flush_messages: long("flush.messages"),
            flush_ms: long("flush.ms"),
            index_interval_bytes: int("index.interval.bytes"),
            message_max_bytes: int("max.message.bytes"),
            timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            timestamp_type: match value("message.timestamp.type").as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_cleanable_ratio: value("min.cleanable.dirty.ratio")
                .trim()
                .parse()
                .unwrap_or_default(),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            retention_bytes: long("retention.bytes"),
            retention_ms: long("retention.ms"),
            segment_bytes: int("segment.bytes"),
            segment_index_bytes: int("segment.index.bytes"),
            segment_jitter_ms: long("segment.jitter.ms"),
            segment_ms: long("segment.ms"),
        }
    }

    /// Whether records must be durable before they are acknowledged, be it only some of them.
    pub(crate) fn is_synced(&self) -> bool {
        self.flush_messages < i64::MAX
    }
}

fn effective(broker: &EffectiveConfig, overrides: &Overrides, name: &str) -> Option<String> {
    Some(broker.value_of(overrides, topic_property(name)?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::broker::BrokerConfig;
    use crate::config::broker_properties::broker_property;
    use crate::config::overrides::check_override;
    use crate::config::topic_properties::TOPIC_PROPERTIES;

    #[test]
    fn defaults_agree_with_those_of_the_broker() {
        assert!(TOPIC_PROPERTIES.is_sorted_by_key(|property| property.name));
        let broker = EffectiveConfig::at_start(Arc::new(BrokerConfig::new([]).unwrap()));
        for property in TOPIC_PROPERTIES {
            property.check(property.default.unwrap()).unwrap();
            assert!(broker_property(property.broker_name.unwrap()).is_some());
            let value = broker.value_of(&Overrides::new(), property);
            assert_eq!(Some(&*value), property.default, "{}", property.name);
        }
        let config = TopicConfig::new(&broker, &Overrides::new());
        assert_eq!(config.retention_ms, 7 * 24 * 3_600_000);
        assert!(config.delete && !config.compact);
        let own = Overrides::from([("retention.ms".to_owned(), "5".to_owned())]);
        assert_eq!(TopicConfig::new(&broker, &own).retention_ms, 5);
    }

    #[test]
    fn unknown_topic_properties_are_refused() {
        assert!(check_override(TOPIC_PROPERTIES, "retention.ms", "1000").is_ok());
        assert!(check_override(TOPIC_PROPERTIES, "retention.ms", "soon").is_err());
        let error = check_override(TOPIC_PROPERTIES, "retention.mss", "1").unwrap_err();
        assert!(
            error.to_string().contains("did you mean retention.ms"),
            "{error}"
        );
    }
}
