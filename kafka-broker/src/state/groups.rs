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
use crate::state::consumer_group::change::TopicIdPartition;
use crate::state::group_clocks::{ClockTurn, GroupClocks};
use crate::state::group_configs::GroupConfigs;
use crate::state::group_members::{GroupLimits, GroupMembers};
use crate::state::group_record::{GroupRecord, KeyValue, offset_record};
use crate::state::offsets::{CommittedOffset, Offsets};
use crate::state::pending_offsets::PendingOffsets;
use crate::state::signal::Signal;
use crate::state::time::{Now, millis};
use crate::state::topic_image::TopicImage;
use crate::state::transaction::ProducerClaim;

/// Where groups are saved.
pub(crate) trait GroupStore: Debug + Send + Sync {
    /// Saves records of a group, all or none. False if that failed; the store has logged why.
    fn save(&self, now: Now, group: &str, records: Vec<KeyValue>) -> bool;

    /// As [`GroupStore::save`], inside of a producer's transaction.
    fn save_in_transaction(
        &self,
        now: Now,
        group: &str,
        producer: ProducerClaim,
        records: Vec<KeyValue>,
    ) -> bool;
}

/// The groups of a broker.
#[derive(Debug)]
pub(crate) struct Groups {
    limits: GroupLimits,
    configs: Arc<GroupConfigs>,
    store: Arc<dyn GroupStore>,
    by_id: Mutex<BTreeMap<ByteString, Arc<Group>>>,
    tickets: AtomicU64,
    timers: Mutex<BTreeSet<(Duration, ByteString)>>,
    /// Which groups have a time of their own. Timers are by the broker's.
    pub(crate) clocks: GroupClocks,
    /// Raised when the first timer is no longer the one it was.
    sooner: Arc<Signal>,
    /// The groups that wait for the end of a producer's transaction.
    transactions: Mutex<BTreeMap<i64, BTreeSet<ByteString>>>,
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
    /// Who is there, and who shall read what.
    pub(crate) members: GroupMembers,
    /// What was committed.
    pub(crate) offsets: Offsets,
    /// What was committed in transactions that are open.
    pub(crate) pending: PendingOffsets,
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
    pub(crate) fn new(
        limits: GroupLimits,
        configs: Arc<GroupConfigs>,
        store: Arc<dyn GroupStore>,
    ) -> Self {
        Self {
            limits,
            configs,
            store,
            by_id: Mutex::default(),
            tickets: AtomicU64::new(1),
            timers: Mutex::default(),
            clocks: GroupClocks::default(),
            sooner: Signal::new(),
            transactions: Mutex::default(),
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
        let group = Arc::new(Group::new(
            id.clone(),
            GroupMembers::new(now, self.limits.clone(), self.configs.of(id)),
        ));
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
        state.members.configure(self.configs.of(&group.id));
        let result = call(&mut state);
        self.settle(now, group, &mut state);
        result
    }

    /// As [`Groups::turn`], for a call whose answer tells of what must be saved.
    ///
    /// # Errors
    ///
    /// COORDINATOR_NOT_AVAILABLE, if it was not saved: then nothing has happened.
    pub(crate) fn turn_saved<T>(
        &self,
        now: Now,
        group: &Group,
        call: impl FnOnce(&mut GroupState) -> T,
    ) -> Result<T, ErrorCode> {
        let mut state = group.lock();
        state.members.configure(self.configs.of(&group.id));
        let result = call(&mut state);
        match self.settle(now, group, &mut state) {
            true => Ok(result),
            false => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
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

    /// Lets go of a group that was made for a call that was refused, if nothing is known of it.
    pub(crate) fn forget_bare(&self, now: Now, group: &Group) {
        self.turn(now, group, |state| {
            if state.is_bare() && !state.members.was_saved() {
                state.members.kill(now);
                self.forget(group, state);
            }
        });
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
            let error = state
                .members
                .check_commit(now, claim, &partitions_of(&offsets));
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
                state.insert(topic, partition, offset);
            }
            ErrorCode::NONE
        })
    }

