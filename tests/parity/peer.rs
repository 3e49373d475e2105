//! A connection to a broker, one request at a time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::header::decode_response_header;
use kafka_protocol::wire::Reader;
use kafka_protocol::{Message as _, Request, frame};

pub(crate) struct Peer {
    address: SocketAddr,
    stream: TcpStream,
    correlation_id: i32,
}

/// What came of a request.
pub(crate) enum Answer<R> {
    Response(R),
    HungUp,
    /// Nothing came, and the connection stayed.
    Silent,
}

impl Peer {
    pub(crate) fn new(bootstrap: &str) -> Self {
        let address = bootstrap.parse().expect("HOST:PORT");
        Self {
            address,
            stream: connect(address),
            correlation_id: 0,
        }
    }

    /// Asks, and waits for the answer. A peer that hung up is connected to again.
    pub(crate) fn ask<R: Request>(&mut self, request: &R, version: i16) -> Answer<R::Response> {
        self.correlation_id += 1;
        let chunks = frame::encode_request(request, version, self.correlation_id, Some("parity"));
        let frame = match self.exchange(&chunks.expect("a request of this version").concat()) {
            Answer::Response(frame) => frame,
            Answer::HungUp => return Answer::HungUp,
            Answer::Silent => return Answer::Silent,
        };
        let mut reader = Reader::new(frame);
        let header = decode_response_header(&mut reader, R::KEY, version).unwrap();
        assert_eq!(header.correlation_id, self.correlation_id);
        let response = R::Response::decode(&mut reader, version).unwrap();
        reader.finish().unwrap();
        Answer::Response(response)
    }

    /// Sends bytes as they are. Gives the frame that comes back, without its size.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Answer<Bytes> {
        let mut received = BytesMut::new();
        let mut part = vec![0; 64 << 10];
        // A peer that hangs up while we write is found out by reading.
        let _ = self.stream.write_all(request);
        let answer = loop {
            if let Some(frame) = frame::split(&mut received, 100 << 20).unwrap() {
                return Answer::Response(frame);
            }
            match self.stream.read(&mut part) {
                Ok(0) => break Answer::HungUp,
                Ok(len) => received.extend_from_slice(&part[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break Answer::HungUp,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Answer::Silent,
                Err(error) => panic!("no answer: {error}"),
            }
        };
        self.stream = connect(self.address);
        answer
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

const PATIENCE: Duration = Duration::from_secs(6);
