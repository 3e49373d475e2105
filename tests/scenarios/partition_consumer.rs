//! Reading chosen partitions, without a group.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_client::consumer::{Consumer, OnOutOfRange, Start};
use kafka_client::{ErrorKind, Record};

use crate::stories::reading::{
    PATIENCE, Seen, nothing_comes, produce_numbers, read_all, reader, soon, take, until,
};
use crate::stories::stage::Stage;

/// Many records over several partitions, all in flight together.
pub(crate) async fn order_is_kept_in_each_partition(stage: Stage) {
    const PARTITIONS: i32 = 4;
    const RECORDS: usize = 8_000;
    let client = stage.client();
    let topic = stage.topic("t", PARTITIONS).await;
    // Small batches, so that many are under way.
    let producer = client.producer().batch_bytes(1 << 10).build().unwrap();
    let handle = producer.topic(&topic);
    let mut tickets = Vec::with_capacity(RECORDS);
    let mut expected: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for number in 0..RECORDS {
        let partition = (number * 7 % PARTITIONS as usize) as i32;
        let value = format!("record {number}");
        let record = Record::of(&value).partition(partition);
        tickets.push(soon("room", handle.enqueue(record)).await.unwrap());
        expected.entry(partition).or_default().push(value);
    }
    let mut next = BTreeMap::new();
    for ticket in tickets {
        let written = soon("an acknowledgement", ticket).await.unwrap();
        let offset = next.entry(written.partition).or_insert(0);
        assert_eq!(
            written.offset, *offset,
            "in partition {}",
            written.partition
        );
        *offset += 1;
    }

    // Not sorted: as they came.
    let mut values: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for seen in take(&reader(&client, &topic), RECORDS).await {
        let of_partition = values.entry(seen.partition).or_default();
        assert_eq!(seen.offset, of_partition.len() as i64);
        of_partition.push(seen.text().to_owned());
    }
    assert_eq!(values, expected);
}

/// At the oldest record, at an offset, at a time, at the end.
pub(crate) async fn reading_starts_where_it_is_told(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    for number in 0..10_i64 {
        let value = number.to_string();
        let record = Record::to(&topic)
            .value(&value)
            .timestamp_ms(1_000 * number);
        soon("a send", producer.send(record)).await.unwrap();
    }
    for (start, first) in [
        (Start::Oldest, 0),
        (Start::Offset(0), 0),
        (Start::Offset(7), 7),
        (Start::Timestamp(0), 0),
        (Start::Timestamp(4_000), 4),
        (Start::Timestamp(4_001), 5),
    ] {
        let consumer = client
            .consumer()
            .assign([(&topic, 0, start)])
            .build()
            .unwrap();
        let seen = take(&consumer, 10 - first).await;
        assert_eq!(
            numbers(&seen),
            (first as i64..10).collect::<Vec<_>>(),
            "{start:?}"
        );
    }
    // These wait for what comes next.
    let mut waiting = Vec::new();
    for start in [Start::Newest, Start::Offset(10), Start::Timestamp(9_001)] {
        let consumer = client
            .consumer()
            .assign([(&topic, 0, start)])
            .build()
            .unwrap();
        nothing_comes(&consumer).await;
        until("it knows its place", || {
            consumer.position((topic.as_str(), 0)) == Some(10)
        })
        .await;
        waiting.push((start, consumer));
    }
    let record = Record::to(&topic).value("10").timestamp_ms(10_000);
    soon("a send", producer.send(record)).await.unwrap();
    for (start, consumer) in waiting {
        assert_eq!(numbers(&take(&consumer, 1).await), [10], "{start:?}");
    }
}

