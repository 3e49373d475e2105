//! DeleteTopics, versions 1 to 6: topics go, by name or from version 6 on by id.

use std::sync::Arc;

use bytestring::ByteString;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use kafka_protocol::{ErrorCode, Uuid};

use crate::control::subjects::About;
use crate::handler::call::{Call, Handler, Outcome, Work};
use crate::state::refusal::Refusal;
use crate::state::topics::Topic;

/// DeleteTopics.
#[derive(Debug)]
pub(crate) struct DeleteTopics;

impl Handler for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const WORK: Work = Work::Slow;

    fn handle(call: &Call, request: DeleteTopicsRequest) -> Outcome<DeleteTopicsResponse> {
        let wanted: Vec<(Option<ByteString>, Uuid)> = if call.version >= 6 {
            let pair = |topic: DeleteTopicState| (topic.name, topic.topic_id);
            request.topics.into_iter().map(pair).collect()
        } else {
            request
                .topic_names
                .into_iter()
                .map(|name| (Some(name), Uuid::ZERO))
                .collect()
        };
        let mut response = DeleteTopicsResponse::default();
        for (name, id) in wanted {
            let mut row = DeletableTopicResult::default();
            row.name = name.clone();
            row.topic_id = id;
            let about = About::topic_by(name.as_deref().unwrap_or_default(), id);
            let admitted = call.admit_or_say(about);
            match admitted.and_then(|()| delete(call, name.as_deref(), id)) {
                Ok(topic) => {
                    row.name = Some(topic.name.clone());
                    row.topic_id = topic.id;
                }
                Err(refusal) => {
                    row.error_code = refusal.code().code();
                    row.error_message = Some(refusal.to_string().into());
                }
            }
            response.responses.push(row);
        }
        Outcome::Ready(response)
    }
}

fn delete(call: &Call, name: Option<&str>, id: Uuid) -> Result<Arc<Topic>, Refusal> {
    let table = call.node.topics().table();
    let topic = match name {
        Some(_) if !id.is_zero() => {
            return Err(Refusal::new(
                ErrorCode::INVALID_REQUEST,
                "a topic goes by its name or by its id, not by both",
            ));
        }
        Some(name) => table.by_name(name).ok_or_else(|| {
            Refusal::new(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                format!("topic {name} does not exist"),
            )
        })?,
        None if id.is_zero() => {
            return Err(Refusal::new(
                ErrorCode::INVALID_REQUEST,
                "a topic goes by its name or by its id, not by neither",
            ));
        }
        None => table.by_id(id).ok_or_else(|| {
            Refusal::new(
                ErrorCode::UNKNOWN_TOPIC_ID,
                format!("no topic has the id {id}"),
            )
        })?,
    };
    if !call.node.config.delete_topics {
        return Err(Refusal::new(
            ErrorCode::TOPIC_DELETION_DISABLED,
            "delete.topic.enable is false",
        ));
    }
    call.node.delete_topic(call.now, topic.id)?;
    Ok(Arc::clone(topic))
}
