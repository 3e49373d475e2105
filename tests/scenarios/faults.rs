//! Faults on demand, and what the client makes of them: everything that was acknowledged is there once, everything
//! that was written is read once, and what passes by itself is nobody's error.
//!
//! Only the embedded broker can be asked for them.

use std::time::{Duration, Instant};

use kafka_broker::control::{Action, Entry, Rule, RuleGuard, Unsynced, When};
use kafka_broker::{ApiKey, ErrorCode};
use kafka_client::admin::NewTopic;
use kafka_client::consumer::Start;
use kafka_client::{Client, Consumer, ErrorKind, Record};

use crate::stories::reading::{
    PATIENCE, Seen, nothing_comes, produce_numbers, read_all, reader, soon, take, until,
};
use crate::stories::stage::Stage;

/// A1: nobody answers, and nobody hangs up. After its time the request goes out again, on another connection.
pub(crate) async fn a_silent_connection_is_given_up_in_time(stage: Stage) {
    let limit = Duration::from_secs(1);
    for when in [When::Unapplied, When::Applied] {
        let topic = stage.topic(&format!("{when:?}"), 1).await;
        let rule = Rule::new("silence", Action::Stall(when)).api(ApiKey::Produce);
        let guard = add(&stage, rule.topic(&topic).times(1));
        let client = stage
            .client_builder()
            .request_timeout(limit)
            .build()
            .unwrap();
        let producer = client.producer().build().unwrap();
        let start = Instant::now();
        let record = Record::to(&topic).value("0");
        soon("a send", producer.send(record)).await.unwrap();
        let took = start.elapsed();
        assert!(took >= limit && took < limit * 4, "{took:?}");
        assert_eq!(guard.fired(), 1);
        let tries: Vec<_> = journal_of(&stage, ApiKey::Produce, &topic);
        assert_eq!(tries.len(), 2);
        assert_ne!(tries[0].connection, tries[1].connection);
        read_all(&stage.client(), &topic, 1).await;
    }
}

/// C25: a leader that never is one. The attempts follow a backoff, and the end is the delivery timeout's.
pub(crate) async fn a_hopeless_send_ends_in_time_and_without_haste(stage: Stage) {
    let topic = stage.topic("t", 1).await;
    let never = Action::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let rule = Rule::new("never", never).api(ApiKey::Produce).topic(&topic);
    let guard = add(&stage, rule);
    let limit = Duration::from_secs(2);
    let client = stage
        .client_builder()
        .request_timeout(limit / 2)
        .build()
        .unwrap();
    let producer = client.producer().delivery_timeout(limit).build().unwrap();
    let start = Instant::now();
    let error = soon("an error", producer.send(Record::to(&topic).value("0"))).await;
    let error = error.unwrap_err();
    assert!(start.elapsed() < limit * 2, "{:?}", start.elapsed());
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains(&topic), "{error}");
    let fired = guard.fired();
    assert!((2..=40).contains(&fired), "{fired} attempts");
    drop(guard);
    // It goes on, and what was given up is not there.
    soon("a send", producer.send(Record::to(&topic).value("1")))
        .await
        .unwrap();
    assert_eq!(numbers(&read_all(&client, &topic, 1).await), [1]);
}

/// C18: the broker that gives out identities is not ready.
pub(crate) async fn an_identity_comes_late(stage: Stage) {
    for (name, action) in [
        (
            "loading",
            Action::Error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        ),
        ("away", Action::Error(ErrorCode::COORDINATOR_NOT_AVAILABLE)),
        ("elsewhere", Action::Error(ErrorCode::NOT_COORDINATOR)),
        ("lost", Action::Close(When::Applied)),
        ("cut", Action::Cut(6)),
    ] {
        let topic = stage.topic(name, 1).await;
        let guard = add(
            &stage,
            Rule::new(name, action).api(ApiKey::InitProducerId).times(2),
        );
        let client = stage.client();
        let producer = client.producer().build().unwrap();
        let sent = soon(name, producer.send(Record::to(&topic).value("0"))).await;
        sent.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(guard.fired(), 2, "{name}");
    }
}

