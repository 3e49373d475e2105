//! The things that have a configuration, as requests name them: what can be set for each, and how it is refused.

use std::collections::BTreeSet;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;

use crate::config::broker_properties::BROKER_PROPERTIES;
use crate::config::effective::{EffectiveConfig, Scope, Source};
use crate::config::error::ConfigError;
use crate::config::group_properties::GROUP_PROPERTIES;
use crate::config::overrides::{Overrides, check_override};
use crate::config::property::Property;
use crate::config::topic_properties::TOPIC_PROPERTIES;
use crate::control::subjects::About;
use crate::handler::call::Call;
use crate::handler::detached::detached;
use crate::state::refusal::Refusal;

/// A topic, by name.
pub(crate) const TOPIC: i8 = 2;

/// A broker, by the number of its node; without one, all brokers.
pub(crate) const BROKER: i8 = 4;

/// The levels of a broker's loggers.
const BROKER_LOGGER: i8 = 8;

/// A subscription to the metrics of clients.
const CLIENT_METRICS: i8 = 16;

/// A consumer group, by its id.
pub(crate) const GROUP: i8 = 32;

/// What is said of resources that have no configuration here.
pub(crate) fn not_configurable(resource_type: i8) -> Refusal {
    let reason = match resource_type {
        BROKER_LOGGER => {
            "what is logged (BROKER_LOGGER) is said at the start, and neither told nor changed later"
                .to_owned()
        }
        CLIENT_METRICS => {
            "the metrics of clients (CLIENT_METRICS) are not gathered here".to_owned()
        }
        other => format!("there is no configuration of resources of type {other}"),
    };
    Refusal::new(ErrorCode::INVALID_REQUEST, reason)
}

/// A resource whose settings can be changed.
#[derive(Debug)]
pub(crate) enum Configurable<'a> {
    /// A topic of this name, which may not exist.
    Topic(&'a ByteString),
    /// A group of this name, which need not exist.
    Group(&'a ByteString),
    /// This broker, or all.
    Broker(Scope),
}

impl<'a> Configurable<'a> {
    /// What a request names.
    ///
    /// # Errors
    ///
    /// What has no settings that could be changed, and other brokers than this.
    pub(crate) fn named(
        call: &Call,
        resource_type: i8,
        name: &'a ByteString,
    ) -> Result<Self, Refusal> {
        call.admit_or_say(about(resource_type, name))?;
        match resource_type {
            TOPIC => Ok(Self::Topic(name)),
            GROUP => check_group_name(name).map(|()| Self::Group(name)),
            BROKER => scope_of(call, name).map(Self::Broker),
            other => Err(not_configurable(other)),
        }
    }

    /// What can be set.
    pub(crate) fn properties(&self) -> &'static [Property] {
        match self {
            Self::Topic(_) => TOPIC_PROPERTIES,
            Self::Group(_) => GROUP_PROPERTIES,
            Self::Broker(_) => BROKER_PROPERTIES,
        }
    }

    /// Tells whether a property may be set so.
    pub(crate) fn check(
        &self,
        broker: &EffectiveConfig,
        name: &str,
        value: &str,
    ) -> Result<&'static Property, Refusal> {
        let refused = |code| move |error: ConfigError| Refusal::new(code, error.to_string());
        match self {
            Self::Topic(_) | Self::Group(_) => check_override(self.properties(), name, value)
                .map_err(refused(ErrorCode::INVALID_CONFIG)),
            Self::Broker(scope) => broker
                .check_at_run_time(*scope, name, value)
                .map_err(refused(ErrorCode::INVALID_REQUEST)),
        }
    }

    /// Changes the settings, or only tells whether it could.
    pub(crate) fn alter(
        &self,
        call: &Call,
        validate_only: bool,
        change: impl FnOnce(&mut Overrides) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let catalog = call.node.catalog();
        match self {
            Self::Topic(name) => {
                if validate_only {
                    let table = call.node.topics().table();
                    let topic = table.by_name(name).ok_or_else(|| unknown_topic(name))?;
                    return change(&mut topic.overrides.clone());
                }
                catalog.configure_topic(call.now, name, change)
            }
            Self::Group(name) => {
                catalog.configure_group(call.now, &detached(name), validate_only, change)
            }
            Self::Broker(scope) => {
                catalog.configure_broker(call.now, *scope, validate_only, change)
            }
        }
    }
}

