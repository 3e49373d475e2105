//! AlterConfigs, versions 0 to 2: all settings of a topic at once; what is not named goes back to its
//! default.
//!
//! Not here: settings of the broker, which are fixed at its start.

use std::collections::BTreeSet;

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use crate::config::topic::{Overrides, check_override};
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::config_resource::{TOPIC, about};
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
            let done = alter_topic(
                call,
                resource.resource_type,
                name,
                request.validate_only,
                |overrides| {
                    overrides.clear();
                    check_unique(resource.configs.iter().map(|config| &*config.name))?;
                    for config in &resource.configs {
                        let value = given(&config.name, config.value.as_deref())?;
                        let property = check_override(&config.name, value).map_err(|error| {
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

/// Changes the settings of a topic, or only tells whether it could.
pub(crate) fn alter_topic(
    call: &Call,
    resource_type: i8,
    name: &str,
    validate_only: bool,
    change: impl FnOnce(&mut Overrides) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    call.admit_or_say(about(resource_type, name))?;
    if resource_type != TOPIC {
        return Err(Refusal::new(
            ErrorCode::INVALID_REQUEST,
            "only topics can be configured at run time",
        ));
    }
    if validate_only {
        let table = call.node.topics().table();
        let topic = table.by_name(name).ok_or_else(|| unknown_topic(name))?;
        return change(&mut topic.overrides.clone());
    }
    call.node.catalog().configure_topic(call.now, name, change)
}

fn unknown_topic(name: &str) -> Refusal {
    Refusal::new(
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        format!("topic {name} does not exist"),
    )
}
