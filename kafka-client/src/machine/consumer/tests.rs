//! Lives of a consumer: the machine against a small cluster that answers what it is asked.

use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use kafka_protocol::{ErrorCode, Uuid};

use super::*;
use crate::config::consumer::OnOutOfRange;
use crate::machine::fetch::delivery::tests::{batch, bytes_of};
use crate::machine::group::assignor::encode_assignment;
use crate::machine::group::assignor::problem::Assignment;
use crate::machine::subscription::TopicLeaders;
use crate::machine::subscription::position::Leader;

/// A consumer and the cluster around it: one broker, one topic of two partitions.
struct World {
    consumer: Consumer,
    now: Instant,
    generation: i32,
    /// What the group has committed.
    committed: BTreeMap<i32, i64>,
    /// The ends of the logs; they begin at 0.
    end: i64,
    /// What is said to heartbeats, commits, questions for committed offsets.
    beat: ErrorCode,
    commit: ErrorCode,
    ask: ErrorCode,
    /// Actions that get no answer, by their names.
    mute: &'static [&'static str],
    /// What the application says of what it took.
    news: Vec<ProcessedNews>,
    /// Fetches that wait for records.
    fetches: Vec<FetchPlan>,
    commits: u32,
    actions: u32,
}

impl World {
    fn new(group: Option<&str>, topics: Topics, change: impl FnOnce(&mut ConsumerConfig)) -> Self {
        let mut config = ConsumerConfig::default();
        change(&mut config);
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let group = group.map(ByteString::from);
        let mut world = Self {
            consumer: Consumer::new(Instant::ZERO, config, topics, group, backoff),
            now: Instant::ZERO,
            generation: 0,
            committed: BTreeMap::new(),
            end: 100,
            beat: ErrorCode::NONE,
            commit: ErrorCode::NONE,
            ask: ErrorCode::NONE,
            mute: &[],
            news: Vec::new(),
            fetches: Vec::new(),
            commits: 0,
            actions: 0,
        };
        world.tell_topic(1);
        world
    }

    fn member(change: impl FnOnce(&mut ConsumerConfig)) -> Self {
        let names = Topics::Names(BTreeSet::from([ByteString::from("orders")]));
        Self::new(Some("billing"), names, change)
    }

    /// A member that reads both partitions from offset 40.
    fn reading(change: impl FnOnce(&mut ConsumerConfig)) -> Self {
        let mut world = Self::member(change);
        world.committed = BTreeMap::from([(0, 40), (1, 40)]);
        world.settle();
        assert_eq!(world.events(), "assigned 2");
        world
    }

    fn tell_topic(&mut self, id: u8) {
        let leader = Leader { node: 1, epoch: 5 };
        let leaders = TopicLeaders {
            id: Uuid::from_bytes([id; 16]),
            partitions: BTreeMap::from([(0, Some(leader)), (1, Some(leader))]),
        };
        let news = TopicNews {
            name: ByteString::from("orders"),
            outcome: Ok(leaders),
        };
        self.consumer.handle_topics(self.now, vec![news]);
    }

    /// Does and answers everything until nothing is left to do.
    fn settle(&mut self) {
        let before = self.actions;
        // Twice, as the driver does.
        for _ in 0..2 {
            if self.consumer.wants_processed(self.now) {
                let news = self.news.clone();
                self.consumer.handle_processed(self.now, news);
            }
            while let Some(action) = self.consumer.poll_action(self.now) {
                self.actions += 1;
                assert!(self.actions - before < 100, "in circles: {action:?}");
                if let Some(answer) = self.answer(action) {
                    self.consumer.handle_answer(self.now, 200, answer);
                }
            }
        }
    }

    /// Lives on for so long, looking when the machine says so; never at once again.
    fn live(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        loop {
            self.settle();
            let Some(deadline) = self.consumer.poll_deadline(self.now) else {
                break;
            };
            assert!(deadline > self.now, "at once again at {:?}", self.now);
            if deadline > end {
                break;
            }
            self.now = deadline;
        }
        self.now = end;
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.settle();
    }

