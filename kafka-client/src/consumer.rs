//! Reading records: alone, from chosen partitions or whole topics, or as a member of a group.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;

use crate::config::consumer::ConsumerConfig;
pub use crate::config::consumer::{CommitMode, IsolationLevel, OnOutOfRange, Start};
use crate::driver::clock;
use crate::driver::cluster_task::ClusterHandle;
pub use crate::driver::consumed::{ConsumerBatch, ConsumerRecord};
use crate::driver::consumer_task::{CloseOnDrop, Core};
pub use crate::driver::events::Events;
pub use crate::driver::stint::AckOutcome;
use crate::error::{Error, ErrorKind, Result};
pub use crate::machine::consumer::ConsumerEvent;
use crate::machine::subscription::position::Position;
pub use crate::machine::subscription::position::ResetReason;
pub use crate::machine::subscription::status::{PartitionState, PartitionStatus};
use crate::machine::subscription::topics::Topics;
use crate::record::topic_partition::TopicPartition;

/// Reads records. Cheap to clone; all clones take from the same stream, so that several tasks may share
/// the work.
///
/// A task in the background joins the group, sends heartbeats, fetches ahead and commits; it starts with
/// the first call that waits. Nothing has to be called for it to go on.
///
/// Dropping the last handle stops delivery at once; what was acknowledged is committed and the group is
/// left in the background, for a few seconds at most and without blocking.
/// [`close_within`](Self::close_within) waits for that and says what was left.
#[derive(Clone)]
pub struct Consumer {
    core: Arc<Core>,
    _guard: Arc<CloseOnDrop>,
}

impl Consumer {
    /// The next record; `None` once the consumer or its client is closed. Records of a partition come in order.
    ///
    /// # Errors
    ///
    /// What the application can act on: a topic that does not exist, a partition that may not be read, a
    /// position out of range, a batch that is damaged (then the partition stops until it is
    /// [sought](Self::seek)), a group that cannot be joined. What passes by itself, such as a lost
    /// connection, is no error here. After an error the next call goes on with what can be read.
    ///
    /// # Cancel safety
    ///
    /// A record is either returned or still there for the next call.
    pub async fn next(&self) -> Result<Option<ConsumerRecord>> {
        self.core.let_others_run().await;
        loop {
            let ready = self.core.ready();
            if self.core.is_over()? {
                return Ok(None);
            }
            if let Some(record) = self.core.try_next()? {
                self.core.note_progress();
                return Ok(Some(record));
            }
            self.core.start()?;
            let _reader = self.core.reader();
            ready.await;
        }
    }

    /// The next batch of records of one partition, as it was written; `None` once the consumer is
    /// closed. The cheapest way to read much: nothing is allocated per record.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// A batch is either returned or still there for the next call.
    pub async fn next_batch(&self) -> Result<Option<ConsumerBatch>> {
        self.core.let_others_run().await;
        loop {
            let ready = self.core.ready();
            if self.core.is_over()? {
                return Ok(None);
            }
            if let Some(batch) = self.core.try_next_batch()? {
                self.core.note_progress();
                return Ok(Some(batch));
            }
            self.core.start()?;
            let _reader = self.core.reader();
            ready.await;
        }
    }

    /// Commits all that was acknowledged so far, and waits until the coordinator has it: of each partition the part
    /// before the first record that was delivered and not acknowledged, which may be nothing.
    ///
    /// # Errors
    ///
    /// The consumer has no group or is closed; the coordinator refused; a partition went to another
    /// member before its offset was committed. A rebalance that leaves the partition here, and a
    /// coordinator that cannot be reached, only take longer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting; the commit goes on.
    pub async fn commit(&self) -> Result<()> {
        self.core.commit(None).await
    }

    /// Commits that this record and all before it in its partition are done with, whatever was
    /// acknowledged.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit), and if the record's partition is not assigned any more.
    ///
    /// # Cancel safety
    ///
    /// As [`commit`](Self::commit).
    pub async fn commit_record(&self, record: &ConsumerRecord) -> Result<()> {
        let position = record.position_behind();
        let offsets = BTreeMap::from([(record.topic_partition().clone(), position)]);
        self.core.commit(Some(offsets)).await
    }

