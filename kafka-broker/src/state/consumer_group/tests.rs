//! Stories of consumer groups, told by function calls.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::Uuid;

use super::*;
use crate::state::consumer_group::assignor::Assignor;
use crate::state::consumer_group::limits::MigrationPolicy;
use crate::state::consumer_group::roster::REGEXES_MAX;

/// A group with a clock and one topic of four partitions.
struct Story {
    group: ConsumerGroup,
    topics: Topics,
    now: Now,
}

struct Topics {
    by_name: BTreeMap<ByteString, (Uuid, i32)>,
    version: u64,
}

impl TopicImage for Topics {
    fn version(&self) -> u64 {
        self.version
    }

    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        self.by_name.get(name).copied()
    }

    fn name_of(&self, id: Uuid) -> Option<ByteString> {
        let mut topics = self.by_name.iter();
        topics
            .find(|(_, topic)| topic.0 == id)
            .map(|(name, _)| name.clone())
    }

    fn names(&self) -> Box<dyn Iterator<Item = &ByteString> + '_> {
        Box::new(self.by_name.keys())
    }
}

const SESSION: Duration = Duration::from_secs(45);
const CONFIG: GroupConfig = GroupConfig {
    assignment_interval: Duration::ZERO,
    heartbeat_interval: Duration::from_secs(5),
    session_timeout: SESSION,
};
const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: Uuid = Uuid([1; 16]);

impl Story {
    fn new() -> Self {
        let limits = ConsumerGroupLimits {
            size_max: 3,
            assignors: vec![Assignor::Uniform, Assignor::Range],
            migration: MigrationPolicy::Bidirectional,
            rack: None,
        };
        Self {
            group: ConsumerGroup::new(Arc::new(limits), CONFIG),
            topics: Topics {
                by_name: [("t".into(), (TOPIC, 4))].into(),
                version: 1,
            },
            now: Now::default(),
        }
    }

    fn joining(&self, id: &str) -> Heartbeat {
        Heartbeat {
            member_id: id.into(),
            rebalance_timeout_ms: Some(i32::try_from(PATIENCE.as_millis()).unwrap()),
            topics: Some(["t".into()].into()),
            owned: Some(Partitions::new()),
            ..Heartbeat::default()
        }
    }

    fn say(&mut self, heartbeat: &Heartbeat) -> Result<HeartbeatAnswer, ErrorCode> {
        let answer = self
            .group
            .handle_heartbeat(self.now, &self.topics, heartbeat);
        self.group.take_unsaved();
        self.group.handle_saved();
        answer.map_err(|refusal| refusal.code())
    }

    fn join(&mut self, id: &str) -> HeartbeatAnswer {
        self.say(&self.joining(id)).unwrap()
    }

    /// A heartbeat without any news.
    fn beat(&mut self, id: &str, epoch: i32) -> Result<HeartbeatAnswer, ErrorCode> {
        self.say(&Heartbeat {
            member_id: id.into(),
            member_epoch: epoch,
            ..Heartbeat::default()
        })
    }

    fn own(
        &mut self,
        id: &str,
        epoch: i32,
        owned: &Partitions,
    ) -> Result<HeartbeatAnswer, ErrorCode> {
        self.say(&Heartbeat {
            member_id: id.into(),
            member_epoch: epoch,
            owned: Some(owned.clone()),
            ..Heartbeat::default()
        })
    }

    fn leave(&mut self, leave: Leave) -> Result<HeartbeatAnswer, ErrorCode> {
        let left = self.group.handle_leave(self.now, &self.topics, &leave);
        self.group.take_unsaved();
        self.group.handle_saved();
        left.map_err(|refusal| refusal.code())
    }

    fn pass(&mut self, time: Duration) {
        self.now.elapsed += time;
        if self
            .group
            .deadline()
            .is_some_and(|at| at <= self.now.elapsed)
        {
            self.group.handle_time(self.now, &self.topics);
            self.group.take_unsaved();
            self.group.handle_saved();
        }
    }

