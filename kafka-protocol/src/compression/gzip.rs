//! gzip: members of RFC 1952 around raw deflate streams, one after the other.
//!
//! The members are framed here, not in the deflate crate, so that its state can be used again: its
//! reset knows raw streams only.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use crate::compression::codec::Compression;
use crate::compression::error::CompressionError;
use crate::compression::room::Room;

/// Writes one member.
pub(super) struct Encoder {
    deflate: Compress,
}

impl Encoder {
    pub(super) fn new(level: Option<i32>) -> Self {
        let level = level.and_then(|level| u32::try_from(level).ok());
        let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
        Self {
            deflate: Compress::new(level, false),
        }
    }

    pub(super) fn compress(
        &mut self,
        input: &[u8],
        room: &mut Room<'_>,
    ) -> Result<(), CompressionError> {
        self.deflate.reset();
        room.push(&HEADER);
        // Most bodies shrink to less than half; those that do not cost one more turn of the loop.
        let mut len = input.len() / 2 + 64;
        loop {
            let taken = usize::try_from(self.deflate.total_in()).unwrap_or(usize::MAX);
            let rest = input.get(taken..).unwrap_or_default();
            let before = self.deflate.total_out();
            let status = self
                .deflate
                .compress(rest, room.next(len), FlushCompress::Finish)
                .map_err(|_| corrupt("deflate failed", 0))?;
            room.advance((self.deflate.total_out() - before) as usize);
            if status == Status::StreamEnd {
                break;
            }
            len = input.len() / 4 + 64;
        }
        room.push(&crc32(input).to_le_bytes());
        // The length counts modulo 2^32, as the format says.
        room.push(&(input.len() as u32).to_le_bytes());
        Ok(())
    }
}

/// Reads one member or more.
pub(super) struct Decoder {
    inflate: Decompress,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            inflate: Decompress::new(false),
        }
    }

    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        room: &mut Room<'_>,
    ) -> Result<(), CompressionError> {
        let at = |rest: &[u8]| input.len() - rest.len();
        let mut rest = input;
        loop {
            let body = skip_header(rest).map_err(|reason| corrupt(reason, at(rest)))?;
            let member = room.filled();
            let trailer = self.inflate_stream(body, at(body), room)?;
            let Some((&[c0, c1, c2, c3, l0, l1, l2, l3], behind)) = trailer.split_first_chunk()
            else {
                return Err(corrupt("the trailer is cut short", at(trailer)));
            };
            let content = room.since(member);
            if u32::from_le_bytes([c0, c1, c2, c3]) != crc32(content) {
                return Err(corrupt("wrong checksum", at(trailer)));
            }
            if u32::from_le_bytes([l0, l1, l2, l3]) != content.len() as u32 {
                return Err(corrupt("wrong length in the trailer", at(trailer)));
            }
            if behind.is_empty() {
                return Ok(());
            }
            rest = behind;
        }
    }

    /// Inflates the raw stream at the start of `body`, which stands at `at`; gives what follows it.
    fn inflate_stream<'a>(
        &mut self,
        body: &'a [u8],
        at: usize,
        room: &mut Room<'_>,
    ) -> Result<&'a [u8], CompressionError> {
        self.inflate.reset(false);
        let mut rest = body;
        loop {
            // The room grows with what came out and with what is there to come in, not with what the
            // trailer claims. One byte past the limit tells an exact fit from too much.
            let mut len = room.ready();
            if len < STEP_MIN {
                let input_len = rest.len().saturating_mul(USUAL_RATIO);
                len = STEP_MIN.max(room.filled()).max(input_len);
            }
            let place = room.next(len.min(room.left().saturating_add(1)));
            let (taken, produced) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(rest, place, FlushDecompress::None)
                .map_err(|_| corrupt("not a deflate stream", at))?;
            let taken = (self.inflate.total_in() - taken) as usize;
            let produced = (self.inflate.total_out() - produced) as usize;
            if produced > room.left() {
                return Err(CompressionError::TooLarge {
                    compression: Compression::Gzip,
                    limit: room.limit(),
                });
            }
            room.advance(produced);
            rest = rest.get(taken..).unwrap_or_default();
            if status == Status::StreamEnd {
                return Ok(rest);
            }
            if taken == 0 && produced == 0 {
                return Err(corrupt("the stream is cut short", at + body.len()));
            }
        }
    }
}

/// The bytes behind the member header at the start of `input`.
fn skip_header(input: &[u8]) -> Result<&[u8], &'static str> {
    let truncated = "the header is cut short";
    let (head, mut rest) = input.split_first_chunk::<10>().ok_or(truncated)?;
    let [0x1f, 0x8b, method, flags, ..] = *head else {
        return Err("wrong magic");
    };
    if method != DEFLATE {
        return Err("another method than deflate");
    }
    if flags & RESERVED != 0 {
        return Err("reserved flags are set");
    }
    if flags & EXTRA != 0 {
        let (len, behind) = rest.split_first_chunk::<2>().ok_or(truncated)?;
        rest = behind
            .get(usize::from(u16::from_le_bytes(*len))..)
            .ok_or(truncated)?;
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|&byte| byte == 0).ok_or(truncated)?;
            rest = rest.get(end + 1..).ok_or(truncated)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        let (crc, behind) = rest.split_first_chunk::<2>().ok_or(truncated)?;
        let header = input.len() - rest.len();
        // The lower half of the CRC-32 of all header bytes before it.
        if u16::from_le_bytes(*crc) != crc32(input.get(..header).unwrap_or_default()) as u16 {
            return Err("wrong header checksum");
        }
        rest = behind;
    }
    Ok(rest)
}

fn crc32(bytes: &[u8]) -> u32 {
    // The algorithm is a 32-bit one, so that the upper half of the result is always zero.
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

const fn corrupt(reason: &'static str, at: usize) -> CompressionError {
    CompressionError::Corrupt {
        compression: Compression::Gzip,
        reason,
        at,
    }
}

/// Magic, deflate, no flags, no time, no hints, unknown system: what Java writes too.
const HEADER: [u8; 10] = [0x1f, 0x8b, DEFLATE, 0, 0, 0, 0, 0, 0, 0xff];
const DEFLATE: u8 = 8;
const HEADER_CRC: u8 = 0x02;
const EXTRA: u8 = 0x04;
const NAME: u8 = 0x08;
const COMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;
/// The least room that a call of the decoder gets, in bytes.
const STEP_MIN: usize = 512;
/// Records rarely shrink to less than a third.
const USUAL_RATIO: usize = 3;
