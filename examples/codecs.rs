//! Writes the same records with each codec, into a topic each: for other clients to read.
//!
//! ```sh
//! cargo run --example codecs -- --bootstrap localhost:9092 --records 1000 orders
//! ```
//!
//! The topics are called `orders-none`, `orders-gzip` and so on, and have three partitions.
//! `tests/clients/codecs` knows what each record holds.

#[path = "support/arguments.rs"]
mod arguments;

use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, wrong};
use kafka_client::admin::NewTopic;
use kafka_client::{Client, Record, Result};
use kafka_protocol::compression::Compression;

const USAGE: &str = "usage: codecs --bootstrap HOST:PORT[,HOST:PORT...] [--records N] PREFIX";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(USAGE, &["records"], 1) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let Some(bootstrap) = &arguments.bootstrap else {
        return wrong(USAGE, "--bootstrap is missing");
    };
    let [prefix] = arguments.words.as_slice() else {
        return wrong(USAGE, "one prefix of topics is needed");
    };
    let count = arguments.options.get("records").map_or("1000", |it| it);
    let Ok(count) = count.parse() else {
        return wrong(USAGE, "--records needs a number");
    };
    match write(bootstrap, prefix, count).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn write(bootstrap: &str, prefix: &str, count: usize) -> Result<()> {
    let client = Client::builder().bootstrap_servers(bootstrap).build()?;
    client.ready(Duration::from_secs(10)).await?;
    for codec in Compression::ALL {
        let topic = format!("{prefix}-{codec}");
        let new = NewTopic::new(&topic).partitions(PARTITIONS as i32);
        for (_, created) in client.admin().create_topics([new]).await? {
            created?;
        }
        let producer = client.producer().compression(codec).build()?;
        let handle = producer.topic(&topic);
        let mut tickets = Vec::new();
        for number in 0..count {
            let (key, value) = (format!("key-{number}"), value(number));
            let text = number.to_string();
            let headers = [("number", Some(text.as_bytes())), ("null", None)];
            let record = Record::of(&value)
                .key(&key)
                .headers(&headers)
                .partition((number % PARTITIONS) as i32);
            tickets.push(handle.enqueue(record).await?);
        }
        for ticket in tickets {
            ticket.await?;
        }
        println!("{count} records in {topic}");
    }
    client.close_within(Duration::from_secs(5)).await;
    Ok(())
}

/// Text that compresses well, and up to 2 KiB that do not.
fn value(number: usize) -> Vec<u8> {
    let mut value = format!("value-{number}-")
        .repeat(1 + number % 20)
        .into_bytes();
    let mut state = number as u32;
    for _ in 0..number * 13 % 2048 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        value.push((state >> 24) as u8);
    }
    value
}

const PARTITIONS: usize = 3;
