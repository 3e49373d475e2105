//! Message sets of magic 0 and 1, for reading only: what logs hold that were written before 2017.
//!
//! An entry of a set is one message, or a wrapper whose value is a compressed set. Either is
//! rewritten into records of magic 2, so that nobody above has to know of them.

use bytes::Bytes;

use crate::compression::{Compression, Decompressor, Lz4HeaderChecksum};
use crate::record::checksum::{self, crc32};
use crate::record::decoded::DecodedBatch;
use crate::record::encode::{BatchBuilder, BatchOptions};
use crate::record::error::{RecordError, RecordErrorKind};
use crate::record::header::{Attributes, BatchHeader, HeaderError, ProducerStamp, TimestampType};

/// An outermost entry of a message set: one message, or a compressed set of them.
#[derive(Clone, Debug)]
pub struct LegacyBatch {
    bytes: Bytes,
    head: Head,
}

impl LegacyBatch {
    /// The least that the length field of an entry says: magic 0, no key, no value.
    pub(super) const LENGTH_MIN: i32 = 14;

    /// The entry that `bytes` are, which begin with an offset and their length behind it.
    pub(super) fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let (head, _) = Head::decode(&bytes).map_err(|kind| RecordError::new(0, kind))?;
        Ok(Self { bytes, head })
    }

    /// 0 or 1.
    #[must_use]
    pub const fn magic(&self) -> i8 {
        self.head.magic
    }

    /// The offset of its last record.
    #[must_use]
    pub const fn last_offset(&self) -> i64 {
        self.head.offset
    }

    /// Its bytes, the offset and length in front included.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The codec of its records.
    ///
    /// # Errors
    ///
    /// [`RecordErrorKind::Codec`] if the attributes name none.
    pub fn compression(&self) -> Result<Compression, RecordError> {
        let attributes = self.head.attributes;
        attributes
            .compression()
            .ok_or_else(|| RecordError::codec(attributes, MAGIC_AT + 1))
    }

    /// Whose clock its timestamps are; `None` in magic 0, which has no timestamps.
    #[must_use]
    pub const fn timestamp_type(&self) -> Option<TimestampType> {
        match self.head.magic {
            0 => None,
            _ => Some(self.head.attributes.timestamp_type()),
        }
    }

    /// Whether the checksum of the entry is right; those of messages in a compressed set are covered
    /// by it.
    ///
    /// # Errors
    ///
    /// [`RecordErrorKind::Checksum`] if it is not.
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        let covered = self.bytes.get(MAGIC_AT..).unwrap_or_default();
        checksum::verify(self.head.crc, crc32(covered), BatchHeader::LENGTH_PREFIX)
    }

    /// The messages of the entry as records of magic 2, with their own offsets and timestamps.
    ///
    /// # Errors
    ///
    /// If a message cannot be read, the codec fails, or more than `limit` bytes come out.
    pub fn decompress(
        &self,
        decompressor: &mut Decompressor,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Result<DecodedBatch, RecordError> {
        let compression = self.compression()?;
        let (_, message) = Message::decode(&self.bytes)?;
        if compression == Compression::None {
            return rewrite(&self.head, std::iter::once(message), 0);
        }
        if compression == Compression::Zstd {
            return Err(nesting(0, "zstd in a message of magic 0 or 1"));
        }
        let wrapped = message
            .value
            .ok_or(nesting(0, "a compressed message without a value"))?;
        let checksum = match self.head.magic {
            0 => Lz4HeaderChecksum::Ignored,
            _ => Lz4HeaderChecksum::Right,
        };
        buffer.clear();
        decompressor
            .decompress_as(compression, checksum, wrapped, buffer, limit)
            .map_err(|error| RecordError::new(0, RecordErrorKind::Compression(error)))?;
        let messages = wrapped_messages(buffer, self.head.magic)?;
        let Some(last) = messages.last() else {
            return Err(nesting(0, "a compressed message without messages"));
        };
        // Offsets inside count from the first in magic 1, the outer offset being that of the last
        // one, or 0 if the set never passed through a broker.
        let base = match self.head.magic {
            1 if self.head.offset != 0 => self
                .head
                .offset
                .checked_sub(last.offset)
                .filter(|_| last.offset <= self.head.offset)
                .ok_or(nesting(0, "offsets that do not fit their wrapper"))?,
            _ => 0,
        };
        rewrite(&self.head, messages.iter().copied(), base)
    }
}

/// The fixed front of a message.
#[derive(Clone, Copy, Debug)]
struct Head {
    offset: i64,
    crc: u32,
    magic: i8,
    attributes: Attributes,
    timestamp: i64,
}

