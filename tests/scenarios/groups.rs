//! Members that share topics: who reads what, and where the next one goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_client::consumer::{AckOutcome, CommitMode, ConsumerBuilder, ConsumerEvent, Start};
use kafka_client::{Client, Consumer};

use crate::stories::reading::{Seen, nothing_comes, produce_numbers, soon, take, until, within};
use crate::stories::stage::Stage;

/// All is read and acknowledged; who comes next finds nothing, then only what is new.
pub(crate) async fn the_next_member_resumes_behind_the_last(stage: Stage) {
    let client = stage.client();
    let (topic, group) = (stage.topic("t", 3).await, stage.name("g"));
    for partition in 0..3 {
        let from = i64::from(partition) * 100;
        produce_numbers(&client, &topic, partition, from..from + 100).await;
    }
    let first = member(&client, &group, &topic).build().unwrap();
    let mut seen = take_and_ack(&first, 300).await;
    seen.sort();
    assert_eq!(numbers(&seen), (0..300).collect::<Vec<_>>());
    close(&first).await;

    let second = member(&client, &group, &topic).build().unwrap();
    nothing_comes(&second).await;
    until("all is assigned", || second.assignment().len() == 3).await;
    nothing_comes(&second).await;
    produce_numbers(&client, &topic, 1, 300..301).await;
    let seen = take(&second, 1).await;
    assert_eq!(
        (seen[0].partition, seen[0].offset, seen[0].number()),
        (1, 100, 300)
    );
    close(&second).await;
}

/// What was delivered and not acknowledged is delivered again, to whoever comes next.
pub(crate) async fn what_was_not_acknowledged_comes_again(stage: Stage) {
    let client = stage.client();
    let (topic, group) = (stage.topic("t", 1).await, stage.name("g"));
    produce_numbers(&client, &topic, 0, 0..10).await;
    let grace = Duration::from_millis(100);
    let first = member(&client, &group, &topic)
        .revocation_grace(grace)
        .build()
        .unwrap();
    let mut records = Vec::new();
    for _ in 0..10 {
        records.push(soon("a record", first.next()).await.unwrap().unwrap());
    }
    // Of 0 to 3 and 6 only the part without a gap counts.
    for number in [1, 0, 6, 3, 2] {
        assert_eq!(records[number].ack(), AckOutcome::Accepted);
    }
    close(&first).await;
    assert_eq!(
        records[4].ack(),
        AckOutcome::Stale,
        "the partition is given up"
    );

    let second = member(&client, &group, &topic).build().unwrap();
    assert_eq!(
        numbers(&take(&second, 6).await),
        (4..10).collect::<Vec<_>>()
    );
    close(&second).await;
}

/// Commits that the application asks for: of what is acknowledged, of a record, of an offset, and back.
pub(crate) async fn commits_are_where_the_application_puts_them(stage: Stage) {
    let client = stage.client();
    let (topic, group) = (stage.topic("t", 1).await, stage.name("g"));
    produce_numbers(&client, &topic, 0, 0..20).await;
    let manual = || member(&client, &group, &topic).commit_mode(CommitMode::Manual);

    let consumer = manual().build().unwrap();
    for _ in 0..5 {
        soon("a record", consumer.next())
            .await
            .unwrap()
            .unwrap()
            .ack();
    }
    soon("a commit", consumer.commit()).await.unwrap();
    for _ in 0..5 {
        soon("a record", consumer.next())
            .await
            .unwrap()
            .unwrap()
            .ack();
    }
    close(&consumer).await;

    let consumer = manual().build().unwrap();
    let fifth = soon("a record", consumer.next()).await.unwrap().unwrap();
    assert_eq!(fifth.offset(), 5, "a close commits nothing by itself");
    soon("a commit", consumer.commit_record(&fifth))
        .await
        .unwrap();
    close(&consumer).await;

    let consumer = manual().build().unwrap();
    assert_eq!(numbers(&take(&consumer, 1).await), [6]);
    let back = [((topic.as_str(), 0).into(), 2)];
    soon("a commit", consumer.commit_offsets(back))
        .await
        .unwrap();
    close(&consumer).await;

    let consumer = manual().build().unwrap();
    assert_eq!(numbers(&take(&consumer, 1).await), [2]);
    close(&consumer).await;
}

/// Two members of two clients.
pub(crate) async fn two_members_share_and_one_leaves(stage: Stage) {
    let clients = [stage.client(), stage.client()];
    share_and_leave(&stage, clients).await;
}

/// Two members that are made from one client, and so share what it has.
pub(crate) async fn two_members_of_one_client_share_and_one_leaves(stage: Stage) {
    let client = stage.client();
    share_and_leave(&stage, [client.clone(), client]).await;
}

