//! What holds for a broker, in layers: what was set for it while it runs, what was set for all brokers while
//! they run, what it was started with, and the defaults. A topic or a group has a layer of its own over these.
//!
//! Here alone is decided which layer goes before which.

use std::sync::Arc;
use std::time::Duration;

use crate::config::broker::BrokerConfig;
use crate::config::broker_properties::{
    BROKER_PROPERTIES, UpdateMode, broker_property, update_mode,
};
use crate::config::error::ConfigError;
use crate::config::overrides::{Overrides, known};
use crate::config::property::{Property, ValueError};

/// The configuration of a broker at one moment.
///
/// Its fields are the properties that the broker itself reads and that may change while it runs; those that
/// may not are fields of `start`.
#[derive(Clone, Debug)]
pub(crate) struct EffectiveConfig {
    /// What the broker was started with.
    pub(crate) start: Arc<BrokerConfig>,
    own: Overrides,
    shared: Overrides,
    /// `log.cleaner.backoff.ms`.
    pub(crate) cleaner_backoff: Duration,
    /// `log.cleaner.dedupe.buffer.size`.
    pub(crate) cleaner_keys_max: usize,
    /// `max.connections`.
    pub(crate) connections_max: usize,
    /// `max.connections.per.ip`.
    pub(crate) connections_per_ip_max: usize,
    /// `producer.id.expiration.ms`.
    pub(crate) producer_expiration: Duration,
}

/// Whom a setting that is made at run time is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This broker alone.
    ThisBroker,
    /// Every broker for which nothing else is set.
    AllBrokers,
}

/// The layer that a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Set on the topic or the group.
    Own,
    /// Set at run time for this broker.
    ThisBroker,
    /// Set at run time for all brokers.
    AllBrokers,
    /// Set on the broker at its start.
    Start,
    /// Set nowhere.
    Default,
}

/// What one layer says of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting<'a> {
    /// The name that the property goes by in this layer.
    pub(crate) name: &'static str,
    /// As it was set.
    pub(crate) value: &'a str,
    /// The layer.
    pub(crate) source: Source,
    /// How many milliseconds its unit has, if the property is a time with several names.
    unit_ms: i64,
}

impl Setting<'_> {
    /// The value in the unit of the property's first name.
    pub(crate) fn text(&self) -> String {
        let text = self.value.trim();
        match text.parse::<i64>() {
            Ok(count) if self.unit_ms > 1 && count > 0 => {
                count.saturating_mul(self.unit_ms).to_string()
            }
            _ => text.to_owned(),
        }
    }
}

impl EffectiveConfig {
    /// What holds with these settings made at run time, which were checked.
    pub(crate) fn new(start: Arc<BrokerConfig>, own: Overrides, shared: Overrides) -> Self {
        let mut config = Self {
            start,
            own,
            shared,
            cleaner_backoff: Duration::ZERO,
            cleaner_keys_max: 0,
            connections_max: 0,
            connections_per_ip_max: 0,
            producer_expiration: Duration::ZERO,
        };
        config.cleaner_backoff = config.millis("log.cleaner.backoff.ms");
        config.cleaner_keys_max = config.count("log.cleaner.dedupe.buffer.size");
        config.connections_max = config.count("max.connections");
        config.connections_per_ip_max = config.count("max.connections.per.ip");
        config.producer_expiration = config.millis("producer.id.expiration.ms");
        config
    }

    /// What holds when nothing was set at run time.
    pub(crate) fn at_start(start: Arc<BrokerConfig>) -> Self {
        Self::new(start, Overrides::new(), Overrides::new())
    }

    /// What holds once these settings are those of the scope.
    ///
    /// # Errors
    ///
    /// Settings that are each allowed, but not together with the others.
    pub(crate) fn with(&self, scope: Scope, overrides: Overrides) -> Result<Self, ConfigError> {
        let start = Arc::clone(&self.start);
        let config = match scope {
            Scope::ThisBroker => Self::new(start, overrides, self.shared.clone()),
            Scope::AllBrokers => Self::new(start, self.own.clone(), overrides),
        };
        let (least, most) = config.start.consumer_group_assignment_interval_bounds;
        let interval = config.long(ASSIGNMENT_INTERVAL);
        if config.is_set_at_run_time(ASSIGNMENT_INTERVAL) && !(least..=most).contains(&interval) {
            let must = format!(
                "from {least} to {most}, which group.consumer.min.assignment.interval.ms and \
                 group.consumer.max.assignment.interval.ms are"
            );
            let error = ValueError::new(ASSIGNMENT_INTERVAL, interval, must);
            return Err(ConfigError::Value(error));
        }
        Ok(config)
    }

