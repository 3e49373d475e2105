use super::*;

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn built() -> impl Iterator<Item = Compression> {
    CODECS.into_iter().filter(|codec| codec.is_built())
}

/// Bytes of some pattern, the same in every run.
fn bytes(len: usize, pattern: u32) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    (0..len)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match pattern {
                0 => 7,
                1 => b"{\"user\":42,\"event\":\"click\"}"[n % 27],
                2 => (state >> 24) as u8 % 4,
                _ => (state >> 24) as u8,
            }
        })
        .collect()
}

fn compressed(codec: Compression, input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    compress(codec, None, input, &mut output).unwrap();
    output
}

#[test]
fn what_is_compressed_comes_back() {
    let block = 32 << 10;
    let mut lengths = vec![0, 1, 2, 3, 12, 13, 100, 5000];
    for blocks in [1, 2] {
        lengths.extend([blocks * block - 1, blocks * block, blocks * block + 1]);
    }
    for codec in Compression::ALL.into_iter().filter(|c| c.is_built()) {
        let mut compressor = Compressor::new(codec).unwrap();
        let mut decompressor = Decompressor::new();
        for &len in &lengths {
            for pattern in 0..4 {
                let input = bytes(len, pattern);
                // Behind what is there already.
                let mut packed = b"before".to_vec();
                compressor.compress(&input, &mut packed).unwrap();
                assert_eq!(&packed[..6], b"before");
                let mut output = b"kept".to_vec();
                decompressor
                    .decompress(codec, &packed[6..], &mut output, len)
                    .unwrap();
                assert_eq!(&output[..4], b"kept");
                assert!(output[4..] == input, "{codec} {len} {pattern}");
            }
        }
    }
}

#[test]
fn state_that_is_used_again_leaves_no_trace() {
    for codec in built() {
        let (first, second) = (bytes(70_000, 1), bytes(50_000, 2));
        let mut compressor = Compressor::new(codec).unwrap();
        let mut output = Vec::new();
        compressor.compress(&first, &mut output).unwrap();
        output.clear();
        compressor.compress(&second, &mut output).unwrap();
        assert!(output == compressed(codec, &second), "{codec}");

        let mut decompressor = Decompressor::new();
        let mut plain = Vec::new();
        let half = &output[..output.len() / 2];
        assert!(
            decompressor
                .decompress(codec, half, &mut plain, 1 << 20)
                .is_err()
        );
        assert!(plain.is_empty());
        decompressor
            .decompress(codec, &output, &mut plain, 1 << 20)
            .unwrap();
        assert!(plain == second, "{codec}");
    }
}

#[test]
fn what_a_buffer_held_is_replaced() {
    let input = bytes(70_000, 1);
    for codec in Compression::ALL.into_iter().filter(|c| c.is_built()) {
        let mut compressor = Compressor::new(codec).unwrap();
        let mut decompressor = Decompressor::new();
        let (mut packed, mut plain) = (vec![9; 200_000], vec![9; 200_000]);
        for len in [70_000, 100, 0, 30_000] {
            compressor.replace(&input[..len], &mut packed).unwrap();
            assert!(packed == compressed(codec, &input[..len]), "{codec} {len}");
            decompressor
                .replace(codec, &packed, &mut plain, len)
                .unwrap();
            assert!(plain == input[..len], "{codec} {len}");
        }
        let refused = decompressor.replace(codec, &packed, &mut plain, 29_999);
        assert!(matches!(refused, Err(CompressionError::TooLarge { .. })));
        assert!(plain.is_empty(), "{codec}");
    }
}