    fn answer(&mut self, action: Action) -> Option<Answer> {
        let name = match &action {
            Action::RefreshMetadata => "refresh",
            Action::FindCoordinator => "find",
            Action::Speak { speech, .. } => match speech {
                Speech::Join { .. } => "join",
                Speech::Sync(_) => "sync",
                Speech::Heartbeat(_) => "beat",
                Speech::Leave { .. } => "leave",
            },
            Action::Commit { .. } => "commit",
            Action::FetchCommitted { .. } => "ask",
            Action::Lookup(_) => "lookup",
            Action::Fetch(_) => "fetch",
        };
        if self.mute.contains(&name) {
            return None;
        }
        Some(match action {
            Action::RefreshMetadata => return None,
            Action::FindCoordinator => Answer::Coordinator(Ok(1)),
            Action::Speak { call, speech, .. } => match speech {
                Speech::Join { .. } => {
                    self.generation += 1;
                    let mut response = JoinGroupResponse::default();
                    response.generation_id = self.generation;
                    response.member_id = ByteString::from("me");
                    Answer::Joined(call, Ok(response))
                }
                Speech::Sync(_) => {
                    let share = Assignment::from([(ByteString::from("orders"), vec![0, 1])]);
                    let mut response = SyncGroupResponse::default();
                    response.assignment = encode_assignment(&share).unwrap();
                    Answer::Synced(call, Ok(response))
                }
                Speech::Heartbeat(_) => {
                    let mut response = HeartbeatResponse::default();
                    response.error_code = self.beat.code();
                    Answer::Heartbeat(call, Ok(response))
                }
                Speech::Leave { .. } => Answer::Left(call, Ok(LeaveGroupResponse::default())),
            },
            Action::Commit { plan, .. } => self.answer_commit(plan),
            Action::FetchCommitted { plan, .. } => self.answer_ask(plan),
            Action::Lookup(plan) => self.answer_lookup(plan),
            Action::Fetch(plan) => {
                self.fetches.push(plan);
                return None;
            }
        })
    }

    fn answer_commit(&mut self, plan: CommitPlan) -> Answer {
        self.commits += 1;
        let mut response = OffsetCommitResponse::default();
        for asked in plan.request(9).topics {
            let mut topic = OffsetCommitResponseTopic::default();
            topic.name = asked.name;
            for partition in asked.partitions {
                let mut told = OffsetCommitResponsePartition::default();
                told.partition_index = partition.partition_index;
                told.error_code = self.commit.code();
                topic.partitions.push(told);
                if self.commit == ErrorCode::NONE {
                    self.committed
                        .insert(partition.partition_index, partition.committed_offset);
                }
            }
            response.topics.push(topic);
        }
        Answer::Committed(plan, Ok(response))
    }

    fn answer_ask(&self, plan: CommittedPlan) -> Answer {
        let mut response = OffsetFetchResponse::default();
        for asked in plan.request(7).topics.into_iter().flatten() {
            let mut topic = OffsetFetchResponseTopic::default();
            topic.name = asked.name;
            for number in asked.partition_indexes {
                let mut told = OffsetFetchResponsePartition::default();
                told.partition_index = number;
                told.committed_offset = self.committed.get(&number).copied().unwrap_or(-1);
                told.error_code = self.ask.code();
                topic.partitions.push(told);
            }
            response.topics.push(topic);
        }
        Answer::FetchedCommitted(plan, Ok(response))
    }

    fn answer_lookup(&self, plan: LookupPlan) -> Answer {
        let mut response = ListOffsetsResponse::default();
        for asked in plan.request().topics {
            let mut topic = ListOffsetsTopicResponse::default();
            topic.name = asked.name;
            for partition in asked.partitions {
                let mut told = ListOffsetsPartitionResponse::default();
                told.partition_index = partition.partition_index;
                told.leader_epoch = 5;
                told.offset = if partition.timestamp == -1 {
                    self.end
                } else {
                    0
                };
                topic.partitions.push(told);
            }
            response.topics.push(topic);
        }
        Answer::LookedUp(plan, Ok(response))
    }

    /// The oldest fetch under way is answered with this for partition 0.
    fn fetched(&mut self, data: PartitionData) {
        let plan = self.fetches.remove(0);
        let mut topic = FetchableTopicResponse::default();
        topic.topic = ByteString::from("orders");
        topic.partitions.push(data);
        let mut response = FetchResponse::default();
        response.responses.push(topic);
        let answer = Answer::Fetched(plan, Ok(response));
        self.consumer.handle_answer(self.now, 200, answer);
        self.settle();
    }

