//! What a broker takes, what it refuses, and with which code.

use bytes::Bytes;
use kafka_protocol::Uuid;
use kafka_protocol::compression::{Compression, Compressor, Decompressor};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};
use kafka_protocol::record::{
    AnyBatch, BatchBuilder, BatchHeader, BatchOptions, Batches, ProducerStamp, TimestampType,
};

use crate::cases::configs::{TOPIC, ask_for, change, describe};
use crate::cases::consume::fetch;
use crate::conversation::Conversation;
use crate::records::{TIMESTAMP, batch, batch_by, batch_of, compressed, patched, stamp};

/// A request that brings one partition this.
pub(crate) fn produce(
    topic: &str,
    id: Uuid,
    partition: i32,
    records: Option<Bytes>,
) -> ProduceRequest {
    let data = with!(PartitionProduceData {
        index: partition,
        records
    });
    let topic = with!(TopicProduceData {
        name: topic.into(),
        topic_id: id,
        partition_data: vec![data],
    });
    with!(ProduceRequest {
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![topic]
    })
}

/// Writes these batches, when the broker leads the partition.
pub(crate) fn fill(talk: &mut Conversation, topic: &str, id: Uuid, batches: &[&[&str]]) {
    for values in batches {
        let request = produce(topic, id, 0, Some(batch(values).into()));
        talk.wait_for("a leader", |talk| {
            let answer = talk.prepare(9, &request);
            (answer.responses[0].partition_responses[0].error_code == 0).then_some(())
        });
    }
}

pub(crate) fn accepted(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 2, &[]);
    fill(talk, &topic, id, &[&["first"]]);
    for version in 3..=13 {
        let request = produce(&topic, id, 0, Some(batch(&["a", "b", "c"]).into()));
        talk.ask("three records", version, &request);
    }
    for acks in [1, 0] {
        let mut request = produce(&topic, id, 1, Some(batch(&["a"]).into()));
        request.acks = acks;
        if acks == 1 {
            talk.ask("acks 1", 9, &request);
        }
    }
    // More in sync than there are replicas: as many as there are suffice.
    let (strict, strict_id) = talk.topic("strict", 1, &[("min.insync.replicas", "2")]);
    fill(talk, &strict, strict_id, &[&["first"]]);
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let request = produce(&topic, id, 1, Some(compressed(codec, &["a", "b"])));
        talk.ask(&format!("{codec:?}"), 9, &request);
    }
    let request = produce(
        &topic,
        id,
        1,
        Some(compressed(Compression::Zstd, &["a", "b"])),
    );
    talk.ask("zstd before its time", 6, &request);
    let (topic, id) = talk.topic(
        "append-time",
        1,
        &[("message.timestamp.type", "LogAppendTime")],
    );
    let request = produce(&topic, id, 0, Some(batch(&["a", "b"]).into()));
    talk.ask_and_hide("log append time", 9, &request, |response| {
        let time = &mut response.responses[0].partition_responses[0].log_append_time_ms;
        assert!(*time > 0, "{response:?}");
        *time = 0;
    });
}

pub(crate) fn refused(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 1, &[]);
    let good: Bytes = batch(&["a"]).into();
    for version in 3..=12 {
        let request = produce("nobody-made-this", Uuid::ZERO, 0, Some(good.clone()));
        talk.ask("an unknown topic", version, &request);
        talk.ask(
            "an unknown partition",
            version,
            &produce(&topic, id, 7, Some(good.clone())),
        );
    }
    talk.ask(
        "an illegal topic",
        9,
        &produce("a/b", Uuid::ZERO, 0, Some(good.clone())),
    );
    talk.ask(
        "no topic",
        9,
        &produce("", Uuid::ZERO, 0, Some(good.clone())),
    );
    talk.ask(
        "an unknown id",
        13,
        &produce("", Uuid::from_bytes([7; 16]), 0, Some(good.clone())),
    );
    talk.ask(
        "a zero id",
        13,
        &produce("", Uuid::ZERO, 0, Some(good.clone())),
    );
    talk.ask(
        "a negative partition",
        9,
        &produce(&topic, id, -1, Some(good.clone())),
    );
    for acks in [2, -2] {
        let mut request = produce(&topic, id, 0, Some(good.clone()));
        request.acks = acks;
        talk.ask(&format!("acks {acks}"), 9, &request);
    }
    talk.ask("no records", 9, &produce(&topic, id, 0, Some(Bytes::new())));
    let mut twice = batch(&["a"]);
    twice.extend(batch(&["b"]));
    let request = produce(&topic, id, 0, Some(twice.into()));
    talk.ask_and_hide("two batches", 9, &request, hide_details);
    let mut small = produce(&topic, id, 0, Some(good));
    small.transactional_id = Some("nobody".into());
    talk.ask("a transactional id without a transaction", 9, &small);
}

