//! A flag that one task waits for and anyone raises. Knows no runtime.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// A flag with one waiter.
///
/// Raising it while nobody waits is not lost: the next wait ends at once. Several raises before a
/// wait are one.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    raised: bool,
    waiter: Option<Waker>,
}

impl Signal {
    /// A signal that is not raised.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Raises the flag and wakes who waits.
    pub(crate) fn raise(&self) {
        let waiter = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.raised = true;
            inner.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Ready, and lowered again, once the flag was raised.
    pub(crate) fn poll_raised(&self, context: &Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut inner.raised) {
            inner.waiter = None;
            return Poll::Ready(());
        }
        match &mut inner.waiter {
            Some(waiter) => waiter.clone_from(context.waker()),
            waiter => *waiter = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits until the flag is raised, and lowers it.
    pub(crate) async fn raised(&self) {
        std::future::poll_fn(|context| self.poll_raised(context)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raise_is_kept_for_the_next_wait_and_only_for_that() {
        let signal = Signal::default();
        let context = Context::from_waker(Waker::noop());
        assert!(signal.poll_raised(&context).is_pending());
        signal.raise();
        signal.raise();
        assert!(signal.poll_raised(&context).is_ready());
        assert!(signal.poll_raised(&context).is_pending());
    }
}
