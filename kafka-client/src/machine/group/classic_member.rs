//! Being a member of a classic group: join, sync, heartbeat, leave.
//!
//! Knows nothing of offsets, nor how the coordinator is found: it is told when it may speak, and what
//! became of what it said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest, SyncGroupResponse,
};

use crate::error::{Error, ErrorKind};
use crate::machine::backoff::Backoff;
use crate::machine::group::assignor::problem::{Assignment, Wish};
use crate::machine::group::assignor::{
    PROTOCOL_TYPE, RANGE, decode_assignment, decode_wish, encode_assignment, encode_wish, range,
};
use crate::machine::group::commit::{Proof, Verdict};
use crate::machine::group::heartbeat::{Heartbeat, Step};
use crate::machine::time::{Duration, Instant, earlier};
use crate::record::topic_partition::TopicPartition;

/// How a member behaves.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    pub(crate) group: ByteString,
    pub(crate) instance: Option<ByteString>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    /// How long a revocation waits for records under way.
    pub(crate) grace: Duration,
    pub(crate) backoff: Backoff,
}

/// What a member says to its coordinator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Speech {
    Join {
        request: JoinGroupRequest,
        /// The coordinator gathers members before it answers.
        timeout: Duration,
    },
    Sync(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    Leave {
        proof: Proof,
        /// An unanswered join is in the way on the group's own connection.
        aside: bool,
    },
}

/// What happened to a member.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// These partitions are to be read; whoever had none is told of the empty set.
    Assigned {
        partitions: BTreeSet<TopicPartition>,
        /// Nobody can have read them since this member did.
        continuous: bool,
    },
    /// Delivery stops now. The owner finishes what is under way, then calls `handle_revoked`.
    Revoking,
    /// The partitions belong to others already.
    Lost(Error),
    /// Asking again makes no sense.
    Failed(Error),
    /// The group was left, or there was none to leave.
    Left,
}

#[derive(Debug)]
enum State {
    /// Not a member, and about to be one at this instant; `None` rests until woken.
    Outside {
        join_at: Option<Instant>,
    },
    /// The answer of the coordinator may take as long as a rebalance.
    Joining {
        call: u64,
    },
    /// As the leader: knows the members, waits until their topics are known.
    Sharing {
        members: BTreeMap<ByteString, Wish>,
        until: Instant,
    },
    Syncing {
        call: u64,
    },
    Stable,
    /// Partitions are given up; the owner finishes until this instant.
    Revoking {
        until: Instant,
        then: Then,
    },
    Leaving {
        call: Option<u64>,
        aside: bool,
        rests: bool,
    },
    Left,
    Failed,
}

/// What comes when partitions have been given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The rebalance.
    Rejoin,
    /// Nothing until [`ClassicMember::wake`]: the application makes no progress.
    Rest,
    /// The end.
    Leave,
}

/// One member of one group.
#[derive(Debug)]
pub(crate) struct ClassicMember {
    manners: Manners,
    topics: BTreeSet<ByteString>,
    state: State,
    member_id: ByteString,
    generation: i32,
    /// The generation whose partitions were read last.
    read_in: Option<i32>,
    heartbeat: Heartbeat,
    /// As the leader: what was shared out.
    shared: Option<Shared>,
    /// An assignment that waits to be sent.
    sync: Option<SyncGroupRequest>,
    calls: u64,
    /// The heartbeat under way.
    beat: Option<u64>,
    backoff: Backoff,
    turns: VecDeque<Turn>,
}

/// What a leader bases its assignment on, and must do again when it changes.
#[derive(Debug)]
struct Shared {
    /// All that any member wants, also what does not exist yet.
    topics: BTreeSet<ByteString>,
    /// How many partitions those had that were known.
    counts: BTreeMap<ByteString, i32>,
}

impl ClassicMember {
    pub(crate) fn new(now: Instant, manners: Manners, topics: BTreeSet<ByteString>) -> Self {
        let heartbeat = Heartbeat::new(now, manners.heartbeat_interval, manners.session_timeout);
        Self {
            topics,
            state: State::Outside { join_at: Some(now) },
            member_id: ByteString::new(),
            generation: NO_GENERATION,
            read_in: None,
            heartbeat,
            shared: None,
            sync: None,
            calls: 0,
            beat: None,
            backoff: manners.backoff,
            turns: VecDeque::new(),
            manners,
        }
    }

