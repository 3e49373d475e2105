//! The members of a group, whichever protocol they speak: a classic group, a consumer group, and the way from
//! one to the other.
//!
//! Knows no log: whoever owns it saves what [`GroupMembers::take_unsaved`] tells before any answer goes out.
//! A group of one protocol that takes the place of one of the other does so with that save, or not at all.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::{EncodeError, ErrorCode};

use crate::config::group::GroupConfig;
use crate::state::classic_group::answer::{
    Answer, JoinAnswer, JoinRequest, MemberClaim, SyncAnswer, SyncRequest, Ticket,
};
use crate::state::classic_group::{ClassicGroup, Limits, Snapshot};
use crate::state::consumer_group::ConsumerGroup;
use crate::state::consumer_group::change::{Change, TopicIdPartition};
use crate::state::consumer_group::heartbeat::{Heartbeat, HeartbeatAnswer, JOINS, Leave};
use crate::state::consumer_group::limits::ConsumerGroupLimits;
use crate::state::consumer_group_record::encode_change;
use crate::state::consumer_protocol::PROTOCOL_TYPE;
use crate::state::group_record::{KeyValue, group_record};
use crate::state::refusal::Refusal;
use crate::state::time::Now;
use crate::state::topic_image::TopicImage;

/// What the broker allows groups.
#[derive(Clone, Debug)]
pub(crate) struct GroupLimits {
    pub(crate) classic: Limits,
    pub(crate) consumer: Arc<ConsumerGroupLimits>,
}

/// The members of a group.
#[derive(Debug)]
pub(crate) struct GroupMembers {
    limits: GroupLimits,
    config: GroupConfig,
    kind: GroupKind,
    /// The group of the other protocol whose place the group takes with the next save.
    replaced: Option<GroupKind>,
    answers: VecDeque<(Ticket, Answer)>,
}

/// A group of one of the protocols.
#[derive(Debug)]
pub(crate) enum GroupKind {
    /// Its members agree among each other.
    Classic(ClassicGroup),
    /// The broker tells its members.
    Consumer(ConsumerGroup),
}

impl GroupMembers {
    /// Nobody yet.
    pub(crate) fn new(now: Now, limits: GroupLimits, config: GroupConfig) -> Self {
        Self {
            kind: GroupKind::Classic(ClassicGroup::new(now, limits.classic.clone())),
            limits,
            config,
            replaced: None,
            answers: VecDeque::new(),
        }
    }

    /// The group is configured so from now on, once it is a consumer group.
    pub(crate) fn configure(&mut self, config: GroupConfig) {
        self.config = config;
        if let GroupKind::Consumer(group) = &mut self.kind {
            group.configure(config);
        }
    }

    /// The group, by its protocol.
    pub(crate) fn kind(&self) -> &GroupKind {
        &self.kind
    }

    /// A member joins a generation of the classic protocol.
    pub(crate) fn handle_join(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        ticket: Ticket,
        request: JoinRequest,
    ) {
        if let GroupKind::Consumer(group) = &self.kind
            && group.is_empty()
        {
            let classic = ClassicGroup::new(now, self.limits.classic.clone());
            self.replace(GroupKind::Classic(classic));
        }
        match &mut self.kind {
            GroupKind::Classic(group) => group.handle_join(now, ticket, request),
            GroupKind::Consumer(group) => {
                let answer = group.handle_classic_join(now, topics, request);
                self.answers.push_back((ticket, Answer::Join(answer)));
                self.downgrade(now, topics);
            }
        }
    }

    /// A member of the classic protocol asks for its assignment.
    pub(crate) fn handle_sync(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        ticket: Ticket,
        request: SyncRequest,
    ) {
        match &mut self.kind {
            GroupKind::Classic(group) => group.handle_sync(now, ticket, request),
            GroupKind::Consumer(group) => {
                let answer = group.handle_classic_sync(now, topics, request);
                self.answers.push_back((ticket, Answer::Sync(answer)));
            }
        }
    }

    /// A member of the classic protocol says that it is there.
    pub(crate) fn handle_classic_heartbeat(&mut self, now: Now, claim: &MemberClaim) -> ErrorCode {
        match &mut self.kind {
            GroupKind::Classic(group) => group.handle_heartbeat(now, claim),
            GroupKind::Consumer(group) => group.handle_classic_heartbeat(now, claim),
        }
    }

    /// A member of the classic protocol goes, by its id or by its instance id alone.
    pub(crate) fn handle_classic_leave(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        member_id: &ByteString,
        instance_id: Option<&ByteString>,
    ) -> ErrorCode {
        match &mut self.kind {
            GroupKind::Classic(group) => {
                group.handle_leave(now, member_id, instance_id.map(AsRef::as_ref))
            }
            GroupKind::Consumer(group) => {
                group.handle_classic_leave(now, topics, member_id, instance_id)
            }
        }
    }

