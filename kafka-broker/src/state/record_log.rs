//! Reading and writing records of the broker's own topics: key and value, no headers.

use bytes::Bytes;
use kafka_protocol::compression::{DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{
    Batch, BatchBuilder, BatchHeader, BatchOptions, EndTransactionMarker, ProducerStamp,
    RecordError,
};

use crate::log::{AppendOrigin, LogError};
use crate::state::partition::{Partition, PartitionError, ReadRequest};
use crate::state::transaction::ProducerClaim;

/// A key and a value, each of which may be missing.
pub(crate) type Pair = (Option<Bytes>, Option<Bytes>);

/// What a log holds.
#[derive(Debug)]
pub(crate) enum LogEntry {
    /// A record.
    Record(Pair),
    /// A record that holds once the transaction of this producer is committed.
    InTransaction(i64, Pair),
    /// The end of a producer's transaction, and whether it was committed.
    TransactionEnd(i64, bool),
}

/// Appends records, all or none.
pub(crate) fn append(
    partition: &Partition,
    records: impl IntoIterator<Item = Pair>,
    now_ms: i64,
) -> Result<(), PartitionError> {
    append_batch(
        partition,
        BatchOptions::new(),
        ProducerStamp::NONE,
        records,
        now_ms,
    )
}

/// Appends records inside of a producer's transaction, all or none.
pub(crate) fn append_in_transaction(
    partition: &Partition,
    producer: ProducerClaim,
    records: impl IntoIterator<Item = Pair>,
    now_ms: i64,
) -> Result<(), PartitionError> {
    let options = BatchOptions::new().transactional();
    let stamp = ProducerStamp {
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        base_sequence: -1,
    };
    append_batch(partition, options, stamp, records, now_ms)
}

/// One batch, whatever its size: of two a crash, or a full disk, can leave the first alone, and with it half of a change.
fn append_batch(
    partition: &Partition,
    options: BatchOptions,
    stamp: ProducerStamp,
    records: impl IntoIterator<Item = Pair>,
    now_ms: i64,
) -> Result<(), PartitionError> {
    let mut batch = BatchBuilder::new(Vec::new(), options.max_len(usize::MAX));
    for (key, value) in records {
        batch
            .append(now_ms, key.as_deref(), value.as_deref(), NO_HEADERS)
            .map_err(|error| LogError::InvalidRecord {
                reason: error.to_string(),
            })?;
    }
    if batch.count() > 0 {
        let batch = batch.seal(stamp);
        partition.append(&batch, AppendOrigin::Coordinator, now_ms)?;
    }
    Ok(())
}

/// Reads all records from the beginning on, batch by batch.
pub(crate) fn read_all(partition: &Partition, take: impl FnMut(Pair)) -> Result<(), ReadError> {
    read_all_from(partition, partition.marks()?.log_start_offset, take)
}

/// Reads all records from an offset on, batch by batch.
pub(crate) fn read_all_from(
    partition: &Partition,
    offset: i64,
    mut take: impl FnMut(Pair),
) -> Result<(), ReadError> {
    read_entries_from(partition, offset, |entry| take_records(entry, &mut take))
}

/// Reads all records of whole batches that are no log's.
pub(crate) fn read_batches(bytes: Bytes, mut take: impl FnMut(Pair)) -> Result<(), ReadError> {
    Entries::default().read(bytes, &mut |entry| take_records(entry, &mut take))
}

fn take_records(entry: LogEntry, take: &mut impl FnMut(Pair)) {
    if let LogEntry::Record(pair) | LogEntry::InTransaction(_, pair) = entry {
        take(pair);
    }
}

/// Reads all records from the beginning on, and how transactions ended.
pub(crate) fn read_entries(
    partition: &Partition,
    take: impl FnMut(LogEntry),
) -> Result<(), ReadError> {
    read_entries_from(partition, partition.marks()?.log_start_offset, take)
}

fn read_entries_from(
    partition: &Partition,
    mut offset: i64,
    mut take: impl FnMut(LogEntry),
) -> Result<(), ReadError> {
    let mut entries = Entries::default();
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
        let bytes = found.data.load().map_err(PartitionError::Log)?;
        entries.read(bytes, &mut take)?;
    }
}

/// Reads the entries of batches, with buffers that are used again.
#[derive(Debug, Default)]
struct Entries {
    decompressor: Decompressor,
    buffer: Vec<u8>,
}

impl Entries {
    fn read(&mut self, mut bytes: Bytes, take: &mut impl FnMut(LogEntry)) -> Result<(), ReadError> {
        while let Ok(header) = BatchHeader::decode(&bytes) {
            let whole = header.total_len().min(bytes.len());
            let batch = Batch::decode(bytes.split_to(whole))?;
            let attributes = header.attributes;
            let (decompressor, buffer) = (&mut self.decompressor, &mut self.buffer);
            for record in batch.records(decompressor, buffer, DECOMPRESSED_MAX)? {
                let record = record?;
                if attributes.is_control() {
                    if let Some(marker) = EndTransactionMarker::decode(record.key, record.value)? {
                        let id = header.producer_id;
                        take(LogEntry::TransactionEnd(id, marker.committed));
                    }
                    continue;
                }
                let copy = |part: Option<&[u8]>| part.map(Bytes::copy_from_slice);
                let pair = (copy(record.key), copy(record.value));
                take(if attributes.is_transactional() {
                    LogEntry::InTransaction(header.producer_id, pair)
                } else {
                    LogEntry::Record(pair)
                });
            }
        }
        Ok(())
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

/// How much is read at once.
const READ_BYTES: usize = 4 << 20;

const NO_HEADERS: [(&str, Option<&[u8]>); 0] = [];
