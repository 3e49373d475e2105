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
use crate::compression::zstd::fault::Fault;

/// Writes one frame.
pub(super) struct Encoder {
    library: library::Encoder,
}

impl Encoder {
    pub(super) fn new(level: Option<i32>) -> Result<Self, CompressionError> {
        // 0 means the default in zstd's own interface.
        let level = level.filter(|&level| level != 0).unwrap_or(DEFAULT_LEVEL);
        let library = library::Encoder::new(level).ok_or(CompressionError::Level {
            compression: Compression::Zstd,
            level,
        })?;
        Ok(Self { library })
    }

    pub(super) fn compress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let at = output.len();
        output.resize(at + library::bound(input.len()), 0);
        let room = output.get_mut(at..).unwrap_or_default();
        let len = self
            .library
            .compress(input, room)
            .ok_or(corrupt("the input was refused"))?;
        output.truncate(at + len);
        Ok(())
    }
}

/// Reads frames.
#[derive(Default)]
pub(super) struct Decoder {
    library: library::Decoder,
}

impl Decoder {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CompressionError> {
        if input.is_empty() {
            return Err(corrupt("no frame"));
        }
        // A frame may claim any content size, and the library reserves what it claims: no more is
        // allowed than its blocks can hold.
        let most = content_max(input).ok_or(corrupt("a block is larger than its window"))?;
        match self.library.decompress(input, output, limit.min(most)) {
            Ok(()) => Ok(()),
            Err(Fault::NoRoom) if limit <= most => Err(CompressionError::TooLarge {
                compression: Compression::Zstd,
                limit,
            }),
            Err(Fault::NoRoom) => Err(corrupt("a frame claims more than it can hold")),
            Err(Fault::Corrupt(reason)) => Err(corrupt(reason)),
        }
    }
}

/// The most that all blocks in `input` can hold, by their headers alone; `None` if a block is larger
/// than its frame allows, which the decoder does not look at.
///
/// Stops at the first thing that is neither frame nor block; the decoder will stop there too, and
/// say why.
fn content_max(input: &[u8]) -> Option<usize> {
    let mut blocks = Blocks {
        content_max: 0,
        fit: true,
    };
    let mut rest = input;
    while let Some((magic, frame)) = rest.split_first_chunk() {
        let behind = if u32::from_le_bytes(*magic) == MAGIC {
            skip_frame(frame, &mut blocks)
        } else {
            skip_skippable(frame)
        };
        match behind {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    blocks.fit.then_some(blocks.content_max)
}

/// What the headers of blocks tell.
struct Blocks {
    content_max: usize,
    fit: bool,
}

/// The bytes behind a frame whose magic is read; adds up what its blocks can hold.
fn skip_frame<'a>(frame: &'a [u8], blocks: &mut Blocks) -> Option<&'a [u8]> {
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
        let (&[b0, b1, b2], behind) = rest.split_first_chunk()?;
        let header = u32::from_le_bytes([b0, b1, b2, 0]);
        let size = (header >> 3) as usize;
        let (stored, content) = match header >> 1 & 0x03 {
            RAW => (size, size),
            REPEATED => (1, size),
            COMPRESSED => (size, block_max),
            _ => return None,
        };
        blocks.fit &= size <= block_max;
        blocks.content_max = blocks.content_max.saturating_add(content.min(block_max));
        rest = behind.get(stored..)?;
        if header & LAST != 0 {
            break;
        }
    }
    let checksum_len = if descriptor & 0x04 == 0 { 0 } else { 4 };
    rest.get(checksum_len..)
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

const fn corrupt(reason: &'static str) -> CompressionError {
    CompressionError::Corrupt {
        compression: Compression::Zstd,
        reason,
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
