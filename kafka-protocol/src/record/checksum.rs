//! The checksums of batches. With the gzip framing one of the two places that name the crates that
//! compute them.

use crc_fast::CrcAlgorithm;

use crate::record::error::{RecordError, RecordErrorKind};

/// The CRC-32C (Castagnoli) of `bytes`: the checksum of batches of magic 2.
///
/// Two crates compute it, since neither is fast everywhere: one is three times as fast as the other
/// where carry-less multiplication is 512 bits wide, and on short inputs; the other is a third faster
/// where it is 128 bits wide.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    if bytes.len() < SHORT_LEN || !prefers_crc_instruction() {
        // The algorithm is a 32-bit one, so that the upper half of the result is always zero.
        crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
    } else {
        ::crc32c::crc32c(bytes)
    }
}

#[cfg(target_arch = "x86_64")]
fn prefers_crc_instruction() -> bool {
    // The standard library asks the processor once and remembers.
    std::arch::is_x86_feature_detected!("sse4.2")
        && !(std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("vpclmulqdq"))
}

#[cfg(not(target_arch = "x86_64"))]
const fn prefers_crc_instruction() -> bool {
    false
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

/// Below this many bytes the set-up of a call counts for more than the speed of its loop.
const SHORT_LEN: usize = 512;

#[cfg(test)]
mod tests {
    use super::{CrcAlgorithm, crc32, crc32c};

    #[test]
    fn all_lengths_have_one_answer() {
        let bytes: Vec<_> = (0..20_000_u32).map(|n| (n * n).to_be_bytes()[2]).collect();
        for len in (0..2000).chain([8191, 8192, 16_383, 20_000]) {
            let bytes = &bytes[..len];
            let fast = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32;
            assert_eq!(fast, ::crc32c::crc32c(bytes));
            assert_eq!(fast, crc32c(bytes));
        }
    }

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
