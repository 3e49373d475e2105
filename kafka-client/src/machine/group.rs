//! Being a member of a group, and keeping its offsets.
//!
//! Composes the finding of the coordinator, the membership and the commits. Knows no partition's
//! position beyond what is to be committed.

pub(crate) mod assignor;
pub(crate) mod classic_member;
pub(crate) mod commit;
pub(crate) mod heartbeat;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytestring::ByteString;
use kafka_protocol::messages::{
    HeartbeatResponse, JoinGroupResponse, OffsetCommitResponse, OffsetFetchResponse,
    SyncGroupResponse,
};
use kafka_protocol::{ErrorCode, Uuid};

use crate::error::{Error, ErrorKind};
use crate::machine::backoff::Backoff;
use crate::machine::group::classic_member::{ClassicMember, Manners, Speech, Turn};
use crate::machine::group::commit::{CommitPlan, Commits, CommittedPlan, Proof, Verdict};
use crate::machine::subscription::position::Position;
use crate::machine::time::{Duration, Instant, earlier};
use crate::record::topic_partition::TopicPartition;

/// What the group needs done.
#[derive(Clone, Debug)]
pub(crate) enum GroupAction {
    /// Find the coordinator; what was known before is wrong.
    FindCoordinator,
    /// Say this to the coordinator; the answer carries the number.
    Speak {
        node: i32,
        call: u64,
        speech: Speech,
    },
    Commit {
        node: i32,
        plan: CommitPlan,
    },
    FetchCommitted {
        node: i32,
        plan: CommittedPlan,
    },
}

/// What happened to the group's partitions.
#[derive(Clone, Debug)]
pub(crate) enum GroupEvent {
    /// Read these, from their committed offsets.
    Assigned(BTreeSet<TopicPartition>),
    /// Delivery stops; what is under way may still be committed.
    Revoking,
    /// Nothing is read any more.
    Revoked,
    /// The partitions belong to others already.
    Lost(Error),
    /// A partition's committed offset, if there is one.
    Committed(TopicPartition, Option<Position>),
    /// A partition's committed offset is kept from us.
    Unreadable(TopicPartition, Error),
    /// These will not be committed: the partitions went to others before, or the coordinator refused.
    NotCommitted(BTreeMap<TopicPartition, i64>, Error),
    /// The group cannot be joined.
    Failed(Error),
}

/// Where the coordinator is.
#[derive(Debug)]
enum Coordinator {
    Unknown { ask_at: Instant },
    Asked,
    Known(i32),
}

/// One consumer's side of its group.
#[derive(Debug)]
pub(crate) struct Group {
    manners: Manners,
    coordinator: Coordinator,
    backoff: Backoff,
    /// `None` if the application named its partitions itself: then the group only keeps offsets.
    member: Option<ClassicMember>,
    commits: Commits,
    events: VecDeque<GroupEvent>,
    /// What was processed has been told since the revocation began, and whether records are open.
    told: Option<bool>,
    /// The coordinator takes no commits of this generation any more.
    too_late: bool,
    /// What was processed and will not be committed, since the close began.
    left_behind: BTreeMap<TopicPartition, i64>,
    /// Why the first of it will not be.
    left_because: Option<Error>,
    closing: bool,
    failed: bool,
}

impl Group {
    /// A member that wants its share of these topics, or, without topics, only the group's offsets.
    pub(crate) fn new(
        now: Instant,
        manners: Manners,
        topics: Option<BTreeSet<ByteString>>,
    ) -> Self {
        let member = topics.map(|topics| ClassicMember::new(now, manners.clone(), topics));
        Self {
            coordinator: Coordinator::Unknown { ask_at: now },
            backoff: manners.backoff,
            commits: Commits::new(manners.backoff),
            member,
            manners,
            events: VecDeque::new(),
            told: None,
            too_late: false,
            left_behind: BTreeMap::new(),
            left_because: None,
            closing: false,
            failed: false,
        }
    }

    pub(crate) fn name(&self) -> &ByteString {
        &self.manners.group
    }