    /// Ten records from this offset on are fetched and taken by the application.
    fn take(&mut self, offset: i64) -> Run {
        let mut data = PartitionData::default();
        data.high_watermark = 100;
        data.records = Some(bytes_of(&[batch(offset, 9)]));
        self.fetched(data);
        self.consumer.take().unwrap()
    }

    /// Of what was delivered up to here, from 40 on, this is done.
    fn processed(&mut self, stint: u64, done: Option<i64>, delivered: i64) {
        let epoch = 4;
        let news = ProcessedNews {
            partition: tp(0),
            stint,
            done: done.map(|offset| Position { offset, epoch }),
            delivered,
            open: done.unwrap_or(40) < delivered,
        };
        self.news = vec![news];
        self.settle();
    }

    fn events(&mut self) -> String {
        let mut text = Vec::new();
        while let Some(event) = self.consumer.poll_event() {
            text.push(match event {
                ConsumerEvent::Assigned(partitions) => format!("assigned {}", partitions.len()),
                ConsumerEvent::Revoking(partitions) => format!("revoking {}", partitions.len()),
                ConsumerEvent::Revoked(partitions) => format!("revoked {}", partitions.len()),
                ConsumerEvent::Lost { partitions, .. } => format!("lost {}", partitions.len()),
                ConsumerEvent::PositionReset {
                    partition,
                    from,
                    to,
                    reason,
                } => format!("{partition} from {from} to {to} for {reason:?}"),
                ConsumerEvent::NotCommitted { offsets, .. } => format!("not committed {offsets:?}"),
            });
        }
        text.join(", ")
    }

    fn stint(&self) -> u64 {
        self.consumer.subscription.partition(&tp(0)).unwrap().stint
    }

    fn states(&self) -> Vec<PartitionState> {
        let status = self.consumer.status(self.now);
        status.into_iter().map(|status| status.state).collect()
    }
}

fn tp(number: i32) -> TopicPartition {
    TopicPartition::new("orders", number)
}

fn manual() -> Topics {
    Topics::Manual(BTreeMap::from([(tp(0), Start::Offset(0))]))
}

#[test]
fn whatever_stays_away_nothing_spins() {
    let idle = |mute| {
        // An application that does nothing, in a world that leaves something unanswered.
        for topics in [None, Some(manual())] {
            let mut world = match topics {
                None => World::member(|_| {}),
                Some(topics) => World::new(Some("billing"), topics, |_| {}),
            };
            world.mute = mute;
            world.live(1200);
            assert!(world.actions < 1500, "{mute:?}: {} actions", world.actions);
        }
    };
    idle(&["fetch"]);
    idle(&["find"]);
    idle(&["join"]);
    idle(&["sync"]);
    idle(&["beat"]);
    idle(&["leave"]);
    idle(&["commit"]);
    idle(&["ask"]);
    idle(&["lookup"]);
}

#[test]
fn whatever_is_refused_nothing_spins() {
    for code in [
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::FENCED_INSTANCE_ID,
    ] {
        for place in 0..3 {
            let mut world = World::member(|_| {});
            match place {
                0 => world.beat = code,
                1 => world.commit = code,
                _ => world.ask = code,
            }
            world.live(60);
            // At most some twenty a second.
            assert!(world.actions < 1200, "{code} {place}: {}", world.actions);
        }
    }
}

#[test]
fn an_application_that_waits_for_nobody_is_left_alone_while_the_group_rebalances() {
    let mut world = World::reading(|_| {});
    world.beat = ErrorCode::REBALANCE_IN_PROGRESS;
    world.mute = &["join"];
    world.live(299);
    assert_eq!(world.events(), "revoking 2, revoked 2");
    // The limit of progress passes while others are waited for.
    world.live(60);
    assert_eq!(world.events(), "");
    assert!(!world.consumer.is_resting());
}

