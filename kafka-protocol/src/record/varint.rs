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

/// Appends `value` as a zigzag varlong; one of 32 bits is a varint by that.
#[inline]
pub(super) fn push_varlong(output: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        output.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    output.push(raw as u8);
}

/// Up to eight bytes of small varints in one word, so that several of them are written at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    bytes: u64,
    bits: u32,
}

impl Packed {
    /// Zigzag values from here on take more than three bytes, and are not packed.
    pub(super) const LIMIT: u64 = 1 << 21;
    /// No bytes.
    pub(super) const EMPTY: Self = Self { bytes: 0, bits: 0 };
    /// The number 0.
    pub(super) const ZERO: Self = Self { bytes: 0, bits: 8 };
    /// The number -1, which stands for null.
    pub(super) const NULL: Self = Self { bytes: 1, bits: 8 };

    /// A number whose zigzag form is below [`Self::LIMIT`].
    #[inline(always)]
    pub(super) const fn of(value: i64) -> Self {
        let raw = zigzag(value);
        if raw < 0x80 {
            return Self {
                bytes: raw,
                bits: 8,
            };
        }
        let two = (raw & 0x7f) | 0x80 | (raw << 1) & 0x7f00;
        if raw < 0x4000 {
            return Self {
                bytes: two,
                bits: 16,
            };
        }
        Self {
            bytes: two | 0x8000 | (raw << 2) & 0x7f_0000,
            bits: 24,
        }
    }

    /// These bytes and then those of `next`; eight together at most.
    #[inline(always)]
    pub(super) const fn then(self, next: Self) -> Self {
        Self {
            bytes: self.bytes | next.bytes << self.bits,
            bits: self.bits + next.bits,
        }
    }

    /// How many bytes there are.
    #[inline(always)]
    pub(super) const fn len(self) -> usize {
        (self.bits / 8) as usize
    }

    /// Appends the bytes: as a whole word, cut to what was meant, which takes one store and no call.
    #[inline(always)]
    pub(super) fn push(self, output: &mut Vec<u8>) {
        let len = output.len() + self.len();
        output.extend_from_slice(&self.bytes.to_le_bytes());
        output.truncate(len);
    }
}

/// Room for five numbers of up to three bytes.
const FRONT_LEN: usize = 16;

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
    #[inline(always)]
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// The next `len` bytes.
    #[inline(always)]
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next varint of at most five bytes; like Kafka, drops the bits beyond the 32nd.
    #[inline(always)]
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
            _ => {
                let (raw, rest) = long(self.rest, VARINT_MAX)?;
                self.rest = rest;
                Some(unzigzag32(raw as u32))
            }
        }
    }

    /// The next varint of at most ten bytes; like Kafka, drops the bits beyond the 64th.
    #[inline(always)]
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
            _ => {
                let (raw, rest) = long(self.rest, VARLONG_MAX)?;
                self.rest = rest;
                Some(unzigzag64(raw))
            }
        }
    }

    /// The next length and as many bytes; `None` inside for a negative length, which is null.
    #[inline(always)]
    pub(super) fn nullable(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.varint()?) {
            Ok(len) => Some(Some(self.take(len)?)),
            Err(_) => Some(None),
        }
    }
}

/// The varint of at most `max` bytes that `bytes` begin with, and what follows it. Given the bytes and not
/// what reads them, whose address would have to be that of memory then.
#[cold]
fn long(bytes: &[u8], max: usize) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (n, &byte) in bytes.iter().take(max).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte < 0x80 {
            return Some((value, bytes.get(n + 1..)?));
        }
    }
    None
}

/// The number whose lowest bit is the sign.
#[inline(always)]
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Reads the small numbers at the front of a record: since as many bytes as they can take are known
/// to be there, none of them is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Front<'a> {
    bytes: &'a [u8; FRONT_LEN],
    at: usize,
}

impl<'a> Front<'a> {
    /// The front of `bytes`; `None` if there are too few.
    #[inline(always)]
    pub(super) const fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first_chunk() {
            Some(bytes) => Some(Self { bytes, at: 0 }),
            None => None,
        }
    }

    /// Bytes read so far.
    #[inline(always)]
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// Goes past a byte.
    #[inline(always)]
    pub(super) const fn skip_byte(&mut self) {
        self.at += 1;
    }

    /// The next varint; `None` if it takes more than three bytes. Not to be called more than five
    /// times: it would begin again at the first byte.
    #[inline(always)]
    pub(super) const fn varint(&mut self) -> Option<i32> {
        let first = self.byte();
        if first < 0x80 {
            return Some(unzigzag32(first));
        }
        let second = self.byte();
        if second < 0x80 {
            return Some(unzigzag32(first & 0x7f | second << 7));
        }
        let third = self.byte();
        if third < 0x80 {
            return Some(unzigzag32(
                first & 0x7f | (second & 0x7f) << 7 | third << 14,
            ));
        }
        None
    }

    #[inline(always)]
    #[expect(
        clippy::indexing_slicing,
        reason = "the mask keeps the position in range"
    )]
    const fn byte(&mut self) -> u32 {
        let byte = self.bytes[self.at & (FRONT_LEN - 1)];
        self.at += 1;
        byte as u32
    }
}

#[inline]
const fn unzigzag32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

#[inline]
const fn unzigzag64(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
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
            push_varlong(&mut bytes, i64::from(value));
            assert_eq!(bytes.len(), len, "{value}");
            let mut fields = Fields::new(&bytes);
            assert_eq!(fields.varint(), Some(value));
            assert!(fields.rest().is_empty());
        }
        for value in [i64::MIN, i64::MAX, 1 << 34, -(1 << 34) - 1, 1 << 41, -1, 0] {
            let mut bytes = Vec::new();
            push_varlong(&mut bytes, value);
            assert_eq!(varlong_len(value), bytes.len(), "{value}");
            let mut fields = Fields::new(&bytes);
            assert_eq!(fields.varlong(), Some(value));
            assert!(fields.rest().is_empty());
        }
        assert_eq!(varlong_len(i64::MIN), VARLONG_MAX);
    }

    #[test]
    fn packed_numbers_are_the_same_bytes() {
        let small = [0, -1, 63, -64, 64, 8191, -8192, 8192, 1_048_575, -1_048_576];
        for first in small {
            for second in small {
                let mut bytes = vec![9];
                push_varlong(&mut bytes, first);
                push_varlong(&mut bytes, second);
                let packed = Packed::of(first).then(Packed::of(second));
                let mut output = vec![9];
                packed.push(&mut output);
                assert_eq!(output, bytes, "{first} {second}");
                assert_eq!(packed.len(), bytes.len() - 1);
            }
        }
        let mut output = Vec::new();
        Packed::EMPTY
            .then(Packed::ZERO)
            .then(Packed::NULL)
            .push(&mut output);
        assert_eq!(output, [0, 1]);
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