    /// The next thing to do. `awaited` are the partitions whose committed offset is not known yet.
    ///
    /// Ask after every input until there is none, and again at the instant that
    /// [`Self::poll_deadline`] names.
    pub(crate) fn poll_action(
        &mut self,
        now: Instant,
        partition_counts: &BTreeMap<ByteString, i32>,
        awaited: BTreeSet<TopicPartition>,
        id_of: impl Fn(&TopicPartition) -> Uuid,
    ) -> Option<GroupAction> {
        if let Some(member) = &mut self.member {
            member.poll_silence(now);
        }
        self.take_turns();
        self.finish_revocation(now);
        let node = match self.coordinator {
            Coordinator::Known(node) => node,
            Coordinator::Asked => return None,
            Coordinator::Unknown { ask_at } => {
                if ask_at > now || !self.wants_coordinator(now, &awaited) {
                    return None;
                }
                self.coordinator = Coordinator::Asked;
                return Some(GroupAction::FindCoordinator);
            }
        };
        if let Some(member) = &mut self.member {
            let spoken = member.poll_speech(now, partition_counts);
            self.take_turns();
            if let Some((call, speech)) = spoken {
                return Some(GroupAction::Speak { node, call, speech });
            }
        }
        if !self.may_commit() {
            return None;
        }
        let proof = self.proof();
        if let Some(plan) = self.commits.poll_commit(now, || proof.clone(), &id_of) {
            return Some(GroupAction::Commit { node, plan });
        }
        let plan = self
            .commits
            .poll_committed(now, awaited, || proof, &id_of)?;
        Some(GroupAction::FetchCommitted { node, plan })
    }

    fn wants_coordinator(&self, now: Instant, awaited: &BTreeSet<TopicPartition>) -> bool {
        match &self.member {
            Some(member) => member.wants_coordinator(now),
            None => !self.failed && (!self.commits.is_clean() || !awaited.is_empty()),
        }
    }

    fn may_commit(&self) -> bool {
        match &self.member {
            Some(member) => member.may_commit(),
            None => !self.failed,
        }
    }

    fn proof(&self) -> Proof {
        match &self.member {
            Some(member) => member.proof(),
            None => Proof {
                group: self.manners.group.clone(),
                member: ByteString::new(),
                instance: None,
                generation: -1,
            },
        }
    }

    /// Brings what happened to the member to those whom it concerns.
    fn take_turns(&mut self) {
        while let Some(turn) = self.member.as_mut().and_then(ClassicMember::poll_turn) {
            match turn {
                Turn::Assigned {
                    partitions,
                    continuous,
                } => {
                    let none = BTreeSet::new();
                    let kept = if continuous { &partitions } else { &none };
                    let why = Error::broker(ErrorCode::REBALANCE_IN_PROGRESS, Some(GONE))
                        .with_group(&*self.manners.group);
                    let dropped = self.commits.handle_assignment(kept, &why);
                    self.tell_not_committed(dropped, why);
                    self.events.push_back(GroupEvent::Assigned(partitions));
                }
                Turn::Revoking => {
                    self.told = None;
                    self.too_late = false;
                    self.events.push_back(GroupEvent::Revoking);
                }
                Turn::Lost(error) => {
                    let dropped = self.commits.handle_assignment(&BTreeSet::new(), &error);
                    self.tell_not_committed(dropped, error.clone());
                    self.events.push_back(GroupEvent::Lost(error));
                }
                Turn::Failed(error) => {
                    self.fail(error);
                }
                Turn::Left => {
                    let why = Error::new(ErrorKind::Closed, "the consumer left its group");
                    let why = why.with_group(&*self.manners.group);
                    let dropped = self.commits.fail_all(&why);
                    self.tell_not_committed(dropped, why);
                }
            }
        }
    }

    fn tell_not_committed(&mut self, offsets: BTreeMap<TopicPartition, i64>, why: Error) {
        if !offsets.is_empty() {
            if self.closing {
                self.left_behind.extend(offsets.clone());
                self.left_because.get_or_insert_with(|| why.clone());
            }
            self.events
                .push_back(GroupEvent::NotCommitted(offsets, why));
        }
    }

    /// Nothing works any more.
    fn fail(&mut self, error: Error) {
        self.failed = true;
        let dropped = self.commits.fail_all(&error);
        self.tell_not_committed(dropped, error.clone());
        self.events.push_back(GroupEvent::Failed(error));
    }

    /// Partitions are given up when no record is open and all is committed, or time is up.
    fn finish_revocation(&mut self, now: Instant) {
        let revoking = self.member.as_ref();
        let Some(until) = revoking.and_then(ClassicMember::revoking_until) else {
            return;
        };
        let graced = self.told == Some(false) || until <= now;
        let committed = self.commits.is_clean() || self.too_late || self.commit_limit(until) <= now;
        if self.told.is_some()
            && graced
            && committed
            && let Some(member) = &mut self.member
        {
            member.handle_revoked(now);
            self.events.push_back(GroupEvent::Revoked);
        }
    }

    /// How long after the grace a revocation waits for the commit: not so long that the group goes on
    /// without this member.
    fn commit_limit(&self, until: Instant) -> Instant {
        until + COMMIT_MARGIN.min(self.manners.rebalance_timeout / 4)
    }