/// Before the first record is asked for, and so before the cluster is.
pub(crate) async fn named_partitions_are_sought_and_paused_at_once(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 2).await;
    produce_numbers(&client, &topic, 0, 0..10).await;
    produce_numbers(&client, &topic, 1, 0..10).await;
    for group in [None, Some(stage.name("g"))] {
        let consumer = client
            .consumer()
            .assign([(&topic, 0, Start::Oldest), (&topic, 1, Start::Oldest)]);
        let consumer = match group {
            Some(group) => consumer.group(group),
            None => consumer,
        };
        let consumer = consumer.build().unwrap();
        let tp = |number| (topic.as_str(), number);
        assert_eq!(consumer.assignment(), [tp(0).into(), tp(1).into()]);
        consumer.seek(tp(0), Start::Offset(7)).unwrap();
        consumer.pause(tp(1)).unwrap();
        consumer.seek(tp(2), Start::Oldest).unwrap_err();
        assert_eq!(numbers(&take(&consumer, 3).await), [7, 8, 9]);
        nothing_comes(&consumer).await;
        consumer.resume(tp(1)).unwrap();
        assert_eq!(
            numbers(&take(&consumer, 10).await),
            (0..10).collect::<Vec<_>>()
        );
    }
}

/// Back, ahead and to the end, also over what was fetched already.
pub(crate) async fn seek_goes_on_elsewhere(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    produce_numbers(&client, &topic, 0, 0..100).await;
    let tp = || (topic.as_str(), 0);
    let consumer = reader(&client, &topic);
    assert_eq!(
        numbers(&take(&consumer, 10).await),
        (0..10).collect::<Vec<_>>()
    );
    assert_eq!(consumer.position(tp()), Some(10));

    consumer.seek(tp(), Start::Offset(5)).unwrap();
    assert_eq!(numbers(&take(&consumer, 2).await), [5, 6]);
    consumer.seek(tp(), Start::Offset(90)).unwrap();
    assert_eq!(
        numbers(&take(&consumer, 10).await),
        (90..100).collect::<Vec<_>>()
    );
    consumer.seek(tp(), Start::Oldest).unwrap();
    assert_eq!(numbers(&take(&consumer, 1).await), [0]);
    consumer.seek(tp(), Start::Newest).unwrap();
    nothing_comes(&consumer).await;
    produce_numbers(&client, &topic, 0, 100..101).await;
    assert_eq!(numbers(&take(&consumer, 1).await), [100]);

    let error = consumer
        .seek((topic.as_str(), 9), Start::Oldest)
        .unwrap_err();
    assert!(error.to_string().contains(&format!("{topic}-9")), "{error}");
    for negative in [Start::Offset(-1), Start::Timestamp(-1)] {
        let error = consumer.seek(tp(), negative).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
}

/// Nothing of a paused partition comes, not even what was fetched; the others go on.
pub(crate) async fn a_paused_partition_waits_for_its_resume(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 2).await;
    for partition in [0, 1] {
        produce_numbers(&client, &topic, partition, 0..50).await;
    }
    let consumer = reader(&client, &topic);
    let first = take(&consumer, 1).await.remove(0);
    let paused = first.partition;
    consumer.pause((topic.as_str(), paused)).unwrap();
    consumer.pause((topic.as_str(), paused)).unwrap();
    let others = take(&consumer, 50).await;
    assert!(others.iter().all(|seen| seen.partition != paused));
    assert_eq!(numbers(&others), (0..50).collect::<Vec<_>>());
    nothing_comes(&consumer).await;

    consumer.resume((topic.as_str(), paused)).unwrap();
    assert_eq!(
        numbers(&take(&consumer, 49).await),
        (1..50).collect::<Vec<_>>()
    );
    nothing_comes(&consumer).await;
}

/// The error names partition, offset and range; the partition stops, the others go on, and a seek mends it.
pub(crate) async fn a_position_out_of_range_is_an_error(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 2).await;
    produce_numbers(&client, &topic, 0, 0..10).await;
    let starts = [(&topic, 0, Start::Offset(99)), (&topic, 1, Start::Oldest)];
    let consumer = client.consumer().assign(starts).build().unwrap();
    let error = soon("an error", consumer.next()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OffsetOutOfRange, "{error}");
    let text = error.to_string();
    for part in [&format!("{topic}-0"), "99", "0 to 10"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    nothing_comes(&consumer).await;
    produce_numbers(&client, &topic, 1, 0..1).await;
    assert_eq!(take(&consumer, 1).await[0].partition, 1);
    consumer
        .seek((topic.as_str(), 0), Start::Offset(8))
        .unwrap();
    assert_eq!(numbers(&take(&consumer, 2).await), [8, 9]);
}

