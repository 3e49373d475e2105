use super::*;
use crate::compression::Compression;
use crate::record::checksum::crc32c;

type Header<'a> = (&'a str, Option<&'a [u8]>);

#[test]
fn a_batch_stands_as_the_format_says() {
    let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
    batch.append(1000, Some(b"k"), Some(b"vv"), []).unwrap();
    batch
        .append(
            999,
            None,
            Some(b""),
            [("h", None), ("", Some(b"x".as_slice()))],
        )
        .unwrap();
    let bytes = batch.seal(ProducerStamp {
        producer_id: 7,
        producer_epoch: 2,
        base_sequence: 30,
    });
    let records = [
        // Length 9, no attributes, delta 0, offset 0, "k", "vv", no headers.
        &[18, 0, 0, 0, 2, b'k', 4, b'v', b'v', 0][..],
        // Length 13, no attributes, delta -1, offset 1, null, empty, two headers.
        &[24, 0, 1, 2, 1, 0, 4, 2, b'h', 1, 0, 2, b'x'],
    ]
    .concat();
    assert_eq!(bytes.get(BatchHeader::LEN..), Some(records.as_slice()));
    let header = BatchHeader::decode(&bytes).unwrap();
    assert_eq!(
        header,
        BatchHeader {
            base_offset: 0,
            batch_length: 49 + records.len() as i32,
            partition_leader_epoch: -1,
            crc: crc32c(&bytes[21..]),
            attributes: Attributes::default(),
            last_offset_delta: 1,
            base_timestamp: 1000,
            max_timestamp: 1000,
            producer_id: 7,
            producer_epoch: 2,
            base_sequence: 30,
            record_count: 2,
        }
    );
}

#[test]
fn sizes_are_known_before_they_are_written() {
    let long = vec![7; 70_000];
    let fields = [
        None,
        Some(0),
        Some(1),
        Some(63),
        Some(64),
        Some(8191),
        Some(70_000),
    ];
    let slice = |len: Option<usize>| len.map(|len| &long[..len]);
    let header_sets: [&[Header<'_>]; 4] = [
        &[],
        &[("", None)],
        &[("name", Some(b"value")), ("name", Some(b""))],
        &[("long", Some(&long))],
    ];
    let timestamps = [0, -1, 63, 64, 8192, i64::MAX, i64::MIN];
    let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
    for key in fields {
        for value in fields {
            for headers in header_sets {
                for timestamp in timestamps {
                    let before = batch.len();
                    let known = batch.record_len(
                        timestamp,
                        slice(key),
                        slice(value),
                        headers.iter().copied(),
                    );
                    let written = batch
                        .append(timestamp, slice(key), slice(value), headers.iter().copied())
                        .unwrap();
                    assert_eq!(known, written);
                    assert_eq!(batch.len() - before, written);
                }
            }
        }
    }
}

#[test]
fn a_full_batch_refuses_and_stays_as_it_was() {
    let options = BatchOptions::new().max_len(BatchHeader::LEN + 20);
    let mut batch = BatchBuilder::new(Vec::new(), options);
    // A record too large for the empty batch leaves no timestamp behind.
    assert_eq!(
        batch.append(5, None, Some(&[0; 14]), []),
        Err(AppendError::Full {
            needed: BatchHeader::LEN + 21,
            max: BatchHeader::LEN + 20,
        })
    );
    assert!(batch.is_empty());
    assert_eq!(batch.append(9, None, Some(&[0; 13]), []), Ok(20));
    assert_eq!(batch.base_timestamp(), 9);
    assert!(batch.append(9, None, None, []).is_err());
    batch.set_max_len(batch.len() + 7);
    assert_eq!(batch.append(9, None, None, []), Ok(7));
    assert_eq!(
        batch.append_at(-1, 9, None, None, []),
        Err(AppendError::OffsetDelta(-1))
    );
    assert_eq!(batch.count(), 2);
    let bytes = batch.seal(ProducerStamp::NONE);
    assert_eq!(bytes.len(), BatchHeader::LEN + 27);
}

#[test]
fn a_buffer_is_used_again() {
    let buffer = Vec::with_capacity(1000);
    let place = buffer.as_ptr();
    let mut batch = BatchBuilder::new(buffer, BatchOptions::new());
    batch.append(0, None, Some(&[1; 500]), []).unwrap();
    let sealed = batch.seal(ProducerStamp::NONE);
    assert_eq!(sealed.as_ptr(), place);
    let again = BatchBuilder::new(sealed, BatchOptions::new());
    assert_eq!(again.len(), BatchHeader::LEN);
    let buffer = again.into_buffer();
    assert_eq!(buffer.as_ptr(), place);
}

#[test]
fn options_reach_the_header() {
    let options = BatchOptions::new()
        .base_offset(100)
        .leader_epoch(4)
        .transactional()
        .base_timestamp(50)
        .log_append_time(77)
        .last_offset_delta(9);
    let mut batch = BatchBuilder::new(Vec::new(), options);
    batch.append_at(3, 60, None, None, []).unwrap();
    let header = BatchHeader::decode(&batch.seal(ProducerStamp::NONE)).unwrap();
    assert_eq!(header.base_offset, 100);
    assert_eq!(header.partition_leader_epoch, 4);
    assert_eq!(header.attributes.bits(), 0x18);
    assert_eq!(header.base_timestamp, 50);
    assert_eq!(header.max_timestamp, 77);
    assert_eq!(header.last_offset_delta, 9);
    assert_eq!(header.record_count, 1);
    assert_eq!(header.producer_id, -1);
}

#[test]
fn an_empty_batch_is_a_header() {
    let options = BatchOptions::new().last_offset_delta(4);
    let bytes = BatchBuilder::new(Vec::new(), options).seal(ProducerStamp::NONE);
    assert_eq!(bytes.len(), BatchHeader::LEN);
    let header = BatchHeader::decode(&bytes).unwrap();
    assert_eq!(header.record_count, 0);
    assert_eq!(header.last_offset_delta, 4);
    assert_eq!(header.base_timestamp, -1);
    assert_eq!(header.max_timestamp, -1);
}

#[test]
fn sealing_compressed_keeps_the_batch_and_names_the_codec() {
    for compression in Compression::ALL {
        if !compression.is_built() {
            continue;
        }
        let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new().transactional());
        for n in 0..50 {
            batch.append(n, None, Some(&[9; 100]), []).unwrap();
        }
        let mut compressor = Compressor::new(compression).unwrap();
        let mut output = vec![1; 10];
        batch
            .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut output)
            .unwrap();
        let header = BatchHeader::decode(&output).unwrap();
        assert_eq!(header.total_len(), output.len());
        assert_eq!(header.crc, crc32c(&output[21..]));
        assert_eq!(header.attributes.compression(), Some(compression));
        assert!(header.attributes.is_transactional());
        assert_eq!(header.record_count, 50);
        if compression == Compression::None {
            assert_eq!(output, batch.seal(ProducerStamp::NONE));
        } else {
            assert!(output.len() < batch.len() / 4, "{compression}");
        }
    }
}
