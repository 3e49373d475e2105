//! DescribeLogDirs, versions 1 to 5: the one data directory, how large its partitions are, and how much room
//! there is where it lies; data in memory has no such bounds.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use crate::handler::call::{Call, Handler, Outcome};
use crate::state::partition::Partition;

/// DescribeLogDirs.
#[derive(Debug)]
pub(crate) struct DescribeLogDirs;

impl Handler for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;

    fn handle(call: &Call, request: DescribeLogDirsRequest) -> Outcome<DescribeLogDirsResponse> {
        let wanted: Option<BTreeSet<_>> = request.topics.map(|topics| {
            let pairs = topics.into_iter().flat_map(|topic| {
                let indexes = topic.partitions.into_iter();
                indexes.map(move |index| (topic.topic.clone(), index))
            });
            pairs.collect()
        });
        let is_wanted = |partition: &Partition| {
            let pair = (partition.topic.clone(), partition.index);
            wanted.as_ref().is_none_or(|wanted| wanted.contains(&pair))
        };
        let mut dir = DescribeLogDirsResult::default();
        dir.log_dir = call.node.catalog().path().display().to_string().into();
        if let Some(space) = call.node.catalog().space() {
            dir.total_bytes = count(space.total_bytes);
            dir.usable_bytes = count(space.usable_bytes);
        }
        for topic in call.node.topics().table().iter() {
            let partitions = topic.partitions.iter().filter(|one| is_wanted(one));
            let mut row = DescribeLogDirsTopic::default();
            // What is gone meanwhile takes no room.
            row.partitions = partitions.filter_map(|one| answer(one)).collect();
            if !row.partitions.is_empty() {
                row.name = topic.name.clone();
                dir.topics.push(row);
            }
        }
        let mut response = DescribeLogDirsResponse::default();
        response.results.push(dir);
        Outcome::Ready(response)
    }
}

fn answer(partition: &Partition) -> Option<DescribeLogDirsPartition> {
    let mut row = DescribeLogDirsPartition::default();
    row.partition_index = partition.index;
    row.partition_size = count(partition.size().ok()?);
    Some(row)
}

fn count(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
