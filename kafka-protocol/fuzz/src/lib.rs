//! What the targets do with their input. Every function must return: a panic, an allocation beyond the fuzzer's
//! limit or a hang is a finding.

use bytes::{Bytes, BytesMut};
use kafka_protocol::catalog::{self, MessageKind, MessageVisitor};
use kafka_protocol::compression::{Compression, Decompressor};
use kafka_protocol::header::{decode_request_header, decode_response_header};
use kafka_protocol::record::{AnyBatch, Batches};
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{ApiKey, Message, frame};

/// A key, a version, and the body of a request.
pub fn request(data: &[u8]) {
    if let Some((key, version, body)) = key_and_version(data) {
        catalog::visit_request(key, Stable { version, body });
    }
}

/// A key, a version, and the body of a response.
pub fn response(data: &[u8]) {
    if let Some((key, version, body)) = key_and_version(data) {
        catalog::visit_response(key, Stable { version, body });
    }
}

/// A number of a message that is neither request nor response, a version, and its bytes.
pub fn data(data: &[u8]) {
    let others: Vec<_> = catalog::ALL
        .iter()
        .filter(|info| !matches!(info.kind, MessageKind::Request | MessageKind::Response))
        .collect();
    let Some((&[number, version], body)) = data.split_first_chunk() else {
        return;
    };
    let info = others[usize::from(number) % others.len()];
    let version = i16::from(version as i8);
    let body = Bytes::copy_from_slice(body);
    catalog::visit_named(info.name, Stable { version, body });
}

/// Headers of both directions.
pub fn header(data: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(data));
    let _ = decode_request_header(&mut reader);
    if let Some((key, version, body)) = key_and_version(data) {
        let mut reader = Reader::new(body);
        let _ = decode_response_header(&mut reader, key, version);
    }
}

/// What was received, in pieces as a socket gives them: the frames are the same as those of the whole.
pub fn frames(data: &[u8]) {
    const LIMIT: usize = 1 << 16;
    let Some((&step, data)) = data.split_first() else {
        return;
    };
    let all = |received: &mut BytesMut, frames: &mut Vec<Bytes>| {
        loop {
            match frame::split(received, LIMIT) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    };
    let (mut whole, mut of_whole) = (BytesMut::from(data), Vec::new());
    let whole_is_sound = all(&mut whole, &mut of_whole);
    let (mut received, mut of_pieces, mut is_sound) = (BytesMut::new(), Vec::new(), true);
    for piece in data.chunks(usize::from(step) + 1) {
        received.extend_from_slice(piece);
        is_sound = is_sound && all(&mut received, &mut of_pieces);
    }
    assert_eq!(of_whole, of_pieces);
    assert_eq!(whole_is_sound, is_sound);
}

/// A `records` field of any magic, read as a consumer reads it.
pub fn batches(data: &[u8]) {
    const LIMIT: usize = 1 << 20;
    let (mut decompressor, mut buffer) = (Decompressor::new(), Vec::new());
    let mut batches = Batches::new(Bytes::copy_from_slice(data));
    for batch in batches.by_ref() {
        let Ok(batch) = batch else { continue };
        let _ = batch.verify_crc();
        assert!(batch.bytes().len() <= data.len());
        if let AnyBatch::Current(batch) = &batch
            && let Ok(records) = batch.records(&mut decompressor, &mut buffer, LIMIT)
        {
            records.take_while(Result::is_ok).flatten().for_each(|record| {
                record.headers.for_each(drop);
            });
        }
        if let Ok(decoded) = batch.decompress(&mut decompressor, &mut buffer, LIMIT) {
            let borrowed = decoded.records().take_while(Result::is_ok).count();
            let owned = decoded.owned_records().take_while(Result::is_ok).count();
            assert_eq!(borrowed, owned);
        }
    }
    let _ = batches.incomplete();
}

/// Old message sets: the same, with the magic byte forced to 0 or 1 so that nothing else is tried.
pub fn legacy(data: &[u8]) {
    const MAGIC: usize = 16;
    let mut data = data.to_vec();
    let mut at = 0;
    while let Some(magic) = data.get_mut(at + MAGIC) {
        *magic &= 1;
        let Some(len) = data.get(at + 8..at + 12) else { break };
        let len = u32::from_be_bytes(len.try_into().expect("four bytes"));
        at = at.saturating_add(12).saturating_add(len as usize);
    }
    batches(&data);
}

/// Compressed bytes: what comes out stays below the limit, and an error leaves the output as it was.
pub fn decompress(compression: Compression, data: &[u8]) {
    const LIMIT: usize = 1 << 20;
    let mut output = b"before".to_vec();
    match Decompressor::new().decompress(compression, data, &mut output, LIMIT) {
        Ok(()) => assert!(output.len() <= LIMIT + 6 && output.starts_with(b"before")),
        Err(_) => assert_eq!(output, b"before"),
    }
}

/// What can be decoded is encoded again and decoded to the same; and its second encoding is its first.
struct Stable {
    version: i16,
    body: Bytes,
}

impl MessageVisitor for Stable {
    type Output = ();

    fn visit<M: Message>(self) {
        let Ok(message) = M::decode(&mut Reader::new(self.body), self.version) else {
            return;
        };
        let mut writer = Writer::new();
        let encoded = message.encode(&mut writer, self.version);
        encoded.expect("what was decoded can be encoded");
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(bytes.clone());
        let again = M::decode(&mut reader, self.version).expect("what was encoded can be decoded");
        reader.finish().expect("all of it is read");
        let mut writer = Writer::new();
        again.encode(&mut writer, self.version).expect("twice");
        // Not the values, since NaN is not equal to itself.
        assert_eq!(writer.into_bytes(), bytes);
    }
}

fn key_and_version(data: &[u8]) -> Option<(ApiKey, i16, Bytes)> {
    let (&[key, version], body) = data.split_first_chunk()?;
    let key = ApiKey::from_code(key.into())?;
    Some((key, i16::from(version as i8), Bytes::copy_from_slice(body)))
}
