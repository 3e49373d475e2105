//! A line of input and what comes out of it.

use bytes::Bytes;

use crate::hex::unhex;
use crate::{batch, message};

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The hex of what was encoded again, or the JSON of batches.
    Bytes,
    /// Text for reading.
    Pretty,
}

/// The answer to one line, which comes without its end.
pub(crate) fn answer(line: &str, form: Form) -> Result<String, String> {
    let mut columns = line.split('\t');
    let mut column = || columns.next().ok_or("fewer than five columns");
    let (kind, key, name) = (column()?, column()?, column()?);
    let (version, hex) = (column()?, column()?);
    let bytes = Bytes::from(unhex(hex)?);
    match kind {
        "batch" | "rebatch" if form == Form::Pretty => Ok(batch::pretty(bytes)),
        "batch" => batch::json(bytes),
        "rebatch" => batch::rebuild(bytes),
        _ => message::recode(
            kind,
            number("key", key)?,
            name,
            number("version", version)?,
            bytes,
            form,
        ),
    }
}

fn number(column: &str, text: &str) -> Result<i16, String> {
    text.parse()
        .map_err(|_| format!("the {column} is no 16-bit number: {text:?}"))
}
