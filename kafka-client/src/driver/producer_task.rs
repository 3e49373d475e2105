//! Moves batches from the partitions' queues to their leaders and tells their fate.
//!
//! One step, [`Core::turn`], does everything and never waits: who finds something to do runs it, be it the
//! producer's task at the end of a linger, the reader of a connection with an answer in its hand, or the
//! caller of a send without linger. Only one at a time; the others leave a note that it is to be run again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use kafka_protocol::compression::{Compression, Compressor};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};
use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp, set_producer};
use kafka_protocol::request::{Message as _, Request as _};
use kafka_protocol::{ErrorCode, Uuid};
use tokio::sync::Notify;

use crate::config::producer::{Acks, ProducerConfig};
use crate::driver::budget::Budget;
use crate::driver::clock;
use crate::driver::cluster_task::{ClusterHandle, Target};
use crate::driver::connection_task::{Connection, Reply, decode};
use crate::driver::delivery::{BatchCompletion, BulkTicket, Delivered, SplitCompletion};
use crate::driver::producer_task::outgoing::{Outcome, Outgoing, Part, UNKNOWN_PLACE};
use crate::driver::producer_task::topic_state::{PartitionState, Queue, QueuedBatch, TopicState};
use crate::driver::tasks::{Tasks, closed};
use crate::error::{Error, ErrorKind, Result};
use crate::machine::cluster::{ClusterView, Topic};
use crate::machine::producer::partition_queue::{Appended, Begun, Content, Limits, PartitionQueue};
use crate::machine::producer::split::split;
use crate::machine::time::{Duration, Instant};
use crate::record::Record;

pub(crate) mod outgoing;
pub(crate) mod topic_state;

/// What the handles of a producer and its task share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) cluster: ClusterHandle,
    pub(crate) config: ProducerConfig,
    pub(crate) budget: Budget,
    pub(crate) tasks: Arc<Tasks>,
    limits: Limits,
    topics: Mutex<BTreeMap<ByteString, Arc<TopicState>>>,
    /// Partitions that have something to send.
    active: Mutex<Vec<Arc<PartitionState>>>,
    buffers: Mutex<Vec<Vec<u8>>>,
    turn: Mutex<Turn>,
    turn_again: AtomicBool,
    /// How many wait for room: while there are any, batches leave without lingering.
    waiting_for_room: AtomicUsize,
    /// Sequences have a hole: the producer needs a new identity.
    identity_is_stale: AtomicBool,
    wake: Notify,
    /// When the task will look again by itself, in microseconds since the start.
    task_wakes_at: AtomicU64,
    started: Mutex<bool>,
    /// Takes no more records.
    closed: Mutex<bool>,
}

/// What only the one who runs a turn may touch.
#[derive(Debug)]
struct Turn {
    identity: Identity,
    nodes: BTreeMap<i32, Node>,
    compressor: Option<Compressor>,
}

#[derive(Debug, Default)]
struct Node {
    in_flight: Arc<AtomicUsize>,
    connecting: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    /// The producer needs none.
    Unused,
    /// None yet, or the old one is of no use: a new one is asked for once nothing is in flight.
    Wanted,
    /// Asked for.
    Coming,
    /// Assigned by the cluster.
    Known { producer_id: i64, epoch: i16 },
}

impl Core {
    /// Does no I/O.
    ///
    /// # Errors
    ///
    /// If the codec is not built in.
    pub(crate) fn new(cluster: ClusterHandle, config: ProducerConfig) -> Result<Arc<Self>> {
        let compressor = match config.compression {
            Compression::None => None,
            codec => Some(Compressor::new(codec).map_err(|error| {
                Error::new(ErrorKind::Config, "compression.type").with_source(error)
            })?),
        };
        let limits = Limits {
            batch_bytes: config.batch_bytes,
            batch_bytes_max: config.request_bytes_max
                - REQUEST_OVERHEAD.min(config.request_bytes_max / 2),
            linger: config.linger,
            delivery_timeout: config.delivery_timeout,
            in_flight_max: config.in_flight_max,
            idempotent: config.idempotence,
        };
        let identity = if config.idempotence {
            Identity::Wanted
        } else {
            Identity::Unused
        };
        Ok(Arc::new(Self {
            budget: Budget::new(config.buffer_bytes),
            tasks: Arc::new(Tasks::new()),
            limits,
            topics: Mutex::default(),
            active: Mutex::default(),
            buffers: Mutex::default(),
            turn: Mutex::new(Turn {
                identity,
                nodes: BTreeMap::new(),
                compressor,
            }),
            turn_again: AtomicBool::new(false),
            waiting_for_room: AtomicUsize::new(0),
            identity_is_stale: AtomicBool::new(false),
            wake: Notify::new(),
            task_wakes_at: AtomicU64::new(u64::MAX),
            started: Mutex::new(false),
            closed: Mutex::new(false),
            cluster,
            config,
        }))
    }

