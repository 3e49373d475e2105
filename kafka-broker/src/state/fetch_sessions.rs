//! Fetch sessions (KIP-227): what a reader wants of which partitions, remembered between its requests, so
//! that a request names only what has changed and an answer only what is new. Knows no requests.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::{ErrorCode, Uuid};

/// A partition as readers name it: by the name of its topic, or by its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    /// Empty where the id counts.
    pub(crate) topic: ByteString,
    /// Zero where the name counts.
    pub(crate) topic_id: Uuid,
    /// The number of the partition.
    pub(crate) index: i32,
}

/// What a reader wants of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// From where.
    pub(crate) offset: i64,
    /// How much at a time.
    pub(crate) max_bytes: i32,
    /// The leader epoch that the reader knows, -1 if none.
    pub(crate) current_leader_epoch: i32,
    /// The leader epoch of the last record that it has, -1 if none.
    pub(crate) last_fetched_epoch: i32,
}

/// What an answer says of a partition besides batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
}

/// All sessions of a broker.
///
/// The lock of all is held to find a session and to begin or end one, never while partitions are read.
pub(crate) struct FetchSessions {
    slots: usize,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    sessions: HashMap<i32, Slot>,
}

struct Slot {
    session: Arc<Session>,
    began: Duration,
    used: Duration,
    /// Partitions, as of the last request.
    size: usize,
}

/// One session.
pub(crate) struct Session {
    /// Its number, never 0.
    pub(crate) id: i32,
    by_id: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of the next request.
    epoch: i32,
    partitions: HashMap<SessionKey, Held>,
    /// The same by turn: who was given batches goes to the end.
    order: BTreeMap<u64, SessionKey>,
    next_turn: u64,
}

struct Held {
    wanted: Wanted,
    told: Option<Told>,
    turn: u64,
}

impl fmt::Debug for FetchSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.locked().sessions.len();
        f.debug_struct("FetchSessions")
            .field("count", &count)
            .field("slots", &self.slots)
            .finish()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish()
    }
}

impl FetchSessions {
    /// No sessions yet, and room for so many.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            slots,
            cache: Mutex::default(),
        }
    }

    /// Begins a session of these partitions. `None` if there is no room for it: the reader then does
    /// without.
    pub(crate) fn open(
        &self,
        partitions: &[(SessionKey, Wanted)],
        by_id: bool,
        now: Duration,
        random: impl Fn() -> i32,
    ) -> Option<Arc<Session>> {
        let mut cache = self.locked();
        let no_room = self.slots == 0 || cache.held() + partitions.len() > PARTITIONS_MAX;
        if partitions.is_empty() || no_room {
            return None;
        }
        if cache.sessions.len() >= self.slots {
            let expendable = cache.expendable(partitions.len(), now)?;
            cache.sessions.remove(&expendable);
        }
        let id = loop {
            let id = random() & i32::MAX;
            if id != 0 && !cache.sessions.contains_key(&id) {
                break id;
            }
        };
        let mut state = State {
            epoch: next_epoch(0),
            ..State::default()
        };
        for (key, wanted) in partitions {
            state.want(key.clone(), *wanted);
        }
        let session = Arc::new(Session {
            id,
            by_id,
            state: Mutex::new(state),
        });
        let slot = Slot {
            session: Arc::clone(&session),
            began: now,
            used: now,
            size: partitions.len(),
        };
        cache.sessions.insert(id, slot);
        Some(session)
    }

    /// Goes on with a session, after these changes. It ends if nothing is left in it.
    ///
    /// # Errors
    ///
    /// There is no such session, this is not its next request, or it goes by names and the request by ids
    /// or the other way round.
    pub(crate) fn resume(
        &self,
        (id, epoch): (i32, i32),
        by_id: bool,
        changed: Vec<(SessionKey, Wanted)>,
        forgotten: &[SessionKey],
        now: Duration,
    ) -> Result<Arc<Session>, ErrorCode> {
        let mut cache = self.locked();
        let growth = changed.len();
        let held = if growth > 0 { cache.held() } else { 0 };
        let unknown = ErrorCode::FETCH_SESSION_ID_NOT_FOUND;
        let slot = cache.sessions.get_mut(&id).ok_or(unknown)?;
        let session = Arc::clone(&slot.session);
        let mut state = session.locked();
        if state.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        if held + growth > PARTITIONS_MAX {
            drop(state);
            cache.sessions.remove(&id);
            return Err(unknown);
        }
        for (key, wanted) in changed {
            state.want(key, wanted);
        }
        for key in forgotten {
            state.forget(key);
        }
        state.epoch = next_epoch(epoch);
        slot.used = now;
        slot.size = state.partitions.len();
        drop(state);
        if slot.size == 0 {
            cache.sessions.remove(&id);
        }
        drop(cache);
        Ok(session)
    }

    /// The session of this number.
    pub(crate) fn find(&self, id: i32) -> Option<Arc<Session>> {
        let cache = self.locked();
        let slot = cache.sessions.get(&id)?;
        Some(Arc::clone(&slot.session))
    }

    /// Ends a session, if there is one of this number.
    pub(crate) fn close(&self, id: i32) {
        self.locked().sessions.remove(&id);
    }

    fn locked(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// Partitions of all sessions.
    fn held(&self) -> usize {
        self.sessions.values().map(|slot| slot.size).sum()
    }

    /// The session that gives way to one of `size` partitions: one that nobody has used for long, or a
    /// smaller one that has had its time.
    fn expendable(&self, size: usize, now: Duration) -> Option<i32> {
        let ripe = |since: Duration| now.saturating_sub(since) >= EVICTION_AGE;
        let idle = self.sessions.iter().min_by_key(|(_, slot)| slot.used);
        if let Some((id, slot)) = idle
            && ripe(slot.used)
        {
            return Some(*id);
        }
        let aged = self.sessions.iter().filter(|(_, slot)| ripe(slot.began));
        let (id, slot) = aged.min_by_key(|(_, slot)| slot.size)?;
        (slot.size < size).then_some(*id)
    }
}

