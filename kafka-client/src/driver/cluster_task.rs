//! Keeps the picture of the cluster fresh and sends requests to whom they belong.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest, MetadataResponse};
use kafka_protocol::request::{Message, Request};
use tokio::sync::{Notify, watch};

use crate::config::client::ClientConfig;
use crate::driver::broker_pool::{BrokerPool, Lane, Peer};
use crate::driver::clock;
use crate::driver::connection_task::Connection;
use crate::driver::tasks::{AbortOnDrop, Tasks, closed};
use crate::error::{Error, ErrorKind, Result};
use crate::machine::backoff::Backoff;
use crate::machine::cluster::{Cluster, ClusterView, Topic};
use crate::machine::time::{Duration, Instant};

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Any broker.
    Any,
    /// The broker that takes admin requests.
    Controller,
    /// This broker.
    Node(i32),
    /// This broker, over a consumer's connection for group traffic.
    Group(i32, Lane),
    /// This broker, over a consumer's connection for fetches.
    Fetch(i32, Lane),
}

/// The cluster as a client sees and reaches it. Cheap to clone; with the last clone everything ends.
#[derive(Clone)]
pub(crate) struct ClusterHandle {
    shared: Arc<Shared>,
    tasks: Arc<Tasks>,
    _guard: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<ClientConfig>,
    pool: Arc<BrokerPool>,
    machine: Mutex<Cluster>,
    view: watch::Sender<Arc<ClusterView>>,
    /// Why the last attempt to get metadata failed; `None` once one succeeded.
    last_failure: watch::Sender<Option<Error>>,
    wake: Notify,
    started: Mutex<bool>,
    coordinators: Mutex<BTreeMap<String, i32>>,
}

impl ClusterHandle {
    /// Does no I/O: the first call that needs the cluster starts its task.
    pub(crate) fn new(config: ClientConfig) -> Self {
        let config = Arc::new(config);
        let tasks = Arc::new(Tasks::new());
        let machine = Cluster::new(
            clock::now(),
            config.metadata_max_age,
            config.retry_backoff,
            config.retry_backoff_max,
        );
        let shared = Arc::new(Shared {
            pool: Arc::new(BrokerPool::new(Arc::clone(&config), Arc::clone(&tasks))),
            config,
            view: watch::Sender::new(Arc::clone(machine.view())),
            machine: Mutex::new(machine),
            last_failure: watch::Sender::new(None),
            wake: Notify::new(),
            started: Mutex::new(false),
            coordinators: Mutex::default(),
        });
        Self {
            shared,
            _guard: Arc::new(AbortOnDrop(Arc::clone(&tasks))),
            tasks,
        }
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.shared.config
    }

    /// The deadline of a call that starts now (`default.api.timeout.ms`).
    pub(crate) fn api_deadline(&self) -> Instant {
        clock::now() + self.shared.config.api_timeout
    }

    /// What is believed of the cluster now.
    pub(crate) fn view(&self) -> Arc<ClusterView> {
        Arc::clone(&self.shared.view.borrow())
    }

