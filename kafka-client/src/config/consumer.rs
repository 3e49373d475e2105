//! The knobs of a consumer.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// Where reading begins in a partition that has no position yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// At the oldest record that the partition still holds.
    Oldest,
    /// Behind the newest record: only what is written from now on.
    Newest,
    /// At this offset.
    Offset(i64),
    /// At the first record whose timestamp is this or later, in milliseconds since 1970;
    /// behind the newest record if there is none.
    Timestamp(i64),
}

/// What to do when the position lies outside of what a partition holds: behind retention, or beyond the
/// end after a truncation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnOutOfRange {
    /// Give an error that names the range, and stop this partition until it is sought.
    #[default]
    Error,
    /// Go on at the oldest record, and say so with a warning and an event.
    Oldest,
    /// Go on behind the newest record, and say so with a warning and an event.
    Newest,
}

/// When the offsets of a group are committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitMode {
    /// In the background, what was acknowledged: of each partition the part before the first record that
    /// was delivered and not acknowledged. At-least-once.
    #[default]
    OnAck,
    /// In the background, what was delivered, whether it was processed or not: a crash may skip records.
    /// At-most-once.
    OnDelivery,
    /// Only when `commit` is called.
    Manual,
}

/// Which records of transactions are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsolationLevel {
    /// All, also those of open and aborted transactions.
    #[default]
    ReadUncommitted,
    /// Only those of committed transactions, and those outside of any.
    ReadCommitted,
}

impl IsolationLevel {
    /// The number that stands for it in requests.
    pub(crate) fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// How a consumer reads, joins its group and commits.
///
/// # Defaults
///
/// Those of Kafka's Java consumer, except where the text says why not.
///
/// * [`start`](Self::start): [`Start::Newest`] (`auto.offset.reset=latest`).
/// * [`on_out_of_range`](Self::on_out_of_range): [`OnOutOfRange::Error`]. Java uses one setting for this
///   and for the start, so that an expired offset silently skips to the end of the topic.
/// * [`commit_mode`](Self::commit_mode): [`CommitMode::OnAck`]. Java commits what was polled.
/// * [`auto_commit_interval`](Self::auto_commit_interval): 5 s.
/// * [`isolation_level`](Self::isolation_level): [`IsolationLevel::ReadUncommitted`].
/// * [`fetch_min_bytes`](Self::fetch_min_bytes): 1; [`fetch_max_wait`](Self::fetch_max_wait): 500 ms.
/// * [`fetch_max_bytes`](Self::fetch_max_bytes): 50 MiB;
///   [`max_partition_fetch_bytes`](Self::max_partition_fetch_bytes): 1 MiB.
/// * [`buffer_bytes`](Self::buffer_bytes): 64 MiB.
/// * [`check_crcs`](Self::check_crcs): true.
/// * [`session_timeout`](Self::session_timeout): 45 s;
///   [`heartbeat_interval`](Self::heartbeat_interval): 3 s.
/// * [`max_poll_interval`](Self::max_poll_interval): 5 min.
/// * [`revocation_grace`](Self::revocation_grace): 5 s.
/// * [`request_timeout`](Self::request_timeout): 30 s.
/// * [`retry_backoff`](Self::retry_backoff): 100 ms, up to 1 s.
/// * [`missing_topic_timeout`](Self::missing_topic_timeout): 10 s.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    pub(crate) start: Start,
    pub(crate) on_out_of_range: OnOutOfRange,
    pub(crate) commit_mode: CommitMode,
    pub(crate) auto_commit_interval: Duration,
    pub(crate) isolation_level: IsolationLevel,
    pub(crate) fetch_min_bytes: i32,
    pub(crate) fetch_max_wait: Duration,
    pub(crate) fetch_max_bytes: i32,
    pub(crate) max_partition_fetch_bytes: i32,
    pub(crate) buffer_bytes: usize,
    pub(crate) check_crcs: bool,
    pub(crate) group_instance_id: Option<String>,
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) max_poll_interval: Option<Duration>,
    pub(crate) revocation_grace: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) retry_backoff: (Duration, Duration),
    pub(crate) missing_topic_timeout: Duration,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            start: Start::Newest,
            on_out_of_range: OnOutOfRange::Error,
            commit_mode: CommitMode::OnAck,
            auto_commit_interval: Duration::from_secs(5),
            isolation_level: IsolationLevel::ReadUncommitted,
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            fetch_max_bytes: 50 * MIB,
            max_partition_fetch_bytes: MIB,
            buffer_bytes: 64 * MIB as usize,
            check_crcs: true,
            group_instance_id: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Some(Duration::from_secs(300)),
            revocation_grace: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            retry_backoff: (Duration::from_millis(100), Duration::from_secs(1)),
            missing_topic_timeout: Duration::from_secs(10),
        }
    }
}

