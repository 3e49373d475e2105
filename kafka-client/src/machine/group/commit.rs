//! Offsets to the coordinator and back: one commit under way at a time, the last word wins.
//!
//! Knows nothing of membership but its proof (member id and generation), which it is handed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytestring::ByteString;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
};
use kafka_protocol::{ErrorCode, Uuid};

use crate::error::{Error, ErrorKind};
use crate::machine::backoff::Backoff;
use crate::machine::subscription::position::Position;
use crate::machine::subscription::reset::is_final;
use crate::machine::time::Instant;
use crate::record::topic_partition::TopicPartition;

/// Who commits, as the coordinator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) group: ByteString,
    /// Empty without membership.
    pub(crate) member: ByteString,
    pub(crate) instance: Option<ByteString>,
    /// -1 without membership.
    pub(crate) generation: i32,
}

/// One commit.
#[derive(Clone, Debug)]
pub(crate) struct CommitPlan {
    pub(crate) proof: Proof,
    entries: BTreeMap<TopicPartition, Entry>,
    ids: BTreeMap<TopicPartition, Uuid>,
}

/// One question for committed offsets.
#[derive(Clone, Debug)]
pub(crate) struct CommittedPlan {
    pub(crate) proof: Proof,
    /// Tells this question from earlier ones.
    number: u64,
    partitions: BTreeSet<TopicPartition>,
    ids: BTreeMap<TopicPartition, Uuid>,
}

/// An offset to commit. Each has a number, so that whoever waits for it knows it from later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    position: Position,
    number: u64,
}

/// What is on its way to be committed, and who waits for it.
#[derive(Debug)]
pub(crate) struct Commits {
    pending: BTreeMap<TopicPartition, Entry>,
    under_way: Option<BTreeMap<TopicPartition, Entry>>,
    /// Partitions in `under_way` of which nothing may be committed any more.
    given_up: BTreeSet<TopicPartition>,
    /// What the coordinator has confirmed or told.
    committed: BTreeMap<TopicPartition, i64>,
    /// What the coordinator refused for good: the background does not try the same again, the application may.
    refused: BTreeMap<TopicPartition, Position>,
    numbers: u64,
    waiters: Vec<Waiter>,
    finished: VecDeque<(u64, Result<(), Error>)>,
    /// The question under way.
    asking: Option<u64>,
    backoff: Backoff,
    retry_at: Option<Instant>,
}

/// A call of the application that ends when all of its offsets are committed.
#[derive(Debug)]
struct Waiter {
    id: u64,
    open: BTreeMap<TopicPartition, u64>,
    failure: Option<Error>,
}

/// Offsets that will not be committed, and why.
pub(crate) type Uncommitted = (BTreeMap<TopicPartition, i64>, Error);

/// What the coordinator told about one partition: where it was committed, if it was, or why it does not say.
pub(crate) type Told = Result<Option<Position>, Error>;

/// What an answer of the coordinator means for the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Fine,
    /// The group rebalances.
    Rebalance,
    /// The coordinator does not know this member in this generation any more.
    Lost(ErrorCode),
    /// Somebody else is to be asked.
    NotCoordinator,
    /// Asking again makes no sense.
    Fatal(ErrorCode),
}

impl Verdict {
    pub(crate) fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => Self::Rebalance,
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => Self::Lost(code),
            code if code.invalidates_coordinator() => Self::NotCoordinator,
            ErrorCode::FENCED_INSTANCE_ID
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | ErrorCode::INVALID_GROUP_ID
            | ErrorCode::INVALID_SESSION_TIMEOUT
            | ErrorCode::INCONSISTENT_GROUP_PROTOCOL
            | ErrorCode::GROUP_MAX_SIZE_REACHED
            | ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => Self::Fatal(code),
            _ => Self::Fine,
        }
    }
}

