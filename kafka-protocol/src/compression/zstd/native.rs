//! zstd by its own library, which is written in C: every level, and some more speed.

use zstd::bulk::{Compressor, Decompressor};

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
    /// Appends what the frames hold, at most `most` bytes.
    ///
    /// The library wants the room for all of it at once, and `most` may be a thousand times what is
    /// in fact there: so it is tried with little room first, and with more as long as that fails.
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        most: usize,
    ) -> Result<(), Fault> {
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            empty => empty.insert(Decompressor::new().map_err(|_| CORRUPT)?),
        };
        let at = output.len();
        let mut room = input.len().saturating_mul(USUAL_RATIO).max(ROOM_MIN);
        loop {
            room = room.min(most);
            output.truncate(at);
            output.resize(at + room, 0);
            let place = output.get_mut(at..).unwrap_or_default();
            match decompressor.decompress_to_buffer(input, place) {
                Ok(len) => {
                    output.truncate(at + len);
                    return Ok(());
                }
                Err(error) if !error.to_string().contains(NO_ROOM) => return Err(CORRUPT),
                Err(_) if room == most => return Err(Fault::NoRoom),
                Err(_) => room = room.saturating_mul(4),
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
