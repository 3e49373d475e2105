//! From an answer to whole batches: what is complete, where reading goes on, what is visible.
//!
//! All of it is read from the heads of batches. No record is decoded here, so that the next fetch can
//! leave before this one is looked at.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use kafka_protocol::record::{AnyBatch, BatchHeader, Batches, ControlType};

use crate::error::{Error, ErrorKind};
use crate::machine::subscription::position::Position;
use crate::record::topic_partition::TopicPartition;

/// The batches of one partition from one answer.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) partition: TopicPartition,
    pub(crate) stint: u64,
    /// Where the application goes on: what lies before in the first batch was delivered earlier.
    pub(crate) from: i64,
    /// What it takes of the buffer.
    pub(crate) size: usize,
    pub(crate) visibility: Visibility,
    batches: Batches,
}

/// What the heads of the batches in an answer tell.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The batches that end behind the position, complete ones only.
    pub(crate) records: Bytes,
    /// Where reading goes on; `None` if no batch gets us further.
    pub(crate) next: Option<Position>,
    /// An answer may end in the middle of a batch.
    pub(crate) cut: bool,
}

/// Looks at the heads of the batches in `records`, of which those behind `from` are wanted.
///
/// # Errors
///
/// If the first wanted batch is none: what comes before damage is given out first.
pub(crate) fn scan(records: &Bytes, from: i64) -> Result<Scan, Error> {
    let mut next: Option<Position> = None;
    let (mut start, mut end) = (0, 0);
    let mut batches = Batches::new(records.clone());
    for batch in batches.by_ref() {
        let checked = batch
            .map_err(|error| error.to_string())
            .and_then(|batch| check_range(batch, next));
        let batch = match checked {
            Ok(batch) => batch,
            Err(_) if next.is_some() => break,
            Err(text) => {
                let text = format!("batch at or behind offset {from}: {text}");
                return Err(Error::new(ErrorKind::CorruptBatch, text));
            }
        };
        end += batch.bytes().len();
        if batch.next_offset() <= from {
            start = end;
            continue;
        }
        let epoch = match &batch {
            AnyBatch::Current(batch) => batch.header().partition_leader_epoch,
            _ => -1,
        };
        let offset = batch.next_offset();
        next = Some(Position { offset, epoch });
    }
    let wanted = if next.is_some() { start..end } else { 0..0 };
    Ok(Scan {
        records: records.slice(wanted),
        next,
        cut: batches.incomplete().is_some(),
    })
}

/// Each batch goes on where the one before it ended, or behind a hole.
fn check_range(batch: AnyBatch, before: Option<Position>) -> Result<AnyBatch, String> {
    let AnyBatch::Current(current) = &batch else {
        return Ok(batch);
    };
    let base = current.header().base_offset;
    if base < 0 {
        return Err(format!("it claims to begin at offset {base}"));
    }
    if before.is_some_and(|before| base < before.offset) {
        return Err(format!("it begins at offset {base} again"));
    }
    Ok(batch)
}

impl Run {
    /// `records` as [`scan`] found them.
    pub(crate) fn new(
        partition: TopicPartition,
        stint: u64,
        from: i64,
        records: Bytes,
        visibility: Visibility,
    ) -> Self {
        Self {
            partition,
            stint,
            from,
            size: records.len(),
            visibility,
            batches: Batches::new(records),
        }
    }

    /// Cuts off the next batch, and says which of its records were delivered before: those below the
    /// offset.
    pub(crate) fn next_batch(&mut self) -> Option<(AnyBatch, i64)> {
        let batch = self.batches.next()?.ok()?;
        let from = self.from;
        self.from = batch.next_offset();
        Some((batch, from))
    }
}

/// An aborted transaction, as answers under read_committed list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
}

/// Which batches of a run applications see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visibility {
    /// Transactions that begin further on.
    coming: VecDeque<Aborted>,
    /// Producers whose batches are aborted until their marker comes.
    aborting: BTreeSet<i64>,
}

impl Visibility {
    /// `aborted` in any order; empty under read_uncommitted.
    pub(crate) fn new(mut aborted: Vec<Aborted>) -> Self {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        Self {
            coming: aborted.into(),
            aborting: BTreeSet::new(),
        }
    }

