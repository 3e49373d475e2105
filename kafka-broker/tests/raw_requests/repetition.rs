//! Requests that name one thing again and again: a small request must not cost the broker an answer, or a time,
//! without end. And groups that are named once, and of which there is nothing to keep.

use std::collections::BTreeSet;
use std::iter::repeat_n;

use bytes::Bytes;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, ConsumerGroupDescribeRequest, CreateTopicsRequest,
    CreateTopicsResponse, DescribeConfigsRequest, DescribeGroupsRequest, DescribeProducersRequest,
    DescribeTransactionsRequest, JoinGroupRequest, ListGroupsRequest, ListOffsetsRequest,
    MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
    TxnOffsetCommitRequest,
};
use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

use crate::connection::{Connection, broker};

const TIMES: usize = 1000;

/// More than an answer has room for the three settings of each.
const GROUPS: usize = 200_000;

#[tokio::test]
async fn what_is_named_again_is_answered_once() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 100);

    let mut request = MetadataRequest::default();
    let mut topic = MetadataRequestTopic::default();
    topic.name = Some("t".into());
    request.topics = Some(repeat_n(topic, TIMES).collect());
    let answer = connection.ask(&request, 12);
    assert_eq!(answer.topics.len(), 1);
    assert_eq!(answer.topics[0].partitions.len(), 100);
    let topic_id = answer.topics[0].topic_id;

    let mut request = DescribeGroupsRequest::default();
    request.groups = repeat_n("g".into(), TIMES).collect();
    assert_eq!(connection.ask(&request, 5).groups.len(), 1);

    let mut request = ConsumerGroupDescribeRequest::default();
    request.group_ids = repeat_n("g".into(), TIMES).collect();
    assert_eq!(connection.ask(&request, 1).groups.len(), 1);

    let mut request = DescribeTransactionsRequest::default();
    request.transactional_ids = repeat_n("x".into(), TIMES).collect();
    assert_eq!(connection.ask(&request, 0).transaction_states.len(), 1);

    let mut topic = TopicRequest::default();
    topic.name = "t".into();
    topic.partition_indexes = [0, 1].into_iter().cycle().take(TIMES).collect();
    let mut request = DescribeProducersRequest::default();
    request.topics.push(topic);
    assert_eq!(connection.ask(&request, 0).topics[0].partitions.len(), 2);

    let mut group = OffsetFetchRequestGroup::default();
    group.group_id = "g".into();
    group.topics = None;
    let mut request = OffsetFetchRequest::default();
    request.groups = repeat_n(group, TIMES).collect();
    assert_eq!(connection.ask(&request, 9).groups.len(), 1);

    let mut group = OffsetFetchRequestGroup::default();
    group.group_id = "g".into();
    let mut topic = OffsetFetchRequestTopics::default();
    topic.name = "t".into();
    topic.partition_indexes = vec![7; TIMES];
    group.topics = Some(vec![topic; 2]);
    let mut request = OffsetFetchRequest::default();
    request.groups = vec![group; 2];
    let groups = connection.ask(&request, 9).groups;
    let topics = groups.iter().flat_map(|group| &group.topics);
    let partitions: usize = topics.map(|topic| topic.partitions.len()).sum();
    assert_eq!(partitions, 1);

    let mut request = OffsetFetchRequest::default();
    request.group_id = "g".into();
    let mut topic = OffsetFetchRequestTopic::default();
    topic.name = "t".into();
    topic.partition_indexes = vec![7; TIMES];
    request.topics = Some(vec![topic]);
    let answer = connection.ask(&request, 7);
    assert_eq!(answer.topics[0].partitions.len(), 1);

    let mut request = MetadataRequest::default();
    let by_id = |nth: usize| {
        let mut topic = MetadataRequestTopic::default();
        topic.name = Some(nth.to_string().into());
        topic.topic_id = topic_id;
        topic
    };
    request.topics = Some((0..TIMES).map(by_id).collect());
    assert_eq!(connection.ask(&request, 12).topics.len(), 1);

    let mut resource = DescribeConfigsResource::default();
    resource.resource_type = 2;
    resource.resource_name = "t".into();
    for all in [None, Some(Vec::new())] {
        resource.configuration_keys = all;
        let mut request = DescribeConfigsRequest::default();
        request.resources = repeat_n(resource.clone(), TIMES).collect();
        let results = connection.ask(&request, 4).results;
        assert_eq!(results.len(), 1);
        assert!(results[0].configs.len() > 1);
    }
}

/// A group has settings even if nobody ever saw it.
#[tokio::test]
async fn the_settings_of_invented_groups_end_somewhere() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    let mut request = DescribeConfigsRequest::default();
    request.include_documentation = true;
    request.include_synonyms = true;
    let group = |nth: usize| {
        let mut resource = DescribeConfigsResource::default();
        resource.resource_type = 32;
        resource.resource_name = nth.to_string().into();
        resource.configuration_keys = None;
        resource
    };
    request.resources = (0..GROUPS).map(group).collect();
    let results = connection.ask(&request, 4).results;
    assert_eq!(results.len(), GROUPS);
    assert_eq!(results[0].error_code, 0);
    let rows: usize = results.iter().map(|result| result.configs.len()).sum();
    assert!(rows < 2 * GROUPS, "{rows}");
    let refusal = ErrorCode::from_code(results[GROUPS - 1].error_code);
    assert_eq!(refusal, ErrorCode::INVALID_REQUEST);
}

