//! The cluster goes away and comes back, in order or not: nothing that was acknowledged is lost or doubled, and
//! whoever was at work goes on by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kafka_client::consumer::Start;
use kafka_client::{Client, ErrorKind, Record};

use crate::stories::reading::{
    PATIENCE, Seen, nothing_comes, produce_numbers, read_all, reader, soon, take, until, within,
};
use crate::stories::stage::Stage;

/// Ten thousand records, each acknowledged, and then the plug.
pub(crate) async fn acknowledged_records_survive_a_kill(stage: Stage) {
    const RECORDS: i64 = 10_000;
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let handle = producer.topic(&topic);
    let mut tickets = Vec::new();
    for number in 0..RECORDS {
        let value = number.to_string();
        tickets.push(
            soon("room", handle.enqueue(Record::of(&value)))
                .await
                .unwrap(),
        );
    }
    for (number, ticket) in tickets.into_iter().enumerate() {
        let written = soon("an acknowledgement", ticket).await.unwrap();
        assert_eq!(written.offset, number as i64);
    }
    stage.power().kill().await;
    stage.power().start().await;
    let written = soon("a send", handle.send(Record::of(&RECORDS.to_string()))).await;
    assert_eq!(
        written.unwrap().offset,
        RECORDS,
        "the producer goes on by itself"
    );
    let seen = read_all(&client, &topic, RECORDS as usize + 1).await;
    assert_eq!(numbers(&seen), (0..=RECORDS).collect::<Vec<_>>());
}

/// Stops in order, while records are on their way.
pub(crate) async fn a_stop_under_load_loses_and_doubles_nothing(stage: Stage) {
    under_load(stage, false).await;
}

/// Stops as it stands, while records are on their way.
pub(crate) async fn a_kill_under_load_loses_and_doubles_nothing(stage: Stage) {
    under_load(stage, true).await;
}

