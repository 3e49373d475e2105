//! zstd frames by the C library, and by a third decoder where that one is lenient.

use std::io::Read as _;

use ruzstd::decoding::FrameDecoder;
use zstd::bulk;

use super::Refused;

/// What the frames in `data` hold.
pub(super) fn decompress(data: &[u8], limit: usize) -> Result<Vec<u8>, Refused> {
    let mut decoder = zstd::Decoder::new(data).map_err(|_| Refused::Corrupt)?;
    let mut output = Vec::new();
    let read = decoder
        .by_ref()
        .take(limit as u64 + 1)
        .read_to_end(&mut output);
    if output.len() > limit {
        return Err(Refused::TooLarge);
    }
    read.map_err(|_| Refused::Corrupt)?;
    Ok(output)
}

/// Whether another decoder refuses what the library takes in pieces: then it does not compare the size of
/// the content with what the frame claims if the last block is empty, and does not look for the end of
/// the bits where it decodes two literals at once.
pub fn is_lenient(data: &[u8], limit: usize) -> bool {
    let mut output = vec![0; limit];
    bulk::decompress(data, limit).is_err()
        || FrameDecoder::new().decode_all(data, &mut output).is_err()
}
