//! A Kafka client in pure Rust.
//!
//! Machines decide, drivers do: the logic of connections, metadata, producers and consumers lives in state
//! machines without I/O; the feature `tokio` (on by default) adds the drivers and the faces.

// What comes from outside never panics, and nothing but a program writes to standard output.
#![warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::print_stdout)]
#![cfg_attr(
    not(feature = "tokio"),
    expect(dead_code, reason = "without drivers nobody turns the machines")
)]

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
pub mod consumer;
#[cfg(feature = "tokio")]
mod driver;
#[cfg(feature = "tokio")]
pub mod producer;

pub use error::{Error, ErrorKind, Result};
pub use record::topic_partition::TopicPartition;
pub use record::{Record, RecordMetadata};

#[cfg(feature = "tokio")]
pub use client::Client;
#[cfg(feature = "tokio")]
pub use consumer::{Consumer, ConsumerRecord};
#[cfg(feature = "tokio")]
pub use producer::{Producer, Ticket};

/// The code in the README runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
