//! Reading records out of the uncompressed body of a batch: borrowed, one after the other, without
//! an allocation; and owned records for who wants to keep some.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::ops::Range;

use bytes::Bytes;

use crate::record::error::{RecordError, RecordErrorKind};
use crate::record::header::{BatchHeader, TimestampType};
use crate::record::varint::{Fields, Front};

/// A record, borrowed from its batch.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordRef<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its timestamp in milliseconds, the producer's or the log's as the batch says; -1 for none.
    pub timestamp: i64,
    /// Its key; null and empty are different.
    pub key: Option<&'a [u8]>,
    /// Its value; null and empty are different.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: Headers<'a>,
}

impl RecordRef<'_> {
    /// For `Debug`, of the owned form too: keys and values as text as far as they are.
    fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key", &self.key.map(Bytes::copy_from_slice))
            .field("value", &self.value.map(Bytes::copy_from_slice))
            .field("headers", &self.headers)
            .finish()
    }
}

impl fmt::Debug for RecordRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.debug("RecordRef", f)
    }
}

/// The headers of a record: an iterator that cannot fail, since the bytes were checked with the
/// record. Clone it to go over them again.
#[derive(Clone, Copy, Default)]
pub struct Headers<'a> {
    count: u32,
    fields: HeaderFields<'a>,
}

impl<'a> Headers<'a> {
    /// The value of the last header of this name, as in Java's `lastHeader`; the inner `None` is a
    /// null value.
    #[must_use]
    pub fn last_value(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.filter(|header| header.key_bytes() == name.as_bytes())
            .last()
            .map(|header| header.value)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<HeaderRef<'a>> {
        self.count = self.count.checked_sub(1)?;
        self.fields.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count as usize, Some(self.count as usize))
    }
}

impl ExactSizeIterator for Headers<'_> {}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl PartialEq for Headers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && Iterator::eq(*self, *other)
    }
}

impl Eq for Headers<'_> {}

/// A header of a record, borrowed from its batch.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderRef<'a> {
    key: &'a [u8],
    /// Its value; null and empty are different.
    pub value: Option<&'a [u8]>,
}

/// The key is text as a rule, the value need not be.
impl fmt::Debug for HeaderRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.map(Bytes::copy_from_slice);
        f.debug_struct("HeaderRef")
            .field("key", &self.key())
            .field("value", &value)
            .finish()
    }
}

impl<'a> HeaderRef<'a> {
    /// Its key. Keys are text by agreement only: what is not UTF-8 shows as replacement characters,
    /// as in Java, since one odd record must not make a partition unreadable.
    #[must_use]
    pub fn key(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }

    /// The bytes of its key, whatever they are.
    #[must_use]
    pub const fn key_bytes(&self) -> &'a [u8] {
        self.key
    }
}

