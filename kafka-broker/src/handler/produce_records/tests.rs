use std::sync::Arc;
use std::thread;

use kafka_protocol::compression::{Compressor, DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

use super::*;
use crate::config::broker::BrokerConfig;
use crate::config::codec::Codec;
use crate::config::effective::EffectiveConfig;
use crate::config::overrides::Overrides;
use crate::config::topic::TopicConfig;
use crate::state::compressors::Compressors;
use crate::state::unpackers::SMALL_MAX;

const NOW: i64 = 1_760_000_000_000;

fn topic_config() -> TopicConfig {
    let broker = EffectiveConfig::at_start(Arc::new(BrokerConfig::new([]).unwrap()));
    TopicConfig::new(&broker, &Overrides::new())
}

fn rules(need_keys: bool) -> RecordRules {
    let mut config = topic_config();
    config.compact = need_keys;
    RecordRules::of(&config, NOW)
}

fn admit(
    bytes: &Bytes,
    wanted: Option<Recompression<'_>>,
) -> Result<Option<Rewritten>, RecordsError> {
    admit_with(bytes, wanted, &Unpackers::new(1))
}

fn admit_with(
    bytes: &Bytes,
    wanted: Option<Recompression<'_>>,
    unpackers: &Unpackers,
) -> Result<Option<Rewritten>, RecordsError> {
    let mut budget = UnpackBudget::for_batches(bytes.len());
    match admit_records(bytes, &rules(false), wanted, unpackers, &mut budget)? {
        Admitted::AsItCame => Ok(None),
        Admitted::Rewritten(rewritten) => Ok(Some(rewritten)),
        Admitted::NotHere => panic!("nobody waits"),
    }
}

fn check_records(bytes: &Bytes, need_keys: bool) -> Result<(), RecordsError> {
    let mut budget = UnpackBudget::for_batches(bytes.len());
    let rewritten = admit_records(
        bytes,
        &rules(need_keys),
        None,
        &Unpackers::new(1),
        &mut budget,
    )?;
    assert_eq!(rewritten, Admitted::AsItCame);
    Ok(())
}

fn numbers(error: RecordsError) -> Vec<i32> {
    error.into_records().into_iter().map(|(at, _)| at).collect()
}

/// A batch in which every field is another than the default.
fn batch_in(compression: Compression) -> Bytes {
    let options = BatchOptions::new().transactional();
    let mut builder = BatchBuilder::new(Vec::new(), options);
    for at in 0..200_u8 {
        let bytes = [at; 50];
        let headers = [("h", Some(&bytes[..7])), ("null", None)];
        let key = (at % 2 == 0).then_some(&bytes[..1]);
        let value = (at % 3 > 0).then_some(&bytes[..]);
        let timestamp = 1_760_000_000_000 + i64::from(at % 7);
        builder.append(timestamp, key, value, headers).unwrap();
    }
    let stamp = ProducerStamp {
        producer_id: 7,
        producer_epoch: 3,
        base_sequence: 11,
    };
    let mut output = Vec::new();
    let mut compressor = Compressor::new(compression).unwrap();
    builder
        .seal_compressed(stamp, &mut compressor, &mut output)
        .unwrap();
    output.into()
}

fn told(batch: &Bytes) -> (BatchHeader, Vec<String>) {
    let batch = Batch::decode(batch.clone()).unwrap();
    batch.verify_crc().unwrap();
    let mut buffer = Vec::new();
    let records = batch
        .records(&mut Decompressor::new(), &mut buffer, 1 << 20)
        .unwrap();
    let records = records.map(|record| {
        let record = record.unwrap();
        let headers: Vec<_> = record
            .headers
            .map(|header| (header.key().into_owned(), header.value))
            .collect();
        let (offset, timestamp) = (record.offset, record.timestamp);
        format!(
            "{offset} {timestamp} {:?} {:?} {headers:?}",
            record.key, record.value
        )
    });
    (*batch.header(), records.collect())
}

#[test]
fn nothing_but_the_codec_changes_when_another_is_wanted() {
    let compressors = Compressors::default();
    for from in Compression::ALL {
        let came = batch_in(from);
        for compression in Compression::ALL {
            let wanted = Recompression {
                codec: Codec {
                    compression,
                    level: None,
                },
                compressors: &compressors,
                max_len: 1 << 20,
            };
            let stored = admit(&came, Some(wanted)).unwrap();
            assert_eq!(
                stored.is_none(),
                from == compression,
                "{from} to {compression}"
            );
            let Some(stored) = stored else { continue };
            let (old, records) = told(&came);
            let (new, same) = told(&stored.bytes);
            assert_eq!(new, stored.header, "{from} to {compression}");
            assert_eq!(records, same, "{from} to {compression}");
            let expected = BatchHeader {
                batch_length: stored.bytes.len() as i32 - 12,
                crc: new.crc,
                attributes: old.attributes.with_compression(compression),
                ..old
            };
            assert_eq!(new, expected, "{from} to {compression}");
        }
    }
}

#[test]
fn what_the_log_would_refuse_comes_to_it_as_it_was() {
    let compressors = Compressors::default();
    let wanted = |compression, max_len| Recompression {
        codec: Codec {
            compression,
            level: None,
        },
        compressors: &compressors,
        max_len,
    };
    let came = batch_in(Compression::None);
    let small = wanted(Compression::Gzip, came.len() - 1);
    let admitted = admit(&came, Some(small)).unwrap();
    assert_eq!(admitted, None, "too large, though it would not be in gzip");
    let packed = batch_in(Compression::Gzip);
    for (max_len, is_admitted) in [(came.len(), true), (came.len() - 1, false)] {
        let plain = wanted(Compression::None, max_len);
        let admitted = admit(&packed, Some(plain));
        assert_eq!(
            admitted.is_ok(),
            is_admitted,
            "too large once it is unpacked"
        );
        if let Err(error) = admitted {
            assert_eq!(error.code(), ErrorCode::MESSAGE_TOO_LARGE);
        }
    }
}

#[test]
fn every_record_without_a_key_is_named() {
    let batch = |keys: &[Option<&[u8]>]| {
        let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
        for key in keys {
            builder.append(1, *key, Some(b"v"), []).unwrap();
        }
        Bytes::from(builder.seal(ProducerStamp::NONE))
    };
    let refused = check_records(&batch(&[None, Some(b"k"), None]), true).unwrap_err();
    assert_eq!(numbers(refused), [0, 2]);
    assert!(check_records(&batch(&[Some(b"k"), Some(b"")]), true).is_ok());
    assert!(check_records(&batch(&[None, Some(b"k")]), false).is_ok());
}

#[test]
fn what_cannot_be_read_is_refused_and_the_next_batch_is_read() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
        builder.append(1, None, Some(&[b'v'; 100]), []).unwrap();
        let mut sound = Vec::new();
        let mut compressor = Compressor::new(compression).unwrap();
        builder
            .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut sound)
            .unwrap();
        let mut batch = sound.clone();
        batch[BatchHeader::LEN..BatchHeader::LEN + 4].fill(0x7e);
        let refused = check_records(&batch.into(), false).unwrap_err();
        assert!(
            matches!(refused, RecordsError::Unreadable(_)),
            "{compression:?}"
        );
        assert!(
            check_records(&sound.into(), false).is_ok(),
            "{compression:?}"
        );
    }
}

