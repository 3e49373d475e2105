//! The codecs on 16 KiB and 1 MiB of log events: what a batch of the default size is, and a large one.
//! State and buffers are used again, what the buffers held included, as a producer and a consumer do. With the feature `c` beside the
//! C libraries, whose frames are then what is decompressed.

use std::hint::black_box;

use kafka_protocol::compression::{Compression, Compressor, Decompressor};
use kafka_protocol_bench::{Comparison, events};

fn main() {
    for len in [16 << 10, 1 << 20] {
        let input = events(len);
        for (compression, level) in [
            (Compression::Gzip, Some(1)),
            (Compression::Gzip, Some(6)),
            (Compression::Snappy, None),
            (Compression::Lz4, None),
            (Compression::Zstd, Some(1)),
            (Compression::Zstd, Some(3)),
        ] {
            compare(compression, level, &input);
        }
    }
}

fn compare(compression: Compression, level: Option<i32>, input: &[u8]) {
    let mut compressor = Compressor::with_level(compression, level).expect("a level");
    let mut packed = Vec::new();
    compressor.compress(input, &mut packed).expect("compressed");
    let ratio = input.len() as f64 / packed.len() as f64;
    let what = match level {
        Some(level) => format!("{compression} {level}, {} KiB", input.len() >> 10),
        None => format!("{compression}, {} KiB", input.len() >> 10),
    };

    let title = format!("compress {what}");
    let ours = format!("ours, to 1/{ratio:.2}");
    let mut output = Vec::new();
    let comparison = Comparison::of_bytes(&title, input.len()).with(&ours, || {
        compressor
            .replace(black_box(input), &mut output)
            .expect("compressed");
    });
    #[cfg(feature = "c")]
    let mut libraries = c::encoders(compression, level);
    #[cfg(feature = "c")]
    let named: Vec<_> = libraries
        .iter_mut()
        .map(|(name, encode)| {
            let len = encode(input, &mut Vec::new());
            let ratio = input.len() as f64 / len as f64;
            (format!("{name}, to 1/{ratio:.2}"), encode)
        })
        .collect();
    #[cfg(feature = "c")]
    let (names, calls): (Vec<_>, Vec<_>) = named.into_iter().unzip();
    #[cfg(feature = "c")]
    let comparison = names
        .iter()
        .zip(calls)
        .fold(comparison, |comparison, (name, encode)| {
            let mut output = Vec::new();
            comparison.with(name, move || {
                black_box(encode(black_box(input), &mut output));
            })
        });
    comparison.run();

    #[cfg(feature = "c")]
    if let Some(theirs) = c::frame(compression, level, input) {
        packed = theirs;
    }
    let title = format!("decompress {what}");
    let mut decompressor = Decompressor::new();
    let mut output = Vec::new();
    let comparison = Comparison::of_bytes(&title, input.len()).with("ours", || {
        decompressor
            .replace(compression, black_box(&packed), &mut output, input.len())
            .expect("decompressed");
        assert_eq!(output.len(), input.len());
    });
    #[cfg(feature = "c")]
    let mut libraries = c::decoders(compression, &packed, input);
    #[cfg(feature = "c")]
    let comparison = libraries
        .iter_mut()
        .fold(comparison, |comparison, (name, decode)| {
            comparison.with(name, decode)
        });
    comparison.run();
}

/// The same by the C libraries.
#[cfg(feature = "c")]
mod c {
    use std::hint::black_box;
    use std::io::{Read, Write};

    use kafka_protocol::compression::Compression;
    use lz4::liblz4::BlockChecksum;
    use lz4::{BlockMode, BlockSize, ContentChecksum, EncoderBuilder};

    /// Compresses into a buffer, whose rest is of no meaning, and gives the length.
    type Encoder = Box<dyn FnMut(&[u8], &mut Vec<u8>) -> usize>;