#[test]
fn every_level_of_kafka_is_taken_and_no_other() {
    let input = bytes(20_000, 1);
    for codec in built() {
        let levels = codec.levels().map(|levels| {
            let some = [*levels.start(), -8, -7, -1, 0, 1, 3, 4, 5, 9, *levels.end()];
            some.into_iter().filter(move |level| levels.contains(level))
        });
        for level in levels.into_iter().flatten() {
            let mut output = Vec::new();
            compress(codec, Some(level), &input, &mut output).unwrap();
            // The lowest levels of all hardly look for anything, if the library takes them as they are.
            let small = level < -7 || output.len() < input.len() / 2;
            assert!(small, "{codec} {level}");
            let mut plain = Vec::new();
            decompress(codec, &output, &mut plain, input.len()).unwrap();
            assert!(plain == input);
        }
        let too_high = codec.levels().map_or(1, |levels| levels.end() + 1);
        let error = Compressor::with_level(codec, Some(too_high)).unwrap_err();
        assert_eq!(
            error,
            CompressionError::Level {
                compression: codec,
                level: too_high
            }
        );
    }
    assert!(Compressor::with_level(Compression::None, Some(1)).is_err());
}

#[test]
fn a_codec_that_is_not_built_says_which_feature_it_needs() {
    for codec in CODECS.into_iter().filter(|codec| !codec.is_built()) {
        let error = Compressor::new(codec).unwrap_err();
        assert_eq!(error, CompressionError::NotBuilt(codec));
        assert!(error.to_string().contains(&format!("`{codec}`")));
        assert_eq!(decompress(codec, &[], &mut Vec::new(), 9), Err(error));
    }
}

#[test]
fn names_and_numbers_go_both_ways() {
    for codec in Compression::ALL {
        assert_eq!(Compression::from_code(codec.code()), Some(codec));
        assert_eq!(Compression::from_name(codec.name()), Some(codec));
    }
    assert_eq!(Compression::from_code(5), None);
    assert_eq!(Compression::from_name("brotli"), None);
}

#[test]
fn the_limit_holds_to_the_byte() {
    for codec in Compression::ALL.into_iter().filter(|c| c.is_built()) {
        for pattern in [0, 3] {
            let input = bytes(70_000, pattern);
            let packed = compressed(codec, &input);
            let mut output = Vec::new();
            decompress(codec, &packed, &mut output, input.len()).unwrap();
            for limit in [input.len() - 1, 65_536, 1, 0] {
                let mut output = b"kept".to_vec();
                assert_eq!(
                    decompress(codec, &packed, &mut output, limit),
                    Err(CompressionError::TooLarge {
                        compression: codec,
                        limit
                    }),
                    "{codec}"
                );
                assert_eq!(output, b"kept");
            }
        }
    }
}

#[test]
fn bombs_are_defused() {
    const LIMIT: usize = 1 << 20;
    for codec in built() {
        let bomb = compressed(codec, &vec![0; 8 << 20]);
        let mut output = Vec::new();
        assert_eq!(
            decompress(codec, &bomb, &mut output, LIMIT),
            Err(CompressionError::TooLarge {
                compression: codec,
                limit: LIMIT
            })
        );
        // What a vector takes when it doubles, and a block more.
        assert!(output.capacity() <= 4 * LIMIT, "{codec}");
    }
}

#[test]
fn every_cut_is_an_error_or_a_prefix() {
    let input = [bytes(33_000, 1), bytes(300, 3)].concat();
    for codec in built() {
        let packed = compressed(codec, &input);
        let mut decompressor = Decompressor::new();
        let mut output = Vec::new();
        for len in 0..packed.len() {
            output.clear();
            let result = decompressor.decompress(codec, &packed[..len], &mut output, input.len());
            // A xerial stream has no end: cut between blocks it is a shorter one.
            if result.is_ok() {
                assert_eq!(codec, Compression::Snappy);
                assert!(input.starts_with(&output) && output.len() % (32 << 10) == 0);
            } else {
                assert!(output.is_empty());
            }
        }
    }
}

#[test]
fn damaged_bytes_are_survived_and_bounded() {
    let input = [bytes(3000, 1), bytes(200, 3)].concat();
    for codec in built() {
        let packed = compressed(codec, &input);
        let mut decompressor = Decompressor::new();
        let mut refused = 0;
        for bit in 0..packed.len() * 8 {
            let mut damaged = packed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut output = Vec::new();
            let result = decompressor.decompress(codec, &damaged, &mut output, 1 << 20);
            assert!(output.len() <= 1 << 20);
            assert!(output.capacity() <= 4 << 20);
            refused += usize::from(result.is_err());
        }
        assert!(refused > 100, "{codec}: {refused}");
    }
}

