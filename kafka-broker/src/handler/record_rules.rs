//! What a topic demands of each record that a client sends. It knows no batch.

use std::fmt;
use std::ops::RangeInclusive;

use kafka_protocol::ErrorCode;
use kafka_protocol::record::{RecordRef, TimestampType};

use crate::config::topic::TopicConfig;

/// The rules for the records of one batch.
#[derive(Clone, Debug)]
pub(crate) struct RecordRules {
    /// Whether each must have a key.
    need_keys: bool,
    /// What their timestamps may be; `None` where the log puts its own in their place.
    timestamps: Option<RangeInclusive<i64>>,
}

impl RecordRules {
    /// The rules of a topic at this time.
    pub(crate) const fn of(config: &TopicConfig, now_ms: i64) -> Self {
        let timestamps = match config.timestamp_type {
            TimestampType::LogAppendTime => None,
            _ => Some(
                now_ms.saturating_sub(config.timestamp_before_max_ms)
                    ..=now_ms.saturating_add(config.timestamp_after_max_ms),
            ),
        };
        Self {
            need_keys: config.compact,
            timestamps,
        }
    }

    /// Whether the log goes by the timestamps of the records.
    pub(crate) const fn trust_timestamps(&self) -> bool {
        self.timestamps.is_some()
    }

    /// Whether records of which so much is known all obey.
    pub(crate) fn are_kept(&self, seen: &Seen) -> bool {
        let in_time = |range: &RangeInclusive<i64>| {
            *range.start() <= seen.earliest && seen.latest <= *range.end()
        };
        seen.are_in_order
            && !(self.need_keys && seen.is_key_missing)
            && self.timestamps.as_ref().is_none_or(in_time)
    }

    /// What is wrong with the record that should stand at `offset`, if anything is.
    pub(crate) fn fault_of(&self, record: &RecordRef<'_>, offset: i64) -> Option<Fault> {
        if self.need_keys && record.key.is_none() {
            return Some(Fault::KeyMissing);
        }
        if let Some(range) = &self.timestamps
            && record.timestamp != NO_TIMESTAMP
            && !range.contains(&record.timestamp)
        {
            return Some(Fault::Timestamp {
                timestamp: record.timestamp,
                earliest: *range.start(),
                latest: *range.end(),
            });
        }
        (record.offset != offset).then_some(Fault::Offset {
            found: record.offset,
            expected: offset,
        })
    }
}

/// What is known of records together: enough to let most batches pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    next_offset: i64,
    are_in_order: bool,
    is_key_missing: bool,
    earliest: i64,
    latest: i64,
}

impl Seen {
    /// Nothing yet; the first record should stand at this offset.
    pub(crate) const fn from(base_offset: i64) -> Self {
        Self {
            next_offset: base_offset,
            are_in_order: true,
            is_key_missing: false,
            earliest: i64::MAX,
            latest: NO_TIMESTAMP,
        }
    }

    /// Takes note of the next record.
    #[inline]
    pub(crate) fn note(&mut self, record: &RecordRef<'_>) {
        self.are_in_order &= record.offset == self.next_offset;
        self.next_offset += 1;
        self.is_key_missing |= record.key.is_none();
        self.earliest = self.earliest.min(record.timestamp);
        self.latest = self.latest.max(record.timestamp);
    }

    /// The highest timestamp; -1 if none has any.
    pub(crate) const fn latest(&self) -> i64 {
        self.latest
    }
}

/// What is wrong with a record that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It has no key, and each needs one.
    KeyMissing,
    /// Its timestamp is too far from the broker's clock.
    Timestamp {
        timestamp: i64,
        earliest: i64,
        latest: i64,
    },
    /// It says that the log has stamped it.
    Stamped,
    /// It stands elsewhere than its place in the batch says.
    Offset { found: i64, expected: i64 },
}

impl Fault {
    /// How the producer is told.
    pub(crate) const fn code(self) -> ErrorCode {
        match self {
            Self::Timestamp { .. } | Self::Stamped => ErrorCode::INVALID_TIMESTAMP,
            Self::KeyMissing | Self::Offset { .. } => ErrorCode::INVALID_RECORD,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyMissing => f.write_str("no key, which a compacted topic demands"),
            Self::Timestamp {
                timestamp,
                earliest,
                latest,
            } => write!(
                f,
                "timestamp {timestamp} is out of range, which is now {earliest} to {latest}"
            ),
            Self::Stamped => f.write_str("the log alone stamps records with its time"),
            Self::Offset { found, expected } => {
                write!(
                    f,
                    "offset {found} in the batch where {expected} is expected"
                )
            }
        }
    }
}

const NO_TIMESTAMP: i64 = -1;
