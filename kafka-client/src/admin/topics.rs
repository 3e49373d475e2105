//! Topics: create, list, describe, delete.

use std::collections::BTreeMap;

use bytestring::ByteString;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    MetadataRequest, MetadataResponse,
};
use kafka_protocol::{ErrorCode, Request, Uuid};

use crate::admin::Admin;
use crate::driver::clock;
use crate::driver::cluster_task::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::time::Instant;
use crate::machine::topic_name::check_topic_name;

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    name: String,
    partitions: i32,
    replication_factor: i16,
    assignments: BTreeMap<i32, Vec<i32>>,
    configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with as many partitions and replicas as the brokers' defaults say.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: BROKER_DEFAULT,
            replication_factor: BROKER_DEFAULT as i16,
            assignments: BTreeMap::new(),
            configs: BTreeMap::new(),
        }
    }

    /// Sets the number of partitions.
    #[must_use]
    pub fn partitions(mut self, count: i32) -> Self {
        self.partitions = count;
        self
    }

    /// Sets the number of replicas of each partition.
    #[must_use]
    pub fn replication_factor(mut self, factor: i16) -> Self {
        self.replication_factor = factor;
        self
    }

    /// Places a partition on these brokers, the preferred leader first; then all partitions have to be placed,
    /// and the counts are not looked at.
    #[must_use]
    pub fn assign(mut self, partition: i32, brokers: impl Into<Vec<i32>>) -> Self {
        self.assignments.insert(partition, brokers.into());
        self
    }

    /// Sets a property of the topic, by Kafka's name.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }

    fn to_request(&self) -> CreatableTopic {
        let mut topic = CreatableTopic::default();
        topic.name = self.name.as_str().into();
        // A placed topic must not have counts.
        let placed = !self.assignments.is_empty();
        topic.num_partitions = if placed {
            BROKER_DEFAULT
        } else {
            self.partitions
        };
        topic.replication_factor = if placed {
            BROKER_DEFAULT as i16
        } else {
            self.replication_factor
        };
        for (partition, brokers) in &self.assignments {
            let mut assignment = CreatableReplicaAssignment::default();
            assignment.partition_index = *partition;
            assignment.broker_ids = brokers.as_slice().into();
            topic.assignments.push(assignment);
        }
        for (name, value) in &self.configs {
            let mut config = CreatableTopicConfig::default();
            config.name = name.as_str().into();
            config.value = Some(value.as_str().into());
            topic.configs.push(config);
        }
        topic
    }
}

/// A topic of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicListing {
    /// The name.
    pub name: String,
    /// The id; zero from brokers that have none.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: usize,
    /// Whether the cluster keeps it for itself.
    pub is_internal: bool,
}

/// A topic with its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDescription {
    /// The name.
    pub name: String,
    /// The id; zero from brokers that have none.
    pub id: Uuid,
    /// Whether the cluster keeps it for itself.
    pub is_internal: bool,
    /// The partitions by rising index.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition: who leads it and who follows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// The index.
    pub index: i32,
    /// The leader's node id; `None` while there is none.
    pub leader: Option<i32>,
    /// All replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The in-sync replicas.
    pub in_sync_replicas: Vec<i32>,
}

