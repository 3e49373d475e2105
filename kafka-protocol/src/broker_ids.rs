//! Lists of brokers: the replicas of a partition, and those in sync.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Numbers of brokers, in the order of the wire.
///
/// Reads like a slice of `i32`. Up to [`INLINE`](Self::INLINE) of them lie in the value itself, so that
/// the replicas of an ordinary partition cost no allocation; more lie on the heap.
///
/// ```
/// use kafka_protocol::BrokerIds;
///
/// let mut replicas = BrokerIds::from([1, 2, 3]);
/// replicas.push(4);
/// assert_eq!(replicas, [1, 2, 3, 4]);
/// assert!(replicas.contains(&2));
/// let leader_first: Vec<i32> = replicas.into();
/// assert_eq!(leader_first[0], 1);
/// ```
#[derive(Clone)]
pub struct BrokerIds(Place);

/// Takes no more room than the vector alone.
#[derive(Clone)]
enum Place {
    /// The first `len` of them.
    Inline {
        len: u8,
        ids: [i32; BrokerIds::INLINE],
    },
    Heap(Vec<i32>),
}

impl BrokerIds {
    /// How many cost no allocation: the usual number of replicas.
    pub const INLINE: usize = 3;

    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Place::Inline {
            len: 0,
            ids: [0; Self::INLINE],
        })
    }

    /// The numbers that these are on the wire.
    pub(crate) fn from_be_bytes(ids: &[[u8; 4]]) -> Self {
        if ids.len() > Self::INLINE {
            return Self(Place::Heap(
                ids.iter().copied().map(i32::from_be_bytes).collect(),
            ));
        }
        let mut inline = [0; Self::INLINE];
        for (id, bytes) in inline.iter_mut().zip(ids) {
            *id = i32::from_be_bytes(*bytes);
        }
        Self(Place::Inline {
            len: ids.len() as u8,
            ids: inline,
        })
    }

    /// Appends them as a compact array, a byte for the count and then the numbers; or nothing, and gives
    /// false, if they lie on the heap.
    #[inline]
    pub(crate) fn put_compact(&self, to: &mut Vec<u8>) -> bool {
        let Place::Inline { len, ids } = &self.0 else {
            return false;
        };
        // A copy of fixed size and a cut are quicker than a copy of as many as there are.
        let end = to.len() + 1 + size_of::<i32>() * usize::from(*len);
        let mut array = [0; 1 + size_of::<i32>() * Self::INLINE];
        let (count, numbers) = array.split_at_mut(1);
        count.fill(len + 1);
        numbers.copy_from_slice(ids.map(i32::to_be_bytes).as_flattened());
        to.extend_from_slice(&array);
        to.truncate(end);
        true
    }

    /// The numbers as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[i32] {
        match &self.0 {
            Place::Inline { len, ids } => ids.get(..usize::from(*len)).unwrap_or_default(),
            Place::Heap(ids) => ids,
        }
    }

    /// Appends a number.
    pub fn push(&mut self, id: i32) {
        match &mut self.0 {
            Place::Inline { len, ids } => match ids.get_mut(usize::from(*len)) {
                Some(free) => {
                    *free = id;
                    *len += 1;
                }
                None => {
                    let mut ids = ids.to_vec();
                    ids.push(id);
                    self.0 = Place::Heap(ids);
                }
            },
            Place::Heap(ids) => ids.push(id),
        }
    }

    /// Removes all numbers.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Keeps the numbers for which `keep` is true, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(i32) -> bool) {
        *self = self.iter().copied().filter(|&id| keep(id)).collect();
    }
}

impl Deref for BrokerIds {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        self.as_slice()
    }
}

impl DerefMut for BrokerIds {
    fn deref_mut(&mut self) -> &mut [i32] {
        match &mut self.0 {
            Place::Inline { len, ids } => ids.get_mut(..usize::from(*len)).unwrap_or_default(),
            Place::Heap(ids) => ids,
        }
    }
}

