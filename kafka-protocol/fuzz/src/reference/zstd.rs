//! zstd frames by the C library, which reads them in pieces as Kafka does.
//!
//! Built to look at every literal alone; see `.cargo/config.toml`.

use std::io::Read as _;

use zrip_core::huffman::weights::parse_huffman_weights;
use zstd::bulk;

use super::Refused;

/// What the frames in `data` hold.
pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let mut decoder = zstd::Decoder::new(data).map_err(|_| Refused::Corrupt)?;
    let mut output = Vec::new();
    let read = decoder
        .by_ref()
        .take(limit as u64 + 1)
        .read_to_end(&mut output);
    if output.len() > limit {
        return Err(Refused::TooLarge);
    }
    read.map_err(|_| Refused::Corrupt)?;
    Ok(output)
}

/// Whether another view of `data` than the library's is right or free: `ours` is the content that was
/// taken, or nothing if the frames were refused.
pub fn may_differ(data: &[u8], ours: Option<&[u8]>, limit: usize) -> bool {
    let Some(content) = ours else {
        // In pieces the library does not compare the size of the content with what the frame claims, if
        // the last block is empty. At one go it does.
        return bulk::decompress(data, limit).is_err();
    };
    let mut widened = data.to_vec();
    let Some(has_shallow_tree) = widen(&mut widened) else {
        return false;
    };
    // The decoder of the crate takes every window for a large one: blocks that become more than theirs,
    // and copies from before it. And it takes a tree whose longest code is shorter than it need be.
    has_shallow_tree || decompress(&widened, limit).as_deref() == Ok(content)
}

/// Makes all windows large, and tells whether a tree of literals has no code of its full depth; nothing
/// if `data` breaks off.
fn widen(data: &mut [u8]) -> Option<bool> {
    let mut has_shallow_tree = false;
    let mut at = 0;
    while at < data.len() {
        let word = |at| {
            let bytes = data.get(at..at + 4)?.try_into().ok();
            bytes.map(u32::from_le_bytes)
        };
        if word(at)? >> 4 == SKIPPABLE {
            at += 8 + word(at + 4)? as usize;
            continue;
        }
        let descriptor = *data.get(at + 4)?;
        let is_single = descriptor & 0x20 != 0;
        at += 5;
        if !is_single {
            let window = data.get_mut(at)?;
            *window = WINDOW.max(*window);
            at += 1;
        }
        at += [0, 1, 2, 4][usize::from(descriptor & 3)];
        at += match descriptor >> 6 {
            0 => usize::from(is_single),
            size => 1 << size,
        };
        loop {
            let head = data.get(at..at + 3)?;
            let head = u32::from_le_bytes([head[0], head[1], head[2], 0]);
            let len = (head >> 3) as usize;
            at += 3;
            if head >> 1 & 3 == COMPRESSED {
                has_shallow_tree |= begins_with_shallow_tree(data.get(at..at + len)?);
            }
            at += if head >> 1 & 3 == REPEATED { 1 } else { len };
            if head & 1 == 1 {
                break;
            }
        }
        at += if descriptor & 4 == 0 { 0 } else { 4 };
    }
    Some(has_shallow_tree)
}

/// Whether a block begins with literals whose tree has no code of its full depth.
fn begins_with_shallow_tree(block: &[u8]) -> bool {
    let Some(&first) = block.first() else {
        return false;
    };
    let head_len = [3, 3, 4, 5][usize::from(first >> 2 & 3)];
    let is_tree = first & 3 == COMPRESSED as u8;
    let weights = block.get(head_len..).map(parse_huffman_weights);
    // The last weight is not told: it makes the sum a power of two.
    let is_shallow = |weights: &[u8]| {
        let sum: u32 = weights.iter().map(|weight| 1 << weight >> 1).sum();
        !weights.contains(&1) && !(sum + 1).is_power_of_two()
    };
    is_tree && matches!(weights, Some(Ok((weights, _))) if is_shallow(&weights))
}

/// The descriptor of a window of 8 MiB, the most that decoders should support at least.
const WINDOW: u8 = 13 << 3;
/// The magic of a frame without content, but for its last digit.
const SKIPPABLE: u32 = 0x0184_d2a5;
/// The types of blocks that hold one byte, and literals and sequences.
const REPEATED: u32 = 1;
const COMPRESSED: u32 = 2;
