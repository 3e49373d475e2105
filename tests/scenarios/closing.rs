//! Every end has its time: of producers, consumers and clients, closed or dropped, busy or not.

use std::time::{Duration, Instant};

use kafka_client::consumer::Start;
use kafka_client::{ErrorKind, Record};

use crate::stories::reading::{produce_numbers, read_all, reader, soon, take, within};
use crate::stories::silent_peer::SilentPeer;
use crate::stories::stage::Stage;

/// What lingers is sent.
pub(crate) async fn closing_a_producer_sends_what_it_has(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client
        .producer()
        .linger(Duration::from_secs(40))
        .build()
        .unwrap();
    let mut tickets = Vec::new();
    for number in 0..50 {
        let value = number.to_string();
        let record = Record::to(&topic).value(&value);
        tickets.push(soon("room", producer.enqueue(record)).await.unwrap());
    }
    let left = producer.close_within(Duration::from_secs(10)).await;
    assert_eq!(left, 0);
    for ticket in tickets {
        ticket.outcome().expect("the close waits for it").unwrap();
    }
    let again = producer.close_within(Duration::from_secs(1)).await;
    assert_eq!(again, 0);
    let error = soon("a refusal", producer.send(Record::to(&topic).value("late"))).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Closed);
    within(
        Duration::from_secs(1),
        "a flush of a closed producer",
        producer.flush(),
    )
    .await;
    assert_eq!(read_all(&client, &topic, 50).await.len(), 50);
}