    /// The state of a topic, made if it is new. No I/O.
    pub(crate) fn topic(&self, name: &str) -> Arc<TopicState> {
        let mut topics = lock(&self.topics);
        if let Some(topic) = topics.get(name) {
            return Arc::clone(topic);
        }
        let name = ByteString::from(name);
        let sticky = u64::from(clock::random()) << 32;
        let topic = Arc::new(TopicState::new(name.clone(), sticky));
        topics.insert(name, Arc::clone(&topic));
        topic
    }

    /// Waits until the partitions of a topic are known.
    ///
    /// # Errors
    ///
    /// As [`ClusterHandle::topic`].
    pub(crate) async fn load(
        self: &Arc<Self>,
        topic: &Arc<TopicState>,
        deadline: Instant,
    ) -> Result<()> {
        self.start()?;
        let mut closing = self.tasks.closing();
        tokio::select! {
            known = self.cluster.topic(&topic.name, deadline) => {
                let known = known?;
                self.extend(topic, &known);
                Ok(())
            }
            () = closed(&mut closing) => Err(closed_before().with_topic(&*topic.name)),
        }
    }

    /// Starts the producer's task, once.
    pub(crate) fn start(self: &Arc<Self>) -> Result<()> {
        let mut started = lock(&self.started);
        if !*started {
            let core = Arc::clone(self);
            let end = UnexpectedEnd(Some(Arc::clone(self)));
            let (mut closing, mut client_closing) = (self.tasks.closing(), self.cluster.closing());
            self.tasks.spawn(async move {
                tokio::select! {
                    () = Arc::clone(&core).run() => {}
                    () = closed(&mut closing) => {}
                    () = closed(&mut client_closing) => {
                        core.close(&Error::new(ErrorKind::Closed, "the client was closed"));
                    }
                }
                end.was_expected();
            })?;
            *started = true;
        }
        if self.tasks.is_homeless() {
            return self.tasks.check_open();
        }
        if self.tasks.is_closing() {
            return Err(closed_before());
        }
        self.cluster.start()
    }

    /// Encodes a record into its partition's open batch and sees to it that the batch leaves in time.
    pub(crate) fn append(
        self: &Arc<Self>,
        partition: &Arc<PartitionState>,
        record: &Record<'_>,
    ) -> Appended<Arc<BatchCompletion>> {
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(clock::wall_clock_ms);
        let appended = self.append_under(&mut partition.queue(), partition, timestamp_ms, record);
        self.follow_up(partition, &appended);
        appended
    }

