//! Lives of a group member, told as transcripts: what it says, what it hears, what it makes of it.

use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};

use super::*;
use crate::machine::group::assignor::problem::Assignment;
use crate::machine::group::assignor::{encode_assignment, encode_wish};

/// A group machine with the world around it.
struct Stage {
    group: Group,
    now: Instant,
    counts: BTreeMap<ByteString, i32>,
    awaited: BTreeSet<TopicPartition>,
    /// The last action, for the answer to it.
    action: Option<GroupAction>,
}

impl Stage {
    fn new(instance: Option<&str>, topics: Option<&[&str]>) -> Self {
        let now = Instant::ZERO;
        let seconds = Duration::from_secs;
        let manners = Manners {
            group: ByteString::from("billing"),
            instance: instance.map(ByteString::from),
            session_timeout: seconds(45),
            rebalance_timeout: seconds(300),
            heartbeat_interval: seconds(3),
            grace: seconds(5),
            backoff: Backoff::new(seconds(1), seconds(1)),
        };
        let topics = topics.map(|topics| topics.iter().map(|t| ByteString::from(*t)).collect());
        Self {
            group: Group::new(now, manners, topics),
            now,
            counts: BTreeMap::from([(ByteString::from("orders"), 2)]),
            awaited: BTreeSet::new(),
            action: None,
        }
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now + Duration::from_secs(seconds);
        self
    }

    /// What the machine wants done now, in words; empty for nothing.
    fn next(&mut self) -> String {
        let id_of = |_: &TopicPartition| Uuid::from_bytes([7; 16]);
        let action = self
            .group
            .poll_action(self.now, &self.counts, self.awaited.clone(), id_of);
        self.action.clone_from(&action);
        match action {
            None => String::new(),
            Some(GroupAction::FindCoordinator) => "find".to_owned(),
            Some(GroupAction::Speak { node, speech, .. }) => match speech {
                Speech::Join { request, .. } => format!("join {node} as {:?}", &*request.member_id),
                Speech::Sync(request) => format!(
                    "sync {node} in {} with {} shares",
                    request.generation_id,
                    request.assignments.len()
                ),
                Speech::Heartbeat(request) => format!("beat {node} in {}", request.generation_id),
                Speech::Leave { proof, aside } => {
                    format!(
                        "leave {node} as {}{}",
                        proof.member,
                        if aside { " aside" } else { "" }
                    )
                }
            },
            Some(GroupAction::Commit { node, plan }) => {
                let request = plan.request(9);
                let mut text =
                    format!("commit {node} in {}", request.generation_id_or_member_epoch);
                for topic in request.topics {
                    for partition in topic.partitions {
                        let (index, offset) =
                            (partition.partition_index, partition.committed_offset);
                        text.push_str(&format!(" {}-{index}@{offset}", topic.name));
                    }
                }
                text
            }
            Some(GroupAction::FetchCommitted { node, plan }) => {
                let asked = plan.request(9).groups[0].topics.clone().unwrap();
                let numbers: Vec<_> = asked
                    .iter()
                    .flat_map(|t| t.partition_indexes.clone())
                    .collect();
                format!("ask {node} for {numbers:?}")
            }
        }
    }

    /// All that happened, in words.
    fn events(&mut self) -> String {
        let mut text = Vec::new();
        while let Some(event) = self.group.poll_event() {
            text.push(match event {
                GroupEvent::Assigned(partitions) => {
                    self.awaited = partitions.clone();
                    format!("assigned {partitions:?}")
                }
                GroupEvent::Revoking => "revoking".to_owned(),
                GroupEvent::Revoked => {
                    self.awaited.clear();
                    "revoked".to_owned()
                }
                GroupEvent::Lost(_) => {
                    self.awaited.clear();
                    "lost".to_owned()
                }
                GroupEvent::Committed(tp, position) => {
                    self.awaited.remove(&tp);
                    format!("{tp} at {:?}", position.map(|position| position.offset))
                }
                GroupEvent::Unreadable(tp, error) => {
                    self.awaited.remove(&tp);
                    format!("{tp} kept secret: {error}")
                }
                GroupEvent::NotCommitted(offsets, _) => format!("not committed {offsets:?}"),
                GroupEvent::Failed(error) => format!("failed {error}"),
            });
        }
        text.join(", ")
    }

    fn found(&mut self, node: i32) -> &mut Self {
        self.group.handle_coordinator(self.now, 200, Ok(node));
        self
    }

    fn call(&self) -> u64 {
        match &self.action {
            Some(GroupAction::Speak { call, .. }) => *call,
            other => panic!("{other:?}"),
        }
    }

    /// The join is answered: as leader of these members, or as a follower without any.
    fn joined(&mut self, generation: i32, members: &[(&str, &[&str])]) -> &mut Self {
        let mut response = JoinGroupResponse::default();
        response.generation_id = generation;
        response.member_id = ByteString::from("me");
        response.leader = ByteString::from(if members.is_empty() { "other" } else { "me" });
        for (id, topics) in members {
            let mut member = JoinGroupResponseMember::default();
            member.member_id = ByteString::from(*id);
            let topics = topics
                .iter()
                .map(|topic| ByteString::from(*topic))
                .collect();
            member.metadata = encode_wish(&topics).unwrap();
            response.members.push(member);
        }
        let call = self.call();
        self.group.handle_join(self.now, 200, call, Ok(response));
        self
    }

