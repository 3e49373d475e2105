//! All groups of the broker: found by id, turned one at a time, saved, and woken when it is time.
//!
//! A group's lock is held for one call. Where groups are saved is a [`GroupStore`]; this file knows
//! no topic and no log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;

use crate::state::classic_group::answer::{Answer, MemberClaim, Ticket};
use crate::state::classic_group::{ClassicGroup, Limits};
use crate::state::group_record::{GroupRecord, KeyValue, group_record, offset_record};
use crate::state::offsets::{CommittedOffset, Offsets};
use crate::state::signal::Signal;
use crate::state::time::{Now, millis};

/// Where groups are saved.
pub(crate) trait GroupStore: Debug + Send + Sync {
    /// Saves records of a group, all or none. False if that failed; the store has logged why.
    fn save(&self, now: Now, group: &str, records: Vec<KeyValue>) -> bool;
}

/// The groups of a broker.
#[derive(Debug)]
pub(crate) struct Groups {
    limits: Limits,
    store: Arc<dyn GroupStore>,
    by_id: Mutex<BTreeMap<ByteString, Arc<Group>>>,
    tickets: AtomicU64,
    timers: Mutex<BTreeSet<(Duration, ByteString)>>,
    /// Raised when the first timer is no longer the one it was.
    sooner: Arc<Signal>,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    id: ByteString,
    inner: Mutex<GroupState>,
}

/// What a group's lock guards.
#[derive(Debug)]
pub(crate) struct GroupState {
    /// Members and generations.
    pub(crate) classic: ClassicGroup,
    /// What was committed.
    pub(crate) offsets: Offsets,
    waiting: BTreeMap<Ticket, Arc<Parked>>,
    timer: Option<Duration>,
}

/// A place for an answer that comes later.
#[derive(Debug)]
pub(crate) struct Parked {
    /// Raised when the answer is there.
    pub(crate) signal: Arc<Signal>,
    answer: Mutex<Option<Answer>>,
}

impl Parked {
    /// The answer, once.
    pub(crate) fn take(&self) -> Option<Answer> {
        lock(&self.answer).take()
    }
}

impl Groups {
    /// No groups yet.
    pub(crate) fn new(limits: Limits, store: Arc<dyn GroupStore>) -> Self {
        Self {
            limits,
            store,
            by_id: Mutex::default(),
            tickets: AtomicU64::new(1),
            timers: Mutex::default(),
            sooner: Signal::new(),
        }
    }

