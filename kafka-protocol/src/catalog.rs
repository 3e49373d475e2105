//! What messages there are, and the way from a key or name that is known only at run time to the type.
//!
//! For proxies and tools. What is done with a type is written once, in a [`MessageVisitor`], and
//! compiled for the messages only where it is used:
//!
//! ```
//! use bytes::Bytes;
//! use kafka_protocol::catalog::{self, MessageVisitor};
//! use kafka_protocol::{ApiKey, DecodeError, Message};
//!
//! /// Prints a body, whatever it is.
//! struct Print(Bytes, i16);
//!
//! impl MessageVisitor for Print {
//!     type Output = Result<String, DecodeError>;
//!
//!     fn visit<M: Message>(self) -> Self::Output {
//!         Ok(format!("{:?}", M::from_bytes(self.0, self.1)?))
//!     }
//! }
//!
//! let key = ApiKey::from_code(12).ok_or("no such api")?;
//! let body = Bytes::from_static(b"\0\x07billing\0\0\0\x09\0\x02me");
//! let text = catalog::visit_request(key, Print(body, 0)).ok_or("not in this build")??;
//! assert!(text.starts_with(r#"HeartbeatRequest { group_id: "billing", generation_id: 9"#));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

use crate::api_key::ApiKey;
use crate::messages;
use crate::request::Message;
use crate::version::VersionRange;

/// All messages of this build, in the order of their names.
pub const ALL: &[MessageInfo] = messages::catalog::ALL;

/// The fields that name an entity, in the order of the messages' names, in every build: what a proxy has to look at
/// that renames topics, or a gateway that keeps tenants apart.
///
/// ```
/// use kafka_protocol::catalog::{ENTITY_FIELDS, EntityType};
///
/// let topics: Vec<_> = ENTITY_FIELDS
///     .iter()
///     .filter(|field| field.message == "MetadataResponse" && field.entity == EntityType::TopicName)
///     .map(|field| field.path)
///     .collect();
/// assert_eq!(topics, ["topics[].name"]);
/// ```
pub const ENTITY_FIELDS: &[EntityField] = messages::entities::FIELDS;

/// A field that names an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityField {
    /// The name of the message.
    pub message: &'static str,
    /// The way to the field from the message down, by the names of the Rust fields;
    /// `topics[].partitions[].leader_id` is a field of each element of an array in each of another.
    pub path: &'static str,
    /// What it names.
    pub entity: EntityType,
    /// The versions of the message that have it.
    pub versions: VersionRange,
}

/// What a field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntityType {
    /// A topic, by name.
    TopicName,
    /// A group of consumers, by its id.
    GroupId,
    /// A broker, by its number; -1 for none.
    BrokerId,
    /// An idempotent producer, by its number.
    ProducerId,
    /// A transactional producer, by the name that its owner gave it.
    TransactionalId,
}

/// What a message is, without its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageInfo {
    /// The name, such as `FetchRequest`.
    pub name: &'static str,
    /// What it is for.
    pub kind: MessageKind,
    /// The API key of a request or response, the type number of a record; none of others.
    pub key: Option<i16>,
    /// The versions that exist.
    pub versions: VersionRange,
    /// The first version with tagged fields and compact lengths; `i16::MAX` if there is none.
    pub first_flexible: i16,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageKind {
    /// What a client asks.
    Request,
    /// What a broker answers.
    Response,
    /// What stands before a request or response.
    Header,
    /// A message of its own inside others or in files: the consumer protocol, control records,
    /// snapshots.
    Data,
    /// A record of the metadata log, or of the topic of remote log metadata.
    MetadataRecord,
    /// The key of a record in a coordinator's topic.
    CoordinatorKey,
    /// The value of a record in a coordinator's topic.
    CoordinatorValue,
}

/// What to do with a message whose type is known only at run time.
pub trait MessageVisitor {
    /// What comes of it.
    type Output;

    /// Does it for the type.
    fn visit<M: Message>(self) -> Self::Output;
}

/// Visits the type of the request of this key; `None` if this build is without it.
pub fn visit_request<V: MessageVisitor>(key: ApiKey, visitor: V) -> Option<V::Output> {
    messages::catalog::visit_request(key, visitor)
}

/// Visits the type of the response to the request of this key; `None` if this build is without it.
pub fn visit_response<V: MessageVisitor>(key: ApiKey, visitor: V) -> Option<V::Output> {
    messages::catalog::visit_response(key, visitor)
}

/// Visits the type of the message of this name; `None` if there is none, or this build is without it.
pub fn visit_named<V: MessageVisitor>(name: &str, visitor: V) -> Option<V::Output> {
    messages::catalog::visit_named(name, visitor)
}

impl MessageInfo {
    pub(crate) const fn of<M: Message>(kind: MessageKind, key: Option<i16>) -> Self {
        Self {
            name: M::NAME,
            kind,
            key,
            versions: M::VERSIONS,
            first_flexible: M::FIRST_FLEXIBLE,
        }
    }
}

impl EntityField {
    pub(crate) const fn new(
        message: &'static str,
        path: &'static str,
        entity: EntityType,
        min: i16,
        max: i16,
    ) -> Self {
        Self {
            message,
            path,
            entity,
            versions: VersionRange::new(min, max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, MessageVisitor, visit_named, visit_request, visit_response};
    use crate::api_key::ApiKey;
    use crate::request::Message;

    struct Name;

    impl MessageVisitor for Name {
        type Output = &'static str;

        fn visit<M: Message>(self) -> Self::Output {
            M::NAME
        }
    }

    /// What clients need is in every build; the rest is visited where it is listed, and else is not.
    #[test]
    fn a_build_is_without_all_of_a_message_or_none_of_it() {
        let listed = |name: &str| ALL.iter().any(|info| info.name == name);
        for name in [
            "FetchRequest",
            "WriteTxnMarkersRequest",
            "EndTxnMarker",
            "AddRaftVoterRequest",
        ] {
            assert!(listed(name), "{name}");
        }
        for &key in ApiKey::ALL {
            for (visited, kind) in [
                (visit_request(key, Name), "Request"),
                (visit_response(key, Name), "Response"),
            ] {
                let name = format!("{key}{kind}");
                assert_eq!(visited.is_some(), listed(&name), "{name}");
                assert!(visited.is_none_or(|visited| visited == name), "{name}");
                assert_eq!(visit_named(&name, Name), visited);
            }
        }
        let whole = cfg!(feature = "cluster");
        for name in [
            "VoteRequest",
            "BrokerHeartbeatResponse",
            "ReadShareGroupStateRequest",
            "PartitionRecord",
            "OffsetCommitKey",
            "TransactionLogValue",
        ] {
            assert_eq!(listed(name), whole, "{name}");
        }
    }
}
