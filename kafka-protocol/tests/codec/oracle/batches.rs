//! Record batches: random ones of each magic and codec, made by Kafka and by the crate from the same
//! description, read by both; and damaged ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kafka_protocol::compression::Compressor;
use kafka_protocol::record::{
    Attributes, BatchBuilder, BatchOptions, Compression, EndTransactionMarker, ProducerStamp,
    TimestampType, crc32, crc32c,
};
use kafka_protocol_codegen::Sampler;

use crate::answer::{Form, answer};
use crate::hex::{hex, unhex};
use crate::oracle::kafka::Kafka;
use crate::oracle::reason;

/// Compares `count` batches, each whole and damaged.
pub(crate) fn compare(random: &mut Sampler, count: usize, kafka: &mut Kafka) {
    let mut tally = Tally::default();
    let mut left = count;
    while left > 0 {
        let chunk = left.min(CHUNK);
        whole(random, chunk, kafka, &mut tally);
        markers(random, chunk / 10, kafka);
        left -= chunk;
    }
    println!("{tally:#?}");
    let refused = tally.refused_by_us.keys();
    let unexpected: Vec<_> = refused.filter(|reason| is_unexpected(reason)).collect();
    assert!(
        unexpected.is_empty(),
        "refused by the crate alone: {unexpected:?}"
    );
    assert!(
        tally.built_by_us.values().all(|&count| count > 0) && tally.equal > 0,
        "nothing was compared"
    );
}

/// Small batches of all kinds as Kafka makes them, each with what Kafka reads from it.
pub(crate) fn golden(random: &mut Sampler, kafka: &mut Kafka) -> String {
    let plans: Vec<_> = (0..4000).map(|_| Plan::random(random)).collect();
    let orders: Vec<_> = plans.iter().map(Plan::order).collect();
    let mut smallest: BTreeMap<_, String> = BTreeMap::new();
    for (plan, made) in plans.iter().zip(kafka.ask(&orders)) {
        let made = made.expect("Kafka makes what it is told");
        let traits = [
            true,
            plan.append,
            plan.control,
            plan.transactional,
            plan.delete_horizon.is_some(),
            plan.last_offset.is_some(),
            plan.records.iter().any(|record| !record.headers.is_empty()),
        ];
        let several = plan.records.len() > 1;
        for (index, _) in traits.iter().enumerate().filter(|(_, has)| **has) {
            let best = smallest.entry((plan.magic, plan.style, index, several));
            let best = best.or_insert_with(|| made.clone());
            if made.len() < best.len() {
                best.clone_from(&made);
            }
        }
    }
    let mut batches: Vec<_> = smallest.into_values().collect();
    batches.retain(|hex| hex.len() < 2000);
    batches.sort_unstable();
    batches.dedup();
    let lines: Vec<_> = batches.iter().map(|hex| line(hex)).collect();
    let read = kafka.ask(&lines);
    let mut text = String::new();
    for (hex, json) in batches.iter().zip(read) {
        let _ = writeln!(text, "{hex}\t{}", json.expect("Kafka reads what it made"));
    }
    text
}

#[derive(Debug, Default)]
struct Tally {
    /// By magic and codec.
    built_by_kafka: BTreeMap<String, usize>,
    /// By codec: read by Kafka, and without a codec the same bytes.
    built_by_us: BTreeMap<String, usize>,
    records: usize,
    damaged: usize,
    refused_by_both: usize,
    equal: usize,
    refused_by_us: BTreeMap<String, usize>,
}

