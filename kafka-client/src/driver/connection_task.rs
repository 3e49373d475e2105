//! One connection to one broker: requests pipelined onto the socket, answers completed in order.
//!
//! Whoever sends writes: a request goes into the outbox under a short lock and, if nothing waits there,
//! onto the socket in the same call. What the socket does not take at once is left to the writer task.
//! The reader task cuts frames, matches them and runs their completions. Bytes in the outbox belong to it
//! until they are written or the connection is dead.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::request::{Message, Request};
use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, ErrorCode, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};

use crate::driver::clock;
use crate::driver::tasks::{Tasks, closed};
use crate::driver::transport::Transport;
use crate::error::{Error, ErrorKind, Result};
use crate::machine;
use crate::machine::time::{Duration, Instant};
use crate::machine::versions::BrokerVersions;

/// The body of an answer.
pub(crate) struct Reply {
    pub(crate) version: i16,
    pub(crate) body: Reader,
}

/// Runs on the connection's reader when the answer is there, or when it never will be.
pub(crate) type Completion = Box<dyn FnOnce(Result<Reply>) + Send>;

/// Runs when a request that has no answer is handed to the system, or when it never will be.
pub(crate) type Written = Box<dyn FnOnce(Result<()>) + Send>;

/// What a connection needs to know of the client.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSettings {
    pub(crate) client_id: Arc<str>,
    pub(crate) response_bytes_max: usize,
}

/// A connection on which requests can be sent. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    address: String,
    settings: ConnectionSettings,
    versions: BrokerVersions,
    state: Mutex<State>,
    /// The outbox holds something that the socket did not take.
    outbox_waits: Notify,
    /// The first request is in flight after a time without any, or the connection failed.
    reader_wanted: Notify,
    /// The connection failed: there is nothing more to write.
    writer_ends: Notify,
}

struct State {
    machine: machine::connection::Connection<Completion>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    outbox: VecDeque<Bytes>,
    /// How many bytes were ever put into the outbox, and how many of them are written.
    put: u64,
    written: u64,
    /// Requests without an answer that are not written yet, in order.
    unanswered: VecDeque<Unanswered>,
    /// Whether the reader's timer runs.
    timer_runs: bool,
    /// Why the connection is dead.
    failure: Option<Error>,
}

/// A request that the broker does not answer.
struct Unanswered {
    api: ApiKey,
    /// It is written once that many bytes are.
    ends_at: u64,
    deadline: Instant,
    completion: Written,
}

/// Held by the reader's task: whatever ends it, nobody waits for an answer that nobody reads.
struct FailOnDrop(Arc<Shared>);

impl Drop for FailOnDrop {
    fn drop(&mut self) {
        let ended = Error::new(ErrorKind::Closed, "the connection's task was ended");
        self.0.fail(&ended);
    }
}