    /// Encodes records under one lock, as long as they `stay` with this partition; each is added to the ticket.
    /// Stops at the first that does not go in. Says how many went in, and what became of that one.
    pub(crate) fn append_all(
        self: &Arc<Self>,
        partition: &Arc<PartitionState>,
        records: &[Record<'_>],
        stays: impl Fn(&Record<'_>) -> bool,
        ticket: &mut BulkTicket,
    ) -> (usize, Option<Appended<Arc<BatchCompletion>>>) {
        let now_ms = clock::wall_clock_ms();
        let (mut any_opened, mut any_worth_sending) = (false, false);
        let mut queue = partition.queue();
        let (mut done, mut stopped) = (0, None);
        for record in records.iter().take_while(|record| stays(record)) {
            let timestamp_ms = record.timestamp_ms.unwrap_or(now_ms);
            match self.append_under(&mut queue, partition, timestamp_ms, record) {
                Appended::In {
                    completion,
                    opened,
                    worth_sending,
                    ..
                } => {
                    ticket.add(&completion);
                    any_opened |= opened;
                    any_worth_sending |= worth_sending;
                    done += 1;
                }
                other => {
                    stopped = Some(other);
                    break;
                }
            }
        }
        drop(queue);
        self.noticed(partition, any_opened, any_worth_sending);
        (done, stopped)
    }

    fn append_under(
        &self,
        queue: &mut Queue,
        partition: &PartitionState,
        timestamp_ms: i64,
        record: &Record<'_>,
    ) -> Appended<Arc<BatchCompletion>> {
        let reserve = |bytes| self.budget.try_take(bytes);
        let begin = || Begun {
            created: clock::now(),
            builder: BatchBuilder::new(self.buffer(), BatchOptions::new()),
            completion: Arc::new(BatchCompletion::new(partition.index)),
        };
        queue.append(timestamp_ms, record, reserve, begin)
    }

    fn follow_up(
        self: &Arc<Self>,
        partition: &Arc<PartitionState>,
        appended: &Appended<Arc<BatchCompletion>>,
    ) {
        match appended {
            Appended::In {
                opened,
                worth_sending,
                ..
            } => {
                self.noticed(partition, *opened, *worth_sending);
            }
            Appended::Full | Appended::TooLarge { .. } | Appended::Closed => {}
        }
    }

    fn noticed(
        self: &Arc<Self>,
        partition: &Arc<PartitionState>,
        opened: bool,
        worth_sending: bool,
    ) {
        if !opened && !worth_sending {
            return;
        }
        if opened {
            self.activate(partition);
            if self.config.linger.is_zero() {
                // Nobody is to be waited for: the caller itself seals and writes.
                return self.turn();
            }
        }
        if worth_sending || self.task_sleeps_past(self.config.linger) {
            self.wake.notify_one();
        }
    }

    fn activate(&self, partition: &Arc<PartitionState>) {
        if !partition.is_active.swap(true, Ordering::AcqRel) {
            lock(&self.active).push(Arc::clone(partition));
        }
    }

    /// Waits until something was given back to the budget, at most until `deadline`. Meanwhile nothing lingers.
    /// Says whether it came to that.
    pub(crate) async fn room(&self, freed: impl Future<Output = ()>, deadline: Instant) -> bool {
        self.waiting_for_room.fetch_add(1, Ordering::AcqRel);
        let _waiting = WaitingForRoom(&self.waiting_for_room);
        self.wake.notify_one();
        clock::before(deadline, freed).await.is_some()
    }

    fn task_sleeps_past(&self, linger: Duration) -> bool {
        let due = (clock::now() + linger).since_start().as_micros();
        u128::from(self.task_wakes_at.load(Ordering::Acquire)) > due
    }

    /// Closes all open batches and waits until everything that was handed over before has met its fate.
    pub(crate) async fn flush(self: &Arc<Self>) {
        let mut pending = Vec::new();
        for partition in self.partitions() {
            pending.extend(partition.queue().flush());
        }
        self.turn();
        for completion in pending {
            completion.settled().await;
        }
    }

    /// Fails everything that is not in flight, and takes nothing more. Says how many records failed.
    pub(crate) fn close(&self, error: &Error) -> usize {
        *lock(&self.closed) = true;
        let mut abandoned = 0;
        for partition in self.partitions() {
            let batches = partition.queue().close();
            for batch in batches {
                abandoned += batch.record_count as usize;
                self.fail(&partition, batch, error.clone());
            }
        }
        abandoned
    }

    /// All partitions that are known by now.
    fn partitions(&self) -> Vec<Arc<PartitionState>> {
        let topics = lock(&self.topics);
        let tables = topics.values().filter_map(|topic| topic.partitions());
        tables.flatten().cloned().collect()
    }

    /// Fails everything that is not in flight, as it cannot be sent.
    fn abandon(&self, error: &Error) {
        let active = std::mem::take(&mut *lock(&self.active));
        for partition in active {
            let batches = {
                let mut queue = partition.queue();
                partition.is_active.store(false, Ordering::Release);
                queue.poll_abandoned()
            };
            for batch in batches {
                self.fail(&partition, batch, error.clone());
            }
        }
    }

    /// The producer's task: a turn whenever somebody calls, a linger ends, or the cluster changes.
    async fn run(self: Arc<Self>) {
        let mut views = self.cluster.watch();
        loop {
            // Whoever opens a batch from here on, and may not be seen below, wakes the task.
            self.task_wakes_at.store(u64::MAX, Ordering::Release);
            // What becomes due between turn and deadline must not be missed.
            let now = clock::now();
            self.turn();
            let deadline = self.next_deadline(now);
            let wakes_at = deadline.map_or(u64::MAX, |at| {
                u64::try_from(at.since_start().as_micros()).unwrap_or(u64::MAX)
            });
            self.task_wakes_at.store(wakes_at, Ordering::Release);
            tokio::select! {
                () = self.wake.notified() => {}
                () = clock::sleep_until_some(deadline) => {}
                changed = views.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.learn(&views.borrow_and_update().clone());
                }
            }
        }
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let active = lock(&self.active);
        active
            .iter()
            .filter_map(|partition| partition.queue().poll_deadline(now))
            .min()
    }

    /// Takes over new partitions of topics that are in use.
    fn learn(&self, view: &ClusterView) {
        let topics: Vec<_> = lock(&self.topics).values().cloned().collect();
        for topic in topics {
            if let Some(known) = view.topic(&topic.name) {
                self.extend(&topic, known);
            }
        }
    }

    fn extend(&self, topic: &Arc<TopicState>, known: &Topic) {
        // Partitions are numbered from 0 on without holes; a description with holes is not believed.
        let count = known
            .partitions
            .iter()
            .enumerate()
            .take_while(|(at, partition)| usize::try_from(partition.index) == Ok(*at))
            .count();
        // Held while the topic grows: a close sees the new partitions, or they are closed here.
        let closed = lock(&self.closed);
        topic.grow(count, || {
            let mut queue = PartitionQueue::new(self.limits);
            if *closed {
                queue.close();
            }
            (queue, self.cluster.backoff())
        });
    }

    /// Does all there is to do now. Never waits.
    pub(crate) fn turn(self: &Arc<Self>) {
        self.turn_again.store(true, Ordering::Release);
        loop {
            // Between the note and a look at the lock here, between the end of the lock and a look at the note
            // there: one of the two sees what the other did.
            fence(Ordering::SeqCst);
            if !self.turn_again.load(Ordering::Acquire) {
                return;
            }
            // Who holds the lock looks at the note again after letting go of it.
            let Ok(mut turn) = self.turn.try_lock() else {
                return;
            };
            self.turn_again.store(false, Ordering::Release);
            self.turn_once(&mut turn);
        }
    }

    fn turn_once(self: &Arc<Self>, turn: &mut Turn) {
        let now = clock::now();
        let active = lock(&self.active).clone();
        if active.is_empty() {
            return;
        }
        for partition in &active {
            let expired = partition.queue().poll_expired(now);
            for batch in expired {
                self.expire(partition, batch);
            }
        }
        if self.identity_is_stale.swap(false, Ordering::AcqRel)
            && matches!(turn.identity, Identity::Known { .. })
        {
            turn.identity = Identity::Wanted;
        }
        if self.has_identity(turn) {
            let hurry = self.waiting_for_room.load(Ordering::Acquire) > 0;
            let view = self.cluster.view();
            while self.send_round(turn, &view, &active, now, hurry) {}
        }
        self.retire(&active);
    }

    /// Takes partitions without anything to send off the list.
    fn retire(&self, looked_at: &[Arc<PartitionState>]) {
        let mut active = lock(&self.active);
        for partition in looked_at {
            let queue = partition.queue();
            if queue.is_idle() {
                // Under the queue's lock: whoever opens a batch afterwards activates it again.
                partition.is_active.store(false, Ordering::Release);
                drop(queue);
                active.retain(|other| !Arc::ptr_eq(other, partition));
            }
        }
    }

    /// One batch of every partition that may send, a request per leader. Whether anything was sent.
    fn send_round(
        self: &Arc<Self>,
        turn: &mut Turn,
        view: &ClusterView,
        active: &[Arc<PartitionState>],
        now: Instant,
        hurry: bool,
    ) -> bool {
        let mut requests: BTreeMap<i32, (Connection, Outgoing)> = BTreeMap::new();
        let mut sent = false;
        for partition in active {
            let Some(leader) = view.leader(&partition.topic.name, partition.index) else {
                if !partition.queue().is_idle() {
                    self.cluster.request_refresh();
                }
                continue;
            };
            let node = turn.nodes.entry(leader).or_default();
            if node.in_flight.load(Ordering::Acquire) >= self.config.in_flight_max {
                continue;
            }
            let (connection, outgoing) = match requests.entry(leader) {
                Entry::Occupied(begun) => begun.into_mut(),
                Entry::Vacant(place) => match self.cluster.connected(leader) {
                    Some(connection) => place.insert((connection, Outgoing::default())),
                    None => {
                        self.connect(leader, &node.connecting);
                        continue;
                    }
                },
            };
            let Some(mut batch) = partition.queue().poll_batch(now, hurry) else {
                continue;
            };
            let bytes = self.seal(turn, &mut batch);
            let room = self.config.request_bytes_max.saturating_sub(outgoing.bytes);
            if !outgoing.parts.is_empty() && bytes.len() > room {
                // The request is full: it goes, and the next one begins with this batch.
                self.send(turn, leader, connection, std::mem::take(outgoing));
                sent = true;
            }
            let topic = view.topic(&partition.topic.name);
            let topic_id = topic.map_or(Uuid::ZERO, |topic| topic.id);
            outgoing.add(partition, batch, bytes, topic_id);
        }
        for (leader, (connection, outgoing)) in requests {
            if !outgoing.parts.is_empty() {
                self.send(turn, leader, &connection, outgoing);
                sent = true;
            }
        }
        sent
    }

    /// Gives the batch its producer, its compression and its checksum, once; then it never changes again.
    fn seal(&self, turn: &mut Turn, batch: &mut QueuedBatch) -> Bytes {
        let content = std::mem::replace(&mut batch.content, Content::Sealed(Bytes::new()));
        let bytes = match content {
            Content::Sealed(bytes) => bytes,
            Content::Unsealed(builder) => {
                let stamp = turn.stamp(batch);
                Bytes::from(self.sealed(turn.compressor.as_mut(), builder, stamp))
            }
            Content::Restamped(bytes) => restamped(bytes, turn.stamp(batch)),
        };
        batch.content = Content::Sealed(bytes.clone());
        bytes
    }

    fn sealed(
        &self,
        compressor: Option<&mut Compressor>,
        builder: BatchBuilder,
        stamp: ProducerStamp,
    ) -> Vec<u8> {
        let Some(compressor) = compressor else {
            return builder.seal(stamp);
        };
        let mut output = self.buffer();
        match builder.seal_compressed(stamp, compressor, &mut output) {
            Ok(()) => {
                self.recycle(builder.into_buffer());
                output
            }
            Err(error) => {
                // Uncompressed is always right, only larger.
                tracing::warn!(%error, "a batch could not be compressed and goes as it is");
                self.recycle(output);
                builder.seal(stamp)
            }
        }
    }

    fn buffer(&self) -> Vec<u8> {
        lock(&self.buffers).pop().unwrap_or_default()
    }

    fn recycle(&self, buffer: Vec<u8>) {
        let mut buffers = lock(&self.buffers);
        if buffers.len() < BUFFERS_KEPT {
            buffers.push(buffer);
        }
    }

    /// Whether batches can be sealed: the producer needs no identity, or has one. A new one is asked for when
    /// none is in flight under the old one.
    fn has_identity(self: &Arc<Self>, turn: &mut Turn) -> bool {
        match turn.identity {
            Identity::Unused | Identity::Known { .. } => true,
            Identity::Coming => false,
            Identity::Wanted => {
                if turn
                    .nodes
                    .values()
                    .all(|node| node.in_flight.load(Ordering::Acquire) == 0)
                {
                    turn.identity = Identity::Coming;
                    let core = Arc::clone(self);
                    let asked = async move { core.ask_identity().await };
                    if self.tasks.spawn_until_closed(asked).is_err() {
                        turn.identity = Identity::Wanted;
                        self.leave_to_the_task();
                    }
                }
                false
            }
        }
    }

    async fn ask_identity(self: Arc<Self>) {
        let mut backoff = self.cluster.backoff();
        loop {
            let deadline = self.cluster.api_deadline();
            let answer = self.cluster.call(Target::Any, deadline, |_| {
                let mut request = InitProducerIdRequest::default();
                request.transactional_id = None;
                request.transaction_timeout_ms = i32::MAX;
                request
            });
            let checked = answer.await.and_then(|(response, _)| {
                Error::check(response.error_code, None)?;
                Ok(response)
            });
            match checked {
                Ok(response) => {
                    self.take_identity(response.producer_id, response.producer_epoch);
                    return self.turn();
                }
                Err(error) if error.is_retriable() => {
                    tracing::debug!(%error, "no producer id yet");
                    clock::sleep_until(clock::now() + backoff.next_wait(clock::random())).await;
                    // Batches whose time is over must not wait for an identity.
                    self.turn();
                }
                Err(error) => {
                    lock(&self.turn).identity = Identity::Wanted;
                    self.abandon(&error);
                    // Whoever wanted a turn while the identity was written down has left it to this.
                    return self.turn();
                }
            }
        }
    }

    /// This thread has no runtime to start a task on: the producer's task has one.
    fn leave_to_the_task(&self) {
        if !self.tasks.is_closing() {
            self.wake.notify_one();
        }
    }

    fn take_identity(&self, producer_id: i64, epoch: i16) {
        let mut turn = lock(&self.turn);
        for partition in self.partitions() {
            let given_up = partition.queue().handle_new_identity();
            for batch in given_up {
                let error = Error::new(
                    ErrorKind::Timeout,
                    "sent without a clear answer; it may be written, and was not sent again \
                     because the producer had to take a new identity",
                );
                self.fail(&partition, batch, error);
            }
        }
        turn.identity = Identity::Known { producer_id, epoch };
        // Whatever went wrong did so under the old one.
        self.identity_is_stale.store(false, Ordering::Release);
        tracing::debug!(producer_id, epoch, "producer id assigned");
    }

    fn connect(self: &Arc<Self>, node: i32, connecting: &Arc<AtomicBool>) {
        if connecting.swap(true, Ordering::AcqRel) {
            return;
        }
        let (core, flag) = (Arc::clone(self), Arc::clone(connecting));
        let spawned = self.tasks.spawn_until_closed(async move {
            let deadline = core.cluster.api_deadline();
            if let Err(error) = core.cluster.connection(Target::Node(node), deadline).await {
                tracing::debug!(%error, node, "no connection to a leader");
                let pause = core.cluster.config().retry_backoff;
                clock::sleep_until(clock::now() + pause).await;
            }
            flag.store(false, Ordering::Release);
            core.turn();
        });
        if spawned.is_err() {
            connecting.store(false, Ordering::Release);
            self.leave_to_the_task();
        }
    }

    fn send(
        self: &Arc<Self>,
        turn: &mut Turn,
        leader: i32,
        connection: &Connection,
        mut outgoing: Outgoing,
    ) {
        let version = match connection
            .versions()
            .choose(ProduceRequest::KEY, ProduceRequest::VERSIONS)
        {
            Ok(version) if outgoing.all_have_ids() => version,
            Ok(version) => version.min(NEWEST_WITH_NAMES),
            Err(error) => {
                for part in outgoing.parts {
                    self.settle(&part.partition, part.batch, Outcome::Failed(error.clone()));
                }
                return;
            }
        };
        let request = outgoing.request(&self.config, self.cluster.config().request_timeout);
        let node = turn.nodes.entry(leader).or_default();
        let in_flight = Arc::clone(&node.in_flight);
        in_flight.fetch_add(1, Ordering::AcqRel);
        let parts = Arc::new(Mutex::new(Some(outgoing.parts)));
        let (core, answered, counted) =
            (Arc::clone(self), Arc::clone(&parts), Arc::clone(&in_flight));
        let deadline = clock::now() + self.cluster.config().request_timeout;
        let settle = move |tell: &dyn Fn(&Self, Vec<Part>)| {
            let parts = lock(&answered).take();
            tell(&core, parts.unwrap_or_default());
            // Last, since a new identity is taken only when nothing is in flight.
            counted.fetch_sub(1, Ordering::AcqRel);
            core.turn();
        };
        let sent = if self.config.acks == Acks::None {
            let completion = Box::new(move |written: Result<()>| {
                settle(&|core, parts| core.written(parts, &written));
            });
            connection.submit_unanswered(&request, version, deadline, completion)
        } else {
            let completion = Box::new(move |reply: Result<Reply>| {
                let response = reply.and_then(decode::<ProduceResponse>);
                settle(&|core, parts| core.answer(parts, &response));
            });
            connection.submit(&request, version, deadline, completion)
        };
        if let Err(error) = sent {
            for part in lock(&parts).take().into_iter().flatten() {
                self.settle(&part.partition, part.batch, Outcome::Failed(error.clone()));
            }
            in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Batches for which no answer is wanted were handed to the system, or never will be.
    fn written(&self, parts: Vec<Part>, written: &Result<()>) {
        for part in parts {
            let outcome = match written {
                Ok(()) => Outcome::Delivered(UNKNOWN_PLACE),
                Err(error) => Outcome::Failed(error.clone()),
            };
            self.settle(&part.partition, part.batch, outcome);
        }
    }

    fn answer(&self, parts: Vec<Part>, response: &Result<ProduceResponse>) {
        for part in parts {
            let outcome = match response {
                Ok(response) => part.outcome(response),
                Err(error) => Outcome::Failed(error.clone()),
            };
            self.settle(&part.partition, part.batch, outcome);
        }
    }

    /// Decides what an outcome means for its batch: done, once more, or failed.
    fn settle(&self, partition: &Arc<PartitionState>, batch: QueuedBatch, outcome: Outcome) {
        let error = match outcome {
            Outcome::Delivered(delivered) => {
                partition.queue().handle_delivered(&batch);
                lock(&partition.backoff).reset();
                lock(&partition.last_failure).take();
                return self.finish(batch, Ok(delivered));
            }
            Outcome::Failed(error) => error,
        };
        let out_of_order = error.broker_code() == Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        let given_back = if out_of_order {
            partition.queue().handle_out_of_order(batch)
        } else if is_too_large(&error) {
            split_up(partition, batch)
        } else if error.is_retriable() {
            tracing::debug!(%error, topic = &*partition.topic.name, partition = partition.index, "sending again");
            self.cluster.request_refresh();
            let pause = lock(&partition.backoff).next_wait(clock::random());
            *lock(&partition.last_failure) = Some(error.clone());
            partition.queue().handle_retry(clock::now(), batch, pause)
        } else {
            Some(batch)
        };
        let Some(batch) = given_back else {
            self.activate(partition);
            // A turn may be under way that has looked at this partition already; the task looks again.
            return self.wake.notify_one();
        };
        partition.queue().handle_done(&batch);
        if batch.base_sequence.is_some() {
            self.want_new_identity(partition);
        }
        let error = if is_too_large(&error) {
            let text = "the record is larger than the topic takes (max.message.bytes)";
            Error::new(ErrorKind::RecordTooLarge, text).with_source(error)
        } else {
            error
        };
        self.fail(partition, batch, error);
    }

    /// The sequences have a hole now: what follows would be refused.
    fn want_new_identity(&self, partition: &PartitionState) {
        partition.queue().handle_hole();
        self.identity_is_stale.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn expire(&self, partition: &Arc<PartitionState>, batch: QueuedBatch) {
        let mut error = Error::new(
            ErrorKind::Timeout,
            if batch.attempts > 0 {
                "not acknowledged within delivery.timeout.ms; it may be written all the same"
            } else {
                "not sent within delivery.timeout.ms; it is not written"
            },
        );
        let failure = lock(&partition.last_failure).clone();
        if let Some(failure) = failure.or_else(|| self.cluster.last_failure()) {
            error = error.with_source(failure);
        }
        if batch.base_sequence.is_some() {
            self.want_new_identity(partition);
        }
        self.fail(partition, batch, error);
    }

    fn fail(&self, partition: &PartitionState, batch: QueuedBatch, error: Error) {
        let error = error.with_partition(&*partition.topic.name, partition.index);
        self.finish(batch, Err(error));
    }

    fn finish(&self, batch: QueuedBatch, fate: Result<Delivered>) {
        batch.completion.complete(fate);
        let buffer = match batch.content {
            // Only if nobody else holds the bytes any more, such as an outbox that was given up.
            Content::Sealed(bytes) | Content::Restamped(bytes) => {
                bytes.try_into_mut().ok().map(Vec::from)
            }
            Content::Unsealed(builder) => Some(builder.into_buffer()),
        };
        if let Some(buffer) = buffer {
            self.recycle(buffer);
        }
        self.budget.give(batch.reserved);
    }
}

impl Turn {
    /// What a batch says of its producer.
    fn stamp(&self, batch: &QueuedBatch) -> ProducerStamp {
        match (self.identity, batch.base_sequence) {
            (Identity::Known { producer_id, epoch }, Some(base_sequence)) => ProducerStamp {
                producer_id,
                producer_epoch: epoch,
                base_sequence,
            },
            _ => ProducerStamp::NONE,
        }
    }
}

/// Held by the producer's task: if it is dropped half-way, as with its runtime, nothing is sent any more, and
/// what waits is told so.
struct UnexpectedEnd(Option<Arc<Core>>);

impl UnexpectedEnd {
    fn was_expected(mut self) {
        self.0 = None;
    }
}

impl Drop for UnexpectedEnd {
    fn drop(&mut self) {
        if let Some(core) = self.0.take() {
            core.close(&Error::new(
                ErrorKind::Closed,
                "the producer's task was ended",
            ));
        }
    }
}

/// Somebody waits for room as long as this lives.
struct WaitingForRoom<'a>(&'a AtomicUsize);

impl Drop for WaitingForRoom<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Held by the handles that users hold: with the last of them the producer ends, and what it has not sent is told
/// so.
#[derive(Debug)]
pub(crate) struct CloseOnDrop(pub(crate) Arc<Core>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.tasks.abort();
        self.0
            .close(&Error::new(ErrorKind::Closed, "the producer was dropped"));
    }
}

fn is_too_large(error: &Error) -> bool {
    matches!(
        error.broker_code(),
        Some(ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE)
    )
}

/// Sends the records of a batch that was too large in smaller ones. Gives it back if it has but one record.
fn split_up(partition: &PartitionState, batch: QueuedBatch) -> Option<QueuedBatch> {
    let Content::Sealed(bytes) = &batch.content else {
        return Some(batch);
    };
    let Some(piece_bytes) = partition.queue().shrink(&batch, bytes.len()) else {
        return Some(batch);
    };
    let pieces = match split(bytes.clone(), piece_bytes) {
        Ok(pieces) => pieces,
        Err(error) => {
            tracing::error!(%error, "a sealed batch cannot be read");
            return Some(batch);
        }
    };
    tracing::debug!(
        topic = &*partition.topic.name,
        partition = partition.index,
        bytes = bytes.len(),
        pieces = pieces.len(),
        "a batch was too large"
    );
    let whole = SplitCompletion::of(&batch.completion, pieces.len());
    partition
        .queue()
        .handle_split(batch, pieces, |first| whole.piece(first))
}

fn closed_before() -> Error {
    Error::new(ErrorKind::Closed, "the producer is closed")
}

/// A sealed batch under another identity. Its bytes are changed in place if nobody else holds them.
fn restamped(bytes: Bytes, stamp: ProducerStamp) -> Bytes {
    let mut changed = bytes
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&*shared));
    if let Err(error) = set_producer(&mut changed, stamp) {
        // It was sealed here; were it damaged, the broker would refuse it.
        tracing::error!(%error, "a sealed batch cannot be read");
    }
    changed.freeze()
}

/// Bytes of a request beside its batches, generously.
const REQUEST_OVERHEAD: usize = 1 << 10;

/// The newest version of Produce that names topics by name.
const NEWEST_WITH_NAMES: i16 = 12;

/// Buffers kept for the batches to come.
const BUFFERS_KEPT: usize = 32;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
