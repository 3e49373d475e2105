//! Turns the consumer machine, and hands what it fetched to the application.
//!
//! One task per consumer sends what the machine decides and tells it what came back. The application's
//! calls look into the same machine, under a lock that is held for moments; decompressing and decoding
//! happen on the caller's thread, outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use kafka_protocol::compression::{DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::messages::{
    FetchRequest, JoinGroupRequest, ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use kafka_protocol::record::{AnyBatch, Batch, ControlType};
use kafka_protocol::{ErrorCode, Message, Request, VersionRange};
use tokio::sync::{Notify, broadcast, oneshot, watch};

use crate::config::consumer::{CommitMode, ConsumerConfig, IsolationLevel, Start};
use crate::driver::broker_pool::Lane;
use crate::driver::calls::Calls;
use crate::driver::clock;
use crate::driver::cluster_task::{ClusterHandle, Target};
use crate::driver::consumed::{BatchCursor, ConsumerBatch, ConsumerRecord, damaged};
use crate::driver::events::Events;
use crate::driver::stint::{Signals, Stint};
use crate::driver::tasks::{RUNTIME_GONE, Tasks, closed};
use crate::error::{Error, ErrorKind, Result};
use crate::machine::cluster::ClusterView;
use crate::machine::consumer::{Action, Answer, Consumer, ConsumerEvent, Deliver, ProcessedNews};
use crate::machine::fetch::delivery::Run;
use crate::machine::group::classic_member::{Speech, leave_request};
use crate::machine::subscription::position::{Leader, Position};
use crate::machine::subscription::status::PartitionStatus;
use crate::machine::subscription::topics::Topics;
use crate::machine::subscription::{TopicLeaders, TopicNews};
use crate::machine::time::{Duration, Instant, earlier};
use crate::record::topic_partition::TopicPartition;

/// One consumer: what its handles and its task share.
#[derive(Debug)]
pub(crate) struct Core {
    cluster: ClusterHandle,
    lane: Lane,
    config: ConsumerConfig,
    /// A record that is not acknowledged keeps those behind it from being committed.
    commits_on_ack: bool,
    machine: Mutex<Consumer>,
    reading: Mutex<Reading>,
    stints: Mutex<BTreeMap<u64, Arc<Stint>>>,
    signals: Arc<Signals>,
    /// Something is there for the application.
    ready: Notify,
    /// The machine's, for readers that hold something already.
    revision: AtomicU64,
    /// How many calls wait for records: as long as one does, the application is alive.
    readers: AtomicUsize,
    /// Much was given out without a pause.
    others_wait: AtomicBool,
    /// The member waits for the application to come back.
    resting: AtomicBool,
    commits: Mutex<BTreeMap<u64, oneshot::Sender<Result<()>>>>,
    /// `None` once there will be no more.
    events: Mutex<Option<broadcast::Sender<ConsumerEvent>>>,
    started: Mutex<bool>,
    /// When a close gives up; `None` before one.
    close_by: Mutex<Option<Instant>>,
    ended: watch::Sender<bool>,
    /// Nothing more is delivered: closing or ended.
    over: AtomicBool,
    /// Why the task ended, if it did so by a bug.
    broken: Mutex<Option<Error>>,
    tasks: Tasks,
}

/// Where the application stands in what was fetched.
#[derive(Debug)]
struct Reading {
    open: Option<Open>,
    revision: u64,
    /// How much was given out since others were let run.
    given: u32,
    decompressor: Decompressor,
    buffer: Vec<u8>,
}

/// A run that is being read.
#[derive(Debug)]
struct Open {
    stint: Arc<Stint>,
    run: Run,
    /// The run as it was before the batch under the cursor was cut off.
    before: Run,
    cursor: Option<BatchCursor>,
}

