//! One connection: frames in, answers out, strictly in the order of the requests.
//!
//! Requests may be pipelined. A request that must wait holds up those behind it, as in Kafka, while
//! the connection reads a little ahead to notice that the client has gone. Knows no API.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};

use crate::control::figures::OpenConnection;
use crate::control::journal::Outcome;
use crate::control::ruleset::Fate;
use crate::control::switchboard::Switchboard;
use crate::handler::call::{Answer, Aside, Peer, Piece, Reply, Waiting};
use crate::handler::dispatch::{Task, begin};
use crate::handler::exchange::Refusal;
use crate::server::clock::Clock;
use crate::server::interference::{Interference, cut, misnumbered, pieces};
use crate::server::output::Output;
use crate::server::sink::Sink;
use crate::server::threads::Threads;
use crate::state::node::Node;

/// What every connection of a broker has in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node: Arc<Node>,
    pub(crate) clock: Clock,
    pub(crate) switchboard: Arc<Switchboard>,
    pub(crate) threads: Threads,
    pub(crate) request_max_bytes: usize,
    pub(crate) idle_max: Duration,
}

/// Serves one client until it goes, errs, is silent for too long, or the broker stops.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    stream: impl AsyncRead + Sink,
    peer: Peer,
    address: SocketAddr,
    stop: watch::Receiver<bool>,
) {
    let mut connection = Connection {
        peer,
        open: shared.switchboard.counts.connected(),
        shared,
        stream,
        input: BytesMut::new(),
        output: Output::default(),
        stop,
    };
    let end = connection.run().await;
    if let End::Stopping = end {
        let _ = timeout(LINGER, linger(&mut connection.stream)).await;
    }
    match end {
        End::Closed | End::Stopping | End::Ruled => tracing::debug!(%address, "connection closed"),
        End::Idle => tracing::debug!(%address, "idle connection closed"),
        End::Io(error) => tracing::debug!(%address, %error, "connection lost"),
        End::Refused(refusal) => {
            tracing::warn!(%address, "closing the connection: {refusal}");
        }
        End::Asked(reason) => tracing::info!(%address, "closing the connection: {reason}"),
    }
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    Closed,
    Stopping,
    Idle,
    Io(io::Error),
    /// What came in cannot be served.
    Refused(Refusal),
    /// The protocol has no other way to tell the client.
    Asked(String),
    /// A rule wants it so.
    Ruled,
}

struct Connection<S> {
    peer: Peer,
    open: OpenConnection,
    shared: Arc<Shared>,
    stream: S,
    input: BytesMut,
    output: Output,
    stop: watch::Receiver<bool>,
}

