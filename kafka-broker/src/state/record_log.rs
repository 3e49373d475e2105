//! Reading and writing records of the broker's own topics: key and value, no headers.

use bytes::Bytes;
use kafka_protocol::compression::{DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{
    Batch, BatchBuilder, BatchHeader, BatchOptions, ProducerStamp, RecordError,
};

use crate::log::{AppendOrigin, LogError};
use crate::state::partition::{Partition, PartitionError, ReadRequest};

/// A key and a value, each of which may be missing.
pub(crate) type Pair = (Option<Bytes>, Option<Bytes>);

/// Appends records, as few batches as the topic allows, each of them whole or not at all.
pub(crate) fn append(
    partition: &Partition,
    records: impl IntoIterator<Item = Pair>,
    now_ms: i64,
) -> Result<(), PartitionError> {
    let mut batch = begin();
    for (key, value) in records {
        let (key, value) = (key.as_deref(), value.as_deref());
        if batch.append(now_ms, key, value, NO_HEADERS).is_ok() {
            continue;
        }
        if batch.count() > 0 {
            let full = std::mem::replace(&mut batch, begin());
            write(partition, full, now_ms)?;
        }
        if batch.append(now_ms, key, value, NO_HEADERS).is_err() {
            // Larger than a batch should be, it goes alone; whether it is too large is the log's to say.
            let mut alone = BatchBuilder::new(Vec::new(), BatchOptions::new());
            alone
                .append(now_ms, key, value, NO_HEADERS)
                .map_err(|error| LogError::InvalidRecord {
                    reason: error.to_string(),
                })?;
            write(partition, alone, now_ms)?;
        }
    }
    if batch.count() > 0 {
        write(partition, batch, now_ms)?;
    }
    Ok(())
}

/// Reads all records from the beginning on, batch by batch.
pub(crate) fn read_all(partition: &Partition, mut take: impl FnMut(Pair)) -> Result<(), ReadError> {
    let mut offset = partition.marks()?.log_start_offset;
    let mut decompressor = Decompressor::new();
    let mut buffer = Vec::new();
    loop {
        let found = partition.read(ReadRequest {
            offset,
            max_bytes: READ_BYTES,
            at_least_one: true,
            committed: false,
        })?;
        if found.data.is_empty() {
            return Ok(());
        }
        offset = found.data.next_offset;
        let mut bytes = found.data.load().map_err(PartitionError::Log)?;
        while let Ok(header) = BatchHeader::decode(&bytes) {
            let whole = header.total_len().min(bytes.len());
            let batch = Batch::decode(bytes.split_to(whole))?;
            if header.attributes.is_control() {
                continue;
            }
            for record in batch.records(&mut decompressor, &mut buffer, DECOMPRESSED_MAX)? {
                let record = record?;
                let copy = |part: Option<&[u8]>| part.map(Bytes::copy_from_slice);
                take((copy(record.key), copy(record.value)));
            }
        }
    }
}

/// Why records could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The partition refuses.
    Partition(PartitionError),
    /// The bytes are no records.
    Record(RecordError),
}

impl From<PartitionError> for ReadError {
    fn from(error: PartitionError) -> Self {
        Self::Partition(error)
    }
}

impl From<RecordError> for ReadError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Partition(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
        }
    }
}

fn begin() -> BatchBuilder {
    BatchBuilder::new(Vec::new(), BatchOptions::new().max_len(BATCH_MAX))
}

fn write(partition: &Partition, batch: BatchBuilder, now_ms: i64) -> Result<(), PartitionError> {
    let batch = batch.seal(ProducerStamp::NONE);
    partition.append(&batch, AppendOrigin::Coordinator, now_ms)?;
    Ok(())
}

/// How much is read at once.
const READ_BYTES: usize = 4 << 20;

/// The largest batch, below every limit that a topic of the broker's own has.
const BATCH_MAX: usize = 512 << 10;

const NO_HEADERS: [(&str, Option<&[u8]>); 0] = [];
