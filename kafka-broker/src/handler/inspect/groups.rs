//! Requests about groups and their offsets.

use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DeleteGroupsRequest, DeleteGroupsResponse,
    DescribeGroupsRequest, DescribeGroupsResponse, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
    ListGroupsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse,
};

use crate::control::subjects::{About, Subjects};
use crate::handler::inspect::message::{Inspect, See, topic_by};
use crate::state::topics::TopicTable;

/// What a member says of one group, answered with one code at the top.
macro_rules! inspect_member {
    ($request:ty, $response:ty) => {
        impl Inspect for $request {
            const GROUPS: bool = true;
            const REFUSED_AS_A_WHOLE: bool = true;

            fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
                subjects.group(&self.group_id);
            }

            fn codes(answer: &mut $response, see: See<'_>) {
                see(About::WHOLE, &mut answer.error_code);
            }
        }
    };
}

inspect_member!(
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse
);
inspect_member!(HeartbeatRequest, HeartbeatResponse);
inspect_member!(SyncGroupRequest, SyncGroupResponse);

impl Inspect for JoinGroupRequest {
    const GROUPS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        subjects.group(&self.group_id);
    }

    fn codes(answer: &mut JoinGroupResponse, see: See<'_>) {
        see(About::WHOLE, &mut answer.error_code);
    }
}

impl Inspect for LeaveGroupRequest {
    const GROUPS: bool = true;
    const REFUSED_AS_A_WHOLE: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        subjects.group(&self.group_id);
    }

    fn codes(answer: &mut LeaveGroupResponse, see: See<'_>) {
        see(About::WHOLE, &mut answer.error_code);
        for member in &mut answer.members {
            see(About::WHOLE, &mut member.error_code);
        }
    }
}

impl Inspect for ListGroupsRequest {
    const REFUSED_AS_A_WHOLE: bool = true;

    fn codes(answer: &mut ListGroupsResponse, see: See<'_>) {
        see(About::WHOLE, &mut answer.error_code);
    }
}

impl Inspect for DescribeGroupsRequest {
    const GROUPS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for id in &self.groups {
            subjects.group(id);
        }
    }

    fn codes(answer: &mut DescribeGroupsResponse, see: See<'_>) {
        for row in &mut answer.groups {
            see(About::group(&row.group_id), &mut row.error_code);
        }
    }
}

impl Inspect for ConsumerGroupDescribeRequest {
    const GROUPS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for id in &self.group_ids {
            subjects.group(id);
        }
    }

    fn codes(answer: &mut ConsumerGroupDescribeResponse, see: See<'_>) {
        for row in &mut answer.groups {
            see(About::group(&row.group_id), &mut row.error_code);
        }
    }
}

impl Inspect for OffsetDeleteRequest {
    const TOPICS: bool = true;
    const GROUPS: bool = true;
    const REFUSED_AS_A_WHOLE: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        subjects.group(&self.group_id);
        for topic in &self.topics {
            let partitions = topic.partitions.iter();
            subjects.topic(
                &topic.name,
                partitions.map(|one| one.partition_index).collect(),
            );
        }
    }

    fn codes(answer: &mut OffsetDeleteResponse, see: See<'_>) {
        see(About::WHOLE, &mut answer.error_code);
        for topic in &mut answer.topics {
            let about = About::topic(&topic.name);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}

impl Inspect for DeleteGroupsRequest {
    const GROUPS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for id in &self.groups_names {
            subjects.group(id);
        }
    }

    fn codes(answer: &mut DeleteGroupsResponse, see: See<'_>) {
        for row in &mut answer.results {
            see(About::group(&row.group_id), &mut row.error_code);
        }
    }
}

impl Inspect for OffsetCommitRequest {
    const TOPICS: bool = true;
    const GROUPS: bool = true;

    fn subjects(&self, version: i16, table: &TopicTable, subjects: &mut Subjects) {
        subjects.group(&self.group_id);
        for topic in &self.topics {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|one| one.partition_index).collect();
            let by_id = version >= 10;
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

    fn codes(answer: &mut OffsetCommitResponse, see: See<'_>) {
        for topic in &mut answer.topics {
            let about = About::topic_by(&topic.name, topic.topic_id);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}

impl Inspect for OffsetFetchRequest {
    const TOPICS: bool = true;
    const GROUPS: bool = true;

    fn subjects(&self, version: i16, table: &TopicTable, subjects: &mut Subjects) {
        if version < 8 {
            subjects.group(&self.group_id);
            subjects.every_topic = self.topics.is_none();
            for topic in self.topics.iter().flatten() {
                subjects.topic(&topic.name, topic.partition_indexes.clone());
            }
            return;
        }
        for group in &self.groups {
            subjects.group(&group.group_id);
            subjects.every_topic |= group.topics.is_none();
            for topic in group.topics.iter().flatten() {
                let partitions = topic.partition_indexes.clone();
                let by_id = version >= 10;
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
    }

    fn codes(answer: &mut OffsetFetchResponse, see: See<'_>) {
        // From version 8 on each group has its own.
        if answer.groups.is_empty() {
            see(About::WHOLE, &mut answer.error_code);
        }
        for topic in &mut answer.topics {
            let about = About::topic(&topic.name);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
        for group in &mut answer.groups {
            see(About::group(&group.group_id), &mut group.error_code);
            for topic in &mut group.topics {
                let about = About::topic_by(&topic.name, topic.topic_id);
                let about = about.in_group(&group.group_id);
                for row in &mut topic.partitions {
                    see(about.partition(row.partition_index), &mut row.error_code);
                }
            }
        }
    }
}