    /// The group of this id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Group>> {
        lock(&self.by_id).get(id).cloned()
    }

    /// The group of this id, made if there is none.
    pub(crate) fn find_or_create(&self, now: Now, id: &ByteString) -> Arc<Group> {
        let mut by_id = lock(&self.by_id);
        if let Some(group) = by_id.get(id) {
            return Arc::clone(group);
        }
        let group = Arc::new(Group::new(id.clone(), ClassicGroup::new(now, self.limits)));
        by_id.insert(id.clone(), Arc::clone(&group));
        group
    }

    /// All groups, by id.
    pub(crate) fn all(&self) -> Vec<Arc<Group>> {
        lock(&self.by_id).values().cloned().collect()
    }

    /// Turns a group: what the call leaves to be saved is saved, and whom it answers is told.
    pub(crate) fn turn<T>(
        &self,
        now: Now,
        group: &Group,
        call: impl FnOnce(&mut GroupState) -> T,
    ) -> T {
        let mut state = group.lock();
        let result = call(&mut state);
        self.settle(now, group, &mut state);
        result
    }

    /// As [`Groups::turn`], for a call whose answer may come later.
    pub(crate) fn park(
        &self,
        now: Now,
        group: &Group,
        call: impl FnOnce(&mut GroupState, Ticket),
    ) -> Arc<Parked> {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
        let parked = Arc::new(Parked {
            signal: Signal::new(),
            answer: Mutex::default(),
        });
        self.turn(now, group, |state| {
            state.waiting.insert(ticket, Arc::clone(&parked));
            call(state, ticket);
        });
        parked
    }

    /// Commits offsets for who makes this claim, all or none.
    pub(crate) fn commit(
        &self,
        now: Now,
        group: &Group,
        claim: &MemberClaim,
        offsets: Vec<(ByteString, i32, CommittedOffset)>,
    ) -> ErrorCode {
        self.turn(now, group, |state| {
            let error = state.classic.handle_commit(now, claim);
            if error != ErrorCode::NONE || offsets.is_empty() {
                return error;
            }
            let record = |(topic, partition, offset): &(ByteString, i32, CommittedOffset)| {
                offset_record(&group.id, topic, *partition, Some(offset))
            };
            let Ok(records) = offsets.iter().map(record).collect() else {
                return ErrorCode::INVALID_COMMIT_OFFSET_SIZE;
            };
            if !self.store.save(now, &group.id, records) {
                return ErrorCode::COORDINATOR_NOT_AVAILABLE;
            }
            for (topic, partition, offset) in offsets {
                state.offsets.insert(topic, partition, offset);
            }
            ErrorCode::NONE
        })
    }

    /// Deletes a group without members, and all that it committed.
    pub(crate) fn delete(&self, now: Now, id: &str) -> ErrorCode {
        let Some(group) = self.find(id) else {
            return ErrorCode::GROUP_ID_NOT_FOUND;
        };
        self.turn(now, &group, |state| {
            if state.classic.is_dead() {
                return ErrorCode::GROUP_ID_NOT_FOUND;
            }
            if !state.classic.is_empty() {
                return ErrorCode::NON_EMPTY_GROUP;
            }
            if !self.take_back(now, &group, state, state.offsets.partitions(), true) {
                return ErrorCode::COORDINATOR_NOT_AVAILABLE;
            }
            self.forget(&group, state);
            ErrorCode::NONE
        })
    }

    /// Lets go of what a group committed for some partitions. False if that could not be saved.
    pub(crate) fn delete_offsets(
        &self,
        now: Now,
        group: &Group,
        partitions: Vec<(ByteString, i32)>,
    ) -> bool {
        self.turn(now, group, |state| {
            self.take_back(now, group, state, partitions, false)
        })
    }

    /// Lets go of what was committed for a topic that is gone.
    pub(crate) fn handle_topic_deleted(&self, now: Now, topic: &str) {
        for group in self.all() {
            let mut partitions = group.lock().offsets.partitions();
            partitions.retain(|(name, _)| name == topic);
            if !partitions.is_empty() {
                self.delete_offsets(now, &group, partitions);
            }
        }
    }

    /// Lets go of offsets that have expired, and of groups that have nothing left.
    pub(crate) fn expire(&self, now: Now, retention: Duration) {
        for group in self.all() {
            self.turn(now, &group, |state| {
                let classic = &state.classic;
                let empty_since_ms = classic.is_empty().then(|| classic.phase_since_ms());
                let expired = state
                    .offsets
                    .expired(now.unix_ms, empty_since_ms, millis(retention));
                // Without members and offsets there is nothing to keep, as in Kafka.
                let all = expired.len() == state.offsets.partitions().len();
                let ends = all && empty_since_ms.is_some();
                if !ends && expired.is_empty() {
                    return;
                }
                let is_saved = self.take_back(now, &group, state, expired, ends);
                if is_saved && ends {
                    self.forget(&group, state);
                }
            });
        }
    }

    /// Saves that offsets are gone, and with `all` that the group is, and lets them go.
    fn take_back(
        &self,
        now: Now,
        group: &Group,
        state: &mut GroupState,
        partitions: Vec<(ByteString, i32)>,
        all: bool,
    ) -> bool {
        // What was never written down needs no taking back: anybody may have group after group made.
        let tells_of_group = all && (!partitions.is_empty() || state.classic.had_generation());
        let tombstones = partitions
            .iter()
            .map(|(topic, partition)| offset_record(&group.id, topic, *partition, None))
            .chain(tells_of_group.then(|| group_record(&group.id, None)));
        let Ok(records) = tombstones.collect::<Result<Vec<_>, _>>() else {
            return false;
        };
        if !records.is_empty() && !self.store.save(now, &group.id, records) {
            return false;
        }
        for (topic, partition) in partitions {
            state.offsets.remove(&topic, partition);
        }
        if all {
            state.classic.kill(now);
        }
        true
    }

    /// Forgets a group that was killed, or that nothing is known of any more.
    fn forget(&self, group: &Group, state: &mut GroupState) {
        if let Some(timer) = state.timer.take() {
            lock(&self.timers).remove(&(timer, group.id.clone()));
        }
        let mut by_id = lock(&self.by_id);
        if by_id
            .get(&group.id)
            .is_some_and(|known| std::ptr::eq(&raw const **known, group))
        {
            by_id.remove(&group.id);
        }
    }

    /// When [`Groups::handle_time`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        lock(&self.timers).first().map(|(at, _)| *at)
    }

    /// Raised when [`Groups::deadline`] has come nearer.
    pub(crate) fn sooner(&self) -> &Arc<Signal> {
        &self.sooner
    }

    /// Turns every group whose time has come.
    pub(crate) fn handle_time(&self, now: Now) {
        loop {
            let due = {
                let mut timers = lock(&self.timers);
                match timers.first() {
                    Some((at, _)) if *at <= now.elapsed => timers.pop_first(),
                    _ => None,
                }
            };
            let Some((_, id)) = due else { return };
            if let Some(group) = self.find(&id) {
                self.turn(now, &group, |state| {
                    state.timer = None;
                    state.classic.handle_time(now);
                });
            }
        }
    }

    /// Takes in a record that was saved earlier, before the broker serves anyone.
    pub(crate) fn restore(&self, now: Now, record: GroupRecord) {
        match record {
            GroupRecord::Offset {
                group,
                topic,
                partition,
                offset,
            } => {
                let group = self.find_or_create(now, &group);
                let mut state = group.lock();
                match offset {
                    Some(offset) => state.offsets.insert(topic, partition, offset),
                    None => drop(state.offsets.remove(&topic, partition)),
                }
            }
            GroupRecord::Group {
                group,
                snapshot: Some(snapshot),
            } => {
                let group = self.find_or_create(now, &group);
                group.lock().classic = ClassicGroup::restore(now, self.limits, snapshot);
            }
            GroupRecord::Group {
                group,
                snapshot: None,
            } => {
                if let Some(group) = self.find(&group) {
                    group.lock().classic = ClassicGroup::new(now, self.limits);
                }
            }
            GroupRecord::Other(_) => {}
        }
    }

    /// Ends the restoring: the sessions of members begin, and groups of which nothing is left go.
    pub(crate) fn handle_restored(&self, now: Now) {
        for group in self.all() {
            self.turn(now, &group, |state| {
                if state.classic.is_empty() && state.offsets.is_empty() {
                    self.forget(&group, state);
                }
            });
        }
    }

    fn settle(&self, now: Now, group: &Group, state: &mut GroupState) {
        if state.classic.take_unsaved() {
            let record = group_record(&group.id, Some(&state.classic.snapshot()));
            let saved = record.is_ok_and(|record| self.store.save(now, &group.id, vec![record]));
            if !saved {
                state.classic.handle_save_failed();
            }
        }
        while let Some((ticket, answer)) = state.classic.poll_answer() {
            if let Some(parked) = state.waiting.remove(&ticket) {
                *lock(&parked.answer) = Some(answer);
                parked.signal.raise();
            }
        }
        let deadline = state.classic.deadline();
        if deadline != state.timer {
            let mut timers = lock(&self.timers);
            let first = timers.first().map(|(at, _)| *at);
            if let Some(timer) = state.timer {
                timers.remove(&(timer, group.id.clone()));
            }
            if let Some(deadline) = deadline {
                timers.insert((deadline, group.id.clone()));
                if first.is_none_or(|first| deadline < first) {
                    self.sooner.raise();
                }
            }
            state.timer = deadline;
        }
    }
}

