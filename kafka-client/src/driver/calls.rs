//! A few calls under way at once, turned by the task that made them: no task for each, and dropping
//! the set drops them all.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The calls under way. Meant for a handful: each wake looks at all of them.
pub(crate) struct Calls<T> {
    under_way: Vec<Call<T>>,
}

impl<T> Calls<T> {
    pub(crate) const fn new() -> Self {
        Self {
            under_way: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, call: impl Future<Output = T> + Send + 'static) {
        self.under_way.push(Box::pin(call));
    }

    /// The next outcome; waits for ever if nothing is under way.
    ///
    /// Dropping the future loses nothing.
    pub(crate) fn next(&mut self) -> impl Future<Output = T> {
        std::future::poll_fn(|context| self.poll_next(context))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<T> {
        for (place, call) in self.under_way.iter_mut().enumerate() {
            if let Poll::Ready(outcome) = call.as_mut().poll(context) {
                drop(self.under_way.swap_remove(place));
                return Poll::Ready(outcome);
            }
        }
        Poll::Pending
    }
}

impl<T> fmt::Debug for Calls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("under_way", &self.under_way.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn outcomes_come_as_they_are_ready_and_survive_a_dropped_wait() {
        let mut calls = Calls::new();
        for seconds in [3, 1, 2] {
            calls.push(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                seconds
            });
        }
        let wait = tokio::time::timeout(Duration::from_millis(500), calls.next());
        assert!(wait.await.is_err());
        assert_eq!(calls.next().await, 1);
        assert_eq!(calls.next().await, 2);
        assert_eq!(calls.next().await, 3);
        let wait = tokio::time::timeout(Duration::from_secs(60), calls.next());
        assert!(wait.await.is_err());
    }
}