impl<S: AsyncRead + Sink> Connection<S> {
    async fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.turn().await {
                return end;
            }
        }
    }

    async fn turn(&mut self) -> Result<(), End> {
        let split = frame::split(&mut self.input, self.shared.request_max_bytes);
        let split = split.map_err(|error| {
            let request = frame::peek_request(&self.input);
            End::Refused(Refusal::Frame(error, request))
        });
        let Some(request) = split? else {
            self.flush().await?;
            return self.fill().await;
        };
        let now = self.shared.clock.now();
        let task = begin(&self.shared.node, &self.peer, now, request).map_err(End::Refused)?;
        if self.shared.switchboard.is_watching() {
            return self.serve_watched(task).await;
        }
        match self.answer(task).await? {
            Some(answer) => self.send(answer.frame).await,
            None => Ok(()),
        }
    }

    /// Serves a request as rules want it, and has it written down.
    async fn serve_watched(&mut self, mut task: Task) -> Result<(), End> {
        let switchboard = Arc::clone(&self.shared.switchboard);
        let broker = self.shared.node.config.node_id;
        if switchboard.is_stalled(broker) {
            self.flush().await?;
            self.meanwhile(switchboard.until_not_stalled(broker))
                .await?;
        }
        let ruled = Interference::with(&mut task, &switchboard, broker, self.open.number);
        if !ruled.delay.is_zero() {
            self.flush().await?;
            self.meanwhile(sleep(ruled.delay)).await?;
        }
        task.set_now(self.shared.clock.now(), ruled.group.as_deref());
        if ruled.is_lost_unapplied() {
            ruled.ticket.settle(Outcome::Withheld, Vec::new());
            return self.deliver(Vec::new(), ruled.fate).await;
        }
        match self.answer(task).await {
            Ok(Some(answer)) => {
                let outcome = match ruled.is_answered() {
                    true => Outcome::Answered,
                    false => Outcome::Withheld,
                };
                ruled.ticket.settle(outcome, answer.errors);
                self.deliver(answer.frame, ruled.fate).await
            }
            Ok(None) => {
                ruled.ticket.settle(Outcome::Silent, Vec::new());
                self.deliver(Vec::new(), ruled.fate).await
            }
            Err(end) => {
                if let End::Asked(_) | End::Refused(_) = end {
                    ruled.ticket.settle(Outcome::Withheld, Vec::new());
                }
                Err(end)
            }
        }
    }

    /// Lets an answer go, or what a rule leaves of it.
    async fn deliver(&mut self, frame: Vec<Piece>, fate: Fate) -> Result<(), End> {
        match fate {
            Fate::Sent => self.send(frame).await,
            Fate::Dropped(_) => Ok(()),
            Fate::Closed(_) => {
                self.flush().await?;
                Err(End::Ruled)
            }
            Fate::Stalled(_) => {
                self.flush().await?;
                self.meanwhile(std::future::pending()).await
            }
            Fate::Cut(len) => {
                let cut = cut(frame, len).map_err(End::Io)?;
                self.output.push(vec![Piece::Bytes(cut)]);
                self.flush().await?;
                Err(End::Ruled)
            }
            Fate::Trickled { bytes, pause } => {
                self.flush().await?;
                for piece in pieces(frame, bytes).map_err(End::Io)? {
                    self.meanwhile(sleep(pause)).await?;
                    self.output.push(vec![Piece::Bytes(piece)]);
                    self.flush().await?;
                }
                Ok(())
            }
            Fate::Misnumbered => {
                let frame = misnumbered(frame).map_err(End::Io)?;
                self.send(vec![Piece::Bytes(frame)]).await
            }
        }
    }

    async fn send(&mut self, frame: Vec<Piece>) -> Result<(), End> {
        self.output.push(frame);
        if self.output.is_heavy() {
            self.flush().await?;
        }
        Ok(())
    }

    /// The answer to a request; none if the client wants none.
    async fn answer(&mut self, task: Task) -> Result<Option<Answer>, End> {
        let mut reply = match task.aside() {
            Some(kind) => {
                let clock = self.shared.clock;
                let mut task = task;
                let work = move || {
                    task.begin_at(clock.now());
                    task.run()
                };
                self.aside(kind, work).await?
            }
            None => task.run(),
        };
        loop {
            match reply.map_err(End::Refused)? {
                Reply::Ready(answer) => return Ok(Some(answer)),
                Reply::Silent => return Ok(None),
                Reply::Close(reason) => {
                    self.flush().await?;
                    return Err(End::Asked(reason));
                }
                Reply::Later(waiting) => return self.wait(waiting).await.map(Some),
                Reply::Aside(rest) => {
                    let clock = self.shared.clock;
                    let done = self
                        .aside(Aside::Append, move || rest(&|| clock.now()))
                        .await?;
                    reply = done.map_err(Refusal::Encode);
                }
            }
        }
    }

    /// Does something that takes long. What was answered before must not wait for it.
    async fn aside<T: Send + 'static>(
        &mut self,
        kind: Aside,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, End> {
        self.flush().await?;
        let done = self.shared.threads.run(kind, work).await;
        done.map_err(End::Io)
    }

    /// Waits for an answer that depends on others.
    async fn wait(&mut self, mut waiting: Box<dyn Waiting>) -> Result<Answer, End> {
        self.flush().await?;
        let signal = Arc::clone(waiting.signal());
        loop {
            let now = self.shared.clock.now();
            if let Some(answer) = waiting.poll(now) {
                return answer.map_err(|error| End::Refused(Refusal::Encode(error)));
            }
            let deadline = waiting.deadline().map(|at| self.shared.clock.at(at));
            let until = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let woken = async {
                tokio::select! {
                    () = signal.raised() => {}
                    () = until => {}
                }
            };
            self.meanwhile(woken).await?;
        }
    }

    /// Waits for something while the client may go and the broker may stop.
    async fn meanwhile(&mut self, something: impl Future<Output = ()>) -> Result<(), End> {
        tokio::select! {
            () = something => Ok(()),
            end = read_ahead(&mut self.stream, &mut self.input) => Err(end),
            _ = self.stop.wait_for(|stop| *stop) => Err(End::Stopping),
        }
    }

    /// Reads what there is; waits until there is something.
    async fn fill(&mut self) -> Result<(), End> {
        let mut patience = self.shared.idle_max;
        // What is freed and taken again for each request costs as much as to receive it.
        if self.input.is_empty() && self.input.capacity() > READ_MIN {
            let kept = BUFFER_KEPT.min(patience);
            if let Some(result) = self.read_within(kept).await {
                return result;
            }
            patience -= kept;
            // An idle connection holds no buffer to speak of.
            self.input = BytesMut::new();
        }
        let read = self.read_within(patience).await;
        read.unwrap_or(Err(End::Idle))
    }

    /// `None` if nothing came.
    async fn read_within(&mut self, patience: Duration) -> Option<Result<(), End>> {
        self.input.reserve(room_for(&self.input));
        let read = timeout(patience, self.stream.read_buf(&mut self.input));
        tokio::select! {
            read = read => match read {
                Err(_) => None,
                Ok(Err(error)) => Some(Err(End::Io(error))),
                Ok(Ok(0)) => Some(Err(End::Closed)),
                Ok(Ok(len)) => {
                    self.shared.switchboard.counts.received(len);
                    Some(Ok(()))
                }
            },
            _ = self.stop.wait_for(|stop| *stop) => Some(Err(End::Stopping)),
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.shared.switchboard.counts.sent(self.output.len());
        let flushed = self
            .output
            .flush(&mut self.stream, self.shared.idle_max)
            .await;
        flushed.map_err(End::Io)
    }
}

