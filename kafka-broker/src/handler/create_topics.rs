//! CreateTopics, versions 2 to 7: topics with partitions, settings and, for what it is worth on one
//! node, assignments of replicas.

use std::collections::BTreeMap;

use bytestring::ByteString;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use kafka_protocol::{ErrorCode, Uuid};

use crate::config::overrides::{Overrides, check_override};
use crate::config::topic_properties::TOPIC_PROPERTIES;
use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::handler::config_resource::{DEFAULT_SOURCE, TOPIC_SOURCE, source_code};
use crate::handler::each_once::each_once;
use crate::state::refusal::Refusal;
use crate::state::topics::NewTopic;

/// CreateTopics.
#[derive(Debug)]
pub(crate) struct CreateTopics;

impl Handler for CreateTopics {
    type Request = CreateTopicsRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: CreateTopicsRequest) -> Outcome<CreateTopicsResponse> {
        let mut counts: BTreeMap<ByteString, usize> = BTreeMap::new();
        for topic in &request.topics {
            *counts.entry(topic.name.clone()).or_default() += 1;
        }
        let mut response = CreateTopicsResponse::default();
        if asked_for(call, &request) > PARTITIONS_MAX {
            let topics = each_once(&request.topics, |topic| topic.name.clone());
            response.topics = topics.map(|topic| refused(topic, &too_many())).collect();
            return Outcome::Ready(response);
        }
        for topic in request.topics {
            match counts.insert(topic.name.clone(), 0) {
                // A name that stands there twice is refused once.
                Some(0) => continue,
                Some(1) => response
                    .topics
                    .push(create(call, &topic, request.validate_only)),
                _ => {
                    let twice = Refusal::new(
                        ErrorCode::INVALID_REQUEST,
                        format!("topic {} is named more than once", topic.name),
                    );
                    response.topics.push(refused(&topic, &twice));
                }
            }
        }
        Outcome::Ready(response)
    }
}

/// How many partitions a request wants.
fn asked_for(call: &Call, request: &CreateTopicsRequest) -> usize {
    let count = |topic: &CreatableTopic| {
        let count = match topic.num_partitions {
            -1 => call.node.config.partitions,
            count => count,
        };
        match topic.assignments.len() {
            0 => usize::try_from(count).unwrap_or_default(),
            assigned => assigned,
        }
    };
    request.topics.iter().map(count).sum()
}

fn too_many() -> Refusal {
    let message = "Excessively large number of partitions per request.";
    Refusal::new(ErrorCode::POLICY_VIOLATION, message)
}

fn create(call: &Call, request: &CreatableTopic, validate_only: bool) -> CreatableTopicResult {
    let admitted = call.admit_or_say(About::topic(&request.name));
    let planned = admitted.and_then(|()| plan(call, request));
    let made = planned.and_then(|topic| {
        if validate_only {
            call.node.catalog().check_new_topic(&topic)?;
            return Ok((topic.partitions, topic.overrides, Uuid::ZERO));
        }
        let partitions = topic.partitions;
        let made = call.node.catalog().create_topic(call.now, topic)?;
        Ok((partitions, made.overrides.clone(), made.id))
    });
    match made {
        Err(refusal) => refused(request, &refusal),
        Ok((partitions, overrides, id)) => {
            let mut row = CreatableTopicResult::default();
            row.name = request.name.clone();
            row.topic_id = id;
            row.num_partitions = partitions;
            row.replication_factor = 1;
            row.configs = Some(effective_configs(call, &overrides));
            row
        }
    }
}

/// What is to be made of a request.
fn plan(call: &Call, request: &CreatableTopic) -> Result<NewTopic, Refusal> {
    let partitions = if request.assignments.is_empty() {
        check_replication(request.replication_factor)?;
        match request.num_partitions {
            -1 => call.node.config.partitions,
            count if count > 0 => count,
            count => {
                return Err(Refusal::new(
                    ErrorCode::INVALID_PARTITIONS,
                    format!("number of partitions must be larger than 0, not {count}"),
                ));
            }
        }
    } else {
        check_assignments(call, request)?
    };
    let mut overrides = Overrides::new();
    for config in &request.configs {
        let refused = |message: String| Refusal::new(ErrorCode::INVALID_CONFIG, message);
        let Some(value) = &config.value else {
            return Err(refused(format!(
                "null value not supported for topic config {}",
                config.name
            )));
        };
        check_override(TOPIC_PROPERTIES, &config.name, value)
            .map_err(|error| refused(error.to_string()))?;
        overrides.insert(config.name.to_string(), value.to_string());
    }
    Ok(NewTopic {
        name: request.name.clone(),
        id: Uuid(call.node.random()),
        partitions,
        overrides,
    })
}

fn check_replication(factor: i16) -> Result<(), Refusal> {
    if matches!(factor, -1 | 1) {
        return Ok(());
    }
    let message = if factor > 1 {
        format!("replication factor {factor} is larger than the number of brokers, which is 1")
    } else {
        format!("replication factor must be larger than 0, not {factor}")
    };
    Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message))
}

/// An assignment must name partitions from 0 on, each on this node and nowhere else.
fn check_assignments(call: &Call, request: &CreatableTopic) -> Result<i32, Refusal> {
    let refused = |code, message: &str| Err(Refusal::new(code, message));
    if request.num_partitions != -1 || request.replication_factor != -1 {
        return refused(
            ErrorCode::INVALID_REQUEST,
            "a topic with assignments must leave partitions and replication factor at -1",
        );
    }
    let mut indexes: Vec<i32> = request
        .assignments
        .iter()
        .map(|row| row.partition_index)
        .collect();
    indexes.sort_unstable();
    let consecutive = indexes.iter().zip(0..).all(|(index, at)| *index == at);
    if !consecutive {
        return refused(
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "partitions of an assignment must be consecutive from 0",
        );
    }
    let here = |ids: &[i32]| matches!(ids, [id] if *id == call.node.config.node_id);
    if !request.assignments.iter().all(|row| here(&row.broker_ids)) {
        return refused(
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "every partition must be assigned to this broker, which is the only one",
        );
    }
    Ok(i32::try_from(indexes.len()).unwrap_or(i32::MAX))
}

fn refused(request: &CreatableTopic, refusal: &Refusal) -> CreatableTopicResult {
    let mut row = CreatableTopicResult::default();
    row.name = request.name.clone();
    row.error_code = refusal.code().code();
    row.error_message = Some(refusal.to_string().into());
    row
}

/// The most partitions of one request, as in Kafka: each topic of the answer has all of its settings.
const PARTITIONS_MAX: usize = 10_000;

fn effective_configs(call: &Call, overrides: &Overrides) -> Vec<CreatableTopicConfigs> {
    let broker = call.node.catalog().live.get();
    let describe = |property| {
        let first = broker.settings_of(overrides, property).next();
        let mut row = CreatableTopicConfigs::default();
        row.name = property.name.into();
        row.value = Some(broker.value_of(overrides, property).into());
        row.config_source = first.map_or(DEFAULT_SOURCE, |first| {
            source_code(first.source, TOPIC_SOURCE)
        });
        row
    };
    TOPIC_PROPERTIES.iter().map(describe).collect()
}
