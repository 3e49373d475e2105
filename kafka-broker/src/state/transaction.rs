//! The transactions of one transactional id, one after the other: who may begin, join and end them.
//!
//! Decides, and changes nothing by itself: every step yields what the id would be next, which the
//! owner saves before it holds. Time and fresh producer ids are arguments; it knows no log, no lock
//! and no timer.
//!
//! Both protocols are told here. In the first the epoch changes with the producer alone; in the
//! second (KIP-890) it changes with every transaction, so that nothing late can reach the next one.

use std::collections::BTreeSet;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;

use crate::state::time::Now;

#[cfg(test)]
mod tests;

/// A partition that takes part in a transaction.
pub(crate) type Participant = (ByteString, i32);

/// Where a transactional id stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transaction {
    /// The producer that owns the id.
    pub(crate) producer_id: i64,
    /// How often it was replaced, or in the second protocol how many transactions it has ended.
    pub(crate) epoch: i16,
    /// The epoch that a producer named when it was given the present one, so that it may ask twice;
    /// -1 if it named none. Not saved.
    pub(crate) last_epoch: i16,
    /// The producer id before the present one, whose epochs were used up; -1 if there was none.
    pub(crate) previous_producer_id: i64,
    /// The producer id that takes over at the end of this transaction; -1 if none does.
    pub(crate) next_producer_id: i64,
    /// How long a transaction may take.
    pub(crate) timeout_ms: i32,
    /// What is under way.
    pub(crate) phase: Phase,
    /// Where the transaction has left records or offsets.
    pub(crate) partitions: BTreeSet<Participant>,
    /// When the transaction began, by the clock on the wall; -1 if none has.
    pub(crate) started_ms: i64,
    /// When this was decided.
    pub(crate) updated_ms: i64,
    /// The protocol of the producer.
    pub(crate) protocol: Protocol,
}

/// What is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Nothing yet.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// Its end is decided, and not known everywhere yet.
    PrepareCommit,
    /// As above.
    PrepareAbort,
    /// It has ended.
    CompleteCommit,
    /// As above.
    CompleteAbort,
}

/// How a producer speaks of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// It names every partition before it writes there.
    First,
    /// It just writes, and its epoch grows with every transaction.
    Second,
}

/// Who a request says that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerClaim {
    /// The id it was given.
    pub(crate) producer_id: i64,
    /// The epoch it was given.
    pub(crate) epoch: i16,
}

/// How a transactional id is given to a producer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Takeover {
    /// It is its own from now on.
    Granted(Transaction),
    /// First the transaction of its predecessor must be aborted; the producer asks again.
    AbortFirst(Transaction),
}

/// What becomes of a request to end a transaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    /// It ends so.
    Prepare(Transaction),
    /// It has ended so before.
    Repeated,
}

impl Transaction {
    /// A transactional id that was never heard of.
    pub(crate) fn first(now: Now, producer_id: i64, timeout_ms: i32) -> Self {
        Self {
            producer_id,
            epoch: 0,
            last_epoch: -1,
            previous_producer_id: -1,
            next_producer_id: -1,
            timeout_ms,
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            started_ms: -1,
            updated_ms: now.unix_ms,
            protocol: Protocol::First,
        }
    }

    /// A producer wants the id: one that begins, or one that names what it was given before and
    /// wants a new epoch. `fresh_id` is asked when the epochs are used up.
    pub(crate) fn take_over(
        &self,
        now: Now,
        timeout_ms: i32,
        expected: Option<ProducerClaim>,
        fresh_id: impl FnOnce() -> Result<i64, ErrorCode>,
    ) -> Result<Takeover, ErrorCode> {
        let is_known = |claim: ProducerClaim| {
            claim.producer_id == self.producer_id
                || (claim.producer_id == self.previous_producer_id && is_used_up(claim.epoch))
        };
        if !expected.is_none_or(is_known) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.phase {
            Phase::PrepareCommit | Phase::PrepareAbort => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            Phase::Ongoing => Ok(Takeover::AbortFirst(self.fenced(now))),
            Phase::Empty | Phase::CompleteCommit | Phase::CompleteAbort => {
                let mut next = self.at_rest(now);
                next.timeout_ms = timeout_ms;
                match expected.map(|claim| claim.epoch) {
                    // Asked again: the answer was lost on the way.
                    Some(epoch) if epoch != self.epoch && epoch == self.last_epoch => {}
                    Some(epoch) if epoch != self.epoch => return Err(ErrorCode::PRODUCER_FENCED),
                    named => next.bump(named.is_some(), fresh_id)?,
                }
                Ok(Takeover::Granted(next))
            }
        }
    }

