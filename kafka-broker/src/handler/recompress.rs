//! A batch in another codec: its head and the form of its records change, but none of what they say, be it offsets,
//! timestamps or who wrote them.

use bytes::Bytes;
use kafka_protocol::compression::{Compression, CompressionError};
use kafka_protocol::record::{Batch, BatchHeader, crc32c};

use crate::config::codec::Codec;
use crate::state::compressors::Compressors;

/// In what batches are to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recompression<'a> {
    /// The codec.
    pub(crate) codec: Codec,
    /// Where to get a compressor.
    pub(crate) compressors: &'a Compressors,
    /// The largest batch that is of use, in bytes.
    pub(crate) max_len: usize,
}

impl Recompression<'_> {
    /// The batch, which is in another codec, in this one and under a checksum that is right. `records` are those of
    /// the batch as they are when they are not compressed.
    ///
    /// # Errors
    ///
    /// [`CompressionError::TooLarge`] if it would be larger than is of use.
    pub(crate) fn apply(&self, batch: &Batch, records: &[u8]) -> Result<Bytes, CompressionError> {
        let compression = self.codec.compression;
        let fits = |records: usize| records <= self.max_len.saturating_sub(BatchHeader::LEN);
        let too_large = CompressionError::TooLarge {
            compression,
            limit: self.max_len,
        };
        // Known before it takes any memory.
        if compression == Compression::None && !fits(records.len()) {
            return Err(too_large);
        }
        let mut output = vec![0; BatchHeader::LEN];
        self.compressors.lend(self.codec, |compressor| {
            compressor.compress(records, &mut output)
        })?;
        if !fits(output.len() - BatchHeader::LEN) {
            return Err(too_large);
        }
        Ok(sealed(batch.header(), compression, output))
    }
}

/// The batch of these bytes, which have room for the head in front, and it is the old one but for the codec.
fn sealed(old: &BatchHeader, compression: Compression, mut bytes: Vec<u8>) -> Bytes {
    let behind = bytes.len() - BatchHeader::LENGTH_PREFIX;
    let mut header = BatchHeader {
        // No larger than a batch may be, which is less than 2 GiB.
        batch_length: i32::try_from(behind).unwrap_or(i32::MAX),
        attributes: old.attributes.with_compression(compression),
        ..*old
    };
    if let Some(head) = bytes.first_chunk_mut() {
        *head = header.encode();
    }
    header.crc = crc32c(bytes.get(BatchHeader::CRC_START..).unwrap_or_default());
    if let Some(head) = bytes.first_chunk_mut() {
        *head = header.encode();
    }
    bytes.into()
}