#[test]
fn what_is_large_or_is_packed_anew_takes_a_turn_and_begins_no_more_when_the_broker_ends() {
    let unpackers = Unpackers::new(1);
    let compressors = Compressors::default();
    let plain = batch_in(Compression::None);
    let small = batch_in(Compression::Zstd);
    let mut large = BatchBuilder::new(Vec::new(), BatchOptions::new());
    large
        .append(NOW, KEY, Some(&vec![0; SMALL_MAX]), [])
        .unwrap();
    let mut compressor = Compressor::new(Compression::Zstd).unwrap();
    let mut packed = Vec::new();
    large
        .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut packed)
        .unwrap();
    let large = Bytes::from(packed);
    let to_gzip = Recompression {
        codec: Codec {
            compression: Compression::Gzip,
            level: None,
        },
        compressors: &compressors,
        max_len: 1 << 20,
    };
    thread::scope(|scope| {
        unpackers.lend_in_turn(|_| {
            for batch in [&plain, &small] {
                admit_with(batch, None, &unpackers).unwrap();
            }
            let waiting = [(&large, None), (&plain, Some(to_gzip))].map(|(batch, wanted)| {
                let unpackers = &unpackers;
                scope.spawn(move || admit_with(batch, wanted, unpackers))
            });
            unpackers.end();
            for one in waiting {
                let refused = one.join().unwrap().unwrap_err();
                assert_eq!(refused.code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
            }
        });
    });
    let unpackers = Unpackers::new(1);
    assert!(admit_with(&large, None, &unpackers).unwrap().is_none());
    assert!(
        admit_with(&plain, Some(to_gzip), &unpackers)
            .unwrap()
            .is_some()
    );
}

