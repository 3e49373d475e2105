//! LZ4 frames by the C library.

use std::io::Read as _;

use super::Refused;
use super::cursor::Cursor;

/// What the frame `data` holds.
pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let mut decoder = lz4::Decoder::new(data).map_err(|_| Refused::Corrupt)?;
    let mut output = Vec::new();
    let read = decoder
        .by_ref()
        .take(limit as u64 + 1)
        .read_to_end(&mut output);
    let (left, ended) = decoder.finish();
    if output.len() > limit {
        return Err(Refused::TooLarge);
    }
    // The binding may have read a byte too many, so that what is left is no proof.
    let is_whole = frame(data).is_some_and(|(_, behind)| behind.is_empty());
    if read.is_err() || ended.is_err() || !left.is_empty() || !is_whole {
        return Err(Refused::Corrupt);
    }
    Ok(output)
}

/// Whether the C library and Kafka's own reader take another view of this frame: blocks that depend on
/// each other, dictionaries, checksums and sizes of the content, frames to skip. Copies from nowhere
/// before, which the format forbids, are zeros to the library; and it wants a block's last bytes to be
/// literals, which the format asks of writers alone.
pub fn may_differ(data: &[u8]) -> bool {
    let flags = data.get(4).copied().unwrap_or_default();
    !data.starts_with(&LZ4_MAGIC)
        || flags & 0x20 == 0
        || flags & 0x0d != 0
        || frame(data).is_some_and(|(blocks, _)| blocks.iter().any(|block| is_odd(block)))
}

/// The compressed blocks of a frame, and what follows it.
fn frame(data: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut blocks = Vec::new();
    let mut cursor = Cursor(data);
    let flags = cursor.take(6)?[4];
    let _content_size = cursor.take(usize::from(flags & 8))?;
    let _header_checksum = cursor.byte()?;
    loop {
        let word = u32::from_le_bytes(cursor.take(4)?.try_into().ok()?);
        if word == 0 {
            let _content_checksum = cursor.take(usize::from(flags & 4))?;
            return Some((blocks, cursor.0));
        }
        let block = cursor.take((word & 0x7fff_ffff) as usize)?;
        if word >> 31 == 0 {
            blocks.push(block);
        }
        let _block_checksum = cursor.take(usize::from(flags >> 2 & 4))?;
    }
}

/// Whether one of the copies in a block has the distance 0, or too few literals follow the last.
fn is_odd(block: &[u8]) -> bool {
    let mut cursor = Cursor(block);
    let mut walk = || {
        let mut copies = 0;
        loop {
            let token = usize::from(cursor.byte()?);
            let literals = length(&mut cursor, token >> 4)?;
            cursor.take(literals)?;
            if cursor.0.is_empty() {
                return Some(copies > 0 && literals < LAST_LITERALS);
            }
            if cursor.take(2)? == [0, 0] {
                return Some(true);
            }
            length(&mut cursor, token & 15)?;
            copies += 1;
        }
    };
    // A block that ends within a sequence is refused by both.
    walk().unwrap_or(false)
}

/// A length of which the token tells the first 15.
fn length(cursor: &mut Cursor<'_>, first: usize) -> Option<usize> {
    let mut length = first;
    let mut more = first == 15;
    while more {
        let byte = cursor.byte()?;
        length += usize::from(byte);
        more = byte == 255;
    }
    Some(length)
}

/// How every frame begins.
pub const LZ4_MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
const LAST_LITERALS: usize = 5;
