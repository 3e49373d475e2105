//! What can be wrong with a batch that somebody else wrote.

use std::fmt;

use crate::compression::CompressionError;
use crate::record::header::{Attributes, HeaderError};

/// Why the bytes of a batch cannot be read, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordError {
    /// Bytes from the start of the batch to the place of the fault. In a compressed batch the
    /// records count as if they stood decompressed behind the header.
    pub at: usize,
    /// What is wrong there.
    pub kind: RecordErrorKind,
}

impl RecordError {
    pub(super) const fn new(at: usize, kind: RecordErrorKind) -> Self {
        Self { at, kind }
    }

    /// A message of old holds what it must not.
    pub(super) const fn nesting(at: usize, reason: &'static str) -> Self {
        Self::new(at, RecordErrorKind::Nesting(reason))
    }

    /// The compressed bytes, which begin at `at`, are refused.
    pub(super) const fn compression(error: CompressionError, at: usize) -> Self {
        let within = match error {
            CompressionError::Corrupt { at, .. } => at,
            _ => 0,
        };
        Self::new(at + within, RecordErrorKind::Compression(error))
    }

    /// The attributes, which stand at `at`, name no codec.
    pub(super) const fn codec(attributes: Attributes, at: usize) -> Self {
        Self::new(at, RecordErrorKind::Codec(attributes.bits() & 0x07))
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} of the batch", self.kind, self.at)
    }
}

/// Without a source: what the error of the header or of the codec says is part of its own text.
impl std::error::Error for RecordError {}

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordErrorKind {
    /// The header is none.
    Header(HeaderError),
    /// The batch is shorter than its length field says.
    Truncated {
        /// Bytes that the batch has by its own account.
        needed: usize,
        /// Bytes at hand.
        available: usize,
    },
    /// The checksum is not that of the bytes.
    Checksum {
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the bytes.
        actual: u32,
    },
    /// The attributes name a codec that does not exist.
    Codec(i16),
    /// The records cannot be decompressed.
    Compression(CompressionError),
    /// The last offset is before the first one, or beyond the range of offsets.
    LastOffsetDelta(i32),
    /// The count of records is negative.
    RecordCount(i32),
    /// The records end before as many were read as the header counts.
    RecordsMissing {
        /// How many the header counts.
        expected: i32,
        /// How many there are.
        actual: i32,
    },
    /// Bytes follow the last record that the header counts.
    BytesBehindRecords(usize),
    /// A record is longer than the bytes left, or of negative length.
    RecordLength(i32),
    /// A field of a record is longer than the record, or no varint.
    Field(&'static str),
    /// A record has more bytes than its fields.
    BytesBehindRecord(usize),
    /// The offset of a record lies outside the range of its batch.
    OffsetDelta(i32),
    /// A record has fewer than no headers, or more than bytes.
    HeaderCount(i32),
    /// A message of magic 0 or 1 is smaller than its fixed fields.
    MessageLength(i32),
    /// A compressed message of magic 0 or 1 holds something else than plain messages of its own
    /// magic.
    Nesting(&'static str),
    /// A control record is not one.
    Control(&'static str),
}

impl fmt::Display for RecordErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Truncated { needed, available } => {
                write!(f, "{available} bytes of a batch of {needed}")
            }
            Self::Checksum { expected, actual } => {
                write!(f, "checksum {actual:08x} where {expected:08x} is promised")
            }
            Self::Codec(code) => write!(f, "unknown codec {code}"),
            // Where is told as a place in the batch.
            Self::Compression(CompressionError::Corrupt {
                compression,
                reason,
                ..
            }) => write!(f, "corrupt {compression} data: {reason}"),
            Self::Compression(error) => error.fmt(f),
            Self::LastOffsetDelta(delta) => write!(f, "impossible last offset delta {delta}"),
            Self::RecordCount(count) => write!(f, "impossible record count {count}"),
            Self::RecordsMissing { expected, actual } => {
                write!(f, "{actual} records where {expected} are promised")
            }
            Self::BytesBehindRecords(len) => write!(f, "{len} bytes behind the last record"),
            Self::RecordLength(length) => write!(f, "impossible record length {length}"),
            Self::Field(name) => write!(f, "unreadable {name}"),
            Self::BytesBehindRecord(len) => {
                write!(f, "{len} bytes behind the fields of a record")
            }
            Self::OffsetDelta(delta) => write!(f, "offset delta {delta} outside the batch"),
            Self::HeaderCount(count) => write!(f, "impossible header count {count}"),
            Self::MessageLength(length) => write!(f, "impossible message length {length}"),
            Self::Nesting(reason) | Self::Control(reason) => f.write_str(reason),
        }
    }
}
