//! Subscription, fetching and group as one machine: what a consumer does next.
//!
//! Composing is its only work: what the group decides is told to the subscription, what positions begin
//! is told to the group, and what either needs is asked for in one place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytestring::ByteString;
use kafka_protocol::messages::{
    FetchResponse, HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, ListOffsetsResponse,
    OffsetCommitResponse, OffsetFetchResponse, SyncGroupResponse,
};

use crate::config::consumer::{CommitMode, ConsumerConfig, Start};
use crate::error::{Error, ErrorKind};
use crate::machine::backoff::Backoff;
use crate::machine::fetch::delivery::Run;
use crate::machine::fetch::plan::FetchPlan;
use crate::machine::fetch::{Fetch, Limits};
use crate::machine::group::classic_member::{Manners, Speech};
use crate::machine::group::commit::{CommitPlan, CommittedPlan};
use crate::machine::group::{Group, GroupAction, GroupEvent};
use crate::machine::subscription::position::{Phase, Position, ResetReason};
use crate::machine::subscription::reset::LookupPlan;
use crate::machine::subscription::status::{PartitionState, PartitionStatus};
use crate::machine::subscription::topics::Topics;
use crate::machine::subscription::{Policy, Subscription, TopicNews};
use crate::machine::time::{Duration, Instant, earlier};
use crate::record::topic_partition::TopicPartition;

/// What a consumer asks its driver to do. Each but the first is answered by an [`Answer`].
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// The leaders of the topics may have changed.
    RefreshMetadata,
    FindCoordinator,
    /// Say this to the coordinator.
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
    Lookup(LookupPlan),
    Fetch(FetchPlan),
}

/// What became of an [`Action`].
#[derive(Debug)]
pub(crate) enum Answer {
    Coordinator(Result<i32, Error>),
    Joined(u64, Result<JoinGroupResponse, Error>),
    Synced(u64, Result<SyncGroupResponse, Error>),
    Heartbeat(u64, Result<HeartbeatResponse, Error>),
    Left(u64, Result<LeaveGroupResponse, Error>),
    Committed(CommitPlan, Result<OffsetCommitResponse, Error>),
    FetchedCommitted(CommittedPlan, Result<OffsetFetchResponse, Error>),
    LookedUp(LookupPlan, Result<ListOffsetsResponse, Error>),
    Fetched(FetchPlan, Result<FetchResponse, Error>),
}

/// What happened to a consumer's partitions, told to the application.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// These are read from now on; none if the group has more members than partitions.
    Assigned(Vec<TopicPartition>),
    /// A rebalance or the close takes these away: no more of their records are delivered. What was
    /// delivered may still be acknowledged for the grace.
    Revoking(Vec<TopicPartition>),
    /// These are read no more; what was acknowledged is committed.
    Revoked(Vec<TopicPartition>),
    /// These belong to others already: the group took this member for dead. Nothing can be committed.
    Lost {
        /// Which.
        partitions: Vec<TopicPartition>,
        /// Why.
        error: Error,
    },
    /// A policy moved a position: records between the two offsets are not read, or are read again.
    PositionReset {
        /// Which.
        partition: TopicPartition,
        /// Where reading would have gone on; -1 if not known.
        from: i64,
        /// Where it goes on.
        to: i64,
        /// Why.
        reason: ResetReason,
    },
    /// Offsets of processed records were not committed: their partitions went to others before, or the
    /// coordinator refused. Unless later offsets are committed, the records will be delivered again.
    NotCommitted {
        /// The offset that was to be committed, by partition.
        offsets: BTreeMap<TopicPartition, i64>,
        /// Why.
        error: Error,
    },
}

/// What of one stint the application has done.
#[derive(Clone, Debug)]
pub(crate) struct ProcessedNews {
    pub(crate) partition: TopicPartition,
    pub(crate) stint: u64,
    /// Everything below is done; `None` if nothing is done yet.
    pub(crate) done: Option<Position>,
    /// Everything below was delivered.
    pub(crate) delivered: i64,
    /// Records were delivered that are not processed yet.
    pub(crate) open: bool,
}