impl Commits {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self {
            pending: BTreeMap::new(),
            under_way: None,
            given_up: BTreeSet::new(),
            committed: BTreeMap::new(),
            refused: BTreeMap::new(),
            numbers: 0,
            waiters: Vec::new(),
            finished: VecDeque::new(),
            asking: None,
            backoff,
            retry_at: None,
        }
    }

    /// The background found a partition processed up to here. It never takes a commit back.
    pub(crate) fn note(&mut self, tp: &TopicPartition, position: Position) {
        let known = self.latest(tp);
        if known.is_none_or(|known| known < position.offset) {
            self.put(tp.clone(), position);
        }
    }

    /// A policy moved a partition's position, maybe back: what was committed before counts no more.
    /// Commits where it goes on, if that is given.
    pub(crate) fn restart(&mut self, tp: &TopicPartition, position: Option<Position>) {
        self.committed.remove(tp);
        self.refused.remove(tp);
        if let Some(position) = position {
            self.put(tp.clone(), position);
        }
    }

    /// Nothing of what waits to be committed for this partition may be: it means another log. Returns
    /// what was dropped.
    pub(crate) fn give_up(&mut self, tp: &TopicPartition, why: &Error) -> Option<i64> {
        let under_way = self.under_way.as_ref().and_then(|entries| entries.get(tp));
        let under_way = under_way.copied();
        if under_way.is_some() {
            self.given_up.insert(tp.clone());
        }
        let dropped = self.pending.remove(tp).or(under_way);
        if let Some(entry) = dropped {
            let error = why.clone().with_partition(tp.topic(), tp.partition());
            self.settle(tp, entry.number, Some(&error));
            self.finish();
        }
        self.committed.remove(tp);
        self.refused.remove(tp);
        dropped.map(|entry| entry.position.offset)
    }

    /// The last offset that was committed or refused, or is about to be.
    pub(crate) fn latest(&self, tp: &TopicPartition) -> Option<i64> {
        let under_way = self.under_way.as_ref().and_then(|entries| entries.get(tp));
        let under_way = under_way.filter(|_| !self.given_up.contains(tp));
        self.pending
            .get(tp)
            .or(under_way)
            .map(|entry| entry.position.offset)
            .or_else(|| self.refused.get(tp).map(|position| position.offset))
            .or_else(|| self.committed.get(tp).copied())
    }

    fn put(&mut self, tp: TopicPartition, position: Position) -> u64 {
        self.numbers += 1;
        let number = self.numbers;
        self.pending.insert(tp, Entry { position, number });
        number
    }

    /// The application wants exactly these offsets committed, also if that takes commits back.
    pub(crate) fn request(&mut self, id: u64, offsets: BTreeMap<TopicPartition, Position>) {
        let open = offsets
            .into_iter()
            .map(|(tp, position)| {
                let number = self.put(tp.clone(), position);
                (tp, number)
            })
            .collect();
        self.wait(id, open);
    }

    /// The application waits for all that was noted so far; what was refused before is tried once more.
    pub(crate) fn request_noted(&mut self, id: u64) {
        for (tp, position) in std::mem::take(&mut self.refused) {
            if self.latest(&tp).is_none_or(|known| known < position.offset) {
                self.put(tp, position);
            }
        }
        let under_way = self.under_way.iter().flatten();
        let open = under_way
            .chain(&self.pending)
            .map(|(tp, entry)| (tp.clone(), entry.number))
            .collect();
        self.wait(id, open);
    }

    fn wait(&mut self, id: u64, open: BTreeMap<TopicPartition, u64>) {
        let failure = None;
        self.waiters.push(Waiter { id, open, failure });
        self.finish();
    }

    /// A call of the application that ended.
    pub(crate) fn poll_finished(&mut self) -> Option<(u64, Result<(), Error>)> {
        self.finished.pop_front()
    }

    /// The next commit, if there is something to commit and nothing under way.
    pub(crate) fn poll_commit(
        &mut self,
        now: Instant,
        proof: impl FnOnce() -> Proof,
        id_of: impl Fn(&TopicPartition) -> Uuid,
    ) -> Option<CommitPlan> {
        if self.under_way.is_some()
            || self.pending.is_empty()
            || self.retry_at.is_some_and(|at| at > now)
        {
            return None;
        }
        let entries = std::mem::take(&mut self.pending);
        self.under_way = Some(entries.clone());
        let ids = entries.keys().map(|tp| (tp.clone(), id_of(tp))).collect();
        Some(CommitPlan {
            proof: proof(),
            entries,
            ids,
        })
    }

    /// The coordinator answered a commit or could not be asked. What it refused for good comes back.
    pub(crate) fn handle_commit(
        &mut self,
        now: Instant,
        random: u32,
        plan: &CommitPlan,
        answer: Result<OffsetCommitResponse, Error>,
    ) -> (Vec<Uncommitted>, Verdict) {
        if self.under_way.as_ref() != Some(&plan.entries) {
            return (Vec::new(), Verdict::Fine);
        }
        self.under_way = None;
        let given_up = std::mem::take(&mut self.given_up);
        let mut entries = plan.entries.clone();
        entries.retain(|tp, _| !given_up.contains(tp));
        let response = match answer {
            Ok(response) => response,
            Err(error) if error.kind() == ErrorKind::UnsupportedVersion => {
                let error = error.with_group(&*plan.proof.group);
                return (vec![self.refuse(&entries, &error)], Verdict::Fine);
            }
            Err(_) => {
                self.again(now, random, &entries);
                return (Vec::new(), Verdict::NotCoordinator);
            }
        };
        let names: BTreeMap<Uuid, &ByteString> =
            plan.ids.iter().map(|(tp, id)| (*id, tp.name())).collect();
        let mut codes = BTreeMap::new();
        for topic in response.topics {
            let name = match names.get(&topic.topic_id) {
                Some(name) if topic.name.is_empty() => (*name).clone(),
                _ => topic.name,
            };
            for partition in topic.partitions {
                let tp = TopicPartition::new(name.clone(), partition.partition_index);
                codes.insert(tp, ErrorCode::from(partition.error_code));
            }
        }
        let mut verdict = Verdict::Fine;
        let mut retry = BTreeMap::new();
        let mut refused: BTreeMap<i16, BTreeMap<TopicPartition, Entry>> = BTreeMap::new();
        for (tp, entry) in &entries {
            let code = codes
                .get(tp)
                .copied()
                .unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
            if code == ErrorCode::NONE {
                self.committed.insert(tp.clone(), entry.position.offset);
                self.refused.remove(tp);
                self.settle(tp, entry.number, None);
                continue;
            }
            match Verdict::of(code) {
                Verdict::Fine if is_refusal(code) => {
                    let refused = refused.entry(code.code()).or_default();
                    refused.insert(tp.clone(), *entry);
                }
                told => {
                    if told != Verdict::Fine {
                        verdict = told;
                    }
                    retry.insert(tp.clone(), *entry);
                }
            }
        }
        if retry.is_empty() {
            self.backoff.reset();
            self.retry_at = None;
        } else {
            self.again(now, random, &retry);
        }
        let refusals = refused.into_iter().map(|(code, entries)| {
            let error = Error::broker(ErrorCode::from(code), None).with_group(&*plan.proof.group);
            self.refuse(&entries, &error)
        });
        let refusals = refusals.collect();
        self.finish();
        (refusals, verdict)
    }

    /// These were refused for good: who waits for them is told, and the background does not try the same
    /// again.
    fn refuse(&mut self, entries: &BTreeMap<TopicPartition, Entry>, why: &Error) -> Uncommitted {
        let mut offsets = BTreeMap::new();
        for (tp, entry) in entries {
            self.refused.insert(tp.clone(), entry.position);
            offsets.insert(tp.clone(), entry.position.offset);
            let error = why.clone().with_partition(tp.topic(), tp.partition());
            self.settle(tp, entry.number, Some(&error));
        }
        self.finish();
        (offsets, why.clone())
    }

    /// What was not committed waits for its next chance, unless something newer waits already.
    fn again(&mut self, now: Instant, random: u32, entries: &BTreeMap<TopicPartition, Entry>) {
        for (tp, entry) in entries {
            self.pending.entry(tp.clone()).or_insert(*entry);
        }
        self.retry_at = Some(now + self.backoff.next_wait(random));
    }

    /// One offset is committed, or never will be. Who waits for an older one of the same partition is
    /// served by a newer one.
    fn settle(&mut self, tp: &TopicPartition, number: u64, failure: Option<&Error>) {
        for waiter in &mut self.waiters {
            if waiter.open.get(tp).is_some_and(|wanted| *wanted <= number) {
                waiter.open.remove(tp);
                if let Some(error) = failure {
                    waiter.failure.get_or_insert_with(|| error.clone());
                }
            }
        }
    }

    fn finish(&mut self) {
        let finished = &mut self.finished;
        self.waiters.retain_mut(|waiter| {
            if !waiter.open.is_empty() {
                return true;
            }
            let outcome = waiter.failure.take().map_or(Ok(()), Err);
            finished.push_back((waiter.id, outcome));
            false
        });
    }

    /// The partitions that are read are others now. What waits to be committed for one that is kept, and
    /// that nobody else can have read meanwhile, stays; the rest cannot be committed any more. Returns
    /// what was dropped.
    pub(crate) fn handle_assignment(
        &mut self,
        kept: &BTreeSet<TopicPartition>,
        why: &Error,
    ) -> BTreeMap<TopicPartition, i64> {
        let mut dropped = BTreeMap::new();
        let mut open: Vec<(TopicPartition, Entry)> = Vec::new();
        for (tp, entry) in self.under_way.take().into_iter().flatten() {
            if !self.given_up.contains(&tp) {
                self.pending.entry(tp).or_insert(entry);
            }
        }
        self.given_up.clear();
        self.asking = None;
        self.pending.retain(|tp, entry| {
            let keep = kept.contains(tp);
            if !keep {
                open.push((tp.clone(), *entry));
            }
            keep
        });
        for (tp, entry) in open {
            let error = why.clone().with_partition(tp.topic(), tp.partition());
            self.settle(&tp, entry.number, Some(&error));
            dropped.insert(tp, entry.position.offset);
        }
        self.committed.retain(|tp, _| kept.contains(tp));
        self.refused.retain(|tp, _| kept.contains(tp));
        self.retry_at = None;
        self.finish();
        dropped
    }

    /// Nothing will be committed any more. Returns what was dropped.
    pub(crate) fn fail_all(&mut self, why: &Error) -> BTreeMap<TopicPartition, i64> {
        let dropped = self.handle_assignment(&BTreeSet::new(), why);
        for waiter in &mut self.waiters {
            waiter.open.clear();
            waiter.failure.get_or_insert_with(|| why.clone());
        }
        self.finish();
        dropped
    }

    /// Whether there is nothing left to commit.
    pub(crate) fn is_clean(&self) -> bool {
        self.pending.is_empty() && self.under_way.is_none()
    }

    /// What is not committed yet.
    pub(crate) fn open(&self) -> BTreeMap<TopicPartition, i64> {
        let under_way = self.under_way.iter().flatten();
        under_way
            .chain(&self.pending)
            .map(|(tp, entry)| (tp.clone(), entry.position.offset))
            .collect()
    }

    /// The next question for committed offsets, of partitions for which nothing waits to be committed.
    pub(crate) fn poll_committed(
        &mut self,
        now: Instant,
        wanted: BTreeSet<TopicPartition>,
        proof: impl FnOnce() -> Proof,
        id_of: impl Fn(&TopicPartition) -> Uuid,
    ) -> Option<CommittedPlan> {
        if self.asking.is_some() || self.retry_at.is_some_and(|at| at > now) {
            return None;
        }
        let partitions: BTreeSet<TopicPartition> = wanted
            .into_iter()
            .filter(|tp| {
                let under_way = self.under_way.as_ref().is_some_and(|e| e.contains_key(tp));
                !under_way && !self.pending.contains_key(tp)
            })
            .collect();
        if partitions.is_empty() {
            return None;
        }
        self.numbers += 1;
        self.asking = Some(self.numbers);
        let ids = partitions
            .iter()
            .map(|tp| (tp.clone(), id_of(tp)))
            .collect();
        Some(CommittedPlan {
            proof: proof(),
            number: self.numbers,
            partitions,
            ids,
        })
    }

    /// The coordinator told committed offsets or could not be asked. What it told comes back. A partition
    /// that is left out is asked for again.
    pub(crate) fn handle_committed(
        &mut self,
        now: Instant,
        random: u32,
        plan: &CommittedPlan,
        answer: Result<OffsetFetchResponse, Error>,
    ) -> (BTreeMap<TopicPartition, Told>, Verdict) {
        let mut found = BTreeMap::new();
        if self.asking != Some(plan.number) {
            return (found, Verdict::Fine);
        }
        self.asking = None;
        let answers = match answer {
            Ok(response) => committed_offsets(response, plan),
            Err(error) if error.kind() == ErrorKind::UnsupportedVersion => {
                return (found, Verdict::Fatal(ErrorCode::UNSUPPORTED_VERSION));
            }
            Err(_) => {
                self.retry_at = Some(now + self.backoff.next_wait(random));
                return (found, Verdict::NotCoordinator);
            }
        };
        let mut verdict = Verdict::Fine;
        let answers = match answers {
            Ok(answers) => answers,
            Err(code) => {
                self.retry_at = Some(now + self.backoff.next_wait(random));
                return (found, Verdict::of(code));
            }
        };
        for tp in &plan.partitions {
            match answers.get(tp) {
                Some((ErrorCode::NONE, position)) => {
                    if position.offset >= 0 {
                        self.committed.insert(tp.clone(), position.offset);
                    }
                    let position = (position.offset >= 0).then_some(*position);
                    found.insert(tp.clone(), Ok(position));
                }
                Some((code, _)) if is_final(*code) => {
                    let error = Error::broker(*code, None)
                        .with_group(&*plan.proof.group)
                        .with_partition(tp.topic(), tp.partition());
                    found.insert(tp.clone(), Err(error));
                }
                Some((code, _)) if Verdict::of(*code) != Verdict::Fine => {
                    verdict = Verdict::of(*code);
                }
                Some(_) | None => {}
            }
        }
        if found.len() == plan.partitions.len() {
            self.backoff.reset();
            self.retry_at = None;
        } else {
            self.retry_at = Some(now + self.backoff.next_wait(random));
        }
        (found, verdict)
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        self.retry_at.filter(|at| *at > now)
    }
}

