//! Reading records from threads.

use std::sync::Arc;
use std::time::Duration;

use crate::blocking::runtime::Runtime;
use crate::consumer::{ConsumerBatch, ConsumerEvent, ConsumerRecord, PartitionStatus, Start};
use crate::driver::clock;
use crate::error::Result;
use crate::record::topic_partition::TopicPartition;

/// Reads records, from threads. Cheap to clone. As the [async one](crate::Consumer), and with its rules:
/// heartbeats, fetches and commits go on in the background, whatever the threads do.
#[derive(Clone, Debug)]
pub struct Consumer {
    runtime: Runtime,
    consumer: crate::consumer::Consumer,
    _guard: Arc<LingerOnDrop>,
}

/// Held by all handles: the thread outlives the last of them until the group is left.
#[derive(Debug)]
struct LingerOnDrop {
    runtime: Runtime,
    consumer: crate::consumer::Consumer,
}

impl Drop for LingerOnDrop {
    fn drop(&mut self) {
        self.runtime.linger(self.consumer.ended());
    }
}

impl Consumer {
    pub(crate) fn new(runtime: Runtime, consumer: crate::consumer::Consumer) -> Self {
        let guard = LingerOnDrop {
            runtime: runtime.clone(),
            consumer: consumer.clone(),
        };
        Self {
            runtime,
            consumer,
            _guard: Arc::new(guard),
        }
    }

    /// The next record; `None` once the consumer is closed.
    ///
    /// # Errors
    ///
    /// As [`Consumer::next`](crate::Consumer::next), and from inside async code.
    pub fn next(&self) -> Result<Option<ConsumerRecord>> {
        self.runtime.block_on(self.consumer.next())?
    }

    /// The next record; `None` also if there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_within(&self, timeout: Duration) -> Result<Option<ConsumerRecord>> {
        let deadline = clock::now() + timeout;
        // Dropping the call that waits loses no record.
        let record = clock::before(deadline, self.consumer.next());
        self.runtime.block_on(record)?.unwrap_or(Ok(None))
    }

    /// The next batch of records; `None` once the consumer is closed.
    ///
    /// # Errors
    ///
    /// As [`Consumer::next_batch`](crate::Consumer::next_batch), and from inside async code.
    pub fn next_batch(&self) -> Result<Option<ConsumerBatch>> {
        self.runtime.block_on(self.consumer.next_batch())?
    }

    /// All records until the consumer is closed, errors among them.
    pub fn iter(&self) -> impl Iterator<Item = Result<ConsumerRecord>> {
        std::iter::from_fn(|| self.next().transpose())
    }

    /// Commits all that was acknowledged so far.
    ///
    /// # Errors
    ///
    /// As [`Consumer::commit`](crate::Consumer::commit), and from inside async code.
    pub fn commit(&self) -> Result<()> {
        self.runtime.block_on(self.consumer.commit())?
    }

    /// Commits that this record and all before it in its partition are done with.
    ///
    /// # Errors
    ///
    /// As [`Consumer::commit_record`](crate::Consumer::commit_record), and from inside async code.
    pub fn commit_record(&self, record: &ConsumerRecord) -> Result<()> {
        self.runtime.block_on(self.consumer.commit_record(record))?
    }

    /// Commits that all records of this batch and before it in its partition are done with.
    ///
    /// # Errors
    ///
    /// As [`Consumer::commit_batch`](crate::Consumer::commit_batch), and from inside async code.
    pub fn commit_batch(&self, batch: &ConsumerBatch) -> Result<()> {
        self.runtime.block_on(self.consumer.commit_batch(batch))?
    }

    /// Commits these offsets, each that of the next record to read.
    ///
    /// # Errors
    ///
    /// As [`Consumer::commit_offsets`](crate::Consumer::commit_offsets), and from inside async code.
    pub fn commit_offsets(
        &self,
        next_offsets: impl IntoIterator<Item = (TopicPartition, i64)>,
    ) -> Result<()> {
        let commit = self.consumer.commit_offsets(next_offsets);
        self.runtime.block_on(commit)?
    }

    /// What happens to the partitions from now on: assigned, revoked, lost, reset.
    #[must_use]
    pub fn events(&self) -> Events {
        Events {
            runtime: self.runtime.clone(),
            events: self.consumer.events(),
        }
    }

    /// The partitions that are read at the moment.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.consumer.assignment()
    }

    /// What each partition does at the moment, and why it gives no record if it gives none.
    #[must_use]
    pub fn partition_status(&self) -> Vec<PartitionStatus> {
        self.consumer.partition_status()
    }

    /// The offset of the next record that will be delivered, if it is known.
    #[must_use]
    pub fn position(&self, partition: impl Into<TopicPartition>) -> Option<i64> {
        self.consumer.position(partition)
    }

    /// As [`Consumer::seek`](crate::Consumer::seek).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn seek(&self, partition: impl Into<TopicPartition>, to: Start) -> Result<()> {
        self.consumer.seek(partition, to)
    }

    /// As [`Consumer::pause`](crate::Consumer::pause).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn pause(&self, partition: impl Into<TopicPartition>) -> Result<()> {
        self.consumer.pause(partition)
    }

    /// As [`Consumer::resume`](crate::Consumer::resume).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn resume(&self, partition: impl Into<TopicPartition>) -> Result<()> {
        self.consumer.resume(partition)
    }

    /// Closes, from any thread; threads that wait for records get `None`.
    ///
    /// # Errors
    ///
    /// As [`Consumer::close_within`](crate::Consumer::close_within), and from inside async code.
    pub fn close_within(&self, timeout: Duration) -> Result<()> {
        self.runtime.block_on(self.consumer.close_within(timeout))?
    }
}

/// What happens to a consumer's partitions, in order. See [`Consumer::events`].
#[derive(Debug)]
pub struct Events {
    runtime: Runtime,
    events: crate::consumer::Events,
}

/// Waits for the next event; `None` once the consumer has ended. Who is hundreds of events behind misses the
/// oldest. An error from inside async code.
impl Iterator for Events {
    type Item = Result<ConsumerEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.events.next()).transpose()
    }
}

impl Events {
    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<ConsumerEvent> {
        self.events.try_next()
    }
}
