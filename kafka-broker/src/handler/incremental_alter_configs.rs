//! IncrementalAlterConfigs, versions 0 and 1: single settings of topics, groups and brokers are set, taken back,
//! or have words added to or taken from their lists.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use crate::config::effective::EffectiveConfig;
use crate::config::overrides::{Overrides, known};
use crate::config::property::{Kind, list};
use crate::handler::alter_configs::{check_unique, given};
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::config_resource::{Configurable, named_twice, refused_as_twice};
use crate::state::refusal::Refusal;

/// IncrementalAlterConfigs.
#[derive(Debug)]
pub(crate) struct IncrementalAlterConfigs;

impl Handler for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const WORK: Work = Work::Slow;

    fn handle(
        call: &Call,
        request: IncrementalAlterConfigsRequest,
    ) -> Outcome<IncrementalAlterConfigsResponse> {
        let named = request.resources.iter();
        let twice = named_twice(named.map(|one| (one.resource_type, &one.resource_name)));
        let mut response = IncrementalAlterConfigsResponse::default();
        for resource in request.resources {
            let name = (resource.resource_type, resource.resource_name.clone());
            let done = match twice.contains(&name) {
                true => Err(refused_as_twice()),
                false => alter(call, &resource, request.validate_only),
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

fn alter(call: &Call, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let changes = &resource.configs;
    check_unique(changes.iter().map(|change| &*change.name))?;
    let configurable = Configurable::named(call, resource.resource_type, &resource.resource_name)?;
    let broker = call.node.catalog().live.get();
    configurable.alter(call, validate_only, |overrides| {
        changes
            .iter()
            .try_for_each(|change| apply(&configurable, &broker, overrides, change))
    })
}

fn apply(
    configurable: &Configurable<'_>,
    broker: &EffectiveConfig,
    overrides: &mut Overrides,
    change: &AlterableConfig,
) -> Result<(), Refusal> {
    let name: &str = &change.name;
    if change.config_operation == DELETE {
        // What nobody can set is not set, and so is taken back.
        overrides.remove(name);
        return Ok(());
    }
    let value = given(name, change.value.as_deref())?;
    let value = match change.config_operation {
        SET => value.to_owned(),
        operation @ (APPEND | SUBTRACT) => {
            let property = known(configurable.properties(), name).ok();
            let property = property.filter(|property| property.kind == Kind::List);
            let property = property.ok_or_else(|| {
                let message = format!("configuration {name} is not a list");
                Refusal::new(ErrorCode::INVALID_CONFIG, message)
            })?;
            // As in Kafka, without what the layers between say.
            let old = overrides.get(name).map(String::as_str).or(property.default);
            combine(old.unwrap_or_default(), value, operation == APPEND)
        }
        operation => {
            return Err(Refusal::new(
                ErrorCode::INVALID_REQUEST,
                format!("there is no operation {operation} on a configuration"),
            ));
        }
    };
    let property = configurable.check(broker, name, &value)?;
    overrides.insert(property.name.to_owned(), value);
    Ok(())
}

/// The words of `old` with those of `change` that are not among them put behind, or taken out.
fn combine(old: &str, change: &str, append: bool) -> String {
    let mut words: Vec<&str> = list(old).collect();
    for word in list(change) {
        match append {
            true if words.contains(&word) => {}
            true => words.push(word),
            false => words.retain(|known| *known != word),
        }
    }
    words.join(",")
}

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_and_shrink_by_words() {
        assert_eq!(combine("delete", "compact", true), "delete,compact");
        assert_eq!(combine("delete,compact", "delete", false), "compact");
        assert_eq!(combine("delete,compact", "delete", true), "delete,compact");
    }
}