/// A consumer's mind.
#[derive(Debug)]
pub(crate) struct Consumer {
    subscription: Subscription,
    fetch: Fetch,
    group: Option<Group>,
    config: ConsumerConfig,
    events: VecDeque<ConsumerEvent>,
    /// The consumer can do nothing any more but close.
    fatal: Option<Error>,
    /// When what is processed is committed next.
    commit_at: Instant,
    /// When the application was last seen to make progress.
    progress_at: Instant,
    /// Changes whenever something that the application holds may have become void.
    revision: u64,
    calls: u64,
    closing: bool,
}

impl Consumer {
    pub(crate) fn new(
        now: Instant,
        config: ConsumerConfig,
        topics: Topics,
        group: Option<ByteString>,
        backoff: Backoff,
    ) -> Self {
        let group = group.map(|name| {
            let rebalance_timeout = config.poll_interval_max.unwrap_or(REBALANCE_PATIENCE);
            let manners = Manners {
                group: name,
                instance: config.group_instance_id.as_deref().map(ByteString::from),
                session_timeout: config.session_timeout,
                rebalance_timeout,
                heartbeat_interval: config.heartbeat_interval,
                // Longer, and the group would go on without this member.
                grace: config.revocation_grace.min(rebalance_timeout / 2),
                backoff,
            };
            let names = match &topics {
                Topics::Names(names) => Some(names.clone()),
                Topics::Manual(_) => None,
            };
            Group::new(now, manners, names)
        });
        let policy = Policy {
            start: config.start,
            out_of_range: config.on_out_of_range,
            backoff,
            missing_topic: config.missing_topic_patience,
        };
        let limits = Limits {
            buffer: config.buffer_bytes,
            max_bytes: config.fetch_bytes_max,
            max_partition_bytes: config.partition_bytes_max,
            min_bytes: config.fetch_bytes_min,
            max_wait: config.fetch_wait_max,
            isolation: config.isolation_level,
            backoff,
        };
        let mut consumer = Self {
            subscription: Subscription::new(topics, policy),
            fetch: Fetch::new(limits),
            group,
            commit_at: now + config.commit_interval,
            config,
            events: VecDeque::new(),
            fatal: None,
            progress_at: now,
            revision: 0,
            calls: 0,
            closing: false,
        };
        // Partitions that were named one by one need not be known to be paused or sought.
        let assigned = match consumer.group {
            Some(_) => consumer.subscription.assign_manual(now),
            None => consumer.subscription.assign_ungrouped(now),
        };
        consumer.tell_assigned(assigned);
        consumer
    }

    /// The topics that the application named.
    pub(crate) fn topics(&self) -> BTreeSet<ByteString> {
        self.subscription.topics().names()
    }

    /// All topics whose leaders the driver keeps this machine informed of.
    pub(crate) fn wanted_topics(&self) -> BTreeSet<ByteString> {
        let mut names = self.subscription.topics().names();
        if let Some(group) = &self.group {
            names.extend(group.foreign_topics());
        }
        names
    }

    /// The cluster described topics.
    pub(crate) fn handle_topics(&mut self, now: Instant, topics: Vec<TopicNews>) {
        self.subscription.keep_topics(&self.wanted_topics());
        self.subscription.handle_topics(now, topics);
        while let Some(tp) = self.subscription.poll_recreated() {
            if let Some(group) = &mut self.group {
                group.give_up(&tp);
            }
        }
        self.take_group_events(now);
        if self.group.is_none() && !self.closing {
            let added = self.subscription.assign_ungrouped(now);
            self.tell_assigned(added);
        }
        self.revision += 1;
    }

    fn tell_assigned(&mut self, partitions: BTreeSet<TopicPartition>) {
        if !partitions.is_empty() {
            let partitions = partitions.into_iter().collect();
            self.events.push_back(ConsumerEvent::Assigned(partitions));
        }
    }

    /// The next thing to do. Ask after every input until there is none, and again at the instant that
    /// [`Self::poll_deadline`] names.
    pub(crate) fn poll_action(&mut self, now: Instant) -> Option<Action> {
        self.watch_progress(now);
        if let Some(action) = self.poll_group(now) {
            return Some(action);
        }
        if self.subscription.poll_metadata_doubt(now) {
            return Some(Action::RefreshMetadata);
        }
        if self.closing || self.is_revoking() {
            return None;
        }
        let isolation = self.config.isolation_level;
        if let Some(plan) = self.subscription.poll_lookup(now, isolation) {
            return Some(Action::Lookup(plan));
        }
        self.fetch
            .poll(now, &mut self.subscription)
            .map(Action::Fetch)
    }