    /// A member of the new protocol joins, or says that it is there.
    ///
    /// # Errors
    ///
    /// Kafka's code with a sentence; GROUP_ID_NOT_FOUND for a classic group that cannot become a consumer
    /// group.
    pub(crate) fn handle_heartbeat(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatAnswer, Refusal> {
        let classic = match &mut self.kind {
            GroupKind::Consumer(group) => return group.handle_heartbeat(now, topics, heartbeat),
            GroupKind::Classic(classic) => classic,
        };
        if classic.is_dead() {
            return Err(Refusal::new(
                ErrorCode::COORDINATOR_NOT_AVAILABLE,
                "the group was deleted",
            ));
        }
        if heartbeat.member_epoch != JOINS {
            return Err(not_a_consumer_group());
        }
        let limits = Arc::clone(&self.limits.consumer);
        // Who has only been given an id yet may as well come to the new group with it.
        let mut group = if classic.members().next().is_none() {
            ConsumerGroup::new(limits, self.config)
        } else {
            check_upgrade(classic, &limits)?;
            let adopted = ConsumerGroup::adopt(limits, self.config, now, topics, classic);
            adopted.ok_or_else(|| {
                Refusal::new(
                    ErrorCode::GROUP_ID_NOT_FOUND,
                    "cannot upgrade the classic group: a subscription or an assignment is malformed",
                )
            })?
        };
        let answer = group.handle_heartbeat(now, topics, heartbeat)?;
        self.replace(GroupKind::Consumer(group));
        Ok(answer)
    }

    /// A member of the new protocol goes.
    ///
    /// # Errors
    ///
    /// Kafka's code with a sentence.
    pub(crate) fn handle_leave(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        leave: &Leave,
    ) -> Result<HeartbeatAnswer, Refusal> {
        let GroupKind::Consumer(group) = &mut self.kind else {
            return Err(not_a_consumer_group());
        };
        let answer = group.handle_leave(now, topics, leave)?;
        self.downgrade(now, topics);
        Ok(answer)
    }

    /// The time has come for what [`GroupMembers::deadline`] named.
    pub(crate) fn handle_time(&mut self, now: Now, topics: &dyn TopicImage) {
        match &mut self.kind {
            GroupKind::Classic(group) => group.handle_time(now),
            GroupKind::Consumer(group) => {
                group.handle_time(now, topics);
                self.downgrade(now, topics);
            }
        }
    }

    /// When [`GroupMembers::handle_time`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match &self.kind {
            GroupKind::Classic(group) => group.deadline(),
            GroupKind::Consumer(group) => group.deadline(),
        }
    }

    /// Whether offsets of these partitions may be committed by who makes this claim.
    pub(crate) fn check_commit<'a>(
        &mut self,
        now: Now,
        claim: &MemberClaim,
        partitions: impl IntoIterator<Item = &'a TopicIdPartition>,
    ) -> ErrorCode {
        match &mut self.kind {
            GroupKind::Classic(group) => group.handle_commit(now, claim),
            GroupKind::Consumer(group) => group.check_commit(claim, partitions),
        }
    }

    /// Whether a producer may commit offsets of these partitions inside of its transaction for who makes
    /// this claim.
    pub(crate) fn check_transactional_commit<'a>(
        &mut self,
        now: Now,
        claim: &MemberClaim,
        partitions: impl IntoIterator<Item = &'a TopicIdPartition>,
    ) -> ErrorCode {
        match &mut self.kind {
            GroupKind::Classic(group) => group.handle_transactional_commit(now, claim),
            GroupKind::Consumer(_) if claim.claims_nothing() => ErrorCode::NONE,
            GroupKind::Consumer(group) => group.check_commit(claim, partitions),
        }
    }

    /// Ends the group: whoever comes later must look again. Only for a group without members.
    pub(crate) fn kill(&mut self, now: Now) {
        let mut classic = ClassicGroup::new(now, self.limits.classic.clone());
        classic.kill(now);
        self.kind = GroupKind::Classic(classic);
    }

    /// Takes in a classic group that was saved earlier, or its end.
    pub(crate) fn restore_classic(&mut self, now: Now, snapshot: Option<Snapshot>) {
        let limits = self.limits.classic.clone();
        match (snapshot, &self.kind) {
            (Some(snapshot), _) => {
                let group = ClassicGroup::restore(now, limits, snapshot);
                self.kind = GroupKind::Classic(group);
            }
            (None, GroupKind::Classic(_)) => {
                self.kind = GroupKind::Classic(ClassicGroup::new(now, limits));
            }
            // The end of the classic group that it was before.
            (None, GroupKind::Consumer(_)) => {}
        }
    }

    /// Takes in a piece of a consumer group that was saved earlier.
    pub(crate) fn restore_consumer(&mut self, now: Now, change: Change) {
        if change == Change::Epoch(None) {
            if let GroupKind::Consumer(_) = self.kind {
                let group = ClassicGroup::new(now, self.limits.classic.clone());
                self.kind = GroupKind::Classic(group);
            }
            return;
        }
        if let GroupKind::Classic(_) = self.kind {
            // The end of a piece says nothing of a group that is over.
            if change.is_end() {
                return;
            }
            let group = ConsumerGroup::new(Arc::clone(&self.limits.consumer), self.config);
            self.kind = GroupKind::Consumer(group);
        }
        if let GroupKind::Consumer(group) = &mut self.kind {
            group.restore(change);
        }
    }

    /// The group is as it was saved.
    pub(crate) fn handle_restored(&mut self, now: Now) {
        if let GroupKind::Consumer(group) = &mut self.kind {
            group.handle_restored(now);
        }
    }

    /// The records to be saved before an answer goes out.
    ///
    /// # Errors
    ///
    /// If a name is longer than the format can say; then they count as not saved.
    pub(crate) fn take_unsaved(&mut self, id: &ByteString) -> Result<Vec<KeyValue>, EncodeError> {
        let mut records = Vec::new();
        if let Some(replaced) = &mut self.replaced {
            replaced.unsaved(id, &mut records)?;
            replaced.tombstones(id, &mut records)?;
        }
        self.kind.unsaved(id, &mut records)?;
        Ok(records)
    }

    /// What was to be saved is.
    pub(crate) fn handle_saved(&mut self) {
        if let GroupKind::Consumer(group) = &mut self.kind {
            group.handle_saved();
        }
        if let Some(GroupKind::Classic(mut classic)) = self.replaced.take() {
            // Members that wait must come back, and find the group of the other protocol.
            classic.dissolve(ErrorCode::REBALANCE_IN_PROGRESS);
            self.answers
                .extend(std::iter::from_fn(|| classic.poll_answer()));
        }
    }

    /// What was to be saved is not: the group is as it was, and nobody may act on what is forgotten.
    pub(crate) fn handle_save_failed(&mut self) {
        if let Some(replaced) = self.replaced.take() {
            let newer = std::mem::replace(&mut self.kind, replaced);
            if let GroupKind::Classic(mut classic) = newer {
                classic.dissolve(ErrorCode::COORDINATOR_NOT_AVAILABLE);
                self.answers
                    .extend(std::iter::from_fn(|| classic.poll_answer()));
            }
        }
        for (_, answer) in &mut self.answers {
            let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
            match answer {
                Answer::Join(join) => *join = JoinAnswer::refused(error, join.member_id.clone()),
                Answer::Sync(sync) => *sync = SyncAnswer::refused(error),
            }
        }
        match &mut self.kind {
            GroupKind::Classic(group) => group.handle_save_failed(),
            GroupKind::Consumer(group) => group.handle_save_failed(),
        }
    }

    /// The next answer that is due.
    pub(crate) fn poll_answer(&mut self) -> Option<(Ticket, Answer)> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        match &mut self.kind {
            GroupKind::Classic(group) => group.poll_answer(),
            GroupKind::Consumer(_) => None,
        }
    }

    /// The records that take the group away.
    ///
    /// # Errors
    ///
    /// If a name is longer than the format can say.
    pub(crate) fn tombstones(&self, id: &ByteString) -> Result<Vec<KeyValue>, EncodeError> {
        let mut records = Vec::new();
        self.kind.tombstones(id, &mut records)?;
        Ok(records)
    }

    /// A consumer group becomes a classic one once none of its members speaks the new protocol any more.
    fn downgrade(&mut self, now: Now, topics: &dyn TopicImage) {
        let GroupKind::Consumer(group) = &self.kind else {
            return;
        };
        let snapshot = group.downgrade(now, topics);
        let Some(snapshot) =
            snapshot.filter(|group| group.members.len() <= self.limits.classic.size_max)
        else {
            return;
        };
        let mut classic = ClassicGroup::restore(now, self.limits.classic.clone(), snapshot);
        classic.handle_downgraded(now);
        self.replace(GroupKind::Classic(classic));
    }

    fn replace(&mut self, kind: GroupKind) {
        debug_assert!(
            self.replaced.is_none(),
            "a group was replaced twice without a save"
        );
        self.replaced = Some(std::mem::replace(&mut self.kind, kind));
    }
}

