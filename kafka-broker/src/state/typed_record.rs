//! Keys and values of the broker's own topics: a body behind a number, which in a key is that of the
//! record's type and in a value that of its version.

use bytes::Bytes;
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{DecodeError, EncodeError, Message};

/// A body behind a number.
///
/// # Errors
///
/// If a name is longer than the format can say.
pub(crate) fn prefixed(
    body: &impl Message,
    prefix: i16,
    version: i16,
) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(prefix);
    body.encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}

/// A value behind the number of its version.
///
/// # Errors
///
/// If it is not what the number says.
pub(crate) fn versioned<V: Message>(value: Bytes) -> Result<V, DecodeError> {
    let mut reader = Reader::new(value);
    let version = reader.i16("Version")?;
    V::decode(&mut reader, version)
}
