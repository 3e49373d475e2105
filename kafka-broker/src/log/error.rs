//! What a disk, a file or a producer can do to a log, and which of Kafka's codes tells a client.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use kafka_protocol::ErrorCode;
use kafka_protocol::record::HeaderError;

/// A disk refused an operation.
#[derive(Debug)]
pub struct DiskError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DiskError {
    /// An operation (a verb: "write", "sync") that failed on a path.
    pub fn new(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            operation,
            path: path.into(),
            source,
        }
    }

    /// The file or directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's classification.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether there is no room: the one failure of a write after which the file is known to be sound.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(
            self.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    /// Whether the path does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.operation, self.path.display())
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Why a log refused or failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogError {
    /// The disk failed.
    Disk(DiskError),
    /// A write or sync failed earlier, so that nothing more is accepted here.
    Offline {
        /// The first failure: the file and its cause.
        cause: String,
    },
    /// Another broker owns the directory.
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory belongs to another broker, cluster or topic than the one that opens it.
    Mismatch {
        /// The file that says so.
        path: PathBuf,
        /// What it says and what was expected.
        reason: String,
    },
    /// No partition is called so.
    IllegalName {
        /// The topic.
        topic: String,
        /// The number of the partition.
        partition: i32,
    },
    /// A file holds what no broker writes.
    CorruptFile {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes.
        position: u64,
        /// What is wrong.
        reason: InvalidBatch,
    },
    /// No such offset.
    OffsetOutOfRange {
        /// What was asked for.
        offset: i64,
        /// The first offset of the log.
        log_start_offset: i64,
        /// The offset behind its last record.
        log_end_offset: i64,
    },
    /// The batch is not what its checksum or its length says.
    CorruptBatch {
        /// What is wrong.
        reason: InvalidBatch,
    },
    /// The batch is sound but not acceptable.
    InvalidRecord {
        /// Which rule it breaks.
        reason: String,
    },
    /// The batch is larger than `max.message.bytes`.
    BatchTooLarge {
        /// Its bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// The batch is larger than a segment may be.
    LargerThanSegment {
        /// Its bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// A timestamp further from the broker's clock than the topic allows.
    InvalidTimestamp {
        /// The timestamp, in milliseconds.
        timestamp: i64,
        /// The broker's clock, in milliseconds.
        now: i64,
    },
    /// The producer skipped or repeated a sequence.
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// Its epoch.
        producer_epoch: i16,
        /// The first sequence of the batch.
        sequence: i32,
        /// The last sequence known, -1 if none.
        last_sequence: i32,
    },
    /// The producer was replaced by one with a higher epoch.
    InvalidProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// The epoch of the batch.
        producer_epoch: i16,
        /// The epoch known.
        current_epoch: i16,
    },
    /// A plain batch inside the open transaction of its producer.
    InvalidTxnState {
        /// The producer.
        producer_id: i64,
    },
    /// A marker of a transaction coordinator that was replaced.
    CoordinatorFenced {
        /// The producer.
        producer_id: i64,
        /// The epoch of the marker.
        coordinator_epoch: i32,
        /// The epoch known.
        current_epoch: i32,
    },
    /// Replicated batches that do not continue the log.
    UnexpectedOffset {
        /// The first offset given.
        offset: i64,
        /// The end of the log.
        log_end_offset: i64,
    },
}