impl Core {
    /// Does no I/O.
    pub(crate) fn new(
        cluster: ClusterHandle,
        config: ConsumerConfig,
        topics: Topics,
        group: Option<ByteString>,
    ) -> Arc<Self> {
        let backoff = cluster.backoff();
        let commits_on_ack = group.is_some() && config.commit_mode == CommitMode::OnAck;
        let machine = Consumer::new(clock::now(), config.clone(), topics, group, backoff);
        Arc::new(Self {
            lane: cluster.open_lane(),
            cluster,
            config,
            commits_on_ack,
            revision: AtomicU64::new(machine.revision()),
            machine: Mutex::new(machine),
            reading: Mutex::new(Reading {
                open: None,
                revision: 0,
                given: 0,
                decompressor: Decompressor::new(),
                buffer: Vec::new(),
            }),
            stints: Mutex::default(),
            signals: Arc::default(),
            ready: Notify::new(),
            readers: AtomicUsize::new(0),
            others_wait: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            commits: Mutex::default(),
            events: Mutex::new(Some(broadcast::Sender::new(EVENTS_KEPT))),
            started: Mutex::new(false),
            close_by: Mutex::new(None),
            ended: watch::Sender::new(false),
            over: AtomicBool::new(false),
            broken: Mutex::new(None),
            tasks: Tasks::new(),
        })
    }

    /// Starts the task, once.
    ///
    /// # Errors
    ///
    /// Outside a tokio runtime, or when the client is closed.
    pub(crate) fn start(self: &Arc<Self>) -> Result<()> {
        let mut started = lock(&self.started);
        if !*started {
            self.cluster.start()?;
            let end = EndOnDrop {
                core: Arc::clone(self),
                has_returned: false,
            };
            self.tasks.spawn(async move {
                end.core.run().await;
                end.has_come();
            })?;
            *started = true;
        }
        Ok(())
    }

