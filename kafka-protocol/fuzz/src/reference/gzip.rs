//! gzip members around another crate's inflate.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress as inflate_some};

use super::Refused;
use super::checksum::crc32;
use super::cursor::Cursor;

/// What the members of `data` hold.
pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let mut output = Vec::new();
    let mut rest = data;
    loop {
        let body = skip_header(rest).ok_or(Refused::Corrupt)?;
        let (content, taken) = inflate(body, limit - output.len())?;
        let trailer = body[taken..].get(..8).ok_or(Refused::Corrupt)?;
        let sums = [
            crc32(&content).to_le_bytes(),
            (content.len() as u32).to_le_bytes(),
        ];
        if trailer != sums.concat() {
            return Err(Refused::Corrupt);
        }
        output.extend(content);
        rest = &body[taken + 8..];
        if rest.is_empty() {
            return Ok(output);
        }
    }
}

/// What follows the header of a member.
pub fn skip_header(member: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor(member);
    let head = cursor.take(10)?;
    let flags = head[3];
    if head[..3] != [0x1f, 0x8b, 8] || flags >= 0x20 {
        return None;
    }
    if flags & 4 != 0 {
        let len = cursor.take(2)?;
        cursor.take(usize::from(len[0]) + usize::from(len[1]) * 256)?;
    }
    for flag in [8, 16] {
        while flags & flag != 0 && cursor.byte()? != 0 {}
    }
    if flags & 2 != 0 {
        let covered = &member[..member.len() - cursor.0.len()];
        let crc = cursor.take(2)?;
        if crc != &crc32(covered).to_le_bytes()[..2] {
            return None;
        }
    }
    Some(cursor.0)
}

/// What a raw stream holds, and how many bytes it takes.
pub fn inflate(data: &[u8], limit: usize) -> Result<(Vec<u8>, usize), Refused> {
    let mut inflater = Box::new(DecompressorOxide::new());
    // Small, since there may be many members.
    let mut output = vec![0; limit.min(256) + 1];
    let (mut taken, mut made) = (0, 0);
    loop {
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, read, written) =
            inflate_some(&mut inflater, &data[taken..], &mut output, made, flags);
        taken += read;
        made += written;
        if made > limit {
            return Err(Refused::TooLarge);
        }
        match status {
            TINFLStatus::Done => {
                output.truncate(made);
                return Ok((output, taken));
            }
            TINFLStatus::HasMoreOutput => output.resize((2 * output.len()).min(limit + 1), 0),
            _ => return Err(Refused::Corrupt),
        }
    }
}