#[test]
fn noise_is_survived() {
    for codec in built() {
        let mut decompressor = Decompressor::new();
        for seed in 0..1000_usize {
            let mut noise = bytes(seed, 3).split_off(seed - seed.min(seed % 257));
            // Behind a true beginning, so that more than the magic is looked at.
            let beginning = compressed(codec, b"");
            let mut damaged = beginning[..beginning.len().min(seed % 20)].to_vec();
            damaged.append(&mut noise);
            let mut output = Vec::new();
            let _ = decompressor.decompress(codec, &damaged, &mut output, 1 << 20);
            assert!(output.capacity() <= 4 << 20, "{codec} {seed}");
        }
    }
}

#[cfg(feature = "gzip")]
mod gzip {
    use std::time::{Duration, Instant};

    use super::*;

    fn member(flags: u8, extra: &[u8], input: &[u8]) -> Vec<u8> {
        let mut packed = compressed(Compression::Gzip, input);
        packed[3] = flags;
        packed.splice(10..10, extra.iter().copied());
        packed
    }

    fn read(packed: &[u8]) -> Result<Vec<u8>, CompressionError> {
        let mut output = Vec::new();
        decompress(Compression::Gzip, packed, &mut output, 1 << 20).map(|()| output)
    }

    #[test]
    fn members_follow_each_other_and_carry_names() {
        let packed = [
            member(0, b"", b"one "),
            member(0x08, b"a name\0", b"two "),
            member(0x10, b"a comment\0", b""),
            member(0x1c, b"\x03\0xyzname\0comment\0", b"three"),
        ]
        .concat();
        assert_eq!(read(&packed).unwrap(), b"one two three");
    }

