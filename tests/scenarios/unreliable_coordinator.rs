//! A coordinator that refuses, forgets, loads and hangs up: members come in and stay in by themselves, what they
//! committed holds, and only what will not pass is told.
//!
//! Only the embedded broker can be asked for that.

use std::time::{Duration, Instant};

use kafka_broker::control::{Action, Rule, RuleGuard, When};
use kafka_broker::{ApiKey, ErrorCode};
use kafka_client::consumer::{AckOutcome, ConsumerBuilder, ConsumerEvent, Events, Start};
use kafka_client::{Client, Consumer, ErrorKind};
use tokio::task::JoinSet;

use crate::stories::reading::{PATIENCE, Seen, nothing_comes, produce_numbers, soon, take, within};
use crate::stories::stage::Stage;

/// F5, F26: whatever goes wrong between looking for the coordinator and the first record, it goes wrong for a while.
pub(crate) async fn whatever_becomes_of_a_join_the_member_reads(stage: Stage) {
    let mut cases = JoinSet::new();
    for (api, codes) in [
        (
            ApiKey::FindCoordinator,
            &[ErrorCode::COORDINATOR_NOT_AVAILABLE][..],
        ),
        (
            ApiKey::JoinGroup,
            &[
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
                ErrorCode::NOT_COORDINATOR,
                ErrorCode::COORDINATOR_NOT_AVAILABLE,
                ErrorCode::UNKNOWN_MEMBER_ID,
            ],
        ),
        (
            ApiKey::SyncGroup,
            &[
                ErrorCode::NOT_COORDINATOR,
                ErrorCode::COORDINATOR_NOT_AVAILABLE,
                ErrorCode::REBALANCE_IN_PROGRESS,
                ErrorCode::ILLEGAL_GENERATION,
                ErrorCode::UNKNOWN_MEMBER_ID,
            ],
        ),
        (
            ApiKey::OffsetFetch,
            &[
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
                ErrorCode::NOT_COORDINATOR,
                ErrorCode::UNSTABLE_OFFSET_COMMIT,
            ],
        ),
    ] {
        for code in codes {
            let name = format!("{}-{}", api.name(), code.name().unwrap());
            cases.spawn(joined_through(
                stage.clone(),
                name,
                api,
                Action::Error(*code),
            ));
        }
        for (name, action) in LOSSES {
            let name = format!("{}-{name}", api.name());
            cases.spawn(joined_through(stage.clone(), name, api, action));
        }
    }
    while let Some(case) = within(PATIENCE * 2, "a case", cases.join_next()).await {
        case.unwrap();
    }
}

async fn joined_through(stage: Stage, name: String, api: ApiKey, action: Action) {
    let (client, topic) = (client(&stage, &name), stage.topic(&name, 1).await);
    produce_numbers(&client, &topic, 0, 0..10).await;
    // A join may take as long as a rebalance: one that is never answered is one too many. It is the one with the
    // member's id.
    let is_long = api == ApiKey::JoinGroup && matches!(action, Action::Drop(_) | Action::Stall(_));
    let rule = Rule::new(&name, action).api(api).group(&topic);
    let (rule, times) = if is_long {
        (rule.nth(2), 1)
    } else {
        (rule.times(2), 2)
    };
    let guard = add(&stage, rule);
    let consumer = member(&stage, &client, &topic).poll_interval_max(Some(Duration::from_secs(3)));
    let consumer = consumer.build().unwrap();
    take_and_ack(&name, &consumer, 0..10).await;
    assert_eq!(guard.fired(), times, "{name}");
    committed(&name, &consumer).await;
    close(&name, &consumer).await;
    // Nobody is left in the group, and nothing in the topic.
    let next = member(&stage, &client, &topic).build().unwrap();
    finds_nothing(&name, &next).await;
    close(&name, &next).await;
}

/// F2, F31: a commit that is refused for a while, or whose answer is lost, holds in the end.
pub(crate) async fn whatever_becomes_of_a_commit_it_holds(stage: Stage) {
    let mut cases = JoinSet::new();
    let codes = [
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::REBALANCE_IN_PROGRESS,
    ];
    let refused = codes.map(|code| (code.name().unwrap(), Action::Error(code)));
    let after = Action::ErrorAfter(ErrorCode::REQUEST_TIMED_OUT);
    for (name, action) in refused.into_iter().chain(LOSSES).chain([("after", after)]) {
        cases.spawn(committed_through(stage.clone(), name, action));
    }
    while let Some(case) = within(PATIENCE * 2, "a case", cases.join_next()).await {
        case.unwrap();
    }
}

