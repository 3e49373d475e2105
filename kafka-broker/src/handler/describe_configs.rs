//! DescribeConfigs, versions 1 to 4: what holds for a topic, a consumer group or this broker, and why.
//!
//! Not here: loggers and client metrics, which have nothing to configure.

use std::collections::BTreeSet;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use crate::config::broker_properties::{BROKER_PROPERTIES, UpdateMode, update_mode};
use crate::config::effective::{EffectiveConfig, Scope, Setting, Source};
use crate::config::group_properties::GROUP_PROPERTIES;
use crate::config::overrides::Overrides;
use crate::config::property::Property;
use crate::config::topic_properties::TOPIC_PROPERTIES;
use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::config_resource::{
    BROKER, DEFAULT_SOURCE, GROUP, GROUP_SOURCE, TOPIC, TOPIC_SOURCE, about, check_group_name,
    not_configurable, scope_of, source_code, unknown_topic,
};
use crate::state::refusal::Refusal;
use crate::state::topic_name::check_topic_name;

/// DescribeConfigs.
#[derive(Debug)]
pub(crate) struct DescribeConfigs;

impl Handler for DescribeConfigs {
    type Request = DescribeConfigsRequest;

    fn handle(call: &Call, request: DescribeConfigsRequest) -> Outcome<DescribeConfigsResponse> {
        let mut response = DescribeConfigsResponse::default();
        let mut room = ANSWER_MAX;
        let mut seen = BTreeSet::new();
        for resource in request.resources {
            // Who asks for all may ask once; who names keys gets no more than was named.
            let keys = resource.configuration_keys.as_deref();
            let is_all = keys.is_none_or(<[_]>::is_empty);
            if is_all && !seen.insert((resource.resource_type, resource.resource_name.clone())) {
                continue;
            }
            let mut row = DescribeConfigsResult::default();
            row.resource_type = resource.resource_type;
            let about = about(resource.resource_type, &resource.resource_name);
            let admitted = call.admit_or_say(about);
            let described = match room {
                0 => Err(full()),
                _ => admitted.and_then(|()| describe(call, &resource)),
            };
            let fitting = described.and_then(|mut configs| {
                for config in &mut configs {
                    if !request.include_synonyms {
                        config.synonyms = Vec::new();
                    }
                    if !request.include_documentation {
                        config.documentation = None;
                    }
                }
                let len = configs.iter().map(size_of_row).sum();
                let fits = len <= room;
                room = room.saturating_sub(len);
                fits.then_some(configs).ok_or_else(full)
            });
            match fitting {
                Ok(configs) => row.configs = configs,
                Err(refusal) => {
                    row.error_code = refusal.code().code();
                    row.error_message = Some(refusal.to_string().into());
                }
            }
            row.resource_name = resource.resource_name;
            response.results.push(row);
        }
        Outcome::Ready(response)
    }
}

fn describe(
    call: &Call,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let keys = resource.configuration_keys.iter().flatten();
    let keys: BTreeSet<&str> = keys.map(AsRef::as_ref).collect();
    let wanted = |property: &&Property| keys.is_empty() || keys.contains(property.name);
    let broker = call.node.catalog().live.get();
    match resource.resource_type {
        TOPIC => {
            check_topic_name(&resource.resource_name).map_err(|error| {
                Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string())
            })?;
            let table = call.node.topics().table();
            let topic = table.by_name(&resource.resource_name);
            let topic = topic.ok_or_else(|| unknown_topic(&resource.resource_name))?;
            let properties = TOPIC_PROPERTIES.iter().filter(wanted);
            Ok(properties
                .map(|one| own_row(&broker, &topic.overrides, one, TOPIC_SOURCE))
                .collect())
        }
        GROUP => {
            check_group_name(&resource.resource_name)?;
            let configs = &call.node.catalog().group_configs;
            let overrides = configs.overrides(&resource.resource_name);
            let properties = GROUP_PROPERTIES.iter().filter(wanted);
            Ok(properties
                .map(|one| own_row(&broker, &overrides, one, GROUP_SOURCE))
                .collect())
        }
        BROKER => {
            let scope = scope_of(call, &resource.resource_name)?;
            let properties = BROKER_PROPERTIES.iter().filter(wanted);
            Ok(properties
                .filter_map(|one| broker_row(&broker, scope, one))
                .collect())
        }
        other => Err(not_configurable(other)),
    }
}

