//! What is to be shared out, and how the result is said.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;

/// What a member wants to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) instance_id: Option<ByteString>,
    pub(crate) topics: BTreeSet<ByteString>,
}

/// What a member reads: topics and their partitions.
pub(crate) type Assignment = BTreeMap<ByteString, Vec<i32>>;
