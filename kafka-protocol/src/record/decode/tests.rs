use super::*;
use crate::record::encode::{BatchBuilder, BatchOptions};
use crate::record::header::{Attributes, ProducerStamp};
use crate::record::patch;
use crate::record::read::Record;

/// A batch at `base_offset` with three records of some variety.
fn batch(base_offset: i64, compression: Compression) -> Vec<u8> {
    let options = BatchOptions::new().base_offset(base_offset);
    let mut builder = BatchBuilder::new(Vec::new(), options);
    builder
        .append(100, Some(b"key"), Some(b"value"), [])
        .unwrap();
    builder
        .append(90, None, None, [("a", Some(b"1".as_slice())), ("b", None)])
        .unwrap();
    builder
        .append(110, Some(b""), Some(b""), [("a", Some(b"".as_slice()))])
        .unwrap();
    if compression == Compression::None {
        return builder.seal(ProducerStamp::NONE);
    }
    let mut output = Vec::new();
    let mut compressor = crate::compression::Compressor::new(compression).unwrap();
    builder
        .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut output)
        .unwrap();
    output
}

fn decode(bytes: &[u8]) -> Result<DecodedBatch, RecordError> {
    Batch::decode(Bytes::copy_from_slice(bytes))?.decompress(
        &mut Decompressor::new(),
        &mut Vec::new(),
        1 << 20,
    )
}

/// All records of a batch, or its first fault.
fn records(bytes: &[u8]) -> Result<Vec<Record>, RecordError> {
    decode(bytes)?.owned_records().collect()
}

/// A batch around these bytes, as its length and checksum say.
fn around(body: &[u8], record_count: i32, last_offset_delta: i32) -> Vec<u8> {
    let mut bytes = batch(0, Compression::None);
    let mut header = BatchHeader::decode(&bytes).unwrap();
    bytes.truncate(BatchHeader::LEN);
    bytes.extend_from_slice(body);
    header.batch_length = (bytes.len() - BatchHeader::LENGTH_PREFIX) as i32;
    header.record_count = record_count;
    header.last_offset_delta = last_offset_delta;
    patch::seal(&mut bytes, header);
    bytes
}

#[test]
fn records_come_back_as_they_went_in() {
    for compression in Compression::ALL
        .into_iter()
        .filter(|codec| codec.is_built())
    {
        let decoded = decode(&batch(40, compression)).unwrap();
        decoded.validate().unwrap();
        assert_eq!(decoded.header().next_offset(), 43);
        for _ in 0..2 {
            let records: Vec<_> = decoded.records().map(Result::unwrap).collect();
            let [first, second, third] = records.as_slice() else {
                panic!("three records");
            };
            assert_eq!((first.offset, first.timestamp), (40, 100));
            assert_eq!(first.key, Some(b"key".as_slice()));
            assert_eq!(first.value, Some(b"value".as_slice()));
            assert!(first.headers.is_empty());
            assert_eq!((second.offset, second.timestamp), (41, 90));
            assert_eq!((second.key, second.value), (None, None));
            let headers: Vec<_> = second.headers.map(|h| (h.key(), h.value)).collect();
            assert_eq!(
                headers,
                [("a".into(), Some(b"1".as_slice())), ("b".into(), None)]
            );
            assert_eq!(second.headers.last_value("b"), Some(None));
            assert_eq!(second.headers.last_value("c"), None);
            assert_eq!((third.offset, third.timestamp), (42, 110));
            assert_eq!((third.key, third.value), (Some(&[][..]), Some(&[][..])));
            assert_eq!(third.headers.len(), 1);
        }
    }
}

