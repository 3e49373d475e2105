//! Unsigned integers of variable length: seven bits per byte, low bits first.

use crate::wire::limits::MAX_VARINT_LEN;

/// Appends `value`.
#[inline]
pub(crate) fn put(to: &mut Vec<u8>, value: u32) {
    if value < 0x80 {
        to.push(value as u8);
    } else {
        put_long(to, value);
    }
}

/// How many bytes `value` takes.
pub(crate) const fn len(value: u32) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// What the bytes at the start of a slice are.
pub(crate) enum Varint {
    /// A value, and how many bytes it takes.
    Value(u32, usize),
    /// The slice ends before the value does.
    Truncated,
    /// More than 32 bits.
    TooLong,
}

/// Reads the value at the start of `from`. Longer forms than needed are accepted, as Kafka does.
#[inline]
pub(crate) fn get(from: &[u8]) -> Varint {
    match *from {
        [a, ..] if a < 0x80 => Varint::Value(u32::from(a), 1),
        [a, b, ..] if b < 0x80 => Varint::Value(u32::from(a & 0x7f) | u32::from(b) << 7, 2),
        _ => get_long(from),
    }
}

fn put_long(to: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn get_long(from: &[u8]) -> Varint {
    let mut value = 0_u64;
    for (index, &byte) in from.iter().take(MAX_VARINT_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return match u32::try_from(value) {
                Ok(value) => Varint::Value(value, index + 1),
                Err(_) => Varint::TooLong,
            };
        }
    }
    if from.len() < MAX_VARINT_LEN {
        Varint::Truncated
    } else {
        Varint::TooLong
    }
}

#[cfg(test)]
mod tests {
    use super::{Varint, get, len, put};

    #[test]
    fn what_is_put_is_got_in_as_many_bytes_as_said() {
        let mut values = vec![0, 1, u32::MAX];
        for bits in 1..32 {
            values.extend([(1 << bits) - 1, 1 << bits, (1 << bits) + 1]);
        }
        for value in values {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            assert_eq!(bytes.len(), len(value), "{value}");
            bytes.push(0xff);
            assert!(matches!(get(&bytes), Varint::Value(v, n) if v == value && n == len(value)));
            for cut in 0..len(value) {
                assert!(matches!(get(&bytes[..cut]), Varint::Truncated), "{value}");
            }
        }
    }

    #[test]
    fn known_bytes() {
        let mut bytes = Vec::new();
        for value in [0, 127, 128, 300, 16_383, 16_384] {
            put(&mut bytes, value);
        }
        assert_eq!(bytes, [0, 127, 0x80, 1, 0xac, 2, 0xff, 0x7f, 0x80, 0x80, 1]);
    }

    #[test]
    fn more_than_32_bits_are_refused() {
        assert!(matches!(get(&[0xff; 11]), Varint::TooLong));
        assert!(matches!(get(&[0xff; 5]), Varint::TooLong));
        assert!(matches!(
            get(&[0x80, 0x80, 0x80, 0x80, 0x10]),
            Varint::TooLong
        ));
        assert!(matches!(
            get(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
            Varint::Value(u32::MAX, 5)
        ));
        assert!(matches!(get(&[0x80, 0x00]), Varint::Value(0, 2)));
    }
}