    fn poll_group(&mut self, now: Instant) -> Option<Action> {
        self.group.as_ref()?;
        let counts = self.subscription.partition_counts();
        let awaited = match self.closing {
            true => BTreeSet::new(),
            false => self.subscription.awaiting_committed(),
        };
        let group = self.group.as_mut()?;
        let subscription = &self.subscription;
        let id_of = |tp: &TopicPartition| subscription.topic_id(tp.topic());
        let action = group.poll_action(now, &counts, awaited, id_of);
        self.take_group_events(now);
        Some(match action? {
            GroupAction::FindCoordinator => Action::FindCoordinator,
            GroupAction::Speak { node, call, speech } => Action::Speak { node, call, speech },
            GroupAction::Commit { node, plan } => Action::Commit { node, plan },
            GroupAction::FetchCommitted { node, plan } => Action::FetchCommitted { node, plan },
        })
    }

    fn take_group_events(&mut self, now: Instant) {
        while let Some(event) = self.group.as_mut().and_then(Group::poll_event) {
            self.revision += 1;
            match event {
                GroupEvent::Assigned(partitions) => {
                    let told = partitions.iter().cloned().collect();
                    self.subscription.assign_committed(now, partitions);
                    self.fetch.purge(&self.subscription);
                    self.progress_at = now;
                    self.events.push_back(ConsumerEvent::Assigned(told));
                }
                GroupEvent::Revoking => {
                    let told = self.assignment();
                    self.events.push_back(ConsumerEvent::Revoking(told));
                }
                GroupEvent::Revoked => {
                    let told = self.drop_assignment();
                    self.events.push_back(ConsumerEvent::Revoked(told));
                }
                GroupEvent::Lost(error) => {
                    let partitions = self.drop_assignment();
                    if !partitions.is_empty() {
                        tracing::warn!(%error, "the group took this member for dead");
                        self.events
                            .push_back(ConsumerEvent::Lost { partitions, error });
                    }
                }
                GroupEvent::Committed(tp, position) => {
                    self.subscription.handle_committed(now, &tp, position);
                }
                GroupEvent::Unreadable(tp, error) => {
                    if let Some(stint) = self.subscription.partition(&tp).map(|p| p.stint) {
                        self.subscription.stop(now, &tp, stint, error);
                    }
                }
                GroupEvent::NotCommitted(offsets, error) => {
                    tracing::warn!(%error, ?offsets, "offsets of processed records are not committed");
                    self.events
                        .push_back(ConsumerEvent::NotCommitted { offsets, error });
                }
                GroupEvent::Failed(error) => {
                    let partitions = self.drop_assignment();
                    if !partitions.is_empty() {
                        let error = error.clone();
                        self.events
                            .push_back(ConsumerEvent::Lost { partitions, error });
                    }
                    self.fatal = Some(error);
                }
            }
        }
    }

    fn drop_assignment(&mut self) -> Vec<TopicPartition> {
        let dropped = self.subscription.revoke_all();
        self.fetch.purge(&self.subscription);
        dropped.into_iter().collect()
    }

    /// An action was done or could not be.
    pub(crate) fn handle_answer(&mut self, now: Instant, random: u32, answer: Answer) {
        match answer {
            Answer::LookedUp(plan, answer) => {
                self.subscription.handle_lookup(now, random, &plan, answer);
                self.take_begun();
            }
            Answer::Fetched(plan, answer) => {
                let stints = self.subscription.stints();
                let subscription = &mut self.subscription;
                self.fetch
                    .handle_answer(now, random, &plan, answer, subscription);
                if self.subscription.stints() != stints {
                    self.revision += 1;
                }
                self.take_begun();
            }
            answer => self.handle_group_answer(now, random, answer),
        }
    }