    fn join_refused(&mut self, code: ErrorCode, id: &str) -> &mut Self {
        let mut response = JoinGroupResponse::default();
        response.error_code = code.code();
        response.member_id = ByteString::from(id);
        let call = self.call();
        self.group.handle_join(self.now, 200, call, Ok(response));
        self
    }

    fn synced(&mut self, code: ErrorCode, partitions: &[i32]) -> &mut Self {
        let mut response = SyncGroupResponse::default();
        response.error_code = code.code();
        let share = Assignment::from([(ByteString::from("orders"), partitions.to_vec())]);
        response.assignment = encode_assignment(&share).unwrap();
        let call = self.call();
        self.group.handle_sync(self.now, 200, call, Ok(response));
        self
    }

    fn beaten(&mut self, code: ErrorCode) -> &mut Self {
        let mut response = HeartbeatResponse::default();
        response.error_code = code.code();
        let call = self.call();
        self.group
            .handle_heartbeat(self.now, 200, call, Ok(response));
        self
    }

    fn committed(&mut self, code: ErrorCode) -> &mut Self {
        let Some(GroupAction::Commit { plan, .. }) = self.action.clone() else {
            panic!("{:?}", self.action);
        };
        let mut response = OffsetCommitResponse::default();
        for topic in plan.request(9).topics {
            let mut answer = OffsetCommitResponseTopic::default();
            answer.name = topic.name;
            for partition in topic.partitions {
                let mut told = OffsetCommitResponsePartition::default();
                told.partition_index = partition.partition_index;
                told.error_code = code.code();
                answer.partitions.push(told);
            }
            response.topics.push(answer);
        }
        self.group.handle_commit(self.now, 200, &plan, Ok(response));
        self
    }

    fn told(&mut self, offsets: &[(i32, i64)]) -> &mut Self {
        let Some(GroupAction::FetchCommitted { plan, .. }) = self.action.clone() else {
            panic!("{:?}", self.action);
        };
        let mut topic = OffsetFetchResponseTopic::default();
        topic.name = ByteString::from("orders");
        for (number, offset) in offsets {
            let mut partition = OffsetFetchResponsePartition::default();
            partition.partition_index = *number;
            partition.committed_offset = *offset;
            topic.partitions.push(partition);
        }
        let mut response = OffsetFetchResponse::default();
        response.topics.push(topic);
        self.group
            .handle_committed(self.now, 200, &plan, Ok(response));
        self
    }

    fn note(&mut self, number: i32, offset: i64) -> &mut Self {
        let epoch = 5;
        self.group.note(&tp(number), Position { offset, epoch });
        self
    }

    /// A member that leads alone and reads both partitions from the beginning.
    fn stable() -> Self {
        let mut stage = Self::new(None, Some(&["orders"]));
        assert_eq!(stage.next(), "find");
        assert_eq!(stage.found(1).next(), "join 1 as \"\"");
        assert_eq!(
            stage.joined(1, &[("me", &["orders"])]).next(),
            "sync 1 in 1 with 1 shares"
        );
        stage.synced(ErrorCode::NONE, &[0, 1]);
        assert_eq!(stage.events(), "assigned {orders-0, orders-1}");
        assert_eq!(stage.next(), "ask 1 for [0, 1]");
        stage.told(&[(0, -1), (1, 40)]);
        assert_eq!(stage.events(), "orders-0 at None, orders-1 at Some(40)");
        assert_eq!(stage.next(), "");
        stage
    }

    /// From stable to the answer of the next join.
    fn rebalanced(&mut self) -> &mut Self {
        assert_eq!(self.wait(3).next(), "beat 1 in 1");
        self.beaten(ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(self.events(), "revoking");
        self.group.handle_noted(false);
        self
    }
}

fn tp(number: i32) -> TopicPartition {
    TopicPartition::new("orders", number)
}

#[test]
fn the_member_id_is_asked_for_and_used_at_once() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.next(), "", "one question at a time");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    stage.join_refused(ErrorCode::MEMBER_ID_REQUIRED, "me");
    assert_eq!(stage.next(), "join 1 as \"me\"");
    assert_eq!(stage.joined(7, &[]).next(), "sync 1 in 7 with 0 shares");
    stage.synced(ErrorCode::NONE, &[]);
    assert_eq!(stage.events(), "assigned {}");
}

#[test]
fn heartbeats_are_on_time_whatever_the_application_does() {
    let mut stage = Stage::stable();
    for _ in 0..3 {
        assert_eq!(stage.wait(2).next(), "");
        assert_eq!(
            stage.group.poll_deadline(stage.now),
            Some(stage.now + Duration::from_secs(1))
        );
        assert_eq!(stage.wait(1).next(), "beat 1 in 1");
        stage.beaten(ErrorCode::NONE);
    }
}

