//! Batches that mean harm: an error that says what and where, in bounded memory and time.

use std::time::{Duration, Instant};

use allocation_counter::measure;
use bytes::Bytes;
use kafka_protocol::compression::{
    Compressor, DECOMPRESSED_MAX, Decompressor, compress, decompress,
};
use kafka_protocol::record::{
    BatchBuilder, BatchHeader, BatchOptions, Batches, Compression, ProducerStamp, RecordError,
    RecordErrorKind, crc32, crc32c,
};

#[test]
fn lies_are_refused_where_they_stand() {
    let good = batch(b"");
    let cases: [(&str, usize, &[u8], usize, &str); 11] = [
        (
            "magic",
            16,
            &[3],
            16,
            "batch of magic 3 where 2 is expected",
        ),
        (
            "magic",
            16,
            &[0xff],
            16,
            "batch of magic -1 where 2 is expected",
        ),
        ("length", 8, &[0, 0, 0, 13], 8, "impossible batch length 13"),
        ("length", 8, &[0xff; 4], 8, "impossible batch length -1"),
        (
            "length",
            8,
            &[0x7f, 0xff, 0xff, 0xff],
            8,
            "impossible batch length 2147483647",
        ),
        ("crc", 17, &[0, 0, 0, 1], 17, "checksum"),
        ("codec", 22, &[7], 21, "unknown codec 7"),
        (
            "last offset",
            23,
            &[0xff; 4],
            23,
            "impossible last offset delta -1",
        ),
        ("count", 57, &[0xff; 4], 57, "impossible record count -1"),
        (
            "count",
            57,
            &[0x7f, 0xff, 0xff, 0xff],
            good.len(),
            "1 records where 2147483647 are promised",
        ),
        ("count", 57, &[0; 4], 61, "7 bytes behind the last record"),
    ];
    for (what, at, lie, found_at, reason) in cases {
        let mut bytes = good.clone();
        bytes[at..at + lie.len()].copy_from_slice(lie);
        if what != "crc" {
            let sum = crc32c(&bytes[21..]).to_be_bytes();
            bytes[17..21].copy_from_slice(&sum);
        }
        let error = refused(bytes);
        assert_eq!(error.at, found_at, "{what}: {error}");
        assert!(error.to_string().starts_with(reason), "{what}: {error}");
    }
    // A length that is short by one cuts the last record, one that is long by one is not whole yet.
    let mut bytes = good.clone();
    bytes[11] -= 1;
    bytes.pop();
    let sum = crc32c(&bytes[21..]).to_be_bytes();
    bytes[17..21].copy_from_slice(&sum);
    let kind = RecordErrorKind::RecordLength(6);
    assert_eq!(refused(bytes).kind, kind);
    let mut bytes = good;
    bytes[11] += 1;
    let mut batches = Batches::new(bytes.into());
    assert!(batches.next().is_none());
    assert_eq!(batches.incomplete().unwrap().needed, Some(69));
}

#[test]
fn batches_are_cut_anywhere() {
    let whole = [batch(b""), batch(b"")].concat();
    let len = whole.len() / 2;
    for cut in 0..whole.len() {
        // Cut off a stream, the last batch is not whole yet, and the one before it is untouched.
        let mut batches = Batches::new(Bytes::copy_from_slice(&whole[..cut]));
        for _ in 0..cut / len {
            let batch = batches.next().unwrap().unwrap();
            batch.verify_crc().unwrap();
        }
        assert!(batches.next().is_none(), "{cut}");
        let left = batches.incomplete().map(|incomplete| incomplete.available);
        assert_eq!(left, (cut % len > 0).then_some(cut % len), "{cut}");
    }
    // Cut with a length and a checksum that fit, the fault is where something is missing.
    for cut in BatchHeader::LEN..len {
        let mut bytes = whole[..cut].to_vec();
        let length = (cut - BatchHeader::LENGTH_PREFIX) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        let sum = crc32c(&bytes[21..]).to_be_bytes();
        bytes[17..21].copy_from_slice(&sum);
        let error = refused(bytes);
        assert_eq!(error.at, BatchHeader::LEN, "{cut}: {error}");
    }
}