    /// What happened, in order.
    pub(crate) fn poll_turn(&mut self) -> Option<Turn> {
        self.turns.pop_front()
    }

    /// Whether a coordinator is needed now.
    pub(crate) fn wants_coordinator(&self, now: Instant) -> bool {
        match self.state {
            State::Outside { join_at } => join_at.is_some_and(|at| at <= now),
            State::Left | State::Failed => false,
            _ => true,
        }
    }

    /// What to say now, to a coordinator that is known. Each speech has a number for its answer.
    ///
    /// Ask after every input, and again at the instant [`Self::poll_deadline`] names.
    pub(crate) fn poll_speech(
        &mut self,
        now: Instant,
        partition_counts: &BTreeMap<ByteString, i32>,
    ) -> Option<(u64, Speech)> {
        self.look_at_topics(now, partition_counts);
        match &mut self.state {
            State::Outside { join_at: Some(at) } if *at <= now => {
                let request = self.join_request()?;
                self.calls += 1;
                self.state = State::Joining { call: self.calls };
                let timeout = self.manners.rebalance_timeout + JOIN_MARGIN;
                Some((self.calls, Speech::Join { request, timeout }))
            }
            State::Leaving { call, aside, .. } if call.is_none() => {
                self.calls += 1;
                *call = Some(self.calls);
                let aside = *aside;
                let proof = self.proof();
                Some((self.calls, Speech::Leave { proof, aside }))
            }
            _ => None,
        }
        .or_else(|| self.poll_sync())
        .or_else(|| self.poll_heartbeat(now))
    }

    fn poll_sync(&mut self) -> Option<(u64, Speech)> {
        let request = self.sync.take()?;
        self.calls += 1;
        self.state = State::Syncing { call: self.calls };
        Some((self.calls, Speech::Sync(request)))
    }

    fn poll_heartbeat(&mut self, now: Instant) -> Option<(u64, Speech)> {
        if !self.is_beating() || self.heartbeat.poll(now) != Step::Send {
            return None;
        }
        self.calls += 1;
        self.beat = Some(self.calls);
        let mut request = HeartbeatRequest::default();
        request.group_id = self.manners.group.clone();
        request.generation_id = self.generation;
        request.member_id = self.member_id.clone();
        request.group_instance_id = self.manners.instance.clone();
        Some((self.calls, Speech::Heartbeat(request)))
    }

    /// Silence is noticed even while no coordinator is known.
    pub(crate) fn poll_silence(&mut self, now: Instant) {
        if self.is_beating() && self.heartbeat.is_lost(now) {
            let text = "the coordinator was silent for a whole session";
            let error = Error::new(ErrorKind::Timeout, text).with_group(&*self.manners.group);
            // That was wait enough.
            self.backoff.reset();
            self.lose(now, 0, error);
        }
    }

    /// Not while it waits for its share: the coordinator holds back that answer and all that is asked
    /// behind it, and knows that the member is alive.
    fn is_beating(&self) -> bool {
        matches!(
            self.state,
            State::Stable | State::Revoking { .. } | State::Sharing { .. }
        )
    }

    fn is_member(&self) -> bool {
        self.is_beating() || matches!(self.state, State::Syncing { .. })
    }

