//! A growing buffer that takes values, and chunks that are handed on without copying.
//!
//! One pass: where a size or a count stands before what it counts, a byte is left open and filled in
//! afterwards. Large records are not copied; they become chunks of their own between pieces of the
//! buffer, for a vectored write.

use std::fmt;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use crate::broker_ids::BrokerIds;
use crate::error::{EncodeError, EncodeErrorKind};
use crate::uuid::Uuid;
use crate::wire::limits::{
    MAX_ARRAY_LEN, MAX_BYTES_LEN, MAX_STRING_LEN, RESERVE_UP_TO, SPLICE_FROM,
};
use crate::wire::varint;

/// The bytes of a message that is being written.
///
/// Lengths are int16 or int32 in old versions, and varints of the length plus one where `flexible`.
/// Methods that can fail take the name of the field; only errors use it.
#[derive(Default)]
pub struct Writer {
    buffer: Vec<u8>,
    /// Chunks that belong between the bytes of the buffer, each before the byte at its position.
    spliced: Vec<(usize, Bytes)>,
    spliced_len: usize,
    /// How many tagged fields are open. What lies in one moves when its size turns out to be long,
    /// and so must lie in the buffer.
    open: usize,
}

/// Without the bytes, which may hold credentials.
impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(capacity),
            ..Self::default()
        }
    }

    /// How many bytes were written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len() + self.spliced_len
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes in order, as one chunk or several.
    #[must_use]
    pub fn into_chunks(self) -> Vec<Bytes> {
        let mut buffer = Bytes::from(self.buffer);
        if self.spliced.is_empty() {
            return vec![buffer];
        }
        let mut chunks = Vec::with_capacity(2 * self.spliced.len() + 1);
        let mut taken = 0;
        for (position, chunk) in self.spliced {
            if position > taken {
                chunks.push(buffer.split_to(position - taken));
                taken = position;
            }
            chunks.push(chunk);
        }
        if !buffer.is_empty() {
            chunks.push(buffer);
        }
        chunks
    }

    /// The bytes in order, copied together if they lie apart.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.spliced.is_empty() {
            return Bytes::from(self.buffer);
        }
        let mut bytes = BytesMut::with_capacity(self.len());
        for chunk in self.into_chunks() {
            bytes.extend_from_slice(&chunk);
        }
        bytes.freeze()
    }

    /// Writes a boolean as 0 or 1.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.buffer.push(u8::from(value));
    }

    /// Writes an int8.
    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes an int16.
    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes a uint16.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes an int32.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes a uint32.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes an int64.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes a float64, bit by bit.
    #[inline]
    pub fn f64(&mut self, value: f64) {
        self.raw(&value.to_be_bytes());
    }

    /// Writes a uuid.
    #[inline]
    pub fn uuid(&mut self, value: Uuid) {
        self.raw(value.as_bytes());
    }

    /// Writes an unsigned varint.
    #[inline]
    pub fn unsigned_varint(&mut self, value: u32) {
        varint::put(&mut self.buffer, value);
    }

    /// Writes bytes as they are, without a length.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Writes a string.
    ///
    /// # Errors
    ///
    /// If it is longer than [`MAX_STRING_LEN`].
    pub fn string(
        &mut self,
        flexible: bool,
        value: &str,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        let length = value.len();
        if length > MAX_STRING_LEN {
            return Err(EncodeError::new(
                EncodeErrorKind::StringTooLong { length },
                field,
            ));
        }
        if flexible {
            self.unsigned_varint(length as u32 + 1);
        } else {
            self.i16(length as i16);
        }
        self.raw(value.as_bytes());
        Ok(())
    }

    /// Writes a string or, where `nullable`, null.
    ///
    /// # Errors
    ///
    /// If it is null but not `nullable`, or as [`string`](Self::string).
    pub fn nullable_string(
        &mut self,
        flexible: bool,
        nullable: bool,
        value: Option<&str>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.string(flexible, value, field),
            None if !nullable => Err(unexpected_null(field)),
            None if flexible => {
                self.unsigned_varint(0);
                Ok(())
            }
            None => {
                self.i16(-1);
                Ok(())
            }
        }
    }

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// If they are more than [`MAX_BYTES_LEN`].
    pub fn bytes(
        &mut self,
        flexible: bool,
        value: &[u8],
        field: &'static str,
    ) -> Result<(), EncodeError> {
        self.bytes_len(flexible, value.len(), field)?;
        self.raw(value);
        Ok(())
    }

    /// Writes bytes or, where `nullable`, null.
    ///
    /// # Errors
    ///
    /// If they are null but not `nullable`, or as [`bytes`](Self::bytes).
    pub fn nullable_bytes(
        &mut self,
        flexible: bool,
        nullable: bool,
        value: Option<&[u8]>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.bytes(flexible, value, field),
            None => self.null(flexible, nullable, field),
        }
    }

    /// Writes records or, where `nullable`, null. Large ones become a chunk of their own.
    ///
    /// # Errors
    ///
    /// As [`nullable_bytes`](Self::nullable_bytes).
    pub fn records(
        &mut self,
        flexible: bool,
        nullable: bool,
        value: Option<&Bytes>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        let Some(value) = value else {
            return self.null(flexible, nullable, field);
        };
        self.bytes_len(flexible, value.len(), field)?;
        if value.len() >= SPLICE_FROM && self.open == 0 {
            self.spliced.push((self.buffer.len(), value.clone()));
            self.spliced_len += value.len();
        } else {
            self.raw(value);
        }
        Ok(())
    }

    /// Writes the count of an array.
    ///
    /// # Errors
    ///
    /// If it is more than [`MAX_ARRAY_LEN`].
    pub fn array_len(
        &mut self,
        flexible: bool,
        count: usize,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        if count > MAX_ARRAY_LEN {
            return Err(EncodeError::new(
                EncodeErrorKind::TooManyElements { count },
                field,
            ));
        }
        if flexible {
            self.unsigned_varint(count as u32 + 1);
        } else {
            self.i32(count as i32);
        }
        Ok(())
    }

    /// Writes null for bytes, records or an array.
    ///
    /// # Errors
    ///
    /// If the field is not `nullable`.
    pub fn null(
        &mut self,
        flexible: bool,
        nullable: bool,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        if !nullable {
            return Err(unexpected_null(field));
        }
        if flexible {
            self.unsigned_varint(0);
        } else {
            self.i32(-1);
        }
        Ok(())
    }

    /// Writes an array of brokers' numbers.
    ///
    /// # Errors
    ///
    /// As [`array_len`](Self::array_len).
    #[inline]
    pub fn broker_ids(
        &mut self,
        flexible: bool,
        ids: &BrokerIds,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        if flexible && ids.put_compact(&mut self.buffer) {
            return Ok(());
        }
        self.any_broker_ids(flexible, ids, field)
    }

    /// Writes an array of brokers' numbers or, where `nullable`, null.
    ///
    /// # Errors
    ///
    /// As [`array_len`](Self::array_len), and if it is null but not `nullable`.
    pub fn nullable_broker_ids(
        &mut self,
        flexible: bool,
        nullable: bool,
        ids: Option<&BrokerIds>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match ids {
            Some(ids) => self.broker_ids(flexible, ids, field),
            None => self.null(flexible, nullable, field),
        }
    }

    /// How many bytes were written but for the chunks.
    pub(crate) fn buffered_len(&self) -> usize {
        self.buffer.len()
    }

    /// Makes room for `more` elements like the one that begins at `start`: those of an array hardly
    /// differ in size. An eighth more is kept for those that are larger, since moving all of them
    /// because the last one does not fit costs more.
    pub(crate) fn reserve_alike(&mut self, start: usize, more: usize) {
        let len = (self.buffer.len() - start).saturating_mul(more);
        let with_spare = len.saturating_add(len / 8);
        self.buffer.reserve(with_spare.min(RESERVE_UP_TO));
    }

    /// Overwrites four bytes that were written at `position` with an int32.
    ///
    /// Positions count the buffer only, so this is for what lies before all chunks.
    pub(crate) fn patch_i32(&mut self, position: usize, value: i32) {
        if let Some(bytes) = self.buffer.get_mut(position..position + 4) {
            bytes.copy_from_slice(&value.to_be_bytes());
        }
    }

    /// Leaves a byte open for a varint that is known later; gives the position behind it.
    pub(crate) fn begin_sized(&mut self) -> usize {
        self.open += 1;
        self.buffer.push(0);
        self.buffer.len()
    }

    /// Fills in how many bytes were written since `start`.
    pub(crate) fn end_sized(&mut self, start: usize) {
        self.end_counted(start, self.buffer.len() - start);
    }

    /// Fills in a number before `start`. What follows moves if the number takes more than a byte.
    pub(crate) fn end_counted(&mut self, start: usize, number: usize) {
        self.open -= 1;
        let number = number as u32;
        if let (Ok(byte @ 0..0x80), Some(open)) =
            (u8::try_from(number), self.buffer.get_mut(start - 1))
        {
            *open = byte;
        } else {
            let mut bytes = Vec::with_capacity(varint::len(number));
            varint::put(&mut bytes, number);
            self.buffer.splice(start - 1..start, bytes);
        }
    }

    /// Writes a varint of the length, and bytes: the content of a tagged field.
    pub(crate) fn sized_bytes(
        &mut self,
        bytes: &[u8],
        field: &'static str,
    ) -> Result<(), EncodeError> {
        let length = bytes.len();
        if length > MAX_BYTES_LEN {
            return Err(EncodeError::new(
                EncodeErrorKind::TooManyBytes { length },
                field,
            ));
        }
        self.unsigned_varint(length as u32);
        self.raw(bytes);
        Ok(())
    }

    #[inline(never)]
    fn any_broker_ids(
        &mut self,
        flexible: bool,
        ids: &BrokerIds,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        self.array_len(flexible, ids.len(), field)?;
        for id in ids {
            self.i32(*id);
        }
        Ok(())
    }

    fn bytes_len(
        &mut self,
        flexible: bool,
        length: usize,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        if length > MAX_BYTES_LEN {
            return Err(EncodeError::new(
                EncodeErrorKind::TooManyBytes { length },
                field,
            ));
        }
        if flexible {
            self.unsigned_varint(length as u32 + 1);
        } else {
            self.i32(length as i32);
        }
        Ok(())
    }
}