/// B3, B13, C26: a broker that knows less than there is, at first and while records wait.
pub(crate) async fn metadata_that_lags_is_asked_for_again(stage: Stage) {
    for (name, code, partition) in [
        ("unknown", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None),
        ("electing", ErrorCode::LEADER_NOT_AVAILABLE, Some(1)),
        ("listener", ErrorCode::LISTENER_NOT_FOUND, Some(1)),
    ] {
        let topic = stage.topic(name, 2).await;
        let rule = Rule::new(name, Action::Error(code))
            .api(ApiKey::Metadata)
            .topic(&topic);
        let rule = match partition {
            Some(partition) => rule.partition(partition),
            None => rule,
        };
        let guard = add(&stage, rule.times(3));
        let client = stage.client();
        let producer = client.producer().build().unwrap();
        let record = Record::to(&topic).value("0").partition(1);
        let written = soon(name, producer.send(record)).await;
        let written = written.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((written.partition, written.offset), (1, 0));
        assert_eq!(guard.fired(), 3, "{name}");
        let start = Instant::now();
        assert_eq!(read_all(&client, &topic, 1).await.len(), 1);
        assert!(start.elapsed() < Duration::from_secs(5), "{name}");
    }
}

/// A machine goes down with what it had not made durable: producer and consumer go on behind what is left.
pub(crate) async fn a_machine_goes_down_with_what_was_not_durable(stage: Stage) {
    let client = stage.client();
    let control = stage.control();
    let broker = control.brokers()[0];
    let flushed = NewTopic::new(stage.name("flushed")).config("flush.messages", "1");
    let flushed = stage.topic_with(flushed.partitions(1)).await;
    let lazy = stage.topic("lazy", 1).await;
    let producer = client.producer().build().unwrap();
    let send = async |topic: &str, value: &str| {
        let record = Record::to(topic).value(value);
        soon("a send", producer.send(record)).await.unwrap().offset
    };
    for number in 0..10 {
        let value = number.to_string();
        assert_eq!(send(&flushed, &value).await, number);
        assert_eq!(send(&lazy, &value).await, number);
    }
    let earlier = reader(&client, &lazy);
    take(&earlier, 10).await;
    control.kill(broker, Unsynced::Lost).await.unwrap();
    control.restart(broker).await.unwrap();
    // What was made durable is all there; the rest is gone, and with it what the broker knew of the producer.
    assert_eq!(send(&flushed, "10").await, 10);
    let seen = read_all(&client, &flushed, 11).await;
    assert_eq!(numbers(&seen), (0..=10).collect::<Vec<_>>());
    let offset = send(&lazy, "10").await;
    assert_eq!(offset, 0, "behind what is left, which is nothing");
    assert_eq!(numbers(&read_all(&client, &lazy, 1).await), [10]);
    // The reader stands behind the end of a log that has lost records: it says so, and skips nothing in silence.
    let error = soon("an error", earlier.next()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OffsetOutOfRange, "{error}");
}

/// H3: one partition in trouble holds up no other.
pub(crate) async fn a_partition_in_trouble_stops_no_other(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 3).await;
    let rule = Rule::new("trouble", Action::Error(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    let guard = add(&stage, rule.api(ApiKey::Fetch).topic(&topic).partition(1));
    for partition in 0..3 {
        produce_numbers(&client, &topic, partition, 0..10).await;
    }
    let consumer = reader(&client, &topic);
    let mut seen = take(&consumer, 20).await;
    seen.sort_by_key(|seen| (seen.partition, seen.offset));
    assert!(seen.iter().all(|seen| seen.partition != 1));
    nothing_comes(&consumer).await;
    let fired = guard.fired();
    assert!(fired < 60, "{fired} attempts are a spin");
    drop(guard);
    assert_eq!(
        numbers(&take(&consumer, 10).await),
        (0..10).collect::<Vec<_>>()
    );
}

/// A broker that stops answering for a while, as behind a network that swallows everything.
pub(crate) async fn a_stall_of_the_broker_passes(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let consumer = reader(&client, &topic);
    let producer = client.producer().build().unwrap();
    let send = |value: &'static str| producer.send(Record::to(&topic).value(value));
    soon("a send", send("0")).await.unwrap();
    take(&consumer, 1).await;
    let control = stage.control();
    let stall = control.stall(control.brokers()[0]).unwrap();
    let waiting = send("1");
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(500), &mut waiting).await;
    assert!(early.is_err(), "nobody has answered");
    drop(stall);
    soon("a send", waiting).await.unwrap();
    assert_eq!(numbers(&take(&consumer, 1).await), [1]);
}