async fn under_load(stage: Stage, kill: bool) {
    const PARTITIONS: i32 = 3;
    let client = stage.client();
    let topic = stage.topic("t", PARTITIONS).await;
    let over = Arc::new(AtomicBool::new(false));
    let producing = {
        let (over, topic, client) = (Arc::clone(&over), topic.clone(), client.clone());
        tokio::spawn(async move {
            let producer = client.producer().batch_bytes(500).build().unwrap();
            let handle = producer.topic(&topic);
            let mut tickets = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let value = tickets.len().to_string();
                let partition = tickets.len() as i32 % PARTITIONS;
                let record = Record::of(&value).partition(partition);
                tickets.push(handle.enqueue(record).await.unwrap());
                if tickets.len() % 20 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            producer.flush().await;
            let outcome = |ticket: &kafka_client::Ticket| ticket.outcome().expect("it is flushed");
            tickets.iter().map(outcome).collect::<Vec<_>>()
        })
    };
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if kill {
            stage.power().kill().await;
        } else {
            stage.power().stop().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.power().start().await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    over.store(true, Ordering::SeqCst);
    let outcomes = within(PATIENCE * 2, "the rest", producing).await.unwrap();
    assert!(
        outcomes.len() > 500,
        "{} records are no load",
        outcomes.len()
    );

    // Every record is acknowledged, and stands where its acknowledgement says, once.
    let mut expected = Vec::new();
    for (number, outcome) in outcomes.iter().enumerate() {
        let written = outcome
            .as_ref()
            .unwrap_or_else(|error| panic!("{number}: {error}"));
        expected.push((written.partition, number as i64, written.offset));
    }
    expected.sort_unstable();
    let seen = read_all(&client, &topic, outcomes.len()).await;
    for (seen, (partition, number, offset)) in seen.iter().zip(expected) {
        assert_eq!(
            (seen.partition, seen.number()),
            (partition, number),
            "out of order"
        );
        // Unknown of a batch that was repeated so late that the broker forgot where it put it.
        assert!(
            offset == seen.offset || offset == -1,
            "{offset} for {seen:?}"
        );
    }
}

/// Without and with a group; a commit from before holds, and one afterwards succeeds.
pub(crate) async fn consumers_go_on_after_a_restart(stage: Stage) {
    let client = stage.client();
    let (topic, group) = (stage.topic("t", 2).await, stage.name("g"));
    for partition in [0, 1] {
        produce_numbers(&client, &topic, partition, 0..10).await;
    }
    let alone = reader(&client, &topic);
    let join = || {
        let member = client.consumer().group(&group).subscribe([&topic]);
        member.start(Start::Oldest).build().unwrap()
    };
    let member = join();
    take(&alone, 20).await;
    for _ in 0..20 {
        soon("a record", member.next())
            .await
            .unwrap()
            .unwrap()
            .ack();
    }
    soon("a commit", member.commit()).await.unwrap();

    stage.power().kill().await;
    // Both wait for the next record when the cluster is gone.
    let waiting = {
        let (alone, member) = (alone.clone(), member.clone());
        tokio::spawn(async move {
            let alone = take(&alone, 20).await;
            let mut shared = Vec::new();
            while shared.len() < 20 {
                let record = soon("a record", member.next()).await.unwrap().unwrap();
                record.ack();
                shared.push(Seen::of(&record));
            }
            (alone, shared)
        })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    stage.power().start().await;
    for partition in [0, 1] {
        produce_numbers(&client, &topic, partition, 10..20).await;
    }
    let (of_alone, of_member) = within(PATIENCE * 2, "going on", waiting).await.unwrap();
    for mut seen in [of_alone, of_member] {
        seen.sort_by_key(|seen| (seen.partition, seen.offset));
        let expected: Vec<_> = (10..20).chain(10..20).collect();
        assert_eq!(numbers(&seen), expected);
    }
    soon("a commit", member.commit()).await.unwrap();
    member.close_within(Duration::from_secs(10)).await.unwrap();
    let next = join();
    nothing_comes(&next).await;
    until("its partitions", || next.assignment().len() == 2).await;
    nothing_comes(&next).await;
}

/// What was committed before an end holds after it.
pub(crate) async fn offsets_survive_stop_and_kill(stage: Stage) {
    let client = stage.client();
    let (topic, group) = (stage.topic("t", 1).await, stage.name("g"));
    produce_numbers(&client, &topic, 0, 0..30).await;
    let mut next = 0;
    for kill in [false, true] {
        let consumer = client.consumer().group(&group).subscribe([&topic]);
        let consumer = consumer.start(Start::Oldest).build().unwrap();
        for _ in 0..10 {
            let record = soon("a record", consumer.next()).await.unwrap().unwrap();
            assert_eq!(record.offset(), next);
            record.ack();
            next += 1;
        }
        soon("a commit", consumer.commit()).await.unwrap();
        consumer
            .close_within(Duration::from_secs(10))
            .await
            .unwrap();
        if kill {
            stage.power().kill().await;
        } else {
            stage.power().stop().await;
        }
        stage.power().start().await;
    }
    let consumer = client
        .consumer()
        .group(&group)
        .subscribe([&topic])
        .build()
        .unwrap();
    let seen = take(&consumer, 10).await;
    assert_eq!(numbers(&seen), (20..30).collect::<Vec<_>>());
}

/// Topics keep their ids, partitions and properties, and deleted ones stay away.
pub(crate) async fn topics_survive_stop_and_kill(stage: Stage) {
    let client = stage.client();
    let (kept, gone) = (stage.topic("kept", 3).await, stage.topic("gone", 1).await);
    client
        .admin()
        .delete_topics([&gone])
        .await
        .unwrap()
        .remove(0)
        .1
        .unwrap();
    let listed = async || {
        let topics = soon("listing", stage.client().admin().list_topics())
            .await
            .unwrap();
        let ours = topics.into_iter().filter(|topic| !topic.is_internal);
        ours.map(|topic| (topic.name, topic.id, topic.partitions))
            .collect::<Vec<_>>()
    };
    let before = listed().await;
    let names: Vec<_> = before
        .iter()
        .map(|(name, _, count)| (name, *count))
        .collect();
    assert_eq!(names, [(&kept, 3)]);
    stage.power().stop().await;
    stage.power().start().await;
    assert_eq!(listed().await, before);
    stage.power().kill().await;
    stage.power().start().await;
    assert_eq!(listed().await, before);
}

/// As long as the cluster is away calls end in their time and name it; afterwards the same handles work.
pub(crate) async fn a_cluster_that_is_away_is_named(stage: Stage) {
    let limit = Duration::from_secs(1);
    let client = Client::builder()
        .bootstrap_servers(stage.cluster().bootstrap_servers())
        .request_timeout(limit)
        .api_timeout(limit)
        .build()
        .unwrap();
    let topic = stage.topic("t", 1).await;
    let producer = client
        .producer()
        .delivery_timeout(limit * 2)
        .max_block(limit);
    let producer = producer.build().unwrap();
    soon("a send", producer.send(Record::to(&topic).value("0")))
        .await
        .unwrap();
    stage.power().stop().await;

    let start = Instant::now();
    let sent = soon("an error", producer.send(Record::to(&topic).value("1"))).await;
    let listed = soon("an error", client.admin().list_topics()).await;
    assert!(
        start.elapsed() < limit * 3 + Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    let address = stage.cluster().bootstrap_servers();
    for error in [sent.unwrap_err(), listed.unwrap_err()] {
        assert!(error.is_retriable(), "{error:?}");
        assert!(error.to_string().contains(&address), "{error}");
    }

    stage.power().start().await;
    let record = Record::to(&topic).value("2");
    let written = async {
        loop {
            match producer.send(record).await {
                Ok(written) => return written,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout, "{error}"),
            }
        }
    };
    assert_eq!(soon("a send", written).await.offset, 1);
    let seen = read_all(&stage.client(), &topic, 2).await;
    assert_eq!(numbers(&seen), [0, 2]);
}

/// There is nobody to be told of the leave: that takes no long time, and says which group and broker.
pub(crate) async fn a_member_closes_soon_while_the_cluster_is_away(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    produce_numbers(&client, &topic, 0, 0..3).await;
    let group = stage.name("g");
    let consumer = client.consumer().group(&group).subscribe([&topic]);
    let consumer = consumer.start(Start::Oldest);
    // Nothing is acknowledged, and nothing to be waited for.
    let consumer = consumer
        .revocation_grace(Duration::ZERO)
        .heartbeat_interval(Duration::from_millis(100))
        .build()
        .unwrap();
    take(&consumer, 3).await;
    soon("a commit", consumer.commit()).await.unwrap();
    stage.power().stop().await;
    let address = stage.cluster().bootstrap_servers();
    // The member has noticed, and looks for its coordinator.
    tokio::time::sleep(Duration::from_secs(1)).await;

    let start = Instant::now();
    let closed = soon("the close", consumer.close_within(Duration::from_secs(20))).await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(6), "it took {took:?}");
    let error = closed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    for part in [&group, "not left", &address, "cannot connect"] {
        assert!(
            error.to_string().contains(part),
            "{part} is not in: {error}"
        );
    }
}

fn numbers(seen: &[Seen]) -> Vec<i64> {
    seen.iter().map(Seen::number).collect()
}
