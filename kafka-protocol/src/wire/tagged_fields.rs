//! The flexible tail of a struct: optional fields by number, in ascending order.
//!
//! Fields whose tag a struct does not know are kept as they are and written again in their place, so
//! that a message goes through a proxy unchanged.

use std::fmt;

use bytes::Bytes;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
use crate::wire::limits::MAX_TAGGED_FIELDS;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// Tagged fields of a struct that this release does not know, by ascending tag.
///
/// Takes no memory of its own while it is empty, which is nearly always.
#[expect(
    clippy::box_collection,
    reason = "hundreds of structs hold one that is nearly always empty: a pointer is a third of a vector"
)]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UnknownTaggedFields(Option<Box<Vec<(u32, Bytes)>>>);

impl UnknownTaggedFields {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// The tags and the bytes of their fields, in the order they stand in.
    #[must_use]
    pub fn as_slice(&self) -> &[(u32, Bytes)] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Appends a field. Writing fails if its tag is not greater than those before it, or is known.
    pub fn push(&mut self, tag: u32, bytes: Bytes) {
        self.0.get_or_insert_default().push((tag, bytes));
    }
}

/// Short, since each struct of a message that is printed has one.
impl fmt::Debug for UnknownTaggedFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.as_slice().iter();
        f.debug_map()
            .entries(fields.map(|field| (field.0, &field.1)))
            .finish()
    }
}

impl FromIterator<(u32, Bytes)> for UnknownTaggedFields {
    fn from_iter<I: IntoIterator<Item = (u32, Bytes)>>(fields: I) -> Self {
        let fields: Vec<_> = fields.into_iter().collect();
        Self((!fields.is_empty()).then(|| Box::new(fields)))
    }
}

/// The tagged fields of a struct while they are read.
#[derive(Debug)]
pub struct TagReader {
    left: usize,
    /// The lowest tag that may follow.
    lowest: u32,
}

/// The head of a tagged field: its content follows.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    /// The number.
    pub number: u32,
    /// How many fields there are from here on, this one included.
    left: usize,
    /// Bytes of the content.
    size: usize,
    /// Where the content begins.
    start: usize,
}

impl TagReader {
    /// Reads how many fields follow.
    ///
    /// # Errors
    ///
    /// If they are more than there are bytes left for or than [`MAX_TAGGED_FIELDS`].
    pub fn begin(r: &mut Reader) -> Result<Self, DecodeError> {
        let start = r.position();
        let left = r.unsigned_varint(TAGGED_FIELDS)? as usize;
        if left > MAX_TAGGED_FIELDS || left * SMALLEST > r.unpromised() {
            let kind = DecodeErrorKind::TooManyTaggedFields { count: left };
            return Err(DecodeError::new(kind, start, TAGGED_FIELDS));
        }
        Ok(Self { left, lowest: 0 })
    }

    /// Reads the head of the next field; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// If the tag is not greater than the one before it, or the field is longer than what is left.
    pub fn next(&mut self, r: &mut Reader) -> Result<Option<Tag>, DecodeError> {
        let left = self.left;
        if left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let start = r.position();
        let number = r.unsigned_varint(TAGGED_FIELDS)?;
        if number < self.lowest || number > MAX_TAG {
            let kind = DecodeErrorKind::InvalidTag { tag: number };
            return Err(DecodeError::new(kind, start, TAGGED_FIELDS));
        }
        self.lowest = number + 1;
        let size = r.unsigned_varint(TAGGED_FIELDS)? as usize;
        if size > r.remaining() {
            let remaining = r.remaining();
            let needed = size;
            return Err(r.error(
                DecodeErrorKind::Truncated { needed, remaining },
                TAGGED_FIELDS,
            ));
        }
        let start = r.position();
        Ok(Some(Tag {
            number,
            left,
            size,
            start,
        }))
    }
}

impl Tag {
    /// Ends the reading of a known field.
    ///
    /// # Errors
    ///
    /// If what was read is not as long as the field.
    pub fn end(self, r: &Reader, field: &'static str) -> Result<(), DecodeError> {
        let actual = r.position() - self.start;
        if actual == self.size {
            return Ok(());
        }
        let kind = DecodeErrorKind::TaggedFieldSize {
            tag: self.number,
            claimed: self.size,
            actual,
        };
        Err(DecodeError::new(kind, self.start, field))
    }

    /// Refuses a field whose tag is known, but not in this version.
    ///
    /// # Errors
    ///
    /// Always.
    #[cold]
    pub fn refuse(self) -> Result<(), DecodeError> {
        let kind = DecodeErrorKind::TagNotInVersion { tag: self.number };
        Err(DecodeError::new(kind, self.start, TAGGED_FIELDS))
    }

    /// Reads an unknown field and keeps it.
    ///
    /// # Errors
    ///
    /// If too few bytes are left, which cannot be if nothing was read since the head.
    pub fn keep(
        self,
        r: &mut Reader,
        unknown: &mut UnknownTaggedFields,
    ) -> Result<(), DecodeError> {
        let content = r.take(self.size, TAGGED_FIELDS)?;
        if unknown.0.is_none() {
            r.take_memory::<Vec<(u32, Bytes)>>(1, TAGGED_FIELDS)?;
            r.take_memory::<(u32, Bytes)>(self.left, TAGGED_FIELDS)?;
        }
        let fields = unknown.0.get_or_insert_default();
        if fields.is_empty() {
            fields.reserve_exact(self.left);
        }
        fields.push((self.number, content));
        Ok(())
    }
}