/// What a row for this resource is about.
pub(crate) fn about(resource_type: i8, name: &str) -> About<'_> {
    match resource_type {
        TOPIC => About::topic(name),
        GROUP => About::WHOLE.in_group(name),
        _ => About::WHOLE,
    }
}

/// The number of a layer in answers, in which that of the resource's own settings is `own`.
pub(crate) fn source_code(source: Source, own: i8) -> i8 {
    match source {
        Source::Own => own,
        Source::ThisBroker => 2,
        Source::AllBrokers => 3,
        Source::Start => 4,
        Source::Default => DEFAULT_SOURCE,
    }
}

/// The number of what is set for a topic.
pub(crate) const TOPIC_SOURCE: i8 = 1;

/// The number of what is set nowhere.
pub(crate) const DEFAULT_SOURCE: i8 = 5;

/// The number of what is set for a group.
pub(crate) const GROUP_SOURCE: i8 = 8;

/// The resources that a request names more than once, of which none is changed.
pub(crate) fn named_twice<'a>(
    named: impl Iterator<Item = (i8, &'a ByteString)>,
) -> BTreeSet<(i8, ByteString)> {
    let mut seen = BTreeSet::new();
    named
        .filter(|one| !seen.insert(*one))
        .map(|(resource_type, name)| (resource_type, name.clone()))
        .collect()
}

/// Why a resource that is named more than once is not changed.
pub(crate) fn refused_as_twice() -> Refusal {
    Refusal::new(
        ErrorCode::INVALID_REQUEST,
        "each resource must appear at most once",
    )
}

/// Refuses a name that no group can have.
pub(crate) fn check_group_name(name: &str) -> Result<(), Refusal> {
    let refused = |reason: &str| Err(Refusal::new(ErrorCode::INVALID_REQUEST, reason));
    match name.len() {
        0 => refused("there are no settings for all groups"),
        len if i16::try_from(len).is_err() => refused("the group id is too long to be saved"),
        _ => Ok(()),
    }
}

/// Refuses a topic that does not exist.
pub(crate) fn unknown_topic(name: &str) -> Refusal {
    Refusal::new(
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        format!("topic {name} does not exist"),
    )
}

/// Whom the settings of the broker of this name are for; other brokers than this are refused.
pub(crate) fn scope_of(call: &Call, name: &str) -> Result<Scope, Refusal> {
    if name.is_empty() {
        return Ok(Scope::AllBrokers);
    }
    let node_id = call.node.config.node_id;
    if name.parse() == Ok(node_id) {
        return Ok(Scope::ThisBroker);
    }
    Err(Refusal::new(
        ErrorCode::INVALID_REQUEST,
        format!("this is broker {node_id}, not {name}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_configuration_is_named() {
        for (resource_type, name) in [
            (BROKER_LOGGER, "BROKER_LOGGER"),
            (CLIENT_METRICS, "CLIENT_METRICS"),
            (77, "of type 77"),
        ] {
            let refusal = not_configurable(resource_type);
            assert!(refusal.to_string().contains(name), "{refusal}");
        }
    }

    #[test]
    fn a_resource_is_its_type_and_its_name() {
        let [one, other] = ["a", "b"].map(ByteString::from);
        let named = [
            (TOPIC, &one),
            (GROUP, &one),
            (TOPIC, &other),
            (TOPIC, &one),
            (TOPIC, &one),
        ];
        let twice = named_twice(named.into_iter());
        assert_eq!(twice, BTreeSet::from([(TOPIC, one)]));
    }
}