impl Default for BrokerIds {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&[i32]> for BrokerIds {
    fn from(ids: &[i32]) -> Self {
        ids.iter().copied().collect()
    }
}

impl<const N: usize> From<[i32; N]> for BrokerIds {
    fn from(ids: [i32; N]) -> Self {
        ids.into_iter().collect()
    }
}

impl From<Vec<i32>> for BrokerIds {
    fn from(ids: Vec<i32>) -> Self {
        if ids.len() <= Self::INLINE {
            ids.as_slice().into()
        } else {
            Self(Place::Heap(ids))
        }
    }
}

impl From<BrokerIds> for Vec<i32> {
    fn from(ids: BrokerIds) -> Self {
        match ids.0 {
            Place::Inline { .. } => ids.to_vec(),
            Place::Heap(ids) => ids,
        }
    }
}

impl FromIterator<i32> for BrokerIds {
    fn from_iter<I: IntoIterator<Item = i32>>(ids: I) -> Self {
        let ids = ids.into_iter();
        let mut list = match ids.size_hint().0 {
            few if few <= Self::INLINE => Self::new(),
            many => Self(Place::Heap(Vec::with_capacity(many))),
        };
        for id in ids {
            list.push(id);
        }
        list
    }
}

impl Extend<i32> for BrokerIds {
    fn extend<I: IntoIterator<Item = i32>>(&mut self, ids: I) {
        for id in ids {
            self.push(id);
        }
    }
}

impl<'a> IntoIterator for &'a BrokerIds {
    type Item = &'a i32;
    type IntoIter = std::slice::Iter<'a, i32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for BrokerIds {
    type Item = i32;
    type IntoIter = std::vec::IntoIter<i32>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::from(self).into_iter()
    }
}

impl PartialEq for BrokerIds {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for BrokerIds {}

impl PartialEq<[i32]> for BrokerIds {
    fn eq(&self, other: &[i32]) -> bool {
        self.as_slice() == other
    }
}

impl<const N: usize> PartialEq<[i32; N]> for BrokerIds {
    fn eq(&self, other: &[i32; N]) -> bool {
        self.as_slice() == other
    }
}

impl PartialEq<Vec<i32>> for BrokerIds {
    fn eq(&self, other: &Vec<i32>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl fmt::Debug for BrokerIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::BrokerIds;

    #[test]
    fn a_list_is_no_larger_than_a_vector() {
        assert_eq!(size_of::<BrokerIds>(), size_of::<Vec<i32>>());
    }

    #[test]
    fn lists_of_all_lengths_hold_what_they_are_made_of() {
        for count in 0..10 {
            let ids: Vec<i32> = (0..count).collect();
            let wire: Vec<_> = ids.iter().map(|id| id.to_be_bytes()).collect();
            let mut pushed = BrokerIds::new();
            for &id in &ids {
                pushed.push(id);
            }
            let mut extended = BrokerIds::new();
            extended.extend(ids.iter().copied());
            for list in [
                pushed,
                extended,
                BrokerIds::from(ids.clone()),
                BrokerIds::from(ids.as_slice()),
                ids.iter().copied().filter(|id| *id >= 0).collect(),
                ids.iter().copied().collect(),
                BrokerIds::from_be_bytes(&wire),
            ] {
                let mut bytes = vec![7];
                assert_eq!(list.put_compact(&mut bytes), count <= 3);
                if count <= 3 {
                    assert_eq!(bytes[..2], [7, count as u8 + 1]);
                    assert_eq!(bytes[2..], *wire.as_flattened());
                } else {
                    assert_eq!(bytes, [7]);
                }
                assert_eq!(list, ids);
                assert_eq!(list.len(), ids.len());
                assert_eq!(format!("{list:?}"), format!("{ids:?}"));
                assert_eq!(list.clone(), list);
                assert!(list.clone().into_iter().eq(ids.clone()));
                assert_eq!(Vec::from(list), ids);
            }
        }
    }

    #[test]
    fn a_list_can_be_changed_in_place() {
        for count in [3, 4] {
            let mut list: BrokerIds = (0..count).collect();
            list.reverse();
            assert_eq!(list[0], count - 1);
            assert_ne!(list, [0, 1, 2]);
            list.retain(|id| id != 1);
            let kept: Vec<i32> = (0..count).rev().filter(|id| *id != 1).collect();
            assert_eq!(list, kept);
            list.clear();
            assert!(list.is_empty());
        }
    }
}
