//! The records of `__transaction_state`: where each transactional id stands.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::messages::transaction_log_value::PartitionsSchema;
use kafka_protocol::messages::{TransactionLogKey, TransactionLogValue};
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{DecodeError, EncodeError, Message};

use crate::state::group_record::KeyValue;
use crate::state::transaction::{Phase, Protocol, Transaction};

/// A record of the topic, its key and value read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TransactionRecord {
    /// A transactional id as it stands, or with `None` its end.
    Transaction {
        id: ByteString,
        transaction: Option<Transaction>,
    },
    /// A record of a kind that this broker has no use for.
    Other(i16),
}

impl TransactionRecord {
    /// Reads a record.
    ///
    /// # Errors
    ///
    /// If key or value is not what the number before it says.
    pub(crate) fn decode(key: Bytes, value: Option<Bytes>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(key);
        let kind = reader.i16("KeyVersion")?;
        if kind != KEY_VERSION {
            return Ok(Self::Other(kind));
        }
        let key = TransactionLogKey::decode(&mut reader, KEY_VERSION)?;
        Ok(Self::Transaction {
            id: key.transactional_id,
            transaction: match value {
                Some(value) => decode_value(value)?,
                None => None,
            },
        })
    }
}

/// The record of a transactional id, or with `None` the one that takes it back.
///
/// # Errors
///
/// If a name is longer than the format can say.
pub(crate) fn transaction_record(
    id: &ByteString,
    transaction: Option<&Transaction>,
) -> Result<KeyValue, EncodeError> {
    let mut key = TransactionLogKey::default();
    key.transactional_id = id.clone();
    let mut writer = Writer::new();
    writer.i16(KEY_VERSION);
    key.encode(&mut writer, KEY_VERSION)?;
    let value = transaction.map(encode_value).transpose()?;
    Ok((writer.into_bytes(), value))
}

fn encode_value(transaction: &Transaction) -> Result<Bytes, EncodeError> {
    let mut value = TransactionLogValue::default();
    value.producer_id = transaction.producer_id;
    value.previous_producer_id = transaction.previous_producer_id;
    value.next_producer_id = transaction.next_producer_id;
    value.producer_epoch = transaction.epoch;
    value.transaction_timeout_ms = transaction.timeout_ms;
    value.transaction_status = status_of(transaction.phase);
    value.transaction_partitions = (transaction.phase != Phase::Empty).then(|| {
        let mut topics: BTreeMap<&ByteString, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &transaction.partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        let rows = topics.into_iter().map(|(topic, partitions)| {
            let mut row = PartitionsSchema::default();
            row.topic = topic.clone();
            row.partition_ids = partitions;
            row
        });
        rows.collect()
    });
    value.transaction_last_update_timestamp_ms = transaction.updated_ms;
    value.transaction_start_timestamp_ms = transaction.started_ms;
    value.client_transaction_version = match transaction.protocol {
        Protocol::First => 0,
        Protocol::Second => 2,
    };
    let mut writer = Writer::new();
    writer.i16(VALUE_VERSION);
    value.encode(&mut writer, VALUE_VERSION)?;
    Ok(writer.into_bytes())
}

/// `None` if nothing is left of the id.
fn decode_value(value: Bytes) -> Result<Option<Transaction>, DecodeError> {
    let mut reader = Reader::new(value);
    let version = reader.i16("Version")?;
    let value = TransactionLogValue::decode(&mut reader, version)?;
    let Some(phase) = phase_of(value.transaction_status) else {
        return Ok(None);
    };
    let topics = value.transaction_partitions.unwrap_or_default();
    let partitions = topics.into_iter().flat_map(|row| {
        let topic = row.topic;
        row.partition_ids
            .into_iter()
            .map(move |partition| (topic.clone(), partition))
    });
    Ok(Some(Transaction {
        producer_id: value.producer_id,
        epoch: value.producer_epoch,
        last_epoch: -1,
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        timeout_ms: value.transaction_timeout_ms,
        phase,
        partitions: partitions.collect(),
        started_ms: value.transaction_start_timestamp_ms,
        updated_ms: value.transaction_last_update_timestamp_ms,
        protocol: match value.client_transaction_version {
            ..2 => Protocol::First,
            2.. => Protocol::Second,
        },
    }))
}

fn status_of(phase: Phase) -> i8 {
    match phase {
        Phase::Empty => 0,
        Phase::Ongoing => 1,
        Phase::PrepareCommit => 2,
        Phase::PrepareAbort => 3,
        Phase::CompleteCommit => 4,
        Phase::CompleteAbort => 5,
    }
}

/// `None` for a dead id. An id that a real broker was about to fence is one with an open transaction:
/// the fence itself is never saved.
fn phase_of(status: i8) -> Option<Phase> {
    match status {
        0 => Some(Phase::Empty),
        2 => Some(Phase::PrepareCommit),
        3 => Some(Phase::PrepareAbort),
        4 => Some(Phase::CompleteCommit),
        5 => Some(Phase::CompleteAbort),
        6 => None,
        _ => Some(Phase::Ongoing),
    }
}

const KEY_VERSION: i16 = 0;

/// The version that has room for what the second protocol needs.
const VALUE_VERSION: i16 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::time::Now;

    #[test]
    fn transactions_come_back_as_they_went() {
        let mut transaction = Transaction::first(Now::default(), 7, 60_000);
        transaction.epoch = 3;
        transaction.previous_producer_id = 5;
        transaction.next_producer_id = 9;
        transaction.protocol = Protocol::Second;
        for phase in Phase::ALL {
            transaction.phase = phase;
            if phase != Phase::Empty {
                transaction.started_ms = 1000;
                transaction.partitions = [("a".into(), 0), ("a".into(), 2), ("b".into(), 1)].into();
            }
            let (key, value) = transaction_record(&"id".into(), Some(&transaction)).unwrap();
            assert_eq!(key.as_ref(), [0, 0, 0, 2, b'i', b'd']);
            assert_eq!(
                TransactionRecord::decode(key, value),
                Ok(TransactionRecord::Transaction {
                    id: "id".into(),
                    transaction: Some(transaction.clone())
                })
            );
        }
        let (key, value) = transaction_record(&"id".into(), None).unwrap();
        assert_eq!(
            TransactionRecord::decode(key, value),
            Ok(TransactionRecord::Transaction {
                id: "id".into(),
                transaction: None
            })
        );
    }

    #[test]
    fn foreign_and_torn_records_are_no_panic() {
        assert_eq!(
            TransactionRecord::decode(Bytes::from_static(&[0, 4]), None),
            Ok(TransactionRecord::Other(4))
        );
        let transaction = Transaction::first(Now::default(), 7, 60_000);
        let (key, value) = transaction_record(&"id".into(), Some(&transaction)).unwrap();
        for len in 0..key.len() {
            assert!(TransactionRecord::decode(key.slice(..len), None).is_err());
        }
        let value = value.unwrap();
        for len in 0..value.len() {
            assert!(TransactionRecord::decode(key.clone(), Some(value.slice(..len))).is_err());
        }
    }
}
