//! Starts real Apache Kafka for tests, from its published jars, on Java 17 and without Docker.
//!
//! ```no_run
//! use kafka_testcontainers::RealKafka;
//!
//! let kafka = RealKafka::start("4.4.0")?;
//! println!("a real broker serves at {}", kafka.bootstrap_servers());
//! # Ok::<(), kafka_testcontainers::StartError>(())
//! ```
//!
//! It needs `java` (17 or newer) and, the first time a release is asked for, `mvn` and a network.
//! The crate knows no Kafka client: whether the node serves is found out with two requests written
//! by hand, so that a fault in our own codec cannot make real Kafka look broken.

mod error;
mod jars;
mod java;
mod process;
mod properties;
mod readiness;
mod real_kafka;
mod tools;

pub use error::StartError;
pub use real_kafka::{RealKafka, RealKafkaBuilder};
pub use tools::{KafkaTools, ToolOutput};