#[test]
fn a_rebalance_waits_for_open_records_then_commits_then_joins() {
    let mut stage = Stage::stable();
    assert_eq!(stage.wait(3).next(), "beat 1 in 1");
    stage.beaten(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(stage.events(), "revoking");
    assert!(stage.group.is_revoking());
    stage.note(0, 3).group.handle_noted(true);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.next(), "", "a record is open");
    assert_eq!(
        stage.wait(3).next(),
        "beat 1 in 1",
        "and it lives meanwhile"
    );
    stage.beaten(ErrorCode::REBALANCE_IN_PROGRESS);
    stage.note(0, 4).group.handle_noted(false);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@4");
    assert_eq!(stage.events(), "");
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.next(), "join 1 as \"me\"");
    assert_eq!(stage.events(), "revoked");
    stage.joined(2, &[]);
    assert_eq!(stage.next(), "sync 1 in 2 with 0 shares");
    stage.synced(ErrorCode::NONE, &[1]);
    assert_eq!(stage.events(), "assigned {orders-1}");
}

#[test]
fn the_grace_of_a_rebalance_ends() {
    let mut stage = Stage::stable();
    stage.rebalanced().group.handle_noted(true);
    assert_eq!(stage.wait(4).next(), "beat 1 in 1");
    stage.beaten(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(stage.wait(1).next(), "join 1 as \"me\"");
    assert_eq!(stage.events(), "revoked");
}

#[test]
fn a_commit_that_meets_a_rebalance_is_made_again_in_the_next_generation() {
    let mut stage = Stage::stable();
    stage.note(0, 3).note(1, 50);
    stage.group.request_commit(1, None);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3 orders-1@50");
    stage.committed(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(stage.events(), "revoking");
    stage.group.handle_noted(false);
    // It is tried again, but the coordinator is already past it: no use in waiting.
    assert_eq!(stage.wait(1).next(), "commit 1 in 1 orders-0@3 orders-1@50");
    stage.committed(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(stage.next(), "join 1 as \"me\"");
    stage.joined(2, &[]);
    assert_eq!(stage.next(), "sync 1 in 2 with 0 shares");
    stage.synced(ErrorCode::NONE, &[0]);
    // One partition went to another member: its offset is reported, the other one is committed before
    // anybody asks where to begin.
    assert_eq!(
        stage.events(),
        "revoked, not committed {orders-1: 50}, assigned {orders-0}"
    );
    assert_eq!(stage.next(), "commit 1 in 2 orders-0@3");
    assert_eq!(stage.group.poll_finished().map(|(id, _)| id), None);
    let commit = stage.action.clone();
    assert_eq!(stage.next(), "");
    stage.action = commit;
    stage.committed(ErrorCode::NONE);
    let (id, outcome) = stage.group.poll_finished().unwrap();
    assert_eq!(id, 1);
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("orders-1"), "{error}");
    assert_eq!(stage.next(), "ask 1 for [0]");
    stage.told(&[(0, 3)]);
    assert_eq!(stage.events(), "orders-0 at Some(3)");
}

#[test]
fn what_others_may_have_read_meanwhile_is_not_committed_any_more() {
    let mut stage = Stage::stable();
    stage.note(0, 3);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    stage.committed(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(stage.events(), "revoking");
    stage.group.handle_noted(false);
    assert_eq!(stage.wait(1).next(), "commit 1 in 1 orders-0@3");
    stage.committed(ErrorCode::REBALANCE_IN_PROGRESS);
    // The second generation came and went without this member.
    assert_eq!(stage.next(), "join 1 as \"me\"");
    stage.joined(2, &[]);
    assert_eq!(stage.next(), "sync 1 in 2 with 0 shares");
    stage.synced(ErrorCode::REBALANCE_IN_PROGRESS, &[]);
    assert_eq!(stage.next(), "join 1 as \"me\"");
    stage.joined(3, &[]);
    assert_eq!(stage.next(), "sync 1 in 3 with 0 shares");
    stage.synced(ErrorCode::NONE, &[0]);
    assert_eq!(
        stage.events(),
        "revoked, not committed {orders-0: 3}, assigned {orders-0}"
    );
}

#[test]
fn nobody_asks_where_to_begin_before_what_is_processed_is_committed() {
    let mut stage = Stage::stable();
    stage.note(1, 50);
    assert_eq!(stage.next(), "commit 1 in 1 orders-1@50");
    let commit = stage.action.clone();
    stage.note(0, 3);
    stage.awaited = BTreeSet::from([tp(0), tp(1)]);
    assert_eq!(stage.next(), "");
    stage.action = commit;
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    let commit = stage.action.clone();
    assert_eq!(stage.next(), "ask 1 for [1]");
    stage.told(&[(1, 50)]);
    stage.action = commit;
    stage.committed(ErrorCode::NONE);
    stage.awaited.remove(&tp(1));
    assert_eq!(stage.next(), "ask 1 for [0]");
}

#[test]
fn a_member_that_is_taken_for_dead_loses_its_partitions_and_joins_anew() {
    for (code, name) in [
        (ErrorCode::UNKNOWN_MEMBER_ID, ""),
        // It is in the group, only not in this generation of it.
        (ErrorCode::ILLEGAL_GENERATION, "me"),
    ] {
        let mut stage = Stage::stable();
        assert_eq!(stage.wait(3).next(), "beat 1 in 1");
        let beat = stage.call();
        stage.note(0, 3);
        stage.group.request_commit(1, None);
        assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
        let commit = stage.action.clone();
        stage.committed(code);
        assert_eq!(stage.next(), format!("join 1 as {name:?}"));
        assert_eq!(stage.events(), "not committed {orders-0: 3}, lost");
        let (_, outcome) = stage.group.poll_finished().unwrap();
        assert_eq!(outcome.unwrap_err().broker_code(), Some(code));
        // The coordinator counts from one again.
        stage.joined(1, &[]);
        assert_eq!(stage.next(), "sync 1 in 1 with 0 shares");
        stage.synced(ErrorCode::NONE, &[0]);
        assert_eq!(stage.events(), "assigned {orders-0}");
        // What the old life still hears does not disturb the new one.
        let mut late = HeartbeatResponse::default();
        late.error_code = ErrorCode::UNKNOWN_MEMBER_ID.code();
        stage
            .group
            .handle_heartbeat(stage.now, 0, beat, Ok(late.clone()));
        stage.group.handle_heartbeat(stage.now, 0, 0, Ok(late));
        let new = std::mem::replace(&mut stage.action, commit);
        stage.committed(code);
        stage.action = new;
        assert_eq!(stage.events(), "");
        assert_eq!(
            stage.next(),
            "ask 1 for [0]",
            "nothing of the old life is committed"
        );
    }
}

#[test]
fn a_coordinator_that_moved_is_found_again_and_nothing_is_lost() {
    let mut stage = Stage::stable();
    assert_eq!(stage.wait(3).next(), "beat 1 in 1");
    stage.beaten(ErrorCode::NOT_COORDINATOR);
    assert_eq!(stage.next(), "", "after a moment");
    assert_eq!(stage.wait(1).next(), "find");
    assert_eq!(stage.found(2).next(), "beat 2 in 1");
    stage.beaten(ErrorCode::NONE);
    stage.note(0, 3);
    assert_eq!(stage.next(), "commit 2 in 1 orders-0@3");
    stage.committed(ErrorCode::NOT_COORDINATOR);
    assert_eq!(stage.wait(1).next(), "find");
    assert_eq!(stage.found(1).next(), "commit 1 in 1 orders-0@3");
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.events(), "");
}

#[test]
fn a_coordinator_that_loads_is_asked_again_after_a_moment() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    stage.join_refused(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, "");
    assert_eq!(stage.next(), "");
    assert_eq!(stage.wait(1).next(), "join 1 as \"\"");
    let call = stage.call();
    let broken = Error::new(ErrorKind::Disconnected, "gone");
    stage.group.handle_join(stage.now, 200, call, Err(broken));
    assert_eq!(stage.wait(1).next(), "find");
}

#[test]
fn a_session_of_silence_ends_the_membership_even_without_a_coordinator() {
    let mut stage = Stage::stable();
    assert_eq!(stage.wait(3).next(), "beat 1 in 1");
    let broken = Error::new(ErrorKind::Timeout, "no answer");
    let call = stage.call();
    stage
        .group
        .handle_heartbeat(stage.now, 200, call, Err(broken));
    assert_eq!(stage.wait(1).next(), "find");
    assert_eq!(stage.wait(40).next(), "");
    assert_eq!(stage.events(), "");
    assert_eq!(
        stage.group.poll_deadline(stage.now),
        Some(Instant::ZERO + Duration::from_secs(45))
    );
    assert_eq!(stage.wait(1).next(), "");
    assert_eq!(stage.events(), "lost");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
}

#[test]
fn the_leader_shares_out_what_all_members_want_and_watches_it() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    stage.joined(
        1,
        &[("me", &["orders"]), ("other", &["orders", "payments"])],
    );
    // The other member's topic is not known yet.
    assert_eq!(stage.next(), "");
    assert!(stage.group.foreign_topics().contains("payments"));
    stage.counts.insert(ByteString::from("payments"), 1);
    assert_eq!(stage.next(), "sync 1 in 1 with 2 shares");
    stage.synced(ErrorCode::NONE, &[0]);
    assert_eq!(stage.events(), "assigned {orders-0}");
    assert!(stage.group.foreign_topics().contains("payments"));
    stage.counts.insert(ByteString::from("payments"), 2);
    assert_eq!(stage.next(), "ask 1 for [0]");
    assert_eq!(stage.events(), "revoking");
}