    /// As the leader: shares out what became known, and notices when it is not true any more.
    fn look_at_topics(&mut self, now: Instant, counts: &BTreeMap<ByteString, i32>) {
        match &self.state {
            State::Sharing { members, until } => {
                let wishes = members.values().flat_map(|wish| &wish.topics);
                let topics: BTreeSet<ByteString> = wishes.cloned().collect();
                if *until > now && topics.iter().any(|topic| !counts.contains_key(topic)) {
                    return;
                }
                let counts: BTreeMap<ByteString, i32> = counts
                    .iter()
                    .filter(|(topic, _)| topics.contains(*topic))
                    .map(|(topic, count)| (topic.clone(), *count))
                    .collect();
                let shares = range::assign(members, &counts);
                self.shared = Some(Shared { topics, counts });
                self.sync = self.sync_request(shares);
            }
            State::Stable => {
                let Some(shared) = &self.shared else {
                    return;
                };
                // A topic that is not in sight for a moment is no change.
                let changed = shared.topics.iter().any(|topic| {
                    counts
                        .get(topic)
                        .is_some_and(|told| shared.counts.get(topic) != Some(told))
                });
                if changed {
                    self.revoke(now, self.manners.grace, Then::Rejoin);
                }
            }
            _ => {}
        }
    }

    /// The topics of other members that the leader must know about.
    pub(crate) fn foreign_topics(&self) -> BTreeSet<ByteString> {
        let sharing = match &self.state {
            State::Sharing { members, .. } => Some(members.values().flat_map(|wish| &wish.topics)),
            _ => None,
        };
        let shared = self.shared.iter().flat_map(|shared| &shared.topics);
        shared
            .chain(sharing.into_iter().flatten())
            .cloned()
            .collect()
    }

    fn join_request(&mut self) -> Option<JoinGroupRequest> {
        let metadata = match encode_wish(&self.topics) {
            Ok(metadata) => metadata,
            Err(error) => {
                self.fail(error);
                return None;
            }
        };
        let mut protocol = JoinGroupRequestProtocol::default();
        protocol.name = ByteString::from_static(RANGE);
        protocol.metadata = metadata;
        let mut request = JoinGroupRequest::default();
        request.group_id = self.manners.group.clone();
        request.session_timeout_ms = millis(self.manners.session_timeout);
        request.rebalance_timeout_ms = millis(self.manners.rebalance_timeout);
        request.member_id = self.member_id.clone();
        request.group_instance_id = self.manners.instance.clone();
        request.protocol_type = ByteString::from_static(PROTOCOL_TYPE);
        request.protocols.push(protocol);
        Some(request)
    }

    fn sync_request(
        &mut self,
        shares: BTreeMap<ByteString, Assignment>,
    ) -> Option<SyncGroupRequest> {
        let mut request = SyncGroupRequest::default();
        request.group_id = self.manners.group.clone();
        request.generation_id = self.generation;
        request.member_id = self.member_id.clone();
        request.group_instance_id = self.manners.instance.clone();
        request.protocol_type = Some(ByteString::from_static(PROTOCOL_TYPE));
        request.protocol_name = Some(ByteString::from_static(RANGE));
        for (member, share) in shares {
            let mut assignment = SyncGroupRequestAssignment::default();
            assignment.member_id = member;
            match encode_assignment(&share) {
                Ok(blob) => assignment.assignment = blob,
                Err(error) => {
                    self.fail(error);
                    return None;
                }
            }
            request.assignments.push(assignment);
        }
        Some(request)
    }

    /// The coordinator answered a join or could not be asked.
    pub(crate) fn handle_join(
        &mut self,
        now: Instant,
        random: u32,
        call: u64,
        answer: Result<JoinGroupResponse, Error>,
    ) -> Verdict {
        if !matches!(self.state, State::Joining { call: expected } if expected == call) {
            return Verdict::Fine;
        }
        let response = match answer {
            Ok(response) => response,
            Err(error) => return self.unheard(now, random, &error),
        };
        match ErrorCode::from(response.error_code) {
            ErrorCode::NONE => {}
            // The id is given first and used at once.
            ErrorCode::MEMBER_ID_REQUIRED
                if self.member_id.is_empty() && !response.member_id.is_empty() =>
            {
                self.member_id = ByteString::from(&*response.member_id);
                self.state = State::Outside { join_at: Some(now) };
                return Verdict::Fine;
            }
            code => return self.refused(now, random, code),
        }
        self.member_id = ByteString::from(&*response.member_id);
        self.generation = response.generation_id;
        self.heartbeat = Heartbeat::new(
            now,
            self.manners.heartbeat_interval,
            self.manners.session_timeout,
        );
        self.beat = None;
        self.shared = None;
        let leads = response.leader == response.member_id;
        if leads && !response.skip_assignment {
            let members = response
                .members
                .into_iter()
                .map(|member| {
                    let instance = member.group_instance_id.map(|id| ByteString::from(&*id));
                    let wish = decode_wish(instance, &member.metadata).unwrap_or_else(|error| {
                        tracing::warn!(
                            group = &*self.manners.group,
                            member = &*member.member_id,
                            %error,
                            "a member's subscription cannot be read; it gets no partitions"
                        );
                        Wish::default()
                    });
                    (ByteString::from(&*member.member_id), wish)
                })
                .collect();
            let until = now + SHARING_PATIENCE.min(self.manners.session_timeout / 3);
            self.state = State::Sharing { members, until };
        } else {
            self.state = State::Syncing { call: 0 };
            self.sync = self.sync_request(BTreeMap::new());
        }
        Verdict::Fine
    }