    /// Commits offsets that hold once the transaction of this producer is committed, all or none.
    pub(crate) fn commit_in_transaction(
        &self,
        now: Now,
        group: &Group,
        claim: &MemberClaim,
        producer: ProducerClaim,
        offsets: Vec<(ByteString, i32, CommittedOffset)>,
    ) -> ErrorCode {
        self.turn(now, group, |state| {
            let partitions = partitions_of(&offsets);
            let error = state
                .members
                .check_transactional_commit(now, claim, &partitions);
            if error != ErrorCode::NONE || offsets.is_empty() {
                return error;
            }
            let record = |(topic, partition, offset): &(ByteString, i32, CommittedOffset)| {
                offset_record(&group.id, topic, *partition, Some(offset))
            };
            let Ok(records) = offsets.iter().map(record).collect() else {
                return ErrorCode::INVALID_COMMIT_OFFSET_SIZE;
            };
            let store = &self.store;
            if !store.save_in_transaction(now, &group.id, producer, records) {
                return ErrorCode::COORDINATOR_NOT_AVAILABLE;
            }
            for (topic, partition, offset) in offsets {
                self.await_end(producer.producer_id, &group.id);
                let pending = &mut state.pending;
                pending.insert(producer.producer_id, topic, partition, offset);
            }
            ErrorCode::NONE
        })
    }

    /// The transaction of a producer has ended, as far as groups are concerned that `is_meant`.
    pub(crate) fn handle_transaction_end(
        &self,
        now: Now,
        producer_id: i64,
        commit: bool,
        is_meant: impl Fn(&str) -> bool,
    ) {
        let meant = {
            let mut transactions = lock(&self.transactions);
            let Some(mut groups) = transactions.remove(&producer_id) else {
                return;
            };
            let meant: Vec<_> = groups.iter().filter(|id| is_meant(id)).cloned().collect();
            groups.retain(|id| !meant.contains(id));
            if !groups.is_empty() {
                transactions.insert(producer_id, groups);
            }
            meant
        };
        for group in meant.iter().filter_map(|id| self.find(id)) {
            self.turn(now, &group, |state| {
                if !commit {
                    state.pending.end(producer_id);
                    return;
                }
                for (topic, partition, offset) in state.pending.commit(producer_id) {
                    state.offsets.insert(topic, partition, offset);
                }
            });
        }
    }

    /// The group must be told when the transaction of this producer ends.
    fn await_end(&self, producer_id: i64, group: &ByteString) {
        let mut transactions = lock(&self.transactions);
        let groups = transactions.entry(producer_id).or_default();
        groups.insert(group.clone());
    }

