//! Fields by name: what a message is read to, beside the JSON that Kafka's own converters make of it. Bytes
//! alone would not tell of two fields of one type that are exchanged in reading and in writing alike.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kafka_protocol_codegen::{Sampler, Style};
use serde_json::Value as Json;

use crate::answer::{Form, answer};
use crate::hex::hex;
use crate::oracle::kafka::Kafka;
use crate::oracle::printed::Printed;

/// Compares the fields of `rounds` messages of each name and version. Kafka has a converter for each.
pub(crate) fn compare(sampler: &mut Sampler, rounds: usize, kafka: &mut Kafka) {
    let (mut messages, mut fields) = (0, 0);
    for round in 0..rounds {
        let style = if round == 0 {
            Style::Full
        } else {
            Style::Random
        };
        let lines = sampler.round(style);
        let questions: Vec<_> = lines
            .iter()
            .map(|line| {
                let (kind, name, version) = (line.kind, &line.name, line.version);
                format!("json\t{kind}\t{name}\t{version}\t{}", hex(&line.bytes))
            })
            .collect();
        for (line, theirs) in lines.iter().zip(kafka.ask(&questions)) {
            let theirs = theirs.unwrap_or_else(|error| panic!("{line}: {error}"));
            let theirs = serde_json::from_str(&theirs).expect("a converter writes JSON");
            let ours = answer(&line.to_string(), Form::Pretty).expect("Kafka reads it");
            let ours = Printed::parse(&ours);
            match equal(&theirs, &ours) {
                Ok(count) => fields += count,
                Err(what) => panic!("{line}: {what}\n{theirs}\n{ours:?}"),
            }
            messages += 1;
        }
    }
    println!("{messages} messages, their {fields} fields by name, all equal");
    assert!(fields > messages);
}

/// How many fields were compared. What a version lacks, and a tagged field of its default, is not in the
/// JSON.
fn equal(theirs: &Json, ours: &Printed<'_>) -> Result<usize, String> {
    match (theirs, ours) {
        (Json::Object(theirs), Printed::Struct(ours)) => {
            let mut count = 0;
            for (name, theirs) in theirs {
                count += field(name, theirs, ours).map_err(|what| format!("{name}: {what}"))?;
            }
            Ok(count)
        }
        (Json::Array(theirs), Printed::List(ours)) if theirs.len() == ours.len() => {
            let pairs = theirs.iter().zip(ours);
            pairs.map(|(theirs, ours)| equal(theirs, ours)).sum()
        }
        (Json::Null, Printed::Word("None")) => Ok(0),
        (Json::Bool(theirs), Printed::Word(ours)) if theirs.to_string() == *ours => Ok(0),
        (Json::Number(theirs), Printed::Word(ours)) if is_number(theirs, ours) => Ok(0),
        (Json::String(theirs), Printed::Text(ours)) if theirs == ours => Ok(0),
        // Uuids, and the floating point values that are no numbers.
        (Json::String(theirs), Printed::Word(ours)) if is_word(theirs, ours) => Ok(0),
        (Json::String(theirs), Printed::Bytes(ours)) if *theirs == STANDARD.encode(ours) => Ok(0),
        (Json::String(theirs), Printed::Secret(len)) if is_len(theirs, *len) => Ok(0),
        (theirs, ours) => Err(format!("{theirs} is not {ours:?}")),
    }
}

/// Whether so many bytes are in this base64: all that is told of secrets.
fn is_len(base64: &str, len: usize) -> bool {
    STANDARD
        .decode(base64)
        .is_ok_and(|bytes| bytes.len() == len)
}

fn field(name: &str, theirs: &Json, ours: &[(&str, Printed<'_>)]) -> Result<usize, String> {
    let find = |name: &str| {
        let name = name.to_lowercase();
        let named = |field: &&(&str, _)| field.0.replace('_', "") == name;
        ours.iter().find(named).map(|field| &field.1)
    };
    if let Some(ours) = find(name) {
        return Ok(1 + equal(theirs, ours)?);
    }
    // The converters tell no more of records.
    let records = name.strip_suffix("SizeInBytes").and_then(find);
    match records {
        Some(Printed::Bytes(ours)) if theirs.as_u64() == u64::try_from(ours.len()).ok() => Ok(1),
        records => Err(format!("{theirs} is not {records:?}")),
    }
}

/// Floating point to the digits that the parser of JSON is right about: to the last bit the bytes were
/// compared.
fn is_number(theirs: &serde_json::Number, ours: &str) -> bool {
    if !theirs.is_f64() {
        return theirs.to_string() == ours;
    }
    match (theirs.as_f64(), ours.parse::<f64>()) {
        (Some(theirs), Ok(ours)) => (theirs - ours).abs() <= theirs.abs() * 1e-15,
        _ => false,
    }
}

fn is_word(theirs: &str, ours: &str) -> bool {
    match theirs {
        "Infinity" => ours == "inf",
        "-Infinity" => ours == "-inf",
        theirs => theirs == ours,
    }
}
