//! What of one partition the application is done with, in one stint.
//!
//! Offsets have holes: compaction, control records, aborted transactions. So each record stands for all
//! offsets from the end of the record before it to itself, and being done is a union of ranges.

use std::collections::BTreeMap;

/// The processed part of a stint: everything below one offset, and ranges ahead of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Processed {
    done_to: i64,
    /// The leader epoch of the last record below `done_to`.
    epoch: i32,
    /// Ranges that are done while something before them is not: start to (end, epoch).
    ahead: BTreeMap<i64, (i64, i32)>,
}

impl Processed {
    /// Nothing is done yet; reading begins here.
    pub(crate) fn new(start: i64) -> Self {
        Self {
            done_to: start,
            epoch: -1,
            ahead: BTreeMap::new(),
        }
    }

    /// The offset to commit: nothing below it is open.
    pub(crate) fn done_to(&self) -> i64 {
        self.done_to
    }

    /// The leader epoch to commit with it; -1 if not known.
    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// How many offsets below `to` are not done.
    pub(crate) fn open_below(&self, to: i64) -> i64 {
        let ahead = self.ahead.iter();
        let done: i64 = ahead
            .map(|(start, (end, _))| (*end).min(to).saturating_sub(*start).max(0))
            .sum();
        (to.saturating_sub(self.done_to) - done).max(0)
    }

    /// The offsets from `from` up to `to`, not included, are done. Saying so twice changes nothing.
    pub(crate) fn mark(&mut self, from: i64, to: i64, epoch: i32) {
        if to <= self.done_to {
            return;
        }
        if from > self.done_to {
            self.mark_ahead(from, to, epoch);
            return;
        }
        self.done_to = to;
        self.epoch = epoch;
        while let Some(entry) = self.ahead.first_entry()
            && *entry.key() <= self.done_to
        {
            let (end, epoch) = entry.remove();
            if end > self.done_to {
                self.done_to = end;
                self.epoch = epoch;
            }
        }
    }

    /// Joins neighbours, so that a long tail behind one open record stays one range.
    fn mark_ahead(&mut self, mut from: i64, mut to: i64, mut epoch: i32) {
        if let Some((&start, &(end, end_epoch))) = self.ahead.range(..=from).next_back()
            && end >= from
        {
            if end >= to {
                (to, epoch) = (end, end_epoch);
            }
            from = start;
        }
        while let Some((&start, &(end, end_epoch))) = self.ahead.range(from..=to).next() {
            if end > to {
                (to, epoch) = (end, end_epoch);
            }
            self.ahead.remove(&start);
        }
        self.ahead.insert(from, (to, epoch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_counted() {
        let mut processed = Processed::new(10);
        assert_eq!(processed.open_below(10), 0);
        assert_eq!(processed.open_below(15), 5);
        processed.mark(12, 14, 1);
        assert_eq!(processed.open_below(15), 3);
        assert_eq!(processed.open_below(13), 2);
        processed.mark(10, 12, 1);
        assert_eq!(processed.open_below(15), 1);
        processed.mark(14, 15, 1);
        assert_eq!(processed.open_below(15), 0);
    }

    #[test]
    fn only_the_part_before_the_first_open_record_counts() {
        let mut processed = Processed::new(10);
        processed.mark(11, 12, 3);
        processed.mark(13, 20, 4);
        assert_eq!(processed.done_to(), 10);
        processed.mark(10, 11, 3);
        assert_eq!((processed.done_to(), processed.epoch()), (12, 3));
        processed.mark(12, 13, 3);
        assert_eq!((processed.done_to(), processed.epoch()), (20, 4));
        processed.mark(10, 11, 3);
        assert_eq!((processed.done_to(), processed.epoch()), (20, 4));
    }

    #[test]
    fn a_long_tail_behind_one_open_record_is_one_range() {
        let mut processed = Processed::new(0);
        for offset in (1..10_000).rev() {
            processed.mark(offset, offset + 1, 0);
        }
        assert_eq!(processed.ahead.len(), 1);
        processed.mark(0, 1, 0);
        assert_eq!(processed.done_to(), 10_000);
        assert!(processed.ahead.is_empty());
    }

    #[test]
    fn any_order_of_acknowledgements_gives_the_same_end() {
        // Every order of seven records, some of them standing for holes, against a plain set.
        let ranges = [(0, 1), (1, 4), (4, 5), (5, 6), (6, 9), (9, 10), (10, 12)];
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        permute(&mut order, 0, &mut |order| {
            let mut processed = Processed::new(0);
            let mut done = std::collections::BTreeSet::new();
            for &index in order {
                let (from, to) = ranges[index];
                processed.mark(from, to, 1);
                done.extend(from..to);
                let model = (0..).find(|offset| !done.contains(offset)).unwrap();
                assert_eq!(processed.done_to(), model, "{order:?}");
            }
        });
    }

    fn permute(order: &mut [usize], at: usize, check: &mut impl FnMut(&[usize])) {
        if at == order.len() {
            check(order);
            return;
        }
        for other in at..order.len() {
            order.swap(at, other);
            permute(order, at + 1, check);
            order.swap(at, other);
        }
    }
}
