//! CreatePartitions, versions 0 to 3: a topic grows.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::state::refusal::Refusal;

/// CreatePartitions.
#[derive(Debug)]
pub(crate) struct CreatePartitions;

impl Handler for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: CreatePartitionsRequest) -> Outcome<CreatePartitionsResponse> {
        let mut response = CreatePartitionsResponse::default();
        for topic in request.topics {
            let mut row = CreatePartitionsTopicResult::default();
            let admitted = call.admit_or_say(About::topic(&topic.name));
            let grown = admitted.and_then(|()| grow(call, &topic, request.validate_only));
            if let Err(refusal) = grown {
                row.error_code = refusal.code().code();
                row.error_message = Some(refusal.to_string().into());
            }
            row.name = topic.name;
            response.results.push(row);
        }
        Outcome::Ready(response)
    }
}

fn grow(call: &Call, request: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    let name = &request.name;
    let table = call.node.topics().table();
    let topic = table.by_name(name).ok_or_else(|| {
        Refusal::new(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            format!("topic {name} does not exist"),
        )
    })?;
    let now = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if request.count <= now {
        return Err(Refusal::new(
            ErrorCode::INVALID_PARTITIONS,
            format!(
                "topic {name} has {now} partitions, which {} would not raise",
                request.count
            ),
        ));
    }
    if let Some(assignments) = &request.assignments {
        let here = |ids: &[i32]| matches!(ids, [id] if *id == call.node.config.node_id);
        let fits = usize::try_from(request.count - now) == Ok(assignments.len())
            && assignments.iter().all(|row| here(&row.broker_ids));
        if !fits {
            return Err(Refusal::new(
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "every new partition must be assigned to this broker, which is the only one",
            ));
        }
    }
    if validate_only {
        return Ok(());
    }
    call.node
        .catalog()
        .add_partitions(call.now, topic.id, request.count)
}
