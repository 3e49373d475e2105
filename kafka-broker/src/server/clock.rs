//! The one place that reads the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::state::time::Now;

/// The clocks of one broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    /// Begins to count.
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            elapsed: self.began.elapsed(),
            unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// When `elapsed` will have passed since the start.
    pub(crate) fn at(&self, elapsed: Duration) -> tokio::time::Instant {
        let far = Duration::from_secs(365 * 24 * 3600);
        tokio::time::Instant::from_std(self.began + elapsed.min(self.began.elapsed() + far))
    }
}
