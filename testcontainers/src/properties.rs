//! The `server.properties` of a single node that is broker and controller in one.

use std::path::Path;

/// How a node learns who votes on the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voters {
    /// Kafka's own format command has written it down beside the metadata.
    Written,
    /// The properties say it: this node alone.
    Named,
}

/// Writes the properties of one node. A property given by the caller replaces ours of that name.
pub(crate) fn server_properties(
    host: &str,
    broker_port: u16,
    controller_port: u16,
    log_dir: &Path,
    voters: Voters,
    extra: &[(String, String)],
) -> String {
    let listeners =
        format!("PLAINTEXT://{host}:{broker_port},CONTROLLER://{host}:{controller_port}");
    let own = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        match voters {
            Voters::Written => (
                "controller.quorum.bootstrap.servers",
                format!("{host}:{controller_port}"),
            ),
            Voters::Named => (
                "controller.quorum.voters",
                format!("1@{host}:{controller_port}"),
            ),
        },
        ("listeners", listeners.clone()),
        ("advertised.listeners", listeners),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        ),
        ("log.dirs", log_dir.display().to_string()),
        // One node can hold one replica of anything.
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("transaction.state.log.replication.factor", "1".to_owned()),
        ("transaction.state.log.min.isr", "1".to_owned()),
        (
            "share.coordinator.state.topic.replication.factor",
            "1".to_owned(),
        ),
        ("share.coordinator.state.topic.min.isr", "1".to_owned()),
        // Fifty partitions of each internal topic are slow to make and of no use to a test.
        ("offsets.topic.num.partitions", "4".to_owned()),
        ("transaction.state.log.num.partitions", "4".to_owned()),
        (
            "share.coordinator.state.topic.num.partitions",
            "4".to_owned(),
        ),
        // A test knows its members; nobody needs three seconds to come along.
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
    ];
    let mut text = String::new();
    for (key, value) in &own {
        if !extra.iter().any(|(name, _)| name == key) {
            text.push_str(&format!("{key}={value}\n"));
        }
    }
    for (key, value) in extra {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_property_replaces_ours() {
        let extra = [
            ("node.id".to_owned(), "7".to_owned()),
            ("message.max.bytes".to_owned(), "1000".to_owned()),
        ];
        let text = server_properties(
            "127.0.0.1",
            9092,
            9093,
            Path::new("data"),
            Voters::Written,
            &extra,
        );
        let of = |key: &str| -> Vec<&str> {
            text.lines()
                .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .collect()
        };
        assert_eq!(of("node.id"), ["7"]);
        assert_eq!(of("message.max.bytes"), ["1000"]);
        assert_eq!(of("log.dirs"), ["data"]);
    }
}
