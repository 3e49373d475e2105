//! One connection's book-keeping: correlation ids, what is in flight, which answer belongs to which
//! request, and when silence has lasted too long.
//!
//! Knows no socket and no message body; `T` is whatever its owner wants back with an answer.

use std::collections::VecDeque;

use bytes::Bytes;
use kafka_protocol::ApiKey;
use kafka_protocol::header::decode_response_header;
use kafka_protocol::wire::Reader;

use crate::error::{Error, ErrorKind, Result};
use crate::machine::time::Instant;

/// The requests of one connection, in the order in which they were written.
#[derive(Debug)]
pub struct Connection<T> {
    next_correlation_id: i32,
    in_flight: VecDeque<InFlight<T>>,
}

#[derive(Debug)]
struct InFlight<T> {
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    deadline: Instant,
    token: T,
}

/// A response, matched to its request.
#[derive(Debug)]
pub struct Answer<T> {
    /// What the request was registered with.
    pub token: T,
    /// The API of the request.
    pub api: ApiKey,
    /// The version of the request, and so of the body.
    pub version: i16,
    /// Stands at the start of the body.
    pub body: Reader,
}

impl<T> Default for Connection<T> {
    fn default() -> Self {
        Self {
            next_correlation_id: 0,
            in_flight: VecDeque::new(),
        }
    }
}

impl<T> Connection<T> {
    /// The correlation id that the next registered request will have.
    #[must_use]
    pub const fn next_correlation_id(&self) -> i32 {
        self.next_correlation_id
    }

    /// A request is about to be written, behind all others.
    pub fn register(&mut self, api: ApiKey, version: i16, deadline: Instant, token: T) {
        self.in_flight.push_back(InFlight {
            correlation_id: self.next_correlation_id,
            api,
            version,
            deadline,
            token,
        });
        self.next_correlation_id = self.next_correlation_id.wrapping_add(1);
    }

    /// How many requests wait for their answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The API whose answer is due next.
    #[must_use]
    pub fn next_api(&self) -> Option<ApiKey> {
        self.in_flight.front().map(|request| request.api)
    }

    /// A frame came in: finds its request.
    ///
    /// # Errors
    ///
    /// If nothing is in flight, or the frame answers another request than the oldest one. Brokers answer
    /// in order, so the stream cannot be trusted any more and the connection has to go.
    pub fn handle_frame(&mut self, frame: Bytes) -> Result<Answer<T>> {
        let Some(oldest) = self.in_flight.front() else {
            return Err(Error::new(
                ErrorKind::Protocol,
                "a response came although no request was waiting",
            ));
        };
        let (api, version) = (oldest.api, oldest.version);
        let mut body = Reader::new(frame);
        let header = decode_response_header(&mut body, api, version).map_err(|error| {
            Error::new(ErrorKind::Protocol, "unreadable response header")
                .with_api(api)
                .with_source(error)
        })?;
        if header.correlation_id != oldest.correlation_id {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "response {} came where {} was due",
                    header.correlation_id, oldest.correlation_id
                ),
            )
            .with_api(api));
        }
        match self.in_flight.pop_front() {
            Some(request) => Ok(Answer {
                token: request.token,
                api,
                version,
                body,
            }),
            None => unreachable!("the oldest request was looked at above"),
        }
    }

    /// When the most impatient request runs out of time.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.in_flight.iter().map(|request| request.deadline).min()
    }

    /// The API that waited too long, if one did. The connection has to go: a later answer could not be
    /// told from the one that is due.
    #[must_use]
    pub fn poll_overdue(&self, now: Instant) -> Option<ApiKey> {
        self.in_flight
            .iter()
            .find(|request| request.deadline <= now)
            .map(|request| request.api)
    }

    /// The connection is gone: whatever was in flight, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = (ApiKey, T)> + use<T> {
        std::mem::take(&mut self.in_flight)
            .into_iter()
            .map(|request| (request.api, request.token))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::after_start(Duration::from_secs(seconds))
    }

    fn response(correlation_id: i32) -> Bytes {
        Bytes::copy_from_slice(&correlation_id.to_be_bytes())
    }

    #[test]
    fn answers_come_in_the_order_of_requests() {
        let mut connection = Connection::default();
        connection.register(ApiKey::Metadata, 0, at(10), 'a');
        connection.register(ApiKey::Fetch, 4, at(5), 'b');
        assert_eq!(connection.poll_deadline(), Some(at(5)));
        assert_eq!(connection.next_api(), Some(ApiKey::Metadata));
        let answer = connection.handle_frame(response(0)).unwrap();
        assert_eq!((answer.token, answer.api), ('a', ApiKey::Metadata));
        assert_eq!(connection.next_api(), Some(ApiKey::Fetch));
        let answer = connection.handle_frame(response(1)).unwrap();
        assert_eq!((answer.token, answer.version), ('b', 4));
        assert_eq!(connection.in_flight(), 0);
        assert_eq!(connection.next_api(), None);
    }

    #[test]
    fn strange_answers_are_errors() {
        let mut connection = Connection::default();
        assert!(
            connection.handle_frame(response(0)).is_err(),
            "nothing in flight"
        );
        connection.register(ApiKey::Metadata, 0, at(10), ());
        connection.register(ApiKey::Metadata, 0, at(10), ());
        assert!(
            connection.handle_frame(response(1)).is_err(),
            "out of order"
        );
        assert!(
            connection
                .handle_frame(Bytes::from_static(&[0, 0]))
                .is_err(),
            "too short"
        );
        assert_eq!(connection.drain().count(), 2);
    }

    #[test]
    fn silence_is_noticed_at_the_deadline() {
        let mut connection = Connection::default();
        connection.register(ApiKey::Fetch, 4, at(30), ());
        connection.register(ApiKey::Heartbeat, 0, at(10), ());
        assert_eq!(connection.poll_overdue(at(9)), None);
        assert_eq!(connection.poll_overdue(at(10)), Some(ApiKey::Heartbeat));
    }

    #[test]
    fn correlation_ids_wrap() {
        let mut connection = Connection {
            next_correlation_id: i32::MAX,
            ..Connection::default()
        };
        connection.register(ApiKey::Metadata, 0, at(1), 1);
        connection.register(ApiKey::Metadata, 0, at(1), 2);
        assert_eq!(
            connection.handle_frame(response(i32::MAX)).unwrap().token,
            1
        );
        assert_eq!(
            connection.handle_frame(response(i32::MIN)).unwrap().token,
            2
        );
    }
}
