//! The broker as its handlers see it.

use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;
use kafka_protocol::{ApiKey, Uuid, VersionRange};

use crate::config::broker::BrokerConfig;
use crate::config::overrides::Overrides;
use crate::state::catalog::Catalog;
use crate::state::classic_group::Limits;
use crate::state::compressors::Compressors;
use crate::state::consumer_group::assignor::Assignor;
use crate::state::consumer_group::limits::{ConsumerGroupLimits, MigrationPolicy};
use crate::state::coordinator_hash::partition_for;
use crate::state::fetch_sessions::FetchSessions;
use crate::state::group_members::GroupLimits;
use crate::state::group_record::{GroupRecord, KeyValue};
use crate::state::groups::{GroupStore, Groups};
use crate::state::partition::{Partition, PartitionError};
use crate::state::record_log::{self, LogEntry, ReadError};
use crate::state::refusal::Refusal;
use crate::state::time::Now;
use crate::state::topic_name::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC};
use crate::state::topics::{NewTopic, Topic, Topics};
use crate::state::transaction::{Participant, ProducerClaim};
use crate::state::transaction_record::TransactionRecord;
use crate::state::transaction_topic::TransactionTopic;
use crate::state::transactions::Transactions;
use crate::state::unpackers::Unpackers;

/// The state of one broker.
#[derive(Debug)]
pub(crate) struct Node {
    /// How it is configured.
    pub(crate) config: Arc<BrokerConfig>,
    /// The cluster that it is.
    pub(crate) cluster_id: ByteString,
    /// What it serves.
    pub(crate) apis: Vec<ServedApi>,
    /// Whether clients are told of Kafka's features and their levels.
    pub(crate) has_features: bool,
    /// Consumers, their generations and offsets.
    pub(crate) groups: Arc<Groups>,
    /// What batches are compressed with that do not come as their topic wants them.
    pub(crate) compressors: Compressors,
    /// What batches are unpacked with when they come.
    pub(crate) unpackers: Unpackers,
    /// What readers want from fetch to fetch.
    pub(crate) fetch_sessions: FetchSessions,
    /// Transactional ids and their transactions.
    pub(crate) transactions: Transactions,
    /// Where these are kept, and how partitions learn of their ends.
    pub(crate) transaction_topic: Arc<TransactionTopic>,
    catalog: Arc<Catalog>,
    random: Random,
}

/// An API that is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServedApi {
    /// Which.
    pub(crate) key: ApiKey,
    /// The versions that are answered.
    pub(crate) served: VersionRange,
    /// The versions that clients are told of.
    pub(crate) advertised: VersionRange,
}

/// A source of randomness, from above.
#[derive(Clone, Copy)]
struct Random(fn() -> [u8; 16]);

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

impl Node {
    /// A broker with all that the catalog knows; groups and transactional ids are as they were saved,
    /// and transactions whose end was decided are ended. Of large batches so many are unpacked at once.
    pub(crate) fn new(
        config: Arc<BrokerConfig>,
        catalog: Arc<Catalog>,
        apis: Vec<ServedApi>,
        has_features: bool,
        large_at_once: usize,
        random: fn() -> [u8; 16],
        now: Now,
    ) -> Result<Self, ReadError> {
        let store = OffsetsTopic {
            config: Arc::clone(&config),
            catalog: Arc::clone(&catalog),
        };
        let configs = Arc::clone(&catalog.group_configs);
        let groups = Groups::new(group_limits(&config), configs, Arc::new(store));
        let groups = Arc::new(groups);
        let transaction_topic = Arc::new(TransactionTopic {
            config: Arc::clone(&config),
            catalog: Arc::clone(&catalog),
            groups: Arc::clone(&groups),
        });
        let transactions = Transactions::new(
            config.transaction_timeout_max_ms,
            Arc::<TransactionTopic>::clone(&transaction_topic),
        );
        let is_served = |api: &ServedApi| config.consumer_groups || !is_of_consumer_groups(api.key);
        let node = Self {
            cluster_id: catalog.cluster_id().into(),
            apis: apis.into_iter().filter(is_served).collect(),
            has_features,
            groups,
            compressors: Compressors::default(),
            unpackers: Unpackers::new(large_at_once),
            fetch_sessions: FetchSessions::new(config.fetch_session_slots),
            transactions,
            transaction_topic,
            config,
            catalog,
            random: Random(random),
        };
        node.restore_groups(now)?;
        node.restore_transactions(now)?;
        Ok(node)
    }

    /// The table of topics and who changes it.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The topics.
    pub(crate) fn topics(&self) -> &Topics {
        &self.catalog.topics
    }

    /// Whether an API is answered in this version.
    pub(crate) fn serves(&self, key: ApiKey, version: i16) -> bool {
        self.apis
            .iter()
            .any(|api| api.key == key && api.served.contains(version))
    }

    /// Sixteen bytes that nobody could guess.
    pub(crate) fn random(&self) -> [u8; 16] {
        (self.random.0)()
    }

    /// Makes sure that there is a topic to keep groups in.
    pub(crate) fn ensure_offsets_topic(&self, now: Now) -> Result<(), Refusal> {
        ensure_offsets_topic(&self.config, &self.catalog, now).map(drop)
    }

    /// The partition that a group's offsets are saved in, as it takes part in transactions.
    pub(crate) fn home_of_group(&self, now: Now, group: &str) -> Result<Participant, Refusal> {
        let topic = ensure_offsets_topic(&self.config, &self.catalog, now)?;
        Ok((topic.name.clone(), home_of(group, &topic)))
    }

