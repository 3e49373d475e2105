//! What we believe about the cluster, and when to ask again.
//!
//! Knows no connection: it says *that* metadata is wanted and takes what came.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;
use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::{
    MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::{ErrorCode, Uuid};

use crate::machine::backoff::Backoff;
use crate::machine::time::{Duration, Instant};

/// The cluster as of one metadata response, laid over what was known before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// How many responses made this view; 0 before the first.
    pub generation: u64,
    /// The cluster's id.
    pub cluster_id: Option<ByteString>,
    /// The broker that takes admin requests.
    pub controller: Option<i32>,
    /// The live brokers by node id.
    pub brokers: BTreeMap<i32, Broker>,
    topics: BTreeMap<ByteString, Arc<Topic>>,
}

/// A broker and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// The advertised host.
    pub host: ByteString,
    /// The advertised port.
    pub port: u16,
    /// Its rack, if it has one.
    pub rack: Option<ByteString>,
}

/// A topic as the cluster last described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The name.
    pub name: ByteString,
    /// The id; zero if the brokers do not tell it.
    pub id: Uuid,
    /// Whether the cluster keeps it for itself.
    pub is_internal: bool,
    /// Why it could not be described, if so; then there are no partitions.
    pub error: Option<ErrorCode>,
    /// The partitions by rising index.
    pub partitions: Vec<Partition>,
}

/// A partition and who leads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its index.
    pub index: i32,
    /// The leader's node id; `None` while there is none.
    pub leader: Option<i32>,
    /// The leader's epoch; -1 if the brokers do not tell it.
    pub leader_epoch: i32,
    /// All replicas.
    pub replicas: Vec<i32>,
    /// The in-sync ones.
    pub in_sync_replicas: Vec<i32>,
}

impl ClusterView {
    /// The topic of this name, if it was ever described.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// All topics that were described.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// The topic with this id.
    #[must_use]
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.values().find(|topic| topic.id == id)
    }

    /// The leader of a partition, if it is known and alive.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.topic(topic)?.partition(partition)?.leader
    }
}

impl Topic {
    /// The partition of this index.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        let at = self
            .partitions
            .binary_search_by_key(&index, |partition| partition.index);
        at.ok().and_then(|at| self.partitions.get(at))
    }

    fn from_response(response: &MetadataResponseTopic, before: Option<&Self>) -> Option<Self> {
        let name = response.name.clone()?;
        let error = match ErrorCode::from(response.error_code) {
            ErrorCode::NONE => None,
            error => Some(error),
        };
        // A topic made again under the same name has a new id: nothing of the old one holds.
        let before = before.filter(|topic| topic.id == response.topic_id);
        let mut partitions: Vec<_> = response
            .partitions
            .iter()
            .map(|partition| {
                let known = before.and_then(|topic| topic.partition(partition.partition_index));
                Partition::from_response(partition, known)
            })
            .collect();
        partitions.sort_by_key(|partition| partition.index);
        partitions.dedup_by_key(|partition| partition.index);
        partitions.retain(|partition| partition.index >= 0);
        Some(Self {
            name,
            id: response.topic_id,
            is_internal: response.is_internal,
            error,
            partitions,
        })
    }
}

impl Partition {
    fn from_response(response: &MetadataResponsePartition, known: Option<&Self>) -> Self {
        // A broker that lags behind may still tell of an older leader: keep the newer one.
        if let Some(known) = known
            && response.leader_epoch >= 0
            && response.leader_epoch < known.leader_epoch
        {
            return known.clone();
        }
        Self {
            index: response.partition_index,
            leader: (response.leader_id >= 0).then_some(response.leader_id),
            leader_epoch: response.leader_epoch,
            replicas: response.replica_nodes.to_vec(),
            in_sync_replicas: response.isr_nodes.to_vec(),
        }
    }
}

/// Keeps the view fresh: what to ask for, and when.
#[derive(Debug)]
pub struct Cluster {
    view: Arc<ClusterView>,
    /// The topics somebody uses.
    interest: BTreeMap<ByteString, ()>,
    max_age: Duration,
    backoff: Backoff,
    /// Metadata is asked for from then on; `None` while a request is under way.
    next_refresh: Option<Instant>,
    /// No refresh before this instant, whoever asks.
    not_before: Instant,
    asked_meanwhile: bool,
    /// The least time between two refreshes.
    pause: Duration,
}

