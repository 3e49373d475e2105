//! Bytes that mean harm: an error that says where, in bounded memory and time.

use std::hint::black_box;

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use kafka_protocol::catalog::{self, MessageVisitor};
use kafka_protocol::compression::{CompressionError, Compressor, Decompressor, decompress};
use kafka_protocol::error::DecodeErrorKind;
use kafka_protocol::frame::{self, FrameError};
use kafka_protocol::header::decode_request_header;
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, DescribeGroupsRequest, HeartbeatResponse, MetadataRequest,
    SyncGroupRequest, WriteTxnMarkersRequest,
};
use kafka_protocol::record::{BatchBuilder, BatchOptions, Batches, Compression, ProducerStamp};
use kafka_protocol::wire::limits::{MAX_ARRAY_LEN, MAX_TAGGED_FIELDS, MEMORY_FACTOR};
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{DecodeError, Message};
use kafka_protocol_codegen::{Crowd, Sampler};

use crate::hex::unhex;

#[test]
fn memory_stays_a_small_factor_of_the_frame() {
    // Every place of every message may hold a count or a length that lies. Behind it come bytes that
    // read as elements as cheap as can be.
    let mut worst = (0.0, String::new());
    // Each second line is a full message.
    for line in include_str!("golden/messages.tsv")
        .lines()
        .skip(1)
        .step_by(2)
    {
        let columns: Vec<_> = line.split('\t').collect();
        let (name, version) = (columns[2], columns[3].parse().unwrap());
        let newest = catalog::ALL.iter().find(|info| info.name == name).unwrap();
        if version != newest.versions.max && version != newest.versions.min {
            continue;
        }
        let whole = unhex(columns[4]).unwrap();
        for at in 0..whole.len().min(DAMAGE_UP_TO) {
            for claim in CLAIMS {
                for filler in [0, 1, 2] {
                    let mut bytes = whole[..at].to_vec();
                    bytes.extend_from_slice(claim);
                    bytes.resize(FRAME_LEN, filler);
                    let (peak, _) = peak_of_decoding(name, version, Bytes::from(bytes));
                    let factor = peak as f64 / FRAME_LEN as f64;
                    if factor > worst.0 {
                        worst = (
                            factor,
                            format!("{name} v{version} at {at} {claim:x?} {filler}"),
                        );
                    }
                }
            }
        }
    }
    println!("worst: {worst:?}");
    assert!(worst.0 < MEMORY_FACTOR as f64, "{worst:?}");
}

/// Messages that are full of elements as small as can be, which are structs of many fields in memory:
/// for each array of each message and version.
#[test]
fn crowds_take_a_small_factor_of_the_frame() {
    let mut sampler = Sampler::new(1).unwrap();
    let mut worst = (0.0, String::new());
    let mut arrays = 0;
    for crowd in [Crowd::Plain, Crowd::Tagged, Crowd::Claimed] {
        for (line, array) in sampler.crowded(CROWD_LEN, crowd) {
            let len = line.bytes.len() as f64;
            let (name, version) = (line.name.as_str(), line.version);
            let (peak, error) = peak_of_decoding(name, version, line.bytes.into());
            if crowd != Crowd::Claimed {
                assert_eq!(error, None, "{name} v{version}, {array}");
            }
            let factor = peak as f64 / len;
            arrays += 1;
            if factor > worst.0 {
                worst = (factor, format!("{name} v{version}, {array}, {crowd:?}"));
            }
        }
    }
    println!("{arrays} crowds, worst: {worst:?}");
    assert!(arrays > 2000, "{arrays}");
    assert!(worst.0 < MEMORY_FACTOR as f64, "{worst:?}");
}

