//! The knobs of a consumer.

use std::time::Duration;

use crate::config::client::config_error;
use crate::error::{Error, ErrorKind, Result};

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

impl Start {
    /// Refuses what is before everything: as numbers in a request it would mean something else.
    pub(crate) fn validate(self) -> Result<()> {
        let text = match self {
            Self::Offset(offset) if offset < 0 => format!("the start offset {offset} is negative"),
            Self::Timestamp(time) if time < 0 => format!("the start timestamp {time} is negative"),
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidArgument, text))
    }
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
    pub(crate) const fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// Settings of a consumer, with Kafka's property names. They are set by the methods of `ConsumerBuilder`; this is the
/// table of them.
///
/// # Defaults
///
/// Those of Kafka's Java consumer, except where a reason is given.
///
/// | setting | property | default |
/// |---|---|---|
/// | `start` | `auto.offset.reset` | newest |
/// | `on_out_of_range` | none (Java takes `auto.offset.reset`, so that an expired offset skips to the end) | error |
/// | `commit_mode` | `enable.auto.commit` | on acknowledgement (Java commits what was polled) |
/// | `commit_interval` | `auto.commit.interval.ms` | 5 s |
/// | `isolation_level` | `isolation.level` | read uncommitted |
/// | `fetch_bytes_min` | `fetch.min.bytes` | 1 |
/// | `fetch_wait_max` | `fetch.max.wait.ms` | 500 ms |
/// | `fetch_bytes_max` | `fetch.max.bytes` | 50 MiB |
/// | `partition_bytes_max` | `max.partition.fetch.bytes` | 1 MiB |
/// | `buffer_bytes` | none (Java has no limit) | 64 MiB |
/// | `check_crcs` | `check.crcs` | on |
/// | `group_instance_id` | `group.instance.id` | none |
/// | `session_timeout` | `session.timeout.ms` | 45 s |
/// | `heartbeat_interval` | `heartbeat.interval.ms` | 3 s |
/// | `poll_interval_max` | `max.poll.interval.ms` | 5 min |
/// | `revocation_grace` | none | 5 s |
/// | `missing_topic_patience` | none | 10 s |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerConfig {
    pub(crate) start: Start,
    pub(crate) on_out_of_range: OnOutOfRange,
    pub(crate) commit_mode: CommitMode,
    pub(crate) commit_interval: Duration,
    pub(crate) isolation_level: IsolationLevel,
    pub(crate) fetch_bytes_min: i32,
    pub(crate) fetch_wait_max: Duration,
    pub(crate) fetch_bytes_max: i32,
    pub(crate) partition_bytes_max: i32,
    pub(crate) buffer_bytes: usize,
    pub(crate) check_crcs: bool,
    pub(crate) group_instance_id: Option<String>,
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) poll_interval_max: Option<Duration>,
    pub(crate) revocation_grace: Duration,
    pub(crate) missing_topic_patience: Duration,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            start: Start::Newest,
            on_out_of_range: OnOutOfRange::Error,
            commit_mode: CommitMode::OnAck,
            commit_interval: Duration::from_secs(5),
            isolation_level: IsolationLevel::ReadUncommitted,
            fetch_bytes_min: 1,
            fetch_wait_max: Duration::from_millis(500),
            fetch_bytes_max: 50 << 20,
            partition_bytes_max: 1 << 20,
            buffer_bytes: 64 << 20,
            check_crcs: true,
            group_instance_id: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            poll_interval_max: Some(Duration::from_secs(300)),
            revocation_grace: Duration::from_secs(5),
            missing_topic_patience: Duration::from_secs(10),
        }
    }
}

impl ConsumerConfig {
    /// Refuses what cannot work, before anything is opened.
    pub(crate) fn validate(&self, request_timeout: Duration) -> Result<()> {
        if self.heartbeat_interval.is_zero() || self.session_timeout <= self.heartbeat_interval {
            return Err(config_error(
                "session.timeout.ms must be longer than heartbeat.interval.ms, and that more than zero",
            ));
        }
        if request_timeout <= self.fetch_wait_max {
            return Err(config_error(
                "request.timeout.ms must be longer than fetch.max.wait.ms",
            ));
        }
        if self.fetch_bytes_min < 0 {
            return Err(config_error("fetch.min.bytes must not be negative"));
        }
        for (name, bytes) in [
            ("fetch.max.bytes", self.fetch_bytes_max),
            ("max.partition.fetch.bytes", self.partition_bytes_max),
        ] {
            if bytes < 1 {
                return Err(config_error(format!("{name} must be more than zero")));
            }
        }
        if self.buffer_bytes == 0 {
            return Err(config_error("the buffer of a consumer must not be zero"));
        }
        if self.commit_interval.is_zero() {
            return Err(config_error(
                "auto.commit.interval.ms must be more than zero",
            ));
        }
        if self
            .poll_interval_max
            .is_some_and(|interval| interval.is_zero())
        {
            return Err(config_error("max.poll.interval.ms must be more than zero"));
        }
        self.start.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ConsumerConfig), named: &str) {
        let mut config = ConsumerConfig::default();
        change(&mut config);
        let error = config.validate(Duration::from_secs(30)).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        let valid = ConsumerConfig::default().validate(Duration::from_secs(30));
        assert!(valid.is_ok());
        refused(
            |c| c.heartbeat_interval = Duration::from_secs(45),
            "session.timeout.ms",
        );
        refused(
            |c| c.fetch_wait_max = Duration::from_secs(30),
            "fetch.max.wait.ms",
        );
        refused(|c| c.fetch_bytes_max = 0, "fetch.max.bytes");
        refused(|c| c.partition_bytes_max = -1, "max.partition.fetch.bytes");
        refused(|c| c.buffer_bytes = 0, "buffer");
        refused(
            |c| c.poll_interval_max = Some(Duration::ZERO),
            "max.poll.interval.ms",
        );
        refused(|c| c.start = Start::Offset(-3), "start offset -3");
        refused(|c| c.start = Start::Timestamp(-1), "start timestamp -1");
    }
}
