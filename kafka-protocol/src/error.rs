//! Why bytes could not be read as a message, or a message could not be written as bytes.

use std::fmt;

/// Why bytes are not a message, and where.
///
/// Knows the position in the bytes that were given to the reader, and as far as it is known the
/// message, its version, and the path of the field (`topics[3].partitions[0].records`).
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<DecodeFailure>);

#[derive(Clone, PartialEq, Eq)]
struct DecodeFailure {
    kind: DecodeErrorKind,
    position: usize,
    field: String,
    message: Option<(&'static str, i16)>,
}

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The bytes end before the value does.
    Truncated {
        /// How many bytes the value needs.
        needed: usize,
        /// How many there are.
        remaining: usize,
    },
    /// Bytes are left over behind the message.
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The message has no such version.
    UnsupportedVersion,
    /// No request has this API key.
    UnknownApiKey {
        /// The key.
        key: i16,
    },
    /// Null in a field that cannot be null in this version.
    UnexpectedNull,
    /// A length below -1.
    NegativeLength {
        /// The length.
        length: i32,
    },
    /// A string longer than [`MAX_STRING_LEN`](crate::wire::limits::MAX_STRING_LEN).
    StringTooLong {
        /// The claimed length in bytes.
        length: usize,
    },
    /// A string that is not UTF-8.
    InvalidUtf8,
    /// A variable-length integer of more than 32 bits.
    InvalidVarint,
    /// An array that claims more elements than there are bytes for, or than
    /// [`MAX_ARRAY_LEN`](crate::wire::limits::MAX_ARRAY_LEN).
    TooManyElements {
        /// The claimed count.
        count: usize,
        /// The bytes that are left for it: none that elements of arrays around it still need.
        remaining: usize,
    },
    /// More memory than the reader may take:
    /// [`Reader::limit_memory`](crate::wire::Reader::limit_memory).
    MemoryLimit {
        /// How many bytes of memory the value needs.
        needed: usize,
        /// How many there are left of what was allowed.
        left: usize,
    },
    /// More tagged fields than there are bytes, or than
    /// [`MAX_TAGGED_FIELDS`](crate::wire::limits::MAX_TAGGED_FIELDS).
    TooManyTaggedFields {
        /// The claimed count.
        count: usize,
    },
    /// A tag that is not greater than the one before it, or is too large to be one.
    InvalidTag {
        /// The tag.
        tag: u32,
    },
    /// A tag that belongs to a known field, which this version does not have.
    TagNotInVersion {
        /// The tag.
        tag: u32,
    },
    /// A tagged field whose size is not that of its content.
    TaggedFieldSize {
        /// The tag.
        tag: u32,
        /// The size that stands before the content.
        claimed: usize,
        /// The size of the content.
        actual: usize,
    },
    /// A marker of a nullable struct inside a tagged field that is neither 0 nor 1.
    InvalidMarker {
        /// The marker.
        marker: u32,
    },
}

impl DecodeError {
    /// An error of this kind in a field, at a position in the bytes.
    #[cold]
    #[must_use]
    pub fn new(kind: DecodeErrorKind, position: usize, field: &'static str) -> Self {
        Self(Box::new(DecodeFailure {
            kind,
            position,
            field: field.to_owned(),
            message: None,
        }))
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> DecodeErrorKind {
        self.0.kind
    }

    /// Where the value that could not be read begins, counted from the first byte that the reader
    /// was given.
    #[must_use]
    pub fn position(&self) -> usize {
        self.0.position
    }

    /// The path of the field, from the message down; empty if it is not known.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.0.field
    }

    /// The name of the message, if it is known.
    #[must_use]
    pub fn message(&self) -> Option<&'static str> {
        self.0.message.map(|(name, _)| name)
    }

    /// The version the message was read as, if it is known.
    #[must_use]
    pub fn version(&self) -> Option<i16> {
        self.0.message.map(|(_, version)| version)
    }

    /// The same error, in a struct that is the value of `field`.
    #[cold]
    #[must_use]
    pub fn within(mut self, field: &'static str) -> Self {
        self.0.field = join(field, None, &self.0.field);
        self
    }

    /// The same error, in the element of the array `field` that has this index.
    #[cold]
    #[must_use]
    pub fn within_element(mut self, field: &'static str, index: usize) -> Self {
        self.0.field = join(field, Some(index), &self.0.field);
        self
    }

    /// The same error, in this message and version, unless it is known already.
    #[cold]
    #[must_use]
    pub fn in_message(mut self, name: &'static str, version: i16) -> Self {
        self.0.message.get_or_insert((name, version));
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, self.0.message, &self.0.field)?;
        write!(f, "{} at byte {}", self.0.kind, self.0.position)
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("kind", &self.0.kind)
            .field("position", &self.0.position)
            .field("field", &self.0.field)
            .field("message", &self.0.message)
            .finish()
    }
}

