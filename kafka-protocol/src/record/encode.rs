//! Writing a batch of magic 2: records straight into the bytes that will be sent.
//!
//! Knows nothing of partitions, lingering or sending. The buffer comes from the caller and goes back
//! to it, so that it can be pooled.

use std::fmt;

use crate::compression::{Compression, CompressionError, Compressor};
use crate::record::header::{Attributes, BatchHeader, ProducerStamp, TimestampType};
use crate::record::patch;
use crate::record::varint::{Packed, push_varlong, varint_len, varlong_len, zigzag};
use crate::wire::limits::{DECOMPRESSED_MAX, MAX_BATCH_LEN};

/// What is known of a batch before its first record. The default is a producer's plain batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchOptions {
    base_offset: i64,
    leader_epoch: i32,
    attributes: Attributes,
    base_timestamp: Option<i64>,
    max_timestamp: Option<i64>,
    last_offset_delta: Option<i32>,
    max_len: usize,
}

impl BatchOptions {
    /// A producer's plain batch.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            base_offset: 0,
            leader_epoch: -1,
            attributes: Attributes::from_bits(0),
            base_timestamp: None,
            max_timestamp: None,
            last_offset_delta: None,
            max_len: MAX_BATCH_LEN,
        }
    }

    /// The offset of the first record; 0 by default, since the leader assigns it.
    #[must_use]
    pub const fn base_offset(mut self, base_offset: i64) -> Self {
        self.base_offset = base_offset;
        self
    }

    /// The epoch of the leader that appends the batch; -1 by default.
    #[must_use]
    pub const fn leader_epoch(mut self, leader_epoch: i32) -> Self {
        self.leader_epoch = leader_epoch;
        self
    }

    /// The attribute bits; none by default. The codec is set by the sealing, whatever stands here.
    #[must_use]
    pub const fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// The batch belongs to a transaction; it does not by default.
    #[must_use]
    pub const fn transactional(mut self) -> Self {
        self.attributes = self.attributes.with_transactional();
        self
    }

    /// The batch holds a control record; it does not by default.
    #[must_use]
    pub const fn control(mut self) -> Self {
        self.attributes = self.attributes.with_control();
        self
    }

    /// The timestamp that all others count from, in milliseconds; by default that of the first
    /// record.
    #[must_use]
    pub const fn base_timestamp(mut self, base_timestamp: i64) -> Self {
        self.base_timestamp = Some(base_timestamp);
        self
    }

    /// Every record has the timestamp of the append, in milliseconds.
    #[must_use]
    pub const fn log_append_time(mut self, timestamp: i64) -> Self {
        self.attributes = self
            .attributes
            .with_timestamp_type(TimestampType::LogAppendTime);
        self.max_timestamp = Some(timestamp);
        self
    }

    /// The highest timestamp that the header tells, in milliseconds; by default that of the records. A
    /// batch that lost records, or all of them, to compaction keeps the one it had.
    #[must_use]
    pub const fn max_timestamp(mut self, max_timestamp: i64) -> Self {
        self.max_timestamp = Some(max_timestamp);
        self
    }

    /// The last offset of the batch less its first, if records that stood there are gone; by default
    /// that of the last record. One that is negative, or beyond the range of offsets, is taken for the
    /// nearest that is possible.
    #[must_use]
    pub const fn last_offset_delta(mut self, last_offset_delta: i32) -> Self {
        self.last_offset_delta = Some(last_offset_delta);
        self
    }

    /// The most bytes of the whole batch, header included and before compression; by default what
    /// is read, a byte less than 2 GiB. More is taken for that.
    #[must_use]
    pub const fn max_len(mut self, max_len: usize) -> Self {
        self.max_len = if max_len < MAX_BATCH_LEN {
            max_len
        } else {
            MAX_BATCH_LEN
        };
        self
    }
}

impl BatchOptions {
    /// The highest offset that a record may have, counted from the base offset.
    fn offset_delta_max(&self) -> i32 {
        let told = self.last_offset_delta.unwrap_or(i32::MAX).max(0);
        let possible = i64::MAX.saturating_sub(self.base_offset);
        i32::try_from(possible).map_or(told, |possible| told.min(possible))
    }
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a record was not appended; the batch is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// The batch would become larger than its maximum. In an empty batch: the record is too large.
    Full {
        /// Bytes of the batch with the record.
        needed: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The offset of the record is before that of the batch, behind the last one that its options tell,
    /// or beyond the range of offsets.
    OffsetDelta(i32),
    /// The headers were not as many as their iterator told, or not the same when it was cloned.
    Headers,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { needed, max } => {
                write!(f, "batch of {needed} bytes where {max} are allowed")
            }
            Self::OffsetDelta(delta) => write!(f, "offset delta {delta} is outside the batch"),
            Self::Headers => f.write_str("the iterator of headers contradicts itself"),
        }
    }
}