/// Reads what the client sends while it waits for an answer, up to a limit; ends with the
/// connection only.
async fn read_ahead(stream: &mut (impl AsyncRead + Unpin), input: &mut BytesMut) -> End {
    while input.len() < AHEAD_MAX {
        match stream.read_buf(input).await {
            Err(error) => return End::Io(error),
            Ok(0) => return End::Closed,
            Ok(_) => {}
        }
    }
    std::future::pending().await
}

/// Tells the client that no more comes, and takes in what it still sends until it goes. The system resets
/// a connection that is closed over bytes that nobody has read, and the client would lose the answers that
/// it has not read yet: what was acknowledged it would send again.
async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.shutdown().await?;
    let mut unserved = [0; READ_MIN];
    while stream.read(&mut unserved).await? > 0 {}
    Ok(())
}

/// Room for the next read: for the rest of the request if its length is known and not enormous, so that
/// it is not moved as it grows. Room that is not filled takes no memory.
fn room_for(received: &[u8]) -> usize {
    let Some(size) = received.first_chunk::<{ frame::SIZE_LEN }>() else {
        return READ_MIN;
    };
    let whole = frame::SIZE_LEN + usize::try_from(i32::from_be_bytes(*size)).unwrap_or_default();
    whole
        .saturating_sub(received.len())
        .clamp(READ_MIN, READ_MAX)
}

/// How long a client may take to go when the broker stops.
const LINGER: Duration = Duration::from_millis(250);

/// Room for the first read of a request.
const READ_MIN: usize = 4 * 1024;

/// The most room that is made because a client says how long its request will be.
const READ_MAX: usize = 4 * 1024 * 1024;

/// How long the buffer for requests is kept when none comes.
const BUFFER_KEPT: Duration = Duration::from_secs(1);

/// How much is read of the requests behind one that waits.
const AHEAD_MAX: usize = 64 * 1024;
