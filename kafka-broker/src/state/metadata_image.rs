//! What the metadata log says, record by record: topics, their partitions and settings, and how far
//! producer ids are given out. Knows no log.

use std::collections::BTreeMap;

use bytestring::ByteString;
use kafka_protocol::Uuid;
use kafka_protocol::messages::{
    ConfigRecord, FeatureLevelRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord,
    RemoveTopicRecord, TopicRecord,
};

use crate::config::overrides::Overrides;
use crate::state::metadata_record::MetadataRecord;

/// The sum of all metadata records so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MetadataImage {
    /// The topics by id.
    pub(crate) topics: BTreeMap<Uuid, TopicImage>,
    /// Settings of topics by name: they are written beside the topic, before or after it.
    configs: BTreeMap<ByteString, Overrides>,
    /// Settings made for brokers while they run, by the number of the broker; by no name for all of them.
    pub(crate) brokers: BTreeMap<ByteString, Overrides>,
    /// Settings of groups by name.
    pub(crate) groups: BTreeMap<ByteString, Overrides>,
    /// The first producer id that nobody was given yet.
    pub(crate) next_producer_id: i64,
    /// Whether it says how records of it are to be read, by Kafka's `metadata.version`.
    pub(crate) has_version: bool,
}

/// A topic of the image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicImage {
    pub(crate) name: ByteString,
    /// Leader epochs by partition.
    pub(crate) partitions: BTreeMap<i32, i32>,
}

impl MetadataImage {
    /// Takes in the next record.
    pub(crate) fn apply(&mut self, record: MetadataRecord) {
        match record {
            MetadataRecord::Topic(record) => {
                let topic = TopicImage {
                    name: record.name,
                    partitions: BTreeMap::new(),
                };
                self.topics.insert(record.topic_id, topic);
            }
            MetadataRecord::Partition(record) => {
                if let Some(topic) = self.topics.get_mut(&record.topic_id) {
                    topic
                        .partitions
                        .insert(record.partition_id, record.leader_epoch);
                }
            }
            MetadataRecord::PartitionChange(record) => {
                if record.leader == SAME_LEADER {
                    return;
                }
                let topic = self.topics.get_mut(&record.topic_id);
                let epoch = topic.and_then(|topic| topic.partitions.get_mut(&record.partition_id));
                if let Some(epoch) = epoch {
                    *epoch += 1;
                }
            }
            MetadataRecord::Config(record) => self.apply_config(record),
            MetadataRecord::RemoveTopic(record) => {
                if let Some(topic) = self.topics.remove(&record.topic_id) {
                    self.configs.remove(&topic.name);
                }
            }
            MetadataRecord::ProducerIds(record) => {
                self.next_producer_id = self.next_producer_id.max(record.next_producer_id);
            }
            MetadataRecord::FeatureLevel(record) => {
                self.has_version |= record.name == METADATA_VERSION;
            }
            MetadataRecord::Other(_) => {}
        }
    }

    /// The settings of a topic.
    pub(crate) fn topic_config(&self, name: &str) -> Overrides {
        self.configs.get(name).cloned().unwrap_or_default()
    }

    fn apply_config(&mut self, record: ConfigRecord) {
        let configs = match record.resource_type {
            TOPIC_RESOURCE => &mut self.configs,
            BROKER_RESOURCE => &mut self.brokers,
            GROUP_RESOURCE => &mut self.groups,
            _ => return,
        };
        let overrides = configs.entry(record.resource_name).or_default();
        match record.value {
            Some(value) => overrides.insert(record.name.to_string(), value.to_string()),
            None => overrides.remove(record.name.as_ref() as &str),
        };
    }
}

/// The records that begin a metadata log: without them Kafka does not read what follows.
pub(crate) fn feature_records() -> Vec<MetadataRecord> {
    let record = |(name, level): &(&str, i16)| {
        let mut record = FeatureLevelRecord::default();
        record.name = (*name).into();
        record.feature_level = *level;
        MetadataRecord::FeatureLevel(record)
    };
    FEATURES.iter().map(record).collect()
}

/// The records that make a topic.
pub(crate) fn topic_records(
    name: &ByteString,
    id: Uuid,
    partitions: i32,
    configs: &Overrides,
    node_id: i32,
) -> Vec<MetadataRecord> {
    let mut topic = TopicRecord::default();
    topic.name = name.clone();
    topic.topic_id = id;
    let mut records = vec![MetadataRecord::Topic(topic)];
    records.extend(config_records(
        TOPIC_RESOURCE,
        name,
        &Overrides::new(),
        configs,
    ));
    records.extend((0..partitions).map(|index| partition_record(id, index, node_id)));
    records
}

