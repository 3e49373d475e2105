//! What a consumer reads and where it stands in it.
//!
//! Knows neither how records are fetched nor what a group is: others tell it what is assigned, and ask
//! it for the next offset.

pub mod position;
pub(crate) mod processed;
pub(crate) mod reset;
pub mod status;
pub(crate) mod topics;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytestring::ByteString;
use kafka_protocol::messages::ListOffsetsResponse;
use kafka_protocol::{ErrorCode, Uuid};

use crate::config::consumer::{IsolationLevel, OnOutOfRange, Start};
use crate::error::{Error, ErrorKind};
use crate::machine::backoff::Backoff;
use crate::machine::subscription::position::{
    Leader, NEWEST, OLDEST, OutOfRange, Partition, Phase, Position, ResetReason, phase_of,
};
use crate::machine::subscription::reset::{
    Begun, LookupPlan, handle_lookup, is_final, out_of_range_text, poll_lookup,
};
use crate::machine::subscription::topics::Topics;
use crate::machine::time::{Duration, Instant, earlier};
use crate::record::topic_partition::TopicPartition;

/// What is read, partition by partition.
#[derive(Debug)]
pub(crate) struct Subscription {
    topics: Topics,
    policy: Policy,
    partitions: BTreeMap<TopicPartition, Partition>,
    known: BTreeMap<ByteString, KnownTopic>,
    stints: u64,
    /// What the application must be told as an error.
    errors: VecDeque<Error>,
    /// Positions that a lookup found.
    begun: VecDeque<Begun>,
    /// Partitions whose topic is another one by now.
    recreated: VecDeque<TopicPartition>,
    /// Something said that the leaders may be others by now.
    metadata_doubted: bool,
    /// When to ask again while something is missing.
    nag_at: Instant,
}

/// The rules of one consumer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) start: Start,
    pub(crate) out_of_range: OnOutOfRange,
    pub(crate) backoff: Backoff,
    pub(crate) missing_topic: Duration,
}

/// A topic as the cluster describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicNews {
    pub(crate) name: ByteString,
    /// The leader of each partition, where there is one, or why the topic cannot be read.
    pub(crate) outcome: Result<TopicLeaders, ErrorCode>,
}

/// The partitions of a topic and who leads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicLeaders {
    /// Zero if the brokers know no topic ids.
    pub(crate) id: Uuid,
    pub(crate) partitions: BTreeMap<i32, Option<Leader>>,
}

#[derive(Debug)]
struct KnownTopic {
    leaders: TopicLeaders,
    /// Since when it is missing, and whether that was said.
    missing: Option<(Instant, bool)>,
}

impl Subscription {
    pub(crate) fn new(topics: Topics, policy: Policy) -> Self {
        Self {
            topics,
            policy,
            partitions: BTreeMap::new(),
            known: BTreeMap::new(),
            stints: 0,
            errors: VecDeque::new(),
            begun: VecDeque::new(),
            recreated: VecDeque::new(),
            metadata_doubted: false,
            nag_at: Instant::ZERO,
        }
    }

    /// What is known of other topics is forgotten.
    pub(crate) fn keep_topics(&mut self, names: &BTreeSet<ByteString>) {
        self.known.retain(|name, _| names.contains(name));
    }

    /// A partition of which nothing that was true before holds any more.
    pub(crate) fn poll_recreated(&mut self) -> Option<TopicPartition> {
        self.recreated.pop_front()
    }

    /// The cluster described topics. What it says of topics that nobody asked for is ignored.
    pub(crate) fn handle_topics(&mut self, now: Instant, topics: Vec<TopicNews>) {
        for news in topics {
            match news.outcome {
                Ok(leaders) => self.handle_leaders(now, news.name, leaders),
                Err(code) if is_final(code) => {
                    let error = Error::broker(code, None).with_topic(&*news.name);
                    self.fail_topic(now, &news.name, &error);
                }
                Err(_) => self.handle_missing(now, news.name),
            }
        }
    }

