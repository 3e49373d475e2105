//! What is set while the broker runs: on one topic or group, for one broker or for all.

use std::collections::BTreeMap;

use crate::config::error::ConfigError;
use crate::config::property::{Property, nearest};

/// Settings by name; what is not here is looked for in the layer below.
pub(crate) type Overrides = BTreeMap<String, String>;

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