    /// What compresses so in C.
    pub(super) fn encoders(
        compression: Compression,
        level: Option<i32>,
    ) -> Vec<(&'static str, Encoder)> {
        match compression {
            Compression::Lz4 => vec![
                ("lz4 in C, frame", Box::new(lz4_frame)),
                ("lz4 in C, blocks alone", Box::new(lz4_blocks())),
            ],
            Compression::Zstd => {
                let level = level.unwrap_or_default();
                let mut compressor = zstd::bulk::Compressor::new(level).expect("a level");
                let encode = move |input: &[u8], output: &mut Vec<u8>| {
                    output.resize(zstd::zstd_safe::compress_bound(input.len()), 0);
                    let compressed = compressor.compress_to_buffer(input, &mut output[..]);
                    compressed.expect("compressed")
                };
                vec![("zstd in C", Box::new(encode))]
            }
            _ => Vec::new(),
        }
    }

    /// A stream of the C library.
    pub(super) fn frame(
        compression: Compression,
        level: Option<i32>,
        input: &[u8],
    ) -> Option<Vec<u8>> {
        let (_, mut encode) = encoders(compression, level).into_iter().next()?;
        let mut output = Vec::new();
        let len = encode(input, &mut output);
        output.truncate(len);
        Some(output)
    }

    /// What decompresses `packed` in C, and looks whether it is `input`.
    pub(super) fn decoders<'a>(
        compression: Compression,
        packed: &'a [u8],
        input: &'a [u8],
    ) -> Vec<(&'static str, Box<dyn FnMut() + 'a>)> {
        let mut output = vec![0; input.len()];
        match compression {
            Compression::Lz4 => {
                let mut plain = vec![0; input.len()];
                let frame = move || {
                    let mut decoder = lz4::Decoder::new(black_box(packed)).expect("a frame");
                    decoder.read_exact(&mut output).expect("decompressed");
                };
                let blocks = move || {
                    let (mut rest, mut at) = (&black_box(packed)[7..], 0);
                    while let Some((&[a, b, c, d], behind)) = rest.split_first_chunk() {
                        let len = u32::from_le_bytes([a, b, c, d]) as usize;
                        if len == 0 {
                            break;
                        }
                        let room = &mut plain[at..];
                        let most = room.len().min(64 << 10);
                        let decoded = lz4::block::decompress_to_buffer(
                            &behind[..len],
                            Some(most as i32),
                            &mut room[..most],
                        );
                        at += decoded.expect("decompressed");
                        rest = &behind[len..];
                    }
                    assert_eq!(at, plain.len());
                };
                vec![
                    ("lz4 in C, frame", Box::new(frame)),
                    ("lz4 in C, blocks alone", Box::new(blocks)),
                ]
            }
            Compression::Zstd => {
                let mut decompressor = zstd::bulk::Decompressor::new().expect("a decompressor");
                let decode = move || {
                    let len = decompressor.decompress_to_buffer(black_box(packed), &mut output[..]);
                    assert_eq!(len.expect("decompressed"), input.len());
                };
                vec![("zstd in C", Box::new(decode))]
            }
            _ => Vec::new(),
        }
    }

    fn lz4_frame(input: &[u8], output: &mut Vec<u8>) -> usize {
        output.clear();
        let mut encoder = EncoderBuilder::new()
            .block_size(BlockSize::Max64KB)
            .block_mode(BlockMode::Independent)
            .block_checksum(BlockChecksum::NoBlockChecksum)
            .checksum(ContentChecksum::NoChecksum)
            .build(std::mem::take(output))
            .expect("an encoder");
        encoder.write_all(input).expect("compressed");
        let (written, result) = encoder.finish();
        result.expect("finished");
        *output = written;
        output.len()
    }

    fn lz4_blocks() -> impl FnMut(&[u8], &mut Vec<u8>) -> usize {
        let mut block = vec![0; 80 << 10];
        move |input, output| {
            output.clear();
            for chunk in input.chunks(64 << 10) {
                let len = lz4::block::compress_to_buffer(chunk, None, false, &mut block);
                output.extend_from_slice(&block[..len.expect("compressed")]);
            }
            output.len()
        }
    }
}
