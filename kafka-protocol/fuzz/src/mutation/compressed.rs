//! Compressed streams.

use kafka_protocol::compression::{Compression, Compressor, decompress};
use twox_hash::XxHash32;

use super::{CONTENT_MAX, Mutation};
use crate::reference::{self, LZ4_MAGIC};

impl Mutation {
    /// Changes a stream: its content, or its bytes with checksums put right.
    pub fn compressed(&mut self, codec: Compression, bytes: &mut Vec<u8>) {
        match self.rng.u8(..8) {
            0 => self.blind(bytes),
            1 | 2 => {
                if let Some(mut content) = content(codec, bytes) {
                    self.content(&mut content);
                    *bytes = self.stream(codec, &content);
                }
            }
            3 => bytes.extend_from_within(..),
            4 => {
                self.grow(bytes);
                repair(codec, bytes);
            }
            _ => {
                self.blind(bytes);
                repair(codec, bytes);
            }
        }
    }

    /// Changes what is in a stream, or will be.
    fn content(&mut self, content: &mut Vec<u8>) {
        if self.chance(4) {
            self.grow(content);
        } else {
            self.blind(content);
        }
    }

    /// The content, compressed at any level.
    pub(super) fn stream(&mut self, codec: Compression, content: &[u8]) -> Vec<u8> {
        let level = codec.levels().map(|levels| {
            let lowest = (*levels.start()).max(-7);
            self.rng.i32(lowest..=*levels.end())
        });
        let mut stream = Vec::new();
        Compressor::with_level(codec, level)
            .and_then(|mut compressor| compressor.compress(content, &mut stream))
            .expect("the level is one of the codec");
        stream
    }
}

/// What is in a stream, if that is not too much.
pub(super) fn content(codec: Compression, stream: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let result = decompress(codec, stream, &mut content, CONTENT_MAX);
    result.ok().map(|()| content)
}

/// Puts right what a decoder looks at first, so that the rest is looked at too.
fn repair(codec: Compression, bytes: &mut Vec<u8>) {
    match codec {
        Compression::Gzip => repair_gzip(bytes),
        Compression::Snappy => repair_snappy(bytes),
        Compression::Lz4 => repair_lz4(bytes),
        _ => {}
    }
}

/// The trailers of all members that can be inflated.
fn repair_gzip(bytes: &mut Vec<u8>) {
    let mut at = 0;
    while at < bytes.len() {
        let Some(body) = reference::skip_gzip_header(&bytes[at..]) else {
            return;
        };
        let start = bytes.len() - body.len();
        let Ok((content, taken)) = reference::inflate(body, CONTENT_MAX) else {
            return;
        };
        let trailer = start + taken;
        at = trailer + 8;
        if bytes.len() < at {
            bytes.resize(at, 0);
        }
        bytes[trailer..trailer + 4].copy_from_slice(&reference::crc32(&content).to_le_bytes());
        bytes[trailer + 4..at].copy_from_slice(&(content.len() as u32).to_le_bytes());
    }
}

/// The length of a block that is cut off, in xerial framing.
fn repair_snappy(bytes: &mut [u8]) {
    let mut at = 16;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let left = bytes.len() - at - 4;
        if length > left {
            bytes[at..at + 4].copy_from_slice(&(left as u32).to_be_bytes());
        }
        at += 4 + length.min(left);
    }
}

/// Magic, header checksum, block checksums, and the length of a block that is cut off.
fn repair_lz4(bytes: &mut [u8]) {
    let Some(&flags) = bytes.get(4) else { return };
    bytes[..4].copy_from_slice(&LZ4_MAGIC);
    let end = if flags & 8 == 0 { 6 } else { 14 };
    if bytes.len() <= end {
        return;
    }
    bytes[end] = (XxHash32::oneshot(0, &bytes[4..end]) >> 8) as u8;
    let checksum_len = if flags & 0x10 == 0 { 0 } else { 4 };
    let mut at = end + 1;
    while let Some(word) = bytes.get(at..at + 4) {
        let word = u32::from_le_bytes(word.try_into().expect("four bytes"));
        let length = (word & 0x7fff_ffff) as usize;
        if word == 0 {
            return;
        }
        let block = at + 4;
        let left = (bytes.len() - block).saturating_sub(4 + checksum_len);
        if length > left {
            let word = left as u32 | word & 0x8000_0000;
            bytes[at..block].copy_from_slice(&word.to_le_bytes());
        }
        let end = block + length.min(left);
        if checksum_len > 0 && end + 4 <= bytes.len() {
            let sum = XxHash32::oneshot(0, &bytes[block..end]);
            bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
        }
        at = end + checksum_len;
    }
}
