//! The codec against bytes that Kafka's own classes have confirmed: for each name and version a sparse
//! message, with null and defaults wherever that is possible, and a full one. Written by the test
//! `oracle`.

use std::collections::BTreeSet;

use kafka_protocol::catalog;

use crate::answer::{Form, answer};
use crate::values::of_defaults;

#[test]
fn golden_bytes_come_back_unchanged() {
    let mut wrong = Vec::new();
    for line in lines() {
        let recoded = line.recode(line.hex);
        if recoded.as_deref() != Ok(line.hex) {
            wrong.push(format!("{}{}\n{recoded:?}", line.front, line.hex));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_golden_bytes_of_each_name_and_version() {
    let golden: BTreeSet<_> = lines()
        .iter()
        .map(|line| (line.name, line.version))
        .collect();
    let all: BTreeSet<_> = catalog::ALL
        .iter()
        .flat_map(|message| {
            message
                .versions
                .iter()
                .map(|version| (message.name, version))
        })
        .collect();
    assert_eq!(golden, all);
    assert_eq!(lines().len(), 2 * all.len());
}

/// Each tagged field is there with its default, and not in what comes out; and a value that nobody
/// has touched.
#[test]
fn defaults_are_those_of_kafka() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in include_str!("golden/defaults.tsv").lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let recoded = answer(line, Form::Bytes);
        if recoded.as_deref() != Ok(columns[5]) {
            wrong.push(format!("{line}\n{recoded:?}"));
        }
        let made = of_defaults(columns[2], columns[3].parse().unwrap());
        if made.as_deref().unwrap_or("error") != columns[6] {
            wrong.push(format!("{line}\n{made:?}"));
        }
        rows += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(rows, lines().len() / 2);
}

/// Batches that Kafka made, of each magic, codec and attribute, and what it read from them.
#[test]
fn batches_are_read_as_kafka_reads_them() {
    let mut kinds = BTreeSet::new();
    for line in include_str!("golden/batches.tsv").lines() {
        let (hex, json) = line.split_once('\t').unwrap();
        let read = answer(&format!("batch\t-1\t\t\t{hex}"), Form::Bytes);
        assert_eq!(read.as_deref(), Ok(json));
        let (magic, mut codec) = (
            &json[10..11],
            json.split('"').skip_while(|it| *it != "compression"),
        );
        kinds.insert((magic, codec.nth(2).unwrap()));
        if magic != "2" {
            continue;
        }
        let again = answer(&format!("rebatch\t-1\t\t\t{hex}"), Form::Bytes).unwrap();
        let is_plain = json.contains(r#""compression":"none""#);
        // What was written under a log's time is not kept, nor is it by Kafka.
        if is_plain && json.contains(r#""timestampType":"create""#) {
            assert_eq!(again, hex);
        }
        let read = answer(&format!("batch\t-1\t\t\t{again}"), Form::Bytes);
        assert_eq!(read.as_deref(), Ok(json));
    }
    // Three magics and their codecs: zstd came with the last.
    assert_eq!(kinds.len(), 4 + 4 + 5);
}

#[test]
fn a_message_that_is_cut_anywhere_is_refused() {
    for line in lines() {
        for len in (0..line.hex.len()).step_by(2) {
            let error = line.recode(&line.hex[..len]).unwrap_err();
            assert!(
                error.starts_with(line.name) && error.contains(" at byte "),
                "{} cut to {}: {error}",
                line.front,
                len / 2
            );
        }
    }
}

#[test]
fn bytes_left_over_are_refused_and_named() {
    for line in lines() {
        let error = line.recode(&format!("{}00", line.hex)).unwrap_err();
        assert!(
            error.contains("1 bytes left over"),
            "{}: {error}",
            line.name
        );
    }
}

#[test]
fn no_change_of_a_byte_makes_it_panic() {
    for line in lines() {
        let mut changes = ["ff", "00", "80", "01", "7f"].into_iter().cycle();
        for (at, byte) in (0..line.hex.len()).step_by(2).zip(&mut changes) {
            let mut hex = line.hex.to_owned();
            hex.replace_range(at..at + 2, byte);
            // Whatever comes out is read again to the same.
            if let Ok(first) = line.recode(&hex) {
                assert_eq!(line.recode(&first).as_ref(), Ok(&first), "{}", line.front);
            }
        }
    }
}

struct Line {
    /// Kind, key, name and version, each with a tab behind it.
    front: &'static str,
    name: &'static str,
    version: i16,
    hex: &'static str,
}

impl Line {
    /// What comes out for these bytes instead.
    fn recode(&self, hex: &str) -> Result<String, String> {
        answer(&format!("{}{hex}", self.front), Form::Bytes)
    }
}

fn lines() -> Vec<Line> {
    include_str!("golden/messages.tsv")
        .lines()
        .map(|line| {
            let columns: Vec<_> = line.split('\t').collect();
            let hex = columns[4];
            Line {
                front: line.strip_suffix(hex).unwrap(),
                name: columns[2],
                version: columns[3].parse().unwrap(),
                hex,
            }
        })
        .collect()
}
