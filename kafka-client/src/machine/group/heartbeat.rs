//! When a group member must speak to its coordinator, and what silence means.

use crate::machine::time::{Duration, Instant};

/// What the owner of a [`Heartbeat`] must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The coordinator has been silent for a whole session: it takes the member for dead.
    Lost,
    /// Send one heartbeat now.
    Send,
    /// Nothing to do before this instant.
    WaitUntil(Instant),
}

/// The heartbeat clock of one member of one group.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    interval: Duration,
    session: Duration,
    next_send: Instant,
    last_heard: Instant,
    under_way: bool,
}

impl Heartbeat {
    /// The coordinator was heard of just now.
    pub(crate) fn new(now: Instant, interval: Duration, session: Duration) -> Self {
        Self {
            interval,
            session,
            next_send: now + interval,
            last_heard: now,
            under_way: false,
        }
    }

    /// The coordinator answered, whatever it said.
    pub(crate) fn handle_answer(&mut self, now: Instant) {
        self.under_way = false;
        self.last_heard = self.last_heard.max(now);
    }

    /// The coordinator could not be asked: the next attempt comes after a wait, or at once when it has
    /// been found again.
    pub(crate) fn handle_failure(&mut self, now: Instant, wait: Duration) {
        self.under_way = false;
        self.next_send = now + wait.min(self.interval);
    }

    /// Whether the silence has lasted a whole session. For who cannot send at the moment.
    pub(crate) fn is_lost(&self, now: Instant) -> bool {
        self.last_heard + self.session <= now
    }

    /// Ask this after every input, and again at the instant it names.
    pub(crate) fn poll(&mut self, now: Instant) -> Step {
        let lost_at = self.last_heard + self.session;
        if lost_at <= now {
            return Step::Lost;
        }
        if self.under_way {
            return Step::WaitUntil(lost_at);
        }
        if self.next_send <= now {
            self.next_send = now + self.interval;
            self.under_way = true;
            return Step::Send;
        }
        Step::WaitUntil(lost_at.min(self.next_send))
    }

    /// What [`Self::poll`] would wait for.
    pub(crate) fn poll_deadline(&self, now: Instant) -> Instant {
        let lost_at = self.last_heard + self.session;
        if self.under_way || self.next_send <= now {
            lost_at
        } else {
            lost_at.min(self.next_send)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn heartbeat() -> Heartbeat {
        Heartbeat::new(at(0), Duration::from_secs(3), Duration::from_secs(10))
    }

    #[test]
    fn one_at_a_time_and_on_time() {
        let mut heartbeat = heartbeat();
        assert_eq!(heartbeat.poll(at(0)), Step::WaitUntil(at(3)));
        assert_eq!(heartbeat.poll(at(3)), Step::Send);
        assert_eq!(heartbeat.poll(at(7)), Step::WaitUntil(at(10)));
        heartbeat.handle_answer(at(8));
        assert_eq!(heartbeat.poll(at(8)), Step::Send);
        heartbeat.handle_answer(at(8));
        assert_eq!(heartbeat.poll(at(8)), Step::WaitUntil(at(11)));
    }

    #[test]
    fn silence_for_a_session_is_a_loss_and_a_failure_is_not() {
        let mut heartbeat = heartbeat();
        assert_eq!(heartbeat.poll(at(4)), Step::Send);
        heartbeat.handle_failure(at(5), Duration::from_secs(1));
        assert_eq!(heartbeat.poll(at(5)), Step::WaitUntil(at(6)));
        assert_eq!(heartbeat.poll(at(6)), Step::Send);
        assert_eq!(heartbeat.poll(at(9)), Step::WaitUntil(at(10)));
        assert_eq!(heartbeat.poll(at(10)), Step::Lost);
    }
}
