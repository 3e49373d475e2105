//! Offsets that producers have committed inside of transactions that are still open. Knows neither
//! members nor logs.
//!
//! Whichever commit was made last holds, whether in a transaction or not. So a transaction that ends
//! brings an offset only if nothing was committed for the partition since; what it might have brought
//! is let go of as soon as that happens.

use std::collections::BTreeMap;

use bytestring::ByteString;

use crate::state::offsets::CommittedOffset;

/// The offsets of a group that wait for the end of a transaction.
#[derive(Debug, Default)]
pub(crate) struct PendingOffsets {
    /// By producer id, topic and partition.
    producers: BTreeMap<i64, BTreeMap<(ByteString, i32), Pending>>,
    /// Counts commits, so that the later of two is known.
    next: u64,
}

#[derive(Debug)]
struct Pending {
    nth: u64,
    /// `None` once something newer was committed.
    offset: Option<CommittedOffset>,
}

impl PendingOffsets {
    /// Whether no transaction is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Whether the offset of a partition may change as soon as a transaction ends.
    pub(crate) fn is_pending(&self, topic: &str, partition: i32) -> bool {
        let is_this = |(name, index): &(ByteString, i32)| name == topic && *index == partition;
        self.producers
            .values()
            .any(|offsets| offsets.keys().any(is_this))
    }

    /// The partitions with an offset that waits.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (ByteString, i32)> {
        self.producers
            .values()
            .flat_map(|offsets| offsets.keys().cloned())
    }

    /// A producer has committed an offset inside of its transaction.
    pub(crate) fn insert(
        &mut self,
        producer_id: i64,
        topic: ByteString,
        partition: i32,
        offset: CommittedOffset,
    ) {
        let nth = self.next;
        self.next += 1;
        let offset = Some(offset);
        self.producers
            .entry(producer_id)
            .or_default()
            .insert((topic, partition), Pending { nth, offset });
    }

    /// An offset was committed outside of transactions, or taken back: none that waits holds any more.
    pub(crate) fn supersede(&mut self, topic: &ByteString, partition: i32) {
        self.supersede_before((topic.clone(), partition), u64::MAX);
    }

    /// The transaction of a producer has ended. Gives the offsets that hold if it was committed.
    pub(crate) fn end(&mut self, producer_id: i64) -> Vec<(ByteString, i32, CommittedOffset)> {
        let offsets = self.producers.remove(&producer_id).unwrap_or_default();
        let offsets = offsets.into_iter();
        offsets
            .filter_map(|((topic, partition), pending)| Some((topic, partition, pending.offset?)))
            .collect()
    }

    /// As [`PendingOffsets::end`] for a committed transaction, of which other open ones must know.
    pub(crate) fn commit(&mut self, producer_id: i64) -> Vec<(ByteString, i32, CommittedOffset)> {
        let written: Vec<_> = self
            .producers
            .get(&producer_id)
            .into_iter()
            .flatten()
            .filter(|(_, pending)| pending.offset.is_some())
            .map(|(partition, pending)| (partition.clone(), pending.nth))
            .collect();
        for (partition, nth) in written {
            self.supersede_before(partition, nth);
        }
        self.end(producer_id)
    }

    fn supersede_before(&mut self, partition: (ByteString, i32), nth: u64) {
        for offsets in self.producers.values_mut() {
            if let Some(pending) = offsets.get_mut(&partition)
                && pending.nth < nth
            {
                pending.offset = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::Uuid;

    fn at(offset: i64) -> CommittedOffset {
        CommittedOffset {
            offset,
            leader_epoch: -1,
            metadata: ByteString::new(),
            committed_at_ms: 0,
            expires_at_ms: None,
            topic_id: Uuid::ZERO,
        }
    }

    fn offsets(found: Vec<(ByteString, i32, CommittedOffset)>) -> Vec<(i32, i64)> {
        let found = found.into_iter();
        found.map(|(_, index, at)| (index, at.offset)).collect()
    }

    #[test]
    fn offsets_wait_for_the_end_of_their_own_transaction() {
        let mut pending = PendingOffsets::default();
        pending.insert(1, "t".into(), 0, at(5));
        pending.insert(1, "t".into(), 0, at(6));
        pending.insert(2, "t".into(), 1, at(7));
        assert!(pending.is_pending("t", 0) && pending.is_pending("t", 1));
        assert!(!pending.is_pending("t", 2) && !pending.is_pending("u", 0));
        assert_eq!(offsets(pending.commit(1)), [(0, 6)]);
        assert!(!pending.is_pending("t", 0));
        assert_eq!(offsets(pending.commit(3)), []);
        pending.end(2);
        assert!(pending.is_empty());
    }

    #[test]
    fn the_last_commit_holds_however_the_transactions_end() {
        let mut pending = PendingOffsets::default();
        pending.insert(1, "t".into(), 0, at(5));
        pending.supersede(&"t".into(), 0);
        assert!(pending.is_pending("t", 0), "the transaction is still open");
        assert_eq!(offsets(pending.commit(1)), []);

        pending.insert(1, "t".into(), 0, at(5));
        pending.insert(2, "t".into(), 0, at(6));
        assert_eq!(offsets(pending.commit(2)), [(0, 6)]);
        assert_eq!(offsets(pending.commit(1)), [], "the older one came second");

        pending.insert(1, "t".into(), 0, at(5));
        pending.insert(2, "t".into(), 0, at(6));
        assert_eq!(offsets(pending.commit(1)), [(0, 5)]);
        assert_eq!(offsets(pending.commit(2)), [(0, 6)]);
    }
}