/// Methods for arrays of values that cannot fail.
macro_rules! fixed_size_arrays {
    ($($all:ident, $nullable:ident, $type:ty, $size:literal, $what:literal, $put:expr;)*) => {
        impl Writer {
            $(
                #[doc = concat!("Writes an array of ", $what, ".")]
                ///
                /// # Errors
                ///
                /// As [`array_len`](Self::array_len).
                pub fn $all(
                    &mut self,
                    flexible: bool,
                    values: &[$type],
                    field: &'static str,
                ) -> Result<(), EncodeError> {
                    self.array_len(flexible, values.len(), field)?;
                    let start = self.buffer.len();
                    self.buffer.resize(start + $size * values.len(), 0);
                    let room = self.buffer.get_mut(start..).unwrap_or_default();
                    for (room, &value) in room.as_chunks_mut::<$size>().0.iter_mut().zip(values) {
                        *room = $put(value);
                    }
                    Ok(())
                }

                #[doc = concat!("Writes an array of ", $what, " or, where `nullable`, null.")]
                ///
                /// # Errors
                ///
                /// As [`array_len`](Self::array_len), and if it is null but not `nullable`.
                pub fn $nullable(
                    &mut self,
                    flexible: bool,
                    nullable: bool,
                    values: Option<&[$type]>,
                    field: &'static str,
                ) -> Result<(), EncodeError> {
                    match values {
                        Some(values) => self.$all(flexible, values, field),
                        None => self.null(flexible, nullable, field),
                    }
                }
            )*
        }
    };
}