/// The records of one batch, borrowed from its uncompressed body.
///
/// Yields at most as many as the header counts. After an error it yields nothing more.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    /// Bytes of the whole body.
    len: usize,
    left: i32,
    count: i32,
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl<'a> Records<'a> {
    /// The records of `body` under a header that [`super::decode`] has checked.
    pub(super) fn new(header: &BatchHeader, body: &'a [u8]) -> Self {
        let append_time = match header.attributes.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(header.max_timestamp),
        };
        Self {
            rest: body,
            len: body.len(),
            left: header.record_count,
            count: header.record_count,
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            base_timestamp: header.base_timestamp,
            append_time,
        }
    }

    /// Where the next record begins in the body.
    fn position(&self) -> usize {
        self.len - self.rest.len()
    }

    /// The next record and what follows it, if its first numbers are as small as they nearly always are
    /// and nothing is wrong with it. Otherwise [`Self::decode`] has the last word.
    #[inline(always)]
    fn decode_small(&self) -> Option<(RecordRef<'a>, &'a [u8])> {
        let mut front = Front::new(self.rest)?;
        let length = usize::try_from(front.varint()?).ok()?;
        let end = front.position() + length;
        front.skip_byte();
        let timestamp_delta = i64::from(front.varint()?);
        let offset_delta = front.varint()?;
        if !self.is_inside(offset_delta) {
            return None;
        }
        let key_len = front.varint()?;
        let (record, behind) = self.rest.split_at_checked(end)?;
        let mut fields = Fields::new(record.get(front.position()..)?);
        let key = match usize::try_from(key_len) {
            Ok(len) => Some(fields.take(len)?),
            Err(_) => None,
        };
        let value = fields.nullable()?;
        let headers = match fields.rest() {
            [0] => Headers::default(),
            _ => read_headers(fields).0.ok()?,
        };
        let record = self.record(offset_delta, timestamp_delta, key, value, headers);
        Some((record, behind))
    }

    /// The next record and what follows it, or what is wrong with it.
    ///
    /// Takes a copy: an iterator whose address nobody is given is kept in registers by the compiler, which
    /// halves the time for a record. For the same reason nothing here takes `&mut`.
    #[cold]
    fn decode(self) -> Result<(RecordRef<'a>, &'a [u8]), RecordError> {
        if self.rest.is_empty() {
            let missing = RecordErrorKind::RecordsMissing {
                expected: self.count,
                actual: self.count - self.left - 1,
            };
            return Err(self.fault(0, missing));
        }
        let mut outer = Fields::new(self.rest);
        let length = outer
            .varint()
            .ok_or_else(|| self.fault(0, field("record length")))?;
        let raw = usize::try_from(length)
            .ok()
            .and_then(|length| outer.take(length))
            .ok_or_else(|| self.fault(0, RecordErrorKind::RecordLength(length)))?;
        let behind = outer.rest();

        let mut fields = Fields::new(raw);
        let record = self.fields(&mut fields).map_err(|kind| {
            // From the start of this record to the field that failed.
            let read = self.rest.len() - behind.len() - fields.rest().len();
            self.fault(read, kind)
        })?;
        Ok((record, behind))
    }

    fn fields(&self, fields: &mut Fields<'a>) -> Result<RecordRef<'a>, RecordErrorKind> {
        // The attributes of a record have no meaning yet.
        fields.byte().ok_or(field("record attributes"))?;
        let timestamp_delta = fields.varlong().ok_or(field("timestamp delta"))?;
        let offset_delta = fields.varint().ok_or(field("offset delta"))?;
        if !self.is_inside(offset_delta) {
            return Err(RecordErrorKind::OffsetDelta(offset_delta));
        }
        let key = fields.nullable().ok_or(field("key"))?;
        let value = fields.nullable().ok_or(field("value"))?;
        let (headers, behind) = read_headers(*fields);
        *fields = behind;
        Ok(self.record(offset_delta, timestamp_delta, key, value, headers?))
    }

    #[inline(always)]
    fn record(
        &self,
        offset_delta: i32,
        timestamp_delta: i64,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: Headers<'a>,
    ) -> RecordRef<'a> {
        RecordRef {
            // Cannot wrap: the last offset of the batch was checked.
            offset: self.base_offset.wrapping_add(i64::from(offset_delta)),
            // May wrap, as it does in Java.
            timestamp: self
                .append_time
                .unwrap_or_else(|| self.base_timestamp.wrapping_add(timestamp_delta)),
            key,
            value,
            headers,
        }
    }

    /// Whether an offset lies in the range of the batch, whose last delta is not negative.
    #[inline(always)]
    const fn is_inside(&self, offset_delta: i32) -> bool {
        offset_delta as u32 <= self.last_offset_delta as u32
    }

    fn fault(&self, read: usize, kind: RecordErrorKind) -> RecordError {
        RecordError::new(BatchHeader::LEN + self.position() + read, kind)
    }

    /// Bytes where the records should have ended.
    #[cold]
    fn left_over(rest: usize, len: usize) -> RecordError {
        RecordError::new(
            BatchHeader::LEN + len - rest,
            RecordErrorKind::BytesBehindRecords(rest),
        )
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordRef<'a>, RecordError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            let rest = mem::take(&mut self.rest).len();
            return (rest > 0).then(|| Err(Self::left_over(rest, self.len)));
        }
        self.left -= 1;
        if let Some((record, behind)) = self.decode_small() {
            self.rest = behind;
            return Some(Ok(record));
        }
        match self.clone().decode() {
            Ok((record, behind)) => {
                self.rest = behind;
                Some(Ok(record))
            }
            Err(error) => {
                self.left = 0;
                self.rest = &[];
                Some(Err(error))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A record takes at least seven bytes; the header may lie about their count, and one error
        // may follow them.
        let most = usize::try_from(self.left)
            .unwrap_or(0)
            .min(self.rest.len() / RECORD_LEN_MIN);
        (0, Some(most + 1))
    }
}

