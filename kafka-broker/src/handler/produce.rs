//! Produce, versions 3 to 13: batches to the end of partitions, which go by topic id from version 13
//! on.
//!
//! There is one replica, so that `acks` of 1 and of all are the same: a topic that asks for more replicas in sync than
//! there are gets as many as there are.

use std::sync::Arc;

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
use crate::handler::produce_records::{Admitted, NAMED_MAX, admit_records};
use crate::handler::produce_transaction::TransactionalPart;
use crate::handler::recompress::Recompression;
use crate::handler::record_rules::{Fault, RecordRules};
use crate::handler::topic_ref::find_topic;
use crate::handler::unpack_budget::UnpackBudget;
use crate::log::{AppendInfo, AppendOrigin, ClientBatch, LogError, SoundBatches};
use crate::state::partition::{Partition, PartitionError};
use crate::state::time::Now;
use crate::state::topics::{Topic, TopicTable};
use crate::state::transactions::Refused;
use crate::state::unpackers::SMALL_MAX;

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
        let is_long = takes_long(call, &table, &request);
        let mut production = Production::of(table, request);
        if let Some(part) = part {
            // Whatever else goes on in a transaction is waited for.
            return Outcome::Aside(Box::new(move |call, clock| {
                part.write(call, |refused| production.go_on(call, refused, clock));
                production.outcome()
            }));
        }
        let none = Refused::new();
        if !is_long {
            production.budget.stay_here();
            if production.go_on(call, &none, &|| call.now) {
                return production.outcome();
            }
            production.budget.go_aside();
        }
        Outcome::Aside(Box::new(move |call, clock| {
            production.go_on(call, &none, clock);
            production.outcome()
        }))
    }
}

/// Whether a topic wants its records durable, or there are very many partitions to write to.
fn takes_long(call: &Call, table: &TopicTable, request: &ProduceRequest) -> bool {
    let mut rows = 0;
    for topic in &request.topic_data {
        let found = find_topic(table, call.version >= 13, &topic.name, topic.topic_id);
        if found.is_ok_and(|topic| topic.config.is_synced()) {
            return true;
        }
        rows += 1 + topic.partition_data.len();
    }
    rows > ROWS_MAX
}

/// A request under way, which is begun on one thread and goes on on another if what it brings is too much for the first.
struct Production {
    table: Arc<TopicTable>,
    acks: i16,
    bad_acks: Option<Failure>,
    budget: UnpackBudget,
    /// What is still to be written, from the end on.
    rest: Vec<TopicProduceData>,
    /// What was answered of the topic at the end of the rest.
    row: TopicProduceResponse,
    response: ProduceResponse,
    /// How many records were named as faulty.
    named: usize,
}

impl Production {
    fn of(table: Arc<TopicTable>, request: ProduceRequest) -> Self {
        let budget = UnpackBudget::for_batches(batches_len(&request));
        let mut rest = request.topic_data;
        rest.reverse();
        for topic in &mut rest {
            topic.partition_data.reverse();
        }
        Self {
            table,
            acks: request.acks,
            bad_acks: check_acks(request.acks),
            budget,
            rest,
            row: TopicProduceResponse::default(),
            response: ProduceResponse::default(),
            named: 0,
        }
    }

