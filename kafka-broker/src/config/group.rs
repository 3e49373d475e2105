//! The configuration of a consumer group: its own settings over those of the broker, which also sets the
//! bounds that the group's own are held to.

use std::time::Duration;

use crate::config::effective::EffectiveConfig;
use crate::config::error::ConfigError;
use crate::config::group_properties::{
    ASSIGNMENT_INTERVAL, GROUP_PROPERTIES, HEARTBEAT_INTERVAL, SESSION_TIMEOUT,
};
use crate::config::overrides::{Overrides, known};
use crate::config::property::ValueError;

/// What holds for a consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupConfig {
    /// `consumer.assignment.interval.ms`: the least time between two assignments.
    pub(crate) assignment_interval: Duration,
    /// `consumer.heartbeat.interval.ms`.
    pub(crate) heartbeat_interval: Duration,
    /// `consumer.session.timeout.ms`: silence longer than this ends a membership.
    pub(crate) session_timeout: Duration,
}

impl GroupConfig {
    /// Reads `overrides`, which were checked, over what `broker` says. They may have been checked by other
    /// bounds than today's, and are held to these.
    pub(crate) fn new(broker: &EffectiveConfig, overrides: &Overrides) -> Self {
        let millis = |name: &str| {
            let ms = value(broker, overrides, name);
            let ms = match overrides.contains_key(name) {
                true => clamp(ms, bounds(broker, name)),
                false => ms,
            };
            Duration::from_millis(u64::try_from(ms).unwrap_or_default())
        };
        Self {
            assignment_interval: millis(ASSIGNMENT_INTERVAL),
            heartbeat_interval: millis(HEARTBEAT_INTERVAL),
            session_timeout: millis(SESSION_TIMEOUT),
        }
    }

    /// Tells whether a group may be configured so, by settings that are each of their kind.
    ///
    /// # Errors
    ///
    /// A value beyond the bounds of the broker, or a session that ends before the next heartbeat.
    pub(crate) fn check(
        broker: &EffectiveConfig,
        overrides: &Overrides,
    ) -> Result<(), ConfigError> {
        for name in overrides.keys() {
            let name = known(GROUP_PROPERTIES, name)?.name;
            let (least, most) = bounds(broker, name);
            let ms = value(broker, overrides, name);
            if ms < least || ms > most {
                let must = format!("from {least} to {most}");
                return Err(ConfigError::Value(ValueError::new(name, ms, must)));
            }
        }
        let session = value(broker, overrides, SESSION_TIMEOUT);
        let is_own = |name| overrides.contains_key(name);
        if (is_own(SESSION_TIMEOUT) || is_own(HEARTBEAT_INTERVAL))
            && session <= value(broker, overrides, HEARTBEAT_INTERVAL)
        {
            let must = format!("greater than {HEARTBEAT_INTERVAL}");
            let error = ValueError::new(SESSION_TIMEOUT, session, must);
            return Err(ConfigError::Value(error));
        }
        Ok(())
    }
}

fn value(broker: &EffectiveConfig, overrides: &Overrides, name: &str) -> i64 {
    let text = known(GROUP_PROPERTIES, name)
        .map(|property| broker.value_of(overrides, property))
        .unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

/// The least and the most that a group may set.
fn bounds(broker: &EffectiveConfig, name: &str) -> (i64, i64) {
    match name {
        ASSIGNMENT_INTERVAL => broker.start.consumer_group_assignment_interval_bounds,
        HEARTBEAT_INTERVAL => broker.start.consumer_group_heartbeat_interval_bounds,
        SESSION_TIMEOUT => broker.start.consumer_group_session_timeout_bounds,
        _ => (i64::MIN, i64::MAX),
    }
}

/// Bounds that exclude each other are no reason to panic: the least goes before the most.
fn clamp(ms: i64, (least, most): (i64, i64)) -> i64 {
    ms.min(most).max(least)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::broker::BrokerConfig;
    use crate::config::broker_properties::broker_property;

    fn broker(set: &[(&str, &str)]) -> EffectiveConfig {
        let start = BrokerConfig::new(set.iter().copied()).unwrap();
        EffectiveConfig::at_start(Arc::new(start))
    }

    fn own(set: &[(&str, &str)]) -> Overrides {
        let set = set.iter();
        set.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn defaults_agree_with_those_of_the_broker() {
        assert!(GROUP_PROPERTIES.is_sorted_by_key(|property| property.name));
        for property in GROUP_PROPERTIES {
            let of_broker = broker_property(property.broker_name.unwrap()).unwrap();
            assert_eq!(of_broker.default, property.default, "{}", property.name);
        }
        let config = GroupConfig::new(&broker(&[]), &own(&[]));
        assert_eq!(config.session_timeout, Duration::from_secs(45));
        assert_eq!(config.heartbeat_interval, Duration::from_secs(5));
        assert_eq!(config.assignment_interval, Duration::ZERO);
    }

    #[test]
    fn the_group_goes_before_the_broker_within_the_bounds_of_the_broker() {
        let broker = broker(&[
            ("group.consumer.session.timeout.ms", "1000"),
            ("group.consumer.min.session.timeout.ms", "2000"),
            ("group.consumer.max.session.timeout.ms", "20000"),
        ]);
        let session = |own: &Overrides| GroupConfig::new(&broker, own).session_timeout.as_millis();
        // The bounds are for what groups ask for, not for the broker's own word.
        assert_eq!(session(&own(&[])), 1000);
        assert_eq!(session(&own(&[(SESSION_TIMEOUT, "7000")])), 7000);
        // Saved when other bounds held.
        assert_eq!(session(&own(&[(SESSION_TIMEOUT, "1")])), 2000);
        assert_eq!(session(&own(&[(SESSION_TIMEOUT, "90000")])), 20000);
    }

    #[test]
    fn settings_out_of_bounds_are_refused() {
        let broker = broker(&[]);
        let cases = [
            (&[(SESSION_TIMEOUT, "45000")][..], true),
            (&[(SESSION_TIMEOUT, "44999")], false),
            (&[(SESSION_TIMEOUT, "60001")], false),
            (&[(HEARTBEAT_INTERVAL, "15000")], true),
            (&[(HEARTBEAT_INTERVAL, "15001")], false),
            (&[(HEARTBEAT_INTERVAL, "4999")], false),
            (&[(ASSIGNMENT_INTERVAL, "0")], true),
            (&[(ASSIGNMENT_INTERVAL, "15001")], false),
            (&[], true),
        ];
        for (set, is_allowed) in cases {
            let checked = GroupConfig::check(&broker, &own(set));
            assert_eq!(checked.is_ok(), is_allowed, "{set:?}: {checked:?}");
        }
    }

    #[test]
    fn a_session_must_outlast_a_heartbeat() {
        let broker = broker(&[
            ("group.consumer.min.session.timeout.ms", "1"),
            ("group.consumer.min.heartbeat.interval.ms", "1"),
            ("group.consumer.heartbeat.interval.ms", "3000"),
        ]);
        let check = |set: &[(&str, &str)]| GroupConfig::check(&broker, &own(set));
        assert!(check(&[(SESSION_TIMEOUT, "3001")]).is_ok());
        assert!(check(&[(SESSION_TIMEOUT, "3000")]).is_err());
        assert!(check(&[(SESSION_TIMEOUT, "3000"), (HEARTBEAT_INTERVAL, "2999")]).is_ok());
    }
}