fn whole(random: &mut Sampler, count: usize, kafka: &mut Kafka, tally: &mut Tally) {
    let plans: Vec<_> = (0..count).map(|_| Plan::random(random)).collect();
    let orders: Vec<_> = plans.iter().map(Plan::order).collect();
    let mut theirs = Vec::new();
    for (order, made) in orders.iter().zip(kafka.ask(&orders)) {
        theirs.push(made.unwrap_or_else(|error| panic!("{order}: Kafka refused: {error}")));
    }
    // Several in a row and the start of another, as in the answer to a fetch.
    let mut lines: Vec<_> = theirs.iter().map(|hex| line(hex)).collect();
    for _ in 0..count / 4 {
        let mut row = String::new();
        for _ in 0..2 + random.below(3) {
            row.push_str(&theirs[random.below(count)]);
        }
        row.truncate(row.len() - 2 * random.below(30));
        lines.push(line(&row));
    }
    agree(&lines, kafka);
    for (plan, hex) in plans.iter().zip(&theirs) {
        let kind = format!("magic {} {}", plan.magic, plan.style);
        *tally.built_by_kafka.entry(kind).or_default() += 1;
        tally.records += plan.records.len();
        if plan.magic == 2 && !plan.style.contains('-') && !plan.append {
            let again = answer(&format!("rebatch\t-1\t\t\t{hex}"), Form::Bytes);
            if plan.compression() == Compression::None {
                assert_eq!(again.as_ref(), Ok(hex), "{}", plan.order());
            }
        }
    }
    // What we make of the same, and make again of what they made.
    let mut ours = Vec::new();
    for (plan, theirs) in plans.iter().zip(&theirs) {
        if plan.magic != 2 || plan.style.contains('-') {
            continue;
        }
        let built = plan.build(random);
        if plan.compression() == Compression::None || plan.records.is_empty() {
            assert_eq!(hex(&built), *theirs, "{}", plan.order());
        }
        let style = plan.style.to_owned();
        *tally.built_by_us.entry(style).or_default() += 1;
        ours.push((theirs, line(&hex(&built))));
        let again = answer(&format!("rebatch\t-1\t\t\t{theirs}"), Form::Bytes);
        ours.push((theirs, line(&again.expect("Kafka's batch is read"))));
    }
    let lines: Vec<_> = ours.iter().map(|(_, line)| line.clone()).collect();
    for ((theirs, line), read) in ours.iter().zip(kafka.ask(&lines)) {
        let expected = answer(&format!("batch\t-1\t\t\t{theirs}"), Form::Bytes);
        assert_eq!(read, expected, "{line}");
    }
    damage(random, &plans, &theirs, kafka, tally);
}

/// Both read the same.
fn agree(lines: &[String], kafka: &mut Kafka) {
    for (line, theirs) in lines.iter().zip(kafka.ask(lines)) {
        let ours = answer(line, Form::Bytes);
        assert!(theirs.is_ok(), "{line}: {theirs:?}");
        assert_eq!(ours, theirs, "{line}");
    }
}

fn damage(
    random: &mut Sampler,
    plans: &[Plan],
    batches: &[String],
    kafka: &mut Kafka,
    tally: &mut Tally,
) {
    let mut lines = Vec::new();
    for (plan, batch) in plans.iter().zip(batches) {
        for _ in 0..4 {
            let bytes = unhex(batch).expect("Kafka speaks hex");
            lines.push(line(&hex(&damaged(random, plan.magic, bytes))));
        }
    }
    for (line, theirs) in lines.iter().zip(kafka.ask(&lines)) {
        tally.damaged += 1;
        let ours = answer(line, Form::Bytes);
        match (&theirs, &ours) {
            (Err(_), Err(_)) => tally.refused_by_both += 1,
            (Ok(theirs), Ok(ours)) if theirs == ours => tally.equal += 1,
            // What Kafka might read if it had the memory that the bytes claim.
            (Err(error), _) if error.starts_with("OutOfMemoryError") => {}
            // What Kafka lets pass though it breaks a rule.
            (Ok(_), Err(error)) => {
                let reason = reason(error);
                if is_unexpected(&reason) {
                    println!("{line}\nKafka: {theirs:?}\nwe:    {ours:?}");
                }
                *tally.refused_by_us.entry(reason).or_default() += 1;
            }
            _ => panic!("{line}\nKafka: {theirs:?}\nwe:    {ours:?}"),
        }
    }
}

