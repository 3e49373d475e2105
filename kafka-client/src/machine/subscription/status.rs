//! What a partition waits for, told to the application.

use std::time::Duration;

use crate::error::Error;
use crate::record::topic_partition::TopicPartition;

/// What one assigned partition does at the moment, and why it gives no record if it gives none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartitionStatus {
    /// Which partition.
    pub partition: TopicPartition,
    /// What it does or waits for.
    pub state: PartitionState,
    /// For how long.
    pub since: Duration,
    /// When it tries again at the latest, from now on, if it waits for a time.
    pub retry_in: Option<Duration>,
    /// The offset of the next record to fetch, if known. What is buffered lies before it.
    pub position: Option<i64>,
    /// The end of what may be read, as last told by the leader.
    pub high_watermark: Option<i64>,
    /// The node that leads it, if known.
    pub leader: Option<i32>,
    /// Bytes that are fetched and not yet taken by the application.
    pub buffered_bytes: usize,
    /// The last failure, if it was not followed by success.
    pub last_error: Option<Error>,
}

/// What a partition does or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartitionState {
    /// A fetch is on its way; with nothing new in the partition the broker holds it for a while.
    Fetching,
    /// Records lie ready for the application to take.
    Buffered,
    /// The application paused it.
    Paused,
    /// The group rebalances and takes the partition away, or the consumer closes.
    Revoking,
    /// The group's committed offset is being looked up.
    CommittedOffset,
    /// The offset of the start policy, a timestamp or a reset is being looked up.
    OffsetLookup,
    /// No leader is known.
    Leader,
    /// The last attempt failed; the next one waits for a moment.
    Backoff,
    /// Its broker could not be reached, answered with an error or asked for a pause; the next attempt waits
    /// for a moment.
    Broker,
    /// An answer of its broker that was asked for without it is still under way.
    Turn,
    /// What is fetched and not consumed has used up the buffer, `ConsumerConfig::buffer_bytes`.
    Buffer,
    /// An error was given to the application; `seek` goes on.
    Stopped,
}
