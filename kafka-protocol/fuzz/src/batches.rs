//! A `records` field, read in every way there is, beside the reference.

use bytes::Bytes;
use kafka_protocol::compression::{Compression, Decompressor};
use kafka_protocol::record::{
    AnyBatch, Batch, BatchBuilder, BatchOptions, Batches, DecodedBatch, LegacyBatch, ProducerStamp,
    Record, RecordError, RecordRef, TimestampType, set_base_offset, set_leader_epoch,
    set_log_append_time, set_producer,
};

use crate::bounds;
use crate::compression::peak;
use crate::reference::{self, Plain};

/// A field of any magic.
pub fn batches(data: &[u8]) {
    let (expected, is_broken) = reference::entries(data);
    let data = Bytes::copy_from_slice(data);
    let mut batches = Batches::new(data.clone());
    let mut entries = expected.iter();
    let mut ended_by_error = false;
    let mut decompressor = Decompressor::new();
    // Nothing is copied, and the iterator itself takes no memory.
    while let Some(batch) = bounds::without_allocation(|| batches.next()) {
        assert!(!ended_by_error, "nothing follows an error");
        match batch {
            Ok(batch) => {
                let entry = entries
                    .next()
                    .expect("an entry that the reference sees too");
                assert!(batch.bytes() == entry, "an entry of other bytes");
                match &batch {
                    AnyBatch::Current(batch) => current(batch, &mut decompressor),
                    AnyBatch::Legacy(batch) => old(batch, &mut decompressor),
                    _ => unreachable!("there are three magics"),
                }
            }
            Err(error) => {
                assert!(error.at <= data.len());
                ended_by_error = true;
            }
        }
    }
    assert_eq!((entries.next(), ended_by_error), (None, is_broken));
    if let Some(incomplete) = batches.incomplete() {
        assert!(!is_broken && incomplete.available > 0);
        assert!(
            incomplete
                .needed
                .is_none_or(|needed| needed > incomplete.available || incomplete.available < 17)
        );
    }
}

/// Old message sets: the same, with each magic byte forced to 0 or 1 so that nothing else is tried.
pub fn legacy(data: &[u8]) {
    batches(&crate::mutation::with_old_magic(data));
}

/// A batch of magic 2.
fn current(batch: &Batch, decompressor: &mut Decompressor) {
    let header = reference::header(batch.bytes()).expect("it was read before");
    let has_right_crc = header.crc == reference::crc32c(&batch.bytes()[CRC_END..]);
    assert_eq!(batch.verify_crc().is_ok(), has_right_crc);
    patched(batch);

    let Ok(codec) = batch.compression() else {
        assert!(header.attributes & 7 > 4);
        return;
    };
    let body = batch.bytes().len() - HEADER_LEN;
    let most = if codec == Compression::None {
        0
    } else {
        peak(codec, body, LIMIT)
    };
    let mut buffer = Vec::new();
    let decoded = bounds::within_bytes(most, || batch.decompress(decompressor, &mut buffer, LIMIT));
    let Ok(decoded) = decoded else { return };
    let (expected, is_broken) = reference::records(&header, decoded.body());
    all_ways(&decoded, &expected, is_broken);
    if !is_broken {
        let mut buffer = Vec::new();
        let records = batch
            .records(decompressor, &mut buffer, LIMIT)
            .expect("as before");
        assert!(
            records
                .zip(&expected)
                .all(|(record, plain)| is(&record, plain))
        );
        rewritten(batch, &decoded, &expected, decompressor);
    }
}

/// An entry of magic 0 or 1.
fn old(batch: &LegacyBatch, decompressor: &mut Decompressor) {
    let entry = batch.bytes();
    if let Some(message) = reference::read_message(entry) {
        let has_right_crc = message.crc == reference::crc32(&entry[16..]);
        assert_eq!(batch.verify_crc().is_ok(), has_right_crc);
    }
    let codec = batch.compression().unwrap_or_default();
    let plain = match codec {
        Compression::None => entry.len(),
        codec => peak(codec, entry.len(), LIMIT),
    };
    let mut buffer = Vec::new();
    let decoded = bounds::within_bytes(LEGACY_FACTOR * plain, || {
        batch.decompress(decompressor, &mut buffer, LIMIT)
    });
    let expected = reference::messages(entry, |codec, value| {
        let mut set = Vec::new();
        let result = decompressor.decompress(codec, value, &mut set, LIMIT);
        result.ok().map(|()| set)
    });
    match (&decoded, expected) {
        (Ok(decoded), Some(expected)) => all_ways(decoded, &expected, false),
        (Err(_), None) => {}
        (decoded, expected) => {
            panic!(
                "{:?} where the reference says {expected:?}",
                decoded.as_ref().err()
            )
        }
    }
}

/// Borrowed, owned, by an iterator of its own, and all at once: each gives what the reference gives.
fn all_ways(decoded: &DecodedBatch, expected: &[Plain], is_broken: bool) {
    let mut borrowed = decoded.records();
    for plain in expected {
        let most = borrowed.size_hint().1.expect("a bound is known");
        assert!(most > 0);
        let record = bounds::without_allocation(|| borrowed.next());
        let record = record.expect("a record that the reference sees too");
        assert!(
            is(&record, plain),
            "{record:?} where the reference says {plain:?}"
        );
    }
    let end = borrowed.next();
    assert_eq!(
        end.as_ref().is_some_and(Result::is_err),
        is_broken,
        "{end:?}"
    );
    assert!(end.is_none_or(|end| end.is_err()) && borrowed.next().is_none());
    assert_eq!(decoded.validate().is_err(), is_broken);

    let owned = decoded.owned_records();
    let independent = decoded.clone().into_records();
    let mut count = 0;
    for (one, other) in owned.zip(independent) {
        assert_eq!(one, other);
        if let Ok(record) = one {
            assert!(is_owned(&record, &expected[count]));
            count += 1;
        }
    }
    assert_eq!(count, expected.len());
}