/// Whatever a message is full of, a limit on memory holds.
#[test]
fn a_reader_takes_no_more_memory_than_it_may() {
    let mut sampler = Sampler::new(1).unwrap();
    let (mut read, mut refused) = (0, 0);
    for crowd in [Crowd::Plain, Crowd::Tagged] {
        for (line, array) in sampler.crowded(CROWD_LEN, crowd) {
            let (name, version) = (line.name.as_str(), line.version);
            let bytes = Bytes::from(line.bytes);
            let (peak, error) = peak_within(MEMORY, name, version, bytes);
            match error {
                None => read += 1,
                Some(error) => {
                    let kind = error.kind();
                    let is_limit = matches!(kind, DecodeErrorKind::MemoryLimit { .. });
                    assert!(is_limit, "{name} v{version}, {array}: {error}");
                    refused += 1;
                }
            }
            let allowed = MEMORY + ERROR_LEN;
            assert!(
                peak as usize <= allowed,
                "{name} v{version}, {array}: {peak}"
            );
        }
    }
    println!("{read} read, {refused} refused");
    assert!(read > 100 && refused > 1000, "{read}, {refused}");
}

/// Whoever reads says what is made of each element: of the names of topics, of what lies in them, of numbers.
#[test]
fn elements_may_be_counted_as_more_than_they_are() {
    let mut topic = WritableTxnMarkerTopic::default();
    topic.partition_indexes = vec![7; 1_000];
    let mut marker = WritableTxnMarker::default();
    marker.topics = vec![topic; 2];
    let mut request = WriteTxnMarkersRequest::default();
    request.markers = vec![marker];
    let mut groups = DescribeGroupsRequest::default();
    groups.groups = vec!["g".into(); 1_000];

    let structs = size_of::<WritableTxnMarker>() + 2 * size_of::<WritableTxnMarkerTopic>();
    assert_needs(&request, 3 + 2_000, structs + 2_000 * size_of::<i32>());
    assert_needs(&groups, 1_000, 1_000 * size_of::<ByteString>());
}

/// Asserts that a message has so many elements, and that they take so many bytes.
fn assert_needs<M: Message>(message: &M, elements: usize, bytes: usize) {
    let version = M::VERSIONS.max;
    let mut writer = Writer::new();
    message.encode(&mut writer, version).unwrap();
    let encoded = writer.into_bytes();
    for charge in [0, 1, 100] {
        let needed = bytes + charge * elements;
        for (limit, is_read) in [(needed, true), (needed - 1, false)] {
            let reader = Reader::new(encoded.clone());
            let mut reader = reader.limit_memory(limit).charge_elements(charge);
            let read = M::decode(&mut reader, version);
            assert_eq!(read.is_ok(), is_read, "{charge} {limit}");
        }
    }
}

/// The most bytes that were allocated at once while the message was decoded, or refused.
fn peak_of_decoding(name: &str, version: i16, bytes: Bytes) -> (u64, Option<DecodeError>) {
    peak_within(usize::MAX, name, version, bytes)
}

/// The same, with a limit for the reader.
fn peak_within(limit: usize, name: &str, version: i16, bytes: Bytes) -> (u64, Option<DecodeError>) {
    struct Decode(Bytes, i16, usize);
    impl MessageVisitor for Decode {
        type Output = (u64, Option<DecodeError>);
        fn visit<M: Message>(self) -> Self::Output {
            let mut error = None;
            let counted = measure(|| {
                let mut reader = Reader::new(self.0).limit_memory(self.2);
                error = black_box(M::decode(&mut reader, self.1)).err();
            });
            (counted.bytes_max, error)
        }
    }
    catalog::visit_named(name, Decode(bytes, version, limit)).unwrap()
}

