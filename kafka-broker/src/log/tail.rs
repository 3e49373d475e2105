//! The newest batches of a log, in memory, so that readers at its end never touch the file. It knows
//! nothing of files.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use kafka_protocol::record::BatchHeader;

/// A contiguous run of batches up to the end of a log.
#[derive(Debug)]
pub(crate) struct Tail {
    batches: VecDeque<TailBatch>,
    bytes: usize,
    max_bytes: usize,
    budget: TailBudget,
}

#[derive(Debug)]
struct TailBatch {
    base_offset: i64,
    next_offset: i64,
    bytes: Bytes,
}

/// What all tails of a broker may hold together. Clones share the budget.
#[derive(Clone, Debug)]
pub struct TailBudget {
    used: Arc<AtomicUsize>,
    max_bytes: usize,
}

impl TailBudget {
    /// A budget of this many bytes.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            used: Arc::default(),
            max_bytes,
        }
    }

    /// How many bytes are held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn is_exceeded_by(&self, more: usize) -> bool {
        self.used().saturating_add(more) > self.max_bytes
    }
}

impl Default for TailBudget {
    /// 64 MiB.
    fn default() -> Self {
        Self::new(64 << 20)
    }
}

/// Whole batches found in a tail.
#[derive(Debug)]
pub(crate) struct TailRead {
    pub(crate) bytes: Bytes,
    pub(crate) base_offset: i64,
    pub(crate) next_offset: i64,
}

impl Tail {
    pub(crate) fn new(max_bytes: usize, budget: TailBudget) -> Self {
        Self {
            batches: VecDeque::new(),
            bytes: 0,
            max_bytes,
            budget,
        }
    }

    /// Adds the batch that now ends the log, with this head in the place of its own. Older ones go if
    /// there is no room, and all of them before a large one, which is not kept.
    pub(crate) fn push(&mut self, header: &BatchHeader, batch: &[u8]) {
        if batch.len() > KEPT_MAX {
            return self.clear();
        }
        let mut bytes = BytesMut::with_capacity(batch.len());
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(batch.get(BatchHeader::LEN..).unwrap_or_default());
        self.keep(header.base_offset, header.next_offset(), bytes.freeze());
    }

    fn keep(&mut self, base_offset: i64, next_offset: i64, bytes: Bytes) {
        while self.bytes + bytes.len() > self.max_bytes || self.budget.is_exceeded_by(bytes.len()) {
            if !self.drop_oldest() {
                break;
            }
        }
        if self.budget.is_exceeded_by(bytes.len()) {
            return;
        }
        self.budget.used.fetch_add(bytes.len(), Ordering::Relaxed);
        self.bytes += bytes.len();
        self.batches.push_back(TailBatch {
            base_offset,
            next_offset,
            bytes,
        });
    }

    /// Forgets the batches below `offset`, which are no longer what the files hold.
    pub(crate) fn forget_below(&mut self, offset: i64) {
        while self
            .batches
            .front()
            .is_some_and(|oldest| oldest.base_offset < offset)
        {
            self.drop_oldest();
        }
    }

    /// Forgets all, as when the log is cut or nobody has appended for long.
    pub(crate) fn clear(&mut self) {
        while self.drop_oldest() {}
    }

    /// The batches from the one that holds `offset` on, as many as fit into `max_bytes` and end at or
    /// below `end_offset`; the first one in any case if `at_least_one`. `None` if the tail does not
    /// reach back to `offset`.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        end_offset: i64,
        at_least_one: bool,
    ) -> Option<TailRead> {
        if self.batches.front()?.base_offset > offset {
            return None;
        }
        let start = self
            .batches
            .partition_point(|batch| batch.next_offset <= offset);
        let first = self.batches.get(start)?;
        let mut found = TailRead {
            bytes: Bytes::new(),
            base_offset: first.base_offset,
            next_offset: first.base_offset,
        };
        let mut len = 0;
        let mut count = 0;
        for batch in self.batches.range(start..) {
            let fits = len + batch.bytes.len() <= max_bytes || (at_least_one && count == 0);
            if !fits || batch.next_offset > end_offset {
                break;
            }
            len += batch.bytes.len();
            count += 1;
            found.next_offset = batch.next_offset;
        }
        found.bytes = match count {
            0 => Bytes::new(),
            1 => first.bytes.clone(),
            _ => {
                let mut joined = BytesMut::with_capacity(len);
                for batch in self.batches.range(start..start + count) {
                    joined.extend_from_slice(&batch.bytes);
                }
                joined.freeze()
            }
        };
        Some(found)
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.batches.pop_front() else {
            return false;
        };
        self.bytes -= oldest.bytes.len();
        self.budget
            .used
            .fetch_sub(oldest.bytes.len(), Ordering::Relaxed);
        true
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The largest batch that is kept. To look for a larger one in its file costs nothing beside sending it,
/// and the system has it in memory anyway.
const KEPT_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(max_bytes: usize, budget: &TailBudget) -> Tail {
        let mut tail = Tail::new(max_bytes, budget.clone());
        for (base, text) in [(10, "aaaa"), (12, "bb"), (13, "cccccc")] {
            let next = base + text.len() as i64 / 2;
            tail.keep(base, next, Bytes::from_static(text.as_bytes()));
        }
        tail
    }

    fn read(tail: &Tail, offset: i64, max: usize, end: i64, one: bool) -> Option<(Vec<u8>, i64)> {
        let read = tail.read(offset, max, end, one)?;
        Some((read.bytes.to_vec(), read.next_offset))
    }

    #[test]
    fn whole_batches_from_the_one_that_holds_the_offset() {
        let tail = tail(100, &TailBudget::default());
        assert_eq!(read(&tail, 9, 99, 99, true), None, "before the tail");
        assert_eq!(read(&tail, 16, 99, 99, true), None, "behind it");
        assert_eq!(
            read(&tail, 11, 99, 99, true),
            Some((b"aaaabbcccccc".to_vec(), 16))
        );
        assert_eq!(
            read(&tail, 11, 7, 99, false),
            Some((b"aaaabb".to_vec(), 13))
        );
        assert_eq!(
            read(&tail, 11, 99, 13, false),
            Some((b"aaaabb".to_vec(), 13))
        );
        assert_eq!(read(&tail, 12, 1, 99, true), Some((b"bb".to_vec(), 13)));
        assert_eq!(read(&tail, 12, 1, 99, false), Some((vec![], 12)));
        assert_eq!(
            read(&tail, 12, 99, 12, true),
            Some((vec![], 12)),
            "not committed"
        );
    }

    #[test]
    fn bounds_of_one_tail_and_of_all() {
        let budget = TailBudget::new(10);
        let first = tail(8, &budget);
        assert_eq!(
            read(&first, 12, 99, 99, true),
            Some((b"bbcccccc".to_vec(), 16))
        );
        assert_eq!(budget.used(), 8);
        let second = tail(8, &budget);
        assert_eq!(
            read(&second, 13, 99, 99, true),
            None,
            "no room left for six more"
        );
        drop(first);
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