pub(crate) fn validated(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 1, &[("max.message.bytes", "2000")]);
    let good = batch(&["a", "b"]);
    let ask = |talk: &mut Conversation, what: &str, records: Bytes| {
        for version in [7, 9, 12] {
            let request = produce(&topic, id, 0, Some(records.clone()));
            talk.ask_and_hide(what, version, &request, hide_details);
        }
    };
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    ask(talk, "a wrong checksum", damaged.into());
    ask(talk, "cut off", good[..good.len() - 1].to_vec().into());
    ask(talk, "only a head", good[..30].to_vec().into());
    ask(talk, "too large", batch(&[&"x".repeat(3_000)]).into());
    for magic in [0, 1, 3, 0xff] {
        let mut other = good.clone();
        other[16] = magic;
        ask(talk, &format!("magic {magic}"), other.into());
    }
    // What is told first when more than one thing is wrong.
    let large = {
        let mut batch = batch(&[&"x".repeat(3_000)]);
        batch[200] ^= 1;
        batch
    };
    ask(
        talk,
        "too large, and a wrong checksum",
        large.clone().into(),
    );
    let mut elsewhere = large.clone();
    elsewhere[7] = 1;
    ask(talk, "too large, and a base offset", elsewhere.into());
    let mut unknown = large;
    unknown[22] = 7;
    ask(talk, "too large, and no codec", unknown.into());
    let mut early: Vec<u8> = compressed(Compression::Zstd, &["a", "b"]).into();
    *early.last_mut().unwrap() ^= 1;
    let request = produce(&topic, id, 0, Some(early.into()));
    talk.ask_and_hide(
        "zstd before its time, and a wrong checksum",
        6,
        &request,
        hide_details,
    );
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let mut packed: Vec<u8> = compressed(codec, &["a", "b"]).into();
        packed[BatchHeader::LEN..].fill(0x7e);
        ask(
            talk,
            &format!("nonsense in {codec}, and a wrong checksum"),
            packed.into(),
        );
    }
    let length = |length: i32| {
        let mut other = good.clone();
        other[BatchHeader::LENGTH_AT..][..4].copy_from_slice(&length.to_be_bytes());
        Bytes::from(other)
    };
    for lie in [-1, 0, 10, 48] {
        ask(talk, &format!("length {lie}"), length(lie));
    }
    for (what, at, bytes) in [
        (
            "a count too small",
            BatchHeader::RECORD_COUNT_AT,
            1i32.to_be_bytes().to_vec(),
        ),
        (
            "a count too large",
            BatchHeader::RECORD_COUNT_AT,
            3i32.to_be_bytes().to_vec(),
        ),
        (
            "a negative count",
            BatchHeader::RECORD_COUNT_AT,
            (-1i32).to_be_bytes().to_vec(),
        ),
        (
            "no count",
            BatchHeader::RECORD_COUNT_AT,
            0i32.to_be_bytes().to_vec(),
        ),
        (
            "a last delta too small",
            BatchHeader::LAST_OFFSET_DELTA_AT,
            0i32.to_be_bytes().to_vec(),
        ),
        (
            "a last delta too large",
            BatchHeader::LAST_OFFSET_DELTA_AT,
            9i32.to_be_bytes().to_vec(),
        ),
        (
            "a negative last delta",
            BatchHeader::LAST_OFFSET_DELTA_AT,
            (-1i32).to_be_bytes().to_vec(),
        ),
        ("a control batch", 21, vec![0, 0x20]),
        ("a transactional batch of nobody", 21, vec![0, 0x10]),
        ("a delete horizon", 21, vec![0, 0x40]),
        (
            "a producer without a sequence",
            43,
            9i64.to_be_bytes().to_vec(),
        ),
        ("a base offset of its own", 0, 77i64.to_be_bytes().to_vec()),
        ("a leader epoch of its own", 12, 5i32.to_be_bytes().to_vec()),
    ] {
        ask(talk, what, patched(good.clone(), at, &bytes));
    }
    // Far in the past and in the future.
    for (what, timestamp) in [
        ("ten years old", TIMESTAMP - 315_360_000_000),
        ("of the year 2100", 4_102_444_800_000),
    ] {
        let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
        builder.append(timestamp, None, Some(b"v"), []).unwrap();
        ask(talk, what, builder.seal(ProducerStamp::NONE).into());
    }
    let (compacted, id) = talk.topic("compacted", 1, &[("cleanup.policy", "compact")]);
    fill(talk, &compacted, id, &[&["first"]]);
    let mut keyless = BatchBuilder::new(Vec::new(), BatchOptions::new());
    keyless
        .append(TIMESTAMP, Some(b"k"), Some(b"v"), [])
        .unwrap();
    for key in [None, Some(&b"k"[..]), None] {
        keyless.append(TIMESTAMP, key, Some(b"v"), []).unwrap();
    }
    let records = Bytes::from(keyless.seal(ProducerStamp::NONE));
    for version in [7, 8, 9, 12] {
        let request = produce(&compacted, id, 0, Some(records.clone()));
        talk.ask("two records without a key", version, &request);
    }
    let (plain, plain_id) = talk.topic("plain", 1, &[]);
    // The checksum is right, and the records are none, fewer or more than the head counts.
    let nonsense = patched(batch(&["a", "b"]), BatchHeader::LEN, &[0x7e; 5]);
    let fewer = {
        let counted = 3i32.to_be_bytes();
        let batch = patched(batch(&["a", "b"]), BatchHeader::RECORD_COUNT_AT, &counted);
        let last = 2i32.to_be_bytes();
        patched(batch.into(), BatchHeader::LAST_OFFSET_DELTA_AT, &last)
    };
    let more = {
        let counted = 1i32.to_be_bytes();
        let batch = patched(batch(&["a", "b"]), BatchHeader::RECORD_COUNT_AT, &counted);
        let last = 0i32.to_be_bytes();
        patched(batch.into(), BatchHeader::LAST_OFFSET_DELTA_AT, &last)
    };
    for (topic, id) in [(&compacted, id), (&plain, plain_id)] {
        for (what, records) in [
            ("records that are none", &nonsense),
            ("fewer records than counted", &fewer),
            ("more records than counted", &more),
        ] {
            let request = produce(topic, id, 0, Some(records.clone()));
            talk.ask_and_hide(what, 12, &request, |response| {
                hide_details(response);
                response.responses[0].partition_responses[0].error_message = None;
            });
        }
    }
}

