//! The same faces without a runtime in sight, for threads.
//!
//! A blocking client owns a runtime with one thread of its own. Its calls may be made from any thread that does
//! not itself run async code; from there they are refused with an error rather than blocking a runtime.
//!
//! ```no_run
//! use kafka_client::blocking::Client;
//! use kafka_client::Record;
//!
//! # fn main() -> kafka_client::Result<()> {
//! let client = Client::builder().bootstrap_servers("localhost:9092").build_blocking()?;
//! let producer = client.producer(|producer| producer)?;
//! let written = producer.send(Record::to("orders").key("k").value("v"))?;
//! println!("{} at {}", written.partition, written.offset);
//! # Ok(())
//! # }
//! ```

pub mod consumer;
pub mod producer;
mod runtime;

use std::time::Duration;

pub use consumer::{Consumer, Events};
pub use producer::{BulkTicket, Producer, Ticket, TopicProducer};

use crate::admin::{NewTopic, TopicDescription, TopicListing};
use crate::blocking::runtime::Runtime;
use crate::client::ClientBuilder;
use crate::consumer::ConsumerBuilder;
use crate::error::Result;
use crate::producer::ProducerBuilder;

/// A client of one cluster, for threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    runtime: Runtime,
    client: crate::client::Client,
}

impl ClientBuilder {
    /// As [`build`](Self::build), for threads.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and if the operating system gives no thread.
    pub fn build_blocking(self) -> Result<Client> {
        Ok(Client {
            client: self.build()?,
            runtime: Runtime::new()?,
        })
    }
}

impl Client {
    /// A client to be configured; [`ClientBuilder::build_blocking`] ends it.
    pub fn builder() -> ClientBuilder {
        crate::client::Client::builder()
    }

    /// A producer with the settings that `configure` makes. Does no I/O.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config), naming the property.
    pub fn producer(
        &self,
        configure: impl FnOnce(ProducerBuilder) -> ProducerBuilder,
    ) -> Result<Producer> {
        let producer = configure(self.client.producer()).build()?;
        Ok(Producer::new(self.runtime.clone(), producer))
    }

    /// A consumer with what `configure` makes of it. Does no I/O.
    ///
    /// # Errors
    ///
    /// As [`ConsumerBuilder::build`].
    pub fn consumer(
        &self,
        configure: impl FnOnce(ConsumerBuilder) -> ConsumerBuilder,
    ) -> Result<Consumer> {
        let consumer = configure(self.client.consumer()).build()?;
        Ok(Consumer::new(self.runtime.clone(), consumer))
    }

    /// As [`Client::ready`](crate::Client::ready).
    ///
    /// # Errors
    ///
    /// As there, and from inside async code.
    pub fn ready(&self, timeout: Duration) -> Result<()> {
        self.runtime.block_on(self.client.ready(timeout))?
    }

    /// As [`Admin::create_topic`](crate::admin::Admin::create_topic).
    ///
    /// # Errors
    ///
    /// As there, and from inside async code.
    pub fn create_topic(&self, topic: NewTopic) -> Result<kafka_protocol::Uuid> {
        self.runtime
            .block_on(self.client.admin().create_topic(topic))?
    }

    /// As [`Admin::delete_topic`](crate::admin::Admin::delete_topic).
    ///
    /// # Errors
    ///
    /// As there, and from inside async code.
    pub fn delete_topic(&self, name: impl Into<String>) -> Result<()> {
        self.runtime
            .block_on(self.client.admin().delete_topic(name))?
    }

    /// As [`Admin::describe_topic`](crate::admin::Admin::describe_topic).
    ///
    /// # Errors
    ///
    /// As there, and from inside async code.
    pub fn describe_topic(&self, name: impl Into<String>) -> Result<TopicDescription> {
        self.runtime
            .block_on(self.client.admin().describe_topic(name))?
    }

    /// As [`Admin::create_topics`](crate::admin::Admin::create_topics).
    ///
    /// # Errors
    ///
    /// As there, and from inside async code.
    pub fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> Result<Vec<(String, Result<kafka_protocol::Uuid>)>> {
        self.runtime
            .block_on(self.client.admin().create_topics(topics))?
    }

    /// As [`Admin::delete_topics`](crate::admin::Admin::delete_topics).
    ///
    /// # Errors
    ///
    /// As there, and from inside async code.
    pub fn delete_topics(
        &self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Vec<(String, Result<()>)>> {
        self.runtime
            .block_on(self.client.admin().delete_topics(names))?
    }

    /// As [`Admin::list_topics`](crate::admin::Admin::list_topics).
    ///
    /// # Errors
    ///
    /// As there, and from inside async code.
    pub fn list_topics(&self) -> Result<Vec<TopicListing>> {
        self.runtime.block_on(self.client.admin().list_topics())?
    }

    /// As [`Admin::describe_topics`](crate::admin::Admin::describe_topics).
    ///
    /// # Errors
    ///
    /// As there, and from inside async code.
    pub fn describe_topics(
        &self,
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Vec<(String, Result<TopicDescription>)>> {
        self.runtime
            .block_on(self.client.admin().describe_topics(names))?
    }

    /// As [`Client::close_within`](crate::Client::close_within).
    ///
    /// # Errors
    ///
    /// From inside async code.
    pub fn close_within(&self, timeout: Duration) -> Result<usize> {
        self.runtime.block_on(self.client.close_within(timeout))
    }
}