/// The batch with some bytes changed, most of the time under a right checksum.
fn damaged(random: &mut Sampler, magic: u8, mut bytes: Vec<u8>) -> Vec<u8> {
    let len = bytes.len();
    let head = if magic == 2 { 61 } else { 34 };
    for _ in 0..1 + random.below(2) {
        let at = match random.below(3) {
            0 => random.below(head.min(len)),
            1 => (head + random.below(12)).min(len - 1),
            _ => random.below(len),
        };
        bytes[at] = match random.below(5) {
            0 => bytes[at] ^ 1 << random.below(8),
            1 => 0xff,
            2 => 0,
            3 => bytes[at].wrapping_add(1),
            _ => random.below(256) as u8,
        };
    }
    match random.below(12) {
        0 => bytes.truncate(random.below(len)),
        1 => bytes.push(random.below(256) as u8),
        // A field of the header that lies.
        2 if magic == 2 => {
            let at = [8, 23, 57][random.below(3)];
            let lie = [0, 1, -1, -2, i32::MAX, i32::MIN][random.below(6)];
            bytes[at..at + 4].copy_from_slice(&lie.to_be_bytes());
        }
        _ => {}
    }
    if random.below(6) > 0 {
        if magic == 2 && bytes.len() >= 61 {
            let crc = crc32c(&bytes[21..]);
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        } else if magic < 2 && bytes.len() > 16 {
            let length = i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
            let end = usize::try_from(length).map_or(0, |length| 12 + length);
            if let Some(covered) = bytes.get(16..end) {
                let crc = crc32(covered);
                bytes[12..16].copy_from_slice(&crc.to_be_bytes());
            }
        }
    }
    bytes
}

/// The batches that end transactions are the same bytes.
fn markers(random: &mut Sampler, count: usize, kafka: &mut Kafka) {
    for _ in 0..count {
        let commit = random.below(2) == 0;
        let epoch = random.below(1 << 31) as i32;
        let (offset, timestamp) = (pick(random, OFFSETS), pick(random, TIMES).max(0));
        let leader_epoch = random.below(1 << 31) as i32;
        let (id, producer_epoch) = (random.below(1 << 40) as i64, random.below(1 << 15) as i16);
        let order = format!(
            "marker\t{commit}\t{epoch}\t{offset}\t{timestamp}\t{leader_epoch}\t{id}\t{producer_epoch}"
        );
        let options = BatchOptions::new()
            .base_offset(offset)
            .leader_epoch(leader_epoch);
        let marker = EndTransactionMarker::new(commit, epoch);
        let ours = marker.batch(id, producer_epoch, timestamp, options);
        let theirs = kafka.ask(std::slice::from_ref(&order));
        assert_eq!(theirs, [Ok(hex(&ours))], "{order}");
    }
}

/// A batch to be made.
struct Plan {
    magic: u8,
    /// A codec, or a codec and how another client writes it.
    style: &'static str,
    /// The level, for Kafka.
    level: Option<i32>,
    append: bool,
    append_time: i64,
    base_offset: i64,
    stamp: ProducerStamp,
    transactional: bool,
    control: bool,
    leader_epoch: i32,
    delete_horizon: Option<i64>,
    last_offset: Option<i64>,
    records: Vec<Planned>,
}

