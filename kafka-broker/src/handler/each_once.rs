//! What a request names again counts once: to repeat an answer, or a piece of work, as often as somebody repeats a
//! name would let a small request cost without end.

use std::collections::BTreeSet;

/// The first of all that have the same key, in their order.
pub(crate) fn each_once<T, K: Ord>(
    all: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> impl Iterator<Item = T> {
    let mut seen = BTreeSet::new();
    all.into_iter().filter(move |one| seen.insert(key(one)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stays_where_it_is() {
        let named = [("b", 1), ("a", 2), ("b", 3), ("a", 4), ("c", 5)];
        let once: Vec<_> = each_once(named, |(name, _)| *name).collect();
        assert_eq!(once, [("b", 1), ("a", 2), ("c", 5)]);
    }
}
