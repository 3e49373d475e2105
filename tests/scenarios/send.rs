//! What a producer promises of each record.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_client::producer::Acks;
use kafka_client::{ErrorKind, Record};

use crate::stories::reading::{Seen, place, read_all, soon, within};
use crate::stories::stage::Stage;

/// Key, value, headers with their order and repetitions, and time.
pub(crate) async fn each_record_comes_back_as_it_was_sent(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let headers: &[(&str, Option<&[u8]>)] = &[
        ("trace", Some(b"a")),
        ("trace", Some(b"b")),
        ("empty", Some(b"")),
        ("null", None),
        ("\u{e9}t\u{e9}", Some(&[0, 255, 128])),
    ];
    let binary: Vec<u8> = (0..=255).collect();
    let sent = [
        Record::to(&topic).key("k").value("v").timestamp_ms(1_000),
        Record::to(&topic).value(&binary).timestamp_ms(2_000),
        Record::to(&topic)
            .key(&binary)
            .value("w")
            .headers(headers)
            .timestamp_ms(1_500),
    ];
    for (offset, record) in sent.iter().enumerate() {
        let written = soon("a send", producer.send(*record)).await.unwrap();
        assert_eq!(place(&written), (0, offset as i64));
    }

    let seen = read_all(&client, &topic, 3).await;
    let times: Vec<_> = seen.iter().map(|seen| seen.timestamp_ms).collect();
    assert_eq!(times, [1_000, 2_000, 1_500]);
    let keys: Vec<_> = seen.iter().map(|seen| seen.key.clone()).collect();
    assert_eq!(keys, [Some(b"k".to_vec()), None, Some(binary.clone())]);
    let values: Vec<_> = seen.iter().map(|seen| seen.value.clone()).collect();
    assert_eq!(
        values,
        [Some(b"v".to_vec()), Some(binary), Some(b"w".to_vec())]
    );
    let owned =
        |(key, value): &(&str, Option<&[u8]>)| ((*key).to_owned(), value.map(<[u8]>::to_vec));
    assert_eq!(
        seen[2].headers,
        headers.iter().map(owned).collect::<Vec<_>>()
    );
    assert!(seen[0].headers.is_empty() && seen[1].headers.is_empty());
}

/// In keys, in values, and in both.
pub(crate) async fn null_and_empty_are_different(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let record = Record::to(&topic);
    let sent = [
        record,
        record.key(""),
        record.value(""),
        record.key("").value(""),
    ];
    for record in sent {
        soon("a send", producer.send(record)).await.unwrap();
    }
    let seen = read_all(&client, &topic, sent.len()).await;
    let seen: Vec<_> = seen
        .into_iter()
        .map(|seen| (seen.key, seen.value))
        .collect();
    let empty = || Some(Vec::new());
    assert_eq!(
        seen,
        [
            (None, None),
            (empty(), None),
            (None, empty()),
            (empty(), empty())
        ]
    );
}

/// A record without a time gets that of the call.
pub(crate) async fn a_record_carries_the_time_of_its_send(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let before = now_ms();
    let record = Record::to(&topic).value("v");
    soon("a send", producer.send(record)).await.unwrap();
    let after = now_ms();
    let time = read_all(&client, &topic, 1).await[0].timestamp_ms;
    // The client's clock may be a coarse one.
    assert!(
        (before - 50..=after).contains(&time),
        "{before} <= {time} <= {after}"
    );
}

