//! A client that says exactly what it is told to, over a socket that waits for nothing for ever.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::wire::Reader;
use kafka_protocol::{Message, Request, frame};

/// One connection.
pub(crate) struct Peer {
    stream: TcpStream,
    correlation_id: i32,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            correlation_id: 0,
        }
    }

    /// Sends a request, and gives its number.
    pub(crate) fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        self.correlation_id += 1;
        let chunks = frame::encode_request(request, version, self.correlation_id, Some("peer"));
        for chunk in chunks.unwrap() {
            self.stream.write_all(&chunk).unwrap();
        }
        self.correlation_id
    }

    /// The frame of the next answer, without its size.
    pub(crate) fn receive(&mut self) -> io::Result<Bytes> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut frame = vec![0; u32::from_be_bytes(size) as usize];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Asks, and gives the answer.
    pub(crate) fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let number = self.send(request, version);
        let frame = self.receive().unwrap();
        let (answered, response) = read::<R>(frame, version);
        assert_eq!(answered, number);
        response
    }

    /// Whether the connection was closed; a silent one is not.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.stream.set_read_timeout(Some(SILENCE)).unwrap();
        let read = self.stream.read(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match read {
            Ok(0) => true,
            Ok(_) => panic!("there is an answer"),
            Err(error) if is_late(&error) => false,
            Err(_) => true,
        }
    }

    /// All bytes until the connection is closed.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => rest,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Whether nothing came in time.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The number and the body of an answer.
pub(crate) fn read<R: Request>(frame: Bytes, version: i16) -> (i32, R::Response) {
    let mut reader = Reader::new(frame);
    let header_version = R::KEY.response_header_version(version);
    let header = ResponseHeader::decode(&mut reader, header_version);
    let body = R::Response::decode(&mut reader, version);
    (header.unwrap().correlation_id, body.unwrap())
}

const PATIENCE: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_millis(150);
