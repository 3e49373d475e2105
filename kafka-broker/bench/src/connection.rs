//! A connection that costs little: blocking, with frames that are made once and sent often, and one
//! buffer for all answers.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::frame;
use kafka_protocol::header::decode_response_header;
use kafka_protocol::wire::Reader;
use kafka_protocol::{Message, Request};

use crate::failure::Failure;

/// A connection to a broker.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The last answer. Its memory is taken for the next one unless somebody still looks at it.
    answer: Bytes,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            answer: Bytes::new(),
        })
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.write_all(frame)?)
    }

    /// Waits for the answer to the oldest request that has none.
    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response, Failure> {
        let mut answer = Reader::new(self.receive_frame()?);
        decode_response_header(&mut answer, R::KEY, version)?;
        Ok(R::Response::decode(&mut answer, version)?)
    }

    /// Sends a request and waits for the answer.
    pub(crate) fn ask<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, Failure> {
        self.send(&frame_of(request, version)?)?;
        self.receive::<R>(version)
    }

    fn receive_frame(&mut self) -> Result<Bytes, Failure> {
        let mut size = [0; frame::SIZE_LEN];
        self.stream.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
        if size > FRAME_MAX {
            return Err(io::Error::other(format!("a frame of {size} bytes")).into());
        }
        let before = std::mem::take(&mut self.answer).try_into_mut();
        let mut buffer = before.map(Vec::from).unwrap_or_default();
        buffer.resize(size, 0);
        self.stream.read_exact(&mut buffer)?;
        self.answer = buffer.into();
        Ok(self.answer.clone())
    }
}

/// The frame of a request, in one piece.
pub(crate) fn frame_of<R: Request>(request: &R, version: i16) -> Result<Vec<u8>, Failure> {
    Ok(frame::encode_request(request, version, 1, Some("bench"))?.concat())
}

/// How long a broker may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
const FRAME_MAX: usize = 200 << 20;
