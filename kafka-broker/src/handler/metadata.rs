//! Metadata, versions 0 to 13: the brokers and the topics; a topic that is named and not there is
//! created if broker and client allow.

use std::sync::Arc;

use bytestring::ByteString;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use kafka_protocol::{ErrorCode, Uuid};

use crate::config::overrides::Overrides;
use crate::control::subjects::About;
use crate::handler::authorized_operations::{OF_CLUSTER, OF_TOPIC};
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::each_once::each_once;
use crate::state::partition::Partition;
use crate::state::topic_name::check_topic_name;
use crate::state::topics::{NewTopic, Topic, TopicTable};

/// Metadata.
#[derive(Debug)]
pub(crate) struct Metadata;

impl Handler for Metadata {
    type Request = MetadataRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: MetadataRequest) -> Outcome<MetadataResponse> {
        let config = &call.node.config;
        let endpoint = &call.endpoint;
        let mut broker = MetadataResponseBroker::default();
        broker.node_id = config.node_id;
        broker.host = endpoint.host.clone();
        broker.port = i32::from(endpoint.port);
        broker.rack = config.rack.as_deref().map(Into::into);

        let mut response = MetadataResponse::default();
        response.brokers = vec![broker];
        response.cluster_id = Some(call.node.cluster_id.clone());
        response.controller_id = config.node_id;
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = OF_CLUSTER;
        }
        let tells_operations = request.include_topic_authorized_operations;
        response.topics = topics(call, request);
        if tells_operations {
            // Also of one that is not there: it may be made.
            let named = |topic: &&mut MetadataResponseTopic| topic.name.is_some();
            for topic in response.topics.iter_mut().filter(named) {
                topic.topic_authorized_operations = OF_TOPIC;
            }
        }
        Outcome::Ready(response)
    }
}

fn topics(call: &Call, request: MetadataRequest) -> Vec<MetadataResponseTopic> {
    let table = call.node.topics().table();
    let all = |table: &TopicTable| table.iter().map(|topic| describe(call, topic)).collect();
    // In version 0 an empty list stands for all.
    let Some(wanted) = request
        .topics
        .filter(|topics| call.version > 0 || !topics.is_empty())
    else {
        return all(&table);
    };
    let allowed = call.version < 4 || request.allow_auto_topic_creation;
    let create = allowed && call.node.config.auto_create_topics;
    // A name beside an id says nothing.
    let key = |topic: &MetadataRequestTopic| match topic.topic_id.is_zero() {
        true => (topic.name.clone(), topic.topic_id),
        false => (None, topic.topic_id),
    };
    each_once(wanted, key)
        .map(|topic| find(call, &table, topic, create))
        .collect()
}

fn find(
    call: &Call,
    table: &TopicTable,
    wanted: MetadataRequestTopic,
    create: bool,
) -> MetadataResponseTopic {
    let about = About::topic_by(wanted.name.as_deref().unwrap_or_default(), wanted.topic_id);
    let found = match &wanted.name {
        _ if let Err(code) = call.admit(about) => Err(code),
        // From version 12 on a topic may go by its id alone. Java's client leaves an empty name beside it.
        _ if !wanted.topic_id.is_zero() => table
            .by_id(wanted.topic_id)
            .cloned()
            .ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
        None => Err(ErrorCode::INVALID_REQUEST),
        Some(name) => match table.by_name(name) {
            Some(topic) => Ok(Arc::clone(topic)),
            None if check_topic_name(name).is_err() => Err(ErrorCode::INVALID_TOPIC_EXCEPTION),
            None if create => auto_create(call, name),
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        },
    };
    match found {
        Ok(topic) => describe(call, &topic),
        Err(error) => {
            let mut row = MetadataResponseTopic::default();
            row.error_code = error.code();
            row.topic_id = wanted.topic_id;
            row.name = match wanted.name {
                // Before version 12 there is no way to say that there is no name.
                None if call.version < 12 => Some(ByteString::new()),
                Some(name) if error == ErrorCode::UNKNOWN_TOPIC_ID && name.is_empty() => None,
                name => name,
            };
            row
        }
    }
}

fn auto_create(call: &Call, name: &ByteString) -> Result<Arc<Topic>, ErrorCode> {
    let topic = NewTopic {
        name: name.clone(),
        id: Uuid(call.node.random()),
        partitions: call.node.config.partitions,
        overrides: Overrides::new(),
    };
    call.node
        .catalog()
        .create_topic(call.now, topic)
        .map_err(|refusal| {
            tracing::warn!(topic = %name, "cannot create the topic: {refusal}");
            refusal.code()
        })
}

fn describe(call: &Call, topic: &Topic) -> MetadataResponseTopic {
    let mut row = MetadataResponseTopic::default();
    row.name = Some(topic.name.clone());
    row.topic_id = topic.id;
    row.is_internal = topic.is_internal;
    let about = About::topic(&topic.name);
    if let Err(code) = call.admit(about) {
        row.error_code = code.code();
        return row;
    }
    row.partitions = topic
        .partitions
        .iter()
        .map(|partition| describe_partition(call, about, partition))
        .collect();
    row
}

fn describe_partition(
    call: &Call,
    topic: About<'_>,
    partition: &Partition,
) -> MetadataResponsePartition {
    let node_id = call.node.config.node_id;
    let mut row = MetadataResponsePartition::default();
    row.partition_index = partition.index;
    row.leader_id = node_id;
    if let Err(code) = call.admit(topic.partition(partition.index)) {
        row.error_code = code.code();
        row.leader_id = -1;
    }
    row.leader_epoch = partition.leader_epoch;
    row.replica_nodes = [node_id].into();
    row.isr_nodes = [node_id].into();
    row
}
