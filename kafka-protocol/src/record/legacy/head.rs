//! The fixed front of a message of magic 0 or 1: its layout, and nothing about the fields behind it.

use crate::record::error::RecordErrorKind;
use crate::record::header::{Attributes, HeaderError};

/// The fixed front of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) offset: i64,
    pub(super) crc: u32,
    pub(super) magic: i8,
    pub(super) attributes: Attributes,
    pub(super) timestamp: i64,
}

impl Head {
    /// The least that the length field of a message says: magic 0, no key, no value.
    pub(super) const LENGTH_MIN: i32 = 14;

    /// Reads the front of a message; gives what follows it too.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), RecordErrorKind> {
        let truncated = RecordErrorKind::Header(HeaderError::Truncated { len: bytes.len() });
        let (offset, rest) = bytes.split_first_chunk().ok_or(truncated)?;
        let (length, rest) = rest.split_first_chunk().ok_or(truncated)?;
        let (crc, rest) = rest.split_first_chunk().ok_or(truncated)?;
        let (&[magic, attributes], rest) = rest.split_first_chunk().ok_or(truncated)?;
        let magic = magic as i8;
        let minimum = match magic {
            0 => Self::LENGTH_MIN,
            1 => Self::LENGTH_MIN + TIMESTAMP_LEN,
            _ => return Err(RecordErrorKind::Header(HeaderError::Magic(magic))),
        };
        let length = i32::from_be_bytes(*length);
        if length < minimum {
            return Err(RecordErrorKind::MessageLength(length));
        }
        let (timestamp, rest) = if magic == 0 {
            (NO_TIMESTAMP, rest)
        } else {
            let (timestamp, rest) = rest.split_first_chunk().ok_or(truncated)?;
            (i64::from_be_bytes(*timestamp), rest)
        };
        let head = Self {
            offset: i64::from_be_bytes(*offset),
            crc: u32::from_be_bytes(*crc),
            magic,
            attributes: Attributes::from_bits(i16::from(attributes)),
            timestamp,
        };
        Ok((head, rest))
    }
}

const TIMESTAMP_LEN: i32 = 8;
const NO_TIMESTAMP: i64 = -1;
