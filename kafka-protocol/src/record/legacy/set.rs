//! Walking over a message set: where the fields of each message stand. Neither keeps nor moves any.

use std::ops::Range;

use crate::compression::Compression;
use crate::record::error::{RecordError, RecordErrorKind};
use crate::record::header::BatchHeader;
use crate::record::legacy::head::Head;

/// A message: what it says of itself, and where in its set its fields stand.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Option<Range<usize>>,
    pub(super) value: Option<Range<usize>>,
    /// Where the message begins, and where the next one does.
    pub(super) place: Range<usize>,
}

impl Message {
    /// Reads the message that the bytes of `set` from `at` on are.
    pub(super) fn decode(set: &[u8], at: usize) -> Result<Self, RecordError> {
        let (head, fields_at) = head(set, at)?;
        Self::with_fields(&head, set, at, fields_at)
    }

    /// Reads the next message of the set that was compressed, or is alone, under `magic`; `None` at the
    /// end. One that is cut off there is left out, as Kafka does.
    pub(super) fn next(set: &[u8], at: usize, magic: i8) -> Result<Option<Self>, RecordError> {
        let rest = set.get(at..).unwrap_or_default();
        let Some(([.., l0, l1, l2, l3], _)) =
            rest.split_first_chunk::<{ BatchHeader::LENGTH_PREFIX }>()
        else {
            return Ok(None);
        };
        let length = i32::from_be_bytes([*l0, *l1, *l2, *l3]);
        if length < Head::LENGTH_MIN {
            let kind = RecordErrorKind::MessageLength(length);
            return Err(RecordError::new(at, kind));
        }
        let end = at + BatchHeader::LENGTH_PREFIX + length as usize;
        let Some(set) = set.get(..end) else {
            return Ok(None);
        };
        let (head, fields_at) = head(set, at)?;
        if head.magic != magic {
            return Err(RecordError::nesting(
                at,
                "a message of another magic than its wrapper",
            ));
        }
        if head.attributes.compression() != Some(Compression::None) {
            return Err(RecordError::nesting(
                at,
                "a compressed message inside another",
            ));
        }
        Self::with_fields(&head, set, at, fields_at).map(Some)
    }

    /// The message that `set` ends with, which begins at `at` and whose head is read.
    fn with_fields(
        head: &Head,
        set: &[u8],
        at: usize,
        fields_at: usize,
    ) -> Result<Self, RecordError> {
        let unreadable = |at, name| RecordError::new(at, RecordErrorKind::Field(name));
        let (key, value_at) =
            nullable(set, fields_at).ok_or_else(|| unreadable(fields_at, "key"))?;
        let (value, end) = nullable(set, value_at).ok_or_else(|| unreadable(value_at, "value"))?;
        if end != set.len() {
            let kind = RecordErrorKind::BytesBehindRecord(set.len() - end);
            return Err(RecordError::new(end, kind));
        }
        Ok(Self {
            offset: head.offset,
            timestamp: head.timestamp,
            key,
            value,
            place: at..end,
        })
    }
}

/// The front of the message at `at`, and where its fields begin.
fn head(set: &[u8], at: usize) -> Result<(Head, usize), RecordError> {
    let bytes = set.get(at..).unwrap_or_default();
    let (head, rest) = Head::decode(bytes).map_err(|kind| RecordError::new(at, kind))?;
    Ok((head, set.len() - rest.len()))
}

/// Where the field stands whose int32 length stands at `at`, null for a negative length, and where it
/// ends.
fn nullable(set: &[u8], at: usize) -> Option<(Option<Range<usize>>, usize)> {
    let length = set.get(at..)?.first_chunk()?;
    let start = at + LENGTH_LEN;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) => {
            let end = start.checked_add(length).filter(|&end| end <= set.len())?;
            Some((Some(start..end), end))
        }
        Err(_) => Some((None, start)),
    }
}

/// Bytes of the length of a key or a value.
pub(super) const LENGTH_LEN: usize = 4;