    fn members(&self) -> Vec<&str> {
        self.group
            .ledger()
            .members()
            .keys()
            .map(AsRef::as_ref)
            .collect()
    }
}

fn claim(id: &str, generation: i32) -> MemberClaim {
    MemberClaim {
        member_id: id.into(),
        instance_id: None,
        generation,
    }
}

#[test]
fn a_second_member_gets_its_half_when_the_first_has_given_it_up() {
    let mut story = Story::new();
    let all = story.join("a");
    assert_eq!(all.assignment.as_ref().unwrap().len(), 4);
    assert_eq!(all.member_epoch, 1);
    assert_eq!(story.group.state_name(), "Stable");
    let none = story.join("b");
    assert_eq!(
        (none.member_epoch, none.assignment),
        (2, Some(Partitions::new()))
    );
    assert_eq!(story.group.state_name(), "Reconciling");
    let half = story.beat("a", 1).unwrap();
    let half_of_a = half.assignment.unwrap();
    assert_eq!((half.member_epoch, half_of_a.len()), (1, 2));
    assert_eq!(story.beat("b", 2).unwrap().assignment, None, "still with a");
    assert_eq!(story.own("a", 1, &half_of_a).unwrap().member_epoch, 2);
    let half_of_b = story.beat("b", 2).unwrap().assignment.unwrap();
    assert_eq!(half_of_b.len(), 2);
    assert!(half_of_b.is_disjoint(&half_of_a));
    assert_eq!(story.group.state_name(), "Stable");
}