#[test]
fn varints_end() {
    for len in [6, 10, 11] {
        for (front, name) in [
            (&[][..], "record length"),
            (&[60, 0], "timestamp delta"),
            (&[60, 0, 0], "offset delta"),
            (&[60, 0, 0, 0], "key"),
            (&[60, 0, 0, 0, 1], "value"),
            (&[60, 0, 0, 0, 1, 1], "header count"),
            (&[60, 0, 0, 0, 1, 1, 2], "record header"),
            (&[60, 0, 0, 0, 1, 1, 2, 0], "record header"),
        ] {
            // The timestamp's alone has 64 bits.
            if name == "timestamp delta" && len < 11 {
                continue;
            }
            let mut body = front.to_vec();
            body.resize(front.len() + len - 1, 0x80);
            body.resize(31, 0);
            let error = refused(batch(&body));
            // The headers of a record are told of from where they begin.
            let at = if name == "record header" {
                7
            } else {
                front.len()
            };
            assert_eq!(error.at, BatchHeader::LEN + at, "{error}");
            assert_eq!(error.kind, RecordErrorKind::Field(name));
        }
    }
}

#[test]
fn counts_that_lie_take_no_memory() {
    let count = |value: i32| {
        let mut raw = (value as u32) << 1;
        let mut bytes = Vec::new();
        while raw >= 0x80 {
            bytes.push(raw as u8 | 0x80);
            raw >>= 7;
        }
        bytes.push(raw as u8);
        bytes
    };
    for claim in [1 << 10, 1 << 20, i32::MAX / 2, i32::MAX] {
        // As the length of a record, of its key, of its value, of a header's key and as their count.
        for front in [
            &[][..],
            &[60, 0, 0, 0],
            &[60, 0, 0, 0, 1],
            &[60, 0, 0, 0, 1, 1],
            &[60, 0, 0, 0, 1, 1, 2],
        ] {
            let mut body = front.to_vec();
            body.extend(count(claim));
            body.resize(31, 0);
            let bytes = Bytes::from(batch(&body));
            let counted = measure(|| {
                let mut records = 0;
                for batch in Batches::new(bytes.clone()) {
                    let decoded = batch
                        .unwrap()
                        .decompress(&mut Decompressor::new(), &mut Vec::new(), 1 << 20)
                        .unwrap();
                    let result: Result<Vec<_>, _> = decoded.owned_records().collect();
                    result.unwrap_err();
                    records += 1;
                }
                assert_eq!(records, 1);
            });
            assert!(counted.bytes_max < 1000, "{claim} {front:?}: {counted:?}");
        }
    }
}

#[test]
fn sizes_that_streams_claim_take_no_memory() {
    let padded = |bytes: &[u8]| [bytes, &[0; 1024]].concat();
    let gibibyte = 1_u32 << 30;
    // A content of 1 GiB that none of these can hold.
    let mut gzip = Vec::new();
    compress(Compression::Gzip, None, b"text", &mut gzip).unwrap();
    let end = gzip.len();
    gzip[end - 4..].copy_from_slice(&gibibyte.to_le_bytes());
    let raw_snappy = padded(&[0x80, 0x80, 0x80, 0x80, 0x04]);
    let mut snappy = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    snappy.extend_from_slice(&(raw_snappy.len() as u32).to_be_bytes());
    snappy.extend_from_slice(&raw_snappy);
    // A content size, and blocks of 4 MiB each of which breaks off.
    let lz4 = b"\x04\x22\x4d\x18\x68\x70\0\0\0\x40\0\0\0\0\x1d\x06\0\0\0\xff\xff\xff\xff\xff\xff";
    let zstd = padded(&[&b"\x28\xb5\x2f\xfd\x80\x58"[..], &gibibyte.to_le_bytes()].concat());
    for (compression, stream) in [
        (Compression::Gzip, gzip),
        (Compression::Snappy, raw_snappy),
        (Compression::Snappy, snappy),
        (Compression::Lz4, padded(lz4)),
        (Compression::Zstd, zstd),
    ] {
        let counted = measure(|| {
            let mut output = Vec::new();
            decompress(compression, &stream, &mut output, DECOMPRESSED_MAX).unwrap_err();
        });
        assert!(counted.bytes_max < 256 << 10, "{compression}: {counted:?}");
    }
}

