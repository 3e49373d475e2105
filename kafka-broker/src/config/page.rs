//! `docs/properties.md`: what can be set for brokers, topics and groups, written from the tables, and the proof
//! that it is fresh.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::broker_properties::{BROKER_PROPERTIES, UpdateMode, update_mode};
use crate::config::group_properties::GROUP_PROPERTIES;
use crate::config::property::{Kind, Limit, Property};
use crate::config::topic_properties::TOPIC_PROPERTIES;

fn page() -> String {
    let mut page = format!("{HEAD}| property | kind | default | update mode | what it says |\n");
    page.push_str("| --- | --- | --- | --- | --- |\n");
    for property in BROKER_PROPERTIES {
        let mode = match update_mode(property.name) {
            UpdateMode::ReadOnly => "read-only",
            UpdateMode::PerBroker => "per-broker",
            UpdateMode::ClusterWide => "cluster-wide",
        };
        row(&mut page, property, mode);
    }
    for (heading, table) in [
        ("Topics", TOPIC_PROPERTIES),
        ("Consumer groups", GROUP_PROPERTIES),
    ] {
        let _ = write!(
            page,
            "\n## {heading}\n\n| property | kind | default | of the broker | what it says |\n\
             | --- | --- | --- | --- | --- |\n"
        );
        for property in table {
            let broker_name = property.broker_name.unwrap_or_default();
            row(&mut page, property, &format!("`{broker_name}`"));
        }
    }
    page
}

fn row(page: &mut String, property: &Property, note: &str) {
    let default = property.default.map(|default| format!("`{default}`"));
    let _ = writeln!(
        page,
        "| `{}` | {}{} | {} | {note} | {} |",
        property.name,
        kind(property.kind),
        limit(property.limit),
        default.unwrap_or_default(),
        property.doc
    );
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "boolean",
        Kind::Text => "string",
        Kind::Int => "int",
        Kind::Long => "long",
        Kind::Double => "double",
        Kind::List => "list",
    }
}

fn limit(limit: Limit) -> String {
    match limit {
        Limit::Any => String::new(),
        Limit::AtLeast(least) => format!(", at least {least}"),
        Limit::Between(least, most) if least == most => format!(", {least} only"),
        Limit::Between(least, most) => format!(", {least} to {most}"),
        Limit::OneOrBetween(one, least, most) => format!(", {least} to {most} or {one}"),
        Limit::Ratio => ", 0 to 1".to_owned(),
        Limit::OneOf(words) => format!(": {}", words.join(", ")),
        Limit::SubsetOf(words) => format!(" of {}", words.join(", ")),
    }
}

#[test]
fn the_page_of_properties_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/properties.md");
    let page = page();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/properties.md is stale: {COMMAND}");
}

const COMMAND: &str = "WRITE_DOCS=1 cargo test -p kafka-broker page_of_properties";

const HEAD: &str = "\
# What can be configured

Written from the broker's tables by `WRITE_DOCS=1 cargo test -p kafka-broker page_of_properties`; the test fails
while this page says something else.

A broker is started with properties of Kafka's names (`--set NAME=VALUE`, `BrokerBuilder::set`), or with a file of
them, as Java writes it (`--properties FILE`, `BrokerBuilder::properties_file`); what is set goes before the file, and
options of one's own (`--listen`, `--advertise`, `--data-dir`, `--node-id`) before both. A name that is not
here is refused, and so is a value that does not fit: what is taken and not heeded would be a lie. The same goes for
what is set while the broker runs. A real node takes names then that it does not know, and properties of what is not
here (threads, TLS, SASL, tiered storage): those are refused with INVALID_REQUEST.

While the broker runs, AlterConfigs and IncrementalAlterConfigs set properties for topics, consumer groups and
brokers, so `kafka-configs.sh --alter` does with `--entity-type topics`, `groups` and `brokers`. Of a broker's they
set those whose update mode is not *read-only*, for the broker by its number (`--entity-name 1`) or for all
(`--entity-default`). What is set for the topic or the group goes before what is set for the broker, that before what
is set for all brokers, that before what the broker was started with, and that before the default; DescribeConfigs
tells them in this order. All of it holds at once, also for topics and groups that are there, and after a restart: it
lies in the metadata log as a controller of Kafka writes it.

The levels of loggers (`BROKER_LOGGER`) and subscriptions to the metrics of clients (`CLIENT_METRICS`) cannot be asked
for or set: what is logged is said at the start.

## Brokers

";