impl Admin {
    /// Makes a topic; returns its id, which is zero from brokers that have none.
    ///
    /// # Errors
    ///
    /// As [`create_topics`](Self::create_topics), the broker's refusal included.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the topic may have been made.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<Uuid> {
        only(self.create_topics([topic]).await?)
    }

    /// Deletes a topic.
    ///
    /// # Errors
    ///
    /// As [`delete_topics`](Self::delete_topics), the broker's refusal included.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the topic may have been deleted.
    pub async fn delete_topic(&self, name: impl Into<String>) -> Result<()> {
        only(self.delete_topics([name]).await?)
    }

    /// Describes a topic. Makes none if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`describe_topics`](Self::describe_topics), the broker's refusal included.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed by it.
    pub async fn describe_topic(&self, name: impl Into<String>) -> Result<TopicDescription> {
        only(self.describe_topics([name]).await?)
    }

    /// Makes topics. Answers for each in the order asked: its id, or why it was not made.
    ///
    /// # Errors
    ///
    /// If the cluster cannot be reached. Per topic [`ErrorKind::InvalidArgument`] if its name is illegal, or
    /// the broker's code: it exists already, the number of partitions is illegal, a property is unknown.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the topics may have been made.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> Result<Vec<(String, Result<Uuid>)>> {
        let topics: Vec<_> = topics.into_iter().collect();
        let deadline = self.cluster.api_deadline();
        let build = |_| {
            let mut request = CreateTopicsRequest::default();
            request.topics = topics.iter().map(NewTopic::to_request).collect();
            request.timeout_ms = clock::millis_until(deadline);
            request
        };
        let check = |response: &CreateTopicsResponse| {
            refuse_if_not_controller(response.topics.iter().map(|topic| topic.error_code))
        };
        let response = self.ask(Target::Controller, deadline, build, check).await?;
        let outcome = |topic: NewTopic| {
            let of_this = response
                .topics
                .iter()
                .find(|made| *made.name == *topic.name);
            let outcome = of_this.ok_or_else(left_out).and_then(|made| {
                Error::check(made.error_code, made.error_message.as_deref())?;
                Ok(made.topic_id)
            });
            let outcome = outcome.map_err(|error| error.with_topic(topic.name.as_str()));
            let outcome = check_topic_name(&topic.name).and(outcome);
            (topic.name, outcome)
        };
        let outcomes = topics.into_iter().map(outcome).collect();
        self.cluster.request_refresh();
        Ok(outcomes)
    }

    /// Deletes topics. Answers for each in the order asked.
    ///
    /// # Errors
    ///
    /// If the cluster cannot be reached. Per topic the broker's code: there is no such topic, deletion is
    /// disabled.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped the topics may have been deleted.
    pub async fn delete_topics(
        &self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Vec<(String, Result<()>)>> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let deadline = self.cluster.api_deadline();
        let build = |version| {
            let mut request = DeleteTopicsRequest::default();
            for name in &names {
                if version >= 6 {
                    let mut topic = DeleteTopicState::default();
                    topic.name = Some(name.as_str().into());
                    request.topics.push(topic);
                } else {
                    request.topic_names.push(name.as_str().into());
                }
            }
            request.timeout_ms = clock::millis_until(deadline);
            request
        };
        let check = |response: &DeleteTopicsResponse| {
            refuse_if_not_controller(response.responses.iter().map(|topic| topic.error_code))
        };
        let response = self.ask(Target::Controller, deadline, build, check).await?;
        let outcome = |name: String| {
            let of_this = |topic: &&kafka_protocol::messages::delete_topics_response::DeletableTopicResult| {
                topic.name.as_deref() == Some(name.as_str())
            };
            let outcome = response.responses.iter().find(of_this).ok_or_else(left_out);
            let outcome = outcome
                .and_then(|gone| Error::check(gone.error_code, gone.error_message.as_deref()))
                .map_err(|error| error.with_topic(name.as_str()));
            let outcome = check_topic_name(&name).and(outcome);
            (name, outcome)
        };
        let outcomes = names.into_iter().map(outcome).collect();
        self.cluster.request_refresh();
        Ok(outcomes)
    }

    /// All topics by name, internal ones included.
    ///
    /// # Errors
    ///
    /// If the cluster cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed by it.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>> {
        let response = self.metadata(None).await?;
        let mut topics: Vec<_> = response
            .topics
            .iter()
            .filter_map(|topic| {
                Some(TopicListing {
                    name: topic.name.as_ref()?.to_string(),
                    id: topic.topic_id,
                    partitions: topic.partitions.len(),
                    is_internal: topic.is_internal,
                })
            })
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Describes topics. Answers for each in the order asked. Makes no topic that does not exist.
    ///
    /// # Errors
    ///
    /// If the cluster cannot be reached. Per topic [`ErrorKind::InvalidArgument`] if its name is illegal, or
    /// the broker's code: there is no such topic.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed by it.
    pub async fn describe_topics(
        &self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Vec<(String, Result<TopicDescription>)>> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let asked = names
            .iter()
            .map(|name| ByteString::from(name.as_str()))
            .collect();
        let response = self.metadata(Some(asked)).await?;
        let outcome = |name: String| {
            let of_this =
                |topic: &&MetadataResponseTopic| topic.name.as_deref() == Some(name.as_str());
            let outcome = response.topics.iter().find(of_this).ok_or_else(left_out);
            let outcome = outcome.and_then(|topic| describe(&name, topic));
            let outcome = outcome.map_err(|error| error.with_topic(name.as_str()));
            let outcome = check_topic_name(&name).and(outcome);
            (name, outcome)
        };
        Ok(names.into_iter().map(outcome).collect())
    }

    async fn metadata(&self, names: Option<Vec<ByteString>>) -> Result<MetadataResponse> {
        let deadline = self.cluster.api_deadline();
        let build = |version| {
            let mut request = MetadataRequest::default();
            request.topics = names
                .as_ref()
                .map(|names| names.iter().map(by_name).collect());
            if request.topics.is_none() && version == 0 {
                // Version 0 has no null; there the empty list means all.
                request.topics = Some(Vec::new());
            }
            request.allow_auto_topic_creation = version < 4;
            request
        };
        let check = |response: &MetadataResponse| Error::check(response.error_code, None);
        self.ask(Target::Any, deadline, build, check).await
    }

    /// Sends a request, and after passing errors again, until the deadline. `check` finds the errors that
    /// stand for the whole answer.
    async fn ask<R: Request>(
        &self,
        target: Target,
        deadline: Instant,
        build: impl Fn(i16) -> R,
        check: impl Fn(&R::Response) -> Result<()>,
    ) -> Result<R::Response> {
        let mut backoff = self.cluster.backoff();
        loop {
            let answer = self.cluster.call(target, deadline, &build).await;
            let checked = answer.and_then(|(response, _)| check(&response).map(|()| response));
            match checked {
                Ok(response) => return Ok(response),
                Err(error) => self.cluster.pause(&mut backoff, error, deadline).await?,
            }
        }
    }
}