impl Connection {
    /// Makes a connection of fresh byte streams: asks the broker for its versions, then starts the tasks.
    ///
    /// # Errors
    ///
    /// If the peer does not answer as a Kafka broker until `deadline`.
    pub(crate) async fn start(
        transport: Transport,
        address: String,
        settings: ConnectionSettings,
        tasks: &Tasks,
        deadline: Instant,
    ) -> Result<Self> {
        let Transport {
            mut reader,
            mut writer,
        } = transport;
        let mut input = BytesMut::new();
        let handshake = handshake(&mut reader, &mut writer, &mut input, &settings);
        let versions = match clock::before(deadline, handshake).await {
            Some(versions) => versions.map_err(|error| error.with_broker(&*address))?,
            None => {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    "connected, but the peer did not answer ApiVersions in time",
                )
                .with_broker(address));
            }
        };
        let shared = Arc::new(Shared {
            address,
            settings,
            versions,
            state: Mutex::new(State {
                machine: machine::connection::Connection::default(),
                writer,
                outbox: VecDeque::new(),
                put: 0,
                written: 0,
                unanswered: VecDeque::new(),
                timer_runs: false,
                failure: None,
            }),
            outbox_waits: Notify::new(),
            reader_wanted: Notify::new(),
            writer_ends: Notify::new(),
        });
        let mut closing = tasks.closing();
        let writing = Arc::clone(&shared);
        tasks.spawn(async move {
            tokio::select! {
                error = writing.write_on() => writing.fail(&error),
                () = writing.writer_ends.notified() => {}
                () = closed(&mut closing) => {}
            }
        })?;
        let mut closing = tasks.closing();
        let reading = Arc::clone(&shared);
        let guard = FailOnDrop(Arc::clone(&shared));
        tasks.spawn(async move {
            let _guard = guard;
            let error = tokio::select! {
                error = reading.read_on(reader, input) => error,
                () = closed(&mut closing) => Error::new(ErrorKind::Closed, "the client was closed"),
            };
            reading.fail(&error);
        })?;
        Ok(Self { shared })
    }

    /// What the broker serves.
    pub(crate) fn versions(&self) -> &BrokerVersions {
        &self.shared.versions
    }

    /// `HOST:PORT` of the peer.
    pub(crate) fn address(&self) -> &str {
        &self.shared.address
    }

    /// Whether requests can no longer be sent.
    pub(crate) fn is_dead(&self) -> bool {
        self.shared.state().failure.is_some()
    }

    /// Ends the connection: whatever is in flight fails with `error`.
    pub(crate) fn fail(&self, error: &Error) {
        self.shared.fail(error);
    }

    /// Sends a request; `completion` gets the answer, on the reader's task. If `deadline` passes before,
    /// the connection is given up, since later answers could no longer be told apart.
    ///
    /// # Errors
    ///
    /// If the request cannot be encoded or the connection is dead; then `completion` is not run.
    pub(crate) fn submit<R: Request>(
        &self,
        request: &R,
        version: i16,
        deadline: Instant,
        completion: Completion,
    ) -> Result<()> {
        let then = Then::Answer(completion);
        self.shared.submit(request, version, deadline, then)
    }

    /// Sends a request that the broker does not answer: Produce with acks=0. `completion` runs once the
    /// system has taken it, which may be before this returns. If `deadline` passes before, the connection is
    /// given up: the peer has stopped reading.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub(crate) fn submit_unanswered<R: Request>(
        &self,
        request: &R,
        version: i16,
        deadline: Instant,
        completion: Written,
    ) -> Result<()> {
        let then = Then::Written(completion);
        self.shared.submit(request, version, deadline, then)
    }

    /// Sends a request and waits for its answer. Dropping the future leaves the request in flight and its
    /// answer unread; the connection goes on.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and if the connection dies or `deadline` passes before the answer.
    pub(crate) async fn call<R: Request>(
        &self,
        request: &R,
        version: i16,
        deadline: Instant,
    ) -> Result<R::Response> {
        let (answered, answer) = oneshot::channel();
        let completion = Box::new(move |reply| {
            // The caller may have stopped waiting.
            let _unread = answered.send(reply);
        });
        self.submit(request, version, deadline, completion)?;
        let reply = answer.await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Disconnected,
                "the connection was dropped",
            ))
        });
        reply.and_then(|reply| {
            decode(reply).map_err(|error| {
                self.fail(&error);
                error.with_broker(self.address())
            })
        })
    }
}