impl Cluster {
    /// Asks at once, then every `max_age`, and on demand with at least `pause` (growing to `pause_max`
    /// while the cluster does not answer) between two requests.
    #[must_use]
    pub fn new(now: Instant, max_age: Duration, pause: Duration, pause_max: Duration) -> Self {
        Self {
            view: Arc::default(),
            interest: BTreeMap::new(),
            max_age,
            backoff: Backoff::new(pause, pause_max),
            next_refresh: Some(now),
            not_before: now,
            asked_meanwhile: false,
            pause,
        }
    }

    /// What is believed now.
    #[must_use]
    pub const fn view(&self) -> &Arc<ClusterView> {
        &self.view
    }

    /// Somebody uses this topic. New topics are asked for soon.
    pub fn handle_interest(&mut self, now: Instant, topic: &ByteString) {
        if self.interest.insert(topic.clone(), ()).is_none() {
            // A topic nobody asked for yet says nothing about the cluster's health: no pause.
            self.not_before = self.not_before.min(now);
            self.handle_refresh_wanted(now);
        }
    }

    /// Something showed that the view may be old.
    pub fn handle_refresh_wanted(&mut self, now: Instant) {
        match &mut self.next_refresh {
            Some(next) => *next = (*next).min(now),
            None => self.asked_meanwhile = true,
        }
    }

    /// The topics to ask for, if it is time. The answer goes to [`handle_response`](Self::handle_response)
    /// or [`handle_failure`](Self::handle_failure); until then nothing more is asked.
    pub fn poll_refresh(&mut self, now: Instant) -> Option<Vec<ByteString>> {
        if self.poll_deadline()? > now {
            return None;
        }
        self.next_refresh = None;
        self.asked_meanwhile = false;
        Some(self.interest.keys().cloned().collect())
    }