    /// Whether the records of this batch are shown. Batches are asked about in order, control batches
    /// with their marker.
    pub(crate) fn admits(&mut self, header: &BatchHeader, marker: Option<ControlType>) -> bool {
        while let Some(transaction) = self.coming.front()
            && transaction.first_offset <= header.last_offset()
        {
            self.aborting.insert(transaction.producer_id);
            self.coming.pop_front();
        }
        if header.attributes.is_control() {
            if marker == Some(ControlType::Abort) {
                self.aborting.remove(&header.producer_id);
            }
            return false;
        }
        !(header.attributes.is_transactional() && self.aborting.contains(&header.producer_id))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::BytesMut;
    use kafka_protocol::record::Attributes;

    use super::*;

    /// A batch that stands for these offsets; its records do not matter.
    pub(crate) fn batch(base: i64, delta: i32) -> BatchHeader {
        BatchHeader {
            base_offset: base,
            batch_length: 49 + 10,
            partition_leader_epoch: 4,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: delta,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        }
    }

    pub(crate) fn bytes_of(batches: &[BatchHeader]) -> Bytes {
        let mut bytes = BytesMut::new();
        for header in batches {
            bytes.extend_from_slice(&header.encode());
            bytes.resize(bytes.len() + header.total_len() - BatchHeader::LEN, b'.');
        }
        bytes.freeze()
    }

    fn offsets(scan: &Scan) -> Vec<(i64, i64)> {
        let tp = TopicPartition::new("t", 0);
        let mut run = Run::new(tp, 1, 0, scan.records.clone(), Visibility::default());
        std::iter::from_fn(|| run.next_batch())
            .map(|(batch, _)| match batch {
                AnyBatch::Current(batch) => {
                    (batch.header().base_offset, batch.header().next_offset())
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_position_goes_on_by_the_range_of_batches() {
        // Compaction left the range of a batch, and a hole of a million offsets behind it.
        let bytes = bytes_of(&[batch(0, 9), batch(1_000_000, 0)]);
        let scan = scan(&bytes, 4).unwrap();
        let next = Position {
            offset: 1_000_001,
            epoch: 4,
        };
        assert_eq!((scan.next, scan.cut), (Some(next), false));
        assert_eq!(offsets(&scan), [(0, 10), (1_000_000, 1_000_001)]);
    }

    #[test]
    fn batches_before_the_position_are_dropped() {
        let bytes = bytes_of(&[batch(0, 9), batch(10, 9), batch(20, 9)]);
        assert_eq!(offsets(&scan(&bytes, 10).unwrap()), [(10, 20), (20, 30)]);
        let nothing = scan(&bytes, 30).unwrap();
        assert_eq!((nothing.next, nothing.records.len()), (None, 0));
    }

    #[test]
    fn a_cut_tail_is_left_for_the_next_fetch_at_every_length() {
        let bytes = bytes_of(&[batch(0, 9), batch(10, 9)]);
        let one = bytes.len() / 2;
        for len in 0..=bytes.len() {
            let scan = scan(&bytes.slice(..len), 0).unwrap();
            let whole = len / one;
            assert_eq!(offsets(&scan).len(), whole, "{len}");
            assert_eq!(scan.cut, len % one != 0, "{len}");
            let next = (whole > 0).then_some(whole as i64 * 10);
            assert_eq!(scan.next.map(|next| next.offset), next, "{len}");
        }
    }

    #[test]
    fn damage_is_an_error_once_it_comes_first() {
        let mut lying = batch(10, 9);
        lying.last_offset_delta = -5;
        let mut again = batch(10, 9);
        again.base_offset = 3;
        for bad in [lying, again] {
            let scanned = scan(&bytes_of(&[batch(0, 9), bad]), 0).unwrap();
            assert_eq!(offsets(&scanned), [(0, 10)]);
        }
        let error = scan(&bytes_of(&[lying]), 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CorruptBatch);
        assert!(error.to_string().contains("10"), "{error}");
        let mut unknown = bytes_of(&[batch(0, 9)]).to_vec();
        unknown[16] = 3;
        let error = scan(&Bytes::from(unknown), 0).unwrap_err();
        assert!(error.to_string().contains("magic"), "{error}");
    }

    #[test]
    fn aborted_transactions_are_hidden_until_their_marker() {
        let transactional = |base, producer| {
            let mut header = batch(base, 0);
            header.attributes = header.attributes.with_transactional();
            header.producer_id = producer;
            header
        };
        let control = |base, producer| {
            let mut header = transactional(base, producer);
            header.attributes = header.attributes.with_control();
            header
        };
        // Unsorted; producer 7 aborts twice, with a committed transaction between.
        let mut visibility = Visibility::new(vec![
            Aborted {
                producer_id: 7,
                first_offset: 20,
            },
            Aborted {
                producer_id: 7,
                first_offset: 0,
            },
        ]);
        assert!(!visibility.admits(&transactional(0, 7), None));
        assert!(visibility.admits(&transactional(1, 8), None));
        assert!(visibility.admits(&batch(2, 0), None));
        assert!(!visibility.admits(&control(3, 7), Some(ControlType::Abort)));
        assert!(visibility.admits(&transactional(4, 7), None));
        assert!(!visibility.admits(&control(5, 7), Some(ControlType::Commit)));
        assert!(!visibility.admits(&transactional(20, 7), None));
        assert!(!visibility.admits(&control(21, 8), Some(ControlType::Commit)));
        assert!(!visibility.admits(&transactional(22, 7), None));
        // Without a list everything but markers is seen.
        assert!(Visibility::default().admits(&transactional(0, 7), None));
    }
}
