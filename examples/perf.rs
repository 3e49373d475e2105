//! Measures the client: a record at a time, or as many as it can.
//!
//! ```sh
//! cargo run --release --example perf -- latency            # against an embedded broker
//! cargo run --release --example perf -- produce --records 3000000 --bootstrap localhost:9092
//! ```
//!
//! `latency` sends records of 100 bytes one after another, without linger, and beside it the same record by a
//! blocking socket with a request made by hand: the floor below which no client can go. `produce` sends as fast
//! as it can and awaits every acknowledgement; `consume` does that first and then reads as many from the
//! beginning, in batches, borrowed and record by record. CPU is user plus system time of this process, and so
//! includes the broker if it is embedded.

#[path = "support/arguments.rs"]
mod arguments;
#[path = "support/floor.rs"]
mod floor;
#[path = "support/logging.rs"]
mod logging;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use arguments::{Arguments, wrong};
use kafka_client::admin::NewTopic;
use kafka_client::consumer::Start;
use kafka_client::{Client, Record};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
usage: perf [latency|produce|consume] [--bootstrap HOST:PORT] [--topic NAME] [--records N] [--bytes N] \
[--batch-bytes N] [--partitions N] [--rounds N]";

const OPTIONS: &[&str] = &[
    "topic",
    "records",
    "bytes",
    "batch-bytes",
    "partitions",
    "rounds",
];

