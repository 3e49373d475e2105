//! lz4: one frame of the LZ4 frame format around blocks.
//!
//! Written as Java's client writes it: independent blocks of 64 KiB, no checksums but the header's,
//! no content size. Dictionaries and blocks that depend on each other are refused, as in Java.

use lz4_flex::block::{self, CompressTable};
use twox_hash::XxHash32;

use crate::compression::codec::{Compression, Lz4HeaderChecksum};
use crate::compression::error::CompressionError;
use crate::compression::room::Room;

/// Writes one frame.
pub(super) struct Encoder {
    table: CompressTable,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            table: CompressTable::large(),
        }
    }

    pub(super) fn compress(
        &mut self,
        input: &[u8],
        room: &mut Room<'_>,
    ) -> Result<(), CompressionError> {
        room.push(&MAGIC.to_le_bytes());
        room.push(&DESCRIPTOR);
        room.push(&[header_checksum(&DESCRIPTOR)]);
        for chunk in input.chunks(BLOCK_LEN) {
            let at = room.filled();
            room.push(&[0; LENGTH_LEN]);
            let place = room.next(block::get_maximum_output_size(chunk.len()));
            let len = block::compress_into_with_table(chunk, place, &mut self.table)
                .map_err(|_| corrupt("a block was refused", 0))?;
            // A block holds at most 64 KiB, so that both lengths fit.
            let mut length = len as u32;
            if len < chunk.len() {
                room.advance(len);
            } else {
                room.push(chunk);
                length = chunk.len() as u32 | PLAIN;
            }
            room.overwrite(at, &length.to_le_bytes());
        }
        room.push(&END_MARK.to_le_bytes());
        Ok(())
    }
}

/// Fills `room` with the content of the frame that `input` begins with.
///
/// What stands behind the end mark is not looked at, and the mark counts with or without the bit for
/// plain blocks: so Kafka's own reader does it, which brokers check batches with.
pub(super) fn decompress(
    checksum: Lz4HeaderChecksum,
    input: &[u8],
    room: &mut Room<'_>,
) -> Result<(), CompressionError> {
    let at = |rest: &[u8]| input.len() - rest.len();
    let (frame, mut rest) = Frame::decode(checksum, input).map_err(|reason| corrupt(reason, 0))?;
    loop {
        let (word, behind) =
            take_u32(rest).ok_or_else(|| corrupt("the frame is cut short", at(rest)))?;
        let length = (word & !PLAIN) as usize;
        if length == 0 {
            // The content checksum is skipped: writers disagree on how to compute it over several
            // blocks, Java never looks at it, and the batch around it has a checksum of its own.
            if frame.content_checksum && behind.len() < CHECKSUM_LEN {
                return Err(corrupt("the content checksum is cut short", at(behind)));
            }
            return Ok(());
        }
        if length > frame.block_max {
            return Err(corrupt("a block is larger than the frame allows", at(rest)));
        }
        let (block, mut behind) = behind
            .split_at_checked(length)
            .ok_or_else(|| corrupt("a block is cut short", at(rest)))?;
        if frame.block_checksums {
            let (sum, after) = take_u32(behind)
                .ok_or_else(|| corrupt("a block checksum is cut short", at(behind)))?;
            if sum != XxHash32::oneshot(0, block) {
                return Err(corrupt("wrong block checksum", at(behind)));
            }
            behind = after;
        }
        let filled = if word & PLAIN == 0 {
            decompress_block(block, frame.block_max, room)
        } else if block.len() <= room.left() {
            room.push(block);
            Ok(())
        } else {
            Err(BlockError::TooLarge)
        };
        filled.map_err(|error| match error {
            BlockError::Corrupt => corrupt("not an lz4 block", at(rest)),
            BlockError::TooLarge => CompressionError::TooLarge {
                compression: Compression::Lz4,
                limit: room.limit(),
            },
        })?;
        rest = behind;
    }
}

/// What the descriptor of a frame says.
struct Frame {
    block_max: usize,
    block_checksums: bool,
    content_checksum: bool,
}

