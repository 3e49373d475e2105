//! zstd in Rust alone: the crate that does the work, and nothing of what surrounds it.

use zrip::{CompressContext, DecompressContext, DecompressError};

use crate::compression::room::Room;
use crate::compression::zstd::fault::Fault;

/// Writes one frame.
pub(super) struct Encoder {
    context: CompressContext,
}

impl Encoder {
    /// An encoder; levels beyond the lowest and the highest are taken for these.
    pub(super) fn new(level: i32) -> Option<Self> {
        let mut context = CompressContext::new(level.clamp(LEVEL_MIN, LEVEL_MAX)).ok()?;
        // The batch around the frame has a checksum of its own, and Java writes none here either.
        context.set_content_checksum(false);
        Some(Self { context })
    }

    /// Compresses into `room` and gives the length; [`bound`] says how much room it takes.
    pub(super) fn compress(&mut self, input: &[u8], room: &mut [u8]) -> Option<usize> {
        self.context.compress_into(input, room).ok()
    }
}

/// The most bytes that so many become.
pub(super) fn bound(len: usize) -> usize {
    zrip::compress_bound(len)
}

/// Reads frames.
#[derive(Default)]
pub(super) struct Decoder {
    context: DecompressContext,
}

impl Decoder {
    /// Fills `room` with what the frames hold, at most `most` bytes.
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        room: &mut Room<'_>,
        most: usize,
    ) -> Result<(), Fault> {
        let context = &mut self.context;
        let result =
            room.append_with(|output| context.decompress_into_with_limit(input, output, most));
        result.map(|_| ()).map_err(|error| match error {
            DecompressError::OutputTooSmall => Fault::NoRoom,
            DecompressError::InputExhausted => Fault::Corrupt("a frame is cut short"),
            DecompressError::DictRequired | DecompressError::DictMismatch { .. } => {
                Fault::Corrupt("a frame needs a dictionary")
            }
            DecompressError::WindowTooLarge { .. } => {
                Fault::Corrupt("a frame needs too large a window")
            }
            _ => Fault::Corrupt("not a zstd frame"),
        })
    }
}

const LEVEL_MIN: i32 = -7;
const LEVEL_MAX: i32 = 4;