    /// When to ask [`poll_refresh`](Self::poll_refresh) again; `None` while a request is under way.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.next_refresh.map(|next| next.max(self.not_before))
    }

    /// The cluster answered.
    pub fn handle_response(&mut self, now: Instant, response: &MetadataResponse) {
        self.backoff.reset();
        self.not_before = now + self.pause;
        let next = if self.asked_meanwhile {
            now
        } else {
            now + self.max_age
        };
        self.next_refresh = Some(next);
        self.view = Arc::new(self.merged(response));
    }

    /// Nobody answered.
    pub fn handle_failure(&mut self, now: Instant, random: u32) {
        self.not_before = now + self.backoff.next_wait(random);
        self.next_refresh = Some(now);
    }

    fn merged(&self, response: &MetadataResponse) -> ClusterView {
        let brokers: BTreeMap<_, _> = response
            .brokers
            .iter()
            .filter_map(|broker| {
                let port = u16::try_from(broker.port).ok().filter(|port| *port != 0)?;
                let valid = broker.node_id >= 0 && !broker.host.is_empty();
                valid.then(|| {
                    let known = Broker {
                        id: broker.node_id,
                        host: broker.host.clone(),
                        port,
                        rack: broker.rack.clone(),
                    };
                    (broker.node_id, known)
                })
            })
            .collect();
        let mut topics = self.view.topics.clone();
        topics.retain(|name, _| self.interest.contains_key(name));
        for topic in &response.topics {
            let before = topic.name.as_ref().and_then(|name| topics.get(name));
            if let Some(topic) = Topic::from_response(topic, before.map(|topic| &**topic)) {
                topics.insert(topic.name.clone(), Arc::new(topic));
            }
        }
        ClusterView {
            generation: self.view.generation + 1,
            cluster_id: response.cluster_id.clone(),
            controller: Some(response.controller_id).filter(|id| brokers.contains_key(id)),
            brokers,
            topics,
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::MetadataResponseBroker;

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::after_start(Duration::from_millis(ms))
    }

    fn cluster() -> Cluster {
        let ms = Duration::from_millis;
        Cluster::new(at(0), ms(300_000), ms(100), ms(1000))
    }

    fn response(leader: i32, epoch: i32, id: u8) -> MetadataResponse {
        let mut partition = MetadataResponsePartition::default();
        partition.leader_id = leader;
        partition.leader_epoch = epoch;
        let mut topic = MetadataResponseTopic::default();
        topic.name = Some(ByteString::from_static("orders"));
        topic.topic_id = Uuid([id; 16]);
        topic.partitions.push(partition);
        let mut broker = MetadataResponseBroker::default();
        broker.node_id = 1;
        broker.host = ByteString::from_static("localhost");
        broker.port = 9092;
        let mut response = MetadataResponse::default();
        response.brokers.push(broker);
        response.topics.push(topic);
        response.controller_id = 1;
        response
    }

    #[test]
    fn asks_at_once_then_when_the_view_is_old_or_somebody_wants_it() {
        let mut cluster = cluster();
        assert_eq!(cluster.poll_refresh(at(0)), Some(vec![]));
        assert_eq!(cluster.poll_refresh(at(0)), None, "one request at a time");
        cluster.handle_response(at(5), &response(1, 0, 1));
        assert_eq!(cluster.poll_deadline(), Some(at(300_005)));
        cluster.handle_refresh_wanted(at(10));
        assert_eq!(
            cluster.poll_deadline(),
            Some(at(105)),
            "never more often than the pause"
        );
        assert_eq!(cluster.poll_refresh(at(105)), Some(vec![]));
        cluster.handle_refresh_wanted(at(106));
        cluster.handle_response(at(107), &response(1, 0, 1));
        assert_eq!(
            cluster.poll_deadline(),
            Some(at(207)),
            "wanted while one was under way"
        );
    }

    #[test]
    fn a_new_topic_is_asked_for_without_a_pause() {
        let mut cluster = cluster();
        cluster.poll_refresh(at(0)).unwrap();
        cluster.handle_response(at(5), &MetadataResponse::default());
        let orders = ByteString::from_static("orders");
        cluster.handle_interest(at(6), &orders);
        assert_eq!(cluster.poll_refresh(at(6)), Some(vec![orders.clone()]));
        cluster.handle_response(at(7), &response(1, 0, 1));
        cluster.handle_interest(at(8), &orders);
        assert_eq!(cluster.poll_refresh(at(8)), None, "known by now");
        assert_eq!(cluster.view().leader("orders", 0), Some(1));
    }

    #[test]
    fn failures_back_off() {
        let mut cluster = cluster();
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..5 {
            cluster.poll_refresh(now).unwrap();
            cluster.handle_failure(now, 200);
            let next = cluster.poll_deadline().unwrap();
            waits.push(next.saturating_since(now).as_millis());
            now = next;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1000]);
    }

    #[test]
    fn an_older_leader_epoch_does_not_win_unless_the_topic_is_a_new_one() {
        let mut cluster = cluster();
        cluster.handle_interest(at(0), &ByteString::from_static("orders"));
        cluster.handle_response(at(1), &response(2, 7, 1));
        cluster.handle_response(at(2), &response(3, 6, 1));
        assert_eq!(cluster.view().leader("orders", 0), Some(2));
        cluster.handle_response(at(3), &response(3, 8, 1));
        assert_eq!(cluster.view().leader("orders", 0), Some(3));
        cluster.handle_response(at(4), &response(1, 0, 2));
        assert_eq!(cluster.view().leader("orders", 0), Some(1));
    }

    #[test]
    fn nonsense_brokers_and_partitions_are_left_out() {
        let mut cluster = cluster();
        let mut poisoned = response(-1, 0, 1);
        poisoned.controller_id = 9;
        for (id, host, port) in [(2, "", 1), (-3, "a", 1), (4, "a", 0), (5, "a", 70_000)] {
            let mut broker = MetadataResponseBroker::default();
            broker.node_id = id;
            broker.host = ByteString::from_static(host);
            broker.port = port;
            poisoned.brokers.push(broker);
        }
        let mut partition = MetadataResponsePartition::default();
        partition.partition_index = -1;
        poisoned.topics[0].partitions.push(partition);
        cluster.handle_response(at(1), &poisoned);
        let view = cluster.view();
        assert_eq!(view.brokers.keys().collect::<Vec<_>>(), [&1]);
        assert_eq!(view.controller, None);
        let topic = view.topic("orders").unwrap();
        assert_eq!(topic.partitions.len(), 1);
        assert_eq!(topic.partitions[0].leader, None);
    }
}
