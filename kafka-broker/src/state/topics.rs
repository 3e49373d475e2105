//! The topics of the broker as a table that is read far more often than it changes.
//!
//! A reader takes the table as it is and keeps it for one request; a change makes a new table. Knows
//! no files.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bytestring::ByteString;
use kafka_protocol::{ErrorCode, Uuid};

use crate::config::effective::EffectiveConfig;
use crate::config::overrides::Overrides;
use crate::config::topic::TopicConfig;
use crate::log::LogConfig;
use crate::state::partition::Partition;
use crate::state::refusal::Refusal;
use crate::state::time::millis;
use crate::state::topic_image::TopicImage;
use crate::state::topic_name::{check_topic_name, is_internal, names_collide};

/// A topic to be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewTopic {
    pub(crate) name: ByteString,
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    pub(crate) overrides: Overrides,
}

/// A topic as it stands.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: ByteString,
    pub(crate) id: Uuid,
    /// Whether the broker keeps it for itself.
    pub(crate) is_internal: bool,
    /// What was set for it.
    pub(crate) overrides: Overrides,
    /// What holds for it.
    pub(crate) config: TopicConfig,
    /// Its partitions from 0 on.
    pub(crate) partitions: Vec<Arc<Partition>>,
}

impl Topic {
    /// The topic with these partitions.
    pub(crate) fn new(
        broker: &EffectiveConfig,
        name: ByteString,
        id: Uuid,
        overrides: Overrides,
        partitions: Vec<Arc<Partition>>,
    ) -> Self {
        let config = TopicConfig::new(broker, &overrides);
        Self {
            is_internal: is_internal(&name),
            name,
            id,
            overrides,
            config,
            partitions,
        }
    }

    /// The topic with what the broker now says of all that is not set for it.
    pub(crate) fn under(&self, broker: &EffectiveConfig) -> Self {
        let overrides = self.overrides.clone();
        let partitions = self.partitions.clone();
        Self::new(broker, self.name.clone(), self.id, overrides, partitions)
    }

    /// The partition of this number.
    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

/// All topics at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicTable {
    by_name: BTreeMap<ByteString, Arc<Topic>>,
    by_id: BTreeMap<Uuid, Arc<Topic>>,
    /// Counts the changes.
    version: u64,
    /// Whether an append to one of the topics waits for the disk.
    is_any_synced: bool,
}

impl TopicTable {
    /// The topic of this name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// The topic of this id.
    pub(crate) fn by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// All topics by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// Whether an append may have to wait for the disk because a topic wants it so.
    pub(crate) fn is_any_synced(&self) -> bool {
        self.is_any_synced
    }

    /// Tells whether a topic of this name may be made.
    pub(crate) fn check_new(&self, name: &str) -> Result<(), Refusal> {
        check_topic_name(name).map_err(|error| {
            Refusal::new(
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                format!("{error}: \"{name}\""),
            )
        })?;
        if self.by_name.contains_key(name) {
            return Err(Refusal::new(
                ErrorCode::TOPIC_ALREADY_EXISTS,
                format!("topic {name} already exists"),
            ));
        }
        // Only names with one of the two can collide, and most have neither.
        if name.contains(['.', '_'])
            && let Some(other) = self.by_name.keys().find(|other| names_collide(name, other))
        {
            return Err(Refusal::new(
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                format!("topic {name} collides with the topic {other}"),
            ));
        }
        Ok(())
    }

    /// Puts a topic in, in the place of one with its id.
    pub(crate) fn insert(&mut self, topic: Arc<Topic>) {
        self.by_name.insert(topic.name.clone(), Arc::clone(&topic));
        self.by_id.insert(topic.id, topic);
    }

    /// Takes a topic out.
    pub(crate) fn remove(&mut self, id: Uuid) {
        if let Some(topic) = self.by_id.remove(&id) {
            self.by_name.remove(&topic.name);
        }
    }
}

impl TopicImage for TopicTable {
    fn version(&self) -> u64 {
        self.version
    }

    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        let topic = self.by_name(name)?;
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        Some((topic.id, partitions))
    }

    fn name_of(&self, id: Uuid) -> Option<ByteString> {
        Some(self.by_id(id)?.name.clone())
    }

    fn names(&self) -> Box<dyn Iterator<Item = &ByteString> + '_> {
        Box::new(self.by_name.keys())
    }
}

