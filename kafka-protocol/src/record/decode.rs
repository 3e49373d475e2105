//! From the bytes of a fetch response to batches, and from a batch to its uncompressed body.
//!
//! Everything a consumer decides before it looks at records (what to fetch next, whether to skip a
//! batch) is in the headers; only [`Batch::decompress`] touches the records.

use bytes::Bytes;

use crate::compression::{Compression, Decompressor, Lz4HeaderChecksum};
use crate::record::checksum::{self, crc32c};
use crate::record::decoded::DecodedBatch;
use crate::record::error::{RecordError, RecordErrorKind};
use crate::record::header::{BatchHeader, HeaderError};
use crate::record::legacy::LegacyBatch;
use crate::record::read::Records;
use crate::wire::limits::MAX_BATCH_LEN;

/// The batches of a fetch response, a produce request or a log segment, in order.
///
/// A batch that is cut off at the end is not an error, since brokers cut where the size limit of the
/// fetch falls: the iterator ends before it, and [`Self::incomplete`] tells of it. After an error
/// the iterator ends, because nothing says where the next batch would begin.
///
/// ```
/// use bytes::Bytes;
/// use kafka_protocol::compression::{DECOMPRESSED_MAX, Decompressor};
/// use kafka_protocol::record::{BatchBuilder, BatchOptions, Batches, ProducerStamp};
///
/// let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
/// batch.append(1_760_000_000_000, Some(b"key"), Some(b"value"), [])?;
/// let bytes = Bytes::from(batch.seal(ProducerStamp::NONE));
///
/// let mut decompressor = Decompressor::new();
/// let mut buffer = Vec::new();
/// for batch in Batches::new(bytes) {
///     let batch = batch?;
///     batch.verify_crc()?;
///     let decoded = batch.decompress(&mut decompressor, &mut buffer, DECOMPRESSED_MAX)?;
///     for record in decoded.records() {
///         assert_eq!(record?.value, Some(b"value".as_slice()));
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
}

impl Batches {
    /// The batches in `bytes`.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    /// What is left of a batch that was cut off, if anything is. Meaningful at the end of the
    /// iteration; if there was no batch before it, the fetch has to be repeated with room for more.
    #[must_use]
    pub fn incomplete(&self) -> Option<Incomplete> {
        if self.rest.is_empty() {
            return None;
        }
        Some(Incomplete {
            available: self.rest.len(),
            needed: entry_len(&self.rest).ok().flatten(),
        })
    }

    /// The bytes not looked at yet.
    #[must_use]
    pub const fn remaining(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for Batches {
    type Item = Result<AnyBatch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = split(&mut self.rest).transpose()?;
        if result.is_err() {
            self.rest.clear();
        }
        Some(result)
    }
}

impl std::iter::FusedIterator for Batches {}

/// The start of a batch whose end is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// Bytes there are.
    pub available: usize,
    /// Bytes that the whole batch has; `None` if not even its length is there.
    pub needed: Option<usize>,
}

/// A batch of any magic.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyBatch {
    /// A batch of magic 2: all that brokers of today write.
    Current(Batch),
    /// An entry of a message set of magic 0 or 1, from the oldest logs.
    Legacy(LegacyBatch),
}

impl AnyBatch {
    /// 0, 1 or 2.
    #[must_use]
    pub const fn magic(&self) -> i8 {
        match self {
            Self::Current(_) => 2,
            Self::Legacy(batch) => batch.magic(),
        }
    }

    /// The offset of its last record.
    #[must_use]
    pub const fn last_offset(&self) -> i64 {
        match self {
            Self::Current(batch) => batch.header.last_offset(),
            Self::Legacy(batch) => batch.last_offset(),
        }
    }

    /// The offset behind the batch: where a reader goes on, whatever the batch still holds.
    #[must_use]
    pub const fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Its bytes, header and all.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        match self {
            Self::Current(batch) => &batch.bytes,
            Self::Legacy(batch) => batch.bytes(),
        }
    }

    /// The codec of its records.
    ///
    /// # Errors
    ///
    /// If the attributes name no codec.
    pub fn compression(&self) -> Result<Compression, RecordError> {
        match self {
            Self::Current(batch) => batch.compression(),
            Self::Legacy(batch) => batch.compression(),
        }
    }

    /// Whether the checksum is right.
    ///
    /// # Errors
    ///
    /// [`RecordErrorKind::Checksum`] if it is not.
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        match self {
            Self::Current(batch) => batch.verify_crc(),
            Self::Legacy(batch) => batch.verify_crc(),
        }
    }

    /// The batch with its records uncompressed; see [`Batch::decompress`]. The records of an old
    /// message set are rewritten in the form of today.
    ///
    /// # Errors
    ///
    /// As [`Batch::decompress`].
    pub fn decompress(
        &self,
        decompressor: &mut Decompressor,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Result<DecodedBatch, RecordError> {
        match self {
            Self::Current(batch) => batch.decompress(decompressor, buffer, limit),
            Self::Legacy(batch) => batch.decompress(decompressor, buffer, limit),
        }
    }
}

