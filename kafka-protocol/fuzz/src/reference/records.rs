//! Batches of magic 2, and where entries of any magic begin and end.

use super::cursor::Cursor;

/// A record with everything in memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<PlainHeader>,
}

/// Name and value of a header.
pub type PlainHeader = (Vec<u8>, Option<Vec<u8>>);

/// What the fixed head of a batch says, as far as records depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub base_offset: i64,
    pub crc: u32,
    pub attributes: i64,
    pub last_offset_delta: i64,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub count: i64,
}

/// The entries of a `records` field up to the first that is cut off or broken, and whether the field
/// is broken there.
pub fn entries(data: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut entries = Vec::new();
    let mut rest = data;
    while rest.len() >= 12 {
        let length = Cursor(&rest[8..]).int(4).expect("four bytes");
        if !(14..=i64::from(i32::MAX) - 12).contains(&length) {
            return (entries, true);
        }
        let Some(magic) = rest.get(16) else { break };
        if *magic > 2 {
            return (entries, true);
        }
        let Some(entry) = rest.get(..12 + length as usize) else {
            break;
        };
        let is_sound = match magic {
            2 => header(entry).is_some(),
            1 => length >= 22,
            _ => true,
        };
        if !is_sound {
            return (entries, true);
        }
        entries.push(entry);
        rest = &rest[entry.len()..];
    }
    (entries, false)
}

/// The head of a batch; none if it says what cannot be.
pub fn header(batch: &[u8]) -> Option<Header> {
    let mut cursor = Cursor(batch);
    let base_offset = cursor.int(8)?;
    let _length_epoch_and_magic = cursor.take(9)?;
    let crc = cursor.int(4)? as u32;
    let attributes = cursor.int(2)?;
    let last_offset_delta = cursor.int(4)?;
    let base_timestamp = cursor.int(8)?;
    let max_timestamp = cursor.int(8)?;
    let _producer_and_sequence = cursor.take(14)?;
    let count = cursor.int(4)?;
    base_offset.checked_add(last_offset_delta)?;
    (last_offset_delta >= 0 && count >= 0).then_some(Header {
        base_offset,
        crc,
        attributes,
        last_offset_delta,
        base_timestamp,
        max_timestamp,
        count,
    })
}

/// The records of a body up to the first that is broken, and whether there is one.
pub fn records(header: &Header, body: &[u8]) -> (Vec<Plain>, bool) {
    let mut records = Vec::new();
    let mut cursor = Cursor(body);
    for _ in 0..header.count {
        match record(header, &mut cursor) {
            Some(record) => records.push(record),
            None => return (records, true),
        }
    }
    (records, !cursor.0.is_empty())
}

fn record(header: &Header, cursor: &mut Cursor<'_>) -> Option<Plain> {
    let length = cursor.varint()?;
    let mut fields = Cursor(cursor.take(usize::try_from(length).ok()?)?);
    let _attributes = fields.byte()?;
    let timestamp_delta = fields.varlong()?;
    let offset_delta = i64::from(fields.varint()?);
    if !(0..=header.last_offset_delta).contains(&offset_delta) {
        return None;
    }
    let key = fields.sized_by_varint()?;
    let value = fields.sized_by_varint()?;
    let count = fields.varint()?;
    if count < 0 {
        return None;
    }
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push((fields.sized_by_varint()??, fields.sized_by_varint()?));
    }
    let is_log_append_time = header.attributes & 8 != 0;
    fields.0.is_empty().then_some(Plain {
        offset: header.base_offset + offset_delta,
        timestamp: if is_log_append_time {
            header.max_timestamp
        } else {
            header.base_timestamp.wrapping_add(timestamp_delta)
        },
        key,
        value,
        headers,
    })
}