/// The record that makes a partition whose only replica is this node.
pub(crate) fn partition_record(id: Uuid, index: i32, node_id: i32) -> MetadataRecord {
    let mut record = PartitionRecord::default();
    record.partition_id = index;
    record.topic_id = id;
    record.replicas = [node_id].into();
    record.isr = [node_id].into();
    record.leader = node_id;
    record.leader_epoch = 0;
    record.partition_epoch = 0;
    MetadataRecord::Partition(record)
}

/// The record that begins a new leader epoch of a partition, with the leader as it was.
pub(crate) fn epoch_record(id: Uuid, index: i32, node_id: i32) -> MetadataRecord {
    let mut record = PartitionChangeRecord::default();
    record.partition_id = index;
    record.topic_id = id;
    record.leader = node_id;
    MetadataRecord::PartitionChange(record)
}

/// The records that make the settings of a topic, a broker or a group what they shall be of what they are.
pub(crate) fn config_records(
    resource_type: i8,
    name: &ByteString,
    before: &Overrides,
    after: &Overrides,
) -> Vec<MetadataRecord> {
    let removed = before.keys().filter(|key| !after.contains_key(*key));
    let removed = removed.map(|key| (key, None));
    let set = after.iter();
    let set = set.filter(|(key, value)| before.get(*key) != Some(value));
    let set = set.map(|(key, value)| (key, Some(value.as_str().into())));
    let record = |(key, value): (&String, _)| {
        let mut record = ConfigRecord::default();
        record.resource_type = resource_type;
        record.resource_name = name.clone();
        record.name = key.as_str().into();
        record.value = value;
        MetadataRecord::Config(record)
    };
    removed.chain(set).map(record).collect()
}

/// The record that removes a topic.
pub(crate) fn remove_topic_record(id: Uuid) -> MetadataRecord {
    let mut record = RemoveTopicRecord::default();
    record.topic_id = id;
    MetadataRecord::RemoveTopic(record)
}

/// The record that says that producer ids below `next` are taken.
pub(crate) fn producer_ids_record(node_id: i32, next: i64) -> MetadataRecord {
    let mut record = ProducerIdsRecord::default();
    record.broker_id = node_id;
    record.next_producer_id = next;
    MetadataRecord::ProducerIds(record)
}

const METADATA_VERSION: &str = "metadata.version";

/// What Kafka 4.0 has begun with, which every later release reads.
const FEATURES: &[(&str, i16)] = &[
    (METADATA_VERSION, 25),
    ("group.version", 1),
    ("transaction.version", 2),
];

/// A topic, as what has settings.
pub(crate) const TOPIC_RESOURCE: i8 = 2;

/// A broker, or all of them, as what has settings.
pub(crate) const BROKER_RESOURCE: i8 = 4;

/// A group, as what has settings.
pub(crate) const GROUP_RESOURCE: i8 = 32;

/// What stands for the leader in a change that leaves it, and its epoch, alone.
const SAME_LEADER: i32 = -2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_make_topics_change_them_and_take_them_away() {
        let mut image = MetadataImage::default();
        let id = Uuid([7; 16]);
        let configs = Overrides::from([("retention.ms".to_owned(), "5".to_owned())]);
        let name = ByteString::from("t");
        let mut records = topic_records(&name, id, 2, &configs, 1);
        records.push(partition_record(id, 2, 1));
        records.push(epoch_record(id, 1, 1));
        records.push(producer_ids_record(1, 2000));
        for record in records {
            // As it comes back from the log.
            let decoded = MetadataRecord::decode(record.encode().unwrap()).unwrap();
            assert_eq!(decoded, record);
            image.apply(decoded);
        }
        let topic = &image.topics[&id];
        assert_eq!(topic.name, "t");
        assert_eq!(topic.partitions, BTreeMap::from([(0, 0), (1, 1), (2, 0)]));
        assert_eq!(image.topic_config("t"), configs);
        assert_eq!(image.next_producer_id, 2000);
        assert!(!image.has_version);
        for record in feature_records() {
            image.apply(MetadataRecord::decode(record.encode().unwrap()).unwrap());
        }
        assert!(image.has_version);

        let none = Overrides::new();
        // A group or a broker of the same name has settings of its own.
        for resource in [GROUP_RESOURCE, BROKER_RESOURCE] {
            for record in config_records(resource, &name, &none, &configs) {
                image.apply(MetadataRecord::decode(record.encode().unwrap()).unwrap());
            }
        }
        for record in config_records(TOPIC_RESOURCE, &name, &configs, &none) {
            image.apply(record);
        }
        assert_eq!(image.topic_config("t"), none);
        assert_eq!(image.groups[&name], configs);
        assert_eq!(image.brokers[&name], configs);
        image.apply(remove_topic_record(id));
        assert!(image.topics.is_empty());
    }
}