#[test]
fn a_gibibyte_is_not_unpacked() {
    const PART: usize = 4 << 20;
    let zeroes = vec![0; PART];
    for compression in Compression::ALL {
        let mut part = Vec::new();
        Compressor::new(compression)
            .unwrap()
            .compress(&zeroes, &mut part)
            .unwrap();
        let repeated = match compression {
            Compression::None => continue,
            // One frame alone: its blocks are what follows each other.
            Compression::Lz4 => {
                let (head, rest) = part.split_at(7);
                let blocks = &rest[..rest.len() - 4];
                [head, &blocks.repeat(256), &[0; 4]].concat()
            }
            _ => part.repeat(256),
        };
        let mut bytes = batch(&repeated);
        bytes[22] = compression.code() as u8;
        let sum = crc32c(&bytes[21..]).to_be_bytes();
        bytes[17..21].copy_from_slice(&sum);
        let bytes = Bytes::from(bytes);
        let begun = Instant::now();
        let counted = measure(|| {
            let batch = Batches::new(bytes).next().unwrap().unwrap();
            let error = batch
                .decompress(&mut Decompressor::new(), &mut Vec::new(), 1 << 20)
                .unwrap_err();
            assert_eq!(error.at, BatchHeader::LEN);
            let text = error.to_string();
            assert!(
                text.contains("more than the 1048576 bytes allowed"),
                "{text}"
            );
        });
        assert!(counted.bytes_max < 4 << 20, "{compression}: {counted:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{compression}");
    }
}

#[test]
fn damage_in_a_stream_is_told_of_by_its_place() {
    // Four records of noise: the third block of lz4 and snappy, the second member of gzip and the
    // second frame of zstd are damaged.
    let mut rng = fastrand::Rng::with_seed(9);
    let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..))
        .take(200_000)
        .collect();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut first = Vec::new();
        compress(compression, None, &noise, &mut first).unwrap();
        let damaged = [first.as_slice(), &[0x28; 30]].concat();
        let error = decompress(compression, &damaged, &mut Vec::new(), 1 << 20).unwrap_err();
        let place = format!("at byte {}", first.len());
        assert!(error.to_string().ends_with(&place), "{error}");
    }
    let mut lz4 = Vec::new();
    compress(Compression::Lz4, None, &noise, &mut lz4).unwrap();
    let third = 7 + 2 * (4 + (64 << 10));
    lz4[third + 3] = 0x7f;
    let error = decompress(Compression::Lz4, &lz4, &mut Vec::new(), 1 << 20).unwrap_err();
    assert!(
        error.to_string().ends_with(&format!("at byte {third}")),
        "{error}"
    );
    let mut snappy = Vec::new();
    compress(Compression::Snappy, None, &noise, &mut snappy).unwrap();
    let length = u32::from_be_bytes(snappy[16..20].try_into().unwrap()) as usize;
    let second = 16 + 4 + length;
    snappy[second] = 0x7f;
    let error = decompress(Compression::Snappy, &snappy, &mut Vec::new(), 1 << 20).unwrap_err();
    assert!(
        error.to_string().ends_with(&format!("at byte {second}")),
        "{error}"
    );
}