    /// What was set at run time.
    pub(crate) fn set_at_run_time(&self, scope: Scope) -> &Overrides {
        match scope {
            Scope::ThisBroker => &self.own,
            Scope::AllBrokers => &self.shared,
        }
    }

    /// Tells whether a property may be set so at run time.
    ///
    /// # Errors
    ///
    /// A name that is not in the table, a property that is fixed at the start or must be set for each broker by
    /// itself, or a value that does not fit.
    pub(crate) fn check_at_run_time(
        &self,
        scope: Scope,
        name: &str,
        value: &str,
    ) -> Result<&'static Property, ConfigError> {
        let property = known(BROKER_PROPERTIES, name)?;
        let name = property.name;
        match (update_mode(name), scope) {
            (UpdateMode::ReadOnly, _) => return Err(ConfigError::ReadOnly { name }),
            (UpdateMode::PerBroker, Scope::AllBrokers) => {
                return Err(ConfigError::PerBroker { name });
            }
            // As without Kafka's ZooKeeper: the name may be said again, and no more.
            (UpdateMode::PerBroker, Scope::ThisBroker)
                if self.start.given(name) != Some(value.trim()) =>
            {
                return Err(ConfigError::ReadOnly { name });
            }
            (UpdateMode::PerBroker | UpdateMode::ClusterWide, _) => {}
        }
        property.check(value).map_err(ConfigError::Value)?;
        Ok(property)
    }

    /// What all layers say of a property of the broker, under all names that it goes by; the first holds.
    pub(crate) fn settings(&self, name: &'static str) -> impl Iterator<Item = Setting<'_>> {
        let names = names(name);
        [
            Source::ThisBroker,
            Source::AllBrokers,
            Source::Start,
            Source::Default,
        ]
        .into_iter()
        .flat_map(move |source| {
            names.clone().filter_map(move |(name, unit_ms)| {
                let value = match source {
                    Source::Own => None,
                    Source::ThisBroker => self.own.get(name).map(String::as_str),
                    Source::AllBrokers => self.shared.get(name).map(String::as_str),
                    Source::Start => self.start.given(name),
                    Source::Default => broker_property(name)?.default,
                }?;
                Some(Setting {
                    name,
                    value,
                    source,
                    unit_ms,
                })
            })
        })
    }

    /// What all layers say of a property of a topic or a group with these settings of its own; the first holds.
    pub(crate) fn settings_of<'a>(
        &'a self,
        overrides: &'a Overrides,
        property: &'static Property,
    ) -> impl Iterator<Item = Setting<'a>> {
        let own = overrides.get(property.name).map(|value| Setting {
            name: property.name,
            value,
            source: Source::Own,
            unit_ms: 1,
        });
        let of_broker = property.broker_name.into_iter();
        own.into_iter()
            .chain(of_broker.flat_map(|name| self.settings(name)))
    }

    /// The value that holds for a property of a topic or a group.
    pub(crate) fn value_of(&self, overrides: &Overrides, property: &'static Property) -> String {
        let first = self.settings_of(overrides, property).next();
        let default = || property.default.unwrap_or_default().to_owned();
        first.map_or_else(default, |setting| setting.text())
    }

    fn is_set_at_run_time(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.shared.contains_key(name)
    }

    fn long(&self, name: &'static str) -> i64 {
        let text = self.settings(name).next().map(|setting| setting.text());
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    fn count(&self, name: &'static str) -> usize {
        usize::try_from(self.long(name)).unwrap_or_default()
    }

    fn millis(&self, name: &'static str) -> Duration {
        Duration::from_millis(u64::try_from(self.long(name)).unwrap_or_default())
    }
}

