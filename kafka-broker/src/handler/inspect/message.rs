//! What rules and the journal look at in messages: what a request is about, and where the error codes of
//! an answer stand.

use bytestring::ByteString;
use kafka_protocol::{Request, Uuid};

use crate::control::subjects::{About, Subjects, TopicSubject};
use crate::state::topics::TopicTable;

/// Sees an error code, and may change it.
pub(crate) type See<'a> = &'a mut dyn FnMut(About<'_>, &mut i16);

/// A request that rules can be made for.
pub(crate) trait Inspect: Request {
    /// Whether requests name topics.
    const TOPICS: bool = false;
    /// Whether requests name groups.
    const GROUPS: bool = false;
    /// Whether an empty answer with an error at its top refuses a request. Otherwise the handler asks for
    /// each part whether it is to be refused.
    const REFUSED_AS_A_WHOLE: bool = false;

    /// Tells what the request is about.
    fn subjects(&self, version: i16, table: &TopicTable, subjects: &mut Subjects) {
        let _ = (version, table, subjects);
    }

    /// Shows every error code of an answer.
    fn codes(answer: &mut Self::Response, see: See<'_>);
}

/// A topic that goes by its id from some version on.
pub(crate) fn topic_by(
    subjects: &mut Subjects,
    table: &TopicTable,
    by_id: bool,
    name: &ByteString,
    id: Uuid,
    partitions: Vec<i32>,
) {
    if !by_id {
        return subjects.topic(name, partitions);
    }
    let known = table.by_id(id).map(|topic| topic.name.clone());
    subjects.topics.push(TopicSubject {
        name: known.unwrap_or_else(|| id.to_string().into()),
        id: Some(id),
        partitions,
    });
}
