//! Writes the code of `kafka-protocol` from Kafka's own message specs, in two steps.
//!
//! `import JAR...` reads the specs out of Kafka's jars and keeps their facts in `schema/`; it is run
//! when Kafka has a new release. `generate` reads `schema/` alone and writes `src/generated/`.
//! Without arguments the tool generates. Output is committed; a test below proves it fresh.

mod emit_decode;
mod emit_encode;
mod emit_message;
mod emit_struct;
mod emit_table;
mod generate;
mod import;
mod lines;
mod model;
mod names;
mod receivers;
mod schema;
mod versions;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["import", jars @ ..] if !jars.is_empty() => import::import(jars, &schema_dir()),
        [] | ["generate"] => generate::write(&schema_dir(), &source_dir()),
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

fn schema_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema")
}

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::{generate, schema_dir, source_dir};

    #[test]
    fn the_committed_code_is_what_the_generator_writes() {
        let fresh = generate::files(&schema_dir()).expect("schema/ is complete");
        let committed: BTreeMap<String, String> = generate::committed(&source_dir())
            .expect("src/generated/ can be listed")
            .into_iter()
            .map(|name| {
                let text = fs::read_to_string(source_dir().join(&name)).unwrap();
                (name, text)
            })
            .collect();
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&committed), names(&fresh));
        for (name, text) in &fresh {
            assert!(
                committed[name] == *text,
                "{name} is stale: run `cargo run -p kafka-protocol-codegen`"
            );
        }
    }
}