impl std::error::Error for DecodeError {}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, remaining } => {
                write!(f, "{needed} bytes needed but {remaining} left")
            }
            Self::TrailingBytes { count } => write!(f, "{count} bytes left over"),
            Self::UnsupportedVersion => f.write_str("no such version"),
            Self::UnknownApiKey { key } => write!(f, "unknown api key {key}"),
            Self::UnexpectedNull => f.write_str("null in a field that is not nullable"),
            Self::NegativeLength { length } => write!(f, "negative length {length}"),
            Self::StringTooLong { length } => write!(f, "string of {length} bytes is too long"),
            Self::InvalidUtf8 => f.write_str("string is not utf-8"),
            Self::InvalidVarint => f.write_str("varint of more than 32 bits"),
            Self::TooManyElements { count, remaining } => {
                write!(f, "array of {count} elements with {remaining} bytes left")
            }
            Self::MemoryLimit { needed, left } => {
                write!(
                    f,
                    "{needed} bytes of memory needed where {left} may still be taken"
                )
            }
            Self::TooManyTaggedFields { count } => write!(f, "{count} tagged fields are too many"),
            Self::InvalidTag { tag } => write!(f, "tag {tag} is out of order or too large"),
            Self::TagNotInVersion { tag } => write!(f, "tag {tag} is not in this version"),
            Self::TaggedFieldSize {
                tag,
                claimed,
                actual,
            } => write!(
                f,
                "tagged field {tag} claims {claimed} bytes but has {actual}"
            ),
            Self::InvalidMarker { marker } => write!(f, "marker {marker} of a nullable struct"),
        }
    }
}

/// Why a message cannot be written, and where.
///
/// Knows as far as it is known the message, its version, the path of the field, and where in the
/// writer's bytes the field would have begun.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodeError(Box<EncodeFailure>);

#[derive(Clone, PartialEq, Eq)]
struct EncodeFailure {
    kind: EncodeErrorKind,
    position: Option<usize>,
    field: String,
    message: Option<(&'static str, i16)>,
}

/// What is wrong with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The message has no such version.
    UnsupportedVersion,
    /// The field does not exist in this version, has not its default, and must not be dropped.
    FieldNotInVersion,
    /// Null in a field that cannot be null in this version.
    UnexpectedNull,
    /// A string longer than [`MAX_STRING_LEN`](crate::wire::limits::MAX_STRING_LEN).
    StringTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// More bytes than a length field can say.
    TooManyBytes {
        /// How many.
        length: usize,
    },
    /// An array of more than [`MAX_ARRAY_LEN`](crate::wire::limits::MAX_ARRAY_LEN) elements.
    TooManyElements {
        /// How many.
        count: usize,
    },
    /// Tagged fields in a version that has none.
    TaggedFieldsNotInVersion,
    /// More than [`MAX_TAGGED_FIELDS`](crate::wire::limits::MAX_TAGGED_FIELDS) tagged fields.
    TooManyTaggedFields {
        /// How many.
        count: usize,
    },
    /// An unknown tagged field with the tag of a known one, or whose tag is not greater than the
    /// one before it, or is too large to be one.
    InvalidTag {
        /// The tag.
        tag: u32,
    },
}

impl EncodeError {
    /// An error of this kind in a field.
    #[cold]
    #[must_use]
    pub fn new(kind: EncodeErrorKind, field: &'static str) -> Self {
        Self(Box::new(EncodeFailure {
            kind,
            position: None,
            field: field.to_owned(),
            message: None,
        }))
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> EncodeErrorKind {
        self.0.kind
    }

    /// Where the value that cannot be written would have begun, counted from the first byte of the
    /// writer, if that is known. The sizes of tagged fields around it take a byte each until then.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// The path of the field, from the message down; empty if it is not known.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.0.field
    }