    /// Whether partitions are being given up, and what is processed should be told.
    pub(crate) fn is_revoking(&self) -> bool {
        self.member
            .as_ref()
            .is_some_and(|member| member.revoking_until().is_some())
    }

    /// A partition is processed up to here; committed in the background.
    pub(crate) fn note(&mut self, tp: &TopicPartition, position: Position) {
        self.commits.note(tp, position);
    }

    /// A policy moved a partition's position, maybe back; commits where it goes on, if that is given.
    pub(crate) fn restart(&mut self, tp: &TopicPartition, position: Option<Position>) {
        self.commits.restart(tp, position);
    }

    /// A partition is another one under the same name now: offsets of the old one are not committed.
    pub(crate) fn give_up(&mut self, tp: &TopicPartition) {
        let why = Error::broker(ErrorCode::UNKNOWN_TOPIC_ID, Some(RECREATED))
            .with_group(&*self.manners.group);
        if let Some(offset) = self.commits.give_up(tp, &why) {
            self.tell_not_committed(BTreeMap::from([(tp.clone(), offset)]), why);
        }
    }

    /// The last offset of a partition that was committed, or is about to be.
    pub(crate) fn latest(&self, tp: &TopicPartition) -> Option<i64> {
        self.commits.latest(tp)
    }

    /// All of what is processed was noted. `open`: records were delivered that are not processed yet.
    pub(crate) fn handle_noted(&mut self, open: bool) {
        self.told = Some(open);
    }

    /// The application wants these offsets committed, or all that were noted. The call ends with
    /// [`Self::poll_finished`].
    pub(crate) fn request_commit(
        &mut self,
        id: u64,
        offsets: Option<BTreeMap<TopicPartition, Position>>,
    ) {
        match offsets {
            Some(offsets) => self.commits.request(id, offsets),
            None => self.commits.request_noted(id),
        }
        if self.failed || self.member.as_ref().is_some_and(ClassicMember::is_left) {
            let why = Error::new(ErrorKind::Closed, "the consumer is no member of its group");
            let why = why.with_group(&*self.manners.group);
            let dropped = self.commits.fail_all(&why);
            self.tell_not_committed(dropped, why);
        }
    }

    pub(crate) fn poll_finished(&mut self) -> Option<(u64, Result<(), Error>)> {
        self.commits.poll_finished()
    }

    pub(crate) fn poll_event(&mut self) -> Option<GroupEvent> {
        self.take_turns();
        self.events.pop_front()
    }

    /// The coordinator was found or not.
    pub(crate) fn handle_coordinator(
        &mut self,
        now: Instant,
        random: u32,
        answer: Result<i32, Error>,
    ) {
        match answer {
            // Whether it really is the one, its answers will tell.
            Ok(node) => self.coordinator = Coordinator::Known(node),
            Err(error) => {
                let ask_at = now + self.backoff.next_wait(random);
                self.coordinator = Coordinator::Unknown { ask_at };
                let code = error.broker_code().unwrap_or(ErrorCode::NONE);
                if matches!(Verdict::of(code), Verdict::Fatal(_)) {
                    self.member = None;
                    self.fail(error);
                }
            }
        }
    }

    pub(crate) fn handle_join(
        &mut self,
        now: Instant,
        random: u32,
        call: u64,
        answer: Result<JoinGroupResponse, Error>,
    ) {
        if let Some(member) = &mut self.member {
            let verdict = member.handle_join(now, random, call, answer);
            self.doubt_coordinator(now, random, verdict);
        }
    }

    pub(crate) fn handle_sync(
        &mut self,
        now: Instant,
        random: u32,
        call: u64,
        answer: Result<SyncGroupResponse, Error>,
    ) {
        if let Some(member) = &mut self.member {
            let verdict = member.handle_sync(now, random, call, answer);
            self.doubt_coordinator(now, random, verdict);
        }
    }

    pub(crate) fn handle_heartbeat(
        &mut self,
        now: Instant,
        random: u32,
        call: u64,
        answer: Result<HeartbeatResponse, Error>,
    ) {
        if let Some(member) = &mut self.member {
            let verdict = member.handle_heartbeat(now, random, call, answer);
            self.doubt_coordinator(now, random, verdict);
        }
    }

    pub(crate) fn handle_leave(&mut self, call: u64) {
        if let Some(member) = &mut self.member {
            member.handle_leave(call);
        }
    }

    pub(crate) fn handle_commit(
        &mut self,
        now: Instant,
        random: u32,
        plan: &CommitPlan,
        answer: Result<OffsetCommitResponse, Error>,
    ) {
        let (refusals, verdict) = self.commits.handle_commit(now, random, plan, answer);
        for (offsets, error) in refusals {
            self.tell_not_committed(offsets, error);
        }
        self.too_late |= verdict == Verdict::Rebalance && self.is_revoking();
        self.handle_verdict(now, random, verdict);
    }

