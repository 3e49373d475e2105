//! How requests name a topic: by its name, or in newer versions by its id.

use std::sync::Arc;

use kafka_protocol::{ErrorCode, Uuid};

use crate::state::topics::{Topic, TopicTable};

/// The topic that a request means, or the error for each of its partitions.
pub(crate) fn find_topic(
    table: &TopicTable,
    by_id: bool,
    name: &str,
    id: Uuid,
) -> Result<Arc<Topic>, ErrorCode> {
    if by_id {
        table.by_id(id).cloned().ok_or(ErrorCode::UNKNOWN_TOPIC_ID)
    } else {
        table
            .by_name(name)
            .cloned()
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }
}
