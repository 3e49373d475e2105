//! The next offset of one partition, or what must happen before there is one.
//!
//! Knows nothing of other partitions.

use crate::config::consumer::Start;
use crate::error::Error;
use crate::machine::backoff::Backoff;
use crate::machine::time::Instant;

/// Where reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The offset of the next record.
    pub(crate) offset: i64,
    /// The leader epoch of the batch before it; -1 if not known.
    pub(crate) epoch: i32,
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) node: i32,
    pub(crate) epoch: i32,
}

/// Why a position was given up by a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetReason {
    /// It lay outside of what the partition holds.
    OutOfRange,
    /// What was read is not in the log any more: an election lost it, and other records may have taken its
    /// offsets.
    Truncated,
    /// The topic was deleted and made again: another topic under the same name.
    TopicRecreated,
}

/// What a partition does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The group's committed offset is not known yet.
    Committed,
    /// The offset of a timestamp is not known yet. `asked` means that a question is on its way.
    Lookup { timestamp: i64, asked: bool },
    /// Records are read from here.
    Reading(Position),
    /// An error was given to the application; only a seek goes on.
    Stopped,
}

/// What is known so far of a position that the leader does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfRange {
    pub(crate) offset: i64,
    /// The first offset that the leader holds, once it said so.
    pub(crate) oldest: Option<i64>,
}

/// Where one partition stands.
///
/// A *stint* is one stretch of reading it: from assignment, seek or reset to the next of these or the
/// revocation. Each has a number of its own, so that whatever belongs to an earlier one (an answer, a
/// record that is acknowledged late) is recognized.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) stint: u64,
    pub(crate) phase: Phase,
    /// Since when it waits for what it waits for.
    pub(crate) since: Instant,
    pub(crate) paused: bool,
    /// `None`: not known, or there is none at the moment.
    pub(crate) leader: Option<Leader>,
    /// The end of what may be read, as the last answer told; -1 if not known.
    pub(crate) high_watermark: i64,
    /// When it was last in an answer, counted in answers: the longest not served comes first.
    pub(crate) served: u64,
    pub(crate) last_error: Option<Error>,
    /// The position that a reset gave up, until the new one is known.
    pub(crate) reset_from: Option<(i64, ResetReason)>,
    /// The application chose where this stint begins.
    pub(crate) sought: bool,
    /// The position lies outside of what the leader holds, which is being asked for the error to tell.
    pub(crate) out_of_range: Option<OutOfRange>,
    retry_at: Option<Instant>,
    backoff: Backoff,
}

impl Partition {
    pub(crate) fn new(now: Instant, stint: u64, phase: Phase, backoff: Backoff) -> Self {
        Self {
            stint,
            phase,
            since: now,
            paused: false,
            leader: None,
            high_watermark: -1,
            served: 0,
            last_error: None,
            reset_from: None,
            sought: false,
            out_of_range: None,
            retry_at: None,
            backoff,
        }
    }

    /// A new stint that begins like this. What was learned about leader and pause stays.
    pub(crate) fn restart(&mut self, now: Instant, stint: u64, phase: Phase) {
        self.stint = stint;
        self.retry_at = None;
        self.reset_from = None;
        self.sought = false;
        self.out_of_range = None;
        self.backoff.reset();
        self.enter(now, phase);
    }

    pub(crate) fn enter(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        self.since = now;
    }

    pub(crate) fn position(&self) -> Option<Position> {
        match self.phase {
            Phase::Reading(position) => Some(position),
            _ => None,
        }
    }

    /// Records were taken up to here.
    pub(crate) fn advance(&mut self, now: Instant, position: Position) {
        self.enter(now, Phase::Reading(position));
        self.succeeded();
    }

    pub(crate) fn succeeded(&mut self) {
        self.backoff.reset();
        self.retry_at = None;
        self.last_error = None;
    }

    /// It did not work: try again after a wait.
    pub(crate) fn failed(&mut self, now: Instant, random: u32, error: Error) {
        if let Phase::Lookup { asked, .. } = &mut self.phase {
            *asked = false;
        }
        self.retry_at = Some(now + self.backoff.next_wait(random));
        self.last_error = Some(error);
        self.since = now;
    }

    /// It did not work and will not by itself.
    pub(crate) fn stop(&mut self, now: Instant, error: Error) {
        self.last_error = Some(error);
        self.enter(now, Phase::Stopped);
    }

    /// The leader is another one: whatever was waited for, it need not be waited for any more.
    pub(crate) fn set_leader(&mut self, now: Instant, leader: Option<Leader>) {
        let moved = self.leader.map(|leader| leader.node) != leader.map(|leader| leader.node);
        self.leader = leader;
        if moved {
            self.retry_at = None;
            self.since = now;
            if let Phase::Lookup { asked, .. } = &mut self.phase {
                *asked = false;
            }
        }
    }

    /// Until when it waits after a failure.
    pub(crate) fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.retry_at.filter(|at| *at > now)
    }
}

/// How a stint begins that the application or a policy ordered.
pub(crate) fn phase_of(start: Start) -> Phase {
    let lookup = |timestamp| Phase::Lookup {
        timestamp,
        asked: false,
    };
    match start {
        Start::Oldest => lookup(OLDEST),
        Start::Newest => lookup(NEWEST),
        Start::Timestamp(at) => lookup(at.max(0)),
        Start::Offset(offset) => Phase::Reading(Position { offset, epoch: -1 }),
    }
}

/// The timestamp that stands for the end of a partition in ListOffsets.
pub(crate) const NEWEST: i64 = -1;
/// The timestamp that stands for its beginning.
pub(crate) const OLDEST: i64 = -2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::machine::time::Duration;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_new_leader_ends_the_wait_after_a_failure() {
        let backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5));
        let mut partition = Partition::new(at(0), 1, phase_of(Start::Oldest), backoff);
        partition.set_leader(at(0), Some(Leader { node: 1, epoch: 0 }));
        partition.phase = Phase::Lookup {
            timestamp: OLDEST,
            asked: true,
        };
        partition.failed(at(1), 200, Error::new(ErrorKind::Disconnected, "gone"));
        assert_eq!(partition.phase, phase_of(Start::Oldest));
        assert_eq!(partition.waits_until(at(1)), Some(at(6)));
        // The same leader in a later epoch changes nothing, another one does.
        partition.set_leader(at(2), Some(Leader { node: 1, epoch: 1 }));
        assert!(partition.waits_until(at(2)).is_some());
        partition.set_leader(at(3), Some(Leader { node: 2, epoch: 2 }));
        assert_eq!(partition.waits_until(at(3)), None);
    }

    #[test]
    fn success_clears_the_error_and_the_wait() {
        let backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5));
        let mut partition = Partition::new(at(0), 1, phase_of(Start::Offset(7)), backoff);
        partition.failed(at(0), 200, Error::new(ErrorKind::Timeout, "late"));
        let next = Position {
            offset: 9,
            epoch: 2,
        };
        partition.advance(at(1), next);
        assert_eq!(partition.position(), Some(next));
        assert_eq!(partition.waits_until(at(1)), None);
        assert!(partition.last_error.is_none());
    }
}