/// Decodes a whole body: what is left over means that the peer speaks something else than it claims.
pub(crate) fn decode<M: Message>(mut reply: Reply) -> Result<M> {
    let unreadable = |detail: &'static str| Error::new(ErrorKind::Protocol, detail);
    let message = M::decode(&mut reply.body, reply.version)
        .map_err(|error| unreadable("unreadable response").with_source(error))?;
    if reply.body.remaining() != 0 {
        return Err(unreadable("bytes are left over behind a response"));
    }
    Ok(message)
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.shared.address)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit<R: Request>(
        &self,
        request: &R,
        version: i16,
        deadline: Instant,
        then: Then,
    ) -> Result<()> {
        let mut state = self.state();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let correlation_id = state.machine.next_correlation_id();
        let client_id = Some(&*self.settings.client_id);
        let chunks = frame::encode_request(request, version, correlation_id, client_id).map_err(
            |error| {
                Error::new(ErrorKind::InvalidArgument, "the request cannot be encoded")
                    .with_api(R::KEY)
                    .with_source(error)
            },
        )?;
        let was_empty = state.outbox.is_empty();
        for chunk in chunks {
            state.put += chunk.len() as u64;
            state.outbox.push_back(chunk);
        }
        match then {
            Then::Answer(completion) => {
                let machine = &mut state.machine;
                machine.register(R::KEY, version, deadline, completion);
            }
            Then::Written(completion) => {
                let request = Unanswered {
                    api: R::KEY,
                    ends_at: state.put,
                    deadline,
                    completion,
                };
                state.unanswered.push_back(request);
            }
        }
        if was_empty {
            // Nobody else writes while the outbox is empty. A failed write shows again in the writer task.
            let mut nobody = Context::from_waker(Waker::noop());
            if !matches!(state.poll_write(&mut nobody), Poll::Ready(Ok(()))) {
                self.outbox_waits.notify_one();
            }
        }
        let written = state.take_written();
        let starts_timer = state.waits_for_something() && !state.timer_runs;
        state.timer_runs |= starts_timer;
        drop(state);
        if starts_timer {
            self.reader_wanted.notify_one();
        }
        for request in written {
            (request.completion)(Ok(()));
        }
        Ok(())
    }

    fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (polled, written) = {
            let mut state = self.state();
            (state.poll_write(cx), state.take_written())
        };
        for request in written {
            (request.completion)(Ok(()));
        }
        polled
    }

    /// The writer task: empties the outbox whenever it waits, until the socket fails.
    async fn write_on(&self) -> Error {
        loop {
            self.outbox_waits.notified().await;
            let written = std::future::poll_fn(|cx| self.poll_write(cx)).await;
            if let Err(error) = written {
                return self
                    .lost("the connection broke while writing")
                    .with_source(error);
            }
        }
    }

    /// The error of a frame that cannot be read: it should have answered the oldest request.
    fn of_next_answer(&self, error: Error) -> Error {
        let error = error.with_broker(&*self.address);
        match self.state().machine.next_api() {
            Some(api) => error.with_api(api),
            None => error,
        }
    }

    /// The reader task: completes answers until the socket fails, a frame makes no sense, or a request has
    /// waited too long.
    async fn read_on(
        &self,
        mut reader: Box<dyn AsyncRead + Send + Unpin>,
        mut input: BytesMut,
    ) -> Error {
        let mut tick = std::pin::pin!(clock::sleep_until_some(None));
        loop {
            while let Some(frame) = match cut(&mut input, &self.settings) {
                Ok(frame) => frame,
                Err(error) => return self.of_next_answer(error),
            } {
                if let Err(error) = self.complete(frame) {
                    // A broker spoke here before: a new connection may well have what this one has lost.
                    return self
                        .lost("an answer came that fits no request")
                        .with_source(error);
                }
            }
            reserve(&mut input, self.settings.response_bytes_max);
            tokio::select! {
                read = reader.read_buf(&mut input) => match read {
                    Ok(0) => return self.lost("the broker closed the connection"),
                    Ok(_) => {}
                    Err(error) => {
                        return self.lost("the connection broke while reading").with_source(error);
                    }
                },
                () = &mut tick => match self.look_at_deadlines() {
                    Ok(next) => tick.set(clock::sleep_until_some(next)),
                    Err(error) => return error,
                },
                () = self.reader_wanted.notified() => {
                    if let Some(failure) = self.state().failure.clone() {
                        return failure;
                    }
                    tick.set(clock::sleep_until_some(Some(clock::now() + TICK)));
                }
            }
        }
    }

    fn complete(&self, frame: Bytes) -> Result<()> {
        let answer = self.state().machine.handle_frame(frame)?;
        (answer.token)(Ok(Reply {
            version: answer.version,
            body: answer.body,
        }));
        Ok(())
    }

    /// When to look again; `None` once nothing is in flight.
    fn look_at_deadlines(&self) -> Result<Option<Instant>> {
        let now = clock::now();
        let mut state = self.state();
        if let Some(api) = state.machine.poll_overdue(now) {
            let error = Error::new(ErrorKind::Timeout, "no answer within the request timeout");
            return Err(error.with_api(api).with_broker(&*self.address));
        }
        if let Some(oldest) = state.unanswered.front()
            && oldest.deadline <= now
        {
            let error = Error::new(ErrorKind::Timeout, "not written within the request timeout");
            return Err(error.with_api(oldest.api).with_broker(&*self.address));
        }
        state.timer_runs = state.waits_for_something();
        Ok(state.timer_runs.then(|| now + TICK))
    }

    fn lost(&self, detail: &'static str) -> Error {
        Error::new(ErrorKind::Disconnected, detail).with_broker(&*self.address)
    }

    /// The connection is dead: whoever waits hears why, outside the lock, since completions may send on.
    fn fail(&self, error: &Error) {
        let (waiting, unwritten): (Vec<_>, _) = {
            let mut state = self.state();
            if state.failure.is_some() {
                return;
            }
            state.failure = Some(error.clone());
            state.outbox.clear();
            state.writer = Box::new(tokio::io::sink());
            let unwritten = std::mem::take(&mut state.unanswered);
            (state.machine.drain().collect(), unwritten)
        };
        tracing::debug!(broker = %self.address, %error, "connection ended");
        self.reader_wanted.notify_one();
        self.writer_ends.notify_one();
        for request in unwritten {
            (request.completion)(Err(error.clone().with_api(request.api)));
        }
        for (api, completion) in waiting {
            completion(Err(error.clone().with_api(api)));
        }
    }
}