impl Head {
    /// Reads the front of a message; gives what follows it too.
    fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), RecordErrorKind> {
        let truncated = RecordErrorKind::Header(HeaderError::Truncated { len: bytes.len() });
        let (offset, rest) = bytes.split_first_chunk().ok_or(truncated)?;
        let (length, rest) = rest.split_first_chunk().ok_or(truncated)?;
        let (crc, rest) = rest.split_first_chunk().ok_or(truncated)?;
        let (&[magic, attributes], rest) = rest.split_first_chunk().ok_or(truncated)?;
        let magic = magic as i8;
        let minimum = match magic {
            0 => LegacyBatch::LENGTH_MIN,
            1 => LegacyBatch::LENGTH_MIN + TIMESTAMP_LEN,
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

/// A message with its own offset and timestamp.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    offset: i64,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Reads the message that `bytes` are.
    fn decode(bytes: &'a [u8]) -> Result<(Head, Self), RecordError> {
        let (head, rest) = Head::decode(bytes).map_err(|kind| RecordError::new(0, kind))?;
        let fault = |rest: &[u8], kind| RecordError::new(bytes.len() - rest.len(), kind);
        let (key, rest) =
            take_nullable(rest).ok_or_else(|| fault(rest, RecordErrorKind::Field("key")))?;
        let (value, rest) =
            take_nullable(rest).ok_or_else(|| fault(rest, RecordErrorKind::Field("value")))?;
        if !rest.is_empty() {
            return Err(fault(rest, RecordErrorKind::BytesBehindRecord(rest.len())));
        }
        let message = Self {
            offset: head.offset,
            timestamp: head.timestamp,
            key,
            value,
        };
        Ok((head, message))
    }
}

/// The messages of a decompressed set; one that is cut off at the end is left out, as Kafka does.
fn wrapped_messages(set: &[u8], magic: i8) -> Result<Vec<Message<'_>>, RecordError> {
    let mut messages = Vec::new();
    let mut rest = set;
    while let Some((front, _)) = rest.split_first_chunk::<{ BatchHeader::LENGTH_PREFIX }>() {
        let at = set.len() - rest.len();
        let [.., l0, l1, l2, l3] = *front;
        let length = i32::from_be_bytes([l0, l1, l2, l3]);
        if length < LegacyBatch::LENGTH_MIN {
            return Err(RecordError::new(at, RecordErrorKind::MessageLength(length)));
        }
        let Some((entry, behind)) =
            rest.split_at_checked(BatchHeader::LENGTH_PREFIX + length as usize)
        else {
            break;
        };
        let (head, message) = Message::decode(entry).map_err(|error| RecordError {
            at: at + error.at,
            ..error
        })?;
        if head.magic != magic {
            return Err(nesting(at, "a message of another magic than its wrapper"));
        }
        if head.attributes.compression() != Some(Compression::None) {
            return Err(nesting(at, "a compressed message inside another"));
        }
        messages.push(message);
        rest = behind;
    }
    Ok(messages)
}

/// The messages as a batch of magic 2 under a made-up header.
fn rewrite<'a>(
    head: &Head,
    messages: impl Iterator<Item = Message<'a>> + Clone,
    base: i64,
) -> Result<DecodedBatch, RecordError> {
    let misplaced = nesting(0, "offsets that do not fit their wrapper");
    let place = |message: &Message<'_>| base.checked_add(message.offset).ok_or(misplaced);
    let (mut base_offset, mut last_offset) = (i64::MAX, head.offset);
    for message in messages.clone() {
        let offset = place(&message)?;
        base_offset = base_offset.min(offset);
        last_offset = last_offset.max(offset);
    }
    let delta_of = |offset: i64| {
        let delta = offset.checked_sub(base_offset)?;
        i32::try_from(delta).ok()
    };
    let mut options = BatchOptions::new()
        .base_offset(base_offset)
        .last_offset_delta(delta_of(last_offset).ok_or(misplaced)?);
    if head.attributes.timestamp_type() == TimestampType::LogAppendTime && head.magic > 0 {
        options = options.log_append_time(head.timestamp);
    }
    let mut batch = BatchBuilder::new(Vec::new(), options);
    for message in messages {
        let delta = delta_of(place(&message)?).ok_or(misplaced)?;
        batch
            .append_at(delta, message.timestamp, message.key, message.value, [])
            .map_err(|_| nesting(0, "more messages than a batch can hold"))?;
    }
    let body = Bytes::from(batch.seal(ProducerStamp::NONE));
    let mut header = BatchHeader::decode(&body)
        .map_err(|error| RecordError::new(0, RecordErrorKind::Header(error)))?;
    header.attributes = header
        .attributes
        .with_compression(head.attributes.compression().unwrap_or_default());
    Ok(DecodedBatch::rewritten(
        head.magic,
        header,
        body.slice(BatchHeader::LEN..),
    ))
}

/// The next int32 length and as many bytes; null for a negative length.
fn take_nullable(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) => {
            let (field, rest) = rest.split_at_checked(length)?;
            Some((Some(field), rest))
        }
        Err(_) => Some((None, rest)),
    }
}

const fn nesting(at: usize, reason: &'static str) -> RecordError {
    RecordError::new(at, RecordErrorKind::Nesting(reason))
}

const MAGIC_AT: usize = 16;
const TIMESTAMP_LEN: i32 = 8;
const NO_TIMESTAMP: i64 = -1;
