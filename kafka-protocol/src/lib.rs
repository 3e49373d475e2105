//! Every message of Apache Kafka's protocol, record batches and compression, in pure Rust.
//!
//! Bytes to values and back. This crate opens no socket and knows neither client nor broker nor any
//! async runtime.

// What comes from outside never panics, and nothing but a program writes to standard output.
#![warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::print_stdout)]

pub mod api_key;
pub mod catalog;
pub mod compression;
pub mod error;
pub mod error_code;
pub mod frame;
mod generated;
pub mod header;
pub mod messages;
pub mod record;
pub mod request;
pub mod uuid;
pub mod version;
pub mod wire;

pub use api_key::ApiKey;
pub use error::{DecodeError, EncodeError};
pub use error_code::ErrorCode;
pub use request::{Message, Request};
pub use uuid::Uuid;
pub use version::VersionRange;
