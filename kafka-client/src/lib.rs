//! A Kafka client in pure Rust.

pub mod error;
mod machine;
