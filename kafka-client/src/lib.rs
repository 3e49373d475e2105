//! A Kafka client in pure Rust: producers, partition and group consumers, admin; async on tokio, and
//! [blocking].
//!
//! A [`Client`] stands for one cluster and makes the roles, which share its connections and its picture
//! of the cluster. Making any of them does no I/O; the first call that needs the cluster finds it.
//!
//! # Producing
//!
//! ```no_run
//! # async fn produce() -> kafka_client::Result<()> {
//! use kafka_client::{Client, Record};
//!
//! let client = Client::builder().bootstrap_servers("one:9092,two:9092").build()?;
//! let producer = client.producer().build()?;
//! let orders = producer.topic("orders");
//!
//! // One record, and wait until it is written by all in-sync replicas.
//! let written = orders.send(Record::of("3 apples").key("anna")).await?;
//! println!("partition {} offset {}", written.partition, written.offset);
//!
//! // Many: each is in its batch when `enqueue` returns, and acknowledged when its ticket is ready.
//! let mut tickets = Vec::new();
//! for number in 0..1000 {
//!     tickets.push(orders.enqueue(Record::of(&format!("order {number}"))).await?);
//! }
//! for ticket in tickets {
//!     ticket.await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Producers are idempotent and ask for all acknowledgements unless they are told otherwise: a retry
//! neither doubles a record nor changes the order in its partition.
//!
//! # Consuming
//!
//! ```no_run
//! # async fn consume(client: kafka_client::Client) -> kafka_client::Result<()> {
//! use kafka_client::consumer::Start;
//! use std::time::Duration;
//!
//! let consumer = client
//!     .consumer()
//!     .group("billing")
//!     .subscribe(["orders"])
//!     .start(Start::Oldest) // where the group has committed nothing yet
//!     .build()?;
//! while let Some(record) = consumer.next().await? {
//!     println!("{} @{}: {:?}", record.partition(), record.offset(), record.value());
//!     record.ack(); // processed: commits may pass it from now on
//! }
//! consumer.close_within(Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What passes by itself (a lost connection, a moved leader or coordinator, a rebalance) is dealt with in
//! the background. What does not pass is an error of [`next`](Consumer::next) that names topic, partition
//! and cause. [`partition_status`](Consumer::partition_status) tells what each partition waits for.
//! Without a group, [`assign`](consumer::ConsumerBuilder::assign) names the partitions to read.
//!
//! # Errors, waiting and ending
//!
//! An [`Error`] has a [kind](ErrorKind), names the broker, topic, partition, group or property it is about,
//! and knows whether [trying again](Error::is_retriable) may help. Every call has a deadline of its own or
//! takes one. `close_within` of client, producer and consumer ends what they do in order; dropping them ends
//! it without blocking. Each call says what becomes of it when its future is dropped.
//!
//! # Features
//!
//! - `tokio` (default): the drivers and the faces. Without it only the state machines are compiled, which
//!   do no I/O.
//! - `gzip`, `snappy`, `lz4`, `zstd` (default): the codecs, all in pure Rust.

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
pub use kafka_protocol::compression::Compression;
pub use kafka_protocol::record::{HeaderRef, Headers, RecordRef};
pub use kafka_protocol::{ApiKey, ErrorCode, Uuid};
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

/// The Rust code on the page about tests of services runs; `tests/clients/page` runs the rest.
#[cfg(doctest)]
#[doc = include_str!("../../docs/test-your-service.md")]
struct TestYourService;

/// So does that on the page about faults.
#[cfg(doctest)]
#[doc = include_str!("../../docs/faults.md")]
struct Faults;
