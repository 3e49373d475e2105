//! Requests about brokers, and the first ones of each connection.

use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, DescribeClusterResponse,
    DescribeLogDirsRequest, DescribeLogDirsResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use crate::control::subjects::{About, Subjects};
use crate::handler::find_coordinator::GROUP;
use crate::handler::inspect::message::{Inspect, See};
use crate::state::topics::TopicTable;

impl Inspect for ApiVersionsRequest {
    const REFUSED_AS_A_WHOLE: bool = true;

    fn codes(answer: &mut ApiVersionsResponse, see: See<'_>) {
        see(About::WHOLE, &mut answer.error_code);
    }
}

impl Inspect for DescribeClusterRequest {
    const REFUSED_AS_A_WHOLE: bool = true;

    fn codes(answer: &mut DescribeClusterResponse, see: See<'_>) {
        see(About::WHOLE, &mut answer.error_code);
    }
}

impl Inspect for ListConfigResourcesRequest {
    const REFUSED_AS_A_WHOLE: bool = true;

    fn codes(answer: &mut ListConfigResourcesResponse, see: See<'_>) {
        see(About::WHOLE, &mut answer.error_code);
    }
}

impl Inspect for DescribeLogDirsRequest {
    const TOPICS: bool = true;
    const REFUSED_AS_A_WHOLE: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        let Some(topics) = &self.topics else {
            subjects.every_topic = true;
            return;
        };
        for topic in topics {
            subjects.topic(&topic.topic, topic.partitions.clone());
        }
    }

    /// The one directory says it: before version 3 there was no other place.
    fn codes(answer: &mut DescribeLogDirsResponse, see: See<'_>) {
        if answer.results.is_empty() {
            answer.results.push(DescribeLogDirsResult::default());
        }
        for result in &mut answer.results {
            see(About::WHOLE, &mut result.error_code);
        }
    }
}

impl Inspect for FindCoordinatorRequest {
    const GROUPS: bool = true;

    fn subjects(&self, version: i16, _: &TopicTable, subjects: &mut Subjects) {
        if self.key_type != GROUP {
            return;
        }
        if version < 4 {
            return subjects.group(&self.key);
        }
        for key in &self.coordinator_keys {
            subjects.group(key);
        }
    }

    fn codes(answer: &mut FindCoordinatorResponse, see: See<'_>) {
        // Up to version 3 the answer is about the one key of the request.
        if answer.coordinators.is_empty() {
            see(About::WHOLE, &mut answer.error_code);
        }
        for row in &mut answer.coordinators {
            see(About::group(&row.key), &mut row.error_code);
        }
    }
}
