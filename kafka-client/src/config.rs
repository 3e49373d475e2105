//! The knobs. Each type documents its defaults; none knows what it configures.

pub mod consumer;
