//! The binary: arguments, logs, signals, nothing else.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use kafka_broker::Broker;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// A small Kafka broker of one node, for tests and for development.
///
/// Prints one line, `listening on HOST:PORT`, on standard output once it serves, or one for each listener,
/// behind one for the control port if there is one, `control on HOST:PORT`; and logs to standard error. SIGINT and SIGTERM end it in
/// order, and another one at once if that takes more than five seconds; after that, and after a crash, it
/// comes back with all its data.
#[derive(Debug, Parser)]
#[command(name = "kafka-broker", version, after_help = EXAMPLES)]
struct Arguments {
    /// The address to listen at; port 0 takes a free one. Without it those of the property listeners, and
    /// without that 127.0.0.1:9092. Where a broker listens and what it tells clients stays as it was started:
    /// listeners and advertised.listeners cannot be altered while it runs.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// The address that clients are told, if it is not the one to listen at. With several listeners it is the
    /// property advertised.listeners that says it for each.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,

    /// Where the data lies; made if it is not there. Without it, and without the property log.dirs, the data is
    /// temporary and goes with the broker; after kill -9 it stays in the folder for temporary files.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Keeps the data in memory, on a disk that knows what was made durable, so that a kill by the control
    /// port can lose the rest.
    #[arg(long, conflicts_with = "data_dir")]
    in_memory: bool,

    /// Looks like a broker of an older release of Kafka, from 2.1 on, by the APIs and versions that it serves.
    #[arg(long, value_name = "RELEASE")]
    emulate: Option<String>,

    /// Opens a control port: faults, the journal of requests, /metrics and /ready, by HTTP and JSON. Whoever
    /// reaches it may do anything to the broker: give a loopback address, except in a container. Port 0 takes a
    /// free one.
    #[arg(long, value_name = "HOST:PORT")]
    control: Option<String>,

    /// The number of this node.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    node_id: Option<i32>,

    /// A property by Kafka's name, such as num.partitions=3; may be given several times. A name that
    /// the broker does not know is an error: docs/properties.md has those it knows. What an option says as well,
    /// the option says.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    properties: Vec<(String, String)>,

    /// A file of properties, as Java writes them: NAME=VALUE a line, comments after #. What --set or an option says goes
    /// before it.
    #[arg(long = "properties", value_name = "FILE")]
    properties_file: Option<PathBuf>,

    /// How much is logged: off, error, warn, info, debug or trace, or a filter such as
    /// warn,kafka_broker=debug.
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = filter)]
    log: EnvFilter,

    /// How the log is written.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object in each line.
    Json,
}

/// Where it listens if nobody says so.
const LISTENERS: &str = "PLAINTEXT://127.0.0.1:9092";

const EXAMPLES: &str = "\
Examples:
  kafka-broker
      a broker at 127.0.0.1:9092 whose data goes with it
  kafka-broker --listen 0.0.0.0:9092 --advertise kafka:9092 --data-dir /var/lib/kafka
      one in a container, with data that stays
  kafka-broker --listen 127.0.0.1:0 --set num.partitions=3 --emulate 2.8
      one on a free port that looks like Kafka 2.8
  kafka-broker --properties test.properties --set num.partitions=3
      one with the properties in a file, and one of them otherwise
  kafka-broker --control 127.0.0.1:9644 --log warn --log-format json
      one that tests can order faults from: see docs/faults.md";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kafka-broker: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(arguments.log)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match arguments.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    allow_many_files();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut builder = Broker::builder()
        .worker_threads(cores())
        .set("listeners", LISTENERS);
    if let Some(path) = arguments.properties_file {
        builder = builder.properties_file(path);
    }
    for (key, value) in arguments.properties {
        builder = builder.set(key, value);
    }
    if let Some(address) = arguments.listen {
        builder = builder.listen(address);
    }
    if let Some(node_id) = arguments.node_id {
        builder = builder.node_id(node_id);
    }
    if let Some(address) = arguments.advertise {
        builder = builder.advertise(address);
    }
    if let Some(data_dir) = arguments.data_dir {
        builder = builder.data_dir(data_dir);
    }
    if arguments.in_memory {
        builder = builder.in_memory();
    }
    if let Some(release) = arguments.emulate {
        builder = builder.emulate(release);
    }
    if let Some(address) = arguments.control {
        builder = builder.control_port(address);
    }
    let broker = builder.start().await?;
    #[expect(
        clippy::print_stdout,
        reason = "the lines that tell that the broker serves"
    )]
    {
        if let Some(address) = broker.control_address() {
            println!("control on {address}");
        }
        for listener in broker.listeners() {
            println!("listening on {}", listener.bootstrap_servers());
        }
    }
    let mut told = async || {
        tokio::select! {
            _ = interrupt.recv() => "interrupted",
            _ = terminate.recv() => "terminated",
        }
    };
    let how = told().await;
    tracing::info!("{how}");
    tokio::select! {
        stopped = broker.stop() => Ok(stopped?),
        () = told_late(told) => Err(AGAIN.into()),
    }
}

/// Waits to be told to end by whoever cannot wait for the disk any longer. A signal to a process and its parent,
/// who hands it on, comes twice at once: what comes early is not heeded.
async fn told_late(mut told: impl AsyncFnMut() -> &'static str) {
    let began = Instant::now();
    loop {
        let how = told().await;
        if began.elapsed() >= EARLY {
            return;
        }
        tracing::info!("{how} again: the end is under way");
    }
}

/// How long an end in order may take before another signal ends it.
const EARLY: Duration = Duration::from_secs(5);

const AGAIN: &str = "told to end again: the logs are not closed, and the next start verifies them";

/// Asks the system for as many open files as it lets a process have: each connection is one, and each partition
/// that is written to.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Strictly: what cannot be understood would otherwise log nothing, in silence. So would a word that is no level, which
/// stands for a part of the program.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let words = text.split(',').map(str::trim);
    let mut bare = words.filter(|word| !word.is_empty() && !word.contains('='));
    if let Some(word) = bare.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(format!(
            "{word} is not off, error, warn, info, debug or trace, nor PART=LEVEL"
        ));
    }
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| error.to_string())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read_strictly() {
        let parse = |words: [&str; 2]| {
            let words = ["kafka-broker"].into_iter().chain(words);
            Arguments::try_parse_from(words)
        };
        for bad in [
            ["--log", "nonsense=xx"],
            ["--log", "inof"],
            ["--log", "warn,kafka_broker"],
            ["--node-id", "one"],
            ["--set", "num.partitions"],
            ["--log-format", "xml"],
            ["--in-memory", "--data-dir=/data"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse(["--log", "warn,kafka_broker=debug"]).is_ok());
        // It is the broker that refuses it, with the property's name.
        assert_eq!(parse(["--node-id", "-4"]).unwrap().node_id, Some(-4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_under_way_is_given_time() {
        let mut count = 0;
        let began = Instant::now();
        told_late(async || {
            tokio::time::sleep(Duration::from_secs(2)).await;
            count += 1;
            "told"
        })
        .await;
        assert_eq!((count, began.elapsed()), (3, Duration::from_secs(6)));
    }
}