#[test]
fn of_very_many_records_without_a_key_only_so_many_are_named() {
    let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
    for _ in 0..NAMED_MAX + 5 {
        batch.append(0, None, None, []).unwrap();
    }
    let refused = check_records(&batch.seal(ProducerStamp::NONE).into(), true).unwrap_err();
    let records = numbers(refused);
    assert_eq!((records.len(), records.last()), (NAMED_MAX, Some(&9_999)));
}

/// A batch of records of these offsets, times and keys, under a head that `lie` has changed.
fn told_otherwise(
    compression: Compression,
    records: &[(i32, i64, Option<&[u8]>)],
    lie: &dyn Fn(&mut BatchHeader),
) -> Bytes {
    let last_offset_delta = records.len() as i32 - 1;
    let options = BatchOptions::new()
        .last_offset_delta(last_offset_delta)
        .base_timestamp(NOW);
    let mut builder = BatchBuilder::new(Vec::new(), options);
    for (offset, timestamp, key) in records {
        builder
            .append_at(*offset, *timestamp, *key, Some(b"v"), [])
            .unwrap();
    }
    let mut batch = Vec::new();
    let mut compressor = Compressor::new(compression).unwrap();
    builder
        .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut batch)
        .unwrap();
    let mut header = BatchHeader::decode(&batch).unwrap();
    lie(&mut header);
    Rewritten::seal(header, batch).bytes
}

const KEY: Option<&[u8]> = Some(b"k");

fn faults(bytes: &Bytes, rules: &RecordRules) -> (ErrorCode, Vec<(i32, Fault)>) {
    let mut budget = UnpackBudget::for_batches(bytes.len());
    let refused = admit_records(bytes, rules, None, &Unpackers::new(1), &mut budget).unwrap_err();
    (refused.code(), refused.into_records())
}

#[test]
fn records_stand_at_their_offsets_or_are_refused() {
    for compression in Compression::ALL {
        for (offsets, expected) in [
            ([0, 0, 2], &[1][..]),
            ([1, 0, 2], &[0, 1]),
            ([2, 1, 0], &[0, 2]),
        ] {
            let records = offsets.map(|offset| (offset, NOW, KEY));
            let batch = told_otherwise(compression, &records, &|_| {});
            let (code, faults) = faults(&batch, &rules(false));
            assert_eq!(code, ErrorCode::INVALID_RECORD);
            let numbers: Vec<_> = faults.iter().map(|(at, _)| *at).collect();
            assert_eq!(numbers, expected, "{compression} {offsets:?}");
        }
        let beyond = told_otherwise(compression, &[(0, NOW, KEY), (1, NOW, KEY)], &|head| {
            (head.record_count, head.last_offset_delta) = (1, 0);
        });
        assert!(check_records(&beyond, false).is_err(), "{compression}");
    }
}

