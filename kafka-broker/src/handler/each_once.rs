//! What a request names again counts once: to repeat an answer, or a piece of work, as often as somebody repeats a
//! name would let a small request cost without end.

use std::collections::{BTreeMap, BTreeSet};

/// The first of all that have the same key, in their order.
pub(crate) fn each_once<T, K: Ord>(
    all: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> impl Iterator<Item = T> {
    let mut seen = BTreeSet::new();
    all.into_iter().filter(move |one| seen.insert(key(one)))
}

/// The partitions that a request has named so far, of each topic or whatever else a key stands for.
#[derive(Debug)]
pub(crate) struct NamedPartitions<K>(BTreeMap<K, BTreeSet<i32>>);

impl<K> Default for NamedPartitions<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> NamedPartitions<K> {
    /// Those that were not named before, in their order.
    pub(crate) fn news_of(
        &mut self,
        key: K,
        partitions: Vec<i32>,
    ) -> impl Iterator<Item = i32> + use<'_, K> {
        let named = self.0.entry(key).or_default();
        partitions.into_iter().filter(|index| named.insert(*index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_news_once_for_each_key() {
        let mut named = NamedPartitions::default();
        let mut news = |key, partitions: &[i32]| -> Vec<i32> {
            named.news_of(key, partitions.to_vec()).collect()
        };
        assert_eq!(news("t", &[3, 1, 3]), [3, 1]);
        assert_eq!(news("t", &[1, 2]), [2]);
        assert_eq!(news("u", &[1, -1]), [1, -1]);
    }

    #[test]
    fn the_first_stays_where_it_is() {
        let named = [("b", 1), ("a", 2), ("b", 3), ("a", 4), ("c", 5)];
        let once: Vec<_> = each_once(named, |(name, _)| *name).collect();
        assert_eq!(once, [("b", 1), ("a", 2), ("c", 5)]);
    }
}