impl std::error::Error for AppendError {}

/// A batch that is being filled.
///
/// ```
/// use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};
///
/// let mut batch = BatchBuilder::new(Vec::with_capacity(16 << 10), BatchOptions::new());
/// batch.append(1_760_000_000_000, Some(b"key"), Some(b"value"), [])?;
/// batch.append(1_760_000_000_001, None, Some(b"value"), [("trace", Some(b"1".as_slice()))])?;
/// assert_eq!(batch.count(), 2);
/// let bytes = batch.seal(ProducerStamp::NONE);
/// assert_eq!(bytes.len(), 61 + 15 + 20);
/// # Ok::<(), kafka_protocol::record::AppendError>(())
/// ```
pub struct BatchBuilder {
    /// Room for the header, then records.
    buffer: Vec<u8>,
    options: BatchOptions,
    base_timestamp: i64,
    max_timestamp: i64,
    last_offset_delta: i32,
    /// The highest offset that a record may have, counted from the base offset.
    offset_delta_max: i32,
    count: i32,
}

impl BatchBuilder {
    /// An empty batch in `buffer`, which is cleared but keeps its capacity.
    #[must_use]
    pub fn new(mut buffer: Vec<u8>, options: BatchOptions) -> Self {
        buffer.clear();
        buffer.resize(BatchHeader::LEN, 0);
        Self {
            buffer,
            options,
            base_timestamp: options.base_timestamp.unwrap_or(NO_TIMESTAMP),
            max_timestamp: NO_TIMESTAMP,
            last_offset_delta: -1,
            offset_delta_max: options.offset_delta_max(),
            count: 0,
        }
    }

