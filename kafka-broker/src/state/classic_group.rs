//! A group of the classic protocol: join, sync, heartbeat, leave.
//!
//! Decides who is a member, when a generation begins and who is told what. Time, tickets and fresh
//! member ids are arguments; it knows no log, no connection and no committed offset. After every
//! call the owner saves the group if [`ClassicGroup::take_unsaved`] says so, hands out what
//! [`ClassicGroup::poll_answer`] yields, and comes back at [`ClassicGroup::deadline`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::ErrorCode;

use crate::state::classic_group::answer::{
    Answer, JoinAnswer, JoinRequest, MemberClaim, SyncAnswer, SyncRequest, Ticket,
};
use crate::state::classic_group::members::{Member, Members};
use crate::state::classic_group::pending_members::{PendingMembers, PendingRoom};
use crate::state::consumer_protocol::{PROTOCOL_TYPE, decode_subscription};
use crate::state::time::Now;

pub(crate) mod answer;
pub(crate) mod members;
pub(crate) mod pending_members;
#[cfg(test)]
mod tests;

/// A classic group.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    limits: Limits,
    phase: Phase,
    /// When the phase began, by the clock on the wall.
    phase_since_ms: i64,
    generation: i32,
    protocol_type: Option<ByteString>,
    protocol: Option<ByteString>,
    leader: Option<ByteString>,
    members: Members,
    /// Ids that were given out and not come back with yet.
    pending: PendingMembers,
    /// When members that have not synced are let go.
    sync_ends: Option<Duration>,
    answers: VecDeque<(Ticket, Answer)>,
    unsaved: bool,
}

/// What the broker allows a group.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// How long the first rebalance of an empty group waits for more members.
    pub(crate) initial_rebalance_delay: Duration,
    /// The most members.
    pub(crate) size_max: usize,
    /// What all groups share for clients that have not come back with their ids.
    pub(crate) pending_room: Arc<PendingRoom>,
}

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No members; there may be committed offsets.
    Empty,
    /// Waiting for the members to join.
    PreparingRebalance {
        /// When those who have not joined are left behind.
        ends: Duration,
        /// The first rebalance of a group that was empty waits on purpose.
        initial: Option<InitialDelay>,
    },
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member can have its assignment.
    Stable,
    /// Deleted; who still holds it must look again.
    Dead,
}

/// How the first rebalance waits: in steps, as long as newcomers arrive, up to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InitialDelay {
    left: Duration,
    newcomers: bool,
}

/// What outlives a restart of the broker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) generation: i32,
    pub(crate) protocol_type: ByteString,
    pub(crate) protocol: Option<ByteString>,
    pub(crate) leader: Option<ByteString>,
    pub(crate) phase_since_ms: i64,
    pub(crate) members: Vec<SavedMember>,
}

/// A member of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedMember {
    pub(crate) member_id: ByteString,
    pub(crate) instance_id: Option<ByteString>,
    pub(crate) client_id: ByteString,
    pub(crate) client_host: ByteString,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) session_timeout: Duration,
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

impl ClassicGroup {
    /// A group without members.
    pub(crate) fn new(now: Now, limits: Limits) -> Self {
        let pending = PendingMembers::new(Arc::clone(&limits.pending_room));
        Self {
            limits,
            phase: Phase::Empty,
            phase_since_ms: now.unix_ms,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: Members::default(),
            pending,
            sync_ends: None,
            answers: VecDeque::new(),
            unsaved: false,
        }
    }

    /// The group as it was saved; the sessions of its members begin anew.
    pub(crate) fn restore(now: Now, limits: Limits, saved: Snapshot) -> Self {
        let mut group = Self::new(now, limits);
        group.generation = saved.generation;
        group.protocol_type = Some(saved.protocol_type).filter(|name| !name.is_empty());
        group.protocol = saved.protocol;
        group.leader = saved.leader;
        group.phase_since_ms = saved.phase_since_ms;
        let protocol = group.protocol.clone().unwrap_or_default();
        for member in saved.members {
            let restored = Member {
                instance_id: member.instance_id,
                client_id: member.client_id,
                client_host: member.client_host,
                session_timeout: member.session_timeout,
                rebalance_timeout: member.rebalance_timeout,
                protocols: vec![(protocol.clone(), member.subscription)],
                assignment: member.assignment,
                joining: None,
                syncing: None,
                synced: true,
                is_new: false,
                session_ends: now.elapsed + member.session_timeout,
            };
            group.members.insert(member.member_id, restored);
        }
        if !group.members.is_empty() {
            group.phase = Phase::Stable;
        }
        group
    }

