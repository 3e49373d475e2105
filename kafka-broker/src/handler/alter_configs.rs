//! AlterConfigs, versions 0 to 2: all settings of a topic or a group at once; what is not named goes back
//! to its default.
//!
//! Not here: settings of the broker, which are fixed at its start.

use std::collections::BTreeSet;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use crate::config::group_properties::GROUP_PROPERTIES;
use crate::config::overrides::{Overrides, check_override};
use crate::config::property::Property;
use crate::config::topic_properties::TOPIC_PROPERTIES;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::config_resource::{GROUP, TOPIC, about, check_group_name};
use crate::handler::detached::detached;
use crate::state::refusal::Refusal;

/// AlterConfigs.
#[derive(Debug)]
pub(crate) struct AlterConfigs;

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: AlterConfigsRequest) -> Outcome<AlterConfigsResponse> {
        let mut response = AlterConfigsResponse::default();
        for resource in request.resources {
            let mut row = AlterConfigsResourceResponse::default();
            let name = &resource.resource_name;
            let done = alter(
                call,
                resource.resource_type,
                name,
                request.validate_only,
                |table, overrides| {
                    overrides.clear();
                    check_unique(resource.configs.iter().map(|config| &*config.name))?;
                    for config in &resource.configs {
                        let value = given(&config.name, config.value.as_deref())?;
                        let property =
                            check_override(table, &config.name, value).map_err(|error| {
                                Refusal::new(ErrorCode::INVALID_CONFIG, error.to_string())
                            })?;
                        overrides.insert(property.name.to_owned(), value.to_owned());
                    }
                    Ok(())
                },
            );
            if let Err(refusal) = done {
                row.error_code = refusal.code().code();
                row.error_message = Some(refusal.to_string().into());
            }
            row.resource_type = resource.resource_type;
            row.resource_name = resource.resource_name;
            response.responses.push(row);
        }
        Outcome::Ready(response)
    }
}

/// Refuses a request that names a setting twice.
pub(crate) fn check_unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let message = format!("configuration {name} is given twice");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
    }
    Ok(())
}

/// The value of a setting, which must not be null.
pub(crate) fn given<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, Refusal> {
    value.ok_or_else(|| {
        let message = format!("null value not supported for configuration {name}");
        Refusal::new(ErrorCode::INVALID_REQUEST, message)
    })
}

/// Changes the settings of a topic or a group, or only tells whether it could. The change is told what
/// there is to set.
pub(crate) fn alter(
    call: &Call,
    resource_type: i8,
    name: &ByteString,
    validate_only: bool,
    change: impl FnOnce(&'static [Property], &mut Overrides) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    call.admit_or_say(about(resource_type, name))?;
    let catalog = call.node.catalog();
    match resource_type {
        TOPIC => {
            let change = |overrides: &mut Overrides| change(TOPIC_PROPERTIES, overrides);
            if validate_only {
                let table = call.node.topics().table();
                let topic = table.by_name(name).ok_or_else(|| unknown_topic(name))?;
                return change(&mut topic.overrides.clone());
            }
            catalog.configure_topic(call.now, name, change)
        }
        GROUP => {
            check_group_name(name)?;
            let change = |overrides: &mut Overrides| change(GROUP_PROPERTIES, overrides);
            catalog.configure_group(call.now, &detached(name), validate_only, change)
        }
        _ => Err(Refusal::new(
            ErrorCode::INVALID_REQUEST,
            "only topics and groups can be configured at run time",
        )),
    }
}

fn unknown_topic(name: &str) -> Refusal {
    Refusal::new(
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        format!("topic {name} does not exist"),
    )
}
