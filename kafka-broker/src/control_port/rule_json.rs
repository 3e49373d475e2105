//! Rules as JSON: one field for what is done, and one for each thing that a request is selected by.

use std::time::Duration;

use kafka_protocol::{ApiKey, ErrorCode};
use serde_json::{Map, Value, json};

use crate::config::property::nearest;
use crate::control::figures::name_of as error_name;
use crate::control::{Action, Rule, When};

/// The fields of an object, each read once and checked.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// A text, if it is there.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{name} must be a string, not {other}")),
        }
    }

    /// A whole number that is not negative, if it is there.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_u64();
                let wrong = || format!("{name} must be a whole number from 0 on, not {value}");
                number.map(Some).ok_or_else(wrong)
            }
        }
    }

    /// The number of a node or a partition, if it is there.
    fn id(&mut self, name: &str) -> Result<Option<i32>, String> {
        let Some(number) = self.number(name)? else {
            return Ok(None);
        };
        let id = i32::try_from(number).map_err(|_| format!("{name} is too large: {number}"))?;
        Ok(Some(id))
    }

    /// Refuses what is left over.
    pub(super) fn finish(self, known: &[&str]) -> Result<(), String> {
        let Some(name) = self.0.keys().next() else {
            return Ok(());
        };
        if known.contains(&name.as_str()) {
            return Err(format!("{name} contradicts what is done"));
        }
        Err(unknown("field", name, known.iter().copied()))
    }
}

/// Reads a rule.
pub(super) fn parse_rule(fields: Map<String, Value>) -> Result<Rule, String> {
    let mut fields = Fields::new(fields);
    let name = fields.text("name")?;
    let name = name.ok_or("a rule needs a name")?;
    let mut actions = parse_actions(&mut fields)?;
    let action = match (actions.pop(), actions.pop()) {
        (Some(action), None) => action,
        (None, _) => return Err(unfinished(fields)),
        (Some(_), Some(_)) => {
            return Err(format!(
                "a rule does one thing: one of {}",
                ACTIONS.join(", ")
            ));
        }
    };
    let mut rule = Rule::new(name, action);
    if let Some(broker) = fields.id("broker")? {
        rule = rule.broker(broker);
    }
    if let Some(api) = fields.text("api")? {
        rule = rule.api(api_named(&api)?);
    }
    if let Some(client_id) = fields.text("client_id")? {
        rule = rule.client_id(client_id);
    }
    if let Some(group) = fields.text("group")? {
        rule = rule.group(group);
    }
    if let Some(topic) = fields.text("topic")? {
        rule = rule.topic(topic);
    }
    if let Some(partition) = fields.id("partition")? {
        rule = rule.partition(partition);
    }
    if let Some(nth) = fields.number("nth")? {
        rule = rule.nth(nth);
    }
    if let Some(after) = fields.number("after")? {
        rule = rule.after(after);
    }
    if let Some(times) = fields.number("times")? {
        rule = rule.times(times);
    }
    fields.finish(&known_fields())?;
    Ok(rule)
}

/// What is to be said of a rule that does nothing.
fn unfinished(fields: Fields) -> String {
    let known = known_fields();
    let strange = fields.0.keys().find(|name| !known.contains(&name.as_str()));
    match strange {
        Some(name) => unknown("field", name, known.iter().copied()),
        None => format!("a rule does one of {}", ACTIONS.join(", ")),
    }
}