    /// Partitions join the transaction, which begins with the first of them. `None` if all of them
    /// have joined before.
    pub(crate) fn join(
        &self,
        now: Now,
        claim: ProducerClaim,
        partitions: &[Participant],
        protocol: Protocol,
    ) -> Result<Option<Self>, ErrorCode> {
        self.check_claim(claim)?;
        let is_ongoing = self.phase == Phase::Ongoing;
        if is_ongoing && partitions.iter().all(|one| self.partitions.contains(one)) {
            return Ok(None);
        }
        let mut next = if is_ongoing {
            self.clone()
        } else {
            Self {
                started_ms: now.unix_ms,
                ..self.at_rest(now)
            }
        };
        next.phase = Phase::Ongoing;
        next.partitions.extend(partitions.iter().cloned());
        next.protocol = protocol;
        next.updated_ms = now.unix_ms;
        Ok(Some(next))
    }

    /// Whether the producer may write to a partition that should have joined before.
    pub(crate) fn check(
        &self,
        claim: ProducerClaim,
        partition: &Participant,
    ) -> Result<(), ErrorCode> {
        self.check_claim(claim)?;
        if self.phase == Phase::Ongoing && self.partitions.contains(partition) {
            Ok(())
        } else {
            Err(ErrorCode::TRANSACTION_ABORTABLE)
        }
    }

