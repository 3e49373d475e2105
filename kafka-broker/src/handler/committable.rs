//! Whether an offset can be committed for a partition, in a transaction or not.

use std::sync::Arc;

use kafka_protocol::ErrorCode;

use crate::handler::call::Call;
use crate::state::topics::Topic;

/// The topic, if it has the partition and what is to stand beside the offset is not too long.
pub(crate) fn check_committable<'a>(
    call: &Call,
    topic: &'a Result<Arc<Topic>, ErrorCode>,
    partition: i32,
    metadata: &str,
) -> Result<&'a Topic, ErrorCode> {
    let topic = topic.as_ref().map_err(|error| *error)?;
    if topic.partition(partition).is_none() {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    if metadata.len() > call.node.config.offset_metadata_max {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    Ok(topic)
}
