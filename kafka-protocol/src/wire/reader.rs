//! A cursor over the bytes of a message that gives out values, or an error that says where.
//!
//! Every method takes the name of the field that is read; only errors use it.

use std::fmt;

use bytes::{Buf as _, Bytes};
use bytestring::ByteString;

use crate::broker_ids::BrokerIds;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::uuid::Uuid;
use crate::wire::limits::{MAX_ARRAY_LEN, MAX_STRING_LEN};
use crate::wire::varint::{self, Varint};

/// A cursor over the bytes of one frame or message.
///
/// Strings and bytes that it gives out are slices of those bytes and keep all of them alive. Lengths
/// are int16 or int32 in old versions, and varints of the length plus one where `flexible`.
#[derive(Clone)]
pub struct Reader {
    rest: Bytes,
    len: usize,
    /// Bytes that the elements still to come of the arrays around need at least. What lies within may
    /// claim none of them, so that no byte is claimed twice.
    promised: usize,
    /// Bytes of memory that may still be taken for arrays and tagged fields that are kept.
    memory_left: usize,
    /// Bytes that each element of an array takes of these beside its own.
    element_charge: usize,
    /// Name and version of the message that was read last, for errors behind it.
    message: Option<(&'static str, i16)>,
}

/// Without the bytes, which may hold credentials.
impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("position", &self.position())
            .field("remaining", &self.remaining())
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        let len = bytes.len();
        Self {
            rest: bytes,
            len,
            promised: 0,
            memory_left: usize::MAX,
            element_charge: 0,
            message: None,
        }
    }

    /// Lets what is read take at most `bytes` of memory beside the bytes that it is read from; without this it may be
    /// [`MEMORY_FACTOR`](crate::wire::limits::MEMORY_FACTOR) times as many as those.
    ///
    /// Counts the elements of arrays, and tagged fields that are kept because nobody knows them. All else lies in the
    /// message itself or is a slice of the bytes. What would go beyond is refused before memory is taken for it.
    #[must_use]
    pub fn limit_memory(mut self, bytes: usize) -> Self {
        self.memory_left = bytes;
        self
    }

    /// Counts each element of an array as so many `bytes` more than it takes itself: for what whoever reads makes of
    /// it, like a row of an answer. An int32 that names a partition is 4 bytes, and the row for it far more.
    #[must_use]
    pub fn charge_elements(mut self, bytes: usize) -> Self {
        self.element_charge = bytes;
        self
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.len - self.rest.len()
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes that are left.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// If bytes are left over. The error names the message that was read last.
    pub fn finish(self) -> Result<(), DecodeError> {
        let count = self.remaining();
        if count == 0 {
            return Ok(());
        }
        let error = self.error(DecodeErrorKind::TrailingBytes { count }, "");
        Err(match self.message {
            Some((name, version)) => error.in_message(name, version),
            None => error,
        })
    }

    /// Notes which message is read from here on.
    pub(crate) fn begin_message(&mut self, name: &'static str, version: i16) {
        self.message = Some((name, version));
        self.promised = 0;
    }

    /// Sets bytes aside for elements that are still to come.
    pub(crate) fn promise(&mut self, len: usize) {
        self.promised += len;
    }

    /// Gives bytes back that were set aside, since their element comes next.
    pub(crate) fn redeem(&mut self, len: usize) {
        self.promised -= len;
    }

    /// Takes memory for `count` elements of the type `T`, and for what is made of them.
    pub(crate) fn take_elements<T>(
        &mut self,
        count: usize,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        let each = self.element_charge.saturating_add(size_of::<T>());
        self.take_bytes(count.saturating_mul(each), field)
    }

    /// Takes memory for `count` values of the type `T`.
    pub(crate) fn take_memory<T>(
        &mut self,
        count: usize,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        self.take_bytes(count.saturating_mul(size_of::<T>()), field)
    }

    fn take_bytes(&mut self, needed: usize, field: &'static str) -> Result<(), DecodeError> {
        let Some(left) = self.memory_left.checked_sub(needed) else {
            return Err(self.beyond_memory(needed, field));
        };
        self.memory_left = left;
        Ok(())
    }

    #[cold]
    fn beyond_memory(&self, needed: usize, field: &'static str) -> DecodeError {
        let left = self.memory_left;
        self.error(DecodeErrorKind::MemoryLimit { needed, left }, field)
    }

    /// How many bytes are left for what stands here.
    pub(crate) fn unpromised(&self) -> usize {
        self.remaining().saturating_sub(self.promised)
    }

    /// Reads a boolean: any byte but 0 is true.
    ///
    /// # Errors
    ///
    /// If no byte is left.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.array::<1>(field)? != [0])
    }

    /// Reads an int8.
    ///
    /// # Errors
    ///
    /// If no byte is left.
    pub fn i8(&mut self, field: &'static str) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.array(field)?))
    }

    /// Reads an int16.
    ///
    /// # Errors
    ///
    /// If too few bytes are left.
    pub fn i16(&mut self, field: &'static str) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array(field)?))
    }

    /// Reads a uint16.
    ///
    /// # Errors
    ///
    /// If too few bytes are left.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    /// Reads an int32.
    ///
    /// # Errors
    ///
    /// If too few bytes are left.
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    /// Reads a uint32.
    ///
    /// # Errors
    ///
    /// If too few bytes are left.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    /// Reads an int64.
    ///
    /// # Errors
    ///
    /// If too few bytes are left.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    /// Reads a float64. All bit patterns are kept.
    ///
    /// # Errors
    ///
    /// If too few bytes are left.
    pub fn f64(&mut self, field: &'static str) -> Result<f64, DecodeError> {
        Ok(f64::from_be_bytes(self.array(field)?))
    }

    /// Reads a uuid.
    ///
    /// # Errors
    ///
    /// If too few bytes are left.
    pub fn uuid(&mut self, field: &'static str) -> Result<Uuid, DecodeError> {
        Ok(Uuid::from_bytes(self.array(field)?))
    }

    /// Reads an unsigned varint of at most 32 bits.
    ///
    /// # Errors
    ///
    /// If the bytes end within it, or it has more than 32 bits or five bytes.
    pub fn unsigned_varint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        match varint::get(&self.rest) {
            Varint::Value(value, len) => {
                self.rest.advance(len);
                Ok(value)
            }
            Varint::Truncated => Err(self.truncated(self.remaining() + 1, field)),
            Varint::TooLong => Err(self.error(DecodeErrorKind::InvalidVarint, field)),
        }
    }

    /// Reads a string into `into`.
    ///
    /// # Errors
    ///
    /// If it is null, longer than [`MAX_STRING_LEN`], longer than what is left, or not UTF-8.
    pub fn string(
        &mut self,
        into: &mut ByteString,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        let start = self.position();
        match self.string_len(flexible, field)? {
            Some(len) => *into = self.string_of(len, start, field)?,
            None => return Err(unexpected_null(start, field)),
        }
        Ok(())
    }

    /// Reads a string or, where `nullable`, null into `into`.
    ///
    /// # Errors
    ///
    /// As [`string`](Self::string), except that null is one only where it is not `nullable`.
    pub fn nullable_string(
        &mut self,
        into: &mut Option<ByteString>,
        flexible: bool,
        nullable: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        let start = self.position();
        match self.string_len(flexible, field)? {
            Some(len) => *into = Some(self.string_of(len, start, field)?),
            None if nullable => *into = None,
            None => return Err(unexpected_null(start, field)),
        }
        Ok(())
    }

    /// Reads bytes, or records, which look the same, into `into`.
    ///
    /// # Errors
    ///
    /// If they are null or longer than what is left.
    pub fn bytes(
        &mut self,
        into: &mut Bytes,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        let start = self.position();
        match self.long_len(flexible, field)? {
            Some(len) => *into = self.take(len, field)?,
            None => return Err(unexpected_null(start, field)),
        }
        Ok(())
    }

    /// Reads bytes, or records, or, where `nullable`, null into `into`.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), except that null is one only where it is not `nullable`.
    pub fn nullable_bytes(
        &mut self,
        into: &mut Option<Bytes>,
        flexible: bool,
        nullable: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        let start = self.position();
        match self.long_len(flexible, field)? {
            Some(len) => *into = Some(self.take(len, field)?),
            None if nullable => *into = None,
            None => return Err(unexpected_null(start, field)),
        }
        Ok(())
    }

    /// Reads the next `len` bytes as they are, without copying them.
    ///
    /// # Errors
    ///
    /// If fewer are left.
    pub fn take(&mut self, len: usize, field: &'static str) -> Result<Bytes, DecodeError> {
        if len > self.remaining() {
            return Err(self.truncated(len, field));
        }
        Ok(self.rest.split_to(len))
    }

    /// Reads the count of an array; `None` where `nullable` and null. No element takes less than
    /// `smallest` bytes, which is at least one.
    ///
    /// # Errors
    ///
    /// If it is null but not `nullable`, or claims more elements than there are bytes left for or than
    /// [`MAX_ARRAY_LEN`].
    pub fn array_len(
        &mut self,
        flexible: bool,
        nullable: bool,
        smallest: usize,
        field: &'static str,
    ) -> Result<Option<usize>, DecodeError> {
        let start = self.position();
        match self.long_len(flexible, field)? {
            Some(count) if count > MAX_ARRAY_LEN || count * smallest > self.unpromised() => {
                let remaining = self.unpromised();
                let kind = DecodeErrorKind::TooManyElements { count, remaining };
                Err(DecodeError::new(kind, start, field))
            }
            None if !nullable => Err(unexpected_null(start, field)),
            len => Ok(len),
        }
    }

    /// Reads an array of brokers' numbers into `into`.
    ///
    /// # Errors
    ///
    /// As [`i32s`](Self::i32s).
    pub fn broker_ids(
        &mut self,
        into: &mut BrokerIds,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        let count = self.array_len(flexible, false, 1, field)?.unwrap_or(0);
        self.take_elements::<i32>(count, field)?;
        let len = count * size_of::<i32>();
        let Some(bytes) = self.rest.get(..len) else {
            return Err(self.truncated(len, field));
        };
        let (ids, _) = bytes.as_chunks();
        *into = BrokerIds::from_be_bytes(ids);
        self.rest.advance(len);
        Ok(())
    }

    /// Reads an array of brokers' numbers or, where `nullable`, null into `into`.
    ///
    /// # Errors
    ///
    /// As [`i32s`](Self::i32s).
    pub fn nullable_broker_ids(
        &mut self,
        into: &mut Option<BrokerIds>,
        flexible: bool,
        nullable: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        if nullable && self.take_null(flexible) {
            *into = None;
            return Ok(());
        }
        self.broker_ids(into.insert(BrokerIds::new()), flexible, field)
    }

    /// An error of this kind in `field`, where the reader stands.
    #[cold]
    #[must_use]
    pub fn error(&self, kind: DecodeErrorKind, field: &'static str) -> DecodeError {
        DecodeError::new(kind, self.position(), field)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.rest.first_chunk::<N>() {
            Some(&chunk) => {
                self.rest.advance(N);
                Ok(chunk)
            }
            None => Err(self.truncated(N, field)),
        }
    }

    /// Whether this byte comes next; it is taken then.
    pub(crate) fn take_byte(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.rest.advance(1);
        }
        is_next
    }

    /// The length of a string; `None` if it is null.
    fn string_len(
        &mut self,
        flexible: bool,
        field: &'static str,
    ) -> Result<Option<usize>, DecodeError> {
        if flexible {
            return Ok(compact(self.unsigned_varint(field)?));
        }
        let start = self.position();
        let length = self.i16(field)?;
        plain(i32::from(length), start, field)
    }

    /// The length of bytes, or the count of an array; `None` if it is null.
    fn long_len(
        &mut self,
        flexible: bool,
        field: &'static str,
    ) -> Result<Option<usize>, DecodeError> {
        if flexible {
            return Ok(compact(self.unsigned_varint(field)?));
        }
        let start = self.position();
        let length = self.i32(field)?;
        plain(length, start, field)
    }

    /// Whether null stands where an array might; it is taken then.
    fn take_null(&mut self, flexible: bool) -> bool {
        let null: &[u8] = if flexible { &[0] } else { &[0xff; 4] };
        let is_null = self.rest.starts_with(null);
        if is_null {
            self.rest.advance(null.len());
        }
        is_null
    }

    fn string_of(
        &mut self,
        len: usize,
        start: usize,
        field: &'static str,
    ) -> Result<ByteString, DecodeError> {
        if len > MAX_STRING_LEN {
            let kind = DecodeErrorKind::StringTooLong { length: len };
            return Err(DecodeError::new(kind, start, field));
        }
        match ByteString::try_from(self.take(len, field)?) {
            Ok(string) => Ok(string),
            Err(_) => Err(DecodeError::new(DecodeErrorKind::InvalidUtf8, start, field)),
        }
    }

    #[cold]
    fn truncated(&self, needed: usize, field: &'static str) -> DecodeError {
        let remaining = self.remaining();
        self.error(DecodeErrorKind::Truncated { needed, remaining }, field)
    }
}

