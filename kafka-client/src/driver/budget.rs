//! A number of bytes that many may hold parts of; who finds too few left waits.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The bytes a producer may buffer (`buffer.memory`).
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicUsize,
    freed: Notify,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
            freed: Notify::new(),
        }
    }

    /// Takes bytes, if there are enough.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .is_ok()
    }

    /// Gives bytes back and wakes all who wait.
    pub(crate) fn give(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::AcqRel);
        self.freed.notify_waiters();
    }

    /// Resolves after the next [`give`](Self::give). Make it before looking, so that nothing is missed in
    /// between.
    pub(crate) fn freed(&self) -> tokio::sync::futures::Notified<'_> {
        self.freed.notified()
    }
}
