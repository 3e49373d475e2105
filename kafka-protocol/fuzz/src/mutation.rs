//! How inputs are changed so that most of them get past checksums and codecs.
//!
//! An input is what would stand on the wire, so that a finding is replayed as it is. Only the way from
//! one input to the next knows the format: what is compressed is changed uncompressed, records as
//! records, and lengths and checksums are put right afterwards, most of the time.

mod compressed;
mod records;

use fastrand::Rng;

pub use records::{batches, legacy, with_old_magic};

/// libFuzzer's own way to change the first bytes of a slice, at most to some length; gives the new one.
pub type Blind = fn(&mut [u8], usize, usize) -> usize;

/// What changes an input.
#[derive(Debug)]
pub struct Mutation {
    rng: Rng,
    blind: Blind,
    /// The most bytes that an input may have.
    max: usize,
}

/// Changes the first `size` bytes of `data` by `change`; gives how many they are then.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    blind: Blind,
    change: impl FnOnce(&mut Mutation, &mut Vec<u8>),
) -> usize {
    let max = max_size.min(data.len());
    let mut mutation = Mutation {
        rng: Rng::with_seed(seed.into()),
        blind,
        max,
    };
    let mut bytes = data[..size].to_vec();
    change(&mut mutation, &mut bytes);
    if bytes.is_empty() || bytes.len() > max {
        // What cannot be kept whole is of no use.
        return mutation.blind_in_place(data, size);
    }
    data[..bytes.len()].copy_from_slice(&bytes);
    bytes.len()
}

impl Mutation {
    /// Changes bytes without knowing what they are.
    fn blind(&mut self, bytes: &mut Vec<u8>) {
        let size = bytes.len();
        let room = (2 * size + 64).min(self.max.max(size));
        bytes.resize(room, 0);
        let size = (self.blind)(bytes, size, room);
        bytes.truncate(size);
    }

    fn blind_in_place(&mut self, data: &mut [u8], size: usize) -> usize {
        (self.blind)(data, size, self.max)
    }

    /// Repeats a piece of the bytes until they are many times as long: what makes a decoder that is not
    /// linear slow, and compresses well.
    fn grow(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            bytes.push(self.rng.u8(..));
        }
        let start = self.rng.usize(..bytes.len());
        let len = 1 + self.rng.usize(..bytes.len() - start);
        let piece = bytes[start..start + len].to_vec();
        // Small ones more often, since large ones are slow.
        let bits = self.rng.u32(6..=20).min(self.rng.u32(6..=20));
        let target = self.max.min(1 << bits);
        let mut grown = bytes[..start].to_vec();
        while grown.len() + len < target {
            grown.extend_from_slice(&piece);
        }
        grown.extend_from_slice(&bytes[start..]);
        *bytes = grown;
    }

    fn chance(&mut self, of: u32) -> bool {
        self.rng.u32(..of) == 0
    }
}

/// What is decompressed to be changed.
const CONTENT_MAX: usize = 1 << 20;
