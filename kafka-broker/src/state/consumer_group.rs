//! A group of the new consumer protocol (KIP-848): the broker decides who has which partition, and each
//! member learns of it by its heartbeats.
//!
//! Three epochs: that of the group grows with every change of members, subscriptions or topics; that of the
//! target assignment follows it; that of a member follows the target, as soon as the member has given up
//! what others shall have. Members of the classic protocol may be among the others: for them the epoch is the
//! generation, and an assignment is fetched by joining and syncing again.
//!
//! Time and topics are arguments; it knows no log and no connection. After every call the owner saves what
//! [`ConsumerGroup::take_unsaved`] tells and says whether that went well, and comes back at
//! [`ConsumerGroup::deadline`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;

use crate::config::group::GroupConfig;
use crate::state::classic_group::answer::{
    JoinAnswer, JoinRequest, MemberClaim, SyncAnswer, SyncRequest,
};
use crate::state::classic_group::{ClassicGroup, Snapshot};
use crate::state::consumer_group::change::{
    Change, CurrentAssignment, DatedPartitions, MemberState, Partitions, TopicIdPartition,
};
use crate::state::consumer_group::classic_member::session;
use crate::state::consumer_group::heartbeat::{
    Heartbeat, HeartbeatAnswer, JOINS, LEAVES, Leave, WILL_BE_BACK,
};
use crate::state::consumer_group::ledger::{Ledger, Member};
use crate::state::consumer_group::limits::ConsumerGroupLimits;
use crate::state::consumer_group::migration::{adopt, as_classic};
use crate::state::consumer_group::roster::{Roster, patience};
use crate::state::refusal::Refusal;
use crate::state::time::Now;
use crate::state::topic_image::TopicImage;

pub(crate) mod assignor;
pub(crate) mod change;
pub(crate) mod classic_member;
pub(crate) mod heartbeat;
pub(crate) mod ledger;
pub(crate) mod limits;
pub(crate) mod migration;
pub(crate) mod reconciliation;
pub(crate) mod roster;
pub(crate) mod sessions;
pub(crate) mod subscription;

/// A consumer group.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    roster: Roster,
}

impl ConsumerGroup {
    /// A group without members.
    pub(crate) fn new(limits: Arc<ConsumerGroupLimits>, config: GroupConfig) -> Self {
        let roster = Roster::new(limits, config);
        Self { roster }
    }

    /// The group is configured so from now on.
    pub(crate) fn configure(&mut self, config: GroupConfig) {
        self.roster.config = config;
    }

    /// A classic group as a consumer group: its members go on with what they have. `None` if one of them
    /// says what nobody understands.
    pub(crate) fn adopt(
        limits: Arc<ConsumerGroupLimits>,
        config: GroupConfig,
        now: Now,
        topics: &dyn TopicImage,
        classic: &ClassicGroup,
    ) -> Option<Self> {
        let mut group = Self::new(limits, config);
        let members = classic.members();
        let adopted = adopt(
            &mut group.roster,
            now,
            topics,
            classic.generation(),
            members,
        );
        adopted.then_some(group)
    }

    /// Takes in a piece of the group that was saved earlier.
    pub(crate) fn restore(&mut self, change: Change) {
        self.roster.ledger.restore(change);
    }

    /// The group is as it was saved; the sessions of its members begin anew.
    pub(crate) fn handle_restored(&mut self, now: Now) {
        let roster = &mut self.roster;
        for (id, member) in roster.ledger.members() {
            let classic = member.metadata.classic.as_ref();
            let session = classic.map_or(roster.config.session_timeout, session);
            roster.sessions.heard(id, now.elapsed + session);
            if member.current.state == MemberState::UnrevokedPartitions && classic.is_none() {
                let ends = now.elapsed + patience(&member.metadata);
                roster.sessions.expect_revocation(id, ends);
            }
        }
    }

    /// What is to be saved.
    pub(crate) fn take_unsaved(&mut self) -> Vec<Change> {
        self.roster.ledger.take_unsaved()
    }

    /// What was to be saved is.
    pub(crate) fn handle_saved(&mut self) {
        self.roster.ledger.handle_saved();
        self.retain_sessions();
    }

    /// What was to be saved is not: the group is as it was.
    pub(crate) fn handle_save_failed(&mut self) {
        self.roster.take_back();
        self.retain_sessions();
    }

    /// Changes that take the group away.
    pub(crate) fn tombstones(&self) -> Vec<Change> {
        self.roster.ledger.tombstones()
    }

