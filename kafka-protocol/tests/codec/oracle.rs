//! The codec against Kafka's own Java classes: random messages of every name and version, and damaged
//! ones, decoded and encoded again by both.
//!
//! Needs Java and Maven, so it runs only when asked for:
//! `cargo test --release -p kafka-protocol --test codec oracle -- --ignored --nocapture`.
//! `ORACLE_SEEDS` names seeds (by default one of the clock), `ORACLE_ROUNDS` how many messages of each
//! name and version; `ORACLE_WRITE_GOLDEN=1` writes `golden/` anew.

mod batches;
mod kafka;
mod names;
mod printed;
mod tables;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use kafka_protocol_codegen::{Line, Sampler, Style};

use crate::answer::{Form, answer};
use crate::hex::hex;
use crate::oracle::kafka::Kafka;

#[test]
#[ignore = "needs Java and Maven"]
fn the_crate_and_kafka_agree() {
    let seeds: Vec<u64> = match std::env::var("ORACLE_SEEDS") {
        Ok(seeds) => seeds.split(',').map(|seed| seed.parse().unwrap()).collect(),
        Err(_) => vec![
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs(),
        ],
    };
    let rounds: usize = std::env::var("ORACLE_ROUNDS").map_or(12, |rounds| rounds.parse().unwrap());
    let mut kafka = Kafka::start();
    if std::env::var("ORACLE_WRITE_GOLDEN").is_ok() {
        write_golden(&mut kafka);
    }
    tables::compare(&mut kafka);
    for seed in seeds {
        println!("seed {seed}");
        let mut sampler = Sampler::new(seed).unwrap();
        compare(&mut sampler, rounds, &mut kafka);
        values::compare(&mut sampler, rounds, &mut kafka);
        names::compare(&mut sampler, rounds, &mut kafka);
        batches::compare(&mut sampler, rounds * BATCHES_A_ROUND, &mut kafka);
    }
}

/// Compares `rounds` messages of each name and version, each whole and damaged.
fn compare(sampler: &mut Sampler, rounds: usize, kafka: &mut Kafka) {
    let mut tally = Tally::default();
    for round in 0..rounds {
        let style = match round {
            0 => Style::Sparse,
            1 => Style::Full,
            _ => Style::Random,
        };
        let whole = sampler.round(style);
        let mut lines = Vec::new();
        for line in &whole {
            lines.push((true, line.clone()));
            lines.push((true, framed(line, sampler)));
            for _ in 0..2 {
                lines.push((false, damaged(line, sampler)));
            }
        }
        lines.retain(|(_, line)| !line.name.is_empty());
        let questions: Vec<_> = lines.iter().map(|(_, line)| line.to_string()).collect();
        let answers = kafka.ask(&questions);
        for ((is_whole, line), (question, theirs)) in
            lines.iter().zip(questions.iter().zip(&answers))
        {
            let ours = answer(question, Form::Bytes);
            tally.judge(*is_whole, line, theirs, &ours);
        }
    }
    println!(
        "{} names and versions x {rounds} messages; {} whole ones, all equal; {} damaged: \
         {} refused by both, {} equal, {} refused by the crate alone: {:?}",
        tally.whole / rounds,
        tally.whole,
        tally.damaged,
        tally.refused_by_both,
        tally.equal,
        tally.refused_by_us.values().sum::<usize>(),
        tally.refused_by_us,
    );
}

#[derive(Default)]
struct Tally {
    whole: usize,
    damaged: usize,
    refused_by_both: usize,
    equal: usize,
    refused_by_us: BTreeMap<String, usize>,
}

impl Tally {
    fn judge(
        &mut self,
        is_whole: bool,
        line: &Line,
        theirs: &Result<String, String>,
        ours: &Result<String, String>,
    ) {
        let input = hex(&line.bytes);
        let context = || format!("{line}\nKafka: {theirs:?}\nwe:    {ours:?}");
        if is_whole {
            self.whole += usize::from(!line.kind.ends_with("-frame"));
            assert_eq!(
                theirs.as_ref(),
                Ok(&input),
                "the sample is wrong: {}",
                context()
            );
            assert_eq!(ours.as_ref(), Ok(&input), "{}", context());
            return;
        }
        self.damaged += 1;
        match (theirs, ours) {
            (Err(_), Err(_)) => self.refused_by_both += 1,
            (Ok(theirs), Ok(ours)) if theirs == ours => self.equal += 1,
            (Ok(theirs), Err(error)) if *theirs != input => {
                *self.refused_by_us.entry(reason(error)).or_default() += 1;
            }
            _ => panic!("{}", context()),
        }
    }
}

