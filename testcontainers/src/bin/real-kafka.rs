//! Runs real Apache Kafka for as long as it lives, or for as long as one command takes.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;

use clap::Parser;
use kafka_testcontainers::RealKafka;

/// Starts one node of real Apache Kafka with temporary data, and prints `listening on HOST:PORT`
/// when it serves. With a command, runs it with KAFKA_BOOTSTRAP set to that address, ends the node in
/// order if its data stays, and ends with the command's status; without one, serves until it is
/// interrupted, which the node feels as kill -9.
#[derive(Parser)]
#[command(name = "real-kafka", disable_version_flag = true)]
struct Arguments {
    /// The release of Kafka.
    #[arg(long, default_value = "4.4.0")]
    version: String,
    /// The port to listen on; a free one by default.
    #[arg(long)]
    port: Option<u16>,
    /// Where the data lies, which then stays; also that of another broker of node 1. Temporary by default.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A broker property, such as message.max.bytes=1000; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_property)]
    properties: Vec<(String, String)>,
    /// The largest heap, as java's -Xmx takes it.
    #[arg(long, default_value = "512m")]
    heap: String,
    /// The command to run, and its arguments.
    #[arg(last = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("real-kafka: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut builder = RealKafka::builder(&arguments.version).heap(&arguments.heap);
    if let Some(port) = arguments.port {
        builder = builder.port(port);
    }
    if let Some(path) = &arguments.data_dir {
        builder = builder.data_dir(path);
    }
    for (key, value) in &arguments.properties {
        builder = builder.property(key, value);
    }
    let mut kafka = builder.start()?;
    let bootstrap = kafka.bootstrap_servers();
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {bootstrap}")?;
    stdout.flush()?;

    let Some((program, rest)) = arguments.command.split_first() else {
        // A signal ends this process; the node and its data go with it.
        loop {
            thread::park();
        }
    };
    let status = Command::new(program)
        .args(rest)
        .env("KAFKA_BOOTSTRAP", &bootstrap)
        .status()
        .map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if arguments.data_dir.is_some() && !kafka.stop() {
        return Err(format!("the node did not end in order:\n{}", kafka.log()).into());
    }
    // Killed by a signal: fail as a shell does.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
