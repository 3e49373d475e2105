//! What lies in a broker's data directory, and what may be wrong with it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use kafka_broker::{Broker, BrokerError};
use kafka_client::admin::NewTopic;
use kafka_client::{Client, Record};
use tempfile::TempDir;

use crate::stories::reading::{Seen, read_all, soon};

/// A second broker is refused, and the first goes on.
pub(crate) async fn a_directory_in_use_is_refused() {
    let dir = TempDir::new().unwrap();
    let first = start(dir.path()).await.unwrap();
    let client = client(&first);
    create(&client, "t").await;
    refused(
        start(dir.path()).await,
        &[&dir.path().display().to_string(), "in use"],
    );
    let producer = client.producer().build().unwrap();
    soon("a send", producer.send(Record::to("t").value("v")))
        .await
        .unwrap();
    // And once the first is gone it is free.
    first.stop().await.unwrap();
    start(dir.path()).await.unwrap();
}

/// A directory that cannot be made or written; also for whom permissions do not count.
pub(crate) async fn a_directory_that_cannot_be_written_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "no directory").unwrap();
    for path in [file.join("below"), file] {
        refused(start(&path).await, &[&path.display().to_string()]);
    }
    assert_eq!(
        fs::read_to_string(dir.path().join("file")).unwrap(),
        "no directory"
    );
}

/// Data of one node is not given to another.
pub(crate) async fn the_directory_of_another_node_is_refused() {
    let dir = TempDir::new().unwrap();
    start(dir.path()).await.unwrap().stop().await.unwrap();
    let other = Broker::builder()
        .node_id(7)
        .data_dir(dir.path())
        .start()
        .await;
    refused(other, &[&dir.path().display().to_string(), "7"]);
}

/// A port that is taken is named.
pub(crate) async fn a_port_in_use_is_refused() {
    let first = Broker::builder().start().await.unwrap();
    let address = first.local_address().to_string();
    let second = Broker::builder().listen(&address).start().await;
    refused(second, &[&address, "in use"]);
}

/// The log ends with half a batch, garbage or zeros, as after a loss of power: all that is whole is there, and
/// writing goes on behind it.
pub(crate) async fn a_torn_last_batch_is_cut_off() {
    for (name, tail) in [
        (
            "half a batch",
            (|log: &[u8]| log[..log.len() / 2].to_vec()) as fn(&[u8]) -> Vec<u8>,
        ),
        ("a batch without its last byte", |log| {
            log[..log.len() - 1].to_vec()
        }),
        ("a damaged batch", |log| {
            let mut log = log.to_vec();
            *log.last_mut().unwrap() ^= 1;
            log
        }),
        ("garbage", |_| b"garbage".repeat(100)),
        ("zeros", |_| vec![0; 10_000]),
        ("one byte", |_| vec![0]),
    ] {
        let dir = TempDir::new().unwrap();
        let broker = start(dir.path()).await.unwrap();
        create(&client(&broker), "t").await;
        // One batch: then the whole log is one, and a copy of it what a next one begins like.
        let values: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let producer = client(&broker).producer().build().unwrap();
        let records: Vec<_> = values.iter().map(Record::of).collect();
        let ticket = soon("a send", producer.topic("t").send_batch(&records))
            .await
            .unwrap();
        soon("an acknowledgement", ticket).await.unwrap();
        broker.kill();

        let segment = dir.path().join("t-0").join("00000000000000000000.log");
        let log = fs::read(&segment).unwrap();
        let mut file = OpenOptions::new().append(true).open(&segment).unwrap();
        file.write_all(&tail(&log)).unwrap();
        drop(file);

        let broker = start(dir.path()).await.unwrap();
        let producer = client(&broker).producer().build().unwrap();
        let written = soon("a send", producer.send(Record::to("t").value("100"))).await;
        assert_eq!(written.unwrap().offset, 100, "behind {name}");
        let seen = read_all(&client(&broker), "t", 101).await;
        let numbers: Vec<_> = seen.iter().map(Seen::number).collect();
        assert_eq!(numbers, (0..=100).collect::<Vec<_>>(), "with {name}");
    }
}

async fn start(path: &Path) -> Result<Broker, BrokerError> {
    soon("a start", Broker::builder().data_dir(path).start()).await
}

fn client(broker: &Broker) -> Client {
    let client = Client::builder().bootstrap_servers(broker.bootstrap_servers());
    client
        .request_timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

async fn create(client: &Client, topic: &str) {
    let topic = NewTopic::new(topic).partitions(1);
    let made = soon("making a topic", client.admin().create_topics([topic])).await;
    made.unwrap().remove(0).1.unwrap();
}

/// The error names these things.
fn refused(broker: Result<Broker, BrokerError>, parts: &[&str]) {
    let error = broker.expect_err("it was to be refused");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}