/// The message with its header before it; nothing if it is neither request nor response.
fn framed(line: &Line, sampler: &mut Sampler) -> Line {
    let mut framed = line.clone();
    let Some(key) = kafka_protocol::ApiKey::from_code(line.key) else {
        framed.name.clear();
        return framed;
    };
    let mut bytes = Vec::new();
    let flexible_header = match line.kind {
        "request" => {
            framed.kind = "request-frame";
            bytes.extend(line.key.to_be_bytes());
            bytes.extend(line.version.to_be_bytes());
            bytes.extend((sampler.below(1 << 31) as i32).to_be_bytes());
            match sampler.below(3) {
                0 => bytes.extend([0xff, 0xff]),
                1 => bytes.extend([0, 0]),
                _ => bytes.extend([0, 2, b'm', b'e']),
            }
            key.request_header_version(line.version) == 2
        }
        "response" => {
            framed.kind = "response-frame";
            bytes.extend((sampler.below(1 << 31) as i32).to_be_bytes());
            key.response_header_version(line.version) == 1
        }
        _ => {
            framed.name.clear();
            return framed;
        }
    };
    if flexible_header {
        match sampler.below(2) {
            0 => bytes.push(0),
            _ => bytes.extend([1, 0x85, 1, 1, 7]),
        }
    }
    bytes.extend(&line.bytes);
    framed.bytes = bytes;
    framed
}

/// The message cut, changed, or with bytes added.
fn damaged(line: &Line, sampler: &mut Sampler) -> Line {
    let mut damaged = line.clone();
    let bytes = &mut damaged.bytes;
    let at = sampler.below(bytes.len() + 1);
    // Damage near the beginning meets more fields than damage in the middle of a long string.
    let at = if sampler.below(2) == 0 {
        at
    } else {
        at.min(sampler.below(64))
    };
    match sampler.below(8) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, sampler.below(256) as u8),
        2 => bytes.push(sampler.below(2) as u8),
        3 => {
            for _ in 0..1 + sampler.below(11) {
                bytes.insert(at, 0xff);
            }
        }
        4 if at < bytes.len() => {
            bytes.remove(at);
        }
        choice => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = match choice {
                    5 => 0xff,
                    6 => byte.wrapping_add(1),
                    7 => *byte ^ 1 << sampler.below(8),
                    _ => sampler.below(256) as u8,
                };
            }
        }
    }
    damaged
}

/// What an error says, without the place and with all numbers alike.
fn reason(error: &str) -> String {
    let reason = error.split_once(": ").map_or(error, |(front, reason)| {
        if front.starts_with("corrupt ") {
            error
        } else {
            reason
        }
    });
    let reason = reason.split(" at byte ").next().unwrap_or_default();
    let mut alike = String::new();
    for c in reason.chars() {
        if !c.is_ascii_digit() {
            alike.push(c);
        } else if !alike.ends_with('#') {
            alike.push('#');
        }
    }
    alike
}

/// Writes a sparse and a full message of each name and version, which Kafka has confirmed.
fn write_golden(kafka: &mut Kafka) {
    let mut sampler = Sampler::new(1).unwrap();
    let mut lines = sampler.round(Style::Sparse);
    lines.extend(sampler.round(Style::Full));
    lines.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
    let questions: Vec<_> = lines.iter().map(Line::to_string).collect();
    for (line, answer) in lines.iter().zip(kafka.ask(&questions)) {
        assert_eq!(answer, Ok(hex(&line.bytes)), "{line}");
    }
    // What a user's own values start from, and what is left of tagged fields that tell nothing new.
    let mut defaults = String::new();
    let asked = sampler.round(Style::Defaults);
    let made: Vec<_> = asked.iter().map(values::default_of).collect();
    let recoded: Vec<_> = asked.iter().map(Line::to_string).collect();
    let made = kafka.ask(&made);
    let recoded = kafka.ask(&recoded);
    for ((line, made), recoded) in asked.iter().zip(made).zip(recoded) {
        let made = made.unwrap_or_else(|_| "error".to_owned());
        defaults.push_str(&format!(
            "{line}\t{}\t{made}\n",
            recoded.expect("it is legal")
        ));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codec/golden");
    fs::write(folder.join("messages.tsv"), questions.join("\n") + "\n").unwrap();
    fs::write(folder.join("defaults.tsv"), defaults).unwrap();
    let batches = batches::golden(&mut sampler, kafka);
    fs::write(folder.join("batches.tsv"), batches).unwrap();
}

/// Batches of records for each message of a name and version.
const BATCHES_A_ROUND: usize = 50;
