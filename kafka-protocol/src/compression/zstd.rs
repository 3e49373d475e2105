//! zstd: frames of RFC 8878, one or more in a row.
//!
//! What is done with frames, and what is believed of their headers. The work itself is done in Rust, or
//! with the feature `zstd-c` by the C library; each has a file of its own.

mod fault;
#[cfg(feature = "zstd-c")]
mod native;
#[cfg(not(feature = "zstd-c"))]
mod pure;

#[cfg(feature = "zstd-c")]
use native as library;
#[cfg(not(feature = "zstd-c"))]
use pure as library;

use crate::compression::codec::Compression;
use crate::compression::error::CompressionError;
use crate::compression::room::Room;
use crate::compression::zstd::fault::Fault;

/// Writes one frame.
pub(super) struct Encoder {
    frames: library::Encoder,
}

impl Encoder {
    pub(super) fn new(level: Option<i32>) -> Result<Self, CompressionError> {
        // 0 means the default in zstd's own interface.
        let level = level.filter(|&level| level != 0).unwrap_or(DEFAULT_LEVEL);
        let frames = library::Encoder::new(level).ok_or(CompressionError::Level {
            compression: Compression::Zstd,
            level,
        })?;
        Ok(Self { frames })
    }

    pub(super) fn compress(
        &mut self,
        input: &[u8],
        room: &mut Room<'_>,
    ) -> Result<(), CompressionError> {
        let place = room.next(library::bound(input.len()));
        let len = self
            .frames
            .compress(input, place)
            .ok_or(corrupt("the input was refused", 0))?;
        room.advance(len);
        Ok(())
    }
}

/// Reads frames.
#[derive(Default)]
pub(super) struct Decoder {
    frames: library::Decoder,
}

impl Decoder {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        room: &mut Room<'_>,
    ) -> Result<(), CompressionError> {
        if input.is_empty() {
            return Err(corrupt("no frame", 0));
        }
        // A frame may claim any content size, and the library reserves what it claims: no more is
        // allowed than its blocks can hold.
        let blocks = Blocks::walk(input);
        if let Some(at) = blocks.too_large_at {
            return Err(corrupt("a block is larger than its window", at));
        }
        let (compression, limit) = (Compression::Zstd, room.limit());
        // A library may refuse a block that goes beyond its room like one that is broken. With room for
        // a block more than allowed, what came out until then tells which it was.
        let most = blocks.content_max.min(limit.saturating_add(BLOCK_MAX));
        let result = self.frames.decompress(input, room, most);
        if room.filled() > limit || result.is_err() && room.filled() == limit && limit < most {
            return Err(CompressionError::TooLarge { compression, limit });
        }
        match result {
            Ok(()) => Ok(()),
            Err(Fault::NoRoom) if limit < blocks.content_max => {
                Err(CompressionError::TooLarge { compression, limit })
            }
            Err(Fault::NoRoom) => Err(corrupt("a frame claims more than it can hold", 0)),
            // The libraries do not say where. If the headers break off, it is there.
            Err(Fault::Corrupt(reason)) => Err(corrupt(reason, blocks.broken_at.unwrap_or(0))),
        }
    }
}

/// What the headers of frames and blocks tell by themselves.
#[derive(Default)]
struct Blocks {
    /// The most that all blocks can hold.
    content_max: usize,
    /// Where the first block stands that is larger than its frame allows, which decoders do not look
    /// at.
    too_large_at: Option<usize>,
    /// Where the first thing stands that is neither frame nor block.
    broken_at: Option<usize>,
}