#[test]
fn owned_records_are_the_borrowed_ones_and_outlive_the_batch() {
    let decoded = decode(&batch(40, Compression::None)).unwrap();
    let owned: Vec<_> = decoded.owned_records().map(Result::unwrap).collect();
    for (owned, borrowed) in owned.iter().zip(decoded.records()) {
        assert_eq!(owned.as_ref(), borrowed.unwrap());
    }
    let one_by_one: Vec<_> = decoded.into_records().map(Result::unwrap).collect();
    assert_eq!(one_by_one, owned);
    assert_eq!(owned.len(), 3);
    assert_eq!(owned[0].key_bytes(), Some(Bytes::from_static(b"key")));
    assert_eq!(owned[0].value_bytes(), Some(Bytes::from_static(b"value")));
    assert_eq!(owned[1].key_bytes(), None);
    assert_eq!(owned[1].headers().count(), 2);
    assert_eq!(owned[2].value_bytes(), Some(Bytes::new()));
    assert_eq!(owned[2].headers().last_value("a"), Some(Some(&[][..])));
}

#[test]
fn uncompressed_records_stay_in_the_frame() {
    let frame = Bytes::from(batch(0, Compression::None));
    let mut buffer = Vec::with_capacity(10);
    let decoded = Batch::decode(frame.clone())
        .unwrap()
        .decompress(&mut Decompressor::new(), &mut buffer, 0)
        .unwrap();
    assert_eq!(decoded.body().as_ptr(), frame[BatchHeader::LEN..].as_ptr());
    assert_eq!(buffer.capacity(), 10);
    assert_eq!(decoded.into_buffer(), None);
}

#[cfg(feature = "lz4")]
#[test]
fn the_buffer_of_a_compressed_batch_comes_back() {
    let batch = Batch::decode(batch(0, Compression::Lz4).into()).unwrap();
    let mut buffer = Vec::with_capacity(1 << 17);
    let place = buffer.as_ptr();
    let decoded = batch
        .decompress(&mut Decompressor::new(), &mut buffer, 1 << 20)
        .unwrap();
    assert_eq!(buffer.capacity(), 0);
    let reader = decoded.clone();
    assert_eq!(reader.into_buffer(), None);
    let buffer = decoded.into_buffer().unwrap();
    assert_eq!((buffer.as_ptr(), buffer.capacity()), (place, 1 << 17));
}

#[test]
fn a_batch_that_is_cut_off_is_told_of() {
    let whole = [batch(0, Compression::None), batch(3, Compression::None)].concat();
    let first = batch(0, Compression::None).len();
    for len in 0..whole.len() {
        let mut batches = Batches::new(Bytes::copy_from_slice(&whole[..len]));
        let found = batches.by_ref().map(Result::unwrap).count();
        assert_eq!(found, usize::from(len >= first), "{len}");
        let tail = len - found * first;
        let expected = (tail > 0).then_some(Incomplete {
            available: tail,
            needed: (tail >= 12)
                .then_some(whole.len() - first)
                .map(|second| if found == 0 { first } else { second }),
        });
        assert_eq!(batches.incomplete(), expected, "{len}");
    }
    let batches = Batches::new(whole.into());
    let offsets: Vec<_> = batches.map(|batch| batch.unwrap().next_offset()).collect();
    assert_eq!(offsets, [3, 6]);
}

#[test]
fn every_cut_of_the_records_is_an_error() {
    let bytes = batch(0, Compression::None);
    let body = &bytes[BatchHeader::LEN..];
    for len in 0..body.len() {
        let error = records(&around(&body[..len], 3, 2)).unwrap_err();
        assert!(error.at <= BatchHeader::LEN + len, "{error}");
    }
    assert!(records(&around(body, 3, 2)).is_ok());
    assert_eq!(
        records(&around(body, 2, 2)).unwrap_err().kind,
        RecordErrorKind::BytesBehindRecords(10)
    );
    assert_eq!(
        records(&around(body, 4, 3)).unwrap_err(),
        RecordError::new(
            bytes.len(),
            RecordErrorKind::RecordsMissing {
                expected: 4,
                actual: 3
            }
        )
    );
}

