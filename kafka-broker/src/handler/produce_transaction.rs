//! What a produce request writes inside of a transaction, and whether its coordinator lets it.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::record::BatchHeader;

use bytestring::ByteString;

use crate::handler::call::Call;
use crate::handler::topic_ref::find_topic;
use crate::state::topics::TopicTable;
use crate::state::transaction::{Participant, ProducerClaim};
use crate::state::transactions::{Admission, Refused};

/// The part of a produce request that lies inside of a transaction.
#[derive(Debug)]
pub(crate) struct TransactionalPart {
    id: Option<ByteString>,
    claim: ProducerClaim,
    partitions: Vec<Participant>,
    /// Partitions with batches of another producer than the first one's.
    strange: Vec<Participant>,
}

impl TransactionalPart {
    /// The part of a request; `None` if nothing in it is transactional.
    pub(crate) fn of(call: &Call, table: &TopicTable, request: &ProduceRequest) -> Option<Self> {
        let mut part: Option<Self> = None;
        for topic in &request.topic_data {
            for partition in &topic.partition_data {
                let records = partition.records.as_deref().unwrap_or_default();
                // A head that cannot be read is the log's to refuse.
                let Ok(header) = BatchHeader::decode(records) else {
                    continue;
                };
                if !header.attributes.is_transactional() {
                    continue;
                }
                let found = find_topic(table, call.version >= 13, &topic.name, topic.topic_id);
                let Ok(found) = found else { continue };
                if found.partition(partition.index).is_none() {
                    continue;
                }
                let claim = ProducerClaim {
                    producer_id: header.producer_id,
                    epoch: header.producer_epoch,
                };
                let part = part.get_or_insert_with(|| Self {
                    id: request.transactional_id.clone(),
                    claim,
                    partitions: Vec::new(),
                    strange: Vec::new(),
                });
                let list = match claim == part.claim {
                    true => &mut part.partitions,
                    false => &mut part.strange,
                };
                list.push((found.name.clone(), partition.index));
            }
        }
        part
    }

    /// Has the request carried out while the transaction cannot end. `write` is told which partitions
    /// it must leave alone.
    pub(crate) fn write<T>(&self, call: &Call, write: impl FnOnce(&Refused) -> T) -> T {
        let all_refused = |code| {
            let all = self.partitions.iter().chain(&self.strange);
            all.map(|one| (one.clone(), code)).collect()
        };
        let id = match &self.id {
            None => {
                return write(&all_refused(
                    ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                ));
            }
            Some(id) if id.is_empty() => return write(&all_refused(ErrorCode::INVALID_REQUEST)),
            Some(id) => id,
        };
        // Whoever knows this version writes without a word before.
        let admission = match call.version {
            ..12 => Admission::Joined,
            12.. => Admission::Joins,
        };
        let transactions = &call.node.transactions;
        transactions.write(
            call.now,
            id,
            self.claim,
            &self.partitions,
            admission,
            |refused| {
                let mut refused = refused.clone();
                for code in refused.values_mut() {
                    *code = translate(call.version, *code);
                }
                let strange = self.strange.iter().cloned();
                refused.extend(strange.map(|one| (one, ErrorCode::INVALID_PRODUCER_ID_MAPPING)));
                write(&refused)
            },
        )
    }
}

/// What a client of this version understands of a refusal.
fn translate(version: i16, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if version < 11 => ErrorCode::INVALID_TXN_STATE,
        // Old clients try again only if it sounds like a matter of the partition.
        ErrorCode::CONCURRENT_TRANSACTIONS if version < 12 => ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::COORDINATOR_NOT_AVAILABLE => ErrorCode::NOT_ENOUGH_REPLICAS,
        error => error,
    }
}