fn parse_actions(fields: &mut Fields) -> Result<Vec<Action>, String> {
    let mut actions = Vec::new();
    if let Some(name) = fields.text("error")? {
        actions.push(Action::Error(error_named(&name)?));
    }
    if let Some(name) = fields.text("error_after")? {
        actions.push(Action::ErrorAfter(error_named(&name)?));
    }
    if let Some(ms) = fields.number("delay_ms")? {
        actions.push(Action::Delay(Duration::from_millis(ms)));
    }
    if let Some(when) = when(fields, "drop")? {
        actions.push(Action::Drop(when));
    }
    if let Some(when) = when(fields, "close")? {
        actions.push(Action::Close(when));
    }
    if let Some(when) = when(fields, "stall")? {
        actions.push(Action::Stall(when));
    }
    if let Some(bytes) = fields.number("cut")? {
        actions.push(Action::Cut(size(bytes)));
    }
    if let Some(bytes) = fields.number("trickle_bytes")? {
        let pause = fields.number("trickle_pause_ms")?.unwrap_or(0);
        actions.push(Action::Trickle {
            bytes: size(bytes),
            pause: Duration::from_millis(pause),
        });
    }
    match fields.0.remove("wrong_correlation_id") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => actions.push(Action::WrongCorrelationId),
        Some(other) => return Err(format!("wrong_correlation_id must be true, not {other}")),
    }
    Ok(actions)
}

/// A rule in the words that [`parse_rule`] reads.
pub(super) fn rule_to_json(rule: &Rule) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            fields.insert(name.to_owned(), value);
        }
    };
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    put("name", rule.name().into());
    match &rule.action {
        Action::Error(code) => put("error", error_name(*code).into()),
        Action::ErrorAfter(code) => put("error_after", error_name(*code).into()),
        Action::Delay(delay) => put("delay_ms", millis(*delay).into()),
        Action::Drop(when) => put("drop", name_of(*when).into()),
        Action::Close(when) => put("close", name_of(*when).into()),
        Action::Stall(when) => put("stall", name_of(*when).into()),
        Action::Cut(bytes) => put("cut", (*bytes).into()),
        Action::Trickle { bytes, pause } => {
            put("trickle_bytes", (*bytes).into());
            put("trickle_pause_ms", millis(*pause).into());
        }
        Action::WrongCorrelationId => put("wrong_correlation_id", true.into()),
    }
    let selection = &rule.selection;
    put("broker", json!(selection.broker));
    put("api", json!(selection.api.map(ApiKey::name)));
    put("client_id", json!(selection.client_id));
    put("group", json!(selection.group));
    put("topic", json!(selection.topic));
    put("partition", json!(selection.partition));
    put("nth", json!(rule.schedule.nth));
    put("after", json!(rule.schedule.after));
    put("times", json!(rule.schedule.times));
    fields
}

fn api_named(name: &str) -> Result<ApiKey, String> {
    let all = || (0..=API_CODE_MAX).filter_map(ApiKey::from_code);
    let found = all().find(|api| api.name() == name);
    found.ok_or_else(|| unknown("API", name, all().map(ApiKey::name)))
}

fn error_named(name: &str) -> Result<ErrorCode, String> {
    let all = || ErrorCode::ALL.iter().copied();
    let found = all().find(|code| code.name() == Some(name));
    let names = || all().filter_map(ErrorCode::name);
    found.ok_or_else(|| match names_with(name, names()).as_slice() {
        [] => unknown("error", name, names()),
        several => format!(
            "unknown error {name:?} (did you mean {}?)",
            several.join(" or ")
        ),
    })
}

/// The first few names that a shortened one may stand for, in any case and with or without underscores.
fn names_with<'a>(short: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let letters = |name: &str| name.replace(['_', '-', ' '], "").to_uppercase();
    let short = letters(short);
    if short.len() < SHORT_MIN {
        return Vec::new();
    }
    names
        .filter(|name| letters(name).contains(&short))
        .take(NAMES_MAX)
        .collect()
}

/// When the action of this name is done, if it is there.
fn when(fields: &mut Fields, action: &str) -> Result<Option<When>, String> {
    match fields.text(action)?.as_deref() {
        None => Ok(None),
        Some("unapplied") => Ok(Some(When::Unapplied)),
        Some("applied") => Ok(Some(When::Applied)),
        Some(other) => Err(format!(
            "{action} must be unapplied or applied, not {other:?}"
        )),
    }
}

