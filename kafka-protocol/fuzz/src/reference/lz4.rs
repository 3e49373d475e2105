//! LZ4 frames by the C library.

use std::io::Read as _;

use super::Refused;
use super::cursor::Cursor;

/// What the first frame of `data` holds. What follows it is nobody's, as in Kafka's own reader; the library
/// would go on with another frame.
pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let end = walk(data).map(|frame| data.len() - frame.behind.len());
    let first = &data[..end.unwrap_or(data.len())];
    let mut decoder = lz4::Decoder::new(first).map_err(|_| Refused::Corrupt)?;
    let mut output = Vec::new();
    let read = decoder
        .by_ref()
        .take(limit as u64 + 1)
        .read_to_end(&mut output);
    let (_, ended) = decoder.finish();
    if output.len() > limit {
        return Err(Refused::TooLarge);
    }
    if read.is_err() || ended.is_err() || end.is_none() {
        return Err(Refused::Corrupt);
    }
    Ok(output)
}

/// Whether the C library and Kafka's own reader take another view of this frame: blocks that depend on
/// each other, dictionaries, checksums and sizes of the content, frames to skip, end marks with the bit of a plain block. Copies from nowhere
/// before, which the format forbids, are zeros to the library; and it wants a block's last bytes to be
/// literals, which the format asks of writers alone.
pub fn may_differ(data: &[u8]) -> bool {
    let flags = data.get(4).copied().unwrap_or_default();
    !data.starts_with(&LZ4_MAGIC)
        || flags & 0x20 == 0
        || flags & 0x0d != 0
        || walk(data).is_some_and(|frame| {
            frame.has_odd_mark || frame.blocks.iter().any(|block| is_odd(block))
        })
}

/// A frame that has its end mark.
struct Frame<'a> {
    /// Those of its blocks that are compressed.
    blocks: Vec<&'a [u8]>,
    /// Whether its end mark bears the bit of a plain block, which makes it an empty block to the library.
    has_odd_mark: bool,
    behind: &'a [u8],
}

/// The first frame in `data`.
fn walk(data: &[u8]) -> Option<Frame<'_>> {
    let mut blocks = Vec::new();
    let mut cursor = Cursor(data);
    let flags = cursor.take(6)?[4];
    let _content_size = cursor.take(usize::from(flags & 8))?;
    let _header_checksum = cursor.byte()?;
    loop {
        let word = u32::from_le_bytes(cursor.take(4)?.try_into().ok()?);
        if word & 0x7fff_ffff == 0 {
            let _content_checksum = cursor.take(usize::from(flags & 4))?;
            return Some(Frame {
                blocks,
                has_odd_mark: word != 0,
                behind: cursor.0,
            });
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
