//! WriteTxnMarkers, version 1: ends transactions in partitions without asking their coordinator. It is
//! how an operator ends one that hangs, because no coordinator knows of it.
//!
//! Not here: version 2, with which a coordinator on another node would hold its markers to the second
//! protocol of transactions.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::error_code::code_of;
use crate::state::topics::Topic;
use crate::state::transaction::ProducerClaim;
use crate::state::transactions::TransactionEnd;

/// WriteTxnMarkers.
#[derive(Debug)]
pub(crate) struct WriteTxnMarkers;

impl Handler for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: WriteTxnMarkersRequest) -> Outcome<WriteTxnMarkersResponse> {
        let mut response = WriteTxnMarkersResponse::default();
        let markers = request.markers.into_iter();
        response.markers = markers.map(|marker| write_all(call, marker)).collect();
        Outcome::Ready(response)
    }
}

fn write_all(call: &Call, marker: WritableTxnMarker) -> WritableTxnMarkerResult {
    let end = TransactionEnd {
        producer: ProducerClaim {
            producer_id: marker.producer_id,
            epoch: marker.producer_epoch,
        },
        commit: marker.transaction_result,
    };
    let table = call.node.topics().table();
    let mut row = WritableTxnMarkerResult::default();
    row.producer_id = marker.producer_id;
    for topic in marker.topics {
        let found = table.by_name(&topic.name);
        let mut answers = WritableTxnMarkerTopicResult::default();
        for index in topic.partition_indexes {
            let about = About::topic(&topic.name).partition(index);
            let code = match found {
                _ if let Err(code) = call.admit(about) => code,
                Some(found) => write(call, found, index, marker.coordinator_epoch, end),
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            let mut answer = WritableTxnMarkerPartitionResult::default();
            answer.partition_index = index;
            answer.error_code = code.code();
            answers.partitions.push(answer);
        }
        answers.name = topic.name;
        row.topics.push(answers);
    }
    row
}

fn write(
    call: &Call,
    topic: &Topic,
    index: i32,
    coordinator_epoch: i32,
    end: TransactionEnd,
) -> ErrorCode {
    if topic.partition(index).is_none() {
        return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    }
    if end.producer.producer_id < 0 || end.producer.epoch < 0 {
        return ErrorCode::INVALID_REQUEST;
    }
    let topics = &call.node.transaction_topic;
    match topics.write_marker(call.now, topic, index, coordinator_epoch, end) {
        Ok(()) => ErrorCode::NONE,
        Err(error) => {
            tracing::warn!(topic = %topic.name, index, "no marker is written: {error}");
            code_of(&error)
        }
    }
}
