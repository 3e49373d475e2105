//! What a handler is given and what it gives back.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::EncodeError;
use kafka_protocol::{ErrorCode, Request};

use crate::control::subjects::{About, Refusals};
use crate::handler::inspect::message::Inspect;
use crate::log::FileStretch;
use crate::state::node::Node;
use crate::state::refusal::Refusal;
use crate::state::signal::Signal;
use crate::state::time::Now;

/// Handles one API.
pub(crate) trait Handler {
    /// What it answers.
    type Request: Inspect;
    /// Whether it may keep a thread waiting.
    const WORK: Work = Work::Quick;
    /// The longest body of a request that is read and answered in a moment, in bytes.
    const SHORT_MAX: usize = 64 << 10;

    /// Puts into a request what it leaves out because it was said before, for whoever looks at what the
    /// request is about.
    fn recall(_call: &Call, _request: &mut Self::Request) {}

    /// Answers one request.
    fn handle(call: &Call, request: Self::Request)
    -> Outcome<<Self::Request as Request>::Response>;
}

/// How long a handler keeps its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Memory and the page cache: it runs where the request was read.
    Quick,
    /// Appends what the broker keeps of its groups and transactions: quick, unless a topic wants its records durable
    /// before they are acknowledged. Then it runs on a thread of its own, so that others can append meanwhile and
    /// share the sync.
    Append,
    /// Creates, deletes or syncs files, or unpacks batches: it runs on a thread of its own.
    Slow,
}

/// Why something is done on a thread of its own. No kind of work waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aside {
    /// The request is long, and so is the time to read and to answer it.
    Long,
    /// What it brings is unpacked, or packed anew, or made durable.
    Append,
    /// It waits for the disk.
    Disk,
}

/// One request beside its body: who asks, when, and of whom.
#[derive(Debug)]
pub(crate) struct Call {
    /// The broker.
    pub(crate) node: Arc<Node>,
    /// The version of the request.
    pub(crate) version: i16,
    /// What the client calls itself; empty if it says nothing.
    pub(crate) client_id: ByteString,
    /// Where the client is, as Kafka writes it.
    pub(crate) client_host: ByteString,
    /// Where the client finds the broker.
    pub(crate) endpoint: Arc<Endpoint>,
    /// When the request was read.
    pub(crate) now: Now,
    /// What rules want of it.
    pub(crate) wishes: Wishes,
}

/// What rules and the journal want of one request.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// What is to be refused, whatever the state says.
    pub(crate) refused: Refusals,
    /// What is to be answered with an error although it was applied.
    pub(crate) overruled: Refusals,
    /// Whether anybody wants to know the error codes of the answer.
    pub(crate) is_watched: bool,
}

impl Call {
    /// Fails if a rule refuses this part of the request.
    pub(crate) fn admit(&self, about: About<'_>) -> Result<(), ErrorCode> {
        self.wishes.refused.of(about).map_or(Ok(()), Err)
    }

    /// As [`Call::admit`], with a reason for where there is room for one.
    pub(crate) fn admit_or_say(&self, about: About<'_>) -> Result<(), Refusal> {
        let refused = |code| Refusal::new(code, "a rule refuses it");
        self.admit(about).map_err(refused)
    }
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its address, as Kafka writes it: behind a slash.
    pub(crate) host: ByteString,
    /// What it is told of where the broker is.
    pub(crate) endpoint: Arc<Endpoint>,
}

/// Where clients find a broker that come by one of its listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// A name or an address.
    pub(crate) host: ByteString,
    /// The port.
    pub(crate) port: u16,
}

impl Peer {
    /// The peer at this address.
    pub(crate) fn new(address: IpAddr, endpoint: Arc<Endpoint>) -> Self {
        Self {
            host: format!("/{address}").into(),
            endpoint,
        }
    }
}

/// What becomes of a request.
pub(crate) enum Outcome<T> {
    /// The answer.
    Ready(T),
    /// No answer at all: the client wants none.
    Silent,
    /// The connection ends, which is the only answer that the protocol has here.
    Close(String),
    /// The answer, with placeholders for these stretches of files, in their order.
    Spliced(T, Vec<FileStretch>),
    /// The answer comes later.
    Later(Box<dyn Later<T>>),
    /// Nothing was done yet, since it takes long: it is for a thread of its own.
    Aside(Rest<T>),
}

/// All that is still to be done for a request, by a clock.
pub(crate) type Rest<T> = Box<dyn FnOnce(&Call, &dyn Fn() -> Now) -> Outcome<T> + Send>;

/// As [`Rest`], for who sends the answer.
pub(crate) type RestOfReply =
    Box<dyn FnOnce(&dyn Fn() -> Now) -> Result<Reply, EncodeError> + Send>;

/// An answer that waits for something.
///
/// Whoever holds it polls once, and again whenever the signal was raised or the deadline is there.
pub(crate) trait Later<T>: Send {
    /// Raised when it is worth to poll again.
    fn signal(&self) -> &Arc<Signal>;
    /// When to poll again in any case.
    fn deadline(&self) -> Option<Duration>;
    /// The answer, once there is one.
    fn poll(&mut self, now: Now) -> Option<T>;
    /// The stretches of files that the answer has placeholders for, in their order.
    fn take_stretches(&mut self) -> Vec<FileStretch> {
        Vec::new()
    }
}

/// A part of the frame of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes in a file.
    File(FileStretch),
}

/// An answer as a frame.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The pieces of the frame, in order.
    pub(crate) frame: Vec<Piece>,
    /// The error codes in it, each once, if anybody wants to know.
    pub(crate) errors: Vec<ErrorCode>,
}

/// What becomes of a request, with the answer as a frame.
pub(crate) enum Reply {
    /// The answer.
    Ready(Answer),
    /// No answer.
    Silent,
    /// The connection ends for this reason.
    Close(String),
    /// The answer comes later.
    Later(Box<dyn Waiting>),
    /// Nothing was done yet: this is to be done aside.
    Aside(RestOfReply),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Ready",
            Self::Silent => "Silent",
            Self::Close(_) => "Close",
            Self::Later(_) => "Later",
            Self::Aside(_) => "Aside",
        })
    }
}

/// [`Later`] with the answer as a frame.
pub(crate) trait Waiting: Send {
    /// As [`Later::signal`].
    fn signal(&self) -> &Arc<Signal>;
    /// As [`Later::deadline`].
    fn deadline(&self) -> Option<Duration>;
    /// As [`Later::poll`].
    fn poll(&mut self, now: Now) -> Option<Result<Answer, EncodeError>>;
}