#[test]
fn damage_in_the_stream_of_a_batch_is_told_of_once() {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    builder.append(1, None, Some(b"value"), []).unwrap();
    let mut bytes = Vec::new();
    let mut gzip = Compressor::new(Compression::Gzip).unwrap();
    builder
        .seal_compressed(ProducerStamp::NONE, &mut gzip, &mut bytes)
        .unwrap();
    bytes[BatchHeader::LEN] = 0;
    let batch = Batches::new(bytes.into()).next().unwrap().unwrap();
    let error = batch
        .decompress(&mut Decompressor::new(), &mut Vec::new(), 100)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "corrupt gzip data: wrong magic at byte 61 of the batch"
    );
}

#[test]
fn old_sets_tell_where_they_are_wrong() {
    let inner = [
        legacy_set(1, Compression::None, 0, Some(b"k"), Some(b"v")),
        legacy_set(1, Compression::None, 1, Some(b"k"), Some(b"v")),
    ]
    .concat();
    let second = inner.len() / 2;
    let value_at = 34;
    for (at, byte, found_at, reason) in [
        (second + 16, 0, second, "a message of another magic"),
        (second + 17, 1, second, "a compressed message inside"),
        (second + 8, 0xff, second, "impossible message length"),
        (second + 26, 0x7f, second + 26, "unreadable key"),
        (second + 31, 0x7f, second + 31, "unreadable value"),
    ] {
        let mut damaged = inner.clone();
        damaged[at] = byte;
        let mut wrapped = Vec::new();
        compress(Compression::Lz4, None, &damaged, &mut wrapped).unwrap();
        let error = refused(legacy_set(1, Compression::Lz4, 1, None, Some(&wrapped)));
        assert!(error.to_string().starts_with(reason), "{error}");
        assert_eq!(error.at, value_at + found_at, "{error}");
    }
    // The compressed bytes themselves.
    let mut wrapped = Vec::new();
    compress(Compression::Lz4, None, &inner, &mut wrapped).unwrap();
    wrapped[10] = 0x7f;
    let error = refused(legacy_set(1, Compression::Lz4, 1, None, Some(&wrapped)));
    assert_eq!(error.at, value_at + 7, "{error}");
    let error = refused(legacy_set(1, Compression::Lz4, 1, None, None));
    assert_eq!(error.at, value_at - 4, "{error}");
}

/// The first error in reading all of it, checksums included.
fn refused(bytes: Vec<u8>) -> RecordError {
    let read = |bytes: Vec<u8>| {
        for batch in Batches::new(bytes.into()) {
            let batch = batch?;
            batch.verify_crc()?;
            batch
                .decompress(&mut Decompressor::new(), &mut Vec::new(), 1 << 20)?
                .validate()?;
        }
        Ok::<(), RecordError>(())
    };
    read(bytes).unwrap_err()
}

/// A batch of one record around these bytes, or around the smallest record if there are none.
fn batch(body: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    builder.append(0, None, None, []).unwrap();
    let mut bytes = builder.seal(ProducerStamp::NONE);
    if !body.is_empty() {
        bytes.truncate(BatchHeader::LEN);
        bytes.extend_from_slice(body);
        let length = (bytes.len() - BatchHeader::LENGTH_PREFIX) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        let sum = crc32c(&bytes[21..]).to_be_bytes();
        bytes[17..21].copy_from_slice(&sum);
    }
    bytes
}

/// A message of magic 0 or 1.
pub(crate) fn legacy_set(
    magic: u8,
    compression: Compression,
    offset: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut covered = vec![magic, compression.code() as u8];
    if magic == 1 {
        covered.extend_from_slice(&1_400_000_000_000_i64.to_be_bytes());
    }
    for field in [key, value] {
        let len = field.map_or(-1, |field| field.len() as i32);
        covered.extend_from_slice(&len.to_be_bytes());
        covered.extend_from_slice(field.unwrap_or_default());
    }
    let mut message = offset.to_be_bytes().to_vec();
    message.extend_from_slice(&(covered.len() as i32 + 4).to_be_bytes());
    message.extend_from_slice(&crc32(&covered).to_be_bytes());
    message.extend_from_slice(&covered);
    message
}