#[test]
fn each_record_out_of_time_is_named_whatever_the_head_says() {
    let hour = 3_600_000;
    for compression in [Compression::None, Compression::Lz4] {
        let times = [NOW, NOW + hour, NOW + hour + 1, -1, NOW + 2 * hour];
        let records: Vec<_> = (0..).zip(times).map(|(at, time)| (at, time, KEY)).collect();
        let batch = told_otherwise(compression, &records, &|head| head.max_timestamp = NOW);
        let out_of_time = |at: usize| {
            let fault = Fault::Timestamp {
                timestamp: times[at],
                earliest: NOW - i64::MAX,
                latest: NOW + hour,
            };
            (at as i32, fault)
        };
        let (code, told) = faults(&batch, &rules(false));
        assert_eq!(code, ErrorCode::INVALID_TIMESTAMP);
        assert_eq!(told, [out_of_time(2), out_of_time(4)]);
        // With faults of another kind it is still the time that Kafka speaks of.
        let keyless: Vec<_> = records[..3]
            .iter()
            .map(|(at, time, _)| (*at, *time, None))
            .collect();
        let batch = told_otherwise(compression, &keyless, &|_| {});
        let (code, told) = faults(&batch, &rules(true));
        assert_eq!(code, ErrorCode::INVALID_RECORD);
        assert_eq!(told, [0, 1, 2].map(|at| (at, Fault::KeyMissing)));
        let mixed = [keyless[0], records[1], records[2]];
        let batch = told_otherwise(compression, &mixed, &|_| {});
        let (code, told) = faults(&batch, &rules(true));
        assert_eq!(code, ErrorCode::INVALID_TIMESTAMP);
        assert_eq!(told, [(0, Fault::KeyMissing), out_of_time(2)]);
    }
}

#[test]
fn old_records_are_refused_where_the_topic_wants_young_ones() {
    let mut config = topic_config();
    config.timestamp_before_max_ms = 1000;
    let rules = RecordRules::of(&config, NOW);
    let records = [
        (0, NOW - 1000, KEY),
        (1, NOW - 1001, KEY),
        (2, -1, KEY),
        (3, -2, KEY),
    ];
    let batch = told_otherwise(Compression::None, &records, &|_| {});
    let (code, told) = faults(&batch, &rules);
    assert_eq!(code, ErrorCode::INVALID_TIMESTAMP);
    assert_eq!(told.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 3]);
    // Where the log stamps them their own times are nothing.
    config.timestamp_type = TimestampType::LogAppendTime;
    let rules = RecordRules::of(&config, NOW);
    let mut budget = UnpackBudget::for_batches(batch.len());
    let stored = admit_records(&batch, &rules, None, &Unpackers::new(1), &mut budget).unwrap();
    assert_eq!(stored, Admitted::AsItCame);
}

#[test]
fn a_head_that_lies_about_the_time_is_set_right() {
    let records = [(0, NOW + 5, KEY), (1, NOW + 9, KEY), (2, NOW, KEY)];
    for compression in Compression::ALL {
        for lie in [
            i64::MIN,
            -1,
            NOW,
            NOW + 8,
            NOW + 10,
            NOW + 9_000_000,
            i64::MAX,
        ] {
            let batch = told_otherwise(compression, &records, &|head| head.max_timestamp = lie);
            let stored = admit(&batch, None).unwrap().unwrap();
            let (header, records) = told(&stored.bytes);
            let expected = BatchHeader {
                max_timestamp: NOW + 9,
                crc: header.crc,
                ..*Batch::decode(batch.clone()).unwrap().header()
            };
            assert_eq!(
                (header, stored.header),
                (expected, expected),
                "{compression} {lie}"
            );
            assert_eq!(records, told(&batch).1, "{compression}");
        }
        let honest = told_otherwise(compression, &records, &|_| {});
        assert_eq!(admit(&honest, None).unwrap(), None, "{compression}");
        let timeless = [(0, -1, KEY), (1, -1, KEY)];
        let honest = told_otherwise(compression, &timeless, &|head| {
            head.max_timestamp = -1;
        });
        assert_eq!(admit(&honest, None).unwrap(), None, "{compression}");
    }
}

