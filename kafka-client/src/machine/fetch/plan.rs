//! What to ask of which broker, and how it is said.

use std::collections::BTreeMap;

use bytestring::ByteString;
use kafka_protocol::Uuid;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};

use crate::config::consumer::IsolationLevel;
use crate::machine::subscription::Subscription;
use crate::machine::time::{Duration, Instant};
use crate::record::topic_partition::TopicPartition;

/// One fetch: to one leader, for those of its partitions that can use an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FetchPlan {
    /// Tells this fetch from earlier ones to the same node.
    pub(crate) call: u64,
    pub(crate) node: i32,
    /// The longest not served come first: brokers fill an answer in this order.
    pub(crate) partitions: Vec<Asked>,
    pub(crate) max_bytes: i32,
    pub(crate) max_partition_bytes: i32,
    pub(crate) min_bytes: i32,
    pub(crate) max_wait: Duration,
    pub(crate) isolation: IsolationLevel,
}

/// One partition of a fetch, as it stood when the fetch was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) partition: TopicPartition,
    pub(crate) topic_id: Uuid,
    pub(crate) stint: u64,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    /// The epoch of the record before the offset; -1 if not known.
    pub(crate) fetched_epoch: i32,
}

impl FetchPlan {
    /// Whether a topic without an id is asked for: such a fetch must name its topics, as version 12 and
    /// earlier do.
    pub(crate) fn needs_names(&self) -> bool {
        let nil = Uuid::default();
        self.partitions.iter().any(|asked| asked.topic_id == nil)
    }

    /// The request, without a fetch session. Where the version knows how, the leader is told what was read
    /// last, so that it can tell whether its log still holds that (KIP-320).
    pub(crate) fn request(&self, version: i16) -> FetchRequest {
        let mut request = FetchRequest::default();
        request.replica_id = CONSUMER;
        request.max_wait_ms = i32::try_from(self.max_wait.as_millis()).unwrap_or(i32::MAX);
        request.min_bytes = self.min_bytes;
        request.max_bytes = self.max_bytes;
        request.isolation_level = self.isolation.code();
        request.session_id = 0;
        request.session_epoch = NO_SESSION;
        let mut places: BTreeMap<&ByteString, usize> = BTreeMap::new();
        for asked in &self.partitions {
            let place = *places.entry(asked.partition.name()).or_insert_with(|| {
                let mut topic = FetchTopic::default();
                topic.topic = asked.partition.name().clone();
                topic.topic_id = asked.topic_id;
                request.topics.push(topic);
                request.topics.len() - 1
            });
            let mut partition = FetchPartition::default();
            partition.partition = asked.partition.partition();
            partition.current_leader_epoch = asked.leader_epoch;
            partition.fetch_offset = asked.offset;
            if version >= DIVERGING_EPOCH {
                partition.last_fetched_epoch = asked.fetched_epoch;
            }
            partition.partition_max_bytes = self.max_partition_bytes;
            if let Some(topic) = request.topics.get_mut(place) {
                topic.partitions.push(partition);
            }
        }
        request
    }
}

/// Which partitions each leader could be asked for at the moment, the longest not served first.
pub(crate) fn candidates(now: Instant, subscription: &Subscription) -> BTreeMap<i32, Vec<Asked>> {
    let mut ranked: BTreeMap<i32, Vec<(u64, Asked)>> = BTreeMap::new();
    for (tp, partition) in subscription.partitions() {
        let (Some(position), Some(leader)) = (partition.position(), partition.leader) else {
            continue;
        };
        if partition.paused || partition.waits_until(now).is_some() {
            continue;
        }
        let asked = Asked {
            partition: tp.clone(),
            topic_id: subscription.topic_id(tp.topic()),
            stint: partition.stint,
            offset: position.offset,
            leader_epoch: leader.epoch,
            fetched_epoch: position.epoch,
        };
        ranked
            .entry(leader.node)
            .or_default()
            .push((partition.served, asked));
    }
    ranked
        .into_iter()
        .map(|(node, mut partitions)| {
            partitions.sort_by_key(|(served, _)| *served);
            let partitions = partitions.into_iter().map(|(_, asked)| asked).collect();
            (node, partitions)
        })
        .collect()
}

/// The first version of Fetch in which a leader tells where logs part.
const DIVERGING_EPOCH: i16 = 12;
/// Who asks, in requests that replicas send too.
const CONSUMER: i32 = -1;
/// The session epoch of a fetch that neither is part of a session nor opens one.
const NO_SESSION: i32 = -1;