/// The outcome of a call for one topic.
fn only<T>(outcomes: Vec<(String, Result<T>)>) -> Result<T> {
    let first = outcomes.into_iter().next();
    first.map_or_else(|| Err(left_out()), |(_, outcome)| outcome)
}

/// What requests say where the broker's own setting counts.
const BROKER_DEFAULT: i32 = -1;

fn by_name(name: &ByteString) -> MetadataRequestTopic {
    let mut topic = MetadataRequestTopic::default();
    topic.name = Some(name.clone());
    topic
}

fn describe(name: &str, topic: &MetadataResponseTopic) -> Result<TopicDescription> {
    Error::check(topic.error_code, None)?;
    let mut partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|partition| PartitionDescription {
            index: partition.partition_index,
            leader: (partition.leader_id >= 0).then_some(partition.leader_id),
            replicas: partition.replica_nodes.to_vec(),
            in_sync_replicas: partition.isr_nodes.to_vec(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    Ok(TopicDescription {
        name: name.to_owned(),
        id: topic.topic_id,
        is_internal: topic.is_internal,
        partitions,
    })
}

/// A broker that no longer is the controller refuses every item alike: then the whole request is to be sent to
/// the new one.
fn refuse_if_not_controller(codes: impl IntoIterator<Item = i16>) -> Result<()> {
    let refused = |code: &i16| *code == ErrorCode::NOT_CONTROLLER.code();
    match codes.into_iter().find(refused) {
        Some(code) => Error::check(code, None),
        None => Ok(()),
    }
}

fn left_out() -> Error {
    Error::new(ErrorKind::Protocol, "the response leaves the topic out")
}
