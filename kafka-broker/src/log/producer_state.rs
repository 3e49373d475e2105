//! Who wrote last, so that a batch sent twice is stored once and a lost one is noticed; and which
//! transactions are open. It does not know where batches are stored.

use std::collections::{BTreeMap, VecDeque};

use kafka_protocol::record::BatchHeader;

use crate::log::error::LogError;

/// The producers of one partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ProducerState {
    producers: BTreeMap<i64, Producer>,
    /// First offsets of open transactions.
    open: BTreeMap<i64, i64>,
    /// Transactions that have their marker, by first offset: the offset of the marker. They hold
    /// readers back until the marker is replicated.
    ended: BTreeMap<i64, i64>,
}

/// What is remembered of one producer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    /// The newest batches of this epoch, oldest first, at most five.
    pub(crate) batches: VecDeque<ProducedBatch>,
    /// The epoch of the coordinator that wrote its last marker, -1 if none did.
    pub(crate) coordinator_epoch: i32,
    /// When it was heard of last, by the clock of the batches.
    pub(crate) last_timestamp: i64,
    /// The first offset of its open transaction.
    pub(crate) open_since: Option<i64>,
}

/// The last that a producer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastRecord {
    /// The offset of its last record; `None` if only a marker of it is known.
    pub(crate) data_offset: Option<i64>,
    /// Its epoch.
    pub(crate) epoch: i16,
}

/// A batch as far as a repetition of it must be recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducedBatch {
    /// -1 if a coordinator wrote it, which numbers nothing.
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    /// Last offset less first offset; the same for the sequences.
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
}

impl ProducedBatch {
    pub(crate) fn first_sequence(&self) -> i32 {
        sequence_minus(self.last_sequence, self.offset_delta)
    }

    pub(crate) fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// A producer as others may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence of its last record; -1 if it has written none in this epoch.
    pub last_sequence: i32,
    /// The timestamp of its last batch, in milliseconds.
    pub last_timestamp: i64,
    /// The epoch of the coordinator that ended its last transaction; -1 if none did.
    pub coordinator_epoch: i32,
    /// The first offset of its open transaction; -1 if it has none.
    pub transaction_start: i64,
}

/// What is to be done with a batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new: append it.
    Append,
    /// It is a repetition of this one: answer as then.
    Duplicate(ProducedBatch),
}

/// The end of a transaction, as its marker says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) commit: bool,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
}

/// A transaction that its marker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) commit: bool,
}

impl ProducerState {
    /// Judges a batch of a client before it is appended; nothing changes.
    pub(crate) fn judge(&self, header: &BatchHeader) -> Result<Verdict, LogError> {
        if header.producer_id < 0 {
            return Ok(Verdict::Append);
        }
        let Some(producer) = self.producers.get(&header.producer_id) else {
            // Its state is lost or expired: any sequence may come.
            return Ok(Verdict::Append);
        };
        if header.producer_epoch == producer.epoch {
            let last_sequence = sequence_plus(header.base_sequence, header.last_offset_delta);
            let same = |batch: &&ProducedBatch| {
                batch.last_sequence == last_sequence
                    && batch.first_sequence() == header.base_sequence
            };
            if let Some(batch) = producer.batches.iter().find(same) {
                return Ok(Verdict::Duplicate(*batch));
            }
        }
        check_epoch(header.producer_id, header.producer_epoch, producer.epoch)?;
        check_sequence(header, producer)?;
        if producer.open_since.is_some() && !header.attributes.is_transactional() {
            return Err(LogError::InvalidTxnState {
                producer_id: header.producer_id,
            });
        }
        Ok(Verdict::Append)
    }

    /// Judges a batch of a coordinator on behalf of a producer, which has no sequences; nothing changes.
    pub(crate) fn judge_epoch(&self, header: &BatchHeader) -> Result<(), LogError> {
        match self.producers.get(&header.producer_id) {
            Some(producer) => {
                check_epoch(header.producer_id, header.producer_epoch, producer.epoch)
            }
            None => Ok(()),
        }
    }

    /// Judges a marker before it is appended; nothing changes.
    pub(crate) fn judge_marker(&self, marker: &Marker) -> Result<(), LogError> {
        let Some(producer) = self.producers.get(&marker.producer_id) else {
            return Ok(());
        };
        check_epoch(marker.producer_id, marker.producer_epoch, producer.epoch)?;
        if marker.coordinator_epoch < producer.coordinator_epoch {
            return Err(LogError::CoordinatorFenced {
                producer_id: marker.producer_id,
                coordinator_epoch: marker.coordinator_epoch,
                current_epoch: producer.coordinator_epoch,
            });
        }
        Ok(())
    }

