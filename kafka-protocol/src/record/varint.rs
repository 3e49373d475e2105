//! The zigzag varints of records, with fast paths for one and two bytes, which nearly all are.

/// Bytes of the longest varint of 32 bits.
pub(super) const VARINT_MAX: usize = 5;
/// Bytes of the longest varint of 64 bits.
pub(super) const VARLONG_MAX: usize = 10;

/// Bytes of `value` as a zigzag varint.
#[inline]
pub(super) const fn varint_len(value: i32) -> usize {
    varlong_len(value as i64)
}

/// Bytes of `value` as a zigzag varlong.
#[inline]
pub(super) const fn varlong_len(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Appends `value` as a zigzag varint.
#[inline]
pub(super) fn push_varint(output: &mut Vec<u8>, value: i32) {
    let zigzag = zigzag(i64::from(value));
    if zigzag < 0x80 {
        output.push(zigzag as u8);
        return;
    }
    let mut bytes = [0; VARINT_MAX];
    let len = put(&mut bytes, 0, zigzag);
    output.extend_from_slice(bytes.get(..len).unwrap_or_default());
}

/// Writes `value` as a zigzag varlong at `at` and gives the position behind it. A value of 32 bits
/// takes at most [`VARINT_MAX`] bytes; what does not fit is not written.
#[inline]
pub(super) fn put_varlong(bytes: &mut [u8], at: usize, value: i64) -> usize {
    put(bytes, at, zigzag(value))
}

/// What reads the fields of one record, front to back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[inline]
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The bytes not read yet.
    #[inline]
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// The next `len` bytes.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next varint of at most five bytes; like Kafka, drops the bits beyond the 32nd.
    #[inline]
    pub(super) fn varint(&mut self) -> Option<i32> {
        match *self.rest {
            [a, ref rest @ ..] if a < 0x80 => {
                self.rest = rest;
                Some(unzigzag32(u32::from(a)))
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.rest = rest;
                Some(unzigzag32(u32::from(a & 0x7f) | u32::from(b) << 7))
            }
            _ => self.long(VARINT_MAX).map(|raw| unzigzag32(raw as u32)),
        }
    }

    /// The next varint of at most ten bytes; like Kafka, drops the bits beyond the 64th.
    #[inline]
    pub(super) fn varlong(&mut self) -> Option<i64> {
        match *self.rest {
            [a, ref rest @ ..] if a < 0x80 => {
                self.rest = rest;
                Some(unzigzag64(u64::from(a)))
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.rest = rest;
                Some(unzigzag64(u64::from(a & 0x7f) | u64::from(b) << 7))
            }
            _ => self.long(VARLONG_MAX).map(unzigzag64),
        }
    }

    /// The next length and as many bytes; `None` inside for a negative length, which is null.
    #[inline]
    pub(super) fn nullable(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.varint()?) {
            Ok(len) => Some(Some(self.take(len)?)),
            Err(_) => Some(None),
        }
    }

    #[cold]
    fn long(&mut self, max: usize) -> Option<u64> {
        let mut value = 0;
        for (n, &byte) in self.rest.iter().take(max).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * n);
            if byte < 0x80 {
                self.rest = self.rest.get(n + 1..)?;
                return Some(value);
            }
        }
        None
    }
}

#[inline]
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
const fn unzigzag32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

#[inline]
const fn unzigzag64(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

#[inline]
fn put(bytes: &mut [u8], at: usize, raw: u64) -> usize {
    let Some(place) = bytes.get_mut(at..) else {
        return at;
    };
    match place {
        [a, ..] if raw < 0x80 => {
            *a = raw as u8;
            at + 1
        }
        [a, b, ..] if raw < 0x4000 => {
            *a = raw as u8 | 0x80;
            *b = (raw >> 7) as u8;
            at + 2
        }
        _ => put_long(place, at, raw),
    }
}

#[inline(never)]
fn put_long(place: &mut [u8], at: usize, mut raw: u64) -> usize {
    let mut len = 0;
    for byte in place {
        len += 1;
        if raw < 0x80 {
            *byte = raw as u8;
            break;
        }
        *byte = raw as u8 | 0x80;
        raw >>= 7;
    }
    at + len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_the_borders_come_back_in_as_many_bytes_as_told() {
        for (value, len) in [
            (0, 1),
            (-1, 1),
            (63, 1),
            (-64, 1),
            (64, 2),
            (-65, 2),
            (8191, 2),
            (-8192, 2),
            (8192, 3),
            (1_048_575, 3),
            (1_048_576, 4),
            (134_217_727, 4),
            (134_217_728, 5),
            (i32::MAX, 5),
            (i32::MIN, 5),
        ] {
            assert_eq!(varint_len(value), len, "{value}");
            let mut bytes = Vec::new();
            push_varint(&mut bytes, value);
            assert_eq!(bytes.len(), len, "{value}");
            let mut fields = Fields::new(&bytes);
            assert_eq!(fields.varint(), Some(value));
            assert!(fields.rest().is_empty());
        }
        for value in [i64::MIN, i64::MAX, 1 << 34, -(1 << 34) - 1, 1 << 41, -1, 0] {
            let mut bytes = [0; VARLONG_MAX];
            let len = put_varlong(&mut bytes, 0, value);
            assert_eq!(varlong_len(value), len, "{value}");
            let mut fields = Fields::new(&bytes[..len]);
            assert_eq!(fields.varlong(), Some(value));
            assert!(fields.rest().is_empty());
        }
        assert_eq!(varlong_len(i64::MIN), VARLONG_MAX);
    }

    #[test]
    fn endless_and_truncated_varints_are_refused() {
        for len in 0..20 {
            let bytes = vec![0xff; len];
            assert_eq!(Fields::new(&bytes).varint(), None);
            assert_eq!(Fields::new(&bytes).varlong(), None);
        }
        // Five bytes may carry bits that have no place, ten too.
        let mut fields = Fields::new(&[0xff, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(fields.varint(), Some(i32::MIN));
        let six = [0x80, 0x80, 0x80, 0x80, 0x80, 0];
        assert_eq!(Fields::new(&six).varint(), None);
        assert_eq!(Fields::new(&six).varlong(), Some(0));
        let mut eleven = [0x80; 11];
        eleven[10] = 0;
        assert_eq!(Fields::new(&eleven).varlong(), None);
    }
}
