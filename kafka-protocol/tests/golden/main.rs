//! The codec against bytes that Kafka's own classes have confirmed: for each name and version a sparse
//! message, with null and defaults wherever that is possible, and a full one. Written by the test
//! `oracle`.

#[path = "../recoding/recoding.rs"]
mod recoding;

use std::collections::BTreeSet;

use kafka_protocol::catalog;

use crate::recoding::{hex, recode};

#[test]
fn golden_bytes_come_back_unchanged() {
    for line in lines() {
        let recoded = recode(line.kind, line.key, line.name, line.version, &line.bytes);
        assert_eq!(
            recoded.map(|bytes| hex(&bytes)),
            Ok(hex(&line.bytes)),
            "{} v{}",
            line.name,
            line.version
        );
    }
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

#[test]
fn a_message_that_is_cut_anywhere_is_refused() {
    for line in lines() {
        for len in 0..line.bytes.len() {
            let cut = &line.bytes[..len];
            let recoded = recode(line.kind, line.key, line.name, line.version, cut);
            assert!(
                recoded.is_err(),
                "{} v{} cut to {len} of {} bytes",
                line.name,
                line.version,
                line.bytes.len()
            );
        }
    }
}

#[test]
fn bytes_left_over_are_refused_and_named() {
    for line in lines() {
        let mut bytes = line.bytes.clone();
        bytes.push(0);
        let error = recode(line.kind, line.key, line.name, line.version, &bytes).unwrap_err();
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
        let mut changes = [0xff, 0, 0x80, 1, 0x7f].into_iter().cycle();
        for (at, byte) in (0..line.bytes.len()).zip(&mut changes) {
            let mut bytes = line.bytes.clone();
            bytes[at] = byte;
            // Whatever comes out is read again to the same.
            if let Ok(first) = recode(line.kind, line.key, line.name, line.version, &bytes) {
                let again = recode(line.kind, line.key, line.name, line.version, &first);
                assert_eq!(again, Ok(first), "{} v{}", line.name, line.version);
            }
        }
    }
}

struct Line {
    kind: &'static str,
    key: i16,
    name: &'static str,
    version: i16,
    bytes: Vec<u8>,
}

fn lines() -> Vec<Line> {
    include_str!("messages.tsv")
        .lines()
        .map(|line| {
            let columns: Vec<_> = line.split('\t').collect();
            Line {
                kind: columns[0],
                key: columns[1].parse().unwrap(),
                name: columns[2],
                version: columns[3].parse().unwrap(),
                bytes: unhex(columns[4]),
            }
        })
        .collect()
}

/// The bytes of hex.
fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).expect("hex") as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}