impl Blocks {
    /// Goes over all frames of `input`, up to the first thing that is none; the decoder will stop there
    /// too, and say why.
    fn walk(input: &[u8]) -> Self {
        let mut blocks = Self::default();
        let mut rest = input;
        while !rest.is_empty() {
            let behind = match rest.split_first_chunk() {
                Some((magic, frame)) if u32::from_le_bytes(*magic) == MAGIC => {
                    blocks.frame(frame, input.len())
                }
                Some((_, frame)) => skip_skippable(frame),
                None => None,
            };
            match behind {
                Some(behind) => rest = behind,
                None => {
                    let at = input.len() - rest.len();
                    blocks.broken_at.get_or_insert(at);
                    break;
                }
            }
        }
        blocks
    }

    /// The bytes behind a frame whose magic is read, out of `len` bytes in all; `None` if it breaks off.
    fn frame<'a>(&mut self, frame: &'a [u8], len: usize) -> Option<&'a [u8]> {
        let (&descriptor, fields) = frame.split_first()?;
        let single_segment = descriptor & 0x20 != 0;
        let window_len = usize::from(!single_segment);
        let dictionary_len = match descriptor & 0x03 {
            3 => 4,
            len => usize::from(len),
        };
        let content_len = match descriptor >> 6 {
            0 => usize::from(single_segment),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let window = if single_segment {
            let content = fields.get(dictionary_len..dictionary_len + content_len)?;
            content_size(content)
        } else {
            window_size(*fields.first()?)
        };
        let block_max = BLOCK_MAX.min(usize::try_from(window).unwrap_or(BLOCK_MAX));
        let mut rest = fields.get(window_len + dictionary_len + content_len..)?;
        loop {
            let at = len - rest.len();
            let Some((behind, is_last)) = self.block(rest, at, block_max) else {
                self.broken_at.get_or_insert(at);
                return None;
            };
            rest = behind;
            if is_last {
                break;
            }
        }
        let checksum_len = if descriptor & 0x04 == 0 { 0 } else { 4 };
        rest.get(checksum_len..)
    }

    /// The bytes behind the block that stands at `at`, and whether it is the last of its frame.
    fn block<'a>(
        &mut self,
        block: &'a [u8],
        at: usize,
        block_max: usize,
    ) -> Option<(&'a [u8], bool)> {
        let (&[b0, b1, b2], behind) = block.split_first_chunk()?;
        let header = u32::from_le_bytes([b0, b1, b2, 0]);
        let size = (header >> 3) as usize;
        let (stored, content) = match header >> 1 & 0x03 {
            RAW => (size, size),
            REPEATED => (1, size),
            COMPRESSED => (size, block_max),
            _ => return None,
        };
        if size > block_max {
            self.too_large_at.get_or_insert(at);
        }
        self.content_max = self.content_max.saturating_add(content.min(block_max));
        Some((behind.get(stored..)?, header & LAST != 0))
    }
}

/// The size of the content that a frame tells, in one to eight bytes.
fn content_size(field: &[u8]) -> u64 {
    let value = field
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte));
    // Of two bytes the lowest values are of no use, and left out.
    if field.len() == 2 { value + 256 } else { value }
}

/// The size of the window by its descriptor: a power of two and some eighths of it.
const fn window_size(descriptor: u8) -> u64 {
    let base = 1 << (10 + (descriptor >> 3));
    base + base / 8 * (descriptor & 0x07) as u64
}

/// The bytes behind a frame that decoders skip, or that is none.
fn skip_skippable(frame: &[u8]) -> Option<&[u8]> {
    let (size, content) = frame.split_first_chunk()?;
    content.get(u32::from_le_bytes(*size) as usize..)
}

const fn corrupt(reason: &'static str, at: usize) -> CompressionError {
    CompressionError::Corrupt {
        compression: Compression::Zstd,
        reason,
        at,
    }
}

const DEFAULT_LEVEL: i32 = 3;
const MAGIC: u32 = 0xfd2f_b528;
/// The most that a block holds.
const BLOCK_MAX: usize = 128 << 10;
/// The bit of a block header that ends the frame, and the types of blocks.
const LAST: u32 = 1;
const RAW: u32 = 0;
const REPEATED: u32 = 1;
const COMPRESSED: u32 = 2;
