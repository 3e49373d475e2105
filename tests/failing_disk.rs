//! A disk that fails under a running broker: nothing is acknowledged that could be lost, what was acknowledged is
//! served on, the broker says which file and why, and other topics do not notice.

use std::io::{ErrorKind, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use kafka_broker::Broker;
use kafka_broker::log::{Fault, MemoryDisk, Operation};
use kafka_client::admin::NewTopic;
use kafka_client::consumer::Start;
use kafka_client::{Client, ErrorKind as Kind, Record};

/// A sync that failed says nothing of what it was to make durable, and neither does one that succeeds later.
#[tokio::test]
async fn nothing_is_acknowledged_after_a_sync_that_failed() {
    let stage = Stage::start(&[("log.flush.interval.messages", "1")]).await;
    stage.send("sync", "1").await.unwrap();
    stage.send("other", "1").await.unwrap();
    let fault = Fault::new(Operation::Sync, ErrorKind::Other);
    stage.disk.inject(fault.on("sync-0"));
    for _ in 0..2 {
        stage.is_refused("sync", "2").await;
    }
    stage.is_told(&["sync-0/00000000000000000000.log", "cannot sync"]);
    // Nobody has seen what was never acknowledged, and all else goes on.
    assert_eq!(stage.values("sync", 1).await, ["1"]);
    stage.send("other", "2").await.unwrap();
    assert_eq!(stage.values("other", 2).await, ["1", "2"]);
}

/// A write that fails half-way leaves unknown what lies in the file.
#[tokio::test]
async fn a_write_that_fails_takes_its_log_offline_alone() {
    let stage = Stage::start(&[]).await;
    stage.send("write", "1").await.unwrap();
    let fault = Fault::new(Operation::Write, ErrorKind::Other).on("write-0");
    stage.disk.inject(fault.written(10));
    for _ in 0..2 {
        stage.is_refused("write", "2").await;
    }
    stage.is_told(&["write-0/00000000000000000000.log", "cannot write"]);
    assert_eq!(stage.values("write", 1).await, ["1"]);
    stage.send("other", "1").await.unwrap();
}

/// A full disk is no failure: the log is as it was, and goes on as soon as there is room.
#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room() {
    let stage = Stage::start(&[]).await;
    stage.send("full", "1").await.unwrap();
    stage.disk.set_capacity(Some(0));
    stage.is_refused("full", "2").await;
    stage.is_told(&["full-0/00000000000000000000.log", "cannot write"]);
    assert_eq!(stage.values("full", 1).await, ["1"]);
    stage.disk.set_capacity(None);
    stage.send("full", "3").await.unwrap();
    assert_eq!(stage.values("full", 2).await, ["1", "3"]);
}

/// A disk that takes no writes any more serves what it has.
#[tokio::test]
async fn a_disk_that_became_read_only_is_read() {
    let stage = Stage::start(&[]).await;
    stage.send("locked", "1").await.unwrap();
    for operation in [Operation::Write, Operation::SetLen, Operation::Rename] {
        let fault = Fault::new(operation, ErrorKind::ReadOnlyFilesystem);
        stage.disk.inject(fault.times(usize::MAX));
    }
    stage.is_refused("locked", "2").await;
    stage.is_told(&["locked-0/00000000000000000000.log", "read-only"]);
    assert_eq!(stage.values("locked", 1).await, ["1"]);
    let admin = stage.client.admin();
    let made = admin.create_topic(NewTopic::new("new"));
    let refused = tokio::time::timeout(PATIENCE, made).await.unwrap();
    assert!(refused.is_err());
}

/// A broker in memory, a client, and what the broker logs.
struct Stage {
    disk: MemoryDisk,
    client: Client,
    _broker: Broker,
}

impl Stage {
    async fn start(settings: &[(&str, &str)]) -> Self {
        log();
        let disk = MemoryDisk::new();
        let mut builder = Broker::builder().memory_disk(disk.clone());
        for (name, value) in settings {
            builder = builder.set(*name, *value);
        }
        let broker = builder.start().await.unwrap();
        let client = Client::builder()
            .bootstrap_servers(broker.bootstrap_servers())
            .request_timeout(Duration::from_secs(1));
        let client = client.build().unwrap();
        for topic in ["sync", "write", "full", "locked", "other"] {
            let topic = NewTopic::new(topic).partitions(1);
            client.admin().create_topic(topic).await.unwrap();
        }
        Self {
            disk,
            client,
            _broker: broker,
        }
    }

    async fn send(&self, topic: &str, value: &str) -> Result<(), Kind> {
        let producer = self
            .client
            .producer()
            .delivery_timeout(Duration::from_secs(2));
        let producer = producer.build().unwrap();
        let sent = producer.send(Record::to(topic).partition(0).value(value));
        let sent = tokio::time::timeout(PATIENCE, sent).await.unwrap();
        sent.map(drop).map_err(|error| error.kind())
    }

    async fn is_refused(&self, topic: &str, value: &str) {
        assert!(self.send(topic, value).await.is_err(), "{topic} {value}");
    }

    /// What a reader finds in a topic, which is just so much.
    async fn values(&self, topic: &str, count: usize) -> Vec<String> {
        let consumer = self.client.consumer().subscribe([topic]);
        let consumer = consumer.start(Start::Oldest).build().unwrap();
        let mut values = Vec::new();
        for _ in 0..count {
            let record = tokio::time::timeout(PATIENCE, consumer.next()).await;
            let record = record.unwrap().unwrap().unwrap();
            values.push(String::from_utf8(record.value().unwrap().to_vec()).unwrap());
        }
        let more = tokio::time::timeout(SILENCE, consumer.next()).await;
        assert!(more.is_err(), "{more:?}");
        values
    }

    /// One line of the broker's log has all of this.
    fn is_told(&self, parts: &[&str]) {
        let text = String::from_utf8(log().0.lock().unwrap().clone()).unwrap();
        let has_all = |line: &str| parts.iter().all(|part| line.contains(part));
        assert!(text.lines().any(has_all), "{parts:?} is not in:\n{text}");
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(300);

/// What is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let written = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::ERROR)
            .with_ansi(false)
            .with_writer(move || written.clone())
            .init();
        log
    })
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
