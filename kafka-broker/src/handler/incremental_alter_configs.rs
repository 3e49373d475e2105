//! IncrementalAlterConfigs, versions 0 and 1: single settings of topics and groups are set, taken back, or
//! have words added to or taken from their lists.
//!
//! Not here: settings of the broker, which are fixed at its start.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use crate::config::overrides::{Overrides, check_override, known, value_and_source};
use crate::config::property::{Kind, Property, list};
use crate::handler::alter_configs::{alter, check_unique, given};
use crate::handler::call::{Call, Handler, Outcome, Work};
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
        let mut response = IncrementalAlterConfigsResponse::default();
        for resource in request.resources {
            let mut row = AlterConfigsResourceResponse::default();
            let name = &resource.resource_name;
            let done = alter(
                call,
                resource.resource_type,
                name,
                request.validate_only,
                |table, overrides| {
                    let changes = &resource.configs;
                    check_unique(changes.iter().map(|change| &*change.name))?;
                    changes
                        .iter()
                        .try_for_each(|change| apply(call, table, overrides, change))
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

fn apply(
    call: &Call,
    table: &'static [Property],
    overrides: &mut Overrides,
    change: &AlterableConfig,
) -> Result<(), Refusal> {
    let refused = |message: String| Refusal::new(ErrorCode::INVALID_CONFIG, message);
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
            let property = known(table, name).ok();
            let property = property.filter(|property| property.kind == Kind::List);
            let property =
                property.ok_or_else(|| refused(format!("configuration {name} is not a list")))?;
            let old = value_and_source(&call.node.config, overrides, property).0;
            combine(&old, value, operation == APPEND)
        }
        operation => {
            return Err(Refusal::new(
                ErrorCode::INVALID_REQUEST,
                format!("there is no operation {operation} on a configuration"),
            ));
        }
    };
    let property =
        check_override(table, name, &value).map_err(|error| refused(error.to_string()))?;
    overrides.insert(property.name.to_owned(), value);
    Ok(())
}

/// The words of `old` with those of `change` put behind them, or taken out.
fn combine(old: &str, change: &str, append: bool) -> String {
    let mut words: Vec<&str> = list(old).collect();
    for word in list(change) {
        words.retain(|known| *known != word);
        if append {
            words.push(word);
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
        assert_eq!(combine("compact", "compact", true), "compact");
    }
}