    /// The coordinator answered a sync or could not be asked.
    pub(crate) fn handle_sync(
        &mut self,
        now: Instant,
        random: u32,
        call: u64,
        answer: Result<SyncGroupResponse, Error>,
    ) -> Verdict {
        if !matches!(self.state, State::Syncing { call: expected } if expected == call) {
            return Verdict::Fine;
        }
        let response = match answer {
            Ok(response) => response,
            Err(error) => return self.unheard(now, random, &error),
        };
        match ErrorCode::from(response.error_code) {
            ErrorCode::NONE => {}
            code => return self.refused(now, random, code),
        }
        self.heartbeat.handle_answer(now);
        match decode_assignment(&response.assignment) {
            Ok(partitions) => {
                let continuous = self.read_in.is_some_and(|read| read + 1 == self.generation);
                self.read_in = Some(self.generation);
                self.state = State::Stable;
                self.turns.push_back(Turn::Assigned {
                    partitions,
                    continuous,
                });
                Verdict::Fine
            }
            Err(error) => self.unheard(now, random, &error),
        }
    }

    /// The coordinator answered a heartbeat or could not be asked.
    pub(crate) fn handle_heartbeat(
        &mut self,
        now: Instant,
        random: u32,
        call: u64,
        answer: Result<HeartbeatResponse, Error>,
    ) -> Verdict {
        if self.beat != Some(call) {
            return Verdict::Fine;
        }
        self.beat = None;
        let Ok(response) = answer else {
            let wait = self.backoff.next_wait(random);
            self.heartbeat.handle_failure(now, wait);
            return Verdict::NotCoordinator;
        };
        let code = ErrorCode::from(response.error_code);
        let verdict = Verdict::of(code);
        if verdict == Verdict::NotCoordinator {
            // To be said again as soon as the coordinator is found: who answered is none.
            self.heartbeat.handle_failure(now, Duration::ZERO);
            return verdict;
        }
        self.heartbeat.handle_answer(now);
        if code == ErrorCode::NONE {
            self.backoff.reset();
        }
        self.handle_verdict(now, random, verdict);
        verdict
    }

    /// Whatever the coordinator said to a leave, the group is left.
    pub(crate) fn handle_leave(&mut self, call: u64) {
        if let State::Leaving {
            call: Some(expected),
            rests,
            ..
        } = self.state
            && expected == call
        {
            self.leave_done(rests);
        }
    }

    fn leave_done(&mut self, rests: bool) {
        self.forget();
        if rests {
            self.state = State::Outside { join_at: None };
        } else {
            self.state = State::Left;
        }
        self.turns.push_back(Turn::Left);
    }