impl State {
    /// Writes from the outbox until it is empty.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, chunk) in slices.iter_mut().zip(&self.outbox) {
                *slice = IoSlice::new(chunk);
                count += 1;
            }
            let slices = slices.get(..count).unwrap_or_default();
            let mut written = ready!(Pin::new(&mut self.writer).poll_write_vectored(cx, slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written as u64;
            while let Some(chunk) = self.outbox.front_mut() {
                if written < chunk.len() {
                    chunk.advance(written);
                    break;
                }
                written -= chunk.len();
                self.outbox.pop_front();
            }
        }
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    /// The requests without an answer that are written by now.
    fn take_written(&mut self) -> Vec<Unanswered> {
        let is_written = |request: &Unanswered| request.ends_at <= self.written;
        let count = self.unanswered.iter().take_while(|r| is_written(r)).count();
        self.unanswered.drain(..count).collect()
    }

    /// Whether there is something that must not take for ever.
    fn waits_for_something(&self) -> bool {
        self.machine.in_flight() > 0 || !self.unanswered.is_empty()
    }
}

/// What becomes of a request once it is written.
enum Then {
    Answer(Completion),
    Written(Written),
}

/// How often deadlines are looked at while requests are in flight.
const TICK: Duration = Duration::from_millis(250);

/// Chunks per vectored write.
const SLICES: usize = 64;

/// Room kept free for reading: fewer, larger reads cost less.
const READ_BYTES: usize = 64 << 10;

/// The most room made at once for a frame that is still coming: memory follows the bytes that arrived and
/// not the length that was promised.
const READ_AHEAD_MAX: usize = 4 << 20;

