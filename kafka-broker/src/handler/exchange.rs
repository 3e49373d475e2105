//! One request between bytes and bytes: its body to a message, its handler's answer to a frame.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::frame::{self, FrameError};
use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, DecodeError, EncodeError, Message, Request};

use crate::handler::call::{Call, Handler, Later, Outcome, Reply, Waiting};
use crate::state::signal::Signal;
use crate::state::time::Now;

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
    let answer_version = if call.node.serves(key, version) {
        version
    } else {
        0
    };
    Ok(match H::handle(&call, request) {
        Outcome::Ready(answer) => {
            let frame = frame::encode_response(&answer, key, answer_version, correlation_id);
            Reply::Ready(frame.map_err(Refusal::Encode)?)
        }
        Outcome::Silent => Reply::Silent,
        Outcome::Close(reason) => Reply::Close(format!("{}: {reason}", key.name())),
        Outcome::Later(later) => Reply::Later(Box::new(Framed {
            later,
            key,
            version,
            correlation_id,
        })),
    })
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
        Some(frame::encode_response(
            &answer,
            self.key,
            self.version,
            self.correlation_id,
        ))
    }
}
