//! Where transactional ids are saved, and how partitions learn of the end of a transaction: the topic
//! `__transaction_state`, and a marker in every partition that takes part.

use std::sync::Arc;

use kafka_protocol::record::{BatchOptions, EndTransactionMarker};

use crate::config::broker::BrokerConfig;
use crate::config::overrides::Overrides;
use crate::state::catalog::Catalog;
use crate::state::coordinator_hash::partition_for;
use crate::state::group_record::KeyValue;
use crate::state::groups::Groups;
use crate::state::partition::{Partition, PartitionError};
use crate::state::record_log;
use crate::state::refusal::Refusal;
use crate::state::time::Now;
use crate::state::topic_name::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC};
use crate::state::topics::{NewTopic, Topic};
use crate::state::transaction::Participant;
use crate::state::transactions::{TransactionEnd, TransactionStore};

#[cfg(test)]
mod tests;

/// The topic that transactional ids are saved in, and the partitions of all others.
#[derive(Debug)]
pub(crate) struct TransactionTopic {
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) groups: Arc<Groups>,
}

impl TransactionTopic {
    /// Makes sure that there is a topic to keep transactional ids in.
    pub(crate) fn ensure(&self, now: Now) -> Result<Arc<Topic>, Refusal> {
        let config = &self.config;
        self.catalog
            .ensure_topic(now, TRANSACTIONS_TOPIC, |id| NewTopic {
                name: TRANSACTIONS_TOPIC.into(),
                id,
                partitions: config.transactions_partitions,
                overrides: Overrides::from([
                    ("cleanup.policy".to_owned(), "compact".to_owned()),
                    (
                        "segment.bytes".to_owned(),
                        config.transactions_segment_bytes.to_string(),
                    ),
                ]),
            })
    }

    /// The partition that an id is saved in.
    fn home(&self, now: Now, id: &str) -> Result<Arc<Partition>, String> {
        let topic = self.ensure(now).map_err(|error| error.to_string())?;
        let partition = topic.partition(partition_for(id, partition_count(&topic)));
        let partition = partition.ok_or_else(|| format!("{TRANSACTIONS_TOPIC} is empty"))?;
        Ok(Arc::clone(partition))
    }

    /// Writes the marker that ends a transaction into a partition, and where offsets were committed
    /// in it lets their groups know.
    pub(crate) fn write_marker(
        &self,
        now: Now,
        topic: &Topic,
        index: i32,
        coordinator_epoch: i32,
        end: TransactionEnd,
    ) -> Result<(), PartitionError> {
        let partition = topic.partition(index).ok_or(PartitionError::Gone)?;
        let producer = end.producer;
        let marker = EndTransactionMarker::new(end.commit, coordinator_epoch).batch(
            producer.producer_id,
            producer.epoch,
            now.unix_ms,
            BatchOptions::new(),
        );
        partition.append_marker(&marker, now.unix_ms)?;
        if topic.name == OFFSETS_TOPIC {
            let count = partition_count(topic);
            let is_here = |group: &str| partition_for(group, count) == index;
            self.groups
                .handle_transaction_end(now, producer.producer_id, end.commit, is_here);
        }
        Ok(())
    }
}

impl TransactionStore for TransactionTopic {
    fn save(&self, now: Now, id: &str, (key, value): KeyValue) -> bool {
        let saved = self.home(now, id).and_then(|partition| {
            record_log::append(&partition, [(Some(key), value)], now.unix_ms)
                .map_err(|error| error.to_string())
        });
        if let Err(error) = &saved {
            tracing::error!(id, "cannot save the transactional id: {error}");
        }
        saved.is_ok()
    }

    fn mark(&self, now: Now, id: &str, partition: &Participant, end: TransactionEnd) -> bool {
        let (name, index) = partition;
        let Some(topic) = self.catalog.topics.table().by_name(name).cloned() else {
            return true;
        };
        let marked = match self.home(now, id) {
            Ok(home) => self
                .write_marker(now, &topic, *index, home.leader_epoch, end)
                .or_else(|error| match error {
                    PartitionError::Gone => Ok(()),
                    error => Err(error.to_string()),
                }),
            Err(error) => Err(error),
        };
        if let Err(error) = &marked {
            tracing::error!(id, topic = %name, index, "cannot end the transaction: {error}");
        }
        marked.is_ok()
    }

    fn fresh_producer_id(&self, now: Now) -> Option<i64> {
        let id = self.catalog.next_producer_id(now);
        if let Err(error) = &id {
            tracing::error!("cannot give out a producer id: {error}");
        }
        id.ok()
    }
}

fn partition_count(topic: &Topic) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}
