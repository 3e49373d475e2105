//! The ids that were given out to clients who have not come back with them yet. They lapse, and they are so many at most,
//! in a group and in all groups together: to ask for one costs a client nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytestring::ByteString;

/// Ids that are waited for.
#[derive(Debug)]
pub(crate) struct PendingMembers {
    waiting: BTreeMap<ByteString, Waiting>,
    /// The same by time, so that nobody need look at all of them to know the next.
    by_time: BTreeSet<(Duration, ByteString)>,
    room: Arc<PendingRoom>,
}

/// One that is waited for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    lapses: Duration,
    /// What it takes of the room.
    footprint: usize,
}

/// The memory that there is for the ids of all groups, in bytes: a group may be there for one of them alone.
#[derive(Debug)]
pub(crate) struct PendingRoom {
    left: AtomicUsize,
}

impl PendingRoom {
    /// Room for so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// As much as nearly twenty thousand clients with short names take that all come at once.
impl Default for PendingRoom {
    fn default() -> Self {
        Self::new(64 << 20)
    }
}

impl PendingMembers {
    pub(crate) fn new(room: Arc<PendingRoom>) -> Self {
        Self {
            waiting: BTreeMap::new(),
            by_time: BTreeSet::new(),
            room,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits for an id until it lapses; it and what else is kept for it are `footprint` bytes. If there are too many, those
    /// that would lapse first do so now: their clients are told that nobody knows them, and ask for others. False if
    /// other groups have taken all the room.
    pub(crate) fn insert(&mut self, id: ByteString, lapses: Duration, footprint: usize) -> bool {
        self.remove(&id);
        if self.waiting.len() == PENDING_MAX {
            self.remove_first();
        }
        let footprint = footprint.saturating_add(FOOTPRINT_MIN);
        while !self.room.take(footprint) {
            if !self.remove_first() {
                return false;
            }
        }
        self.by_time.insert((lapses, id.clone()));
        self.waiting.insert(id, Waiting { lapses, footprint });
        true
    }

    /// Waits no more for an id. False if it is not waited for.
    pub(crate) fn remove(&mut self, id: &ByteString) -> bool {
        let Some(waiting) = self.waiting.remove(id) else {
            return false;
        };
        self.by_time.remove(&(waiting.lapses, id.clone()));
        self.room.give_back(waiting.footprint);
        true
    }

    /// Waits no more for the one that would lapse first. False if there is none.
    fn remove_first(&mut self) -> bool {
        let first = self.by_time.first().map(|(_, id)| id.clone());
        first.is_some_and(|id| self.remove(&id))
    }

    /// When the next one lapses.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.by_time.first().map(|(lapses, _)| *lapses)
    }

    /// Lets go of those whose time is over. False if there are none.
    pub(crate) fn expire(&mut self, now: Duration) -> bool {
        let mut any = false;
        while self.deadline().is_some_and(|lapses| lapses <= now) {
            any |= self.remove_first();
        }
        any
    }
}

impl Drop for PendingMembers {
    fn drop(&mut self) {
        for waiting in self.waiting.values() {
            self.room.give_back(waiting.footprint);
        }
    }
}

/// The most ids that a group waits for: far more than members.
const PENDING_MAX: usize = 5_000;

/// What is kept for an id beside its bytes, and for a group that is there for it.
const FOOTPRINT_MIN: usize = 3_500;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn pending() -> PendingMembers {
        PendingMembers::new(Arc::default())
    }

    #[test]
    fn each_lapses_at_its_time() {
        let mut pending = pending();
        pending.insert("late".into(), at(9), 0);
        pending.insert("soon".into(), at(3), 0);
        pending.insert("back".into(), at(2), 0);
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
        let mut pending = pending();
        let id = |nth: usize| ByteString::from(nth.to_string());
        for nth in 0..PENDING_MAX + 3 {
            assert!(pending.insert(id(nth), at(10 + nth as u64), 0));
        }
        assert_eq!(pending.waiting.len(), PENDING_MAX);
        assert_eq!(pending.by_time.len(), PENDING_MAX);
        assert!(!pending.remove(&id(2)));
        assert!(pending.remove(&id(3)));
        // One that comes again takes no other's place.
        pending.insert(id(4), at(99_999), 0);
        assert!(pending.remove(&id(5)));
    }

    #[test]
    fn all_groups_share_the_room_and_give_it_back() {
        let whole = 3 * (FOOTPRINT_MIN + 500);
        let room = Arc::new(PendingRoom::new(whole));
        let mut groups = [(); 2].map(|()| PendingMembers::new(Arc::clone(&room)));
        let [first, second] = &mut groups;
        for (id, lapses) in [("a", 7), ("b", 5), ("c", 6)] {
            assert!(first.insert(id.into(), at(lapses), 500));
        }
        assert!(!second.insert("d".into(), at(9), 1));
        assert!(second.is_empty());
        // A group that has some of the room makes more of it by itself.
        assert!(first.insert("e".into(), at(9), 500));
        assert!(!first.remove(&"b".into()), "it would have lapsed first");
        assert!(first.insert("f".into(), at(9), FOOTPRINT_MIN + 1_000));
        assert!(!first.remove(&"c".into()) && !first.remove(&"a".into()));
        assert!(first.remove(&"e".into()));
        assert!(second.insert("d".into(), at(9), 500));
        assert!(second.expire(at(9)));
        assert!(second.insert("d".into(), at(9), 500));
        drop(groups);
        assert_eq!(room.left.load(Ordering::Relaxed), whole);
    }
}
