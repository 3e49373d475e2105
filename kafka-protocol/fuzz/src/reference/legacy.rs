//! Entries of magic 0 and 1: one message, or a compressed set of them.

use kafka_protocol::compression::Compression;
use twox_hash::XxHash32;

use super::cursor::Cursor;
use super::records::Plain;

/// A message as it stands there.
#[derive(Clone, Debug)]
pub struct Message {
    pub offset: i64,
    pub crc: u32,
    pub magic: u8,
    pub attributes: u8,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// The message that `entry` is, with offset and length in front.
pub fn read_message(entry: &[u8]) -> Option<Message> {
    let mut cursor = Cursor(entry);
    let offset = cursor.int(8)?;
    let _length = cursor.int(4)?;
    let crc = cursor.int(4)? as u32;
    let magic = cursor.byte()?;
    let attributes = cursor.byte()?;
    let timestamp = if magic == 1 { cursor.int(8)? } else { -1 };
    let len = cursor.int(4)?;
    let key = cursor.sized(len)?;
    let len = cursor.int(4)?;
    let value = cursor.sized(len)?;
    (magic < 2 && cursor.0.is_empty()).then_some(Message {
        offset,
        crc,
        magic,
        attributes,
        timestamp,
        key,
        value,
    })
}

/// The messages of an entry as records; none if one of them is broken. `decompress` is for the value of
/// a wrapper.
pub fn messages(
    entry: &[u8],
    decompress: impl FnOnce(Compression, &[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<Plain>> {
    let outer = read_message(entry)?;
    let codec = Compression::from_code(i16::from(outer.attributes & 7))?;
    let (inner, base) = match codec {
        Compression::None => (vec![outer.clone()], 0),
        Compression::Zstd => return None,
        _ => {
            let mut value = outer.value.clone()?;
            if outer.magic == 0 && codec == Compression::Lz4 {
                mend_lz4_header(&mut value);
            }
            let inner = set(&decompress(codec, &value)?, outer.magic)?;
            let last = inner.last()?.offset;
            let base = if outer.magic == 1 && outer.offset != 0 {
                // The first of the set is at offset 0, so that its last is never behind the wrapper's.
                (last <= outer.offset).then_some(())?;
                outer.offset.checked_sub(last)?
            } else {
                0
            };
            (inner, base)
        }
    };
    let mut records = Vec::new();
    let (mut lowest, mut highest) = (i64::MAX, outer.offset);
    for message in inner {
        let offset = base.checked_add(message.offset)?;
        (lowest, highest) = (lowest.min(offset), highest.max(offset));
        records.push(Plain {
            offset,
            timestamp: if outer.magic == 1 && outer.attributes & 8 != 0 {
                outer.timestamp
            } else {
                message.timestamp
            },
            key: message.key,
            value: message.value,
            headers: Vec::new(),
        });
    }
    // All of them have to fit into one batch of today.
    i32::try_from(highest.checked_sub(lowest)?).ok()?;
    Some(records)
}

fn set(mut data: &[u8], magic: u8) -> Option<Vec<Message>> {
    let mut messages = Vec::new();
    while data.len() >= 12 {
        let length = Cursor(&data[8..]).int(4)?;
        if length < 14 {
            return None;
        }
        // What is cut off at the end is left out.
        let Some(entry) = data.get(..12 + length as usize) else {
            break;
        };
        let message = read_message(entry)?;
        if message.magic != magic || message.attributes & 7 != 0 {
            return None;
        }
        messages.push(message);
        data = &data[entry.len()..];
    }
    Some(messages)
}

/// In magic 0 the header checksum of a frame is wrong by rule: makes it right.
fn mend_lz4_header(frame: &mut [u8]) {
    let Some(flags) = frame.get(4) else { return };
    let end = if flags & 8 == 0 { 6 } else { 14 };
    if frame.len() > end {
        frame[end] = (XxHash32::oneshot(0, &frame[4..end]) >> 8) as u8;
    }
}
