//! What the broker has: topics, their partitions and settings, and how far producer ids are given
//! out, all of it kept in the metadata log.
//!
//! One change at a time, and each in the order that survives a crash: first the record, durable, then
//! the files, then the table that everyone sees. For a deletion the table comes first.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use kafka_protocol::{ErrorCode, Uuid};

use crate::config::broker::BrokerConfig;
use crate::config::effective::{EffectiveConfig, Scope};
use crate::config::group::GroupConfig;
use crate::config::overrides::Overrides;
use crate::config::topic::TopicConfig;
use crate::log::{
    DiskSpace, Log, LogConfig, LogDir, LogError, PartitionCheckpoint, TopicPartition,
};
use crate::state::group_configs::GroupConfigs;
use crate::state::live_config::LiveConfig;
use crate::state::metadata_image::{
    BROKER_RESOURCE, GROUP_RESOURCE, MetadataImage, TOPIC_RESOURCE, TopicImage, config_records,
    epoch_record, feature_records, partition_record, producer_ids_record, remove_topic_record,
    topic_records,
};
use crate::state::metadata_record::MetadataRecord;
use crate::state::partition::{Partition, PartitionError};
use crate::state::record_log::{self, Pair, ReadError};
use crate::state::refusal::Refusal;
use crate::state::time::Now;
use crate::state::topic_name::is_internal;
use crate::state::topics::{NewTopic, Topic, Topics, log_config};

/// What the broker has.
#[derive(Debug)]
pub(crate) struct Catalog {
    config: Arc<BrokerConfig>,
    /// How the broker is configured now.
    pub(crate) live: LiveConfig,
    dir: LogDir,
    metadata: Partition,
    /// The table that everyone sees.
    pub(crate) topics: Topics,
    /// What is set for single groups.
    pub(crate) group_configs: Arc<GroupConfigs>,
    /// Held by whoever changes something.
    changes: Mutex<Changes>,
    /// Held by whoever writes checkpoints, from the first look at a partition on: what is older must not be
    /// written last.
    checkpoints: Mutex<()>,
    random: fn() -> [u8; 16],
}

/// What only whoever changes something looks at.
#[derive(Debug)]
struct Changes {
    producer_ids: ProducerIds,
    /// What the metadata log has of settings made at run time, by broker: more than is heeded.
    written: BTreeMap<ByteString, Overrides>,
}

/// Producer ids that were set aside in the metadata log, and are given out from memory.
#[derive(Debug)]
struct ProducerIds {
    next: i64,
    end: i64,
}

/// Why what the broker has could not be read.
#[derive(Debug)]
pub(crate) enum CatalogError {
    /// A log refuses.
    Log(LogError),
    /// The metadata log makes no sense.
    Metadata(ReadError),
}

impl From<LogError> for CatalogError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl Catalog {
    /// Reads what lies in a directory, or begins anew if it is empty.
    pub(crate) fn open(
        config: Arc<BrokerConfig>,
        dir: LogDir,
        random: fn() -> [u8; 16],
        now: Now,
    ) -> Result<Self, CatalogError> {
        let name = TopicPartition::new(METADATA_TOPIC, 0)?;
        dir.create_partition(&name, METADATA_ID)?;
        let log = Log::open_in(&dir, &name, own_log(), now.unix_ms)?;
        // Kafka has begun an epoch with each start; ours goes on with the last.
        let epoch = log.latest_epoch().max(0);
        let metadata = Partition::new(METADATA_TOPIC.into(), 0, epoch, log);
        let image = read_image(&dir, &name, &metadata).map_err(CatalogError::Metadata)?;
        let next = image.next_producer_id;
        let groups = image.groups.clone();
        let effective = Arc::new(heeded(&config, &image.brokers));
        let catalog = Self {
            group_configs: Arc::new(GroupConfigs::new(Arc::clone(&effective), groups)),
            live: LiveConfig::new(effective),
            config,
            dir,
            metadata,
            topics: Topics::default(),
            changes: Mutex::new(Changes {
                producer_ids: ProducerIds { next, end: next },
                written: image.brokers.clone(),
            }),
            checkpoints: Mutex::default(),
            random,
        };
        if !image.has_version {
            catalog
                .append(now, feature_records())
                .map_err(into_log_error)?;
        }
        catalog.load(image, now)?;
        Ok(catalog)
    }

    /// Where the data lies.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// How much room there is where the data lies; `None` if nobody can tell.
    pub(crate) fn space(&self) -> Option<DiskSpace> {
        self.dir.space().unwrap_or_else(|error| {
            tracing::warn!("how much room there is: {}", chain(&error));
            None
        })
    }

    /// The cluster that the directory belongs to.
    pub(crate) fn cluster_id(&self) -> &str {
        self.dir.cluster_id()
    }

    /// Tells whether a topic could be made.
    pub(crate) fn check_new_topic(&self, topic: &NewTopic) -> Result<(), Refusal> {
        self.topics.table().check_new(&topic.name)?;
        if topic.partitions > PARTITIONS_MAX {
            return Err(Refusal::new(
                ErrorCode::INVALID_PARTITIONS,
                format!(
                    "{} partitions are more than {PARTITIONS_MAX}",
                    topic.partitions
                ),
            ));
        }
        Ok(())
    }

    /// Makes a topic.
    pub(crate) fn create_topic(&self, now: Now, topic: NewTopic) -> Result<Arc<Topic>, Refusal> {
        let changes = self.lock();
        self.check_new_topic(&topic)?;
        self.create(&changes, now, topic)
    }

    /// The topic of this name, made if there is none.
    pub(crate) fn ensure_topic(
        &self,
        now: Now,
        name: &str,
        plan: impl FnOnce(Uuid) -> NewTopic,
    ) -> Result<Arc<Topic>, Refusal> {
        if let Some(topic) = self.topics.table().by_name(name) {
            return Ok(Arc::clone(topic));
        }
        let changes = self.lock();
        // Another may have been quicker.
        if let Some(topic) = self.topics.table().by_name(name) {
            return Ok(Arc::clone(topic));
        }
        let topic = plan(Uuid((self.random)()));
        self.check_new_topic(&topic)?;
        self.create(&changes, now, topic)
    }

