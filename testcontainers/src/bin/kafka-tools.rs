//! Runs one of Kafka's own command-line tools, named by its class, with its own input and output.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use kafka_testcontainers::{KafkaTools, StartError};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(class) = arguments.next().and_then(|class| class.into_string().ok()) else {
        eprintln!("usage: kafka-tools CLASS [ARGUMENT...]");
        eprintln!("such as: kafka-tools org.apache.kafka.tools.DumpLogSegments --files LOG");
        return ExitCode::from(2);
    };
    // Both ways lead here only when the tool did not start.
    match become_tool(&class, arguments) {
        Ok(error) => eprintln!("kafka-tools: cannot run `java`: {error}"),
        Err(error) => eprintln!("kafka-tools: {error}"),
    }
    ExitCode::FAILURE
}

/// Turns this process into the tool, so that signals and the exit status are the tool's own.
fn become_tool(
    class: &str,
    arguments: impl Iterator<Item = OsString>,
) -> Result<io::Error, StartError> {
    Ok(KafkaTools::resolve()?
        .command(class)?
        .args(arguments)
        .exec())
}