#[test]
fn lying_records_are_errors_with_a_position() {
    use RecordErrorKind as Kind;
    let cases: [(&[u8], usize, Kind); 14] = [
        (&[0x80; 6], 0, Kind::Field("record length")),
        (&[1], 0, Kind::RecordLength(-1)),
        (&[16, 0], 0, Kind::RecordLength(8)),
        (
            &[0xfe, 0xff, 0xff, 0xff, 0x0f],
            0,
            Kind::RecordLength(i32::MAX),
        ),
        (&[0], 1, Kind::Field("record attributes")),
        (&[4, 0, 0x80], 2, Kind::Field("timestamp delta")),
        (&[4, 0, 0], 3, Kind::Field("offset delta")),
        (&[12, 0, 0, 1, 1, 1, 0], 4, Kind::OffsetDelta(-1)),
        (&[12, 0, 0, 2, 1, 1, 0], 4, Kind::OffsetDelta(1)),
        (&[12, 0, 0, 0, 8, 1, 0], 5, Kind::Field("key")),
        (&[12, 0, 0, 0, 1, 4, 0], 6, Kind::Field("value")),
        (&[12, 0, 0, 0, 1, 1, 1], 7, Kind::HeaderCount(-1)),
        (&[14, 0, 0, 0, 1, 1, 4, 0], 7, Kind::HeaderCount(2)),
        (&[14, 0, 0, 0, 1, 1, 0, 0], 7, Kind::BytesBehindRecord(1)),
    ];
    for (body, at, kind) in cases {
        assert_eq!(
            records(&around(body, 1, 0)).unwrap_err(),
            RecordError::new(BatchHeader::LEN + at, kind),
            "{body:?}"
        );
    }
    // A header that is longer than the record, of a null key, or without a value.
    for body in [
        &[16, 0, 0, 0, 1, 1, 2, 8, b'a'][..],
        &[16, 0, 0, 0, 1, 1, 2, 1, 1],
        &[16, 0, 0, 0, 1, 1, 2, 2, b'a'],
    ] {
        assert_eq!(
            records(&around(body, 1, 0)).unwrap_err(),
            RecordError::new(BatchHeader::LEN + 7, Kind::Field("record header"))
        );
    }
}

#[test]
fn lying_headers_are_errors_with_a_position() {
    let good = batch(0, Compression::None);
    let with = |change: fn(&mut BatchHeader)| {
        let mut bytes = good.clone();
        let mut header = BatchHeader::decode(&bytes).unwrap();
        change(&mut header);
        patch::seal(&mut bytes, header);
        records(&bytes).map_err(|error| (error.at, error.kind))
    };
    assert_eq!(
        with(|header| header.last_offset_delta = -1),
        Err((23, RecordErrorKind::LastOffsetDelta(-1)))
    );
    assert_eq!(
        with(|header| header.base_offset = i64::MAX - 1),
        Err((23, RecordErrorKind::LastOffsetDelta(2)))
    );
    assert!(with(|header| header.base_offset = i64::MAX - 2).is_ok());
    assert_eq!(
        with(|header| header.record_count = i32::MIN),
        Err((57, RecordErrorKind::RecordCount(i32::MIN)))
    );
    assert_eq!(
        with(|header| header.record_count = i32::MAX).unwrap_err().1,
        RecordErrorKind::RecordsMissing {
            expected: i32::MAX,
            actual: 3
        }
    );
    for code in 5..8 {
        let mut bytes = good.clone();
        let mut header = BatchHeader::decode(&bytes).unwrap();
        header.attributes = Attributes::from_bits(code);
        patch::seal(&mut bytes, header);
        assert_eq!(
            records(&bytes).unwrap_err(),
            RecordError::new(21, RecordErrorKind::Codec(code))
        );
    }
}

#[test]
fn sets_with_lying_lengths_and_magics_end_in_an_error() {
    for (at, byte) in [(8, 0x80), (16, 3), (16, 0xff)] {
        let mut bytes = batch(0, Compression::None);
        bytes[at] = byte;
        bytes.extend_from_slice(&batch(3, Compression::None));
        let mut batches = Batches::new(bytes.into());
        assert!(batches.next().unwrap().is_err());
        assert!(batches.next().is_none());
        assert!(batches.next().is_none());
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let good = batch(0, Compression::None);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let outcome = Batch::decode(bytes.into()).and_then(|batch| batch.verify_crc());
        // Base offset and leader epoch may change under way.
        let outside = bit < 64 || (96..128).contains(&bit);
        assert_eq!(outcome.is_ok(), outside, "bit {bit}");
    }
}

