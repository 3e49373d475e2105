//! DeleteRecords, versions 0 to 2: the oldest records of partitions go.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::error_code::code_of;
use crate::state::topics::{Topic, TopicTable};

/// DeleteRecords.
#[derive(Debug)]
pub(crate) struct DeleteRecords;

impl Handler for DeleteRecords {
    type Request = DeleteRecordsRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: DeleteRecordsRequest) -> Outcome<DeleteRecordsResponse> {
        let table = call.node.topics().table();
        let mut response = DeleteRecordsResponse::default();
        for topic in request.topics {
            let mut result = DeleteRecordsTopicResult::default();
            for partition in topic.partitions {
                let mut row = DeleteRecordsPartitionResult::default();
                row.partition_index = partition.partition_index;
                let index = partition.partition_index;
                let admitted = call.admit(About::topic(&topic.name).partition(index));
                let deleted =
                    admitted.and_then(|()| delete(&table, &topic.name, index, partition.offset));
                match deleted {
                    Ok(low_watermark) => row.low_watermark = low_watermark,
                    Err(code) => {
                        row.low_watermark = -1;
                        row.error_code = code.code();
                    }
                }
                result.partitions.push(row);
            }
            result.name = topic.name;
            response.topics.push(result);
        }
        Outcome::Ready(response)
    }
}

/// Deletes what lies before `offset`, or before the high watermark if it is -1.
fn delete(table: &TopicTable, topic: &str, index: i32, offset: i64) -> Result<i64, ErrorCode> {
    let topic: Option<&Topic> = table.by_name(topic).map(AsRef::as_ref);
    let partition = topic
        .and_then(|topic| topic.partition(index))
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if topic.is_some_and(|topic| !topic.config.delete) {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let refused = |error| code_of(&error);
    let offset = match offset {
        -1 => partition.marks().map_err(refused)?.high_watermark,
        offset if offset < 0 => return Err(ErrorCode::OFFSET_OUT_OF_RANGE),
        offset => offset,
    };
    partition.delete_records_before(offset).map_err(refused)
}
