//! What the embedded broker leaves of a compacted topic, and of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use kafka_broker::{Broker, BrokerBuilder};
use kafka_client::admin::NewTopic;
use kafka_client::consumer::{Consumer, Start};
use kafka_client::{Client, Record};
use tempfile::TempDir;

use crate::stories::reading::{PATIENCE, Seen, produce_numbers, reader, soon, take};

/// The broker compacts by itself while it serves, and the remains are there after a stop and after a kill.
pub(crate) async fn only_the_last_value_of_each_key_is_left() {
    let dir = TempDir::new().unwrap();
    let broker = start(dir.path()).await;
    let client = client(&broker);
    let topic = NewTopic::new("t").partitions(1);
    let topic = topic
        .config("cleanup.policy", "compact")
        .config("segment.bytes", "2000")
        .config("min.cleanable.dirty.ratio", "0.01");
    soon("making a topic", client.admin().create_topic(topic))
        .await
        .unwrap();
    let producer = client.producer().build().unwrap();
    let mut last = BTreeMap::new();
    for number in 0..500_i64 {
        let key = format!("key {}", number % 7);
        let value = number.to_string();
        let record = Record::to("t").key(&key).value(&value);
        let written = soon("a send", producer.send(record)).await.unwrap();
        assert_eq!(written.offset, number);
        last.insert(key, number);
    }
    // What the active segment holds is not compacted, and a little more may wait.
    let segments = dir.path().join("t-0");
    wait_until("compaction", || {
        let size = size_of(&segments, ".log");
        (size < 6000).then_some(()).ok_or(size)
    })
    .await;
    let found = newest(&client).await;
    assert_eq!(found, last);
    broker.stop().await.unwrap();
    let checkpoint = std::fs::read_to_string(dir.path().join("cleaner-offset-checkpoint")).unwrap();
    let line = checkpoint.lines().nth(2).unwrap();
    let clean: i64 = line.strip_prefix("t 0 ").unwrap().parse().unwrap();
    assert!((300..500).contains(&clean), "{checkpoint}");

    let broker = start(dir.path()).await;
    assert_eq!(newest(&self::client(&broker)).await, last);
    broker.kill();
    let broker = start(dir.path()).await;
    assert_eq!(newest(&self::client(&broker)).await, last);
    broker.stop().await.unwrap();
}

/// What is committed lies in a topic that is compacted, so that it does not grow with the number of commits, and
/// is the same after a restart.
pub(crate) async fn offsets_that_are_committed_again_and_again_take_no_more_room() {
    let dir = TempDir::new().unwrap();
    let broker = start(dir.path()).await;
    let client = client(&broker);
    let topic = NewTopic::new("t").partitions(1);
    soon("making a topic", client.admin().create_topic(topic))
        .await
        .unwrap();
    produce_numbers(&client, "t", 0, 0..300).await;
    let consumer = member(&client);
    for number in 0..300 {
        let record = soon("a record", consumer.next()).await.unwrap().unwrap();
        assert_eq!(Seen::of(&record).number(), number);
        soon("a commit", consumer.commit_record(&record))
            .await
            .unwrap();
    }
    soon("closing", consumer.close_within(PATIENCE))
        .await
        .unwrap();
    let offsets = dir.path().join("__consumer_offsets-0");
    wait_until("compaction", || {
        let size = size_of(&offsets, ".log");
        (size < 10_000).then_some(()).ok_or(size)
    })
    .await;
    broker.kill();
    let broker = start(dir.path()).await;
    let client = self::client(&broker);
    produce_numbers(&client, "t", 0, 300..301).await;
    let consumer = member(&client);
    let record = soon("a record", consumer.next()).await.unwrap().unwrap();
    assert_eq!(Seen::of(&record).number(), 300, "nothing is read twice");
    soon("closing", consumer.close_within(PATIENCE))
        .await
        .unwrap();
    broker.stop().await.unwrap();
}

fn member(client: &Client) -> Consumer {
    let consumer = client.consumer().group("g").subscribe(["t"]);
    consumer.start(Start::Oldest).build().unwrap()
}

async fn start(path: &Path) -> Broker {
    soon("a start", builder(path).start()).await.unwrap()
}

fn builder(path: &Path) -> BrokerBuilder {
    Broker::builder()
        .data_dir(path)
        .set("log.cleaner.backoff.ms", "50")
        .set("log.cleaner.min.cleanable.ratio", "0.1")
        .set("offsets.topic.num.partitions", "1")
        .set("offsets.topic.segment.bytes", "4000")
}

fn client(broker: &Broker) -> Client {
    Client::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .build()
        .unwrap()
}

/// The newest value of each key, read from the beginning up to a record that is written for it.
async fn newest(client: &Client) -> BTreeMap<String, i64> {
    let producer = client.producer().build().unwrap();
    let end = Record::to("t").key("end").value("-1");
    let end = soon("a send", producer.send(end)).await.unwrap().offset;
    let consumer = reader(client, "t");
    let mut newest = BTreeMap::new();
    loop {
        let seen = take(&consumer, 1).await.remove(0);
        if seen.offset == end {
            break;
        }
        let key = String::from_utf8(seen.key.clone().unwrap()).unwrap();
        newest.insert(key, seen.number());
    }
    soon("closing", consumer.close_within(PATIENCE))
        .await
        .unwrap();
    newest.remove("end");
    newest
}

/// Bytes of the files in a directory whose names end so.
fn size_of(dir: &Path, end: &str) -> u64 {
    let files = std::fs::read_dir(dir).unwrap().flatten();
    files
        .filter(|file| file.file_name().to_string_lossy().ends_with(end))
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

async fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<(), u64>) {
    let begun = Instant::now();
    while let Err(found) = is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
