//! The things that have a configuration, as requests name them.

use kafka_protocol::ErrorCode;

use crate::control::subjects::About;
use crate::handler::call::Call;
use crate::state::refusal::Refusal;

/// A topic, by name.
pub(crate) const TOPIC: i8 = 2;

/// A broker, by the number of its node.
pub(crate) const BROKER: i8 = 4;

/// A consumer group, by its id.
pub(crate) const GROUP: i8 = 32;

/// What a row for this resource is about.
pub(crate) fn about(resource_type: i8, name: &str) -> About<'_> {
    match resource_type {
        TOPIC => About::topic(name),
        GROUP => About::WHOLE.in_group(name),
        _ => About::WHOLE,
    }
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

/// Refuses the name of another broker than this.
pub(crate) fn check_broker_name(call: &Call, name: &str) -> Result<(), Refusal> {
    let node_id = call.node.config.node_id;
    if name.parse() == Ok(node_id) {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::INVALID_REQUEST,
        format!("this is broker {node_id}, not {name}"),
    ))
}