    /// Deletes a topic and all its records.
    pub(crate) fn delete_topic(&self, now: Now, id: Uuid) -> Result<Arc<Topic>, Refusal> {
        let _changes = self.lock();
        let topic = self.topics.table().by_id(id).cloned().ok_or_else(|| {
            Refusal::new(
                ErrorCode::UNKNOWN_TOPIC_ID,
                format!("no topic has the id {id}"),
            )
        })?;
        if topic.is_internal {
            return Err(Refusal::new(
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                format!("topic {} belongs to the broker", topic.name),
            ));
        }
        self.record(now, vec![remove_topic_record(id)])?;
        self.topics.change(|table| table.remove(id));
        // What is written down of its partitions must not be taken for that of a later topic's.
        self.checkpoint();
        for partition in &topic.partitions {
            drop(partition.take_log());
            let name = log_name(&topic.name, partition.index)?;
            // What stays behind is swept up at the next start.
            if let Err(error) = self.move_away(&name) {
                tracing::error!(%name, "cannot delete: {}", chain(&error));
            }
        }
        Ok(topic)
    }

    /// Lets a topic grow to this many partitions.
    pub(crate) fn add_partitions(&self, now: Now, id: Uuid, total: i32) -> Result<(), Refusal> {
        let _changes = self.lock();
        let topic = self.topics.table().by_id(id).cloned().ok_or_else(|| {
            Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "the topic is gone")
        })?;
        if total > PARTITIONS_MAX {
            return Err(Refusal::new(
                ErrorCode::INVALID_PARTITIONS,
                format!("{total} partitions are more than {PARTITIONS_MAX}"),
            ));
        }
        let first = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let node_id = self.config.node_id;
        let records = (first..total)
            .map(|index| partition_record(id, index, node_id))
            .collect();
        self.record(now, records)?;
        let mut partitions = topic.partitions.clone();
        for index in first..total {
            partitions.push(self.begin_partition(now, &topic.name, id, index, &topic.config)?);
        }
        self.replace(&topic, topic.overrides.clone(), partitions);
        Ok(())
    }

    /// Changes the settings of a topic.
    pub(crate) fn configure_topic(
        &self,
        now: Now,
        name: &str,
        change: impl FnOnce(&mut Overrides) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let _changes = self.lock();
        let topic = self.topics.table().by_name(name).cloned().ok_or_else(|| {
            Refusal::new(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                format!("topic {name} does not exist"),
            )
        })?;
        let mut overrides = topic.overrides.clone();
        change(&mut overrides)?;
        let before = &topic.overrides;
        let records = config_records(TOPIC_RESOURCE, &topic.name, before, &overrides);
        if records.is_empty() {
            return Ok(());
        }
        self.record(now, records)?;
        let topic = self.replace(&topic, overrides, topic.partitions.clone());
        self.configure_logs(now, &topic)
    }

    /// Changes what is set for this broker, or for all, while it runs, or only tells whether it could.
    pub(crate) fn configure_broker(
        &self,
        now: Now,
        scope: Scope,
        validate_only: bool,
        change: impl FnOnce(&mut Overrides) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut changes = self.lock();
        let name = self.name_of(scope);
        let before = changes.written.get(&name).cloned().unwrap_or_default();
        let mut written = before.clone();
        change(&mut written)?;
        let records = config_records(BROKER_RESOURCE, &name, &before, &written);
        let old = self.live.get();
        // What was passed over and stays as it was is passed over still.
        let is_heeded = |name: &String, value: &String| {
            before.get(name) != Some(value) || old.set_at_run_time(scope).contains_key(name)
        };
        let mut heeded = written.clone();
        heeded.retain(|name, value| is_heeded(name, value));
        let new = old
            .with(scope, heeded)
            .map_err(|error| Refusal::new(ErrorCode::INVALID_REQUEST, error.to_string()))?;
        if validate_only || records.is_empty() {
            return Ok(());
        }
        self.record(now, records)?;
        changes.written.insert(name, written);
        let new = Arc::new(new);
        self.live.set(Arc::clone(&new));
        self.group_configs.set_broker(Arc::clone(&new));
        self.reconfigure_topics(now, &old, &new)
    }

    /// Lets topics follow the broker in all that they leave to it, and that is another than before.
    fn reconfigure_topics(
        &self,
        now: Now,
        old: &EffectiveConfig,
        new: &EffectiveConfig,
    ) -> Result<(), Refusal> {
        let follows = |topic: &&Arc<Topic>| {
            let config = TopicConfig::new(new, &topic.overrides);
            config != topic.config || log_config(new, &config) != log_config(old, &topic.config)
        };
        let table = self.topics.table();
        let changed = table.iter().filter(follows);
        let changed: Vec<_> = changed.map(|topic| Arc::new(topic.under(new))).collect();
        if changed.is_empty() {
            return Ok(());
        }
        self.topics.change(|table| {
            for topic in &changed {
                table.insert(Arc::clone(topic));
            }
        });
        let configured = changed.iter().map(|topic| self.configure_logs(now, topic));
        // Each of them, whatever becomes of the others.
        configured.fold(Ok(()), Result::and)
    }

    /// Lets the logs of a topic be kept as the topic says, all that can be. The setting holds even if one cannot, and
    /// whoever made it is told.
    fn configure_logs(&self, now: Now, topic: &Topic) -> Result<(), Refusal> {
        let config = self.topic_log(&topic.name, &topic.config);
        let mut configured = Ok(());
        for partition in &topic.partitions {
            match partition.set_config(config.clone(), now.unix_ms) {
                // It was deleted meanwhile.
                Ok(()) | Err(PartitionError::Gone) => {}
                Err(error) => {
                    tracing::error!(topic = %topic.name, "cannot configure: {error}");
                    let (name, index) = (&topic.name, partition.index);
                    let message = format!("it is set, but {name}-{index} cannot follow: {error}");
                    configured = Err(Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, message));
                }
            }
        }
        configured
    }

    /// As what the settings of a scope are written down.
    fn name_of(&self, scope: Scope) -> ByteString {
        match scope {
            Scope::ThisBroker => self.config.node_id.to_string().into(),
            Scope::AllBrokers => ByteString::new(),
        }
    }

    /// Changes the settings of a group, which need not exist, or only tells whether it could.
    pub(crate) fn configure_group(
        &self,
        now: Now,
        name: &ByteString,
        validate_only: bool,
        change: impl FnOnce(&mut Overrides) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let _changes = self.lock();
        let before = self.group_configs.overrides(name);
        let mut overrides = before.clone();
        change(&mut overrides)?;
        GroupConfig::check(&self.live.get(), &overrides)
            .map_err(|error| Refusal::new(ErrorCode::INVALID_CONFIG, error.to_string()))?;
        let records = config_records(GROUP_RESOURCE, name, &before, &overrides);
        if validate_only || records.is_empty() {
            return Ok(());
        }
        self.record(now, records)?;
        self.group_configs.set(name, overrides);
        Ok(())
    }

    /// A producer id that nobody had before.
    pub(crate) fn next_producer_id(&self, now: Now) -> Result<i64, Refusal> {
        let mut changes = self.lock();
        let ids = &mut changes.producer_ids;
        if ids.next >= ids.end {
            let end = ids.next + PRODUCER_ID_BLOCK;
            self.record(now, vec![producer_ids_record(self.config.node_id, end)])?;
            ids.end = end;
        }
        let id = ids.next;
        ids.next += 1;
        Ok(id)
    }

    /// Lets go of what is too old or too much, makes durable what is due, removes what was deleted,
    /// and writes down how far all is durable.
    pub(crate) fn keep_house(&self, now: Now) {
        for partition in self.partitions() {
            let name = format!("{}-{}", partition.topic, partition.index);
            let done = partition
                .apply_retention(now.unix_ms)
                .map(|removed| {
                    if removed > 0 {
                        tracing::info!(partition = name, segments = removed, "retention");
                    }
                })
                .and_then(|()| partition.flush_due(now.unix_ms));
            match done {
                Ok(()) | Err(PartitionError::Gone) => {}
                Err(error) => tracing::error!(partition = name, "cannot keep house: {error}"),
            }
        }
        self.checkpoint();
        self.sweep();
    }

    /// Makes durable what is due by `flush.ms`.
    pub(crate) fn flush_due(&self, now: Now) {
        for partition in self.partitions() {
            if let Err(PartitionError::Log(error)) = partition.flush_due(now.unix_ms) {
                let (topic, index) = (&partition.topic, partition.index);
                tracing::error!(partition = %format!("{topic}-{index}"), "flush: {}", chain(&error));
            }
        }
    }

    /// Compacts what is due, the dirtiest first, until nothing is or `goes_on` says no.
    pub(crate) fn compact(&self, now: Now, goes_on: &dyn Fn() -> bool) {
        while goes_on() {
            let partitions = self.partitions().into_iter();
            let dirty = partitions.filter_map(|partition| {
                let ratio = partition.dirty_ratio(now.unix_ms);
                Some((ratio.ok()??, partition))
            });
            let Some((ratio, partition)) = dirty.max_by(|(a, _), (b, _)| a.total_cmp(b)) else {
                return;
            };
            let name = format!("{}-{}", partition.topic, partition.index);
            let keys_max = self.live.get().cleaner_keys_max;
            let done = partition.compact(keys_max, now.unix_ms, goes_on);
            match done {
                // The log has changed meanwhile. It is looked at again next time.
                Ok(stats) if stats.segments_before == 0 => return,
                Ok(stats) => tracing::info!(
                    partition = name,
                    ratio,
                    bytes_before = stats.bytes_before,
                    bytes_after = stats.bytes_after,
                    segments_before = stats.segments_before,
                    segments_after = stats.segments_after,
                    "compacted"
                ),
                Err(PartitionError::Gone) => {}
                Err(error) => tracing::error!(
                    partition = name,
                    "cannot compact, and will not try again: {error}"
                ),
            }
            self.checkpoint();
        }
    }

    /// Removes the files of what was deleted.
    pub(crate) fn sweep(&self) {
        if let Err(error) = self.dir.remove_deleted() {
            tracing::error!("cannot remove deleted partitions: {}", chain(&error));
        }
    }

    /// Closes all logs and leaves word that all is in order.
    pub(crate) fn close(self, now: Now) -> Result<(), LogError> {
        let partitions = self.partitions();
        let all: Vec<_> = partitions
            .iter()
            .map(AsRef::as_ref)
            .chain([&self.metadata])
            .collect();
        let next = AtomicUsize::new(0);
        let close_some = || -> Result<Vec<PartitionCheckpoint>, LogError> {
            let (mut closed, mut failed) = (Vec::new(), None);
            while let Some(partition) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                match close_partition(partition, now) {
                    Ok(checkpoint) => closed.extend(checkpoint),
                    // The others are closed all the same.
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            failed.map_or(Ok(closed), Err)
        };
        // They wait for the disk, not for each other.
        let closed: Result<Vec<_>, _> = std::thread::scope(|scope| {
            let count = CLOSING_THREADS.min(all.len().div_ceil(PARTITIONS_PER_THREAD));
            let threads: Vec<_> = (1..count).map(|_| scope.spawn(close_some)).collect();
            let own = close_some();
            let others = threads.into_iter().map(|thread| match thread.join() {
                Ok(closed) => closed,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            std::iter::once(own).chain(others).collect()
        });
        let checkpoints = closed?.concat();
        self.dir.close(&checkpoints, -1)
    }

    fn checkpoint(&self) {
        let turn = self.checkpoints.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        let partitions = self.partitions();
        let all = partitions.iter().map(AsRef::as_ref).chain([&self.metadata]);
        let lines = all.filter_map(|partition| partition.checkpoint().ok());
        if let Err(error) = self.dir.write_checkpoints(&lines.collect::<Vec<_>>()) {
            tracing::error!("cannot write checkpoints: {}", chain(&error));
        }
    }

    fn partitions(&self) -> Vec<Arc<Partition>> {
        let table = self.topics.table();
        table
            .iter()
            .flat_map(|topic| topic.partitions.iter().cloned())
            .collect()
    }

    /// Opens the logs of all topics of the image.
    fn load(&self, image: MetadataImage, now: Now) -> Result<(), CatalogError> {
        // Records may be lost that a reader has seen: a new epoch lets it find out.
        let epochs = if self.dir.was_clean() { 0 } else { 1 };
        if epochs > 0 && !image.topics.is_empty() {
            let node_id = self.config.node_id;
            let records = image.topics.iter().flat_map(|(id, topic)| {
                topic
                    .partitions
                    .keys()
                    .map(|index| epoch_record(*id, *index, node_id))
            });
            self.append(now, records.collect())
                .map_err(into_log_error)?;
        }
        let mut found: BTreeMap<_, _> = self
            .dir
            .partitions()?
            .into_iter()
            .map(|found| (found.name, found.topic_id))
            .collect();
        found.remove(&TopicPartition::new(METADATA_TOPIC, 0)?);
        let effective = self.live.get();
        let mut topics = Vec::with_capacity(image.topics.len());
        for (id, topic) in &image.topics {
            let overrides = image.topic_config(&topic.name);
            let partitions = self.load_topic(*id, topic, &overrides, epochs, &mut found, now)?;
            let name = topic.name.clone();
            topics.push(Topic::new(&effective, name, *id, overrides, partitions));
        }
        for name in found.keys() {
            tracing::warn!(%name, "partition of a topic that does not exist: its directory is left");
        }
        self.topics.change(|table| {
            topics
                .into_iter()
                .for_each(|topic| table.insert(Arc::new(topic)));
        });
        if epochs > 0 {
            // The crash may have come between the deletion of a topic and this.
            self.checkpoint();
        }
        Ok(())
    }

    fn load_topic(
        &self,
        id: Uuid,
        topic: &TopicImage,
        overrides: &Overrides,
        epochs: i32,
        found: &mut BTreeMap<TopicPartition, Option<Uuid>>,
        now: Now,
    ) -> Result<Vec<Arc<Partition>>, CatalogError> {
        let config = TopicConfig::new(&self.live.get(), overrides);
        let config = self.topic_log(&topic.name, &config);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (index, epoch) in &topic.partitions {
            let name = TopicPartition::new(topic.name.to_string(), *index)?;
            let log = match found.remove(&name) {
                Some(of) => self.open_log(&name, id, of, config.clone(), now)?,
                None => Log::begin_in(&self.dir, &name, id, config.clone(), now.unix_ms),
            };
            if let Some(cut) = log.cut() {
                tracing::warn!(
                    partition = %name,
                    "the log ended in {} bytes that are no records, from byte {} of {}: {}",
                    cut.bytes,
                    cut.position,
                    cut.path.display(),
                    cut.reason
                );
            }
            let epoch = epoch + epochs;
            let partition = Partition::new(topic.name.clone(), *index, epoch, log);
            partitions.push(Arc::new(partition));
        }
        Ok(partitions)
    }

    fn create(
        &self,
        _changes: &MutexGuard<'_, Changes>,
        now: Now,
        new: NewTopic,
    ) -> Result<Arc<Topic>, Refusal> {
        let node_id = self.config.node_id;
        let records = topic_records(&new.name, new.id, new.partitions, &new.overrides, node_id);
        self.record(now, records)?;
        let config = TopicConfig::new(&self.live.get(), &new.overrides);
        let made: Result<Vec<_>, _> = (0..new.partitions)
            .map(|index| self.begin_partition(now, &new.name, new.id, index, &config))
            .collect();
        let partitions = made.inspect_err(|_| {
            // A topic whose place cannot be cleared is none.
            let _ = self.record(now, vec![remove_topic_record(new.id)]);
        })?;
        let topic = Arc::new(Topic::new(
            &self.live.get(),
            new.name,
            new.id,
            new.overrides,
            partitions,
        ));
        self.topics.change(|table| table.insert(Arc::clone(&topic)));
        tracing::info!(topic = %topic.name, partitions = topic.partitions.len(), "topic created");
        Ok(topic)
    }

    /// Begins a new partition, whose files come with its first record.
    fn begin_partition(
        &self,
        now: Now,
        topic: &ByteString,
        id: Uuid,
        index: i32,
        config: &TopicConfig,
    ) -> Result<Arc<Partition>, Refusal> {
        let name = log_name(topic, index)?;
        // What an older topic of the name has left here is none of this one's.
        self.move_away(&name)
            .map_err(|error| storage_refusal(&error))?;
        let config = self.topic_log(topic, config);
        let log = Log::begin_in(&self.dir, &name, id, config, now.unix_ms);
        Ok(Arc::new(Partition::new(topic.clone(), index, 0, log)))
    }

    /// Opens the log in a directory that was found, and says it is of the topic `of`.
    fn open_log(
        &self,
        name: &TopicPartition,
        id: Uuid,
        of: Option<Uuid>,
        config: LogConfig,
        now: Now,
    ) -> Result<Log, LogError> {
        if of.is_some_and(|of| of != id) {
            self.move_away(name)?;
            return Ok(Log::begin_in(&self.dir, name, id, config, now.unix_ms));
        }
        if of.is_none() {
            // The crash came before this was written, and so before the first record.
            self.dir.create_partition(name, id)?;
        }
        Log::open_in(&self.dir, name, config, now.unix_ms)
    }

    /// Moves the directory of a partition out of the way, if there is one.
    fn move_away(&self, name: &TopicPartition) -> Result<(), LogError> {
        self.dir.delete_partition(name, Uuid((self.random)()))
    }

    fn topic_log(&self, topic: &str, config: &TopicConfig) -> LogConfig {
        let mut log = log_config(&self.live.get(), config);
        // What the broker must write of its own must not depend on what clients may.
        if is_internal(topic) {
            log.max_message_bytes = log.max_message_bytes.max(OWN_BATCH_MAX);
        }
        log
    }

    /// Puts a changed topic in the place of the old one.
    fn replace(
        &self,
        old: &Topic,
        overrides: Overrides,
        partitions: Vec<Arc<Partition>>,
    ) -> Arc<Topic> {
        let name = old.name.clone();
        let topic = Arc::new(Topic::new(
            &self.live.get(),
            name,
            old.id,
            overrides,
            partitions,
        ));
        self.topics.change(|table| table.insert(Arc::clone(&topic)));
        topic
    }

    /// Writes records down, durably.
    fn record(&self, now: Now, records: Vec<MetadataRecord>) -> Result<(), Refusal> {
        self.append(now, records).map_err(|error| {
            tracing::error!("cannot write the metadata log: {error}");
            Refusal::new(
                ErrorCode::KAFKA_STORAGE_ERROR,
                format!("cannot write the metadata log: {error}"),
            )
        })
    }

    fn append(&self, now: Now, records: Vec<MetadataRecord>) -> Result<(), PartitionError> {
        let encode = |record: &MetadataRecord| match record.encode() {
            Ok(value) => Ok((None, Some(value))),
            Err(error) => {
                let reason = error.to_string();
                Err(PartitionError::Log(LogError::InvalidRecord { reason }))
            }
        };
        let pairs: Vec<_> = records.iter().map(encode).collect::<Result<_, _>>()?;
        record_log::append(&self.metadata, pairs, now.unix_ms)?;
        self.metadata.flush(now.unix_ms)
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the log of a partition. Gives what is to be remembered of it; nothing if it is gone.
fn close_partition(
    partition: &Partition,
    now: Now,
) -> Result<Option<PartitionCheckpoint>, LogError> {
    let Some(log) = partition.take_log() else {
        return Ok(None);
    };
    let first_dirty_offset = log.first_dirty_offset();
    let closed = log.close(now.unix_ms)?;
    Ok(Some(PartitionCheckpoint {
        name: TopicPartition::new(partition.topic.to_string(), partition.index)?,
        recovery_point: closed.log_end_offset,
        log_start_offset: closed.log_start_offset,
        high_watermark: closed.log_end_offset,
        first_dirty_offset,
    }))
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn read_image(
    dir: &LogDir,
    name: &TopicPartition,
    metadata: &Partition,
) -> Result<MetadataImage, ReadError> {
    let mut image = MetadataImage::default();
    let mut apply = |(_, value): Pair| match MetadataRecord::decode(value.unwrap_or_default()) {
        Ok(record) => image.apply(record),
        Err(error) => tracing::error!("a record of the metadata log is passed over: {error}"),
    };
    // Only Kafka writes one. The log goes on where it ends.
    let mut offset = metadata.marks()?.log_start_offset;
    if let Some(snapshot) = dir.metadata_snapshot(name).map_err(PartitionError::Log)? {
        record_log::read_batches(snapshot.batches, &mut apply)?;
        offset = offset.max(snapshot.end_offset);
    }
    record_log::read_all_from(metadata, offset, apply)?;
    Ok(image)
}

/// What holds with the settings that the metadata log has. A real node keeps more kinds of them than have a
/// meaning here: those are passed over.
fn heeded(start: &Arc<BrokerConfig>, brokers: &BTreeMap<ByteString, Overrides>) -> EffectiveConfig {
    let node_id = start.node_id.to_string();
    let names = [(Scope::AllBrokers, ""), (Scope::ThisBroker, &*node_id)];
    let mut config = EffectiveConfig::at_start(Arc::clone(start));
    for (scope, resource) in names {
        let Some(written) = brokers.get(resource) else {
            continue;
        };
        for (name, value) in written {
            let mut overrides = config.set_at_run_time(scope).clone();
            overrides.insert(name.clone(), value.clone());
            let checked = config.check_at_run_time(scope, name, value);
            match checked.and_then(|_| config.with(scope, overrides)) {
                Ok(with) => config = with,
                Err(error) => tracing::warn!("a setting made at run time is passed over: {error}"),
            }
        }
    }
    config
}

fn log_name(topic: &str, index: i32) -> Result<TopicPartition, Refusal> {
    TopicPartition::new(topic, index).map_err(|error| storage_refusal(&error))
}

fn storage_refusal(error: &LogError) -> Refusal {
    tracing::error!("storage: {}", chain(error));
    Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, chain(error))
}

fn into_log_error(error: PartitionError) -> CatalogError {
    match error {
        PartitionError::Log(error) => CatalogError::Log(error),
        PartitionError::Gone => {
            let cause = "the metadata log is closed".to_owned();
            CatalogError::Log(LogError::Offline { cause })
        }
    }
}

/// How the broker's own records are kept: all of them.
fn own_log() -> LogConfig {
    LogConfig {
        delete: false,
        retention_ms: -1,
        max_message_bytes: OWN_BATCH_MAX,
        ..LogConfig::default()
    }
}

const METADATA_TOPIC: &str = "__cluster_metadata";

/// The id that this topic has in every cluster.
const METADATA_ID: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// How many logs are closed at once at the end.
const CLOSING_THREADS: usize = 16;

/// For fewer logs a thread is not worth its making.
const PARTITIONS_PER_THREAD: usize = 8;

/// How many producer ids are set aside at once.
const PRODUCER_ID_BLOCK: i64 = 1000;

/// The most partitions of a topic: a larger number is a slip, and would cost as many files.
const PARTITIONS_MAX: i32 = 100_000;

/// The largest batch of the broker's own topics: the state of a large group is one record.
const OWN_BATCH_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io;
    use std::path::Path;
    use std::sync::atomic::{AtomicU8, Ordering};

    use bytes::Bytes;
    use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

    use super::*;
    use crate::log::{AppendOrigin, Fault, Keep, LogDirOwner, MemoryDisk, Operation};
    use crate::state::topic_image::TopicImage as _;

    const NOW: Now = Now {
        elapsed: std::time::Duration::ZERO,
        unix_ms: 1_760_000_000_000,
    };

    fn random() -> [u8; 16] {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        [NEXT.fetch_add(1, Ordering::Relaxed); 16]
    }

    fn open(disk: &MemoryDisk) -> Catalog {
        let owner = LogDirOwner {
            cluster_id: None,
            node_id: 1,
            new_directory_id: Uuid([1; 16]),
            new_cluster_id: Uuid([2; 16]),
        };
        let dir = LogDir::open(Arc::new(disk.clone()), Path::new("data"), &owner).unwrap();
        let config = Arc::new(BrokerConfig::new([]).unwrap());
        Catalog::open(config, dir, random, NOW).unwrap()
    }

    fn create(catalog: &Catalog, partitions: i32) -> Arc<Topic> {
        let topic = NewTopic {
            name: "t".into(),
            id: Uuid(random()),
            partitions,
            overrides: Overrides::new(),
        };
        catalog.create_topic(NOW, topic).unwrap()
    }

    fn append(partition: &Partition, value: &'static str) {
        let record = (None, Some(Bytes::from(value)));
        record_log::append(partition, [record], NOW.unix_ms).unwrap();
    }

    fn values(partition: &Partition) -> Vec<Bytes> {
        let mut values = Vec::new();
        record_log::read_all(partition, |(_, value)| values.extend(value)).unwrap();
        values
    }

    #[test]
    fn own_records_of_any_size_are_kept() {
        let disk = MemoryDisk::journaled();
        let catalog = open(&disk);
        let large = Bytes::from(vec![b'x'; 2 << 20]);
        let small = Bytes::from_static(b"y");
        for (at, sizes) in [vec![&large], vec![&small, &large, &small], vec![&large; 2]]
            .into_iter()
            .enumerate()
        {
            let before = values(&catalog.metadata).len();
            let records = sizes.iter().map(|value| (None, Some(Bytes::clone(value))));
            let appended = record_log::append(&catalog.metadata, records, NOW.unix_ms);
            assert!(appended.is_ok(), "{at}: {appended:?}");
            let after = values(&catalog.metadata);
            assert!(after[before..].iter().eq(sizes), "{at}");
        }
    }

    #[test]
    fn settings_of_groups_come_back_and_are_held_to_the_bounds() {
        let disk = MemoryDisk::journaled();
        let catalog = open(&disk);
        let group = ByteString::from("g");
        let session = |catalog: &Catalog| catalog.group_configs.of("g").session_timeout.as_secs();
        let set = |catalog: &Catalog, validate_only, value: Option<&str>| {
            let name = "consumer.session.timeout.ms".to_owned();
            catalog.configure_group(NOW, &group, validate_only, |overrides| {
                match value {
                    Some(value) => overrides.insert(name, value.to_owned()),
                    None => overrides.remove(&name),
                };
                Ok(())
            })
        };
        let refused = set(&catalog, false, Some("1")).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::INVALID_CONFIG);
        set(&catalog, true, Some("50000")).unwrap();
        assert_eq!(session(&catalog), 45, "it was only asked");
        set(&catalog, false, Some("50000")).unwrap();
        assert_eq!(session(&catalog), 50);
        drop(catalog);
        let catalog = open(&disk.crash(disk.event_count(), Keep::Synced));
        assert_eq!(session(&catalog), 50, "it was durable");
        assert_eq!(catalog.group_configs.names(), ["g"]);
        set(&catalog, false, None).unwrap();
        assert_eq!(session(&catalog), 45);
        assert!(catalog.group_configs.names().is_empty());
    }

    fn set(catalog: &Catalog, scope: Scope, name: &str, value: &str) {
        let change = |overrides: &mut Overrides| {
            overrides.insert(name.to_owned(), value.to_owned());
            Ok(())
        };
        catalog.configure_broker(NOW, scope, false, change).unwrap();
    }

    #[test]
    fn only_topics_that_are_kept_otherwise_follow_the_broker() {
        let catalog = open(&MemoryDisk::journaled());
        create(&catalog, 1);
        let topic = || Arc::clone(catalog.topics.table().iter().next().unwrap());
        let follows = |name, value| {
            let (before, version) = (topic(), catalog.topics.table().version());
            set(&catalog, Scope::AllBrokers, name, value);
            let is_new = !Arc::ptr_eq(&before, &topic());
            assert_eq!(is_new, catalog.topics.table().version() > version);
            is_new
        };
        assert!(!follows("max.connections", "77"));
        assert!(follows("log.retention.ms", "5000"));
        assert!(!follows("log.retention.ms", "5000"), "it is nothing new");
        assert!(follows("producer.id.expiration.ms", "5000"));
        assert!(follows("compression.type", "zstd"));
        assert!(!follows("compression.gzip.level", "3"));
    }

    #[test]
    fn whoever_makes_a_setting_is_told_that_a_log_cannot_follow() {
        let disk = MemoryDisk::journaled();
        let catalog = open(&disk);
        let topic = create(&catalog, 1);
        let batch = {
            let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
            batch.append(NOW.unix_ms, None, None, []).unwrap();
            batch.seal(ProducerStamp::NONE)
        };
        let origin = AppendOrigin::Client;
        topic.partitions[0]
            .append(&batch, origin, NOW.unix_ms)
            .unwrap();
        let log = format!("/{}-0/", topic.name);
        disk.inject(Fault::new(Operation::Sync, io::ErrorKind::Other).on(log));
        let cannot_follow = |refusal: Refusal| {
            assert_eq!(refusal.code(), ErrorCode::KAFKA_STORAGE_ERROR);
            let message = refusal.to_string();
            assert!(message.contains("-0 cannot follow"), "{message}");
        };
        let refused = catalog.configure_broker(NOW, Scope::AllBrokers, false, |overrides| {
            overrides.insert("log.flush.interval.messages".to_owned(), "1".to_owned());
            Ok(())
        });
        cannot_follow(refused.unwrap_err());
        let refused = catalog.configure_topic(NOW, &topic.name, |overrides| {
            overrides.insert("flush.ms".to_owned(), "5".to_owned());
            Ok(())
        });
        cannot_follow(refused.unwrap_err());
    }

    #[test]
    fn logs_are_kept_as_the_broker_says_now() {
        let catalog = open(&MemoryDisk::journaled());
        let topic = create(&catalog, 1);
        let partition = &topic.partitions[0];
        let later = Now {
            unix_ms: NOW.unix_ms + 10_000,
            ..NOW
        };
        let batch = {
            let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
            batch.append(NOW.unix_ms, None, None, []).unwrap();
            let stamp = ProducerStamp {
                producer_id: 7,
                producer_epoch: 0,
                base_sequence: 0,
            };
            batch.seal(stamp)
        };
        let origin = AppendOrigin::Client;
        partition.append(&batch, origin, NOW.unix_ms).unwrap();
        let kept = |now| {
            catalog.keep_house(now);
            let start = partition.marks().unwrap().log_start_offset;
            (start == 0, partition.active_producers().unwrap().len() == 1)
        };
        assert_eq!(kept(later), (true, true));
        set(
            &catalog,
            Scope::AllBrokers,
            "producer.id.expiration.ms",
            "5000",
        );
        assert_eq!(kept(later), (true, false), "the producer is forgotten");
        set(&catalog, Scope::AllBrokers, "log.retention.ms", "60000");
        assert!(kept(later).0);
        set(&catalog, Scope::ThisBroker, "log.retention.ms", "5000");
        assert!(!kept(later).0, "the record is too old");
    }

    #[test]
    fn groups_follow_the_broker() {
        let disk = MemoryDisk::journaled();
        let catalog = open(&disk);
        let name = "group.consumer.assignment.interval.ms";
        let interval = |catalog: &Catalog, group| {
            let config = catalog.group_configs.of(group);
            config.assignment_interval.as_millis()
        };
        let own = |overrides: &mut Overrides| {
            let name = "consumer.assignment.interval.ms".to_owned();
            overrides.insert(name, "7".to_owned());
            Ok(())
        };
        let group = ByteString::from("own");
        catalog.configure_group(NOW, &group, false, own).unwrap();
        set(&catalog, Scope::AllBrokers, name, "5000");
        assert_eq!(interval(&catalog, "g"), 5000);
        assert_eq!(interval(&catalog, "own"), 7);
        let too_long = catalog.configure_broker(NOW, Scope::ThisBroker, false, |overrides| {
            overrides.insert(name.to_owned(), "15001".to_owned());
            Ok(())
        });
        let refused = too_long.unwrap_err().code();
        assert_eq!(refused, ErrorCode::INVALID_REQUEST);
        let catalog = open(&disk.crash(disk.event_count(), Keep::Synced));
        assert_eq!(interval(&catalog, "g"), 5000);
    }

    /// A node of Kafka has other properties, and another broker's directory may have come here.
    #[test]
    fn settings_that_have_no_meaning_here_are_passed_over() {
        let set = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            pairs.collect::<Overrides>()
        };
        let written = BTreeMap::from([
            (
                ByteString::new(),
                set(&[
                    ("log.cleaner.threads", "2"),
                    ("num.partitions", "9"),
                    ("message.max.bytes", "many"),
                    ("log.segment.bytes", "5000"),
                ]),
            ),
            ("1".into(), set(&[("max.connections", "0")])),
            ("2".into(), set(&[("max.connections", "5")])),
        ]);
        let config = heeded(&Arc::new(BrokerConfig::new([]).unwrap()), &written);
        let expected = set(&[("log.segment.bytes", "5000")]);
        assert_eq!(config.set_at_run_time(Scope::AllBrokers), &expected);
        assert!(config.set_at_run_time(Scope::ThisBroker).is_empty());
    }

    #[test]
    fn settings_that_are_passed_over_can_be_taken_back() {
        let disk = MemoryDisk::journaled();
        let catalog = open(&disk);
        let pairs = [("log.cleaner.threads", "2"), ("num.partitions", "9")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let written = Overrides::from(pairs);
        let all = ByteString::new();
        let records = config_records(BROKER_RESOURCE, &all, &Overrides::new(), &written);
        catalog.record(NOW, records).unwrap();
        catalog.close(NOW).unwrap();
        let catalog = open(&disk);
        // One thing that is heeded, beside them.
        set(&catalog, Scope::AllBrokers, "message.max.bytes", "5");
        let told = catalog
            .live
            .get()
            .set_at_run_time(Scope::AllBrokers)
            .clone();
        assert_eq!(told.into_keys().collect::<Vec<_>>(), ["message.max.bytes"]);
        assert_eq!(catalog.lock().written[&all].len(), 3);
        let take_back = |overrides: &mut Overrides| {
            assert!(overrides.remove("log.cleaner.threads").is_some());
            Ok(())
        };
        catalog
            .configure_broker(NOW, Scope::AllBrokers, false, take_back)
            .unwrap();
        catalog.close(NOW).unwrap();
        let catalog = open(&disk);
        let left: Vec<_> = catalog.lock().written[&all].keys().cloned().collect();
        assert_eq!(left, ["message.max.bytes", "num.partitions"]);
    }

    #[test]
    fn what_clients_may_write_does_not_bound_the_broker_itself() {
        let catalog = open(&MemoryDisk::new());
        set(&catalog, Scope::AllBrokers, "message.max.bytes", "0");
        let config = TopicConfig::new(&catalog.live.get(), &Overrides::new());
        let most = |topic| catalog.topic_log(topic, &config).max_message_bytes;
        assert_eq!(most("t"), 0);
        assert_eq!(most("__consumer_offsets"), OWN_BATCH_MAX);
        assert_eq!(most("__transaction_state"), OWN_BATCH_MAX);
    }

    #[test]
    fn a_topic_costs_the_disk_no_more_for_having_many_partitions() {
        let cost = |partitions| {
            let disk = MemoryDisk::journaled();
            let catalog = open(&disk);
            let before = disk.event_count();
            create(&catalog, partitions);
            disk.event_count() - before
        };
        assert_eq!(cost(1), cost(500));
    }

    #[test]
    fn partitions_without_a_record_come_back_as_they_were() {
        let disk = MemoryDisk::journaled();
        let catalog = open(&disk);
        let topic = create(&catalog, 3);
        append(&topic.partitions[1], "one");
        let at = disk.event_count();
        catalog.close(NOW).unwrap();
        for disk in [disk.clone(), disk.crash(at, Keep::All)] {
            let catalog = open(&disk);
            let topic = catalog.topics.table().by_name("t").cloned().unwrap();
            let found: Vec<_> = topic.partitions.iter().map(|one| values(one)).collect();
            assert_eq!(found, [vec![], vec![Bytes::from("one")], vec![]]);
            for partition in &topic.partitions {
                append(partition, "more");
                assert_eq!(values(partition).last().unwrap(), "more");
            }
        }
    }

    /// The cleaner, the housekeeper and whoever deletes a topic write the same files.
    #[test]
    fn checkpoints_that_are_written_at_once_do_not_get_into_each_others_way() {
        let disk = MemoryDisk::new();
        let catalog = open(&disk);
        create(&catalog, 3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| catalog.checkpoint()));
            }
        });
        assert_eq!(catalog.dir.health().failure(), None);
    }

    /// A topic, its deletion, and another of its name: whatever a crash leaves, no record of the one is
    /// found in the other, and none that was flushed is lost.
    #[test]
    fn topics_of_one_name_keep_out_of_each_other() {
        let disk = MemoryDisk::journaled();
        let catalog = open(&disk);
        let first = create(&catalog, 1);
        for _ in 0..5 {
            append(&first.partitions[0], "first");
        }
        catalog.flush_all();
        first.partitions[0].delete_records_before(4).unwrap();
        catalog.keep_house(NOW);
        catalog.delete_topic(NOW, first.id).unwrap();
        let second = create(&catalog, 1);
        append(&second.partitions[0], "second");
        catalog.flush_all();
        let flushed = disk.event_count();
        append(&second.partitions[0], "second");

        for at in 0..=disk.event_count() {
            let unsynced = disk.unsynced(at).into_iter();
            let alone = unsynced.flat_map(|event| [Keep::Without(event), Keep::Only(event)]);
            for keep in [Keep::All, Keep::Synced].into_iter().chain(alone) {
                let place = format!("at {at} keeping {keep:?}");
                let crashed = disk.crash(at, keep);
                let catalog = open(&crashed);
                let found = catalog.topics.table().by_name("t").cloned();
                if let Some(topic) = found {
                    let value = match topic.id == first.id {
                        true => "first",
                        false => "second",
                    };
                    let found = values(&topic.partitions[0]);
                    assert!(found.iter().all(|found| found == value), "{place}");
                    assert!(at < flushed || !found.is_empty(), "{place}: lost");
                } else {
                    assert!(at < flushed, "{place}: the topic is lost");
                    if matches!(keep, Keep::All | Keep::Synced) {
                        begin_third(&crashed, &catalog, &place);
                    }
                }
            }
        }
    }

    /// Makes a topic where a crash has left none, with a crash behind each step of it.
    fn begin_third(disk: &MemoryDisk, catalog: &Catalog, place: &str) {
        let begun = disk.event_count();
        let third = create(catalog, 1);
        append(&third.partitions[0], "third");
        assert_eq!(values(&third.partitions[0]), ["third"], "{place}");
        for at in begun..=disk.event_count() {
            for keep in [Keep::All, Keep::Synced] {
                let catalog = open(&disk.crash(at, keep));
                if let Some(topic) = catalog.topics.table().by_name("t") {
                    let found = values(&topic.partitions[0]);
                    assert!(
                        found.iter().all(|found| found == "third"),
                        "{place}, then {at}"
                    );
                }
            }
        }
    }

    impl Catalog {
        fn flush_all(&self) {
            for partition in self.partitions() {
                partition.flush(NOW.unix_ms).unwrap();
            }
        }
    }

    /// Of a topic with many partitions, of a group with many members: half of them is nothing that ever was.
    #[test]
    fn of_records_that_belong_together_a_crash_leaves_all_or_none() {
        let disk = MemoryDisk::journaled();
        let catalog = open(&disk);
        let large = Bytes::from(vec![b'x'; 300 << 10]);
        let records = (0..4).map(|_| (None, Some(large.clone())));
        let before = disk.event_count();
        record_log::append(&catalog.metadata, records, NOW.unix_ms).unwrap();
        catalog.metadata.flush(NOW.unix_ms).unwrap();
        let mut seen = BTreeSet::new();
        for at in before..=disk.event_count() {
            let torn = (at > before).then(|| disk.written_by(at - 1)).flatten();
            let torn = torn.map(|len| Keep::Torn {
                event: at - 1,
                len: len / 2,
            });
            for keep in [Keep::All, Keep::Synced].into_iter().chain(torn) {
                let catalog = open(&disk.crash(at, keep));
                let values = values(&catalog.metadata).into_iter();
                seen.insert(values.filter(|value| *value == large).count());
            }
        }
        assert_eq!(seen, [0, 4].into());
    }
}