    /// Writes what is left, but for the partitions that are `refused`. False if something is too much for this thread:
    /// then nothing of it was written, and nothing behind it.
    fn go_on(&mut self, call: &Call, refused: &Refused, clock: &dyn Fn() -> Now) -> bool {
        while let Some(mut topic) = self.rest.pop() {
            let found = find_topic(&self.table, call.version >= 13, &topic.name, topic.topic_id);
            while let Some(partition) = topic.partition_data.pop() {
                let about = About::topic_by(&topic.name, topic.topic_id).partition(partition.index);
                let done = match (&found, &self.bad_acks) {
                    (_, Some(refusal)) => Err(refusal.clone()),
                    _ if let Err(code) = call.admit(about) => {
                        Err(Failure::new(code, "a rule refuses it"))
                    }
                    (Err(code), None) => Err(Failure::new(*code, "no such topic")),
                    (Ok(found), None) => match refusal_of(refused, found, partition.index) {
                        Some(refusal) => Err(refusal),
                        None => produce(call, found, &partition, &mut self.budget, clock),
                    },
                };
                let Some(done) = done.transpose() else {
                    topic.partition_data.push(partition);
                    self.rest.push(topic);
                    return false;
                };
                let answer = self.answer(partition.index, done);
                self.row.partition_responses.push(answer);
            }
            let mut row = std::mem::take(&mut self.row);
            row.name = topic.name;
            row.topic_id = topic.topic_id;
            self.response.responses.push(row);
        }
        true
    }

    fn answer(
        &mut self,
        index: i32,
        done: Result<AppendInfo, Failure>,
    ) -> PartitionProduceResponse {
        let mut answer = answer(index, done);
        answer.record_errors.truncate(NAMED_MAX - self.named);
        answer.record_errors.shrink_to_fit();
        self.named += answer.record_errors.len();
        answer
    }

    fn outcome(self) -> Outcome<ProduceResponse> {
        if self.acks != 0 {
            return Outcome::Ready(self.response);
        }
        // Who wants no answer has no other way to learn of a failure.
        match self.response.responses.iter().find_map(first_failure) {
            Some(failure) => Outcome::Close(failure),
            None => Outcome::Silent,
        }
    }
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

/// Why the transaction of the producer does not let it write to a partition.
fn refusal_of(refused: &Refused, topic: &Topic, index: i32) -> Option<Failure> {
    if refused.is_empty() {
        return None;
    }
    let code = *refused.get(&(topic.name.clone(), index))?;
    Some(Failure::new(code, code.meaning().unwrap_or_default()))
}

/// Writes one batch; `None` if it is too much for this thread.
fn produce(
    call: &Call,
    topic: &Topic,
    request: &PartitionProduceData,
    budget: &mut UnpackBudget,
    clock: &dyn Fn() -> Now,
) -> Result<Option<AppendInfo>, Failure> {
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
    let failed = |error| failure_of(topic, partition, &error);
    let records = match &request.records {
        Some(records) if !records.is_empty() => records,
        _ => return Err(Failure::new(ErrorCode::INVALID_RECORD, "there is no batch")),
    };
    let refused = |error: LogError| failed(error.into());
    let batch = ClientBatch::of(records).map_err(refused)?;
    check_codec(call.version, batch.header())?;
    batch.check(max_batch_len(&topic.config)).map_err(refused)?;
    let admitted = admit(call, topic, records, budget);
    let admitted = admitted.map_err(|failure| failure.of(partition))?;
    let sound = match &admitted {
        Admitted::AsItCame => SoundBatches::sealed(records, *batch.header()),
        Admitted::Rewritten(rewritten) => SoundBatches::sealed(&rewritten.bytes, rewritten.header),
        Admitted::NotHere => return Ok(None),
    };
    // It may have waited for a turn, and the time of an append must not lie before that of the one before it.
    partition
        .append_sound(sound, AppendOrigin::Client, clock().unix_ms)
        .map(Some)
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

/// How a batch is to be stored.
fn admit(
    call: &Call,
    topic: &Topic,
    records: &Bytes,
    budget: &mut UnpackBudget,
) -> Result<Admitted, Failure> {
    let config = &topic.config;
    let rules = RecordRules::of(config, call.now.unix_ms);
    let wanted = config.codec.map(|codec| Recompression {
        codec,
        compressors: &call.node.compressors,
        max_len: max_batch_len(config),
    });
    let unpackers = &call.node.unpackers;
    let admitted = admit_records(records, &rules, wanted, unpackers, budget);
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

/// How many topics and partitions a request may name that is done in a moment.
const ROWS_MAX: usize = 1_000;