#[test]
fn a_topic_that_stays_unknown_does_not_stop_the_others() {
    let mut stage = Stage::new(None, Some(&["orders", "later"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    stage.joined(1, &[("me", &["orders", "later"])]);
    assert_eq!(stage.next(), "");
    assert_eq!(stage.wait(3).next(), "beat 1 in 1");
    stage.beaten(ErrorCode::NONE);
    assert_eq!(stage.wait(2).next(), "sync 1 in 1 with 1 shares");
    stage.synced(ErrorCode::NONE, &[0, 1]);
    assert_eq!(stage.events(), "assigned {orders-0, orders-1}");
    stage.counts.insert(ByteString::from("later"), 1);
    stage.next();
    assert_eq!(stage.events(), "revoking");
}

#[test]
fn a_broken_wish_of_another_member_counts_as_none() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    let mut response = JoinGroupResponse::default();
    response.generation_id = 1;
    response.member_id = ByteString::from("me");
    response.leader = ByteString::from("me");
    for (id, metadata) in [
        (
            "me",
            encode_wish(&BTreeSet::from(["orders".into()])).unwrap(),
        ),
        ("torn", bytes::Bytes::from_static(b"\0")),
    ] {
        let mut member = JoinGroupResponseMember::default();
        member.member_id = ByteString::from(id);
        member.metadata = metadata;
        response.members.push(member);
    }
    let call = stage.call();
    stage.group.handle_join(stage.now, 0, call, Ok(response));
    assert_eq!(stage.next(), "sync 1 in 1 with 2 shares");
}

#[test]
fn an_assignment_that_cannot_be_read_is_asked_for_again() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    stage.joined(1, &[]);
    assert_eq!(stage.next(), "sync 1 in 1 with 0 shares");
    let mut torn = SyncGroupResponse::default();
    torn.assignment = bytes::Bytes::from_static(b"\0\0\x7f");
    let call = stage.call();
    stage.group.handle_sync(stage.now, 200, call, Ok(torn));
    assert_eq!(stage.events(), "");
    assert_eq!(stage.wait(1).next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"me\"");
}

#[test]
fn closing_commits_and_leaves() {
    let mut stage = Stage::stable();
    stage.note(0, 3);
    stage.group.close(stage.now, Duration::from_secs(5));
    assert_eq!(stage.events(), "revoking");
    stage.group.handle_noted(false);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    assert!(!stage.group.is_closed());
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.next(), "leave 1 as me");
    assert_eq!(stage.events(), "revoked");
    assert!(!stage.group.is_closed());
    let call = stage.call();
    stage.group.handle_leave(call);
    assert_eq!(stage.next(), "");
    assert!(stage.group.is_closed());
    stage.group.close(stage.now, Duration::from_secs(5));
    assert!(stage.group.is_closed());
}