    /// Bytes of the batch so far, header included: what [`Self::seal`] would give.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.buffer.len()
    }

    /// How many records it holds.
    #[inline]
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count as u32
    }

    /// Whether it holds no record.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The timestamp that the deltas count from; -1 as long as there is none.
    #[must_use]
    pub const fn base_timestamp(&self) -> i64 {
        self.base_timestamp
    }

    /// The highest timestamp appended; -1 as long as there is none.
    #[must_use]
    pub const fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// The most bytes that [`Self::len`] may become.
    #[must_use]
    pub const fn max_len(&self) -> usize {
        self.options.max_len
    }

    /// Sets the most bytes that [`Self::len`] may become; it may grow while the batch waits.
    pub const fn set_max_len(&mut self, max_len: usize) {
        self.options = self.options.max_len(max_len);
    }

    /// Bytes that [`Self::append`] would add for this record: exact, and without writing it.
    #[must_use]
    pub fn record_len<'h, H>(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> usize
    where
        H: IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
        H::IntoIter: ExactSizeIterator,
    {
        let delta = timestamp.wrapping_sub(self.base_for(timestamp));
        record_len(delta, self.next_offset_delta(), key, value, headers)
    }

    /// Appends a record at the offset behind the last one. Gives the bytes that it took.
    ///
    /// `timestamp` is in milliseconds. Null and empty keys, values and header values are different.
    /// The record's index in the batch is [`Self::count`] before the call.
    ///
    /// # Errors
    ///
    /// [`AppendError::Full`] if the batch would become larger than [`Self::max_len`], and the others of
    /// [`AppendError`] if it would become one that no reader takes. The batch is then as it was.
    #[inline]
    pub fn append<'h, H>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Result<usize, AppendError>
    where
        H: IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
        H::IntoIter: ExactSizeIterator + Clone,
    {
        self.append_at(self.next_offset_delta(), timestamp, key, value, headers)
    }

    /// Appends a record at an offset of its own, counted from the base offset: for batches from
    /// which compaction took records. Offsets are meant to rise; that they do is the caller's care.
    ///
    /// # Errors
    ///
    /// [`AppendError::OffsetDelta`] if `offset_delta` is negative or too high, and as [`Self::append`].
    #[inline]
    pub fn append_at<'h, H>(
        &mut self,
        offset_delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: H,
    ) -> Result<usize, AppendError>
    where
        H: IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
        H::IntoIter: ExactSizeIterator + Clone,
    {
        // One comparison, since what is negative becomes more than the highest there is.
        if offset_delta as u32 > self.offset_delta_max as u32 {
            return Err(AppendError::OffsetDelta(offset_delta));
        }
        let headers = headers.into_iter();
        let base_timestamp = self.base_for(timestamp);
        let record = Fields {
            timestamp_delta: timestamp.wrapping_sub(base_timestamp),
            offset_delta,
            key,
            value,
            headers_len: headers_len(headers.clone()),
        };
        let before = self.buffer.len();
        let end = if record.is_small() {
            record.push_small(&mut self.buffer, self.options.max_len)?
        } else {
            record.push(&mut self.buffer, self.options.max_len)?
        };
        let is_whole = push_headers(&mut self.buffer, headers);
        if !is_whole || self.buffer.len() != end {
            self.buffer.truncate(before);
            return Err(AppendError::Headers);
        }

        self.base_timestamp = base_timestamp;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset_delta = self.last_offset_delta.max(offset_delta);
        self.count += 1;
        Ok(self.buffer.len() - before)
    }

    /// Finishes the batch without compression: fills in header and checksum, in place.
    ///
    /// A batch without a record is an empty one, as compaction leaves behind.
    #[must_use]
    pub fn seal(mut self, stamp: ProducerStamp) -> Vec<u8> {
        let header = self.header(self.buffer.len(), Attributes::default(), stamp);
        patch::seal(&mut self.buffer, header);
        self.buffer
    }

    /// Finishes the batch with its records compressed, into `output`, which is cleared first.
    ///
    /// The batch itself stays as it is: [`Self::into_buffer`] gives its buffer back to the pool.
    ///
    /// # Errors
    ///
    /// [`CompressionError::TooLarge`] if there are more than [`DECOMPRESSED_MAX`] bytes of records, which
    /// readers would refuse to decompress; and if the codec refuses them, which none does.
    pub fn seal_compressed(
        &self,
        stamp: ProducerStamp,
        compressor: &mut Compressor,
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let compression = compressor.compression();
        let records = self.buffer.get(BatchHeader::LEN..).unwrap_or_default();
        if compression != Compression::None && records.len() > DECOMPRESSED_MAX {
            return Err(CompressionError::TooLarge {
                compression,
                limit: DECOMPRESSED_MAX,
            });
        }
        // What else stands in the output is left there for the codec to write over.
        output.resize(output.len().max(BatchHeader::LEN), 0);
        compressor.compress_at(BatchHeader::LEN, records, output)?;
        let codec = Attributes::default().with_compression(compression);
        let header = self.header(output.len(), codec, stamp);
        patch::seal(output, header);
        Ok(())
    }

    /// The buffer, to be used again.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    #[inline]
    const fn next_offset_delta(&self) -> i32 {
        // Cannot wrap: a record takes seven bytes and a batch has less than 2^31 of them. Only an
        // offset given by the caller can be so high, and then the result is refused as negative.
        self.last_offset_delta.wrapping_add(1)
    }

    #[inline]
    const fn base_for(&self, timestamp: i64) -> i64 {
        if self.count == 0 && self.options.base_timestamp.is_none() {
            timestamp
        } else {
            self.base_timestamp
        }
    }

    fn header(&self, total_len: usize, codec: Attributes, stamp: ProducerStamp) -> BatchHeader {
        let compression = codec.compression().unwrap_or_default();
        BatchHeader {
            base_offset: self.options.base_offset,
            // At most MAX_BATCH_LEN, see there.
            batch_length: (total_len - BatchHeader::LENGTH_PREFIX) as i32,
            partition_leader_epoch: self.options.leader_epoch,
            crc: 0,
            attributes: self.options.attributes.with_compression(compression),
            last_offset_delta: match self.options.last_offset_delta {
                Some(_) => self.offset_delta_max,
                None => self.last_offset_delta.max(0),
            },
            base_timestamp: self.base_timestamp,
            max_timestamp: self.options.max_timestamp.unwrap_or(self.max_timestamp),
            producer_id: stamp.producer_id,
            producer_epoch: stamp.producer_epoch,
            base_sequence: stamp.base_sequence,
            record_count: self.count,
        }
    }
}

impl fmt::Debug for BatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchBuilder")
            .field("len", &self.len())
            .field("count", &self.count)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Bytes of a record in a batch: exact, its own length field included.
///
/// `timestamp_delta` counts from the base timestamp of the batch and `offset_delta` from its base
/// offset; both are 0 for the first record.
#[must_use]
pub fn record_len<'h, H>(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: H,
) -> usize
where
    H: IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
    H::IntoIter: ExactSizeIterator,
{
    let len = Fields {
        timestamp_delta,
        offset_delta,
        key,
        value,
        headers_len: headers_len(headers.into_iter()),
    }
    .len();
    len.saturating_add(varlong_len(len as i64))
}

/// A record on its way into the buffer.
struct Fields<'a> {
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    /// Bytes of the headers, their count included.
    headers_len: usize,
}