    /// Commits that all records of this batch and before it in its partition are done with, whatever was
    /// acknowledged.
    ///
    /// # Errors
    ///
    /// As [`commit_record`](Self::commit_record).
    ///
    /// # Cancel safety
    ///
    /// As [`commit`](Self::commit).
    pub async fn commit_batch(&self, batch: &ConsumerBatch) -> Result<()> {
        let position = batch.position_behind();
        let offsets = BTreeMap::from([(batch.topic_partition().clone(), position)]);
        self.core.commit(Some(offsets)).await
    }

    /// Commits these offsets: for each partition that of the *next* record to read, which is one more than
    /// that of the last one done. This may also take a commit back.
    ///
    /// # Errors
    ///
    /// As [`commit_record`](Self::commit_record).
    ///
    /// # Cancel safety
    ///
    /// As [`commit`](Self::commit).
    pub async fn commit_offsets(
        &self,
        next_offsets: impl IntoIterator<Item = (TopicPartition, i64)>,
    ) -> Result<()> {
        let epoch = -1;
        let offsets: BTreeMap<_, _> = next_offsets
            .into_iter()
            .map(|(tp, offset)| (tp, Position { offset, epoch }))
            .collect();
        if let Some((tp, _)) = offsets.iter().find(|(_, position)| position.offset < 0) {
            let error = Error::new(ErrorKind::InvalidArgument, "an offset must not be negative");
            return Err(error.with_partition(tp.topic(), tp.partition()));
        }
        self.core.commit(Some(offsets)).await
    }

    /// What happens to the partitions from now on: assigned, revoked, lost, reset.
    #[must_use]
    pub fn events(&self) -> Events {
        self.core.events()
    }

    /// The partitions that are read at the moment.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.core.assignment()
    }

    /// What each partition does at the moment, and why it gives no record if it gives none.
    #[must_use]
    pub fn partition_status(&self) -> Vec<PartitionStatus> {
        self.core.status()
    }

    /// The offset of the next record that will be delivered; `None` if it is not known yet or the
    /// partition is not assigned.
    #[must_use]
    pub fn position(&self, partition: impl Into<TopicPartition>) -> Option<i64> {
        self.core.position(&partition.into())
    }

    /// Goes on elsewhere in a partition. Takes effect before it returns: no record from before is
    /// delivered any more, and acknowledging one does not count. Commits nothing by itself.
    ///
    /// # Errors
    ///
    /// The partition is not assigned, the offset or timestamp is negative, or the consumer is closed.
    pub fn seek(&self, partition: impl Into<TopicPartition>, to: Start) -> Result<()> {
        self.core.seek(&partition.into(), to)
    }

    /// Delivers nothing of a partition until it is resumed. Takes effect before it returns, also for what
    /// was fetched already. Pausing twice is pausing.
    ///
    /// # Errors
    ///
    /// The partition is not assigned, or the consumer is closed.
    pub fn pause(&self, partition: impl Into<TopicPartition>) -> Result<()> {
        self.core.set_paused(&partition.into(), true)
    }

    /// Goes on with a paused partition where it stood.
    ///
    /// # Errors
    ///
    /// The partition is not assigned, or the consumer is closed.
    pub fn resume(&self, partition: impl Into<TopicPartition>) -> Result<()> {
        self.core.set_paused(&partition.into(), false)
    }

    /// Resolves when everything has ended: after a close or, for whoever holds no handle, after the drop of the
    /// last one.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.core.ended();
        async move {
            let _gone_counts_too = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Closes: delivery stops at once and calls that wait for records return `None`; records under way get
    /// up to [`revocation_grace`](ConsumerBuilder::revocation_grace), or half of `timeout`, to be
    /// acknowledged; what was acknowledged is committed; the group is left, for which alone a close takes no more
    /// than three seconds. May be called from anywhere and more than once.
    ///
    /// A record that was delivered and is never acknowledged makes the close wait for that long, and is no error:
    /// the group goes on with it, and with all behind it in its partition. A warning in the log tells how many
    /// there are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] if something is left undone after `timeout`, or could not be done at all, such as
    /// the commit of a partition that went to another member. It says what, and why. The consumer is closed all the
    /// same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting; the close goes on.
    pub async fn close_within(&self, timeout: Duration) -> Result<()> {
        let deadline = clock::now() + timeout;
        let grace = self.core.config().revocation_grace.min(timeout / 2);
        self.core.close(deadline, grace);
        let mut ended = self.core.ended();
        // The task keeps the deadline itself; a moment more lets it say so.
        let limit = deadline + Duration::from_millis(50);
        let _late = clock::before(limit, ended.wait_for(|ended| *ended)).await;
        self.core.undone().map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (group, topics) = self.core.wish();
        f.debug_struct("Consumer")
            .field("group", &group)
            .field("topics", &topics)
            .field("cluster", self.core.cluster())
            .finish_non_exhaustive()
    }
}