#[test]
fn closing_while_joining_leaves_by_another_way_or_has_nothing_to_leave() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    stage.join_refused(ErrorCode::MEMBER_ID_REQUIRED, "me");
    assert_eq!(stage.next(), "join 1 as \"me\"");
    stage.group.close(stage.now, Duration::from_secs(5));
    assert_eq!(stage.next(), "leave 1 as me aside");
    let call = stage.call();
    stage.group.handle_leave(call);
    assert!(stage.group.poll_event().is_none());
    assert!(stage.group.is_closed());

    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    stage.group.close(stage.now, Duration::from_secs(5));
    assert_eq!(stage.next(), "");
    assert!(stage.group.is_closed());
}

#[test]
fn a_static_member_stays_when_it_closes() {
    let mut stage = Stage::new(Some("host-1"), Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    stage.joined(1, &[]);
    assert_eq!(stage.next(), "sync 1 in 1 with 0 shares");
    stage.synced(ErrorCode::NONE, &[0]);
    assert_eq!(stage.events(), "assigned {orders-0}");
    stage.note(0, 3);
    stage.group.close(stage.now, Duration::from_secs(5));
    assert_eq!(stage.events(), "revoking");
    stage.group.handle_noted(false);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.next(), "");
    assert!(stage.group.is_closed());
}

#[test]
fn what_no_waiting_cures_fails_the_group() {
    let mut stage = Stage::stable();
    assert_eq!(stage.wait(3).next(), "beat 1 in 1");
    stage.beaten(ErrorCode::FENCED_INSTANCE_ID);
    assert!(stage.events().starts_with("failed"), "the older of two");
    assert_eq!(stage.next(), "");
    stage.group.request_commit(1, None);
    assert!(stage.group.poll_finished().is_some());

    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    let refused = Error::broker(ErrorCode::GROUP_AUTHORIZATION_FAILED, None);
    stage.group.handle_coordinator(stage.now, 0, Err(refused));
    assert!(stage.events().starts_with("failed"));
    assert_eq!(stage.wait(60).next(), "");
}

#[test]
fn an_application_without_progress_gives_its_partitions_to_others_until_it_is_back() {
    let mut stage = Stage::stable();
    stage.group.rest(stage.now);
    stage.group.rest(stage.now);
    assert_eq!(stage.events(), "revoking");
    stage.group.handle_noted(true);
    assert_eq!(
        stage.next(),
        "leave 1 as me",
        "there is nothing to wait for"
    );
    assert_eq!(stage.events(), "revoked");
    let call = stage.call();
    stage.group.handle_leave(call);
    assert_eq!(stage.wait(600).next(), "");
    assert!(stage.group.is_resting());
    stage.group.wake(stage.now);
    assert_eq!(stage.next(), "join 1 as \"\"");
}