/// A whole batch of magic 2 as it came, its records still compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// The batch that `bytes` are, without a byte more or less.
    ///
    /// # Errors
    ///
    /// If they are not one batch of magic 2, or its header says what cannot be. Neither checksum
    /// nor records are looked at.
    pub fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let header = BatchHeader::decode(&bytes)
            .map_err(|error| RecordError::new(0, RecordErrorKind::Header(error)))?;
        if header.total_len() != bytes.len() {
            return Err(RecordError::new(
                BatchHeader::LENGTH_AT,
                RecordErrorKind::Truncated {
                    needed: header.total_len(),
                    available: bytes.len(),
                },
            ));
        }
        let delta = header.last_offset_delta;
        if delta < 0 || header.base_offset.checked_add(i64::from(delta)).is_none() {
            return Err(RecordError::new(
                BatchHeader::LAST_OFFSET_DELTA_AT,
                RecordErrorKind::LastOffsetDelta(delta),
            ));
        }
        if header.record_count < 0 {
            return Err(RecordError::new(
                BatchHeader::RECORD_COUNT_AT,
                RecordErrorKind::RecordCount(header.record_count),
            ));
        }
        Ok(Self { header, bytes })
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Its bytes, header and all.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its bytes, header and all.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The codec of its records.
    ///
    /// # Errors
    ///
    /// [`RecordErrorKind::Codec`] if the attributes name none.
    pub fn compression(&self) -> Result<Compression, RecordError> {
        let attributes = self.header.attributes;
        attributes
            .compression()
            .ok_or_else(|| RecordError::codec(attributes, BatchHeader::CRC_START))
    }

    /// Whether the checksum is right.
    ///
    /// # Errors
    ///
    /// [`RecordErrorKind::Checksum`] if it is not.
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        let covered = self.bytes.get(BatchHeader::CRC_START..).unwrap_or_default();
        checksum::verify(self.header.crc, crc32c(covered), BatchHeader::CRC_AT)
    }

    /// The batch with its records uncompressed.
    ///
    /// Without a codec this costs a reference count: the records stay where they are. With one they
    /// are decompressed once, into `buffer`, which is then taken away and left empty;
    /// [`DecodedBatch::into_buffer`] gives it back. `limit` is the most bytes that they may become,
    /// [`crate::compression::DECOMPRESSED_MAX`] for who knows no better.
    ///
    /// # Errors
    ///
    /// If the codec is unknown, not part of this build, or refuses the bytes, or if more than
    /// `limit` bytes come out. The records themselves are checked as they are read.
    pub fn decompress(
        &self,
        decompressor: &mut Decompressor,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Result<DecodedBatch, RecordError> {
        let compression = self.compression()?;
        // A header without records is all that compaction leaves of some batches: no stream at all.
        if compression == Compression::None || self.bytes.len() == BatchHeader::LEN {
            return Ok(DecodedBatch::borrowed(
                self.header,
                self.bytes.slice(BatchHeader::LEN..),
            ));
        }
        self.decompress_into(compression, decompressor, buffer, limit)?;
        Ok(DecodedBatch::decompressed(
            2,
            self.header,
            std::mem::take(buffer),
        ))
    }

    /// The records, borrowed from this batch, or from `buffer` if they have to be decompressed: for
    /// reading a batch once, here, without a buffer for each.
    ///
    /// # Errors
    ///
    /// As [`Self::decompress`].
    pub fn records<'a>(
        &'a self,
        decompressor: &mut Decompressor,
        buffer: &'a mut Vec<u8>,
        limit: usize,
    ) -> Result<Records<'a>, RecordError> {
        let compression = self.compression()?;
        let compressed = self.compressed();
        if compression == Compression::None || compressed.is_empty() {
            return Ok(Records::new(&self.header, compressed));
        }
        self.decompress_into(compression, decompressor, buffer, limit)?;
        Ok(Records::new(&self.header, buffer))
    }

    fn decompress_into(
        &self,
        compression: Compression,
        decompressor: &mut Decompressor,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), RecordError> {
        let checksum = Lz4HeaderChecksum::Right;
        decompressor
            .replace_from(compression, checksum, self.compressed(), buffer, limit)
            .map_err(|error| RecordError::compression(error, BatchHeader::LEN))
    }

    fn compressed(&self) -> &[u8] {
        self.bytes.get(BatchHeader::LEN..).unwrap_or_default()
    }
}

/// Cuts the first batch off `rest`; `None` if it is not whole.
fn split(rest: &mut Bytes) -> Result<Option<AnyBatch>, RecordError> {
    let Some(len) = entry_len(rest)? else {
        return Ok(None);
    };
    let Some(&magic) = rest.get(MAGIC_AT) else {
        return Ok(None);
    };
    if !(0..=2).contains(&(magic as i8)) {
        return Err(RecordError::new(
            MAGIC_AT,
            RecordErrorKind::Header(HeaderError::Magic(magic as i8)),
        ));
    }
    if rest.len() < len {
        return Ok(None);
    }
    let bytes = rest.split_to(len);
    Ok(Some(if magic == 2 {
        AnyBatch::Current(Batch::decode(bytes)?)
    } else {
        AnyBatch::Legacy(LegacyBatch::decode(bytes)?)
    }))
}

/// Bytes of the whole batch that `bytes` begin with; `None` if its length is not there.
fn entry_len(bytes: &[u8]) -> Result<Option<usize>, RecordError> {
    let Some(([.., l0, l1, l2, l3], _)) =
        bytes.split_first_chunk::<{ BatchHeader::LENGTH_PREFIX }>()
    else {
        return Ok(None);
    };
    let length = i32::from_be_bytes([*l0, *l1, *l2, *l3]);
    // Of all magics, 0 has the smallest entries. No batch has 2 GiB: to wait for the rest of one would
    // mean to wait for ever.
    if !(LegacyBatch::LENGTH_MIN..=LENGTH_MAX).contains(&length) {
        return Err(RecordError::new(
            BatchHeader::LENGTH_AT,
            RecordErrorKind::Header(HeaderError::Length(length)),
        ));
    }
    Ok(Some(BatchHeader::LENGTH_PREFIX + length as usize))
}

/// What the length field says in the largest batch.
const LENGTH_MAX: i32 = (MAX_BATCH_LEN - BatchHeader::LENGTH_PREFIX) as i32;
/// Where the magic stands in batches and messages alike.
const MAGIC_AT: usize = 16;

#[cfg(test)]
mod tests;
