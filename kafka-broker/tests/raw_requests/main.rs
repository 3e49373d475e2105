//! The broker at its port, by requests that no client of ours would send, or not so.

mod bad_peers;
mod cold_reads;
mod connection;
mod directories;
mod listeners;
mod long_requests;
mod records;
mod repetition;
mod run_time_configs;
mod sessions;
mod slow_disk;
