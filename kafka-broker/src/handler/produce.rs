//! Produce, versions 3 to 13: batches to the end of partitions, which go by topic id from version 13
//! on.
//!
//! There is one replica, so that `acks` of 1 and of all are the same: a topic that asks for more replicas in sync than
//! there are gets as many as there are.

use bytes::Bytes;
use kafka_protocol::ErrorCode;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::record::{BatchHeader, Compression};

use crate::config::topic::TopicConfig;
use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome};
use crate::handler::error_code::code_of;
use crate::handler::produce_records::{NAMED_MAX, admit_records};
use crate::handler::produce_transaction::TransactionalPart;
use crate::handler::recompress::{Recompression, Rewritten};
use crate::handler::record_rules::{Fault, RecordRules};
use crate::handler::topic_ref::find_topic;
use crate::handler::unpack_budget::UnpackBudget;
use crate::log::{AppendInfo, AppendOrigin, ClientBatch, LogError, SoundBatches};
use crate::state::partition::{Partition, PartitionError};
use crate::state::topics::{Topic, TopicTable};
use crate::state::transactions::Refused;
use crate::state::unpackers::{SMALL_MAX, unpacked_max};

/// Produce.
#[derive(Debug)]
pub(crate) struct Produce;

impl Handler for Produce {
    type Request = ProduceRequest;
    /// Records are walked through far faster than what other requests have.
    const SHORT_MAX: usize = SMALL_MAX;

    fn handle(call: &Call, request: ProduceRequest) -> Outcome<ProduceResponse> {
        let table = call.node.topics().table();
        let part = TransactionalPart::of(call, &table, &request);
        // Whatever else goes on in a transaction is waited for.
        let is_long = part.is_some() || takes_long(call, &table, &request);
        let write = move |call: &Call| match &part {
            None => produce_all(call, &table, request, &Refused::new()),
            Some(part) => part.write(call, |refused| produce_all(call, &table, request, refused)),
        };
        match is_long {
            true => Outcome::Aside(Box::new(write)),
            false => write(call),
        }
    }
}

/// Whether a topic wants its records durable or in another codec than they are in, or there may be very much to do.
fn takes_long(call: &Call, table: &TopicTable, request: &ProduceRequest) -> bool {
    let mut rows = 0;
    let mut unpacked = 0;
    for topic in &request.topic_data {
        let found = find_topic(table, call.version >= 13, &topic.name, topic.topic_id).ok();
        let config = found.as_ref().map(|topic| &topic.config);
        if config.is_some_and(TopicConfig::is_synced) {
            return true;
        }
        let codec = config.and_then(|config| config.codec);
        for partition in &topic.partition_data {
            let records = partition.records.as_deref().unwrap_or_default();
            // What has no head is refused, and what is in no codec.
            let compression = BatchHeader::decode(records)
                .ok()
                .and_then(|header| header.attributes.compression());
            let Some(compression) = compression else {
                continue;
            };
            if codec.is_some_and(|codec| codec.compression != compression) {
                return true;
            }
            unpacked += unpacked_max(compression, records.len());
        }
        rows += topic.partition_data.len();
    }
    rows > ROWS_MAX || unpacked > SMALL_MAX
}

fn produce_all(
    call: &Call,
    table: &TopicTable,
    request: ProduceRequest,
    refused: &Refused,
) -> Outcome<ProduceResponse> {
    let acks = request.acks;
    let mut terms = Terms {
        call,
        bad_acks: check_acks(acks),
        refused,
        budget: UnpackBudget::for_batches(batches_len(&request)),
    };
    let mut response = ProduceResponse::default();
    let mut failed = None;
    let mut named = 0;
    for topic in request.topic_data {
        let mut row = produce_topic(&mut terms, table, topic);
        for partition in &mut row.partition_responses {
            partition.record_errors.truncate(NAMED_MAX - named);
            partition.record_errors.shrink_to_fit();
            named += partition.record_errors.len();
        }
        failed = failed.or_else(|| first_failure(&row));
        response.responses.push(row);
    }
    if acks != 0 {
        return Outcome::Ready(response);
    }
    // Who wants no answer has no other way to learn of a failure.
    match failed {
        Some(failure) => Outcome::Close(failure),
        None => Outcome::Silent,
    }
}