async fn committed_through(stage: Stage, name: &'static str, action: Action) {
    let (client, topic) = (client(&stage, name), stage.topic(name, 1).await);
    produce_numbers(&client, &topic, 0, 0..10).await;
    let rule = Rule::new(name, action)
        .api(ApiKey::OffsetCommit)
        .group(&topic);
    let guard = add(&stage, rule.times(2));
    // A session that outlives each of these, so that nobody is put out.
    let consumer = member(&stage, &client, &topic).session_timeout(PATIENCE);
    let consumer = consumer.build().unwrap();
    take_and_ack(name, &consumer, 0..10).await;
    committed(name, &consumer).await;
    assert_eq!(guard.fired(), 2, "{name}");
    // Whatever the coordinator thinks of the member now, it goes on.
    produce_numbers(&client, &topic, 0, 10..20).await;
    take_and_ack(name, &consumer, 10..20).await;
    committed(name, &consumer).await;
    close(name, &consumer).await;
    let next = member(&stage, &client, &topic).build().unwrap();
    finds_nothing(name, &next).await;
    close(name, &next).await;
}

/// F32: of two partitions one cannot be committed. The error names it, the other one is committed, and later commits
/// are not held up.
pub(crate) async fn a_commit_that_is_refused_is_named_and_others_hold(stage: Stage) {
    let (client, topic) = (stage.client(), stage.topic("t", 2).await);
    for partition in 0..2 {
        produce_numbers(&client, &topic, partition, 0..5).await;
    }
    let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let rule = Rule::new("refused", Action::Error(code))
        .api(ApiKey::OffsetCommit)
        .group(&topic)
        .topic(&topic)
        .partition(1);
    let guard = add(&stage, rule);
    let join = || {
        member(&stage, &client, &topic)
            .commit_interval(Duration::from_millis(100))
            .revocation_grace(Duration::from_millis(100))
            .build()
            .unwrap()
    };
    let first = join();
    let mut events = first.events();
    for _ in 0..10 {
        let record = soon("a record", first.next()).await.unwrap().unwrap();
        assert_eq!(record.ack(), AckOutcome::Accepted);
    }
    let told = |event: &ConsumerEvent| match event {
        ConsumerEvent::NotCommitted { offsets, .. } => offsets.values().all(|offset| *offset == 5),
        _ => false,
    };
    event(&mut events, told).await;
    let tries = guard.fired();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        guard.fired(),
        tries,
        "the background does not try the same again"
    );
    // But the application may.
    let error = soon("a commit", first.commit()).await.unwrap_err();
    assert_eq!(error.broker_code(), Some(code), "{error}");
    let context = error.context();
    assert_eq!(context.group.as_deref(), Some(&*topic), "{error}");
    assert_eq!(context.topic.as_deref(), Some(&*topic), "{error}");
    assert_eq!(context.partition, Some(1), "{error}");
    assert_eq!(guard.fired(), tries + 1);
    close("the first", &first).await;

    // Of partition 0 nothing comes again, of the other one everything.
    drop(guard);
    let second = join();
    let mut seen = take(&second, 5).await;
    nothing_comes(&second).await;
    seen.retain(|seen| seen.partition == 1);
    assert_eq!(
        seen.iter().map(Seen::number).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    close("the second", &second).await;
    let third = join();
    for _ in 0..5 {
        let record = soon("a record", third.next()).await.unwrap().unwrap();
        assert_eq!(record.ack(), AckOutcome::Accepted);
    }
    committed("the third", &third).await;
    close("the third", &third).await;
}

/// F1, F5: a heartbeat is refused or lost, and the member reads on where it was; what it committed never comes again.
pub(crate) async fn whatever_a_heartbeat_hears_the_member_goes_on(stage: Stage) {
    let mut cases = JoinSet::new();
    let codes = [
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    ];
    let refused = codes.map(|code| (code.name().unwrap(), Action::Error(code)));
    for (name, action) in refused.into_iter().chain(LOSSES) {
        cases.spawn(beats_through(stage.clone(), name, action));
    }
    while let Some(case) = within(PATIENCE * 2, "a case", cases.join_next()).await {
        case.unwrap();
    }
}

