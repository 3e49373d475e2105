//! Which messages only the nodes of a cluster need: a build for a client is without them.

use crate::model::Message;
use crate::receivers::{Receiver, receiver};
use crate::schema::Kind;

/// The line that stands before whatever names such a message.
pub(crate) const CONDITION: &str = "#[cfg(feature = \"cluster\")]";

/// Marks the messages that no producer, consumer or admin client sends or receives: what only a controller
/// or the coordinator of share groups' state serves, and the records of the metadata log and of the
/// coordinators' topics, which only tools read beside the nodes.
///
/// # Errors
///
/// If it is not known who receives a request.
pub(crate) fn mark(messages: &mut [Message]) -> Result<(), String> {
    let mut keys = Vec::new();
    for message in messages.iter().filter(|one| one.kind == Kind::Request) {
        let receiver = receiver(message.name.trim_end_matches("Request"))?;
        let by_nodes =
            matches!(receiver, Receiver::ShareCoordinator) || message.listeners == ["controller"];
        if by_nodes {
            keys.push(message.api_key);
        }
    }
    for message in messages {
        message.between_nodes = match message.kind {
            Kind::Request | Kind::Response => keys.contains(&message.api_key),
            Kind::Metadata | Kind::CoordinatorKey | Kind::CoordinatorValue => true,
            Kind::Header | Kind::Data => false,
        };
    }
    Ok(())
}