    fn handle_group_answer(&mut self, now: Instant, random: u32, answer: Answer) {
        let Some(group) = &mut self.group else {
            return;
        };
        match answer {
            Answer::Coordinator(answer) => group.handle_coordinator(now, random, answer),
            Answer::Joined(call, answer) => group.handle_join(now, random, call, answer),
            Answer::Synced(call, answer) => group.handle_sync(now, random, call, answer),
            Answer::Heartbeat(call, answer) => group.handle_heartbeat(now, random, call, answer),
            Answer::Left(call, answer) => {
                if let Err(error) = answer {
                    tracing::debug!(%error, "the group was left without a word");
                }
                group.handle_leave(call);
            }
            Answer::Committed(plan, answer) => group.handle_commit(now, random, &plan, answer),
            Answer::FetchedCommitted(plan, answer) => {
                group.handle_committed(now, random, &plan, answer);
            }
            Answer::LookedUp(..) | Answer::Fetched(..) => {}
        }
        self.take_group_events(now);
    }

    /// Positions that were looked up are committed too, so that a restart goes on from there: with
    /// `Newest` it would skip what was written meanwhile. Not those that the application sought.
    fn take_begun(&mut self) {
        while let Some(begun) = self.subscription.poll_begun() {
            let position = Some(begun.position)
                .filter(|_| self.config.commit_mode != CommitMode::Manual && !begun.sought);
            if let Some(group) = &mut self.group {
                match (begun.reset, position) {
                    // What was committed before the reset may lie behind it.
                    (Some(_), position) => group.restart(&begun.partition, position),
                    (None, Some(position)) => group.note(&begun.partition, position),
                    (None, None) => {}
                }
            }
            let Some((from, reason)) = begun.reset else {
                continue;
            };
            self.revision += 1;
            let to = begun.position.offset;
            tracing::warn!(partition = %begun.partition, from, to, ?reason, "position reset");
            self.events.push_back(ConsumerEvent::PositionReset {
                partition: begun.partition,
                from,
                to,
                reason,
            });
        }
    }

    /// Whether what is processed should be told now, by [`Self::handle_processed`].
    pub(crate) fn wants_processed(&self, now: Instant) -> bool {
        self.group.is_some() && (self.commit_at <= now || self.is_revoking() || self.closing)
    }

    /// What was processed of everything that was delivered and not revoked.
    pub(crate) fn handle_processed(&mut self, now: Instant, news: Vec<ProcessedNews>) {
        let Some(group) = &mut self.group else {
            return;
        };
        let mut open = false;
        for news in news {
            if !self.subscription.is_current(&news.partition, news.stint) {
                continue;
            }
            if self.config.commit_mode == CommitMode::Manual {
                // A rebalance waits for commits. Who closes has made them before.
                let latest = group.latest(&news.partition);
                open |= !self.closing && news.open && latest.is_none_or(|at| at < news.delivered);
                continue;
            }
            if let Some(position) = news.done {
                group.note(&news.partition, position);
            }
            open |= news.open;
        }
        group.handle_noted(open);
        if self.commit_at <= now {
            self.commit_at = now + self.config.commit_interval;
        }
    }

    /// Commits these offsets, or all that was processed: tell that first, by
    /// [`Self::handle_processed_for_commit`]. The call ends with [`Self::poll_finished`].
    pub(crate) fn request_commit(
        &mut self,
        offsets: Option<BTreeMap<TopicPartition, Position>>,
    ) -> Result<u64, Error> {
        let Some(group) = &mut self.group else {
            let text = "a consumer without a group has nowhere to commit offsets";
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        };
        if let Some(tp) = offsets
            .iter()
            .flatten()
            .map(|(tp, _)| tp)
            .find(|tp| self.subscription.partition(tp).is_none())
        {
            let text = "the partition is not assigned to this member";
            return Err(Error::new(ErrorKind::InvalidArgument, text)
                .with_partition(tp.topic(), tp.partition()));
        }
        self.calls += 1;
        group.request_commit(self.calls, offsets);
        Ok(self.calls)
    }

    /// What was processed, for a commit that the application asks for: in every commit mode.
    pub(crate) fn handle_processed_for_commit(&mut self, news: Vec<ProcessedNews>) {
        if let Some(group) = &mut self.group {
            for news in news {
                if let Some(position) = news.done
                    && self.subscription.is_current(&news.partition, news.stint)
                {
                    group.note(&news.partition, position);
                }
            }
        }
    }

    /// A commit of the application that ended.
    pub(crate) fn poll_finished(&mut self) -> Option<(u64, Result<(), Error>)> {
        self.group.as_mut().and_then(Group::poll_finished)
    }

