//! The knobs of one log, by Kafka's names and with Kafka's defaults. It does not know where the values
//! come from.

use kafka_protocol::record::TimestampType;

/// How one log is cut, kept and flushed: the topic configs that concern storage.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogConfig {
    /// `cleanup.policy` contains `delete`: old segments go. Default true.
    pub delete: bool,
    /// `cleanup.policy` contains `compact`: only the last record of each key is kept. Default false.
    pub compact: bool,
    /// `segment.bytes`: a segment is closed before it grows beyond this. Default 1 GiB.
    pub segment_bytes: usize,
    /// `segment.ms`: a segment is closed when its first record is this old. Default 7 days.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: by how much at most a segment is closed sooner than `segment.ms` says, so that not
    /// all logs are cut at the same time. Default 0.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: a segment is closed when one of its indexes is this large. Default
    /// 10 MiB.
    pub segment_index_bytes: usize,
    /// `index.interval.bytes`: there is one index entry per this many bytes of batches. Default 4096.
    pub index_interval_bytes: usize,
    /// `max.message.bytes`: the largest batch that is accepted from producers. Default 1 MiB and 12
    /// bytes.
    pub max_message_bytes: usize,
    /// `retention.ms`: records older than this may go, -1 for never. Default 7 days.
    pub retention_ms: i64,
    /// `retention.bytes`: the oldest segments beyond this size may go, -1 for never. Default -1.
    pub retention_bytes: i64,
    /// `flush.messages`: a flush follows this many records. Default: never.
    pub flush_messages: i64,
    /// `flush.ms`: a flush is due when a record has waited this long. Default: never.
    pub flush_ms: i64,
    /// `message.timestamp.type`. Default the producer's timestamps.
    pub message_timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far behind the broker's clock a record's timestamp may
    /// be. Default without limit.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far ahead of the broker's clock a record's timestamp may
    /// be. Default one hour.
    pub message_timestamp_after_max_ms: i64,
    /// `delete.retention.ms`: how long a tombstone survives compaction. Default one day.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: how long a record is safe from compaction. Default 0.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: when a record must have been compacted. Default without limit.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: the share of a log that must be uncompacted before it is worth
    /// the work. Default 0.5.
    pub min_cleanable_dirty_ratio: f64,
    /// `producer.id.expiration.ms`: when a silent producer is forgotten. Default one day.
    pub producer_id_expiration_ms: i64,
    /// How many bytes of the newest batches are kept in memory for readers at the end of the log.
    /// Default 1 MiB; Kafka has no such property, it relies on the page cache.
    pub tail_bytes: usize,
}

impl LogConfig {
    /// How old the first record of a segment may become before the segment is closed: `segment.ms`, or
    /// less if it must be compacted sooner.
    pub(crate) fn roll_ms(&self) -> i64 {
        match self.compact {
            true => self.segment_ms.min(self.max_compaction_lag_ms),
            false => self.segment_ms,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            delete: true,
            compact: false,
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            max_message_bytes: (1 << 20) + 12,
            retention_ms: 7 * DAY_MS,
            retention_bytes: -1,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            message_timestamp_type: TimestampType::CreateTime,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: 60 * 60 * 1000,
            delete_retention_ms: DAY_MS,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            producer_id_expiration_ms: DAY_MS,
            tail_bytes: 1 << 20,
        }
    }
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
