//! gzip: members of RFC 1952 around raw deflate streams, one after the other.
//!
//! The members are framed here, not in the deflate crate, so that its state can be used again: its
//! reset knows raw streams only.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use crate::compression::codec::Compression;
use crate::compression::error::CompressionError;

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
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        self.deflate.reset();
        output.extend_from_slice(&HEADER);
        // Most bodies shrink to less than half; those that do not cost one more turn of the loop.
        output.reserve(input.len() / 2 + 64);
        loop {
            let taken = usize::try_from(self.deflate.total_in()).unwrap_or(usize::MAX);
            let rest = input.get(taken..).unwrap_or_default();
            match self
                .deflate
                .compress_vec(rest, output, FlushCompress::Finish)
            {
                Ok(Status::StreamEnd) => break,
                Ok(Status::Ok | Status::BufError) => output.reserve(input.len() / 4 + 64),
                Err(_) => return Err(corrupt("deflate failed")),
            }
        }
        output.extend_from_slice(&crc32(input).to_le_bytes());
        // The length counts modulo 2^32, as the format says.
        output.extend_from_slice(&(input.len() as u32).to_le_bytes());
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
        output: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CompressionError> {
        let start = output.len();
        let mut rest = input;
        loop {
            let body = skip_header(rest)?;
            let member = output.len();
            let taken = self.inflate_stream(body, output, start, limit)?;
            let Some((trailer, behind)) = body
                .get(taken..)
                .and_then(<[u8]>::split_first_chunk::<TRAILER_LEN>)
            else {
                return Err(corrupt("the trailer is cut short"));
            };
            let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
            let content = output.get(member..).unwrap_or_default();
            if u32::from_le_bytes([c0, c1, c2, c3]) != crc32(content) {
                return Err(corrupt("wrong checksum"));
            }
            if u32::from_le_bytes([l0, l1, l2, l3]) != content.len() as u32 {
                return Err(corrupt("wrong length in the trailer"));
            }
            if behind.is_empty() {
                return Ok(());
            }
            rest = behind;
        }
    }

    /// Inflates one raw stream to the end of `output`; says how much of `body` it took.
    fn inflate_stream(
        &mut self,
        body: &[u8],
        output: &mut Vec<u8>,
        start: usize,
        limit: usize,
    ) -> Result<usize, CompressionError> {
        self.inflate.reset(false);
        loop {
            let taken = usize::try_from(self.inflate.total_in()).unwrap_or(usize::MAX);
            let rest = body.get(taken..).unwrap_or_default();
            let produced = output.len() - start;
            if output.capacity() - output.len() < STEP_MIN {
                // Grows with what came out, not with what the trailer claims, and never by more
                // than one byte past the limit: that byte tells an exact fit from too much.
                let step = produced.max(rest.len().saturating_mul(3)).max(STEP_MIN);
                output.reserve_exact(step.min(limit.saturating_sub(produced).saturating_add(1)));
            }
            let before = output.len();
            let status = self
                .inflate
                .decompress_vec(rest, output, FlushDecompress::None)
                .map_err(|_| corrupt("not a deflate stream"))?;
            if output.len() - start > limit {
                return Err(CompressionError::TooLarge {
                    compression: Compression::Gzip,
                    limit,
                });
            }
            let after = usize::try_from(self.inflate.total_in()).unwrap_or(usize::MAX);
            if status == Status::StreamEnd {
                return Ok(after);
            }
            if after == taken && output.len() == before {
                return Err(corrupt("the stream is cut short"));
            }
        }
    }
}

/// The bytes behind the member header at the start of `input`.
fn skip_header(input: &[u8]) -> Result<&[u8], CompressionError> {
    let truncated = corrupt("the header is cut short");
    let (head, mut rest) = input.split_first_chunk::<10>().ok_or(truncated)?;
    let [0x1f, 0x8b, method, flags, ..] = *head else {
        return Err(corrupt("wrong magic"));
    };
    if method != DEFLATE {
        return Err(corrupt("another method than deflate"));
    }
    if flags & RESERVED != 0 {
        return Err(corrupt("reserved flags are set"));
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
            return Err(corrupt("wrong header checksum"));
        }
        rest = behind;
    }
    Ok(rest)
}

fn crc32(bytes: &[u8]) -> u32 {
    // The algorithm is a 32-bit one, so that the upper half of the result is always zero.
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

const fn corrupt(reason: &'static str) -> CompressionError {
    CompressionError::Corrupt {
        compression: Compression::Gzip,
        reason,
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
const TRAILER_LEN: usize = 8;
/// The least room that a call of the decoder gets, in bytes.
const STEP_MIN: usize = 512;