fn main() -> ExitCode {
    logging::show();
    let arguments = match Arguments::parse(USAGE, OPTIONS, 1) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    if !["latency", "produce", "consume"].contains(&command(&arguments)) {
        let unknown = format!("unknown command {:?}", command(&arguments));
        return wrong(USAGE, &unknown);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    // As in a service, the work is a task of the runtime, not the thread that waits for the runtime.
    let done = runtime.map_err(Into::into).and_then(|runtime| {
        let task = runtime.spawn(async move { run(&arguments).await });
        runtime
            .block_on(task)
            .unwrap_or_else(|error| Err(error.into()))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &Arguments) -> &str {
    arguments.words.first().map_or("latency", String::as_str)
}

async fn run(arguments: &Arguments) -> Result<()> {
    let command = command(arguments);
    let number = |name: &str, default: usize| -> Result<usize> {
        match arguments.options.get(name) {
            Some(value) => match value.parse() {
                Ok(0) => Err(format!("--{name} must be more than zero").into()),
                Ok(number) => Ok(number),
                Err(_) => Err(format!("--{name} {value:?} is no number").into()),
            },
            None => Ok(default),
        }
    };
    let embedded = match &arguments.bootstrap {
        Some(_) => None,
        None => Some(kafka_broker::Broker::builder().start().await?),
    };
    let bootstrap = match (&arguments.bootstrap, &embedded) {
        (Some(bootstrap), _) => bootstrap.clone(),
        (None, Some(broker)) => broker.bootstrap_servers().to_owned(),
        (None, None) => unreachable!("one of the two was made above"),
    };
    let client = Client::builder().bootstrap_servers(&bootstrap).build()?;
    client.ready(Duration::from_secs(10)).await?;
    let topic = arguments
        .options
        .get("topic")
        .map_or("perf", String::as_str);
    let partitions = if command == "latency" {
        1
    } else {
        number("partitions", 4)?
    };
    let new = NewTopic::new(topic)
        .partitions(i32::try_from(partitions)?)
        .replication_factor(1);
    // A topic that is there already will do.
    let _there = client.admin().create_topics([new]).await?;
    let bytes = number("bytes", 100)?;
    if command == "latency" {
        latency(
            &client,
            &bootstrap,
            topic,
            bytes,
            number("records", 20_000)?,
            number("rounds", 3)?,
        )
        .await?;
    } else {
        let batch_bytes = number("batch-bytes", 1 << 20)?;
        let records = number("records", 3_000_000)?;
        produce(&client, topic, bytes, records, batch_bytes).await?;
        if command == "consume" {
            consume_batches(&client, topic, bytes, records).await?;
            consume_records(&client, topic, bytes, records).await?;
        }
    }
    client.close_within(Duration::from_secs(5)).await;
    if let Some(broker) = embedded {
        broker.stop().await?;
    }
    Ok(())
}

async fn latency(
    client: &Client,
    bootstrap: &str,
    topic: &str,
    bytes: usize,
    records: usize,
    rounds: usize,
) -> Result<()> {
    let address = bootstrap.split(',').next().unwrap_or_default().to_owned();
    let value = vec![b'x'; bytes];
    let producer = client.producer().linger(Duration::ZERO).build()?;
    let handle = producer.topic(topic);
    println!("{records} records of {bytes} bytes, one after another; microseconds");
    println!("{:<8}{:>10}{:>10}{:>14}", "", "p50", "p99", "CPU/record");
    for _ in 0..rounds {
        let (address, name, plain) = (address.clone(), topic.to_owned(), value.clone());
        let floor = move || floor::run(&address, &name, &plain, WARM_UP, records);
        let (times, cpu) = tokio::task::spawn_blocking(floor).await??;
        row("floor", times, cpu);
        for _ in 0..WARM_UP {
            handle.send(Record::of(&value)).await?;
        }
        let cpu = cpu_time();
        let mut times = Vec::with_capacity(records);
        for _ in 0..records {
            let start = Instant::now();
            handle.send(Record::of(&value)).await?;
            times.push(start.elapsed());
        }
        row("client", times, cpu_time() - cpu);
    }
    producer.close_within(Duration::from_secs(5)).await;
    Ok(())
}

async fn produce(
    client: &Client,
    topic: &str,
    bytes: usize,
    records: usize,
    batch_bytes: usize,
) -> Result<()> {
    let value = vec![b'x'; bytes];
    let producer = client
        .producer()
        .batch_bytes(batch_bytes)
        .request_bytes_max(batch_bytes.max(1 << 20))
        .buffer_bytes(64 << 20)
        .build()?;
    let handle = producer.topic(topic);
    for _ in 0..1000 {
        let _awaited_by_flush = handle.enqueue(Record::of(&value)).await?;
    }
    producer.flush().await;
    let (tickets, mut awaited) = tokio::sync::mpsc::channel::<Vec<kafka_client::Ticket>>(1024);
    let (start, cpu) = (Instant::now(), cpu_time());
    let waiting = tokio::spawn(async move {
        let mut acknowledged = 0_usize;
        while let Some(tickets) = awaited.recv().await {
            for ticket in tickets {
                ticket.await?;
                acknowledged += 1;
            }
        }
        Ok::<_, kafka_client::Error>(acknowledged)
    });
    let mut collected = Vec::with_capacity(256);
    for _ in 0..records {
        collected.push(handle.enqueue(Record::of(&value)).await?);
        if collected.len() == 256 {
            tickets
                .send(std::mem::replace(&mut collected, Vec::with_capacity(256)))
                .await?;
        }
    }
    tickets.send(collected).await?;
    drop(tickets);
    producer.flush().await;
    let acknowledged = waiting.await??;
    let (wall, cpu) = (start.elapsed(), cpu_time() - cpu);
    if acknowledged != records {
        return Err(format!("{acknowledged} of {records} records were acknowledged").into());
    }
    rate("produced", records, bytes, wall, cpu);
    producer.close_within(Duration::from_secs(5)).await;
    Ok(())
}

/// Looks at every record where it lies in its batch.
async fn consume_batches(client: &Client, topic: &str, bytes: usize, records: usize) -> Result<()> {
    let consumer = client
        .consumer()
        .subscribe([topic])
        .start(Start::Oldest)
        .build()?;
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut seen = 0;
    while seen < records {
        let batch = consumer.next_batch().await?.ok_or("the consumer ended")?;
        for record in batch.records() {
            seen += usize::from(record?.value.is_some_and(|value| value.len() == bytes));
        }
    }
    rate("batches", seen, bytes, start.elapsed(), cpu_time() - cpu);
    consumer.close_within(Duration::from_secs(5)).await?;
    Ok(())
}

async fn consume_records(client: &Client, topic: &str, bytes: usize, records: usize) -> Result<()> {
    let consumer = client
        .consumer()
        .subscribe([topic])
        .start(Start::Oldest)
        .build()?;
    let (start, cpu) = (Instant::now(), cpu_time());
    let mut seen = 0;
    while seen < records {
        let record = consumer.next().await?.ok_or("the consumer ended")?;
        seen += usize::from(record.value().is_some_and(|value| value.len() == bytes));
    }
    rate("records", seen, bytes, start.elapsed(), cpu_time() - cpu);
    consumer.close_within(Duration::from_secs(5)).await?;
    Ok(())
}

fn rate(name: &str, records: usize, bytes: usize, wall: Duration, cpu: Duration) {
    let (millions, wall) = (records as f64 / 1e6, wall.as_secs_f64());
    println!(
        "{name}: {records} records of {bytes} bytes, {:.2} M records/s, {:.0} MB/s, {:.3} CPU s per million",
        millions / wall,
        millions * bytes as f64 / wall,
        cpu.as_secs_f64() / millions,
    );
}

const WARM_UP: usize = 500;

fn row(name: &str, mut times: Vec<Duration>, cpu: Duration) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    let per_record = cpu.as_secs_f64() * 1e6 / times.len() as f64;
    println!(
        "{name:<8}{:>10.1}{:>10.1}{per_record:>14.1}",
        at(50),
        at(99)
    );
}

/// User plus system time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
