//! Getting records: one fetch under way per leader, one budget for all that is fetched and not consumed.
//!
//! Knows no group. Positions belong to the subscription; this machine moves them by what answers hold.

pub(crate) mod delivery;
pub(crate) mod plan;

use std::collections::{BTreeMap, VecDeque};

use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::{ErrorCode, Uuid};

use crate::config::consumer::IsolationLevel;
use crate::error::{Error, ErrorKind};
use crate::machine::backoff::Backoff;
use crate::machine::fetch::delivery::{Aborted, Run, Visibility, scan};
use crate::machine::fetch::plan::{Asked, FetchPlan, candidates};
use crate::machine::subscription::Subscription;
use crate::machine::subscription::position::{Leader, Phase, Position};
use crate::machine::subscription::reset::is_final;
use crate::machine::subscription::status::PartitionState;
use crate::machine::time::{Duration, Instant};
use crate::record::topic_partition::TopicPartition;

/// What a consumer asks for, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes fetched and not consumed, over all partitions.
    pub(crate) buffer: usize,
    pub(crate) max_bytes: i32,
    pub(crate) max_partition_bytes: i32,
    pub(crate) min_bytes: i32,
    pub(crate) max_wait: Duration,
    pub(crate) isolation: IsolationLevel,
    pub(crate) backoff: Backoff,
}

/// The fetching side of a consumer.
#[derive(Debug)]
pub(crate) struct Fetch {
    limits: Limits,
    calls: u64,
    /// Counts answers, to tell who was served when.
    answers: u64,
    in_flight: BTreeMap<i32, InFlight>,
    trouble: BTreeMap<i32, Trouble>,
    ready: VecDeque<Run>,
    /// Bytes in `ready` and in what the application has taken and not finished.
    buffered: usize,
    /// The last poll found a leader to ask and no room for its answer.
    starved: bool,
    /// The stint of what the application took and is not done with.
    taken: Option<u64>,
    /// When each node was last asked, counted in calls: the one that waits longest comes first.
    asked: BTreeMap<i32, u64>,
}

#[derive(Debug)]
struct InFlight {
    call: u64,
    reserved: usize,
    sent_at: Instant,
    partitions: BTreeMap<TopicPartition, (u64, i64)>,
}

/// A node that is left alone for a moment.
#[derive(Debug)]
struct Trouble {
    backoff: Backoff,
    until: Instant,
    /// Why; `None` if it only has nothing to say, too often, or asked for a pause.
    error: Option<Error>,
}