/// Nothing leaves before its time, and everything when it is flushed.
pub(crate) async fn flush_sends_what_lingers(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 3).await;
    let producer = client
        .producer()
        .linger(Duration::from_secs(40))
        .build()
        .unwrap();
    let mut tickets = Vec::new();
    for number in 0..100 {
        let value = number.to_string();
        let record = Record::to(&topic).value(&value).partition(number % 3);
        tickets.push(soon("room", producer.enqueue(record)).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(
        tickets.iter().all(|ticket| ticket.outcome().is_none()),
        "they were to linger"
    );
    within(Duration::from_secs(10), "a flush", producer.flush()).await;
    for (number, ticket) in tickets.iter().enumerate() {
        let written = ticket.outcome().expect("flush waits for it").unwrap();
        assert_eq!(place(&written), (number as i32 % 3, number as i64 / 3));
    }
    assert_eq!(read_all(&client, &topic, 100).await.len(), 100);
}

/// Before the first record and after the last.
pub(crate) async fn flush_with_nothing_to_send_is_over_at_once(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let limit = Duration::from_millis(500);
    within(limit, "a flush of nothing", producer.flush()).await;
    soon("a send", producer.send(Record::to(&topic).value("v")))
        .await
        .unwrap();
    within(limit, "a flush after an acknowledgement", producer.flush()).await;
}

/// A ticket that nobody waits for.
pub(crate) async fn a_dropped_ticket_cancels_nothing(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    for number in 0..10 {
        let value = number.to_string();
        let record = Record::to(&topic).value(&value);
        drop(soon("room", producer.enqueue(record)).await.unwrap());
    }
    soon("a flush", producer.flush()).await;
    let seen = read_all(&client, &topic, 10).await;
    let numbers: Vec<_> = seen.iter().map(Seen::number).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

/// Java's own test vectors of murmur2, and what follows from them for seven partitions.
pub(crate) async fn a_key_finds_the_partition_that_java_gives_it(stage: Stage) {
    const PARTITIONS: i32 = 7;
    const HASHES: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        (
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        ),
        ("abc", 479_470_107),
    ];
    let client = stage.client();
    let topic = stage.topic("t", PARTITIONS).await;
    let producer = client.producer().build().unwrap();
    for (key, hash) in HASHES {
        let expected = (hash & i32::MAX) % PARTITIONS;
        let record = Record::to(&topic).key(key).value("v");
        let written = soon("a send", producer.send(record)).await.unwrap();
        assert_eq!(written.partition, expected, "{key}");
        // Wherever records without a key go meanwhile.
        let other = Record::to(&topic).value("v");
        soon("a send", producer.send(other)).await.unwrap();
    }
    let keyed = read_all(&client, &topic, 2 * HASHES.len()).await;
    for seen in keyed.iter().filter(|seen| seen.key.is_some()) {
        let of_key = |(key, _): &&(&str, i32)| Some(key.as_bytes()) == seen.key.as_deref();
        let (_, hash) = HASHES.iter().find(of_key).unwrap();
        assert_eq!(seen.partition, (hash & i32::MAX) % PARTITIONS);
    }
}

/// A partition that the topic does not have is refused before anything is sent.
pub(crate) async fn a_partition_that_is_not_there_is_named(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 2).await;
    let producer = client.producer().build().unwrap();
    for partition in [2, -1, i32::MAX] {
        let record = Record::to(&topic).value("v").partition(partition);
        let error = soon("a refusal", producer.send(record)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(
            error.to_string().contains(&format!("{topic}-{partition}")),
            "{error}"
        );
    }
    assert!(read_all(&client, &topic, 0).await.is_empty());
}

/// Before 1970 there is no time: -1 stands for none on the wire.
pub(crate) async fn a_negative_timestamp_is_refused(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap().topic(&topic);
    let (good, bad) = (Record::of("v"), Record::of("v").timestamp_ms(-5));
    soon("a send", producer.send(good)).await.unwrap();
    let one = soon("a refusal", producer.send(bad)).await.unwrap_err();
    let bulk = soon("a refusal", producer.send_batch(&[good, bad, good])).await;
    for error in [one, bulk.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains("-5"), "{error}");
    }
    let written = soon("a send", producer.send(good.timestamp_ms(0))).await;
    assert_eq!(
        written.unwrap().offset,
        2,
        "the one before the bad one is sent"
    );
}

/// The weaker acknowledgements: of the leader, and none at all.
pub(crate) async fn fewer_acknowledgements_still_deliver(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    for (acks, expected) in [(Acks::Leader, 0), (Acks::None, -1)] {
        let producer = client.producer().idempotence(false).acks(acks);
        let producer = producer.build().unwrap();
        let record = Record::to(&topic).value("v");
        let written = soon("a send", producer.send(record)).await.unwrap();
        assert_eq!(written.offset, expected, "{acks:?}");
    }
    assert_eq!(read_all(&client, &topic, 2).await.len(), 2);
}

/// Tasks that share a producer, one after the other and in bulk.
pub(crate) async fn many_tasks_share_a_producer(stage: Stage) {
    const TASKS: usize = 8;
    const RECORDS: usize = 200;
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let handle = producer.topic(&topic);
            tokio::spawn(async move {
                let mut tickets = Vec::new();
                for number in 0..RECORDS {
                    let (key, value) = (task.to_string(), number.to_string());
                    let record = Record::of(&value).key(&key);
                    tickets.push(handle.enqueue(record).await.unwrap());
                }
                let mut last = -1;
                for ticket in tickets {
                    let offset = ticket.await.unwrap().offset;
                    assert!(offset > last, "{offset} follows {last}");
                    last = offset;
                }
            })
        })
        .collect();
    for task in tasks {
        soon("a task", task).await.unwrap();
    }
    let mut numbers: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for seen in read_all(&client, &topic, TASKS * RECORDS).await {
        let number = seen.text().parse().unwrap();
        numbers.entry(seen.key.unwrap()).or_default().push(number);
    }
    assert_eq!(numbers.len(), TASKS);
    for (task, numbers) in numbers {
        assert_eq!(
            numbers,
            (0..RECORDS).collect::<Vec<_>>(),
            "of task {task:?}"
        );
    }
}

fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since_1970.as_millis() as i64
}
