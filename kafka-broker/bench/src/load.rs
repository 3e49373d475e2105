//! What a broker is put under: appends and fetches, as raw as they can be.

use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProduceRequest};
use kafka_protocol::record::BatchHeader;

use crate::connection::Connection;
use crate::failure::{Failure, check};
use crate::topic::{Batch, DATA_VERSION, append_frame, check_appended};

/// Appends a batch over and over, each partition by a connection of its own, with several requests
/// under way; at most `rate` bytes a second together. Gives how many batches were appended.
pub(crate) fn append(
    address: &str,
    topic: &str,
    partitions: i32,
    batch: &Batch,
    batches: usize,
    rate: Option<f64>,
) -> Result<usize, Failure> {
    let count = usize::try_from(partitions)?;
    let each = batches.div_ceil(count);
    let pace = rate.map(|rate| batch.bytes.len() as f64 * count as f64 / rate);
    let one = |partition| -> Result<(), Failure> {
        let mut connection = Connection::open(address)?;
        let frame = append_frame(topic, partition, batch)?;
        let began = Instant::now();
        let mut answered = 0;
        for sent in 0..each {
            if let Some(pace) = pace {
                let due = began + Duration::from_secs_f64(pace * sent as f64);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            connection.send(&frame)?;
            if sent - answered >= UNDER_WAY {
                check_appended(&connection.receive::<ProduceRequest>(DATA_VERSION)?)?;
                answered += 1;
            }
        }
        for _ in answered..each {
            check_appended(&connection.receive::<ProduceRequest>(DATA_VERSION)?)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..partitions)
            .map(|partition| scope.spawn(move || one(partition)))
            .collect();
        threads.into_iter().try_for_each(joined)
    })?;
    Ok(each * count)
}

/// Reads a partition from an offset on, one request at a time. Decodes no record.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Connection,
    request: FetchRequest,
    /// Where the next fetch begins.
    pub(crate) offset: i64,
}

impl Reader {
    /// A reader of `max_bytes` at a time.
    pub(crate) fn open(
        address: &str,
        topic: &str,
        partition: i32,
        max_bytes: i32,
    ) -> Result<Self, Failure> {
        let mut row = FetchPartition::default();
        row.partition = partition;
        row.partition_max_bytes = max_bytes;
        let mut named = FetchTopic::default();
        named.topic = topic.into();
        named.partitions.push(row);
        let mut request = FetchRequest::default();
        request.max_wait_ms = 500;
        request.min_bytes = 1;
        request.topics.push(named);
        Ok(Self {
            connection: Connection::open(address)?,
            request,
            offset: 0,
        })
    }

    /// Asks for more.
    pub(crate) fn send(&mut self) -> Result<(), Failure> {
        let partitions = self
            .request
            .topics
            .iter_mut()
            .flat_map(|t| &mut t.partitions);
        for partition in partitions {
            partition.fetch_offset = self.offset;
        }
        let frame = crate::connection::frame_of(&self.request, DATA_VERSION)?;
        self.connection.send(&frame)
    }

    /// Takes the answer, and goes on behind it. Gives the bytes of batches.
    pub(crate) fn receive(&mut self) -> Result<usize, Failure> {
        let response: FetchResponse = self.connection.receive::<FetchRequest>(DATA_VERSION)?;
        check("fetch", response.error_code)?;
        let mut bytes = 0;
        for partition in response
            .responses
            .iter()
            .flat_map(|topic| &topic.partitions)
        {
            check("fetch", partition.error_code)?;
            let mut rest = partition.records.clone().unwrap_or_default();
            bytes += rest.len();
            // The last batch may be cut off, as real Kafka does.
            while let Ok(header) = BatchHeader::decode(&rest) {
                if rest.len() < header.total_len() {
                    break;
                }
                self.offset = header.next_offset();
                let _ = rest.split_to(header.total_len());
            }
        }
        Ok(bytes)
    }

    /// Reads until `end`, for at most `patience`. Gives the bytes that came.
    pub(crate) fn read_to(&mut self, end: i64, patience: Duration) -> Result<usize, Failure> {
        let mut bytes = 0;
        let deadline = Instant::now() + patience;
        while self.offset < end {
            self.send()?;
            bytes += self.receive()?;
            if Instant::now() > deadline {
                return Err(format!("offset {} of {end} after {patience:?}", self.offset).into());
            }
        }
        Ok(bytes)
    }
}

/// What a thread has come to.
pub(crate) fn joined<T>(
    thread: thread::ScopedJoinHandle<'_, Result<T, Failure>>,
) -> Result<T, Failure> {
    thread
        .join()
        .unwrap_or_else(|_| Err("a thread has panicked".into()))
}

/// Requests of one connection that wait for their answers.
const UNDER_WAY: usize = 4;