/// Kafka tells where the log begins only where it has asked the log, and which record is to blame where one
/// is.
fn hide_details(response: &mut ProduceResponse) {
    let row = &mut response.responses[0].partition_responses[0];
    row.log_start_offset = -1;
    row.record_errors.clear();
}

pub(crate) fn idempotent(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 1, &[]);
    let ask = with!(InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 1_000
    });
    let producer = talk.wait_for("a producer id", |talk| {
        let answer = talk.prepare(4, &ask);
        (answer.error_code == 0).then_some(answer.producer_id)
    });
    // Kafka answers a repeated batch with the timestamp it has.
    let mut send = |what: &str, records: Bytes| {
        let request = produce(&topic, id, 0, Some(records));
        talk.ask_and_hide(what, 9, &request, |response| {
            response.responses[0].partition_responses[0].log_append_time_ms = -1;
        });
    };
    send("the first", batch_by(producer, 0, 0, &["0", "1"]));
    send("the first again", batch_by(producer, 0, 0, &["0", "1"]));
    send("the next", batch_by(producer, 0, 2, &["2"]));
    send("a part of an old one", batch_by(producer, 0, 0, &["0"]));
    send("a gap", batch_by(producer, 0, 9, &["9"]));
    for sequence in 3..8 {
        send(
            &format!("sequence {sequence}"),
            batch_by(producer, 0, sequence, &["n"]),
        );
    }
    send(
        "one of the last five again",
        batch_by(producer, 0, 4, &["n"]),
    );
    send("an older one again", batch_by(producer, 0, 2, &["2"]));
    send(
        "a new epoch that does not begin at 0",
        batch_by(producer, 1, 5, &["x"]),
    );
    send("a new epoch", batch_by(producer, 1, 0, &["x"]));
    send("the old epoch", batch_by(producer, 0, 8, &["x"]));
    send(
        "an unknown producer in the middle",
        batch_by(producer + 999, 3, 70, &["x"]),
    );
    send("a negative epoch", batch_by(producer, -1, 0, &["x"]));
    let records = batch_of(
        BatchOptions::new().transactional(),
        stamp(producer, 1, 1),
        &["x"],
    );
    send("transactional, of a producer that is not", records.into());
}