/// Configures a [`Consumer`].
///
/// What is read: [`subscribe`](Self::subscribe) to topics, shared out among the members of a
/// [`group`](Self::group), or all of their partitions without one; or [`assign`](Self::assign)
/// partitions one by one, where a group only keeps the offsets.
///
/// | setting | property | default |
/// |---|---|---|
/// | [`group`](Self::group) | `group.id` | none |
/// | [`start`](Self::start) | `auto.offset.reset` | newest |
/// | [`on_out_of_range`](Self::on_out_of_range) | none | error |
/// | [`commit_mode`](Self::commit_mode) | `enable.auto.commit` | on acknowledgement |
/// | [`commit_interval`](Self::commit_interval) | `auto.commit.interval.ms` | 5 s |
/// | [`isolation_level`](Self::isolation_level) | `isolation.level` | read uncommitted |
/// | [`fetch_bytes_min`](Self::fetch_bytes_min) | `fetch.min.bytes` | 1 |
/// | [`fetch_wait_max`](Self::fetch_wait_max) | `fetch.max.wait.ms` | 500 ms |
/// | [`fetch_bytes_max`](Self::fetch_bytes_max) | `fetch.max.bytes` | 50 MiB |
/// | [`partition_bytes_max`](Self::partition_bytes_max) | `max.partition.fetch.bytes` | 1 MiB |
/// | [`buffer_bytes`](Self::buffer_bytes) | none | 64 MiB |
/// | [`check_crcs`](Self::check_crcs) | `check.crcs` | on |
/// | [`group_instance_id`](Self::group_instance_id) | `group.instance.id` | none |
/// | [`session_timeout`](Self::session_timeout) | `session.timeout.ms` | 45 s |
/// | [`heartbeat_interval`](Self::heartbeat_interval) | `heartbeat.interval.ms` | 3 s |
/// | [`poll_interval_max`](Self::poll_interval_max) | `max.poll.interval.ms` | 5 min |
/// | [`revocation_grace`](Self::revocation_grace) | none | 5 s |
/// | [`missing_topic_patience`](Self::missing_topic_patience) | none | 10 s |
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct ConsumerBuilder {
    cluster: ClusterHandle,
    config: ConsumerConfig,
    group: Option<String>,
    topics: BTreeSet<ByteString>,
    partitions: BTreeMap<TopicPartition, Start>,
}

impl ConsumerBuilder {
    pub(crate) fn new(cluster: ClusterHandle) -> Self {
        Self {
            cluster,
            config: ConsumerConfig::default(),
            group: None,
            topics: BTreeSet::new(),
            partitions: BTreeMap::new(),
        }
    }