    /// The name of the message, if it is known.
    #[must_use]
    pub fn message(&self) -> Option<&'static str> {
        self.0.message.map(|(name, _)| name)
    }

    /// The version the message was to be written in, if it is known.
    #[must_use]
    pub fn version(&self) -> Option<i16> {
        self.0.message.map(|(_, version)| version)
    }

    /// The same error, in a struct that is the value of `field`.
    #[cold]
    #[must_use]
    pub fn within(mut self, field: &'static str) -> Self {
        self.0.field = join(field, None, &self.0.field);
        self
    }

    /// The same error, in the element of the array `field` that has this index.
    #[cold]
    #[must_use]
    pub fn within_element(mut self, field: &'static str, index: usize) -> Self {
        self.0.field = join(field, Some(index), &self.0.field);
        self
    }

    /// The same error, in this message and version, unless it is known already.
    #[cold]
    #[must_use]
    pub fn in_message(mut self, name: &'static str, version: i16) -> Self {
        self.0.message.get_or_insert((name, version));
        self
    }

    /// The same error, at this position in the writer's bytes, unless it is known already.
    #[cold]
    #[must_use]
    pub fn at(mut self, position: usize) -> Self {
        self.0.position.get_or_insert(position);
        self
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, self.0.message, &self.0.field)?;
        match self.0.position {
            Some(position) => write!(f, "{} at byte {position}", self.0.kind),
            None => self.0.kind.fmt(f),
        }
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodeError")
            .field("kind", &self.0.kind)
            .field("position", &self.0.position)
            .field("field", &self.0.field)
            .field("message", &self.0.message)
            .finish()
    }
}

impl std::error::Error for EncodeError {}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedVersion => f.write_str("no such version"),
            Self::FieldNotInVersion => f.write_str("field is set but not in this version"),
            Self::UnexpectedNull => f.write_str("null in a field that is not nullable"),
            Self::StringTooLong { length } => write!(f, "string of {length} bytes is too long"),
            Self::TooManyBytes { length } => write!(f, "{length} bytes are too many"),
            Self::TooManyElements { count } => write!(f, "array of {count} elements is too long"),
            Self::TaggedFieldsNotInVersion => f.write_str("tagged fields are not in this version"),
            Self::TooManyTaggedFields { count } => write!(f, "{count} tagged fields are too many"),
            Self::InvalidTag { tag } => {
                write!(f, "tag {tag} is known, out of order or too large")
            }
        }
    }
}

/// Refuses to write a field that is set, but not in the version and not to be dropped.
#[cold]
pub(crate) fn not_in_version(field: &'static str) -> Result<(), EncodeError> {
    Err(EncodeError::new(EncodeErrorKind::FieldNotInVersion, field))
}

/// Writes where an error lies: `FetchResponse v12, topics[0].name: `, as far as it is known.
fn place(
    f: &mut fmt::Formatter<'_>,
    message: Option<(&'static str, i16)>,
    field: &str,
) -> fmt::Result {
    match (message, field) {
        (None, "") => Ok(()),
        (None, field) => write!(f, "{field}: "),
        (Some((name, version)), "") => write!(f, "{name} v{version}: "),
        (Some((name, version)), field) => write!(f, "{name} v{version}, {field}: "),
    }
}

fn join(outer: &str, index: Option<usize>, inner: &str) -> String {
    let dot = if inner.is_empty() { "" } else { "." };
    match index {
        None => format!("{outer}{dot}{inner}"),
        Some(index) => format!("{outer}[{index}]{dot}{inner}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};

    #[test]
    fn a_decode_error_tells_where_it_happened() {
        let error = DecodeError::new(DecodeErrorKind::InvalidUtf8, 17, "name")
            .within_element("topics", 3)
            .within("snapshot")
            .in_message("FetchResponse", 12)
            .in_message("Envelope", 0);
        assert_eq!(
            error.to_string(),
            "FetchResponse v12, snapshot.topics[3].name: string is not utf-8 at byte 17"
        );
        assert_eq!(error.field(), "snapshot.topics[3].name");
        assert_eq!(error.message(), Some("FetchResponse"));
        assert_eq!(error.version(), Some(12));
    }

    #[test]
    fn an_encode_error_tells_what_it_knows() {
        let error = EncodeError::new(EncodeErrorKind::UnexpectedNull, "");
        assert_eq!(error.to_string(), "null in a field that is not nullable");
        assert_eq!(
            error.within("topics").to_string(),
            "topics: null in a field that is not nullable"
        );
    }

    #[test]
    fn an_encode_error_tells_where_the_writer_stood() {
        let error = EncodeError::new(EncodeErrorKind::TooManyElements { count: 7 }, "names")
            .within_element("topics", 3)
            .in_message("MetadataRequest", 12)
            .at(17)
            .in_message("Envelope", 0)
            .at(40);
        assert_eq!(error.position(), Some(17));
        assert_eq!(
            error.to_string(),
            "MetadataRequest v12, topics[3].names: array of 7 elements is too long at byte 17"
        );
    }
}
