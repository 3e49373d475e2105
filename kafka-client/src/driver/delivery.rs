//! One completion for a whole batch, and the tickets that wait for it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::{Error, Result};
use crate::record::RecordMetadata;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// The offset of its first record; -1 if the broker did not say.
    pub(crate) base_offset: i64,
    pub(crate) append_time_ms: i64,
}

/// The fate of a batch: set once, waited for by the tickets of its records.
#[derive(Debug)]
pub(crate) struct BatchCompletion {
    partition: i32,
    fate: OnceLock<Fate>,
    waiting: Mutex<Vec<Waker>>,
    /// The batch that it is a piece of, and its first record's place there.
    part_of: Option<(Arc<SplitCompletion>, u32)>,
}

/// What became of a batch: of the whole, or of each of its pieces.
#[derive(Clone, Debug)]
enum Fate {
    Whole(Result<Delivered>),
    /// By the place of each piece's first record.
    Pieces(BTreeMap<u32, Result<Delivered>>),
}

/// Waits for the pieces of a batch that was split: with the last of them the fate of the batch is known.
#[derive(Debug)]
pub(crate) struct SplitCompletion {
    whole: Arc<BatchCompletion>,
    missing: Mutex<(usize, BTreeMap<u32, Result<Delivered>>)>,
}

impl SplitCompletion {
    /// For a batch in this many pieces.
    pub(crate) fn of(whole: &Arc<BatchCompletion>, pieces: usize) -> Arc<Self> {
        Arc::new(Self {
            whole: Arc::clone(whole),
            missing: Mutex::new((pieces, BTreeMap::new())),
        })
    }

    /// The completion of the piece that begins with this record of the batch.
    pub(crate) fn piece(self: &Arc<Self>, first: u32) -> Arc<BatchCompletion> {
        Arc::new(BatchCompletion {
            part_of: Some((Arc::clone(self), first)),
            ..BatchCompletion::new(self.whole.partition)
        })
    }

    fn complete_piece(&self, first: u32, fate: Fate) {
        let fates = {
            let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, fates) = &mut *missing;
            match fate {
                Fate::Whole(fate) => {
                    fates.insert(first, fate);
                }
                Fate::Pieces(pieces) => {
                    let pieces = pieces.into_iter();
                    fates.extend(pieces.map(|(place, fate)| (first + place, fate)));
                }
            }
            *count -= 1;
            if *count > 0 {
                return;
            }
            std::mem::take(fates)
        };
        self.whole.settle(Fate::Pieces(fates));
    }
}

impl BatchCompletion {
    pub(crate) fn new(partition: i32) -> Self {
        Self {
            partition,
            fate: OnceLock::new(),
            waiting: Mutex::default(),
            part_of: None,
        }
    }

    /// Sets the fate and wakes whoever waits. Only the first call counts.
    pub(crate) fn complete(&self, fate: Result<Delivered>) {
        self.settle(Fate::Whole(fate));
    }

    fn settle(&self, fate: Fate) {
        let told = self.part_of.as_ref().map(|_| fate.clone());
        if self.fate.set(fate).is_err() {
            return;
        }
        // Before anybody wakes: who waits for the piece may look at the whole.
        if let (Some((whole, first)), Some(fate)) = (&self.part_of, told) {
            whole.complete_piece(*first, fate);
        }
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        for waker in waiting {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<&Fate> {
        if let Some(fate) = self.fate.get() {
            return Poll::Ready(fate);
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have been set before the lock was taken; afterwards the waker is seen.
        if let Some(fate) = self.fate.get() {
            return Poll::Ready(fate);
        }
        // A task that waits for many records of the batch registers once.
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until the fate is known, whatever it is.
    pub(crate) async fn settled(&self) {
        std::future::poll_fn(|cx| self.poll(cx).map(|_| ())).await;
    }
}

impl Fate {
    /// What became of the record of this index, and its index in what was written.
    fn of_record(&self, index: u32) -> (&Result<Delivered>, u32) {
        match self {
            Self::Whole(fate) => (fate, index),
            Self::Pieces(pieces) => {
                let piece = pieces.range(..=index).next_back();
                let (first, fate) = piece.expect("the first piece begins with record 0");
                (fate, index - first)
            }
        }
    }

    fn first_error(&self) -> Result<(), &Error> {
        match self {
            Self::Whole(fate) => fate.as_ref().map(|_| ()),
            Self::Pieces(pieces) => {
                let error = pieces.values().find_map(|fate| fate.as_ref().err());
                error.map_or(Ok(()), Err)
            }
        }
    }
}

/// A place in line for the acknowledgement of one record: a future of its [`RecordMetadata`].
///
/// Dropping it cancels nothing: the record is sent all the same. Any number of tickets may be awaited in any
/// order and by any task.
#[derive(Clone, Debug)]
#[must_use = "an acknowledgement tells whether the record was written"]
pub struct Ticket {
    completion: Arc<BatchCompletion>,
    index: u32,
}

impl Ticket {
    pub(crate) fn new(completion: Arc<BatchCompletion>, index: u32) -> Self {
        Self { completion, index }
    }

    /// The partition the record goes to.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.completion.partition
    }

    /// The outcome, if it is known by now.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<RecordMetadata>> {
        self.completion.fate.get().map(|fate| self.metadata(fate))
    }

    fn metadata(&self, fate: &Fate) -> Result<RecordMetadata> {
        let (fate, index) = fate.of_record(self.index);
        match fate {
            Ok(delivered) => Ok(RecordMetadata {
                partition: self.completion.partition,
                offset: match delivered.base_offset {
                    -1 => -1,
                    base => base + i64::from(index),
                },
                append_time_ms: delivered.append_time_ms,
            }),
            Err(error) => Err(error.clone()),
        }
    }
}

impl Future for Ticket {
    type Output = Result<RecordMetadata>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let fate = std::task::ready!(self.completion.poll(cx));
        Poll::Ready(self.metadata(fate))
    }
}

/// The acknowledgement of many records that were sent in one call: resolves when all are written, to the
/// number of records, or to the first error.
#[derive(Debug)]
#[must_use = "an acknowledgement tells whether the records were written"]
pub struct BulkTicket {
    /// The batches the records went to, each with the number of records.
    parts: Vec<(Arc<BatchCompletion>, usize)>,
    records: usize,
}

impl BulkTicket {
    pub(crate) const fn new() -> Self {
        Self {
            parts: Vec::new(),
            records: 0,
        }
    }