    /// Takes note of a batch with its final offsets, which is no control batch.
    pub(crate) fn apply(&mut self, header: &BatchHeader) {
        if header.producer_id < 0 {
            return;
        }
        let producer = self.producer(header.producer_id, header.producer_epoch);
        if producer.batches.len() == REMEMBERED_BATCHES {
            producer.batches.pop_front();
        }
        producer.batches.push_back(ProducedBatch {
            last_sequence: match header.base_sequence {
                first @ 0.. => sequence_plus(first, header.last_offset_delta),
                _ => -1,
            },
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        producer.last_timestamp = header.max_timestamp;
        if header.attributes.is_transactional() && producer.open_since.is_none() {
            producer.open_since = Some(header.base_offset);
            self.open.insert(header.base_offset, header.producer_id);
        }
    }

    /// Takes note of a marker. Says which transaction it ended, if it was not an empty one.
    pub(crate) fn apply_marker(&mut self, marker: &Marker) -> Option<EndedTransaction> {
        let producer = self.producer(marker.producer_id, marker.producer_epoch);
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.last_timestamp = marker.timestamp;
        let first_offset = producer.open_since.take()?;
        self.open.remove(&first_offset);
        self.ended.insert(first_offset, marker.offset);
        Some(EndedTransaction {
            producer_id: marker.producer_id,
            first_offset,
            last_offset: marker.offset,
            commit: marker.commit,
        })
    }

    /// The first offset of the oldest open transaction.
    pub(crate) fn first_open_offset(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// The first offset that a reader of committed records must not pass: that of an open transaction,
    /// or of one whose marker is not below the high watermark.
    pub(crate) fn first_unstable_offset(&self, high_watermark: i64) -> Option<i64> {
        let ended = self
            .ended
            .iter()
            .find(|(_, marker)| **marker >= high_watermark)
            .map(|(first_offset, _)| *first_offset);
        match (self.first_open_offset(), ended) {
            (Some(open), Some(ended)) => Some(open.min(ended)),
            (open, ended) => open.or(ended),
        }
    }

    /// Forgets ended transactions whose marker is below the high watermark.
    pub(crate) fn release_ended(&mut self, high_watermark: i64) {
        self.ended.retain(|_, marker| *marker >= high_watermark);
    }

    /// Forgets producers without an open transaction that were not heard of since `timestamp`.
    pub(crate) fn expire(&mut self, timestamp: i64) {
        self.producers.retain(|_, producer| {
            producer.open_since.is_some() || producer.last_timestamp > timestamp
        });
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// All producers as others may know them.
    pub(crate) fn active(&self) -> Vec<ActiveProducer> {
        let active = |(id, producer): (&i64, &Producer)| ActiveProducer {
            producer_id: *id,
            epoch: producer.epoch,
            last_sequence: producer
                .batches
                .back()
                .map_or(-1, |batch| batch.last_sequence),
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            transaction_start: producer.open_since.unwrap_or(-1),
        };
        self.producers.iter().map(active).collect()
    }

    /// What each producer wrote last.
    pub(crate) fn last_records(&self) -> BTreeMap<i64, LastRecord> {
        let last = |(id, producer): (&i64, &Producer)| {
            let last = LastRecord {
                data_offset: producer.batches.back().map(|batch| batch.last_offset),
                epoch: producer.epoch,
            };
            (*id, last)
        };
        self.producers.iter().map(last).collect()
    }

    pub(crate) fn producers(&self) -> &BTreeMap<i64, Producer> {
        &self.producers
    }

    /// Takes in a producer as a snapshot has it.
    pub(crate) fn restore(&mut self, producer_id: i64, producer: Producer) {
        if let Some(first_offset) = producer.open_since {
            self.open.insert(first_offset, producer_id);
        }
        self.producers.insert(producer_id, producer);
    }

    /// The producer, its batches forgotten if the epoch is another.
    fn producer(&mut self, producer_id: i64, epoch: i16) -> &mut Producer {
        let producer = self
            .producers
            .entry(producer_id)
            .or_insert_with(|| Producer {
                epoch,
                batches: VecDeque::new(),
                coordinator_epoch: -1,
                last_timestamp: -1,
                open_since: None,
            });
        if producer.epoch != epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        producer
    }
}

fn check_epoch(producer_id: i64, epoch: i16, current: i16) -> Result<(), LogError> {
    if epoch < current {
        return Err(LogError::InvalidProducerEpoch {
            producer_id,
            producer_epoch: epoch,
            current_epoch: current,
        });
    }
    Ok(())
}

fn check_sequence(header: &BatchHeader, producer: &Producer) -> Result<(), LogError> {
    let last_sequence = match producer.batches.back() {
        Some(batch) if header.producer_epoch == producer.epoch => batch.last_sequence,
        _ => -1,
    };
    if header.base_sequence == sequence_plus(last_sequence, 1) {
        return Ok(());
    }
    Err(LogError::OutOfOrderSequence {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        sequence: header.base_sequence,
        last_sequence,
    })
}

/// Sequences count from 0 to `i32::MAX` and begin again; -1 is the one before the first.
fn sequence_plus(sequence: i32, increment: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(increment);
    (sum % SEQUENCES) as i32
}

fn sequence_minus(sequence: i32, decrement: i32) -> i32 {
    let difference = i64::from(sequence) - i64::from(decrement);
    difference.rem_euclid(SEQUENCES) as i32
}

const SEQUENCES: i64 = 1 << 31;

/// As many requests as an idempotent producer may have in flight.
const REMEMBERED_BATCHES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::test_batches::header;

    fn produced(sequence: i32, offset: i64) -> BatchHeader {
        let mut header = header(offset, 3);
        header.producer_id = 7;
        header.producer_epoch = 1;
        header.base_sequence = sequence;
        header
    }

    #[test]
    fn a_repetition_of_the_last_five_is_recognised() {
        let mut state = ProducerState::default();
        for nth in 0..6 {
            let batch = produced(nth * 3, i64::from(nth) * 10);
            assert_eq!(state.judge(&batch).unwrap(), Verdict::Append);
            state.apply(&batch);
        }
        for nth in 1..6 {
            let Verdict::Duplicate(batch) = state.judge(&produced(nth * 3, 99)).unwrap() else {
                panic!("batch {nth} is not recognised");
            };
            assert_eq!(batch.first_offset(), i64::from(nth) * 10);
        }
        assert!(matches!(
            state.judge(&produced(0, 99)),
            Err(LogError::OutOfOrderSequence {
                last_sequence: 17,
                ..
            })
        ));
        assert!(matches!(
            state.judge(&produced(21, 99)),
            Err(LogError::OutOfOrderSequence { .. })
        ));
    }

    #[test]
    fn sequences_wrap() {
        let mut state = ProducerState::default();
        let batch = produced(i32::MAX - 1, 0);
        state.apply(&batch);
        assert!(matches!(state.judge(&batch), Ok(Verdict::Duplicate(_))));
        assert_eq!(state.judge(&produced(1, 3)).unwrap(), Verdict::Append);
        assert!(state.judge(&produced(0, 3)).is_err());
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
        let mut state = ProducerState::default();
        state.apply(&produced(0, 0));
        let mut newer = produced(3, 3);
        newer.producer_epoch = 2;
        assert!(state.judge(&newer).is_err());
        newer.base_sequence = 0;
        assert_eq!(state.judge(&newer).unwrap(), Verdict::Append);
        state.apply(&newer);
        assert!(matches!(
            state.judge(&produced(3, 6)),
            Err(LogError::InvalidProducerEpoch {
                current_epoch: 2,
                ..
            })
        ));
    }

    #[test]
    fn an_unknown_producer_may_start_anywhere() {
        let mut state = ProducerState::default();
        assert_eq!(state.judge(&produced(4711, 0)).unwrap(), Verdict::Append);
        state.apply(&produced(4711, 0));
        state.expire(0);
        assert!(state.judge(&produced(5, 3)).is_err());
        state.expire(1_000_000);
        assert_eq!(state.judge(&produced(5, 3)).unwrap(), Verdict::Append);
    }

    #[test]
    fn transactions_hold_readers_back_until_their_marker_is_replicated() {
        let mut state = ProducerState::default();
        let mut batch = produced(0, 10);
        batch.attributes = batch.attributes.with_transactional();
        state.apply(&batch);
        assert_eq!(state.first_unstable_offset(13), Some(10));
        assert!(matches!(
            state.judge(&produced(3, 13)),
            Err(LogError::InvalidTxnState { producer_id: 7 })
        ));
        let marker = Marker {
            producer_id: 7,
            producer_epoch: 1,
            coordinator_epoch: 4,
            commit: false,
            offset: 13,
            timestamp: 5,
        };
        let ended = state.apply_marker(&marker).unwrap();
        assert_eq!((ended.first_offset, ended.last_offset), (10, 13));
        assert_eq!(
            state.first_unstable_offset(13),
            Some(10),
            "marker not replicated"
        );
        assert_eq!(state.first_unstable_offset(14), None);
        state.release_ended(14);
        assert_eq!(state.first_unstable_offset(0), None);
        assert_eq!(state.apply_marker(&marker), None, "an empty transaction");
        let older = Marker {
            coordinator_epoch: 3,
            ..marker
        };
        assert!(matches!(
            state.judge_marker(&older),
            Err(LogError::CoordinatorFenced {
                current_epoch: 4,
                ..
            })
        ));
    }
}
