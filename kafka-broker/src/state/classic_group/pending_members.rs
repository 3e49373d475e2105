//! The ids that were given out to clients who have not come back with them yet. They lapse, and they are so many at most:
//! to ask for one costs a client nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytestring::ByteString;

/// Ids that are waited for.
#[derive(Debug, Default)]
pub(crate) struct PendingMembers {
    lapses: BTreeMap<ByteString, Duration>,
    /// The same by time, so that nobody need look at all of them to know the next.
    by_time: BTreeSet<(Duration, ByteString)>,
}

impl PendingMembers {
    pub(crate) fn is_empty(&self) -> bool {
        self.lapses.is_empty()
    }

    /// Waits for an id until it lapses. If there are too many, the one that would lapse first does so now: its client
    /// is told that nobody knows it, and asks for another.
    pub(crate) fn insert(&mut self, id: ByteString, lapses: Duration) {
        self.remove(&id);
        if self.lapses.len() == PENDING_MAX
            && let Some((_, oldest)) = self.by_time.pop_first()
        {
            self.lapses.remove(&oldest);
        }
        self.by_time.insert((lapses, id.clone()));
        self.lapses.insert(id, lapses);
    }

    /// Waits no more for an id. False if it is not waited for.
    pub(crate) fn remove(&mut self, id: &ByteString) -> bool {
        let Some(lapses) = self.lapses.remove(id) else {
            return false;
        };
        self.by_time.remove(&(lapses, id.clone()));
        true
    }

    /// When the next one lapses.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.by_time.first().map(|(lapses, _)| *lapses)
    }

    /// Lets go of those whose time is over. False if there are none.
    pub(crate) fn expire(&mut self, now: Duration) -> bool {
        let mut any = false;
        while self.deadline().is_some_and(|lapses| lapses <= now) {
            if let Some((_, id)) = self.by_time.pop_first() {
                self.lapses.remove(&id);
                any = true;
            }
        }
        any
    }
}

/// The most ids that a group waits for: far more than members, and less than a megabyte.
const PENDING_MAX: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_lapses_at_its_time() {
        let mut pending = PendingMembers::default();
        pending.insert("late".into(), at(9));
        pending.insert("soon".into(), at(3));
        pending.insert("back".into(), at(2));
        assert_eq!(pending.deadline(), Some(at(2)));
        assert!(pending.remove(&"back".into()));
        assert!(!pending.remove(&"back".into()));
        assert_eq!(pending.deadline(), Some(at(3)));
        assert!(!pending.expire(at(2)));
        assert!(pending.expire(at(3)));
        assert!(!pending.remove(&"soon".into()));
        assert!(pending.remove(&"late".into()));
        assert!(pending.is_empty());
        assert_eq!(pending.deadline(), None);
    }

    #[test]
    fn of_too_many_the_oldest_gives_way() {
        let mut pending = PendingMembers::default();
        let id = |nth: usize| ByteString::from(nth.to_string());
        for nth in 0..PENDING_MAX + 3 {
            pending.insert(id(nth), at(10 + nth as u64));
        }
        assert_eq!(pending.lapses.len(), PENDING_MAX);
        assert_eq!(pending.by_time.len(), PENDING_MAX);
        assert!(!pending.remove(&id(2)));
        assert!(pending.remove(&id(3)));
        // One that comes again takes no other's place.
        pending.insert(id(4), at(99_999));
        assert!(pending.remove(&id(5)));
    }
}
