//! What libraries for zstd say when they fail, in one form.

/// Why a library did not decompress.
pub(super) enum Fault {
    /// More would come out than there is room for.
    NoRoom,
    /// The bytes are not what they should be.
    Corrupt(&'static str),
}