fixed_size_arrays! {
    bools, nullable_bools, bool, 1, "booleans", |value| [u8::from(value)];
    i8s, nullable_i8s, i8, 1, "int8", i8::to_be_bytes;
    i16s, nullable_i16s, i16, 2, "int16", i16::to_be_bytes;
    u16s, nullable_u16s, u16, 2, "uint16", u16::to_be_bytes;
    i32s, nullable_i32s, i32, 4, "int32", i32::to_be_bytes;
    u32s, nullable_u32s, u32, 4, "uint32", u32::to_be_bytes;
    i64s, nullable_i64s, i64, 8, "int64", i64::to_be_bytes;
    f64s, nullable_f64s, f64, 8, "float64", f64::to_be_bytes;
    uuids, nullable_uuids, Uuid, 16, "uuids", |value: Uuid| value.0;
}

/// Methods for arrays of values that say their own length.
macro_rules! sized_arrays {
    ($($all:ident, $nullable:ident, $one:ident, $type:ty, $what:literal;)*) => {
        impl Writer {
            $(
                #[doc = concat!("Writes an array of ", $what, ".")]
                ///
                /// # Errors
                ///
                /// As [`array_len`](Self::array_len), and as for each element.
                pub fn $all(
                    &mut self,
                    flexible: bool,
                    values: &[$type],
                    field: &'static str,
                ) -> Result<(), EncodeError> {
                    self.array_len(flexible, values.len(), field)?;
                    for (index, value) in values.iter().enumerate() {
                        if let Err(error) = self.$one(flexible, value, "") {
                            return Err(error.within_element(field, index));
                        }
                    }
                    Ok(())
                }

                #[doc = concat!("Writes an array of ", $what, " or, where `nullable`, null.")]
                ///
                /// # Errors
                ///
                /// As [`array_len`](Self::array_len), as for each element, and if it is null but not
                /// `nullable`.
                pub fn $nullable(
                    &mut self,
                    flexible: bool,
                    nullable: bool,
                    values: Option<&[$type]>,
                    field: &'static str,
                ) -> Result<(), EncodeError> {
                    match values {
                        Some(values) => self.$all(flexible, values, field),
                        None => self.null(flexible, nullable, field),
                    }
                }
            )*
        }
    };
}

sized_arrays! {
    strings, nullable_strings, string, ByteString, "strings";
    byte_strings, nullable_byte_strings, bytes, Bytes, "bytes";
}

#[cold]
fn unexpected_null(field: &'static str) -> EncodeError {
    EncodeError::new(EncodeErrorKind::UnexpectedNull, field)
}