#[test]
fn what_the_broker_alone_may_say_is_not_taken_from_a_client() {
    let records = [(0, NOW, KEY), (1, NOW + 1, KEY)];
    let compressors = Compressors::default();
    for compression in [Compression::None, Compression::Gzip] {
        let horizon = told_otherwise(compression, &records, &|head| {
            head.attributes = head.attributes.with_delete_horizon().with_transactional();
        });
        let wanted = Recompression {
            codec: Codec {
                compression: Compression::Zstd,
                level: None,
            },
            compressors: &compressors,
            max_len: 1 << 20,
        };
        for (wanted, codec) in [(None, compression), (Some(wanted), Compression::Zstd)] {
            let stored = admit(&horizon, wanted).unwrap().unwrap();
            let attributes = Attributes::default().with_compression(codec);
            let (header, told_again) = told(&stored.bytes);
            assert_eq!(header.attributes, attributes.with_transactional());
            assert_eq!(told_again, told(&horizon).1);
        }
        for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            let mut config = topic_config();
            config.timestamp_type = timestamp_type;
            let stamped = told_otherwise(compression, &records, &|head| {
                let attributes = head.attributes;
                head.attributes = attributes.with_timestamp_type(TimestampType::LogAppendTime);
            });
            let told = faults(&stamped, &RecordRules::of(&config, NOW));
            let expected = [0, 1].map(|at| (at, Fault::Stamped)).to_vec();
            assert_eq!(told, (ErrorCode::INVALID_TIMESTAMP, expected));
        }
    }
}

#[test]
fn what_becomes_too_much_is_too_large() {
    let batch = batch_in(Compression::Zstd);
    let mut unpacked = Vec::new();
    Decompressor::new()
        .decompress(
            Compression::Zstd,
            &batch[BatchHeader::LEN..],
            &mut unpacked,
            1 << 20,
        )
        .unwrap();
    let mut budget = UnpackBudget::for_batches(0);
    // Room for two batches and a half.
    budget.spend(2 * DECOMPRESSED_MAX - 5 * unpacked.len() / 2);
    let unpackers = Unpackers::new(1);
    let mut admit = |batch: &Bytes| {
        let admitted = admit_records(batch, &rules(false), None, &unpackers, &mut budget);
        admitted.map_err(|refused| refused.code())
    };
    assert_eq!(admit(&batch), Ok(Admitted::AsItCame));
    assert_eq!(
        admit(&batch_in(Compression::None)),
        Ok(Admitted::AsItCame),
        "costs nothing"
    );
    assert_eq!(admit(&batch), Ok(Admitted::AsItCame));
    assert_eq!(admit(&batch), Err(ErrorCode::MESSAGE_TOO_LARGE));
    assert_eq!(
        admit(&batch),
        Err(ErrorCode::MESSAGE_TOO_LARGE),
        "and so it stays"
    );
    assert_eq!(admit(&batch_in(Compression::None)), Ok(Admitted::AsItCame));
}

#[test]
fn what_is_too_much_for_a_thread_that_others_wait_for_goes_elsewhere() {
    let plain = batch_in(Compression::None);
    let packed = batch_in(Compression::Gzip);
    let unpackers = Unpackers::new(1);
    let compressors = Compressors::default();
    let to_lz4 = Recompression {
        codec: Codec {
            compression: Compression::Lz4,
            level: None,
        },
        compressors: &compressors,
        max_len: 1 << 20,
    };
    let mut budget = UnpackBudget::for_batches(0);
    budget.stay_here();
    let admit = |batch: &Bytes, wanted, budget: &mut UnpackBudget| {
        admit_records(batch, &rules(false), wanted, &unpackers, budget).unwrap()
    };
    // Whoever has a turn does not hold up what is small.
    unpackers.lend_in_turn(|_| {
        assert_eq!(admit(&packed, None, &mut budget), Admitted::AsItCame);
        assert_eq!(admit(&plain, Some(to_lz4), &mut budget), Admitted::NotHere);
    });
    budget.spend(budget.limit() - 10);
    let left = budget.limit();
    assert_eq!(admit(&packed, None, &mut budget), Admitted::NotHere);
    assert_eq!(budget.limit(), left);
    assert_eq!(admit(&plain, None, &mut budget), Admitted::AsItCame);
    budget.go_aside();
    assert_eq!(admit(&packed, None, &mut budget), Admitted::AsItCame);
    let stored = admit(&plain, Some(to_lz4), &mut budget);
    assert!(matches!(stored, Admitted::Rewritten(_)));
}
