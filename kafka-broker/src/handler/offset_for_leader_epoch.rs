//! OffsetForLeaderEpoch, versions 2 to 4: where the records of a leader ended.

use std::sync::Arc;

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::error_code::code_of;
use crate::handler::leader_epoch::check_leader_epoch;
use crate::log::EpochEnd;
use crate::state::partition::Partition;

/// OffsetForLeaderEpoch.
#[derive(Debug)]
pub(crate) struct OffsetForLeaderEpoch;

impl Handler for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;

    fn handle(
        call: &Call,
        request: OffsetForLeaderEpochRequest,
    ) -> Outcome<OffsetForLeaderEpochResponse> {
        let table = call.node.topics().table();
        let mut response = OffsetForLeaderEpochResponse::default();
        for topic in request.topics {
            let found = table.by_name(&topic.topic);
            let mut result = OffsetForLeaderTopicResult::default();
            for partition in topic.partitions {
                let mut row = EpochEndOffset::default();
                row.partition = partition.partition;
                let found = found.and_then(|topic| topic.partition(partition.partition));
                let about = About::topic(&topic.topic).partition(partition.partition);
                match call.admit(about).and_then(|()| end_of(found, &partition)) {
                    Ok(end) => {
                        row.leader_epoch = end.epoch;
                        row.end_offset = end.end_offset;
                    }
                    Err(code) => row.error_code = code.code(),
                }
                result.partitions.push(row);
            }
            result.topic = topic.topic;
            response.topics.push(result);
        }
        Outcome::Ready(response)
    }
}

fn end_of(
    partition: Option<&Arc<Partition>>,
    request: &OffsetForLeaderPartition,
) -> Result<EpochEnd, ErrorCode> {
    let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    check_leader_epoch(partition, request.current_leader_epoch)?;
    partition
        .epoch_end_offset(request.leader_epoch)
        .map_err(|error| code_of(&error))
}