async fn beats_through(stage: Stage, name: &'static str, action: Action) {
    let (client, topic) = (client(&stage, name), stage.topic(name, 1).await);
    produce_numbers(&client, &topic, 0, 0..10).await;
    // A session that outlives each of these, so that nobody is put out.
    let consumer = member(&stage, &client, &topic).session_timeout(PATIENCE);
    let consumer = consumer.build().unwrap();
    let mut events = consumer.events();
    take_and_ack(name, &consumer, 0..10).await;
    committed(name, &consumer).await;
    let rule = Rule::new(name, action).api(ApiKey::Heartbeat).group(&topic);
    let guard = add(&stage, rule.times(2));
    soon(name, guard.wait_fired(2, PATIENCE)).await.unwrap();
    produce_numbers(&client, &topic, 0, 10..20).await;
    take_and_ack(name, &consumer, 10..20).await;
    committed(name, &consumer).await;
    close(name, &consumer).await;
    while let Some(event) = events.try_next() {
        let is_lost = matches!(event, ConsumerEvent::Lost { .. });
        assert!(!is_lost, "{name}: {event:?}");
    }
}

/// F3, F4: the member is told that the group does not know it, while the group does. It says so, and joins anew under
/// another name; the group waits for the old one until its session ends, as Kafka's do. A member whose generation alone
/// is said to be wrong keeps its name, and is back at once.
pub(crate) async fn a_member_that_is_put_out_waits_for_its_old_session(stage: Stage) {
    let mut cases = JoinSet::new();
    for api in [ApiKey::Heartbeat, ApiKey::OffsetCommit] {
        for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION] {
            cases.spawn(put_out(stage.clone(), api, code));
        }
    }
    while let Some(case) = within(PATIENCE * 2, "a case", cases.join_next()).await {
        case.unwrap();
    }
}

async fn put_out(stage: Stage, api: ApiKey, code: ErrorCode) {
    let name = format!("{}-{}", api.name(), code.name().unwrap());
    let (client, topic) = (client(&stage, &name), stage.topic(&name, 1).await);
    produce_numbers(&client, &topic, 0, 0..10).await;
    let session = stage.cluster().session_timeout_min() * 2;
    let consumer = member(&stage, &client, &topic).session_timeout(session);
    let consumer = consumer.commit_interval(session / 10).build().unwrap();
    let mut events = consumer.events();
    take_and_ack(&name, &consumer, 0..5).await;
    committed(&name, &consumer).await;
    let rule = Rule::new(&name, Action::Error(code)).api(api).group(&topic);
    let guard = add(&stage, rule.times(1));
    // What is acknowledged now is committed by nobody: the partition is lost first, or with the commit.
    let record = soon(&name, consumer.next()).await.unwrap().unwrap();
    if api == ApiKey::OffsetCommit {
        record.ack();
    }
    soon(&name, guard.wait_fired(1, PATIENCE)).await.unwrap();
    let out_since = Instant::now();
    let is_lost = |event: &ConsumerEvent| match event {
        ConsumerEvent::Lost { partitions, error } => {
            assert_eq!(error.broker_code(), Some(code), "{name}: {error}");
            partitions.len() == 1
        }
        _ => false,
    };
    event(&mut events, is_lost).await;
    assert_eq!(record.ack(), AckOutcome::Stale, "{name}");
    let is_back =
        |event: &ConsumerEvent| matches!(event, ConsumerEvent::Assigned(all) if all.len() == 1);
    event(&mut events, is_back).await;
    let out = out_since.elapsed();
    if code == ErrorCode::ILLEGAL_GENERATION {
        assert!(out < session / 2, "{name}: out for {out:?}");
    } else {
        let most = session * 2 + Duration::from_secs(5);
        assert!(out > session / 2 && out < most, "{name}: out for {out:?}");
    }
    // From the last commit on.
    take_and_ack(&name, &consumer, 5..10).await;
    committed(&name, &consumer).await;
    close(&name, &consumer).await;
}

/// A coordinator that lets nobody in: the member asks again and again, but not in circles, and is in as soon as it may.
pub(crate) async fn a_member_that_is_kept_out_waits_without_haste(stage: Stage) {
    let (client, topic) = (stage.client(), stage.topic("t", 1).await);
    produce_numbers(&client, &topic, 0, 0..10).await;
    let out = Action::Error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let rule = Rule::new("out", out).api(ApiKey::JoinGroup).group(&topic);
    let guard = add(&stage, rule);
    let consumer = member(&stage, &client, &topic).build().unwrap();
    let waiting = tokio::time::timeout(Duration::from_secs(2), consumer.next()).await;
    assert!(waiting.is_err(), "nothing is to be told: {waiting:?}");
    let tries = guard.fired();
    assert!((2..=25).contains(&tries), "{tries} tries in two seconds");
    drop(guard);
    let start = Instant::now();
    take_and_ack("let in", &consumer, 0..10).await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    committed("let in", &consumer).await;
    close("let in", &consumer).await;
}