#[test]
fn without_membership_offsets_are_kept_all_the_same() {
    let mut stage = Stage::new(None, None);
    assert_eq!(stage.next(), "", "nothing to ask for");
    stage.awaited = BTreeSet::from([tp(0)]);
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "ask 1 for [0]");
    stage.told(&[(0, 12)]);
    assert_eq!(stage.events(), "orders-0 at Some(12)");
    stage.note(0, 13);
    assert_eq!(stage.next(), "commit 1 in -1 orders-0@13");
    stage.group.close(stage.now, Duration::ZERO);
    assert!(!stage.group.is_closed());
    stage.committed(ErrorCode::NONE);
    assert!(stage.group.is_closed());
}

#[test]
fn commits_go_one_after_the_other_and_the_last_word_wins() {
    let mut stage = Stage::stable();
    stage.note(0, 3);
    stage.group.request_commit(1, None);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    let first = stage.action.clone();
    stage.note(0, 4).note(0, 2);
    stage.group.request_commit(2, None);
    assert_eq!(stage.next(), "", "one under way");
    stage.action = first.clone();
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.group.poll_finished().map(|(id, _)| id), Some(1));
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@4");
    // The answer to the first one comes twice.
    let second = std::mem::replace(&mut stage.action, first);
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.group.poll_finished().map(|(id, _)| id), None);
    stage.action = second;
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.group.poll_finished().map(|(id, _)| id), Some(2));
    // Noting what is committed already says nothing; asking for it does.
    assert_eq!(stage.note(0, 4).next(), "");
    let back = Position {
        offset: 1,
        epoch: -1,
    };
    stage
        .group
        .request_commit(3, Some(BTreeMap::from([(tp(0), back)])));
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@1");
    assert_eq!(stage.group.uncommitted(), BTreeMap::from([(tp(0), 1)]));
}

#[test]
fn a_refusal_concerns_its_partition_and_is_not_repeated_in_the_background() {
    let mut stage = Stage::stable();
    stage.note(0, 3);
    stage.group.request_commit(1, None);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    stage.committed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let (_, outcome) = stage.group.poll_finished().unwrap();
    assert!(outcome.unwrap_err().to_string().contains("orders-0"));
    assert_eq!(stage.note(0, 3).wait(1).next(), "");
    // Who asks for it once more gets an answer of the coordinator's, and no silent success.
    stage.group.request_commit(2, None);
    assert!(stage.group.poll_finished().is_none());
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    stage.committed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(stage.group.poll_finished().unwrap().1.is_err());
    assert_eq!(stage.note(0, 4).next(), "commit 1 in 1 orders-0@4");
}

#[test]
fn an_unstable_offset_is_asked_for_again() {
    let mut stage = Stage::stable();
    stage.awaited = BTreeSet::from([tp(0), tp(1)]);
    assert_eq!(stage.next(), "ask 1 for [0, 1]");
    stage.told(&[(1, 5)]);
    assert_eq!(stage.events(), "orders-1 at Some(5)");
    assert_eq!(stage.next(), "");
    assert_eq!(stage.wait(1).next(), "ask 1 for [0]");
}

#[test]
fn who_is_refused_again_and_again_does_not_spin() {
    // Every join is refused: with an id that is unknown again, with another demand for an id, as too early.
    for code in [
        ErrorCode::UNKNOWN_MEMBER_ID,
        ErrorCode::MEMBER_ID_REQUIRED,
        ErrorCode::REBALANCE_IN_PROGRESS,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ] {
        let mut stage = Stage::new(None, Some(&["orders"]));
        assert_eq!(stage.next(), "find");
        stage.found(1);
        let mut joins = 0;
        for _ in 0..60 {
            while stage.next().starts_with("join") {
                joins += 1;
                assert!(joins < 200, "{code}: in circles");
                stage.join_refused(code, "me");
            }
            assert!(stage.group.poll_deadline(stage.now).is_some(), "{code}");
            stage.wait(1);
        }
        assert!((50..130).contains(&joins), "{code}: {joins} in a minute");
    }
}

#[test]
fn a_membership_that_never_holds_does_not_spin() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    stage.found(1);
    let mut lives = 0;
    for second in 0..60 {
        while stage.next().starts_with("join") {
            lives += 1;
            assert!(lives < 100, "in circles");
            stage.joined(1, &[]);
            stage.next();
            stage.synced(ErrorCode::NONE, &[0]);
            stage.events();
            stage.note(0, i64::from(second) + 1);
            assert!(stage.next().starts_with("commit"));
            stage.committed(ErrorCode::UNKNOWN_MEMBER_ID);
            assert!(stage.events().ends_with("lost"));
        }
        stage.wait(1);
    }
    assert!((30..70).contains(&lives), "{lives} in a minute");
}

#[test]
fn a_coordinator_that_is_none_is_asked_for_ever_more_slowly() {
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    let mut stage = Stage::stable();
    stage.group.backoff = backoff;
    let mut finds = 0;
    for _ in 0..100 {
        match stage.next().split(' ').next().unwrap_or_default() {
            "find" => {
                finds += 1;
                stage.found(1);
            }
            "beat" => {
                stage.beaten(ErrorCode::NOT_COORDINATOR);
            }
            _ => stage.now = stage.now + Duration::from_millis(100),
        }
    }
    assert!((3..15).contains(&finds), "{finds} in some eight seconds");
}

