//! What members of the protocol type `consumer` say in the blobs of a classic group.
//!
//! The blobs come from clients of every kind, and so they are hostile. Their newer versions are read as the
//! newest that is known here, which each of them begins with.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use kafka_protocol::wire::Reader;
use kafka_protocol::{DecodeError, EncodeError, Message};

use crate::state::typed_record::prefixed;

/// The protocol type of consumers.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";

/// What a member wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Subscription {
    /// The version that it speaks.
    pub(crate) version: i16,
    pub(crate) topics: Vec<ByteString>,
    /// What it still has, by the names of topics.
    pub(crate) owned: Vec<(ByteString, i32)>,
    pub(crate) rack_id: Option<ByteString>,
}

/// Reads what a member wants.
///
/// # Errors
///
/// If the blob is not what its version says.
pub(crate) fn decode_subscription(blob: &Bytes) -> Result<Subscription, DecodeError> {
    let (version, message): (i16, ConsumerProtocolSubscription) = decode(blob)?;
    let owned = message.owned_partitions.into_iter().flat_map(|row| {
        let partitions = row.partitions.into_iter();
        partitions.map(move |index| (row.topic.clone(), index))
    });
    Ok(Subscription {
        version,
        topics: message.topics,
        owned: owned.collect(),
        rack_id: message.rack_id,
    })
}

/// Reads what a member has, by the names of topics; nothing, if the blob is empty.
///
/// # Errors
///
/// If the blob is not what its version says.
pub(crate) fn decode_assignment(blob: &Bytes) -> Result<Vec<(ByteString, i32)>, DecodeError> {
    if blob.is_empty() {
        return Ok(Vec::new());
    }
    let (_, message): (_, ConsumerProtocolAssignment) = decode(blob)?;
    let rows = message.assigned_partitions.into_iter();
    let partitions = rows.flat_map(|row| {
        let partitions = row.partitions.into_iter();
        partitions.map(move |index| (row.topic.clone(), index))
    });
    Ok(partitions.collect())
}

/// Writes what a member has for one that speaks this version.
///
/// # Errors
///
/// If a name is longer than the format can say.
pub(crate) fn encode_assignment(
    version: i16,
    partitions: impl IntoIterator<Item = (ByteString, i32)>,
) -> Result<Bytes, EncodeError> {
    let mut by_topic: BTreeMap<ByteString, Vec<i32>> = BTreeMap::new();
    for (topic, index) in partitions {
        by_topic.entry(topic).or_default().push(index);
    }
    let mut message = ConsumerProtocolAssignment::default();
    message.assigned_partitions = by_topic
        .into_iter()
        .map(|(topic, partitions)| {
            let mut row = TopicPartition::default();
            row.topic = topic;
            row.partitions = partitions;
            row
        })
        .collect();
    let version = known::<ConsumerProtocolAssignment>(version);
    prefixed(&message, version, version)
}

fn decode<M: Message>(blob: &Bytes) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(blob.clone());
    let version = reader.i16("Version")?;
    let message = M::decode(&mut reader, known::<M>(version))?;
    Ok((version, message))
}

/// The version as which one is read; what is negative stays so and is refused.
fn known<M: Message>(version: i16) -> i16 {
    version.min(M::VERSIONS.max)
}
