//! `import JAR...` replaces `schema/` by the specs in Kafka's jars; `generate`, or nothing, writes
//! `src/messages/` from `schema/`.

use std::process::ExitCode;

use kafka_protocol_codegen::{generate, import};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["import", jars @ ..] if !jars.is_empty() => import(jars),
        [] | ["generate"] => generate(),
        _ => Err("usage: kafka-protocol-codegen [generate | import JAR...]".to_owned()),
    };
    match done {
        Ok(report) => {
            eprintln!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
