//! What can be wrong with a configuration.

use std::fmt;

use crate::config::property::ValueError;

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigError {
    /// No property has this name.
    Unknown {
        /// The name that was given.
        name: String,
        /// A property with a name much like it.
        nearest: Option<&'static str>,
    },
    /// The value does not fit.
    Value(ValueError),
    /// The property is what it is while the broker runs.
    ReadOnly {
        /// Its name.
        name: &'static str,
    },
    /// The property must be set for each broker by itself.
    PerBroker {
        /// Its name.
        name: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, nearest } => {
                write!(f, "unknown configuration {name}")?;
                match nearest {
                    Some(nearest) => write!(f, " (did you mean {nearest}?)"),
                    None => Ok(()),
                }
            }
            Self::Value(error) => error.fmt(f),
            Self::ReadOnly { name } => {
                write!(f, "cannot update this configuration dynamically: {name}")
            }
            Self::PerBroker { name } => write!(
                f,
                "cannot update this configuration at default cluster level, broker id must be specified: {name}"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}
