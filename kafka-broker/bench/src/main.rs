//! What a broker costs under raw requests: processor time, memory and time to start, measured from
//! outside as the system counts them, ours beside a real Kafka node in one run.
//!
//! `docs/benchmarks.md` tells how it is run and what it has said.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program that prints figures, and panics where it errs"
)]

mod compare;
mod connection;
mod crowd;
mod failure;
mod forced;
mod load;
mod process;
mod soak;
mod start;
mod topic;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

#[derive(Debug, Parser)]
struct Arguments {
    /// The program of our broker, in its release build.
    #[arg(long, default_value = "target/release/kafka-broker")]
    broker: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Appends and fetches, ours and a real node in turn.
    Compare {
        /// The program that starts a real node; without it ours is measured alone.
        #[arg(long)]
        real_kafka: Option<PathBuf>,
        /// How often each load is run, after a first time that does not count.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Only loads whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Time to the first answer, and memory, with so many partitions on the disk.
    Start {
        /// Partitions, each with a record.
        #[arg(long, default_value_t = 0)]
        partitions: usize,
    },
    /// Connections that are idle, and others that append and fetch at the same time.
    Crowd {
        /// How many are idle.
        #[arg(long, default_value_t = 1_000)]
        idle: usize,
        /// How many are busy, half of them appending, half fetching what is appended.
        #[arg(long, default_value_t = 200)]
        busy: usize,
        /// For how long.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Appends that wait for the disk, by more and more connections to one partition.
    Forced {
        /// For how long, each number of connections.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Appends and fetches at a rate for long, with retention on, and tells the memory over time.
    Soak {
        /// For how long.
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        /// Megabytes a second.
        #[arg(long, default_value_t = 20.0)]
        rate: f64,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kafka-broker-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = tempfile::Builder::new()
        .prefix("kafka-broker-bench-")
        .tempdir()?;
    let data = folder.path().to_str().ok_or("a folder without a name")?;
    let broker = &arguments.broker;
    match &arguments.command {
        Command::Compare {
            real_kafka,
            rounds,
            only,
        } => {
            let servers = compare::start(broker, data, real_kafka.as_deref())?;
            compare::run(&servers, *rounds, only)
        }
        Command::Start { partitions } => start::run(broker, data, *partitions),
        Command::Crowd {
            idle,
            busy,
            seconds,
        } => crowd::run(broker, data, *idle, *busy, Duration::from_secs(*seconds)),
        Command::Forced { seconds } => forced::run(broker, data, Duration::from_secs(*seconds)),
        Command::Soak { minutes, rate } => {
            soak::run(broker, data, Duration::from_secs(minutes * 60), rate * 1e6)
        }
    }
}
