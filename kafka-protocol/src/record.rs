//! Record batches: the fixed head, writing, lazy reading, control records, and the message sets of
//! old.

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
pub use read::{HeaderRef, Headers, Record, RecordRef, Records};
