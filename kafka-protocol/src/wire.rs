//! The primitives of the protocol: big-endian integers, lengths, strings, arrays, tagged fields.
//!
//! Knows no message. Everything here is concrete and small, so that the code of nearly two thousand
//! fields built upon it stays small too.

pub mod limits;
mod reader;
mod secret;
mod structure;
mod tagged_fields;
mod varint;
mod writer;

pub use reader::Reader;
pub(crate) use secret::Secret;
pub use structure::Structure;
pub use tagged_fields::{OpenTag, Tag, TagReader, TagWriter, UnknownTaggedFields};
pub use writer::Writer;