    async fn run(self: &Arc<Self>) {
        let mut calls = Calls::new();
        let mut views = self.cluster.watch();
        let mut closing = self.cluster.closing();
        let mut wanted = BTreeSet::new();
        // A cluster that is known already is waited for no more.
        let is_known = views.borrow().generation > 0;
        let patience = self.cluster.config().api_timeout;
        let mut unreachable_at = (!is_known).then(|| clock::now() + patience);
        self.take_view(&views.borrow_and_update(), &wanted);
        loop {
            let deadline = self.turn(&mut calls, &mut wanted);
            let close_by = *lock(&self.close_by);
            if self.machine().is_closed() || close_by.is_some_and(|at| at <= clock::now()) {
                return;
            }
            let deadline = earlier(earlier(deadline, close_by), unreachable_at);
            tokio::select! {
                answer = calls.next() => {
                    self.machine().handle_answer(clock::now(), clock::random(), answer);
                }
                () = self.signals.wake.notified() => {}
                changed = views.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let view = Arc::clone(&views.borrow_and_update());
                    self.take_view(&view, &wanted);
                    if view.generation > 0 {
                        unreachable_at = None;
                    }
                }
                () = clock::sleep_until_some(deadline) => {}
                () = closed(&mut closing) => return,
            }
            if unreachable_at.is_some_and(|at| at <= clock::now()) {
                unreachable_at = Some(clock::now() + patience);
                let error = self.cluster.timeout("the cluster did not answer in time");
                let mut machine = self.machine();
                // Once is enough for who does not listen.
                if !machine.has_ready() {
                    machine.tell(error);
                }
            }
        }
    }

    /// Looks at everything again: what is to be sent, told, committed, given out. Says when to look
    /// again.
    fn turn(
        self: &Arc<Self>,
        calls: &mut Calls<Answer>,
        wanted: &mut BTreeSet<ByteString>,
    ) -> Option<Instant> {
        let now = clock::now();
        let mut machine = self.machine();
        // First of all: what became void meanwhile is not delivered while we look.
        self.publish(&machine);
        if self.signals.take_progress() || self.readers.load(Ordering::Relaxed) > 0 {
            machine.handle_progress(now);
        }
        let topics = machine.wanted_topics();
        if topics != *wanted {
            self.cluster.keep_topics(&topics);
            *wanted = topics;
            machine.handle_topics(now, news_of(&self.cluster.view(), wanted));
        }
        // Twice: the first round may begin a revocation, which waits for what is processed.
        for _ in 0..2 {
            self.tell_processed(now, &mut machine);
            while let Some(action) = machine.poll_action(now) {
                self.perform(action, &machine, calls);
            }
        }
        self.publish(&machine);
        while let Some((id, outcome)) = machine.poll_finished() {
            if let Some(waiter) = lock(&self.commits).remove(&id) {
                // Whoever waited may have gone: the commit is done all the same.
                let _gone = waiter.send(outcome);
            }
        }
        let events = lock(&self.events);
        while let Some(event) = machine.poll_event() {
            let _nobody_listens = events.as_ref().map(|events| events.send(event));
        }
        drop(events);
        self.resting.store(machine.is_resting(), Ordering::Relaxed);
        if machine.has_ready() {
            self.ready.notify_waiters();
        }
        if machine.is_leaving() {
            let mut close_by = lock(&self.close_by);
            let limit = now + LEAVE_PATIENCE;
            *close_by = Some(close_by.map_or(limit, |before| before.min(limit)));
        }
        machine.poll_deadline(now)
    }

    fn tell_processed(&self, now: Instant, machine: &mut Consumer) {
        let awaited = machine.is_revoking() || machine.is_closing();
        // Set before looking, so that an acknowledgement is either seen now or wakes us.
        self.signals.acks_awaited.store(awaited, Ordering::SeqCst);
        if machine.wants_processed(now) {
            machine.handle_processed(now, self.processed());
        }
    }

    fn processed(&self) -> Vec<ProcessedNews> {
        let stints = lock(&self.stints);
        stints.values().map(|stint| stint.news()).collect()
    }

    /// Readers and records learn of what became void.
    fn publish(&self, machine: &Consumer) {
        let revision = machine.revision();
        if self.revision.swap(revision, Ordering::AcqRel) != revision {
            lock(&self.stints).retain(|number, stint| {
                let current = machine.is_current(&stint.partition, *number);
                if !current {
                    self.retire(stint);
                }
                current
            });
        }
    }

    /// Acknowledgements of this stint count no longer. In a close those that are missing are told: nothing fails,
    /// and yet the records come again.
    fn retire(&self, stint: &Stint) {
        stint.retire();
        let is_closing = lock(&self.close_by).is_some();
        if is_closing
            && self.commits_on_ack
            && let Some((count, first)) = stint.forgotten()
        {
            let partition = &stint.partition;
            tracing::warn!(
                "{partition}: {count} records delivered and not acknowledged; the group goes on at offset {first}"
            );
        }
    }

    fn take_view(&self, view: &ClusterView, wanted: &BTreeSet<ByteString>) {
        if view.generation > 0 {
            self.machine()
                .handle_topics(clock::now(), news_of(view, wanted));
        }
    }

    fn perform(self: &Arc<Self>, action: Action, machine: &Consumer, calls: &mut Calls<Answer>) {
        let core = Arc::clone(self);
        let cluster = self.cluster.clone();
        let lane = self.lane;
        let limit = self.cluster.config().request_timeout;
        match action {
            Action::RefreshMetadata => self.cluster.request_refresh(),
            Action::FindCoordinator => {
                let group = machine.group_name().cloned().unwrap_or_default();
                calls.push(async move {
                    cluster.forget_coordinator(&group);
                    let deadline = clock::now() + limit;
                    Answer::Coordinator(cluster.coordinator_of_group(&group, deadline).await)
                });
            }
            Action::Speak { node, call, speech } => calls.push(async move {
                let target = Target::Group(node, lane);
                match speech {
                    Speech::Join { request, timeout } => {
                        let range = JoinGroupRequest::VERSIONS;
                        let answer = core.call(target, timeout, range, |_| request).await;
                        Answer::Joined(call, answer)
                    }
                    Speech::Sync(request) => {
                        Answer::Synced(call, core.say(target, limit, |_| request).await)
                    }
                    Speech::Heartbeat(request) => {
                        // Early enough to be said again within the session, over another connection.
                        let limit = limit.min(core.config.session_timeout / 2);
                        Answer::Heartbeat(call, core.say(target, limit, |_| request).await)
                    }
                    Speech::Leave { proof, aside } => {
                        let target = if aside { Target::Node(node) } else { target };
                        let build = |version| leave_request(&proof, version);
                        Answer::Left(call, core.say(target, limit, build).await)
                    }
                }
            }),
            Action::Commit { node, plan } => calls.push(async move {
                let range = names_only(OffsetCommitRequest::VERSIONS, plan.needs_names(), 9);
                let build = |version| plan.request(version);
                let answer = core
                    .call(Target::Group(node, lane), limit, range, build)
                    .await;
                Answer::Committed(plan, answer)
            }),
            Action::FetchCommitted { node, plan } => calls.push(async move {
                let range = names_only(OffsetFetchRequest::VERSIONS, plan.needs_names(), 9);
                let build = |version| plan.request(version);
                let answer = core
                    .call(Target::Group(node, lane), limit, range, build)
                    .await;
                Answer::FetchedCommitted(plan, answer)
            }),
            Action::Lookup(plan) => calls.push(async move {
                let target = Target::Node(plan.node);
                let range = ListOffsetsRequest::VERSIONS;
                let answer = core.call(target, limit, range, |_| plan.request()).await;
                Answer::LookedUp(plan, answer)
            }),
            Action::Fetch(plan) => calls.push(async move {
                let range = names_only(FetchRequest::VERSIONS, plan.needs_names(), 12);
                let target = Target::Fetch(plan.node, lane);
                let answer = core
                    .call(target, limit, range, |version| plan.request(version))
                    .await;
                Answer::Fetched(plan, answer)
            }),
        }
    }

    async fn say<R: Request>(
        &self,
        target: Target,
        limit: Duration,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response> {
        self.call(target, limit, R::VERSIONS, build).await
    }

    /// One request, in the highest common version of a range, and its answer.
    async fn call<R: Request>(
        &self,
        target: Target,
        limit: Duration,
        range: VersionRange,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response> {
        let deadline = clock::now() + limit;
        let answer = async {
            let connection = self.cluster.connection(target, deadline).await?;
            let version = connection.versions().choose(R::KEY, range)?;
            connection.call(&build(version), version, deadline).await
        };
        let answer: Result<R::Response> = answer.await;
        answer.map_err(|error| error.with_api(R::KEY))
    }

    /// The next record, if one lies ready.
    ///
    /// # Errors
    ///
    /// What the machine has to tell the application; [`None`] inside if there is nothing now.
    pub(crate) fn try_next(&self) -> Result<Option<ConsumerRecord>> {
        let mut reading = lock(&self.reading);
        loop {
            if !self.open(&mut reading)? {
                return Ok(None);
            }
            let Some(open) = &mut reading.open else {
                continue;
            };
            let Some(cursor) = &mut open.cursor else {
                continue;
            };
            match cursor.next() {
                Some(Ok(record)) => {
                    if self.config.commit_mode == CommitMode::OnDelivery {
                        record.ack();
                    }
                    self.count_given(&mut reading);
                    return Ok(Some(record));
                }
                Some(Err(error)) => {
                    let stint = Arc::clone(&open.stint);
                    self.give_up(&mut reading, &stint, error);
                }
                None => {
                    // What follows the last record of a batch are holes.
                    let batch = cursor.batch();
                    let behind = batch.position_behind();
                    batch.stint().deliver(behind.offset);
                    batch
                        .stint()
                        .acknowledge(cursor.at(), behind.offset, behind.epoch);
                    open.cursor = None;
                }
            }
        }
    }

    /// The next batch, if one lies ready, or the rest of the one that was begun.
    ///
    /// # Errors
    ///
    /// As [`Self::try_next`].
    pub(crate) fn try_next_batch(&self) -> Result<Option<ConsumerBatch>> {
        let mut reading = lock(&self.reading);
        loop {
            if !self.open(&mut reading)? {
                return Ok(None);
            }
            let Some(open) = &mut reading.open else {
                continue;
            };
            let Some(cursor) = open.cursor.take() else {
                continue;
            };
            let batch = cursor.batch().rest(cursor.at());
            batch.stint().deliver(batch.next_offset());
            let is_empty = batch.is_empty();
            if is_empty || self.config.commit_mode == CommitMode::OnDelivery {
                batch.ack();
            }
            if !is_empty {
                self.count_given(&mut reading);
                return Ok(Some(batch));
            }
        }
    }

    fn count_given(&self, reading: &mut Reading) {
        reading.given += 1;
        if reading.given == GIVEN_AT_ONCE {
            reading.given = 0;
            self.others_wait.store(true, Ordering::Relaxed);
        }
    }

    /// Sees to it that a batch is under the cursor; false if nothing lies ready.
    fn open(&self, reading: &mut Reading) -> Result<bool> {
        self.check_revision(reading);
        loop {
            match &mut reading.open {
                Some(Open {
                    cursor: Some(_), ..
                }) => return Ok(true),
                Some(_) => self.cut(reading),
                None => {
                    let mut machine = self.machine();
                    if let Some(error) = machine.poll_error() {
                        return Err(error);
                    }
                    let Some(run) = machine.take() else {
                        return Ok(false);
                    };
                    reading.revision = machine.revision();
                    let stint = self.stint_of(&run);
                    let before = run.clone();
                    reading.open = Some(Open {
                        stint,
                        run,
                        before,
                        cursor: None,
                    });
                }
            }
        }
    }

    fn stint_of(&self, run: &Run) -> Arc<Stint> {
        let mut stints = lock(&self.stints);
        let stint = stints.entry(run.stint).or_insert_with(|| {
            let signals = Arc::clone(&self.signals);
            Arc::new(Stint::new(
                run.partition.clone(),
                run.stint,
                run.from,
                signals,
            ))
        });
        Arc::clone(stint)
    }

    /// What was taken before may be void by now.
    fn check_revision(&self, reading: &mut Reading) {
        let revision = self.revision.load(Ordering::Acquire);
        if reading.revision == revision {
            return;
        }
        reading.revision = revision;
        let Some(open) = &reading.open else {
            return;
        };
        let mut machine = self.machine();
        match machine.may_deliver(&open.stint.partition, open.stint.number) {
            Deliver::GoOn => {}
            Deliver::Drop => {
                if let Some(open) = reading.open.take()
                    && machine.handle_consumed(open.run.size)
                {
                    self.signals.wake.notify_one();
                }
            }
            Deliver::GiveBack => {
                if let Some(open) = reading.open.take() {
                    let mut run = open.run;
                    if let Some(cursor) = open.cursor {
                        run = open.before;
                        run.from = cursor.at();
                    }
                    machine.give_back(run);
                }
            }
        }
    }

    /// Puts the next visible batch of the run under the cursor, or ends the run.
    fn cut(&self, reading: &mut Reading) {
        let Some(open) = &mut reading.open else {
            return;
        };
        open.before = open.run.clone();
        let Some((batch, from)) = open.run.next_batch() else {
            let size = open.run.size;
            reading.open = None;
            if self.machine().handle_consumed(size) {
                self.signals.wake.notify_one();
            }
            return;
        };
        let stint = Arc::clone(&open.stint);
        if !self.is_visible(&mut open.run, &batch) {
            stint.deliver(batch.next_offset());
            stint.acknowledge(from, batch.next_offset(), -1);
            return;
        }
        let decoded = self.check(&batch).and_then(|()| {
            let (decompressor, buffer) = (&mut reading.decompressor, &mut reading.buffer);
            batch.decompress(decompressor, buffer, DECOMPRESSED_MAX)
        });
        match decoded {
            Ok(decoded) => {
                let batch = ConsumerBatch::new(decoded, stint, from);
                open.cursor = Some(BatchCursor::new(batch));
            }
            Err(error) => {
                let error = damaged(&stint.partition, from, error);
                self.give_up(reading, &stint, error);
            }
        }
    }

    fn check(&self, batch: &AnyBatch) -> Result<(), kafka_protocol::record::RecordError> {
        if self.config.check_crcs {
            batch.verify_crc()?;
        }
        Ok(())
    }

    fn is_visible(&self, run: &mut Run, batch: &AnyBatch) -> bool {
        let AnyBatch::Current(batch) = batch else {
            return true;
        };
        let header = batch.header();
        let marks = header.attributes.is_control()
            && self.config.isolation_level == IsolationLevel::ReadCommitted;
        let marker = if marks { marker_of(batch) } else { None };
        run.visibility.admits(header, marker)
    }

    /// The rest of the partition cannot be read.
    fn give_up(&self, reading: &mut Reading, stint: &Stint, error: Error) {
        let mut machine = self.machine();
        machine.handle_damage(clock::now(), &stint.partition, stint.number, error);
        if let Some(open) = reading.open.take()
            && machine.handle_consumed(open.run.size)
        {
            self.signals.wake.notify_one();
        }
    }

    /// Resolves when there may be something for the application. Made before looking, so that nothing is
    /// missed between looking and waiting.
    pub(crate) fn ready(&self) -> tokio::sync::futures::Notified<'_> {
        self.ready.notified()
    }

    /// The application waits for records: it is alive.
    pub(crate) fn reader(&self) -> Reader<'_> {
        self.signals.note_progress();
        self.readers.fetch_add(1, Ordering::Relaxed);
        if self.resting.load(Ordering::Relaxed) {
            self.signals.wake.notify_one();
        }
        Reader(self)
    }

    /// The application took something.
    pub(crate) fn note_progress(&self) {
        self.signals.note_progress();
    }

    /// Whether nothing more comes.
    ///
    /// # Errors
    ///
    /// If the task broke: that is no end to be taken for a close.
    pub(crate) fn is_over(&self) -> Result<bool> {
        let is_over = self.over.load(Ordering::Acquire);
        if is_over && let Some(error) = &*lock(&self.broken) {
            return Err(error.clone());
        }
        Ok(is_over)
    }

    /// Gives way now and then to what else runs on this thread: while records lie ready nothing waits, and a
    /// loop over them would keep the heartbeats of a runtime with one thread from being sent.
    pub(crate) async fn let_others_run(&self) {
        if self.others_wait.load(Ordering::Relaxed) {
            self.others_wait.store(false, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    /// Commits these offsets, or all that is processed.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        offsets: Option<BTreeMap<TopicPartition, Position>>,
    ) -> Result<()> {
        self.start()?;
        if *self.ended.borrow() {
            return Err(Error::new(ErrorKind::Closed, "the consumer is closed"));
        }
        let (sender, outcome) = oneshot::channel();
        {
            let mut machine = self.machine();
            if offsets.is_none() {
                machine.handle_processed_for_commit(self.processed());
            }
            let id = machine.request_commit(offsets)?;
            lock(&self.commits).insert(id, sender);
        }
        if *self.ended.borrow() {
            // The task may have looked through the calls before this one was there.
            lock(&self.commits).clear();
        }
        self.signals.note_progress();
        self.signals.wake.notify_one();
        outcome
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "the consumer is closed")))
    }

    pub(crate) fn events(&self) -> Events {
        let events = lock(&self.events);
        Events(match &*events {
            Some(events) => events.subscribe(),
            None => broadcast::Sender::new(1).subscribe(),
        })
    }

    pub(crate) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    pub(crate) fn assignment(&self) -> Vec<TopicPartition> {
        self.machine().assignment()
    }

    pub(crate) fn status(&self) -> Vec<PartitionStatus> {
        self.machine().status(clock::now())
    }

    pub(crate) fn position(&self, tp: &TopicPartition) -> Option<i64> {
        let reading = lock(&self.reading);
        let machine = self.machine();
        if let Some(open) = &reading.open
            && open.stint.partition == *tp
            && machine.is_current(tp, open.stint.number)
        {
            let at = open.cursor.as_ref().map(BatchCursor::at);
            return Some(at.unwrap_or(open.run.from));
        }
        machine.position(tp)
    }

    pub(crate) fn seek(&self, tp: &TopicPartition, to: Start) -> Result<()> {
        self.refuse_if_closed(tp)?;
        self.change(|machine, now| machine.seek(now, tp, to))
    }

    pub(crate) fn set_paused(&self, tp: &TopicPartition, paused: bool) -> Result<()> {
        self.refuse_if_closed(tp)?;
        self.change(|machine, now| machine.set_paused(now, tp, paused))
    }

    fn refuse_if_closed(&self, tp: &TopicPartition) -> Result<()> {
        if self.is_over()? {
            let error = Error::new(ErrorKind::Closed, "the consumer is closed");
            return Err(error.with_partition(tp.topic(), tp.partition()));
        }
        Ok(())
    }

    /// A change takes effect before it returns.
    fn change(&self, change: impl FnOnce(&mut Consumer, Instant) -> Result<()>) -> Result<()> {
        let mut machine = self.machine();
        let outcome = change(&mut machine, clock::now());
        self.publish(&machine);
        drop(machine);
        self.signals.wake.notify_one();
        outcome
    }

    /// Ends the consumer, in the background: delivery stops now; what is processed is committed and the
    /// group is left until `deadline`. Records under way get this long.
    pub(crate) fn close(&self, deadline: Instant, grace: Duration) {
        {
            let mut close_by = lock(&self.close_by);
            *close_by = Some(close_by.map_or(deadline, |before| before.min(deadline)));
        }
        let mut machine = self.machine();
        if !machine.is_closing() {
            machine.close(clock::now(), grace);
        }
        self.publish(&machine);
        self.over.store(true, Ordering::Release);
        drop(machine);
        let mut started = lock(&self.started);
        if !*started {
            *started = true;
            lock(&self.events).take();
            self.ended.send_replace(true);
        }
        drop(started);
        self.signals.wake.notify_one();
        self.ready.notify_waiters();
    }

    pub(crate) const fn cluster(&self) -> &ClusterHandle {
        &self.cluster
    }

    /// The group and the topics that the application named.
    pub(crate) fn wish(&self) -> (Option<ByteString>, BTreeSet<ByteString>) {
        let machine = self.machine();
        (machine.group_name().cloned(), machine.topics())
    }

    pub(crate) fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    /// What a close that ran out of time leaves undone, with what kept us from it.
    pub(crate) fn undone(&self) -> Option<Error> {
        let machine = self.machine();
        let open = machine.uncommitted();
        let mut undone = Vec::new();
        if !machine.is_closed() {
            undone.push("the group was not left, and goes on after session.timeout.ms".to_owned());
        }
        if !open.is_empty() {
            let open = open.iter().map(|(tp, offset)| format!("{tp} at {offset}"));
            let open = open.collect::<Vec<_>>().join(", ");
            undone.push(format!("these offsets were not committed: {open}"));
        }
        if undone.is_empty() {
            return None;
        }
        let undone = undone.join(", and ");
        let text = format!("the consumer is closed, but not all was done: {undone}");
        let error = match machine.left_because() {
            Some(why) if machine.is_closed() => {
                Error::new(ErrorKind::Timeout, text).with_source(why.clone())
            }
            _ => self.cluster.timeout(text),
        };
        Some(match machine.group_name() {
            Some(group) => error.with_group(&**group),
            None => error,
        })
    }

    fn machine(&self) -> MutexGuard<'_, Consumer> {
        lock(&self.machine)
    }
}

