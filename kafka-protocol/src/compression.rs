//! Kafka's four codecs: bytes in, bytes out, with a limit on what comes out.
//!
//! Knows nothing of batches. What goes in and comes out is the record part of a batch as one
//! stream. Each codec's framing has a file of its own, and only that file names the crate that does
//! the work.

mod codec;
mod error;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
mod room;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;

use room::Room;

pub use crate::wire::limits::DECOMPRESSED_MAX;
pub use codec::Compression;
pub(crate) use codec::Lz4HeaderChecksum;
pub use error::CompressionError;

/// Compresses with one codec at one level, and keeps the codec's tables from call to call.
///
/// Making the tables costs as much as compressing a small batch: a worker that seals batches keeps
/// one of these.
pub struct Compressor {
    compression: Compression,
    level: Option<i32>,
    state: CompressorState,
}

/// The tables of the one codec in use. Boxed where they are large.
enum CompressorState {
    None,
    #[cfg(feature = "gzip")]
    Gzip(gzip::Encoder),
    #[cfg(feature = "snappy")]
    Snappy(Box<snappy::Encoder>),
    #[cfg(feature = "lz4")]
    Lz4(lz4::Encoder),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::Encoder>),
}

impl Compressor {
    /// A compressor with the codec's default level.
    ///
    /// # Errors
    ///
    /// [`CompressionError::NotBuilt`] if the codec is not part of this build.
    pub fn new(compression: Compression) -> Result<Self, CompressionError> {
        Self::with_level(compression, None)
    }

