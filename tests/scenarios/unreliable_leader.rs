//! A leader that refuses, forgets, stutters and hangs up, at the worst moments: each record that was acknowledged is
//! stored once and read once, in order, and the application hears nothing of it.
//!
//! Only the embedded broker can be asked for that.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_broker::control::{Action, Rule, Unsynced, When};
use kafka_broker::{ApiKey, ErrorCode};
use kafka_client::Record;
use kafka_client::admin::NewTopic;
use kafka_client::consumer::Start;
use tokio::task::JoinSet;

use crate::stories::reading::{PATIENCE, Seen, produce_numbers, read_all, reader, soon, take};
use crate::stories::stage::Stage;

/// C1, C3, C11: requests are refused, acknowledgements lost, late, or out of step, while more batches are on their way
/// behind them. Each record is stored once, where its acknowledgement says, in the order of sending.
pub(crate) async fn whatever_becomes_of_a_batch_it_is_stored_once(stage: Stage) {
    let mut cases = JoinSet::new();
    for (name, action) in [
        ("moved", Action::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER)),
        (
            "missing",
            Action::Error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ),
        ("too-few", Action::Error(ErrorCode::NOT_ENOUGH_REPLICAS)),
        ("late", Action::Error(ErrorCode::REQUEST_TIMED_OUT)),
        (
            "late-after",
            Action::ErrorAfter(ErrorCode::REQUEST_TIMED_OUT),
        ),
        (
            "moved-after",
            Action::ErrorAfter(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        ),
        (
            "too-few-after",
            Action::ErrorAfter(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND),
        ),
        ("slow", Action::Delay(Duration::from_millis(100))),
        ("dropped", Action::Drop(When::Unapplied)),
        ("dropped-after", Action::Drop(When::Applied)),
        ("closed", Action::Close(When::Unapplied)),
        ("closed-after", Action::Close(When::Applied)),
        ("silent", Action::Stall(When::Unapplied)),
        ("silent-after", Action::Stall(When::Applied)),
        ("cut", Action::Cut(0)),
        ("cut-later", Action::Cut(17)),
        ("trickling", TRICKLE),
        ("misnumbered", Action::WrongCorrelationId),
    ] {
        let stage = stage.clone();
        cases.spawn(async move { stored_once(&stage, name, action).await });
    }
    while let Some(case) = soon("a case", cases.join_next()).await {
        case.unwrap();
    }
}

async fn stored_once(stage: &Stage, name: &str, action: Action) {
    let topic = stage.topic(name, PARTITIONS).await;
    // The second, third and fourth request, with others in flight before and behind them.
    let rule = Rule::new(name, action)
        .api(ApiKey::Produce)
        .client_id(name)
        .topic(&topic);
    let guard = stage.control().add(rule.after(1).times(3)).unwrap();
    let client = stage.client_builder().client_id(name);
    let client = client.request_timeout(ANSWER_WAIT).build().unwrap();
    // So little in a request that there are many of them.
    let producer = client.producer().batch_bytes(300).request_bytes_max(1024);
    let producer = producer.build().unwrap();
    let handle = producer.topic(&topic);
    let mut tickets = Vec::new();
    for number in 0..RECORDS {
        let value = number.to_string();
        let record = Record::of(&value)
            .key(&[b'k'; 60])
            .partition((number % i64::from(PARTITIONS)) as i32);
        tickets.push(soon(name, handle.enqueue(record)).await.unwrap());
    }
    let mut expected = BTreeSet::new();
    for (number, ticket) in (0..RECORDS).zip(tickets) {
        let written = soon(name, ticket).await;
        let written = written.unwrap_or_else(|error| panic!("{name}: {number}: {error}"));
        let next = number / i64::from(PARTITIONS);
        assert_eq!(written.offset, next, "{name}: {number}");
        expected.insert((written.partition, next, number));
    }
    assert_eq!(guard.fired(), 3, "{name}");
    let seen = read_all(&client, &topic, RECORDS as usize).await;
    let places = seen
        .iter()
        .map(|seen| (seen.partition, seen.offset, seen.number()));
    assert_eq!(places.collect::<BTreeSet<_>>(), expected, "{name}");
}

