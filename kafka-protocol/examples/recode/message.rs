//! Messages: a type that is known only at run time, decoded and encoded again.

use std::fmt::Write as _;

use bytes::Bytes;
use kafka_protocol::catalog::{self, MessageVisitor};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{ApiKey, Message};

use crate::answer::Form;
use crate::hex::hex;

/// What comes out when the bytes are decoded and encoded again.
pub(crate) fn recode(
    kind: &str,
    key: i16,
    name: &str,
    version: i16,
    bytes: Bytes,
    form: Form,
) -> Result<String, String> {
    let mut recode = Recode {
        reader: Reader::new(bytes),
        writer: Writer::new(),
        pretty: String::new(),
        version,
        form,
    };
    let key = || ApiKey::from_code(key).ok_or_else(|| format!("unknown api key {key}"));
    let visited = match kind {
        "request" => catalog::visit_request(key()?, recode),
        "response" => catalog::visit_response(key()?, recode),
        "header" | "data" | "record" => catalog::visit_named(name, recode),
        "request-frame" => {
            recode.part::<RequestHeader>(key()?.request_header_version(version))?;
            catalog::visit_request(key()?, recode)
        }
        "response-frame" => {
            recode.part::<ResponseHeader>(key()?.response_header_version(version))?;
            catalog::visit_response(key()?, recode)
        }
        _ => return Err(format!("unknown kind {kind}")),
    };
    visited.unwrap_or_else(|| Err(format!("unknown message {name}")))
}

struct Recode {
    reader: Reader,
    writer: Writer,
    pretty: String,
    version: i16,
    form: Form,
}

impl Recode {
    /// Decodes and encodes the next of header and body.
    fn part<M: Message>(&mut self, version: i16) -> Result<(), String> {
        let message = M::decode(&mut self.reader, version).map_err(|error| error.to_string())?;
        if self.form == Form::Pretty {
            let _ = writeln!(self.pretty, "{message:#?}");
        }
        message
            .encode(&mut self.writer, version)
            .map_err(|error| error.to_string())
    }
}

impl MessageVisitor for Recode {
    type Output = Result<String, String>;

    fn visit<M: Message>(mut self) -> Self::Output {
        self.part::<M>(self.version)?;
        self.reader.finish().map_err(|error| error.to_string())?;
        Ok(match self.form {
            Form::Bytes => hex(&self.writer.into_bytes()),
            Form::Pretty => self.pretty.trim_end().to_owned(),
        })
    }
}