    /// Deletes a group without members, and all that it committed.
    pub(crate) fn delete(&self, now: Now, id: &str) -> ErrorCode {
        let Some(group) = self.find(id) else {
            return ErrorCode::GROUP_ID_NOT_FOUND;
        };
        self.turn(now, &group, |state| {
            if state.members.is_dead() {
                return ErrorCode::GROUP_ID_NOT_FOUND;
            }
            if !state.members.is_empty() {
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
            let mut partitions = {
                let state = group.lock();
                let mut partitions = state.offsets.partitions();
                partitions.extend(state.pending.partitions());
                partitions
            };
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
                let members = &state.members;
                let since_ms = members.expires_since_ms();
                let mut expired = state
                    .offsets
                    .expired(now.unix_ms, since_ms, millis(retention));
                // A transaction is about to renew these, or not.
                expired.retain(|(topic, index)| !state.pending.is_pending(topic, *index));
                // A member may come back to what it reads, however long that takes.
                let subscribed = members.subscribed_topics();
                expired.retain(|(topic, _)| !subscribed.may_have(topic));
                // Without members and offsets there is nothing to keep, as in Kafka.
                let all = expired.len() == state.offsets.partitions().len();
                let ends = all && state.pending.is_empty() && members.is_empty();
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
        let offsets = partitions
            .iter()
            .map(|(topic, partition)| offset_record(&group.id, topic, *partition, None));
        let Ok(mut records) = offsets.collect::<Result<Vec<_>, _>>() else {
            return false;
        };
        if all {
            match state.members.tombstones(&group.id) {
                Ok(tombstones) => records.extend(tombstones),
                Err(_) => return false,
            }
        }
        if !records.is_empty() && !self.store.save(now, &group.id, records) {
            return false;
        }
        for (topic, partition) in partitions {
            state.pending.supersede(&topic, partition);
            state.offsets.remove(&topic, partition);
        }
        if all {
            state.members.kill(now);
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

    /// Turns the clock of a group, and the group by it.
    pub(crate) fn turn_clock(
        &self,
        now: Now,
        id: &str,
        turn: ClockTurn,
        topics: &dyn TopicImage,
    ) -> bool {
        self.clocks.turn(id, now, turn);
        let Some(group) = self.find(id) else {
            return false;
        };
        let now = self.clocks.now_of(id, now);
        self.turn(now, &group, |state| state.members.handle_time(now, topics));
        true
    }

    /// Turns every group whose time has come.
    pub(crate) fn handle_time(&self, now: Now, topics: &dyn TopicImage) {
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
                let now = self.clocks.now_of(&id, now);
                self.turn(now, &group, |state| {
                    state.timer = None;
                    state.members.handle_time(now, topics);
                });
                // A group that was there for ids alone that have lapsed.
                self.forget_bare(now, &group);
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
                    Some(offset) => state.insert(topic, partition, offset),
                    None => {
                        state.pending.supersede(&topic, partition);
                        state.offsets.remove(&topic, partition);
                    }
                }
            }
            GroupRecord::Group { group, snapshot } => {
                let group = match snapshot {
                    Some(_) => Some(self.find_or_create(now, &group)),
                    None => self.find(&group),
                };
                if let Some(group) = group {
                    group.lock().members.restore_classic(now, snapshot);
                }
            }
            GroupRecord::ConsumerGroup { group, change } => {
                let group = match change.is_end() {
                    false => Some(self.find_or_create(now, &group)),
                    true => self.find(&group),
                };
                if let Some(group) = group {
                    group.lock().members.restore_consumer(now, change);
                }
            }
            GroupRecord::Other(_) => {}
        }
    }

    /// As [`Groups::restore`], for a record that was saved inside of a producer's transaction.
    pub(crate) fn restore_in_transaction(&self, now: Now, producer_id: i64, record: GroupRecord) {
        // Nothing but offsets is written in transactions.
        if let GroupRecord::Offset {
            group,
            topic,
            partition,
            offset: Some(offset),
        } = record
        {
            let group = self.find_or_create(now, &group);
            self.await_end(producer_id, &group.id);
            let mut state = group.lock();
            state.pending.insert(producer_id, topic, partition, offset);
        }
    }

    /// Ends the restoring: the sessions of members begin, and groups of which nothing is left go.
    pub(crate) fn handle_restored(&self, now: Now) {
        for group in self.all() {
            self.turn(now, &group, |state| {
                state.members.handle_restored(now);
                if state.is_bare() && !state.members.is_consumer_group() {
                    self.forget(&group, state);
                }
            });
        }
    }

    /// False if something could not be saved.
    fn settle(&self, now: Now, group: &Group, state: &mut GroupState) -> bool {
        let saved = match state.members.take_unsaved(&group.id) {
            Ok(records) if records.is_empty() => true,
            Ok(records) => {
                let saved = self.store.save(now, &group.id, records);
                if saved {
                    state.members.handle_saved();
                }
                saved
            }
            Err(_) => false,
        };
        if !saved {
            state.members.handle_save_failed();
        }
        while let Some((ticket, answer)) = state.members.poll_answer() {
            if let Some(parked) = state.waiting.remove(&ticket) {
                *lock(&parked.answer) = Some(answer);
                parked.signal.raise();
            }
        }
        let deadline = state.members.deadline();
        let deadline = deadline.and_then(|at| self.clocks.when(&group.id, at));
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
        saved
    }
}

impl GroupState {
    /// Whether nobody is there and nothing was committed.
    fn is_bare(&self) -> bool {
        self.offsets.is_empty() && self.pending.is_empty() && self.members.is_empty()
    }

    /// An offset was committed outside of transactions.
    fn insert(&mut self, topic: ByteString, partition: i32, offset: CommittedOffset) {
        self.pending.supersede(&topic, partition);
        self.offsets.insert(topic, partition, offset);
    }
}

impl Group {
    fn new(id: ByteString, members: GroupMembers) -> Self {
        let offsets = Offsets::default();
        let state = GroupState {
            members,
            offsets,
            pending: PendingOffsets::default(),
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

fn partitions_of(offsets: &[(ByteString, i32, CommittedOffset)]) -> Vec<TopicIdPartition> {
    let offsets = offsets.iter();
    offsets
        .map(|(_, partition, offset)| (offset.topic_id, *partition))
        .collect()
}

/// A panic while the lock was held has left whole values behind: nothing here is changed by halves.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::broker::BrokerConfig;
    use crate::config::effective::EffectiveConfig;
    use crate::config::overrides::Overrides;
    use bytes::Bytes;

    use crate::state::classic_group::Limits;
    use crate::state::classic_group::answer::JoinRequest;
    use crate::state::consumer_group::assignor::Assignor;
    use crate::state::consumer_group::heartbeat::Heartbeat;
    use crate::state::consumer_group::limits::{ConsumerGroupLimits, MigrationPolicy};
    use crate::state::topics::TopicTable;
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

        fn save_in_transaction(
            &self,
            now: Now,
            group: &str,
            _: ProducerClaim,
            records: Vec<KeyValue>,
        ) -> bool {
            self.save(now, group, records)
        }
    }

    fn limits() -> GroupLimits {
        GroupLimits {
            classic: Limits {
                initial_rebalance_delay: Duration::ZERO,
                size_max: 9,
                pending_room: Arc::default(),
            },
            consumer: Arc::new(ConsumerGroupLimits {
                size_max: 9,
                assignors: vec![Assignor::Uniform, Assignor::Range],
                migration: MigrationPolicy::Bidirectional,
                rack: None,
            }),
        }
    }

    fn open(store: &Arc<Memory>) -> Groups {
        open_with(store, [])
    }

    fn open_with(
        store: &Arc<Memory>,
        set: impl IntoIterator<Item = (ByteString, Overrides)>,
    ) -> Groups {
        let broker = Arc::new(BrokerConfig::new([]).unwrap());
        let broker = Arc::new(EffectiveConfig::at_start(broker));
        let configs = Arc::new(GroupConfigs::new(broker, set));
        Groups::new(limits(), configs, Arc::<Memory>::clone(store))
    }

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
        let groups = open(&store);
        let now = Now::default();
        let group = groups.find_or_create(now, &"g".into());
        let commit =
            |value| groups.commit(now, &group, &SIMPLE, vec![("t".into(), 0, offset(value))]);
        assert_eq!(commit(5), ErrorCode::NONE);
        store.broken.store(true, Ordering::Relaxed);
        assert_eq!(commit(6), ErrorCode::COORDINATOR_NOT_AVAILABLE);
        assert_eq!(group.lock().offsets.get("t", 0), Some(&offset(5)));

        let again = open(&store);
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
        let groups = open(&store);
        for number in 0..100 {
            groups.find_or_create(Now::default(), &format!("g{number}").into());
        }
        groups.expire(at_ms(1), Duration::from_secs(7 * 24 * 3600));
        assert_eq!(groups.all().len(), 0);
        assert_eq!(lock(&store.saved).len(), 0);
    }

    fn joining(topic: &str) -> Heartbeat {
        Heartbeat {
            member_id: "m".into(),
            rebalance_timeout_ms: Some(1000),
            topics: Some([topic.into()].into()),
            owned: Some(BTreeSet::new()),
            ..Heartbeat::default()
        }
    }

    #[test]
    fn a_group_goes_by_its_own_settings_also_after_a_restart() {
        let store = Arc::new(Memory::default());
        let set = || {
            let name = "consumer.session.timeout.ms".to_owned();
            let overrides = Overrides::from([(name, "50000".to_owned())]);
            [(ByteString::from("g"), overrides)]
        };
        let groups = open_with(&store, set());
        let now = Now::default();
        let topics = TopicTable::default();
        for id in ["g", "other"] {
            let group = groups.find_or_create(now, &id.into());
            let joined = groups.turn_saved(now, &group, |state| {
                let members = &mut state.members;
                members.handle_heartbeat(now, &topics, &joining("t"))
            });
            joined.unwrap().unwrap();
        }
        let ends = |groups: &Groups, id: &str| groups.find(id).unwrap().lock().timer;
        assert_eq!(ends(&groups, "g"), Some(Duration::from_secs(50)));
        assert_eq!(ends(&groups, "other"), Some(Duration::from_secs(45)));
        // What is set later holds from the next heartbeat on.
        let [(id, mut overrides)] = set();
        overrides.insert("consumer.session.timeout.ms".to_owned(), "55000".to_owned());
        groups.configs.set(&id, overrides);
        let group = groups.find("g").unwrap();
        let beat = Heartbeat {
            member_id: "m".into(),
            member_epoch: 1,
            ..Heartbeat::default()
        };
        let heard = groups.turn_saved(now, &group, |state| {
            state.members.handle_heartbeat(now, &topics, &beat)
        });
        heard.unwrap().unwrap();
        assert_eq!(ends(&groups, "g"), Some(Duration::from_secs(55)));

        let again = open_with(&store, set());
        let saved = lock(&store.saved).clone();
        for (key, value) in saved {
            again.restore(now, GroupRecord::decode(key, value).unwrap());
        }
        again.handle_restored(now);
        assert_eq!(ends(&again, "g"), Some(Duration::from_secs(50)));
        assert_eq!(ends(&again, "other"), Some(Duration::from_secs(45)));
    }

    #[test]
    fn offsets_of_topics_that_members_read_do_not_expire() {
        let store = Arc::new(Memory::default());
        let groups = open(&store);
        let now = Now::default();
        let group = groups.find_or_create(now, &"g".into());
        for topic in ["t", "u"] {
            groups.commit(now, &group, &SIMPLE, vec![(topic.into(), 0, offset(1))]);
        }
        let topics = TopicTable::default();
        let joined = groups.turn_saved(now, &group, |state| {
            let members = &mut state.members;
            members.handle_heartbeat(now, &topics, &joining("t"))
        });
        assert_eq!(joined.unwrap().unwrap().member_epoch, 1);
        groups.expire(at_ms(10_000), Duration::from_secs(1));
        let committed = |group: &Group| group.lock().offsets.partitions();
        assert_eq!(committed(&group), [("t".into(), 0)]);

        let again = open(&store);
        for (key, value) in lock(&store.saved).iter().cloned() {
            again.restore(now, GroupRecord::decode(key, value).unwrap());
        }
        again.handle_restored(now);
        let group = again.find("g").unwrap();
        assert_eq!(committed(&group), [("t".into(), 0)]);
        assert_eq!(group.lock().members.state_name(), "Stable");
        // Its session has begun anew, and ends.
        assert_eq!(again.deadline(), Some(Duration::from_secs(45)));
        let later = Now {
            elapsed: Duration::from_secs(45),
            unix_ms: 45_000,
        };
        again.handle_time(later, &topics);
        assert!(group.lock().members.is_empty());
        assert_eq!(again.delete(later, "g"), ErrorCode::NONE);

        let third = open(&store);
        for (key, value) in lock(&store.saved).iter().cloned() {
            third.restore(now, GroupRecord::decode(key, value).unwrap());
        }
        third.handle_restored(now);
        assert!(third.all().is_empty());
    }

    #[test]
    fn a_member_that_cannot_be_saved_is_none_and_leaves_no_group_behind() {
        let store = Arc::new(Memory::default());
        let groups = open(&store);
        let now = Now::default();
        let topics = TopicTable::default();
        let group = groups.find_or_create(now, &"g".into());
        store.broken.store(true, Ordering::Relaxed);
        let joined = groups.turn_saved(now, &group, |state| {
            let members = &mut state.members;
            members.handle_heartbeat(now, &topics, &joining("t"))
        });
        assert_eq!(joined.unwrap_err(), ErrorCode::COORDINATOR_NOT_AVAILABLE);
        assert!(group.lock().members.is_empty());
        groups.forget_bare(now, &group);
        assert!(groups.find("g").is_none());
        assert_eq!(groups.deadline(), None);
        // Who has found it before is told to look again.
        let late = group
            .lock()
            .members
            .handle_heartbeat(now, &topics, &joining("t"));
        assert_eq!(
            late.unwrap_err().code(),
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        );
    }

    #[test]
    fn a_group_for_ids_that_have_lapsed_is_forgotten() {
        let store = Arc::new(Memory::default());
        let groups = open(&store);
        let now = Now::default();
        let topics = TopicTable::default();
        let group = groups.find_or_create(now, &"g".into());
        for fresh in ["one", "two"] {
            groups.park(now, &group, |state, ticket| {
                let request = JoinRequest {
                    footprint: 0,
                    member_id: ByteString::new(),
                    fresh_member_id: fresh.into(),
                    instance_id: None,
                    client_id: "c".into(),
                    client_host: "/127.0.0.1".into(),
                    session_timeout: Duration::from_secs(10),
                    rebalance_timeout: Duration::from_secs(10),
                    protocol_type: "consumer".into(),
                    protocols: vec![("range".into(), Bytes::new())],
                    must_know_id: true,
                    may_skip_assignment: false,
                };
                state.members.handle_join(now, &topics, ticket, request);
            });
        }
        let lapses = groups.deadline().unwrap();
        let at = |elapsed| Now { elapsed, ..now };
        groups.handle_time(at(lapses - Duration::from_millis(1)), &topics);
        assert_eq!(groups.all().len(), 1);
        groups.handle_time(at(lapses), &topics);
        assert!(groups.all().is_empty());
        assert_eq!(groups.deadline(), None);
    }

    #[test]
    fn deleted_and_expired_groups_leave_nothing_behind() {
        let store = Arc::new(Memory::default());
        let groups = open(&store);
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

        let again = open(&store);
        for (key, value) in lock(&store.saved).iter().cloned() {
            again.restore(now, GroupRecord::decode(key, value).unwrap());
        }
        again.handle_restored(now);
        assert!(again.all().is_empty());
    }
}
