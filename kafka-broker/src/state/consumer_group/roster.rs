//! The members of a consumer group, and the way from what they want to what they have: their subscriptions
//! make the group's epoch, the epoch its target assignment, and the target what each member is told.
//!
//! Knows no protocol: neither heartbeats nor joins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;

use crate::config::group::GroupConfig;
use crate::state::consumer_group::assignor::Assignor;
use crate::state::consumer_group::assignor::claimant::Claimant;
use crate::state::consumer_group::change::{
    Change, CurrentAssignment, GroupEpoch, MemberMetadata, MemberState, Partitions, ResolvedRegex,
    TargetEpoch,
};
use crate::state::consumer_group::ledger::{Ledger, Member};
use crate::state::consumer_group::limits::ConsumerGroupLimits;
use crate::state::consumer_group::reconciliation::{Target, reconcile, unsubscribe};
use crate::state::consumer_group::sessions::Sessions;
use crate::state::consumer_group::subscription::{
    compile, metadata_hash, resolve, subscribed_topics,
};
use crate::state::refusal::Refusal;
use crate::state::time::{Now, millis};
use crate::state::topic_image::TopicImage;

/// The members of a consumer group.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) limits: Arc<ConsumerGroupLimits>,
    pub(crate) config: GroupConfig,
    pub(crate) ledger: Ledger,
    pub(crate) sessions: Sessions,
    /// The version of the topics that the epoch takes account of.
    seen_topics: Option<u64>,
}

impl Roster {
    /// Without members.
    pub(crate) fn new(limits: Arc<ConsumerGroupLimits>, config: GroupConfig) -> Self {
        Self {
            limits,
            config,
            ledger: Ledger::default(),
            sessions: Sessions::default(),
            seen_topics: None,
        }
    }

    /// The member of this id.
    ///
    /// # Errors
    ///
    /// UNKNOWN_MEMBER_ID.
    pub(crate) fn member(&self, id: &str) -> Result<&Member, Refusal> {
        self.ledger.members().get(id).ok_or_else(|| {
            Refusal::new(
                ErrorCode::UNKNOWN_MEMBER_ID,
                format!("member {id} is not a member of the group"),
            )
        })
    }

    /// The member of this id, which must be the instance that it says to be.
    ///
    /// # Errors
    ///
    /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID if another member has become the instance.
    pub(crate) fn claimed(
        &self,
        id: &ByteString,
        instance_id: Option<&ByteString>,
    ) -> Result<&Member, Refusal> {
        if let Some(instance_id) = instance_id {
            let owner = self.ledger.instance(instance_id).ok_or_else(|| {
                Refusal::new(
                    ErrorCode::UNKNOWN_MEMBER_ID,
                    format!("instance id {instance_id} is unknown"),
                )
            })?;
            if owner != id {
                return Err(Refusal::new(
                    ErrorCode::FENCED_INSTANCE_ID,
                    format!(
                        "static member {id} with instance id {instance_id} was fenced by member {owner}"
                    ),
                ));
            }
        }
        self.member(id)
    }

    /// Tells whether the group has room for a member, who may be there already.
    ///
    /// # Errors
    ///
    /// GROUP_MAX_SIZE_REACHED.
    pub(crate) fn check_room(
        &self,
        id: &str,
        instance_id: Option<&ByteString>,
    ) -> Result<(), Refusal> {
        let members = self.ledger.members();
        let is_known = members.contains_key(id)
            || instance_id.is_some_and(|instance| self.ledger.instance(instance).is_some());
        if is_known || members.len() < self.limits.size_max {
            return Ok(());
        }
        let most = self.limits.size_max;
        Err(Refusal::new(
            ErrorCode::GROUP_MAX_SIZE_REACHED,
            format!("the group has reached its maximum of {most} members"),
        ))
    }

