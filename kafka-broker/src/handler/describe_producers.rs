//! DescribeProducers, version 0: who writes to partitions with a producer id, and since when in a
//! transaction.

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::each_once::NamedPartitions;
use crate::handler::error_code::code_of;
use crate::log::ActiveProducer;

/// DescribeProducers.
#[derive(Debug)]
pub(crate) struct DescribeProducers;

impl Handler for DescribeProducers {
    type Request = DescribeProducersRequest;

    fn handle(
        call: &Call,
        request: DescribeProducersRequest,
    ) -> Outcome<DescribeProducersResponse> {
        let table = call.node.topics().table();
        let mut response = DescribeProducersResponse::default();
        let mut named = NamedPartitions::default();
        for topic in request.topics {
            let found = table.by_name(&topic.name);
            let mut row = TopicResponse::default();
            for index in named.news_of(topic.name.clone(), topic.partition_indexes) {
                let partition = found.and_then(|topic| topic.partition(index));
                let about = About::topic(&topic.name).partition(index);
                let producers = match partition {
                    _ if let Err(code) = call.admit(about) => Err(code),
                    Some(partition) => partition
                        .active_producers()
                        .map_err(|error| code_of(&error)),
                    None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                };
                row.partitions.push(answer(index, producers));
            }
            row.name = topic.name;
            response.topics.push(row);
        }
        Outcome::Ready(response)
    }
}

fn answer(index: i32, producers: Result<Vec<ActiveProducer>, ErrorCode>) -> PartitionResponse {
    let mut row = PartitionResponse::default();
    row.partition_index = index;
    match producers {
        Ok(producers) => {
            let rows = producers.into_iter().map(|producer| {
                let mut row = ProducerState::default();
                row.producer_id = producer.producer_id;
                row.producer_epoch = i32::from(producer.epoch);
                row.last_sequence = producer.last_sequence;
                row.last_timestamp = producer.last_timestamp;
                row.coordinator_epoch = producer.coordinator_epoch;
                row.current_txn_start_offset = producer.transaction_start;
                row
            });
            row.active_producers = rows.collect();
        }
        Err(code) => {
            row.error_code = code.code();
            row.error_message = code.meaning().map(ByteString::from_static);
        }
    }
    row
}
