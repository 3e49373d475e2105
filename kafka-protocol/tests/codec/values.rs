//! Messages as values: their defaults, and what was read in one version written in another.

use bytes::Bytes;
use kafka_protocol::Message;
use kafka_protocol::catalog::{self, MessageVisitor};

use crate::hex::hex;

/// The hex of a message of defaults in this version.
pub(crate) fn of_defaults(name: &str, version: i16) -> Result<String, String> {
    struct Defaults(i16);
    impl MessageVisitor for Defaults {
        type Output = Result<String, String>;
        fn visit<M: Message>(self) -> Self::Output {
            written(&M::default(), self.0)
        }
    }
    catalog::visit_named(name, Defaults(version)).ok_or("no such message")?
}

/// The hex of a message that was read in version `from`, in version `to`.
pub(crate) fn across(name: &str, from: i16, to: i16, bytes: &[u8]) -> Result<String, String> {
    struct Across(Bytes, i16, i16);
    impl MessageVisitor for Across {
        type Output = Result<String, String>;
        fn visit<M: Message>(self) -> Self::Output {
            let message = M::from_bytes(self.0, self.1).map_err(|error| error.to_string())?;
            written(&message, self.2)
        }
    }
    let bytes = Bytes::copy_from_slice(bytes);
    catalog::visit_named(name, Across(bytes, from, to)).ok_or("no such message")?
}

fn written(message: &impl Message, version: i16) -> Result<String, String> {
    let bytes = message.to_bytes(version);
    bytes
        .map(|bytes| hex(&bytes))
        .map_err(|error| error.to_string())
}
