//! Fetch, versions 4 to 18: batches from partitions, which go by topic id from version 13 on. An
//! answer with too little in it waits for more, woken by the partitions themselves.
//!
//! Not here: fetch sessions, which are declined, so that every request names all its partitions; and
//! reading from followers, of which there are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Later, Outcome};
use crate::handler::fetch_partition::{Answer, Reader};
use crate::handler::topic_ref::find_topic;
use crate::state::node::Node;
use crate::state::partition::{Partition, Watcher};
use crate::state::signal::Signal;
use crate::state::time::Now;

/// Fetch.
#[derive(Debug)]
pub(crate) struct Fetch;

impl Handler for Fetch {
    type Request = FetchRequest;

    fn handle(call: &Call, request: FetchRequest) -> Outcome<FetchResponse> {
        if let Some(error) = check_session(&request) {
            let mut response = FetchResponse::default();
            response.error_code = error.code();
            return Outcome::Ready(response);
        }
        let mut pending = Pending::new(call, request);
        match pending.try_answer(call.now) {
            Some(response) => Outcome::Ready(response),
            None => {
                pending.watch();
                Outcome::Later(Box::new(pending))
            }
        }
    }
}

/// Sessions are never begun, so that only requests without one are right.
fn check_session(request: &FetchRequest) -> Option<ErrorCode> {
    match (request.session_id, request.session_epoch) {
        (_, 0 | -1) => None,
        (0, _) => Some(ErrorCode::INVALID_FETCH_SESSION_EPOCH),
        _ => Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
    }
}

/// A fetch until it is answered.
struct Pending {
    node: Arc<Node>,
    version: i16,
    readers: Vec<(FetchableTopicResponse, Vec<Reader>)>,
    min_bytes: usize,
    max_bytes: usize,
    deadline: Duration,
    watch: Arc<Watch>,
    /// The same, as partitions know it; `None` until it is needed.
    watcher: Option<Arc<dyn Watcher>>,
}

impl Pending {
    fn new(call: &Call, request: FetchRequest) -> Self {
        let count = |number: i32| usize::try_from(number).unwrap_or_default();
        let table = call.node.topics().table();
        let committed = request.isolation_level == READ_COMMITTED;
        let max_bytes = count(request.max_bytes).min(call.node.config.fetch_max_bytes);
        let mut readers = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let found = find_topic(&table, call.version >= 13, &topic.topic, topic.topic_id);
            let partitions = topic
                .partitions
                .into_iter()
                .map(|partition| {
                    let about = About::topic_by(&topic.topic, topic.topic_id);
                    let admitted = call.admit(about.partition(partition.partition));
                    let found = found.as_ref().map_err(|code| *code);
                    let found = admitted.and(found);
                    Reader::new(found, partition, committed)
                })
                .collect();
            let mut row = FetchableTopicResponse::default();
            row.topic = topic.topic;
            row.topic_id = topic.topic_id;
            readers.push((row, partitions));
        }
        let wait_max = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        Self {
            node: Arc::clone(&call.node),
            version: call.version,
            readers,
            min_bytes: count(request.min_bytes).min(max_bytes),
            max_bytes,
            deadline: call.now.elapsed + wait_max,
            watch: Arc::new(Watch {
                signal: Signal::new(),
                missing: AtomicUsize::new(0),
            }),
            watcher: None,
        }
    }

    /// The answer, if there is enough for one or no more time.
    fn try_answer(&mut self, now: Now) -> Option<FetchResponse> {
        // An append while this looks is reason enough to look again.
        self.watch.missing.store(0, Ordering::Release);
        let mut room = self.max_bytes;
        let mut found = 0;
        let mut urgent = now.elapsed >= self.deadline;
        let mut topics = Vec::with_capacity(self.readers.len());
        for (_, readers) in &self.readers {
            let mut answers = Vec::with_capacity(readers.len());
            for reader in readers {
                let answer = reader.find(room, found == 0);
                found += answer.len();
                room = room.saturating_sub(answer.len());
                urgent |= answer.is_urgent();
                answers.push(answer);
            }
            topics.push(answers);
        }
        if !urgent && found < self.min_bytes {
            self.watch
                .missing
                .store(self.min_bytes - found, Ordering::Release);
            return None;
        }
        Some(self.load(topics))
    }

    /// Reads what was found and puts it into an answer.
    fn load(&mut self, topics: Vec<Vec<Answer>>) -> FetchResponse {
        let node_id = self.node.config.node_id;
        let mut response = FetchResponse::default();
        let mut moved = false;
        for ((row, readers), answers) in std::mem::take(&mut self.readers).into_iter().zip(topics) {
            let mut row = row;
            for (reader, answer) in readers.into_iter().zip(answers) {
                let partition = read(self.version, node_id, &reader, answer);
                moved |= partition.current_leader.leader_id >= 0;
                row.partitions.push(partition);
            }
            response.responses.push(row);
        }
        if moved && self.version >= 16 {
            let endpoint = self.node.endpoint();
            let mut row = NodeEndpoint::default();
            row.node_id = node_id;
            row.host = endpoint.host.clone();
            row.port = i32::from(endpoint.port);
            row.rack = self.node.config.rack.as_deref().map(Into::into);
            response.node_endpoints.push(row);
        }
        response
    }

    /// From now on appends to the partitions are heard. What came before is found by the next look.
    fn watch(&mut self) {
        let watcher: Arc<dyn Watcher> = Arc::<Watch>::clone(&self.watch);
        for partition in self.partitions() {
            partition.watch(&watcher);
        }
        self.watcher = Some(watcher);
    }

    fn partitions(&self) -> Vec<Arc<Partition>> {
        let readers = self.readers.iter().flat_map(|(_, readers)| readers);
        each_once(readers.filter_map(Reader::partition).cloned())
    }
}