    /// When [`ConsumerGroup::handle_time`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.roster.sessions.deadline()
    }

    /// A member of the new protocol joins, or says that it is there.
    ///
    /// # Errors
    ///
    /// Kafka's code with a sentence; the group is as it was.
    pub(crate) fn handle_heartbeat(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatAnswer, Refusal> {
        let answer = self.heartbeat(now, topics, heartbeat);
        if answer.is_err() {
            self.handle_save_failed();
        }
        answer
    }

    fn heartbeat(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatAnswer, Refusal> {
        let roster = &mut self.roster;
        let id = &heartbeat.member_id;
        roster.check_room(id, heartbeat.instance_id.as_ref())?;
        admit(roster, heartbeat)?;
        let before = roster.ledger.members().get(id);
        let before = before.map(|member| Arc::clone(&member.metadata));
        let before = before.unwrap_or_default();
        let metadata = heartbeat.metadata(&before);
        let session_ends = now.elapsed + roster.config.session_timeout;
        roster.sessions.heard(id, session_ends);
        if before.classic.is_some() {
            roster.sessions.handle_upgraded(id);
        }
        let owned = heartbeat.owned.as_ref();
        let has_news = roster.update(now, topics, id, metadata, owned)? || heartbeat.is_full();
        let current = &roster.member(id)?.current;
        Ok(HeartbeatAnswer {
            member_id: id.clone(),
            member_epoch: current.epoch,
            assignment: has_news.then(|| current.assigned.keys().copied().collect()),
        })
    }

    /// A member of the new protocol goes.
    ///
    /// # Errors
    ///
    /// UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID.
    pub(crate) fn handle_leave(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        leave: &Leave,
    ) -> Result<HeartbeatAnswer, Refusal> {
        let id = &leave.member_id;
        let member = self.roster.claimed(id, leave.instance_id.as_ref())?;
        let member_epoch = if leave.will_be_back {
            let assignment = CurrentAssignment {
                epoch: WILL_BE_BACK,
                revoking: DatedPartitions::new(),
                ..member.current.clone()
            };
            self.roster.ledger.change(Change::Current {
                id: id.clone(),
                assignment: Some(assignment),
            });
            self.roster.sessions.handle_revoked(id);
            WILL_BE_BACK
        } else {
            self.roster.fence(now, topics, id);
            LEAVES
        };
        Ok(HeartbeatAnswer {
            member_id: id.clone(),
            member_epoch,
            assignment: None,
        })
    }

    /// A member of the classic protocol joins, or joins again.
    pub(crate) fn handle_classic_join(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        request: JoinRequest,
    ) -> JoinAnswer {
        let joined = classic_member::join(&mut self.roster, now, topics, request);
        joined.unwrap_or_else(|(error, id)| {
            self.handle_save_failed();
            JoinAnswer::refused(error, id)
        })
    }

    /// A member of the classic protocol fetches its assignment.
    pub(crate) fn handle_classic_sync(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        request: SyncRequest,
    ) -> SyncAnswer {
        let synced = classic_member::sync(&mut self.roster, now, topics, request);
        synced.unwrap_or_else(SyncAnswer::refused)
    }

    /// A member of the classic protocol says that it is there.
    pub(crate) fn handle_classic_heartbeat(&mut self, now: Now, claim: &MemberClaim) -> ErrorCode {
        let heard = classic_member::heartbeat(&mut self.roster, now, claim);
        heard.err().unwrap_or(ErrorCode::NONE)
    }

    /// A member of the classic protocol goes.
    pub(crate) fn handle_classic_leave(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        member_id: &ByteString,
        instance_id: Option<&ByteString>,
    ) -> ErrorCode {
        let roster = &mut self.roster;
        let left = classic_member::leave(roster, now, topics, member_id, instance_id);
        left.err().unwrap_or(ErrorCode::NONE)
    }

    /// The time has come for what [`ConsumerGroup::deadline`] named.
    pub(crate) fn handle_time(&mut self, now: Now, topics: &dyn TopicImage) {
        for id in self.roster.sessions.missed(now.elapsed) {
            self.roster.fence(now, topics, &id);
        }
    }

    /// Whether offsets of these partitions may be committed by who makes this claim. A member may be late
    /// with what was its own in the epoch that it names, and still is.
    pub(crate) fn check_commit<'a>(
        &self,
        claim: &MemberClaim,
        partitions: impl IntoIterator<Item = &'a TopicIdPartition>,
    ) -> ErrorCode {
        if claim.generation < 0 && self.is_empty() {
            return ErrorCode::NONE;
        }
        let Some(member) = self.roster.ledger.members().get(&claim.member_id) else {
            return ErrorCode::UNKNOWN_MEMBER_ID;
        };
        let current = &member.current;
        let since = |partition| {
            let assigned = current.assigned.get(partition);
            assigned.or_else(|| current.revoking.get(partition))
        };
        let may_commit =
            |partition| since(partition).is_some_and(|since| claim.generation >= *since);
        let is_current = claim.generation == current.epoch
            || (claim.generation < current.epoch && partitions.into_iter().all(may_commit));
        match (is_current, member.is_classic()) {
            (true, _) => ErrorCode::NONE,
            (false, true) => ErrorCode::ILLEGAL_GENERATION,
            (false, false) => ErrorCode::STALE_MEMBER_EPOCH,
        }
    }

    /// Whether what was committed may be read by a member that says so of itself.
    pub(crate) fn check_fetch(&self, member_id: &str, member_epoch: i32) -> ErrorCode {
        match self.roster.ledger.members().get(member_id) {
            None => ErrorCode::UNKNOWN_MEMBER_ID,
            Some(member) if member.current.epoch == member_epoch => ErrorCode::NONE,
            Some(member) if member.is_classic() => ErrorCode::ILLEGAL_GENERATION,
            Some(_) => ErrorCode::STALE_MEMBER_EPOCH,
        }
    }

    /// The group as a classic one, once none of its members speaks the new protocol any more.
    pub(crate) fn downgrade(&self, now: Now, topics: &dyn TopicImage) -> Option<Snapshot> {
        if !self.roster.limits.migration.allows_downgrade() || self.is_empty() {
            return None;
        }
        as_classic(&self.roster.ledger, topics, now)
    }

    fn retain_sessions(&mut self) {
        let members = self.roster.ledger.members();
        self.roster.sessions.retain(|id| members.contains_key(id));
    }
}