impl Fetch {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            calls: 0,
            answers: 0,
            in_flight: BTreeMap::new(),
            trouble: BTreeMap::new(),
            ready: VecDeque::new(),
            buffered: 0,
            starved: false,
            taken: None,
            asked: BTreeMap::new(),
        }
    }

    /// The next fetch to send, if there is one: to a leader that has none under way, if there is room
    /// for its answer.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        subscription: &mut Subscription,
    ) -> Option<FetchPlan> {
        self.starved = false;
        let candidates = candidates(now, subscription);
        let leaders = candidates.len().max(1);
        // Whoever comes first takes the room that there is: by turns, or a slow application would only
        // ever read from one node.
        let mut candidates: Vec<_> = candidates.into_iter().collect();
        candidates.sort_by_key(|(node, _)| self.asked.get(node).copied());
        for (node, partitions) in candidates {
            if self.in_flight.contains_key(&node)
                || self
                    .trouble
                    .get(&node)
                    .is_some_and(|trouble| trouble.until > now)
            {
                continue;
            }
            let share = self.share(leaders, partitions.len());
            if !self.has_room(share) && !self.drop_paused(now, share, subscription) {
                self.starved = true;
                break;
            }
            self.calls += 1;
            let flight = InFlight {
                call: self.calls,
                reserved: share,
                sent_at: now,
                partitions: partitions
                    .iter()
                    .map(|asked| (asked.partition.clone(), (asked.stint, asked.offset)))
                    .collect(),
            };
            self.in_flight.insert(node, flight);
            self.asked.insert(node, self.calls);
            let share = i32::try_from(share).unwrap_or(i32::MAX);
            return Some(FetchPlan {
                call: self.calls,
                node,
                partitions,
                max_bytes: self.limits.max_bytes.min(share),
                max_partition_bytes: self.limits.max_partition_bytes.min(share),
                min_bytes: self.limits.min_bytes.min(share),
                max_wait: self.limits.max_wait,
                isolation: self.limits.isolation,
            });
        }
        None
    }

    /// The part of the buffer that one answer may fill. Half of the buffer over all leaders, so that
    /// while one half is consumed the other is fetched, and no idle leader holds what another needs.
    fn share(&self, leaders: usize, partitions: usize) -> usize {
        let max_bytes = usize::try_from(self.limits.max_bytes).unwrap_or(1);
        let per_partition = usize::try_from(self.limits.max_partition_bytes).unwrap_or(1);
        let wanted = max_bytes.min(per_partition.saturating_mul(partitions));
        wanted.min(self.limits.buffer / (2 * leaders)).max(1)
    }

    /// An empty buffer always has room: a batch may be larger than all of it.
    fn has_room(&self, share: usize) -> bool {
        let reserved: usize = self.in_flight.values().map(|flight| flight.reserved).sum();
        self.buffered == 0 || self.buffered + reserved + share <= self.limits.buffer
    }

    /// Gives up what lies ready of paused partitions, so that they cannot starve the others. It is
    /// fetched again when they are resumed.
    fn drop_paused(&mut self, now: Instant, share: usize, subscription: &mut Subscription) -> bool {
        let mut kept = VecDeque::with_capacity(self.ready.len());
        for run in std::mem::take(&mut self.ready) {
            match subscription.partition_mut(&run.partition) {
                Some(partition) if partition.stint == run.stint && partition.paused => {
                    self.buffered = self.buffered.saturating_sub(run.size);
                    if let Some(position) = partition.position()
                        && run.from < position.offset
                    {
                        let epoch = -1;
                        let offset = run.from;
                        partition.enter(now, Phase::Reading(Position { offset, epoch }));
                    }
                }
                _ => kept.push_back(run),
            }
        }
        self.ready = kept;
        self.has_room(share)
    }

    /// A leader answered, or could not be asked.
    pub(crate) fn handle_answer(
        &mut self,
        now: Instant,
        random: u32,
        plan: &FetchPlan,
        answer: Result<FetchResponse, Error>,
        subscription: &mut Subscription,
    ) {
        let sent_at = match self.in_flight.get(&plan.node) {
            Some(flight) if flight.call == plan.call => flight.sent_at,
            _ => return,
        };
        self.in_flight.remove(&plan.node);
        let answer = answer.and_then(|response| {
            Error::check(response.error_code, None)?;
            Ok(response)
        });
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                subscription.doubt_metadata();
                self.trouble_with(now, random, plan.node, error, subscription);
                return;
            }
        };
        let throttle = Duration::from_millis(u64::try_from(response.throttle_time_ms).unwrap_or(0));
        let mut useful = false;
        let asked: BTreeMap<&TopicPartition, (usize, &Asked)> = plan
            .partitions
            .iter()
            .enumerate()
            .map(|(place, asked)| (&asked.partition, (place, asked)))
            .collect();
        let names: BTreeMap<Uuid, &TopicPartition> = plan
            .partitions
            .iter()
            .map(|asked| (asked.topic_id, &asked.partition))
            .collect();
        for topic in response.responses {
            let name = if topic.topic.is_empty() {
                match names.get(&topic.topic_id) {
                    Some(known) => known.name().clone(),
                    None => continue,
                }
            } else {
                topic.topic
            };
            for data in topic.partitions {
                let tp = TopicPartition::new(name.clone(), data.partition_index);
                if let Some((place, asked)) = asked.get(&tp) {
                    useful |=
                        self.handle_partition(now, random, *place == 0, asked, data, subscription);
                }
            }
        }
        // A node that says at once that it has nothing must not be asked in circles.
        let idle = !useful && now.saturating_since(sent_at) < self.limits.max_wait / 2;
        if idle {
            self.pause(now, random, plan.node, None);
        } else {
            self.trouble.remove(&plan.node);
        }
        if !throttle.is_zero() {
            let backoff = self.limits.backoff;
            let trouble = self.trouble.entry(plan.node).or_insert(Trouble {
                backoff,
                until: now,
                error: None,
            });
            trouble.until = trouble.until.max(now + throttle.min(THROTTLE_MAX));
        }
    }

    /// A node could not be asked. What may pass is only remembered; the rest is told, once.
    fn trouble_with(
        &mut self,
        now: Instant,
        random: u32,
        node: i32,
        error: Error,
        subscription: &mut Subscription,
    ) {
        let known = self.trouble.get(&node);
        let known = known.and_then(|trouble| trouble.error.as_ref());
        let is_new = known.is_none_or(|known| known.kind() != error.kind());
        if is_new && !error.is_retriable() && error.kind() != ErrorKind::Closed {
            subscription.tell(error.clone());
        }
        self.pause(now, random, node, Some(error));
    }

    fn pause(&mut self, now: Instant, random: u32, node: i32, error: Option<Error>) {
        let backoff = self.limits.backoff;
        let trouble = self.trouble.entry(node).or_insert(Trouble {
            backoff,
            until: now,
            error: None,
        });
        trouble.until = now + trouble.backoff.next_wait(random);
        trouble.error = error;
    }

    /// Says whether something came of it.
    fn handle_partition(
        &mut self,
        now: Instant,
        random: u32,
        first: bool,
        asked: &Asked,
        data: PartitionData,
        subscription: &mut Subscription,
    ) -> bool {
        let tp = &asked.partition;
        let holds = self.holds(tp, asked.stint);
        let Some(partition) = subscription.partition_mut(tp) else {
            return true;
        };
        // Sought, reset, or served by another leader meanwhile.
        let current = partition.stint == asked.stint
            && partition
                .position()
                .is_some_and(|at| at.offset == asked.offset);
        if !current {
            return true;
        }
        match ErrorCode::from(data.error_code) {
            ErrorCode::NONE => {}
            code => {
                let error = Error::broker(code, None).with_partition(tp.topic(), tp.partition());
                let ends = code == ErrorCode::OFFSET_OUT_OF_RANGE || is_final(code);
                // What was fetched before is given out before the stint ends.
                if ends && !holds {
                    if code == ErrorCode::OFFSET_OUT_OF_RANGE {
                        let (start, end) = (data.log_start_offset, data.high_watermark);
                        subscription.handle_out_of_range(now, tp, start, end);
                    } else {
                        subscription.stop(now, tp, asked.stint, error);
                    }
                    return true;
                }
                partition.failed(now, random, error);
                let told = Leader {
                    node: data.current_leader.leader_id,
                    epoch: data.current_leader.leader_epoch,
                };
                if told.node >= 0 && told.epoch > asked.leader_epoch {
                    partition.set_leader(now, Some(told));
                }
                if code.invalidates_metadata() || code == ErrorCode::UNKNOWN_LEADER_EPOCH {
                    subscription.doubt_metadata();
                }
                return true;
            }
        }
        let parted = &data.diverging_epoch;
        if parted.end_offset >= 0 && parted.end_offset < asked.offset {
            let end = Position {
                offset: parted.end_offset,
                epoch: parted.epoch,
            };
            if holds {
                let text = "the log was truncated below the position";
                let error = Error::new(ErrorKind::OffsetOutOfRange, text)
                    .with_partition(tp.topic(), tp.partition());
                partition.failed(now, random, error);
            } else {
                subscription.handle_truncated(now, tp, end);
            }
            return true;
        }
        partition.high_watermark = match self.limits.isolation {
            IsolationLevel::ReadUncommitted => data.high_watermark,
            IsolationLevel::ReadCommitted => data.last_stable_offset,
        };
        let records = data.records.unwrap_or_default();
        if records.is_empty() {
            partition.succeeded();
            return false;
        }
        let scan = match scan(&records, asked.offset) {
            Ok(scan) => scan,
            Err(error) => {
                let error = error.with_partition(tp.topic(), tp.partition());
                if holds {
                    partition.failed(now, random, error);
                } else {
                    subscription.stop(now, tp, asked.stint, error);
                }
                return true;
            }
        };
        match scan.next {
            Some(next) => {
                self.answers += 1;
                partition.served = self.answers;
                partition.advance(now, next);
            }
            None => {
                // Others filled the answer: next time this one comes first. If it was the first, there
                // was no whole batch in all that it may hold.
                if first {
                    let error = no_progress(&records, scan.cut, tp, asked.offset);
                    let known = partition.last_error.as_ref();
                    let is_new = known.is_none_or(|known| known.kind() != error.kind());
                    partition.failed(now, random, error.clone());
                    if is_new {
                        subscription.tell(error);
                    }
                }
                return true;
            }
        }
        let aborted = match self.limits.isolation {
            IsolationLevel::ReadUncommitted => Vec::new(),
            IsolationLevel::ReadCommitted => data
                .aborted_transactions
                .unwrap_or_default()
                .into_iter()
                .map(|transaction| Aborted {
                    producer_id: transaction.producer_id,
                    first_offset: transaction.first_offset,
                })
                .collect(),
        };
        self.buffered += scan.records.len();
        self.ready.push_back(Run::new(
            tp.clone(),
            asked.stint,
            asked.offset,
            scan.records,
            Visibility::new(aborted),
        ));
        true
    }

    /// Whether something of this stint was fetched and is not consumed.
    fn holds(&self, tp: &TopicPartition, stint: u64) -> bool {
        let mut ready = self.ready.iter();
        self.taken == Some(stint) || ready.any(|run| run.partition == *tp && run.stint == stint)
    }

    /// The next batches for the application, oldest first, those of paused partitions left out. What
    /// they take of the buffer is given back by [`Self::handle_consumed`].
    pub(crate) fn take(&mut self, subscription: &Subscription) -> Option<Run> {
        self.purge(subscription);
        let place = self.ready.iter().position(|run| {
            subscription
                .partition(&run.partition)
                .is_some_and(|partition| !partition.paused)
        })?;
        let run = self.ready.remove(place)?;
        self.taken = Some(run.stint);
        Some(run)
    }

    /// Whether a fetch waits for room in the buffer.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved
    }

    /// Whether [`Self::take`] would give something.
    pub(crate) fn has_ready(&self, subscription: &Subscription) -> bool {
        self.ready.iter().any(|run| {
            subscription
                .partition(&run.partition)
                .is_some_and(|partition| partition.stint == run.stint && !partition.paused)
        })
    }

    /// What the application took and did not finish: first in line again.
    pub(crate) fn give_back(&mut self, run: Run) {
        self.taken = None;
        self.ready.push_front(run);
    }

    /// The application is done with the bytes of a run.
    pub(crate) fn handle_consumed(&mut self, size: usize) {
        self.taken = None;
        self.buffered = self.buffered.saturating_sub(size);
    }

    /// Drops what belongs to earlier stints.
    pub(crate) fn purge(&mut self, subscription: &Subscription) {
        let buffered = &mut self.buffered;
        self.ready.retain(|run| {
            let current = subscription.is_current(&run.partition, run.stint);
            if !current {
                *buffered = buffered.saturating_sub(run.size);
            }
            current
        });
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn poll_deadline(&self, now: Instant) -> Option<Instant> {
        self.trouble
            .values()
            .map(|trouble| trouble.until)
            .filter(|until| *until > now)
            .min()
    }

    /// What a partition does that has a leader and is in this stint at this offset.
    pub(crate) fn state_of(
        &self,
        now: Instant,
        tp: &TopicPartition,
        at: (u64, i64),
        leader: i32,
    ) -> PartitionState {
        if self.buffered_of(tp) > 0 {
            return PartitionState::Buffered;
        }
        if let Some(flight) = self.in_flight.get(&leader) {
            return match flight.partitions.get(tp) {
                Some(asked) if *asked == at => PartitionState::Fetching,
                _ => PartitionState::Turn,
            };
        }
        if self
            .trouble
            .get(&leader)
            .is_some_and(|trouble| trouble.until > now)
        {
            return PartitionState::Broker;
        }
        if self.starved {
            PartitionState::Buffer
        } else {
            PartitionState::Turn
        }
    }

    /// Where the application goes on in what lies ready of a stint.
    pub(crate) fn next_ready(&self, tp: &TopicPartition, stint: u64) -> Option<i64> {
        self.ready
            .iter()
            .find(|run| run.partition == *tp && run.stint == stint)
            .map(|run| run.from)
    }

    /// Until when a node is left alone, and why.
    pub(crate) fn trouble_of(&self, node: i32) -> Option<(Instant, Option<Error>)> {
        self.trouble
            .get(&node)
            .map(|trouble| (trouble.until, trouble.error.clone()))
    }

    pub(crate) fn buffered_of(&self, tp: &TopicPartition) -> usize {
        self.ready
            .iter()
            .filter(|run| run.partition == *tp)
            .map(|run| run.size)
            .sum()
    }
}