/// The table of topics, for many readers and a writer.
#[derive(Default)]
pub(crate) struct Topics {
    table: RwLock<Arc<TopicTable>>,
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics")
            .field("count", &self.table().by_id.len())
            .finish()
    }
}

impl Topics {
    /// The table as it is now.
    pub(crate) fn table(&self) -> Arc<TopicTable> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the table. Whoever changes it must be the only one, since what two read at the same
    /// time only one can write.
    pub(crate) fn change(&self, change: impl FnOnce(&mut TopicTable)) {
        let mut table = TopicTable::clone(&self.table());
        table.version += 1;
        change(&mut table);
        let is_any_synced = table.iter().any(|topic| topic.config.is_synced());
        table.is_any_synced = is_any_synced;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }
}

/// How the logs of a topic are kept.
pub(crate) fn log_config(broker: &EffectiveConfig, topic: &TopicConfig) -> LogConfig {
    let size = |bytes: i32| usize::try_from(bytes).unwrap_or_default();
    LogConfig {
        delete: topic.delete,
        compact: topic.compact,
        segment_bytes: size(topic.segment_bytes),
        segment_ms: topic.segment_ms,
        segment_jitter_ms: topic.segment_jitter_ms,
        segment_index_bytes: size(topic.segment_index_bytes),
        index_interval_bytes: size(topic.index_interval_bytes),
        max_message_bytes: size(topic.message_max_bytes),
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes,
        flush_messages: topic.flush_messages,
        flush_ms: topic.flush_ms,
        message_timestamp_type: topic.timestamp_type,
        message_timestamp_before_max_ms: topic.timestamp_before_max_ms,
        message_timestamp_after_max_ms: topic.timestamp_after_max_ms,
        delete_retention_ms: topic.delete_retention_ms,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: topic.min_cleanable_ratio,
        producer_id_expiration_ms: millis(broker.producer_expiration),
        ..LogConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::broker::BrokerConfig;

    fn broker() -> EffectiveConfig {
        EffectiveConfig::at_start(Arc::new(BrokerConfig::new([]).unwrap()))
    }

    #[test]
    fn names_that_exist_or_collide_are_refused() {
        let broker = broker();
        let topics = Topics::default();
        let before = topics.table();
        topics.change(|table| {
            let topic = Topic::new(
                &broker,
                "a.b".into(),
                Uuid([1; 16]),
                Overrides::new(),
                Vec::new(),
            );
            table.insert(Arc::new(topic));
        });
        assert!(
            before.check_new("a.b").is_ok(),
            "a table that was taken stays as it is"
        );
        let table = topics.table();
        let code = |name: &str| table.check_new(name).unwrap_err().code();
        assert_eq!(code("a.b"), ErrorCode::TOPIC_ALREADY_EXISTS);
        assert_eq!(code("a_b"), ErrorCode::INVALID_TOPIC_EXCEPTION);
        assert_eq!(code("a/b"), ErrorCode::INVALID_TOPIC_EXCEPTION);
        assert!(table.check_new("a-b").is_ok());
        topics.change(|table| table.remove(Uuid([1; 16])));
        assert!(topics.table().check_new("a.b").is_ok());
    }

    #[test]
    fn an_append_waits_for_the_disk_as_long_as_a_topic_wants_it_synced() {
        let broker = broker();
        let topics = Topics::default();
        let put = |id, set: &[(&str, &str)]| {
            let set = set.iter();
            let set = set.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let (name, id) = (format!("t{id}").into(), Uuid([id; 16]));
            let topic = Topic::new(&broker, name, id, set.collect(), vec![]);
            topics.change(|table| table.insert(Arc::new(topic)));
            topics.table().is_any_synced()
        };
        assert!(!put(1, &[]));
        assert!(!put(1, &[("compression.type", "gzip")]));
        assert!(put(2, &[("flush.messages", "1")]));
        assert!(put(1, &[]), "the other one does");
        assert!(!put(2, &[]));
        assert!(put(1, &[("flush.messages", "5")]));
        topics.change(|table| table.remove(Uuid([1; 16])));
        assert!(!topics.table().is_any_synced());
    }

    #[test]
    fn the_defaults_of_topics_are_those_of_logs() {
        let broker = broker();
        let topic = TopicConfig::new(&broker, &Overrides::new());
        assert_eq!(log_config(&broker, &topic), LogConfig::default());
    }
}
