//! Which transactions a walk over a log is in the middle of, so that compaction drops what was aborted,
//! and a marker once nothing of its transaction is left. It knows no file.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use kafka_protocol::record::BatchHeader;

use crate::log::transaction_index::AbortedTransaction;
use crate::log::transaction_marker;

/// The transactions of one walk from the beginning of a log on.
#[derive(Debug)]
pub(crate) struct CleanedTransactions {
    /// Those that are still ahead, the one that begins first on top.
    ahead: BinaryHeap<Reverse<(i64, AbortedEntry)>>,
    aborted: HashMap<i64, Aborted>,
    /// Producers of which a batch was met whose transaction is not known to have been aborted.
    committed: HashSet<i64>,
}

/// An aborted transaction that the walk is in.
#[derive(Debug)]
struct Aborted {
    entry: AbortedTransaction,
    has_batch: bool,
}

/// For the heap, which orders what it holds; the first offset in front of it decides.
#[derive(Debug, PartialEq, Eq)]
struct AbortedEntry(AbortedTransaction);

impl PartialOrd for AbortedEntry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AbortedEntry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.last_offset.cmp(&other.0.last_offset)
    }
}

/// What is to become of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkerFate {
    /// Batches of its transaction are left.
    Needed,
    /// The same, and it is an abort: the rewritten segment needs the entry.
    NeededWith(AbortedTransaction),
    /// Nothing of its transaction is left.
    Idle,
}

impl CleanedTransactions {
    /// A walk over a log with these aborted transactions.
    pub(crate) fn new<'a>(aborted: impl IntoIterator<Item = &'a AbortedTransaction>) -> Self {
        Self {
            ahead: aborted
                .into_iter()
                .map(|entry| Reverse((entry.first_offset, AbortedEntry(*entry))))
                .collect(),
            aborted: HashMap::new(),
            committed: HashSet::new(),
        }
    }

    /// Goes over a batch that is no control batch. Says whether it was aborted.
    pub(crate) fn note_batch(&mut self, header: &BatchHeader) -> bool {
        self.advance_to(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some(transaction) => {
                transaction.has_batch = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// Goes over a control batch, given whole.
    pub(crate) fn note_control(&mut self, header: &BatchHeader, bytes: &[u8]) -> MarkerFate {
        self.advance_to(header.last_offset());
        if header.record_count == 0 {
            // Emptied by an earlier compaction.
            return MarkerFate::Idle;
        }
        let Some(marker) = transaction_marker::decode(header, bytes) else {
            return MarkerFate::Needed;
        };
        if marker.commit {
            return match self.committed.remove(&marker.producer_id) {
                true => MarkerFate::Needed,
                false => MarkerFate::Idle,
            };
        }
        match self.aborted.remove(&marker.producer_id) {
            Some(transaction) if transaction.has_batch => MarkerFate::NeededWith(transaction.entry),
            _ => MarkerFate::Idle,
        }
    }

    fn advance_to(&mut self, offset: i64) {
        while let Some(Reverse((first_offset, _))) = self.ahead.peek()
            && *first_offset <= offset
        {
            let Some(Reverse((_, AbortedEntry(entry)))) = self.ahead.pop() else {
                return;
            };
            self.aborted.entry(entry.producer_id).or_insert(Aborted {
                entry,
                has_batch: false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::test_batches::{marker, transactional};

    fn walk(transactions: &mut CleanedTransactions, offset: i64, bytes: &[u8]) -> Option<bool> {
        let mut header = BatchHeader::decode(bytes).unwrap();
        header.base_offset = offset;
        if header.attributes.is_control() {
            let fate = transactions.note_control(&header, bytes);
            assert_ne!(
                fate,
                MarkerFate::Needed,
                "an abort is needed with its entry"
            );
            return Some(fate == MarkerFate::Idle);
        }
        Some(transactions.note_batch(&header))
    }

    #[test]
    fn a_marker_goes_once_nothing_of_its_transaction_is_left() {
        let aborted = AbortedTransaction {
            producer_id: 7,
            first_offset: 10,
            last_offset: 13,
            last_stable_offset: 14,
        };
        let mut transactions = CleanedTransactions::new(&[aborted]);
        let batch = transactional(3, 1000, 7, 0, 0);
        let abort = marker(1000, 7, 0, false);
        assert_eq!(walk(&mut transactions, 5, &batch), Some(false), "before it");
        assert_eq!(walk(&mut transactions, 10, &batch), Some(true));
        assert_eq!(walk(&mut transactions, 13, &abort), Some(false));
        // The same log once its batch is gone.
        let mut transactions = CleanedTransactions::new(&[aborted]);
        assert_eq!(walk(&mut transactions, 13, &abort), Some(true));
    }

    #[test]
    fn the_marker_of_a_commit_stays_as_long_as_a_batch_does() {
        let mut transactions = CleanedTransactions::new(&[]);
        let batch = transactional(3, 1000, 7, 0, 0);
        let commit = marker(1000, 7, 0, true);
        let header = BatchHeader::decode(&commit).unwrap();
        assert_eq!(walk(&mut transactions, 0, &batch), Some(false));
        let mut fate = || transactions.note_control(&header, &commit);
        assert_eq!(fate(), MarkerFate::Needed);
        assert_eq!(fate(), MarkerFate::Idle);
    }
}