#[test]
fn while_its_share_is_held_back_a_member_neither_beats_nor_counts_as_silent() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    assert_eq!(stage.joined(1, &[]).next(), "sync 1 in 1 with 0 shares");
    let sync = stage.action.clone();
    assert_eq!(stage.wait(44).next(), "");
    assert_eq!(stage.wait(44).next(), "");
    stage.action = sync;
    stage.synced(ErrorCode::NONE, &[0]);
    assert_eq!(stage.events(), "assigned {orders-0}");
    assert_eq!(stage.next(), "beat 1 in 1");
}

#[test]
fn the_leader_watches_for_topics_that_only_others_want() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    stage.joined(1, &[("me", &["orders"]), ("other", &["payments"])]);
    assert_eq!(stage.next(), "");
    assert_eq!(stage.wait(6).next(), "sync 1 in 1 with 2 shares");
    stage.synced(ErrorCode::NONE, &[0, 1]);
    assert_eq!(stage.events(), "assigned {orders-0, orders-1}");
    assert!(stage.group.foreign_topics().contains("payments"));
    stage.counts.insert(ByteString::from("payments"), 1);
    stage.next();
    assert_eq!(
        stage.events(),
        "revoking",
        "or the other one waits for ever"
    );
}

#[test]
fn a_question_of_the_last_generation_does_not_hold_up_this_one() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    stage.joined(1, &[]);
    stage.next();
    stage.synced(ErrorCode::NONE, &[0]);
    stage.events();
    assert_eq!(stage.next(), "ask 1 for [0]");
    let first = stage.action.clone();
    stage.rebalanced();
    assert_eq!(stage.next(), "join 1 as \"me\"");
    assert_eq!(stage.events(), "revoked");
    stage.joined(2, &[]);
    stage.next();
    stage.synced(ErrorCode::NONE, &[0]);
    assert_eq!(stage.events(), "assigned {orders-0}");
    assert_eq!(stage.next(), "ask 1 for [0]");
    let second = std::mem::replace(&mut stage.action, first);
    stage.told(&[(0, 7)]);
    assert_eq!(stage.events(), "");
    stage.action = second;
    stage.told(&[(0, 8)]);
    assert_eq!(stage.events(), "orders-0 at Some(8)");
}

