//! The clocks of groups that were stopped or put forward; those of all others go with the broker's.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;

use crate::state::time::Now;

/// What is done to a group's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockTurn {
    /// It stands still.
    Stop,
    /// It goes on from where it stood.
    Go,
    /// It is put forward.
    Forward(Duration),
}

/// The clocks that differ from the broker's.
#[derive(Debug, Default)]
pub(crate) struct GroupClocks(Mutex<BTreeMap<ByteString, GroupClock>>);

/// How a clock differs from the broker's.
#[derive(Clone, Copy, Debug, Default)]
struct GroupClock {
    ahead: Duration,
    behind: Duration,
    stopped_at: Option<Duration>,
}

impl GroupClocks {
    /// The time of a group, given the broker's. The time that is stored is the same for all.
    pub(crate) fn now_of(&self, group: &str, now: Now) -> Now {
        match self.lock().get(group) {
            None => now,
            Some(clock) => Now {
                elapsed: clock.stopped_at.unwrap_or_else(|| clock.running(now)),
                ..now
            },
        }
    }

    /// When, by the broker's clock, that of a group will be `at`; never, if it stands.
    pub(crate) fn when(&self, group: &str, at: Duration) -> Option<Duration> {
        match self.lock().get(group) {
            None => Some(at),
            Some(clock) if clock.stopped_at.is_some() => None,
            Some(clock) => Some((at + clock.behind).saturating_sub(clock.ahead)),
        }
    }

    /// Turns the clock of a group.
    pub(crate) fn turn(&self, group: &str, now: Now, turn: ClockTurn) {
        let mut clocks = self.lock();
        let clock = clocks.entry(group.into()).or_default();
        let running = clock.running(now);
        match (turn, clock.stopped_at) {
            (ClockTurn::Stop, None) => clock.stopped_at = Some(running),
            (ClockTurn::Stop, Some(_)) | (ClockTurn::Go, None) => {}
            (ClockTurn::Go, Some(at)) => {
                // It may have been put forward meanwhile, even beyond where it would be by itself.
                clock.behind += running.saturating_sub(at);
                clock.ahead += at.saturating_sub(running);
                clock.stopped_at = None;
            }
            (ClockTurn::Forward(by), Some(at)) => clock.stopped_at = Some(at + by),
            (ClockTurn::Forward(by), None) => clock.ahead += by,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ByteString, GroupClock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GroupClock {
    /// Its time if it is not stopped.
    fn running(&self, now: Now) -> Duration {
        (now.elapsed + self.ahead).saturating_sub(self.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stops_goes_on_and_is_put_forward() {
        let second = Duration::from_secs;
        let at = |seconds| Now {
            elapsed: second(seconds),
            unix_ms: 77,
        };
        let clocks = GroupClocks::default();
        assert_eq!(clocks.now_of("g", at(5)), at(5));
        assert_eq!(clocks.when("g", second(9)), Some(second(9)));
        clocks.turn("g", at(10), ClockTurn::Stop);
        assert_eq!(clocks.now_of("g", at(40)), at(10));
        assert_eq!(clocks.now_of("h", at(40)), at(40));
        assert_eq!(clocks.when("g", second(11)), None);
        clocks.turn("g", at(50), ClockTurn::Go);
        assert_eq!(clocks.now_of("g", at(53)), at(13));
        assert_eq!(clocks.when("g", second(13)), Some(second(53)));
        clocks.turn("g", at(53), ClockTurn::Forward(second(100)));
        assert_eq!(clocks.now_of("g", at(54)), at(114));
        assert_eq!(clocks.when("g", second(114)), Some(second(54)));
        clocks.turn("g", at(54), ClockTurn::Stop);
        clocks.turn("g", at(54), ClockTurn::Forward(second(10)));
        clocks.turn("g", at(56), ClockTurn::Go);
        assert_eq!(clocks.now_of("g", at(56)), at(124));
    }
}
