//! A small Kafka broker over a real segment log, for your process.
//!
//! One node that stock clients cannot tell from a real one where it matters: it speaks Kafka's
//! protocol on a port, keeps its data in Kafka's own log directory format, and comes back with all of
//! it after a restart or a crash. It starts in milliseconds, and many run side by side.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let broker = kafka_broker::Broker::builder().start().await?;
//! // Any client in any language: bootstrap.servers is
//! println!("{}", broker.bootstrap_servers());
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! It is not a cluster, and it has no security yet.

// What comes from outside never panics, and nothing but a program writes to standard output.
#![warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::print_stdout)]

mod broker;
mod builder;
mod config;
pub mod control;
mod control_port;
mod error;
mod handler;
pub mod log;
mod plan;
mod server;
mod state;

pub use broker::Broker;
pub use broker::listener::Listener;
pub use builder::BrokerBuilder;
pub use error::BrokerError;
pub use kafka_protocol::{ApiKey, ErrorCode};

/// The code of the README, so that it is tried.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
