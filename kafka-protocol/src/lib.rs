//! Every message of Apache Kafka's protocol, record batches and compression, in pure Rust.
//!
//! Bytes to values and back. This crate opens no socket and knows neither client nor broker nor any
//! async runtime.

pub mod compression;
pub mod record;