#[test]
fn without_progress_the_partitions_go_to_others_until_the_application_is_back() {
    let mut world = World::reading(|_| {});
    world.live(299);
    assert_eq!(world.events(), "");
    world.live(2);
    assert_eq!(world.events(), "revoking 2, revoked 2");
    world.live(3600);
    assert_eq!(world.events(), "");
    assert!(world.consumer.is_resting());
    world.consumer.handle_progress(world.now);
    world.settle();
    assert_eq!(world.events(), "assigned 2");
    assert!(!world.consumer.is_resting());
}

#[test]
fn a_partition_goes_on_where_the_group_has_committed_and_not_where_it_stood() {
    let mut world = World::reading(|_| {});
    let run = world.take(40);
    assert_eq!((run.from, world.consumer.position(&tp(0))), (40, Some(50)));
    world.processed(run.stint, None, 50);
    // The partition was with another member meanwhile, which came further.
    world.beat = ErrorCode::REBALANCE_IN_PROGRESS;
    world.wait(3);
    assert_eq!(world.events(), "revoking 2");
    assert_eq!(
        world.consumer.may_deliver(&tp(0), run.stint),
        Deliver::GiveBack
    );
    world.consumer.give_back(run.clone());
    assert!(world.consumer.take().is_none() && !world.consumer.has_ready());
    world.committed.insert(0, 70);
    world.beat = ErrorCode::NONE;
    world.processed(run.stint, None, 40);
    assert_eq!(world.events(), "revoked 2, assigned 2");
    assert_eq!(world.consumer.may_deliver(&tp(0), run.stint), Deliver::Drop);
    assert!(world.consumer.take().is_none());
    assert_eq!(world.consumer.position(&tp(0)), Some(70));
    // What the application says late of its last stint is not committed.
    world.processed(run.stint, Some(80), 80);
    world.wait(5);
    assert_eq!(world.committed[&0], 70);
}

#[test]
fn a_member_that_was_taken_for_dead_delivers_nothing_more() {
    let mut world = World::reading(|_| {});
    let run = world.take(40);
    let revision = world.consumer.revision();
    world.beat = ErrorCode::UNKNOWN_MEMBER_ID;
    world.mute = &["join"];
    world.wait(3);
    assert_eq!(world.events(), "lost 2");
    assert_ne!(world.consumer.revision(), revision);
    assert_eq!(world.consumer.may_deliver(&tp(0), run.stint), Deliver::Drop);
    world.processed(run.stint, Some(50), 50);
    world.wait(5);
    assert_eq!(world.commits, 0);
}

#[test]
fn only_what_was_processed_is_committed() {
    let mut world = World::reading(|_| {});
    let run = world.take(40);
    world.processed(run.stint, None, 50);
    world.wait(5);
    assert_eq!(world.commits, 0, "delivered is not processed");
    world.processed(run.stint, Some(43), 50);
    assert_eq!(world.commits, 0, "in time");
    world.wait(5);
    assert_eq!(world.committed[&0], 43);
    world.wait(5);
    assert_eq!(world.commits, 1, "nothing new");
}

#[test]
fn a_seek_commits_nothing_and_a_start_policy_does() {
    let mut world = World::reading(|_| {});
    for to in [Start::Newest, Start::Timestamp(7), Start::Offset(90)] {
        world.consumer.seek(world.now, &tp(0), to).unwrap();
        world.settle();
        let stint = world.stint();
        world.processed(stint, None, 90);
        world.wait(5);
        assert_eq!((world.commits, world.committed[&0]), (0, 40), "{to:?}");
    }
    // Without a committed offset the start is one, so that a restart does not skip what came meanwhile.
    let mut world = World::member(|_| {});
    world.settle();
    assert_eq!(world.committed, BTreeMap::from([(0, 100), (1, 100)]));
    let mut world = World::member(|config| config.commit_mode = CommitMode::Manual);
    world.settle();
    assert_eq!(world.commits, 0);
}

