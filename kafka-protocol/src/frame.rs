//! Frames: a size of four bytes, a header, a body. Making whole ones, and cutting them off a stream.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::api_key::ApiKey;
use crate::error::{EncodeError, EncodeErrorKind};
use crate::messages::{RequestHeader, ResponseHeader};
use crate::request::{Message as _, Request, Response};
use crate::wire::Writer;

/// Bytes of the size before a frame.
pub const SIZE_LEN: usize = 4;

/// The frame of a request, with its size, in chunks for a vectored write.
///
/// # Errors
///
/// As [`Message::encode`](crate::Message::encode), and if the frame is longer than its size can say.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Vec<Bytes>, EncodeError> {
    let header = RequestHeader {
        request_api_key: R::KEY.code(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(Into::into),
        ..RequestHeader::default()
    };
    let mut w = begin();
    header.encode(&mut w, R::KEY.request_header_version(version))?;
    request.encode(&mut w, version)?;
    finish(w, R::NAME, version)
}

/// The frame of the response to a request of this version, with its size, in chunks for a vectored
/// write.
///
/// # Errors
///
/// As [`Message::encode`](crate::Message::encode), and if the frame is longer than its size can say.
pub fn encode_response<R: Response>(
    response: &R,
    version: i16,
    correlation_id: i32,
) -> Result<Vec<Bytes>, EncodeError> {
    let header = ResponseHeader {
        correlation_id,
        ..ResponseHeader::default()
    };
    let mut w = begin();
    header.encode(&mut w, R::KEY.response_header_version(version))?;
    response.encode(&mut w, version)?;
    finish(w, R::NAME, version)
}

/// Cuts the first frame off what was received so far, and gives it without its size; `None` if it is
/// not complete yet. Nothing is copied.
///
/// `max_len` is the largest frame that is accepted, without its size; see
/// [`DEFAULT_MAX_FRAME_LEN`](crate::wire::limits::DEFAULT_MAX_FRAME_LEN).
///
/// # Errors
///
/// If the size is negative or more than `max_len`. What follows cannot be understood then: the
/// connection is of no more use.
pub fn split(received: &mut BytesMut, max_len: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(size) = received.first_chunk::<SIZE_LEN>() else {
        return Ok(None);
    };
    let size = i32::from_be_bytes(*size);
    let Ok(len) = usize::try_from(size) else {
        return Err(FrameError::Negative { size });
    };
    if len > max_len {
        return Err(FrameError::TooLong { len, max_len });
    }
    if received.len() - SIZE_LEN < len {
        return Ok(None);
    }
    received.advance(SIZE_LEN);
    Ok(Some(received.split_to(len).freeze()))
}

/// Tells what the request is whose frame `received` begins with, as soon as its API key and version have
/// come; `None` before that, and if there is no such API and version. The sizes of frames are refused
/// before anything else is read, and this gives such a refusal a name.
#[must_use]
pub fn peek_request(received: &[u8]) -> Option<(ApiKey, i16)> {
    let &[k0, k1, v0, v1] = received.get(SIZE_LEN..)?.first_chunk()?;
    let key = ApiKey::from_code(i16::from_be_bytes([k0, k1]))?;
    let version = i16::from_be_bytes([v0, v1]);
    let exists = key.valid_versions().contains(version);
    exists.then_some((key, version))
}

/// Why bytes are not a frame. Its size is at fault, so the position is always that of the first byte that
/// [`split`] was given.
///
/// No message is known then, since the header comes behind the size. Who received a request may ask
/// [`peek_request`]; who waits for a response knows the request that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// A size below zero.
    Negative {
        /// The size.
        size: i32,
    },
    /// A frame longer than the receiver accepts.
    TooLong {
        /// Its length in bytes, without the size.
        len: usize,
        /// What the receiver accepts.
        max_len: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative { size } => write!(f, "negative frame size {size}"),
            Self::TooLong { len, max_len } => {
                write!(f, "frame of {len} bytes where {max_len} are allowed")
            }
        }
    }
}

impl std::error::Error for FrameError {}

/// A writer with room for the size, which is filled in at the end.
fn begin() -> Writer {
    let mut w = Writer::with_capacity(INITIAL_CAPACITY);
    w.i32(0);
    w
}

fn finish(mut w: Writer, name: &'static str, version: i16) -> Result<Vec<Bytes>, EncodeError> {
    let length = w.len() - SIZE_LEN;
    let Ok(size) = i32::try_from(length) else {
        let kind = EncodeErrorKind::TooManyBytes { length };
        // It is the size, which stands at the start, that cannot be written.
        return Err(EncodeError::new(kind, "").in_message(name, version).at(0));
    };
    w.patch_i32(0, size);
    Ok(w.into_chunks())
}

