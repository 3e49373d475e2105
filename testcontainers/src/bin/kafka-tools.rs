//! Runs one of Kafka's own command-line tools, named by its class, with its own input and output.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use kafka_testcontainers::KafkaTools;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(class) = arguments.next().and_then(|class| class.into_string().ok()) else {
        eprintln!("usage: kafka-tools CLASS [ARGUMENT...]");
        eprintln!("such as: kafka-tools org.apache.kafka.tools.DumpLogSegments --files LOG");
        return ExitCode::from(2);
    };
    match run(&class, arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kafka-tools: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    class: &str,
    arguments: impl Iterator<Item = OsString>,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let status = KafkaTools::resolve()?
        .command(class)?
        .args(arguments)
        .status()
        .map_err(|error| format!("cannot run `java`: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
