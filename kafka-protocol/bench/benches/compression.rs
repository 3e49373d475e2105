//! The codecs on 16 KiB and 1 MiB of log events: what a batch of the default size is, and a large one.
//! State and buffers are used again, as a producer and a consumer do. With the feature `c` beside the
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
        output.clear();
        compressor
            .compress(black_box(input), &mut output)
            .expect("compressed");
    });
    #[cfg(feature = "c")]
    let mut libraries = c::encoders(compression, level);
    #[cfg(feature = "c")]
    let named: Vec<_> = libraries
        .iter_mut()
        .map(|(name, encode)| {
            let ratio = input.len() as f64 / encode(input).len() as f64;
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
            comparison.with(name, || {
                black_box(encode(black_box(input)));
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
        output.clear();
        decompressor
            .decompress(compression, black_box(&packed), &mut output, input.len())
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

    use flate2_c::{Compress, Decompress, Flush, Status};
    // Named so that it is linked with zlib-ng.
    use kafka_protocol::compression::Compression;
    use kafka_protocol::record::crc32;
    use libz_sys as _;
    use lz4::{BlockMode, BlockSize, ContentChecksum, EncoderBuilder};

    type Encoder = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

    /// What compresses so in C.
    pub(super) fn encoders(
        compression: Compression,
        level: Option<i32>,
    ) -> Vec<(&'static str, Encoder)> {
        match compression {
            Compression::Gzip => vec![("zlib-ng", Box::new(deflate(level)))],
            Compression::Lz4 => vec![
                ("lz4 in C, frame", Box::new(lz4_frame)),
                ("lz4 in C, blocks alone", Box::new(lz4_blocks())),
            ],
            Compression::Zstd => {
                let level = level.unwrap_or_default();
                let mut compressor = zstd::bulk::Compressor::new(level).expect("a level");
                let mut output = Vec::new();
                let encode = move |input: &[u8]| {
                    output.resize(zstd::zstd_safe::compress_bound(input.len()), 0);
                    let len = compressor
                        .compress_to_buffer(input, &mut output[..])
                        .expect("compressed");
                    output[..len].to_vec()
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
        Some(encode(input))
    }

    /// What decompresses `packed` in C, and looks whether it is `input`.
    pub(super) fn decoders<'a>(
        compression: Compression,
        packed: &'a [u8],
        input: &'a [u8],
    ) -> Vec<(&'static str, Box<dyn FnMut() + 'a>)> {
        let mut output = vec![0; input.len()];
        match compression {
            Compression::Gzip => {
                let mut inflate = Decompress::new(false);
                let decode = move || {
                    inflate.reset(false);
                    let body = &packed[10..packed.len() - 8];
                    let status = inflate.decompress(black_box(body), &mut output, Flush::Finish);
                    assert_eq!(status.expect("inflated"), Status::StreamEnd);
                    assert_eq!(crc32(&output).to_le_bytes(), packed[10 + body.len()..][..4]);
                };
                vec![("zlib-ng", Box::new(decode))]
            }
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

    fn deflate(level: Option<i32>) -> impl FnMut(&[u8]) -> Vec<u8> {
        let level = match level {
            Some(1) => flate2_c::Compression::Fast,
            _ => flate2_c::Compression::Default,
        };
        let mut deflate = Compress::new(level, false);
        let mut output = Vec::new();
        move |input| {
            deflate.reset();
            output.resize(input.len() + 1000, 0);
            let status = deflate.compress(input, &mut output[10..], Flush::Finish);
            assert_eq!(status, Status::StreamEnd);
            let end = 10 + deflate.total_out() as usize;
            output[..10].copy_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
            output[end..end + 4].copy_from_slice(&crc32(input).to_le_bytes());
            output[end + 4..end + 8].copy_from_slice(&(input.len() as u32).to_le_bytes());
            output[..end + 8].to_vec()
        }
    }

    fn lz4_frame(input: &[u8]) -> Vec<u8> {
        let mut encoder = EncoderBuilder::new()
            .block_size(BlockSize::Max64KB)
            .block_mode(BlockMode::Independent)
            .checksum(ContentChecksum::NoChecksum)
            .build(Vec::with_capacity(input.len()))
            .expect("an encoder");
        encoder.write_all(input).expect("compressed");
        let (output, result) = encoder.finish();
        result.expect("finished");
        output
    }

    fn lz4_blocks() -> impl FnMut(&[u8]) -> Vec<u8> {
        let mut output = vec![0; 80 << 10];
        move |input| {
            let mut blocks = Vec::with_capacity(input.len());
            for chunk in input.chunks(64 << 10) {
                let len = lz4::block::compress_to_buffer(chunk, None, false, &mut output);
                blocks.extend_from_slice(&output[..len.expect("compressed")]);
            }
            blocks
        }
    }
}
