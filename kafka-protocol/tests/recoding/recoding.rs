//! Decoding and encoding a message that is named in a line of text. Shared by the tests.

use bytes::Bytes;
use kafka_protocol::catalog::{self, MessageVisitor};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{ApiKey, Message};

/// What comes out when the bytes are decoded and encoded again, or why not.
pub(crate) fn recode(
    kind: &str,
    key: i16,
    name: &str,
    version: i16,
    bytes: &[u8],
) -> Result<Vec<u8>, String> {
    let mut recode = Recode {
        reader: Reader::new(Bytes::copy_from_slice(bytes)),
        writer: Writer::new(),
        version,
    };
    let key = ApiKey::from_code(key);
    match (kind, key) {
        ("request-frame", Some(key)) => {
            recode.header::<RequestHeader>(key.request_header_version(version))?;
            catalog::visit_request(key, recode)
        }
        ("response-frame", Some(key)) => {
            recode.header::<ResponseHeader>(key.response_header_version(version))?;
            catalog::visit_response(key, recode)
        }
        _ => catalog::visit_named(name, recode).ok_or("no such message")?,
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

struct Recode {
    reader: Reader,
    writer: Writer,
    version: i16,
}

impl Recode {
    fn header<M: Message>(&mut self, version: i16) -> Result<(), String> {
        M::decode(&mut self.reader, version)
            .map_err(|error| error.to_string())?
            .encode(&mut self.writer, version)
            .map_err(|error| error.to_string())
    }
}

impl MessageVisitor for Recode {
    type Output = Result<Vec<u8>, String>;

    fn visit<M: Message>(mut self) -> Self::Output {
        let message =
            M::decode(&mut self.reader, self.version).map_err(|error| error.to_string())?;
        self.reader.finish().map_err(|error| error.to_string())?;
        message
            .encode(&mut self.writer, self.version)
            .map_err(|error| error.to_string())?;
        Ok(self.writer.into_bytes().to_vec())
    }
}
