//! Instants of the machines: time since a start, handed in by whoever turns them.
//!
//! No machine reads a clock. `driver/clock.rs` makes these instants from the real one; tests make
//! them from nothing.

use std::fmt;
use std::ops::Add;

pub use std::time::Duration;

/// A point in time, counted from the start of the process (or of the test).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The start.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The instant this long after the start.
    #[must_use]
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the start this is.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates: an endless wait ends at the end of time.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}.{:03} s", self.0.as_secs(), self.0.subsec_millis())
    }
}

/// The earlier of two deadlines, where there are any.
#[must_use]
pub fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let late = Instant::after_start(Duration::MAX);
        assert_eq!(late + Duration::from_secs(1), late);
        assert_eq!(Instant::ZERO.saturating_since(late), Duration::ZERO);
        assert_eq!(
            format!("{:?}", Instant::ZERO + Duration::from_millis(1250)),
            "+1.250 s"
        );
    }

    #[test]
    fn the_earlier_deadline_wins() {
        let (one, two) = (Instant::ZERO, Instant::ZERO + Duration::from_secs(1));
        assert_eq!(earlier(Some(two), Some(one)), Some(one));
        assert_eq!(earlier(None, Some(two)), Some(two));
        assert_eq!(earlier(None, None), None);
    }
}
