//! What the application is told beside records.

use tokio::sync::broadcast;

use crate::machine::consumer::ConsumerEvent;

/// What happens to a consumer's partitions, in order. See
/// [`Consumer::events`](crate::Consumer::events).
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<ConsumerEvent>);

impl Events {
    /// The next event; `None` once the consumer has ended. Who is hundreds of events behind misses the
    /// oldest.
    ///
    /// # Cancel safety
    ///
    /// An event is either returned or still there for the next call.
    pub async fn next(&mut self) -> Option<ConsumerEvent> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a listener is slow");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<ConsumerEvent> {
        loop {
            match self.0.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return None,
            }
        }
    }
}
