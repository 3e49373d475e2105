//! Fetch, versions 4 to 18: batches from partitions, which go by topic id from version 13 on. An
//! answer with too little in it waits for more, woken by the partitions themselves. A reader with a
//! session (KIP-227) names what has changed since its last request, and is told what is new.
//!
//! Not here: reading from followers, of which there are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use kafka_protocol::{ErrorCode, Uuid};

use crate::control::subjects::About;
use crate::handler::call::{Call, Endpoint, Handler, Later, Outcome};
use crate::handler::detached::detached;
use crate::handler::each_once::each_once;
use crate::handler::fetch_partition::{Answer, Reader};
use crate::handler::topic_ref::find_topic;
use crate::log::FileStretch;
use crate::state::fetch_sessions::{Session, SessionKey, Told, Wanted};
use crate::state::node::Node;
use crate::state::partition::{Partition, Watcher};
use crate::state::signal::Signal;
use crate::state::time::Now;

/// Fetch.
#[derive(Debug)]
pub(crate) struct Fetch;

impl Handler for Fetch {
    type Request = FetchRequest;

    fn recall(call: &Call, request: &mut FetchRequest) {
        let Some(session) = call.node.fetch_sessions.find(request.session_id) else {
            return;
        };
        for (key, _) in session.wanted() {
            let mut partition = FetchPartition::default();
            partition.partition = key.index;
            let mut topic = FetchTopic::default();
            topic.topic = key.topic;
            topic.topic_id = key.topic_id;
            topic.partitions.push(partition);
            request.topics.push(topic);
        }
    }

    fn handle(call: &Call, request: FetchRequest) -> Outcome<FetchResponse> {
        let scope = match scope_of(call, &request) {
            Ok(scope) => scope,
            Err(error) => {
                let mut response = FetchResponse::default();
                response.error_code = error.code();
                return Outcome::Ready(response);
            }
        };
        let mut pending = Pending::new(call, &request, scope);
        match pending.try_answer(call.now) {
            Some(response) => Outcome::Spliced(response, pending.take_stretches()),
            None => {
                pending.watch();
                Outcome::Later(Box::new(pending))
            }
        }
    }
}

/// What a request is about.
struct Scope {
    partitions: Vec<(SessionKey, Wanted)>,
    session: Option<Arc<Session>>,
    /// Whether the reader knows what it was told before.
    is_incremental: bool,
}

fn scope_of(call: &Call, request: &FetchRequest) -> Result<Scope, ErrorCode> {
    let by_id = call.version >= 13;
    let sessions = &call.node.fetch_sessions;
    let named = named(request, by_id);
    match request.session_epoch {
        // To begin anew and to do without both end the session before.
        epoch @ (0 | -1) => {
            sessions.close(request.session_id);
            let random =
                || i32::from_be_bytes(*call.node.random().first_chunk().unwrap_or(&[0; 4]));
            let session = match epoch {
                0 => sessions.open(&named, by_id, call.now.elapsed, random),
                _ => None,
            };
            Ok(Scope {
                partitions: named,
                session,
                is_incremental: false,
            })
        }
        epoch => {
            let request_id = (request.session_id, epoch);
            let forgotten = forgotten(request, by_id);
            let session =
                sessions.resume(request_id, by_id, named, &forgotten, call.now.elapsed)?;
            Ok(Scope {
                partitions: session.wanted(),
                is_incremental: true,
                session: Some(session).filter(|session| !session.is_empty()),
            })
        }
    }
}

/// The partitions that a request names, and what it wants of them.
fn named(request: &FetchRequest, by_id: bool) -> Vec<(SessionKey, Wanted)> {
    let mut named = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let wanted = Wanted {
                offset: partition.fetch_offset,
                max_bytes: partition.partition_max_bytes,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
            };
            let index = partition.partition;
            named.push((key(by_id, &topic.topic, topic.topic_id, index), wanted));
        }
    }
    named
}

fn forgotten(request: &FetchRequest, by_id: bool) -> Vec<SessionKey> {
    let topics = request.forgotten_topics_data.iter();
    let keys = topics.flat_map(|topic| {
        let indexes = topic.partitions.iter();
        indexes.map(|index| key(by_id, &topic.topic, topic.topic_id, *index))
    });
    keys.collect()
}

fn key(by_id: bool, topic: &ByteString, topic_id: Uuid, index: i32) -> SessionKey {
    SessionKey {
        // A name that is kept must not keep the request that it came in.
        topic: if by_id {
            ByteString::new()
        } else {
            detached(topic)
        },
        topic_id,
        index,
    }
}

/// A fetch until it is answered.
struct Pending {
    node: Arc<Node>,
    endpoint: Arc<Endpoint>,
    version: i16,
    readers: Vec<(SessionKey, Reader)>,
    session: Option<Arc<Session>>,
    is_incremental: bool,
    min_bytes: usize,
    max_bytes: usize,
    deadline: Duration,
    watch: Arc<Watch>,
    /// The same, as partitions know it; `None` until it is needed.
    watcher: Option<Arc<dyn Watcher>>,
    /// What the answer has placeholders for.
    stretches: Vec<FileStretch>,
}