impl Fields<'_> {
    /// Bytes behind the length field.
    fn len(&self) -> usize {
        (ATTRIBUTES_LEN + varlong_len(self.timestamp_delta) + varint_len(self.offset_delta))
            .saturating_add(field_len(self.key))
            .saturating_add(field_len(self.value))
            .saturating_add(self.headers_len)
    }

    /// Bytes of key, value and headers without the lengths of key and value.
    #[inline]
    fn payload_len(&self) -> usize {
        let fields = self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len);
        fields.saturating_add(self.headers_len)
    }

    /// Whether every number of it is [`Packed`], as those of nearly every record are.
    #[inline]
    fn is_small(&self) -> bool {
        let deltas = zigzag(self.timestamp_delta) | zigzag(i64::from(self.offset_delta));
        deltas < Packed::LIMIT && self.payload_len() < SMALL_PAYLOAD_LIMIT
    }

    /// Appends everything but the headers, or nothing if the whole does not fit. Gives the length of the
    /// buffer with the headers.
    #[inline]
    fn push_small(&self, buffer: &mut Vec<u8>, max_len: usize) -> Result<usize, AppendError> {
        let time = Packed::of(self.timestamp_delta);
        let offset = Packed::of(i64::from(self.offset_delta));
        let value_len = Packed::of(len_or_null(self.value));
        let (place, value_len) = match self.key {
            None => (offset.then(Packed::NULL).then(value_len), Packed::EMPTY),
            Some(key) => (offset.then(Packed::of(key.len() as i64)), value_len),
        };
        let len = ATTRIBUTES_LEN + time.len() + place.len() + value_len.len() + self.payload_len();
        let front = Packed::of(len as i64).then(Packed::ZERO).then(time);
        let total = len + front.len() - ATTRIBUTES_LEN - time.len();
        let needed = check_room(buffer, total, max_len)?;

        // A little more, since numbers are written as words and then cut.
        buffer.reserve(needed - buffer.len() + size_of::<u64>());
        front.push(buffer);
        place.push(buffer);
        if let Some(key) = self.key {
            buffer.extend_from_slice(key);
            value_len.push(buffer);
        }
        if let Some(value) = self.value {
            buffer.extend_from_slice(value);
        }
        Ok(needed)
    }

    /// The same for numbers of any size.
    #[cold]
    fn push(&self, buffer: &mut Vec<u8>, max_len: usize) -> Result<usize, AppendError> {
        let len = self.len();
        let needed = check_room(buffer, len.saturating_add(varlong_len(len as i64)), max_len)?;
        buffer.reserve(needed - buffer.len());
        push_varlong(buffer, len as i64);
        buffer.push(0);
        push_varlong(buffer, self.timestamp_delta);
        push_varlong(buffer, i64::from(self.offset_delta));
        for field in [self.key, self.value] {
            push_varlong(buffer, len_or_null(field));
            buffer.extend_from_slice(field.unwrap_or_default());
        }
        Ok(needed)
    }
}

/// Bytes of the batch with `added` bytes more.
#[inline]
fn check_room(buffer: &[u8], added: usize, max: usize) -> Result<usize, AppendError> {
    let needed = buffer.len().saturating_add(added);
    if needed > max {
        return Err(AppendError::Full { needed, max });
    }
    Ok(needed)
}

fn field_len(field: Option<&[u8]>) -> usize {
    varlong_len(len_or_null(field)).saturating_add(field.map_or(0, <[u8]>::len))
}

#[inline]
fn headers_len<'h>(headers: impl ExactSizeIterator<Item = (&'h str, Option<&'h [u8]>)>) -> usize {
    let count = headers.len();
    if count == 0 {
        return 1;
    }
    headers.fold(varlong_len(count as i64), |len, (key, value)| {
        len.saturating_add(field_len(Some(key.as_bytes())))
            .saturating_add(field_len(value))
    })
}

/// Appends the headers; says whether they were as many as they were told to be.
#[inline]
fn push_headers<'h>(
    buffer: &mut Vec<u8>,
    headers: impl ExactSizeIterator<Item = (&'h str, Option<&'h [u8]>)>,
) -> bool {
    let count = headers.len();
    if count == 0 {
        buffer.push(0);
        return true;
    }
    push_varlong(buffer, count as i64);
    let mut written = 0;
    for (key, value) in headers {
        push_varlong(buffer, key.len() as i64);
        buffer.extend_from_slice(key.as_bytes());
        push_varlong(buffer, len_or_null(value));
        buffer.extend_from_slice(value.unwrap_or_default());
        written += 1;
    }
    written == count
}

#[inline]
fn len_or_null(field: Option<&[u8]>) -> i64 {
    field.map_or(NULL, |bytes| bytes.len() as i64)
}

const ATTRIBUTES_LEN: usize = 1;
const NULL: i64 = -1;
const NO_TIMESTAMP: i64 = -1;
/// With at most a dozen bytes more, the length of such a record is still [`Packed`].
const SMALL_PAYLOAD_LIMIT: usize = 1 << 19;

#[cfg(test)]
mod tests;