/// What a fetch finds: the codec and the checksum of each batch, and all that its records say. How they are packed is
/// everybody's own.
fn unpacked(records: Bytes) -> Bytes {
    let mut told = String::new();
    let mut batches = Batches::new(records);
    for batch in batches.by_ref() {
        let AnyBatch::Current(batch) = batch.unwrap() else {
            panic!("an old message set");
        };
        batch.verify_crc().unwrap();
        let header = BatchHeader {
            batch_length: 0,
            crc: 0,
            ..*batch.header()
        };
        told.push_str(&format!("{header:?}\n"));
        let mut buffer = Vec::new();
        let records = batch
            .records(&mut Decompressor::new(), &mut buffer, 1 << 20)
            .unwrap();
        for record in records {
            let record = record.unwrap();
            let (key, value) = (record.key, record.value);
            let headers: Vec<_> = record.headers.map(|header| header.value).collect();
            let (offset, timestamp) = (record.offset, record.timestamp);
            told.push_str(&format!(
                "{offset} {timestamp} {key:?} {value:?} {headers:?}\n"
            ));
        }
    }
    assert_eq!(batches.incomplete(), None);
    told.into()
}

fn fetch_unpacked(talk: &mut Conversation, what: &str, version: i16, topic: &str, id: Uuid) {
    let mut request = fetch(topic, id, 0, 0);
    request.isolation_level = 0;
    talk.ask_and_hide(what, version, &request, |response| {
        let partition = &mut response.responses[0].partitions[0];
        partition.records = partition.records.take().map(unpacked);
    });
}

pub(crate) fn recompressed(talk: &mut Conversation) {
    let types = ["uncompressed", "gzip", "snappy", "lz4", "zstd", "producer"];
    for wanted in types {
        let config = ("compression.type", wanted);
        let (topic, id) = talk.topic(wanted, 1, &[config]);
        talk.about(format!("wanted {wanted}: "));
        fill(talk, &topic, id, &[&["a", "b"]]);
        for from in Compression::ALL {
            let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
            for at in 0..3 {
                let headers = [("h", Some(b"x".as_slice())), ("null", None)];
                let value = (at > 0).then_some([b'v'; 100].as_slice());
                builder
                    .append(TIMESTAMP + at, None, value, headers)
                    .unwrap();
            }
            let mut output = Vec::new();
            let mut compressor = Compressor::new(from).unwrap();
            builder
                .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut output)
                .unwrap();
            let request = produce(&topic, id, 0, Some(output.into()));
            talk.ask(&format!("{from:?}"), 9, &request);
        }
        let made = talk.prepare(
            4,
            &with!(InitProducerIdRequest {
                transaction_timeout_ms: 60_000,
                producer_id: -1,
                producer_epoch: -1
            }),
        );
        talk.alias(
            format!("producer_id: {}", made.producer_id),
            "producer_id: ID",
        );
        for (what, sequence) in [("idempotent", 0), ("idempotent, again", 0), ("next", 2)] {
            let batch = batch_by(made.producer_id, 0, sequence, &["c", "d"]);
            talk.ask(what, 9, &produce(&topic, id, 0, Some(batch)));
        }
        for version in [4, 12] {
            fetch_unpacked(talk, "what is stored", version, &topic, id);
        }
    }
    talk.about("");
    // What is small as it comes, and too large as it is wanted.
    let configs = [
        ("compression.type", "uncompressed"),
        ("max.message.bytes", "5000"),
    ];
    let (topic, id) = talk.topic("small", 1, &configs);
    fill(talk, &topic, id, &[&["a"]]);
    let value = "v".repeat(2000);
    for count in [1, 2, 3] {
        let packed = compressed(Compression::Gzip, &vec![&*value; count]);
        let request = produce(&topic, id, 0, Some(packed));
        talk.ask(&format!("{count} large records"), 9, &request);
    }
    // What is too large as it comes is not made small.
    let configs = [("compression.type", "gzip"), ("max.message.bytes", "5000")];
    let (topic, id) = talk.topic("large", 1, &configs);
    fill(talk, &topic, id, &[&["a"]]);
    for count in [2, 3] {
        let request = produce(&topic, id, 0, Some(batch(&vec![&*value; count]).into()));
        talk.ask(&format!("{count} large records, as they are"), 9, &request);
    }
    let corrupt = {
        let mut batch = batch(&["aaaa"]);
        let last = batch.len() - 3;
        batch[last] ^= 1;
        batch
    };
    let request = produce(&topic, id, 0, Some(corrupt.into()));
    talk.ask("a wrong checksum", 9, &request);
    let configs = [("compression.type", "zstd"), ("cleanup.policy", "compact")];
    let (topic, id) = talk.topic("compacted", 1, &configs);
    fill(talk, &topic, id, &[&["a"]]);
    let mut without = BatchBuilder::new(Vec::new(), BatchOptions::new());
    without.append(TIMESTAMP, None, Some(b"v"), []).unwrap();
    let without = without.seal(ProducerStamp::NONE);
    let request = produce(&topic, id, 0, Some(without.into()));
    talk.ask("no key", 9, &request);
    let configs = [
        ("compression.type", "lz4"),
        ("message.timestamp.type", "LogAppendTime"),
    ];
    let (topic, id) = talk.topic("stamped", 1, &configs);
    fill(talk, &topic, id, &[&["a"]]);
    let mut request = fetch(&topic, id, 0, 0);
    request.isolation_level = 0;
    talk.ask_and_hide("stamped by the log", 12, &request, |response| {
        let partition = &mut response.responses[0].partitions[0];
        let records = partition.records.take().unwrap();
        let header = BatchHeader::decode(&records).unwrap();
        partition.records = Some(format!("{:?}", header.attributes).into());
    });
}

