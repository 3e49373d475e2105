//! Where each key of a log is found last: what compaction keeps a record by. It knows no file.
//!
//! Keys are held whole, so that no two of them are ever taken for one; what they cost is counted, and
//! who fills the map stops when there is no more room.

use std::collections::HashMap;

/// The last offset of each key met so far.
#[derive(Debug)]
pub(crate) struct KeyMap {
    offsets: HashMap<Box<[u8]>, i64>,
    used: usize,
    max_bytes: usize,
    latest_offset: i64,
}

impl KeyMap {
    /// An empty map that may take so many bytes.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            offsets: HashMap::new(),
            used: 0,
            max_bytes,
            latest_offset: -1,
        }
    }

    /// Whether it has had all the memory that it may take.
    pub(crate) fn is_full(&self) -> bool {
        self.used >= self.max_bytes
    }

    /// Notes that a key occurs at an offset, which is higher than all before.
    pub(crate) fn insert(&mut self, key: &[u8], offset: i64) {
        if let Some(known) = self.offsets.get_mut(key) {
            *known = offset;
            return;
        }
        self.used += key.len() + ENTRY_COST;
        self.offsets.insert(key.into(), offset);
    }

    /// All keys up to and with this offset are in the map.
    pub(crate) fn advance_to(&mut self, offset: i64) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    /// Up to where the map knows the log, -1 if it knows nothing.
    pub(crate) fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    /// Whether a record with this key may stay: whether none with the key is known behind it.
    pub(crate) fn is_last(&self, key: &[u8], offset: i64) -> bool {
        self.offsets.get(key).is_none_or(|last| offset >= *last)
    }
}

/// What an entry takes besides the bytes of its key: pointer, length and offset in a table that is half
/// empty after it has grown and stands beside the old one while it grows, and the allocation of the key.
const ENTRY_COST: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_key_is_told_from_the_others() {
        let mut keys = KeyMap::new(1000);
        keys.insert(b"a", 1);
        keys.insert(b"", 2);
        keys.insert(b"a", 7);
        assert!(!keys.is_last(b"a", 1));
        assert!(keys.is_last(b"a", 7));
        assert!(keys.is_last(b"", 2));
        assert!(keys.is_last(b"other", 0));
    }

    #[test]
    fn it_is_full_when_its_memory_is_used_and_not_before() {
        let mut keys = KeyMap::new(3 * (ENTRY_COST + 1));
        for (offset, key) in [b"a", b"b", b"a", b"a", b"c"].into_iter().enumerate() {
            assert!(!keys.is_full());
            keys.insert(key, offset as i64);
        }
        assert!(keys.is_full());
    }
}
