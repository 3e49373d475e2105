//! ListOffsets, versions 1 to 11: where partitions begin and end, and which offset a time has.
//!
//! Tiered storage does not exist here: the local start is the start, and nothing is tiered.

use std::collections::BTreeMap;

use bytestring::ByteString;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::error_code::code_of;
use crate::handler::leader_epoch::check_leader_epoch;
use crate::state::partition::Partition;

/// ListOffsets.
#[derive(Debug)]
pub(crate) struct ListOffsets;

impl Handler for ListOffsets {
    type Request = ListOffsetsRequest;
    /// A time is looked up in the records of a batch, which may have to be unpacked.
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: ListOffsetsRequest) -> Outcome<ListOffsetsResponse> {
        let table = call.node.topics().table();
        let committed = request.isolation_level == READ_COMMITTED;
        let mut response = ListOffsetsResponse::default();
        let mut named = times_named(&request);
        for topic in request.topics {
            let found = table.by_name(&topic.name);
            let mut row = ListOffsetsTopicResponse::default();
            for partition in topic.partitions {
                let place = (topic.name.clone(), partition.partition_index);
                // A partition that is named twice is refused once.
                let times = named.insert(place, 0);
                if times == Some(0) {
                    continue;
                }
                let found = found.and_then(|topic| topic.partition(partition.partition_index));
                let about = About::topic(&topic.name).partition(partition.partition_index);
                let result = match found {
                    _ if let Err(code) = call.admit(about) => Err(code),
                    _ if times != Some(1) => Err(ErrorCode::INVALID_REQUEST),
                    Some(found) => list(call, found, &partition, committed),
                    None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                };
                row.partitions
                    .push(answer(call.version, &partition, result));
            }
            row.name = topic.name;
            response.topics.push(row);
        }
        Outcome::Ready(response)
    }
}

/// How often a request names each partition.
fn times_named(request: &ListOffsetsRequest) -> BTreeMap<(ByteString, i32), usize> {
    let mut times = BTreeMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let place = (topic.name.clone(), partition.partition_index);
            *times.entry(place).or_default() += 1;
        }
    }
    times
}

/// An offset with the timestamp and leader epoch of its record, each -1 where there is none.
struct Listed {
    timestamp: i64,
    offset: i64,
    leader_epoch: i32,
}

fn list(
    call: &Call,
    partition: &Partition,
    request: &ListOffsetsPartition,
    committed: bool,
) -> Result<Listed, ErrorCode> {
    check_leader_epoch(partition, request.current_leader_epoch)?;
    let refused = |error| code_of(&error);
    let marks = partition.marks().map_err(refused)?;
    let plain = |offset: i64, leader_epoch: i32| Listed {
        timestamp: -1,
        offset,
        leader_epoch,
    };
    let end = if committed {
        marks.last_stable_offset
    } else {
        marks.high_watermark
    };
    let first_version = match request.timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => 1,
    };
    if call.version < first_version {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    match request.timestamp {
        LATEST => Ok(plain(end, partition.leader_epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            let start = marks.log_start_offset;
            // A log without records begins with those of its leader.
            let epoch = partition.epoch_at(start).map_err(refused)?;
            Ok(plain(start, epoch.unwrap_or(partition.leader_epoch)))
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(plain(-1, -1)),
        timestamp if timestamp < EARLIEST_PENDING_UPLOAD => Err(ErrorCode::UNSUPPORTED_VERSION),
        timestamp => {
            let unpackers = &call.node.unpackers;
            let found = match timestamp {
                MAX_TIMESTAMP => partition.max_timestamp(unpackers),
                timestamp => partition.offset_for_timestamp(timestamp, unpackers),
            };
            // What is not committed yet has no offset yet.
            let found = found.map_err(refused)?.filter(|found| found.offset < end);
            Ok(match found {
                Some(found) => Listed {
                    timestamp: found.timestamp,
                    offset: found.offset,
                    leader_epoch: found.leader_epoch,
                },
                None => plain(-1, -1),
            })
        }
    }
}

fn answer(
    version: i16,
    request: &ListOffsetsPartition,
    result: Result<Listed, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let mut row = ListOffsetsPartitionResponse::default();
    row.partition_index = request.partition_index;
    match result {
        Ok(listed) => {
            row.timestamp = listed.timestamp;
            row.offset = listed.offset;
            // Older versions have no room for it.
            if version >= 4 {
                row.leader_epoch = listed.leader_epoch;
            }
        }
        Err(code) => {
            row.error_code = code.code();
            row.timestamp = -1;
            row.offset = -1;
        }
    }
    row
}

const READ_COMMITTED: i8 = 1;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::wire::Writer;
    use kafka_protocol::{ApiKey, Message};

    #[test]
    fn every_version_has_room_for_what_it_is_answered() {
        let asked = ListOffsetsPartition::default();
        let versions = ApiKey::ListOffsets.valid_versions();
        for version in versions.min..=versions.max {
            for found in [Err(ErrorCode::UNKNOWN_LEADER_EPOCH), Ok(7)] {
                let found = found.map(|leader_epoch| Listed {
                    timestamp: 1000,
                    offset: 5,
                    leader_epoch,
                });
                let mut row = ListOffsetsTopicResponse::default();
                row.partitions.push(answer(version, &asked, found));
                let mut response = ListOffsetsResponse::default();
                response.topics.push(row);
                let encoded = response.encode(&mut Writer::new(), version);
                assert!(encoded.is_ok(), "version {version}: {encoded:?}");
            }
        }
    }
}
