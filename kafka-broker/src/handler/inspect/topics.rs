//! Requests about topics and their configuration.

use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, CreatePartitionsRequest, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeConfigsRequest, DescribeConfigsResponse, DescribeProducersRequest,
    DescribeProducersResponse, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, MetadataRequest,
    MetadataResponse,
};

use crate::control::subjects::{About, Subjects};
use crate::handler::config_resource::about;
use crate::handler::inspect::message::{Inspect, See, topic_by};
use crate::state::topics::TopicTable;

impl Inspect for MetadataRequest {
    const TOPICS: bool = true;

    fn subjects(&self, version: i16, table: &TopicTable, subjects: &mut Subjects) {
        let Some(topics) = &self.topics else {
            subjects.every_topic = true;
            return;
        };
        subjects.every_topic = version == 0 && topics.is_empty();
        for topic in topics {
            let name = topic.name.clone();
            let by_id = name.is_none();
            topic_by(
                subjects,
                table,
                by_id,
                &name.unwrap_or_default(),
                topic.topic_id,
                Vec::new(),
            );
        }
    }

    fn codes(answer: &mut MetadataResponse, see: See<'_>) {
        for topic in &mut answer.topics {
            let name = topic.name.as_deref().unwrap_or_default();
            let about = About::topic_by(name, topic.topic_id);
            see(about, &mut topic.error_code);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}

impl Inspect for DescribeTopicPartitionsRequest {
    const TOPICS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        subjects.every_topic = self.topics.is_empty();
        for topic in &self.topics {
            subjects.topic(&topic.name, Vec::new());
        }
    }

    fn codes(answer: &mut DescribeTopicPartitionsResponse, see: See<'_>) {
        for topic in &mut answer.topics {
            let about = About::topic(topic.name.as_deref().unwrap_or_default());
            see(about, &mut topic.error_code);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}

impl Inspect for CreateTopicsRequest {
    const TOPICS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for topic in &self.topics {
            subjects.topic(&topic.name, Vec::new());
        }
    }

    fn codes(answer: &mut CreateTopicsResponse, see: See<'_>) {
        for topic in &mut answer.topics {
            see(About::topic(&topic.name), &mut topic.error_code);
        }
    }
}

impl Inspect for DeleteTopicsRequest {
    const TOPICS: bool = true;

    fn subjects(&self, version: i16, table: &TopicTable, subjects: &mut Subjects) {
        if version < 6 {
            for name in &self.topic_names {
                subjects.topic(name, Vec::new());
            }
            return;
        }
        for topic in &self.topics {
            let name = topic.name.clone();
            let by_id = name.is_none();
            topic_by(
                subjects,
                table,
                by_id,
                &name.unwrap_or_default(),
                topic.topic_id,
                Vec::new(),
            );
        }
    }

    fn codes(answer: &mut DeleteTopicsResponse, see: See<'_>) {
        for row in &mut answer.responses {
            let name = row.name.as_deref().unwrap_or_default();
            see(About::topic_by(name, row.topic_id), &mut row.error_code);
        }
    }
}

impl Inspect for CreatePartitionsRequest {
    const TOPICS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for topic in &self.topics {
            subjects.topic(&topic.name, Vec::new());
        }
    }

    fn codes(answer: &mut CreatePartitionsResponse, see: See<'_>) {
        for row in &mut answer.results {
            see(About::topic(&row.name), &mut row.error_code);
        }
    }
}

impl Inspect for DescribeProducersRequest {
    const TOPICS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for topic in &self.topics {
            subjects.topic(&topic.name, topic.partition_indexes.clone());
        }
    }

    fn codes(answer: &mut DescribeProducersResponse, see: See<'_>) {
        for topic in &mut answer.topics {
            let about = About::topic(&topic.name);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}

/// Requests for resources, of which topics are one kind.
macro_rules! inspect_resources {
    ($request:ty, $response:ty, $rows:ident) => {
        impl Inspect for $request {
            const TOPICS: bool = true;

            fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
                for resource in &self.resources {
                    if about(resource.resource_type, &resource.resource_name)
                        .topic
                        .is_some()
                    {
                        subjects.topic(&resource.resource_name, Vec::new());
                    }
                }
            }

            fn codes(answer: &mut $response, see: See<'_>) {
                for row in &mut answer.$rows {
                    see(
                        about(row.resource_type, &row.resource_name),
                        &mut row.error_code,
                    );
                }
            }
        }
    };
}

inspect_resources!(DescribeConfigsRequest, DescribeConfigsResponse, results);
inspect_resources!(AlterConfigsRequest, AlterConfigsResponse, responses);
inspect_resources!(
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    responses
);
