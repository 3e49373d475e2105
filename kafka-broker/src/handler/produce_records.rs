//! Whether the records of a batch can be read, obey the rules of their topic and are what the head of the batch says: what
//! head and checksum do not tell. As in Kafka nothing is stored that no consumer could read. Where the head says
//! something else than the records it is set right, and the batch is brought into the codec that its topic wants, since
//! the records are at hand here.

use std::fmt;

use bytes::Bytes;
use kafka_protocol::ErrorCode;
use kafka_protocol::compression::{Compression, CompressionError};
use kafka_protocol::record::{Attributes, Batch, BatchHeader, RecordError, Records, TimestampType};

use crate::handler::recompress::{Recompression, Rewritten};
use crate::handler::record_rules::{Fault, RecordRules, Seen};
use crate::handler::unpack_budget::UnpackBudget;
use crate::state::unpackers::{Unpacker, Unpackers, is_too_large};

/// What is wrong with the records.
#[derive(Debug)]
pub(crate) enum RecordsError {
    /// The records of these numbers break rules, and maybe others behind the last of them.
    Faulty(Vec<(i32, Fault)>),
    /// The records cannot be read.
    Unreadable(RecordError),
    /// In the codec of the topic the batch is too large.
    NotRecompressed(CompressionError),
    /// The broker ends, and begins nothing more.
    Ending,
}

impl RecordsError {
    /// How the producer is told. The checksum is right: so the batch was sent, and the same would come again. One that
    /// becomes too much when it is unpacked is too large: producers then send its records in several.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            // Of several kinds it is the timestamps that Kafka speaks of.
            Self::Faulty(faults) => faults
                .iter()
                .map(|(_, fault)| fault.code())
                .find(|code| *code == ErrorCode::INVALID_TIMESTAMP)
                .unwrap_or(ErrorCode::INVALID_RECORD),
            Self::Unreadable(error) if is_too_large(error) => ErrorCode::MESSAGE_TOO_LARGE,
            Self::NotRecompressed(CompressionError::TooLarge { .. }) => {
                ErrorCode::MESSAGE_TOO_LARGE
            }
            Self::Unreadable(_) => ErrorCode::INVALID_RECORD,
            Self::NotRecompressed(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
            // Upon which producers look for the leader, and send it again.
            Self::Ending => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        }
    }

    /// The records that are to blame, all that are named: each is told so by itself.
    pub(crate) fn into_records(self) -> Vec<(i32, Fault)> {
        match self {
            Self::Faulty(records) => records,
            Self::Unreadable(_) | Self::NotRecompressed(_) | Self::Ending => Vec::new(),
        }
    }
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faulty(faults) => match faults.as_slice() {
                [(at, fault), ..] => write!(f, "record {at} of the batch: {fault}"),
                [] => f.write_str("records break rules"),
            },
            Self::Unreadable(error) => write!(f, "unreadable records: {error}"),
            Self::NotRecompressed(error) => write!(f, "in the codec of the topic: {error}"),
            Self::Ending => f.write_str("the broker ends"),
        }
    }
}

/// What is to become of a batch that can be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It is stored as it came.
    AsItCame,
    /// It is stored so.
    Rewritten(Rewritten),
    /// It is too much for the thread of the connection. Nothing was spent for it.
    NotHere,
}