/// What others may know of a group.
impl GroupMembers {
    /// Whether there are no members, and nobody is about to become one.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.kind {
            GroupKind::Classic(group) => group.is_empty(),
            GroupKind::Consumer(group) => group.is_empty(),
        }
    }

    /// Whether it is a group of the new protocol.
    pub(crate) fn is_consumer_group(&self) -> bool {
        matches!(self.kind, GroupKind::Consumer(_))
    }

    /// Whether the log knows of members that are there or were.
    pub(crate) fn was_saved(&self) -> bool {
        match &self.kind {
            GroupKind::Classic(group) => group.had_generation(),
            GroupKind::Consumer(_) => true,
        }
    }

    /// Whether the group was deleted.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(&self.kind, GroupKind::Classic(group) if group.is_dead())
    }

    /// Kafka's name of where the group stands.
    pub(crate) fn state_name(&self) -> &'static str {
        match &self.kind {
            GroupKind::Classic(group) => group.phase_name(),
            GroupKind::Consumer(group) => group.state_name(),
        }
    }

    /// Kafka's name of the protocol.
    pub(crate) fn type_name(&self) -> &'static str {
        match &self.kind {
            GroupKind::Classic(_) => "classic",
            GroupKind::Consumer(_) => "consumer",
        }
    }

    /// Such as `consumer`; empty if no member was ever there.
    pub(crate) fn protocol_type(&self) -> ByteString {
        match &self.kind {
            GroupKind::Classic(group) => group.protocol_type(),
            GroupKind::Consumer(_) => PROTOCOL_TYPE.into(),
        }
    }

    /// Since when offsets of topics that nobody is subscribed to may expire; `None` while none does.
    pub(crate) fn expires_since_ms(&self) -> Option<i64> {
        match &self.kind {
            GroupKind::Classic(group) if group.is_empty() => Some(group.phase_since_ms()),
            GroupKind::Classic(group) if group.is_stable() => Some(i64::MIN),
            GroupKind::Classic(_) => None,
            GroupKind::Consumer(_) => Some(i64::MIN),
        }
    }

    /// The topics that members read.
    pub(crate) fn subscribed_topics(&self) -> SubscribedTopics {
        match &self.kind {
            GroupKind::Classic(group) => match group.subscribed_topics() {
                Some(topics) => SubscribedTopics::These(topics),
                None => SubscribedTopics::Unknown,
            },
            GroupKind::Consumer(group) => SubscribedTopics::These(group.subscribed_names()),
        }
    }
}

