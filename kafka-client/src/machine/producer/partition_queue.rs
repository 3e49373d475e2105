//! One partition's records on their way: the open batch, those that wait, the order of those that return.
//!
//! Knows neither leader nor connection. Records are encoded here, on the caller's thread, straight into the
//! buffer of the open batch; `C` is what the owner completes when a batch's fate is known.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use kafka_protocol::record::{BatchBuilder, BatchHeader, record_len};

use crate::machine::time::{Duration, Instant, earlier};
use crate::record::Record;

/// The bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From here on a batch is worth sending (`batch.size`).
    pub batch_bytes: usize,
    /// No batch grows beyond this (`max.request.size`, less the request's own fields).
    pub batch_bytes_max: usize,
    /// How long an open batch waits for more (`linger.ms`).
    pub linger: Duration,
    /// How long a batch may take in all (`delivery.timeout.ms`).
    pub delivery_timeout: Duration,
    /// How many batches may be in flight.
    pub in_flight_max: usize,
    /// Whether batches carry sequence numbers.
    pub idempotent: bool,
}

/// The queue of one partition.
#[derive(Debug)]
pub struct PartitionQueue<C> {
    limits: Limits,
    /// How large the open batch may grow: at first as the limits say, less once a broker refused one as too
    /// large.
    growth_max: usize,
    open: Option<Open<C>>,
    /// Waiting to be sent, in order. Those that came back for another attempt stand in front.
    waiting: VecDeque<Batch<C>>,
    /// What is in flight, in order: place and completion.
    in_flight: VecDeque<(Place, C)>,
    next_ordinal: u64,
    next_sequence: i32,
    /// Whether the broker has sequences of this identity. Before that it takes any, and so a later batch though an
    /// earlier one failed: the first goes alone.
    is_known: bool,
    /// No batch leaves before: the pause after a failure.
    not_before: Instant,
    /// A sequence was given out and is not written for certain: what follows it is refused until the producer
    /// has a new identity.
    has_hole: bool,
    /// Takes no more records.
    is_closed: bool,
}

#[derive(Debug)]
struct Open<C> {
    builder: BatchBuilder,
    created: Instant,
    completion: C,
    /// Bytes of the producer's budget that are held for it.
    reserved: usize,
}

/// What a new batch begins with.
#[derive(Debug)]
pub struct Begun<C> {
    /// Now.
    pub created: Instant,
    /// An empty batch, in a buffer from the pool.
    pub builder: BatchBuilder,
    /// To be told of the batch's fate.
    pub completion: C,
}

/// A batch that takes no more records.
#[derive(Debug)]
pub struct Batch<C> {
    /// The records.
    pub content: Content,
    /// To be told of the batch's fate.
    pub completion: C,
    /// How many records it has.
    pub record_count: u32,
    /// The sequence of the first record, once one was given.
    pub base_sequence: Option<i32>,
    /// How often it was sent. A batch that was sent may be written, whatever was heard of it.
    pub attempts: u32,
    /// Bytes of the producer's budget that are held for it.
    pub reserved: usize,
    created: Instant,
    place: Place,
}

/// Where a batch stands among all of its queue: its number, and the index of its first record in the batch that it
/// is a piece of.
type Place = (u64, u32);

/// The records of a batch.
#[derive(Debug)]
pub enum Content {
    /// Still without checksum, compression and producer.
    Unsealed(BatchBuilder),
    /// As they go over the wire.
    Sealed(bytes::Bytes),
    /// As they went over the wire, under a producer's identity that is of no use any more.
    Restamped(bytes::Bytes),
}

/// What became of a record that was to be appended.
#[derive(Debug)]
pub enum Appended<C> {
    /// It stands in a batch.
    In {
        /// The batch's completion.
        completion: C,
        /// The record's place in the batch.
        index: u32,
        /// Whether it is the first record since the queue was empty or the batch before was closed.
        opened: bool,
        /// Whether the batch became worth sending by it.
        worth_sending: bool,
    },
    /// The budget is used up: try again when something was sent.
    Full,
    /// It is larger than a batch may be.
    TooLarge {
        /// What a batch of it alone takes, at most.
        bytes: usize,
        /// What a batch may have.
        max: usize,
    },
    /// The queue was closed before.
    Closed,
}

