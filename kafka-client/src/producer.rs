//! Sending records: one and wait, many and wait later, whole slices at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kafka_protocol::compression::Compression;

use crate::config::producer::ProducerConfig;
pub use crate::config::producer::{Acks, Partitioner};
use crate::driver::clock;
use crate::driver::cluster_task::ClusterHandle;
pub use crate::driver::delivery::{BulkTicket, Ticket};
use crate::driver::producer_task::topic_state::{PartitionState, TopicState};
use crate::driver::producer_task::{CloseOnDrop, Core};
use crate::error::{Error, ErrorKind, Result};
use crate::machine::producer::partition_queue::Appended;
use crate::machine::producer::partitioner::{Sticky, position_of_key};
use crate::machine::topic_name::check_topic_name;
pub use crate::record::{Record, RecordMetadata};

/// Sends records to any topic. Cheap to clone.
///
/// Records are encoded into batches on the caller's thread; batches leave when they are large enough, have
/// lingered long enough, or somebody [flushes](Self::flush). Each record has its own acknowledgement.
///
/// Dropping the last handle abandons what was not sent yet, without blocking: [flush](Self::flush) or
/// [close](Self::close_within) first.
#[derive(Clone)]
pub struct Producer {
    core: Arc<Core>,
    guard: Arc<CloseOnDrop>,
}

/// A topic of a producer, resolved once: sending through it looks nothing up. Cheap to clone.
#[derive(Clone)]
pub struct TopicProducer {
    core: Arc<Core>,
    topic: Arc<TopicState>,
    _guard: Arc<CloseOnDrop>,
}

impl Producer {
    #[cfg(test)]
    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// A handle for one topic. Does no I/O: a topic that does not exist shows at the first send.
    #[must_use]
    pub fn topic(&self, name: &str) -> TopicProducer {
        TopicProducer {
            core: Arc::clone(&self.core),
            topic: self.core.topic(name),
            _guard: Arc::clone(&self.guard),
        }
    }

    /// Sends a record and waits for its acknowledgement.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue), and what kept the record from being written. An error of kind
    /// [`Timeout`](ErrorKind::Timeout) says in its text whether the record may be written all the same.
    ///
    /// # Cancel safety
    ///
    /// As [`enqueue`](Self::enqueue); once the record stands in a batch, dropping the future cancels nothing.
    pub async fn send(&self, record: Record<'_>) -> Result<RecordMetadata> {
        self.enqueue(record).await?.await
    }

    /// Puts a record into its batch and gives a ticket for its acknowledgement. Waits only while the topic is
    /// unknown or the buffer is full, at most for `max.block.ms`.
    ///
    /// # Errors
    ///
    /// The topic is unknown or its name illegal, the partition does not exist, the timestamp is negative, the record
    /// is too large, the buffer stays full, or the producer is closed. The record was not sent then.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it is ready has sent nothing.
    pub async fn enqueue(&self, record: Record<'_>) -> Result<Ticket> {
        self.topic(record.topic).enqueue(record).await
    }

    /// Sends all that was enqueued before, without lingering, and waits until each record's fate is known. Whether
    /// they were written is for their tickets to tell.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting and nothing else.
    pub async fn flush(&self) {
        self.core.flush().await;
    }

    /// Flushes, then ends the producer: later sends fail. Returns how many records were not sent within
    /// `timeout`; their tickets get an error.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the producer open; closing may be called again.
    pub async fn close_within(&self, timeout: Duration) -> usize {
        let deadline = clock::now() + timeout;
        let _flushed = clock::before(deadline, self.core.flush()).await;
        self.core.tasks.close(deadline).await;
        self.core
            .close(&Error::new(ErrorKind::Closed, "the producer was closed"))
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("cluster", &self.core.cluster)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TopicProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicProducer")
            .field("topic", &self.name())
            .field("cluster", &self.core.cluster)
            .finish_non_exhaustive()
    }
}

