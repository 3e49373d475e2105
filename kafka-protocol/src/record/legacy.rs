//! Message sets of magic 0 and 1, for reading only: what logs hold that were written before 2017.
//!
//! An entry of a set is one message, or a wrapper whose value is a compressed set. Either is
//! rewritten into records of magic 2, so that nobody above has to know of them.

mod head;
mod rewrite;
mod set;

use bytes::Bytes;

use crate::compression::{Compression, Decompressor, Lz4HeaderChecksum};
use crate::record::checksum::{self, crc32};
use crate::record::decoded::DecodedBatch;
use crate::record::error::RecordError;
use crate::record::header::{BatchHeader, TimestampType};
use crate::record::legacy::head::Head;
use crate::record::legacy::rewrite::rewrite;
use crate::record::legacy::set::{LENGTH_LEN, Message};

/// An outermost entry of a message set: one message, or a compressed set of them.
#[derive(Clone, Debug)]
pub struct LegacyBatch {
    bytes: Bytes,
    head: Head,
}

impl LegacyBatch {
    /// The least that the length field of an entry says: magic 0, no key, no value.
    pub(super) const LENGTH_MIN: i32 = Head::LENGTH_MIN;

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
    /// [`RecordErrorKind::Codec`](crate::record::RecordErrorKind::Codec) if the attributes name none.
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
    /// [`RecordErrorKind::Checksum`](crate::record::RecordErrorKind::Checksum) if it is not.
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        let covered = self.bytes.get(MAGIC_AT..).unwrap_or_default();
        checksum::verify(self.head.crc, crc32(covered), BatchHeader::LENGTH_PREFIX)
    }

    /// The messages of the entry as records of magic 2, with their own offsets and timestamps.
    ///
    /// Records take less room than the messages they were, so that a compressed set is rewritten in
    /// `buffer`, where it was decompressed.
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
        let magic = self.head.magic;
        let entry = Message::decode(&self.bytes, 0)?;
        if compression == Compression::None {
            let mut set = self.bytes.to_vec();
            let header = rewrite(&mut set, &self.head, entry.offset)?;
            return Ok(DecodedBatch::rewritten(magic, header, set));
        }
        if compression == Compression::Zstd {
            let reason = "zstd in a message of magic 0 or 1";
            return Err(RecordError::nesting(MAGIC_AT + 1, reason));
        }
        let Some(value) = entry.value else {
            let reason = "a compressed message without a value";
            return Err(RecordError::nesting(self.bytes.len() - LENGTH_LEN, reason));
        };
        let checksum = match magic {
            0 => Lz4HeaderChecksum::Ignored,
            _ => Lz4HeaderChecksum::Right,
        };
        let value_at = value.start;
        let wrapped = self.bytes.get(value).unwrap_or_default();
        decompressor
            .replace_from(compression, checksum, wrapped, buffer, limit)
            .map_err(|error| RecordError::compression(error, value_at))?;
        // As if the set stood decompressed where it stands.
        let header =
            rewrite(buffer, &self.head, self.head.offset).map_err(|error| RecordError {
                at: value_at + error.at,
                ..error
            })?;
        Ok(DecodedBatch::decompressed(
            magic,
            header,
            std::mem::take(buffer),
        ))
    }
}

const MAGIC_AT: usize = 16;
