//! What the targets do with their input, and how inputs are changed.
//!
//! Every function here must return: a panic, more memory than the documents promise, or a hang is a
//! finding. `README.md` says what each target promises and how to run it.

pub mod batches;
pub mod bounds;
pub mod compression;
pub mod frames;
pub mod messages;
pub mod mutation;
pub mod reference;
