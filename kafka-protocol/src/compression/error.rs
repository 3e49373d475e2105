//! Why bytes are not what a codec can take.

use std::fmt;

use crate::compression::codec::Compression;

/// Why bytes were not compressed or decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompressionError {
    /// The codec is not part of this build.
    NotBuilt(Compression),
    /// The codec has no such level.
    Level {
        /// The codec asked for.
        compression: Compression,
        /// The level asked for.
        level: i32,
    },
    /// The bytes are not what the codec writes, or end too early.
    Corrupt {
        /// The codec that read them.
        compression: Compression,
        /// What is wrong with them.
        reason: &'static str,
        /// Bytes from the start of the compressed data to the part that is wrong: a header, a block
        /// or a checksum.
        at: usize,
    },
    /// The bytes become more than the caller allows.
    TooLarge {
        /// The codec that read them.
        compression: Compression,
        /// How many bytes were allowed.
        limit: usize,
    },
}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt(compression) => write!(
                f,
                "{compression} is not part of this build: enable the feature `{compression}` of \
                 kafka-protocol"
            ),
            Self::Level { compression, level } => match compression.levels() {
                Some(levels) => write!(
                    f,
                    "{compression} has no level {level}, only {} to {}",
                    levels.start(),
                    levels.end()
                ),
                None => write!(f, "{compression} has no levels, but {level} is asked for"),
            },
            Self::Corrupt {
                compression,
                reason,
                at,
            } => write!(f, "corrupt {compression} data: {reason} at byte {at}"),
            Self::TooLarge { compression, limit } => write!(
                f,
                "{compression} data becomes more than the {limit} bytes allowed"
            ),
        }
    }
}

impl std::error::Error for CompressionError {}