#[test]
fn lengths_that_lie_are_refused_where_they_stand() {
    // An int32 count of strings, an int16 length, an int32 length of bytes, by way of three messages.
    for (lie, kind) in [
        (
            i32::MAX,
            DecodeErrorKind::TooManyElements {
                count: i32::MAX as usize,
                remaining: 100,
            },
        ),
        (-2, DecodeErrorKind::NegativeLength { length: -2 }),
        (
            i32::MIN,
            DecodeErrorKind::NegativeLength { length: i32::MIN },
        ),
        (-1, DecodeErrorKind::UnexpectedNull),
    ] {
        let error = refused::<DescribeGroupsRequest>(0, &[&lie.to_be_bytes(), &[0; 100]]);
        assert_eq!(
            (error.kind(), error.position(), error.field()),
            (kind, 0, "groups")
        );
        assert_eq!(error.message(), Some("DescribeGroupsRequest"));
    }
    for (lie, kind) in [
        (
            i16::MAX,
            DecodeErrorKind::Truncated {
                needed: 32_767,
                remaining: 100,
            },
        ),
        (-2, DecodeErrorKind::NegativeLength { length: -2 }),
    ] {
        let error = refused::<DescribeGroupsRequest>(
            0,
            &[&[0, 0, 0, 2, 0, 1, b'a'], &lie.to_be_bytes(), &[0; 100]],
        );
        assert_eq!(error.kind(), kind);
        assert_eq!(error.field(), "groups[1]");
        assert!((7..=9).contains(&error.position()), "{error}");
    }
    // Group, generation, member, one assignment: its member, then its bytes.
    let front = [0, 1, b'g', 0, 0, 0, 1, 0, 1, b'm', 0, 0, 0, 1, 0, 1, b'm'];
    for (lie, kind) in [
        (
            i32::MAX,
            DecodeErrorKind::Truncated {
                needed: i32::MAX as usize,
                remaining: 100,
            },
        ),
        (-2, DecodeErrorKind::NegativeLength { length: -2 }),
        (-1, DecodeErrorKind::UnexpectedNull),
    ] {
        let error = refused::<SyncGroupRequest>(0, &[&front, &lie.to_be_bytes(), &[0; 100]]);
        assert_eq!(error.kind(), kind);
        assert_eq!(error.field(), "assignments[0].assignment");
        assert!((17..=21).contains(&error.position()), "{error}");
    }
}

#[test]
fn a_million_elements_need_a_million_bytes() {
    let count = |count: usize| (count as u32).to_be_bytes();
    for claim in [101, MAX_ARRAY_LEN, MAX_ARRAY_LEN + 1] {
        let counted = measure(|| {
            let error = refused::<DescribeGroupsRequest>(0, &[&count(claim), &[0; 100]]);
            let remaining = 100;
            let kind = DecodeErrorKind::TooManyElements {
                count: claim,
                remaining,
            };
            assert_eq!(error.kind(), kind);
        });
        assert!(counted.bytes_max < 2000, "{claim}: {}", counted.bytes_max);
    }
    // Who sends the bytes gets the elements, up to the limit.
    let bytes = [count(MAX_ARRAY_LEN).as_slice(), &vec![0; 2 * MAX_ARRAY_LEN]].concat();
    let request = DescribeGroupsRequest::from_bytes(bytes.into(), 0).unwrap();
    assert_eq!(request.groups.len(), MAX_ARRAY_LEN);
    let more = MAX_ARRAY_LEN + 1;
    let error = refused::<DescribeGroupsRequest>(0, &[&count(more), &vec![0; 2 * more]]);
    assert!(matches!(
        error.kind(),
        DecodeErrorKind::TooManyElements { .. }
    ));
}

#[test]
fn varints_end() {
    for len in 5..=11 {
        let mut varint = vec![0xff; len];
        // As a count of topics, of tags, as a tag, and as the size of a tagged field.
        for last in [0xff, 0x7f, 0x01] {
            varint[len - 1] = last;
            if len == 5 && last < 0x10 {
                continue;
            }
            let rest = [0; 64].as_slice();
            let error = refused::<MetadataRequest>(12, &[&varint, rest]);
            assert_eq!(error.position(), 0, "{error}");
            assert_eq!(error.field(), "topics");
            for front in [[].as_slice(), &[1], &[1, 9]] {
                let error = refused::<HeartbeatResponse>(4, &[&[0; 6], front, &varint, rest]);
                assert!((6..=8).contains(&error.position()), "{error}");
            }
        }
    }
}

