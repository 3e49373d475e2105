//! Sending records from threads.

use std::time::Duration;

use crate::blocking::runtime::Runtime;
use crate::error::Result;
use crate::record::{Record, RecordMetadata};

/// Sends records to any topic, from threads. Cheap to clone. As the [async one](crate::Producer), and with its
/// rules.
#[derive(Clone, Debug)]
pub struct Producer {
    runtime: Runtime,
    producer: crate::producer::Producer,
}

impl Producer {
    pub(crate) const fn new(runtime: Runtime, producer: crate::producer::Producer) -> Self {
        Self { runtime, producer }
    }

    /// Sends a record and waits for its acknowledgement.
    ///
    /// # Errors
    ///
    /// As [`Producer::send`](crate::Producer::send), and from inside async code.
    pub fn send(&self, record: Record<'_>) -> Result<RecordMetadata> {
        self.runtime.block_on(self.producer.send(record))?
    }

    /// Puts a record into its batch and gives a ticket for its acknowledgement.
    ///
    /// # Errors
    ///
    /// As [`Producer::enqueue`](crate::Producer::enqueue), and from inside async code.
    pub fn enqueue(&self, record: Record<'_>) -> Result<Ticket> {
        let ticket = self.runtime.block_on(self.producer.enqueue(record))??;
        Ok(Ticket {
            runtime: self.runtime.clone(),
            ticket,
        })
    }

    /// A handle for one topic. Does no I/O: a topic that does not exist shows at the first send.
    #[must_use]
    pub fn topic(&self, name: &str) -> TopicProducer {
        TopicProducer {
            runtime: self.runtime.clone(),
            topic: self.producer.topic(name),
        }
    }

    /// Waits until the fate of all that was enqueued before is known.
    ///
    /// # Errors
    ///
    /// From inside async code.
    pub fn flush(&self) -> Result<()> {
        self.runtime.block_on(self.producer.flush())
    }

    /// Flushes, then ends the producer. Returns how many records were not sent within `timeout`.
    ///
    /// # Errors
    ///
    /// From inside async code.
    pub fn close_within(&self, timeout: Duration) -> Result<usize> {
        self.runtime.block_on(self.producer.close_within(timeout))
    }
}

/// A topic of a producer, resolved once: sending through it looks nothing up. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TopicProducer {
    runtime: Runtime,
    topic: crate::producer::TopicProducer,
}

impl TopicProducer {
    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.topic.name()
    }

    /// Waits until the topic is known; returns the number of its partitions.
    ///
    /// # Errors
    ///
    /// As [`TopicProducer::ready`](crate::producer::TopicProducer::ready), and from inside async code.
    pub fn ready(&self) -> Result<usize> {
        self.runtime.block_on(self.topic.ready())?
    }

    /// As [`Producer::send`]; the topic that the record names is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Producer::send`].
    pub fn send(&self, record: Record<'_>) -> Result<RecordMetadata> {
        self.runtime.block_on(self.topic.send(record))?
    }

    /// As [`Producer::enqueue`]; the topic that the record names is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Producer::enqueue`].
    pub fn enqueue(&self, record: Record<'_>) -> Result<Ticket> {
        let ticket = self.runtime.block_on(self.topic.enqueue(record))??;
        Ok(Ticket {
            runtime: self.runtime.clone(),
            ticket,
        })
    }

    /// Puts many records into batches under one lock each; gives one ticket for all of them.
    ///
    /// # Errors
    ///
    /// As [`TopicProducer::send_batch`](crate::producer::TopicProducer::send_batch), and from inside async code.
    pub fn send_batch(&self, records: &[Record<'_>]) -> Result<BulkTicket> {
        let ticket = self.runtime.block_on(self.topic.send_batch(records))??;
        Ok(BulkTicket {
            runtime: self.runtime.clone(),
            ticket,
        })
    }
}

/// A place in line for the acknowledgement of one record.
#[derive(Clone, Debug)]
#[must_use = "an acknowledgement tells whether the record was written"]
pub struct Ticket {
    runtime: Runtime,
    ticket: crate::producer::Ticket,
}

impl Ticket {
    /// The partition the record goes to.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.ticket.partition()
    }

    /// The outcome, if it is known by now.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<RecordMetadata>> {
        self.ticket.outcome()
    }

    /// Waits for the acknowledgement.
    ///
    /// # Errors
    ///
    /// What kept the record from being written; from inside async code.
    pub fn wait(self) -> Result<RecordMetadata> {
        let Self { runtime, ticket } = self;
        runtime.block_on(ticket)?
    }
}

/// The acknowledgement of many records that were sent in one call.
#[derive(Debug)]
#[must_use = "an acknowledgement tells whether the records were written"]
pub struct BulkTicket {
    runtime: Runtime,
    ticket: crate::producer::BulkTicket,
}

impl BulkTicket {
    /// Waits until all records are written; returns their number.
    ///
    /// # Errors
    ///
    /// What kept the first of those that failed from being written; from inside async code.
    pub fn wait(self) -> Result<usize> {
        let Self { runtime, ticket } = self;
        runtime.block_on(ticket)?
    }
}
