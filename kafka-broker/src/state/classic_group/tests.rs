//! Stories of classic groups, told by function calls.

use super::*;

/// A group with a clock, tickets and short calls.
struct Story {
    group: ClassicGroup,
    at: Duration,
    tickets: u64,
}

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

impl Story {
    fn new() -> Self {
        Self::with_delay(Duration::ZERO)
    }

    fn with_delay(initial_rebalance_delay: Duration) -> Self {
        let limits = Limits {
            initial_rebalance_delay,
            size_max: 3,
            pending_room: Arc::default(),
        };
        Self {
            group: ClassicGroup::new(Now::default(), limits),
            at: Duration::ZERO,
            tickets: 0,
        }
    }

    fn now(&self) -> Now {
        Now {
            elapsed: self.at,
            unix_ms: 1_000_000,
        }
    }

    fn request(member_id: &str, fresh: &str) -> JoinRequest {
        JoinRequest {
            footprint: 0,
            member_id: member_id.into(),
            fresh_member_id: fresh.into(),
            instance_id: None,
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: SESSION,
            rebalance_timeout: REBALANCE,
            protocol_type: "consumer".into(),
            protocols: vec![("range".into(), Bytes::from_static(b"topics"))],
            must_know_id: false,
            may_skip_assignment: false,
        }
    }

    fn send(&mut self, request: JoinRequest) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.group.handle_join(self.now(), ticket, request);
        ticket
    }

    fn join(&mut self, member_id: &str) -> Ticket {
        self.send(Self::request(member_id, member_id))
    }

    fn join_new(&mut self, fresh: &str) -> Ticket {
        self.send(Self::request("", fresh))
    }

    fn join_static(&mut self, instance: &str, fresh: &str) -> Ticket {
        let mut request = Self::request("", fresh);
        request.instance_id = Some(instance.into());
        self.send(request)
    }

    fn sync(&mut self, member_id: &str, assignments: &[(&str, &'static str)]) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let request = SyncRequest {
            member: self.claim(member_id),
            protocol_type: None,
            protocol: None,
            assignments: assignments
                .iter()
                .map(|(id, bytes)| ((*id).into(), Bytes::from_static(bytes.as_bytes())))
                .collect(),
        };
        self.group.handle_sync(self.now(), ticket, request);
        ticket
    }

    fn claim(&self, member_id: &str) -> MemberClaim {
        MemberClaim {
            member_id: member_id.into(),
            instance_id: None,
            generation: self.group.generation,
        }
    }

    fn heartbeat(&mut self, member_id: &str) -> ErrorCode {
        let claim = self.claim(member_id);
        self.group.handle_heartbeat(self.now(), &claim)
    }

    fn leave(&mut self, member_id: &str) -> ErrorCode {
        self.group.handle_leave(self.now(), member_id, None)
    }

    fn pass(&mut self, time: Duration) {
        self.at += time;
        self.group.handle_time(self.now());
    }

    fn joined(&mut self, ticket: Ticket) -> JoinAnswer {
        match self.answer(ticket) {
            Some(Answer::Join(answer)) => answer,
            other => panic!("{ticket:?} has {other:?}"),
        }
    }

    fn synced(&mut self, ticket: Ticket) -> SyncAnswer {
        match self.answer(ticket) {
            Some(Answer::Sync(answer)) => answer,
            other => panic!("{ticket:?} has {other:?}"),
        }
    }

    fn answer(&mut self, ticket: Ticket) -> Option<Answer> {
        let at = self
            .group
            .answers
            .iter()
            .position(|(to, _)| *to == ticket)?;
        self.group.answers.remove(at).map(|(_, answer)| answer)
    }

    /// Two members in a stable generation.
    fn two() -> Self {
        let mut story = Self::new();
        let one = story.join_new("one");
        assert_eq!(story.joined(one).error, ErrorCode::NONE);
        let two = story.join_new("two");
        let one = story.join("one");
        assert_eq!(story.joined(one).members.len(), 2);
        assert!(story.joined(two).members.is_empty());
        let two = story.sync("two", &[]);
        let one = story.sync("one", &[("one", "a"), ("two", "b")]);
        assert_eq!(story.synced(one).assignment, "a");
        assert_eq!(story.synced(two).assignment, "b");
        story
    }
}