/// A batch of records of these times and keys, under a head that `lie` has changed.
fn told_otherwise(
    compression: Compression,
    records: &[(i64, Option<&[u8]>)],
    lie: impl FnOnce(&mut BatchHeader),
) -> Bytes {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    for (timestamp, key) in records {
        builder.append(*timestamp, *key, Some(b"v"), []).unwrap();
    }
    let mut batch = Vec::new();
    let mut compressor = Compressor::new(compression).unwrap();
    builder
        .seal_compressed(ProducerStamp::NONE, &mut compressor, &mut batch)
        .unwrap();
    let mut header = BatchHeader::decode(&batch).unwrap();
    lie(&mut header);
    patched(batch, 0, &header.encode())
}

/// Batches whose records are not what their head says, or not what their topic wants.
pub(crate) fn held_to_their_head(talk: &mut Conversation) {
    let young: &[_] = &[
        ("message.timestamp.before.max.ms", "315360000000"),
        ("cleanup.policy", "compact"),
    ];
    for (wanted, configs) in [
        ("plain", &[][..]),
        ("zstd", &[("compression.type", "zstd")]),
        ("young", young),
        ("stamped", &[("message.timestamp.type", "LogAppendTime")]),
    ] {
        let (topic, id) = talk.topic(wanted, 1, configs);
        fill(talk, &topic, id, &[&["a"]]);
        for compression in [Compression::None, Compression::Gzip] {
            talk.about(format!("{wanted}, {compression}: "));
            tell_otherwise(talk, (&topic, id), compression, wanted == "zstd");
        }
        talk.about(format!("{wanted}: "));
        let mut request = fetch(&topic, id, 0, 0);
        request.isolation_level = 0;
        talk.ask_and_hide("what is stored", 12, &request, |response| {
            let partition = &mut response.responses[0].partitions[0];
            partition.records = match wanted {
                // When it was stored.
                "stamped" => None,
                _ => partition.records.take().map(unpacked),
            };
        });
    }
    talk.about("");
}