    /// Tells whether members may have one more regular expression between them: each is applied to all
    /// topics whenever one comes or goes.
    fn check_room_for_regex(&self, pattern: &str) -> Result<(), Refusal> {
        let regexes = self.ledger.regexes();
        if regexes.contains_key(pattern) || regexes.len() < REGEXES_MAX {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::INVALID_REGULAR_EXPRESSION,
            format!("the group has its most regular expressions, {REGEXES_MAX}, already"),
        ))
    }

    /// A static member is back under a new id, and has what it had under the old one.
    pub(crate) fn replace(&mut self, old: &ByteString, new: &ByteString) {
        let Some(member) = self.ledger.members().get(old).cloned() else {
            return;
        };
        let target = self.ledger.targets().get(old).cloned();
        self.remove(old);
        self.ledger.change(Change::Member {
            id: new.clone(),
            metadata: Some(member.metadata),
        });
        self.ledger.change(Change::Target {
            id: new.clone(),
            partitions: Some(target.unwrap_or_default()),
        });
        self.ledger.change(Change::Current {
            id: new.clone(),
            assignment: Some(CurrentAssignment {
                epoch: 0,
                previous_epoch: 0,
                ..member.current
            }),
        });
    }

    /// A member is there, or wants something else than before, and says what it has, or that this is
    /// no news. Brings the group up to date, and the member as near to its target as can be. Tells
    /// whether the member may have other partitions now than before.
    ///
    /// # Errors
    ///
    /// INVALID_REGULAR_EXPRESSION, or FENCED_MEMBER_EPOCH if nobody can tell what the member has.
    pub(crate) fn update(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        id: &ByteString,
        metadata: MemberMetadata,
        owned: Option<&Partitions>,
    ) -> Result<bool, Refusal> {
        let before = self
            .ledger
            .members()
            .get(id)
            .map(|one| Arc::clone(&one.metadata));
        let before = before.as_deref();
        if let Some(pattern) = metadata.pattern()
            && before.is_none_or(|before| before.pattern() != Some(pattern))
        {
            compile(pattern)?;
            self.check_room_for_regex(pattern)?;
        }
        let differs = before.is_none_or(|before| {
            before.topics != metadata.topics || before.pattern() != metadata.pattern()
        });
        let mut bump = differs;
        if before != Some(&metadata) {
            let assignor = self.assignor();
            self.ledger.change(Change::Member {
                id: id.clone(),
                metadata: Some(Arc::new(metadata)),
            });
            bump |= self.assignor() != assignor;
        }
        self.refresh(now, topics, bump);
        self.assign(now, topics);
        self.reconcile(now, topics, id, differs, owned)
    }

    /// A member goes, and its partitions are free.
    pub(crate) fn fence(&mut self, now: Now, topics: &dyn TopicImage, id: &ByteString) {
        self.remove(id);
        self.refresh(now, topics, true);
    }

    fn remove(&mut self, id: &ByteString) {
        self.ledger.change(Change::Current {
            id: id.clone(),
            assignment: None,
        });
        self.ledger.change(Change::Target {
            id: id.clone(),
            partitions: None,
        });
        self.ledger.change(Change::Member {
            id: id.clone(),
            metadata: None,
        });
    }

    /// Takes account of what members are subscribed to. A group that has changed, or whose topics have,
    /// is in a new epoch.
    fn refresh(&mut self, now: Now, topics: &dyn TopicImage, changed: bool) {
        let version = topics.version();
        let topics_changed = self.seen_topics != Some(version);
        if !changed && !topics_changed {
            return;
        }
        let mut bump = changed;
        bump |= self.resolve_regexes(now, topics, topics_changed);
        let names = self.subscribed_names();
        let metadata_hash = metadata_hash(&names, topics, self.limits.rack.as_deref());
        let before = self.ledger.epoch();
        if bump || metadata_hash != before.metadata_hash {
            let epoch = GroupEpoch {
                epoch: before.epoch.saturating_add(1),
                metadata_hash,
            };
            self.ledger.change(Change::Epoch(Some(epoch)));
            if self.ledger.has_partition_metadata() {
                self.ledger.change(Change::PartitionMetadata(false));
            }
        }
        self.seen_topics = Some(version);
    }

    /// Applies the regular expressions of members, those that were not yet, or all. Tells whether one that
    /// was applied before stands for other topics now.
    fn resolve_regexes(&mut self, now: Now, topics: &dyn TopicImage, all: bool) -> bool {
        let members = self.ledger.members().values();
        let patterns = members.filter_map(|member| member.metadata.pattern().cloned());
        let patterns: BTreeSet<_> = patterns.collect();
        let known = self.ledger.regexes().keys();
        let gone: Vec<_> = known
            .filter(|one| !patterns.contains(*one))
            .cloned()
            .collect();
        for pattern in gone {
            self.ledger.change(Change::Regex {
                pattern,
                resolved: None,
            });
        }
        let mut differs = false;
        for pattern in patterns {
            let before = self.ledger.regexes().get(&pattern);
            if before.is_some() && !all {
                continue;
            }
            let matched = resolve(&pattern, topics);
            if before.is_some_and(|before| before.topics == matched) {
                continue;
            }
            differs |= before.is_some();
            self.ledger.change(Change::Regex {
                pattern,
                resolved: Some(ResolvedRegex {
                    topics: matched,
                    version: i64::try_from(topics.version()).unwrap_or(i64::MAX),
                    resolved_at_ms: now.unix_ms,
                }),
            });
        }
        differs
    }

    /// The names that anybody is subscribed to.
    pub(crate) fn subscribed_names(&self) -> BTreeSet<ByteString> {
        let members = self.ledger.members().values();
        let named = members.flat_map(|member| &member.metadata.topics);
        let matched = self.ledger.regexes().values();
        let matched = matched.flat_map(|resolved| &resolved.topics);
        named.chain(matched).cloned().collect()
    }

    /// Makes a target assignment for an epoch that has none, unless the last was made just now. Whoever
    /// is heard of when it is time lets it be made.
    fn assign(&mut self, now: Now, topics: &dyn TopicImage) {
        let epoch = self.ledger.epoch().epoch;
        if epoch <= self.ledger.target_epoch().epoch || self.was_assigned_just_now(now) {
            return;
        }
        let ledger = &self.ledger;
        let claimants: Vec<_> = ledger
            .members()
            .iter()
            .map(|(id, member)| Claimant {
                member_id: id,
                instance_id: member.metadata.instance_id.as_ref(),
                topics: subscribed_topics(&member.metadata, ledger.regexes(), topics),
                before: ledger.targets().get(id),
            })
            .collect();
        let shares = self.assignor().assign(&claimants);
        let none = Partitions::new();
        let changed: Vec<_> = claimants
            .iter()
            .zip(shares)
            .filter(|(claimant, share)| claimant.before.unwrap_or(&none) != share)
            .map(|(claimant, share)| (claimant.member_id.clone(), share))
            .collect();
        for (id, share) in changed {
            self.ledger.change(Change::Target {
                id,
                partitions: Some(share),
            });
        }
        self.ledger.change(Change::TargetEpoch(Some(TargetEpoch {
            epoch,
            assigned_at_ms: now.unix_ms,
        })));
    }

    fn was_assigned_just_now(&self, now: Now) -> bool {
        let last = self.ledger.target_epoch().assigned_at_ms;
        let interval = millis(self.config.assignment_interval);
        last != 0 && now.unix_ms < last.saturating_add(interval)
    }

    /// Brings a member as near to its target as can be.
    fn reconcile(
        &mut self,
        now: Now,
        topics: &dyn TopicImage,
        id: &ByteString,
        subscription_changed: bool,
        owned: Option<&Partitions>,
    ) -> Result<bool, Refusal> {
        let epoch = self.ledger.target_epoch().epoch;
        let ledger = &self.ledger;
        let Some(member) = ledger.members().get(id) else {
            return Ok(false);
        };
        let current = &member.current;
        if !subscription_changed && current.is_reconciled_to(epoch) {
            return Ok(false);
        }
        if current.state == MemberState::Unknown && owned.is_none_or(|owned| !owned.is_empty()) {
            return Err(Refusal::new(
                ErrorCode::FENCED_MEMBER_EPOCH,
                "the member is in an unknown state: it must give up all its partitions and join again",
            ));
        }
        let subscribed = subscribed_topics(&member.metadata, ledger.regexes(), topics);
        let is_subscribed = |(topic, _): &(_, i32)| subscribed.contains_key(topic);
        let target = ledger.targets().get(id).into_iter().flatten();
        let partitions: Partitions = target.filter(|one| is_subscribed(one)).copied().collect();
        let target = Target {
            epoch,
            partitions: &partitions,
        };
        let is_held_by_other =
            |partition: &_| ledger.holder(partition).is_some_and(|holder| holder != id);
        let mut next = reconcile(current, target, owned, is_held_by_other);
        if subscription_changed && next == *current {
            next = unsubscribe(current, owned, is_subscribed);
        }
        if next == *current {
            return Ok(false);
        }
        let has_news = !next.assigned.keys().eq(current.assigned.keys());
        let revokes = next.state == MemberState::UnrevokedPartitions;
        let patience = patience(&member.metadata);
        // Members of the classic protocol give up by joining again, and are held to that.
        let is_classic = member.is_classic();
        self.ledger.change(Change::Current {
            id: id.clone(),
            assignment: Some(next),
        });
        if revokes && !is_classic {
            self.sessions.expect_revocation(id, now.elapsed + patience);
        } else {
            self.sessions.handle_revoked(id);
        }
        Ok(has_news)
    }

    /// The assignor that most members prefer.
    pub(crate) fn assignor(&self) -> Assignor {
        let members = self.ledger.members().values();
        let votes: Vec<_> = members
            .filter_map(|member| self.limits.assignor(member.metadata.assignor.as_deref()?))
            .collect();
        let count = |one: &Assignor| votes.iter().filter(|vote| *vote == one).count();
        let choices = self.limits.assignors.iter().copied();
        // Of several the first, as without any vote.
        let best = choices.rev().max_by_key(count);
        best.unwrap_or_else(|| self.limits.default_assignor())
    }

    /// What was changed since the last save never was.
    pub(crate) fn take_back(&mut self) {
        self.ledger.take_back();
        self.seen_topics = None;
    }
}

/// How long a member may take to give partitions up.
pub(crate) fn patience(metadata: &MemberMetadata) -> Duration {
    Duration::from_millis(u64::try_from(metadata.rebalance_timeout_ms).unwrap_or_default())
}

/// The most different regular expressions of a group.
pub(crate) const REGEXES_MAX: usize = 64;