/// What holds for all partitions of a request.
struct Terms<'a> {
    call: &'a Call,
    bad_acks: Option<Failure>,
    /// What the transaction of the producer does not let it write to.
    refused: &'a Refused,
    budget: UnpackBudget,
}

/// How many bytes of batches a request brings.
fn batches_len(request: &ProduceRequest) -> usize {
    let topics = request.topic_data.iter();
    let partitions = topics.flat_map(|topic| &topic.partition_data);
    let records = partitions.filter_map(|partition| partition.records.as_ref());
    records.map(Bytes::len).sum()
}

/// Why a batch is not appended.
#[derive(Clone, Debug)]
struct Failure {
    code: ErrorCode,
    message: String,
    /// The records of the batch that are to blame, if it is not the batch as a whole, and for what.
    records: Vec<(i32, Fault)>,
    /// Where the log begins, if it was the log that refused; else -1.
    log_start_offset: i64,
}

impl Failure {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            records: Vec::new(),
            log_start_offset: -1,
        }
    }

    /// Old producers tell by where the log begins whether what they wrote before is gone.
    fn of(mut self, partition: &Partition) -> Self {
        if let (true, Ok(marks)) = (is_of_producer(self.code), partition.marks()) {
            self.log_start_offset = marks.log_start_offset;
        }
        self
    }
}

fn check_acks(acks: i16) -> Option<Failure> {
    (!matches!(acks, -1..=1)).then(|| {
        Failure::new(
            ErrorCode::INVALID_REQUIRED_ACKS,
            format!("acks must be -1, 0 or 1, not {acks}"),
        )
    })
}

fn produce_topic(
    terms: &mut Terms<'_>,
    table: &TopicTable,
    request: TopicProduceData,
) -> TopicProduceResponse {
    let call = terms.call;
    let topic = find_topic(table, call.version >= 13, &request.name, request.topic_id);
    let mut row = TopicProduceResponse::default();
    for partition in request.partition_data {
        let index = partition.index;
        let about = About::topic_by(&request.name, request.topic_id).partition(index);
        let result = match (&topic, &terms.bad_acks) {
            (_, Some(refusal)) => Err(refusal.clone()),
            _ if let Err(code) = call.admit(about) => Err(Failure::new(code, "a rule refuses it")),
            (Err(code), None) => Err(Failure::new(*code, "no such topic")),
            (Ok(topic), None) => match refusal_of(terms.refused, topic, index) {
                Some(refusal) => Err(refusal),
                None => produce(terms, topic, partition),
            },
        };
        row.partition_responses.push(answer(index, result));
    }
    row.name = request.name;
    row.topic_id = request.topic_id;
    row
}

/// Why the transaction of the producer does not let it write to a partition.
fn refusal_of(refused: &Refused, topic: &Topic, index: i32) -> Option<Failure> {
    if refused.is_empty() {
        return None;
    }
    let code = *refused.get(&(topic.name.clone(), index))?;
    Some(Failure::new(code, code.meaning().unwrap_or_default()))
}

