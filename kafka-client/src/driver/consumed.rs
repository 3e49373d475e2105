//! What the application is given: records and batches, with their place and their acknowledgement.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::record::{DecodedBatch, Headers, IntoRecords, Record, RecordRef};

use crate::driver::stint::{AckOutcome, Stint};
use crate::error::{Error, ErrorKind};
use crate::machine::subscription::position::Position;
use crate::record::topic_partition::TopicPartition;

/// A record that was read. It owns its bytes, without a copy: they are a part of the batch it came in,
/// which lives as long as the last of its records.
#[derive(Clone)]
pub struct ConsumerRecord {
    record: Record,
    stint: Arc<Stint>,
    /// The record stands for the offsets from here to itself: nothing else lies between.
    from: i64,
    leader_epoch: i32,
}

impl ConsumerRecord {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.stint.partition.topic()
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.stint.partition.partition()
    }

    /// Topic and partition.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.stint.partition
    }

    /// Its offset in the partition.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.record.offset()
    }

    /// Its time in milliseconds since 1970, the producer's or the broker's as the topic is configured; -1
    /// for none.
    #[must_use]
    pub fn timestamp_ms(&self) -> i64 {
        self.record.timestamp()
    }

    /// Its key; null and empty are different.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.record.key()
    }

    /// Its value; null and empty are different.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.record.value()
    }

    /// Its key, owned without a copy. It keeps the whole batch alive.
    #[must_use]
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.record.key_bytes()
    }

    /// Its value, owned without a copy. It keeps the whole batch alive.
    #[must_use]
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.record.value_bytes()
    }

    /// Its headers, in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        self.record.headers()
    }

    /// The application is done with this record: with
    /// [`CommitMode::OnAck`](crate::config::consumer::CommitMode::OnAck) its offset is committed in the
    /// background once all records before it are acknowledged too. Acknowledging twice changes nothing.
    pub fn ack(&self) -> AckOutcome {
        let to = self.record.offset().saturating_add(1);
        self.stint.acknowledge(self.from, to, self.leader_epoch)
    }

    /// Where a reader goes on that is done with this record and all before it.
    pub(crate) fn position_behind(&self) -> Position {
        Position {
            offset: self.record.offset().saturating_add(1),
            epoch: self.leader_epoch,
        }
    }
}

impl fmt::Debug for ConsumerRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerRecord")
            .field("partition", &self.stint.partition)
            .field("offset", &self.offset())
            .field("timestamp_ms", &self.timestamp_ms())
            .field("key", &self.key().map(Bytes::copy_from_slice))
            .field("value", &self.value().map(Bytes::copy_from_slice))
            .finish_non_exhaustive()
    }
}

/// A batch of records as a producer wrote it, of one partition, decompressed. Its records are borrowed
/// from it, without an allocation for each.
#[derive(Clone)]
pub struct ConsumerBatch {
    batch: DecodedBatch,
    stint: Arc<Stint>,
    from: i64,
}

impl ConsumerBatch {
    pub(crate) const fn new(batch: DecodedBatch, stint: Arc<Stint>, from: i64) -> Self {
        Self { batch, stint, from }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.stint.partition.topic()
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.stint.partition.partition()
    }

    /// Topic and partition.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.stint.partition
    }

    /// The offset behind the batch. It may lie further than behind the last record: compaction leaves
    /// holes.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.batch.header().next_offset()
    }

    /// The records, in order, without those that were delivered before. After an error there are no
    /// more.
    pub fn records(&self) -> impl Iterator<Item = Result<RecordRef<'_>, Error>> {
        let from = self.from;
        self.batch
            .records()
            .filter(move |record| !matches!(record, Ok(record) if record.offset < from))
            .map(move |record| record.map_err(|error| damaged(&self.stint.partition, from, error)))
    }

    /// The application is done with all records of this batch.
    pub fn ack(&self) -> AckOutcome {
        let epoch = self.batch.header().partition_leader_epoch;
        self.stint.acknowledge(self.from, self.next_offset(), epoch)
    }

    /// The application is done with the records of this batch up to this offset, included, and not with
    /// those behind.
    pub fn ack_through(&self, offset: i64) -> AckOutcome {
        let epoch = self.batch.header().partition_leader_epoch;
        let to = offset.saturating_add(1).min(self.next_offset());
        self.stint.acknowledge(self.from, to, epoch)
    }

    /// Whether nothing of it is left to deliver.
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.header().record_count == 0 || self.next_offset() <= self.from
    }

    pub(crate) fn stint(&self) -> &Arc<Stint> {
        &self.stint
    }

    pub(crate) fn position_behind(&self) -> Position {
        Position {
            offset: self.next_offset(),
            epoch: self.batch.header().partition_leader_epoch,
        }
    }

    /// The rest of it, from this offset on.
    pub(crate) fn rest(&self, from: i64) -> Self {
        Self {
            batch: self.batch.clone(),
            stint: Arc::clone(&self.stint),
            from,
        }
    }
}

impl fmt::Debug for ConsumerBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBatch")
            .field("partition", &self.stint.partition)
            .field("from", &self.from)
            .field("next_offset", &self.next_offset())
            .finish_non_exhaustive()
    }
}

/// A place in a batch, for who takes one record after the other.
#[derive(Debug)]
pub(crate) struct BatchCursor {
    batch: ConsumerBatch,
    records: IntoRecords,
    /// Everything below was given out.
    at: i64,
}

impl BatchCursor {
    pub(crate) fn new(batch: ConsumerBatch) -> Self {
        Self {
            records: batch.batch.clone().into_records(),
            at: batch.from,
            batch,
        }
    }

    /// The next record. After an error there are no more.
    pub(crate) fn next(&mut self) -> Option<Result<ConsumerRecord, Error>> {
        loop {
            let record = match self.records.next()? {
                Ok(record) => record,
                Err(error) => {
                    let partition = &self.batch.stint.partition;
                    return Some(Err(damaged(partition, self.at, error)));
                }
            };
            if record.offset() < self.at {
                continue;
            }
            let from = self.at;
            self.at = record.offset().saturating_add(1);
            self.batch.stint.deliver(self.at);
            return Some(Ok(ConsumerRecord {
                record,
                stint: Arc::clone(&self.batch.stint),
                from,
                leader_epoch: self.batch.batch.header().partition_leader_epoch,
            }));
        }
    }

    /// Everything below this offset was given out.
    pub(crate) fn at(&self) -> i64 {
        self.at
    }

    pub(crate) fn batch(&self) -> &ConsumerBatch {
        &self.batch
    }
}

/// The error of bytes that are no records.
pub(crate) fn damaged(
    partition: &TopicPartition,
    offset: i64,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    let text = format!("the batch cannot be read at or behind offset {offset}; seek goes past it");
    Error::new(ErrorKind::CorruptBatch, text)
        .with_partition(partition.topic(), partition.partition())
        .with_source(error)
}
