//! Every message of Apache Kafka's protocol, record batches and compression, in pure Rust.
//!
//! Bytes to values and back. This crate opens no socket and knows neither client nor broker nor any
//! async runtime.
//!
//! - [`messages`]: a struct for each request, response, header and record, in every version, both ways.
//! - [`frame`] and [`header`]: what stands around them on a connection.
//! - [`api_key`], [`error_code`] and [`catalog`]: what is known of APIs, errors and fields.
//! - [`record`] and [`compression`]: batches, read without a copy and written in place.
//! - [`wire`]: the primitives, and the [limits](wire::limits) of everything.
//! - [`proxy`]: a page that builds the heart of a proxy.
//!
//! What comes from outside never panics, and never costs more memory than a small multiple of its own
//! size; records that are compressed, than of what the caller lets them become. An error names the
//! message, its version, the field and the position.
//!
//! # A captured frame
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use kafka_protocol::header::decode_request_header;
//! use kafka_protocol::messages::ApiVersionsRequest;
//! use kafka_protocol::wire::Reader;
//! use kafka_protocol::{ApiKey, Message as _, frame};
//!
//! // The first that a client says, as it left its socket.
//! let mut captured = BytesMut::from(
//!     b"\0\0\0\x27\0\x12\0\x03\0\0\0\x01\0\x07rdkafka\0\x0blibrdkafka\x092.12.1-x\0".as_slice(),
//! );
//! let frame: Bytes = frame::split(&mut captured, 1 << 20)?.ok_or("more bytes are needed")?;
//!
//! let mut reader = Reader::new(frame);
//! let (key, header) = decode_request_header(&mut reader)?;
//! assert_eq!((key, header.request_api_version), (ApiKey::ApiVersions, 3));
//! assert_eq!(header.client_id.as_deref(), Some("rdkafka"));
//!
//! let request = ApiVersionsRequest::decode(&mut reader, header.request_api_version)?;
//! reader.finish()?;
//! assert_eq!(&*request.client_software_name, "librdkafka");
//!
//! // And back: the same bytes.
//! let chunks = frame::encode_request(&request, 3, header.correlation_id, Some("rdkafka"))?;
//! assert_eq!(chunks.concat().len(), 4 + 0x27);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! `gzip`, `snappy`, `lz4` and `zstd` are on by default, and Rust alone. `zstd-c` takes the C library for
//! zstd instead.
//!
//! `cluster`, on by default too, has the messages that only the nodes of a cluster send: what only a
//! controller serves, the share coordinator's requests, and the records of the metadata log and of the
//! coordinators' topics, `__consumer_offsets` among them, which tools may want to read too. What a
//! producer, a consumer or an admin client says and hears is in every build, and a build without this
//! feature takes three quarters of the time.

// What comes from outside never panics, and nothing but a program writes to standard output.
#![warn(clippy::indexing_slicing, clippy::unwrap_used, clippy::print_stdout)]

pub mod api_key;
mod broker_ids;
pub mod catalog;
pub mod compression;
pub mod error;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod messages;
#[doc = include_str!("../docs/proxy.md")]
///
/// ```rust,ignore
#[doc = include_str!("../examples/proxy/link.rs")]
/// ```
pub mod proxy {}
pub mod record;
pub mod request;
pub mod uuid;
pub mod version;
pub mod wire;

pub use api_key::ApiKey;
pub use broker_ids::BrokerIds;
pub use error::{DecodeError, EncodeError};
pub use error_code::ErrorCode;
pub use request::{Message, Request, Response};
pub use uuid::Uuid;
pub use version::VersionRange;

/// The code of the README, so that it is tried.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