    pub(crate) fn add(&mut self, completion: &Arc<BatchCompletion>) {
        self.records += 1;
        match self.parts.last_mut() {
            Some((last, count)) if Arc::ptr_eq(last, completion) => *count += 1,
            _ => self.parts.push((Arc::clone(completion), 1)),
        }
    }
}

impl Future for BulkTicket {
    type Output = Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some((completion, _)) = self.parts.last() {
            match std::task::ready!(completion.poll(cx)).first_error() {
                Ok(()) => self.parts.pop(),
                Err(error) => return Poll::Ready(Err(error.clone())),
            };
        }
        Poll::Ready(Ok(self.records))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::error::ErrorKind;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_task_that_waits_for_many_records_is_woken_once() {
        let completion = Arc::new(BatchCompletion::new(3));
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let mut tickets: Vec<_> = (0..10)
            .map(|index| Ticket::new(Arc::clone(&completion), index))
            .collect();
        for ticket in &mut tickets {
            assert!(Pin::new(ticket).poll(&mut cx).is_pending());
        }
        let delivered = Delivered {
            base_offset: 100,
            append_time_ms: -1,
        };
        completion.complete(Ok(delivered));
        completion.complete(Err(Error::new(ErrorKind::Closed, "too late to count")));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        for (index, ticket) in tickets.iter_mut().enumerate() {
            let Poll::Ready(Ok(metadata)) = Pin::new(ticket).poll(&mut cx) else {
                panic!("not delivered");
            };
            assert_eq!(
                (metadata.partition, metadata.offset),
                (3, 100 + index as i64)
            );
        }
    }

    #[test]
    fn a_split_batch_is_known_with_its_last_piece() {
        let whole = Arc::new(BatchCompletion::new(2));
        let split = SplitCompletion::of(&whole, 2);
        let (one, two) = (split.piece(0), split.piece(4));
        let nested = SplitCompletion::of(&two, 2);
        let ticket = |index| Ticket::new(Arc::clone(&whole), index);
        let at = |base_offset| {
            Ok(Delivered {
                base_offset,
                append_time_ms: -1,
            })
        };
        nested.piece(3).complete(at(57));
        one.complete(at(50));
        assert!(
            ticket(0).outcome().is_none(),
            "a piece of a piece is missing"
        );
        let error = Error::new(ErrorKind::RecordTooLarge, "it alone");
        nested.piece(0).complete(Err(error));
        let offset = |index| {
            ticket(index)
                .outcome()
                .unwrap()
                .map(|written| written.offset)
        };
        assert_eq!(offset(0).unwrap(), 50);
        assert_eq!(offset(3).unwrap(), 53);
        assert!(offset(4).is_err() && offset(6).is_err());
        assert_eq!(offset(7).unwrap(), 57);
        assert_eq!(offset(9).unwrap(), 59);
        let mut bulk = BulkTicket::new();
        bulk.add(&whole);
        let polled = Pin::new(&mut bulk).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Err(_))));
    }

    #[test]
    fn an_unknown_offset_stays_unknown() {
        let completion = Arc::new(BatchCompletion::new(0));
        let unknown = Delivered {
            base_offset: -1,
            append_time_ms: -1,
        };
        completion.complete(Ok(unknown));
        let ticket = Ticket::new(completion, 7);
        assert_eq!(ticket.outcome().unwrap().unwrap().offset, -1);
    }

    #[test]
    fn a_bulk_ticket_waits_for_all_its_batches() {
        let (one, two) = (
            Arc::new(BatchCompletion::new(0)),
            Arc::new(BatchCompletion::new(0)),
        );
        let mut bulk = BulkTicket::new();
        for completion in [&one, &one, &two] {
            bulk.add(completion);
        }
        let mut cx = Context::from_waker(Waker::noop());
        let delivered = Ok(Delivered {
            base_offset: 0,
            append_time_ms: -1,
        });
        two.complete(delivered.clone());
        assert!(Pin::new(&mut bulk).poll(&mut cx).is_pending());
        one.complete(delivered);
        assert!(matches!(
            Pin::new(&mut bulk).poll(&mut cx),
            Poll::Ready(Ok(3))
        ));
    }
}