/// The two policies that go on by themselves.
pub(crate) async fn a_policy_mends_a_position_out_of_range(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    produce_numbers(&client, &topic, 0, 0..10).await;
    let lost = |policy| {
        let consumer = client.consumer().assign([(&topic, 0, Start::Offset(99))]);
        consumer.on_out_of_range(policy).build().unwrap()
    };
    assert_eq!(numbers(&take(&lost(OnOutOfRange::Oldest), 1).await), [0]);
    let consumer = lost(OnOutOfRange::Newest);
    nothing_comes(&consumer).await;
    until("it knows its place", || {
        consumer.position((topic.as_str(), 0)) == Some(10)
    })
    .await;
    produce_numbers(&client, &topic, 0, 10..11).await;
    assert_eq!(numbers(&take(&consumer, 1).await), [10]);
}

/// A record larger than what a fetch may hold, and more records than the buffer does.
pub(crate) async fn small_limits_still_let_everything_through(stage: Stage) {
    const RECORDS: usize = 60;
    let client = stage.client();
    let topic = stage.topic("t", 3).await;
    let producer = client.producer().build().unwrap();
    let value = |number: usize| vec![number as u8; 20_000 + number];
    for number in 0..RECORDS {
        let value = value(number);
        let record = Record::to(&topic)
            .value(&value)
            .partition(number as i32 % 3);
        let _sent = soon("room", producer.enqueue(record)).await.unwrap();
    }
    soon("a flush", producer.flush()).await;
    let consumer = client
        .consumer()
        .subscribe([&topic])
        .start(Start::Oldest)
        .partition_bytes_max(1_000)
        .fetch_bytes_max(2_000)
        .buffer_bytes(30_000)
        .build()
        .unwrap();
    let mut next = [0, 1, 2];
    for seen in take(&consumer, RECORDS).await {
        let number = &mut next[seen.partition as usize];
        assert_eq!(seen.value.unwrap(), value(*number));
        *number += 3;
    }
    nothing_comes(&consumer).await;
}

/// Batches as they were written, and records borrowed from them.
pub(crate) async fn whole_batches_are_read(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    produce_numbers(&client, &topic, 0, 0..500).await;
    produce_numbers(&client, &topic, 0, 500..1_000).await;
    let consumer = reader(&client, &topic);
    let mut next = 0_i64;
    while next < 1_000 {
        let batch = soon("a batch", consumer.next_batch())
            .await
            .unwrap()
            .unwrap();
        for record in batch.records() {
            let record = record.unwrap();
            assert_eq!(record.offset, next);
            assert_eq!(record.value, Some(next.to_string().as_bytes()));
            next += 1;
        }
        assert_eq!(batch.next_offset(), next);
    }
}

/// Whoever gives up waiting for a record does not lose it.
pub(crate) async fn a_dropped_wait_loses_no_record(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let consumer = reader(&client, &topic);
    let producing = {
        let (client, topic) = (client.clone(), topic.clone());
        tokio::spawn(async move {
            for start in 0..20 {
                produce_numbers(&client, &topic, 0, start * 10..start * 10 + 10).await;
            }
        })
    };
    let mut seen = Vec::new();
    let reading = async {
        while seen.len() < 200 {
            let wait = Duration::from_micros(50 * (seen.len() as u64 % 7));
            if let Ok(record) = tokio::time::timeout(wait, consumer.next()).await {
                seen.push(Seen::of(&record.unwrap().unwrap()));
            }
        }
    };
    soon("reading", reading).await;
    assert_eq!(numbers(&seen), (0..200).collect::<Vec<_>>());
    soon("producing", producing).await.unwrap();
}