    /// The producer ends its transaction. `fresh_id` is asked when the epochs are used up.
    pub(crate) fn end(
        &self,
        now: Now,
        claim: ProducerClaim,
        commit: bool,
        protocol: Protocol,
        fresh_id: impl FnOnce() -> Result<i64, ErrorCode>,
    ) -> Result<Ending, ErrorCode> {
        let repeats = protocol == Protocol::Second && self.has_succeeded(claim);
        let same_id = claim.producer_id == self.producer_id;
        if !same_id && !repeats {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        let same_epoch = same_id && claim.epoch == self.epoch;
        let fits = match (protocol, self.phase) {
            (Protocol::First, _) | (_, Phase::Empty | Phase::Ongoing) => same_epoch,
            // The epoch has grown with the decision.
            (_, Phase::PrepareCommit | Phase::PrepareAbort) => repeats,
            (_, Phase::CompleteCommit | Phase::CompleteAbort) => repeats || same_epoch,
        };
        if !fits {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        let decided = match self.phase {
            Phase::PrepareCommit | Phase::CompleteCommit => Some(true),
            Phase::PrepareAbort | Phase::CompleteAbort => Some(false),
            Phase::Empty | Phase::Ongoing => None,
        };
        let same_end = decided == Some(commit);
        match self.phase {
            Phase::Ongoing => self.prepare(now, commit, protocol, fresh_id),
            Phase::PrepareCommit | Phase::PrepareAbort if same_end => {
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            Phase::CompleteCommit | Phase::CompleteAbort
                if same_end && (protocol == Protocol::First || repeats) =>
            {
                Ok(Ending::Repeated)
            }
            // In the second protocol nobody knows whether a partition has joined before the broker
            // says so: the abort of a transaction that never began is right, and costs an epoch.
            Phase::Empty | Phase::CompleteCommit | Phase::CompleteAbort
                if !commit && protocol == Protocol::Second && !repeats =>
            {
                let begun = Self {
                    started_ms: now.unix_ms,
                    ..self.at_rest(now)
                };
                begun.prepare(now, commit, protocol, fresh_id)
            }
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    /// The open transaction is to be aborted over its producer's head, who is shut out.
    pub(crate) fn fenced(&self, now: Now) -> Self {
        Self {
            // The last epoch of all is never given to a producer, so that there is always one left.
            epoch: self.epoch.saturating_add(1),
            last_epoch: -1,
            phase: Phase::PrepareAbort,
            updated_ms: now.unix_ms,
            ..self.clone()
        }
    }

    /// The end is known everywhere.
    pub(crate) fn completed(&self, now: Now) -> Self {
        let mut next = Self {
            phase: match self.phase {
                Phase::PrepareCommit => Phase::CompleteCommit,
                _ => Phase::CompleteAbort,
            },
            partitions: BTreeSet::new(),
            updated_ms: now.unix_ms,
            ..self.clone()
        };
        if self.next_producer_id >= 0 {
            next.previous_producer_id = self.producer_id;
            next.producer_id = self.next_producer_id;
            next.next_producer_id = -1;
            next.epoch = 0;
        }
        next
    }

    /// What the producer is to call itself in the next transaction.
    pub(crate) fn successor(&self) -> ProducerClaim {
        let is_replaced = self.next_producer_id >= 0;
        ProducerClaim {
            producer_id: if is_replaced {
                self.next_producer_id
            } else {
                self.producer_id
            },
            epoch: if is_replaced { 0 } else { self.epoch },
        }
    }

    /// Whether an end is decided and not known everywhere yet.
    pub(crate) fn is_prepared(&self) -> bool {
        matches!(self.phase, Phase::PrepareCommit | Phase::PrepareAbort)
    }

    /// Whether nothing is under way.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.is_prepared() && self.phase != Phase::Ongoing
    }

    fn prepare(
        &self,
        now: Now,
        commit: bool,
        protocol: Protocol,
        fresh_id: impl FnOnce() -> Result<i64, ErrorCode>,
    ) -> Result<Ending, ErrorCode> {
        let mut next = self.clone();
        next.phase = match commit {
            true => Phase::PrepareCommit,
            false => Phase::PrepareAbort,
        };
        next.updated_ms = now.unix_ms;
        next.protocol = protocol;
        if protocol == Protocol::Second {
            if is_used_up(self.epoch) {
                next.next_producer_id = fresh_id()?;
            }
            next.last_epoch = self.epoch;
            next.epoch = self.epoch.saturating_add(1);
        }
        Ok(Ending::Prepare(next))
    }

    /// The next epoch, or the first one of a fresh id.
    fn bump(
        &mut self,
        by_name: bool,
        fresh_id: impl FnOnce() -> Result<i64, ErrorCode>,
    ) -> Result<(), ErrorCode> {
        self.last_epoch = if by_name { self.epoch } else { -1 };
        if is_used_up(self.epoch) {
            self.previous_producer_id = self.producer_id;
            self.producer_id = fresh_id()?;
            self.epoch = 0;
        } else {
            self.epoch += 1;
        }
        Ok(())
    }

    /// The id with nothing under way.
    fn at_rest(&self, now: Now) -> Self {
        Self {
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            started_ms: -1,
            updated_ms: now.unix_ms,
            ..self.clone()
        }
    }

    fn check_claim(&self, claim: ProducerClaim) -> Result<(), ErrorCode> {
        if claim.producer_id != self.producer_id {
            Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
        } else if claim.epoch != self.epoch {
            Err(ErrorCode::PRODUCER_FENCED)
        } else if self.is_prepared() {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        } else {
            Ok(())
        }
    }

    /// Whether the producer has ended a transaction as whom it claims to be, and was not told yet who
    /// it is now.
    fn has_succeeded(&self, claim: ProducerClaim) -> bool {
        let grown =
            claim.producer_id == self.producer_id && claim.epoch.checked_add(1) == Some(self.epoch);
        let replaced = claim.producer_id == self.previous_producer_id
            && claim.epoch == EPOCH_LAST
            && self.epoch == 0;
        grown || replaced
    }
}

impl Phase {
    /// All phases.
    pub(crate) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }
}

fn is_used_up(epoch: i16) -> bool {
    epoch >= EPOCH_LAST
}

/// The last epoch that a producer is given. The one behind it is kept for the abort of its last
/// transaction.
const EPOCH_LAST: i16 = i16::MAX - 1;
