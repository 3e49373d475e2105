//! Reads topics as a member of a group, commits what was processed, and prints rebalances.
//!
//! Start it several times to see the partitions shared out. Ends with Ctrl-C or SIGTERM, or after `--count` records.
//!
//! ```sh
//! cargo run --example group_consumer -- --bootstrap localhost:9092 --group billing orders payments
//! ```

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/logging.rs"]
mod logging;
#[path = "support/stopping.rs"]
mod stopping;

use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, wrong};
use kafka_client::consumer::{ConsumerEvent, Events, Start};
use kafka_client::{Client, Result};
use stopping::asked_to_stop;

const USAGE: &str = "usage: group_consumer --bootstrap HOST:PORT[,HOST:PORT...] --group GROUP \
                     TOPIC... [--from oldest|newest] [--count RECORDS]";

#[tokio::main]
async fn main() -> ExitCode {
    logging::show();
    let arguments = match Arguments::parse(USAGE, &["group", "from", "count"], usize::MAX) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let Some(bootstrap) = arguments.bootstrap else {
        return wrong(USAGE, "--bootstrap is missing");
    };
    let Some(group) = arguments.options.get("group") else {
        return wrong(USAGE, "--group is missing");
    };
    if arguments.words.is_empty() {
        return wrong(USAGE, "name at least one topic");
    }
    let start = match arguments.options.get("from").map(String::as_str) {
        None | Some("newest") => Start::Newest,
        Some("oldest") => Start::Oldest,
        Some(other) => {
            return wrong(
                USAGE,
                &format!("--from {other:?} is neither oldest nor newest"),
            );
        }
    };
    let count = match arguments.options.get("count") {
        None => u64::MAX,
        Some(text) => match text.parse() {
            Ok(count) => count,
            Err(_) => return wrong(USAGE, &format!("--count {text:?} is no number")),
        },
    };
    match consume(&bootstrap, group, &arguments.words, start, count).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn consume(
    bootstrap: &str,
    group: &str,
    topics: &[String],
    start: Start,
    count: u64,
) -> Result<()> {
    let client = Client::builder().bootstrap_servers(bootstrap).build()?;
    client.ready(Duration::from_secs(10)).await?;
    let consumer = client
        .consumer()
        .group(group)
        .subscribe(topics)
        .start(start)
        .build()?;
    let rebalances = tokio::spawn(print_rebalances(consumer.events()));
    let mut stopped = std::pin::pin!(asked_to_stop());
    let mut read = 0;
    while read < count {
        let record = tokio::select! {
            record = consumer.next() => record?,
            () = &mut stopped => break,
        };
        let Some(record) = record else { break };
        let value = String::from_utf8_lossy(record.value().unwrap_or(b"null"));
        println!(
            "{}-{} @{} {value}",
            record.topic(),
            record.partition(),
            record.offset()
        );
        // The record is processed: its offset is committed in the background, and at the latest when the
        // partition is revoked or the consumer closes.
        record.ack();
        read += 1;
    }
    consumer.close_within(Duration::from_secs(20)).await?;
    drop(consumer);
    let _printed = rebalances.await;
    client.close_within(Duration::from_secs(10)).await;
    eprintln!("{read} records");
    Ok(())
}

async fn print_rebalances(mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            ConsumerEvent::Assigned(partitions) => eprintln!("assigned: {partitions:?}"),
            ConsumerEvent::Revoking(_) => {}
            ConsumerEvent::Revoked(partitions) => eprintln!("revoked: {partitions:?}"),
            ConsumerEvent::Lost { partitions, error } => eprintln!("lost: {partitions:?}: {error}"),
            other => eprintln!("{other:?}"),
        }
    }
}
