//! Turning a message set into records of magic 2, in the place where it lies.
//!
//! A record is never longer than the message it was: its fixed part takes at most 32 bytes where that
//! of a message of magic 1 takes 34, and 23 where that of magic 0, which has no timestamps, takes 26.
//! The same holds for every part of it from the front, so that no byte is written over that is still
//! to be read.

use std::ops::Range;

use crate::record::error::RecordError;
use crate::record::header::{Attributes, BatchHeader, TimestampType};
use crate::record::legacy::head::Head;
use crate::record::legacy::set::Message;
use crate::record::varint::{push_varlong, varint_len, varlong_len};

/// Makes records of all messages in `set`, which came under `head`, and gives a header for them.
///
/// `last_offset` is that of the last message by the account of the outermost entry.
pub(super) fn rewrite(
    set: &mut Vec<u8>,
    head: &Head,
    last_offset: i64,
) -> Result<BatchHeader, RecordError> {
    let summary = Summary::of(set, head, last_offset)?;
    let mut front = Vec::with_capacity(FRONT_LEN_MAX);
    let (mut read, mut written) = (0, 0);
    while let Some(message) = Message::next(set, read, head.magic)? {
        read = message.place.end;
        let offset_delta = summary.delta_of(&message)?;
        let timestamp_delta = message.timestamp.wrapping_sub(summary.base_timestamp);
        let record = Record {
            timestamp_delta,
            offset_delta,
            message,
        };
        written = record.put(set, written, &mut front);
    }
    set.truncate(written);
    Ok(summary.header(head, set.len()))
}

/// What is known of a set once all of it was looked at.
struct Summary {
    /// What is to be added to the offsets inside.
    base: i64,
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
}

impl Summary {
    fn of(set: &[u8], head: &Head, last_offset: i64) -> Result<Self, RecordError> {
        let Some(first) = Message::next(set, 0, head.magic)? else {
            return Err(RecordError::nesting(
                0,
                "a compressed message without messages",
            ));
        };
        let (mut lowest, mut highest, mut last) = (first.offset, first.offset, first.offset);
        let mut max_timestamp = first.timestamp;
        let mut count = 1_i32;
        let mut at = first.place.end;
        while let Some(message) = Message::next(set, at, head.magic)? {
            at = message.place.end;
            last = message.offset;
            lowest = lowest.min(last);
            highest = highest.max(last);
            max_timestamp = max_timestamp.max(message.timestamp);
            // A set of less than 2 GiB cannot hold as many.
            count = count.saturating_add(1);
        }
        // Offsets inside count from the first in magic 1, the outer offset being that of the last
        // one, or 0 if the set never passed through a broker.
        let base = match head.magic {
            1 if last_offset != 0 => last_offset
                .checked_sub(last)
                .filter(|_| last <= last_offset)
                .ok_or(MISPLACED)?,
            _ => 0,
        };
        let base_offset = base.checked_add(lowest).ok_or(MISPLACED)?;
        let highest = base.checked_add(highest).ok_or(MISPLACED)?;
        Ok(Self {
            base,
            base_offset,
            last_offset_delta: delta(base_offset, highest.max(last_offset))?,
            base_timestamp: first.timestamp,
            max_timestamp,
            count,
        })
    }

    fn delta_of(&self, message: &Message) -> Result<i32, RecordError> {
        let offset = self.base.checked_add(message.offset).ok_or(MISPLACED)?;
        delta(self.base_offset, offset)
    }

    /// The header of a batch of so many bytes of records, whose checksum is that of the old entry.
    fn header(&self, head: &Head, body_len: usize) -> BatchHeader {
        let is_append_time =
            head.magic > 0 && head.attributes.timestamp_type() == TimestampType::LogAppendTime;
        let (timestamp_type, max_timestamp) = if is_append_time {
            (TimestampType::LogAppendTime, head.timestamp)
        } else {
            (TimestampType::CreateTime, self.max_timestamp)
        };
        BatchHeader {
            base_offset: self.base_offset,
            // A set is shorter than the int32 that its own length was.
            batch_length: (BatchHeader::LEN - BatchHeader::LENGTH_PREFIX + body_len) as i32,
            partition_leader_epoch: -1,
            crc: head.crc,
            attributes: Attributes::default()
                .with_compression(head.attributes.compression().unwrap_or_default())
                .with_timestamp_type(timestamp_type),
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: self.count,
        }
    }
}

fn delta(base_offset: i64, offset: i64) -> Result<i32, RecordError> {
    let delta = offset.checked_sub(base_offset).ok_or(MISPLACED)?;
    i32::try_from(delta).map_err(|_| MISPLACED)
}

/// A message as the record that it becomes.
struct Record {
    timestamp_delta: i64,
    offset_delta: i32,
    message: Message,
}

impl Record {
    /// Writes the record to `set` at `at`, which is not behind the message; gives where it ends.
    fn put(&self, set: &mut [u8], at: usize, front: &mut Vec<u8>) -> usize {
        front.clear();
        push_varlong(front, self.len() as i64);
        front.push(0);
        push_varlong(front, self.timestamp_delta);
        push_varlong(front, i64::from(self.offset_delta));
        let mut end = at;
        for field in [&self.message.key, &self.message.value] {
            let len = field.as_ref().map_or(NULL, |range| range.len() as i64);
            push_varlong(front, len);
            end = put(set, end, front);
            front.clear();
            if let Some(range) = field {
                set.copy_within(range.clone(), end);
                end += range.len();
            }
        }
        // No headers.
        put(set, end, &[0])
    }

    /// Bytes behind the length field.
    fn len(&self) -> usize {
        let field_len = |field: &Option<Range<usize>>| match field {
            Some(range) => varlong_len(range.len() as i64) + range.len(),
            None => 1,
        };
        1 + varlong_len(self.timestamp_delta)
            + varint_len(self.offset_delta)
            + field_len(&self.message.key)
            + field_len(&self.message.value)
            + 1
    }
}

fn put(set: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let end = at + bytes.len();
    if let Some(place) = set.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
    end
}

const MISPLACED: RecordError = RecordError::nesting(0, "offsets that do not fit their wrapper");
const NULL: i64 = -1;
/// The numbers of a record up to the length of its key, all as long as can be.
const FRONT_LEN_MAX: usize = 26;