    /// Sees every change of the view.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<ClusterView>> {
        self.shared.view.subscribe()
    }

    /// Something showed that the view may be old.
    pub(crate) fn request_refresh(&self) {
        lock(&self.shared.machine).handle_refresh_wanted(clock::now());
        self.shared.wake.notify_one();
    }

    /// Keeps these topics in the view from now on.
    pub(crate) fn keep_topics<'a>(&self, names: impl IntoIterator<Item = &'a ByteString>) {
        let now = clock::now();
        let mut machine = lock(&self.shared.machine);
        for name in names {
            machine.handle_interest(now, name);
        }
        drop(machine);
        self.shared.wake.notify_one();
    }

    /// Waits until a topic is known, with its partitions. A topic that the cluster does not know is asked
    /// for again for a while, since it may just be in the making.
    ///
    /// # Errors
    ///
    /// The broker's code if the topic cannot be had; what kept us from the cluster if `deadline` passes.
    pub(crate) async fn topic(&self, name: &ByteString, deadline: Instant) -> Result<Arc<Topic>> {
        // First, so that the first answer tells of the topic too.
        self.keep_topics([name]);
        self.known(deadline, "no metadata in time")
            .await
            .map_err(|error| error.with_topic(&**name))?;
        let patience = (clock::now() + UNKNOWN_TOPIC_PATIENCE).min(deadline);
        let mut views = self.watch();
        loop {
            let known = views.borrow_and_update().topic(name).cloned();
            let mut look_again = deadline;
            let refusal = known.as_ref().and_then(|topic| topic.error);
            if let Some(topic) = known {
                match topic.error {
                    None if !topic.partitions.is_empty() => return Ok(topic),
                    Some(code) if !code.is_retriable() || clock::now() >= patience => {
                        return Err(Error::broker(code, None).with_topic(&**name));
                    }
                    _ => {
                        self.request_refresh();
                        look_again = patience;
                    }
                }
            }
            if clock::before(look_again, views.changed()).await.is_none()
                && clock::now() >= deadline
            {
                return Err(match refusal {
                    Some(code) => Error::broker(code, None),
                    None => self.timeout("no metadata in time"),
                }
                .with_topic(&**name));
            }
        }
    }

    /// A connection to the target, opened if need be, tried until `deadline` for a target of many.
    ///
    /// # Errors
    ///
    /// Why the last attempt failed.
    pub(crate) async fn connection(&self, target: Target, deadline: Instant) -> Result<Connection> {
        self.start()?;
        let node = match target {
            Target::Any => return self.any_connection(deadline).await,
            Target::Controller => self.controller(deadline).await?,
            Target::Node(node) | Target::Group(node, _) | Target::Fetch(node, _) => node,
        };
        let peer = match target {
            Target::Group(_, lane) => Peer::Group(node, lane),
            Target::Fetch(_, lane) => Peer::Fetch(node, lane),
            _ => Peer::Node(node),
        };
        let Some(address) = self.shared.address_of(node) else {
            self.request_refresh();
            return Err(Error::broker(
                ErrorCode::BROKER_NOT_AVAILABLE,
                Some(&format!("broker {node} is not in the metadata")),
            ));
        };
        let connected = self.shared.pool.connect(peer, &address, deadline).await;
        if connected.is_err() {
            self.request_refresh();
        }
        connected
    }

    /// The live connection to a broker for metadata, produce and admin requests, if there is one now.
    pub(crate) fn connected(&self, node: i32) -> Option<Connection> {
        self.shared.pool.connected(Peer::Node(node))
    }

    /// Connections for a new consumer.
    pub(crate) fn open_lane(&self) -> Lane {
        self.shared.pool.open_lane()
    }

    /// Closes the connections of a consumer.
    pub(crate) fn close_lane(&self, lane: Lane) {
        self.shared.pool.close_lane(lane);
    }

    /// Sends one request in the highest common version, made by `build` for that version, and waits for the
    /// answer until `deadline`. Nothing is retried. The request's own time is `request.timeout.ms`: a caller that
    /// gives up before leaves it in flight, as dropping the future does, since others use the connection too.
    ///
    /// # Errors
    ///
    /// No connection, no common version, no answer in time, an unreadable answer. Error codes inside the
    /// answer are the caller's business.
    pub(crate) async fn call<R: Request>(
        &self,
        target: Target,
        deadline: Instant,
        build: impl FnOnce(i16) -> R,
    ) -> Result<(R::Response, i16)> {
        let connection = self.connection(target, deadline).await?;
        let version = connection.versions().choose(R::KEY, R::VERSIONS)?;
        let limit = clock::now() + self.shared.config.request_timeout;
        let request = build(version);
        let answer = clock::before(deadline, connection.call(&request, version, limit)).await;
        let answer = answer.unwrap_or_else(|| {
            let error = Error::new(ErrorKind::Timeout, "no answer in time");
            Err(error.with_broker(connection.address()))
        });
        answer.map(|response| (response, version)).map_err(|error| {
            if error.is_retriable() {
                self.request_refresh();
            }
            error.with_api(R::KEY)
        })
    }

    /// The node id of a group's coordinator; asked for until `deadline`, then remembered.
    ///
    /// # Errors
    ///
    /// The broker's code if it is no passing one; what kept us from finding it otherwise.
    pub(crate) async fn coordinator_of_group(&self, group: &str, deadline: Instant) -> Result<i32> {
        let mut backoff = self.backoff();
        loop {
            if let Some(node) = lock(&self.shared.coordinators).get(group) {
                return Ok(*node);
            }
            let error = match self.find_coordinator(group, deadline).await {
                Ok(node) => {
                    lock(&self.shared.coordinators).insert(group.to_owned(), node);
                    return Ok(node);
                }
                Err(error) => error.with_group(group),
            };
            self.pause(&mut backoff, error, deadline).await?;
        }
    }

    /// The coordinator turned out to be another one: look again the next time.
    pub(crate) fn forget_coordinator(&self, group: &str) {
        lock(&self.shared.coordinators).remove(group);
    }

    /// Waits before the next attempt after a passing error.
    ///
    /// # Errors
    ///
    /// The error itself, if it is no passing one or there is no time for another attempt.
    pub(crate) async fn pause(
        &self,
        backoff: &mut Backoff,
        error: Error,
        deadline: Instant,
    ) -> Result<()> {
        let until = clock::now() + backoff.next_wait(clock::random());
        if !error.is_retriable() || until >= deadline {
            return Err(error);
        }
        tracing::debug!(%error, "trying again");
        clock::sleep_until(until).await;
        Ok(())
    }

    /// The backoff between attempts of one call.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(
            self.shared.config.retry_backoff,
            self.shared.config.retry_backoff_max,
        )
    }

    /// Becomes true when everything of this client should end.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.tasks.closing()
    }

    /// Ends everything: connections, tasks. Says how many tasks did not end until `deadline`.
    pub(crate) async fn close(&self, deadline: Instant) -> usize {
        self.tasks.close(deadline).await
    }

    #[cfg(test)]
    pub(crate) fn tasks_running(&self) -> usize {
        self.tasks.running()
    }

    /// Whether everything ended because the runtime did on which it lived.
    pub(crate) fn is_homeless(&self) -> bool {
        self.tasks.is_homeless()
    }

    /// Why the last attempt to reach the cluster failed, if it did.
    pub(crate) fn last_failure(&self) -> Option<Error> {
        self.shared.last_failure.borrow().clone()
    }

    /// A timeout that tells what kept us from the cluster, if something did, or else what is still tried.
    pub(crate) fn timeout(&self, detail: impl Into<Cow<'static, str>>) -> Error {
        let detail = detail.into();
        if let Some(failure) = self.last_failure() {
            return Error::new(ErrorKind::Timeout, detail).with_source(failure);
        }
        let attempts = self.shared.pool.attempts();
        if attempts.is_empty() {
            return Error::new(ErrorKind::Timeout, detail);
        }
        let attempts = attempts.join(", ");
        let text = format!("{detail}; still connecting to {attempts}");
        Error::new(ErrorKind::Timeout, text)
    }

    /// Waits until the cluster has answered once.
    ///
    /// # Errors
    ///
    /// What is no passing error and was met at each of the addresses since the call; a timeout with `detail` and what
    /// kept us from the cluster after `deadline`.
    pub(crate) async fn known(&self, deadline: Instant, detail: &'static str) -> Result<()> {
        let mut views = self.watch();
        let mut failures = self.shared.last_failure.subscribe();
        self.start()?;
        let known = async {
            loop {
                if views.borrow_and_update().generation > 0 {
                    return Ok(());
                }
                let changed = tokio::select! {
                    changed = views.changed() => changed,
                    changed = failures.changed() => changed,
                };
                if changed.is_err() {
                    return Err(Error::new(ErrorKind::Closed, "the client is closed"));
                }
                let failure = failures.borrow_and_update().clone();
                if let Some(failure) = failure.filter(|failure| !failure.is_retriable()) {
                    return Err(failure);
                }
            }
        };
        let ended = clock::before(deadline, known).await;
        ended.unwrap_or_else(|| Err(self.timeout(detail)))
    }

    async fn find_coordinator(&self, group: &str, deadline: Instant) -> Result<i32> {
        let (response, version) = self
            .call(Target::Any, deadline, |version| {
                let mut request = FindCoordinatorRequest::default();
                if version >= 4 {
                    request.coordinator_keys.push(group.into());
                } else {
                    request.key = group.into();
                }
                request
            })
            .await?;
        let (code, message, node) = match response.coordinators.first() {
            Some(found) if version >= 4 => (
                found.error_code,
                found.error_message.as_deref(),
                found.node_id,
            ),
            _ => (
                response.error_code,
                response.error_message.as_deref(),
                response.node_id,
            ),
        };
        Error::check(code, message)?;
        if self.shared.address_of(node).is_none() {
            self.request_refresh();
            let unknown = Some("the coordinator is not in the metadata yet");
            return Err(Error::broker(ErrorCode::COORDINATOR_NOT_AVAILABLE, unknown));
        }
        Ok(node)
    }

    async fn controller(&self, deadline: Instant) -> Result<i32> {
        self.known(deadline, "no broker is known in time").await?;
        let mut views = self.watch();
        loop {
            let view = Arc::clone(&views.borrow_and_update());
            // In KRaft any broker takes admin requests and passes them on.
            if let Some(node) = view
                .controller
                .or_else(|| view.brokers.keys().next().copied())
            {
                return Ok(node);
            }
            self.request_refresh();
            if clock::before(deadline, views.changed()).await.is_none() {
                return Err(self.timeout("no broker is known in time"));
            }
        }
    }

    async fn any_connection(&self, deadline: Instant) -> Result<Connection> {
        let mut backoff = self.backoff();
        loop {
            let error = match self.shared.any_connection(deadline).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            self.pause(&mut backoff, error, deadline).await?;
        }
    }

    /// Starts the task that keeps the view fresh, once.
    ///
    /// # Errors
    ///
    /// Outside a tokio runtime, or when the client is closed.
    pub(crate) fn start(&self) -> Result<()> {
        let mut started = lock(&self.shared.started);
        if !*started {
            let shared = Arc::clone(&self.shared);
            let mut closing = self.tasks.closing();
            self.tasks.spawn(async move {
                tokio::select! {
                    () = shared.keep_fresh() => {}
                    () = closed(&mut closing) => {}
                }
            })?;
            *started = true;
        }
        self.tasks.check_open()
    }
}

