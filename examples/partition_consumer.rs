//! Reads all partitions of a topic side by side, without a group, and prints each record.
//!
//! Begins behind the newest record, or with `--from oldest` at the oldest. Ends with Ctrl-C or
//! SIGTERM, or after `--count` records.
//!
//! ```sh
//! cargo run --example partition_consumer -- --bootstrap localhost:9092 orders --from oldest
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
use kafka_client::consumer::{ConsumerRecord, Start};
use kafka_client::{Client, Result};
use stopping::asked_to_stop;

const USAGE: &str = "usage: partition_consumer --bootstrap HOST:PORT[,HOST:PORT...] TOPIC \
                     [--from oldest|newest] [--count RECORDS]";

#[tokio::main]
async fn main() -> ExitCode {
    logging::show();
    let arguments = match Arguments::parse(USAGE, &["from", "count"], 1) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let Some(bootstrap) = arguments.bootstrap else {
        return wrong(USAGE, "--bootstrap is missing");
    };
    let [topic] = arguments.words.as_slice() else {
        return wrong(USAGE, "name one topic");
    };
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
    match consume(&bootstrap, topic, start, count).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn consume(bootstrap: &str, topic: &str, start: Start, count: u64) -> Result<()> {
    let client = Client::builder().bootstrap_servers(bootstrap).build()?;
    client.ready(Duration::from_secs(10)).await?;

    let description = client.admin().describe_topic(topic).await?;
    let partitions = description.partitions.iter();
    let partitions: Vec<_> = partitions.map(|partition| partition.index).collect();
    eprintln!("partitions of {topic}: {partitions:?}");

    let assignment = partitions.into_iter().map(|number| (topic, number, start));
    let consumer = client.consumer().assign(assignment).build()?;
    let mut stopped = std::pin::pin!(asked_to_stop());
    let mut read = 0;
    while read < count {
        tokio::select! {
            record = consumer.next() => match record? {
                Some(record) => print(&record),
                None => break,
            },
            () = &mut stopped => break,
        }
        read += 1;
    }
    consumer.close_within(Duration::from_secs(10)).await?;
    client.close_within(Duration::from_secs(10)).await;
    eprintln!("{read} records");
    Ok(())
}

fn print(record: &ConsumerRecord) {
    let text = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => "null".to_owned(),
    };
    println!(
        "partition {} offset {} key {} value {}",
        record.partition(),
        record.offset(),
        text(record.key()),
        text(record.value())
    );
}