/// What a row takes in memory and in the answer, roughly.
fn size_of_row(row: &DescribeConfigsResourceResult) -> usize {
    let len = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len() + ALLOCATED);
    let synonyms = row.synonyms.iter();
    let of_synonym = |one: &DescribeConfigsSynonym| {
        size_of::<DescribeConfigsSynonym>() + one.name.len() + len(&one.value)
    };
    size_of::<DescribeConfigsResourceResult>()
        + row.name.len()
        + len(&row.value)
        + len(&row.documentation)
        + synonyms.map(of_synonym).sum::<usize>()
}

fn full() -> Refusal {
    let message = format!("the answer has {ANSWER_MAX} bytes already: ask for fewer at once");
    Refusal::new(ErrorCode::INVALID_REQUEST, message)
}

/// A row of what a topic or a group can have set for itself, which is `own` as a source.
fn own_row(
    broker: &EffectiveConfig,
    overrides: &Overrides,
    property: &'static Property,
    own: i8,
) -> DescribeConfigsResourceResult {
    let settings = broker.settings_of(overrides, property);
    let settings = settings.take_while(|setting| setting.source == Source::Own);
    let of_broker = property.broker_name.into_iter();
    let settings = settings.chain(of_broker.flat_map(|name| told(broker, name)));
    let value = broker.value_of(overrides, property);
    row(property, Some(value.into()), settings, own)
}

/// A row of what holds for a broker; of what is set for all brokers if something is.
fn broker_row(
    broker: &EffectiveConfig,
    scope: Scope,
    property: &'static Property,
) -> Option<DescribeConfigsResourceResult> {
    let settings = told(broker, property.name);
    let settings: Vec<_> = match scope {
        Scope::ThisBroker => settings.collect(),
        Scope::AllBrokers => settings
            .filter(|setting| setting.source == Source::AllBrokers)
            .collect(),
    };
    let value = settings.first().map(Setting::text);
    if scope == Scope::AllBrokers && value.is_none() {
        return None;
    }
    let value = value.map(Into::into);
    let mut row = row(property, value, settings.into_iter(), DEFAULT_SOURCE);
    row.read_only = update_mode(property.name) == UpdateMode::ReadOnly;
    Some(row)
}

/// What clients are told of a property of the broker: as in Kafka nothing if other names of it alone are set.
fn told<'a>(broker: &'a EffectiveConfig, name: &'static str) -> impl Iterator<Item = Setting<'a>> {
    let settings = broker.settings(name);
    settings.skip_while(move |setting| setting.name != name)
}

/// A row with all that the layers say, of which the first holds.
fn row<'a>(
    property: &Property,
    value: Option<ByteString>,
    settings: impl Iterator<Item = Setting<'a>>,
    own: i8,
) -> DescribeConfigsResourceResult {
    let mut row = DescribeConfigsResourceResult::default();
    row.name = ByteString::from_static(property.name);
    row.value = value;
    row.synonyms = settings.map(|setting| synonym(setting, own)).collect();
    row.config_source = row
        .synonyms
        .first()
        .map_or(DEFAULT_SOURCE, |first| first.source);
    row.config_type = property.kind.code();
    row.documentation = Some(ByteString::from_static(property.doc));
    row
}

fn synonym(setting: Setting<'_>, own: i8) -> DescribeConfigsSynonym {
    let mut row = DescribeConfigsSynonym::default();
    row.name = ByteString::from_static(setting.name);
    row.value = Some(setting.value.into());
    row.source = source_code(setting.source, own);
    row
}

/// What the rows of an answer may take: a group has all of its settings even if nobody ever saw it, so that a name of a
/// byte is answered with a thousand. Enough for the settings of ten thousand topics.
const ANSWER_MAX: usize = 128 << 20;

/// What a text that was made for a row takes beside its bytes.
const ALLOCATED: usize = 48;