#[test]
fn two_members_share_and_the_leader_is_told_of_both() {
    let mut story = Story::two();
    assert_eq!(story.group.phase_name(), "Stable");
    assert_eq!(story.group.generation, 2);
    assert!(story.group.take_unsaved());
    assert!(!story.group.take_unsaved());
    assert_eq!(story.heartbeat("two"), ErrorCode::NONE);
}

#[test]
fn a_newcomer_of_version_4_comes_back_with_its_id() {
    let mut story = Story::new();
    let mut request = Story::request("", "fresh");
    request.must_know_id = true;
    let ticket = story.send(request);
    let answer = story.joined(ticket);
    assert_eq!(answer.error, ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!(answer.member_id, "fresh");
    assert!(!story.group.is_empty());
    let ticket = story.join("fresh");
    assert_eq!(story.joined(ticket).leader, "fresh");
    // An id that was given out and never used lapses with the session.
    let mut story = Story::new();
    let mut request = Story::request("", "fresh");
    request.must_know_id = true;
    story.send(request);
    story.pass(SESSION);
    let ticket = story.join("fresh");
    assert_eq!(story.joined(ticket).error, ErrorCode::UNKNOWN_MEMBER_ID);
    // And soon, however long a session may be.
    let mut story = Story::new();
    let mut request = Story::request("", "fresh");
    request.must_know_id = true;
    request.session_timeout = 100 * PENDING_FOR;
    story.send(request);
    story.pass(PENDING_FOR);
    assert!(story.group.is_empty());
}

#[test]
fn a_full_group_takes_no_more_and_who_only_has_an_id_takes_no_room() {
    let mut story = Story::with_delay(Duration::from_secs(3));
    for nth in 0..5 {
        let mut request = Story::request("", &format!("pending {nth}"));
        request.must_know_id = true;
        let ticket = story.send(request);
        assert_eq!(story.joined(ticket).error, ErrorCode::MEMBER_ID_REQUIRED);
    }
    let joins = ["one", "two", "three"].map(|id| story.join_new(id));
    for refused in [story.join_new("four"), story.join("pending 0")] {
        let answer = story.joined(refused);
        assert_eq!(answer.error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    }
    // Who waits already may ask again.
    let again = story.join("three");
    // There was a newcomer in the first round of waiting, and none in the second.
    story.pass(Duration::from_secs(3));
    story.pass(Duration::from_secs(3));
    for ticket in [joins[0], joins[1], again] {
        assert_eq!(story.joined(ticket).error, ErrorCode::NONE);
    }
    let four = story.join_new("four");
    let answer = story.joined(four);
    assert_eq!(answer.error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(story.leave("two"), ErrorCode::NONE);
    let four = story.join_new("four");
    assert!(story.answer(four).is_none(), "there is room for it");
}

#[test]
fn a_rebalance_tells_the_others_and_waits_for_them() {
    let mut story = Story::two();
    let three = story.join_new("three");
    assert!(story.answer(three).is_none());
    assert_eq!(story.heartbeat("one"), ErrorCode::REBALANCE_IN_PROGRESS);
    let one = story.join("one");
    assert!(story.answer(one).is_none());
    let two = story.join("two");
    for (ticket, members) in [(one, 3), (two, 0), (three, 0)] {
        let answer = story.joined(ticket);
        assert_eq!((answer.generation, answer.members.len()), (3, members));
        assert_eq!(answer.leader, "one");
    }
}

#[test]
fn who_does_not_join_in_time_is_out_and_the_group_goes_on() {
    let mut story = Story::two();
    let three = story.join_new("three");
    // Both old members keep the session alive, but only one joins.
    for _ in 0..7 {
        story.pass(Duration::from_secs(8));
        assert_eq!(story.heartbeat("one"), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(story.heartbeat("two"), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    let two = story.join("two");
    story.pass(Duration::from_secs(4));
    assert_eq!(story.joined(two).leader, "three");
    assert_eq!(story.joined(three).members.len(), 2);
    assert_eq!(story.heartbeat("one"), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_silent_member_is_out_after_its_session_and_the_deadline_says_when() {
    let mut story = Story::two();
    story.pass(Duration::from_secs(5));
    assert_eq!(story.heartbeat("one"), ErrorCode::NONE);
    assert_eq!(story.group.deadline(), Some(SESSION));
    story.pass(Duration::from_secs(5));
    assert_eq!(story.heartbeat("one"), ErrorCode::REBALANCE_IN_PROGRESS);
    let one = story.join("one");
    assert_eq!(story.joined(one).members.len(), 1);
}

#[test]
fn the_last_to_leave_empties_the_group_and_that_is_saved() {
    let mut story = Story::two();
    story.group.take_unsaved();
    assert_eq!(story.leave("two"), ErrorCode::NONE);
    assert_eq!(story.leave("two"), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(story.leave("one"), ErrorCode::NONE);
    assert_eq!(story.group.phase_name(), "Empty");
    assert!(story.group.is_empty() && story.group.take_unsaved());
    assert_eq!(story.group.deadline(), None);
    assert_eq!(story.heartbeat("one"), ErrorCode::UNKNOWN_MEMBER_ID);
    // The next one to come may be of another kind.
    let mut request = Story::request("", "connect");
    request.protocol_type = "connect".into();
    let ticket = story.send(request);
    assert_eq!(story.joined(ticket).error, ErrorCode::NONE);
}

#[test]
fn a_sync_that_waits_ends_when_a_rebalance_begins() {
    let mut story = Story::new();
    story.join_new("one");
    story.join_new("two");
    story.join("one");
    let waits = story.sync("two", &[]);
    assert!(story.answer(waits).is_none());
    story.join_new("three");
    assert_eq!(story.synced(waits).error, ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn who_never_syncs_is_out_after_the_rebalance_timeout() {
    let mut story = Story::new();
    story.join_new("one");
    story.join_new("two");
    story.join("one");
    let two = story.sync("two", &[]);
    for _ in 0..8 {
        story.pass(Duration::from_secs(8));
        story.heartbeat("one");
    }
    assert_eq!(story.heartbeat("one"), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(story.synced(two).error, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(story.heartbeat("two"), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn wrong_claims_have_errors_of_their_own() {
    let mut story = Story::two();
    let mut claim = story.claim("one");
    claim.generation = 1;
    let now = story.now();
    assert_eq!(
        story.group.handle_heartbeat(now, &claim),
        ErrorCode::ILLEGAL_GENERATION
    );
    claim.instance_id = Some("nobody".into());
    assert_eq!(
        story.group.handle_heartbeat(now, &claim),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    let mut request = Story::request("", "x");
    request.protocols = vec![("other".into(), Bytes::new())];
    let ticket = story.send(request);
    assert_eq!(
        story.joined(ticket).error,
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL
    );
    let ticket = story.join("nobody");
    assert_eq!(story.joined(ticket).error, ErrorCode::UNKNOWN_MEMBER_ID);
    // As in Kafka the last to join is the one for whom there is no room.
    story.join_new("three");
    story.join_new("four");
    story.join("one");
    let ticket = story.join("two");
    assert_eq!(
        story.joined(ticket).error,
        ErrorCode::GROUP_MAX_SIZE_REACHED
    );
}

#[test]
fn the_protocol_with_the_most_votes_wins() {
    let mut story = Story::new();
    let speaks = |id: &str, names: &[&str]| {
        let mut request = Story::request("", id);
        request.protocols = names
            .iter()
            .map(|name| ((*name).into(), Bytes::copy_from_slice(name.as_bytes())))
            .collect();
        request
    };
    story.send(speaks("one", &["sticky", "range", "own"]));
    story.send(speaks("two", &["range", "sticky"]));
    story.send(speaks("three", &["range", "sticky"]));
    let mut request = speaks("one", &["sticky", "range", "own"]);
    request.member_id = "one".into();
    story.send(request);
    let mut request = speaks("two", &["range", "sticky"]);
    request.member_id = "two".into();
    let ticket = story.send(request);
    assert_eq!(story.joined(ticket).protocol.as_deref(), Some("range"));
}

#[test]
fn commits_are_held_to_the_generation() {
    let mut story = Story::new();
    let simple = MemberClaim {
        member_id: "".into(),
        instance_id: None,
        generation: -1,
    };
    let now = story.now();
    assert_eq!(story.group.handle_commit(now, &simple), ErrorCode::NONE);
    story.join_new("one");
    assert_eq!(
        story.group.handle_commit(now, &simple),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    let claim = story.claim("one");
    assert_eq!(
        story.group.handle_commit(now, &claim),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
    story.sync("one", &[("one", "a")]);
    assert_eq!(story.group.handle_commit(now, &claim), ErrorCode::NONE);
    let late = MemberClaim {
        generation: 0,
        ..claim.clone()
    };
    assert_eq!(
        story.group.handle_commit(now, &late),
        ErrorCode::ILLEGAL_GENERATION
    );
    // During a rebalance the generation that ends may still commit.
    story.join_new("two");
    assert_eq!(story.group.handle_commit(now, &claim), ErrorCode::NONE);
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut story = Story::new();
    let a = story.join_static("A", "a-1");
    assert_eq!(story.joined(a).leader, "a-1");
    story.sync("a-1", &[("a-1", "all")]);
    story.group.take_unsaved();

    let back = story.join_static("A", "a-2");
    let answer = story.joined(back);
    assert_eq!((answer.generation, answer.leader.as_ref()), (1, "a-1"));
    assert!(answer.members.is_empty() && story.group.take_unsaved());
    let ticket = story.sync("a-2", &[]);
    assert_eq!(story.synced(ticket).assignment, "all");

    let mut old = story.claim("a-1");
    old.instance_id = Some("A".into());
    let now = story.now();
    assert_eq!(
        story.group.handle_heartbeat(now, &old),
        ErrorCode::FENCED_INSTANCE_ID
    );

    let mut request = Story::request("", "a-3");
    request.instance_id = Some("A".into());
    request.may_skip_assignment = true;
    let ticket = story.send(request);
    let answer = story.joined(ticket);
    assert!(answer.skip_assignment && answer.members.len() == 1);
    assert_eq!(answer.leader, "a-3");

    assert_eq!(
        story.group.handle_leave(now, "", Some("B")),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    assert_eq!(
        story.group.handle_leave(now, "a-1", Some("A")),
        ErrorCode::FENCED_INSTANCE_ID
    );
    assert_eq!(
        story.group.handle_leave(now, "", Some("A")),
        ErrorCode::NONE
    );
}

#[test]
fn the_first_rebalance_waits_for_newcomers_when_told_to() {
    let mut story = Story::with_delay(Duration::from_secs(3));
    let one = story.join_new("one");
    assert!(story.answer(one).is_none());
    story.pass(Duration::from_secs(2));
    let two = story.join_new("two");
    story.pass(Duration::from_secs(1));
    assert!(story.answer(one).is_none(), "a newcomer prolongs the wait");
    story.pass(Duration::from_secs(3));
    assert_eq!(story.joined(one).members.len(), 2);
    assert_eq!(story.joined(two).generation, 1);
}

#[test]
fn a_restored_group_goes_on_in_its_generation() {
    let story = Story::two();
    let saved = story.group.snapshot();
    let mut again = Story::new();
    again.group = ClassicGroup::restore(again.now(), again.group.limits, saved.clone());
    assert_eq!(again.group.snapshot(), saved);
    assert_eq!(again.heartbeat("one"), ErrorCode::NONE);
    let ticket = again.sync("two", &[]);
    assert_eq!(again.synced(ticket).assignment, "b");
    again.pass(SESSION);
    assert_eq!(again.group.phase_name(), "Empty");
}

#[test]
fn a_group_that_was_not_saved_hands_out_no_assignment() {
    let mut story = Story::new();
    story.join_new("one");
    let ticket = story.sync("one", &[("one", "a")]);
    assert!(story.group.take_unsaved());
    story.group.handle_save_failed();
    assert_eq!(
        story.synced(ticket).error,
        ErrorCode::COORDINATOR_NOT_AVAILABLE
    );
    let again = story.sync("one", &[]);
    assert!(story.group.take_unsaved(), "it is still not saved");
    assert_eq!(story.synced(again).assignment, "a");
}

#[test]
fn a_second_join_of_a_member_ends_the_first() {
    let mut story = Story::two();
    story.join_new("three");
    let first = story.join("one");
    let second = story.join("one");
    assert_eq!(story.joined(first).error, ErrorCode::REBALANCE_IN_PROGRESS);
    story.join("two");
    assert_eq!(story.joined(second).error, ErrorCode::NONE);
}
