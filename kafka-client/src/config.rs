//! The knobs, a type per role. Knows nothing of what it configures.

pub mod client;
pub mod consumer;
pub mod producer;

pub use client::ClientConfig;
pub use consumer::ConsumerConfig;
pub use producer::{Acks, ProducerConfig};
