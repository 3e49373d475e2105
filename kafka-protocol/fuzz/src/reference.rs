//! The formats once more, as slow and plain as they can be told: what the crate is compared with.
//!
//! Written after the format's own words, not after the crate. Nothing here is borrowed or reused.

mod checksum;
mod cursor;
mod gzip;
mod legacy;
mod lz4;
mod records;
mod snappy;
mod zstd;

use kafka_protocol::compression::Compression;

pub use checksum::{crc32, crc32c};
pub use cursor::Cursor;
pub use gzip::{inflate, skip_header as skip_gzip_header};
pub use legacy::{Message, messages, read_message};
pub use lz4::{LZ4_MAGIC, may_differ as lz4_may_differ};
pub use records::{Header, Plain, PlainHeader, entries, header, records};
pub use zstd::may_differ as zstd_may_differ;

/// Why a reference decoder gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The bytes are not of the format.
    Corrupt,
    /// They become more than was allowed.
    TooLarge,
}

/// What `data` becomes, by somebody else's decoder.
pub fn decompress(codec: Compression, data: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    match codec {
        Compression::Gzip => gzip::decompress(data, limit),
        Compression::Snappy => snappy::decompress(data, limit),
        Compression::Lz4 => lz4::decompress(data, limit),
        Compression::Zstd => zstd::decompress(data, limit),
        _ => Ok(data.to_vec()),
    }
}