#[test]
fn the_log_may_stamp_a_batch() {
    let mut bytes = batch(0, Compression::None);
    patch::set_log_append_time(&mut bytes, 5000).unwrap();
    Batch::decode(bytes.clone().into())
        .unwrap()
        .verify_crc()
        .unwrap();
    let timestamps: Vec<_> = records(&bytes)
        .unwrap()
        .iter()
        .map(Record::timestamp)
        .collect();
    assert_eq!(timestamps, [5000; 3]);
}

#[test]
fn a_batch_is_numbered_anew() {
    let stamp = ProducerStamp {
        producer_id: 9,
        producer_epoch: 8,
        base_sequence: 7,
    };
    let mut bytes = batch(0, Compression::None);
    patch::set_producer(&mut bytes, stamp).unwrap();
    patch::set_base_offset(&mut bytes, 1 << 33).unwrap();
    patch::set_leader_epoch(&mut bytes, 6).unwrap();
    let batch = Batch::decode(bytes.clone().into()).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!(batch.header().producer_id, 9);
    assert_eq!(batch.header().producer_epoch, 8);
    assert_eq!(batch.header().base_sequence, 7);
    assert_eq!(batch.header().base_offset, 1 << 33);
    assert_eq!(batch.header().partition_leader_epoch, 6);
    bytes.push(0);
    assert!(patch::set_producer(&mut bytes, stamp).is_err());
    bytes.truncate(60);
    assert!(patch::set_producer(&mut bytes, stamp).is_err());
    assert!(patch::set_base_offset(&mut bytes, 0).is_err());
    assert!(patch::set_leader_epoch(&mut bytes, 0).is_err());
    assert!(patch::set_log_append_time(&mut bytes, 0).is_err());
}

#[test]
fn compaction_leaves_gaps_empty_batches_and_delete_horizons() {
    // An empty batch still says where to go on.
    let options = BatchOptions::new().base_offset(10).last_offset_delta(4);
    let bytes = BatchBuilder::new(Vec::new(), options).seal(ProducerStamp::NONE);
    let decoded = decode(&bytes).unwrap();
    assert_eq!(decoded.records().count(), 0);
    assert_eq!(decoded.header().next_offset(), 15);

    // Timestamps count from the horizon.
    let options = BatchOptions::new()
        .base_offset(10)
        .attributes(Attributes::default().with_delete_horizon())
        .base_timestamp(1_000_000)
        .last_offset_delta(9);
    let mut builder = BatchBuilder::new(Vec::new(), options);
    builder.append_at(3, 20, Some(b"a"), None, []).unwrap();
    builder.append_at(7, 30, Some(b"b"), None, []).unwrap();
    let decoded = decode(&builder.seal(ProducerStamp::NONE)).unwrap();
    assert!(decoded.header().attributes.has_delete_horizon());
    assert_eq!(decoded.header().base_timestamp, 1_000_000);
    assert_eq!(decoded.header().max_timestamp, 30);
    let seen: Vec<_> = decoded
        .records()
        .map(|record| record.map(|record| (record.offset, record.timestamp)))
        .collect();
    assert_eq!(seen, [Ok((13, 20)), Ok((17, 30))]);
    assert_eq!(decoded.header().next_offset(), 20);
}

#[test]
fn header_keys_that_are_no_text_are_shown_all_the_same() {
    let bytes = around(&[20, 0, 0, 0, 1, 1, 2, 4, 0xff, b'a', 1], 1, 0);
    let records = records(&bytes).unwrap();
    let header = records[0].headers().next().unwrap();
    assert_eq!(header.key(), "\u{fffd}a");
    assert_eq!(header.key_bytes(), [0xff, b'a']);
}
