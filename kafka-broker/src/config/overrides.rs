//! What is set on one topic or group over the configuration of the broker.

use std::collections::BTreeMap;

use crate::config::broker::BrokerConfig;
use crate::config::error::ConfigError;
use crate::config::property::{Property, nearest};

/// The own settings of a topic or a group, by name; what is not here follows the broker.
pub(crate) type Overrides = BTreeMap<String, String>;

/// Where the value of a property comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Set on the topic or the group.
    Own,
    /// Set on the broker at its start.
    Broker,
    /// Set nowhere.
    Default,
}

/// The value of a property and where it comes from.
pub(crate) fn value_and_source(
    broker: &BrokerConfig,
    overrides: &Overrides,
    property: &Property,
) -> (String, Source) {
    if let Some(value) = overrides.get(property.name) {
        return (value.clone(), Source::Own);
    }
    match broker_default(broker, property) {
        Some(value) => (value, Source::Broker),
        None => (
            property.default.unwrap_or_default().to_owned(),
            Source::Default,
        ),
    }
}

/// Tells whether a property of this table may be set so.
///
/// # Errors
///
/// A name that is not in the table, or a value that does not fit.
pub(crate) fn check_override(
    table: &'static [Property],
    name: &str,
    value: &str,
) -> Result<&'static Property, ConfigError> {
    let property = known(table, name)?;
    property.check(value).map_err(ConfigError::Value)?;
    Ok(property)
}

/// The row of this name.
///
/// # Errors
///
/// If there is none.
pub(crate) fn known(
    table: &'static [Property],
    name: &str,
) -> Result<&'static Property, ConfigError> {
    let found = table.iter().find(|property| property.name == name);
    found.ok_or_else(|| ConfigError::Unknown {
        name: name.to_owned(),
        nearest: nearest(name, table.iter().map(|property| property.name)),
    })
}

/// What the broker was started with for this property; two of them go by several names.
fn broker_default(broker: &BrokerConfig, property: &Property) -> Option<String> {
    let name = property.broker_name?;
    if let Some(value) = broker.given(name) {
        return Some(value.to_owned());
    }
    let in_ms = |name: &str, unit_ms: i64| {
        let count = broker.given(name)?.parse::<i64>().ok()?;
        Some(if count < 0 { count } else { count * unit_ms }.to_string())
    };
    match name {
        "log.retention.ms" => in_ms("log.retention.minutes", 60_000)
            .or_else(|| in_ms("log.retention.hours", 3_600_000)),
        "log.roll.ms" => in_ms("log.roll.hours", 3_600_000),
        _ => None,
    }
}