/// Nobody answers: a close gives up in its time, and each record hears of it.
pub(crate) async fn a_producer_closes_in_time_without_an_answer(stage: Stage) {
    let peer = SilentPeer::new().await;
    let client = stage
        .client_builder()
        .bootstrap_servers(peer.address())
        .build()
        .unwrap();
    let producer = client.producer().build().unwrap();
    let sending = {
        let producer = producer.clone();
        tokio::spawn(async move { producer.send(Record::to("t").value("v")).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    producer.close_within(Duration::from_millis(500)).await;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    let sent = within(Duration::from_secs(2), "the send", sending)
        .await
        .unwrap();
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::Closed);
    let start = Instant::now();
    client.close_within(Duration::from_millis(500)).await;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

/// Abandoned records hear of it.
pub(crate) async fn dropping_a_producer_settles_its_tickets(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client
        .producer()
        .linger(Duration::from_secs(40))
        .build()
        .unwrap();
    let mut tickets = Vec::new();
    for _ in 0..10 {
        let record = Record::to(&topic).value("v");
        tickets.push(soon("room", producer.enqueue(record)).await.unwrap());
    }
    let start = Instant::now();
    drop(producer);
    assert!(
        start.elapsed() < Duration::from_millis(100),
        "a drop must not block"
    );
    for ticket in tickets {
        let outcome = within(Duration::from_secs(5), "the fate of a record", ticket).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Closed);
    }
}

/// Whoever waits for a record is told that there is none.
pub(crate) async fn closing_a_consumer_ends_those_who_wait(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    for group in [None, Some(stage.name("g"))] {
        let consumer = client.consumer().subscribe([&topic]).start(Start::Oldest);
        let consumer = match group {
            Some(group) => consumer.group(group),
            None => consumer,
        };
        let consumer = consumer.build().unwrap();
        let mut events = consumer.events();
        let listening = tokio::spawn(async move { while events.next().await.is_some() {} });
        let waiting = {
            let consumer = consumer.clone();
            tokio::spawn(async move { consumer.next().await })
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        consumer.close_within(Duration::from_secs(5)).await.unwrap();
        let ended = within(Duration::from_secs(1), "the wait", waiting)
            .await
            .unwrap();
        assert!(ended.unwrap().is_none());
        within(Duration::from_secs(1), "the listener", listening)
            .await
            .unwrap();
        assert!(consumer.events().next().await.is_none());
        consumer.close_within(Duration::from_secs(1)).await.unwrap();
        let next = within(Duration::from_secs(1), "a late call", consumer.next()).await;
        assert!(next.unwrap().is_none());
        let tp = || (topic.as_str(), 0);
        for late in [
            consumer.seek(tp(), Start::Oldest),
            consumer.pause(tp()),
            consumer.resume(tp()),
        ] {
            assert_eq!(late.unwrap_err().kind(), ErrorKind::Closed);
        }
    }
}

/// One that never asked for anything, and one that is in the middle of joining.
pub(crate) async fn a_consumer_closes_at_any_moment(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    for wait_ms in [None, Some(0), Some(1), Some(3), Some(10), Some(30)] {
        let consumer = client.consumer().group(stage.name("g")).subscribe([&topic]);
        let consumer = consumer.build().unwrap();
        if let Some(wait_ms) = wait_ms {
            let wait = Duration::from_millis(wait_ms);
            let _none = tokio::time::timeout(wait, consumer.next()).await;
        }
        consumer
            .close_within(Duration::from_secs(10))
            .await
            .unwrap();
    }
}

/// Nobody answers: a member's close gives up in its time and says so.
pub(crate) async fn a_consumer_closes_in_time_without_an_answer(stage: Stage) {
    let peer = SilentPeer::new().await;
    let client = stage
        .client_builder()
        .bootstrap_servers(peer.address())
        .build()
        .unwrap();
    let consumer = client
        .consumer()
        .group("g")
        .subscribe(["t"])
        .build()
        .unwrap();
    let _none = tokio::time::timeout(Duration::from_millis(100), consumer.next()).await;
    let start = Instant::now();
    let _outcome = consumer.close_within(Duration::from_millis(500)).await;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

/// The end of a client is the end of all that was made from it.
pub(crate) async fn closing_a_client_ends_what_it_made(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    produce_numbers(&client, &topic, 0, 0..3).await;
    let producer = client.producer().build().unwrap();
    let consumer = reader(&client, &topic);
    take(&consumer, 3).await;
    let waiting = {
        let consumer = consumer.clone();
        tokio::spawn(async move { consumer.next().await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    client.close_within(Duration::from_secs(5)).await;
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
    let record = Record::to(&topic).value("late");
    let sent = within(Duration::from_secs(5), "a late send", producer.send(record)).await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::Closed);
    let ended = within(Duration::from_secs(5), "the wait", waiting)
        .await
        .unwrap();
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
    let listed = within(
        Duration::from_secs(5),
        "a late call",
        client.admin().list_topics(),
    )
    .await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::Closed);
}

/// Handles may outlive the runtime that they were used on, and go where there is none.
pub(crate) async fn handles_may_outlive_their_runtime(stage: Stage) {
    let topic = stage.topic("t", 1).await;
    let client = stage.client();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let producer = client.producer().build().unwrap();
        let consumer = client.consumer().group(stage.name("g")).subscribe([&topic]);
        let consumer = consumer.build().unwrap();
        runtime.block_on(async {
            soon("a send", producer.send(Record::to(&topic).value("v")))
                .await
                .unwrap();
            let _none = tokio::time::timeout(Duration::from_millis(50), consumer.next()).await;
        });
        drop(runtime);
        let start = Instant::now();
        drop((producer, consumer, client));
        assert!(
            start.elapsed() < Duration::from_millis(100),
            "a drop must not block"
        );
    });
    let joining = tokio::task::spawn_blocking(move || thread.join());
    soon("the thread", joining).await.unwrap().unwrap();
}

/// A client lives on the runtime that it was first used on. On another one it says that this is gone, in bounded
/// time, and so does a consumer instead of ending in silence.
pub(crate) async fn a_client_ends_with_its_runtime_and_says_so(stage: Stage) {
    let topic = stage.topic("t", 1).await;
    let client = stage.client();
    let thread = std::thread::spawn(move || {
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
        };
        let producer = client.producer().build().unwrap();
        let consumer = client.consumer().subscribe([&topic]).start(Start::Oldest);
        let consumer = consumer.build().unwrap();
        runtime().block_on(async {
            let record = Record::to(&topic).value("0");
            soon("a send", producer.send(record)).await.unwrap();
            take(&consumer, 1).await;
        });
        runtime().block_on(async {
            let one = Duration::from_secs(1);
            let record = Record::to(&topic).value("1");
            let errors = [
                within(one, "a send", producer.send(record)).await.err(),
                within(one, "a list", client.admin().list_topics())
                    .await
                    .err(),
                within(one, "a look", client.ready(one)).await.err(),
                within(one, "a record", consumer.next()).await.err(),
            ];
            for (number, error) in errors.into_iter().enumerate() {
                let error = error.unwrap_or_else(|| panic!("call {number} went through"));
                assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                assert!(error.to_string().contains("runtime"), "{number}: {error}");
            }
        });
    });
    let joining = tokio::task::spawn_blocking(move || thread.join());
    soon("the thread", joining).await.unwrap().unwrap();
}