/// Enough for most requests, and for the pieces around records.
const INITIAL_CAPACITY: usize = 256;

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::{FrameError, encode_request, encode_response, peek_request, split};
    use crate::api_key::ApiKey;
    use crate::header::{decode_request_header, decode_response_header};
    use crate::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use crate::messages::{ApiVersionsResponse, HeartbeatRequest, ProduceRequest};
    use crate::request::Message as _;
    use crate::wire::Reader;

    #[test]
    fn a_request_goes_through_a_frame() {
        let mut request = HeartbeatRequest {
            group_id: "billing".into(),
            ..HeartbeatRequest::default()
        };
        for version in HeartbeatRequest::VERSIONS.iter() {
            request.group_instance_id = (version >= 3).then(|| "one".into());
            let chunks = encode_request(&request, version, 77, Some("me")).unwrap();
            let mut received = BytesMut::from(chunks.concat().as_slice());
            let frame = split(&mut received, 1000).unwrap().unwrap();
            assert!(received.is_empty());
            let mut r = Reader::new(frame);
            let (key, header) = decode_request_header(&mut r).unwrap();
            assert_eq!(key, ApiKey::Heartbeat);
            assert_eq!(header.request_api_version, version);
            assert_eq!(header.correlation_id, 77);
            assert_eq!(HeartbeatRequest::decode(&mut r, version).unwrap(), request);
            r.finish().unwrap();
        }
    }

    #[test]
    fn a_response_goes_through_a_frame() {
        let response = ApiVersionsResponse::default();
        for version in ApiVersionsResponse::VERSIONS.iter() {
            let chunks = encode_response(&response, version, -1).unwrap();
            let mut received = BytesMut::from(chunks.concat().as_slice());
            let mut r = Reader::new(split(&mut received, 1000).unwrap().unwrap());
            let header = decode_response_header(&mut r, ApiKey::ApiVersions, version).unwrap();
            assert_eq!(header.correlation_id, -1);
            assert_eq!(
                ApiVersionsResponse::decode(&mut r, version).unwrap(),
                response
            );
            r.finish().unwrap();
        }
    }

    #[test]
    fn large_records_are_not_copied() {
        let records = Bytes::from(vec![7; 10_000]);
        let mut request = ProduceRequest::default();
        for name in ["a", "b"] {
            request.topic_data.push(TopicProduceData {
                name: name.into(),
                partition_data: vec![PartitionProduceData {
                    records: Some(records.clone()),
                    ..PartitionProduceData::default()
                }],
                ..TopicProduceData::default()
            });
        }
        for version in [3, 12] {
            let chunks = encode_request(&request, version, 1, None).unwrap();
            let spliced = chunks
                .iter()
                .filter(|chunk| chunk.as_ptr() == records.as_ptr())
                .count();
            assert_eq!(spliced, 2);
            let mut received = BytesMut::from(chunks.concat().as_slice());
            let mut r = Reader::new(split(&mut received, 100_000).unwrap().unwrap());
            decode_request_header(&mut r).unwrap();
            assert_eq!(ProduceRequest::decode(&mut r, version).unwrap(), request);
            r.finish().unwrap();
            assert!(
                chunks
                    .concat()
                    .ends_with(&request.to_bytes(version).unwrap())
            );
        }
    }

    #[test]
    fn frames_are_cut_where_they_end() {
        let mut received = BytesMut::new();
        for byte in [0, 0, 0, 2, b'h'] {
            assert_eq!(split(&mut received, 2), Ok(None));
            received.extend_from_slice(&[byte]);
        }
        assert_eq!(split(&mut received, 2), Ok(None));
        received.extend_from_slice(b"i\0\0\0\0\0");
        assert_eq!(split(&mut received, 2), Ok(Some(Bytes::from_static(b"hi"))));
        assert_eq!(split(&mut received, 2), Ok(Some(Bytes::new())));
        assert_eq!(split(&mut received, 2), Ok(None));
        assert_eq!(received.len(), 1);
    }

    #[test]
    fn sizes_that_lie_are_refused_before_anything_is_kept() {
        for (size, error) in [
            (-1, FrameError::Negative { size: -1 }),
            (i32::MIN, FrameError::Negative { size: i32::MIN }),
            (
                i32::MAX,
                FrameError::TooLong {
                    len: i32::MAX as usize,
                    max_len: 2,
                },
            ),
            (3, FrameError::TooLong { len: 3, max_len: 2 }),
        ] {
            let mut received = BytesMut::from(i32::to_be_bytes(size).as_slice());
            assert_eq!(split(&mut received, 2), Err(error));
        }
    }

    #[test]
    fn a_request_that_is_refused_by_its_size_has_a_name() {
        let request = HeartbeatRequest::default();
        let frame = encode_request(&request, 3, 7, None).unwrap().concat();
        for len in 0..frame.len() {
            let expected = (len >= 8).then_some((ApiKey::Heartbeat, 3));
            assert_eq!(peek_request(&frame[..len]), expected, "{len}");
        }
        // No such API, no such version, and other protocols.
        for other in [
            b"\0\0\0\xff\0\x04\0\0".as_slice(),
            b"\0\0\0\xff\0\x0c\0\x63",
            b"GET / HTTP/1.1\r\n",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        ] {
            assert_eq!(peek_request(other), None, "{other:x?}");
        }
    }
}