/// What others may know of a group.
impl ConsumerGroup {
    /// Kafka's name of where the group stands.
    pub(crate) fn state_name(&self) -> &'static str {
        let ledger = &self.roster.ledger;
        let target_epoch = ledger.target_epoch().epoch;
        let mut members = ledger.members().values();
        if self.is_empty() {
            "Empty"
        } else if ledger.epoch().epoch > target_epoch {
            "Assigning"
        } else if members.all(|member| member.current.is_reconciled_to(target_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// Members, epochs and assignments.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.roster.ledger
    }

    /// The assignor that the members prefer.
    pub(crate) fn assignor(&self) -> &'static str {
        self.roster.assignor().name()
    }

    /// Whether there are no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.roster.ledger.members().is_empty()
    }

    /// Whether a member of the new protocol is there.
    pub(crate) fn has_member(&self, id: &str) -> bool {
        let member = self.roster.ledger.members().get(id);
        member.is_some_and(|member| !member.is_classic())
    }

    /// The topics that anybody is subscribed to, by name.
    pub(crate) fn subscribed_names(&self) -> BTreeSet<ByteString> {
        self.roster.subscribed_names()
    }
}

/// Lets a member in that joins, or checks that it is who it says to be.
fn admit(roster: &mut Roster, heartbeat: &Heartbeat) -> Result<(), Refusal> {
    let id = &heartbeat.member_id;
    if heartbeat.member_epoch != JOINS {
        let member = roster.claimed(id, heartbeat.instance_id.as_ref())?;
        return check_epoch(member, heartbeat);
    }
    let Some(instance_id) = &heartbeat.instance_id else {
        return Ok(());
    };
    let Some(owner) = roster.ledger.instance(instance_id).cloned() else {
        return Ok(());
    };
    if owner == *id {
        return Ok(());
    }
    let member = roster.member(&owner)?;
    if !member.is_classic() && member.current.epoch != WILL_BE_BACK {
        return Err(Refusal::new(
            ErrorCode::UNRELEASED_INSTANCE_ID,
            format!(
                "static member {id} with instance id {instance_id} cannot join the group because the \
                 instance id is owned by member {owner}"
            ),
        ));
    }
    roster.replace(&owner, id);
    Ok(())
}

/// A member may be one epoch behind if the answer was lost that told it of the next, and it has nothing
/// that it should not.
fn check_epoch(member: &Member, heartbeat: &Heartbeat) -> Result<(), Refusal> {
    let current = &member.current;
    let claimed = heartbeat.member_epoch;
    let owns_no_more = |owned: &Partitions| {
        owned
            .iter()
            .all(|partition| current.assigned.contains_key(partition))
    };
    let lost_answer =
        claimed == current.previous_epoch && heartbeat.owned.as_ref().is_some_and(owns_no_more);
    if claimed == current.epoch || (claimed < current.epoch && lost_answer) {
        return Ok(());
    }
    let than = if claimed > current.epoch {
        "greater"
    } else {
        "smaller"
    };
    Err(Refusal::new(
        ErrorCode::FENCED_MEMBER_EPOCH,
        format!(
            "the member has a {than} epoch ({claimed}) than the one known to the group coordinator ({}): it \
             must give up all its partitions and join again",
            current.epoch
        ),
    ))
}

#[cfg(test)]
mod tests;