/// A20: the same of fetches, and of the look-ups before them. Nobody who reads is told of what passes.
pub(crate) async fn whatever_becomes_of_a_fetch_each_record_is_read_once(stage: Stage) {
    let mut cases = JoinSet::new();
    for api in [ApiKey::Fetch, ApiKey::ListOffsets] {
        for (name, action) in [
            ("moved", Action::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER)),
            ("electing", Action::Error(ErrorCode::LEADER_NOT_AVAILABLE)),
            ("failing", Action::Error(ErrorCode::KAFKA_STORAGE_ERROR)),
            (
                "moved-after",
                Action::ErrorAfter(ErrorCode::FENCED_LEADER_EPOCH),
            ),
            ("slow", Action::Delay(Duration::from_millis(100))),
            ("dropped", Action::Drop(When::Unapplied)),
            ("dropped-after", Action::Drop(When::Applied)),
            ("closed", Action::Close(When::Unapplied)),
            ("closed-after", Action::Close(When::Applied)),
            ("silent", Action::Stall(When::Applied)),
            ("cut", Action::Cut(2)),
            ("cut-later", Action::Cut(60)),
            ("trickling", TRICKLE),
            ("misnumbered", Action::WrongCorrelationId),
        ] {
            let stage = stage.clone();
            cases.spawn(async move { read_once(&stage, name, api, action).await });
        }
    }
    let in_a_batch = Action::Cut(120);
    cases
        .spawn(async move { read_once(&stage, "cut-in-a-batch", ApiKey::Fetch, in_a_batch).await });
    while let Some(case) = soon("a case", cases.join_next()).await {
        case.unwrap();
    }
}

async fn read_once(stage: &Stage, name: &str, api: ApiKey, action: Action) {
    let name = format!("{}-{name}", api.name());
    let topic = stage.topic(&name, 1).await;
    let answers = matches!(action, Action::Delay(_) | Action::Trickle { .. });
    let writer = stage.client();
    for from in (0..RECORDS / 2).step_by(10) {
        produce_numbers(&writer, &topic, 0, from..from + 10).await;
    }
    let control = stage.control();
    let rule = Rule::new(&name, action)
        .api(api)
        .broker(control.brokers()[0])
        .client_id(&name)
        .topic(&topic)
        .partition(0);
    // A look-up that is answered is not repeated; of fetches it meets one in the middle, and two that follow.
    let (rule, times) = match (api, answers) {
        (ApiKey::Fetch, _) => (rule.after(1), 3),
        (_, true) => (rule, 1),
        (_, false) => (rule, 2),
    };
    let guard = control.add(rule.times(times)).unwrap();
    let client = stage.client_builder().client_id(&name);
    let client = client.request_timeout(ANSWER_WAIT).build().unwrap();
    let consumer = client.consumer().subscribe([&topic]).start(Start::Oldest);
    // Two batches or so at a time.
    let consumer = consumer
        .partition_bytes_max(300)
        .fetch_wait_max(ANSWER_WAIT / 4);
    let consumer = consumer.build().unwrap();
    let mut seen = Vec::new();
    for from in [0, RECORDS / 2] {
        if from > 0 {
            produce_numbers(&writer, &topic, 0, from..RECORDS).await;
        }
        while seen.len() < (from + RECORDS / 2) as usize {
            let record = soon(&name, consumer.next()).await;
            let record = record.unwrap_or_else(|error| panic!("{name}: {error}"));
            seen.push(Seen::of(&record.unwrap()).number());
        }
    }
    assert_eq!(seen, (0..RECORDS).collect::<Vec<_>>(), "{name}");
    assert_eq!(guard.fired(), times, "{name}");
}

/// I2: whoever is asked is not the controller, for a while. What was asked for is done once.
pub(crate) async fn a_controller_that_is_elsewhere_is_asked_again(stage: Stage) {
    let name = stage.name("t");
    let not = Action::Error(ErrorCode::NOT_CONTROLLER);
    let rule = Rule::new("elsewhere", not)
        .api(ApiKey::CreateTopics)
        .topic(&name);
    let guard = stage.control().add(rule.times(2)).unwrap();
    stage.topic_with(NewTopic::new(&name).partitions(2)).await;
    assert_eq!(guard.fired(), 2);
    assert_eq!(guard.matched(), 3);
}

/// The process dies, and its machine lives: nothing that was acknowledged is lost, and whoever was at work goes on.
pub(crate) async fn a_broker_that_dies_alone_loses_nothing(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let consumer = reader(&client, &topic);
    let control = stage.control();
    let broker = control.brokers()[0];
    for round in 0..3 {
        let numbers = round * 10..(round + 1) * 10;
        produce_numbers(&client, &topic, 0, numbers.clone()).await;
        control.kill(broker, Unsynced::Kept).await.unwrap();
        assert!(!control.is_up());
        control.restart(broker).await.unwrap();
        let seen = take(&consumer, 10).await;
        assert_eq!(
            seen.iter().map(Seen::number).collect::<Vec<_>>(),
            numbers.collect::<Vec<_>>()
        );
    }
    read_all(&client, &topic, 30).await;
    soon("the close", consumer.close_within(PATIENCE))
        .await
        .unwrap();
}

const TRICKLE: Action = Action::Trickle {
    bytes: 20,
    pause: Duration::from_millis(1),
};

const PARTITIONS: i32 = 2;
const RECORDS: i64 = 200;

/// How long the clients of these stories wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