impl Group {
    fn new(id: ByteString, classic: ClassicGroup) -> Self {
        let offsets = Offsets::default();
        let state = GroupState {
            classic,
            offsets,
            waiting: BTreeMap::new(),
            timer: None,
        };
        Self {
            id,
            inner: Mutex::new(state),
        }
    }

    /// The group's id.
    pub(crate) fn id(&self) -> &ByteString {
        &self.id
    }

    /// The group for reading; whoever changes it goes through [`Groups::turn`].
    pub(crate) fn lock(&self) -> MutexGuard<'_, GroupState> {
        lock(&self.inner)
    }
}

/// A panic while the lock was held has left whole values behind: nothing here is changed by halves.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::Uuid;

    /// Keeps what was saved, or fails.
    #[derive(Debug, Default)]
    struct Memory {
        saved: Mutex<Vec<KeyValue>>,
        broken: std::sync::atomic::AtomicBool,
    }

    impl GroupStore for Memory {
        fn save(&self, _: Now, _: &str, records: Vec<KeyValue>) -> bool {
            if self.broken.load(Ordering::Relaxed) {
                return false;
            }
            lock(&self.saved).extend(records);
            true
        }
    }

    const LIMITS: Limits = Limits {
        initial_rebalance_delay: Duration::ZERO,
        size_max: 9,
    };
    const SIMPLE: MemberClaim = MemberClaim {
        member_id: ByteString::new(),
        instance_id: None,
        generation: -1,
    };

    fn offset(offset: i64) -> CommittedOffset {
        CommittedOffset {
            offset,
            leader_epoch: -1,
            metadata: ByteString::new(),
            committed_at_ms: 0,
            expires_at_ms: None,
            topic_id: Uuid::ZERO,
        }
    }

    fn at_ms(unix_ms: i64) -> Now {
        Now {
            unix_ms,
            ..Now::default()
        }
    }

    #[test]
    fn what_was_committed_survives_and_what_was_not_saved_is_not_committed() {
        let store = Arc::new(Memory::default());
        let groups = Groups::new(LIMITS, Arc::<Memory>::clone(&store));
        let now = Now::default();
        let group = groups.find_or_create(now, &"g".into());
        let commit =
            |value| groups.commit(now, &group, &SIMPLE, vec![("t".into(), 0, offset(value))]);
        assert_eq!(commit(5), ErrorCode::NONE);
        store.broken.store(true, Ordering::Relaxed);
        assert_eq!(commit(6), ErrorCode::COORDINATOR_NOT_AVAILABLE);
        assert_eq!(group.lock().offsets.get("t", 0), Some(&offset(5)));

        let again = Groups::new(LIMITS, Arc::<Memory>::clone(&store));
        for (key, value) in lock(&store.saved).iter().cloned() {
            again.restore(now, GroupRecord::decode(key, value).unwrap());
        }
        again.handle_restored(now);
        let group = again.find("g").unwrap();
        assert_eq!(group.lock().offsets.get("t", 0), Some(&offset(5)));
    }

    #[test]
    fn a_group_of_which_nothing_is_known_goes_without_a_trace() {
        let store = Arc::new(Memory::default());
        let groups = Groups::new(LIMITS, Arc::<Memory>::clone(&store));
        for number in 0..100 {
            groups.find_or_create(Now::default(), &format!("g{number}").into());
        }
        groups.expire(at_ms(1), Duration::from_secs(7 * 24 * 3600));
        assert_eq!(groups.all().len(), 0);
        assert_eq!(lock(&store.saved).len(), 0);
    }

    #[test]
    fn deleted_and_expired_groups_leave_nothing_behind() {
        let store = Arc::new(Memory::default());
        let groups = Groups::new(LIMITS, Arc::<Memory>::clone(&store));
        let now = Now::default();
        for id in ["deleted", "expired", "topic-gone"] {
            let group = groups.find_or_create(now, &id.into());
            let topic = if id == "topic-gone" { "u" } else { "t" };
            groups.commit(now, &group, &SIMPLE, vec![(topic.into(), 0, offset(1))]);
        }
        assert_eq!(groups.delete(now, "deleted"), ErrorCode::NONE);
        assert_eq!(groups.delete(now, "deleted"), ErrorCode::GROUP_ID_NOT_FOUND);
        groups.handle_topic_deleted(now, "u");
        groups.expire(at_ms(999), Duration::from_secs(1));
        assert!(groups.find("expired").is_some());
        groups.expire(at_ms(1000), Duration::from_secs(1));
        assert!(groups.all().is_empty());

        let again = Groups::new(LIMITS, Arc::<Memory>::clone(&store));
        for (key, value) in lock(&store.saved).iter().cloned() {
            again.restore(now, GroupRecord::decode(key, value).unwrap());
        }
        again.handle_restored(now);
        assert!(again.all().is_empty());
    }
}
