//! A small Kafka broker over a real segment log.

pub mod log;
mod config;