/// How a batch is to be stored. Refuses one with records that cannot be read or break rules. Its checksum was compared
/// before: nothing is unpacked that was damaged on the way.
pub(crate) fn admit_records(
    bytes: &Bytes,
    rules: &RecordRules,
    wanted: Option<Recompression<'_>>,
    unpackers: &Unpackers,
    budget: &mut UnpackBudget,
) -> Result<Admitted, RecordsError> {
    let batch = Batch::decode(bytes.clone()).map_err(RecordsError::Unreadable)?;
    let compression = batch.compression().unwrap_or_default();
    // What the log would refuse must not become something that it takes.
    let wanted = wanted
        .filter(|wanted| bytes.len() <= wanted.max_len && wanted.codec.compression != compression);
    if wanted.is_some() && budget.is_here() {
        return Ok(Admitted::NotHere);
    }
    let admit = |unpacker: &mut Unpacker, budget: &mut UnpackBudget| {
        let Some(seen) = look_at(&batch, rules, compression, unpacker, budget)? else {
            return Ok(Admitted::NotHere);
        };
        let mut head = *batch.header();
        if rules.trust_timestamps() {
            head.max_timestamp = seen.latest();
        }
        let is_said_rightly = head.max_timestamp == batch.header().max_timestamp
            && !head.attributes.has_delete_horizon();
        head.attributes = of_client(head.attributes);
        match wanted {
            Some(wanted) => {
                let records = match compression {
                    Compression::None => bytes.get(BatchHeader::LEN..).unwrap_or_default(),
                    _ => &unpacker.buffer,
                };
                let rewritten = wanted.apply(&head, records);
                rewritten
                    .map(Admitted::Rewritten)
                    .map_err(RecordsError::NotRecompressed)
            }
            None if is_said_rightly => Ok(Admitted::AsItCame),
            None => Ok(Admitted::Rewritten(Rewritten::seal(head, bytes.to_vec()))),
        }
    };
    if wanted.is_none() {
        // What is small need not wait for what is not, wherever it is unpacked.
        let is_here = budget.is_here();
        if !is_here {
            budget.stay_here();
        }
        let admitted = unpackers.lend(|unpacker| admit(unpacker, budget));
        if !is_here {
            budget.go_aside();
        }
        if is_here || !matches!(admitted, Ok(Admitted::NotHere)) {
            return admitted;
        }
    }
    let admitted = unpackers.lend_in_turn(|unpacker| admit(unpacker, budget));
    admitted.unwrap_or(Err(RecordsError::Ending))
}

/// What there is to know of the records; `None` if to unpack them is too much for this thread.
fn look_at(
    batch: &Batch,
    rules: &RecordRules,
    compression: Compression,
    unpacker: &mut Unpacker,
    budget: &mut UnpackBudget,
) -> Result<Option<Seen>, RecordsError> {
    let limit = budget.limit();
    let records = batch.records(&mut unpacker.decompressor, &mut unpacker.buffer, limit);
    if let Err(error) = &records
        && is_too_large(error)
        && budget.is_less_here()
    {
        return Ok(None);
    }
    let seen = records
        .map_err(RecordsError::Unreadable)
        .and_then(|records| look_over(batch.header(), records, rules));
    if compression != Compression::None {
        // What was not unpacked to its end has left nothing, and may have taken all.
        budget.spend(match unpacker.buffer.len() {
            0 => limit,
            len => len,
        });
    }
    seen.map(Some)
}

fn look_over(
    header: &BatchHeader,
    records: Records<'_>,
    rules: &RecordRules,
) -> Result<Seen, RecordsError> {
    let mut seen = Seen::from(header.base_offset);
    for record in records.clone() {
        seen.note(&record.map_err(RecordsError::Unreadable)?);
    }
    let is_stamped = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    if !is_stamped && rules.are_kept(&seen) {
        return Ok(seen);
    }
    let offsets = header.base_offset..;
    let faults: Vec<_> = (0..)
        .zip(offsets.zip(records.flatten()))
        .filter_map(|(at, (offset, record))| {
            let fault = rules.fault_of(&record, offset);
            let fault = fault.or_else(|| is_stamped.then_some(Fault::Stamped));
            fault.map(|fault| (at, fault))
        })
        .take(NAMED_MAX)
        .collect();
    match faults.is_empty() {
        true => Ok(seen),
        false => Err(RecordsError::Faulty(faults)),
    }
}

/// What a client may say of a batch. The delete horizon is for compaction to set.
fn of_client(attributes: Attributes) -> Attributes {
    let clean =
        Attributes::default().with_compression(attributes.compression().unwrap_or_default());
    match attributes.is_transactional() {
        true => clean.with_transactional(),
        false => clean,
    }
}

/// The most records that an answer names: a batch of a megabyte may unpack to millions, and each is told why.
pub(crate) const NAMED_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
