//! The shared handle: one cluster, its connections, and the roles made from it.

use std::fmt;
use std::time::Duration;

use crate::admin::Admin;
use crate::config::client::ClientConfig;
use crate::consumer::ConsumerBuilder;
use crate::driver::clock;
use crate::driver::cluster_task::ClusterHandle;
use crate::error::Result;
use crate::producer::ProducerBuilder;

/// A client of one cluster. Cheap to clone; producers, consumers and admin handles made from it share its
/// connections and its picture of the cluster.
///
/// Building one does no I/O. The first call that needs the cluster opens connections, from inside a tokio
/// runtime; outside one use [`blocking`](crate::blocking). With the last handle everything ends, without
/// blocking; [`close_within`](Self::close_within) waits for it.
#[derive(Clone, Debug)]
pub struct Client {
    cluster: ClusterHandle,
}

impl Client {
    /// A client to be configured.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A producer to be configured.
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(self.cluster.clone())
    }

    /// A consumer to be configured.
    pub fn consumer(&self) -> ConsumerBuilder {
        ConsumerBuilder::new(self.cluster.clone())
    }

    /// The operator's face.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.cluster.clone())
    }

    /// Waits until the cluster answers, for those who want to fail early.
    ///
    /// # Errors
    ///
    /// At once what will not pass by itself, if each address met with it, such as [`Protocol`](crate::ErrorKind::Protocol) where
    /// something else than a broker answers; otherwise [`Timeout`](crate::ErrorKind::Timeout) with what kept us from the cluster,
    /// after `timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting and nothing else.
    pub async fn ready(&self, timeout: Duration) -> Result<()> {
        let deadline = clock::now() + timeout;
        let detail = "the cluster did not answer in time";
        self.cluster.known(deadline, detail).await
    }

    /// Ends all connections and tasks, and with them whatever producers and consumers of this client do. Returns
    /// how many tasks did not end within `timeout` and were aborted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the rest to end by itself.
    pub async fn close_within(&self, timeout: Duration) -> usize {
        self.cluster.close(clock::now() + timeout).await
    }
}

/// Configures a [`Client`]; the settings and their defaults are those of [`ClientConfig`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    config: ClientConfig,
}

impl ClientBuilder {
    /// Where to meet the cluster (`bootstrap.servers`): `HOST:PORT`, several separated by commas. One that
    /// answers is enough.
    pub fn bootstrap_servers(mut self, servers: impl fmt::Display) -> Self {
        let servers = servers.to_string();
        let servers = servers
            .split(',')
            .map(str::trim)
            .filter(|server| !server.is_empty());
        self.config.bootstrap_servers = servers.map(str::to_owned).collect();
        self
    }