#[test]
fn an_offset_that_may_not_be_read_is_told_and_not_asked_for_in_circles() {
    let mut stage = Stage::stable();
    stage.awaited = BTreeSet::from([tp(0), tp(1)]);
    assert_eq!(stage.next(), "ask 1 for [0, 1]");
    let Some(GroupAction::FetchCommitted { plan, .. }) = stage.action.clone() else {
        panic!("{:?}", stage.action);
    };
    let mut topic = OffsetFetchResponseTopic::default();
    topic.name = ByteString::from("orders");
    for (number, code) in [
        (0, ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        (1, ErrorCode::NONE),
    ] {
        let mut partition = OffsetFetchResponsePartition::default();
        partition.partition_index = number;
        partition.error_code = code.code();
        topic.partitions.push(partition);
    }
    let mut response = OffsetFetchResponse::default();
    response.topics.push(topic);
    let now = stage.now;
    stage.group.handle_committed(now, 200, &plan, Ok(response));
    let told = stage.events();
    assert!(told.contains("orders-0 kept secret"), "{told}");
    assert!(told.contains("orders-1 at Some(0)"), "{told}");
    assert_eq!(stage.wait(1).next(), "");
}

#[test]
fn what_the_background_could_not_commit_is_told() {
    let mut stage = Stage::stable();
    stage.note(0, 3);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    stage.committed(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(stage.events(), "not committed {orders-0: 3}");
    // A later success is one.
    assert_eq!(stage.note(0, 4).next(), "commit 1 in 1 orders-0@4");
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.events(), "");
    assert_eq!(stage.note(0, 4).next(), "");

    stage.note(0, 5);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@5");
    stage.committed(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let told = stage.events();
    assert!(
        told.starts_with("not committed {orders-0: 5}, failed"),
        "{told}"
    );
}

#[test]
fn what_a_close_leaves_behind_is_told() {
    let mut stage = Stage::stable();
    stage.note(0, 3);
    stage.group.close(stage.now, Duration::from_secs(5));
    assert_eq!(stage.events(), "revoking");
    stage.group.handle_noted(false);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    stage.committed(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(stage.next(), "leave 1 as me");
    let call = stage.call();
    stage.group.handle_leave(call);
    assert_eq!(stage.next(), "");
    assert!(stage.group.is_closed());
    assert_eq!(stage.events(), "revoked, not committed {orders-0: 3}");
    assert_eq!(stage.group.uncommitted(), BTreeMap::from([(tp(0), 3)]));
    let why = stage.group.left_because().map(Error::kind);
    assert_eq!(why, Some(ErrorKind::Closed));
}

#[test]
fn a_commit_that_waits_while_the_application_rests_ends() {
    let mut stage = Stage::stable();
    stage.note(0, 3);
    stage.group.request_commit(1, None);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    stage.group.rest(stage.now);
    assert_eq!(stage.events(), "revoking");
    stage.group.handle_noted(false);
    // Its answer never comes, and the group does not wait for ever.
    assert_eq!(stage.wait(5).next(), "leave 1 as me");
    let call = stage.call();
    stage.group.handle_leave(call);
    assert_eq!(stage.next(), "");
    assert_eq!(stage.events(), "revoked, not committed {orders-0: 3}");
    assert!(stage.group.poll_finished().unwrap().1.is_err());
}

#[test]
fn a_reset_takes_commits_back_and_a_topic_made_again_gets_none_of_the_old() {
    let mut stage = Stage::stable();
    stage.note(1, 500);
    assert_eq!(stage.next(), "commit 1 in 1 orders-1@500");
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.note(1, 30).next(), "", "an older one");
    let position = Position {
        offset: 20,
        epoch: 6,
    };
    stage.group.restart(&tp(1), Some(position));
    assert_eq!(stage.next(), "commit 1 in 1 orders-1@20");
    // Under way for the topic that was, and one more is waiting, while the topic is made again.
    stage.note(1, 31);
    stage.group.request_commit(7, None);
    stage.group.give_up(&tp(1));
    assert_eq!(stage.events(), "not committed {orders-1: 31}");
    assert!(stage.group.poll_finished().unwrap().1.is_err());
    stage.note(1, 1);
    stage.committed(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    assert_eq!(stage.wait(2).next(), "commit 1 in 1 orders-1@1");
    stage.committed(ErrorCode::NONE);
    assert_eq!(stage.next(), "", "nothing is tried again");
}

#[test]
fn a_short_rebalance_leaves_no_time_for_a_long_commit() {
    let mut stage = Stage::stable();
    stage.group.manners.rebalance_timeout = Duration::from_secs(8);
    stage.rebalanced().note(0, 3);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    // Five seconds of grace and a quarter of eight for the commit.
    assert_eq!(stage.wait(6).next(), "beat 1 in 1");
    stage.beaten(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(stage.next(), "");
    assert_eq!(stage.wait(1).next(), "join 1 as \"me\"");
}

#[test]
fn only_who_reads_can_rest() {
    let mut stage = Stage::new(None, Some(&["orders"]));
    assert!(!stage.group.may_rest());
    assert_eq!(stage.next(), "find");
    assert_eq!(stage.found(1).next(), "join 1 as \"\"");
    assert!(!stage.group.may_rest());
    assert!(Stage::stable().group.may_rest());
    assert!(!Stage::new(None, None).group.may_rest());
}

#[test]
fn a_coordinator_too_old_for_what_is_asked_is_no_silent_end() {
    let unsupported = || Error::new(ErrorKind::UnsupportedVersion, "no common version");
    let mut stage = Stage::stable();
    stage.note(0, 3);
    assert_eq!(stage.next(), "commit 1 in 1 orders-0@3");
    let Some(GroupAction::Commit { plan, .. }) = stage.action.clone() else {
        panic!("{:?}", stage.action);
    };
    let now = stage.now;
    stage
        .group
        .handle_commit(now, 200, &plan, Err(unsupported()));
    assert_eq!(stage.events(), "not committed {orders-0: 3}");
    stage.awaited = BTreeSet::from([tp(0)]);
    assert_eq!(stage.next(), "ask 1 for [0]");
    let Some(GroupAction::FetchCommitted { plan, .. }) = stage.action.clone() else {
        panic!("{:?}", stage.action);
    };
    stage
        .group
        .handle_committed(now, 200, &plan, Err(unsupported()));
    assert!(stage.events().starts_with("failed"));
}

#[test]
fn a_coordinator_that_answers_is_looked_for_quickly_when_it_moves() {
    let mut stage = Stage::stable();
    stage.group.backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    for _ in 0..5 {
        assert!(stage.wait(3).next().starts_with("beat"));
        stage.beaten(ErrorCode::NOT_COORDINATOR);
        assert_eq!(stage.wait(1).next(), "find");
        assert!(stage.found(1).next().starts_with("beat"));
        stage.beaten(ErrorCode::NONE);
    }
}

#[test]
fn what_was_given_up_does_not_come_back_with_the_next_generation() {
    let mut stage = Stage::stable();
    stage.note(1, 500);
    assert_eq!(stage.next(), "commit 1 in 1 orders-1@500");
    stage.group.give_up(&tp(1));
    assert_eq!(stage.events(), "not committed {orders-1: 500}");
    // The answer of the old coordinator never comes; after the grace nobody waits for it.
    stage.rebalanced();
    assert_eq!(stage.wait(4).next(), "beat 1 in 1");
    stage.beaten(ErrorCode::REBALANCE_IN_PROGRESS);
    stage.wait(3).next();
    stage.beaten(ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(stage.wait(3).next(), "join 1 as \"me\"");
    stage.joined(2, &[]);
    assert_eq!(stage.next(), "sync 1 in 2 with 0 shares");
    stage.synced(ErrorCode::NONE, &[1]);
    assert_eq!(stage.events(), "revoked, assigned {orders-1}");
    assert_eq!(stage.next(), "ask 1 for [1]");
}