    /// What the application is told, as an event.
    pub(crate) fn poll_event(&mut self) -> Option<ConsumerEvent> {
        self.events.pop_front()
    }

    /// What the application is told, as an error. A fatal one comes each time.
    pub(crate) fn poll_error(&mut self) -> Option<Error> {
        self.subscription
            .poll_error()
            .or_else(|| self.fatal.clone())
    }

    /// The driver has something to tell the application.
    pub(crate) fn tell(&mut self, error: Error) {
        self.subscription.tell(error);
    }

    /// Batches for the application, oldest first.
    pub(crate) fn take(&mut self) -> Option<Run> {
        if self.closing || self.is_revoking() {
            return None;
        }
        self.fetch.take(&self.subscription)
    }

    /// Whether the application would get something: records or an error.
    pub(crate) fn has_ready(&self) -> bool {
        let records = !self.is_revoking() && self.fetch.has_ready(&self.subscription);
        records || self.fatal.is_some() || self.subscription.has_errors()
    }

    /// Whether the application may go on with what it took of this stint.
    pub(crate) fn may_deliver(&self, tp: &TopicPartition, stint: u64) -> Deliver {
        if self.closing || !self.subscription.is_current(tp, stint) {
            return Deliver::Drop;
        }
        let paused = self
            .subscription
            .partition(tp)
            .is_none_or(|partition| partition.paused);
        if paused || self.is_revoking() {
            return Deliver::GiveBack;
        }
        Deliver::GoOn
    }

    pub(crate) fn give_back(&mut self, run: Run) {
        self.fetch.give_back(run);
    }

    /// The application is done with the bytes of a run. Says whether a fetch waited for that.
    pub(crate) fn handle_consumed(&mut self, size: usize) -> bool {
        self.fetch.handle_consumed(size);
        self.fetch.is_starved()
    }

    /// What was fetched cannot be read.
    pub(crate) fn handle_damage(
        &mut self,
        now: Instant,
        tp: &TopicPartition,
        stint: u64,
        error: Error,
    ) {
        self.subscription.stop(now, tp, stint, error);
        self.fetch.drop_ready(stint);
        self.revision += 1;
    }