    /// Deletes a topic, its records, and what was committed for it.
    pub(crate) fn delete_topic(&self, now: Now, id: Uuid) -> Result<(), Refusal> {
        let topic = self.catalog.delete_topic(now, id)?;
        self.groups.handle_topic_deleted(now, &topic.name);
        Ok(())
    }

    fn restore_groups(&self, now: Now) -> Result<(), ReadError> {
        let table = self.topics().table();
        let Some(topic) = table.by_name(OFFSETS_TOPIC) else {
            return Ok(());
        };
        for partition in &topic.partitions {
            let is_here = |group: &str| home_of(group, topic) == partition.index;
            record_log::read_entries(partition, |entry| {
                self.restore_group(now, entry, is_here);
            })?;
        }
        self.groups.handle_restored(now);
        Ok(())
    }

    /// Takes in what the partition has in which groups are saved that are `is_here`.
    fn restore_group(&self, now: Now, entry: LogEntry, is_here: impl Fn(&str) -> bool) {
        let (producer_id, (key, value)) = match entry {
            LogEntry::Record(pair) => (None, pair),
            LogEntry::InTransaction(producer_id, pair) => (Some(producer_id), pair),
            LogEntry::TransactionEnd(producer_id, commit) => {
                let groups = &self.groups;
                return groups.handle_transaction_end(now, producer_id, commit, is_here);
            }
        };
        match (
            GroupRecord::decode(key.unwrap_or_default(), value),
            producer_id,
        ) {
            (Ok(record), None) => self.groups.restore(now, record),
            (Ok(record), Some(id)) => self.groups.restore_in_transaction(now, id, record),
            (Err(error), _) => {
                tracing::error!("a record of {OFFSETS_TOPIC} is passed over: {error}");
            }
        }
    }

    fn restore_transactions(&self, now: Now) -> Result<(), ReadError> {
        let table = self.topics().table();
        let Some(topic) = table.by_name(TRANSACTIONS_TOPIC) else {
            return Ok(());
        };
        for partition in &topic.partitions {
            record_log::read_all(partition, |(key, value)| {
                match TransactionRecord::decode(key.unwrap_or_default(), value) {
                    Ok(record) => self.transactions.restore(record),
                    Err(error) => {
                        tracing::error!("a record of {TRANSACTIONS_TOPIC} is passed over: {error}");
                    }
                }
            })?;
        }
        self.transactions.handle_restored(now);
        Ok(())
    }
}

/// The topic that groups are saved in.
#[derive(Debug)]
struct OffsetsTopic {
    config: Arc<BrokerConfig>,
    catalog: Arc<Catalog>,
}

impl GroupStore for OffsetsTopic {
    fn save(&self, now: Now, group: &str, records: Vec<KeyValue>) -> bool {
        self.write(now, group, |partition| {
            let records = records.into_iter().map(|(key, value)| (Some(key), value));
            record_log::append(partition, records, now.unix_ms)
        })
    }

    fn save_in_transaction(
        &self,
        now: Now,
        group: &str,
        producer: ProducerClaim,
        records: Vec<KeyValue>,
    ) -> bool {
        self.write(now, group, |partition| {
            let records = records.into_iter().map(|(key, value)| (Some(key), value));
            record_log::append_in_transaction(partition, producer, records, now.unix_ms)
        })
    }
}

impl OffsetsTopic {
    /// Writes to the partition that a group is saved in.
    fn write(
        &self,
        now: Now,
        group: &str,
        write: impl FnOnce(&Partition) -> Result<(), PartitionError>,
    ) -> bool {
        let saved = ensure_offsets_topic(&self.config, &self.catalog, now)
            .map_err(|error| error.to_string())
            .and_then(|topic| {
                let partition = topic.partition(home_of(group, &topic));
                let partition = partition.ok_or_else(|| format!("{OFFSETS_TOPIC} is empty"))?;
                write(partition).map_err(|error| error.to_string())
            });
        if let Err(error) = &saved {
            tracing::error!(group, "cannot save the group: {error}");
        }
        saved.is_ok()
    }
}

/// Whether an API is of use for consumer groups alone.
fn is_of_consumer_groups(key: ApiKey) -> bool {
    matches!(
        key,
        ApiKey::ConsumerGroupHeartbeat | ApiKey::ConsumerGroupDescribe
    )
}

fn group_limits(config: &BrokerConfig) -> GroupLimits {
    let assignors = config.consumer_group_assignors.iter();
    let policy = MigrationPolicy::named(&config.consumer_group_migration_policy);
    GroupLimits {
        classic: Limits {
            initial_rebalance_delay: config.initial_rebalance_delay,
            size_max: config.group_size_max,
            pending_room: Arc::default(),
        },
        consumer: Arc::new(ConsumerGroupLimits {
            size_max: config.consumer_group_size_max,
            assignors: assignors.filter_map(|name| Assignor::named(name)).collect(),
            migration: policy.unwrap_or(MigrationPolicy::Bidirectional),
            rack: config.rack.clone(),
        }),
    }
}

/// The number of the partition that a group is saved in.
fn home_of(group: &str, topic: &Topic) -> i32 {
    let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    partition_for(group, count)
}

fn ensure_offsets_topic(
    config: &BrokerConfig,
    catalog: &Catalog,
    now: Now,
) -> Result<Arc<Topic>, Refusal> {
    catalog.ensure_topic(now, OFFSETS_TOPIC, |id| NewTopic {
        name: OFFSETS_TOPIC.into(),
        id,
        partitions: config.offsets_partitions,
        overrides: Overrides::from([
            ("cleanup.policy".to_owned(), "compact".to_owned()),
            ("compression.type".to_owned(), "producer".to_owned()),
            (
                "segment.bytes".to_owned(),
                config.offsets_segment_bytes.to_string(),
            ),
        ]),
    })
}