/// A call that waits for records.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a Core);

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.signals.note_progress();
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// However the task ends, nobody waits for it any longer.
struct EndOnDrop {
    core: Arc<Core>,
    has_returned: bool,
}

impl EndOnDrop {
    fn has_come(mut self) {
        self.has_returned = true;
    }
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let core = &self.core;
        let broken = if std::thread::panicking() {
            let text = "the consumer's task panicked; this is a bug of the client";
            Some(Error::new(ErrorKind::Internal, text))
        } else if core.cluster.is_homeless() || !self.has_returned {
            // Dropped by its runtime, or left without the connections that lived there.
            Some(Error::new(ErrorKind::Closed, RUNTIME_GONE))
        } else {
            None
        };
        *lock(&core.broken) = broken;
        core.over.store(true, Ordering::Release);
        lock(&core.events).take();
        core.ended.send_replace(true);
        lock(&core.commits).clear();
        core.ready.notify_waiters();
        core.cluster.close_lane(core.lane);
        for stint in lock(&core.stints).values() {
            core.retire(stint);
        }
    }
}

/// Held by the handles that users hold, and by no task: with the last of them the consumer commits and
/// leaves its group in the background, for a short while.
#[derive(Debug)]
pub(crate) struct CloseOnDrop(pub(crate) Arc<Core>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(clock::now() + DROP_PATIENCE, Duration::ZERO);
    }
}