/// The topics that the members of a group read, as far as anybody knows.
#[derive(Debug)]
pub(crate) enum SubscribedTopics {
    /// Who cannot be understood may read anything.
    Unknown,
    /// By name.
    These(BTreeSet<ByteString>),
}

impl SubscribedTopics {
    /// Whether a member may read this topic.
    pub(crate) fn may_have(&self, topic: &str) -> bool {
        match self {
            Self::Unknown => true,
            Self::These(topics) => topics.contains(topic),
        }
    }
}

impl GroupKind {
    fn unsaved(&mut self, id: &ByteString, records: &mut Vec<KeyValue>) -> Result<(), EncodeError> {
        match self {
            Self::Classic(group) => {
                if group.take_unsaved() {
                    records.push(group_record(id, Some(&group.snapshot()))?);
                }
            }
            Self::Consumer(group) => {
                for change in group.take_unsaved() {
                    records.push(encode_change(id, &change)?);
                }
            }
        }
        Ok(())
    }

    fn tombstones(&self, id: &ByteString, records: &mut Vec<KeyValue>) -> Result<(), EncodeError> {
        match self {
            // What was never written down needs no taking back: anybody may have group after group made.
            Self::Classic(group) if !group.had_generation() => {}
            Self::Classic(_) => records.push(group_record(id, None)?),
            Self::Consumer(group) => {
                for change in group.tombstones() {
                    records.push(encode_change(id, &change)?);
                }
            }
        }
        Ok(())
    }
}

fn check_upgrade(classic: &ClassicGroup, limits: &ConsumerGroupLimits) -> Result<(), Refusal> {
    let refuse = |reason: &str| {
        let message = format!("cannot upgrade the classic group to a consumer group: {reason}");
        Err(Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message))
    };
    if !limits.migration.allows_upgrade() {
        return refuse("the online upgrade is disabled");
    }
    if classic.protocol_type() != PROTOCOL_TYPE {
        return refuse("it does not use the consumer embedded protocol");
    }
    if classic.members().count() > limits.size_max {
        return refuse("it has more members than a consumer group may have");
    }
    Ok(())
}

fn not_a_consumer_group() -> Refusal {
    Refusal::new(
        ErrorCode::GROUP_ID_NOT_FOUND,
        "the group is not a consumer group",
    )
}

#[cfg(test)]
mod tests;
