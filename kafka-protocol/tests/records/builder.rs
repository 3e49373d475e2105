//! Whatever a builder accepts, the reader reads, and it is the same; the rest is refused with a reason
//! when it is appended.

use bytes::Bytes;
use fastrand::Rng;
use kafka_protocol::compression::{CompressionError, Compressor, DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{
    AppendError, Attributes, Batch, BatchBuilder, BatchOptions, Compression, ProducerStamp,
};

/// A record as it is appended and as it is read.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

#[test]
fn records_are_printed_as_what_they_hold() {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new().base_offset(7));
    let headers = [("trace", Some(b"\x01".as_slice())), ("none", None)];
    builder.append(5, None, Some(b"3 apples"), headers).unwrap();
    let batch = Batch::decode(builder.seal(ProducerStamp::NONE).into()).unwrap();
    let decoded = batch
        .decompress(&mut Decompressor::new(), &mut Vec::new(), 0)
        .unwrap();
    let borrowed = decoded.records().next().unwrap().unwrap();
    let owned = decoded.to_owned_record(&borrowed);
    let fields = r#" { offset: 7, timestamp: 5, key: None, value: Some(b"3 apples"), headers: [HeaderRef { key: "trace", value: Some(b"\x01") }, HeaderRef { key: "none", value: None }] }"#;
    assert_eq!(format!("{borrowed:?}"), format!("RecordRef{fields}"));
    assert_eq!(format!("{owned:?}"), format!("Record{fields}"));
}

#[test]
fn what_is_accepted_is_read() {
    let mut refused = [0; 3];
    let (mut accepted, mut empty) = (0, 0);
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let base_offset = pick(&mut rng, &BASE_OFFSETS);
        // Any but log-append time, which comes below.
        let attributes = Attributes::from_bits(rng.i16(..) & 0x77);
        let mut options = BatchOptions::new()
            .base_offset(base_offset)
            .leader_epoch(rng.i32(..))
            .attributes(attributes);
        if rng.bool() {
            options = options.base_timestamp(pick(&mut rng, &TIMESTAMPS));
        }
        if rng.bool() {
            options = options.last_offset_delta(pick(&mut rng, &DELTAS));
        }
        if rng.bool() {
            options = options.max_timestamp(pick(&mut rng, &TIMESTAMPS));
        }
        let append_time = rng.bool().then(|| pick(&mut rng, &TIMESTAMPS));
        if let Some(append_time) = append_time {
            options = options.log_append_time(append_time);
        }
        if rng.bool() {
            options = options.max_len(rng.usize(0..5000));
        }
        let mut builder = BatchBuilder::new(Vec::new(), options);
        let mut expected = Vec::new();
        let mut next_delta = 0;
        for _ in 0..rng.usize(0..20) {
            let at = rng.bool().then(|| pick(&mut rng, &DELTAS));
            let mut record = random_record(&mut rng);
            let (len, count) = (builder.len(), builder.count());
            match append(&mut builder, at, &record) {
                Ok(written) => {
                    assert_eq!(builder.len(), len + written, "seed {seed}");
                    let delta = at.unwrap_or(next_delta);
                    next_delta = next_delta.max(delta.wrapping_add(1));
                    record.offset = base_offset + i64::from(delta);
                    record.timestamp = append_time.unwrap_or(record.timestamp);
                    expected.push(record);
                    accepted += 1;
                }
                Err(error) => {
                    assert_eq!(
                        (builder.len(), builder.count()),
                        (len, count),
                        "seed {seed}"
                    );
                    refused[match error {
                        AppendError::Full { .. } => 0,
                        AppendError::OffsetDelta(_) => 1,
                        _ => 2,
                    }] += 1;
                }
            }
        }
        empty += usize::from(expected.is_empty());
        let stamp = ProducerStamp {
            producer_id: rng.i64(..),
            producer_epoch: rng.i16(..),
            base_sequence: rng.i32(..),
        };
        for compression in Compression::ALL {
            let mut bytes = Vec::new();
            let mut compressor = Compressor::new(compression).unwrap();
            builder
                .seal_compressed(stamp, &mut compressor, &mut bytes)
                .unwrap();
            assert_eq!(
                read(bytes.into(), seed),
                expected,
                "seed {seed} {compression}"
            );
        }
        assert_eq!(
            read(builder.seal(stamp).into(), seed),
            expected,
            "seed {seed}"
        );
    }
    println!("{accepted} accepted, {empty} empty batches, refused: {refused:?}");
    assert!(accepted > 500 && empty > 10, "{accepted} {empty}");
    // Full and offset; no honest iterator of headers is refused.
    assert!(refused[..2].iter().all(|&count| count > 50), "{refused:?}");
    assert_eq!(refused[2], 0);
}

#[test]
fn offsets_stay_inside_the_batch() {
    let last = i64::from(i32::MAX);
    for (base_offset, told, delta, accepted) in [
        (0, None, i32::MAX, true),
        (i64::MAX - last, None, i32::MAX, true),
        (i64::MAX - last + 1, None, i32::MAX, false),
        (i64::MAX, None, 0, true),
        (i64::MAX, None, 1, false),
        (i64::MIN, None, i32::MAX, true),
        (0, Some(5), 5, true),
        (0, Some(5), 6, false),
        (0, Some(-5), 0, true),
        (0, Some(-5), 1, false),
        (i64::MAX - 3, Some(5), 3, true),
        (i64::MAX - 3, Some(5), 4, false),
        (0, None, -1, false),
        (0, None, i32::MIN, false),
    ] {
        let mut options = BatchOptions::new().base_offset(base_offset);
        if let Some(told) = told {
            options = options.last_offset_delta(told);
        }
        let mut builder = BatchBuilder::new(Vec::new(), options);
        let result = builder.append_at(delta, 0, None, None, []).map(|_| ());
        let expected = if accepted {
            Ok(())
        } else {
            Err(AppendError::OffsetDelta(delta))
        };
        assert_eq!(result, expected, "{base_offset} {told:?} {delta}");
        let count = usize::from(accepted);
        let bytes = builder.seal(ProducerStamp::NONE);
        assert_eq!(read(bytes.into(), 0).len(), count);
    }
    // Behind the last offset there is no next one.
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    builder.append_at(i32::MAX, 0, None, None, []).unwrap();
    let error = builder.append(0, None, None, []).unwrap_err();
    assert_eq!(error, AppendError::OffsetDelta(i32::MIN));
}

