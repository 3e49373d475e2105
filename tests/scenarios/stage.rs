//! Where a story is told: its cluster, its names, its clients.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafka_broker::control::Control;
use kafka_client::Client;
use kafka_client::admin::{NewTopic, TopicDescription};
use kafka_client::client::ClientBuilder;

use crate::stories::cluster::{Cluster, Power};

/// A cluster, and what one story makes there. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Stage {
    cluster: Arc<dyn Cluster>,
    /// The story, and the run it belongs to: an outside cluster still has what earlier runs left.
    prefix: Arc<str>,
    topics: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    pub(crate) fn new(cluster: Arc<dyn Cluster>, story: &str) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let run = since_1970.unwrap_or_default().as_millis();
        let prefix = format!("{}-{run:x}", story.replace(|c: char| !is_legal(c), "."));
        Self {
            cluster,
            prefix: prefix.into(),
            topics: Arc::default(),
        }
    }

    pub(crate) fn cluster(&self) -> &dyn Cluster {
        &*self.cluster
    }

    /// The switch of the cluster.
    pub(crate) fn power(&self) -> &dyn Power {
        let power = self.cluster.power();
        power.expect("the story says that it needs a cluster of its own")
    }

    /// The faults of the cluster.
    pub(crate) fn control(&self) -> Control {
        let control = self.cluster.control();
        control.expect("the story says that it needs faults")
    }

    /// A name that no other story takes.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    /// A client to be configured. It gives up within a story's time.
    pub(crate) fn client_builder(&self) -> ClientBuilder {
        Client::builder()
            .bootstrap_servers(self.cluster.bootstrap_servers())
            .request_timeout(Duration::from_secs(10))
            .api_timeout(Duration::from_secs(20))
    }

    /// A client of its own.
    pub(crate) fn client(&self) -> Client {
        let client = self.client_builder().build();
        client.expect("the cluster gives an address that clients take")
    }

    /// Makes a topic with this many partitions.
    pub(crate) async fn topic(&self, what: &str, partitions: i32) -> String {
        self.topic_with(NewTopic::new(self.name(what)).partitions(partitions))
            .await
    }

    /// Makes a topic, and waits until the brokers know what the controller has decided.
    pub(crate) async fn topic_with(&self, topic: NewTopic) -> String {
        let admin = self.client().admin();
        let mut outcomes = admin.create_topics([topic]).await.unwrap();
        let (name, outcome) = outcomes.remove(0);
        outcome.unwrap();
        self.topics.lock().unwrap().push(name.clone());
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let (_, known) = admin.describe_topics([&name]).await.unwrap().remove(0);
            let is_led = |topic: &TopicDescription| {
                topic
                    .partitions
                    .iter()
                    .all(|partition| partition.leader.is_some())
            };
            if known.is_ok_and(|topic| is_led(&topic)) {
                return name;
            }
            assert!(Instant::now() < deadline, "{name} did not come to be known");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Deletes the topics again.
    pub(crate) async fn clear(&self) {
        let topics = std::mem::take(&mut *self.topics.lock().unwrap());
        if !topics.is_empty() {
            let _ = self.client().admin().delete_topics(topics).await;
        }
    }
}

fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
