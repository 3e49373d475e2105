//! Which partition a record goes to.

/// Java's hash of a key: 32-bit murmur2 with its own seed.
#[must_use]
pub fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ key.len() as u32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (at, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The position, among `count` partitions, of a record with this key; as Java's producer chooses it. An
/// empty key is a key.
///
/// # Panics
///
/// If `count` is zero.
#[must_use]
pub fn position_of_key(key: &[u8], count: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % count
}

/// Where records without a key go: to one partition until `batch_bytes` went there, then to another one
/// drawn at random (KIP-480, KIP-794), so that they fill whole batches. Packed into one word, so that many
/// threads may share it without a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sticky {
    position: u32,
    bytes: u32,
}

impl Sticky {
    /// The state that a word stands for.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self {
            position: (word >> 32) as u32,
            bytes: word as u32,
        }
    }

    /// The word that stands for this state.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        ((self.position as u64) << 32) | self.bytes as u64
    }

    /// The position for a record of `len` bytes among `count` partitions, and the state behind it.
    ///
    /// # Panics
    ///
    /// If `count` is zero.
    #[must_use]
    pub fn place(self, len: usize, batch_bytes: usize, count: usize, random: u32) -> (usize, Self) {
        let position = self.position as usize % count;
        let bytes = u32::try_from(len)
            .unwrap_or(u32::MAX)
            .saturating_add(self.bytes);
        let next = if (bytes as usize) < batch_bytes {
            Self { bytes, ..self }
        } else {
            Self::elsewhere(position, count, random)
        };
        (position, next)
    }

    /// Another partition than this one, where there is another.
    fn elsewhere(position: usize, count: usize, random: u32) -> Self {
        let others = (count - 1).max(1);
        let next = (position + 1 + random as usize % others) % count;
        Self {
            position: next as u32,
            bytes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn every_key_has_its_partition() {
        assert_eq!(
            position_of_key(b"", 7),
            (murmur2(b"") & 0x7fff_ffff) as usize % 7
        );
        for count in 1..20 {
            assert!(position_of_key(b"foobar", count) < count);
        }
    }

    #[test]
    fn keyless_records_stay_until_a_batch_is_full() {
        let mut state = Sticky::from_word(0);
        let mut places = Vec::new();
        for random in 0..9 {
            let (position, next) = state.place(40, 100, 3, random);
            places.push(position);
            state = Sticky::from_word(next.to_word());
        }
        for chunk in places.chunks(3) {
            assert!(chunk.iter().all(|place| *place == chunk[0]), "{places:?}");
        }
        assert_ne!(places[0], places[3]);
        assert_ne!(places[3], places[6]);
    }

    #[test]
    fn one_partition_is_enough_and_fewer_than_before_too() {
        let (position, next) = Sticky::from_word(0).place(1000, 10, 1, 5);
        assert_eq!((position, next.to_word()), (0, 0));
        let far = Sticky {
            position: 9,
            bytes: 0,
        };
        assert!(far.place(1, 10, 4, 0).0 < 4);
    }
}