/// The longest pause that a broker may ask for: longer than its quotas ask, and no endless one.
const THROTTLE_MAX: Duration = Duration::from_secs(30);

fn no_progress(records: &[u8], cut: bool, tp: &TopicPartition, offset: i64) -> Error {
    let len = records.len();
    let error = if cut {
        let text = format!(
            "the answer for offset {offset} holds no whole batch in its {len} bytes; \
             fetch.max.bytes and max.partition.fetch.bytes may be too small for this broker"
        );
        Error::new(ErrorKind::RecordTooLarge, text)
    } else {
        let text = format!("the answer for offset {offset} holds only batches that end before it");
        Error::new(ErrorKind::Protocol, text)
    };
    error.with_partition(tp.topic(), tp.partition())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use bytestring::ByteString;
    use kafka_protocol::messages::fetch_response::FetchableTopicResponse;

    use super::*;
    use crate::config::consumer::{OnOutOfRange, Start};
    use crate::machine::fetch::delivery::tests::{batch, bytes_of};
    use crate::machine::subscription::topics::Topics;
    use crate::machine::subscription::{Policy, TopicLeaders, TopicNews};

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn tp(number: i32) -> TopicPartition {
        TopicPartition::new("orders", number)
    }

    fn limits() -> Limits {
        Limits {
            buffer: 1000,
            max_bytes: 500,
            max_partition_bytes: 400,
            min_bytes: 1,
            max_wait: Duration::from_millis(500),
            isolation: IsolationLevel::ReadUncommitted,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(1)),
        }
    }

    /// A subscription to partitions led by these nodes, each read from offset 0.
    fn reading(nodes: &[i32]) -> Subscription {
        let wishes = (0..nodes.len() as i32).map(|number| (tp(number), Start::Offset(0)));
        let policy = Policy {
            start: Start::Newest,
            out_of_range: OnOutOfRange::Error,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(1)),
            missing_topic: Duration::from_secs(10),
        };
        let mut subscription = Subscription::new(Topics::Manual(wishes.collect()), policy);
        subscription.handle_topics(at(0), led_by(nodes, 5));
        subscription.assign_ungrouped(at(0));
        subscription
    }

    fn led_by(nodes: &[i32], epoch: i32) -> Vec<TopicNews> {
        let partitions = (0..).zip(nodes.iter().map(|&node| Some(Leader { node, epoch })));
        let leaders = TopicLeaders {
            id: Uuid::from_bytes([7; 16]),
            partitions: partitions.collect(),
        };
        vec![TopicNews {
            name: ByteString::from("orders"),
            outcome: Ok(leaders),
        }]
    }

    /// An answer as version 13 gives it: by topic id.
    fn answer(partitions: Vec<PartitionData>) -> FetchResponse {
        let mut topic = FetchableTopicResponse::default();
        topic.topic_id = Uuid::from_bytes([7; 16]);
        topic.partitions = partitions;
        let mut response = FetchResponse::default();
        response.responses.push(topic);
        response
    }

    fn data(number: i32, records: Bytes) -> PartitionData {
        let mut data = PartitionData::default();
        data.partition_index = number;
        data.high_watermark = 1000;
        data.records = Some(records);
        data
    }

    fn failed(number: i32, code: ErrorCode) -> PartitionData {
        let mut data = PartitionData::default();
        data.partition_index = number;
        data.error_code = code.code();
        data.high_watermark = -1;
        data.log_start_offset = -1;
        data
    }

    fn offsets(plan: &FetchPlan) -> Vec<(i32, i64)> {
        let asked = plan.partitions.iter();
        asked
            .map(|asked| (asked.partition.partition(), asked.offset))
            .collect()
    }

    #[test]
    fn one_fetch_per_leader_and_the_next_one_before_anything_is_decoded() {
        let mut subscription = reading(&[1, 2, 1]);
        let mut fetch = Fetch::new(limits());
        let one = fetch.poll(at(0), &mut subscription).unwrap();
        let two = fetch.poll(at(0), &mut subscription).unwrap();
        assert_eq!((one.node, offsets(&one)), (1, vec![(0, 0), (2, 0)]));
        assert_eq!((two.node, offsets(&two)), (2, vec![(1, 0)]));
        assert_eq!(fetch.poll(at(0), &mut subscription), None);

        let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
        fetch.handle_answer(at(1), 0, &one, Ok(response), &mut subscription);
        // The one that was served goes to the end; nothing was taken yet.
        let next = fetch.poll(at(1), &mut subscription).unwrap();
        assert_eq!(offsets(&next), [(2, 0), (0, 10)]);
        let run = fetch.take(&subscription).unwrap();
        assert_eq!((run.partition.clone(), run.from), (tp(0), 0));
        assert!(fetch.take(&subscription).is_none());
    }

    #[test]
    fn the_request_names_each_topic_once_and_asks_for_no_session() {
        let mut subscription = reading(&[1, 1]);
        let plan = Fetch::new(limits()).poll(at(0), &mut subscription).unwrap();
        let request = plan.request(13);
        assert_eq!((request.session_id, request.session_epoch), (0, -1));
        assert_eq!(request.topics.len(), 1);
        assert_eq!(request.topics[0].partitions.len(), 2);
        assert_eq!(request.topics[0].partitions[1].current_leader_epoch, 5);
        assert!(!plan.needs_names());
    }

    #[test]
    fn the_buffer_is_a_limit_and_consuming_makes_room() {
        let mut subscription = reading(&[1]);
        let mut fetch = Fetch::new(limits());
        let mut offset = 0;
        let mut rounds = 0;
        while let Some(plan) = fetch.poll(at(0), &mut subscription) {
            assert!(plan.max_bytes <= 500);
            let records = bytes_of(&[batch(offset, 0), batch(offset + 1, 0)]);
            offset += 2;
            rounds += 1;
            let response = answer(vec![data(0, records)]);
            fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
        }
        // Runs of 142 bytes, answers of up to 400: the fifth run leaves no room.
        assert_eq!(rounds, 5);
        let state = fetch.state_of(at(0), &tp(0), (1, offset), 1);
        assert_eq!(state, PartitionState::Buffered);
        let run = fetch.take(&subscription).unwrap();
        assert_eq!(fetch.poll(at(0), &mut subscription), None);
        fetch.handle_consumed(run.size);
        assert!(fetch.poll(at(0), &mut subscription).is_some());
    }

    #[test]
    fn a_batch_larger_than_the_buffer_comes_through() {
        let mut subscription = reading(&[1]);
        let mut fetch = Fetch::new(limits());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        let mut large = batch(0, 0);
        large.batch_length = 5000;
        let response = answer(vec![data(0, bytes_of(&[large]))]);
        fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
        assert_eq!(fetch.poll(at(0), &mut subscription), None);
        let run = fetch.take(&subscription).unwrap();
        fetch.handle_consumed(run.size);
        assert!(fetch.poll(at(0), &mut subscription).is_some());
    }

    #[test]
    fn a_paused_partition_gives_nothing_and_cannot_starve_the_others() {
        let mut subscription = reading(&[1, 1]);
        let mut fetch = Fetch::new(limits());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        let mut large = batch(0, 9);
        large.batch_length = 900;
        let response = answer(vec![data(0, bytes_of(&[large]))]);
        fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
        subscription.set_paused(at(0), &tp(0), true).unwrap();
        assert!(!fetch.has_ready(&subscription));
        assert!(fetch.take(&subscription).is_none());
        // No room for the other one, unless the paused one gives up what it holds.
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        assert_eq!(offsets(&plan), [(1, 0)]);
        subscription.set_paused(at(0), &tp(0), false).unwrap();
        let position = subscription.partition(&tp(0)).unwrap().position().unwrap();
        assert_eq!(position.offset, 0);
    }

    #[test]
    fn a_moved_leader_is_asked_at_once() {
        let mut subscription = reading(&[1, 1]);
        let mut fetch = Fetch::new(limits());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        let mut moved = failed(0, ErrorCode::NOT_LEADER_OR_FOLLOWER);
        moved.current_leader.leader_id = 3;
        moved.current_leader.leader_epoch = 6;
        let response = answer(vec![moved, failed(1, ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
        fetch.handle_answer(at(0), 200, &plan, Ok(response), &mut subscription);
        assert!(subscription.poll_metadata_doubt(at(0)));
        // The new leader of one was told; the other one waits for metadata or for a moment.
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        assert_eq!((plan.node, offsets(&plan)), (3, vec![(0, 0)]));
        assert_eq!(fetch.poll(at(0), &mut subscription), None);
        assert_eq!(subscription.poll_deadline(at(0)), Some(at(1)));
        subscription.handle_topics(at(0), led_by(&[3, 2], 6));
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        assert_eq!((plan.node, offsets(&plan)), (2, vec![(1, 0)]));
    }

    #[test]
    fn an_answer_that_comes_late_changes_nothing() {
        let mut subscription = reading(&[1]);
        let mut fetch = Fetch::new(limits());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        subscription
            .seek(at(0), &tp(0), Start::Offset(500))
            .unwrap();
        let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
        fetch.handle_answer(at(0), 0, &plan, Ok(response.clone()), &mut subscription);
        assert!(fetch.take(&subscription).is_none());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        assert_eq!(offsets(&plan), [(0, 500)]);
        // The same answer twice.
        let response = answer(vec![data(0, bytes_of(&[batch(500, 9)]))]);
        fetch.handle_answer(at(0), 0, &plan, Ok(response.clone()), &mut subscription);
        fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
        assert!(fetch.take(&subscription).is_some());
        assert!(fetch.take(&subscription).is_none());
    }

    #[test]
    fn a_seek_drops_what_lies_ready() {
        let mut subscription = reading(&[1]);
        let mut fetch = Fetch::new(limits());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
        fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
        assert!(fetch.has_ready(&subscription));
        subscription.seek(at(0), &tp(0), Start::Offset(3)).unwrap();
        assert!(!fetch.has_ready(&subscription));
        assert!(fetch.take(&subscription).is_none());
        assert_eq!(fetch.buffered, 0);
    }

    #[test]
    fn errors_of_partitions_and_of_nodes_wait_their_time_with_a_name() {
        let mut subscription = reading(&[1, 1]);
        let mut fetch = Fetch::new(limits());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        let response = answer(vec![
            failed(0, ErrorCode::TOPIC_AUTHORIZATION_FAILED),
            failed(1, ErrorCode::UNKNOWN_TOPIC_ID),
        ]);
        fetch.handle_answer(at(0), 200, &plan, Ok(response), &mut subscription);
        let error = subscription.poll_error().unwrap();
        assert_eq!(
            error.broker_code(),
            Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
        );
        assert!(subscription.poll_error().is_none());
        assert_eq!(fetch.poll(at(0), &mut subscription), None);
        let plan = fetch.poll(at(1), &mut subscription).unwrap();
        assert_eq!(offsets(&plan), [(1, 0)]);

        let broken = Error::new(ErrorKind::Disconnected, "gone");
        fetch.handle_answer(at(1), 200, &plan, Err(broken), &mut subscription);
        assert_eq!(fetch.poll(at(1), &mut subscription), None);
        assert_eq!(fetch.poll_deadline(at(1)), Some(at(2)));
        let state = fetch.state_of(at(1), &tp(1), (2, 0), 1);
        assert_eq!(state, PartitionState::Broker);
        assert!(fetch.poll(at(2), &mut subscription).is_some());
    }

    #[test]
    fn a_cut_batch_alone_in_an_answer_is_asked_for_first_and_then_named() {
        let mut subscription = reading(&[1, 1]);
        let mut fetch = Fetch::new(limits());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        let half = bytes_of(&[batch(0, 9)]).slice(..40);
        let response = answer(vec![
            data(0, bytes_of(&[batch(0, 9)])),
            data(1, half.clone()),
        ]);
        fetch.handle_answer(at(0), 200, &plan, Ok(response), &mut subscription);
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        assert_eq!(offsets(&plan), [(1, 0), (0, 10)]);
        let response = answer(vec![data(1, half)]);
        fetch.handle_answer(at(0), 200, &plan, Ok(response), &mut subscription);
        let partition = subscription.partition(&tp(1)).unwrap();
        let error = partition.last_error.clone().unwrap();
        assert!(error.to_string().contains("fetch.max.bytes"), "{error}");
        assert!(partition.waits_until(at(0)).is_some());
    }

    #[test]
    fn revoked_partitions_leave_nothing_behind() {
        let mut subscription = reading(&[1]);
        let mut fetch = Fetch::new(limits());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
        fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
        assert_eq!(subscription.revoke_all(), BTreeSet::from([tp(0)]));
        assert!(fetch.take(&subscription).is_none());
        assert_eq!(fetch.buffered, 0);
    }
}
