//! Messages of every kind and version, and the headers before them.

use bytes::Bytes;
use kafka_protocol::catalog::{self, MessageInfo, MessageKind, MessageVisitor};
use kafka_protocol::header::{decode_request_header, decode_response_header};
use kafka_protocol::wire::limits::MEMORY_FACTOR;
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{ApiKey, DecodeError, Message, VersionRange};

use crate::bounds;

/// A key, a version, and the body of a request.
pub fn request(data: &[u8]) {
    if let Some((key, number, body)) = key_and_number(data) {
        catalog::visit_request(key, Stable { number, body });
    }
}

/// A key, a version, and the body of a response.
pub fn response(data: &[u8]) {
    if let Some((key, number, body)) = key_and_number(data) {
        catalog::visit_response(key, Stable { number, body });
    }
}

/// The place of a message that is neither request nor response, a version, and its bytes.
pub fn data(data: &[u8]) {
    let others = others();
    let Some((&[place, number], body)) = data.split_first_chunk() else {
        return;
    };
    let info = others[usize::from(place) % others.len()];
    let body = Bytes::copy_from_slice(body);
    catalog::visit_named(info.name, Stable { number, body });
}

/// The messages that [`data`] knows, by their place.
pub fn others() -> Vec<&'static MessageInfo> {
    let all = catalog::ALL.iter();
    all.filter(|info| !matches!(info.kind, MessageKind::Request | MessageKind::Response))
        .collect()
}

/// Headers of both directions: of a request by its own account, of a response by key and version.
pub fn header(data: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(data));
    match bounded(data.len(), || decode_request_header(&mut reader)) {
        Ok((key, header)) => {
            assert_eq!(key.code(), header.request_api_key);
            let version = key.request_header_version(header.request_api_version);
            stable(&header, version, reader.position());
        }
        Err(error) => assert!(error.position() <= data.len(), "{error}"),
    }
    if let Some((key, number, body)) = key_and_number(data) {
        let version = i16::from(number as i8);
        let mut reader = Reader::new(body);
        match bounded(data.len(), || {
            decode_response_header(&mut reader, key, version)
        }) {
            Ok(header) => {
                let version = key.response_header_version(version);
                stable(&header, version, reader.position());
            }
            Err(error) => assert!(error.position() <= data.len(), "{error}"),
        }
    }
}

/// What can be decoded is encoded again and decoded to the same; and its second encoding is its first.
struct Stable {
    /// The version, or a number that stands for one.
    number: u8,
    body: Bytes,
}

impl MessageVisitor for Stable {
    type Output = ();

    fn visit<M: Message>(self) {
        let len = self.body.len();
        let version = within(M::VERSIONS, self.number);
        let mut reader = Reader::new(self.body);
        match bounded(len, || M::decode(&mut reader, version)) {
            Ok(message) => {
                assert!(reader.position() <= len);
                stable(&message, version, reader.position());
                in_every_version(&message);
            }
            Err(error) => {
                assert_eq!(error.message(), Some(M::NAME));
                assert_eq!(error.version(), Some(version));
                assert!(error.position() <= len, "{error} of {len}");
            }
        }
        // No version beside those that exist is read.
        for absent in [M::VERSIONS.min - 1, M::VERSIONS.max + 1] {
            assert!(M::decode(&mut Reader::new(Bytes::new()), absent).is_err());
        }
    }
}

/// What was decoded from so many bytes is encoded in no more of them, and comes back as it was.
fn stable<M: Message>(message: &M, version: i16, read_len: usize) {
    let mut writer = Writer::new();
    message
        .encode(&mut writer, version)
        .expect("what was decoded can be encoded");
    let bytes = writer.into_bytes();
    let mut reader = Reader::new(bytes.clone());
    let again = M::decode(&mut reader, version).expect("what was encoded can be decoded");
    reader.finish().expect("all of it is read");
    // A message that holds NaN is not equal to itself.
    #[expect(clippy::eq_op, reason = "this is how NaN is told")]
    let holds_nan = message != message;
    assert!(
        holds_nan || again == *message,
        "{message:?} became {again:?}"
    );
    let mut writer = Writer::new();
    again.encode(&mut writer, version).expect("twice");
    assert_eq!(writer.into_bytes(), bytes);
    // Not the same bytes: varints may be longer than they need, and tagged fields hold their default.
    assert!(bytes.len() <= read_len, "{} of {read_len}", bytes.len());
}

/// In the versions that can say it, the message is read again from what was written, and written to the
/// same bytes: not to an equal value, since some fields are dropped where a version lacks them.
fn in_every_version<M: Message>(message: &M) {
    for version in M::VERSIONS.iter() {
        if let Ok(bytes) = message.to_bytes(version) {
            let again = M::from_bytes(bytes.clone(), version).expect("what was encoded is read");
            assert_eq!(again.to_bytes(version).as_ref(), Ok(&bytes));
        }
    }
}

fn bounded<T>(
    len: usize,
    decode: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    bounds::within(len, MEMORY_FACTOR, decode)
}

/// The version of a number: itself where it exists, another one of the message otherwise, so that few
/// inputs are in vain.
fn within(versions: VersionRange, number: u8) -> i16 {
    let count = versions.max - versions.min + 1;
    versions.min + (i16::from(number) - versions.min).rem_euclid(count)
}

fn key_and_number(data: &[u8]) -> Option<(ApiKey, u8, Bytes)> {
    let (&[key, number], body) = data.split_first_chunk()?;
    let key = ApiKey::from_code(key.into())?;
    Some((key, number, Bytes::copy_from_slice(body)))
}