#[test]
fn a_rebalance_waits_for_commits_that_the_application_makes_itself() {
    let manual = |config: &mut ConsumerConfig| config.commit_mode = CommitMode::Manual;
    let mut world = World::reading(manual);
    let run = world.take(40);
    world.processed(run.stint, None, 50);
    world.beat = ErrorCode::REBALANCE_IN_PROGRESS;
    world.wait(3);
    assert_eq!(world.events(), "revoking 2");
    let position = Position {
        offset: 50,
        epoch: 4,
    };
    let offsets = BTreeMap::from([(tp(0), position)]);
    world.consumer.request_commit(Some(offsets)).unwrap();
    world.settle();
    assert!(world.consumer.poll_finished().unwrap().1.is_ok());
    world.beat = ErrorCode::NONE;
    world.processed(run.stint, None, 50);
    assert_eq!(world.events(), "revoked 2, assigned 2");
    assert_eq!(world.committed[&0], 50);

    // For a while only.
    let mut world = World::reading(manual);
    let run = world.take(40);
    world.processed(run.stint, None, 50);
    world.beat = ErrorCode::REBALANCE_IN_PROGRESS;
    world.wait(3);
    world.wait(4);
    assert_eq!(world.events(), "revoking 2");
    world.wait(1);
    assert!(world.events().starts_with("revoked 2"));

    // And not at all for who closes.
    let mut world = World::reading(manual);
    let run = world.take(40);
    world.consumer.close(world.now, Duration::from_secs(5));
    world.processed(run.stint, None, 50);
    assert!(world.consumer.is_closed());
}

#[test]
fn a_topic_made_again_gets_no_offsets_of_the_old_one() {
    let mut world = World::reading(|_| {});
    let run = world.take(40);
    world.mute = &["commit"];
    world.processed(run.stint, Some(50), 50);
    world.wait(5);
    world.tell_topic(2);
    world.settle();
    assert_eq!(
        world.events(),
        "not committed {orders-0: 50}, orders-0 from 50 to 0 for TopicRecreated, \
         orders-1 from 40 to 0 for TopicRecreated"
    );
    assert_eq!(world.consumer.may_deliver(&tp(0), run.stint), Deliver::Drop);
    world.wait(5);
    assert_eq!(world.consumer.uncommitted().get(&tp(0)), Some(&0));
}

#[test]
fn after_a_reset_commits_may_go_back() {
    let change = |config: &mut ConsumerConfig| config.on_out_of_range = OnOutOfRange::Oldest;
    let mut world = World::reading(change);
    let mut lost = PartitionData::default();
    lost.error_code = ErrorCode::OFFSET_OUT_OF_RANGE.code();
    let revision = world.consumer.revision();
    world.fetched(lost);
    assert_eq!(world.events(), "orders-0 from 40 to 0 for OutOfRange");
    assert_ne!(world.consumer.revision(), revision);
    assert_eq!(world.committed[&0], 0);
    world.fetches.drain(..world.fetches.len() - 1);
    let run = world.take(0);
    world.processed(run.stint, Some(10), 10);
    world.wait(5);
    assert_eq!(world.committed[&0], 10, "or a restart would skip the rest");
}

#[test]
fn what_was_taken_before_a_reset_is_void_at_once() {
    let change = |config: &mut ConsumerConfig| config.on_out_of_range = OnOutOfRange::Oldest;
    let mut world = World::reading(change);
    let (stint, revision) = (world.stint(), world.consumer.revision());
    let mut lost = PartitionData::default();
    lost.error_code = ErrorCode::OFFSET_OUT_OF_RANGE.code();
    world.mute = &["lookup"];
    world.fetched(lost);
    assert_ne!(world.consumer.revision(), revision);
    assert_eq!(world.consumer.may_deliver(&tp(0), stint), Deliver::Drop);
}

#[test]
fn a_truncated_log_is_read_again_from_where_it_parted() {
    let change = |config: &mut ConsumerConfig| config.on_out_of_range = OnOutOfRange::Newest;
    let mut world = World::reading(change);
    let mut parted = PartitionData::default();
    parted.diverging_epoch.epoch = 3;
    parted.diverging_epoch.end_offset = 33;
    world.fetched(parted);
    assert_eq!(world.events(), "orders-0 from 40 to 33 for Truncated");
    assert_eq!(world.consumer.position(&tp(0)), Some(33));
    assert_eq!(world.committed[&0], 33);
}

