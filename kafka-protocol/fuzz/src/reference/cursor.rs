//! Numbers and lengths, one byte after the other.

/// What is left of some bytes.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        if len > self.0.len() {
            return None;
        }
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Some(taken)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    /// A big-endian number of `len` bytes with a sign.
    pub fn int(&mut self, len: usize) -> Option<i64> {
        let bytes = self.take(len)?;
        let mut value = i64::from(bytes[0] as i8);
        for byte in &bytes[1..] {
            value = value << 8 | i64::from(*byte);
        }
        Some(value)
    }

    /// A zigzag varint of at most five bytes; bits beyond the 32nd are lost.
    pub fn varint(&mut self) -> Option<i32> {
        let raw = self.unsigned(5)? as u32;
        Some((raw / 2) as i32 * if raw.is_multiple_of(2) { 1 } else { -1 } - (raw % 2) as i32)
    }

    /// A zigzag varint of at most ten bytes; bits beyond the 64th are lost.
    pub fn varlong(&mut self) -> Option<i64> {
        let raw = self.unsigned(10)? as u64;
        Some((raw / 2) as i64 * if raw.is_multiple_of(2) { 1 } else { -1 } - (raw % 2) as i64)
    }

    /// An unsigned varint of at most `max` bytes.
    pub fn unsigned(&mut self, max: usize) -> Option<u128> {
        let mut value = 0;
        for place in 0..max {
            let byte = self.byte()?;
            value += u128::from(byte % 128) << (7 * place);
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    /// As many bytes as a varint before them says; `Some(None)` if it is negative.
    pub fn sized_by_varint(&mut self) -> Option<Option<Vec<u8>>> {
        let len = self.varint()?;
        self.sized(i64::from(len))
    }

    /// `len` bytes; `Some(None)` if it is negative.
    pub fn sized(&mut self, len: i64) -> Option<Option<Vec<u8>>> {
        if len < 0 {
            return Some(None);
        }
        Some(Some(self.take(len as usize)?.to_vec()))
    }
}
