//! Transcripts: what a producer asks, and what becomes of its id.

use super::*;

const TIMEOUT_MS: i32 = 60_000;

fn at(unix_ms: i64) -> Now {
    Now {
        unix_ms,
        ..Now::default()
    }
}

fn claim(producer_id: i64, epoch: i16) -> ProducerClaim {
    ProducerClaim { producer_id, epoch }
}

fn partitions(indexes: &[i32]) -> Vec<Participant> {
    indexes.iter().map(|index| ("t".into(), *index)).collect()
}

fn no_id() -> Result<i64, ErrorCode> {
    panic!("no fresh id is needed here")
}

fn fresh() -> Result<i64, ErrorCode> {
    Ok(99)
}

/// An id with an open transaction in partition 0.
fn ongoing(epoch: i16, protocol: Protocol) -> Transaction {
    let mut transaction = Transaction::first(at(0), 7, TIMEOUT_MS);
    transaction.epoch = epoch;
    let joined = transaction.join(at(100), claim(7, epoch), &partitions(&[0]), protocol);
    joined.unwrap().unwrap()
}

fn ended(transaction: &Transaction, commit: bool, protocol: Protocol) -> Transaction {
    let me = claim(transaction.producer_id, transaction.epoch);
    match transaction.end(at(200), me, commit, protocol, no_id) {
        Ok(Ending::Prepare(next)) => next,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transaction_of_the_first_protocol_from_begin_to_end() {
    let empty = Transaction::first(at(0), 7, TIMEOUT_MS);
    let me = claim(7, 0);
    let end = |from: &Transaction, commit| from.end(at(9), me, commit, Protocol::First, no_id);
    assert_eq!(end(&empty, true), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(end(&empty, false), Err(ErrorCode::INVALID_TXN_STATE));

    let join = |from: &Transaction, indexes: &[i32]| {
        from.join(at(100), me, &partitions(indexes), Protocol::First)
    };
    let open = join(&empty, &[0]).unwrap().unwrap();
    assert_eq!((open.phase, open.started_ms), (Phase::Ongoing, 100));
    assert_eq!(join(&open, &[0]), Ok(None), "it has joined before");
    let open = join(&open, &[0, 1]).unwrap().unwrap();
    assert_eq!(open.partitions.len(), 2);
    assert_eq!(open.check(me, &("t".into(), 1)), Ok(()));
    let stranger = open.check(me, &("t".into(), 2));
    assert_eq!(stranger, Err(ErrorCode::TRANSACTION_ABORTABLE));

    let prepared = ended(&open, true, Protocol::First);
    assert_eq!((prepared.phase, prepared.epoch), (Phase::PrepareCommit, 0));
    assert_eq!(prepared.successor(), me);
    let busy = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(end(&prepared, true), busy);
    assert_eq!(end(&prepared, false), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(join(&prepared, &[0]).map(drop), busy.map(drop));
    let late = prepared.check(me, &("t".into(), 0));
    assert_eq!(late, Err(ErrorCode::CONCURRENT_TRANSACTIONS));

    let complete = prepared.completed(at(300));
    assert_eq!((complete.phase, complete.epoch), (Phase::CompleteCommit, 0));
    assert!(complete.partitions.is_empty());
    assert_eq!(end(&complete, true), Ok(Ending::Repeated));
    assert_eq!(end(&complete, false), Err(ErrorCode::INVALID_TXN_STATE));
    let late = complete.check(me, &("t".into(), 0));
    assert_eq!(late, Err(ErrorCode::TRANSACTION_ABORTABLE));
    let open = join(&complete, &[2]).unwrap().unwrap();
    assert_eq!(open.partitions, partitions(&[2]).into_iter().collect());
}

#[test]
fn the_second_protocol_gives_every_transaction_an_epoch() {
    let open = ongoing(4, Protocol::Second);
    let prepared = ended(&open, true, Protocol::Second);
    assert_eq!((prepared.phase, prepared.epoch), (Phase::PrepareCommit, 5));
    assert_eq!(prepared.successor(), claim(7, 5));
    let complete = prepared.completed(at(300));
    assert_eq!(complete.successor(), claim(7, 5));

    let end = |from: &Transaction, epoch, commit| {
        from.end(at(9), claim(7, epoch), commit, Protocol::Second, no_id)
    };
    let again = end(&prepared, 4, true);
    assert_eq!(again, Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    let as_if_told = end(&prepared, 5, true);
    assert_eq!(as_if_told, Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(end(&complete, 4, true), Ok(Ending::Repeated));
    let other_end = end(&complete, 4, false);
    assert_eq!(other_end, Err(ErrorCode::INVALID_TXN_STATE));
    let nothing_to_commit = end(&complete, 5, true);
    assert_eq!(nothing_to_commit, Err(ErrorCode::INVALID_TXN_STATE));
    for epoch in [3, 6] {
        let stranger = end(&complete, epoch, true);
        assert_eq!(stranger, Err(ErrorCode::PRODUCER_FENCED), "epoch {epoch}");
    }
    // Nothing of the transaction before reaches the next one.
    let late = complete.join(at(9), claim(7, 4), &partitions(&[0]), Protocol::Second);
    assert_eq!(late, Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn an_abort_of_nothing_is_right_in_the_second_protocol_and_costs_an_epoch() {
    let empty = Transaction::first(at(0), 7, TIMEOUT_MS);
    let aborted = ended(&empty, false, Protocol::Second);
    assert_eq!((aborted.phase, aborted.epoch), (Phase::PrepareAbort, 1));
    let complete = aborted.completed(at(300));
    let again = ended(&complete, false, Protocol::Second);
    assert_eq!((again.phase, again.epoch), (Phase::PrepareAbort, 2));
    let retried = complete.end(at(9), claim(7, 0), false, Protocol::Second, no_id);
    assert_eq!(retried, Ok(Ending::Repeated));
}

#[test]
fn used_up_epochs_bring_a_fresh_producer_id() {
    let open = ongoing(EPOCH_LAST, Protocol::Second);
    let me = claim(7, EPOCH_LAST);
    let Ok(Ending::Prepare(prepared)) = open.end(at(200), me, true, Protocol::Second, fresh) else {
        panic!("not ended");
    };
    assert_eq!((prepared.producer_id, prepared.epoch), (7, i16::MAX));
    assert_eq!(prepared.successor(), claim(99, 0));
    let complete = prepared.completed(at(300));
    assert_eq!(complete.successor(), claim(99, 0));
    assert_eq!(complete.previous_producer_id, 7);
    let retried = complete.end(at(400), me, true, Protocol::Second, no_id);
    assert_eq!(retried, Ok(Ending::Repeated));
    let other = complete.end(at(400), claim(7, 3), true, Protocol::Second, no_id);
    assert_eq!(other, Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
}

#[test]
fn a_new_producer_shuts_out_the_old_one() {
    let open = ongoing(4, Protocol::First);
    let Ok(Takeover::AbortFirst(fenced)) = open.take_over(at(200), 1000, None, no_id) else {
        panic!("taken over in mid-transaction");
    };
    assert_eq!((fenced.phase, fenced.epoch), (Phase::PrepareAbort, 5));
    let zombie = fenced.end(at(9), claim(7, 4), true, Protocol::First, no_id);
    assert_eq!(zombie, Err(ErrorCode::PRODUCER_FENCED));
    let zombie = fenced.end(at(9), claim(7, 4), true, Protocol::Second, no_id);
    assert_eq!(zombie, Err(ErrorCode::INVALID_TXN_STATE));
    let too_early = fenced.take_over(at(9), 1000, None, no_id);
    assert_eq!(too_early, Err(ErrorCode::CONCURRENT_TRANSACTIONS));

    let complete = fenced.completed(at(300));
    let Ok(Takeover::Granted(granted)) = complete.take_over(at(400), 1000, None, no_id) else {
        panic!("not granted");
    };
    assert_eq!(granted.successor(), claim(7, 6));
    assert_eq!((granted.phase, granted.timeout_ms), (Phase::Empty, 1000));
    for epoch in [4, 5] {
        let zombie = granted.join(at(9), claim(7, epoch), &partitions(&[0]), Protocol::First);
        assert_eq!(zombie, Err(ErrorCode::PRODUCER_FENCED), "epoch {epoch}");
    }
}

#[test]
fn a_producer_that_names_what_it_has_gets_the_next_epoch_once() {
    let first = Transaction::first(at(0), 7, TIMEOUT_MS);
    let take = |from: &Transaction, expected| match from.take_over(at(9), 1000, expected, fresh) {
        Ok(Takeover::Granted(next)) => Ok(next),
        Ok(Takeover::AbortFirst(_)) => panic!("nothing is open"),
        Err(error) => Err(error),
    };
    let next = take(&first, Some(claim(7, 0))).unwrap();
    assert_eq!(next.successor(), claim(7, 1));
    // The answer was lost, and it asks again.
    assert_eq!(
        take(&next, Some(claim(7, 0))).unwrap().successor(),
        claim(7, 1)
    );
    let next = take(&next, Some(claim(7, 1))).unwrap();
    assert_eq!(next.successor(), claim(7, 2));
    for stranger in [claim(7, 0), claim(7, 3), claim(8, 2)] {
        let refused = take(&next, Some(stranger));
        assert_eq!(refused, Err(ErrorCode::PRODUCER_FENCED), "{stranger:?}");
    }

    let mut last = first;
    last.epoch = EPOCH_LAST;
    let rotated = take(&last, Some(claim(7, EPOCH_LAST))).unwrap();
    assert_eq!(rotated.successor(), claim(99, 0));
    let retried = take(&rotated, Some(claim(7, EPOCH_LAST))).unwrap();
    assert_eq!(retried.successor(), claim(99, 0));
    // The abort of its last transaction has used up even the epoch that nobody is given.
    last.epoch = i16::MAX;
    assert_eq!(take(&last, None).unwrap().successor(), claim(99, 0));
}

#[test]
fn nobody_writes_for_an_id_that_is_not_its_own() {
    let open = ongoing(4, Protocol::Second);
    let join = |claim| open.join(at(9), claim, &partitions(&[5]), Protocol::Second);
    let other_id = Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    assert_eq!(join(claim(8, 4)), other_id);
    assert_eq!(join(claim(7, 3)), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(join(claim(7, 5)), Err(ErrorCode::PRODUCER_FENCED));
    let end = open.end(at(9), claim(8, 4), true, Protocol::Second, no_id);
    assert_eq!(end.map(drop), other_id.map(drop));
}
