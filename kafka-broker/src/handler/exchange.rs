//! One request between bytes and bytes: its body to a message, its handler's answer to a frame.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::frame::{self, FrameError};
use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, DecodeError, EncodeError, ErrorCode, Message, Request};

use crate::control::subjects::{About, Refusals, Subjects};
use crate::handler::call::{Answer, Call, Handler, Later, Outcome, Reply, Waiting, Wishes};
use crate::handler::inspect::message::Inspect;
use crate::handler::placeholder::splice;
use crate::log::FileStretch;
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
    let framing = Framing {
        version: if call.node.serves(key, version) {
            version
        } else {
            0
        },
        correlation_id,
        ending: Ending::of(&call.wishes),
    };
    let outcome = match call.admit(About::WHOLE) {
        Err(code) if H::Request::REFUSED_AS_A_WHOLE => Outcome::Ready(refusal::<H::Request>(code)),
        _ => H::handle(&call, request),
    };
    reply::<H::Request>(call, framing, outcome).map_err(Refusal::Encode)
}

fn reply<R: Inspect + 'static>(
    mut call: Call,
    framing: Framing,
    outcome: Outcome<R::Response>,
) -> Result<Reply, EncodeError> {
    let ready = |framing: &Framing, answer, stretches| {
        let answer = framing.frame::<R>(answer, stretches)?;
        Ok(Reply::Ready(answer))
    };
    match outcome {
        Outcome::Ready(answer) => ready(&framing, answer, Vec::new()),
        Outcome::Spliced(answer, stretches) => ready(&framing, answer, stretches),
        Outcome::Silent => Ok(Reply::Silent),
        Outcome::Close(reason) => Ok(Reply::Close(format!("{}: {reason}", R::KEY.name()))),
        Outcome::Later(later) => Ok(Reply::Later(Box::new(Framed::<R> { later, framing }))),
        Outcome::Aside(rest) => Ok(Reply::Aside(Box::new(move |clock| {
            call.now = clock();
            let outcome = rest(&call, clock);
            reply::<R>(call, framing, outcome)
        }))),
    }
}

/// Tells what a request of the handler `H` is about; nothing, if it cannot be read.
pub(crate) fn subjects<H: Handler>(call: &Call, mut body: Reader) -> Subjects {
    let mut subjects = Subjects::default();
    if let Ok(mut request) = H::Request::decode(&mut body, call.version) {
        H::recall(call, &mut request);
        let table = call.node.topics().table();
        request.subjects(call.version, &table, &mut subjects);
    }
    subjects
}

/// The answer that refuses a request which is refused as a whole.
fn refusal<R: Inspect>(code: ErrorCode) -> R::Response {
    let mut answer = R::Response::default();
    R::codes(&mut answer, &mut |_, place| *place = code.code());
    answer
}

/// Why a request cannot be answered: the connection that it came by ends.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The bytes are not a frame that the broker takes; of which request, if that is known.
    Frame(FrameError, Option<(ApiKey, i16)>),
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
            Self::Frame(error, None) => error.fmt(f),
            Self::Frame(error, Some((api, version))) => {
                write!(f, "{} v{version}: {error}", api.name())
            }
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

/// How an answer becomes a frame.
struct Framing {
    version: i16,
    correlation_id: i32,
    ending: Ending,
}

/// What rules and the journal want of the answer.
struct Ending {
    overruled: Refusals,
    is_watched: bool,
}

impl Ending {
    fn of(wishes: &Wishes) -> Self {
        Self {
            overruled: wishes.overruled.clone(),
            is_watched: wishes.is_watched,
        }
    }
}

impl Framing {
    fn frame<R: Inspect>(
        &self,
        mut answer: R::Response,
        stretches: Vec<FileStretch>,
    ) -> Result<Answer, EncodeError> {
        let overruled = &self.ending.overruled;
        if !overruled.is_empty() {
            R::codes(&mut answer, &mut |about, place| {
                if let Some(code) = overruled.of(about) {
                    *place = code.code();
                }
            });
        }
        let mut errors = Vec::new();
        if self.ending.is_watched {
            R::codes(&mut answer, &mut |_, place| {
                let code = ErrorCode::from_code(*place);
                if !code.is_none() && !errors.contains(&code) {
                    errors.push(code);
                }
            });
        }
        let chunks = frame::encode_response(&answer, self.version, self.correlation_id)?;
        Ok(Answer {
            frame: splice(chunks, stretches),
            errors,
        })
    }
}

/// A later answer that becomes a frame when it is there.
struct Framed<R: Inspect> {
    later: Box<dyn Later<R::Response>>,
    framing: Framing,
}

impl<R: Inspect> Waiting for Framed<R> {
    fn signal(&self) -> &Arc<Signal> {
        self.later.signal()
    }

    fn deadline(&self) -> Option<Duration> {
        self.later.deadline()
    }

    fn poll(&mut self, now: Now) -> Option<Result<Answer, EncodeError>> {
        let answer = self.later.poll(now)?;
        let stretches = self.later.take_stretches();
        Some(self.framing.frame::<R>(answer, stretches))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_is_too_long_is_named_by_its_request() {
        let error = FrameError::TooLong {
            len: 200,
            max_len: 100,
        };
        let text = "frame of 200 bytes where 100 are allowed";
        assert_eq!(Refusal::Frame(error, None).to_string(), text);
        let request = Some((ApiKey::Produce, 9));
        let named = Refusal::Frame(error, request).to_string();
        assert_eq!(named, format!("Produce v9: {text}"));
    }
}
