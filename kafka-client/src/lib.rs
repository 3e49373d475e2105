//! A Kafka client in pure Rust.
//!
//! Machines decide, drivers do: the logic of connections, metadata, producers and consumers lives in state
//! machines without I/O; the feature `tokio` (on by default) adds the drivers and the faces.

pub mod config;
pub mod error;
/// The machines, for simulations and tests. Not part of the stable interface.
#[doc(hidden)]
pub mod machine;
pub mod record;

#[cfg(feature = "tokio")]
pub mod admin;
#[cfg(feature = "tokio")]
pub mod blocking;
#[cfg(feature = "tokio")]
pub mod client;
#[cfg(feature = "tokio")]
mod driver;
#[cfg(feature = "tokio")]
pub mod producer;

pub use error::{Error, ErrorKind, Result};
pub use record::{Record, RecordMetadata};

#[cfg(feature = "tokio")]
pub use client::Client;
#[cfg(feature = "tokio")]
pub use producer::{Producer, Ticket};
