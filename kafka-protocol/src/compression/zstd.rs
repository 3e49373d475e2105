//! zstd: frames of RFC 8878, one or more in a row.

use zrip::{CompressContext, DecompressContext, DecompressError};

use crate::compression::codec::Compression;
use crate::compression::error::CompressionError;

/// Writes one frame.
pub(super) struct Encoder {
    context: CompressContext,
}

impl Encoder {
    pub(super) fn new(level: Option<i32>) -> Result<Self, CompressionError> {
        // 0 means the default in zstd's own interface.
        let level = match level {
            None | Some(0) => DEFAULT_LEVEL,
            Some(level) => level.clamp(LEVEL_MIN, LEVEL_MAX),
        };
        let mut context = CompressContext::new(level).map_err(|_| CompressionError::Level {
            compression: Compression::Zstd,
            level,
        })?;
        // The batch around the frame has a checksum of its own, and Java writes none here either.
        context.set_content_checksum(false);
        Ok(Self { context })
    }

    pub(super) fn compress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let at = output.len();
        output.resize(at + zrip::compress_bound(input.len()), 0);
        let room = output.get_mut(at..).unwrap_or_default();
        let len = self
            .context
            .compress_into(input, room)
            .map_err(|_| corrupt("the input was refused"))?;
        output.truncate(at + len);
        Ok(())
    }
}

/// Reads frames.
#[derive(Default)]
pub(super) struct Decoder {
    context: DecompressContext,
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
        // A frame may claim any content size, and the decoder reserves what it claims: no more is
        // allowed than the input can become.
        let most = input.len().saturating_mul(EXPANSION_MAX);
        match self
            .context
            .decompress_into_with_limit(input, output, limit.min(most))
        {
            Ok(_) => Ok(()),
            Err(DecompressError::OutputTooSmall) if limit <= most => {
                Err(CompressionError::TooLarge {
                    compression: Compression::Zstd,
                    limit,
                })
            }
            Err(error) => Err(corrupt(reason(&error))),
        }
    }
}

const fn reason(error: &DecompressError) -> &'static str {
    match error {
        DecompressError::InputExhausted => "a frame is cut short",
        DecompressError::DictRequired | DecompressError::DictMismatch { .. } => {
            "a frame needs a dictionary"
        }
        DecompressError::WindowTooLarge { .. } => "a frame needs too large a window",
        DecompressError::OutputTooSmall => "a frame claims more than it can hold",
        _ => "not a zstd frame",
    }
}

const fn corrupt(reason: &'static str) -> CompressionError {
    CompressionError::Corrupt {
        compression: Compression::Zstd,
        reason,
    }
}

const DEFAULT_LEVEL: i32 = 3;
const LEVEL_MIN: i32 = -7;
const LEVEL_MAX: i32 = 4;
/// A block of four bytes (a header and the byte it repeats) becomes at most 128 KiB.
const EXPANSION_MAX: usize = (128 << 10) / 4;