impl ConsumerConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where reading begins in a partition without a committed offset (`auto.offset.reset`).
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// What to do when the position lies outside of what the partition holds.
    #[must_use]
    pub fn on_out_of_range(mut self, policy: OnOutOfRange) -> Self {
        self.on_out_of_range = policy;
        self
    }

    /// When offsets are committed (`enable.auto.commit`).
    #[must_use]
    pub fn commit_mode(mut self, mode: CommitMode) -> Self {
        self.commit_mode = mode;
        self
    }

    /// How often offsets are committed in the background (`auto.commit.interval.ms`).
    #[must_use]
    pub fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.auto_commit_interval = interval;
        self
    }

    /// Which records of transactions are delivered (`isolation.level`).
    #[must_use]
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.isolation_level = level;
        self
    }

    /// How many bytes a broker gathers before it answers a fetch (`fetch.min.bytes`).
    #[must_use]
    pub fn fetch_min_bytes(mut self, bytes: i32) -> Self {
        self.fetch_min_bytes = bytes;
        self
    }

    /// How long a broker waits for the least number of bytes (`fetch.max.wait.ms`).
    #[must_use]
    pub fn fetch_max_wait(mut self, wait: Duration) -> Self {
        self.fetch_max_wait = wait;
        self
    }

    /// How many bytes one answer may hold (`fetch.max.bytes`). A single larger batch still comes through.
    #[must_use]
    pub fn fetch_max_bytes(mut self, bytes: i32) -> Self {
        self.fetch_max_bytes = bytes;
        self
    }

    /// How many bytes of one partition one answer may hold (`max.partition.fetch.bytes`).
    #[must_use]
    pub fn max_partition_fetch_bytes(mut self, bytes: i32) -> Self {
        self.max_partition_fetch_bytes = bytes;
        self
    }

    /// How many bytes may be fetched and not yet consumed, over all partitions. When they are used up
    /// no fetch is sent; heartbeats go on. Java has no such limit.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Whether the checksum of each batch is computed and compared (`check.crcs`).
    #[must_use]
    pub fn check_crcs(mut self, check: bool) -> Self {
        self.check_crcs = check;
        self
    }

    /// Makes the member static: a restart within the session timeout causes no rebalance
    /// (`group.instance.id`).
    #[must_use]
    pub fn group_instance_id(mut self, id: impl Into<String>) -> Self {
        self.group_instance_id = Some(id.into());
        self
    }

    /// After how much silence the coordinator takes a member for dead (`session.timeout.ms`).
    #[must_use]
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// How often a member speaks to its coordinator (`heartbeat.interval.ms`). Heartbeats are sent in the
    /// background, however long a record takes.
    #[must_use]
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// How long the application may go without asking for or acknowledging a record before the member
    /// gives its partitions to others (`max.poll.interval.ms`); `None` for no limit. It is also how long
    /// the coordinator waits for members in a rebalance; 5 min then if there is no limit.
    #[must_use]
    pub fn max_poll_interval(mut self, interval: Option<Duration>) -> Self {
        self.max_poll_interval = interval;
        self
    }

    /// How long a rebalance waits for records that were delivered and not yet acknowledged, so that they
    /// can still be committed.
    #[must_use]
    pub fn revocation_grace(mut self, grace: Duration) -> Self {
        self.revocation_grace = grace;
        self
    }

    /// How long one request may take (`request.timeout.ms`).
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The wait after a failure, and the limit up to which it doubles (`retry.backoff.ms`,
    /// `retry.backoff.max.ms`).
    #[must_use]
    pub fn retry_backoff(mut self, initial: Duration, max: Duration) -> Self {
        self.retry_backoff = (initial, max);
        self
    }

    /// After how long an error says that a topic does not exist. The consumer goes on looking for it.
    #[must_use]
    pub fn missing_topic_timeout(mut self, timeout: Duration) -> Self {
        self.missing_topic_timeout = timeout;
        self
    }

    /// Refuses what cannot work together.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::new(ErrorKind::Config, text));
        if self.heartbeat_interval.is_zero() {
            return refuse("heartbeat.interval.ms must be positive".to_owned());
        }
        if self.session_timeout <= self.heartbeat_interval {
            return refuse(format!(
                "session.timeout.ms ({} ms) must be longer than heartbeat.interval.ms ({} ms)",
                self.session_timeout.as_millis(),
                self.heartbeat_interval.as_millis()
            ));
        }
        if self.request_timeout <= self.fetch_max_wait {
            return refuse(format!(
                "request.timeout.ms ({} ms) must be longer than fetch.max.wait.ms ({} ms)",
                self.request_timeout.as_millis(),
                self.fetch_max_wait.as_millis()
            ));
        }
        if self.fetch_min_bytes < 0 || self.fetch_max_bytes < 1 || self.max_partition_fetch_bytes < 1
        {
            return refuse(
                "fetch.min.bytes must not be negative, fetch.max.bytes and \
                 max.partition.fetch.bytes must be positive"
                    .to_owned(),
            );
        }
        if self.buffer_bytes == 0 || self.auto_commit_interval.is_zero() {
            return refuse("buffer.bytes and auto.commit.interval.ms must be positive".to_owned());
        }
        if let Some(limit) = self.max_poll_interval
            && limit.is_zero()
        {
            return refuse("max.poll.interval.ms must be positive".to_owned());
        }
        if let Start::Offset(offset) = self.start
            && offset < 0
        {
            return refuse(format!("the start offset {offset} is negative"));
        }
        Ok(())
    }
}

const MIB: i32 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_contradictions_are_named() {
        assert!(ConsumerConfig::new().validate().is_ok());
        let bad = [
            (
                ConsumerConfig::new().heartbeat_interval(Duration::from_secs(45)),
                "session.timeout.ms",
            ),
            (
                ConsumerConfig::new().fetch_max_wait(Duration::from_secs(30)),
                "fetch.max.wait.ms",
            ),
            (ConsumerConfig::new().fetch_max_bytes(0), "fetch.max.bytes"),
            (ConsumerConfig::new().buffer_bytes(0), "buffer.bytes"),
            (ConsumerConfig::new().start(Start::Offset(-3)), "-3"),
        ];
        for (config, named) in bad {
            let error = config.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
