//! Whether a batch may be appended, judged by its head alone: its records were read before, or are the broker's own.
//!
//! What the bytes say wrongly is corrupt, and what they say rightly but may not is invalid, as Kafka tells
//! the two apart.

use kafka_protocol::record::{BatchHeader, TimestampType};

use crate::log::config::LogConfig;
use crate::log::error::LogError;

/// The rules for a batch that a leader is to append, whoever wrote it.
pub(crate) fn check_leader(header: &BatchHeader, config: &LogConfig) -> Result<(), LogError> {
    check_size(header, config.max_message_bytes)?;
    check_content(header)
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
    check_base_offset(header)?;
    check_writer(header)?;
    check_timestamp(header, config, now_ms)
}

/// Whether a batch is no larger than `max.message.bytes`.
pub(crate) const fn check_size(header: &BatchHeader, max: usize) -> Result<(), LogError> {
    let size = header.total_len();
    if size > max {
        return Err(LogError::BatchTooLarge { size, max });
    }
    Ok(())
}

/// Whether a head counts what follows it, and says how to read it.
pub(crate) fn check_content(header: &BatchHeader) -> Result<(), LogError> {
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

/// Whether a client leaves it to the log where its records stand.
pub(crate) fn check_base_offset(header: &BatchHeader) -> Result<(), LogError> {
    if header.base_offset != 0 {
        return invalid(format!(
            "base offset {} where 0 is expected",
            header.base_offset
        ));
    }
    Ok(())
}

/// Whether a client writes as itself.
pub(crate) fn check_writer(header: &BatchHeader) -> Result<(), LogError> {
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
    Ok(())
}

/// Of the timestamps the head tells the highest alone, and whose they are.
fn check_timestamp(header: &BatchHeader, config: &LogConfig, now_ms: i64) -> Result<(), LogError> {
    if config.message_timestamp_type == TimestampType::LogAppendTime {
        return Ok(());
    }
    let timestamp = header.max_timestamp;
    let ahead = timestamp.saturating_sub(now_ms);
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime
        || (timestamp >= 0 && ahead > config.message_timestamp_after_max_ms)
    {
        return Err(LogError::InvalidTimestamp {
            timestamp,
            now: now_ms,
        });
    }
    Ok(())
}

fn invalid<T>(reason: String) -> Result<T, LogError> {
    Err(LogError::InvalidRecord { reason })
}