#[test]
fn tags_rise() {
    let read = |tags: &[u8]| HeartbeatResponse::from_bytes([&[0; 6], tags].concat().into(), 4);
    let heartbeat = |tags: &[u8]| refused::<HeartbeatResponse>(4, &[&[0; 6], tags]);
    assert!(read(&[2, 5, 1, 9, 6, 0]).is_ok());
    for (tags, tag) in [
        ([2, 5, 0, 5, 0].as_slice(), 5),
        (&[2, 6, 0, 5, 0], 5),
        (&[3, 1, 0, 7, 0, 0, 0], 0),
    ] {
        let error = heartbeat(tags);
        assert_eq!(error.kind(), DecodeErrorKind::InvalidTag { tag });
        // Behind the count, and the field or two before it.
        let at = 6 + if tag == 0 { 5 } else { 3 };
        assert_eq!((error.position(), error.field()), (at, "tagged fields"));
    }
    // The last one there is, and the first that is none.
    assert!(read(&[1, 0xfe, 0xff, 0xff, 0xff, 0x07, 0]).is_ok());
    let error = heartbeat(&[1, 0xff, 0xff, 0xff, 0xff, 0x07, 0]);
    let tag = i32::MAX as u32;
    assert_eq!(error.kind(), DecodeErrorKind::InvalidTag { tag });
    // More of them than are allowed, or than there are bytes for.
    for count in [MAX_TAGGED_FIELDS + 1, 200] {
        let varint = [count as u8 | 0x80, (count >> 7) as u8];
        let fields = if count > 200 { 3 * count } else { 60 };
        let error = heartbeat(&[varint.as_slice(), &vec![1; fields]].concat());
        let kind = DecodeErrorKind::TooManyTaggedFields { count };
        assert_eq!((error.kind(), error.position()), (kind, 6));
    }
}

#[test]
fn texts_are_utf_8() {
    for bad in [[0xff, b'a'], [0xc3, 0x28], [b'a', 0xe2], [0xed, 0xa0]] {
        let error = refused::<DescribeGroupsRequest>(0, &[&[0, 0, 0, 1, 0, 2], &bad]);
        assert_eq!(error.kind(), DecodeErrorKind::InvalidUtf8);
        assert_eq!(
            error.to_string(),
            "DescribeGroupsRequest v0, groups[0]: string is not utf-8 at byte 4"
        );
    }
}

#[test]
fn unknown_keys_and_versions_are_told_and_not_fatal() {
    let header = |key: i16, version: i16| {
        let mut bytes = [key.to_be_bytes(), version.to_be_bytes()].concat();
        bytes.extend([0, 0, 0, 7, 0xff, 0xff, 0]);
        decode_request_header(&mut Reader::new(bytes.into()))
    };
    for key in [-1, 4, 95, i16::MAX] {
        let error = header(key, 0).unwrap_err();
        assert_eq!(error.kind(), DecodeErrorKind::UnknownApiKey { key });
        assert_eq!(error.position(), 0);
    }
    // The header of a version that does not exist yet is read, and the caller decides.
    let (key, header) = header(18, 99).unwrap();
    assert_eq!((key.name(), header.correlation_id), ("ApiVersions", 7));
    let error = refused::<ApiVersionsRequest>(99, &[&[0; 20]]);
    assert_eq!(error.kind(), DecodeErrorKind::UnsupportedVersion);
    let error = refused::<ApiVersionsRequest>(-1, &[&[0; 20]]);
    assert!(error.to_string().starts_with("ApiVersionsRequest v-1: "));
}

#[test]
fn a_frame_that_is_cut_anywhere_is_not_one_yet() {
    let mut request = MetadataRequest::default();
    request.topics = Some(vec![Default::default(); 3]);
    let chunks = frame::encode_request(&request, 12, 7, Some("me")).unwrap();
    let whole = chunks.concat();
    for len in 0..whole.len() {
        let mut received = BytesMut::from(&whole[..len]);
        assert_eq!(frame::split(&mut received, 1000), Ok(None));
        assert_eq!(received.len(), len, "nothing is taken");
    }
    let mut received = BytesMut::from(whole.as_slice());
    let cut = frame::split(&mut received, 1000).unwrap().unwrap();
    // The size was made to fit what came: header and body notice.
    for len in 0..cut.len() {
        let mut reader = Reader::new(cut.slice(..len));
        let read = decode_request_header(&mut reader)
            .and_then(|(_, header)| {
                MetadataRequest::decode(&mut reader, header.request_api_version)
            })
            .map(|_| ());
        let error = read.unwrap_err();
        assert!(error.position() <= len, "{error}");
    }
    for (size, error) in [
        (-1, FrameError::Negative { size: -1 }),
        (i32::MIN, FrameError::Negative { size: i32::MIN }),
        (
            1001,
            FrameError::TooLong {
                len: 1001,
                max_len: 1000,
            },
        ),
        (
            i32::MAX,
            FrameError::TooLong {
                len: i32::MAX as usize,
                max_len: 1000,
            },
        ),
    ] {
        let mut received = BytesMut::from(size.to_be_bytes().as_slice());
        assert_eq!(frame::split(&mut received, 1000), Err(error));
    }
}

