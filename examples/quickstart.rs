//! From nothing to every line read exactly once: starts the embedded broker, makes a topic of three partitions
//! and two members of one group that wait for what comes, produces lines, and looks at who read what.
//!
//! ```sh
//! cargo run --release --example quickstart                       # a text that lies here
//! cargo run --release --example quickstart -- README.md          # the lines of files
//! seq 1000 | cargo run --release --example quickstart            # the lines of standard input
//! cargo run --release --example quickstart -- --bootstrap localhost:9092
//! ```
//!
//! With `--bootstrap` the same happens on that cluster, in a topic that is deleted at the end.

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/logging.rs"]
mod logging;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{IsTerminal, Read};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arguments::Arguments;
use kafka_broker::Broker;
use kafka_client::admin::NewTopic;
use kafka_client::consumer::Start;
use kafka_client::{Client, Record};
use tokio::sync::Barrier;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What a member read: how many lines of each partition, and the lines by their number.
type Share = (BTreeMap<i32, usize>, Vec<(usize, String)>);

const USAGE: &str = "usage: quickstart [--bootstrap HOST:PORT[,HOST:PORT...]] [FILE...]";

#[tokio::main]
async fn main() -> ExitCode {
    logging::show();
    let arguments = match Arguments::parse(USAGE, &[], usize::MAX) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let lines = lines(&arguments.words)?;
    if let Some(bootstrap) = &arguments.bootstrap {
        return tell(bootstrap, lines).await;
    }
    let broker = Broker::builder().start().await?;
    println!("embedded broker at {}", broker.bootstrap_servers());
    let told = tell(broker.bootstrap_servers(), lines).await;
    broker.stop().await?;
    told
}

/// The lines of the files, or of standard input when it is piped, or of a text that lies here.
fn lines(files: &[String]) -> Result<Vec<String>> {
    let mut text = String::new();
    for file in files {
        text += &std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        text += "\n";
    }
    if files.is_empty() && !std::io::stdin().is_terminal() {
        std::io::stdin().read_to_string(&mut text)?;
    }
    if text.is_empty() {
        text += include_str!("support/poem.txt");
    }
    Ok(text
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

async fn tell(bootstrap: &str, lines: Vec<String>) -> Result<()> {
    let client = Client::builder().bootstrap_servers(bootstrap).build()?;
    client.ready(Duration::from_secs(10)).await?;
    let topic = format!("quickstart-{}", std::process::id());
    let new_topic = NewTopic::new(&topic).partitions(3);
    client.admin().create_topic(new_topic).await?;

    let (left, ready) = (AtomicUsize::new(lines.len()), Barrier::new(3));
    let ((), one, two) = tokio::try_join!(
        produce(&client, &topic, &lines, &ready),
        read(&client, &topic, &left, &ready),
        read(&client, &topic, &left, &ready),
    )?;
    println!("{} lines in topic {topic}", lines.len());
    let mut seen = vec![0; lines.len()];
    for (name, (share, read)) in [("one", one), ("two", two)] {
        for (partition, count) in share {
            println!("member {name} read {count} lines of partition {partition}");
        }
        for (number, line) in read {
            if lines.get(number) != Some(&line) {
                return Err(format!("line {number} came back as {line:?}").into());
            }
            seen[number] += 1;
        }
    }
    client.admin().delete_topic(topic).await?;
    client.close_within(Duration::from_secs(5)).await;
    if let Some(number) = seen.iter().position(|count| *count != 1) {
        return Err(format!("line {number} was read {} times", seen[number]).into());
    }
    println!("every line was read exactly once");
    Ok(())
}

/// Sends each line with its number as the key once both members wait for them, and waits for every
/// acknowledgement.
async fn produce(client: &Client, topic: &str, lines: &[String], ready: &Barrier) -> Result<()> {
    ready.wait().await;
    let producer = client.producer().build()?;
    let handle = producer.topic(topic);
    let mut tickets = Vec::with_capacity(lines.len());
    for (number, line) in lines.iter().enumerate() {
        let key = number.to_string();
        tickets.push(handle.enqueue(Record::of(line).key(&key)).await?);
    }
    for ticket in tickets {
        ticket.await?;
    }
    producer.close_within(Duration::from_secs(10)).await;
    Ok(())
}

/// A member of the group: says when it has partitions, reads until the group has read all lines, and tells
/// what it read itself.
async fn read(client: &Client, topic: &str, left: &AtomicUsize, ready: &Barrier) -> Result<Share> {
    let consumer = client
        .consumer()
        .group(topic)
        .subscribe([topic])
        .start(Start::Oldest)
        .build()?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let (mut share, mut lines) = Share::default();
    let mut is_ready = false;
    while !is_ready || left.load(Ordering::SeqCst) > 0 {
        if tokio::time::Instant::now() > deadline {
            return Err(format!("not all lines were read within {PATIENCE:?}").into());
        }
        if !is_ready && !consumer.assignment().is_empty() {
            ready.wait().await;
            is_ready = true;
        }
        // Wakes up now and then to see whether the other member has read the rest.
        let next = tokio::time::timeout(Duration::from_millis(20), consumer.next());
        let Ok(record) = next.await else { continue };
        let Some(record) = record? else { break };
        let number = std::str::from_utf8(record.key().unwrap_or_default())?.parse()?;
        let line = String::from_utf8(record.value().unwrap_or_default().to_vec())?;
        *share.entry(record.partition()).or_insert(0) += 1;
        lines.push((number, line));
        record.ack();
        left.fetch_sub(1, Ordering::SeqCst);
    }
    consumer.close_within(Duration::from_secs(10)).await?;
    Ok((share, lines))
}

const PATIENCE: Duration = Duration::from_secs(30);