impl Reader {
    /// Reads the tagged fields of a struct that knows none: nothing where not `flexible`.
    ///
    /// # Errors
    ///
    /// As [`TagReader`].
    pub fn unknown_tagged_fields(
        &mut self,
        into: &mut UnknownTaggedFields,
        flexible: bool,
    ) -> Result<(), DecodeError> {
        // Nearly always there are none.
        if flexible && !self.take_byte(0) {
            let mut tags = TagReader::begin(self)?;
            while let Some(tag) = tags.next(self)? {
                tag.keep(self, into)?;
            }
        }
        Ok(())
    }
}

/// The tagged fields of a struct while they are written: known ones in the order of their tags, and
/// unknown ones between them where they belong.
#[derive(Debug)]
pub struct TagWriter<'a> {
    /// Where the count stands.
    start: usize,
    count: usize,
    /// The lowest unknown tag that may follow.
    lowest: u32,
    unknown: &'a [(u32, Bytes)],
}

/// A known tagged field whose content is being written.
#[derive(Debug)]
#[must_use]
pub struct OpenTag {
    start: usize,
}

impl<'a> TagWriter<'a> {
    /// Begins the tagged fields of a struct.
    pub fn begin(w: &mut Writer, unknown: &'a UnknownTaggedFields) -> Self {
        Self {
            start: w.begin_sized(),
            count: 0,
            lowest: 0,
            unknown: unknown.as_slice(),
        }
    }

    /// Goes on to a known tag, whether its field will be written or not: writes the unknown fields
    /// before it.
    ///
    /// # Errors
    ///
    /// If one of them has that tag, or a tag that is not greater than the one before it.
    pub fn reach(&mut self, w: &mut Writer, tag: u32) -> Result<(), EncodeError> {
        while let Some(((number, bytes), rest)) = self.unknown.split_first() {
            if *number > tag {
                break;
            }
            if *number == tag {
                return Err(invalid_tag(tag));
            }
            self.write(w, *number, bytes)?;
            self.unknown = rest;
        }
        Ok(())
    }

    /// Begins the field of a known tag that was reached.
    pub fn open(&mut self, w: &mut Writer, tag: u32) -> OpenTag {
        self.count += 1;
        w.unsigned_varint(tag);
        OpenTag {
            start: w.begin_sized(),
        }
    }

    /// Ends the tagged fields: writes the unknown ones that are left, and the count of all.
    ///
    /// # Errors
    ///
    /// If an unknown tag is not greater than the one before it, or there are more than
    /// [`MAX_TAGGED_FIELDS`].
    pub fn end(mut self, w: &mut Writer) -> Result<(), EncodeError> {
        for (number, bytes) in self.unknown {
            self.write(w, *number, bytes)?;
        }
        if self.count > MAX_TAGGED_FIELDS {
            let kind = EncodeErrorKind::TooManyTaggedFields { count: self.count };
            return Err(EncodeError::new(kind, TAGGED_FIELDS));
        }
        w.end_counted(self.start, self.count);
        Ok(())
    }

    fn write(&mut self, w: &mut Writer, tag: u32, bytes: &Bytes) -> Result<(), EncodeError> {
        if tag < self.lowest || tag > MAX_TAG {
            return Err(invalid_tag(tag));
        }
        self.lowest = tag + 1;
        self.count += 1;
        w.unsigned_varint(tag);
        w.sized_bytes(bytes, TAGGED_FIELDS)
    }
}

impl OpenTag {
    /// Ends the field: puts the size of what was written since it began before it.
    pub fn end(self, w: &mut Writer) {
        w.end_sized(self.start);
    }
}

impl Writer {
    /// Writes the tagged fields of a struct that knows none.
    ///
    /// # Errors
    ///
    /// If there are some in a version that is not `flexible`, or as [`TagWriter`].
    #[inline]
    pub fn unknown_tagged_fields(
        &mut self,
        flexible: bool,
        unknown: &UnknownTaggedFields,
    ) -> Result<(), EncodeError> {
        // Nearly always there are none.
        if flexible && unknown.0.is_none() {
            self.i8(0);
            return Ok(());
        }
        self.any_unknown_tagged_fields(flexible, unknown)
    }

    #[inline(never)]
    fn any_unknown_tagged_fields(
        &mut self,
        flexible: bool,
        unknown: &UnknownTaggedFields,
    ) -> Result<(), EncodeError> {
        if flexible {
            TagWriter::begin(self, unknown).end(self)
        } else if unknown.is_empty() {
            Ok(())
        } else {
            let kind = EncodeErrorKind::TaggedFieldsNotInVersion;
            Err(EncodeError::new(kind, TAGGED_FIELDS))
        }
    }
}

#[cold]
fn invalid_tag(tag: u32) -> EncodeError {
    EncodeError::new(EncodeErrorKind::InvalidTag { tag }, TAGGED_FIELDS)
}

/// The largest tag: Kafka reads them into a signed integer, and takes the largest of these for the end.
const MAX_TAG: u32 = i32::MAX as u32 - 1;

/// Bytes of the smallest tagged field: its tag and its size.
const SMALLEST: usize = 2;

/// What errors call the tail of a struct.
const TAGGED_FIELDS: &str = "tagged fields";