/// A topic that is gone may come back, but a commit should not wait for it.
fn is_refusal(code: ErrorCode) -> bool {
    !code.is_retriable()
        || matches!(
            code,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID
        )
}

type Answers = BTreeMap<TopicPartition, (ErrorCode, Position)>;

/// Up to version 7 the answer is about one group, later about a list of them.
fn committed_offsets(
    response: OffsetFetchResponse,
    plan: &CommittedPlan,
) -> Result<Answers, ErrorCode> {
    let mut answers = BTreeMap::new();
    let mut put = |name: &ByteString, number: i32, code: i16, offset: i64, epoch: i32| {
        let tp = TopicPartition::new(name.clone(), number);
        answers.insert(tp, (ErrorCode::from(code), Position { offset, epoch }));
    };
    let mut failure = ErrorCode::from(response.error_code);
    for topic in &response.topics {
        for partition in &topic.partitions {
            put(
                &topic.name,
                partition.partition_index,
                partition.error_code,
                partition.committed_offset,
                partition.committed_leader_epoch,
            );
        }
    }
    let names: BTreeMap<Uuid, &ByteString> =
        plan.ids.iter().map(|(tp, id)| (*id, tp.name())).collect();
    for group in &response.groups {
        if group.error_code != 0 {
            failure = ErrorCode::from(group.error_code);
        }
        for topic in &group.topics {
            let name = match names.get(&topic.topic_id) {
                Some(name) if topic.name.is_empty() => *name,
                _ => &topic.name,
            };
            for partition in &topic.partitions {
                put(
                    name,
                    partition.partition_index,
                    partition.error_code,
                    partition.committed_offset,
                    partition.committed_leader_epoch,
                );
            }
        }
    }
    if failure == ErrorCode::NONE {
        Ok(answers)
    } else {
        Err(failure)
    }
}