/// Methods for arrays of values of a fixed size: the bytes are checked and taken at once.
macro_rules! fixed_size_arrays {
    ($($all:ident, $nullable:ident, $type:ty, $size:literal, $what:literal, $from:expr;)*) => {
        impl Reader {
            $(
                #[doc = concat!("Reads an array of ", $what, " into `into`.")]
                ///
                /// # Errors
                ///
                /// As [`array_len`](Self::array_len), and if the bytes end before the array.
                pub fn $all(
                    &mut self,
                    into: &mut Vec<$type>,
                    flexible: bool,
                    field: &'static str,
                ) -> Result<(), DecodeError> {
                    let count = self.array_len(flexible, false, 1, field)?.unwrap_or(0);
                    self.take_elements::<$type>(count, field)?;
                    let len = count * $size;
                    let Some(bytes) = self.rest.get(..len) else {
                        return Err(self.truncated(len, field));
                    };
                    let (chunks, _) = bytes.as_chunks::<$size>();
                    *into = chunks.iter().copied().map($from).collect();
                    self.rest.advance(len);
                    Ok(())
                }

                #[doc = concat!("Reads an array of ", $what, " or, where `nullable`, null into `into`.")]
                ///
                /// # Errors
                ///
                /// As [`array_len`](Self::array_len), and if the bytes end before the array.
                pub fn $nullable(
                    &mut self,
                    into: &mut Option<Vec<$type>>,
                    flexible: bool,
                    nullable: bool,
                    field: &'static str,
                ) -> Result<(), DecodeError> {
                    if nullable && self.take_null(flexible) {
                        *into = None;
                        return Ok(());
                    }
                    self.$all(into.insert(Vec::new()), flexible, field)
                }
            )*
        }
    };
}