impl<C: Clone> PartitionQueue<C> {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            growth_max: limits.batch_bytes_max,
            open: None,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            next_ordinal: 0,
            next_sequence: 0,
            is_known: false,
            not_before: Instant::ZERO,
            has_hole: false,
            is_closed: false,
        }
    }

    /// Encodes a record into the open batch. `reserve` takes bytes from the producer's budget, or says that
    /// there are none; `begin` gives what a new batch needs, so that the clock is read once per batch only.
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        record: &Record<'_>,
        mut reserve: impl FnMut(usize) -> bool,
        begin: impl FnOnce() -> Begun<C>,
    ) -> Appended<C> {
        if self.is_closed {
            return Appended::Closed;
        }
        let headers = record.headers.iter().copied();
        // The longest that the deltas of time and offset can be.
        let len = record_len(
            i64::MIN,
            i32::MAX,
            record.key,
            record.value,
            headers.clone(),
        );
        let bytes = BatchHeader::LEN.saturating_add(len);
        let max = self.limits.batch_bytes_max;
        if bytes > max {
            return Appended::TooLarge { bytes, max };
        }
        if let Some(open) = &self.open
            && open.builder.len() + len > self.growth_max
        {
            self.close_open();
        }
        let opened = self.open.is_none();
        let open = match &mut self.open {
            Some(open) => {
                let after = open.builder.len() + len;
                if after > open.reserved {
                    // Doubling keeps reservations rare.
                    let more = (after - open.reserved).max(open.reserved);
                    let more = more.min(self.limits.batch_bytes_max - open.reserved);
                    if !reserve(more) {
                        return Appended::Full;
                    }
                    open.reserved += more;
                }
                open
            }
            closed => {
                let reserved = (BatchHeader::LEN + len).max(self.limits.batch_bytes);
                if !reserve(reserved) {
                    return Appended::Full;
                }
                let Begun {
                    created,
                    builder,
                    completion,
                } = begin();
                closed.insert(Open {
                    builder,
                    created,
                    completion,
                    reserved,
                })
            }
        };
        let before = open.builder.len();
        let index = open.builder.count();
        let appended = open
            .builder
            .append(timestamp_ms, record.key, record.value, headers);
        if appended.is_err() {
            // The length was checked above against the same bound.
            return Appended::TooLarge { bytes, max };
        }
        let worth = |len| len >= self.limits.batch_bytes;
        Appended::In {
            completion: open.completion.clone(),
            index,
            opened,
            worth_sending: worth(open.builder.len()) && !worth(before),
        }
    }

    /// The next batch to send, if one may leave now: a closed one, or the open one if it is large enough, has
    /// lingered long enough, or `hurry` is set. Batches that return from a failure go one by one, so that none
    /// overtakes another, and so do the pieces of a batch that was too large.
    pub fn poll_batch(&mut self, now: Instant, hurry: bool) -> Option<Batch<C>> {
        if self.is_full() || now < self.not_before {
            return None;
        }
        match self.waiting.front() {
            Some(front) if front.goes_alone() && !self.in_flight.is_empty() => return None,
            Some(_) => {}
            None => {
                let open = self.open.as_ref()?;
                let ready = hurry
                    || open.builder.len() >= self.limits.batch_bytes
                    || now >= open.created + self.limits.linger;
                if !ready {
                    return None;
                }
                self.close_open();
            }
        }
        let mut batch = self.waiting.pop_front()?;
        batch.attempts += 1;
        if self.limits.idempotent && batch.base_sequence.is_none() {
            batch.base_sequence = Some(self.next_sequence);
            self.next_sequence = sequence_after(self.next_sequence, batch.record_count);
        }
        self.in_flight
            .push_back((batch.place, batch.completion.clone()));
        Some(batch)
    }

    /// The batch is written: it left the queue for good.
    pub fn handle_delivered(&mut self, batch: &Batch<C>) {
        self.is_known = true;
        self.handle_done(batch);
    }

    /// The batch's fate is known: it left the queue for good.
    pub fn handle_done(&mut self, batch: &Batch<C>) {
        self.in_flight.retain(|(place, _)| *place != batch.place);
    }

    /// The batch has to be sent again, not before the pause is over. Gives it back if the queue was closed.
    pub fn handle_retry(
        &mut self,
        now: Instant,
        batch: Batch<C>,
        pause: Duration,
    ) -> Option<Batch<C>> {
        self.handle_done(&batch);
        self.not_before = now + pause;
        self.put_back(batch)
    }

    /// How large the pieces of a batch should be that was refused as too large; `None` if it has but one record.
    /// From now on no batch grows larger than that.
    pub fn shrink(&mut self, batch: &Batch<C>, bytes: usize) -> Option<usize> {
        if batch.record_count < 2 {
            return None;
        }
        let piece_bytes = (bytes / 2).min(self.limits.batch_bytes);
        self.growth_max = self.growth_max.min(piece_bytes.max(BatchHeader::LEN));
        Some(piece_bytes)
    }

    /// Puts the pieces of a batch in its place, with its sequences: for the broker they are what it would have
    /// been. `piece` makes the completion of each, from the number of its first record in the batch. Gives the batch back if the queue was closed.
    pub fn handle_split(
        &mut self,
        batch: Batch<C>,
        pieces: Vec<BatchBuilder>,
        mut piece: impl FnMut(u32) -> C,
    ) -> Option<Batch<C>> {
        if self.is_closed {
            return Some(batch);
        }
        self.handle_done(&batch);
        let at = self
            .waiting
            .partition_point(|other| other.place < batch.place);
        let (mut first, mut reserved) = (0, batch.reserved);
        for (number, builder) in pieces.into_iter().enumerate() {
            let record_count = builder.count();
            let base = batch.base_sequence;
            let piece = Batch {
                content: Content::Unsealed(builder),
                completion: piece(first),
                record_count,
                base_sequence: base.map(|base| sequence_after(base, first)),
                attempts: 0,
                // The first holds what was held for all: it is given back a little early.
                reserved: std::mem::take(&mut reserved),
                created: batch.created,
                place: (batch.place.0, batch.place.1 + first),
            };
            self.waiting.insert(at + number, piece);
            first += record_count;
        }
        None
    }

    /// A batch failed for good after a sequence was given out for it: those behind it are refused from now on.
    pub fn handle_hole(&mut self) {
        self.has_hole = self.limits.idempotent;
    }

    /// A batch was refused because its sequence does not follow what the broker has. Behind a hole, or behind an
    /// earlier batch that returned, that says nothing against the batch, and for certain that it is not written:
    /// then it waits as if it had never been sent. Gives it back otherwise, or if the queue was closed.
    pub fn handle_out_of_order(&mut self, mut batch: Batch<C>) -> Option<Batch<C>> {
        if !self.has_hole && !self.waits_for_an_earlier_one(&batch) {
            return Some(batch);
        }
        self.handle_done(&batch);
        batch.attempts = 0;
        self.put_back(batch)
    }

    /// Whether an earlier batch than this one is still on its way: then this one may have failed only for
    /// coming too soon.
    fn waits_for_an_earlier_one(&self, batch: &Batch<C>) -> bool {
        let earlier = |place: Place| place < batch.place;
        self.waiting.iter().any(|other| earlier(other.place))
            || self.in_flight.iter().any(|(place, _)| earlier(*place))
    }

    /// The batches whose time is over; in flight ones are left to their request's own time.
    pub fn poll_expired(&mut self, now: Instant) -> Vec<Batch<C>> {
        if let Some(open) = &self.open
            && open.created + self.limits.delivery_timeout <= now
        {
            self.close_open();
        }
        let limit = self.limits.delivery_timeout;
        self.take_waiting(|batch| batch.created + limit <= now)
    }

    /// The producer got a new identity: sequences start again. Gives back what was sent under the old one,
    /// since sending it again could double it.
    ///
    /// # Panics
    ///
    /// If a batch is in flight: its sequence would belong to nobody.
    pub fn handle_new_identity(&mut self) -> Vec<Batch<C>> {
        assert!(
            self.in_flight.is_empty(),
            "a new identity while batches are in flight"
        );
        self.next_sequence = 0;
        self.is_known = false;
        self.has_hole = false;
        let given_up = self.take_waiting(|batch| batch.attempts > 0);
        for batch in &mut self.waiting {
            batch.base_sequence = None;
            if let Content::Sealed(bytes) = &mut batch.content {
                batch.content = Content::Restamped(std::mem::take(bytes));
            }
        }
        given_up
    }

    /// Everything that waits, as the producer gives up.
    pub fn poll_abandoned(&mut self) -> Vec<Batch<C>> {
        self.close_open();
        self.waiting.drain(..).collect()
    }

    /// Takes no more records and no more batches back. Gives everything that waits.
    pub fn close(&mut self) -> Vec<Batch<C>> {
        self.is_closed = true;
        self.poll_abandoned()
    }

    /// Closes the open batch and names the completions of all that is on its way.
    pub fn flush(&mut self) -> Vec<C> {
        self.close_open();
        let in_flight = self.in_flight.iter().map(|(_, completion)| completion);
        let waiting = self.waiting.iter().map(|batch| &batch.completion);
        in_flight.chain(waiting).cloned().collect()
    }

    /// When to look again, behind `now`: the end of a linger, of a pause or of a batch's time. `None` if there is
    /// nothing to send. What could leave by `now` and did not, since something was in its way, waits for the end of
    /// that.
    #[must_use]
    pub fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        let oldest = self.waiting.front().map(|batch| batch.created);
        let oldest = oldest.or_else(|| self.open.as_ref().map(|open| open.created))?;
        let expiry = oldest + self.limits.delivery_timeout;
        let behind_now = |at: Instant| (at > now).then_some(at);
        // Those that wait may be gone when the linger ends: an answer sends them, on another thread.
        let open = self.open.as_ref();
        let lingered = open.and_then(|open| behind_now(open.created + self.limits.linger));
        let sending = earlier(behind_now(self.not_before), lingered);
        earlier(Some(expiry), sending)
    }

    /// Whether nothing is open or waiting. What is in flight may still return.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }

    /// Whether as much is in flight as may be.
    fn is_full(&self) -> bool {
        let max = match self.limits.idempotent && !self.is_known {
            true => 1,
            false => self.limits.in_flight_max,
        };
        self.in_flight.len() >= max
    }

    fn close_open(&mut self) {
        let Some(open) = self.open.take() else { return };
        let Some(record_count) = NonZeroU32::new(open.builder.count()) else {
            unreachable!("a batch is opened for a record");
        };
        self.waiting.push_back(Batch {
            content: Content::Unsealed(open.builder),
            completion: open.completion,
            record_count: record_count.get(),
            base_sequence: None,
            attempts: 0,
            reserved: open.reserved,
            created: open.created,
            place: (self.next_ordinal, 0),
        });
        self.next_ordinal += 1;
    }

    /// Puts a batch in its place among those that wait; gives it back if the queue was closed.
    fn put_back(&mut self, batch: Batch<C>) -> Option<Batch<C>> {
        if self.is_closed {
            return Some(batch);
        }
        let at = self
            .waiting
            .partition_point(|other| other.place < batch.place);
        self.waiting.insert(at, batch);
        None
    }

    fn take_waiting(&mut self, mut take: impl FnMut(&Batch<C>) -> bool) -> Vec<Batch<C>> {
        let all = std::mem::take(&mut self.waiting);
        let (taken, kept) = all
            .into_iter()
            .partition::<VecDeque<_>, _>(|batch| take(batch));
        self.waiting = kept;
        taken.into()
    }
}