fn produce(
    terms: &mut Terms<'_>,
    topic: &Topic,
    request: PartitionProduceData,
) -> Result<AppendInfo, Failure> {
    let Some(partition) = topic.partition(request.index) else {
        return Err(Failure::new(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            "the topic has no such partition",
        ));
    };
    if topic.is_internal {
        return Err(Failure::new(
            ErrorCode::INVALID_TOPIC_EXCEPTION,
            format!("topic {} is written by the broker alone", topic.name),
        ));
    }
    let records = request.records.unwrap_or_default();
    let failed = |error| failure_of(topic, partition, &error);
    if records.is_empty() {
        return Err(Failure::new(ErrorCode::INVALID_RECORD, "there is no batch"));
    }
    let refused = |error: LogError| failed(error.into());
    let batch = ClientBatch::of(&records).map_err(refused)?;
    check_codec(terms.call.version, batch.header())?;
    batch.check(max_batch_len(&topic.config)).map_err(refused)?;
    let rewritten = admit(terms, topic, &records).map_err(|failure| failure.of(partition))?;
    let sound = match &rewritten {
        Some(rewritten) => SoundBatches::sealed(&rewritten.bytes, rewritten.header),
        None => SoundBatches::sealed(&records, *batch.header()),
    };
    partition
        .append_sound(sound, AppendOrigin::Client, terms.call.now.unix_ms)
        .map_err(failed)
}

/// Whether the version of a request may speak of the codec of a batch.
fn check_codec(version: i16, header: &BatchHeader) -> Result<(), Failure> {
    if header.attributes.compression() == Some(Compression::Zstd) && version < 7 {
        return Err(Failure::new(
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            "zstd needs version 7 of Produce",
        ));
    }
    Ok(())
}

fn max_batch_len(config: &TopicConfig) -> usize {
    usize::try_from(config.message_max_bytes).unwrap_or_default()
}

/// The batch as it is to be stored, if that is otherwise than it came.
fn admit(
    terms: &mut Terms<'_>,
    topic: &Topic,
    records: &Bytes,
) -> Result<Option<Rewritten>, Failure> {
    let config = &topic.config;
    let rules = RecordRules::of(config, terms.call.now.unix_ms);
    let wanted = config.codec.map(|codec| Recompression {
        codec,
        compressors: &terms.call.node.compressors,
        max_len: max_batch_len(config),
    });
    let unpackers = &terms.call.node.unpackers;
    let admitted = admit_records(records, &rules, wanted, unpackers, &mut terms.budget);
    admitted.map_err(|error| Failure {
        code: error.code(),
        message: error.to_string(),
        records: error.into_records(),
        log_start_offset: -1,
    })
}

fn failure_of(topic: &Topic, partition: &Partition, error: &PartitionError) -> Failure {
    let code = code_of(error);
    if code == ErrorCode::KAFKA_STORAGE_ERROR {
        tracing::error!(topic = %topic.name, partition = partition.index, "append: {error}");
    }
    Failure::new(code, error.to_string()).of(partition)
}

/// Whether a log refuses with this code what a producer sent, and is sound itself.
fn is_of_producer(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::INVALID_RECORD
            | ErrorCode::INVALID_TIMESTAMP
            | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::INVALID_PRODUCER_EPOCH
            | ErrorCode::INVALID_TXN_STATE
    )
}

fn answer(index: i32, result: Result<AppendInfo, Failure>) -> PartitionProduceResponse {
    let mut row = PartitionProduceResponse::default();
    row.index = index;
    match result {
        Ok(info) => {
            row.base_offset = info.base_offset;
            row.log_append_time_ms = info.log_append_time_ms;
            row.log_start_offset = info.log_start_offset;
        }
        Err(failure) => {
            row.error_code = failure.code.code();
            let error = |(record, fault): (i32, Fault)| {
                let mut error = BatchIndexAndErrorMessage::default();
                error.batch_index = record;
                error.batch_index_error_message = Some(fault.to_string().into());
                error
            };
            row.record_errors = failure.records.into_iter().map(error).collect();
            row.error_message = Some(failure.message.into());
            row.base_offset = -1;
            row.log_append_time_ms = -1;
            row.log_start_offset = failure.log_start_offset;
        }
    }
    row
}

fn first_failure(row: &TopicProduceResponse) -> Option<String> {
    let failed = row
        .partition_responses
        .iter()
        .find(|partition| partition.error_code != 0)?;
    let message = failed.error_message.clone().unwrap_or_default();
    Some(format!("{}-{}: {message}", row.name, failed.index))
}

/// To how many partitions a request may write that is done in a moment.
const ROWS_MAX: usize = 1_000;