struct Planned {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Plan {
    fn random(random: &mut Sampler) -> Self {
        let magic = [0, 1, 2, 2, 2, 2][random.below(6)];
        let mut style = if magic == 2 {
            STYLES[random.below(STYLES.len())]
        } else {
            STYLES[random.below(4)]
        };
        let control = magic == 2 && random.below(8) == 0;
        let empty = magic == 2 && !control && random.below(20) == 0;
        if empty || control {
            style = "none";
        }
        let append = magic > 0 && random.below(4) == 0;
        let base_offset = pick(random, OFFSETS);
        let stamped = magic == 2 && random.below(2) == 0;
        let stamp = if stamped {
            ProducerStamp {
                producer_id: random.below(1 << 62) as i64,
                producer_epoch: random.below(1 << 15) as i16,
                base_sequence: [0, 1, i32::MAX, i32::MAX - 2][random.below(4)],
            }
        } else {
            ProducerStamp::NONE
        };
        let mut plan = Self {
            magic,
            style,
            level: None,
            append,
            append_time: if append {
                pick(random, TIMES).max(0)
            } else {
                -1
            },
            base_offset,
            stamp,
            transactional: stamped && random.below(2) == 0,
            control,
            leader_epoch: [-1, 0, 7, i32::MAX][random.below(4)],
            delete_horizon: None,
            last_offset: None,
            records: Vec::new(),
        };
        if magic < 2 {
            plan.leader_epoch = -1;
        }
        plan.level = (random.below(2) == 0).then(|| match plan.compression() {
            Compression::Gzip => 1 + random.below(9) as i32,
            Compression::Lz4 => 1 + random.below(17) as i32,
            _ => random.below(30) as i32 - 7,
        });
        if plan.compression() != Compression::Gzip && plan.level == Some(0) {
            plan.level = None;
        }
        if magic == 2 && !empty && random.below(8) == 0 {
            plan.delete_horizon = Some(pick(random, TIMES).max(0));
        }
        let count = match random.below(8) {
            _ if empty => 0,
            _ if control => 1,
            0 => 1,
            1 => 100 + random.below(200),
            _ => 1 + random.below(12),
        };
        let mut offset = base_offset;
        // Compaction takes the first one as gladly as others.
        let gaps = random.below(3) == 0;
        let start = pick(random, TIMES);
        for _ in 0..count {
            if gaps {
                offset += up_to(random, 16);
            }
            let record = Planned::random(random, &plan, offset, start, count > 20);
            plan.records.push(record);
            offset += 1;
        }
        if empty {
            plan.last_offset = Some(base_offset + random.below(1 << 31) as i64);
            plan.append_time = pick(random, TIMES);
        } else if magic == 2 && random.below(4) == 0 {
            plan.last_offset = Some(offset - 1 + random.below(1 << 20) as i64);
        }
        plan
    }

    fn compression(&self) -> Compression {
        let codec = self.style.split('-').next().unwrap_or_default();
        Compression::from_name(codec).expect("a style begins with a codec")
    }

    /// What Kafka is told.
    fn order(&self) -> String {
        let option = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |it| it.to_string());
        let mut text = format!(
            "make\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t",
            self.magic,
            self.style,
            option(self.level.map(i64::from)),
            if self.append { "append" } else { "create" },
            self.base_offset,
            self.append_time,
            self.stamp.producer_id,
            self.stamp.producer_epoch,
            self.stamp.base_sequence,
            self.transactional,
            self.control,
            self.leader_epoch,
            option(self.delete_horizon),
            option(self.last_offset),
        );
        let bytes =
            |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or_else(|| "-".to_owned(), |it| hex(it));
        for (index, record) in self.records.iter().enumerate() {
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|(key, value)| format!("{}={}", hex(key.as_bytes()), bytes(value)))
                .collect();
            let _ = write!(
                text,
                "{}{},{},{},{},{}",
                if index == 0 { "" } else { ";" },
                record.offset,
                record.timestamp,
                bytes(&record.key),
                bytes(&record.value),
                headers.join("|")
            );
        }
        text
    }

    /// The batch as the crate makes it, at a random level.
    fn build(&self, random: &mut Sampler) -> Vec<u8> {
        let mut attributes = Attributes::default();
        if self.transactional {
            attributes = attributes.with_transactional();
        }
        if self.control {
            attributes = attributes.with_control();
        }
        if self.delete_horizon.is_some() {
            attributes = attributes.with_delete_horizon();
        }
        if self.append {
            attributes = attributes.with_timestamp_type(TimestampType::LogAppendTime);
        }
        let mut options = BatchOptions::new()
            .base_offset(self.base_offset)
            .leader_epoch(self.leader_epoch)
            .attributes(attributes);
        if let Some(horizon) = self.delete_horizon {
            options = options.base_timestamp(horizon);
        }
        if self.append {
            options = options.log_append_time(self.append_time);
        } else if self.records.is_empty() {
            options = options.max_timestamp(self.append_time);
        }
        if let Some(last) = self.last_offset {
            options = options.last_offset_delta((last - self.base_offset) as i32);
        }
        let mut builder = BatchBuilder::new(Vec::new(), options);
        for record in &self.records {
            let headers = record
                .headers
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_deref()));
            let delta = (record.offset - self.base_offset) as i32;
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            builder
                .append_at(delta, record.timestamp, key, value, headers)
                .expect("it fits");
        }
        let compression = self.compression();
        if compression == Compression::None || self.records.is_empty() {
            return builder.seal(self.stamp);
        }
        let level = compression.levels().map(|levels| {
            let (low, high) = ((*levels.start()).max(-9), *levels.end());
            low + random.below((high - low + 1) as usize) as i32
        });
        let mut compressor = Compressor::with_level(compression, level).expect("there is such");
        let mut output = Vec::new();
        builder
            .seal_compressed(self.stamp, &mut compressor, &mut output)
            .expect("it is small");
        output
    }
}