/// Clones of a consumer share the work: each record goes to one of them.
pub(crate) async fn clones_share_the_records(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 2).await;
    for partition in [0, 1] {
        produce_numbers(&client, &topic, partition, 0..300).await;
    }
    let consumer = reader(&client, &topic);
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let consumer = consumer.clone();
            tokio::spawn(async move { drain(&consumer).await })
        })
        .collect();
    let all_read = || {
        let position = |partition| consumer.position((topic.as_str(), partition));
        position(0) == Some(300) && position(1) == Some(300)
    };
    until("all is read", all_read).await;
    soon("closing", consumer.close_within(Duration::from_secs(5)))
        .await
        .unwrap();
    let mut places = Vec::new();
    for reader in readers {
        let seen = soon("a reader", reader).await.unwrap();
        places.extend(seen.iter().map(|seen| (seen.partition, seen.offset)));
    }
    places.sort_unstable();
    let expected = (0..2).flat_map(|partition| (0..300).map(move |offset| (partition, offset)));
    assert_eq!(places, expected.collect::<Vec<_>>());
}

/// Two topics with one consumer, and all of both.
pub(crate) async fn one_consumer_reads_several_topics(stage: Stage) {
    let client = stage.client();
    let topics = [stage.topic("a", 2).await, stage.topic("b", 1).await];
    produce_numbers(&client, &topics[0], 0, 0..5).await;
    produce_numbers(&client, &topics[0], 1, 5..10).await;
    produce_numbers(&client, &topics[1], 0, 10..15).await;
    let consumer = client
        .consumer()
        .subscribe(&topics)
        .start(Start::Oldest)
        .build()
        .unwrap();
    let mut seen = take(&consumer, 15).await;
    nothing_comes(&consumer).await;
    seen.sort();
    assert_eq!(numbers(&seen), (0..15).collect::<Vec<_>>());
    let of = |topic: &String| seen.iter().filter(|seen| seen.topic == *topic).count();
    assert_eq!((of(&topics[0]), of(&topics[1])), (10, 5));
    assert_eq!(read_all(&client, &topics[1], 5).await.len(), 5);
}

async fn drain(consumer: &Consumer) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(record) = consumer.next().await.unwrap() {
        seen.push(Seen::of(&record));
    }
    seen
}

fn numbers(seen: &[Seen]) -> Vec<i64> {
    seen.iter().map(Seen::number).collect()
}

/// A loop over records that lie ready lets other tasks of its thread run: heartbeats are among them.
pub(crate) async fn a_busy_loop_leaves_room_for_others(stage: Stage) {
    let topic = stage.topic("t", 1).await;
    produce_numbers(&stage.client(), &topic, 0, 0..5000).await;
    // One thread for everything.
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let consumer = reader(&stage.client(), &topic);
            take(&consumer, 1).await;
            let all_is_here = || {
                let status = consumer.partition_status();
                let position = status.first().and_then(|status| status.position);
                position == Some(5000)
            };
            until("all is fetched", all_is_here).await;
            let other = tokio::spawn(async {});
            let mut before = 0;
            while !other.is_finished() && before < 4000 {
                consumer
                    .next()
                    .await
                    .unwrap()
                    .expect("the consumer is open");
                before += 1;
            }
            consumer.close_within(PATIENCE).await.unwrap();
            before
        })
    });
    let ended = tokio::task::spawn_blocking(move || thread.join());
    let before = soon("the thread", ended).await.unwrap().unwrap();
    assert!(before < 1000, "the other waited for {before} records");
}

/// A consumer of a client that knows the cluster already has nothing to complain of, however long it waits.
pub(crate) async fn a_consumer_of_a_warm_client_waits_in_peace(stage: Stage) {
    let topic = stage.topic("t", 1).await;
    let client = stage
        .client_builder()
        .api_timeout(Duration::from_millis(400));
    let client = client.build().unwrap();
    let producer = client.producer().build().unwrap();
    soon("a send", producer.send(Record::to(&topic).value("0")))
        .await
        .unwrap();
    let consumer = client.consumer().subscribe([&topic]).start(Start::Newest);
    let consumer = consumer.build().unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(1500), consumer.next());
    assert!(waiting.await.is_err(), "no record and no error");
}