/// Makes room for the rest of the frame that has begun.
fn reserve(input: &mut BytesMut, response_bytes_max: usize) {
    let promised = input.first_chunk::<4>().map_or(0, |size| {
        usize::try_from(i32::from_be_bytes(*size))
            .unwrap_or(0)
            .saturating_add(4)
    });
    let missing = promised.min(response_bytes_max).saturating_sub(input.len());
    let bounded = missing.min(READ_AHEAD_MAX.max(input.len()));
    if input.capacity() - input.len() < bounded.max(READ_BYTES / 4) {
        input.reserve(bounded.max(READ_BYTES));
    }
}

/// The next whole frame.
fn cut(input: &mut BytesMut, settings: &ConnectionSettings) -> Result<Option<Bytes>> {
    let head = input.first_chunk::<5>().copied();
    frame::split(input, settings.response_bytes_max).map_err(|error| {
        Error::new(ErrorKind::Protocol, what_the_peer_speaks(head)).with_source(error)
    })
}

/// A guess from the first bytes of a peer that is no Kafka broker.
fn what_the_peer_speaks(head: Option<[u8; 5]>) -> &'static str {
    match head {
        Some([b'H', b'T', b'T', b'P', _]) => "the peer speaks HTTP, not Kafka",
        Some([b'S', b'S', b'H', b'-', _]) => "the peer speaks SSH, not Kafka",
        Some([0x14..=0x17, 3, ..]) => "the peer speaks TLS: this is not a plaintext listener",
        _ => "the peer does not speak Kafka, or its response exceeds the limit",
    }
}

/// Asks for the broker's versions. A broker that does not know our version of the request answers in the
/// oldest layout, and is asked again in that (KIP-511).
async fn handshake(
    reader: &mut Box<dyn AsyncRead + Send + Unpin>,
    writer: &mut Box<dyn AsyncWrite + Send + Unpin>,
    input: &mut BytesMut,
    settings: &ConnectionSettings,
) -> Result<BrokerVersions> {
    let mut request = ApiVersionsRequest::default();
    request.client_software_name = SOFTWARE_NAME.into();
    request.client_software_version = env!("CARGO_PKG_VERSION").into();
    for version in [ApiVersionsRequest::VERSIONS.max, 0] {
        let response = ask_versions(reader, writer, input, settings, &request, version).await?;
        match ErrorCode::from(response.error_code) {
            ErrorCode::NONE => return Ok(BrokerVersions::from_response(&response)),
            ErrorCode::UNSUPPORTED_VERSION if version > 0 => {}
            code => return Err(Error::broker(code, None).with_api(ApiKey::ApiVersions)),
        }
    }
    Err(Error::new(
        ErrorKind::UnsupportedVersion,
        "the broker refuses every ApiVersions request",
    ))
}

/// Letters and digits at both ends, as KIP-511 wants it.
const SOFTWARE_NAME: &str = "kafka-client-rust";

