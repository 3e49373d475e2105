//! snappy: blocks in xerial's stream framing, or one raw block.
//!
//! Java's clients write the framing, librdkafka and others the raw block; both are read, told apart
//! by the magic.

use snap::raw;

use crate::compression::codec::Compression;
use crate::compression::error::CompressionError;
use crate::compression::room::Room;

/// Writes one xerial stream.
pub(super) struct Encoder {
    block: raw::Encoder,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            block: raw::Encoder::new(),
        }
    }

    pub(super) fn compress(
        &mut self,
        input: &[u8],
        room: &mut Room<'_>,
    ) -> Result<(), CompressionError> {
        room.push(&MAGIC);
        room.push(&VERSION.to_be_bytes());
        room.push(&VERSION.to_be_bytes());
        for chunk in input.chunks(BLOCK_LEN) {
            let at = room.filled();
            room.push(&[0; LENGTH_LEN]);
            let place = room.next(raw::max_compress_len(chunk.len()));
            let len = self
                .block
                .compress(chunk, place)
                .map_err(|_| corrupt("a block was refused", 0))?;
            room.advance(len);
            // A block holds at most 32 KiB, so that its length fits.
            room.overwrite(at, &(len as u32).to_be_bytes());
        }
        Ok(())
    }
}

/// Fills `room` with what `input` holds.
pub(super) fn decompress(input: &[u8], room: &mut Room<'_>) -> Result<(), CompressionError> {
    let at = |rest: &[u8]| input.len() - rest.len();
    let Some(behind) = input.strip_prefix(&MAGIC) else {
        return decompress_block(input, 0, room);
    };
    let mut rest = skip_versions(behind).map_err(|reason| corrupt(reason, at(behind)))?;
    while !rest.is_empty() {
        // Streams may follow each other; the magic cannot be a length, which would be negative.
        if let Some(behind) = rest.strip_prefix(&MAGIC) {
            rest = skip_versions(behind).map_err(|reason| corrupt(reason, at(behind)))?;
            continue;
        }
        let (length, behind) = rest
            .split_first_chunk::<LENGTH_LEN>()
            .ok_or_else(|| corrupt("a block length is cut short", at(rest)))?;
        let (block, after) = usize::try_from(u32::from_be_bytes(*length))
            .ok()
            .and_then(|length| behind.split_at_checked(length))
            .ok_or_else(|| corrupt("a block is cut short", at(rest)))?;
        decompress_block(block, at(behind), room)?;
        rest = after;
    }
    Ok(())
}

/// The bytes behind the two version fields. There has only ever been one version; Java reads later
/// ones, and does not look at the second field, which says from which version on a reader will do.
fn skip_versions(rest: &[u8]) -> Result<&[u8], &'static str> {
    let cut_short = "the stream header is cut short";
    let (version, rest) = rest.split_first_chunk().ok_or(cut_short)?;
    if i32::from_be_bytes(*version) < VERSION {
        return Err("unknown version of the stream");
    }
    rest.get(VERSION_LEN..).ok_or(cut_short)
}

/// Fills `room` with what the block holds that stands at `at`.
fn decompress_block(block: &[u8], at: usize, room: &mut Room<'_>) -> Result<(), CompressionError> {
    if block.is_empty() {
        return Err(corrupt("an empty block", at));
    }
    let claimed = raw::decompress_len(block).map_err(|_| corrupt("wrong block header", at))?;
    if claimed > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(corrupt("a block claims more than it can hold", at));
    }
    if claimed > room.left() {
        return Err(CompressionError::TooLarge {
            compression: Compression::Snappy,
            limit: room.limit(),
        });
    }
    let len = raw::Decoder::new()
        .decompress(block, room.next(claimed))
        .map_err(|_| corrupt("not a snappy block", at))?;
    room.advance(len);
    Ok(())
}

const fn corrupt(reason: &'static str, at: usize) -> CompressionError {
    CompressionError::Corrupt {
        compression: Compression::Snappy,
        reason,
        at,
    }
}

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const VERSION: i32 = 1;
const VERSION_LEN: usize = 4;
const LENGTH_LEN: usize = 4;
/// Input bytes per block; Java's default.
const BLOCK_LEN: usize = 32 << 10;
/// The densest element is a copy of 64 bytes in three.
const EXPANSION_MAX: usize = 22;
