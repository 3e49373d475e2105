//! The checksums of batches. With the gzip framing one of the two places that name the crate that
//! computes them.

use crc_fast::CrcAlgorithm;

use crate::record::error::{RecordError, RecordErrorKind};

/// The CRC-32C (Castagnoli) of `bytes`: the checksum of batches of magic 2.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    // The algorithm is a 32-bit one, so that the upper half of the result is always zero.
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// The CRC-32 (IEEE, that of gzip) of `bytes`: the checksum of messages of magic 0 and 1.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    // As above.
    crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

/// Whether the promised checksum, which stands at `at`, is that of the bytes.
pub(super) const fn verify(expected: u32, actual: u32, at: usize) -> Result<(), RecordError> {
    if expected == actual {
        return Ok(());
    }
    Err(RecordError::new(
        at,
        RecordErrorKind::Checksum { expected, actual },
    ))
}

#[cfg(test)]
mod tests {
    use super::{crc32, crc32c};

    #[test]
    fn known_answers() {
        assert_eq!(crc32c(b""), 0);
        // The check value of the CRC catalogue.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // RFC 3720, B.4: 32 bytes of zeroes.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32(b""), 0);
        // The check value of the CRC catalogue.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