impl CommitPlan {
    /// Whether a topic without an id is committed, which version 10 cannot say.
    pub(crate) fn needs_names(&self) -> bool {
        self.ids.values().any(|id| *id == Uuid::default())
    }

    pub(crate) fn request(&self, version: i16) -> OffsetCommitRequest {
        let mut request = OffsetCommitRequest::default();
        request.group_id = self.proof.group.clone();
        request.generation_id_or_member_epoch = self.proof.generation;
        request.member_id = self.proof.member.clone();
        if version >= STATIC_COMMIT {
            request.group_instance_id = self.proof.instance.clone();
        }
        for (tp, entry) in &self.entries {
            let mut partition = OffsetCommitRequestPartition::default();
            partition.partition_index = tp.partition();
            partition.committed_offset = entry.position.offset;
            partition.committed_leader_epoch = entry.position.epoch;
            partition.committed_metadata = Some(ByteString::new());
            match request.topics.last_mut() {
                Some(topic) if topic.name == *tp.name() => topic.partitions.push(partition),
                _ => {
                    let mut topic = OffsetCommitRequestTopic::default();
                    topic.name = tp.name().clone();
                    topic.topic_id = self.ids.get(tp).copied().unwrap_or_default();
                    topic.partitions.push(partition);
                    request.topics.push(topic);
                }
            }
        }
        request
    }
}

