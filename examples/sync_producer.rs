//! Sends lines from standard input, one after another, and prints where each went.
//!
//! A line is `VALUE TOPIC`: the last word is the topic, what stands before it the value. Each record goes to a
//! partition drawn at random and is acknowledged by all in-sync replicas before the next line is read.
//!
//! ```sh
//! echo 'hello orders' | cargo run --example sync_producer -- --bootstrap localhost:9092
//! ```

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/logging.rs"]
mod logging;

use std::io::BufRead;
use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, wrong};
use kafka_client::blocking::Client;
use kafka_client::producer::{Acks, Partitioner};
use kafka_client::{Record, Result};

const USAGE: &str =
    "usage: sync_producer --bootstrap HOST:PORT[,HOST:PORT...]  (lines 'VALUE TOPIC' on stdin)";

fn main() -> ExitCode {
    logging::show();
    let arguments = match Arguments::parse(USAGE, &[], 0) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let Some(bootstrap) = arguments.bootstrap else {
        return wrong(USAGE, "--bootstrap is missing");
    };
    match send_lines(&bootstrap) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} lines were not sent");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many lines failed.
fn send_lines(bootstrap: &str) -> Result<usize> {
    let client = Client::builder()
        .bootstrap_servers(bootstrap)
        .build_blocking()?;
    client.ready(Duration::from_secs(10))?;
    let producer = client.producer(|producer| {
        producer
            .acks(Acks::All)
            .partitioner(Partitioner::Random)
            .linger(Duration::ZERO)
    })?;
    let mut failed = 0;
    for line in std::io::stdin().lock().lines() {
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                eprintln!("standard input: {error}");
                failed += 1;
                break;
            }
        };
        if line.trim().is_empty() {
            continue;
        }
        let Some((value, topic)) = line.trim_end().rsplit_once(' ') else {
            eprintln!("{} is not 'VALUE TOPIC'", shown(&line));
            failed += 1;
            continue;
        };
        match producer.send(Record::to(topic).value(value)) {
            Ok(written) => {
                println!(
                    "topic {topic} partition {} offset {}",
                    written.partition, written.offset
                );
            }
            Err(error) => {
                eprintln!("{}: {error}", shown(value));
                failed += 1;
            }
        }
    }
    producer.close_within(Duration::from_secs(10))?;
    client.close_within(Duration::from_secs(10))?;
    Ok(failed)
}

/// A line as it stands before its error: so much of it that it is recognized.
fn shown(line: &str) -> String {
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}... ({} bytes)", &line[..end], line.len()),
        None => format!("{line:?}"),
    }
}
