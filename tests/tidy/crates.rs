//! Who may depend on whom among our crates, read from their `Cargo.toml`.

use crate::sources::Source;

/// What a crate may have of ours: in the product, and besides in its tests.
struct Row {
    package: &'static str,
    product: &'static [&'static str],
    tests: &'static [&'static str],
}

/// From the ground up. Client and broker never know each other; the client's tests may.
const ALLOWED: &[Row] = &[
    Row {
        package: "kafka-protocol",
        product: &[],
        // Makes instances of every message by the schema.
        tests: &["kafka-protocol-codegen"],
    },
    Row {
        package: "kafka-protocol/codegen",
        product: &[],
        tests: &[],
    },
    Row {
        package: "kafka-protocol/fuzz",
        product: &["kafka-protocol"],
        tests: &[],
    },
    Row {
        package: "kafka-protocol/bench",
        product: &["kafka-protocol"],
        tests: &[],
    },
    Row {
        package: "kafka-client",
        product: &["kafka-protocol"],
        tests: &["kafka-broker"],
    },
    Row {
        package: "kafka-broker",
        product: &["kafka-protocol"],
        tests: &[],
    },
    Row {
        package: "kafka-broker/bench",
        product: &["kafka-protocol"],
        tests: &[],
    },
    // Real Kafka must not look broken because our codec is.
    Row {
        package: "testcontainers",
        product: &[],
        tests: &[],
    },
    Row {
        package: "",
        product: &[],
        tests: &["kafka-protocol", "kafka-client", "kafka-broker"],
    },
];

const OURS: &[&str] = &[
    "kafka-protocol",
    "kafka-protocol-codegen",
    "kafka-protocol-bench",
    "kafka-protocol-fuzz",
    "kafka-client",
    "kafka-broker",
    "kafka-broker-bench",
    "kafka-testcontainers",
];

/// Dependencies among our crates that the table does not allow, and crates without a row.
pub(crate) fn violations(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        let Some(folder) = source.path.strip_suffix("Cargo.toml") else {
            continue;
        };
        let package = folder.trim_end_matches('/');
        let Some(row) = ALLOWED.iter().find(|row| row.package == package) else {
            violations.push(format!("{}: no row of the table speaks of it", source.path));
            continue;
        };
        for (line, table, name) in dependencies(&source.text) {
            let is_allowed = row.product.contains(&name)
                || (table == "dev-dependencies" && row.tests.contains(&name));
            if OURS.contains(&name) && !is_allowed {
                violations.push(format!(
                    "{}:{line}: {table} must not name {name}",
                    source.path
                ));
            }
        }
    }
    violations
}

/// Line, table and name of each dependency of a manifest.
fn dependencies(manifest: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut table = "";
    manifest
        .lines()
        .enumerate()
        .filter_map(move |(index, line)| {
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_end().trim_end_matches(']');
            }
            // What a workspace shares is not what a crate has.
            let is_dependency = table.ends_with("dependencies") && !table.starts_with("workspace");
            let end = line.find(['.', ' ', '='])?;
            is_dependency.then_some((index + 1, table, &line[..end]))
        })
}

mod tests {
    use super::*;
    use crate::planted;

    #[test]
    fn a_client_that_knows_the_broker_is_found() {
        let manifest = "[dependencies]\nkafka-protocol.workspace = true\n\
                        kafka-broker = { workspace = true }\n";
        let found = violations(&planted(&[("kafka-client/Cargo.toml", manifest)]));
        let expected = "kafka-client/Cargo.toml:3: dependencies must not name kafka-broker";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn its_tests_may_know_it() {
        let manifest = "[dev-dependencies]\nkafka-broker.workspace = true\n";
        assert!(violations(&planted(&[("kafka-client/Cargo.toml", manifest)])).is_empty());
        assert_eq!(
            violations(&planted(&[("kafka-broker/Cargo.toml", manifest)])).len(),
            1
        );
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        assert_eq!(
            violations(&planted(&[("kafka-stranger/Cargo.toml", "")])).len(),
            1
        );
    }
}
