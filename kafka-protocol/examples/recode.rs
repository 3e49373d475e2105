//! Reads messages in hex, decodes and encodes them again, and prints what comes out.
//!
//! A line of input is `kind <tab> key <tab> name <tab> version <tab> hex`, where the kind is `request`,
//! `response`, `header`, `data`, `record`, `request-frame` or `response-frame`. A line of output is the
//! hex of what was encoded, or `error: ` and why. With `--pretty` the message is printed for reading.

use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::process::ExitCode;

use bytes::Bytes;
use kafka_protocol::catalog::{self, MessageVisitor};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{ApiKey, Message};

fn main() -> ExitCode {
    let pretty = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--pretty") => true,
        Some(_) => {
            eprintln!("usage: recode [--pretty] < lines");
            return ExitCode::FAILURE;
        }
    };
    match filter(pretty) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers each line as it comes.
fn filter(pretty: bool) -> io::Result<()> {
    let mut input = BufReader::new(io::stdin().lock());
    let mut output = BufWriter::new(io::stdout().lock());
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        match answer(line.trim_end_matches('\n'), pretty) {
            Ok(text) => writeln!(output, "{text}")?,
            Err(error) => writeln!(output, "error: {}", error.replace('\n', " "))?,
        }
        if input.buffer().is_empty() {
            output.flush()?;
        }
        line.clear();
    }
    output.flush()
}

fn answer(line: &str, pretty: bool) -> Result<String, String> {
    let mut columns = line.split('\t');
    let mut column = || columns.next().ok_or("fewer than five columns");
    let (kind, key, name) = (column()?, column()?, column()?);
    let (version, hex) = (column()?, column()?);
    let number = |text: &str| {
        text.parse::<i16>()
            .map_err(|_| format!("not a number: {text}"))
    };
    let (key, version) = (number(key)?, number(version)?);
    let recode = Recode {
        reader: Reader::new(bytes(hex)?),
        writer: Writer::new(),
        version,
        pretty,
    };
    let key = || ApiKey::from_code(key).ok_or_else(|| format!("unknown api key {key}"));
    match kind {
        "request" => catalog::visit_request(key()?, recode),
        "response" => catalog::visit_response(key()?, recode),
        "header" | "data" | "record" => catalog::visit_named(name, recode)
            .unwrap_or_else(|| Err(format!("unknown message {name}"))),
        "request-frame" => {
            let header = key()?.request_header_version(version);
            catalog::visit_request(key()?, recode.header::<RequestHeader>(header)?)
        }
        "response-frame" => {
            let header = key()?.response_header_version(version);
            catalog::visit_response(key()?, recode.header::<ResponseHeader>(header)?)
        }
        _ => Err(format!("unknown kind {kind}")),
    }
}

/// Decodes a message of a type and encodes it again.
struct Recode {
    reader: Reader,
    writer: Writer,
    version: i16,
    pretty: bool,
}

impl Recode {
    /// Decodes and encodes the header before a body.
    fn header<M: Message>(mut self, version: i16) -> Result<Self, String> {
        M::decode(&mut self.reader, version)
            .map_err(|error| error.to_string())?
            .encode(&mut self.writer, version)
            .map_err(|error| error.to_string())?;
        Ok(self)
    }
}

impl MessageVisitor for Recode {
    type Output = Result<String, String>;

    fn visit<M: Message>(mut self) -> Self::Output {
        let message =
            M::decode(&mut self.reader, self.version).map_err(|error| error.to_string())?;
        self.reader.finish().map_err(|error| error.to_string())?;
        if self.pretty {
            return Ok(format!("{message:#?}"));
        }
        message
            .encode(&mut self.writer, self.version)
            .map_err(|error| error.to_string())?;
        Ok(hex(&self.writer.into_bytes()))
    }
}

fn bytes(hex: &str) -> Result<Bytes, String> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return Err("not hex".to_owned());
    }
    hex.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            u8::from_str_radix(pair, 16).map_err(|_| format!("not hex: {pair}"))
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}
