//! A topic that is produced to: its partitions, and the queue of each.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytestring::ByteString;

use crate::driver::delivery::BatchCompletion;
use crate::error::Error;
use crate::machine::backoff::Backoff;
use crate::machine::producer::partition_queue::{Batch, PartitionQueue};

/// A queue of batches with what their tickets wait for.
pub(crate) type Queue = PartitionQueue<Arc<BatchCompletion>>;
pub(crate) type QueuedBatch = Batch<Arc<BatchCompletion>>;

/// A topic that is produced to.
#[derive(Debug)]
pub(crate) struct TopicState {
    pub(crate) name: ByteString,
    /// Where keyless records go now, packed.
    pub(crate) sticky: AtomicU64,
    table: OnceLock<PartitionTable>,
    /// Held while the table grows.
    growing: Mutex<()>,
}

/// The partitions of a topic by index. Tables only grow: a topic with more partitions gets a longer one, linked
/// behind, so that a send reads the table without a lock.
#[derive(Debug)]
struct PartitionTable {
    partitions: Box<[Arc<PartitionState>]>,
    longer: OnceLock<Box<Self>>,
}

/// A partition that is produced to.
#[derive(Debug)]
pub(crate) struct PartitionState {
    pub(crate) topic: Arc<TopicState>,
    pub(crate) index: i32,
    queue: Mutex<Queue>,
    /// Whether it stands in the list of those that have something to send.
    pub(crate) is_active: AtomicBool,
    pub(crate) backoff: Mutex<Backoff>,
    /// Why the last attempt to send failed; `None` once one succeeded.
    pub(crate) last_failure: Mutex<Option<Error>>,
}

impl TopicState {
    pub(crate) fn new(name: ByteString, sticky: u64) -> Self {
        Self {
            name,
            sticky: AtomicU64::new(sticky),
            table: OnceLock::new(),
            growing: Mutex::new(()),
        }
    }

    /// The partitions, once they are known.
    pub(crate) fn partitions(&self) -> Option<&[Arc<PartitionState>]> {
        let mut table = self.table.get()?;
        while let Some(longer) = table.longer.get() {
            table = longer;
        }
        Some(&table.partitions)
    }

    /// Sees to it that the topic has at least `count` partitions. One that is there stays the same for ever:
    /// its queue gives out the sequences by which brokers tell a new batch from a repeated one.
    pub(crate) fn grow(self: &Arc<Self>, count: usize, parts: impl Fn() -> (Queue, Backoff)) {
        let _growing = lock(&self.growing);
        let have = self.partitions().unwrap_or_default();
        if count <= have.len() {
            return;
        }
        let new = (have.len()..count).map(|index| {
            let (queue, backoff) = parts();
            Arc::new(PartitionState {
                topic: Arc::clone(self),
                index: i32::try_from(index).unwrap_or(i32::MAX),
                queue: Mutex::new(queue),
                is_active: AtomicBool::new(false),
                backoff: Mutex::new(backoff),
                last_failure: Mutex::new(None),
            })
        });
        let table = PartitionTable {
            partitions: have.iter().cloned().chain(new).collect(),
            longer: OnceLock::new(),
        };
        let Some(mut last) = self.table.get() else {
            let _first_under_the_lock = self.table.set(table);
            return;
        };
        while let Some(longer) = last.longer.get() {
            last = longer;
        }
        let _last_under_the_lock = last.longer.set(Box::new(table));
    }
}

impl PartitionState {
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::machine::producer::partition_queue::Limits;
    use crate::machine::time::Duration;

    fn parts() -> (Queue, Backoff) {
        let second = Duration::from_secs(1);
        let limits = Limits {
            batch_bytes: 100,
            batch_bytes_max: 1000,
            linger: second,
            delivery_timeout: second,
            in_flight_max: 5,
            idempotent: true,
        };
        (PartitionQueue::new(limits), Backoff::new(second, second))
    }

    #[test]
    fn whoever_learns_of_a_topic_at_the_same_time_gets_the_same_partitions() {
        for _ in 0..200 {
            let topic = Arc::new(TopicState::new("t".into(), 0));
            let start = Barrier::new(4);
            let learn = || {
                start.wait();
                topic.grow(3, parts);
                topic.partitions().unwrap().to_vec()
            };
            let seen: Vec<_> = std::thread::scope(|scope| {
                let learners = [(); 4].map(|()| scope.spawn(learn));
                learners.into_iter().map(|l| l.join().unwrap()).collect()
            });
            let last = topic.partitions().unwrap();
            for partitions in &seen {
                assert_eq!(partitions.len(), 3);
                let same = partitions.iter().zip(last).all(|(a, b)| Arc::ptr_eq(a, b));
                assert!(same, "a partition was made twice");
            }
        }
    }

    #[test]
    fn a_topic_grows_behind_the_partitions_it_has() {
        let topic = Arc::new(TopicState::new("t".into(), 0));
        assert!(topic.partitions().is_none());
        topic.grow(2, parts);
        let before = topic.partitions().unwrap().to_vec();
        topic.grow(5, parts);
        topic.grow(4, parts);
        let after = topic.partitions().unwrap();
        assert_eq!(
            after.iter().map(|p| p.index).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
        assert!(before.iter().zip(after).all(|(a, b)| Arc::ptr_eq(a, b)));
    }
}
