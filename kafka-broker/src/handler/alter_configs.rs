//! AlterConfigs, versions 0 to 2: all that is set for a topic, a group or a broker at once; what is not named
//! goes back to its default.

use std::collections::BTreeSet;

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::config_resource::{Configurable, named_twice, refused_as_twice};
use crate::state::refusal::Refusal;

/// AlterConfigs.
#[derive(Debug)]
pub(crate) struct AlterConfigs;

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: AlterConfigsRequest) -> Outcome<AlterConfigsResponse> {
        let named = request.resources.iter();
        let twice = named_twice(named.map(|one| (one.resource_type, &one.resource_name)));
        let mut response = AlterConfigsResponse::default();
        for resource in request.resources {
            let name = (resource.resource_type, resource.resource_name.clone());
            let done = match twice.contains(&name) {
                true => Err(refused_as_twice()),
                false => replace(call, &resource, request.validate_only),
            };
            let mut row = AlterConfigsResourceResponse::default();
            if let Err(refusal) = done {
                row.error_code = refusal.code().code();
                row.error_message = Some(refusal.to_string().into());
            }
            (row.resource_type, row.resource_name) = name;
            response.responses.push(row);
        }
        Outcome::Ready(response)
    }
}

fn replace(
    call: &Call,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refusal> {
    let configs = &resource.configs;
    check_unique(configs.iter().map(|config| &*config.name))?;
    let configurable = Configurable::named(call, resource.resource_type, &resource.resource_name)?;
    let broker = call.node.catalog().live.get();
    configurable.alter(call, validate_only, |overrides| {
        overrides.clear();
        for config in configs {
            let value = given(&config.name, config.value.as_deref())?;
            let property = configurable.check(&broker, &config.name, value)?;
            overrides.insert(property.name.to_owned(), value.to_owned());
        }
        Ok(())
    })
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
