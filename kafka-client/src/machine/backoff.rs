//! How long to wait before trying again: exponential with a limit and jitter, as in KIP-580.
//!
//! Knows neither what is tried nor whether it makes sense to.

use crate::machine::time::Duration;

/// The waits between attempts: `initial`, doubled each time up to `max`, each moved by up to 20 % at random
/// so that many clients do not return at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    /// Waits from `initial` up to `max`.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self {
            initial,
            max,
            attempts: 0,
        }
    }

    /// How many waits were asked for since the last success.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The wait before the next attempt. `random` is any number; it decides the jitter.
    pub fn next_wait(&mut self, random: u32) -> Duration {
        let doubled = self.initial.saturating_mul(1 << self.attempts.min(20));
        self.attempts = self.attempts.saturating_add(1);
        // 80 % to 120 % of the wait.
        let thousandths = 800 + random % 401;
        doubled.min(self.max) / 1000 * thousandths
    }

    /// It worked: the next failure waits `initial` again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_start_again_after_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let waits: Vec<_> = (0..6).map(|_| backoff.next_wait(200).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.next_wait(200).as_millis(), 100);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        for random in 0..1000 {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
            let wait = backoff.next_wait(random).as_millis();
            assert!((800..=1200).contains(&wait), "{wait} ms");
        }
    }

    #[test]
    fn a_long_outage_overflows_nothing() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::MAX);
        for _ in 0..100 {
            assert!(backoff.next_wait(u32::MAX) >= Duration::from_millis(800));
        }
    }
}
