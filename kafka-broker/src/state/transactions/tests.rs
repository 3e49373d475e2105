//! Transcripts with a store that can fail.

use super::*;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Keeps what was saved and marked, or fails.
#[derive(Debug, Default)]
struct Memory {
    saved: Mutex<Vec<KeyValue>>,
    marked: Mutex<Vec<(Participant, TransactionEnd)>>,
    cannot_save: AtomicBool,
    cannot_mark: AtomicBool,
    last_id: AtomicI64,
}

impl TransactionStore for Memory {
    fn save(&self, _: Now, _: &str, record: KeyValue) -> bool {
        if self.cannot_save.load(Ordering::Relaxed) {
            return false;
        }
        lock(&self.saved).push(record);
        true
    }

    fn mark(&self, _: Now, _: &str, partition: &Participant, end: TransactionEnd) -> bool {
        // One of two cannot be told.
        if self.cannot_mark.load(Ordering::Relaxed) && partition.1 == 1 {
            return false;
        }
        lock(&self.marked).push((partition.clone(), end));
        true
    }

    fn fresh_producer_id(&self, _: Now) -> Option<i64> {
        Some(self.last_id.fetch_add(1, Ordering::Relaxed))
    }
}

const TIMEOUT_MS: i32 = 60_000;

fn at(seconds: u64) -> Now {
    Now {
        elapsed: Duration::from_secs(seconds),
        unix_ms: i64::try_from(seconds).unwrap() * 1000,
    }
}

fn both() -> Vec<Participant> {
    vec![("t".into(), 0), ("t".into(), 1)]
}

fn with_open_transaction(store: &Arc<Memory>) -> (Transactions, ProducerClaim) {
    let transactions = Transactions::new(900_000, Arc::<Memory>::clone(store));
    let claim = transactions
        .take_over(at(0), "id", TIMEOUT_MS, None)
        .unwrap();
    assert_eq!(transactions.deadline(), None);
    transactions.join(at(10), "id", claim, &both()).unwrap();
    (transactions, claim)
}

/// The same ids in a broker that is started anew.
fn restarted(store: &Arc<Memory>, now: Now) -> Transactions {
    let transactions = Transactions::new(900_000, Arc::<Memory>::clone(store));
    for (key, value) in lock(&store.saved).clone() {
        transactions.restore(TransactionRecord::decode(key, value).unwrap());
    }
    transactions.handle_restored(now);
    transactions
}