#[test]
fn epochs_that_nobody_can_have_are_fenced_and_a_lost_answer_is_forgiven() {
    let mut story = Story::new();
    assert_eq!(story.beat("a", 1), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    story.join("a");
    assert_eq!(story.beat("a", 2), Err(ErrorCode::FENCED_MEMBER_EPOCH));
    story.join("b");
    let half = story.beat("a", 1).unwrap().assignment.unwrap();
    story.own("a", 1, &half).unwrap();
    // The answer with epoch 2 was lost; whoever says nothing of what it has may have anything.
    assert_eq!(story.beat("a", 1), Err(ErrorCode::FENCED_MEMBER_EPOCH));
    assert_eq!(story.own("a", 1, &half).unwrap().member_epoch, 2);
    let all: Partitions = (0..4).map(|index| (TOPIC, index)).collect();
    assert_eq!(story.own("a", 1, &all), Err(ErrorCode::FENCED_MEMBER_EPOCH));
    // Who has lost all may begin anew.
    let again = story.join("a");
    assert_eq!((again.member_epoch, again.assignment), (2, Some(half)));
}

#[test]
fn who_is_silent_or_keeps_what_it_should_give_up_is_let_go() {
    let mut story = Story::new();
    story.join("a");
    story.join("b");
    story.beat("a", 1).unwrap();
    // It says that it is there and not that it has given up.
    for _ in 0..5 {
        story.pass(PATIENCE / 6);
        story.beat("a", 1).unwrap();
        story.beat("b", 2).unwrap();
    }
    assert_eq!(story.members(), ["a", "b"]);
    story.pass(PATIENCE / 6);
    assert_eq!(story.members(), ["b"]);
    assert_eq!(story.beat("a", 1), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(story.beat("b", 2).unwrap().assignment.unwrap().len(), 4);
    story.pass(SESSION);
    assert!(story.group.is_empty());
    assert_eq!(story.group.deadline(), None);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut story = Story::new();
    let with = |story: &Story, id: &str| Heartbeat {
        instance_id: Some("i".into()),
        ..story.joining(id)
    };
    let first = with(&story, "a");
    let had = story.say(&first).unwrap().assignment;
    let twin = with(&story, "b");
    assert_eq!(story.say(&twin), Err(ErrorCode::UNRELEASED_INSTANCE_ID));
    let leave = |id: &str, will_be_back| Leave {
        member_id: id.into(),
        instance_id: Some("i".into()),
        will_be_back,
    };
    assert_eq!(
        story.leave(leave("b", true)),
        Err(ErrorCode::FENCED_INSTANCE_ID)
    );
    assert_eq!(
        story.leave(leave("a", true)).unwrap().member_epoch,
        WILL_BE_BACK
    );
    let epoch = story.group.ledger().epoch();
    let back = story.say(&twin).unwrap();
    assert_eq!((back.member_epoch, back.assignment), (1, had));
    assert_eq!(story.group.ledger().epoch(), epoch, "nobody else notices");
    assert_eq!(story.members(), ["b"]);
    let mut late = first;
    late.member_epoch = 1;
    assert_eq!(story.say(&late), Err(ErrorCode::FENCED_INSTANCE_ID));
    // Who does not come back in time is gone.
    story.leave(leave("b", true)).unwrap();
    story.pass(SESSION);
    assert!(story.group.is_empty());
}

#[test]
fn topics_that_change_are_a_new_epoch() {
    let mut story = Story::new();
    let mut heartbeat = story.joining("a");
    heartbeat.topics = None;
    heartbeat.regex = Some("t|u".into());
    assert_eq!(story.say(&heartbeat).unwrap().assignment.unwrap().len(), 4);
    story.topics.by_name.insert("u".into(), (Uuid([2; 16]), 2));
    story
        .topics
        .by_name
        .insert("other".into(), (Uuid([3; 16]), 2));
    story.topics.version += 1;
    let more = story.beat("a", 1).unwrap();
    assert_eq!((more.member_epoch, more.assignment.unwrap().len()), (2, 6));
    story.topics.by_name.remove("other");
    story.topics.version += 1;
    assert_eq!(
        story.beat("a", 2).unwrap().member_epoch,
        2,
        "none of its topics"
    );
    story.topics.by_name.get_mut("t").unwrap().1 = 5;
    story.topics.version += 1;
    assert_eq!(story.beat("a", 2).unwrap().assignment.unwrap().len(), 7);
    heartbeat.regex = Some("(".into());
    heartbeat.member_epoch = 3;
    assert_eq!(
        story.say(&heartbeat),
        Err(ErrorCode::INVALID_REGULAR_EXPRESSION)
    );
    assert_eq!(
        story.beat("a", 3).unwrap().member_epoch,
        3,
        "as if nothing had been said"
    );
}

#[test]
fn a_full_group_lets_only_its_members_in() {
    let mut story = Story::new();
    for id in ["a", "b", "c"] {
        story.join(id);
    }
    let late = story.joining("d");
    assert_eq!(story.say(&late), Err(ErrorCode::GROUP_MAX_SIZE_REACHED));
    story.join("c");
}

#[test]
fn the_assignor_is_the_one_that_most_members_want() {
    let mut story = Story::new();
    assert_eq!(story.group.assignor(), "uniform");
    for (id, wish) in [("a", "range"), ("b", "uniform"), ("c", "range")] {
        let mut heartbeat = story.joining(id);
        heartbeat.assignor = Some(wish.into());
        story.say(&heartbeat).unwrap();
    }
    assert_eq!(story.group.assignor(), "range");
    let gone = Leave {
        member_id: "c".into(),
        instance_id: None,
        will_be_back: false,
    };
    story.leave(gone).unwrap();
    assert_eq!(story.group.assignor(), "uniform", "of two the first");
}

#[test]
fn commits_are_taken_from_who_has_the_partition() {
    let mut story = Story::new();
    assert_eq!(
        story.group.check_commit(&claim("", -1), []),
        ErrorCode::NONE
    );
    story.join("a");
    story.join("b");
    let half = story.beat("a", 1).unwrap().assignment.unwrap();
    story.own("a", 1, &half).unwrap();
    let commit = |story: &Story, id: &str, epoch, partition: &TopicIdPartition| {
        story.group.check_commit(&claim(id, epoch), [partition])
    };
    let mine = *half.first().unwrap();
    let others = (0..4)
        .map(|index| (TOPIC, index))
        .find(|one| !half.contains(one))
        .unwrap();
    assert_eq!(commit(&story, "", -1, &mine), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(&story, "a", 2, &mine), ErrorCode::NONE);
    assert_eq!(commit(&story, "a", 3, &mine), ErrorCode::STALE_MEMBER_EPOCH);
    // It was its own in epoch 1 already.
    assert_eq!(commit(&story, "a", 1, &mine), ErrorCode::NONE);
    assert_eq!(
        commit(&story, "a", 1, &others),
        ErrorCode::STALE_MEMBER_EPOCH
    );
    story.beat("b", 2).unwrap();
    assert_eq!(
        commit(&story, "b", 1, &others),
        ErrorCode::STALE_MEMBER_EPOCH
    );
    assert_eq!(story.group.check_fetch("a", 2), ErrorCode::NONE);
    assert_eq!(
        story.group.check_fetch("a", 1),
        ErrorCode::STALE_MEMBER_EPOCH
    );
    assert_eq!(
        story.group.check_fetch("z", 1),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
}

#[test]
fn what_cannot_be_saved_has_not_happened() {
    let mut story = Story::new();
    story.join("a");
    let before = format!("{:?}", story.group.ledger());
    let newcomer = story.joining("b");
    let joined = story
        .group
        .handle_heartbeat(story.now, &story.topics, &newcomer);
    assert!(joined.is_ok());
    assert!(!story.group.take_unsaved().is_empty());
    story.group.handle_save_failed();
    assert_eq!(format!("{:?}", story.group.ledger()), before);
    assert_eq!(story.join("b").member_epoch, 2);
}

fn classic_join(id: &str, owned: &Partitions) -> JoinRequest {
    use crate::state::typed_record::prefixed;
    use kafka_protocol::messages::ConsumerProtocolSubscription;
    use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition;

    let mut subscription = ConsumerProtocolSubscription::default();
    subscription.topics = vec!["t".into()];
    let mut row = TopicPartition::default();
    row.topic = "t".into();
    row.partitions = owned.iter().map(|(_, index)| *index).collect();
    subscription.owned_partitions = vec![row];
    JoinRequest {
        footprint: 0,
        member_id: id.into(),
        fresh_member_id: "fresh".into(),
        instance_id: None,
        client_id: "c".into(),
        client_host: "/h".into(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: PATIENCE,
        protocol_type: "consumer".into(),
        protocols: vec![
            ("range".into(), prefixed(&subscription, 3, 3).unwrap()),
            ("sticky".into(), Bytes::new()),
        ],
        must_know_id: true,
        may_skip_assignment: true,
    }
}

#[test]
fn a_member_of_the_classic_protocol_joins_syncs_and_gives_up_by_joining_again() {
    use crate::state::consumer_protocol::decode_assignment;

    let mut story = Story::new();
    story.join("a");
    let required = story.group.handle_classic_join(
        story.now,
        &story.topics,
        classic_join("", &Partitions::new()),
    );
    assert_eq!(required.error, ErrorCode::MEMBER_ID_REQUIRED);
    let none = Partitions::new();
    let mut foreign = classic_join("fresh", &none);
    foreign.protocol_type = "connect".into();
    let refused = story
        .group
        .handle_classic_join(story.now, &story.topics, foreign);
    assert_eq!(refused.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let mut unreadable = classic_join("fresh", &none);
    unreadable.protocols[0].1 = Bytes::from_static(&[0, 3, 0]);
    let refused = story
        .group
        .handle_classic_join(story.now, &story.topics, unreadable);
    assert_eq!(refused.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(story.members(), ["a"]);

    let join = classic_join("fresh", &none);
    let joined = story
        .group
        .handle_classic_join(story.now, &story.topics, join);
    assert_eq!((joined.error, joined.generation), (ErrorCode::NONE, 2));
    assert_eq!(joined.protocol.as_deref(), Some("range"));
    let sync = |generation| SyncRequest {
        member: claim("fresh", generation),
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        assignments: Vec::new(),
    };
    let early = story
        .group
        .handle_classic_sync(story.now, &story.topics, sync(1));
    assert_eq!(early.error, ErrorCode::ILLEGAL_GENERATION);
    let synced = story
        .group
        .handle_classic_sync(story.now, &story.topics, sync(2));
    assert_eq!(decode_assignment(&synced.assignment), Ok(Vec::new()));
    let beat = |story: &mut Story| {
        story
            .group
            .handle_classic_heartbeat(story.now, &claim("fresh", 2))
    };
    assert_eq!(beat(&mut story), ErrorCode::NONE, "a has all still");
    let half = story.beat("a", 1).unwrap().assignment.unwrap();
    story.own("a", 1, &half).unwrap();
    assert_eq!(beat(&mut story), ErrorCode::REBALANCE_IN_PROGRESS);
    let join = classic_join("fresh", &none);
    story
        .group
        .handle_classic_join(story.now, &story.topics, join);
    let synced = story
        .group
        .handle_classic_sync(story.now, &story.topics, sync(2));
    assert_eq!(decode_assignment(&synced.assignment).unwrap().len(), 2);
    // Who is told to join again and does not is let go.
    story.join("c");
    assert_eq!(beat(&mut story), ErrorCode::REBALANCE_IN_PROGRESS);
    for _ in 0..12 {
        story.pass(PATIENCE / 12);
        beat(&mut story);
    }
    assert!(!story.members().contains(&"fresh"));
}

#[test]
fn settings_hold_from_the_next_heartbeat_on() {
    let mut story = Story::new();
    story.join("a");
    let session_timeout = Duration::from_secs(3);
    story.group.configure(GroupConfig {
        session_timeout,
        ..CONFIG
    });
    story.pass(session_timeout);
    assert_eq!(
        story.members(),
        ["a"],
        "the old one holds until it is heard of"
    );
    story.beat("a", 1).unwrap();
    story.pass(session_timeout - Duration::from_millis(1));
    assert_eq!(story.members(), ["a"]);
    story.pass(Duration::from_millis(1));
    assert!(story.members().is_empty());
}

#[test]
fn assignments_keep_their_distance() {
    let mut story = Story::new();
    let interval_ms = 2000;
    story.now.unix_ms = 1_000_000;
    story.group.configure(GroupConfig {
        assignment_interval: Duration::from_millis(2000),
        ..CONFIG
    });
    // The first is made at once.
    assert_eq!(story.join("a").assignment.unwrap().len(), 4);
    story.now.unix_ms += interval_ms - 1;
    let waiting = story.join("b");
    assert_eq!(
        (waiting.member_epoch, waiting.assignment),
        (1, Some(Partitions::new()))
    );
    assert_eq!(story.group.state_name(), "Assigning");
    assert_eq!(story.beat("a", 1).unwrap().assignment, None);
    story.now.unix_ms += 1;
    let told = story.beat("a", 1).unwrap().assignment;
    assert_eq!(told.map(|told| told.len()), Some(2), "it is time");
}

#[test]
fn regular_expressions_are_counted() {
    let mut story = Story::new();
    let subscribe = |story: &mut Story, id: &str, pattern: String| {
        let heartbeat = Heartbeat {
            topics: None,
            regex: Some(pattern.into()),
            ..story.joining(id)
        };
        story.say(&heartbeat).map(|answer| answer.member_epoch)
    };
    let mut limits = ConsumerGroupLimits::clone(&story.group.roster.limits);
    limits.size_max = REGEXES_MAX + 2;
    story.group = ConsumerGroup::new(Arc::new(limits), CONFIG);
    for number in 0..REGEXES_MAX {
        let id = format!("m{number}");
        subscribe(&mut story, &id, format!("t|{number}")).unwrap();
    }
    let one_more = |story: &mut Story| subscribe(story, "n", "t|more".to_owned());
    assert_eq!(
        one_more(&mut story),
        Err(ErrorCode::INVALID_REGULAR_EXPRESSION)
    );
    assert!(!story.members().contains(&"n"));
    subscribe(&mut story, "o", "t|7".to_owned()).expect("one that others have costs nothing");
    let leave = Leave {
        member_id: "m0".into(),
        instance_id: None,
        will_be_back: false,
    };
    story.leave(leave).unwrap();
    one_more(&mut story).unwrap();
}
