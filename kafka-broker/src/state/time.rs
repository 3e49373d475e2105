//! Time as an argument: whoever calls tells it, the state reads no clock.

use std::time::Duration;

/// A moment on both of the clocks that Kafka uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Time since the broker began, on a clock that never goes back: for timeouts.
    pub(crate) elapsed: Duration,
    /// Milliseconds since 1970, on the clock on the wall: for timestamps that are stored.
    pub(crate) unix_ms: i64,
}

/// `duration` in milliseconds as the protocol and the logs count them.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