impl std::iter::FusedIterator for Records<'_> {}

/// The records of one batch, owned, each made when it is asked for: for who keeps a place in a batch
/// between calls.
#[derive(Clone, Debug)]
pub struct IntoRecords {
    header: BatchHeader,
    body: Bytes,
    /// Where the next record begins in the body.
    at: usize,
    left: i32,
}

impl IntoRecords {
    pub(super) const fn new(header: BatchHeader, body: Bytes) -> Self {
        Self {
            left: header.record_count,
            header,
            body,
            at: 0,
        }
    }
}

impl Iterator for IntoRecords {
    type Item = Result<Record, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let mut records = Records::new(&self.header, &self.body);
        records.rest = self.body.get(self.at..).unwrap_or_default();
        records.left = self.left;
        let record = records.next()?;
        self.at = records.position();
        self.left = records.left;
        Some(record.map(|record| Record::new(&self.body, &record)))
    }
}

impl std::iter::FusedIterator for IntoRecords {}

/// A record that owns its place in its batch.
///
/// It keeps the whole uncompressed batch alive, so that making one costs a reference count and no
/// copy. Who keeps a few records of many for long copies what is needed out of them.
#[derive(Clone)]
pub struct Record {
    /// From the first byte of key, value or headers to the last.
    raw: Bytes,
    offset: i64,
    timestamp: i64,
    key: Option<Range<u32>>,
    value: Option<Range<u32>>,
    header_count: u32,
    headers_at: u32,
}

impl Record {
    /// The owned form of `record`, whose bytes lie in `body`.
    pub(super) fn new(body: &Bytes, record: &RecordRef<'_>) -> Self {
        let parts = [
            record.key.unwrap_or_default(),
            record.value.unwrap_or_default(),
            record.headers.fields.bytes(),
        ];
        // The three lie in the body in this order, with at most a few bytes between them.
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        let raw = match (filled.clone().next(), filled.next_back()) {
            (Some(first), Some(last)) => {
                body.slice(position(body, first)..position(body, last) + last.len())
            }
            _ => Bytes::new(),
        };
        let place = |part: &[u8]| {
            let start = if part.is_empty() {
                0
            } else {
                position(&raw, part)
            };
            // A record is shorter than 2^31 bytes.
            start as u32..(start + part.len()) as u32
        };
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(place),
            value: record.value.map(place),
            header_count: record.headers.count,
            headers_at: place(record.headers.fields.bytes()).start,
            raw,
        }
    }

    /// Its offset in the partition.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// Its timestamp in milliseconds; -1 for none.
    #[must_use]
    pub const fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// Its key; null and empty are different.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_ref().map(|range| self.part(range))
    }

    /// Its value; null and empty are different.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_ref().map(|range| self.part(range))
    }

    /// Its key as bytes that are owned without a copy.
    #[must_use]
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.key().map(|key| self.raw.slice_ref(key))
    }

    /// Its value as bytes that are owned without a copy.
    #[must_use]
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.value().map(|value| self.raw.slice_ref(value))
    }

    /// Its headers, in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        let bytes = self.raw.get(self.headers_at as usize..).unwrap_or_default();
        Headers {
            count: self.header_count,
            fields: HeaderFields(Fields::new(bytes)),
        }
    }

    /// The record as borrowed from this one.
    #[must_use]
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key(),
            value: self.value(),
            headers: self.headers(),
        }
    }

    fn part(&self, range: &Range<u32>) -> &[u8] {
        self.raw
            .get(range.start as usize..range.end as usize)
            .unwrap_or_default()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().debug("Record", f)
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Record {}

/// Walks over the bytes of headers; made only for bytes that were walked once before.
#[derive(Clone, Copy, Debug)]
struct HeaderFields<'a>(Fields<'a>);

