//! What a log may tell of a credential.

use std::fmt;

use bytes::Bytes;

/// Stands for bytes that must not be shown, in the `Debug` of the message that holds them.
pub(crate) struct Secret {
    len: usize,
}

impl Secret {
    pub(crate) fn of(bytes: &Bytes) -> Self {
        Self { len: bytes.len() }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.len)
    }
}