/// What the cluster says of these topics. Names are copied: a slice would keep a whole answer alive.
fn news_of(view: &ClusterView, wanted: &BTreeSet<ByteString>) -> Vec<TopicNews> {
    let known = wanted
        .iter()
        .filter_map(|name| Some((name, view.topic(name)?)));
    known
        .map(|(name, topic)| {
            let outcome = match topic.error {
                Some(code) => Err(code),
                None if topic.partitions.is_empty() => Err(ErrorCode::LEADER_NOT_AVAILABLE),
                None => Ok(TopicLeaders {
                    id: topic.id,
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|partition| {
                            let epoch = partition.leader_epoch;
                            let leader = partition.leader.map(|node| Leader { node, epoch });
                            (partition.index, leader)
                        })
                        .collect(),
                }),
            };
            TopicNews {
                name: name.clone(),
                outcome,
            }
        })
        .collect()
}

/// Up to `last`, versions name topics; later ones need the ids of all of them.
fn names_only(range: VersionRange, needs_names: bool, last: i16) -> VersionRange {
    if needs_names {
        VersionRange::new(range.min, range.max.min(last))
    } else {
        range
    }
}

/// What a control batch says. Its record is never compressed.
fn marker_of(batch: &Batch) -> Option<ControlType> {
    let (mut decompressor, mut buffer) = (Decompressor::new(), Vec::new());
    let mut records = batch
        .records(&mut decompressor, &mut buffer, CONTROL_BYTES_MAX)
        .ok()?;
    let record = records.next()?.ok()?;
    ControlType::decode(record.key).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// After how many records or batches others are let run: the pause costs a look at the sockets.
const GIVEN_AT_ONCE: u32 = 512;
/// How many events wait for a listener that is slow.
const EVENTS_KEPT: usize = 256;
/// How long a consumer whose handles are all gone may take to commit and to leave.
const DROP_PATIENCE: Duration = Duration::from_secs(5);
/// How long a close goes on when all is committed and only the leave is to be said: without it the group goes on
/// after the session timeout.
const LEAVE_PATIENCE: Duration = Duration::from_secs(3);
/// More than any control record has.
const CONTROL_BYTES_MAX: usize = 1 << 16;