#[test]
fn a_partition_that_may_not_be_read_says_so_and_the_others_go_on() {
    let mut world = World::member(|_| {});
    world.ask = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    world.settle();
    assert_eq!(world.states(), [PartitionState::Stopped; 2]);
    for number in 0..2 {
        let error = world.consumer.poll_error().unwrap();
        assert_eq!(error.context().partition, Some(number));
    }
    assert!(world.consumer.poll_error().is_none());
    world
        .consumer
        .seek(world.now, &tp(0), Start::Oldest)
        .unwrap();
    world.settle();
    assert_eq!(
        world.states(),
        [PartitionState::Fetching, PartitionState::Stopped]
    );
}

#[test]
fn nothing_behind_damage_is_delivered_until_it_is_sought() {
    let mut world = World::reading(|_| {});
    let run = world.take(40);
    let mut next = PartitionData::default();
    next.high_watermark = 100;
    next.records = Some(bytes_of(&[batch(50, 9)]));
    world.fetched(next);
    assert!(world.consumer.has_ready());
    let error = Error::new(ErrorKind::CorruptBatch, "torn");
    world
        .consumer
        .handle_damage(world.now, &tp(0), run.stint, error);
    world.consumer.handle_consumed(run.size);
    assert!(world.consumer.poll_error().is_some());
    assert!(world.consumer.take().is_none());
    assert_eq!(world.states()[0], PartitionState::Stopped);
    let past = Start::Offset(50);
    world.consumer.seek(world.now, &tp(0), past).unwrap();
    world.settle();
    // The answer of before is not for this stint.
    let mut late = PartitionData::default();
    late.records = Some(bytes_of(&[batch(60, 9)]));
    world.fetched(late);
    assert!(world.consumer.take().is_none());
    assert_eq!(world.consumer.position(&tp(0)), Some(50));
}

#[test]
fn a_short_limit_of_progress_leaves_no_long_grace() {
    let limit = Some(Duration::from_secs(6));
    let mut world = World::reading(|config| config.poll_interval_max = limit);
    let run = world.take(40);
    world.processed(run.stint, None, 50);
    world.beat = ErrorCode::REBALANCE_IN_PROGRESS;
    world.mute = &["join"];
    world.wait(3);
    assert_eq!(world.events(), "revoking 2");
    world.wait(3);
    assert_eq!(world.events(), "revoked 2");
}

#[test]
fn every_partition_says_what_it_waits_for() {
    use PartitionState::{CommittedOffset, Fetching, OffsetLookup, Paused, Revoking};
    let mut world = World::member(|_| {});
    world.mute = &["ask"];
    world.settle();
    assert_eq!(world.states(), [CommittedOffset; 2]);
    let mut world = World::member(|_| {});
    world.mute = &["lookup"];
    world.settle();
    assert_eq!(world.states(), [OffsetLookup; 2]);
    let mut world = World::reading(|_| {});
    assert_eq!(world.states(), [Fetching; 2]);
    world.consumer.set_paused(world.now, &tp(1), true).unwrap();
    assert_eq!(world.states(), [Fetching, Paused]);
    world.consumer.close(world.now, Duration::from_secs(5));
    assert_eq!(world.states(), [Revoking; 2]);
}

#[test]
fn a_close_says_what_it_could_not_commit() {
    let mut world = World::reading(|_| {});
    let run = world.take(40);
    world.commit = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    world.consumer.close(world.now, Duration::from_secs(5));
    assert!(world.consumer.take().is_none());
    world.processed(run.stint, Some(50), 50);
    assert!(world.consumer.is_closed());
    assert_eq!(world.consumer.uncommitted(), BTreeMap::from([(tp(0), 50)]));

    let mut world = World::reading(|_| {});
    let run = world.take(40);
    world.consumer.close(world.now, Duration::from_secs(5));
    world.processed(run.stint, Some(50), 50);
    assert!(world.consumer.is_closed() && world.consumer.uncommitted().is_empty());
    assert_eq!(world.committed[&0], 50);
}

#[test]
fn whoever_has_no_group_closes_at_once() {
    let mut world = World::new(None, manual(), |_| {});
    world.settle();
    assert_eq!(world.states(), [PartitionState::Fetching]);
    assert!(!world.consumer.is_closed());
    world.consumer.close(world.now, Duration::ZERO);
    assert!(world.consumer.is_closed());
    assert!(world.consumer.request_commit(None).is_err());
}