impl TopicProducer {
    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.topic.name
    }

    /// Waits until the topic is known; returns the number of its partitions.
    ///
    /// # Errors
    ///
    /// The topic is unknown or its name illegal, the cluster cannot be reached within `max.block.ms`, or something
    /// else answers where it should be.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting and nothing else.
    pub async fn ready(&self) -> Result<usize> {
        self.partitions().await.map(<[_]>::len)
    }

    /// As [`Producer::send`]; the topic that the record names is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Producer::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`Producer::send`].
    pub async fn send(&self, record: Record<'_>) -> Result<RecordMetadata> {
        self.enqueue(record).await?.await
    }

    /// As [`Producer::enqueue`]; the topic that the record names is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Producer::enqueue`].
    ///
    /// # Cancel safety
    ///
    /// As [`Producer::enqueue`].
    pub async fn enqueue(&self, record: Record<'_>) -> Result<Ticket> {
        if let Some(partitions) = self.topic.partitions() {
            let partition = self.place(partitions, &record)?;
            match self.core.append(partition, &record) {
                Appended::In {
                    completion, index, ..
                } => return Ok(Ticket::new(completion, index)),
                Appended::TooLarge { bytes, max } => return Err(self.too_large(bytes, max)),
                Appended::Closed => return Err(self.closed()),
                Appended::Full => {}
            }
        }
        self.enqueue_slowly(record).await
    }

    /// Puts many records into batches under one lock each; gives one ticket for all of them. Records without
    /// key or partition go to one partition, whole batches at a time.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue). The records before the one that failed are sent.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it is ready has sent some of the records.
    pub async fn send_batch(&self, mut records: &[Record<'_>]) -> Result<BulkTicket> {
        let mut ticket = BulkTicket::new();
        let partitions = self.partitions().await?;
        let deadline = clock::now() + self.core.config.max_block;
        while let Some(first) = records.first() {
            let freed = self.core.budget.freed();
            let partition = self.place(partitions, first)?;
            let stays = |record: &Record<'_>| self.may_stay(record, partition, partitions.len());
            let (done, stopped) = self.core.append_all(partition, records, stays, &mut ticket);
            records = records.get(done..).unwrap_or_default();
            match stopped {
                Some(Appended::TooLarge { bytes, max }) => return Err(self.too_large(bytes, max)),
                Some(Appended::Closed) => return Err(self.closed()),
                Some(Appended::Full) => self.room(freed, deadline).await?,
                _ => {}
            }
        }
        Ok(ticket)
    }

    /// Whether a record may follow its predecessor to this partition.
    fn may_stay(&self, record: &Record<'_>, partition: &PartitionState, count: usize) -> bool {
        if record.timestamp_ms.is_some_and(|time| time < 0) {
            // Looked at by itself, it is refused.
            return false;
        }
        match (record.partition, record.key, self.core.config.partitioner) {
            (Some(index), ..) => index == partition.index,
            (None, Some(key), Partitioner::Sticky) => {
                usize::try_from(partition.index) == Ok(position_of_key(key, count))
            }
            (None, ..) => true,
        }
    }

    async fn enqueue_slowly(&self, record: Record<'_>) -> Result<Ticket> {
        let deadline = clock::now() + self.core.config.max_block;
        let partitions = self.partitions().await?;
        loop {
            let freed = self.core.budget.freed();
            let partition = self.place(partitions, &record)?;
            match self.core.append(partition, &record) {
                Appended::In {
                    completion, index, ..
                } => return Ok(Ticket::new(completion, index)),
                Appended::TooLarge { bytes, max } => return Err(self.too_large(bytes, max)),
                Appended::Closed => return Err(self.closed()),
                Appended::Full => self.room(freed, deadline).await?,
            }
        }
    }

    async fn room(
        &self,
        freed: impl Future<Output = ()>,
        deadline: crate::machine::time::Instant,
    ) -> Result<()> {
        if self.core.room(freed, deadline).await {
            return Ok(());
        }
        let detail = "the buffer stayed full for max.block.ms; the record was not sent";
        Err(self.core.cluster.timeout(detail).with_topic(self.name()))
    }

    async fn partitions(&self) -> Result<&[Arc<PartitionState>]> {
        self.core.start()?;
        if let Some(partitions) = self.topic.partitions() {
            return Ok(partitions);
        }
        if self.name().is_empty() {
            let text = "the record names no topic: begin it with Record::to, or send it with producer.topic(..)";
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        check_topic_name(self.name())?;
        let deadline = clock::now() + self.core.config.max_block;
        self.core.load(&self.topic, deadline).await?;
        self.topic.partitions().ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "the topic has no partition 0").with_topic(self.name())
        })
    }

    /// The partition of a record. Always one of those that are known, of which there is at least one.
    fn place<'p>(
        &self,
        partitions: &'p [Arc<PartitionState>],
        record: &Record<'_>,
    ) -> Result<&'p Arc<PartitionState>> {
        if let Some(timestamp_ms) = record.timestamp_ms.filter(|time| *time < 0) {
            let text = format!("the timestamp {timestamp_ms} is negative");
            return Err(Error::new(ErrorKind::InvalidArgument, text).with_topic(self.name()));
        }
        let count = partitions.len();
        let position = match (record.partition, record.key, self.core.config.partitioner) {
            (Some(index), _, _) => usize::try_from(index).unwrap_or(usize::MAX),
            (None, _, Partitioner::Random) => clock::random() as usize % count,
            (None, Some(key), Partitioner::Sticky) => position_of_key(key, count),
            (None, None, Partitioner::Sticky) => {
                let len = record.value.map_or(0, <[u8]>::len) + RECORD_OVERHEAD;
                // Two threads may count into the same state; one of the counts is lost, which only makes a
                // partition a little stickier.
                let state = Sticky::from_word(self.topic.sticky.load(Ordering::Relaxed));
                let (position, next) =
                    state.place(len, self.core.config.batch_bytes, count, clock::random());
                self.topic.sticky.store(next.to_word(), Ordering::Relaxed);
                position
            }
        };
        partitions.get(position).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("there is no such partition: the topic has {count}"),
            )
            .with_partition(self.name(), record.partition.unwrap_or(-1))
        })
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, "the producer is closed").with_topic(self.name())
    }

    fn too_large(&self, bytes: usize, max: usize) -> Error {
        Error::new(
            ErrorKind::RecordTooLarge,
            format!(
                "the record takes a batch of {bytes} bytes, and no batch may be larger than {max} bytes \
                 (max.request.size)"
            ),
        )
        .with_topic(self.name())
    }
}