/// While records come in, a second member joins, the first leaves, and each record is seen once.
async fn share_and_leave(stage: &Stage, [one, two]: [Client; 2]) {
    const PARTITIONS: i32 = 4;
    let (topic, group) = (stage.topic("t", PARTITIONS).await, stage.name("g"));
    let ledger = Ledger::default();
    let producing = keep_producing(stage.client(), topic.clone(), PARTITIONS);

    let first = member(&one, &group, &topic).build().unwrap();
    let first_reads = ledger.keep_reading(&first);
    until("the first has all", || first.assignment().len() == 4).await;
    let second = member(&two, &group, &topic).build().unwrap();
    let second_reads = ledger.keep_reading(&second);
    let shared = || first.assignment().len() == 2 && second.assignment().len() == 2;
    until("each has its half", shared).await;
    ledger.grows_by(100).await;
    close(&first).await;
    soon("the first", first_reads).await.unwrap();
    until("the second has all", || second.assignment().len() == 4).await;
    ledger.grows_by(100).await;

    let sent = soon("producing", producing.stop()).await;
    ledger.is_complete(sent.len()).await;
    close(&second).await;
    soon("the second", second_reads).await.unwrap();
    ledger.has_each_once(&sent);
}

/// A member whose process dies: nobody says good-bye for it.
pub(crate) async fn a_dead_member_is_replaced_after_its_session(stage: Stage) {
    let (topic, group) = (stage.topic("t", 2).await, stage.name("g"));
    let client = stage.client();
    produce_numbers(&client, &topic, 0, 0..10).await;
    produce_numbers(&client, &topic, 1, 10..20).await;
    let session = stage.cluster().session_timeout_min();
    let with_session = |client: &Client| {
        let member = member(client, &group, &topic).session_timeout(session);
        member.heartbeat_interval(session / 5)
    };

    // A runtime stands for a process: with it all tasks and connections end at once.
    let process = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let dying = with_session(&stage.client()).build().unwrap();
    let reading = {
        let dying = dying.clone();
        process.spawn(async move { take(&dying, 20).await.len() })
    };
    assert_eq!(soon("reading", reading).await.unwrap(), 20);
    process.shutdown_background();
    let died = Instant::now();

    let next = with_session(&client).build().unwrap();
    let seen = take(&next, 20).await;
    let waited = died.elapsed();
    assert!(waited > session / 2, "it was missed only after {waited:?}");
    assert!(
        waited < session + Duration::from_secs(10),
        "it was missed after {waited:?}"
    );
    let mut numbers = numbers(&seen);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    drop(dying);
    close(&next).await;
}

/// A handle that is dropped leaves in the background, long before its session ends.
pub(crate) async fn a_dropped_member_leaves_at_once(stage: Stage) {
    let (topic, group) = (stage.topic("t", 1).await, stage.name("g"));
    let client = stage.client();
    produce_numbers(&client, &topic, 0, 0..10).await;
    let first = member(&client, &group, &topic).build().unwrap();
    assert_eq!(take_and_ack(&first, 5).await.len(), 5);
    drop(first);

    let second = member(&client, &group, &topic).build().unwrap();
    let seen = within(Duration::from_secs(10), "taking over", take(&second, 5)).await;
    assert_eq!(numbers(&seen), (5..10).collect::<Vec<_>>());
    close(&second).await;
}

/// Partitions of all topics are shared out.
pub(crate) async fn a_group_reads_several_topics(stage: Stage) {
    let topics = [stage.topic("a", 2).await, stage.topic("b", 2).await];
    let group = stage.name("g");
    let client = stage.client();
    for (number, topic) in topics.iter().enumerate() {
        for partition in 0..2 {
            let from = number as i64 * 20 + i64::from(partition) * 10;
            produce_numbers(&client, topic, partition, from..from + 10).await;
        }
    }
    let ledger = Ledger::default();
    let join = || {
        let member = stage.client().consumer().group(&group).subscribe(&topics);
        member.start(Start::Oldest).build().unwrap()
    };
    let members = [join(), join()];
    let reads: Vec<_> = members
        .iter()
        .map(|member| ledger.keep_reading(member))
        .collect();
    let shared = || members.iter().all(|member| member.assignment().len() == 2);
    until("the members share", shared).await;
    let expected: Vec<i64> = (0..40).collect();
    ledger.is_complete(expected.len()).await;
    for (member, reads) in members.iter().zip(reads) {
        close(member).await;
        soon("a member", reads).await.unwrap();
    }
    ledger.has_each_once(&expected);
}