    /// The group whose members share the topics and whose offsets are committed (`group.id`).
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Reads these topics. Without a group that means all their partitions, also those that come later.
    pub fn subscribe<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        let topics = topics
            .into_iter()
            .map(|topic| ByteString::from(topic.into()));
        self.topics.extend(topics);
        self
    }

    /// Reads exactly these partitions, each from there; with a group from its committed offset, if it has
    /// one. They may be paused and sought before the first record is asked for.
    pub fn assign<T: Into<String>>(
        mut self,
        partitions: impl IntoIterator<Item = (T, i32, Start)>,
    ) -> Self {
        let partitions = partitions
            .into_iter()
            .map(|(topic, number, start)| (TopicPartition::new(topic.into(), number), start));
        self.partitions.extend(partitions);
        self
    }

    /// Where reading begins in a partition without a committed offset (`auto.offset.reset`). Partitions that
    /// appear while a consumer without a group runs are read from their beginning.
    pub fn start(mut self, start: Start) -> Self {
        self.config.start = start;
        self
    }

    /// What to do when the position lies outside of what the partition holds. Java decides by
    /// `auto.offset.reset`, and so skips to the end in silence.
    pub fn on_out_of_range(mut self, policy: OnOutOfRange) -> Self {
        self.config.on_out_of_range = policy;
        self
    }

    /// When offsets are committed (`enable.auto.commit`).
    pub fn commit_mode(mut self, mode: CommitMode) -> Self {
        self.config.commit_mode = mode;
        self
    }

    /// How often offsets are committed in the background (`auto.commit.interval.ms`).
    pub fn commit_interval(mut self, interval: Duration) -> Self {
        self.config.commit_interval = interval;
        self
    }

    /// Which records of transactions are delivered (`isolation.level`).
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.config.isolation_level = level;
        self
    }

    /// How many bytes a broker gathers before it answers a fetch (`fetch.min.bytes`).
    pub fn fetch_bytes_min(mut self, bytes: i32) -> Self {
        self.config.fetch_bytes_min = bytes;
        self
    }

    /// How long a broker waits for that many bytes (`fetch.max.wait.ms`).
    pub fn fetch_wait_max(mut self, wait: Duration) -> Self {
        self.config.fetch_wait_max = wait;
        self
    }

    /// How many bytes one answer may hold (`fetch.max.bytes`). A single larger batch still comes through.
    pub fn fetch_bytes_max(mut self, bytes: i32) -> Self {
        self.config.fetch_bytes_max = bytes;
        self
    }

    /// How many bytes of one partition one answer may hold (`max.partition.fetch.bytes`).
    pub fn partition_bytes_max(mut self, bytes: i32) -> Self {
        self.config.partition_bytes_max = bytes;
        self
    }

    /// How many bytes may be fetched and not yet consumed, over all partitions. When they are used up no
    /// fetch is sent; heartbeats go on.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.config.buffer_bytes = bytes;
        self
    }

    /// Whether the checksum of each batch is computed and compared (`check.crcs`).
    pub fn check_crcs(mut self, check: bool) -> Self {
        self.config.check_crcs = check;
        self
    }

    /// Makes the member static: a restart within the session timeout causes no rebalance
    /// (`group.instance.id`).
    pub fn group_instance_id(mut self, id: impl Into<String>) -> Self {
        self.config.group_instance_id = Some(id.into());
        self
    }

    /// After how much silence the coordinator takes a member for dead (`session.timeout.ms`).
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.config.session_timeout = timeout;
        self
    }

    /// How often a member speaks to its coordinator (`heartbeat.interval.ms`), in the background, however
    /// long a record takes.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.config.heartbeat_interval = interval;
        self
    }

    /// How long the application may go without asking for or acknowledging a record before the member
    /// gives its partitions to others (`max.poll.interval.ms`); `None` for no limit. Also how long the
    /// coordinator waits for members in a rebalance: 5 min then if there is no limit.
    pub fn poll_interval_max(mut self, interval: Option<Duration>) -> Self {
        self.config.poll_interval_max = interval;
        self
    }

    /// How long a rebalance waits for records that were delivered and not yet acknowledged, so that they
    /// can still be committed.
    pub fn revocation_grace(mut self, grace: Duration) -> Self {
        self.config.revocation_grace = grace;
        self
    }

    /// After how long [`Consumer::next`] says that a topic does not exist. The consumer goes on looking for
    /// it.
    pub fn missing_topic_patience(mut self, patience: Duration) -> Self {
        self.config.missing_topic_patience = patience;
        self
    }

    /// Checks the settings. Does no I/O.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the property, or [`ErrorKind::InvalidArgument`] for a topic name that no
    /// cluster accepts, and for a start or partition that is negative.
    pub fn build(self) -> Result<Consumer> {
        let config_error = |text: &'static str| Err(Error::new(ErrorKind::Config, text));
        self.config
            .validate(self.cluster.config().request_timeout)?;
        let topics = match (self.topics.is_empty(), self.partitions.is_empty()) {
            (false, true) => Topics::Names(self.topics),
            (true, false) => Topics::Manual(self.partitions),
            (true, true) => return config_error("nothing to read: subscribe or assign"),
            (false, false) => return config_error("either subscribe or assign, not both"),
        };
        topics.validate()?;
        if self.group.as_deref() == Some("") {
            return config_error("group.id must not be empty");
        }
        if self.group.is_none() && self.config.group_instance_id.is_some() {
            return config_error("group.instance.id needs a group.id");
        }
        let group = self.group.map(ByteString::from);
        let core = Core::new(self.cluster, self.config, topics, group);
        let guard = Arc::new(CloseOnDrop(Arc::clone(&core)));
        Ok(Consumer {
            core,
            _guard: guard,
        })
    }
}

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("partitions", &self.partitions)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
