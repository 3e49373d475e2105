//! How stories read: with a deadline, and into values that they can compare.

use std::time::Duration;

use kafka_client::consumer::{Consumer, ConsumerRecord, Start};
use kafka_client::{Client, Record, RecordMetadata};

/// How long a story waits for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a story waits for what should not come.
pub(crate) const SILENCE: Duration = Duration::from_millis(400);

/// A record as it came back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Seen {
    pub(crate) fn of(record: &ConsumerRecord) -> Self {
        Self {
            topic: record.topic().to_owned(),
            partition: record.partition(),
            offset: record.offset(),
            timestamp_ms: record.timestamp_ms(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: record
                .headers()
                .map(|header| (header.key().into_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }

    /// The value as text.
    pub(crate) fn text(&self) -> &str {
        let value = self.value.as_deref().expect("the record has a value");
        std::str::from_utf8(value).expect("the value is text")
    }

    /// The value as a number.
    pub(crate) fn number(&self) -> i64 {
        self.text().parse().expect("the value is a number")
    }
}

/// Waits for `future` no longer than [`PATIENCE`].
#[track_caller]
pub(crate) fn soon<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    within(PATIENCE, what, future)
}

/// Waits for `future`, and panics at the caller when it takes longer.
#[track_caller]
pub(crate) fn within<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(limit, future).await {
            Ok(done) => done,
            Err(_) => panic!("{caller}: {what} took longer than {limit:?}"),
        }
    }
}

/// Looks again and again until `condition` holds.
#[track_caller]
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    soon(what, async move {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

/// Sends these numbers as values, and waits until each is acknowledged.
pub(crate) async fn produce_numbers(
    client: &Client,
    topic: &str,
    partition: i32,
    numbers: std::ops::Range<i64>,
) {
    let producer = client.producer().build().unwrap();
    let handle = producer.topic(topic);
    let values: Vec<String> = numbers.map(|number| number.to_string()).collect();
    let records: Vec<_> = values
        .iter()
        .map(|v| Record::of(v).partition(partition))
        .collect();
    let ticket = soon("a bulk send", handle.send_batch(&records))
        .await
        .unwrap();
    let written = soon("its acknowledgement", ticket).await.unwrap();
    assert_eq!(written, values.len());
}

/// The next `count` records.
pub(crate) async fn take(consumer: &Consumer, count: usize) -> Vec<Seen> {
    let mut seen = Vec::with_capacity(count);
    while seen.len() < count {
        let so_far = seen.len();
        match tokio::time::timeout(PATIENCE, consumer.next()).await {
            Ok(record) => seen.push(Seen::of(&record.unwrap().expect("the consumer is open"))),
            Err(_) => panic!(
                "{so_far} of {count} records came, and no more in {PATIENCE:?}: {:?}",
                consumer.partition_status()
            ),
        }
    }
    seen
}

/// Panics if a record comes that should not.
pub(crate) async fn nothing_comes(consumer: &Consumer) {
    if let Ok(record) = tokio::time::timeout(SILENCE, consumer.next()).await {
        panic!("no record was to come, but this did: {record:?}");
    }
}

/// A consumer of all partitions of a topic from their beginning.
pub(crate) fn reader(client: &Client, topic: &str) -> Consumer {
    let consumer = client.consumer().subscribe([topic]).start(Start::Oldest);
    consumer.build().unwrap()
}

/// All that a topic holds, which must be exactly `count` records, by partition and offset.
pub(crate) async fn read_all(client: &Client, topic: &str, count: usize) -> Vec<Seen> {
    let consumer = reader(client, topic);
    let mut seen = take(&consumer, count).await;
    nothing_comes(&consumer).await;
    soon("closing", consumer.close_within(PATIENCE))
        .await
        .unwrap();
    seen.sort_by_key(|seen| (seen.partition, seen.offset));
    seen
}

/// Where a record stands, as its acknowledgement and its reader say it.
pub(crate) fn place(written: &RecordMetadata) -> (i32, i64) {
    (written.partition, written.offset)
}
