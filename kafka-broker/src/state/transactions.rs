//! All transactional ids of the broker: found by id, turned one at a time, saved before they hold,
//! ended everywhere, and aborted when it is time.
//!
//! The lock of an id is held while its producer writes and while its transaction ends, so that
//! nothing is written behind the end. Where ids are saved and how partitions are told is a
//! [`TransactionStore`]; this file knows no topic and no log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;

use crate::state::group_record::KeyValue;
use crate::state::signal::Signal;
use crate::state::time::{Now, millis};
use crate::state::transaction::{
    Ending, Participant, Phase, ProducerClaim, Protocol, Takeover, Transaction,
};
use crate::state::transaction_record::{TransactionRecord, transaction_record};

#[cfg(test)]
mod tests;

/// Where transactional ids are saved, and who tells partitions of the end of a transaction.
pub(crate) trait TransactionStore: Debug + Send + Sync {
    /// Saves the record of an id. False if that failed; the store has logged why.
    fn save(&self, now: Now, id: &str, record: KeyValue) -> bool;

    /// Tells a partition that a transaction has ended. True if it knows, or is there no more; it may
    /// be told twice. False if that failed; the store has logged why.
    fn mark(&self, now: Now, id: &str, partition: &Participant, end: TransactionEnd) -> bool;

    /// A producer id that nobody had before; the store has logged why there is none.
    fn fresh_producer_id(&self, now: Now) -> Option<i64>;
}

/// How a transaction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TransactionEnd {
    /// Whose it was, by the epoch of the end, below which nothing may follow.
    pub(crate) producer: ProducerClaim,
    /// Whether it is committed.
    pub(crate) commit: bool,
}

/// How a partition comes into a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It must have joined before.
    Joined,
    /// It joins now.
    Joins,
}

/// Partitions that may not be written to, and why.
pub(crate) type Refused = BTreeMap<Participant, ErrorCode>;

/// The transactional ids of a broker.
#[derive(Debug)]
pub(crate) struct Transactions {
    timeout_max_ms: i32,
    store: Arc<dyn TransactionStore>,
    by_id: Mutex<BTreeMap<ByteString, Arc<Entry>>>,
    timers: Mutex<BTreeSet<(Duration, ByteString)>>,
    /// Raised when the first timer is no longer the one it was.
    sooner: Arc<Signal>,
}

/// One transactional id.
#[derive(Debug)]
struct Entry {
    id: ByteString,
    inner: Mutex<EntryState>,
}

/// What the lock of an id guards.
#[derive(Debug, Default)]
struct EntryState {
    /// `None` until it is saved for the first time.
    transaction: Option<Transaction>,
    /// The partitions that know of the end which is decided.
    told: BTreeSet<Participant>,
    /// When the open transaction is aborted, or the end of a decided one is tried again.
    timer: Option<Duration>,
    /// Whether the table has forgotten it: whoever still holds it must look again.
    is_forgotten: bool,
}

impl Transactions {
    /// No ids yet; no transaction may ask for more time than `timeout_max_ms`.
    pub(crate) fn new(timeout_max_ms: i32, store: Arc<dyn TransactionStore>) -> Self {
        Self {
            timeout_max_ms,
            store,
            by_id: Mutex::default(),
            timers: Mutex::default(),
            sooner: Signal::new(),
        }
    }