impl<'a> HeaderFields<'a> {
    fn next(&mut self) -> Option<HeaderRef<'a>> {
        let len = usize::try_from(self.0.varint()?).ok()?;
        let key = self.0.take(len)?;
        let value = self.0.nullable()?;
        Some(HeaderRef { key, value })
    }

    const fn bytes(&self) -> &'a [u8] {
        self.0.rest()
    }
}

impl Default for HeaderFields<'_> {
    fn default() -> Self {
        Self(Fields::new(&[]))
    }
}

/// Reads the headers, which are the rest of a record, and checks each. Gives what is left too, which
/// after an error begins with what is wrong.
#[inline(never)]
fn read_headers(mut fields: Fields<'_>) -> (Result<Headers<'_>, RecordErrorKind>, Fields<'_>) {
    let Some(header_count) = fields.varint() else {
        return (Err(field("header count")), fields);
    };
    let Some(count) = u32::try_from(header_count)
        .ok()
        .filter(|&count| count as usize <= fields.rest().len())
    else {
        let kind = RecordErrorKind::HeaderCount(header_count);
        return (Err(kind), fields);
    };
    let unread = HeaderFields(fields);
    let mut walk = unread;
    for _ in 0..count {
        let at = walk;
        if walk.next().is_none() {
            return (Err(field("record header")), at.0);
        }
    }
    let headers = Headers {
        count,
        fields: unread,
    };
    match walk.0.rest().len() {
        0 => (Ok(headers), walk.0),
        len => (Err(RecordErrorKind::BytesBehindRecord(len)), walk.0),
    }
}

/// Where `part`, a slice of `whole`, begins in it.
fn position(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

const fn field(name: &'static str) -> RecordErrorKind {
    RecordErrorKind::Field(name)
}

/// Length, attributes, timestamp delta, offset delta, key length, value length, header count.
const RECORD_LEN_MIN: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::encode::{BatchBuilder, BatchOptions};
    use crate::record::header::ProducerStamp;

    #[test]
    fn both_ways_to_read_a_record_agree_on_damaged_bytes() {
        let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
        for n in 0..8 {
            let value = vec![n as u8; n * 3];
            builder
                .append(n as i64 * 900, Some(b"key"), Some(&value), [("h", None)])
                .unwrap();
            builder.append(n as i64, None, Some(&value), []).unwrap();
        }
        let bytes = builder.seal(ProducerStamp::NONE);
        let header = BatchHeader::decode(&bytes).unwrap();
        let body = &bytes[BatchHeader::LEN..];
        let (mut small, mut refused) = (0, 0);
        for at in 0..body.len() {
            for byte in 0..=255 {
                let mut body = body.to_vec();
                body[at] = byte;
                let mut records = Records::new(&header, &body);
                while !records.rest.is_empty() {
                    let exact = records.clone().decode();
                    if let Some(read) = records.decode_small() {
                        small += 1;
                        assert_eq!(exact, Ok(read));
                    }
                    let Ok((_, behind)) = exact else {
                        refused += 1;
                        break;
                    };
                    records.rest = behind;
                }
            }
        }
        assert!(small > 100_000 && refused > 10_000, "{small} {refused}");
    }
}
