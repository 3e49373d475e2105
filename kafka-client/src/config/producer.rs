//! How a producer gathers, sends and retries.

use std::time::Duration;

use kafka_protocol::record::Compression;

use crate::config::client::config_error;
use crate::error::Result;

/// Who must have a record before it counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acks {
    /// Nobody: the broker does not answer, offsets are unknown, losses go unseen.
    None,
    /// The leader.
    Leader,
    /// All in-sync replicas.
    #[default]
    All,
}

impl Acks {
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// How a keyless record finds its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Partitioner {
    /// Java's default (KIP-480, KIP-794): records with a key by murmur2 of the key, records without one
    /// stay on a partition until `batch.size` bytes went there.
    #[default]
    Sticky,
    /// Every record to a partition drawn at random, whatever its key.
    Random,
}

/// Settings of a producer, with Kafka's property names. They are set by the methods of `ProducerBuilder`; this is the
/// table of them.
///
/// # Defaults
///
/// | setting | property | default |
/// |---|---|---|
/// | `acks` | `acks` | all |
/// | `idempotence` | `enable.idempotence` | on |
/// | `linger` | `linger.ms` | 5 ms |
/// | `batch_bytes` | `batch.size` | 16 KiB; a batch is worth sending from here on |
/// | `request_bytes_max` | `max.request.size` | 1 MiB; a batch grows up to here while it cannot leave |
/// | `buffer_bytes` | `buffer.memory` | 32 MiB |
/// | `max_block` | `max.block.ms` | 60 s |
/// | `delivery_timeout` | `delivery.timeout.ms` | 120 s |
/// | `in_flight_max` | `max.in.flight.requests.per.connection` | 5 |
/// | `compression` | `compression.type` | none |
/// | `partitioner` | `partitioner.class` | sticky |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerConfig {
    pub(crate) acks: Acks,
    pub(crate) idempotence: bool,
    pub(crate) linger: Duration,
    pub(crate) batch_bytes: usize,
    pub(crate) request_bytes_max: usize,
    pub(crate) buffer_bytes: usize,
    pub(crate) max_block: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) in_flight_max: usize,
    pub(crate) compression: Compression,
    pub(crate) partitioner: Partitioner,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotence: true,
            linger: Duration::from_millis(5),
            batch_bytes: 16 << 10,
            request_bytes_max: 1 << 20,
            buffer_bytes: 32 << 20,
            max_block: Duration::from_secs(60),
            delivery_timeout: Duration::from_secs(120),
            in_flight_max: 5,
            compression: Compression::None,
            partitioner: Partitioner::Sticky,
        }
    }
}

impl ProducerConfig {
    /// Refuses what cannot work, before anything is opened.
    pub(crate) fn validate(&self, request_timeout: Duration) -> Result<()> {
        if self.idempotence && self.acks != Acks::All {
            return Err(config_error("enable.idempotence needs acks=all"));
        }
        if self.idempotence && !(1..=5).contains(&self.in_flight_max) {
            return Err(config_error(
                "max.in.flight.requests.per.connection must be 1 to 5 with enable.idempotence",
            ));
        }
        if self.in_flight_max == 0 {
            return Err(config_error(
                "max.in.flight.requests.per.connection must not be zero",
            ));
        }
        if self.delivery_timeout < self.linger.saturating_add(request_timeout) {
            return Err(config_error(
                "delivery.timeout.ms must be at least linger.ms plus request.timeout.ms",
            ));
        }
        if self.batch_bytes > self.request_bytes_max {
            return Err(config_error("batch.size must not exceed max.request.size"));
        }
        if self.request_bytes_max > self.buffer_bytes {
            return Err(config_error(
                "max.request.size must not exceed buffer.memory",
            ));
        }
        if self.request_bytes_max < 1 << 10 || self.request_bytes_max > 1 << 30 {
            return Err(config_error(
                "max.request.size must lie between 1 KiB and 1 GiB",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ProducerConfig), named: &str) {
        let mut config = ProducerConfig::default();
        change(&mut config);
        let error = config.validate(Duration::from_secs(30)).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        assert!(
            ProducerConfig::default()
                .validate(Duration::from_secs(30))
                .is_ok()
        );
        refused(|c| c.acks = Acks::Leader, "enable.idempotence");
        refused(|c| c.in_flight_max = 6, "max.in.flight");
        refused(
            |c| c.delivery_timeout = Duration::from_secs(30),
            "delivery.timeout.ms",
        );
        refused(|c| c.batch_bytes = 2 << 20, "batch.size");
        refused(|c| c.buffer_bytes = 1, "buffer.memory");
    }
}