impl Planned {
    fn random(random: &mut Sampler, plan: &Plan, offset: i64, start: i64, small: bool) -> Self {
        let (magic, control) = (plan.magic, plan.control);
        let timestamp = match random.below(8) {
            _ if magic == 0 => -1,
            0 => pick(random, TIMES),
            1 => start,
            _ => start.saturating_add(up_to(random, 30)),
        };
        let mut record = Self {
            offset,
            timestamp: timestamp.max(-1),
            key: bytes(random, small),
            value: bytes(random, small),
            headers: Vec::new(),
        };
        if control {
            let kind = random.below(7) as u8;
            record.key = Some(vec![0, 0, 0, kind]);
            record.timestamp = record.timestamp.max(0);
        }
        if magic == 2 && random.below(3) == 0 {
            for _ in 0..random.below(6) {
                let key = ["", "k", "trace-id", "\u{e9}\u{20ac}\u{1f980}", "\0"][random.below(5)];
                record.headers.push((key.to_owned(), bytes(random, small)));
            }
        }
        record
    }
}

/// Null, empty, short, repetitive, at the borders of a varint, or longer than a block of a codec.
fn bytes(random: &mut Sampler, small: bool) -> Option<Vec<u8>> {
    let len = match random.below(64) {
        21..24 if small => 1,
        0..12 => return None,
        12..20 => 0,
        20 => 63 + random.below(3),
        21 => 8190 + random.below(4),
        22 => 32_766 + random.below(3),
        23 => 65_530 + random.below(10),
        24..40 => return Some(vec![b'a'; random.below(300)]),
        _ => random.below(40),
    };
    Some((0..len).map(|_| random.below(256) as u8).collect())
}

/// A number of at most so many bits, mostly of fewer.
fn up_to(random: &mut Sampler, bits: usize) -> i64 {
    let bits = random.below(bits);
    random.below(1 << bits) as i64
}

fn pick(random: &mut Sampler, values: &[i64]) -> i64 {
    values[random.below(values.len())]
}

fn line(batch: &str) -> String {
    format!("batch\t-1\tbatch\t0\t{batch}")
}

/// Whether the crate alone should not refuse a batch for this. Codecs are free to be strict: what
/// their libraries make of damage is an accident.
fn is_unexpected(reason: &str) -> bool {
    !reason.starts_with("corrupt ") && !STRICTER.contains(&reason)
}

/// What only the crate refuses.
const STRICTER: &[&str] = &[
    "# bytes behind the last record",
    // Of a message of magic 0 or 1, most of them inside a compressed one.
    "# bytes behind the fields of a record",
    "batch of magic # where # is expected",
    "batch of magic -# where # is expected",
    "a message of another magic than its wrapper",
    "a compressed message inside another",
    // The last offset is beyond the largest number.
    "impossible last offset delta #",
    "impossible last offset delta -#",
    "offset delta # outside the batch",
    "offset delta -# outside the batch",
    "offsets that do not fit their wrapper",
];
/// The first four are codecs of old, too.
const STYLES: &[&str] = &[
    "none",
    "gzip",
    "snappy",
    "lz4",
    "zstd",
    "none",
    "gzip-members",
    "gzip-named",
    "snappy-raw",
    "snappy-streams",
    "lz4-checksums",
    "lz4-256k",
    "lz4-4m",
    "lz4-content",
    "lz4-followed",
    "lz4-marked",
    "zstd-frames",
    "zstd-checksum",
];
const OFFSETS: &[i64] = &[0, 0, 1, 77, 1 << 31, 1 << 40, i64::MAX - (1 << 33)];
const TIMES: &[i64] = &[
    -1,
    0,
    1,
    1_760_000_000_000,
    1_760_000_000_999,
    1 << 42,
    i64::MAX / 2,
];
/// How many batches are made before they are compared.
const CHUNK: usize = 200;
