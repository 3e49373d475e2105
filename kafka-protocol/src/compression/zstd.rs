//! zstd: frames of RFC 8878, one or more in a row.
//!
//! What is done with frames, and what is believed of their headers. The work itself is done in Rust, or
//! with the feature `zstd-c` by the C library; each has a file of its own.

mod blocks;
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
use crate::compression::zstd::blocks::{BLOCK_MAX, Blocks};
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
        if let Some((at, reason)) = blocks.fault {
            return Err(corrupt(reason, at));
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

const fn corrupt(reason: &'static str, at: usize) -> CompressionError {
    CompressionError::Corrupt {
        compression: Compression::Zstd,
        reason,
        at,
    }
}

const DEFAULT_LEVEL: i32 = 3;