    /// A compressor with a level; `None` stands for the codec's default.
    ///
    /// # Errors
    ///
    /// [`CompressionError::Level`] if the codec has no such level, and
    /// [`CompressionError::NotBuilt`] if the codec is not part of this build.
    pub fn with_level(
        compression: Compression,
        level: Option<i32>,
    ) -> Result<Self, CompressionError> {
        if let Some(level) = level
            && !compression
                .levels()
                .is_some_and(|levels| levels.contains(&level))
        {
            return Err(CompressionError::Level { compression, level });
        }
        let level = level.or_else(|| compression.default_level());
        let state = match compression {
            Compression::None => CompressorState::None,
            #[cfg(feature = "gzip")]
            Compression::Gzip => CompressorState::Gzip(gzip::Encoder::new(level)),
            #[cfg(feature = "snappy")]
            Compression::Snappy => CompressorState::Snappy(Box::new(snappy::Encoder::new())),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => CompressorState::Lz4(lz4::Encoder::new()),
            #[cfg(feature = "zstd")]
            Compression::Zstd => CompressorState::Zstd(Box::new(zstd::Encoder::new(level)?)),
            #[cfg(not(all(
                feature = "gzip",
                feature = "snappy",
                feature = "lz4",
                feature = "zstd"
            )))]
            absent => return Err(CompressionError::NotBuilt(absent)),
        };
        Ok(Self {
            compression,
            level,
            state,
        })
    }

    /// The codec.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// The level; `None` if the codec has no levels.
    #[must_use]
    pub const fn level(&self) -> Option<i32> {
        self.level
    }

    /// Compresses `input` and appends the result to `output`, in the framing that Kafka's own
    /// clients write. Without a codec the bytes are copied.
    ///
    /// # Errors
    ///
    /// If the codec refuses the input, which only happens to inputs of more than 2 GiB. `output` is
    /// then as it was.
    pub fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
        let start = output.len();
        self.compress_at(start, input, output)
    }

    /// Compresses `input` into `output`, in place of what stands there. A buffer that is used again so is
    /// room that need not be made anew for each call, which costs a fast codec a good part of its time:
    /// do not clear it.
    ///
    /// # Errors
    ///
    /// As [`compress`](Self::compress); `output` is then empty.
    pub fn replace(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
        self.compress_at(0, input, output)
    }

    /// The same behind the first `start` bytes of `output`.
    pub(crate) fn compress_at(
        &mut self,
        start: usize,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let mut room = Room::new(output, start, usize::MAX);
        let result = match &mut self.state {
            CompressorState::None => {
                room.push(input);
                Ok(())
            }
            #[cfg(feature = "gzip")]
            CompressorState::Gzip(encoder) => encoder.compress(input, &mut room),
            #[cfg(feature = "snappy")]
            CompressorState::Snappy(encoder) => encoder.compress(input, &mut room),
            #[cfg(feature = "lz4")]
            CompressorState::Lz4(encoder) => encoder.compress(input, &mut room),
            #[cfg(feature = "zstd")]
            CompressorState::Zstd(encoder) => encoder.compress(input, &mut room),
        };
        room.close_if(result)
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("compression", &self.compression)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// Decompresses every codec, and keeps each codec's tables from call to call once it was used.
#[derive(Default)]
pub struct Decompressor {
    #[cfg(feature = "gzip")]
    gzip: Option<gzip::Decoder>,
    #[cfg(feature = "zstd")]
    zstd: Option<Box<zstd::Decoder>>,
}

impl Decompressor {
    /// A decompressor that owns no tables yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decompresses `input` and appends the result, at most `limit` bytes, to `output`.
    ///
    /// Accepts what other clients write too: raw snappy without xerial framing, several xerial
    /// streams, gzip members or zstd frames in a row, and LZ4 frames with checksums, a content size
    /// or larger blocks. A size that the input claims is never trusted with memory: what is
    /// allocated grows with what has come out, or with the most that the input at hand can become.
    ///
    /// Whatever breaks a format is refused, and so are wrong checksums, where the writer left some: gzip
    /// always has one, LZ4 blocks and zstd frames rarely. Other damage can give other bytes; the checksum
    /// of the batch around them tells. In two cases the Rust decoder of zstd takes what the C library, and
    /// so Kafka, does not: a block that needs a larger window than its frame asks for, and a table of
    /// literals that is deeper than its codes. No writer makes either, and the content is not in doubt.
    ///
    /// # Errors
    ///
    /// If the codec is not part of this build, the bytes are corrupt or end too early, or more than
    /// `limit` bytes would come out. `output` is then as it was.
    pub fn decompress(
        &mut self,
        compression: Compression,
        input: &[u8],
        output: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CompressionError> {
        let room = Room::new(output, output.len(), limit);
        self.fill(compression, Lz4HeaderChecksum::Right, input, room)
    }

    /// Decompresses `input` into `output`, in place of what stands there. A buffer that is used again so
    /// is room that need not be made anew for each call, which costs a fast codec a good part of its time:
    /// do not clear it.
    ///
    /// # Errors
    ///
    /// As [`decompress`](Self::decompress); `output` is then empty.
    pub fn replace(
        &mut self,
        compression: Compression,
        input: &[u8],
        output: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CompressionError> {
        self.replace_from(compression, Lz4HeaderChecksum::Right, input, output, limit)
    }

    /// The same with a choice of how to take the header checksum of an LZ4 frame.
    pub(crate) fn replace_from(
        &mut self,
        compression: Compression,
        lz4_header_checksum: Lz4HeaderChecksum,
        input: &[u8],
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CompressionError> {
        let room = Room::new(buffer, 0, limit);
        self.fill(compression, lz4_header_checksum, input, room)
    }

    #[cfg_attr(
        not(any(feature = "gzip", feature = "zstd")),
        expect(
            clippy::needless_pass_by_ref_mut,
            reason = "only the decoders of these have state"
        )
    )]
    fn fill(
        &mut self,
        compression: Compression,
        lz4_header_checksum: Lz4HeaderChecksum,
        input: &[u8],
        mut room: Room<'_>,
    ) -> Result<(), CompressionError> {
        #[cfg(not(feature = "lz4"))]
        let _ = lz4_header_checksum;
        let result = match compression {
            Compression::None if input.len() > room.limit() => Err(CompressionError::TooLarge {
                compression,
                limit: room.limit(),
            }),
            Compression::None => {
                room.push(input);
                Ok(())
            }
            #[cfg(feature = "gzip")]
            Compression::Gzip => self
                .gzip
                .get_or_insert_with(gzip::Decoder::new)
                .decompress(input, &mut room),
            #[cfg(feature = "snappy")]
            Compression::Snappy => snappy::decompress(input, &mut room),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => lz4::decompress(lz4_header_checksum, input, &mut room),
            #[cfg(feature = "zstd")]
            Compression::Zstd => self
                .zstd
                .get_or_insert_with(Box::default)
                .decompress(input, &mut room),
            #[cfg(not(all(
                feature = "gzip",
                feature = "snappy",
                feature = "lz4",
                feature = "zstd"
            )))]
            absent => Err(CompressionError::NotBuilt(absent)),
        };
        room.close_if(result)
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

/// Compresses once, with tables made for this call; see [`Compressor`] for more than one.
///
/// # Errors
///
/// As [`Compressor::with_level`] and [`Compressor::compress`].
pub fn compress(
    compression: Compression,
    level: Option<i32>,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    Compressor::with_level(compression, level)?.compress(input, output)
}

/// Decompresses once, with tables made for this call; see [`Decompressor`] for more than one.
///
/// # Errors
///
/// As [`Decompressor::decompress`].
pub fn decompress(
    compression: Compression,
    input: &[u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<(), CompressionError> {
    Decompressor::new().decompress(compression, input, output, limit)
}

#[cfg(test)]
mod tests;
