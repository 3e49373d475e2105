//! The knobs, a type per role. Knows nothing of what it configures.

pub mod client;
pub mod producer;

pub use client::ClientConfig;
pub use producer::{Acks, ProducerConfig};