    /// What to save.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let protocol = self.protocol.clone().unwrap_or_default();
        Snapshot {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            phase_since_ms: self.phase_since_ms,
            members: self
                .members
                .iter()
                .map(|(id, member)| SavedMember {
                    member_id: id.clone(),
                    instance_id: member.instance_id.clone(),
                    client_id: member.client_id.clone(),
                    client_host: member.client_host.clone(),
                    rebalance_timeout: member.rebalance_timeout,
                    session_timeout: member.session_timeout,
                    subscription: member.metadata(&protocol),
                    assignment: member.assignment.clone(),
                })
                .collect(),
        }
    }

    /// Whether the group must be saved before its answers go out. Asking takes it as done.
    pub(crate) fn take_unsaved(&mut self) -> bool {
        std::mem::take(&mut self.unsaved)
    }

    /// The group could not be saved: nobody may act on an assignment that a restart would forget, neither now
    /// nor when it is asked for again, unless it can be saved then.
    pub(crate) fn handle_save_failed(&mut self) {
        self.unsaved = true;
        for (_, answer) in &mut self.answers {
            if let Answer::Sync(sync) = answer {
                *sync = SyncAnswer::refused(ErrorCode::COORDINATOR_NOT_AVAILABLE);
            }
        }
    }

    /// The next answer that is due.
    pub(crate) fn poll_answer(&mut self) -> Option<(Ticket, Answer)> {
        self.answers.pop_front()
    }

    /// When [`ClassicGroup::handle_time`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let sessions = self
            .members
            .iter()
            .filter(|(_, member)| member.may_expire())
            .map(|(_, member)| member.session_ends);
        let phase = match self.phase {
            Phase::PreparingRebalance { ends, .. } => Some(ends),
            _ => None,
        };
        sessions
            .chain(self.pending.deadline())
            .chain(phase)
            .chain(self.sync_ends)
            .min()
    }

    /// A client wants to be a member, or a member wants a new generation.
    pub(crate) fn handle_join(&mut self, now: Now, ticket: Ticket, request: JoinRequest) {
        if let Err((error, id)) = self.admit(now, ticket, request) {
            let refusal = JoinAnswer::refused(error, id);
            self.answers.push_back((ticket, Answer::Join(refusal)));
        }
    }

    /// A member asks for its assignment.
    pub(crate) fn handle_sync(&mut self, now: Now, ticket: Ticket, request: SyncRequest) {
        if let Err(error) = self.accept_sync(now, ticket, request) {
            self.answers
                .push_back((ticket, Answer::Sync(SyncAnswer::refused(error))));
        }
    }

    /// A member says that it is there.
    pub(crate) fn handle_heartbeat(&mut self, now: Now, claim: &MemberClaim) -> ErrorCode {
        match self.phase {
            Phase::Dead => return ErrorCode::COORDINATOR_NOT_AVAILABLE,
            Phase::Empty => return ErrorCode::UNKNOWN_MEMBER_ID,
            _ => {}
        }
        let member = match self.claimed(claim) {
            Ok(member) => member,
            Err(error) => return error,
        };
        member.heard(now.elapsed);
        match self.phase {
            Phase::PreparingRebalance { .. } => ErrorCode::REBALANCE_IN_PROGRESS,
            _ => ErrorCode::NONE,
        }
    }

    /// A member goes, by its id or, if it is a static one, by its instance id alone.
    pub(crate) fn handle_leave(
        &mut self,
        now: Now,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> ErrorCode {
        if self.phase == Phase::Dead {
            return ErrorCode::COORDINATOR_NOT_AVAILABLE;
        }
        let id = match instance_id {
            None => ByteString::from(member_id),
            Some(instance_id) => match self.members.by_instance(instance_id) {
                None => return ErrorCode::UNKNOWN_MEMBER_ID,
                Some(id) if !member_id.is_empty() && id != member_id => {
                    return ErrorCode::FENCED_INSTANCE_ID;
                }
                Some(id) => id.clone(),
            },
        };
        if self.pending.remove(&id) {
            self.try_complete_join(now);
            return ErrorCode::NONE;
        }
        if !self.members.contains(&id) {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        }
        self.remove_member(now, &id);
        ErrorCode::NONE
    }

    /// Whether offsets may be committed by who makes this claim. A generation of -1 is made by
    /// consumers that use the group for its offsets alone.
    pub(crate) fn handle_commit(&mut self, now: Now, claim: &MemberClaim) -> ErrorCode {
        if self.phase == Phase::Dead {
            return ErrorCode::COORDINATOR_NOT_AVAILABLE;
        }
        if claim.generation < 0 && self.phase == Phase::Empty {
            return ErrorCode::NONE;
        }
        if claim.claims_nothing() {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        }
        let completing = self.phase == Phase::CompletingRebalance;
        match self.claimed(claim) {
            Err(error) => error,
            Ok(_) if completing => ErrorCode::REBALANCE_IN_PROGRESS,
            Ok(member) => {
                member.heard(now.elapsed);
                ErrorCode::NONE
            }
        }
    }

    /// Whether a producer may commit offsets inside of its transaction for who makes this claim. Old
    /// producers make none, and are let in whatever the group is about.
    pub(crate) fn handle_transactional_commit(
        &mut self,
        now: Now,
        claim: &MemberClaim,
    ) -> ErrorCode {
        if self.phase == Phase::Dead {
            return ErrorCode::COORDINATOR_NOT_AVAILABLE;
        }
        if claim.claims_nothing() || (claim.generation < 0 && self.phase == Phase::Empty) {
            return ErrorCode::NONE;
        }
        match self.claimed(claim) {
            Err(error) => error,
            Ok(member) => {
                member.heard(now.elapsed);
                ErrorCode::NONE
            }
        }
    }

    /// The time has come for what [`ClassicGroup::deadline`] named.
    pub(crate) fn handle_time(&mut self, now: Now) {
        let at = now.elapsed;
        if self.pending.expire(at) {
            self.try_complete_join(now);
        }
        for id in self.members.ids() {
            let silent = |member: &Member| member.may_expire() && member.session_ends <= at;
            if self.members.get(&id).is_some_and(silent) {
                self.remove_member(now, &id);
            }
        }
        if self.sync_ends.is_some_and(|ends| ends <= at) {
            self.sync_ends = None;
            for id in self.members.ids() {
                if self.members.get(&id).is_some_and(|member| !member.synced) {
                    self.remove_member(now, &id);
                }
            }
        }
        if let Phase::PreparingRebalance { ends, initial } = self.phase
            && ends <= at
        {
            self.end_of_joining(now, initial);
        }
    }

    /// Ends the group: whoever waits or comes later must look again. Only for a group that is
    /// empty.
    pub(crate) fn kill(&mut self, now: Now) {
        debug_assert!(self.members.is_empty(), "a group with members was deleted");
        self.enter(now, Phase::Dead);
    }

    /// The group was a consumer group until now: its members must agree among each other.
    pub(crate) fn handle_downgraded(&mut self, now: Now) {
        self.unsaved = true;
        self.prepare_rebalance(now);
    }

    /// Another group takes this one's place: who waits is told so.
    pub(crate) fn dissolve(&mut self, error: ErrorCode) {
        for (id, member) in self.members.iter_mut() {
            if let Some(ticket) = member.joining.take() {
                let refusal = JoinAnswer::refused(error, id.clone());
                self.answers.push_back((ticket, Answer::Join(refusal)));
            }
            if let Some(ticket) = member.syncing.take() {
                let refusal = SyncAnswer::refused(error);
                self.answers.push_back((ticket, Answer::Sync(refusal)));
            }
        }
    }

    /// Lets a member in, or says why not and to which id.
    fn admit(
        &mut self,
        now: Now,
        ticket: Ticket,
        request: JoinRequest,
    ) -> Result<(), (ErrorCode, ByteString)> {
        let refuse = |error, id: &ByteString| Err((error, id.clone()));
        if self.phase == Phase::Dead {
            return refuse(ErrorCode::COORDINATOR_NOT_AVAILABLE, &request.member_id);
        }
        if !self.has_room_for(&request.member_id) {
            return refuse(ErrorCode::GROUP_MAX_SIZE_REACHED, &request.member_id);
        }
        if !self.fits(&request) {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL, &request.member_id);
        }
        if request.member_id.is_empty() {
            return self.admit_newcomer(now, ticket, request);
        }
        let id = request.member_id.clone();
        if let Some(instance_id) = &request.instance_id {
            match self.members.by_instance(instance_id) {
                None => return refuse(ErrorCode::UNKNOWN_MEMBER_ID, &id),
                Some(owner) if *owner != id => return refuse(ErrorCode::FENCED_INSTANCE_ID, &id),
                Some(_) => {}
            }
        }
        if self.pending.remove(&id) {
            self.add_member(now, ticket, id, request);
            return Ok(());
        }
        let Some(member) = self.members.get(&id) else {
            return refuse(ErrorCode::UNKNOWN_MEMBER_ID, &id);
        };
        let same = member.protocols == request.protocols;
        match self.phase {
            Phase::Empty | Phase::Dead => return refuse(ErrorCode::UNKNOWN_MEMBER_ID, &id),
            // The answer to its join was lost on the way: it is told again.
            Phase::CompletingRebalance if same => self.tell_generation(now, ticket, &id),
            Phase::Stable if same && self.leader.as_ref() != Some(&id) => {
                self.tell_generation(now, ticket, &id);
            }
            _ => {
                self.update_member(now, ticket, &id, request);
                self.prepare_rebalance(now);
            }
        }
        Ok(())
    }

    fn admit_newcomer(
        &mut self,
        now: Now,
        ticket: Ticket,
        request: JoinRequest,
    ) -> Result<(), (ErrorCode, ByteString)> {
        let fresh = request.fresh_member_id.clone();
        let owner = request
            .instance_id
            .as_ref()
            .and_then(|id| self.members.by_instance(id));
        if let Some(old) = owner.cloned() {
            self.replace_static_member(now, ticket, &old, fresh, request);
        } else if request.instance_id.is_none() && request.must_know_id {
            let lapses = now.elapsed + request.session_timeout.min(PENDING_FOR);
            let footprint = request.footprint;
            if !self.pending.insert(fresh.clone(), lapses, footprint) {
                return Err((ErrorCode::COORDINATOR_NOT_AVAILABLE, ByteString::new()));
            }
            return Err((ErrorCode::MEMBER_ID_REQUIRED, fresh));
        } else {
            self.add_member(now, ticket, fresh, request);
        }
        Ok(())
    }

    /// Whether the group takes a join. Who was only told an id takes no room. While members join, those count who have;
    /// so a group that is larger than it may be now, shrinks.
    fn has_room_for(&self, member_id: &ByteString) -> bool {
        let member = self.members.get(member_id);
        match self.phase {
            Phase::Empty | Phase::Dead => true,
            Phase::PreparingRebalance { .. } => {
                member.is_some_and(|member| member.joining.is_some())
                    || self.members.joining() < self.limits.size_max
            }
            Phase::CompletingRebalance | Phase::Stable => {
                member.is_some() || self.members.len() < self.limits.size_max
            }
        }
    }

    /// Whether the protocols of a join fit those of the group.
    fn fits(&self, request: &JoinRequest) -> bool {
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return false;
        }
        self.members.is_empty()
            || (self.protocol_type.as_ref() == Some(&request.protocol_type)
                && request
                    .protocols
                    .iter()
                    .any(|(name, _)| self.members.all_speak(name)))
    }

    fn add_member(&mut self, now: Now, ticket: Ticket, id: ByteString, request: JoinRequest) {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        let member = Member {
            instance_id: request.instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols,
            assignment: Bytes::new(),
            joining: Some(ticket),
            syncing: None,
            synced: false,
            is_new: true,
            session_ends: now.elapsed + NEWCOMER_WAIT,
        };
        self.members.insert(id, member);
        if let Phase::PreparingRebalance {
            initial: Some(delay),
            ..
        } = &mut self.phase
        {
            delay.newcomers = true;
        }
        self.prepare_rebalance(now);
    }

    fn update_member(&mut self, now: Now, ticket: Ticket, id: &ByteString, request: JoinRequest) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.protocols = request.protocols;
        member.rebalance_timeout = request.rebalance_timeout;
        member.session_timeout = request.session_timeout;
        member.heard(now.elapsed);
        if let Some(old) = member.joining.replace(ticket) {
            let refusal = JoinAnswer::refused(ErrorCode::REBALANCE_IN_PROGRESS, id.clone());
            self.answers.push_back((old, Answer::Join(refusal)));
        }
    }

    /// A static member is back under a new id: the old one is fenced off, and as long as the
    /// protocol of the group stays what it is nobody else notices.
    fn replace_static_member(
        &mut self,
        now: Now,
        ticket: Ticket,
        old: &ByteString,
        new: ByteString,
        request: JoinRequest,
    ) {
        let Some(mut member) = self.members.remove(old) else {
            return;
        };
        let fenced = ErrorCode::FENCED_INSTANCE_ID;
        if let Some(ticket) = member.joining.take() {
            let refusal = JoinAnswer::refused(fenced, old.clone());
            self.answers.push_back((ticket, Answer::Join(refusal)));
        }
        if let Some(ticket) = member.syncing.take() {
            self.answers
                .push_back((ticket, Answer::Sync(SyncAnswer::refused(fenced))));
        }
        let leader_before = self.leader.clone();
        let may_skip_assignment = request.may_skip_assignment;
        member.client_id = request.client_id.clone();
        member.client_host = request.client_host.clone();
        self.members.insert(new.clone(), member);
        if self.leader.as_ref() == Some(old) {
            self.leader = Some(new.clone());
        }
        self.update_member(now, ticket, &new, request);
        if self.phase != Phase::Stable || self.members.select_protocol() != self.protocol {
            self.prepare_rebalance(now);
            return;
        }
        self.unsaved = true;
        if let Some(member) = self.members.get_mut(&new) {
            member.joining = None;
        }
        let mut answer = self.generation_for(&new);
        if may_skip_assignment {
            answer.skip_assignment = !answer.members.is_empty();
        } else {
            // Who cannot skip must not take itself for the leader.
            answer.members.clear();
            answer.leader = leader_before.unwrap_or_default();
        }
        self.answers.push_back((ticket, Answer::Join(answer)));
    }

    /// Answers a join with the generation as it stands.
    fn tell_generation(&mut self, now: Now, ticket: Ticket, id: &ByteString) {
        if let Some(member) = self.members.get_mut(id) {
            member.heard(now.elapsed);
        }
        let answer = self.generation_for(id);
        self.answers.push_back((ticket, Answer::Join(answer)));
    }

    fn generation_for(&self, id: &ByteString) -> JoinAnswer {
        let leads = self.leader.as_ref() == Some(id);
        let protocol = self.protocol.clone().unwrap_or_default();
        JoinAnswer {
            error: ErrorCode::NONE,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.clone(),
            skip_assignment: false,
            members: if leads {
                self.members.roll(&protocol)
            } else {
                Vec::new()
            },
        }
    }

    /// Begins a rebalance, or looks whether the one that runs is complete.
    fn prepare_rebalance(&mut self, now: Now) {
        if !matches!(self.phase, Phase::PreparingRebalance { .. }) {
            self.sync_ends = None;
            self.drop_syncs(now);
            let patience = self.members.rebalance_timeout();
            let delay = self.limits.initial_rebalance_delay.min(patience);
            let (ends, initial) = if self.phase == Phase::Empty && !delay.is_zero() {
                let initial = InitialDelay {
                    left: patience - delay,
                    newcomers: false,
                };
                (now.elapsed + delay, Some(initial))
            } else {
                (now.elapsed + patience, None)
            };
            self.enter(now, Phase::PreparingRebalance { ends, initial });
        }
        self.try_complete_join(now);
    }

    /// Whoever waits for an assignment of the generation that ends must join again.
    fn drop_syncs(&mut self, now: Now) {
        let completing = self.phase == Phase::CompletingRebalance;
        for (_, member) in self.members.iter_mut() {
            if completing {
                member.assignment = Bytes::new();
            }
            if let Some(ticket) = member.syncing.take() {
                member.heard(now.elapsed);
                let refusal = SyncAnswer::refused(ErrorCode::REBALANCE_IN_PROGRESS);
                self.answers.push_back((ticket, Answer::Sync(refusal)));
            }
        }
    }

    fn try_complete_join(&mut self, now: Now) {
        if let Phase::PreparingRebalance { initial: None, .. } = self.phase
            && self.pending.is_empty()
            && self.members.all_joining()
        {
            self.complete_join(now);
        }
    }

    fn end_of_joining(&mut self, now: Now, initial: Option<InitialDelay>) {
        match initial {
            Some(InitialDelay {
                left,
                newcomers: true,
            }) if !left.is_zero() => {
                let delay = self.limits.initial_rebalance_delay.min(left);
                let initial = InitialDelay {
                    left: left - delay,
                    newcomers: false,
                };
                let ends = now.elapsed + delay;
                self.phase = Phase::PreparingRebalance {
                    ends,
                    initial: Some(initial),
                };
            }
            _ => self.complete_join(now),
        }
    }

    /// The generation is complete: those who have not joined are out, the others are told.
    fn complete_join(&mut self, now: Now) {
        for id in self.members.ids() {
            let gone = |member: &Member| member.joining.is_none() && member.instance_id.is_none();
            if self.members.get(&id).is_some_and(gone) {
                self.members.remove(&id);
            }
        }
        if self.members.is_empty() {
            self.generation = self.generation.wrapping_add(1).max(1);
            self.protocol = None;
            self.leader = None;
            self.sync_ends = None;
            self.unsaved = true;
            self.enter(now, Phase::Empty);
            return;
        }
        if !self.elect_leader() {
            // Only static members, and none of them has joined: wait for one more round.
            let ends = now.elapsed + self.members.rebalance_timeout().max(ROUND_MIN);
            self.phase = Phase::PreparingRebalance {
                ends,
                initial: None,
            };
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        self.protocol = self.members.select_protocol();
        self.sync_ends = Some(now.elapsed + self.members.rebalance_timeout());
        self.enter(now, Phase::CompletingRebalance);
        for id in self.members.ids() {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.synced = false;
            member.is_new = false;
            let Some(ticket) = member.joining.take() else {
                continue;
            };
            member.heard(now.elapsed);
            let answer = self.generation_for(&id);
            self.answers.push_back((ticket, Answer::Join(answer)));
        }
    }

    /// Makes sure that the leader is one who has joined.
    fn elect_leader(&mut self) -> bool {
        let joined = |member: &Member| member.joining.is_some();
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        if leader.is_some_and(joined) {
            return true;
        }
        let next = self.members.iter().find(|(_, member)| joined(member));
        let next = next.map(|(id, _)| id.clone());
        if next.is_some() {
            self.leader = next;
            return true;
        }
        false
    }

    fn accept_sync(
        &mut self,
        now: Now,
        ticket: Ticket,
        request: SyncRequest,
    ) -> Result<(), ErrorCode> {
        match self.phase {
            Phase::Dead => return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
            Phase::Empty => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
            _ => {}
        }
        self.claimed(&request.member)?;
        let differs = |claimed: &Option<ByteString>, ours: &Option<ByteString>| {
            claimed.is_some() && claimed != ours
        };
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol, &self.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if matches!(self.phase, Phase::PreparingRebalance { .. }) {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let id = request.member.member_id;
        let Some(member) = self.members.get_mut(&id) else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        member.synced = true;
        member.heard(now.elapsed);
        if let Some(old) = member.syncing.replace(ticket) {
            let refusal = SyncAnswer::refused(ErrorCode::REBALANCE_IN_PROGRESS);
            self.answers.push_back((old, Answer::Sync(refusal)));
        }
        if self.phase == Phase::CompletingRebalance && self.leader.as_ref() == Some(&id) {
            self.assign(now, request.assignments);
        }
        if self.phase == Phase::Stable {
            self.answer_syncs(now);
        }
        if self.members.iter().all(|(_, member)| member.synced) {
            self.sync_ends = None;
        }
        Ok(())
    }

    /// The leader has spoken: whom it does not name gets nothing.
    fn assign(&mut self, now: Now, assignments: Vec<(ByteString, Bytes)>) {
        let mut assignments: BTreeMap<ByteString, Bytes> = assignments.into_iter().collect();
        for (id, member) in self.members.iter_mut() {
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
        self.unsaved = true;
        self.enter(now, Phase::Stable);
    }

    fn answer_syncs(&mut self, now: Now) {
        for (_, member) in self.members.iter_mut() {
            let Some(ticket) = member.syncing.take() else {
                continue;
            };
            member.heard(now.elapsed);
            let answer = SyncAnswer {
                error: ErrorCode::NONE,
                protocol_type: self.protocol_type.clone(),
                protocol: self.protocol.clone(),
                assignment: member.assignment.clone(),
            };
            self.answers.push_back((ticket, Answer::Sync(answer)));
        }
    }

    fn remove_member(&mut self, now: Now, id: &ByteString) {
        let Some(member) = self.members.remove(id) else {
            return;
        };
        if let Some(ticket) = member.joining {
            let refusal = JoinAnswer::refused(ErrorCode::UNKNOWN_MEMBER_ID, id.clone());
            self.answers.push_back((ticket, Answer::Join(refusal)));
        }
        if let Some(ticket) = member.syncing {
            let refusal = SyncAnswer::refused(ErrorCode::UNKNOWN_MEMBER_ID);
            self.answers.push_back((ticket, Answer::Sync(refusal)));
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.iter().map(|(id, _)| id.clone()).next();
        }
        match self.phase {
            Phase::Stable | Phase::CompletingRebalance => self.prepare_rebalance(now),
            Phase::PreparingRebalance { .. } => self.try_complete_join(now),
            Phase::Empty | Phase::Dead => {}
        }
    }

    /// The member that a request claims to come from.
    fn claimed(&mut self, claim: &MemberClaim) -> Result<&mut Member, ErrorCode> {
        if let Some(instance_id) = &claim.instance_id {
            match self.members.by_instance(instance_id) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(id) if *id != claim.member_id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        let generation = self.generation;
        let Some(member) = self.members.get_mut(&claim.member_id) else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        if claim.generation != generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        Ok(member)
    }

    fn enter(&mut self, now: Now, phase: Phase) {
        self.phase = phase;
        self.phase_since_ms = now.unix_ms;
    }
}

/// What others may know of a group.
impl ClassicGroup {
    /// Kafka's name of where the group stands.
    pub(crate) fn phase_name(&self) -> &'static str {
        match self.phase {
            Phase::Empty => "Empty",
            Phase::PreparingRebalance { .. } => "PreparingRebalance",
            Phase::CompletingRebalance => "CompletingRebalance",
            Phase::Stable => "Stable",
            Phase::Dead => "Dead",
        }
    }

    /// Whether there are no members, and nobody is about to become one.
    pub(crate) fn is_empty(&self) -> bool {
        self.phase == Phase::Empty && self.pending.is_empty()
    }

    /// Whether every member can have its assignment.
    pub(crate) fn is_stable(&self) -> bool {
        self.phase == Phase::Stable
    }

    /// The number of the generation.
    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// The topics that members of the protocol type `consumer` are subscribed to; `None` if that cannot be
    /// told: they speak of something else, have no protocol yet, or nobody understands them.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<ByteString>> {
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_ref()?;
        if self.protocol_type.as_deref() != Some(PROTOCOL_TYPE) {
            return None;
        }
        let mut topics = BTreeSet::new();
        for (_, member) in self.members.iter() {
            let subscription = decode_subscription(&member.metadata(protocol)).ok()?;
            topics.extend(subscription.topics);
        }
        Some(topics)
    }

    /// Whether there ever was a generation: before it nothing is saved.
    pub(crate) fn had_generation(&self) -> bool {
        self.generation != 0
    }

    /// Whether the group was deleted.
    pub(crate) fn is_dead(&self) -> bool {
        self.phase == Phase::Dead
    }

    /// When the group came to where it stands.
    pub(crate) fn phase_since_ms(&self) -> i64 {
        self.phase_since_ms
    }

    /// Such as `consumer`; empty if no member was ever there.
    pub(crate) fn protocol_type(&self) -> ByteString {
        self.protocol_type.clone().unwrap_or_default()
    }

    /// The protocol of the generation; empty while there is none.
    pub(crate) fn protocol(&self) -> ByteString {
        self.protocol.clone().unwrap_or_default()
    }

    /// The members by id.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&ByteString, &Member)> {
        self.members.iter()
    }
}

/// How long a member that joins for the first time may wait; it may be gone without a word.
const NEWCOMER_WAIT: Duration = Duration::from_secs(300);

/// How long a client that was given an id may take to come back with it: it has nothing else to do.
const PENDING_FOR: Duration = Duration::from_secs(60);

/// The shortest round of waiting for static members, so that a timeout of zero does not spin.
const ROUND_MIN: Duration = Duration::from_secs(1);
