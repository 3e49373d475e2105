//! Requests that write, read and find records.

use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, FetchRequest, FetchResponse, ListOffsetsRequest,
    ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, ProduceRequest,
    ProduceResponse,
};

use crate::control::subjects::{About, Subjects};
use crate::handler::inspect::message::{Inspect, See, topic_by};
use crate::state::topics::TopicTable;

impl Inspect for ProduceRequest {
    const TOPICS: bool = true;

    fn subjects(&self, version: i16, table: &TopicTable, subjects: &mut Subjects) {
        for topic in &self.topic_data {
            let partitions = topic.partition_data.iter().map(|one| one.index).collect();
            let by_id = version >= 13;
            topic_by(
                subjects,
                table,
                by_id,
                &topic.name,
                topic.topic_id,
                partitions,
            );
        }
    }

    fn codes(answer: &mut ProduceResponse, see: See<'_>) {
        for topic in &mut answer.responses {
            let about = About::topic_by(&topic.name, topic.topic_id);
            for row in &mut topic.partition_responses {
                see(about.partition(row.index), &mut row.error_code);
            }
        }
    }
}

impl Inspect for FetchRequest {
    const TOPICS: bool = true;

    fn subjects(&self, version: i16, table: &TopicTable, subjects: &mut Subjects) {
        for topic in &self.topics {
            let partitions = topic.partitions.iter().map(|one| one.partition).collect();
            let by_id = version >= 13;
            topic_by(
                subjects,
                table,
                by_id,
                &topic.topic,
                topic.topic_id,
                partitions,
            );
        }
    }

    fn codes(answer: &mut FetchResponse, see: See<'_>) {
        // The code at the top tells of the session, which is not what a topic's rule means.
        see(About::BEYOND_RULES, &mut answer.error_code);
        for topic in &mut answer.responses {
            let about = About::topic_by(&topic.topic, topic.topic_id);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}

impl Inspect for ListOffsetsRequest {
    const TOPICS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for topic in &self.topics {
            let partitions = topic.partitions.iter();
            subjects.topic(
                &topic.name,
                partitions.map(|one| one.partition_index).collect(),
            );
        }
    }

    fn codes(answer: &mut ListOffsetsResponse, see: See<'_>) {
        for topic in &mut answer.topics {
            let about = About::topic(&topic.name);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}

impl Inspect for OffsetForLeaderEpochRequest {
    const TOPICS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for topic in &self.topics {
            let partitions = topic.partitions.iter().map(|one| one.partition).collect();
            subjects.topic(&topic.topic, partitions);
        }
    }

    fn codes(answer: &mut OffsetForLeaderEpochResponse, see: See<'_>) {
        for topic in &mut answer.topics {
            let about = About::topic(&topic.topic);
            for row in &mut topic.partitions {
                see(about.partition(row.partition), &mut row.error_code);
            }
        }
    }
}

impl Inspect for DeleteRecordsRequest {
    const TOPICS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for topic in &self.topics {
            let partitions = topic.partitions.iter();
            subjects.topic(
                &topic.name,
                partitions.map(|one| one.partition_index).collect(),
            );
        }
    }

    fn codes(answer: &mut DeleteRecordsResponse, see: See<'_>) {
        for topic in &mut answer.topics {
            let about = About::topic(&topic.name);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}