fn tell_otherwise(
    talk: &mut Conversation,
    (topic, id): (&str, Uuid),
    compression: Compression,
    is_rebuilt: bool,
) {
    type Lie<'a> = &'a dyn Fn(&mut BatchHeader);
    let mut tell = |what: &str, records: &[(i64, Option<&[u8]>)], lie: Lie<'_>| {
        let batch = told_otherwise(compression, records, lie);
        let request = produce(topic, id, 0, Some(batch));
        talk.ask_and_hide(what, 12, &request, |response| {
            let time = &mut response.responses[0].partition_responses[0].log_append_time_ms;
            *time = (*time).min(0);
        });
    };
    let key = Some(b"k".as_slice());
    let at = |timestamp: i64| (timestamp, key);
    let (past, future) = (TIMESTAMP - CENTURY / 2, TIMESTAMP + CENTURY);
    let two = [at(TIMESTAMP), at(TIMESTAMP + 1)];
    tell("as it should be", &two, &|_| {});
    let late = [at(TIMESTAMP), at(future), at(future + 1)];
    tell("records of the future", &late, &|_| {});
    tell("records of the future, denied", &late, &|head| {
        head.max_timestamp = TIMESTAMP;
    });
    tell("a record of the past", &[at(past), at(TIMESTAMP)], &|_| {});
    for (what, max_timestamp) in [
        ("in the future", future),
        ("later than its records", TIMESTAMP + 9),
        ("earlier than its records", TIMESTAMP - 9),
        ("without a time", -1),
    ] {
        tell(&format!("a head {what}"), &two, &|head| {
            head.max_timestamp = max_timestamp;
        });
    }
    let timeless = [at(-1), at(-1)];
    tell("no times at all", &timeless, &|_| {});
    tell("one time", &[at(-1), at(TIMESTAMP)], &|_| {});
    tell("times that wrap", &[at(TIMESTAMP + 1)], &|head| {
        (head.base_timestamp, head.max_timestamp) = (i64::MAX, i64::MIN);
    });
    if !is_rebuilt {
        // Kafka takes another base when it writes a batch anew.
        tell(
            "a base of the past",
            &[at(TIMESTAMP + CENTURY / 2)],
            &|head| {
                head.base_timestamp -= CENTURY / 2;
                head.max_timestamp = TIMESTAMP;
            },
        );
    }
    for (what, max_timestamp) in [("at no time", -1), ("in the future", future)] {
        tell(&format!("stamped by the log {what}"), &two, &|head| {
            let attributes = head.attributes;
            head.attributes = attributes.with_timestamp_type(TimestampType::LogAppendTime);
            head.max_timestamp = max_timestamp;
        });
    }
    let mixed = [(TIMESTAMP, None), at(future), at(TIMESTAMP), (future, None)];
    tell("no key, and of the future", &mixed, &|_| {});
    tell("no key", &[at(TIMESTAMP), (TIMESTAMP, None)], &|_| {});
    let by = |head: &mut BatchHeader, id, epoch, sequence| {
        (head.producer_id, head.producer_epoch, head.base_sequence) = (id, epoch, sequence);
    };
    tell("an epoch of nobody", &two, &|head| by(head, -1, 3, -1));
    tell("a sequence of nobody", &two, &|head| by(head, -1, -1, 3));
    tell("a producer without a sequence", &two, &|head| {
        by(head, 4_000, 0, -1);
    });
    tell("control records", &two, &|head| {
        head.attributes = head.attributes.with_control();
    });
    tell("too few counted", &two, &|head| head.record_count = 1);
    tell("one left over", &two, &|head| {
        (head.record_count, head.last_offset_delta) = (1, 0);
    });
    tell("one missing", &two, &|head| {
        (head.record_count, head.last_offset_delta) = (3, 2);
    });
    tell("no records", &two, &|head| {
        (head.record_count, head.last_offset_delta) = (0, -1);
    });
    tell("a base offset", &two, &|head| head.base_offset = 3);
    tell("a leader epoch", &two, &|head| {
        head.partition_leader_epoch = 99;
    });
}

/// In milliseconds.
const CENTURY: i64 = 100 * 365 * 86_400_000;

pub(crate) fn codecs(talk: &mut Conversation) {
    let (topic, _) = talk.topic("t", 1, &[("compression.type", "gzip")]);
    let levels = [
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.zstd.level",
    ];
    for (key, values) in [
        (
            "compression.type",
            &["none", "uncompressed", "brotli", ""][..],
        ),
        (levels[0], &["-1", "0", "1", "9", "10"]),
        (levels[1], &["-1", "0", "1", "17", "18"]),
        (levels[2], &["-131072", "-131073", "0", "22", "23", "high"]),
    ] {
        for value in values {
            let request = change(TOPIC, &topic, key, 0, Some(value));
            talk.ask(&format!("{key} {value:?}"), 1, &request);
        }
    }
    let [gzip, lz4, zstd] = levels;
    let keys = [gzip, lz4, zstd, "compression.type"];
    ask_for(talk, "after all that", &describe(TOPIC, &topic, &keys));
}