fn phase(transactions: &Transactions) -> Phase {
    transactions.describe("id").unwrap().phase
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_shut_out() {
    let store = Arc::new(Memory::default());
    let (transactions, claim) = with_open_transaction(&store);
    assert_eq!(transactions.deadline(), Some(Duration::from_secs(70)));
    // More partitions give it no more time.
    let more = [("u".into(), 0)];
    transactions.join(at(50), "id", claim, &more).unwrap();
    assert_eq!(transactions.deadline(), Some(Duration::from_secs(70)));
    transactions.handle_time(at(69));
    assert_eq!(phase(&transactions), Phase::Ongoing);
    transactions.handle_time(at(70));
    assert_eq!(phase(&transactions), Phase::CompleteAbort);
    assert_eq!(transactions.deadline(), None);
    let marked = lock(&store.marked).clone();
    assert_eq!(marked.len(), 3);
    let fenced = ProducerClaim { epoch: 1, ..claim };
    let is_abort = |end: &TransactionEnd| !end.commit && end.producer == fenced;
    assert!(marked.iter().all(|(_, end)| is_abort(end)), "{marked:?}");
    let late = transactions.end(at(71), "id", claim, true, Protocol::First);
    assert_eq!(late, Err(ErrorCode::PRODUCER_FENCED));
    let late = transactions.write(
        at(71),
        "id",
        claim,
        &both(),
        Admission::Joined,
        Refused::clone,
    );
    assert_eq!(late.len(), 2);
    assert!(
        late.values()
            .all(|code| *code == ErrorCode::PRODUCER_FENCED)
    );
}

#[test]
fn an_open_transaction_keeps_its_deadline_over_a_restart() {
    let store = Arc::new(Memory::default());
    with_open_transaction(&store);
    // The new process counts from 0 again, and 30 of 60 seconds are over.
    let now = Now {
        elapsed: Duration::from_secs(1),
        unix_ms: 40_000,
    };
    let transactions = restarted(&store, now);
    assert_eq!(phase(&transactions), Phase::Ongoing);
    assert_eq!(transactions.deadline(), Some(Duration::from_secs(31)));
    let much_later = Now {
        elapsed: Duration::from_secs(1),
        unix_ms: 4_000_000,
    };
    let transactions = restarted(&store, much_later);
    transactions.handle_time(much_later);
    assert_eq!(phase(&transactions), Phase::CompleteAbort);
}

#[test]
fn an_end_that_is_decided_comes_about_however_often_it_fails() {
    let store = Arc::new(Memory::default());
    let (transactions, claim) = with_open_transaction(&store);
    store.cannot_mark.store(true, Ordering::Relaxed);
    let ended = transactions.end(at(20), "id", claim, true, Protocol::Second);
    let successor = ProducerClaim { epoch: 1, ..claim };
    assert_eq!(ended, Ok(successor), "it is decided");
    assert_eq!(phase(&transactions), Phase::PrepareCommit);
    assert_eq!(transactions.deadline(), Some(Duration::from_secs(21)));
    transactions.handle_time(at(21));
    assert_eq!(phase(&transactions), Phase::PrepareCommit);
    assert_eq!(lock(&store.marked).len(), 1, "who knows is not told again");
    // Nobody goes on before.
    let early = transactions.join(at(21), "id", successor, &both());
    assert_eq!(early, Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    let early = transactions.take_over(at(21), "id", TIMEOUT_MS, None);
    assert_eq!(early, Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    store.cannot_mark.store(false, Ordering::Relaxed);
    // A restart does it at once.
    let again = restarted(&store, at(0));
    assert_eq!(phase(&again), Phase::CompleteCommit);
    assert!(lock(&store.marked).iter().all(|(_, end)| end.commit));

    transactions.handle_time(at(22));
    assert_eq!(phase(&transactions), Phase::CompleteCommit);
    transactions.join(at(23), "id", successor, &both()).unwrap();
}

#[test]
fn what_cannot_be_saved_does_not_hold() {
    let store = Arc::new(Memory::default());
    let (transactions, claim) = with_open_transaction(&store);
    store.cannot_save.store(true, Ordering::Relaxed);
    let down = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    let ended = transactions.end(at(20), "id", claim, true, Protocol::First);
    assert_eq!(ended, Err(down));
    let other = transactions.take_over(at(20), "other", TIMEOUT_MS, None);
    assert_eq!(other, Err(down));
    assert_eq!(transactions.describe("other"), None);
    let more = [("u".into(), 0)];
    assert_eq!(transactions.join(at(20), "id", claim, &more), Err(down));
    transactions.handle_time(at(70));
    assert_eq!(phase(&transactions), Phase::Ongoing);
    assert!(lock(&store.marked).is_empty());
    assert_eq!(transactions.deadline(), Some(Duration::from_secs(71)));
    store.cannot_save.store(false, Ordering::Relaxed);
    transactions.handle_time(at(71));
    assert_eq!(phase(&transactions), Phase::CompleteAbort);
}

#[test]
fn ids_expire_only_at_rest_and_leave_nothing_behind() {
    let store = Arc::new(Memory::default());
    let (transactions, claim) = with_open_transaction(&store);
    let day = Duration::from_secs(24 * 3600);
    transactions.expire(at(10 * 24 * 3600), day);
    assert!(transactions.describe("id").is_some(), "it is open");
    let end = transactions.end(at(20), "id", claim, false, Protocol::First);
    end.unwrap();
    transactions.expire(at(24 * 3600), day);
    assert!(transactions.describe("id").is_some());
    transactions.expire(at(24 * 3600 + 20), day);
    assert!(transactions.list().is_empty());
    let joined = transactions.join(at(99), "id", claim, &both());
    assert_eq!(joined, Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    assert!(restarted(&store, at(0)).list().is_empty());
}

#[test]
fn timeouts_out_of_range_are_refused() {
    let store = Arc::new(Memory::default());
    let transactions = Transactions::new(900_000, store);
    for timeout_ms in [-1, 0, 900_001] {
        let refused = transactions.take_over(at(0), "id", timeout_ms, None);
        assert_eq!(refused, Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT));
    }
    assert!(transactions.take_over(at(0), "id", 900_000, None).is_ok());
}