/// What a record takes beside key, value and headers, about.
const RECORD_OVERHEAD: usize = 10;

/// Configures a [`Producer`].
///
/// | setting | property | default |
/// |---|---|---|
/// | [`acks`](Self::acks) | `acks` | all |
/// | [`idempotence`](Self::idempotence) | `enable.idempotence` | on |
/// | [`linger`](Self::linger) | `linger.ms` | 5 ms |
/// | [`batch_bytes`](Self::batch_bytes) | `batch.size` | 16 KiB |
/// | [`request_bytes_max`](Self::request_bytes_max) | `max.request.size` | 1 MiB |
/// | [`buffer_bytes`](Self::buffer_bytes) | `buffer.memory` | 32 MiB |
/// | [`max_block`](Self::max_block) | `max.block.ms` | 60 s |
/// | [`delivery_timeout`](Self::delivery_timeout) | `delivery.timeout.ms` | 120 s |
/// | [`in_flight_max`](Self::in_flight_max) | `max.in.flight.requests.per.connection` | 5 |
/// | [`compression`](Self::compression) | `compression.type` | none |
/// | [`partitioner`](Self::partitioner) | `partitioner.class` | sticky |
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct ProducerBuilder {
    cluster: ClusterHandle,
    config: ProducerConfig,
}

impl ProducerBuilder {
    pub(crate) fn new(cluster: ClusterHandle) -> Self {
        Self {
            cluster,
            config: ProducerConfig::default(),
        }
    }

    /// Who must have a record before it counts as written (`acks`). Less than all needs
    /// [`idempotence`](Self::idempotence) off.
    pub fn acks(mut self, acks: Acks) -> Self {
        self.config.acks = acks;
        self
    }

    /// Whether a record that is sent again is written once all the same (`enable.idempotence`, KIP-98).
    pub fn idempotence(mut self, idempotence: bool) -> Self {
        self.config.idempotence = idempotence;
        self
    }

    /// How long a batch that is not full waits for more records (`linger.ms`). With zero a batch leaves at
    /// once, on the caller's thread, and still gathers records while others are in flight.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// The size from which on a batch is worth sending (`batch.size`). It grows beyond, up to
    /// [`request_bytes_max`](Self::request_bytes_max), while it cannot leave.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.config.batch_bytes = bytes;
        self
    }

    /// The most bytes of batches in one request (`max.request.size`). Brokers have a limit of their own
    /// (`message.max.bytes`, about 1 MiB by default).
    pub fn request_bytes_max(mut self, bytes: usize) -> Self {
        self.config.request_bytes_max = bytes;
        self
    }

    /// The most bytes of records on their way (`buffer.memory`).
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.config.buffer_bytes = bytes;
        self
    }

    /// How long a send may wait for the topic or for buffer space (`max.block.ms`).
    pub fn max_block(mut self, time: Duration) -> Self {
        self.config.max_block = time;
        self
    }

    /// How long a record may take in all, attempts included (`delivery.timeout.ms`).
    pub fn delivery_timeout(mut self, time: Duration) -> Self {
        self.config.delivery_timeout = time;
        self
    }

    /// How many requests to one broker may wait for their answers
    /// (`max.in.flight.requests.per.connection`).
    pub fn in_flight_max(mut self, requests: usize) -> Self {
        self.config.in_flight_max = requests;
        self
    }

    /// The codec of batches (`compression.type`).
    pub fn compression(mut self, compression: Compression) -> Self {
        self.config.compression = compression;
        self
    }

    /// How records find their partition (`partitioner.class`).
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        self.config.partitioner = partitioner;
        self
    }

    /// Checks the settings. Does no I/O.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the property.
    pub fn build(self) -> Result<Producer> {
        self.config
            .validate(self.cluster.config().request_timeout)?;
        let core = Core::new(self.cluster, self.config)?;
        let guard = Arc::new(CloseOnDrop(Arc::clone(&core)));
        Ok(Producer { core, guard })
    }
}

impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
