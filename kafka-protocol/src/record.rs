//! Record batches: the fixed head, writing, lazy reading, control records, and the message sets of
//! old.
//!
//! ```
//! use kafka_protocol::compression::{Compression, Compressor, DECOMPRESSED_MAX, Decompressor};
//! use kafka_protocol::record::{BatchBuilder, BatchOptions, Batches, ProducerStamp};
//!
//! // Written: compressed, with a header.
//! let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
//! let headers = [("trace", Some(b"7".as_slice()))];
//! builder.append(1_760_000_000_000, Some(b"anna"), Some(b"3 apples"), headers)?;
//! let mut zstd = Compressor::new(Compression::Zstd)?;
//! let mut bytes = Vec::new();
//! builder.seal_compressed(ProducerStamp::NONE, &mut zstd, &mut bytes)?;
//!
//! // Read: what `records` of a fetch response or a produce request holds, or a segment.
//! let (mut decompressor, mut buffer) = (Decompressor::new(), Vec::new());
//! let mut kept = Vec::new();
//! for batch in Batches::new(bytes.into()) {
//!     let batch = batch?;
//!     batch.verify_crc()?;
//!     let decoded = batch.decompress(&mut decompressor, &mut buffer, DECOMPRESSED_MAX)?;
//!     for record in decoded.records() {
//!         let record = record?; // borrowed: nothing is allocated
//!         assert_eq!(record.headers.last_value("trace"), Some(Some(b"7".as_slice())));
//!         kept.push(decoded.to_owned_record(&record));
//!     }
//! }
//! assert_eq!(kept[0].value(), Some(b"3 apples".as_slice()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checksum;
mod control;
mod decode;
mod decoded;
mod encode;
mod error;
mod header;
mod legacy;
mod patch;
mod read;
mod varint;

pub use crate::compression::Compression;
pub use checksum::{crc32, crc32c};
pub use control::{ControlType, EndTransactionMarker};
pub use decode::{AnyBatch, Batch, Batches, Incomplete};
pub use decoded::DecodedBatch;
pub use encode::{AppendError, BatchBuilder, BatchOptions, record_len};
pub use error::{RecordError, RecordErrorKind};
pub use header::{Attributes, BatchHeader, HeaderError, ProducerStamp, TimestampType};
pub use legacy::LegacyBatch;
pub use patch::{set_base_offset, set_leader_epoch, set_log_append_time, set_producer};
pub use read::{HeaderRef, Headers, IntoRecords, Record, RecordRef, Records};