/// A member without a partition waits, and takes over when another one leaves.
pub(crate) async fn a_spare_member_takes_over(stage: Stage) {
    let (topic, group) = (stage.topic("t", 1).await, stage.name("g"));
    let client = stage.client();
    let members: Vec<_> = (0..2)
        .map(|_| member(&stage.client(), &group, &topic).build().unwrap())
        .collect();
    let ledger = Ledger::default();
    let reads: Vec<_> = members
        .iter()
        .map(|member| ledger.keep_reading(member))
        .collect();
    let assigned = |member: &Consumer| member.assignment().len();
    let settled = || members.iter().map(assigned).sum::<usize>() == 1;
    until("one of them has the partition", settled).await;
    produce_numbers(&client, &topic, 0, 0..10).await;
    ledger.is_complete(10).await;

    let (busy, spare) = match assigned(&members[0]) {
        1 => (&members[0], &members[1]),
        _ => (&members[1], &members[0]),
    };
    let mut events = spare.events();
    close(busy).await;
    let taken = async {
        loop {
            match events.next().await.expect("the spare member lives") {
                ConsumerEvent::Assigned(partitions) if !partitions.is_empty() => break,
                _ => {}
            }
        }
    };
    soon("taking over", taken).await;
    produce_numbers(&client, &topic, 0, 10..20).await;
    let expected: Vec<i64> = (0..20).collect();
    ledger.is_complete(expected.len()).await;
    close(spare).await;
    for reads in reads {
        soon("a member", reads).await.unwrap();
    }
    ledger.has_each_once(&expected);
}

/// Offsets belong to a group: another one reads everything again.
pub(crate) async fn groups_do_not_know_each_other(stage: Stage) {
    let topic = stage.topic("t", 1).await;
    let client = stage.client();
    produce_numbers(&client, &topic, 0, 0..10).await;
    for group in ["g1", "g2"] {
        let consumer = member(&client, &stage.name(group), &topic).build().unwrap();
        let seen = take_and_ack(&consumer, 10).await;
        assert_eq!(numbers(&seen), (0..10).collect::<Vec<_>>(), "of {group}");
        close(&consumer).await;
    }
}

/// A member of the group, from the oldest record on.
fn member(client: &Client, group: &str, topic: &str) -> ConsumerBuilder {
    client
        .consumer()
        .group(group)
        .subscribe([topic])
        .start(Start::Oldest)
}

async fn take_and_ack(consumer: &Consumer, count: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let record = soon("a record", consumer.next()).await.unwrap().unwrap();
        seen.push(Seen::of(&record));
        assert_eq!(record.ack(), AckOutcome::Accepted);
    }
    seen
}

async fn close(consumer: &Consumer) {
    let limit = Duration::from_secs(10);
    consumer.close_within(limit).await.unwrap();
}

fn numbers(seen: &[Seen]) -> Vec<i64> {
    seen.iter().map(Seen::number).collect()
}

/// What all members together have read and acknowledged.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<Seen>>>);

impl Ledger {
    /// Reads until the consumer is closed.
    fn keep_reading(&self, consumer: &Consumer) -> tokio::task::JoinHandle<()> {
        let (ledger, consumer) = (self.clone(), consumer.clone());
        tokio::spawn(async move {
            while let Some(record) = consumer.next().await.unwrap() {
                // One that is revoked meanwhile goes to another member.
                if record.ack() == AckOutcome::Accepted {
                    ledger.0.lock().unwrap().push(Seen::of(&record));
                }
            }
        })
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    async fn grows_by(&self, count: usize) {
        let until_len = self.len() + count;
        until("more is read", || self.len() >= until_len).await;
    }

    /// Waits until it has as many as were sent, and a moment for those that should not come.
    async fn is_complete(&self, sent: usize) {
        until("all is read", || self.len() >= sent).await;
        tokio::time::sleep(crate::stories::reading::SILENCE).await;
    }

    /// Each number, once, and in each partition in order.
    fn has_each_once(&self, sent: &[i64]) {
        let seen = self.0.lock().unwrap();
        let mut read = numbers(&seen);
        read.sort_unstable();
        let mut sent = sent.to_vec();
        sent.sort_unstable();
        assert_eq!(read, sent);
        let mut last = BTreeMap::new();
        for seen in &*seen {
            let place = (seen.topic.clone(), seen.partition);
            let before = last.insert(place, seen.offset).unwrap_or(-1);
            assert!(before < seen.offset, "{seen:?} comes after offset {before}");
        }
    }
}

/// A producer at work.
struct Producing {
    stop: tokio::sync::watch::Sender<bool>,
    task: tokio::task::JoinHandle<Vec<i64>>,
}

impl Producing {
    /// Ends it; gives what was acknowledged.
    async fn stop(self) -> Vec<i64> {
        self.stop.send_replace(true);
        self.task.await.unwrap()
    }
}

/// Sends rising numbers to the partitions in turn until it is stopped.
fn keep_producing(client: Client, topic: String, partitions: i32) -> Producing {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let task = tokio::spawn(async move {
        let mut sent = Vec::new();
        while !*stopped.borrow() {
            let next = sent.len() as i64;
            let partition = (next / 5 % i64::from(partitions)) as i32;
            produce_numbers(&client, &topic, partition, next..next + 5).await;
            sent.extend(next..next + 5);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        sent
    });
    Producing { stop, task }
}