/// Short: handles of every role hold one.
impl fmt::Debug for ClusterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.config();
        f.debug_struct("Cluster")
            .field("bootstrap_servers", &config.bootstrap_servers)
            .field("client_id", &config.client_id)
            .finish_non_exhaustive()
    }
}

impl Shared {
    async fn keep_fresh(&self) {
        loop {
            let (topics, deadline) = {
                let mut machine = lock(&self.machine);
                (machine.poll_refresh(clock::now()), machine.poll_deadline())
            };
            let Some(topics) = topics else {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = clock::sleep_until_some(deadline) => {}
                }
                continue;
            };
            match self.ask(&topics).await {
                Ok(response) => {
                    let view = {
                        let mut machine = lock(&self.machine);
                        machine.handle_response(clock::now(), &response);
                        Arc::clone(machine.view())
                    };
                    self.last_failure.send_replace(None);
                    self.view.send_replace(view);
                }
                Err(error) => {
                    tracing::debug!(%error, "no metadata");
                    self.last_failure.send_replace(Some(error));
                    lock(&self.machine).handle_failure(clock::now(), clock::random());
                }
            }
        }
    }

    async fn ask(&self, topics: &[ByteString]) -> Result<MetadataResponse> {
        let deadline = clock::now() + self.config.request_timeout;
        let connection = self.any_connection(deadline).await?;
        let version = connection
            .versions()
            .choose(MetadataRequest::KEY, MetadataRequest::VERSIONS)?;
        let mut request = MetadataRequest::default();
        // Before version 4 the request cannot say.
        request.allow_auto_topic_creation = version < 4 || self.config.allow_auto_create_topics;
        // Version 0 knows no empty list: there it means all topics, which does no harm.
        request.topics = Some(
            topics
                .iter()
                .map(|name| {
                    let mut topic = MetadataRequestTopic::default();
                    topic.name = Some(name.clone());
                    topic
                })
                .collect(),
        );
        let response = connection.call(&request, version, deadline).await?;
        if response.brokers.is_empty() {
            // As one may be that has just begun to start.
            let none = Some("metadata without a broker");
            return Err(Error::broker(ErrorCode::BROKER_NOT_AVAILABLE, none)
                .with_broker(connection.address()));
        }
        Error::check(response.error_code, None)?;
        Ok(response)
    }

    /// A connection to whomever answers: one that is open, else a known broker, else the bootstrap list,
    /// each from a random start on. Fails with what may pass rather than with what will not: the error is no
    /// retriable one only if none was.
    async fn any_connection(&self, deadline: Instant) -> Result<Connection> {
        let view = Arc::clone(&self.view.borrow());
        let nodes = rotated(view.brokers.keys().map(|node| Peer::Node(*node)).collect());
        let bootstrap = (0..self.config.bootstrap_servers.len())
            .map(Peer::Bootstrap)
            .collect();
        let peers: Vec<_> = nodes.into_iter().chain(rotated(bootstrap)).collect();
        if let Some(open) = peers.iter().find_map(|peer| self.pool.connected(*peer)) {
            return Ok(open);
        }
        let mut last = None;
        for peer in peers {
            let address = match peer {
                Peer::Bootstrap(at) => self.config.bootstrap_servers.get(at).cloned(),
                Peer::Node(node) | Peer::Group(node, _) | Peer::Fetch(node, _) => {
                    self.address_of(node)
                }
            };
            let Some(address) = address else { continue };
            match self.pool.connect(peer, &address, deadline).await {
                Ok(connection) => return Ok(connection),
                Err(error) if error.is_retriable() => last = Some(error),
                Err(error) => {
                    last.get_or_insert(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Connect, "no broker is known")))
    }

    fn address_of(&self, node: i32) -> Option<String> {
        let view = self.view.borrow();
        let broker = view.brokers.get(&node)?;
        Some(if broker.host.contains(':') {
            format!("[{}]:{}", broker.host, broker.port)
        } else {
            format!("{}:{}", broker.host, broker.port)
        })
    }
}

/// How long a topic that the cluster says it does not know is asked for again.
const UNKNOWN_TOPIC_PATIENCE: Duration = Duration::from_secs(5);

fn rotated(mut peers: Vec<Peer>) -> Vec<Peer> {
    if !peers.is_empty() {
        let middle = clock::random() as usize % peers.len();
        peers.rotate_left(middle);
    }
    peers
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::test_peer::{Habits, TestPeer};

    #[tokio::test]
    async fn closing_does_not_wait_for_a_connection_that_does_not_come() {
        let habits = Habits {
            silent_to: Some(kafka_protocol::ApiKey::ApiVersions),
            ..Habits::default()
        };
        let peer = TestPeer::start(habits).await;
        let cluster = peer.cluster();
        cluster.start().unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let start = clock::now();
        let aborted = cluster.close(start + Duration::from_secs(5)).await;
        assert_eq!(aborted, 0);
        assert!(clock::now().saturating_since(start) < Duration::from_secs(2));
    }
}