impl Frame {
    /// Reads magic and descriptor; gives what follows them too.
    fn decode(checksum: Lz4HeaderChecksum, input: &[u8]) -> Result<(Self, &[u8]), &'static str> {
        let truncated = "the frame header is cut short";
        let (magic, descriptor) = take_u32(input).ok_or(truncated)?;
        if magic != MAGIC {
            return Err("wrong magic");
        }
        let (&[flags, block_size], rest) = descriptor.split_first_chunk::<2>().ok_or(truncated)?;
        if flags & VERSION_BITS != VERSION_1 {
            return Err("unknown version of the frame");
        }
        if flags & INDEPENDENT == 0 {
            return Err("blocks that depend on each other");
        }
        if flags & (RESERVED | DICTIONARY) != 0 {
            return Err("a dictionary or reserved flags");
        }
        if block_size & !BLOCK_SIZE_BITS != 0 {
            return Err("reserved bits of the block size");
        }
        let block_max = match block_size >> 4 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return Err("unknown block size"),
        };
        // A content size is a claim that nothing here needs.
        let sized = if flags & CONTENT_SIZE == 0 {
            rest
        } else {
            rest.get(8..).ok_or(truncated)?
        };
        let (&sum, blocks) = sized.split_first().ok_or(truncated)?;
        let described = descriptor
            .get(..descriptor.len() - sized.len())
            .unwrap_or_default();
        if checksum == Lz4HeaderChecksum::Right && sum != header_checksum(described) {
            return Err("wrong header checksum");
        }
        let frame = Self {
            block_max,
            block_checksums: flags & BLOCK_CHECKSUMS != 0,
            content_checksum: flags & CONTENT_CHECKSUM != 0,
        };
        Ok((frame, blocks))
    }
}

enum BlockError {
    Corrupt,
    TooLarge,
}

// A function of its own also for the compiler: inlined into the loop above, which is inlined into that over the
// codecs, its copies of 16 bytes become calls, and it takes half as long again.
#[inline(never)]
fn decompress_block(block: &[u8], block_max: usize, room: &mut Room<'_>) -> Result<(), BlockError> {
    // The most that this block can become, so that a small one in a frame of large blocks does not
    // cost a large one's memory.
    let most = block_max.min(block.len().saturating_mul(EXPANSION_MAX));
    let left = room.left();
    match block::decompress_into(block, room.next(most.min(left))) {
        Ok(len) => {
            room.advance(len);
            Ok(())
        }
        Err(block::DecompressError::OutputTooSmall { .. }) if left < most => {
            Err(BlockError::TooLarge)
        }
        Err(_) => Err(BlockError::Corrupt),
    }
}

/// The second byte of the descriptor's xxHash-32.
fn header_checksum(descriptor: &[u8]) -> u8 {
    (XxHash32::oneshot(0, descriptor) >> 8) as u8
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*word), rest))
}

const fn corrupt(reason: &'static str, at: usize) -> CompressionError {
    CompressionError::Corrupt {
        compression: Compression::Lz4,
        reason,
        at,
    }
}

const MAGIC: u32 = 0x184d_2204;
/// Version 1, independent blocks, nothing else; blocks of 64 KiB.
const DESCRIPTOR: [u8; 2] = [VERSION_1 | INDEPENDENT, 4 << 4];
const BLOCK_LEN: usize = 64 << 10;
const VERSION_BITS: u8 = 0xc0;
const VERSION_1: u8 = 0x40;
const INDEPENDENT: u8 = 0x20;
const BLOCK_CHECKSUMS: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const RESERVED: u8 = 0x02;
const DICTIONARY: u8 = 0x01;
const BLOCK_SIZE_BITS: u8 = 0x70;
const LENGTH_LEN: usize = 4;
const CHECKSUM_LEN: usize = 4;
const END_MARK: u32 = 0;
/// The bit of a block's length that says: not compressed.
const PLAIN: u32 = 0x8000_0000;
/// A match grows by at most 255 bytes for each byte of its length.
const EXPANSION_MAX: usize = 255;
