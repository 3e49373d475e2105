//! The largest of everything. Whatever is read is checked against these before memory is taken.
//!
//! How deep structs nest is fixed by the messages themselves: none contains itself, so no input can
//! make a decoder recurse further.

/// Bytes of a string, whether its length is an int16 or a varint.
pub const MAX_STRING_LEN: usize = i16::MAX as usize;

/// Elements of an array. Kafka refuses longer ones since 4.4.
pub const MAX_ARRAY_LEN: usize = 1_000_000;

/// Tagged fields of one struct. Kafka refuses more since 4.4.
pub const MAX_TAGGED_FIELDS: usize = 10_000;

/// Bytes of a `bytes` or `records` field: what an int32, or a varint of the length plus one, can say.
pub const MAX_BYTES_LEN: usize = i32::MAX as usize - 1;

/// Bytes of a varint of 32 bits.
pub const MAX_VARINT_LEN: usize = 5;

/// The default for the largest frame that a peer may send, in bytes without the size: what Kafka's
/// brokers accept unless `socket.request.max.bytes` says otherwise.
pub const DEFAULT_MAX_FRAME_LEN: usize = 100 * 1024 * 1024;

/// Bytes that the compressed records of a batch may become, where the caller sets no other limit.
///
/// A batch is rarely larger than a broker's `message.max.bytes` (1 MiB by default) compressed, and
/// records rarely shrink to less than a hundredth.
pub const DECOMPRESSED_MAX: usize = 128 << 20;

/// Bytes of a whole batch of magic 2, header included.
pub const MAX_BATCH_LEN: usize = i32::MAX as usize;

/// What a message takes in memory at most, while it is decoded and after, for each byte of it.
///
/// Not a check but what comes of all others: memory is taken for no more elements than there are
/// bytes for, if each is as small as it can be, and no byte counts for two arrays. The worst are lists
/// of short strings, since a string is a slice of the frame, which takes 32 bytes even if it is empty.
/// Tests measure every array of every message.
pub const MEMORY_FACTOR: usize = 48;

/// For how many bytes of elements that are still to be written a writer makes room at once.
pub const RESERVE_UP_TO: usize = 1024 * 1024;

/// From this many bytes on a `records` field is handed over as a chunk of its own, not copied.
pub const SPLICE_FROM: usize = 4 * 1024;