impl Later<FetchResponse> for Pending {
    fn signal(&self) -> &Arc<Signal> {
        &self.watch.signal
    }

    fn deadline(&self) -> Option<Duration> {
        Some(self.deadline)
    }

    fn poll(&mut self, now: Now) -> Option<FetchResponse> {
        let partitions = self.partitions();
        let response = self.try_answer(now)?;
        if let Some(watcher) = self.watcher.take() {
            partitions
                .iter()
                .for_each(|partition| partition.unwatch(&watcher));
        }
        Some(response)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            self.partitions()
                .iter()
                .for_each(|partition| partition.unwatch(&watcher));
        }
    }
}

/// A request may name a partition as often as it likes; to watch it as often would cost the square of that.
fn each_once<T>(all: impl Iterator<Item = Arc<T>>) -> Vec<Arc<T>> {
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(Arc::as_ptr);
    all.dedup_by(|a, b| Arc::ptr_eq(a, b));
    all
}

/// What partitions tell of appends, and when that is enough.
#[derive(Debug)]
struct Watch {
    signal: Arc<Signal>,
    /// How many bytes more would be enough.
    missing: AtomicUsize,
}

impl Watcher for Watch {
    fn handle_append(&self, bytes: usize) {
        let take = |missing: usize| Some(missing.saturating_sub(bytes));
        let before = self
            .missing
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        if before.is_ok_and(|before| before <= bytes) {
            self.signal.raise();
        }
    }

    fn handle_change(&self) {
        self.signal.raise();
    }
}

fn read(version: i16, node_id: i32, reader: &Reader, answer: Answer) -> PartitionData {
    let mut row = PartitionData::default();
    row.partition_index = reader.index;
    match answer.load(version) {
        Ok(batches) => {
            row.high_watermark = batches.marks.high_watermark;
            row.last_stable_offset = batches.marks.last_stable_offset;
            row.log_start_offset = batches.marks.log_start_offset;
            row.records = Some(batches.records);
            if let Some(end) = batches.diverging {
                row.diverging_epoch.epoch = end.epoch;
                row.diverging_epoch.end_offset = end.end_offset;
            }
            row.aborted_transactions = batches.aborted.map(|aborted| {
                let rows = aborted.into_iter().map(|one| {
                    let mut row = AbortedTransaction::default();
                    row.producer_id = one.producer_id;
                    row.first_offset = one.first_offset;
                    row
                });
                rows.collect()
            });
        }
        Err(failure) => {
            let mut code = failure.code;
            if code == ErrorCode::KAFKA_STORAGE_ERROR && version <= 5 {
                code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
            }
            if code == ErrorCode::FENCED_LEADER_EPOCH && version >= 16 {
                row.current_leader.leader_id = node_id;
                row.current_leader.leader_epoch = reader
                    .partition()
                    .map_or(-1, |partition| partition.leader_epoch);
            }
            // Kafka lists none for a partition that there is not, and says nothing for one that refuses.
            if code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && code != ErrorCode::UNKNOWN_TOPIC_ID
            {
                row.aborted_transactions = None;
            }
            row.error_code = code.code();
            let marks = failure.marks;
            row.high_watermark = marks.map_or(-1, |marks| marks.high_watermark);
            row.last_stable_offset = marks.map_or(-1, |marks| marks.last_stable_offset);
            row.log_start_offset = marks.map_or(-1, |marks| marks.log_start_offset);
            row.records = Some(Default::default());
        }
    }
    row
}

const READ_COMMITTED: i8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_is_named_often_is_watched_once() {
        let (one, two) = (Arc::new(1), Arc::new(2));
        let named = [&one, &two, &one, &one, &two].map(Arc::clone);
        let mut once: Vec<_> = each_once(named.into_iter()).iter().map(|p| **p).collect();
        once.sort_unstable();
        assert_eq!(once, [1, 2]);
    }
}