    fn handle_leaders(&mut self, now: Instant, name: ByteString, leaders: TopicLeaders) {
        let recreated = self.known.get(&name).is_some_and(|known| {
            known.leaders.id != leaders.id
                && known.leaders.id != Uuid::default()
                && leaders.id != Uuid::default()
        });
        let from = TopicPartition::new(name.clone(), 0);
        for (tp, partition) in self.partitions.range_mut(from..) {
            if tp.name() != &name {
                break;
            }
            let leader = leaders.partitions.get(&tp.partition()).copied().flatten();
            if recreated {
                self.stints += 1;
                let lost = partition.position().map_or(-1, |position| position.offset);
                partition.restart(now, self.stints, lookup(OLDEST));
                partition.reset_from = Some((lost, ResetReason::TopicRecreated));
                partition.leader = None;
                self.recreated.push_back(tp.clone());
            }
            // An older epoch is older news.
            let stale = match (partition.leader, leader) {
                (Some(known), Some(told)) => told.epoch >= 0 && told.epoch < known.epoch,
                _ => false,
            };
            if !stale {
                partition.set_leader(now, leader);
            }
        }
        let missing = None;
        self.known.insert(name, KnownTopic { leaders, missing });
    }

    /// A topic that was there is not forgotten at once: brokers that restart say this too.
    fn handle_missing(&mut self, now: Instant, name: ByteString) {
        let known = self.known.entry(name).or_insert_with(|| KnownTopic {
            leaders: TopicLeaders::default(),
            missing: None,
        });
        known.missing.get_or_insert((now, false));
    }

    fn fail_topic(&mut self, now: Instant, name: &ByteString, error: &Error) {
        let mut told = false;
        let known = self
            .known
            .entry(name.clone())
            .or_insert_with(|| KnownTopic {
                leaders: TopicLeaders::default(),
                missing: None,
            });
        if let Some((_, said)) = &mut known.missing {
            told = std::mem::replace(said, true);
        } else {
            known.missing = Some((now, true));
        }
        if !told && self.topics.contains(name) {
            self.errors.push_back(error.clone());
        }
    }

    /// The next thing that the application must be told.
    pub(crate) fn poll_error(&mut self) -> Option<Error> {
        self.errors.pop_front()
    }

    /// Something that the application must be told, and that concerns no partition.
    pub(crate) fn tell(&mut self, error: Error) {
        self.errors.push_back(error);
    }

    /// Topics that other members of the group want are their business.
    fn look_for_missing(&mut self, now: Instant) {
        let patience = self.policy.missing_topic;
        let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        for (name, known) in &mut self.known {
            if let Some((since, said)) = &mut known.missing
                && !*said
                && *since + patience <= now
            {
                *said = true;
                if self.topics.contains(name) {
                    let error = Error::broker(code, Some("the topic does not exist"));
                    self.errors.push_back(error.with_topic(&**name));
                }
            }
        }
        for (tp, partition) in &mut self.partitions {
            if is_absent(&self.known, tp, partition) && partition.since + patience <= now {
                let error = Error::broker(code, Some("the topic has no such partition"))
                    .with_partition(tp.topic(), tp.partition());
                partition.last_error = Some(error.clone());
                self.errors.push_back(error);
            }
        }
    }

    /// The next leader to ask for an offset.
    pub(crate) fn poll_lookup(
        &mut self,
        now: Instant,
        isolation: IsolationLevel,
    ) -> Option<LookupPlan> {
        poll_lookup(now, isolation, &mut self.partitions)
    }

    /// A leader told offsets or could not be asked.
    pub(crate) fn handle_lookup(
        &mut self,
        now: Instant,
        random: u32,
        plan: &LookupPlan,
        answer: Result<ListOffsetsResponse, Error>,
    ) {
        let outcome = handle_lookup(now, random, plan, answer, &mut self.partitions);
        self.begun.extend(outcome.begun);
        self.errors.extend(outcome.errors);
        self.metadata_doubted |= outcome.metadata_doubted;
    }

    /// The next position that a lookup found.
    pub(crate) fn poll_begun(&mut self) -> Option<Begun> {
        self.begun.pop_front()
    }

    /// Whether somebody should ask the cluster for its leaders again: because something told so, or now
    /// and then while a topic or a leader is missing. Asking clears it.
    pub(crate) fn poll_metadata_doubt(&mut self, now: Instant) -> bool {
        self.look_for_missing(now);
        if self.misses_something() && self.nag_at <= now {
            self.metadata_doubted = true;
        }
        if self.metadata_doubted {
            self.nag_at = now + NAG_INTERVAL;
        }
        std::mem::take(&mut self.metadata_doubted)
    }

    fn misses_something(&self) -> bool {
        self.known.values().any(|known| known.missing.is_some())
            || self
                .partitions
                .values()
                .any(|partition| partition.leader.is_none())
    }