    /// The name under which brokers log the client (`client.id`).
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.config.client_id = client_id.into();
        self
    }

    /// How long one request may take (`request.timeout.ms`).
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.config.request_timeout = timeout;
        self
    }

    /// How long a call may take with all its attempts (`default.api.timeout.ms`).
    pub fn api_timeout(mut self, timeout: Duration) -> Self {
        self.config.api_timeout = timeout;
        self
    }

    /// How long opening a connection may take, its handshake included
    /// (`socket.connection.setup.timeout.ms`).
    pub fn connection_setup_timeout(mut self, timeout: Duration) -> Self {
        self.config.connection_setup_timeout = timeout;
        self
    }

    /// How long to wait before a request that failed is sent again (`retry.backoff.ms`); twice as long each time.
    pub fn retry_backoff(mut self, wait: Duration) -> Self {
        self.config.retry_backoff = wait;
        self
    }

    /// How long to wait before a request is sent again at most (`retry.backoff.max.ms`).
    pub fn retry_backoff_max(mut self, wait: Duration) -> Self {
        self.config.retry_backoff_max = wait;
        self
    }

    /// How long to wait before a broker that could not be reached is tried again (`reconnect.backoff.ms`); twice as
    /// long each time.
    pub fn reconnect_backoff(mut self, wait: Duration) -> Self {
        self.config.reconnect_backoff = wait;
        self
    }

    /// How long to wait before a broker is tried again at most (`reconnect.backoff.max.ms`).
    pub fn reconnect_backoff_max(mut self, wait: Duration) -> Self {
        self.config.reconnect_backoff_max = wait;
        self
    }

    /// The most bytes that one answer may have. A broker that claims more loses its connection.
    pub fn response_bytes_max(mut self, bytes: usize) -> Self {
        self.config.response_bytes_max = bytes;
        self
    }

    /// How old the picture of the cluster may become (`metadata.max.age.ms`).
    pub fn metadata_max_age(mut self, age: Duration) -> Self {
        self.config.metadata_max_age = age;
        self
    }

    /// Whether brokers may create a topic that this client names and that does not exist
    /// (`allow.auto.create.topics`), if they are set up to do so. Off, other than in the Java client: a
    /// misspelt topic is an error, and one that was deleted is not brought back by who still reads it.
    pub fn allow_auto_create_topics(mut self, allow: bool) -> Self {
        self.config.allow_auto_create_topics = allow;
        self
    }

    /// Checks the settings. Does no I/O.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config), naming the property.
    pub fn build(self) -> Result<Client> {
        self.config.validate()?;
        Ok(Client {
            cluster: ClusterHandle::new(self.config),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::NewTopic;
    use crate::record::Record;

    #[test]
    fn handles_are_shown_in_a_line() {
        let client = Client::builder().bootstrap_servers("one:1,two:2");
        let client = client.client_id("me").build().unwrap();
        let producer = client.producer().build().unwrap();
        let consumer = client.consumer().group("billing").subscribe(["orders"]);
        let consumer = consumer.build().unwrap();
        for (text, names) in [
            (format!("{client:?}"), ""),
            (format!("{:?}", client.admin()), ""),
            (format!("{producer:?}"), ""),
            (format!("{:?}", producer.topic("orders")), "\"orders\""),
            (format!("{consumer:?}"), "billing"),
            (format!("{consumer:?}"), "orders"),
        ] {
            assert!(text.len() < 200, "{text}");
            for part in ["one:1", "two:2", "me", names] {
                assert!(text.contains(part), "{part} is not in: {text}");
            }
        }
    }

    /// Compiles only if what the calls return can be sent to another thread, also where an async fn that
    /// borrows stands between: closures and iterators held while waiting would forbid it.
    #[test]
    fn every_call_can_be_made_in_a_spawned_task() {
        fn spawnable<F: Future + Send>(_: impl FnOnce(Client) -> F) {}
        async fn produce(client: &Client, value: &[u8]) -> Result<()> {
            let producer = client.producer().build()?;
            let topic = producer.topic("t");
            topic.send(Record::of(value)).await?;
            topic.enqueue(Record::of(value)).await?.await?;
            topic.send_batch(&[Record::of(value)]).await?.await?;
            producer.flush().await;
            producer.close_within(Duration::ZERO).await;
            Ok(())
        }
        async fn consume(client: &Client, topics: &[&str]) -> Result<()> {
            let consumer = client.consumer().group("g").subscribe(topics.to_vec());
            let consumer = consumer.build()?;
            if let Some(record) = consumer.next().await? {
                consumer.commit_record(&record).await?;
            }
            consumer.next_batch().await?;
            consumer.commit().await?;
            consumer.close_within(Duration::ZERO).await
        }
        async fn administer(client: &Client, name: &str) -> Result<()> {
            let admin = client.admin();
            admin.create_topics([NewTopic::new(name)]).await?;
            admin.list_topics().await?;
            admin.describe_topics([name]).await?;
            admin.delete_topics([name]).await?;
            client.ready(Duration::ZERO).await?;
            client.close_within(Duration::ZERO).await;
            Ok(())
        }
        spawnable(|client| async move { produce(&client, &[]).await });
        spawnable(|client| async move { consume(&client, &[]).await });
        spawnable(|client| async move { administer(&client, "t").await });
    }
}