/// What no patience helps against is the application's to know, with the group's name; nobody asks on.
pub(crate) async fn what_will_not_pass_is_told(stage: Stage) {
    for (api, code) in [
        (ApiKey::JoinGroup, ErrorCode::GROUP_AUTHORIZATION_FAILED),
        (ApiKey::JoinGroup, ErrorCode::GROUP_MAX_SIZE_REACHED),
        (ApiKey::JoinGroup, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
        (ApiKey::SyncGroup, ErrorCode::GROUP_AUTHORIZATION_FAILED),
        (
            ApiKey::FindCoordinator,
            ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ),
        (ApiKey::Heartbeat, ErrorCode::FENCED_INSTANCE_ID),
        (ApiKey::OffsetFetch, ErrorCode::GROUP_AUTHORIZATION_FAILED),
    ] {
        let name = format!("{}-{}", api.name(), code.name().unwrap());
        let (client, topic) = (client(&stage, &name), stage.topic(&name, 1).await);
        let rule = Rule::new(&name, Action::Error(code)).api(api).group(&topic);
        let guard = add(&stage, rule);
        let consumer = member(&stage, &client, &topic).build().unwrap();
        let told = soon(&name, consumer.next()).await;
        let error = told.expect_err(&name);
        assert_eq!(error.kind(), ErrorKind::Broker(code), "{name}: {error}");
        assert_eq!(
            error.context().group.as_deref(),
            Some(&*topic),
            "{name}: {error}"
        );
        let asked = guard.fired();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(guard.fired(), asked, "{name}: nobody asks on");
        close(&name, &consumer).await;
    }
}

/// A client of this name that waits for an answer no longer than it must.
fn client(stage: &Stage, name: &str) -> Client {
    let client = stage.client_builder().client_id(name);
    client
        .request_timeout(Duration::from_secs(2))
        .build()
        .unwrap()
}

/// A member of the group that is named as its topic.
fn member(stage: &Stage, client: &Client, topic: &str) -> ConsumerBuilder {
    let session = stage.cluster().session_timeout_min();
    client
        .consumer()
        .group(topic)
        .subscribe([topic])
        .start(Start::Oldest)
        .session_timeout(session)
        .heartbeat_interval(session / 10)
}

fn add(stage: &Stage, rule: Rule) -> RuleGuard {
    stage.control().add(rule).unwrap()
}

/// These numbers come next, each once.
async fn take_and_ack(name: &str, consumer: &Consumer, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let record = soon(name, consumer.next()).await;
        let record = record.unwrap_or_else(|error| panic!("{name}: {error}"));
        let record = record.unwrap();
        assert_eq!(Seen::of(&record).number(), number, "{name}");
        assert_eq!(record.ack(), AckOutcome::Accepted, "{name}");
    }
}

/// The member reads, and there is nothing to be read.
async fn finds_nothing(name: &str, consumer: &Consumer) {
    let assigned = || !consumer.assignment().is_empty();
    soon(name, async {
        while !assigned() {
            nothing_comes(consumer).await;
        }
    })
    .await;
    nothing_comes(consumer).await;
}

async fn committed(name: &str, consumer: &Consumer) {
    let done = soon(name, consumer.commit()).await;
    done.unwrap_or_else(|error| panic!("{name}: {error}"));
}

async fn close(name: &str, consumer: &Consumer) {
    let closed = soon(name, consumer.close_within(PATIENCE)).await;
    closed.unwrap_or_else(|error| panic!("{name}: {error}"));
}

async fn event(events: &mut Events, is_it: impl Fn(&ConsumerEvent) -> bool) {
    let coming = async { while !is_it(&events.next().await.expect("the consumer lives")) {} };
    soon("an event", coming).await;
}

/// Ways in which an answer does not arrive.
const LOSSES: [(&str, Action); 7] = [
    ("dropped", Action::Drop(When::Unapplied)),
    ("dropped-after", Action::Drop(When::Applied)),
    ("closed", Action::Close(When::Unapplied)),
    ("closed-after", Action::Close(When::Applied)),
    ("silent-after", Action::Stall(When::Applied)),
    ("cut", Action::Cut(9)),
    ("misnumbered", Action::WrongCorrelationId),
];
