//! Record batches: the fixed head, writing, lazy reading, control records.

mod checksum;
mod header;

pub use checksum::crc32c;
pub use header::{Attributes, BatchHeader, Compression, HeaderError, TimestampType};
