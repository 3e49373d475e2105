//! The codec against Kafka's own Java classes: random messages of every name and version, and damaged
//! ones, decoded and encoded again by both.
//!
//! Needs Java and Maven, so it runs only when asked for:
//! `cargo test -p kafka-protocol --test oracle -- --ignored --nocapture`.
//! `ORACLE_SEEDS` names seeds (by default one of the clock), `ORACLE_ROUNDS` how many messages of each
//! name and version; `ORACLE_WRITE_GOLDEN=1` writes `tests/golden/messages.tsv` anew.

#[path = "../recoding/recoding.rs"]
mod recoding;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use kafka_protocol_codegen::{Line, Sampler, Style};

use crate::recoding::{hex, recode};

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
    let libs = libs();
    for seed in seeds {
        compare(seed, rounds, &libs);
    }
    if std::env::var("ORACLE_WRITE_GOLDEN").is_ok() {
        write_golden(&libs);
    }
}

/// Compares `rounds` messages of each name and version, each whole and damaged.
fn compare(seed: u64, rounds: usize, libs: &Path) {
    let mut sampler = Sampler::new(seed).unwrap();
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
            lines.push((true, framed(line, &mut sampler)));
            for _ in 0..2 {
                lines.push((false, damaged(line, &mut sampler)));
            }
        }
        lines.retain(|(_, line)| !line.name.is_empty());
        let answers = ask(libs, lines.iter().map(|(_, line)| line));
        assert_eq!(answers.len(), lines.len(), "Kafka did not answer each line");
        for ((is_whole, line), theirs) in lines.iter().zip(&answers) {
            let ours = recode(line.kind, line.key, &line.name, line.version, &line.bytes);
            tally.judge(*is_whole, line, theirs, ours, seed);
        }
    }
    println!(
        "seed {seed}: {} names and versions x {rounds} messages; {} whole ones, all equal; {} damaged: \
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
        theirs: &str,
        ours: Result<Vec<u8>, String>,
        seed: u64,
    ) {
        let theirs = match theirs.strip_prefix("error: ") {
            None => Ok(theirs),
            Some(error) => Err(error),
        };
        let ours = ours.map(|bytes| hex(&bytes));
        let input = hex(&line.bytes);
        let context = || format!("seed {seed}: {line}\nKafka: {theirs:?}\nwe:    {ours:?}");
        if is_whole {
            self.whole += usize::from(!line.kind.ends_with("-frame"));
            assert_eq!(
                theirs,
                Ok(input.as_str()),
                "the sample is wrong: {}",
                context()
            );
            assert_eq!(ours.as_deref(), Ok(input.as_str()), "{}", context());
            return;
        }
        self.damaged += 1;
        match (theirs, &ours) {
            (Err(_), Err(_)) => self.refused_by_both += 1,
            (Ok(theirs), Ok(ours)) if theirs == ours => self.equal += 1,
            (Ok(theirs), Err(error)) if theirs != input => {
                let reason = error.rsplit(": ").next().unwrap_or_default();
                let reason: String = reason
                    .split(" at byte ")
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .map(|c| if c.is_ascii_digit() { '#' } else { c })
                    .collect();
                *self.refused_by_us.entry(reason).or_default() += 1;
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

/// Kafka's answer to each line.
fn ask<'a>(libs: &Path, lines: impl Iterator<Item = &'a Line>) -> Vec<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let questions = folder.join(format!("oracle-{}.tsv", std::process::id()));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    fs::write(&questions, text).unwrap();
    let output = Command::new("java")
        .arg("-cp")
        .arg(format!("{}/*", libs.display()))
        .arg(source("Oracle.java"))
        .stdin(File::open(&questions).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .expect("java runs");
    fs::remove_file(&questions).unwrap();
    assert!(output.status.success(), "java: {}", output.status);
    let answers = String::from_utf8(output.stdout).unwrap();
    answers.lines().map(str::to_owned).collect()
}

/// The folder of Kafka's jars, fetched once.
fn libs() -> PathBuf {
    let libs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle-libs");
    if !libs.join("complete").exists() {
        let status = Command::new("mvn")
            .args([
                "-q",
                "-B",
                "dependency:copy-dependencies",
                "-DexcludeTransitive=true",
            ])
            .arg(format!("-DoutputDirectory={}", libs.display()))
            .arg("-f")
            .arg(source("pom.xml"))
            .stdout(Stdio::inherit())
            .status()
            .expect("mvn runs");
        assert!(status.success(), "mvn: {status}");
        fs::write(libs.join("complete"), "").unwrap();
    }
    libs
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/oracle")
        .join(name)
}

/// Writes a sparse and a full message of each name and version, which Kafka has confirmed.
fn write_golden(libs: &Path) {
    let mut sampler = Sampler::new(1).unwrap();
    let mut lines = sampler.round(Style::Sparse);
    lines.extend(sampler.round(Style::Full));
    lines.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
    let answers = ask(libs, lines.iter());
    let mut text = String::new();
    for (line, answer) in lines.iter().zip(&answers) {
        assert_eq!(*answer, hex(&line.bytes), "{line}");
        text.push_str(&format!("{line}\n"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages.tsv");
    fs::write(path, text).unwrap();
}
