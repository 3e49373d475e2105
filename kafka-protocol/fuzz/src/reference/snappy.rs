//! Snappy blocks, element by element, in xerial framing or alone.

use super::Refused;
use super::cursor::Cursor;

/// What `data` holds.
pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let mut output = Vec::new();
    if !data.starts_with(MAGIC) {
        block(data, &mut output, limit)?;
        return Ok(output);
    }
    let mut cursor = Cursor(data);
    while !cursor.0.is_empty() {
        if cursor.0.starts_with(MAGIC) {
            cursor.take(8);
            let version = cursor.int(4).ok_or(Refused::Corrupt)?;
            let _compatible = cursor.int(4).ok_or(Refused::Corrupt)?;
            if version < 1 {
                return Err(Refused::Corrupt);
            }
            continue;
        }
        let len = cursor.int(4).ok_or(Refused::Corrupt)?;
        let bytes = cursor.sized(len).flatten().ok_or(Refused::Corrupt)?;
        block(&bytes, &mut output, limit)?;
    }
    Ok(output)
}

fn block(data: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<(), Refused> {
    let mut cursor = Cursor(data);
    let len = cursor.unsigned(5).ok_or(Refused::Corrupt)?;
    // Two hundred million bytes of output need more input than any frame has.
    if len > data.len() as u128 * 22 {
        return Err(Refused::Corrupt);
    }
    let len = len as usize;
    if output.len() + len > limit {
        return Err(Refused::TooLarge);
    }
    let start = output.len();
    elements(&mut cursor, output, start, start + len).ok_or(Refused::Corrupt)?;
    if output.len() == start + len {
        Ok(())
    } else {
        Err(Refused::Corrupt)
    }
}

/// `None` if an element goes beyond the input, the output or what is behind it.
fn elements(cursor: &mut Cursor<'_>, output: &mut Vec<u8>, start: usize, end: usize) -> Option<()> {
    while !cursor.0.is_empty() {
        let tag = usize::from(cursor.byte()?);
        let (len, offset) = match tag & 3 {
            0 => {
                let more = (tag >> 2).saturating_sub(59);
                let len = if more == 0 {
                    tag >> 2
                } else {
                    little(cursor, more)?
                };
                let literal = cursor.take(len + 1)?;
                if output.len() + literal.len() > end {
                    return None;
                }
                output.extend_from_slice(literal);
                continue;
            }
            1 => ((tag >> 2 & 7) + 4, (tag >> 5) << 8 | little(cursor, 1)?),
            2 => ((tag >> 2) + 1, little(cursor, 2)?),
            _ => ((tag >> 2) + 1, little(cursor, 4)?),
        };
        if offset == 0 || offset > output.len() - start || output.len() + len > end {
            return None;
        }
        for _ in 0..len {
            output.push(output[output.len() - offset]);
        }
    }
    Some(())
}

fn little(cursor: &mut Cursor<'_>, len: usize) -> Option<usize> {
    let bytes = cursor.take(len)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | usize::from(*byte)),
    )
}

const MAGIC: &[u8] = b"\x82SNAPPY\0";
