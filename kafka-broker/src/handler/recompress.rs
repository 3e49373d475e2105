//! A batch that is stored otherwise than it came: under another head, or in another codec. None of what its records
//! say changes, be it offsets, timestamps or who wrote them.

use bytes::Bytes;
use kafka_protocol::compression::{Compression, CompressionError};
use kafka_protocol::record::{BatchHeader, crc32c};

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
    /// The batch under this head, which names another codec, in this one. `records` are those of the batch as they are
    /// when they are not compressed.
    ///
    /// # Errors
    ///
    /// [`CompressionError::TooLarge`] if it would be larger than is of use.
    pub(crate) fn apply(
        &self,
        head: &BatchHeader,
        records: &[u8],
    ) -> Result<Rewritten, CompressionError> {
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
        let head = BatchHeader {
            attributes: head.attributes.with_compression(compression),
            ..*head
        };
        Ok(Rewritten::seal(head, output))
    }
}

/// A batch that was rewritten, and is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// Its bytes, head and all.
    pub(crate) bytes: Bytes,
    /// Its head.
    pub(crate) header: BatchHeader,
}

impl Rewritten {
    /// The batch of this head and these bytes, which have room for it in front: under the length and the checksum that
    /// it has.
    pub(crate) fn seal(head: BatchHeader, mut bytes: Vec<u8>) -> Self {
        let behind = bytes.len() - BatchHeader::LENGTH_PREFIX;
        let mut header = BatchHeader {
            // No larger than a batch may be, which is less than 2 GiB.
            batch_length: i32::try_from(behind).unwrap_or(i32::MAX),
            ..head
        };
        put(&mut bytes, &header);
        header.crc = crc32c(bytes.get(BatchHeader::CRC_START..).unwrap_or_default());
        put(&mut bytes, &header);
        Self {
            bytes: bytes.into(),
            header,
        }
    }
}

fn put(bytes: &mut [u8], header: &BatchHeader) {
    if let Some(head) = bytes.first_chunk_mut() {
        *head = header.encode();
    }
}