async fn ask_versions(
    reader: &mut Box<dyn AsyncRead + Send + Unpin>,
    writer: &mut Box<dyn AsyncWrite + Send + Unpin>,
    input: &mut BytesMut,
    settings: &ConnectionSettings,
    request: &ApiVersionsRequest,
    version: i16,
) -> Result<ApiVersionsResponse> {
    let chunks = frame::encode_request(request, version, 0, Some(&settings.client_id))
        .map_err(|error| Error::new(ErrorKind::Config, "client.id").with_source(error))?;
    let broke = |error: io::Error| {
        Error::new(
            ErrorKind::Disconnected,
            "the connection broke during the handshake",
        )
        .with_source(error)
    };
    for mut chunk in chunks {
        writer.write_all_buf(&mut chunk).await.map_err(broke)?;
    }
    writer.flush().await.map_err(broke)?;
    let frame = loop {
        let frame = cut(input, settings).map_err(|error| error.with_api(ApiKey::ApiVersions))?;
        if let Some(frame) = frame {
            break frame;
        }
        reserve(input, settings.response_bytes_max);
        if reader.read_buf(input).await.map_err(broke)? == 0 {
            return Err(Error::new(
                ErrorKind::Disconnected,
                "the peer closed the connection during the handshake: \
                 perhaps it speaks TLS or is no Kafka broker",
            ));
        }
    };
    let mut machine = machine::connection::Connection::default();
    machine.register(ApiKey::ApiVersions, version, Instant::ZERO, ());
    let answer = machine.handle_frame(frame)?;
    let mut body = answer.body;
    // An error comes in the oldest layout, whatever was asked.
    let refused =
        body.clone().i16("error_code").ok() == Some(ErrorCode::UNSUPPORTED_VERSION.code());
    let version = if refused { 0 } else { version };
    ApiVersionsResponse::decode(&mut body, version).map_err(|error| {
        Error::new(
            ErrorKind::Protocol,
            "the peer does not answer as a Kafka broker",
        )
        .with_api(ApiKey::ApiVersions)
        .with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use kafka_protocol::messages::MetadataRequest;

    use super::*;
    use crate::driver::cluster_task::Target;
    use crate::driver::test_peer::{Habits, TestPeer};

    #[tokio::test]
    async fn a_dead_connection_leaves_no_task_behind() {
        let peer = TestPeer::start(Habits::default()).await;
        let cluster = peer.cluster();
        let topic = "t".into();
        cluster.topic(&topic, cluster.api_deadline()).await.unwrap();
        let before = cluster.tasks_running();
        for _ in 0..5 {
            let connection = cluster.connection(Target::Node(0), cluster.api_deadline());
            let connection = connection.await.unwrap();
            connection.fail(&Error::new(ErrorKind::Disconnected, "for the test"));
        }
        assert!(peer.connections.load(Ordering::SeqCst) >= 5);
        let ended = async {
            while cluster.tasks_running() > before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
        assert!(ended.is_ok(), "{} tasks", cluster.tasks_running());
    }

    #[tokio::test]
    async fn a_call_that_gives_up_leaves_the_connection_to_others() {
        let slow = (ApiKey::Metadata, Duration::from_millis(600));
        let peer = TestPeer::start(Habits::default()).await;
        let cluster = peer.cluster();
        let topic = "t".into();
        cluster.topic(&topic, cluster.api_deadline()).await.unwrap();
        let connection = cluster.connection(Target::Node(0), cluster.api_deadline());
        let connection = connection.await.unwrap();
        peer.change(|habits| habits.slow_to = Some(slow));
        let start = clock::now();
        let soon = start + Duration::from_millis(100);
        let call = cluster.call(Target::Node(0), soon, |_| MetadataRequest::default());
        assert_eq!(call.await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(clock::now().saturating_since(start) < Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(1000)).await;
        assert!(!connection.is_dead(), "others may be using it");
    }

    #[tokio::test]
    async fn what_is_in_flight_is_answered_though_the_reader_is_aborted() {
        let peer = TestPeer::start(Habits::default()).await;
        let cluster = peer.cluster();
        let topic = "t".into();
        let other = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let theirs = cluster.clone();
        let connected = other.spawn(async move {
            theirs.topic(&topic, theirs.api_deadline()).await.unwrap();
            let connection = theirs.connection(Target::Node(0), theirs.api_deadline());
            connection.await.unwrap()
        });
        let connection = connected.await.unwrap();
        peer.change(|habits| habits.silent_to = Some(ApiKey::Metadata));
        let (answered, answer) = oneshot::channel();
        let completion = Box::new(move |reply: Result<Reply>| {
            let _unread = answered.send(reply.map(drop));
        });
        let deadline = clock::now() + Duration::from_secs(60);
        let request = MetadataRequest::default();
        connection
            .submit(&request, 4, deadline, completion)
            .unwrap();
        other.shutdown_background();
        let heard = tokio::time::timeout(Duration::from_secs(5), answer).await;
        let error = heard.expect("an answer").unwrap().unwrap_err();
        assert!(connection.is_dead(), "{error}");
    }
}