    pub(crate) fn handle_committed(
        &mut self,
        now: Instant,
        random: u32,
        plan: &CommittedPlan,
        answer: Result<OffsetFetchResponse, Error>,
    ) {
        let (found, verdict) = self.commits.handle_committed(now, random, plan, answer);
        for (tp, told) in found {
            self.events.push_back(match told {
                Ok(position) => GroupEvent::Committed(tp, position),
                Err(error) => GroupEvent::Unreadable(tp, error),
            });
        }
        self.handle_verdict(now, random, verdict);
    }

    /// What belongs to an earlier membership has no verdict.
    fn handle_verdict(&mut self, now: Instant, random: u32, verdict: Verdict) {
        match &mut self.member {
            Some(member) => member.handle_verdict(now, random, verdict),
            None => {
                if let Verdict::Fatal(code) | Verdict::Lost(code) = verdict {
                    self.fail(Error::broker(code, None).with_group(&*self.manners.group));
                }
            }
        }
        self.doubt_coordinator(now, random, verdict);
    }

    /// Who turned out not to be the coordinator, or cannot be reached, is asked no more.
    fn doubt_coordinator(&mut self, now: Instant, random: u32, verdict: Verdict) {
        if verdict != Verdict::NotCoordinator {
            self.backoff.reset();
        } else if matches!(self.coordinator, Coordinator::Known(_)) {
            let ask_at = now + self.backoff.next_wait(random);
            self.coordinator = Coordinator::Unknown { ask_at };
        }
    }

    /// The application makes no progress: others may have its partitions.
    pub(crate) fn rest(&mut self, now: Instant) {
        if let Some(member) = &mut self.member {
            member.rest(now);
        }
    }

    /// Whether [`Self::rest`] would do something.
    pub(crate) fn may_rest(&self) -> bool {
        self.member.as_ref().is_some_and(ClassicMember::may_rest)
    }

    /// Whether the member waits for the application to come back.
    pub(crate) fn is_resting(&self) -> bool {
        self.member.as_ref().is_some_and(ClassicMember::is_resting)
    }

    /// The application is back.
    pub(crate) fn wake(&mut self, now: Instant) {
        if let Some(member) = &mut self.member {
            member.wake(now);
        }
    }

    /// Leaves, after this long at most for records under way and a moment to commit them.
    pub(crate) fn close(&mut self, now: Instant, grace: Duration) {
        self.closing = true;
        if let Some(member) = &mut self.member {
            member.leave(now, grace);
        }
    }

    /// Whether nothing is left to do after [`Self::close`].
    pub(crate) fn is_closed(&self) -> bool {
        let left = self.member.as_ref().is_none_or(ClassicMember::is_left);
        self.closing && left && (self.failed || self.commits.is_clean())
    }

    /// Whether of a close nothing is left but to tell the coordinator.
    pub(crate) fn is_leaving(&self) -> bool {
        let leaving = self.member.as_ref().is_some_and(ClassicMember::is_leaving);
        self.closing && leaving
    }

    /// What is not committed yet, and what never will be since the close began.
    pub(crate) fn uncommitted(&self) -> BTreeMap<TopicPartition, i64> {
        let mut open = self.left_behind.clone();
        open.extend(self.commits.open());
        open
    }

    /// Why something never will be committed since the close began.
    pub(crate) fn left_because(&self) -> Option<&Error> {
        self.left_because.as_ref()
    }

    /// Topics of other members that the leader must know about.
    pub(crate) fn foreign_topics(&self) -> BTreeSet<ByteString> {
        let member = self.member.as_ref();
        member
            .map(ClassicMember::foreign_topics)
            .unwrap_or_default()
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        let member = self.member.as_ref();
        let own = match self.coordinator {
            Coordinator::Unknown { ask_at } if ask_at > now => Some(ask_at),
            _ => None,
        };
        let until = member.and_then(ClassicMember::revoking_until);
        let margin = until
            .map(|until| self.commit_limit(until))
            .filter(|at| *at > now);
        let deadline = earlier(own, member.and_then(|member| member.poll_deadline(now)));
        earlier(earlier(deadline, margin), self.commits.poll_deadline(now))
    }
}

/// How long after the grace a revocation waits for the commit.
const COMMIT_MARGIN: Duration = Duration::from_secs(5);
const GONE: &str = "the partition went to another member before its offset was committed";
const RECREATED: &str = "the topic was made again before the offset was committed";

#[cfg(test)]
mod tests;
