//! Whether a batch may be appended, judged by its head alone: its records were read before, or are the broker's own.
//!
//! What the bytes say wrongly is corrupt, and what they say rightly but may not is invalid, as Kafka tells
//! the two apart.

use kafka_protocol::record::{BatchHeader, TimestampType};

use crate::log::config::LogConfig;
use crate::log::error::LogError;

/// The rules for a batch that a leader is to append, whoever wrote it.
pub(crate) fn check_leader(header: &BatchHeader, config: &LogConfig) -> Result<(), LogError> {
    let size = header.total_len();
    if size > config.max_message_bytes {
        return Err(LogError::BatchTooLarge {
            size,
            max: config.max_message_bytes,
        });
    }
    if i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1 {
        return invalid(format!(
            "the batch counts {} records and a last offset delta of {}",
            header.record_count, header.last_offset_delta
        ));
    }
    if header.attributes.compression().is_none() {
        return invalid(format!(
            "attributes {:#06x} name no codec",
            header.attributes.bits()
        ));
    }
    Ok(())
}

/// The further rules for the batches of a client.
pub(crate) fn check_client(
    headers: &[BatchHeader],
    config: &LogConfig,
    now_ms: i64,
) -> Result<(), LogError> {
    let [header] = headers else {
        return invalid(format!(
            "a partition takes one batch per request, not {}",
            headers.len()
        ));
    };
    if header.base_offset != 0 {
        return invalid(format!(
            "base offset {} where 0 is expected",
            header.base_offset
        ));
    }
    if header.attributes.is_control() {
        return invalid("clients may not write control records".to_owned());
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return invalid(format!(
            "producer {} sent sequence {}",
            header.producer_id, header.base_sequence
        ));
    }
    if header.attributes.is_transactional() && header.producer_id < 0 {
        return invalid("a transactional batch names no producer".to_owned());
    }
    check_timestamps(header, config, now_ms)
}

fn check_timestamps(header: &BatchHeader, config: &LogConfig, now_ms: i64) -> Result<(), LogError> {
    if config.message_timestamp_type == TimestampType::LogAppendTime {
        return Ok(());
    }
    let refused = |timestamp| LogError::InvalidTimestamp {
        timestamp,
        now: now_ms,
    };
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(refused(header.max_timestamp));
    }
    let ahead = header.max_timestamp.saturating_sub(now_ms);
    if header.max_timestamp >= 0 && ahead > config.message_timestamp_after_max_ms {
        return Err(refused(header.max_timestamp));
    }
    let behind = now_ms.saturating_sub(header.base_timestamp);
    if header.base_timestamp >= 0 && behind > config.message_timestamp_before_max_ms {
        return Err(refused(header.base_timestamp));
    }
    Ok(())
}

fn invalid<T>(reason: String) -> Result<T, LogError> {
    Err(LogError::InvalidRecord { reason })
}
