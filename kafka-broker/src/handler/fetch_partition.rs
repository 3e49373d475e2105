//! One partition of a fetch: what it may be asked for, what is found, and how that is read.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ErrorCode;

use crate::handler::error_code::code_of;
use crate::handler::leader_epoch::check_leader_epoch;
use crate::handler::placeholder::placeholder;
use crate::log::{AbortedTransaction, EpochEnd, FileStretch};
use crate::state::fetch_sessions::Wanted;
use crate::state::partition::{Found, Marks, Partition, PartitionError, ReadRequest};
use crate::state::topics::Topic;

/// A partition that is to be read from.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) index: i32,
    partition: Result<Arc<Partition>, ErrorCode>,
    offset: i64,
    max_bytes: usize,
    last_fetched_epoch: i32,
    committed: bool,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Batches, or none.
    Found(Found),
    /// The reader has records that this log never had: it must go back to the end of this epoch.
    Diverging(EpochEnd, Marks),
    /// An error.
    Failed(Failure),
}

/// Why a partition is not read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    /// Where the partition begins and ends, if it is there.
    pub(crate) marks: Option<Marks>,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Batches {
    /// The batches, or what stands for them if they are to be sent from a file.
    pub(crate) records: Bytes,
    /// That file.
    pub(crate) stretch: Option<FileStretch>,
    pub(crate) marks: Marks,
    pub(crate) aborted: Option<Vec<AbortedTransaction>>,
    pub(crate) diverging: Option<EpochEnd>,
}

impl Reader {
    /// A reader of what a request names.
    pub(crate) fn new(
        topic: Result<&Arc<Topic>, ErrorCode>,
        index: i32,
        wanted: Wanted,
        committed: bool,
    ) -> Self {
        let found = topic.and_then(|topic| {
            let found = topic.partition(index).cloned();
            found.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        });
        let partition = found.and_then(|partition| {
            // Here any negative epoch stands for "whatever it is".
            check_leader_epoch(&partition, wanted.current_leader_epoch.max(-1))?;
            Ok(partition)
        });
        Self {
            index,
            partition,
            offset: wanted.offset,
            max_bytes: usize::try_from(wanted.max_bytes).unwrap_or_default(),
            last_fetched_epoch: wanted.last_fetched_epoch,
            committed,
        }
    }

    /// The partition, if it may be read.
    pub(crate) fn partition(&self) -> Option<&Arc<Partition>> {
        self.partition.as_ref().ok()
    }

    /// Looks for batches of `room` bytes at most, or for one of whatever size if `at_least_one`.
    pub(crate) fn find(&self, room: usize, at_least_one: bool) -> Answer {
        let partition = match &self.partition {
            Ok(partition) => partition,
            Err(code) => {
                return Answer::Failed(Failure {
                    code: *code,
                    marks: None,
                });
            }
        };
        let found = match self.divergence(partition) {
            Ok(Some(answer)) => return answer,
            Ok(None) => partition.read(ReadRequest {
                offset: self.offset,
                max_bytes: self.max_bytes.min(room),
                at_least_one,
                committed: self.committed,
            }),
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => Answer::Found(found),
            Err(error) => Answer::Failed(failure(partition, &error)),
        }
    }

    /// Whether the last record that the reader has is one that this log has too.
    fn divergence(&self, partition: &Partition) -> Result<Option<Answer>, PartitionError> {
        if self.last_fetched_epoch < 0 {
            return Ok(None);
        }
        let end = partition.epoch_end_offset(self.last_fetched_epoch)?;
        let marks = partition.marks()?;
        if end.end_offset < 0 {
            let code = ErrorCode::OFFSET_OUT_OF_RANGE;
            return Ok(Some(Answer::Failed(Failure { code, marks: None })));
        }
        let diverges = end.epoch < self.last_fetched_epoch || end.end_offset < self.offset;
        Ok(diverges.then_some(Answer::Diverging(end, marks)))
    }
}

impl Answer {
    /// How many bytes were found.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Found(found) => found.data.len(),
            _ => 0,
        }
    }

    /// Whether the client should know at once.
    pub(crate) fn is_urgent(&self) -> bool {
        !matches!(self, Self::Found(_))
    }

    /// Reads what was found. Batches in zstd go to clients of any version, as from a node without
    /// conversion for old clients (KIP-724): who wrote them so knows the readers.
    pub(crate) fn load(self) -> Result<Batches, Failure> {
        match self {
            Self::Failed(failure) => Err(failure),
            Self::Diverging(end, marks) => Ok(Batches {
                records: Bytes::new(),
                stretch: None,
                marks,
                aborted: None,
                diverging: Some(end),
            }),
            Self::Found(Found {
                data,
                marks,
                aborted,
            }) => {
                let fail = |code| Failure {
                    code,
                    marks: Some(marks),
                };
                if let Some(stretch) = data.stretch()
                    && let Some(records) = placeholder(&stretch)
                {
                    return Ok(Batches {
                        records,
                        stretch: Some(stretch),
                        marks,
                        aborted,
                        diverging: None,
                    });
                }
                let records = data.load().map_err(|error| {
                    let error = PartitionError::Log(error);
                    tracing::error!("fetch: {error}");
                    fail(code_of(&error))
                })?;
                Ok(Batches {
                    records,
                    stretch: None,
                    marks,
                    aborted,
                    diverging: None,
                })
            }
        }
    }
}

fn failure(partition: &Partition, error: &PartitionError) -> Failure {
    let code = code_of(error);
    if code == ErrorCode::KAFKA_STORAGE_ERROR {
        tracing::error!(topic = %partition.topic, partition = partition.index, "fetch: {error}");
    }
    // As Kafka does: who is out of range has to ask where the log begins and ends.
    let marks = match code {
        ErrorCode::OFFSET_OUT_OF_RANGE => None,
        _ => partition.marks().ok(),
    };
    Failure { code, marks }
}
