//! From the bytes of a request to its handler, and from the handler's answer to bytes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::frame::{self, FrameError};
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, DecodeError, EncodeError, Message, Request};

use crate::handler::call::{Call, Handler, Later, Outcome, Peer, Reply, Waiting, Work};
use crate::handler::registry::{Entry, entry_of};
use crate::state::node::Node;
use crate::state::signal::Signal;
use crate::state::time::Now;

/// A request that was understood as far as its header.
#[derive(Debug)]
pub(crate) enum Task {
    /// To be run at once.
    Quick(Prepared),
    /// To be run where it may wait for the disk.
    Slow(Prepared),
}

/// A request with its handler.
#[derive(Debug)]
pub(crate) struct Prepared {
    entry: &'static Entry,
    call: Call,
    correlation_id: i32,
    body: Reader,
}

impl Prepared {
    /// Has the request answered.
    pub(crate) fn run(self) -> Result<Reply, Refusal> {
        (self.entry.run)(self.call, self.correlation_id, self.body)
    }
}

/// Why a request cannot be answered: the connection that it came by ends.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The bytes are not a frame that the broker takes.
    Frame(FrameError),
    /// There is no request header.
    Header(DecodeError),
    /// No API has this key, or the broker does not serve it.
    Key(i16),
    /// The API is served, but not in this version.
    Version(ApiKey, i16),
    /// The body is not what the header says.
    Body(DecodeError),
    /// The answer cannot be said in the version of the request.
    Encode(EncodeError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Header(error) => write!(f, "no request header: {error}"),
            Self::Key(key) => write!(f, "api key {key} is not served"),
            Self::Version(api, version) => {
                write!(f, "version {version} of {} is not served", api.name())
            }
            Self::Body(error) => write!(f, "unreadable request: {error}"),
            Self::Encode(error) => write!(f, "unwritable response: {error}"),
        }
    }
}

/// Reads the header of a request and finds its handler.
pub(crate) fn begin(
    node: &Arc<Node>,
    peer: &Peer,
    now: Now,
    request: Bytes,
) -> Result<Task, Refusal> {
    let (key, version) = key_and_version(&request);
    let entry = entry_of(key).ok_or(Refusal::Key(key))?;
    let mut body = Reader::new(request);
    let served = node.serves(entry.key, version);
    // The header of an ApiVersions from the future begins like one of today, and the answer to it
    // must be one that every client can read.
    let header_version = match entry.key {
        ApiKey::ApiVersions if !served => 1,
        _ if !served => return Err(Refusal::Version(entry.key, version)),
        key => key.request_header_version(version),
    };
    let header = RequestHeader::decode(&mut body, header_version).map_err(Refusal::Header)?;
    let call = Call {
        node: Arc::clone(node),
        version,
        client_id: header.client_id.unwrap_or_default(),
        client_host: peer.host.clone(),
        now,
    };
    let prepared = Prepared { entry, call, correlation_id: header.correlation_id, body };
    Ok(match entry.work {
        Work::Quick => Task::Quick(prepared),
        Work::Slow => Task::Slow(prepared),
    })
}

/// Runs the handler `H` between bytes and bytes.
pub(crate) fn run<H: Handler + 'static>(
    call: Call,
    correlation_id: i32,
    mut body: Reader,
) -> Result<Reply, Refusal> {
    let version = call.version;
    let request = match H::Request::decode(&mut body, version) {
        Ok(request) => request,
        // Only ApiVersions gets here with a version that nobody can read.
        Err(_) if !call.node.serves(H::Request::KEY, version) => H::Request::default(),
        Err(error) => return Err(Refusal::Body(error)),
    };
    drop(body);
    let key = H::Request::KEY;
    let answer_version = if call.node.serves(key, version) { version } else { 0 };
    Ok(match H::handle(&call, request) {
        Outcome::Ready(answer) => {
            let frame = frame::encode_response(&answer, key, answer_version, correlation_id);
            Reply::Ready(frame.map_err(Refusal::Encode)?)
        }
        Outcome::Silent => Reply::Silent,
        Outcome::Close(reason) => Reply::Close(format!("{}: {reason}", key.name())),
        Outcome::Later(later) => {
            Reply::Later(Box::new(Framed { later, key, version, correlation_id }))
        }
    })
}

/// The first four bytes of a header, whatever its version; what is missing is zero and fails later.
fn key_and_version(request: &Bytes) -> (i16, i16) {
    let at = |at: usize| {
        let pair = request.get(at..at + 2).and_then(|pair| pair.try_into().ok());
        i16::from_be_bytes(pair.unwrap_or_default())
    };
    (at(0), at(2))
}

/// A later answer that becomes a frame when it is there.
struct Framed<T> {
    later: Box<dyn Later<T>>,
    key: ApiKey,
    version: i16,
    correlation_id: i32,
}

impl<T: Message> Waiting for Framed<T> {
    fn signal(&self) -> &Arc<Signal> {
        self.later.signal()
    }

    fn deadline(&self) -> Option<Duration> {
        self.later.deadline()
    }

    fn poll(&mut self, now: Now) -> Option<Result<Vec<Bytes>, EncodeError>> {
        let answer = self.later.poll(now)?;
        Some(frame::encode_response(&answer, self.key, self.version, self.correlation_id))
    }
}