    /// What a heartbeat or a commit of this membership said about it.
    pub(crate) fn handle_verdict(&mut self, now: Instant, random: u32, verdict: Verdict) {
        if !self.is_member() {
            return;
        }
        match verdict {
            Verdict::Fine | Verdict::NotCoordinator => {}
            Verdict::Rebalance => {
                if matches!(self.state, State::Stable) {
                    self.revoke(now, self.manners.grace, Then::Rejoin);
                }
            }
            Verdict::Lost(code) => {
                let error = Error::broker(code, None).with_group(&*self.manners.group);
                let member_id = self.member_id.clone();
                self.lose(now, random, error);
                // Who is known in another generation is let in under its name at once. For a new name the group
                // would wait until the session of the old one ends.
                let is_known = code == ErrorCode::ILLEGAL_GENERATION;
                if is_known && matches!(self.state, State::Outside { join_at: Some(_) }) {
                    self.member_id = member_id;
                }
            }
            Verdict::Fatal(code) => {
                self.fail(Error::broker(code, None).with_group(&*self.manners.group));
            }
        }
    }

    /// A join or a sync was refused.
    fn refused(&mut self, now: Instant, random: u32, code: ErrorCode) -> Verdict {
        let verdict = Verdict::of(code);
        let wait = match verdict {
            Verdict::Fatal(code) => {
                let text = (code == ErrorCode::INVALID_SESSION_TIMEOUT).then(|| {
                    let timeout = self.manners.session_timeout;
                    format!("the coordinator does not allow a session.timeout.ms of {timeout:?}")
                });
                let error = Error::broker(code, text.as_deref());
                self.fail(error.with_group(&*self.manners.group));
                return verdict;
            }
            Verdict::Lost(_) | Verdict::Rebalance => {
                if code == ErrorCode::UNKNOWN_MEMBER_ID {
                    self.member_id = ByteString::new();
                }
                self.first_wait(random)
            }
            Verdict::NotCoordinator | Verdict::Fine => self.backoff.next_wait(random),
        };
        tracing::debug!(group = &*self.manners.group, %code, "joining again");
        self.outside(now + wait);
        verdict
    }

    /// Once at once, then after waits: whoever is refused again and again must not spin.
    fn first_wait(&mut self, random: u32) -> Duration {
        let is_first = self.backoff.attempts() == 0;
        let wait = self.backoff.next_wait(random);
        if is_first { Duration::ZERO } else { wait }
    }

    /// A join or a sync was not heard, or its answer makes no sense.
    fn unheard(&mut self, now: Instant, random: u32, error: &Error) -> Verdict {
        if error.kind() == ErrorKind::UnsupportedVersion {
            self.fail(error.clone());
            return Verdict::Fine;
        }
        tracing::debug!(group = &*self.manners.group, %error, "joining again");
        let wait = self.backoff.next_wait(random);
        self.outside(now + wait);
        Verdict::NotCoordinator
    }

    fn outside(&mut self, join_at: Instant) {
        self.sync = None;
        self.state = State::Outside {
            join_at: Some(join_at),
        };
    }

    /// The partitions belong to others.
    fn lose(&mut self, now: Instant, random: u32, error: Error) {
        let then = match self.state {
            State::Revoking { then, .. } => then,
            _ => Then::Rejoin,
        };
        self.forget();
        self.turns.push_back(Turn::Lost(error));
        match then {
            Then::Rejoin => {
                let join_at = now + self.first_wait(random);
                self.outside(join_at);
            }
            Then::Rest => self.leave_done(true),
            Then::Leave => self.leave_done(false),
        }
    }

    fn forget(&mut self) {
        self.member_id = ByteString::new();
        self.generation = NO_GENERATION;
        self.read_in = None;
        self.beat = None;
        self.shared = None;
        self.sync = None;
    }

    fn fail(&mut self, error: Error) {
        self.forget();
        self.state = State::Failed;
        self.turns.push_back(Turn::Failed(error));
    }

    fn revoke(&mut self, now: Instant, grace: Duration, then: Then) {
        let until = now + grace;
        self.state = State::Revoking { until, then };
        self.turns.push_back(Turn::Revoking);
    }

    /// Until when the owner may finish what is under way, if partitions are being given up.
    pub(crate) fn revoking_until(&self) -> Option<Instant> {
        match self.state {
            State::Revoking { until, .. } => Some(until),
            _ => None,
        }
    }

