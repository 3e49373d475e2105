//! snappy: blocks in xerial's stream framing, or one raw block.
//!
//! Java's clients write the framing, librdkafka and others the raw block; both are read, told apart
//! by the magic.

use snap::raw;

use crate::compression::codec::Compression;
use crate::compression::error::CompressionError;

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
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        output.extend_from_slice(&MAGIC);
        output.extend_from_slice(&VERSION.to_be_bytes());
        output.extend_from_slice(&VERSION.to_be_bytes());
        for chunk in input.chunks(BLOCK_LEN) {
            let at = output.len();
            let body = at + LENGTH_LEN;
            output.resize(body + raw::max_compress_len(chunk.len()), 0);
            let room = output.get_mut(body..).unwrap_or_default();
            let len = self
                .block
                .compress(chunk, room)
                .map_err(|_| corrupt("a block was refused"))?;
            output.truncate(body + len);
            let claim = u32::try_from(len).map_err(|_| corrupt("a block grew too large"))?;
            if let Some(length) = output.get_mut(at..body) {
                length.copy_from_slice(&claim.to_be_bytes());
            }
        }
        Ok(())
    }
}

/// Appends what `input` holds to `output`.
pub(super) fn decompress(
    input: &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CompressionError> {
    let start = output.len();
    let Some(mut rest) = input.strip_prefix(&MAGIC) else {
        return decompress_block(input, output, start, limit);
    };
    rest = skip_versions(rest)?;
    while !rest.is_empty() {
        // Streams may follow each other; the magic cannot be a length, which would be negative.
        if let Some(behind) = rest.strip_prefix(&MAGIC) {
            rest = skip_versions(behind)?;
            continue;
        }
        let (length, behind) = rest
            .split_first_chunk::<LENGTH_LEN>()
            .ok_or(corrupt("a block length is cut short"))?;
        let (block, behind) = usize::try_from(u32::from_be_bytes(*length))
            .ok()
            .and_then(|length| behind.split_at_checked(length))
            .ok_or(corrupt("a block is cut short"))?;
        decompress_block(block, output, start, limit)?;
        rest = behind;
    }
    Ok(())
}

/// The bytes behind the two version fields. There has only ever been one version; Java reads later
/// ones, and does not look at the second field, which says from which version on a reader will do.
fn skip_versions(rest: &[u8]) -> Result<&[u8], CompressionError> {
    let cut_short = corrupt("the stream header is cut short");
    let (version, rest) = rest.split_first_chunk().ok_or(cut_short)?;
    if i32::from_be_bytes(*version) < VERSION {
        return Err(corrupt("unknown version of the stream"));
    }
    rest.get(VERSION_LEN..).ok_or(cut_short)
}

fn decompress_block(
    block: &[u8],
    output: &mut Vec<u8>,
    start: usize,
    limit: usize,
) -> Result<(), CompressionError> {
    let claimed = raw::decompress_len(block).map_err(|_| corrupt("wrong block header"))?;
    if block.is_empty() {
        return Err(corrupt("an empty block"));
    }
    if claimed > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(corrupt("a block claims more than it can hold"));
    }
    let at = output.len();
    if claimed > limit.saturating_sub(at - start) {
        return Err(CompressionError::TooLarge {
            compression: Compression::Snappy,
            limit,
        });
    }
    output.resize(at + claimed, 0);
    let room = output.get_mut(at..).unwrap_or_default();
    raw::Decoder::new()
        .decompress(block, room)
        .map_err(|_| corrupt("not a snappy block"))?;
    Ok(())
}

const fn corrupt(reason: &'static str) -> CompressionError {
    CompressionError::Corrupt {
        compression: Compression::Snappy,
        reason,
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