    /// Changes whenever [`Self::may_deliver`] may have a new answer.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn is_current(&self, tp: &TopicPartition, stint: u64) -> bool {
        self.subscription.is_current(tp, stint)
    }

    pub(crate) fn is_revoking(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_revoking)
    }

    /// Whether the group waits for [`Self::handle_progress`].
    pub(crate) fn is_resting(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_resting)
    }

    /// The application asked for records or acknowledged some.
    pub(crate) fn handle_progress(&mut self, now: Instant) {
        self.progress_at = now;
        if let Some(group) = &mut self.group {
            group.wake(now);
        }
    }

    /// Nobody takes records any more: others may.
    fn watch_progress(&mut self, now: Instant) {
        if let Some(limit) = self.config.poll_interval_max
            && self.progress_at + limit <= now
            && let Some(group) = &mut self.group
            && group.may_rest()
        {
            tracing::warn!(
                limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
                "no record was asked for or acknowledged for too long; the partitions go to others \
                 (max.poll.interval.ms)"
            );
            group.rest(now);
        }
    }

    pub(crate) fn seek(
        &mut self,
        now: Instant,
        tp: &TopicPartition,
        to: Start,
    ) -> Result<(), Error> {
        self.subscription.seek(now, tp, to)?;
        self.fetch.purge(&self.subscription);
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn set_paused(
        &mut self,
        now: Instant,
        tp: &TopicPartition,
        paused: bool,
    ) -> Result<(), Error> {
        self.revision += 1;
        self.subscription.set_paused(now, tp, paused)
    }

    pub(crate) fn assignment(&self) -> Vec<TopicPartition> {
        self.subscription
            .partitions()
            .map(|(tp, _)| tp.clone())
            .collect()
    }

    /// The offset of the next record for the application, of what it has not taken yet.
    pub(crate) fn position(&self, tp: &TopicPartition) -> Option<i64> {
        let partition = self.subscription.partition(tp)?;
        let fetched = partition.position().map(|position| position.offset);
        self.fetch.next_ready(tp, partition.stint).or(fetched)
    }

    /// What each partition does, and why it gives no record if it gives none.
    pub(crate) fn status(&self, now: Instant) -> Vec<PartitionStatus> {
        let partitions = self.subscription.partitions();
        partitions
            .map(|(tp, _)| tp)
            .filter_map(|tp| self.status_of(now, tp))
            .collect()
    }

    fn status_of(&self, now: Instant, tp: &TopicPartition) -> Option<PartitionStatus> {
        let partition = self.subscription.partition(tp)?;
        let leader = partition.leader.map(|leader| leader.node);
        let mut retry_at = None;
        let mut last_error = partition.last_error.clone();
        let (state, since) = match (partition.phase, leader) {
            (Phase::Stopped, _) => (PartitionState::Stopped, partition.since),
            _ if self.closing || self.is_revoking() => (PartitionState::Revoking, partition.since),
            _ if partition.paused => (PartitionState::Paused, partition.since),
            (Phase::Committed, _) => (PartitionState::CommittedOffset, partition.since),
            (_, None) => (PartitionState::Leader, partition.since),
            _ if partition.waits_until(now).is_some() => {
                retry_at = partition.waits_until(now);
                (PartitionState::Backoff, partition.since)
            }
            (Phase::Lookup { .. }, _) => (PartitionState::OffsetLookup, partition.since),
            (Phase::Reading(position), Some(node)) => {
                let (stint, offset) = (partition.stint, position.offset);
                let state = self.fetch.state_of(now, tp, (stint, offset), node);
                if state == PartitionState::Broker {
                    let trouble = self.fetch.trouble_of(node);
                    retry_at = trouble.as_ref().map(|(until, _)| *until);
                    last_error = trouble.and_then(|(_, error)| error);
                }
                (state, partition.since)
            }
        };
        Some(PartitionStatus {
            partition: tp.clone(),
            state,
            since: now.saturating_since(since),
            retry_in: retry_at.map(|at| at.saturating_since(now)),
            position: partition.position().map(|position| position.offset),
            high_watermark: (partition.high_watermark >= 0).then_some(partition.high_watermark),
            leader,
            buffered_bytes: self.fetch.buffered_of(tp),
            last_error,
        })
    }

    /// Stops delivery, commits what is processed and leaves the group. Records under way get this long.
    pub(crate) fn close(&mut self, now: Instant, grace: Duration) {
        self.closing = true;
        self.revision += 1;
        if let Some(group) = &mut self.group {
            group.close(now, grace);
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether nothing is left to do after [`Self::close`].
    pub(crate) fn is_closed(&self) -> bool {
        self.closing && self.group.as_ref().is_none_or(Group::is_closed)
    }

    /// Whether of a close nothing is left but to tell the coordinator.
    pub(crate) fn is_leaving(&self) -> bool {
        self.closing && self.group.as_ref().is_some_and(Group::is_leaving)
    }

    /// What a close that ran out of time leaves uncommitted.
    pub(crate) fn uncommitted(&self) -> BTreeMap<TopicPartition, i64> {
        self.group
            .as_ref()
            .map(Group::uncommitted)
            .unwrap_or_default()
    }

    /// Why something of it never will be committed, if that is not for want of time.
    pub(crate) fn left_because(&self) -> Option<&Error> {
        self.group.as_ref().and_then(Group::left_because)
    }

    /// The group's name, for who finds its coordinator.
    pub(crate) fn group_name(&self) -> Option<&ByteString> {
        self.group.as_ref().map(Group::name)
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        let group = self.group.as_ref();
        let commit = group.map(|_| self.commit_at);
        let progress = self
            .config
            .poll_interval_max
            .filter(|_| group.is_some_and(Group::may_rest))
            .map(|limit| self.progress_at + limit);
        let deadline = earlier(
            group.and_then(|group| group.poll_deadline(now)),
            earlier(commit, progress),
        );
        let fetch = earlier(
            self.subscription.poll_deadline(now),
            self.fetch.poll_deadline(now),
        );
        earlier(deadline, fetch)
    }
}

/// What the application may do with records that it took before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deliver {
    GoOn,
    /// Paused or about to be revoked: nothing now, maybe later.
    GiveBack,
    /// Revoked or sought: never.
    Drop,
}

/// How long a rebalance waits for members without a poll limit.
const REBALANCE_PATIENCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