    /// Whether [`Self::poll_error`] has something to say.
    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        let retry = self
            .partitions
            .values()
            .filter_map(|p| p.waits_until(now))
            .min();
        let missing = self.known.values().filter_map(|known| match known.missing {
            Some((since, false)) => Some(since + self.policy.missing_topic),
            _ => None,
        });
        let absent = self.partitions.iter();
        let absent = absent
            .filter(|(tp, partition)| is_absent(&self.known, tp, partition))
            .map(|(_, partition)| partition.since + self.policy.missing_topic);
        let missing = missing.chain(absent);
        let nag = self.misses_something().then_some(self.nag_at);
        earlier(earlier(retry, missing.min()), nag)
    }

    /// From now on exactly these partitions are read; each begins a new stint at the group's committed
    /// offset. Returns those that were read before.
    pub(crate) fn assign_committed(
        &mut self,
        now: Instant,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> BTreeSet<TopicPartition> {
        let before = self.revoke_all();
        for tp in partitions {
            self.add(now, tp, Phase::Committed);
        }
        before
    }

    /// Without a group: everything that was asked for and exists is read. Returns what is new.
    ///
    /// A partition that appears in a topic that was looked at before is read from its beginning: all its
    /// records are younger than the subscription.
    pub(crate) fn assign_ungrouped(&mut self, now: Instant) -> BTreeSet<TopicPartition> {
        let mut added = BTreeMap::new();
        match &self.topics {
            Topics::Names(names) => {
                for (name, known) in self.known.iter().filter(|(name, _)| names.contains(*name)) {
                    for &number in known.leaders.partitions.keys() {
                        let tp = TopicPartition::new(name.clone(), number);
                        if !self.partitions.contains_key(&tp) {
                            let late = self.expanded(name);
                            let start = if late {
                                Start::Oldest
                            } else {
                                self.policy.start
                            };
                            added.insert(tp, start);
                        }
                    }
                }
            }
            Topics::Manual(wishes) => {
                for (tp, start) in wishes {
                    if !self.partitions.contains_key(tp) {
                        added.insert(tp.clone(), *start);
                    }
                }
            }
        }
        for (tp, start) in &added {
            self.add(now, tp.clone(), phase_of(*start));
        }
        added.into_keys().collect()
    }

    /// Whether partitions of this topic are read already.
    fn expanded(&self, name: &ByteString) -> bool {
        let from = TopicPartition::new(name.clone(), i32::MIN);
        let first = self.partitions.range(from..).next();
        first.is_some_and(|(tp, _)| tp.name() == name)
    }

    /// With a group but without its assignment: the partitions that the application named.
    pub(crate) fn assign_manual(&mut self, now: Instant) -> BTreeSet<TopicPartition> {
        let Topics::Manual(wishes) = self.topics.clone() else {
            return BTreeSet::new();
        };
        for tp in wishes.keys() {
            if !self.partitions.contains_key(tp) {
                self.add(now, tp.clone(), Phase::Committed);
            }
        }
        wishes.into_keys().collect()
    }

    fn add(&mut self, now: Instant, tp: TopicPartition, phase: Phase) {
        self.stints += 1;
        let mut partition = Partition::new(now, self.stints, phase, self.policy.backoff);
        let known = self.known.get(tp.topic());
        partition.leader = known
            .and_then(|known| known.leaders.partitions.get(&tp.partition()).copied())
            .flatten();
        self.partitions.insert(tp, partition);
    }

    /// Nothing is read any more.
    pub(crate) fn revoke_all(&mut self) -> BTreeSet<TopicPartition> {
        std::mem::take(&mut self.partitions).into_keys().collect()
    }

    /// The group's committed offset of a partition; `None` if it has none.
    pub(crate) fn handle_committed(
        &mut self,
        now: Instant,
        tp: &TopicPartition,
        committed: Option<Position>,
    ) {
        let start = match &self.topics {
            Topics::Manual(wishes) => wishes.get(tp).copied(),
            Topics::Names(_) => None,
        };
        if let Some(partition) = self.partitions.get_mut(tp)
            && partition.phase == Phase::Committed
        {
            match committed {
                Some(position) => partition.advance(now, position),
                None => partition.enter(now, phase_of(start.unwrap_or(self.policy.start))),
            }
        }
    }

    /// The partitions whose committed offset is to be asked for.
    pub(crate) fn awaiting_committed(&self) -> BTreeSet<TopicPartition> {
        self.partitions
            .iter()
            .filter(|(_, partition)| partition.phase == Phase::Committed)
            .map(|(tp, _)| tp.clone())
            .collect()
    }

    /// The application goes on elsewhere.
    pub(crate) fn seek(
        &mut self,
        now: Instant,
        tp: &TopicPartition,
        to: Start,
    ) -> Result<(), Error> {
        to.validate()
            .map_err(|error| error.with_partition(tp.topic(), tp.partition()))?;
        self.stints += 1;
        let stint = self.stints;
        let partition = self.assigned_mut(tp)?;
        partition.last_error = None;
        partition.restart(now, stint, phase_of(to));
        partition.sought = true;
        Ok(())
    }

    pub(crate) fn set_paused(
        &mut self,
        now: Instant,
        tp: &TopicPartition,
        paused: bool,
    ) -> Result<(), Error> {
        let partition = self.assigned_mut(tp)?;
        if partition.paused != paused {
            partition.paused = paused;
            partition.since = now;
        }
        Ok(())
    }

    fn assigned_mut(&mut self, tp: &TopicPartition) -> Result<&mut Partition, Error> {
        self.partitions.get_mut(tp).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the partition is not assigned")
                .with_partition(tp.topic(), tp.partition())
        })
    }

    /// The position lies outside of what the leader holds.
    pub(crate) fn handle_out_of_range(
        &mut self,
        now: Instant,
        tp: &TopicPartition,
        log_start: i64,
        high_watermark: i64,
    ) {
        let is_told = log_start >= 0 && high_watermark >= 0;
        if self.policy.out_of_range == OnOutOfRange::Error && !is_told {
            // Brokers of today do not say what they hold, so they are asked before the error is given.
            if let Some(partition) = self.partitions.get_mut(tp)
                && let Some(Position { offset, .. }) = partition.position()
            {
                let oldest = None;
                partition.out_of_range = Some(OutOfRange { offset, oldest });
                partition.enter(now, lookup(OLDEST));
            }
            return;
        }
        let text = |offset| out_of_range_text(offset, log_start, high_watermark);
        self.leave_position(now, tp, ResetReason::OutOfRange, text);
    }

    /// The leader's log is not the one that was read: it parted here, and what was read behind is gone.
    /// Any policy but an error goes on right there, without a look-up.
    pub(crate) fn handle_truncated(&mut self, now: Instant, tp: &TopicPartition, end: Position) {
        let text = |offset| {
            format!(
                "the log was truncated to offset {}; what was read up to {offset} is gone",
                end.offset
            )
        };
        self.leave_position(now, tp, ResetReason::Truncated, text);
        if let Some(partition) = self.partitions.get_mut(tp)
            && let Some(reset) = partition.reset_from.take()
        {
            partition.advance(now, end);
            self.begun.push_back(Begun {
                partition: tp.clone(),
                stint: partition.stint,
                position: end,
                reset: Some(reset),
                sought: false,
            });
        }
    }

    fn leave_position(
        &mut self,
        now: Instant,
        tp: &TopicPartition,
        reason: ResetReason,
        text: impl FnOnce(i64) -> String,
    ) {
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        let Some(position) = partition.position() else {
            return;
        };
        let timestamp = match self.policy.out_of_range {
            OnOutOfRange::Oldest => OLDEST,
            OnOutOfRange::Newest => NEWEST,
            OnOutOfRange::Error => {
                let text = text(position.offset);
                let error = Error::new(ErrorKind::OffsetOutOfRange, text)
                    .with_partition(tp.topic(), tp.partition());
                self.errors.push_back(error.clone());
                partition.stop(now, error);
                return;
            }
        };
        self.stints += 1;
        partition.restart(now, self.stints, lookup(timestamp));
        partition.reset_from = Some((position.offset, reason));
    }

    /// Batches cannot be read: the application is told, and may seek past them.
    pub(crate) fn stop(&mut self, now: Instant, tp: &TopicPartition, stint: u64, error: Error) {
        if let Some(partition) = self.partitions.get_mut(tp)
            && partition.stint == stint
        {
            self.errors.push_back(error.clone());
            partition.stop(now, error);
        }
    }

    /// An answer says that leaders may have changed.
    pub(crate) fn doubt_metadata(&mut self) {
        self.metadata_doubted = true;
    }

    /// How many stints have begun.
    pub(crate) const fn stints(&self) -> u64 {
        self.stints
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The topic's id; zero if it has none or is not known.
    pub(crate) fn topic_id(&self, topic: &str) -> Uuid {
        self.known
            .get(topic)
            .map(|known| known.leaders.id)
            .unwrap_or_default()
    }

    /// How many partitions each known topic has.
    pub(crate) fn partition_counts(&self) -> BTreeMap<ByteString, i32> {
        self.known
            .iter()
            .filter(|(_, known)| !known.leaders.partitions.is_empty())
            .map(|(name, known)| {
                let count = i32::try_from(known.leaders.partitions.len()).unwrap_or(i32::MAX);
                (name.clone(), count)
            })
            .collect()
    }

    pub(crate) fn partition(&self, tp: &TopicPartition) -> Option<&Partition> {
        self.partitions.get(tp)
    }

    pub(crate) fn partition_mut(&mut self, tp: &TopicPartition) -> Option<&mut Partition> {
        self.partitions.get_mut(tp)
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = (&TopicPartition, &Partition)> {
        self.partitions.iter()
    }

    /// Whether the partition is still in this stint.
    pub(crate) fn is_current(&self, tp: &TopicPartition, stint: u64) -> bool {
        self.partitions
            .get(tp)
            .is_some_and(|partition| partition.stint == stint)
    }
}

/// Whether a partition does not exist though its topic does, and that was not said yet.
fn is_absent(
    known: &BTreeMap<ByteString, KnownTopic>,
    tp: &TopicPartition,
    partition: &Partition,
) -> bool {
    partition.leader.is_none()
        && partition.last_error.is_none()
        && known.get(tp.topic()).is_some_and(|topic| {
            let partitions = &topic.leaders.partitions;
            !partitions.is_empty() && !partitions.contains_key(&tp.partition())
        })
}

fn lookup(timestamp: i64) -> Phase {
    Phase::Lookup {
        timestamp,
        asked: false,
    }
}

/// How often the cluster is asked for what is missing.
const NAG_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ListOffsetsResponse;
    use kafka_protocol::messages::list_offsets_response::{
        ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
    };

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn tp(number: i32) -> TopicPartition {
        TopicPartition::new("orders", number)
    }

    fn policy() -> Policy {
        Policy {
            start: Start::Newest,
            out_of_range: OnOutOfRange::Error,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(1)),
            missing_topic: Duration::from_secs(10),
        }
    }

    fn by_name() -> Subscription {
        let names = Topics::Names(BTreeSet::from([ByteString::from("orders")]));
        Subscription::new(names, policy())
    }

    fn leaders(id: u8, nodes: &[i32]) -> Vec<TopicNews> {
        let partitions = (0..).zip(nodes.iter().map(|&node| Some(Leader { node, epoch: 5 })));
        vec![TopicNews {
            name: ByteString::from("orders"),
            outcome: Ok(TopicLeaders {
                id: Uuid::from_bytes([id; 16]),
                partitions: partitions.collect(),
            }),
        }]
    }

    fn answer(number: i32, offset: i64, code: ErrorCode) -> ListOffsetsResponse {
        let mut partition = ListOffsetsPartitionResponse::default();
        partition.partition_index = number;
        partition.offset = offset;
        partition.leader_epoch = 5;
        partition.error_code = code.code();
        let mut topic = ListOffsetsTopicResponse::default();
        topic.name = ByteString::from("orders");
        topic.partitions.push(partition);
        let mut response = ListOffsetsResponse::default();
        response.topics.push(topic);
        response
    }

    #[test]
    fn partitions_that_appear_later_are_read_from_their_beginning() {
        let mut subscription = by_name();
        subscription.handle_topics(at(0), leaders(1, &[1, 2]));
        assert_eq!(subscription.assign_ungrouped(at(0)).len(), 2);
        assert_eq!(
            subscription.partition(&tp(1)).unwrap().phase,
            lookup(NEWEST)
        );
        subscription.handle_topics(at(9), leaders(1, &[1, 2, 1]));
        let added = subscription.assign_ungrouped(at(9));
        assert_eq!(added, BTreeSet::from([tp(2)]));
        assert_eq!(
            subscription.partition(&tp(2)).unwrap().phase,
            lookup(OLDEST)
        );
    }

    #[test]
    fn a_lookup_asks_each_leader_once_and_finds_the_position() {
        let isolation = IsolationLevel::ReadUncommitted;
        let mut subscription = by_name();
        subscription.handle_topics(at(0), leaders(1, &[1, 2, 1]));
        subscription.assign_ungrouped(at(0));
        let one = subscription.poll_lookup(at(0), isolation).unwrap();
        let two = subscription.poll_lookup(at(0), isolation).unwrap();
        assert_eq!((one.node, two.node), (1, 2));
        assert_eq!(subscription.poll_lookup(at(0), isolation), None);
        assert_eq!(one.request().topics[0].partitions.len(), 2);

        // Node 1 answers for partition 0 only: partition 2 is asked for again after a wait.
        subscription.handle_lookup(at(1), 200, &one, Ok(answer(0, 42, ErrorCode::NONE)));
        let begun = subscription.poll_begun().unwrap();
        assert_eq!((begun.partition, begun.position.offset), (tp(0), 42));
        assert_eq!(subscription.poll_lookup(at(1), isolation), None);
        assert_eq!(subscription.poll_deadline(at(1)), Some(at(2)));
        let again = subscription.poll_lookup(at(2), isolation).unwrap();
        assert_eq!(again.request().topics[0].partitions[0].partition_index, 2);

        // A broken connection is not an answer: no reset, another attempt.
        let broken = Error::new(ErrorKind::Disconnected, "gone");
        subscription.handle_lookup(at(2), 200, &two, Err(broken));
        assert_eq!(
            subscription.partition(&tp(1)).unwrap().phase,
            lookup(NEWEST)
        );
        assert!(subscription.poll_metadata_doubt(at(2)));
        assert!(!subscription.poll_metadata_doubt(at(2)));
        assert_eq!(subscription.poll_error().map(|e| e.to_string()), None);
    }

    #[test]
    fn a_timestamp_younger_than_all_records_means_the_end() {
        let isolation = IsolationLevel::ReadUncommitted;
        let wishes = BTreeMap::from([(tp(0), Start::Timestamp(99))]);
        let mut subscription = Subscription::new(Topics::Manual(wishes), policy());
        subscription.handle_topics(at(0), leaders(1, &[1]));
        subscription.assign_ungrouped(at(0));
        let plan = subscription.poll_lookup(at(0), isolation).unwrap();
        subscription.handle_lookup(at(0), 0, &plan, Ok(answer(0, -1, ErrorCode::NONE)));
        let plan = subscription.poll_lookup(at(0), isolation).unwrap();
        assert_eq!(plan.request().topics[0].partitions[0].timestamp, NEWEST);
    }

    #[test]
    fn an_answer_of_an_earlier_stint_is_ignored() {
        let isolation = IsolationLevel::ReadUncommitted;
        let mut subscription = by_name();
        subscription.handle_topics(at(0), leaders(1, &[1]));
        subscription.assign_ungrouped(at(0));
        let plan = subscription.poll_lookup(at(0), isolation).unwrap();
        subscription.seek(at(1), &tp(0), Start::Offset(7)).unwrap();
        subscription.handle_lookup(at(1), 0, &plan, Ok(answer(0, 42, ErrorCode::NONE)));
        let position = subscription.partition(&tp(0)).unwrap().position().unwrap();
        assert_eq!(position.offset, 7);
        assert!(subscription.seek(at(1), &tp(0), Start::Offset(-7)).is_err());
        assert!(subscription.seek(at(1), &tp(9), Start::Oldest).is_err());
    }

    #[test]
    fn out_of_range_is_an_error_or_a_reset_that_remembers_what_was_lost() {
        let isolation = IsolationLevel::ReadUncommitted;
        let mut subscription = by_name();
        subscription.handle_topics(at(0), leaders(1, &[1]));
        subscription.assign_ungrouped(at(0));
        subscription.seek(at(0), &tp(0), Start::Offset(7)).unwrap();
        subscription.handle_out_of_range(at(0), &tp(0), 100, 200);
        let error = subscription.poll_error().unwrap();
        assert_eq!(error.kind(), ErrorKind::OffsetOutOfRange);
        for part in ["7", "100", "200", "orders-0"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(
            subscription.partition(&tp(0)).unwrap().phase,
            Phase::Stopped
        );

        subscription.policy.out_of_range = OnOutOfRange::Oldest;
        subscription.seek(at(0), &tp(0), Start::Offset(7)).unwrap();
        subscription.handle_out_of_range(at(0), &tp(0), 100, 200);
        let plan = subscription.poll_lookup(at(0), isolation).unwrap();
        subscription.handle_lookup(at(0), 0, &plan, Ok(answer(0, 100, ErrorCode::NONE)));
        let begun = subscription.poll_begun().unwrap();
        assert_eq!(begun.reset, Some((7, ResetReason::OutOfRange)));
        assert_eq!(begun.position.offset, 100);
        assert!(!begun.sought, "the seek before is over");
    }

    #[test]
    fn a_range_that_the_leader_did_not_tell_is_asked_for() {
        let isolation = IsolationLevel::ReadUncommitted;
        let mut subscription = by_name();
        subscription.handle_topics(at(0), leaders(1, &[1]));
        subscription.assign_ungrouped(at(0));
        subscription.seek(at(0), &tp(0), Start::Offset(7)).unwrap();
        subscription.handle_out_of_range(at(0), &tp(0), -1, -1);
        for offset in [100, 200] {
            assert!(subscription.poll_error().is_none());
            let plan = subscription.poll_lookup(at(0), isolation).unwrap();
            let told = answer(0, offset, ErrorCode::NONE);
            subscription.handle_lookup(at(0), 0, &plan, Ok(told));
        }
        let error = subscription.poll_error().unwrap();
        assert_eq!(error.kind(), ErrorKind::OffsetOutOfRange);
        assert!(error.to_string().contains("7 lies outside"), "{error}");
        assert!(error.to_string().contains("100 to 200"), "{error}");
        assert!(subscription.poll_begun().is_none());
        let partition = subscription.partition(&tp(0)).unwrap();
        assert_eq!(partition.phase, Phase::Stopped);

        subscription.seek(at(0), &tp(0), Start::Oldest).unwrap();
        let plan = subscription.poll_lookup(at(0), isolation).unwrap();
        subscription.handle_lookup(at(0), 0, &plan, Ok(answer(0, 100, ErrorCode::NONE)));
        assert_eq!(subscription.poll_begun().unwrap().position.offset, 100);
    }

    #[test]
    fn a_topic_made_again_begins_at_its_beginning() {
        let mut subscription = by_name();
        subscription.handle_topics(at(0), leaders(1, &[1]));
        subscription.assign_ungrouped(at(0));
        subscription.seek(at(0), &tp(0), Start::Offset(7)).unwrap();
        let stint = subscription.partition(&tp(0)).unwrap().stint;
        subscription.handle_topics(at(1), leaders(2, &[3]));
        let partition = subscription.partition(&tp(0)).unwrap();
        assert_ne!(partition.stint, stint);
        assert_eq!(partition.phase, lookup(OLDEST));
        assert_eq!(partition.reset_from, Some((7, ResetReason::TopicRecreated)));
        assert_eq!(partition.leader.unwrap().node, 3);
    }

    #[test]
    fn a_missing_topic_is_told_once_and_in_bounded_time() {
        let mut subscription = by_name();
        let missing = || {
            vec![TopicNews {
                name: ByteString::from("orders"),
                outcome: Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            }]
        };
        subscription.handle_topics(at(0), missing());
        subscription.handle_topics(at(5), missing());
        // Until then, and after it, it is asked for now and then.
        assert!(subscription.poll_metadata_doubt(at(9)));
        assert!(!subscription.poll_metadata_doubt(at(9)));
        assert!(subscription.poll_error().is_none());
        assert_eq!(subscription.poll_deadline(at(9)), Some(at(10)));
        assert!(subscription.poll_metadata_doubt(at(10)));
        let error = subscription.poll_error().unwrap();
        assert!(error.to_string().contains("orders"), "{error}");
        assert!(subscription.poll_metadata_doubt(at(99)));
        assert!(subscription.poll_error().is_none());
        subscription.handle_topics(at(100), leaders(1, &[1]));
        assert_eq!(subscription.assign_ungrouped(at(100)).len(), 1);
    }

    #[test]
    fn stale_metadata_does_not_bring_back_an_old_leader() {
        let mut subscription = by_name();
        subscription.handle_topics(at(0), leaders(1, &[1]));
        subscription.assign_ungrouped(at(0));
        let newer = Leader { node: 2, epoch: 6 };
        let partition = subscription.partition_mut(&tp(0)).unwrap();
        partition.set_leader(at(0), Some(newer));
        subscription.handle_topics(at(1), leaders(1, &[1]));
        assert_eq!(subscription.partition(&tp(0)).unwrap().leader, Some(newer));
    }

    #[test]
    fn topics_of_other_members_are_their_business_and_are_forgotten() {
        let mut subscription = by_name();
        let news = |name: &str, code| TopicNews {
            name: ByteString::from(name),
            outcome: Err(code),
        };
        subscription.handle_topics(
            at(0),
            vec![
                news("payments", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                news("secrets", ErrorCode::TOPIC_AUTHORIZATION_FAILED),
            ],
        );
        // They are asked for, since a leader shares them out, but nobody here waits for them.
        assert!(subscription.poll_metadata_doubt(at(60)));
        assert!(subscription.poll_error().is_none());
        let orders = BTreeSet::from([ByteString::from("orders")]);
        subscription.keep_topics(&orders);
        assert!(!subscription.poll_metadata_doubt(at(120)));
        assert_eq!(subscription.poll_deadline(at(120)), None);
    }

    #[test]
    fn a_partition_that_does_not_exist_is_told_once() {
        let wishes = BTreeMap::from([(tp(0), Start::Oldest), (tp(7), Start::Oldest)]);
        let mut subscription = Subscription::new(Topics::Manual(wishes), policy());
        subscription.handle_topics(at(0), leaders(1, &[1]));
        subscription.assign_ungrouped(at(0));
        assert!(subscription.poll_metadata_doubt(at(9)));
        assert!(subscription.poll_error().is_none());
        assert_eq!(subscription.poll_deadline(at(9)), Some(at(10)));
        assert!(subscription.poll_metadata_doubt(at(10)));
        let error = subscription.poll_error().unwrap();
        assert_eq!(error.context().partition, Some(7));
        assert!(subscription.poll_metadata_doubt(at(99)));
        assert!(subscription.poll_error().is_none());
        assert_eq!(subscription.poll_deadline(at(99)), Some(at(100)), "nags on");
        // It may come later.
        subscription.handle_topics(at(100), leaders(1, &[1, 1, 1, 1, 1, 1, 1, 1]));
        assert!(subscription.partition(&tp(7)).unwrap().leader.is_some());
    }

    #[test]
    fn a_leader_that_cannot_look_up_offsets_stops_the_partition_with_an_error() {
        let isolation = IsolationLevel::ReadUncommitted;
        let mut subscription = by_name();
        subscription.handle_topics(at(0), leaders(1, &[1]));
        subscription.assign_ungrouped(at(0));
        let plan = subscription.poll_lookup(at(0), isolation).unwrap();
        let error = Error::new(ErrorKind::UnsupportedVersion, "no common version");
        subscription.handle_lookup(at(0), 0, &plan, Err(error));
        assert_eq!(
            subscription.partition(&tp(0)).unwrap().phase,
            Phase::Stopped
        );
        assert!(subscription.poll_error().is_some());
    }

    #[test]
    fn a_leader_that_is_gone_for_a_moment_ends_no_lookup() {
        let isolation = IsolationLevel::ReadUncommitted;
        let mut subscription = by_name();
        subscription.handle_topics(at(0), leaders(1, &[1]));
        subscription.assign_ungrouped(at(0));
        let lost = subscription.poll_lookup(at(0), isolation).unwrap();
        let mut none = leaders(1, &[1]);
        if let Ok(leaders) = &mut none[0].outcome {
            leaders.partitions.insert(0, None);
        }
        subscription.handle_topics(at(1), none);
        assert_eq!(subscription.poll_lookup(at(1), isolation), None);
        assert!(subscription.poll_metadata_doubt(at(1)));
        subscription.handle_topics(at(2), leaders(1, &[2]));
        let again = subscription.poll_lookup(at(2), isolation).unwrap();
        assert_eq!(again.node, 2);
        // The first question was for somebody who does not lead any more.
        let broken = Error::new(ErrorKind::Timeout, "late");
        subscription.handle_lookup(at(3), 200, &again, Ok(answer(0, 9, ErrorCode::NONE)));
        subscription.handle_lookup(at(3), 200, &lost, Err(broken));
        let position = subscription.partition(&tp(0)).unwrap().position();
        assert_eq!(position.map(|position| position.offset), Some(9));
    }
}
