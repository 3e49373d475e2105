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
            if !self.has_room(share) && !self.make_room(now, share, subscription) {
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

    /// Gives up what lies ready of earlier stints, and of paused partitions, so that they cannot starve the
    /// others: that is fetched again when they are resumed.
    fn make_room(&mut self, now: Instant, share: usize, subscription: &mut Subscription) -> bool {
        let mut kept = VecDeque::with_capacity(self.ready.len());
        for run in std::mem::take(&mut self.ready) {
            let partition = subscription.partition_mut(&run.partition);
            match partition.filter(|partition| partition.stint == run.stint) {
                Some(partition) if !partition.paused => kept.push_back(run),
                Some(partition) => {
                    self.buffered = self.buffered.saturating_sub(run.size);
                    if let Some(position) = partition.position()
                        && run.from < position.offset
                    {
                        let epoch = -1;
                        let offset = run.from;
                        partition.enter(now, Phase::Reading(Position { offset, epoch }));
                    }
                }
                None => self.buffered = self.buffered.saturating_sub(run.size),
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

    /// Drops what lies ready of a stint: what comes before it cannot be read.
    pub(crate) fn drop_ready(&mut self, stint: u64) {
        let buffered = &mut self.buffered;
        self.ready.retain(|run| {
            let other = run.stint != stint;
            if !other {
                *buffered = buffered.saturating_sub(run.size);
            }
            other
        });
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
mod tests;