#[test]
fn iterators_of_headers_that_lie_are_found_out() {
    /// Yields `now` headers, `then` when it is cloned, and tells of `told`.
    struct Liar {
        now: usize,
        then: usize,
        told: usize,
    }
    impl Clone for Liar {
        fn clone(&self) -> Self {
            Self {
                now: self.then,
                ..*self
            }
        }
    }
    impl Iterator for Liar {
        type Item = (&'static str, Option<&'static [u8]>);
        fn next(&mut self) -> Option<Self::Item> {
            self.now = self.now.checked_sub(1)?;
            Some(("name", Some(b"value")))
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.told, Some(self.told))
        }
    }
    impl ExactSizeIterator for Liar {}

    for now in 0..4 {
        for then in 0..4 {
            for told in 0..4 {
                let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
                let headers = Liar { now, then, told };
                let result = builder.append(0, None, None, headers);
                // Who tells of none is not asked for any.
                let honest = (now, then) == (told, told) || told == 0;
                match result {
                    Ok(_) => assert!(honest, "{now} {then} {told}"),
                    Err(error) => {
                        assert_eq!(error, AppendError::Headers);
                        assert!(!honest, "{now} {then} {told}");
                    }
                }
                let count = usize::from(honest);
                let bytes = builder.seal(ProducerStamp::NONE);
                assert_eq!(read(bytes.into(), 0).len(), count);
            }
        }
    }
}

#[test]
fn what_readers_would_not_decompress_is_not_compressed() {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    let value = vec![0; 16 << 20];
    for _ in 0..DECOMPRESSED_MAX / value.len() {
        builder.append(0, None, Some(&value), []).unwrap();
    }
    for compression in Compression::ALL {
        let mut bytes = Vec::new();
        let mut compressor = Compressor::new(compression).unwrap();
        let sealed = builder.seal_compressed(ProducerStamp::NONE, &mut compressor, &mut bytes);
        let limit = DECOMPRESSED_MAX;
        let expected = match compression {
            Compression::None => Ok(()),
            _ => Err(CompressionError::TooLarge { compression, limit }),
        };
        assert_eq!(sealed, expected);
    }
}

/// All records of a sealed batch, as any reader sees it.
fn read(bytes: Bytes, seed: u64) -> Vec<Plain> {
    let batch = Batch::decode(bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    batch.verify_crc().unwrap();
    let decoded = batch
        .decompress(&mut Decompressor::new(), &mut Vec::new(), DECOMPRESSED_MAX)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    decoded
        .owned_records()
        .map(|record| {
            let record = record.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            Plain {
                offset: record.offset(),
                timestamp: record.timestamp(),
                key: record.key().map(Vec::from),
                value: record.value().map(Vec::from),
                headers: record
                    .headers()
                    .map(|header| (header.key().into_owned(), header.value.map(Vec::from)))
                    .collect(),
            }
        })
        .collect()
}

fn append(
    builder: &mut BatchBuilder,
    at: Option<i32>,
    record: &Plain,
) -> Result<usize, AppendError> {
    let headers = record.headers.iter();
    let headers = headers.map(|(key, value)| (key.as_str(), value.as_deref()));
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    match at {
        Some(delta) => builder.append_at(delta, record.timestamp, key, value, headers),
        None => builder.append(record.timestamp, key, value, headers),
    }
}

fn random_record(rng: &mut Rng) -> Plain {
    Plain {
        offset: 0,
        timestamp: pick(rng, &TIMESTAMPS),
        key: random_bytes(rng),
        value: random_bytes(rng),
        headers: (0..rng.usize(0..100) / 97 * 70 + rng.usize(0..3))
            .map(|n| ("h".repeat(n % 5), random_bytes(rng)))
            .collect(),
    }
}

fn random_bytes(rng: &mut Rng) -> Option<Vec<u8>> {
    let len = match rng.usize(0..20) {
        0..5 => return None,
        5..10 => 0,
        10 => 63 + rng.usize(0..3),
        11 => 8190 + rng.usize(0..4),
        12 if rng.usize(0..10) == 0 => (1 << 19) - 10 + rng.usize(0..20),
        _ => rng.usize(0..40),
    };
    Some(vec![rng.u8(..); len])
}

fn pick<T: Copy>(rng: &mut Rng, values: &[T]) -> T {
    values[rng.usize(..values.len())]
}

const SEEDS: u64 = 200;
const BASE_OFFSETS: [i64; 8] = [
    0,
    1,
    -1,
    1 << 40,
    i64::MAX,
    i64::MAX - 3,
    i64::MAX - i32::MAX as i64,
    i64::MIN,
];
const DELTAS: [i32; 10] = [0, 1, 2, 7, 63, 64, -1, i32::MIN, i32::MAX, 1 << 20];
const TIMESTAMPS: [i64; 8] = [
    0,
    -1,
    1_760_000_000_000,
    1_760_000_000_001,
    1 << 21,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];
