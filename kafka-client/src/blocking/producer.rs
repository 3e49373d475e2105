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

/// A place in line for the acknowledgement of one record.
#[derive(Clone, Debug)]
#[must_use = "an acknowledgement tells whether the record was written"]
pub struct Ticket {
    runtime: Runtime,
    ticket: crate::producer::Ticket,
}

impl Ticket {
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