    #[test]
    fn many_members_take_time_by_their_bytes() {
        // As a stream of one byte each, and with room for a hundred times as much: to make the room
        // ready for each member would take minutes.
        let one = member(0, b"", b"a");
        let packed = one.repeat(50_000);
        let mut buffer = Vec::with_capacity(64 << 20);
        let begun = Instant::now();
        decompress(Compression::Gzip, &packed, &mut buffer, 64 << 20).unwrap();
        assert_eq!(buffer, [b'a'; 50_000]);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_large_buffer_costs_a_small_stream_nothing() {
        let packed = member(0, b"", b"text");
        let mut buffer = Vec::with_capacity(256 << 20);
        let mut decompressor = Decompressor::new();
        let begun = Instant::now();
        for _ in 0..1000 {
            buffer.clear();
            decompressor
                .decompress(Compression::Gzip, &packed, &mut buffer, 256 << 20)
                .unwrap();
            let mut compressor = Compressor::new(Compression::Gzip).unwrap();
            buffer.clear();
            compressor.compress(b"text", &mut buffer).unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_header_checksum_is_checked() {
        let mut header = compressed(Compression::Gzip, b"")[..10].to_vec();
        header[3] = 0x02;
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &header) as u16;
        let right = member(0x02, &sum.to_le_bytes(), b"text");
        assert_eq!(read(&right).unwrap(), b"text");
        let wrong = member(0x02, &(sum ^ 1).to_le_bytes(), b"text");
        assert!(read(&wrong).is_err());
    }

    #[test]
    fn wrong_trailers_and_headers_are_refused() {
        let good = compressed(Compression::Gzip, b"some text");
        let len = good.len();
        for at in [0, 1, 2, len - 8, len - 1] {
            let mut packed = good.clone();
            packed[at] ^= 0x40;
            assert!(read(&packed).is_err(), "{at}");
        }
        for flags in [0x20, 0x40, 0x80] {
            assert!(read(&member(flags, b"", b"text")).is_err());
        }
        for behind in [&b"\0"[..], b"\x1f\x8b", b"a"] {
            assert!(read(&[good.as_slice(), behind].concat()).is_err());
        }
    }
}

#[cfg(feature = "snappy")]
mod snappy {
    use super::*;

    const MAGIC: &[u8] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

    fn block(input: &[u8]) -> Vec<u8> {
        let raw = snap::raw::Encoder::new().compress_vec(input).unwrap();
        [(raw.len() as u32).to_be_bytes().as_slice(), &raw].concat()
    }

    fn read(packed: &[u8]) -> Result<Vec<u8>, CompressionError> {
        let mut output = Vec::new();
        decompress(Compression::Snappy, packed, &mut output, 1 << 20).map(|()| output)
    }

    #[test]
    fn streams_are_framed_as_java_does() {
        let packed = compressed(Compression::Snappy, &bytes(40_000, 0));
        assert!(packed.starts_with(MAGIC));
        let first = block(&bytes(32 << 10, 0));
        assert!(packed[MAGIC.len()..].starts_with(&first));
        assert!(packed.ends_with(&block(&bytes(40_000 - (32 << 10), 0))));
    }

    #[test]
    fn raw_blocks_and_streams_in_a_row_are_read() {
        let raw = block(b"raw text")[4..].to_vec();
        assert_eq!(read(&raw).unwrap(), b"raw text");
        let packed = [
            MAGIC,
            &block(b"one "),
            &block(b"two "),
            MAGIC,
            MAGIC,
            &block(b"three"),
        ]
        .concat();
        assert_eq!(read(&packed).unwrap(), b"one two three");
        assert_eq!(read(MAGIC).unwrap(), b"");
        for (version, is_read) in [([0; 4], false), ([0xff; 4], false), ([0, 0, 0, 9], true)] {
            let packed = [&MAGIC[..8], &version, &[0; 4], &block(b"text")].concat();
            assert_eq!(read(&packed).is_ok(), is_read, "{version:?}");
        }
    }

    #[test]
    fn claims_are_not_believed() {
        // 4 GiB in five bytes; a block of 2 GiB; a block of none.
        assert!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
        for length in [[0x7f, 0xff, 0xff, 0xff], [0xff; 4], [0; 4]] {
            assert!(read(&[MAGIC, &length, b"abc"].concat()).is_err());
        }
        assert!(read(b"").is_err());
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use twox_hash::XxHash32;

    use super::*;

    /// A frame of one block that is not compressed.
    fn frame(flags: u8, block_size: u8, block: &[u8]) -> Vec<u8> {
        let mut descriptor = vec![flags, block_size];
        if flags & 0x08 != 0 {
            // A lie; nobody needs it.
            descriptor.extend_from_slice(&u64::MAX.to_le_bytes());
        }
        let mut packed = 0x184d_2204_u32.to_le_bytes().to_vec();
        packed.extend_from_slice(&descriptor);
        packed.push((XxHash32::oneshot(0, &descriptor) >> 8) as u8);
        packed.extend_from_slice(&(block.len() as u32 | 0x8000_0000).to_le_bytes());
        packed.extend_from_slice(block);
        if flags & 0x10 != 0 {
            packed.extend_from_slice(&XxHash32::oneshot(0, block).to_le_bytes());
        }
        packed.extend_from_slice(&[0; 4]);
        if flags & 0x04 != 0 {
            packed.extend_from_slice(&XxHash32::oneshot(0, block).to_le_bytes());
        }
        packed
    }

    fn read(packed: &[u8]) -> Result<Vec<u8>, CompressionError> {
        let mut output = Vec::new();
        decompress(Compression::Lz4, packed, &mut output, 8 << 20).map(|()| output)
    }

    #[test]
    fn frames_look_as_java_makes_them() {
        let packed = compressed(Compression::Lz4, b"");
        assert_eq!(
            packed,
            [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0, 0, 0, 0]
        );
    }

    #[test]
    fn every_option_but_dependence_and_dictionaries_is_read() {
        for flags in (0..=0x1c).step_by(4) {
            for (block_size, most) in [(4, 64 << 10), (5, 256 << 10), (6, 1 << 20), (7, 4 << 20)] {
                let flags = 0x60 | flags;
                let packed = frame(flags, block_size << 4, b"text");
                assert_eq!(read(&packed).unwrap(), b"text", "{flags:x} {block_size}");
                let whole = frame(0x60, block_size << 4, &vec![1; most]);
                assert_eq!(read(&whole).unwrap().len(), most);
                let over = frame(0x60, block_size << 4, &vec![1; most + 1]);
                assert!(read(&over).is_err());
            }
        }
        for flags in [0x40, 0x61, 0x62, 0xa0, 0x20] {
            assert!(read(&frame(flags, 0x40, b"text")).is_err(), "{flags:x}");
        }
        for block_size in [0x00, 0x10, 0x20, 0x30, 0xc0, 0x41] {
            assert!(read(&frame(0x60, block_size, b"text")).is_err());
        }
    }

    #[test]
    fn checksums_are_checked_where_kafka_does() {
        let good = frame(0x74, 0x40, b"text");
        assert_eq!(read(&good).unwrap(), b"text");
        // Header checksum, block, block checksum.
        for at in [6, 11, 15] {
            let mut packed = good.clone();
            packed[at] ^= 1;
            assert!(read(&packed).is_err(), "{at}");
        }
        // The checksum of the content is nobody's.
        let mut packed = good;
        *packed.last_mut().unwrap() ^= 1;
        assert_eq!(read(&packed).unwrap(), b"text");
        // But it has to be there.
        packed.pop();
        assert!(read(&packed).is_err());
    }

    #[test]
    fn a_frame_ends_where_kafka_says_it_does() {
        let whole = frame(0x60, 0x40, b"text");
        let (open, mark) = whole.split_at(whole.len() - 4);
        assert_eq!(mark, [0; 4]);
        for behind in [[].as_slice(), b"a", &whole, &[0xff; 9]] {
            assert_eq!(read(&[&whole, behind].concat()).unwrap(), b"text");
            // A plain block of no bytes is an end mark too.
            let marked = [open, &[0, 0, 0, 0x80], behind].concat();
            assert_eq!(read(&marked).unwrap(), b"text");
        }
        for len in 0..4 {
            let at = open.len();
            let reason = "the frame is cut short";
            let compression = Compression::Lz4;
            assert_eq!(
                read(&whole[..at + len]),
                Err(CompressionError::Corrupt {
                    compression,
                    reason,
                    at
                })
            );
        }
    }

    #[test]
    fn the_broken_header_checksum_of_old_is_ignored_where_asked() {
        let mut packed = frame(0x60, 0x40, b"text");
        packed[6] ^= 1;
        assert!(read(&packed).is_err());
        let mut output = Vec::new();
        Decompressor::new()
            .replace_from(
                Compression::Lz4,
                Lz4HeaderChecksum::Ignored,
                &packed,
                &mut output,
                100,
            )
            .unwrap();
        assert_eq!(output, b"text");
    }

    #[test]
    fn a_small_block_in_a_frame_of_large_ones_costs_little() {
        let mut packed = frame(0x60, 0x70, b"");
        // A block of two bytes that wants a literal more than there is.
        packed.truncate(7);
        packed.extend_from_slice(&[2, 0, 0, 0, 0x20, 0]);
        let mut output = Vec::new();
        assert!(decompress(Compression::Lz4, &packed, &mut output, 8 << 20).is_err());
        assert!(output.capacity() < 2000);
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use super::*;

    fn read(packed: &[u8]) -> Result<Vec<u8>, CompressionError> {
        let mut output = Vec::new();
        decompress(Compression::Zstd, packed, &mut output, 8 << 20).map(|()| output)
    }

    #[test]
    fn frames_follow_each_other_and_may_be_skipped() {
        let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
        let packed = [
            compressed(Compression::Zstd, b"one ").as_slice(),
            skippable,
            &compressed(Compression::Zstd, b""),
            &compressed(Compression::Zstd, b"two"),
        ]
        .concat();
        assert_eq!(read(&packed).unwrap(), b"one two");
        assert_eq!(read(skippable).unwrap(), b"");
        assert!(read(b"").is_err());
        assert!(read(&[packed.as_slice(), b"\0"].concat()).is_err());
    }

    #[test]
    fn claims_are_not_believed() {
        // A content of 6 MiB, and a block that repeats one byte five times.
        let packed = b"\x28\xb5\x2f\xfd\xa0\0\0\x60\0\x2b\0\0a";
        let mut output = Vec::new();
        assert!(decompress(Compression::Zstd, packed, &mut output, 8 << 20).is_err());
        assert!(output.capacity() < 1000, "{}", output.capacity());
        let honest = b"\x28\xb5\x2f\xfd\xa0\x05\0\0\0\x2b\0\0a";
        assert_eq!(read(honest).unwrap(), b"aaaaa");
    }

    #[test]
    fn blocks_fit_into_their_window() {
        // A window of 1 KiB and a byte repeated as often, or once more.
        let repeated = |count: u32| {
            let block = (count << 3 | 0b011).to_le_bytes();
            [b"\x28\xb5\x2f\xfd\0\0".as_slice(), &block[..3], b"a"].concat()
        };
        assert_eq!(read(&repeated(1024)).unwrap(), [b'a'; 1024]);
        assert!(read(&repeated(1025)).is_err());
        // A single segment is its own window.
        assert_eq!(
            read(b"\x28\xb5\x2f\xfd\x20\x05\x2b\0\0a").unwrap(),
            b"aaaaa"
        );
        assert!(read(b"\x28\xb5\x2f\xfd\x20\x05\x33\0\0a").is_err());
    }

    /// What the decoder would let pass, and other decoders, such as Kafka's, refuse.
    #[test]
    fn blocks_hold_what_they_say_and_no_more() {
        // One block in a window of 1 KiB.
        let frame = |block: &[u8]| {
            let header = ((block.len() as u32) << 3 | 0b101).to_le_bytes();
            [b"\x28\xb5\x2f\xfd\0\0".as_slice(), &header[..3], block].concat()
        };
        let repeated = |count: u16| [(count << 4) as u8 | 0b0101, (count >> 4) as u8, b'a', 0];
        assert_eq!(read(&frame(b"\x18abc\0")).unwrap(), b"abc");
        assert_eq!(read(&frame(&repeated(1024))).unwrap(), [b'a'; 1024]);
        // A tree of two literals, 0 and 1, and a stream for each of four.
        let quartered = b"\x46\0\x03\x80\x10\x01\0\x01\0\x01\0\x02\x03\x02\x03\0";
        for (block, reason) in [
            (
                b"\x18abc".as_slice(),
                "a block without a count of sequences",
            ),
            (b"\x18abc\0\0", "bytes behind a block without sequences"),
            (&repeated(1025), "more literals than a block holds"),
            (quartered, "too few literals for four streams"),
        ] {
            let fault = CompressionError::Corrupt {
                compression: Compression::Zstd,
                reason,
                at: 6,
            };
            assert_eq!(read(&frame(block)), Err(fault));
        }
    }

    /// A fuzzer's find: of a frame that does not tell the size of its content, the block that went
    /// beyond the limit was called corrupt.
    #[test]
    fn frames_without_a_size_are_too_large_and_not_corrupt() {
        // 50 and 100,000 bytes.
        let frames = [
            b"\x28\xb5\x2f\xfd\0\x60\x74\0\0\x40\x62\0\0\0\x01\x56\x61\0\x01\0\x21\x60\x04\x01\0\0"
                .as_slice(),
            b"\x28\xb5\x2f\xfd\0\x48\x55\0\0\x10\0\0\x01\0\x9b\x86\x39\xc0\x02",
        ];
        let (compression, broken) = (Compression::Zstd, b"\x28\xb5\x2f\xfd\0\x48\x0d\0\0\x07");
        for frame in frames {
            let len = read(frame).unwrap().len();
            let mut output = Vec::new();
            for limit in [0, 1, len / 2, len - 1] {
                let too_large = CompressionError::TooLarge { compression, limit };
                let result = decompress(compression, frame, &mut output, limit);
                assert_eq!(result, Err(too_large));
            }
            // Of a limit and a fault behind it, the C library may tell of either.
            let followed = [frame, broken].concat();
            let result = decompress(compression, &followed, &mut output, len - 1);
            assert!(result.is_err(), "{result:?}");
            let result = decompress(compression, &followed, &mut output, len + 1);
            assert!(
                matches!(result, Err(CompressionError::Corrupt { .. })),
                "{result:?}"
            );
            assert!(output.is_empty());
        }
    }
}