impl Pending {
    fn new(call: &Call, request: &FetchRequest, scope: Scope) -> Self {
        let count = |number: i32| usize::try_from(number).unwrap_or_default();
        let table = call.node.topics().table();
        let committed = request.isolation_level == READ_COMMITTED;
        let max_bytes = count(request.max_bytes).min(call.node.config.fetch_max_bytes);
        let by_id = call.version >= 13;
        let readers = scope.partitions.into_iter().map(|(key, wanted)| {
            let about = About::topic_by(&key.topic, key.topic_id).partition(key.index);
            let found = find_topic(&table, by_id, &key.topic, key.topic_id);
            let found = found.as_ref().map_err(|code| *code);
            let found = call.admit(about).and(found);
            let reader = Reader::new(found, key.index, wanted, committed);
            (key, reader)
        });
        let readers = readers.collect();
        let wait_max = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        Self {
            node: Arc::clone(&call.node),
            endpoint: Arc::clone(&call.endpoint),
            version: call.version,
            readers,
            session: scope.session,
            is_incremental: scope.is_incremental,
            min_bytes: count(request.min_bytes).min(max_bytes),
            max_bytes,
            deadline: call.now.elapsed + wait_max,
            watch: Arc::new(Watch {
                signal: Signal::new(),
                missing: AtomicUsize::new(0),
            }),
            watcher: None,
            stretches: Vec::new(),
        }
    }

    /// The answer, if there is enough for one or no more time.
    fn try_answer(&mut self, now: Now) -> Option<FetchResponse> {
        // An append while this looks is reason enough to look again.
        self.watch.missing.store(0, Ordering::Release);
        let mut room = self.max_bytes;
        let mut found = 0;
        let mut urgent = now.elapsed >= self.deadline;
        let mut answers = Vec::with_capacity(self.readers.len());
        for (_, reader) in &self.readers {
            let answer = reader.find(room, found == 0);
            found += answer.len();
            room = room.saturating_sub(answer.len());
            urgent |= answer.is_urgent();
            answers.push(answer);
        }
        if !urgent && found < self.min_bytes {
            self.watch
                .missing
                .store(self.min_bytes - found, Ordering::Release);
            return None;
        }
        Some(self.load(answers))
    }

    /// Reads what was found and puts it into an answer.
    fn load(&mut self, answers: Vec<Answer>) -> FetchResponse {
        let node_id = self.node.config.node_id;
        let mut response = FetchResponse::default();
        response.session_id = self.session.as_ref().map_or(0, |session| session.id);
        let mut moved = false;
        for ((key, reader), answer) in std::mem::take(&mut self.readers).into_iter().zip(answers) {
            let (partition, stretch) = read(self.version, node_id, &reader, answer);
            if !self.is_worth_telling(&key, &partition) {
                continue;
            }
            self.stretches.extend(stretch);
            moved |= partition.current_leader.leader_id >= 0;
            put(&mut response.responses, key, partition);
        }
        if moved && self.version >= 16 {
            let endpoint = &self.endpoint;
            let mut row = NodeEndpoint::default();
            row.node_id = node_id;
            row.host = endpoint.host.clone();
            row.port = i32::from(endpoint.port);
            row.rack = self.node.config.rack.as_deref().map(Into::into);
            response.node_endpoints.push(row);
        }
        response
    }

    /// Whether an answer says of a partition what the reader cannot know.
    fn is_worth_telling(&self, key: &SessionKey, partition: &PartitionData) -> bool {
        let Some(session) = &self.session else {
            return true;
        };
        let is_sound = partition.error_code == 0 && partition.diverging_epoch.epoch < 0;
        let told = is_sound.then_some(Told {
            high_watermark: partition.high_watermark,
            last_stable_offset: partition.last_stable_offset,
            log_start_offset: partition.log_start_offset,
        });
        let has_batches = partition
            .records
            .as_ref()
            .is_some_and(|all| !all.is_empty());
        session.tell(key, told, has_batches) || !self.is_incremental
    }

    /// From now on appends to the partitions are heard. What came before is found by the next look.
    fn watch(&mut self) {
        let watcher: Arc<dyn Watcher> = Arc::<Watch>::clone(&self.watch);
        for partition in self.partitions() {
            partition.watch(&watcher);
        }
        self.watcher = Some(watcher);
    }

    /// To watch a partition as often as a request may name it would cost the square of that.
    fn partitions(&self) -> Vec<Arc<Partition>> {
        let readers = self.readers.iter().map(|(_, reader)| reader);
        each_once(readers.filter_map(Reader::partition).cloned(), Arc::as_ptr).collect()
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

    fn take_stretches(&mut self) -> Vec<FileStretch> {
        std::mem::take(&mut self.stretches)
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

/// Puts a partition into the row of its topic: the last one, or a new one.
fn put(rows: &mut Vec<FetchableTopicResponse>, key: SessionKey, partition: PartitionData) {
    if let Some(row) = rows.last_mut()
        && row.topic == key.topic
        && row.topic_id == key.topic_id
    {
        row.partitions.push(partition);
        return;
    }
    let mut row = FetchableTopicResponse::default();
    row.topic = key.topic;
    row.topic_id = key.topic_id;
    row.partitions.push(partition);
    rows.push(row);
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

fn read(
    version: i16,
    node_id: i32,
    reader: &Reader,
    answer: Answer,
) -> (PartitionData, Option<FileStretch>) {
    let mut row = PartitionData::default();
    let mut stretch = None;
    row.partition_index = reader.index;
    match answer.load() {
        Ok(batches) => {
            row.high_watermark = batches.marks.high_watermark;
            row.last_stable_offset = batches.marks.last_stable_offset;
            row.log_start_offset = batches.marks.log_start_offset;
            row.records = Some(batches.records);
            stretch = batches.stretch;
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
    (row, stretch)
}

const READ_COMMITTED: i8 = 1;