/// As Kafka does it: the answer tells all settings of each, even if none is made.
#[tokio::test]
async fn more_than_ten_thousand_partitions_are_not_made_by_one_request() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    let topic = |nth: usize| {
        let mut topic = CreatableTopic::default();
        topic.name = nth.to_string().into();
        topic.num_partitions = 10;
        topic.replication_factor = 1;
        topic
    };
    let mut request = CreateTopicsRequest::default();
    request.validate_only = true;
    request.topics = (0..1000).map(topic).collect();
    let codes = |answer: CreateTopicsResponse| {
        let codes = answer.topics.into_iter().map(|topic| topic.error_code);
        codes.collect::<BTreeSet<_>>()
    };
    assert_eq!(codes(connection.ask(&request, 5)), [0].into());
    request.topics.push(topic(1000));
    let answer = connection.ask(&request, 5);
    let configs = answer.topics.iter().flat_map(|topic| &topic.configs);
    assert_eq!(configs.map(Vec::len).sum::<usize>(), 0);
    assert_eq!(codes(answer), [ErrorCode::POLICY_VIOLATION.code()].into());
}

#[tokio::test]
async fn of_records_without_a_key_an_answer_names_only_so_many() {
    let broker = broker(&[("log.cleanup.policy", "compact")]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 3);
    let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new());
    for _ in 0..9_000 {
        batch.append(0, None, None, []).unwrap();
    }
    let batch = Bytes::from(batch.seal(ProducerStamp::NONE));
    let partition = |index| {
        let mut data = PartitionProduceData::default();
        data.index = index;
        data.records = Some(batch.clone());
        data
    };
    let mut topic = TopicProduceData::default();
    topic.name = "t".into();
    topic.partition_data = (0..3).map(partition).collect();
    let mut request = ProduceRequest::default();
    request.acks = -1;
    request.topic_data = vec![topic];
    let answer = connection.ask(&request, 9);
    let partitions = &answer.responses[0].partition_responses;
    let named: Vec<_> = partitions
        .iter()
        .map(|row| row.record_errors.len())
        .collect();
    assert_eq!(named, [9_000, 1_000, 0]);
    let invalid = ErrorCode::INVALID_RECORD.code();
    assert!(partitions.iter().all(|row| row.error_code == invalid));
}

/// As Kafka does it: to look up a time costs a read of the log.
#[tokio::test]
async fn an_offset_that_is_asked_for_twice_is_refused() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 2);
    let mut topic = ListOffsetsTopic::default();
    topic.name = "t".into();
    for index in [0, 1, 0] {
        let mut partition = ListOffsetsPartition::default();
        partition.partition_index = index;
        partition.timestamp = 0;
        topic.partitions.push(partition);
    }
    let mut request = ListOffsetsRequest::default();
    request.topics.push(topic);
    let answer = connection.ask(&request, 7);
    let rows = answer.topics[0].partitions.iter();
    let codes: Vec<_> = rows
        .map(|row| (row.partition_index, ErrorCode::from_code(row.error_code)))
        .collect();
    assert_eq!(
        codes,
        [(0, ErrorCode::INVALID_REQUEST), (1, ErrorCode::NONE)]
    );
}

#[tokio::test]
async fn many_partitions_that_are_not_there_take_no_time_to_speak_of() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    let mut topic = AddPartitionsToTxnTopic::default();
    topic.name = "nobody-made-this".into();
    topic.partitions = (0..500_000).collect();
    let mut request = AddPartitionsToTxnRequest::default();
    request.v3_and_below_transactional_id = "x".into();
    request.v3_and_below_topics.push(topic);
    let answer = connection.ask(&request, 3);
    let rows = &answer.results_by_topic_v3_and_below[0].results_by_partition;
    assert_eq!(rows.len(), 500_000);
}

#[tokio::test]
async fn a_request_that_leaves_nothing_leaves_no_group() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 1);

    let mut topic = TxnOffsetCommitRequestTopic::default();
    topic.name = "t".into();
    topic
        .partitions
        .push(TxnOffsetCommitRequestPartition::default());
    let mut request = TxnOffsetCommitRequest::default();
    request.group_id = "in a transaction of nobody".into();
    request.transactional_id = "x".into();
    request.generation_id_or_member_epoch = -1;
    request.topics.push(topic);
    let answer = connection.ask(&request, 3);
    let refusal = answer.topics[0].partitions[0].error_code;
    let refusal = ErrorCode::from_code(refusal);
    assert_eq!(refusal, ErrorCode::INVALID_PRODUCER_ID_MAPPING);

    let mut request = OffsetCommitRequest::default();
    request.group_id = "commits nothing".into();
    request.generation_id_or_member_epoch = -1;
    assert!(connection.ask(&request, 8).topics.is_empty());

    let mut request = JoinGroupRequest::default();
    request.group_id = "speaks no protocol".into();
    request.session_timeout_ms = 10_000;
    request.protocol_type = "consumer".into();
    let refusal = ErrorCode::from_code(connection.ask(&request, 3).error_code);
    assert_eq!(refusal, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);

    let groups = connection.ask(&ListGroupsRequest::default(), 4).groups;
    assert!(groups.is_empty(), "{groups:?}");

    // Who is told its id is about to come back with it.
    request.group_id = "is about to".into();
    let mut protocol = JoinGroupRequestProtocol::default();
    protocol.name = "range".into();
    request.protocols.push(protocol);
    let refusal = ErrorCode::from_code(connection.ask(&request, 4).error_code);
    assert_eq!(refusal, ErrorCode::MEMBER_ID_REQUIRED);
    let groups = connection.ask(&ListGroupsRequest::default(), 4).groups;
    assert_eq!(groups.len(), 1);
}