/// A20: a listing whose answer is lost, cut, late or somebody else's is asked for again.
pub(crate) async fn a_listing_survives_a_lost_answer(stage: Stage) {
    let topic = stage.topic("t", 1).await;
    for (name, action) in [
        ("lost", Action::Close(When::Applied)),
        ("cut", Action::Cut(30)),
        ("silent", Action::Stall(When::Unapplied)),
        ("dropped", Action::Drop(When::Applied)),
        ("late", Action::Delay(Duration::from_secs(3))),
        ("misnumbered", Action::WrongCorrelationId),
        // Not over when its time is.
        (
            "slow",
            Action::Trickle {
                bytes: 1,
                pause: Duration::from_millis(100),
            },
        ),
    ] {
        let rule = Rule::new(name, action)
            .api(ApiKey::Metadata)
            .client_id(name);
        let guard = add(&stage, rule.times(1));
        let limit = Duration::from_secs(1);
        let builder = stage.client_builder().request_timeout(limit);
        let admin = builder.client_id(name).build().unwrap().admin();
        let listed = soon(name, admin.list_topics()).await;
        let listed = listed.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(listed.iter().any(|one| one.name == topic), "{name}");
        assert_eq!(guard.fired(), 1, "{name}");
    }
}

/// F4, F25: a session that ends while its member is there, and one that does not end while it is not. The group's
/// clock is the broker's to turn.
pub(crate) async fn sessions_end_by_the_clock_of_the_group(stage: Stage) {
    let client = stage.client();
    let control = stage.control();
    let topic = stage.topic("t", 1).await;
    produce_numbers(&client, &topic, 0, 0..5).await;
    let group = stage.name("g");
    let session = stage.cluster().session_timeout_min();
    let alive = client
        .consumer()
        .group(&group)
        .subscribe([&topic])
        .start(Start::Oldest)
        .session_timeout(session)
        .heartbeat_interval(session / 5)
        .build()
        .unwrap();
    for _ in 0..5 {
        soon("a record", alive.next()).await.unwrap().unwrap().ack();
    }
    soon("a commit", alive.commit()).await.unwrap();
    // Its session ends between two heartbeats: it comes back by itself, where it was.
    control.clear_journal();
    control
        .advance_group_clock(&group, session * 2)
        .await
        .unwrap();
    let joins = |entry: &Entry| entry.api == ApiKey::JoinGroup && entry.groups.contains(&group);
    control.wait_for("a join", PATIENCE, joins).await.unwrap();
    produce_numbers(&client, &topic, 0, 5..10).await;
    assert_eq!(numbers(&take(&alive, 5).await), (5..10).collect::<Vec<_>>());

    // Nothing is heard of it any more, and yet it stays a member as long as the clock stands.
    let mute = Rule::new("mute", Action::Drop(When::Unapplied)).api(ApiKey::Heartbeat);
    let mute = add(&stage, mute.group(&group));
    control.stop_group_clock(&group).await.unwrap();
    let silent_since = Instant::now();
    mute.wait_fired(1, PATIENCE).await.unwrap();
    let heir = member(&client, &group, &topic);
    tokio::time::sleep((session * 2).saturating_sub(silent_since.elapsed())).await;
    // The silent one has given up by itself, and asks to be let in under another name.
    let assigned = heir.assignment().len() + alive.assignment().len();
    assert_eq!(assigned, 0, "the rebalance waits for the silent one");
    drop(mute);
    control.resume_group_clock(&group).await.unwrap();
    until("one of them has it", || {
        heir.assignment().len() + alive.assignment().len() == 1
    })
    .await;
    for consumer in [alive, heir] {
        soon("the close", consumer.close_within(PATIENCE))
            .await
            .unwrap();
    }
}

pub(crate) async fn a_close_tells_why_an_offset_was_not_committed(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    produce_numbers(&client, &topic, 0, 0..1).await;
    let group = stage.name("g");
    let consumer = member(&client, &group, &topic);
    soon("a record", consumer.next())
        .await
        .unwrap()
        .unwrap()
        .ack();
    // By the time of the group its session has ended, before it is heard of again.
    let hour = Duration::from_secs(3_600);
    let control = stage.control();
    control.advance_group_clock(&group, hour).await.unwrap();
    let error = soon("the close", consumer.close_within(PATIENCE))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("{topic}-0 at 1: ")), "{text}");
    assert!(text.contains("UNKNOWN_MEMBER_ID"), "{text}");
}

fn member(client: &Client, group: &str, topic: &str) -> Consumer {
    let consumer = client.consumer().group(group).subscribe([topic]);
    consumer.start(Start::Oldest).build().unwrap()
}

fn add(stage: &Stage, rule: Rule) -> RuleGuard {
    stage.control().add(rule).unwrap()
}

/// The requests of one API that named the topic.
fn journal_of(stage: &Stage, api: ApiKey, topic: &str) -> Vec<Entry> {
    let mut entries = stage.control().journal();
    entries.retain(|entry| entry.api == api && entry.topics.iter().any(|(name, _)| name == topic));
    entries
}

fn numbers(seen: &[Seen]) -> Vec<i64> {
    seen.iter().map(Seen::number).collect()
}