fn name_of(when: When) -> &'static str {
    match when {
        When::Unapplied => "unapplied",
        When::Applied => "applied",
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(nearest) => format!("unknown {what} {name:?} (did you mean {nearest}?)"),
        None => format!("unknown {what} {name:?}"),
    }
}

fn known_fields() -> Vec<&'static str> {
    ACTIONS.iter().chain(SELECTORS).copied().collect()
}

const ACTIONS: &[&str] = &[
    "error",
    "error_after",
    "delay_ms",
    "drop",
    "close",
    "stall",
    "cut",
    "trickle_bytes",
    "wrong_correlation_id",
];

const SELECTORS: &[&str] = &[
    "name",
    "trickle_pause_ms",
    "broker",
    "api",
    "client_id",
    "group",
    "topic",
    "partition",
    "nth",
    "after",
    "times",
];

/// A name of fewer letters may be short for anything.
const SHORT_MIN: usize = 4;

/// How many names are told at most.
const NAMES_MAX: usize = 4;

/// No key is larger.
const API_CODE_MAX: i16 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: Value) -> Result<Rule, String> {
        let Value::Object(fields) = value else {
            panic!("no object: {value}");
        };
        parse_rule(fields)
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        let rule = |action| Rule::new("r", action);
        let pause = Duration::from_millis(7);
        for rule in [
            rule(Action::Error(ErrorCode::NOT_COORDINATOR))
                .api(ApiKey::Heartbeat)
                .group("g"),
            rule(Action::ErrorAfter(ErrorCode::REQUEST_TIMED_OUT))
                .topic("t")
                .partition(3)
                .nth(2),
            rule(Action::Delay(pause))
                .broker(1)
                .client_id("c")
                .after(3)
                .times(4),
            rule(Action::Drop(When::Applied)),
            rule(Action::Close(When::Unapplied)),
            rule(Action::Stall(When::Applied)),
            rule(Action::Cut(0)),
            rule(Action::Trickle { bytes: 2, pause }),
            rule(Action::WrongCorrelationId),
        ] {
            let fields = rule_to_json(&rule);
            assert_eq!(parse_rule(fields), Ok(rule));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_nearest_name() {
        for (value, reason) in [
            (json!({}), "needs a name"),
            (json!({"name": 1}), "name must be a string"),
            (json!({"name": "r"}), "does one of error"),
            (json!({"name": "r", "eror": "X"}), "did you mean error?"),
            (
                json!({"name": "r", "cut": 1, "topc": "t"}),
                "did you mean topic?",
            ),
            (
                json!({"name": "r", "cut": 1, "zzz": 1}),
                "unknown field \"zzz\"",
            ),
            (
                json!({"name": "r", "cut": 1, "drop": "applied"}),
                "does one thing",
            ),
            (json!({"name": "r", "cut": -1}), "from 0 on"),
            (
                json!({"name": "r", "error": "NOT_LEADER"}),
                "did you mean NOT_LEADER_OR_FOLLOWER?",
            ),
            (
                json!({"name": "r", "error": "timed-out"}),
                "did you mean REQUEST_TIMED_OUT?",
            ),
            (
                json!({"name": "r", "cut": 1, "partition": 5_000_000_000_u64}),
                "too large",
            ),
            (
                json!({"name": "r", "cut": 1, "trickle_pause_ms": 1}),
                "contradicts",
            ),
            (
                json!({"name": "r", "drop": "later"}),
                "drop must be unapplied or applied, not \"later\"",
            ),
            (json!({"name": "r", "error": "NOT_LEADER"}), "unknown error"),
            (
                json!({"name": "r", "error": "NOT_CORDINATOR"}),
                "did you mean NOT_COORDINATOR?",
            ),
            (
                json!({"name": "r", "cut": 1, "api": "Produse"}),
                "did you mean Produce?",
            ),
            (
                json!({"name": "r", "wrong_correlation_id": 1}),
                "must be true",
            ),
        ] {
            let text = value.to_string();
            let error = parse(value).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