impl LogError {
    /// What a client is told.
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Disk(_)
            | Self::Offline { .. }
            | Self::Locked { .. }
            | Self::Mismatch { .. }
            | Self::CorruptFile { .. } => ErrorCode::KAFKA_STORAGE_ERROR,
            Self::IllegalName { .. } => ErrorCode::INVALID_TOPIC_EXCEPTION,
            Self::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            Self::CorruptBatch { .. } => ErrorCode::CORRUPT_MESSAGE,
            Self::InvalidRecord { .. } => ErrorCode::INVALID_RECORD,
            Self::BatchTooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            Self::LargerThanSegment { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
            Self::InvalidTimestamp { .. } => ErrorCode::INVALID_TIMESTAMP,
            Self::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            Self::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
            Self::InvalidTxnState { .. } => ErrorCode::INVALID_TXN_STATE,
            Self::CoordinatorFenced { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
            Self::UnexpectedOffset { .. } => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }
}

impl From<DiskError> for LogError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(f),
            Self::Offline { cause } => write!(f, "log is offline since a failure: {cause}"),
            Self::Locked { dir } => {
                write!(
                    f,
                    "log directory {} is in use by another broker",
                    dir.display()
                )
            }
            Self::Mismatch { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::IllegalName { topic, partition } => {
                write!(f, "no partition is called {topic:?} {partition}")
            }
            Self::CorruptFile {
                path,
                position,
                reason,
            } => write!(
                f,
                "{} is corrupt at byte {position}: {reason}",
                path.display()
            ),
            Self::OffsetOutOfRange {
                offset,
                log_start_offset,
                log_end_offset,
            } => write!(
                f,
                "offset {offset} is outside the log, which holds {log_start_offset} to {log_end_offset}"
            ),
            Self::CorruptBatch { reason } => write!(f, "corrupt batch: {reason}"),
            Self::InvalidRecord { reason } => write!(f, "invalid record: {reason}"),
            Self::BatchTooLarge { size, max } => {
                write!(
                    f,
                    "batch of {size} bytes exceeds max.message.bytes of {max}"
                )
            }
            Self::LargerThanSegment { size, max } => {
                write!(f, "batch of {size} bytes exceeds segment.bytes of {max}")
            }
            Self::InvalidTimestamp { timestamp, now } => write!(
                f,
                "timestamp {timestamp} is too far from the broker's clock {now}"
            ),
            Self::OutOfOrderSequence {
                producer_id,
                producer_epoch,
                sequence,
                last_sequence,
            } => write!(
                f,
                "producer {producer_id} of epoch {producer_epoch} sent sequence {sequence} after {last_sequence}"
            ),
            Self::InvalidProducerEpoch {
                producer_id,
                producer_epoch,
                current_epoch,
            } => write!(
                f,
                "producer {producer_id} sent epoch {producer_epoch}, older than {current_epoch}"
            ),
            Self::InvalidTxnState { producer_id } => write!(
                f,
                "producer {producer_id} sent a plain batch inside its transaction"
            ),
            Self::CoordinatorFenced {
                producer_id,
                coordinator_epoch,
                current_epoch,
            } => write!(
                f,
                "marker for producer {producer_id} of coordinator epoch {coordinator_epoch}, older than {current_epoch}"
            ),
            Self::UnexpectedOffset {
                offset,
                log_end_offset,
            } => write!(
                f,
                "replicated batch at offset {offset} does not continue the log, which ends at {log_end_offset}"
            ),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Disk(error) => error.source(),
            Self::CorruptFile { reason, .. } | Self::CorruptBatch { reason } => Some(reason),
            _ => None,
        }
    }
}

/// Which rule of the batch format some bytes break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidBatch {
    /// The head cannot be read.
    Header(HeaderError),
    /// The batch ends behind the bytes that are there.
    Torn {
        /// What the head claims.
        length: usize,
        /// What is there.
        available: usize,
    },
    /// The checksum does not fit.
    Checksum {
        /// What the head claims.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// The last offset or the count of records cannot be.
    Count {
        /// Last offset less base offset.
        last_offset_delta: i32,
        /// The number of records.
        record_count: i32,
    },
    /// The batch does not continue the one before it.
    Offset {
        /// The offset behind the batch before.
        expected: i64,
        /// The base offset of this one.
        found: i64,
    },
    /// The leader epoch is less than that of the batch before it.
    Epoch {
        /// The epoch before.
        previous: i32,
        /// The epoch of this one.
        found: i32,
    },
}

impl fmt::Display for InvalidBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Torn { length, available } => {
                write!(f, "a batch of {length} bytes ends after {available}")
            }
            Self::Checksum { stored, computed } => {
                write!(
                    f,
                    "checksum {stored:#010x} where the bytes give {computed:#010x}"
                )
            }
            Self::Count {
                last_offset_delta,
                record_count,
            } => write!(
                f,
                "{record_count} records with a last offset delta of {last_offset_delta}"
            ),
            Self::Offset { expected, found } => {
                write!(f, "base offset {found} where {expected} is expected")
            }
            Self::Epoch { previous, found } => {
                write!(f, "leader epoch {found} after {previous}")
            }
        }
    }
}

impl std::error::Error for InvalidBatch {}
