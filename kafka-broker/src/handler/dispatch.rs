//! From the bytes of a request to its handler.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, Message};

use crate::control::subjects::Subjects;
use crate::handler::call::{Aside, Call, Peer, Reply, Wishes, Work};
use crate::handler::exchange::Refusal;
use crate::handler::registry::{Entry, entry_of};
use crate::state::node::Node;
use crate::state::time::Now;

/// A request that was understood as far as its header, with its handler.
#[derive(Debug)]
pub(crate) struct Task {
    entry: &'static Entry,
    call: Call,
    correlation_id: i32,
    body: Reader,
}

impl Task {
    /// Why it is to be run where it may take long, if it is.
    pub(crate) fn aside(&self) -> Option<Aside> {
        let waits = match self.entry.work {
            Work::Quick => false,
            Work::Append => self.call.node.topics().table().is_any_synced(),
            Work::Slow => true,
        };
        match waits {
            true => Some(Aside::Disk),
            false if self.body.remaining() > self.entry.short_max => Some(Aside::Long),
            false => None,
        }
    }

    /// The API that is asked.
    pub(crate) fn api(&self) -> ApiKey {
        self.entry.key
    }

    /// The version of the request.
    pub(crate) fn version(&self) -> i16 {
        self.call.version
    }

    /// What the client calls itself.
    pub(crate) fn client_id(&self) -> &str {
        &self.call.client_id
    }

    /// What the request is about.
    pub(crate) fn subjects(&self) -> Subjects {
        (self.entry.subjects)(&self.call, self.body.clone())
    }

    /// Tells when the request is run: by the clock of its group, if it has one.
    pub(crate) fn set_now(&mut self, now: Now, group: Option<&str>) {
        let clocks = &self.call.node.groups.clocks;
        self.call.now = group.map_or(now, |group| clocks.now_of(group, now));
    }

    /// The request is carried out now, though it was read before.
    pub(crate) fn begin_at(&mut self, now: Now) {
        self.call.now = now;
    }

    /// Tells what rules want of the request.
    pub(crate) fn wish(&mut self, wishes: Wishes) {
        self.call.wishes = wishes;
    }

    /// Has the request answered.
    pub(crate) fn run(self) -> Result<Reply, Refusal> {
        (self.entry.run)(self.call, self.correlation_id, self.body)
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
    let mut body = Reader::new(request)
        .limit_memory(REQUEST_MEMORY_MAX)
        .charge_elements(ROW);
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
        endpoint: Arc::clone(&peer.endpoint),
        now,
        wishes: Wishes::default(),
    };
    Ok(Task {
        entry,
        call,
        correlation_id: header.correlation_id,
        body,
    })
}

/// What a request may take in memory beside its frame, with the rows of its answer: a frame of 100 MB that is full of
/// empty elements would else become 48 times as much, and its answer more than that. The largest that clients send, a
/// fetch of a hundred thousand partitions, takes a third of it; what a producer sends stays in the frame.
const REQUEST_MEMORY_MAX: usize = 64 << 20;

/// What a row of an answer takes in memory, about: there is one for each element of most requests, and some elements are
/// but four bytes.
const ROW: usize = 128;

/// The first four bytes of a header, whatever its version; what is missing is zero and fails later.
fn key_and_version(request: &Bytes) -> (i16, i16) {
    let at = |at: usize| {
        let pair = request
            .get(at..at + 2)
            .and_then(|pair| pair.try_into().ok());
        i16::from_be_bytes(pair.unwrap_or_default())
    };
    (at(0), at(2))
}