    /// Gives an id to a producer, with the producer id and epoch that it is to use. A producer that
    /// wants a new epoch names what it has.
    pub(crate) fn take_over(
        &self,
        now: Now,
        id: &str,
        timeout_ms: i32,
        expected: Option<ProducerClaim>,
    ) -> Result<ProducerClaim, ErrorCode> {
        if timeout_ms <= 0 || timeout_ms > self.timeout_max_ms {
            return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
        let entry = self.find_or_create(id);
        let mut state = entry.lock();
        if state.is_forgotten {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        let takeover = match &state.transaction {
            None => {
                let producer_id = self.fresh_producer_id(now)?;
                Takeover::Granted(Transaction::first(now, producer_id, timeout_ms))
            }
            Some(transaction) => {
                transaction.take_over(now, timeout_ms, expected, || self.fresh_producer_id(now))?
            }
        };
        match takeover {
            Takeover::Granted(next) => {
                let granted = next.successor();
                self.adopt(now, &entry, &mut state, next)?;
                Ok(granted)
            }
            Takeover::AbortFirst(next) => {
                self.adopt(now, &entry, &mut state, next)?;
                self.complete(now, &entry, &mut state);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
        }
    }

    /// Lets partitions join the transaction of an id, all or none.
    pub(crate) fn join(
        &self,
        now: Now,
        id: &str,
        claim: ProducerClaim,
        partitions: &[Participant],
    ) -> Result<(), ErrorCode> {
        let entry = self.find(id).ok_or(UNKNOWN)?;
        let mut state = entry.lock();
        self.join_locked(now, &entry, &mut state, claim, partitions, Protocol::First)
    }

    /// Has a producer write to partitions inside of its transaction, which cannot end meanwhile.
    /// `write` is told where it must not.
    pub(crate) fn write<T>(
        &self,
        now: Now,
        id: &str,
        claim: ProducerClaim,
        partitions: &[Participant],
        admission: Admission,
        write: impl FnOnce(&Refused) -> T,
    ) -> T {
        let all = |code: ErrorCode| partitions.iter().map(|one| (one.clone(), code)).collect();
        let Some(entry) = self.find(id) else {
            return write(&all(UNKNOWN));
        };
        let mut state = entry.lock();
        let refused: Refused = match admission {
            Admission::Joins => {
                let joined =
                    self.join_locked(now, &entry, &mut state, claim, partitions, Protocol::Second);
                joined.err().map(all).unwrap_or_default()
            }
            Admission::Joined => match &state.transaction {
                None => all(UNKNOWN),
                Some(transaction) => partitions
                    .iter()
                    .filter_map(|one| Some((one.clone(), transaction.check(claim, one).err()?)))
                    .collect(),
            },
        };
        write(&refused)
    }

    /// Ends the transaction of an id, and says what its producer is to call itself from now on.
    pub(crate) fn end(
        &self,
        now: Now,
        id: &str,
        claim: ProducerClaim,
        commit: bool,
        protocol: Protocol,
    ) -> Result<ProducerClaim, ErrorCode> {
        let entry = self.find(id).ok_or(UNKNOWN)?;
        let mut state = entry.lock();
        let transaction = state.transaction.as_ref().ok_or(UNKNOWN)?;
        let fresh_id = || self.fresh_producer_id(now);
        match transaction.end(now, claim, commit, protocol, fresh_id)? {
            Ending::Repeated => Ok(transaction.successor()),
            Ending::Prepare(next) => {
                let successor = next.successor();
                self.adopt(now, &entry, &mut state, next)?;
                self.complete(now, &entry, &mut state);
                Ok(successor)
            }
        }
    }

    /// An id as it stands.
    pub(crate) fn describe(&self, id: &str) -> Option<Transaction> {
        self.find(id)?.lock().transaction.clone()
    }

    /// All ids as they stand.
    pub(crate) fn list(&self) -> Vec<(ByteString, Transaction)> {
        let entries = self.all().into_iter();
        entries
            .filter_map(|entry| Some((entry.id.clone(), entry.lock().transaction.clone()?)))
            .collect()
    }

    /// Lets go of ids that nothing was heard of for so long.
    pub(crate) fn expire(&self, now: Now, retention: Duration) {
        for entry in self.all() {
            let mut state = entry.lock();
            let is_expired = |transaction: &Transaction| {
                transaction.is_at_rest()
                    && transaction.updated_ms.saturating_add(millis(retention)) <= now.unix_ms
            };
            if !state.transaction.as_ref().is_some_and(is_expired) {
                continue;
            }
            let record = transaction_record(&entry.id, None);
            if record.is_ok_and(|record| self.store.save(now, &entry.id, record)) {
                state.transaction = None;
                self.forget(&entry, &mut state);
            }
        }
    }

    /// When [`Transactions::handle_time`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        lock(&self.timers).first().map(|(at, _)| *at)
    }

    /// Raised when [`Transactions::deadline`] has come nearer.
    pub(crate) fn sooner(&self) -> &Arc<Signal> {
        &self.sooner
    }

    /// Aborts what has taken too long, and tries again what could not be completed.
    pub(crate) fn handle_time(&self, now: Now) {
        loop {
            let due = {
                let mut timers = lock(&self.timers);
                match timers.first() {
                    Some((at, _)) if *at <= now.elapsed => timers.pop_first(),
                    _ => None,
                }
            };
            let Some((at, id)) = due else { return };
            if let Some(entry) = self.find(&id) {
                let mut state = entry.lock();
                // Unless it was changed while this waited for the lock.
                if state.timer == Some(at) {
                    state.timer = None;
                    self.turn(now, &entry, &mut state);
                }
            }
        }
    }

    /// Takes in a record that was saved earlier, before the broker serves anyone.
    pub(crate) fn restore(&self, record: TransactionRecord) {
        if let TransactionRecord::Transaction { id, transaction } = record {
            let entry = self.find_or_create(&id);
            entry.lock().transaction = transaction;
        }
    }

    /// Ends the restoring: what was decided is carried out, and what is open has its timeout.
    pub(crate) fn handle_restored(&self, now: Now) {
        for entry in self.all() {
            let mut state = entry.lock();
            match &state.transaction {
                None => self.forget(&entry, &mut state),
                Some(transaction) if transaction.is_prepared() => {
                    tracing::info!(id = %entry.id, "completing a transaction from before the start");
                    self.complete(now, &entry, &mut state);
                }
                Some(_) => self.settle(now, &entry, &mut state),
            }
        }
    }

    /// The time has come that the id's timer named.
    fn turn(&self, now: Now, entry: &Entry, state: &mut EntryState) {
        let Some(transaction) = &state.transaction else {
            return;
        };
        if transaction.phase == Phase::Ongoing {
            tracing::info!(id = %entry.id, "transaction timed out and is aborted");
            let next = transaction.fenced(now);
            if self.adopt(now, entry, state, next).is_err() {
                self.set_timer(entry, state, Some(now.elapsed + RETRY));
                return;
            }
        }
        self.complete(now, entry, state);
    }

    fn join_locked(
        &self,
        now: Now,
        entry: &Entry,
        state: &mut EntryState,
        claim: ProducerClaim,
        partitions: &[Participant],
        protocol: Protocol,
    ) -> Result<(), ErrorCode> {
        let transaction = state.transaction.as_ref().ok_or(UNKNOWN)?;
        match transaction.join(now, claim, partitions, protocol)? {
            Some(next) => self.adopt(now, entry, state, next),
            None => Ok(()),
        }
    }

    /// Saves what an id is to be, which holds from then on.
    fn adopt(
        &self,
        now: Now,
        entry: &Entry,
        state: &mut EntryState,
        next: Transaction,
    ) -> Result<(), ErrorCode> {
        let record = transaction_record(&entry.id, Some(&next));
        let record = record.map_err(|_| ErrorCode::INVALID_REQUEST)?;
        if !self.store.save(now, &entry.id, record) {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        state.transaction = Some(next);
        state.told.clear();
        self.settle(now, entry, state);
        Ok(())
    }

    /// Carries out a decided end, or tries again later what cannot be carried out now.
    fn complete(&self, now: Now, entry: &Entry, state: &mut EntryState) {
        let EntryState {
            transaction: Some(transaction),
            told,
            ..
        } = state
        else {
            return;
        };
        if !transaction.is_prepared() {
            return;
        }
        let end = TransactionEnd {
            producer: ProducerClaim {
                producer_id: transaction.producer_id,
                epoch: transaction.epoch,
            },
            commit: transaction.phase == Phase::PrepareCommit,
        };
        for partition in &transaction.partitions {
            // Who knows is not told again, lest its log grow with every try that fails elsewhere.
            if !told.contains(partition) && self.store.mark(now, &entry.id, partition, end) {
                told.insert(partition.clone());
            }
        }
        let is_known = told.len() == transaction.partitions.len();
        let next = transaction.completed(now);
        if !is_known || self.adopt(now, entry, state, next).is_err() {
            self.set_timer(entry, state, Some(now.elapsed + RETRY));
        }
    }

    /// Sets the timer by what is under way.
    fn settle(&self, now: Now, entry: &Entry, state: &mut EntryState) {
        let Some(transaction) = &state.transaction else {
            return;
        };
        let is_ongoing = transaction.phase == Phase::Ongoing;
        let timer = match state.timer {
            timer @ Some(_) if is_ongoing => timer,
            None if is_ongoing => {
                let ends_ms = transaction
                    .started_ms
                    .saturating_add(i64::from(transaction.timeout_ms));
                let left_ms = ends_ms.saturating_sub(now.unix_ms);
                // Not even a clock that was set back gives it more than its time.
                let left_ms = left_ms.min(i64::from(transaction.timeout_ms));
                let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or_default());
                Some(now.elapsed + left)
            }
            _ => None,
        };
        self.set_timer(entry, state, timer);
    }

    fn set_timer(&self, entry: &Entry, state: &mut EntryState, timer: Option<Duration>) {
        if state.timer == timer {
            return;
        }
        let mut timers = lock(&self.timers);
        let first = timers.first().map(|(at, _)| *at);
        if let Some(old) = state.timer {
            timers.remove(&(old, entry.id.clone()));
        }
        if let Some(at) = timer {
            timers.insert((at, entry.id.clone()));
            if first.is_none_or(|first| at < first) {
                self.sooner.raise();
            }
        }
        state.timer = timer;
    }

    fn forget(&self, entry: &Entry, state: &mut EntryState) {
        self.set_timer(entry, state, None);
        state.is_forgotten = true;
        lock(&self.by_id).remove(&entry.id);
    }

    fn find(&self, id: &str) -> Option<Arc<Entry>> {
        lock(&self.by_id).get(id).cloned()
    }

    fn find_or_create(&self, id: &str) -> Arc<Entry> {
        let mut by_id = lock(&self.by_id);
        if let Some(entry) = by_id.get(id) {
            return Arc::clone(entry);
        }
        let entry = Arc::new(Entry {
            id: id.into(),
            inner: Mutex::default(),
        });
        by_id.insert(entry.id.clone(), Arc::clone(&entry));
        entry
    }

    fn all(&self) -> Vec<Arc<Entry>> {
        lock(&self.by_id).values().cloned().collect()
    }

    fn fresh_producer_id(&self, now: Now) -> Result<i64, ErrorCode> {
        self.store
            .fresh_producer_id(now)
            .ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
    }
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, EntryState> {
        lock(&self.inner)
    }
}

/// A panic while the lock was held has left whole values behind: nothing here is changed by halves.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What Kafka says of an id that it does not know.
const UNKNOWN: ErrorCode = ErrorCode::INVALID_PRODUCER_ID_MAPPING;

/// How long after a failure the end of a transaction is tried again.
const RETRY: Duration = Duration::from_secs(1);