/// What a leader and a producer change in a batch leaves its records alone, and its checksum right.
fn patched(batch: &Batch) {
    let mut bytes = batch.bytes().to_vec();
    let stamp = ProducerStamp {
        producer_id: 7,
        producer_epoch: 1,
        base_sequence: 2,
    };
    set_producer(&mut bytes, stamp).expect("it is a batch");
    set_leader_epoch(&mut bytes, 5).expect("it is a batch");
    set_base_offset(&mut bytes, 0).expect("it is a batch");
    set_log_append_time(&mut bytes, 9).expect("it is a batch");
    let patched = Batch::decode(bytes.into()).expect("it still is one");
    patched.verify_crc().expect("it was made anew");
    let mut header = *batch.header();
    header.crc = patched.header().crc;
    (
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
    ) = (7, 1, 2);
    (
        header.partition_leader_epoch,
        header.base_offset,
        header.max_timestamp,
    ) = (5, 0, 9);
    header.attributes = header
        .attributes
        .with_timestamp_type(TimestampType::LogAppendTime);
    assert_eq!(*patched.header(), header);
    assert!(patched.bytes()[HEADER_LEN..] == batch.bytes()[HEADER_LEN..]);
}

/// What was read is written again, and read again: the records are the same, and the second writing
/// gives the bytes of the first.
fn rewritten(
    batch: &Batch,
    decoded: &DecodedBatch,
    expected: &[Plain],
    decompressor: &mut Decompressor,
) {
    let is_text = |plain: &Plain| {
        plain
            .headers
            .iter()
            .all(|(key, _)| str::from_utf8(key).is_ok())
    };
    if !expected.iter().all(is_text) {
        // Such headers can be read, and not written.
        return;
    }
    let once = write(batch, decoded);
    // With the log's own time the deltas of timestamps are lost, and so is their length.
    let is_of_log = batch.header().attributes.timestamp_type() == TimestampType::LogAppendTime;
    let read = HEADER_LEN + decoded.body().len();
    assert!(is_of_log || once.len() <= read, "longer than what was read");
    let again = Batch::decode(once.clone()).expect("what was written is a batch");
    again.verify_crc().expect("it is new");
    let mut buffer = Vec::new();
    let decoded = again
        .decompress(decompressor, &mut buffer, 0)
        .expect("it is not compressed");
    all_ways(&decoded, expected, false);
    assert!(
        write(batch, &decoded) == once,
        "other bytes the second time"
    );
}

fn write(batch: &Batch, decoded: &DecodedBatch) -> Bytes {
    let header = batch.header();
    let options = BatchOptions::new()
        .base_offset(header.base_offset)
        .leader_epoch(header.partition_leader_epoch)
        .attributes(header.attributes)
        .base_timestamp(header.base_timestamp)
        .max_timestamp(header.max_timestamp)
        .last_offset_delta(header.last_offset_delta);
    let mut builder = BatchBuilder::new(Vec::new(), options);
    for record in decoded.records() {
        let record = record.expect("all were read before");
        let keys: Vec<_> = record.headers.map(|header| header.key()).collect();
        let headers = keys
            .iter()
            .map(|key| &**key)
            .zip(record.headers.map(|header| header.value));
        let headers: Vec<_> = headers.collect();
        let delta = i32::try_from(record.offset - header.base_offset).expect("it was one");
        builder
            .append_at(delta, record.timestamp, record.key, record.value, headers)
            .expect("it was in a batch");
    }
    assert_eq!(i64::from(builder.count()), i64::from(header.record_count));
    let len = builder.len();
    let bytes = builder.seal(ProducerStamp {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
    });
    assert_eq!(bytes.len(), len);
    bytes.into()
}

fn is(record: &Result<RecordRef<'_>, RecordError>, plain: &Plain) -> bool {
    record.as_ref().is_ok_and(|record| {
        let headers = record
            .headers
            .map(|header| (header.key_bytes(), header.value));
        record.offset == plain.offset
            && record.timestamp == plain.timestamp
            && record.key == plain.key.as_deref()
            && record.value == plain.value.as_deref()
            && record.headers.len() == plain.headers.len()
            && headers.eq(plain
                .headers
                .iter()
                .map(|(key, value)| (&**key, value.as_deref())))
    })
}

fn is_owned(record: &Record, plain: &Plain) -> bool {
    is(&Ok::<_, RecordError>(record.as_ref()), plain)
        && record.key_bytes().as_deref() == plain.key.as_deref()
        && record.value_bytes().as_deref() == plain.value.as_deref()
}

/// The most that a body becomes.
const LIMIT: usize = 2 << 20;
const HEADER_LEN: usize = 61;
/// Where the bytes begin that the checksum covers.
const CRC_END: usize = 21;
/// Old messages are decompressed, listed and written anew.
const LEGACY_FACTOR: usize = 4;
