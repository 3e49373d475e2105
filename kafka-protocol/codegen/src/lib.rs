//! Writes the code of `kafka-protocol` from Kafka's own message specs, in two steps.
//!
//! The importer reads the specs out of Kafka's jars and keeps their facts in `schema/`; it is run when
//! Kafka has a new release. The generator reads `schema/` alone and writes `src/messages/`. Its
//! output is committed; a test below proves it fresh. Beside them a sampler makes random messages
//! from the same specs, by code that shares nothing with what is generated, for the tests of it.

mod between_nodes;
mod emit_decode;
mod emit_encode;
mod emit_entities;
mod emit_message;
mod emit_struct;
mod emit_table;
mod generate;
mod import;
mod lines;
mod model;
mod names;
mod receivers;
mod sample;
mod schema;
mod sizes;
mod versions;

use std::path::{Path, PathBuf};

pub use sample::{Crowd, Line, Sampler, Style};

/// Replaces `schema/` by the specs in these jars, which must all be of one release.
///
/// # Errors
///
/// If a jar cannot be read, holds no specs, or holds something that is not in their grammar.
pub fn import(jars: &[&str]) -> Result<String, String> {
    import::import(jars, &schema_dir())
}

/// Writes `src/messages.rs` and `src/messages/` from `schema/`.
///
/// # Errors
///
/// If a spec breaks the rules of the grammar, or a file cannot be written.
pub fn generate() -> Result<String, String> {
    generate::write(&schema_dir(), &source_dir())
}

fn schema_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema")
}

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;

    use super::{generate, model, schema_dir, source_dir};

    #[test]
    fn the_committed_code_is_what_the_generator_writes() {
        let fresh = generate::files(&schema_dir()).expect("schema/ is complete");
        let committed: BTreeMap<String, String> = generate::committed(&source_dir())
            .expect("src/messages/ can be listed")
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

    /// So that a new one does not get into logs before somebody looked at it.
    #[test]
    fn each_field_of_bytes_is_known_as_a_secret_or_not() {
        let messages = generate::messages(&schema_dir()).unwrap().messages;
        let structs = messages.iter().flat_map(|message| &message.structs);
        let fields = structs.flat_map(|one| &one.fields);
        let (secret, shown): (Vec<_>, Vec<_>) = fields
            .filter(|field| field.kind == model::Type::Bytes)
            .partition(|field| field.is_secret());
        let names = |fields: Vec<&model::Field>| {
            let names: BTreeSet<_> = fields.into_iter().map(|field| &*field.name).collect();
            Vec::from_iter(names).join(" ")
        };
        assert_eq!(
            names(secret),
            "AuthBytes Hmac RequestData ResponseData Salt SaltedPassword ServerKey StoredKey"
        );
        assert_eq!(
            names(shown),
            "Assignment ClientHostAddress CustomMetadata MemberAssignment MemberMetadata Metadata \
             Metrics RequestPrincipal UserData assignment subscription"
        );
    }
}