impl CommittedPlan {
    /// Whether a topic without an id is asked for, which version 10 cannot say.
    pub(crate) fn needs_names(&self) -> bool {
        self.ids.values().any(|id| *id == Uuid::default())
    }

    pub(crate) fn request(&self, version: i16) -> OffsetFetchRequest {
        let mut topics: Vec<(ByteString, Uuid, Vec<i32>)> = Vec::new();
        for tp in &self.partitions {
            match topics.last_mut() {
                Some((name, _, partitions)) if name == tp.name() => partitions.push(tp.partition()),
                _ => {
                    let id = self.ids.get(tp).copied().unwrap_or_default();
                    topics.push((tp.name().clone(), id, vec![tp.partition()]));
                }
            }
        }
        let mut request = OffsetFetchRequest::default();
        request.require_stable = version >= REQUIRE_STABLE;
        if version < GROUP_LIST {
            request.group_id = self.proof.group.clone();
            let topics = topics.into_iter().map(|(name, _, partitions)| {
                let mut topic = OffsetFetchRequestTopic::default();
                topic.name = name;
                topic.partition_indexes = partitions;
                topic
            });
            request.topics = Some(topics.collect());
            return request;
        }
        let mut group = OffsetFetchRequestGroup::default();
        group.group_id = self.proof.group.clone();
        let topics = topics.into_iter().map(|(name, id, partitions)| {
            let mut topic = OffsetFetchRequestTopics::default();
            topic.name = name;
            topic.topic_id = id;
            topic.partition_indexes = partitions;
            topic
        });
        group.topics = Some(topics.collect());
        request.groups.push(group);
        request
    }
}

/// The first version of OffsetCommit that knows static members.
const STATIC_COMMIT: i16 = 7;
/// The first version of OffsetFetch that waits for offsets of open transactions.
const REQUIRE_STABLE: i16 = 7;
/// The first version of OffsetFetch that asks about a list of groups.
const GROUP_LIST: i16 = 8;
