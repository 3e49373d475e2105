//! Which of Kafka's codes says what a partition or its log refuses.

use kafka_protocol::ErrorCode;

use crate::log::LogError;
use crate::state::partition::PartitionError;

/// The code for a refusal.
pub(crate) fn code_of(error: &PartitionError) -> ErrorCode {
    match error {
        // Whoever asks again is told whether the topic is gone or the broker.
        PartitionError::Gone => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        PartitionError::Log(error) => match error {
            LogError::CorruptBatch { .. } => ErrorCode::CORRUPT_MESSAGE,
            LogError::InvalidRecord { .. } => ErrorCode::INVALID_RECORD,
            LogError::BatchTooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            LogError::LargerThanSegment { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
            LogError::InvalidTimestamp { .. } => ErrorCode::INVALID_TIMESTAMP,
            LogError::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            LogError::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
            LogError::InvalidTxnState { .. } => ErrorCode::INVALID_TXN_STATE,
            LogError::CoordinatorFenced { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
            LogError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            _ => ErrorCode::KAFKA_STORAGE_ERROR,
        },
    }
}
