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

use crate::config::broker::BrokerConfig;
use crate::config::broker_properties::BROKER_PROPERTIES;
use crate::config::group_properties::GROUP_PROPERTIES;
use crate::config::overrides::{Overrides, Source, value_and_source};
use crate::config::property::Property;
use crate::config::topic_properties::TOPIC_PROPERTIES;
use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::config_resource::{
    BROKER, GROUP, TOPIC, about, check_broker_name, check_group_name,
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
        let mut seen = BTreeSet::new();
        for resource in request.resources {
            // Who asks for all may ask once; who names keys gets no more than was named.
            let is_all = resource.configuration_keys.is_none();
            if is_all && !seen.insert((resource.resource_type, resource.resource_name.clone())) {
                continue;
            }
            let mut row = DescribeConfigsResult::default();
            row.resource_type = resource.resource_type;
            let about = about(resource.resource_type, &resource.resource_name);
            let admitted = call.admit_or_say(about);
            match admitted.and_then(|()| describe(call, &resource)) {
                Ok(mut configs) => {
                    for config in &mut configs {
                        if !request.include_synonyms {
                            config.synonyms.clear();
                        }
                        if !request.include_documentation {
                            config.documentation = None;
                        }
                    }
                    row.configs = configs;
                }
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
    let keys = resource.configuration_keys.as_deref();
    let wanted =
        |property: &&Property| keys.is_none_or(|keys| keys.iter().any(|key| *key == property.name));
    let config = &call.node.config;
    match resource.resource_type {
        TOPIC => {
            check_topic_name(&resource.resource_name).map_err(|error| {
                Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string())
            })?;
            let table = call.node.topics().table();
            let topic = table.by_name(&resource.resource_name).ok_or_else(|| {
                Refusal::new(
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    format!("topic {} does not exist", resource.resource_name),
                )
            })?;
            let properties = TOPIC_PROPERTIES.iter().filter(wanted);
            Ok(properties
                .map(|one| own_row(config, &topic.overrides, one, SET_ON_TOPIC))
                .collect())
        }
        GROUP => {
            check_group_name(&resource.resource_name)?;
            let configs = &call.node.catalog().group_configs;
            let overrides = configs.overrides(&resource.resource_name);
            let properties = GROUP_PROPERTIES.iter().filter(wanted);
            Ok(properties
                .map(|one| own_row(config, &overrides, one, SET_ON_GROUP))
                .collect())
        }
        BROKER => {
            // The empty name stands for what was set for all brokers at run time: nothing.
            if resource.resource_name.is_empty() {
                return Ok(Vec::new());
            }
            check_broker_name(call, &resource.resource_name)?;
            Ok(BROKER_PROPERTIES
                .iter()
                .filter(wanted)
                .map(|one| broker_row(config, one))
                .collect())
        }
        other => Err(Refusal::new(
            ErrorCode::INVALID_REQUEST,
            format!("resources of type {other} have no configuration here"),
        )),
    }
}

/// A row of what a topic or a group can have set for itself, which is `own` as a source.
fn own_row(
    broker: &BrokerConfig,
    overrides: &Overrides,
    property: &Property,
    own: i8,
) -> DescribeConfigsResourceResult {
    let (value, source) = value_and_source(broker, overrides, property);
    let source = match source {
        Source::Own => own,
        Source::Broker => SET_ON_BROKER,
        Source::Default => DEFAULT,
    };
    let mut row = row(property, Some(value.into()), source);
    if let Some(value) = overrides.get(property.name) {
        row.synonyms
            .push(synonym(property.name, Some(value.as_str().into()), own));
    }
    if let Some((name, value)) = property
        .broker_name
        .and_then(|name| Some((name, broker.given(name)?)))
    {
        row.synonyms
            .push(synonym(name, Some(value.into()), SET_ON_BROKER));
    }
    let name = property.broker_name.unwrap_or(property.name);
    row.synonyms
        .push(synonym(name, property.default.map(Into::into), DEFAULT));
    row
}

fn broker_row(broker: &BrokerConfig, property: &Property) -> DescribeConfigsResourceResult {
    let given = broker.given(property.name);
    let source = if given.is_some() {
        SET_ON_BROKER
    } else {
        DEFAULT
    };
    let mut row = row(
        property,
        broker.value(property.name).map(Into::into),
        source,
    );
    row.read_only = true;
    if let Some(value) = given {
        row.synonyms
            .push(synonym(property.name, Some(value.into()), SET_ON_BROKER));
    }
    if let Some(value) = property.default {
        row.synonyms
            .push(synonym(property.name, Some(value.into()), DEFAULT));
    }
    row
}

fn row(
    property: &Property,
    value: Option<ByteString>,
    source: i8,
) -> DescribeConfigsResourceResult {
    let mut row = DescribeConfigsResourceResult::default();
    row.name = property.name.into();
    row.value = value;
    row.config_source = source;
    row.config_type = property.kind.code();
    row.documentation = Some(property.doc.into());
    row
}

fn synonym(name: &str, value: Option<ByteString>, source: i8) -> DescribeConfigsSynonym {
    let mut row = DescribeConfigsSynonym::default();
    row.name = name.into();
    row.value = value;
    row.source = source;
    row
}

const SET_ON_TOPIC: i8 = 1;
const SET_ON_BROKER: i8 = 4;
const DEFAULT: i8 = 5;
const SET_ON_GROUP: i8 = 8;