impl Session {
    /// Whether nothing is wanted any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.locked().partitions.is_empty()
    }

    /// What is wanted, in the order in which it is to be read.
    pub(crate) fn wanted(&self) -> Vec<(SessionKey, Wanted)> {
        let state = self.locked();
        let in_turn = state.order.values().filter_map(|key| {
            let held = state.partitions.get(key)?;
            Some((key.clone(), held.wanted))
        });
        in_turn.collect()
    }

    /// Takes note of what an answer says of a partition; `told` is `None` for an error. Gives whether
    /// the reader does not know that yet.
    pub(crate) fn tell(&self, key: &SessionKey, told: Option<Told>, has_batches: bool) -> bool {
        let mut state = self.locked();
        let turn = state.next_turn;
        let Some(held) = state.partitions.get_mut(key) else {
            return true;
        };
        let is_news = told.is_none() || held.told != told || has_batches;
        held.told = told;
        if has_batches {
            let before = std::mem::replace(&mut held.turn, turn);
            state.order.remove(&before);
            state.order.insert(turn, key.clone());
            state.next_turn += 1;
        }
        is_news
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn want(&mut self, key: SessionKey, wanted: Wanted) {
        if let Some(held) = self.partitions.get_mut(&key) {
            held.wanted = wanted;
            return;
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        self.order.insert(turn, key.clone());
        let held = Held {
            wanted,
            told: None,
            turn,
        };
        self.partitions.insert(key, held);
    }

    fn forget(&mut self, key: &SessionKey) {
        if let Some(held) = self.partitions.remove(key) {
            self.order.remove(&held.turn);
        }
    }
}

/// Epochs go round without the two that mean something else.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

/// How long a session is safe.
const EVICTION_AGE: Duration = Duration::from_secs(120);

/// The most partitions of all sessions together; some 200 bytes each.
const PARTITIONS_MAX: usize = 500_000;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn key(index: i32) -> SessionKey {
        SessionKey {
            topic: "t".into(),
            topic_id: Uuid::default(),
            index,
        }
    }

    fn wanted(indexes: impl IntoIterator<Item = i32>) -> Vec<(SessionKey, Wanted)> {
        let wanted = Wanted {
            offset: 0,
            max_bytes: 1,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        indexes.into_iter().map(|nth| (key(nth), wanted)).collect()
    }

    fn open(sessions: &FetchSessions, size: i32, at: u64) -> Option<Arc<Session>> {
        // The first numbers are no numbers of sessions, or are taken.
        let next = Cell::new(0);
        let random = || next.replace(next.get() + 1);
        sessions.open(&wanted(0..size), false, Duration::from_secs(at), random)
    }

    fn order(session: &Session) -> Vec<i32> {
        session.wanted().iter().map(|(key, _)| key.index).collect()
    }

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn epochs_follow_one_another_and_changes_are_kept() {
        let sessions = FetchSessions::new(2);
        let session = open(&sessions, 3, 0).unwrap();
        let resume = |epoch, changed, forgotten: &[SessionKey]| {
            let resumed = sessions.resume((session.id, epoch), false, changed, forgotten, NOW);
            resumed.map(|session| order(&session))
        };
        assert_eq!(resume(1, wanted([7]), &[key(1)]), Ok(vec![0, 2, 7]));
        let epoch = ErrorCode::INVALID_FETCH_SESSION_EPOCH;
        assert_eq!(resume(1, Vec::new(), &[]), Err(epoch));
        assert_eq!(resume(2, Vec::new(), &[]), Ok(vec![0, 2, 7]));
        let by_id = sessions.resume((session.id, 3), true, Vec::new(), &[], NOW);
        assert_eq!(by_id.unwrap_err(), ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        // A session without partitions is over.
        assert_eq!(
            resume(3, Vec::new(), &[key(0), key(2), key(7)]),
            Ok(Vec::new())
        );
        let unknown = ErrorCode::FETCH_SESSION_ID_NOT_FOUND;
        assert_eq!(resume(4, Vec::new(), &[]), Err(unknown));
        assert_eq!(next_epoch(i32::MAX), 1);
    }

    #[test]
    fn only_news_are_told_and_whoever_got_batches_waits_its_turn() {
        let sessions = FetchSessions::new(2);
        let session = open(&sessions, 3, 0).unwrap();
        let told = |high_watermark| {
            Some(Told {
                high_watermark,
                last_stable_offset: high_watermark,
                log_start_offset: 0,
            })
        };
        assert!(session.tell(&key(0), told(5), false), "the first time");
        assert!(!session.tell(&key(0), told(5), false), "nothing new");
        assert!(session.tell(&key(0), told(6), false), "another watermark");
        assert!(session.tell(&key(0), told(6), true), "batches");
        assert_eq!(order(&session), [1, 2, 0]);
        assert!(session.tell(&key(1), None, false), "an error");
        assert!(session.tell(&key(1), None, false), "an error again");
        assert!(session.tell(&key(1), told(0), false), "no error any more");
    }

    #[test]
    fn the_idle_and_the_small_give_way_once_they_had_their_time() {
        let sessions = FetchSessions::new(2);
        let small = open(&sessions, 1, 0).unwrap();
        let large = open(&sessions, 5, 0).unwrap();
        assert!(open(&sessions, 9, 100).is_none(), "both are young");
        for session in [&small, &large] {
            let at = Duration::from_secs(100);
            sessions
                .resume((session.id, 1), false, Vec::new(), &[], at)
                .unwrap();
        }
        assert!(open(&sessions, 1, 130).is_none(), "not larger than any");
        let larger = open(&sessions, 2, 130).unwrap();
        let at = Duration::from_secs(130);
        let gone = sessions.resume((small.id, 2), false, Vec::new(), &[], at);
        // Its number may be that of the new one by now, whose next request is another.
        assert!(gone.is_err());
        sessions.close(larger.id);
        assert!(open(&sessions, 1, 130).is_some(), "a free slot");
        assert!(open(&sessions, 1, 219).is_none());
        assert!(open(&sessions, 1, 220).is_some(), "one was idle for long");
        assert!(
            FetchSessions::new(0)
                .open(&wanted([1]), false, NOW, || 1)
                .is_none()
        );
    }
}