fixed_size_arrays! {
    bools, nullable_bools, bool, 1, "booleans", |byte: [u8; 1]| byte != [0];
    i8s, nullable_i8s, i8, 1, "int8", i8::from_be_bytes;
    i16s, nullable_i16s, i16, 2, "int16", i16::from_be_bytes;
    u16s, nullable_u16s, u16, 2, "uint16", u16::from_be_bytes;
    i32s, nullable_i32s, i32, 4, "int32", i32::from_be_bytes;
    u32s, nullable_u32s, u32, 4, "uint32", u32::from_be_bytes;
    i64s, nullable_i64s, i64, 8, "int64", i64::from_be_bytes;
    f64s, nullable_f64s, f64, 8, "float64", f64::from_be_bytes;
    uuids, nullable_uuids, Uuid, 16, "uuids", Uuid::from_bytes;
}

/// Methods for arrays of values that say their own length. None of them can be null.
macro_rules! sized_arrays {
    ($($all:ident, $nullable:ident, $one:ident, $type:ty, $what:literal;)*) => {
        impl Reader {
            $(
                #[doc = concat!("Reads an array of ", $what, " into `into`, which must be empty.")]
                ///
                /// # Errors
                ///
                /// As [`array_len`](Self::array_len), and as for each element.
                pub fn $all(
                    &mut self,
                    into: &mut Vec<$type>,
                    flexible: bool,
                    field: &'static str,
                ) -> Result<(), DecodeError> {
                    let count = self.array_len(flexible, false, 1, field)?.unwrap_or(0);
                    self.take_elements::<$type>(count, field)?;
                    into.reserve_exact(count);
                    for index in 0..count {
                        let mut element = <$type>::new();
                        if let Err(error) = self.$one(&mut element, flexible, "") {
                            return Err(error.within_element(field, index));
                        }
                        into.push(element);
                    }
                    Ok(())
                }

                #[doc = concat!("Reads an array of ", $what, " or, where `nullable`, null into `into`.")]
                ///
                /// # Errors
                ///
                /// As [`array_len`](Self::array_len), and as for each element.
                pub fn $nullable(
                    &mut self,
                    into: &mut Option<Vec<$type>>,
                    flexible: bool,
                    nullable: bool,
                    field: &'static str,
                ) -> Result<(), DecodeError> {
                    if nullable && self.take_null(flexible) {
                        *into = None;
                        return Ok(());
                    }
                    self.$all(into.insert(Vec::new()), flexible, field)
                }
            )*
        }
    };
}

sized_arrays! {
    strings, nullable_strings, string, ByteString, "strings";
    byte_strings, nullable_byte_strings, bytes, Bytes, "bytes";
}

/// A length that stands as a varint of the length plus one, 0 for null.
fn compact(length_and_one: u32) -> Option<usize> {
    length_and_one.checked_sub(1).map(|length| length as usize)
}

/// A length that stands as it is, -1 for null.
fn plain(length: i32, start: usize, field: &'static str) -> Result<Option<usize>, DecodeError> {
    match usize::try_from(length) {
        Ok(length) => Ok(Some(length)),
        Err(_) if length == -1 => Ok(None),
        Err(_) => {
            let kind = DecodeErrorKind::NegativeLength { length };
            Err(DecodeError::new(kind, start, field))
        }
    }
}

#[cold]
fn unexpected_null(start: usize, field: &'static str) -> DecodeError {
    DecodeError::new(DecodeErrorKind::UnexpectedNull, start, field)
}