/// The names that a property goes by, the first before the others, each with the milliseconds of its unit.
fn names(name: &'static str) -> impl Iterator<Item = (&'static str, i64)> + Clone {
    let others: &[(&str, i64)] = match name {
        "log.retention.ms" => &[
            ("log.retention.minutes", MINUTE_MS),
            ("log.retention.hours", HOUR_MS),
        ],
        "log.roll.ms" => &[("log.roll.hours", HOUR_MS)],
        "log.roll.jitter.ms" => &[("log.roll.jitter.hours", HOUR_MS)],
        _ => &[],
    };
    std::iter::once((name, 1)).chain(others.iter().copied())
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

const ASSIGNMENT_INTERVAL: &str = "group.consumer.assignment.interval.ms";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::topic_properties::topic_property;

    fn overrides(set: &[(&str, &str)]) -> Overrides {
        let set = set.iter();
        set.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn config(start: &[(&str, &str)]) -> EffectiveConfig {
        let start = BrokerConfig::new(start.iter().copied()).unwrap();
        EffectiveConfig::at_start(Arc::new(start))
    }

    #[test]
    fn each_layer_goes_before_those_below_it() {
        let property = topic_property("max.message.bytes").unwrap();
        let told = |config: &EffectiveConfig, own: &Overrides| {
            let settings = config.settings_of(own, property);
            let told: Vec<_> = settings
                .map(|setting| (setting.name, setting.value.to_owned(), setting.source))
                .collect();
            assert_eq!(config.value_of(own, property), told[0].1);
            told
        };
        const NAME: &str = "message.max.bytes";
        let layer = |value: &str, source| (NAME, value.to_owned(), source);
        let none = Overrides::new();
        let mut config = config(&[(NAME, "4")]);
        let mut expected = vec![layer("4", Source::Start), layer("1048588", Source::Default)];
        assert_eq!(told(&config, &none), expected);
        for (scope, value, source) in [
            (Scope::AllBrokers, "3", Source::AllBrokers),
            (Scope::ThisBroker, "2", Source::ThisBroker),
        ] {
            config = config.with(scope, overrides(&[(NAME, value)])).unwrap();
            expected.insert(0, layer(value, source));
            assert_eq!(told(&config, &none), expected);
        }
        let own = overrides(&[("max.message.bytes", "1")]);
        expected.insert(0, ("max.message.bytes", "1".to_owned(), Source::Own));
        assert_eq!(told(&config, &own), expected);
        let config = config.with(Scope::ThisBroker, none).unwrap();
        assert_eq!(told(&config, &own)[1], layer("3", Source::AllBrokers));
    }

    #[test]
    fn a_layer_goes_before_the_next_whatever_unit_it_speaks_in() {
        let property = topic_property("retention.ms").unwrap();
        let retention = |config: &EffectiveConfig| config.value_of(&Overrides::new(), property);
        assert_eq!(retention(&config(&[])), "604800000");
        assert_eq!(retention(&config(&[("log.retention.hours", "-1")])), "-1");
        let config = config(&[("log.retention.hours", "1"), ("log.retention.minutes", "2")]);
        assert_eq!(retention(&config), "120000");
        let set = overrides(&[("log.retention.ms", " 5 ")]);
        let config = config.with(Scope::AllBrokers, set).unwrap();
        assert_eq!(retention(&config), "5");
        let first = config.settings("log.retention.ms").next().unwrap();
        assert_eq!((first.value, first.source), (" 5 ", Source::AllBrokers));
    }

    #[test]
    fn fields_follow_what_is_set_at_run_time() {
        let set = overrides(&[
            ("max.connections", "7"),
            ("producer.id.expiration.ms", "60000"),
        ]);
        let config = config(&[("max.connections", "9")]);
        assert_eq!(config.connections_max, 9);
        let config = config.with(Scope::AllBrokers, set).unwrap();
        assert_eq!(config.connections_max, 7);
        assert_eq!(config.producer_expiration, Duration::from_secs(60));
        assert_eq!(config.cleaner_backoff, Duration::from_secs(15));
    }

    #[test]
    fn what_is_fixed_at_the_start_or_does_not_fit_is_refused() {
        let config = config(&[("listeners", "PLAINTEXT://:1")]);
        let check = |scope, name, value| config.check_at_run_time(scope, name, value).is_ok();
        for scope in [Scope::ThisBroker, Scope::AllBrokers] {
            assert!(check(scope, "message.max.bytes", "5"));
            assert!(!check(scope, "message.max.bytes", "many"));
            assert!(!check(scope, "message.max.bytes", "-1"));
            assert!(!check(scope, "num.partitions", "5"));
            assert!(!check(scope, "nobody.knows", "5"));
            // Nobody could take it back.
            assert!(!check(scope, "max.connections", "0"));
            assert!(!check(scope, "listeners", "PLAINTEXT://:2"));
        }
        assert!(check(Scope::ThisBroker, "listeners", "PLAINTEXT://:1"));
        assert!(check(Scope::ThisBroker, "listeners", " PLAINTEXT://:1 "));
        assert!(!check(Scope::AllBrokers, "listeners", "PLAINTEXT://:1"));
    }

    #[test]
    fn the_interval_of_assignments_stays_between_what_groups_may_set() {
        let config = config(&[("group.consumer.min.assignment.interval.ms", "100")]);
        for (interval, fits) in [
            ("99", false),
            ("100", true),
            ("15000", true),
            ("15001", false),
        ] {
            let set = overrides(&[(ASSIGNMENT_INTERVAL, interval)]);
            assert_eq!(
                config.with(Scope::ThisBroker, set).is_ok(),
                fits,
                "{interval}"
            );
        }
    }
}
