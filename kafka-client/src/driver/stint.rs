//! What the application does with one stretch of reading one partition: what it was given, and what it
//! is done with.
//!
//! Shared by the records that were given out and the task that commits, so that acknowledging a record
//! costs one short lock of its own partition.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::machine::consumer::ProcessedNews;
use crate::machine::subscription::position::Position;
use crate::machine::subscription::processed::Processed;
use crate::record::topic_partition::TopicPartition;

/// What became of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckOutcome {
    /// It counts.
    Accepted,
    /// The partition was revoked or sought since the record was delivered: it does not count, and the
    /// record may be delivered again, here or elsewhere.
    Stale,
}

/// One stint of one partition.
#[derive(Debug)]
pub(crate) struct Stint {
    pub(crate) partition: TopicPartition,
    pub(crate) number: u64,
    signals: Arc<Signals>,
    start: i64,
    /// Everything below was delivered.
    delivered: AtomicI64,
    processed: Mutex<Processed>,
    retired: AtomicBool,
}

/// What the application's calls tell the task.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Look again.
    pub(crate) wake: Notify,
    /// The task waits for acknowledgements.
    pub(crate) acks_awaited: AtomicBool,
    progress: AtomicBool,
}

impl Signals {
    /// The application is alive.
    pub(crate) fn note_progress(&self) {
        // Looking first keeps the line in every core's cache.
        if !self.progress.load(Ordering::Relaxed) {
            self.progress.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn take_progress(&self) -> bool {
        self.progress.swap(false, Ordering::Relaxed)
    }
}

impl Stint {
    /// Begins at this offset.
    pub(crate) fn new(
        partition: TopicPartition,
        number: u64,
        start: i64,
        signals: Arc<Signals>,
    ) -> Self {
        Self {
            partition,
            number,
            signals,
            start,
            delivered: AtomicI64::new(start),
            processed: Mutex::new(Processed::new(start)),
            retired: AtomicBool::new(false),
        }
    }

    /// The application is given everything up to here.
    pub(crate) fn deliver(&self, to: i64) {
        self.delivered.fetch_max(to, Ordering::Relaxed);
    }

    /// These offsets are done.
    pub(crate) fn acknowledge(&self, from: i64, to: i64, epoch: i32) -> AckOutcome {
        if self.retired.load(Ordering::Acquire) {
            return AckOutcome::Stale;
        }
        self.lock().mark(from, to, epoch);
        self.signals.note_progress();
        if self.signals.acks_awaited.load(Ordering::SeqCst) {
            self.signals.wake.notify_one();
        }
        AckOutcome::Accepted
    }

    /// What the application has done of it.
    pub(crate) fn news(&self) -> ProcessedNews {
        let processed = self.lock();
        let delivered = self.delivered.load(Ordering::Relaxed);
        let position = Position {
            offset: processed.done_to(),
            epoch: processed.epoch(),
        };
        ProcessedNews {
            partition: self.partition.clone(),
            stint: self.number,
            done: (position.offset > self.start).then_some(position),
            delivered,
            open: position.offset < delivered,
        }
    }

    /// How many records were delivered and not acknowledged, where offsets have no holes, and the offset of the
    /// first; `None` if there are none.
    pub(crate) fn forgotten(&self) -> Option<(i64, i64)> {
        let processed = self.lock();
        let open = processed.open_below(self.delivered.load(Ordering::Relaxed));
        (open > 0).then(|| (open, processed.done_to()))
    }

    /// Acknowledgements do not count from now on.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Processed> {
        self.processed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_delivered_and_not_acknowledged_is_open() {
        let signals = Arc::new(Signals::default());
        let stint = Stint::new(TopicPartition::new("t", 0), 1, 10, Arc::clone(&signals));
        let seen = |stint: &Stint| {
            let news = stint.news();
            let done = news.done.map(|position| (position.offset, position.epoch));
            (done, news.delivered, news.open)
        };
        assert_eq!(seen(&stint), (None, 10, false));
        stint.deliver(12);
        assert_eq!(stint.acknowledge(11, 12, 5), AckOutcome::Accepted);
        assert_eq!(seen(&stint), (None, 12, true), "nothing to commit yet");
        assert_eq!(stint.forgotten(), Some((1, 10)));
        stint.acknowledge(10, 11, 5);
        assert_eq!(seen(&stint), (Some((12, 5)), 12, false));
        assert_eq!(stint.forgotten(), None);
        assert!(signals.take_progress());
        assert!(!signals.take_progress());
        stint.retire();
        assert_eq!(stint.acknowledge(12, 13, 5), AckOutcome::Stale);
        assert_eq!(seen(&stint), (Some((12, 5)), 12, false));
    }
}
