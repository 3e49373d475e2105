//! zstd by its own library, which is written in C: every level, and some more speed.

use zstd::bulk::{Compressor, Decompressor};

use crate::compression::room::Room;
use crate::compression::zstd::fault::Fault;

/// Writes one frame, without a checksum unless it is asked for.
pub(super) struct Encoder {
    compressor: Compressor<'static>,
}

impl Encoder {
    pub(super) fn new(level: i32) -> Option<Self> {
        let compressor = Compressor::new(level).ok()?;
        Some(Self { compressor })
    }

    /// Compresses into `room` and gives the length; [`bound`] says how much room it takes.
    pub(super) fn compress(&mut self, input: &[u8], room: &mut [u8]) -> Option<usize> {
        self.compressor.compress_to_buffer(input, room).ok()
    }
}

/// The most bytes that so many become.
pub(super) fn bound(len: usize) -> usize {
    zstd::zstd_safe::compress_bound(len)
}

/// Reads frames.
#[derive(Default)]
pub(super) struct Decoder {
    decompressor: Option<Decompressor<'static>>,
}

impl Decoder {
    /// Fills `room` with what the frames hold, at most `most` bytes.
    ///
    /// The library wants the room for all of it at once, and `most` may be a thousand times what is
    /// in fact there: so it is tried with little room first, and with more as long as that fails.
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        room: &mut Room<'_>,
        most: usize,
    ) -> Result<(), Fault> {
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            empty => empty.insert(Decompressor::new().map_err(|_| CORRUPT)?),
        };
        let mut len = input.len().saturating_mul(USUAL_RATIO).max(ROOM_MIN);
        loop {
            len = len.min(most);
            match decompressor.decompress_to_buffer(input, room.next(len)) {
                Ok(written) => {
                    room.advance(written);
                    return Ok(());
                }
                Err(error) if !error.to_string().contains(NO_ROOM) => return Err(CORRUPT),
                Err(_) if len == most => return Err(Fault::NoRoom),
                Err(_) => len = len.saturating_mul(4),
            }
        }
    }
}

const CORRUPT: Fault = Fault::Corrupt("not a zstd frame");
/// What the library says of too little room, in all of its releases.
const NO_ROOM: &str = "Destination buffer is too small";
/// Records rarely shrink to less than an eighth.
const USUAL_RATIO: usize = 8;
const ROOM_MIN: usize = 16 << 10;