impl<C> Batch<C> {
    /// Whether it came back, and so may not leave beside others.
    fn goes_alone(&self) -> bool {
        self.attempts > 0 || self.base_sequence.is_some()
    }
}

/// The sequence that follows `count` records from `sequence` on; it wraps to 0 behind `i32::MAX`.
fn sequence_after(sequence: i32, count: u32) -> i32 {
    let next = i64::from(sequence) + i64::from(count);
    let period = i64::from(i32::MAX) + 1;
    i32::try_from(next % period).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use kafka_protocol::record::BatchOptions;

    use super::*;

    type Queue = PartitionQueue<u32>;

    fn at(ms: u64) -> Instant {
        Instant::after_start(Duration::from_millis(ms))
    }

    fn limits() -> Limits {
        Limits {
            batch_bytes: 200,
            batch_bytes_max: 400,
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(2),
            in_flight_max: 5,
            idempotent: true,
        }
    }

    /// A queue whose broker has heard of it.
    fn known() -> Queue {
        let mut queue = Queue::new(limits());
        queue.is_known = true;
        queue
    }

    fn append(queue: &mut Queue, ms: u64, value: &[u8]) -> Appended<u32> {
        let open = queue.open.as_ref().map_or(0, |open| open.builder.len());
        // A batch is known by the ordinal it will have.
        let fits = open == 0 || open + value.len() + 30 <= queue.limits.batch_bytes_max;
        let completion = queue.next_ordinal as u32 + u32::from(!fits);
        let begin = || Begun {
            created: at(ms),
            builder: BatchBuilder::new(Vec::new(), BatchOptions::new()),
            completion,
        };
        queue.append(0, &Record::of(value), |_| true, begin)
    }

    fn fill(queue: &mut Queue, batches: usize) {
        for _ in 0..batches {
            append(queue, 0, &[0; 300]);
        }
    }

    fn sent(queue: &mut Queue, count: usize) -> Vec<Batch<u32>> {
        let batches: Vec<_> = std::iter::from_fn(|| queue.poll_batch(at(10), true))
            .take(count)
            .collect();
        assert_eq!(batches.len(), count);
        batches
    }

    #[test]
    fn a_batch_leaves_when_it_is_large_or_has_lingered() {
        let mut queue = known();
        let appended = append(&mut queue, 0, b"a");
        assert!(matches!(
            appended,
            Appended::In {
                index: 0,
                opened: true,
                worth_sending: false,
                ..
            }
        ));
        assert!(queue.poll_batch(at(4), false).is_none());
        assert_eq!(queue.poll_deadline(at(4)), Some(at(5)));
        assert_eq!(queue.poll_deadline(at(5)), Some(at(2000)), "it could leave");
        let batch = queue.poll_batch(at(5), false).unwrap();
        assert_eq!((batch.record_count, batch.base_sequence), (1, Some(0)));
        append(&mut queue, 6, &[0; 50]);
        let appended = append(&mut queue, 6, &[0; 100]);
        assert!(matches!(
            appended,
            Appended::In {
                index: 1,
                opened: false,
                worth_sending: true,
                ..
            }
        ));
        let batch = queue.poll_batch(at(6), false).unwrap();
        assert_eq!((batch.record_count, batch.base_sequence), (2, Some(1)));
        assert_eq!(queue.poll_deadline(at(6)), None);
    }

    #[test]
    fn a_batch_that_cannot_leave_grows_up_to_the_limit_and_then_the_next_begins() {
        let mut queue = known();
        fill(&mut queue, 5);
        let mut in_flight = sent(&mut queue, 5);
        append(&mut queue, 0, &[0; 250]);
        let appended = append(&mut queue, 0, &[0; 10]);
        assert!(matches!(
            appended,
            Appended::In {
                index: 1,
                opened: false,
                ..
            }
        ));
        assert!(
            queue.poll_batch(at(100), true).is_none(),
            "five are in flight"
        );
        // An answer may come before the linger ends, and find nothing to send.
        assert_eq!(queue.poll_deadline(at(3)), Some(at(5)));
        assert!(
            queue
                .handle_retry(at(3), in_flight.pop().unwrap(), Duration::ZERO)
                .is_none()
        );
        assert_eq!(
            queue.poll_deadline(at(3)),
            Some(at(5)),
            "whatever waits before it"
        );
        in_flight.push(queue.waiting.pop_front().unwrap());
        let appended = append(&mut queue, 0, &[0; 200]);
        assert!(matches!(
            appended,
            Appended::In {
                index: 0,
                opened: true,
                ..
            }
        ));
        queue.handle_done(&in_flight[0]);
        assert_eq!(queue.poll_batch(at(100), false).unwrap().record_count, 2);
    }

    #[test]
    fn batches_that_return_keep_order_and_sequence() {
        let mut queue = known();
        fill(&mut queue, 4);
        let mut batches = sent(&mut queue, 3);
        let third = batches.pop().unwrap();
        assert!(queue.waits_for_an_earlier_one(&third));
        let given_back = queue.handle_retry(at(20), third, Duration::from_millis(100));
        assert!(given_back.is_none());
        for batch in batches.into_iter().rev() {
            let given_back = queue.handle_retry(at(20), batch, Duration::from_millis(100));
            assert!(given_back.is_none());
        }
        assert!(queue.poll_batch(at(119), true).is_none(), "the pause");
        let mut sequences = Vec::new();
        for left in [2, 1, 0] {
            let batch = queue.poll_batch(at(120), true).unwrap();
            if left > 0 {
                assert!(queue.poll_batch(at(120), true).is_none(), "one by one");
            }
            assert!(!queue.waits_for_an_earlier_one(&batch));
            sequences.push(batch.base_sequence.unwrap());
            queue.handle_done(&batch);
        }
        assert_eq!(sequences, [0, 1, 2]);
        assert_eq!(
            queue.poll_batch(at(120), true).unwrap().base_sequence,
            Some(3)
        );
    }

    #[test]
    fn a_batch_expires_with_its_time_even_while_it_is_open() {
        let mut queue = known();
        append(&mut queue, 0, b"a");
        assert!(queue.poll_expired(at(1999)).is_empty());
        let expired = queue.poll_expired(at(2000));
        assert_eq!(expired.len(), 1);
        assert_eq!(expired[0].attempts, 0);
        assert!(queue.is_idle());
    }

    #[test]
    fn a_new_identity_gives_up_what_may_be_written_and_renumbers_the_rest() {
        let mut queue = known();
        fill(&mut queue, 3);
        for batch in sent(&mut queue, 2) {
            assert!(queue.handle_retry(at(10), batch, Duration::ZERO).is_none());
        }
        let given_up = queue.handle_new_identity();
        assert_eq!(
            given_up
                .iter()
                .map(|batch| batch.base_sequence)
                .collect::<Vec<_>>(),
            [Some(0), Some(1)]
        );
        assert_eq!(
            queue.poll_batch(at(10), true).unwrap().base_sequence,
            Some(0)
        );
    }

    #[test]
    fn what_is_refused_behind_a_hole_waits_for_the_new_identity() {
        let mut queue = known();
        fill(&mut queue, 4);
        let mut batches = sent(&mut queue, 3);
        let third = batches.pop().unwrap();
        let second = batches.pop().unwrap();
        let first = batches.remove(0);
        let first = queue.handle_out_of_order(first).expect("no hole");
        queue.handle_done(&first);
        queue.handle_hole();
        assert!(queue.handle_out_of_order(third).is_none());
        assert!(queue.handle_out_of_order(second).is_none());
        assert!(
            queue.handle_new_identity().is_empty(),
            "none of them is given up"
        );
        let mut again = Vec::new();
        while let Some(batch) = queue.poll_batch(at(10), true) {
            queue.handle_delivered(&batch);
            again.push((batch.place.0, batch.base_sequence));
        }
        assert_eq!(again, [(1, Some(0)), (2, Some(1)), (3, Some(2))]);
    }

    #[test]
    fn the_pieces_of_a_batch_take_its_place_and_its_sequences() {
        let mut queue = known();
        for _ in 0..3 {
            append(&mut queue, 0, &[0; 40]);
        }
        let batch = queue.poll_batch(at(10), true).unwrap();
        fill(&mut queue, 2);
        let behind = queue.poll_batch(at(10), true).unwrap();
        assert_eq!(queue.shrink(&batch, 200), Some(100));
        let piece = |records| {
            let mut piece = BatchBuilder::new(Vec::new(), BatchOptions::new());
            for _ in 0..records {
                piece.append(0, None, None, []).unwrap();
            }
            piece
        };
        let pieces = vec![piece(1), piece(2)];
        let given_back = queue.handle_split(batch, pieces, |first| 10 * first);
        assert!(given_back.is_none());
        assert!(queue.waits_for_an_earlier_one(&behind));
        assert!(queue.handle_retry(at(10), behind, Duration::ZERO).is_none());
        let mut sent = Vec::new();
        for _ in 0..4 {
            let batch = queue.poll_batch(at(10), true).unwrap();
            if sent.len() < 2 {
                assert!(queue.poll_batch(at(10), true).is_none(), "one by one");
            }
            sent.push((batch.base_sequence.unwrap(), batch.record_count));
            queue.handle_done(&batch);
        }
        assert_eq!(sent, [(0, 1), (1, 2), (3, 1), (4, 1)]);
        // Pieces that go side by side still know who comes first.
        for _ in 0..3 {
            append(&mut queue, 0, &[0; 1]);
        }
        let batch = queue.poll_batch(at(10), true).unwrap();
        let given_back = queue.handle_split(batch, vec![piece(2), piece(1)], |first| first);
        assert!(given_back.is_none());
        queue.handle_new_identity();
        queue.is_known = true;
        let (one, two) = (
            queue.poll_batch(at(10), true),
            queue.poll_batch(at(10), true),
        );
        let given_back = queue.handle_split(one.unwrap(), vec![piece(1), piece(1)], |first| first);
        assert!(given_back.is_none());
        assert!(queue.handle_out_of_order(two.unwrap()).is_none());
        let mut counts = Vec::new();
        while let Some(batch) = queue.poll_batch(at(10), true) {
            counts.push((batch.base_sequence, batch.record_count));
            queue.handle_done(&batch);
        }
        assert_eq!(counts, [(Some(0), 1), (Some(1), 1), (Some(2), 1)]);
        // No batch grows as large again: two records of this size do not fit.
        append(&mut queue, 0, &[0; 40]);
        append(&mut queue, 0, &[0; 40]);
        assert_eq!(queue.poll_batch(at(10), true).unwrap().record_count, 1);
        let single = queue.poll_batch(at(10), true).unwrap();
        assert_eq!(queue.shrink(&single, 200), None);
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_nothing_back() {
        let mut queue = known();
        fill(&mut queue, 2);
        let in_flight = sent(&mut queue, 1).remove(0);
        assert_eq!(queue.close().len(), 1);
        assert!(matches!(append(&mut queue, 0, b"a"), Appended::Closed));
        assert!(
            queue
                .handle_retry(at(0), in_flight, Duration::ZERO)
                .is_some()
        );
        assert!(queue.is_idle());
    }

    #[test]
    fn too_large_and_full_change_nothing() {
        let mut queue = known();
        assert!(matches!(
            append(&mut queue, 0, &[0; 400]),
            Appended::TooLarge {
                bytes: 461..,
                max: 400
            }
        ));
        let begin = || unreachable!("no batch is begun without room");
        let full = queue.append(0, &Record::of(b"a"), |_| false, begin);
        assert!(matches!(full, Appended::Full));
        assert!(queue.is_idle());
    }

    #[test]
    fn flush_closes_and_names_all_that_is_on_its_way() {
        let mut queue = known();
        fill(&mut queue, 3);
        let _in_flight = sent(&mut queue, 1);
        assert_eq!(queue.flush(), [0, 1, 2]);
        assert!(
            queue.poll_batch(at(0), false).is_some(),
            "no lingering behind a flush"
        );
    }

    #[test]
    fn the_first_batch_of_an_identity_goes_alone() {
        let mut queue = Queue::new(limits());
        fill(&mut queue, 4);
        let first = sent(&mut queue, 1).remove(0);
        assert!(queue.poll_batch(at(10), true).is_none());
        assert!(queue.handle_retry(at(10), first, Duration::ZERO).is_none());
        let first = sent(&mut queue, 1).remove(0);
        assert!(queue.poll_batch(at(10), true).is_none());
        queue.handle_delivered(&first);
        for batch in sent(&mut queue, 3) {
            queue.handle_done(&batch);
        }
        queue.handle_new_identity();
        fill(&mut queue, 2);
        sent(&mut queue, 1);
        assert!(queue.poll_batch(at(10), true).is_none());
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(sequence_after(0, 5), 5);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    }
}