    /// The owner has finished, or has run out of time.
    pub(crate) fn handle_revoked(&mut self, now: Instant) {
        let State::Revoking { then, .. } = self.state else {
            return;
        };
        match then {
            Then::Rejoin => self.outside(now),
            // A static member keeps its partitions until its session ends: it may come back.
            Then::Leave if self.manners.instance.is_some() => self.leave_done(false),
            Then::Rest | Then::Leave => {
                self.state = State::Leaving {
                    call: None,
                    aside: false,
                    rests: then == Then::Rest,
                };
            }
        }
    }

    /// The application makes no progress: others may have its partitions until [`Self::wake`].
    pub(crate) fn rest(&mut self, now: Instant) {
        if self.may_rest() {
            self.revoke(now, Duration::ZERO, Then::Rest);
        }
    }

    /// Whether [`Self::rest`] would do something.
    pub(crate) fn may_rest(&self) -> bool {
        matches!(self.state, State::Stable)
    }

    /// Whether it waits for [`Self::wake`].
    pub(crate) fn is_resting(&self) -> bool {
        match self.state {
            State::Outside { join_at } => join_at.is_none(),
            State::Revoking { then, .. } => then == Then::Rest,
            State::Leaving { rests, .. } => rests,
            _ => false,
        }
    }

    /// The application is back.
    pub(crate) fn wake(&mut self, now: Instant) {
        if let State::Outside { join_at } = &mut self.state {
            join_at.get_or_insert(now);
        }
    }

    /// Leaves the group; delivery stops now, and the owner has this long to finish.
    pub(crate) fn leave(&mut self, now: Instant, grace: Duration) {
        match self.state {
            State::Stable => self.revoke(now, grace, Then::Leave),
            State::Revoking { until, .. } => {
                let until = until.min(now + grace);
                let then = Then::Leave;
                self.state = State::Revoking { until, then };
            }
            State::Left | State::Failed => {}
            State::Leaving { call, aside, .. } => {
                let rests = false;
                self.state = State::Leaving { call, aside, rests };
            }
            _ if self.member_id.is_empty() || self.manners.instance.is_some() => {
                self.leave_done(false);
            }
            _ => {
                self.sync = None;
                self.state = State::Leaving {
                    call: None,
                    aside: matches!(self.state, State::Joining { .. } | State::Syncing { .. }),
                    rests: false,
                };
            }
        }
    }

    /// The proof of membership that commits carry.
    pub(crate) fn proof(&self) -> Proof {
        Proof {
            group: self.manners.group.clone(),
            member: self.member_id.clone(),
            instance: self.manners.instance.clone(),
            generation: self.generation,
        }
    }

    /// Whether offsets may be committed and asked for: not while joining.
    pub(crate) fn may_commit(&self) -> bool {
        matches!(self.state, State::Stable | State::Revoking { .. })
    }

    /// Whether the coordinator is to be told of the leave, and nothing else is to be done.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving { .. })
    }

    pub(crate) fn is_left(&self) -> bool {
        matches!(self.state, State::Left | State::Failed)
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        let own = match &self.state {
            State::Outside { join_at } => *join_at,
            State::Sharing { until, .. } => Some(*until),
            State::Revoking { until, .. } => Some(*until),
            _ => None,
        };
        let beat = self.is_beating().then(|| self.heartbeat.poll_deadline(now));
        earlier(own, beat).filter(|at| *at > now)
    }
}

/// The request in which one member leaves.
pub(crate) fn leave_request(proof: &Proof, version: i16) -> LeaveGroupRequest {
    let mut request = LeaveGroupRequest::default();
    request.group_id = proof.group.clone();
    if version < LEAVE_MANY {
        request.member_id = proof.member.clone();
    } else {
        let mut member = MemberIdentity::default();
        member.member_id = proof.member.clone();
        member.group_instance_id = proof.instance.clone();
        request.members.push(member);
    }
    request
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// The generation of who is no member.
const NO_GENERATION: i32 = -1;
/// What the answer to a join may take beyond the rebalance itself.
const JOIN_MARGIN: Duration = Duration::from_secs(5);
/// How long a leader waits for topics of its members to become known.
const SHARING_PATIENCE: Duration = Duration::from_secs(5);
/// The first version of LeaveGroup in which several members leave at once.
const LEAVE_MANY: i16 = 3;