#[test]
fn bombs_do_not_go_off() {
    let zeroes = vec![0; BOMB_LEN];
    for compression in Compression::ALL {
        if compression == Compression::None {
            continue;
        }
        let mut bomb = Vec::new();
        Compressor::new(compression)
            .unwrap()
            .compress(&zeroes, &mut bomb)
            .unwrap();
        assert!(bomb.len() < BOMB_LEN / 15, "{compression}: {}", bomb.len());
        let mut result = Ok(());
        let counted = measure(|| {
            let mut output = Vec::new();
            result = decompress(compression, &bomb, &mut output, LIMIT);
        });
        let limit = LIMIT;
        assert_eq!(
            result,
            Err(CompressionError::TooLarge { compression, limit })
        );
        let peak = counted.bytes_max as usize;
        assert!(peak <= 3 * LIMIT + CODEC_TABLES, "{compression}: {peak}");
        // Up to the limit it is what it was.
        let mut output = Vec::new();
        decompress(compression, &bomb, &mut output, BOMB_LEN).unwrap();
        assert!(output == zeroes, "{compression}");
    }
}

#[test]
fn a_gibibyte_in_32_kib_is_not_unpacked() {
    // A zstd frame of 8,192 blocks, each a byte repeated 128 Ki times.
    let mut bomb = b"\x28\xb5\x2f\xfd\0\x38".to_vec();
    for block in 0..8192_u32 {
        let header = (128 << 10 << 3) | (1 << 1) | u32::from(block == 8191);
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.push(b'a');
    }
    assert!(bomb.len() < 33_000);
    let mut options = BatchBuilder::new(Vec::new(), BatchOptions::new());
    options.append(0, None, None, []).unwrap();
    let mut batch = options.seal(ProducerStamp::NONE);
    batch.truncate(61);
    batch.extend_from_slice(&bomb);
    let length = (batch.len() - 12) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[22] = 4;
    let mut batches = Batches::new(batch.into());
    let batch = batches.next().unwrap().unwrap();
    let counted = measure(|| {
        let decoded = batch.decompress(&mut Decompressor::new(), &mut Vec::new(), LIMIT);
        let error = decoded.unwrap_err().to_string();
        assert!(
            error.contains("more than the 1048576 bytes allowed"),
            "{error}"
        );
    });
    let peak = counted.bytes_max as usize;
    assert!(peak <= 3 * LIMIT + CODEC_TABLES, "{peak}");
}

/// Why the message is not one. Whatever it claims, no more is allocated than its bytes allow, and what
/// the error takes.
fn refused<M: Message>(version: i16, parts: &[&[u8]]) -> DecodeError {
    let bytes = Bytes::from(parts.concat());
    let allowed = MEMORY_FACTOR * bytes.len() + ERROR_LEN;
    let mut result = None;
    let counted = measure(|| result = Some(M::from_bytes(bytes, version)));
    let peak = counted.bytes_max as usize;
    assert!(peak <= allowed, "{peak} where {allowed} are allowed");
    let error = result.unwrap().unwrap_err();
    assert_eq!(error.message(), Some(M::NAME));
    assert_eq!(error.version(), Some(version));
    error
}

/// Uncompressed bytes of a bomb, and how many are allowed.
const BOMB_LEN: usize = 16 << 20;
const LIMIT: usize = 1 << 20;
/// What a codec needs for itself.
const CODEC_TABLES: usize = 1 << 20;
/// What an error takes, with the path of its field.
const ERROR_LEN: usize = 1024;
/// Bytes of a crowd.
const CROWD_LEN: usize = 16 * 1024;
/// What a reader may take for one.
const MEMORY: usize = 64 * 1024;
/// Bytes of a frame that lies.
const FRAME_LEN: usize = 1024;
/// Places that are tried in each message.
const DAMAGE_UP_TO: usize = 120;
/// A little less than what is left in a frame, as an int32 and as a varint; then more than there is.
const CLAIMS: [&[u8]; 4] = [
    &[0, 0, 0x03, 0x70],
    &[0xf1, 0x06],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
];
