//! Figures in Prometheus' text format.

use std::fmt::Write as _;

use crate::control::Control;

/// All figures there are.
pub(super) async fn figures(control: &Control) -> String {
    let mut page = Page::default();
    let figures = control.figures().await;
    page.family("kafka_broker_up", "gauge", "Whether the broker serves.");
    page.line("kafka_broker_up", &[], u64::from(control.is_up()));
    let requests = "kafka_broker_requests_total";
    page.family(
        requests,
        "counter",
        "Requests by API and error; NONE without one.",
    );
    for ((api, error), count) in &figures.requests {
        page.line(
            requests,
            &[("api", *api), ("error", error.as_str())],
            *count,
        );
    }
    let traffic = &figures.traffic;
    for (name, kind, help, value) in [
        (
            "kafka_broker_connections",
            "gauge",
            "Connections now.",
            traffic.connections,
        ),
        (
            "kafka_broker_connections_total",
            "counter",
            "Connections so far.",
            traffic.accepted,
        ),
        (
            "kafka_broker_received_bytes_total",
            "counter",
            "Bytes of requests.",
            traffic.received,
        ),
        (
            "kafka_broker_sent_bytes_total",
            "counter",
            "Bytes of answers.",
            traffic.sent,
        ),
    ] {
        page.family(name, kind, help);
        page.line(name, &[], value);
    }
    let (size, end) = ("kafka_broker_log_bytes", "kafka_broker_log_end_offset");
    page.family(size, "gauge", "Bytes of a partition's log.");
    for log in &figures.logs {
        page.line(size, &log.labels(), log.bytes);
    }
    page.family(end, "gauge", "The offset of a partition's next record.");
    for log in &figures.logs {
        page.line(end, &log.labels(), log.end_offset);
    }
    page.family("kafka_broker_groups", "gauge", "Groups.");
    page.line("kafka_broker_groups", &[], figures.groups);
    let fired = "kafka_broker_rule_fired_total";
    page.family(
        fired,
        "counter",
        "How often a rule that holds did something.",
    );
    for status in control.rules() {
        page.line(fired, &[("rule", status.rule.name())], status.fired);
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.text.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let open = if number == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// A label's text as the format has it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.line("a", &[("b", "x\"\\\n"), ("c", "d")], 3);
        assert_eq!(page.text, "a{b=\"x\\\"\\\\\\n\",c=\"d\"} 3\n");
    }
}
