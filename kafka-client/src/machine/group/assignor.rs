//! Choosing who reads what, and the blobs in which members of a classic group say so.
//!
//! The blobs come from other members, maybe of other clients: they are hostile. One that cannot be read
//! counts as a wish for nothing, so that one broken member does not stop the leader.

pub(crate) mod problem;
pub(crate) mod range;

use std::collections::BTreeSet;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{DecodeError, EncodeError, Message};

use crate::error::{Error, ErrorKind};
use crate::machine::group::assignor::problem::{Assignment, Wish};
use crate::record::topic_partition::TopicPartition;

/// The name under which the members of a group speak of this assignor.
pub(crate) const RANGE: &str = "range";
/// The name of what consumers say in the blobs of a classic group.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";

/// The wish of this member, as a blob.
pub(crate) fn encode_wish(topics: &BTreeSet<ByteString>) -> Result<Bytes, Error> {
    let mut subscription = ConsumerProtocolSubscription::default();
    subscription.topics = topics.iter().cloned().collect();
    encode(&subscription).map_err(unencodable)
}

/// What another member wants.
pub(crate) fn decode_wish(instance_id: Option<ByteString>, blob: &Bytes) -> Result<Wish, Error> {
    let subscription: ConsumerProtocolSubscription = decode(blob).map_err(unreadable)?;
    Ok(Wish {
        instance_id,
        topics: subscription.topics.into_iter().collect(),
    })
}

/// What a member is to read, as a blob.
pub(crate) fn encode_assignment(assignment: &Assignment) -> Result<Bytes, Error> {
    let mut message = ConsumerProtocolAssignment::default();
    for (name, partitions) in assignment {
        let mut topic = AssignedTopic::default();
        topic.topic = name.clone();
        topic.partitions = partitions.clone();
        message.assigned_partitions.push(topic);
    }
    encode(&message).map_err(unencodable)
}

/// What this member is to read. The empty blob means nothing.
pub(crate) fn decode_assignment(blob: &Bytes) -> Result<BTreeSet<TopicPartition>, Error> {
    if blob.is_empty() {
        return Ok(BTreeSet::new());
    }
    let message: ConsumerProtocolAssignment = decode(blob).map_err(unreadable)?;
    let mut partitions = BTreeSet::new();
    for topic in message.assigned_partitions {
        for number in topic.partitions {
            if number < 0 {
                let text = format!("the leader assigned partition {number} of {}", topic.topic);
                return Err(Error::new(ErrorKind::Protocol, text));
            }
            // A name of its own: a slice would keep the whole answer alive.
            partitions.insert(TopicPartition::new(&*topic.topic, number));
        }
    }
    Ok(partitions)
}

/// The version as an int16, then the message.
fn encode<M: Message>(message: &M) -> Result<Bytes, EncodeError> {
    let version = M::VERSIONS.max;
    let mut writer = Writer::new();
    writer.i16(version);
    message.encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}

/// A version that is newer than ours begins as ours does.
fn decode<M: Message>(blob: &Bytes) -> Result<M, DecodeError> {
    let mut reader = Reader::new(blob.clone());
    let version = reader
        .i16("version")?
        .clamp(M::VERSIONS.min, M::VERSIONS.max);
    M::decode(&mut reader, version)
}

fn unreadable(error: DecodeError) -> Error {
    Error::new(
        ErrorKind::Protocol,
        "what a member of the group said cannot be read",
    )
    .with_source(error)
}

fn unencodable(error: EncodeError) -> Error {
    Error::new(
        ErrorKind::Internal,
        "a message of the group cannot be written",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_as_other_clients_write_them() {
        // Version 0: two topics and no user data.
        let blob = Bytes::from_static(b"\0\0\0\0\0\x02\0\x01a\0\x01b\xff\xff\xff\xff");
        let wish = decode_wish(None, &blob).unwrap();
        assert_eq!(
            wish.topics.iter().map(|t| &**t).collect::<Vec<_>>(),
            ["a", "b"]
        );
        let blob = Bytes::from_static(
            b"\0\0\0\0\0\x01\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x03\xff\xff\xff\xff",
        );
        let partitions = decode_assignment(&blob).unwrap();
        assert_eq!(
            partitions,
            BTreeSet::from([TopicPartition::new("a", 0), TopicPartition::new("a", 3)])
        );
        assert!(decode_assignment(&Bytes::new()).unwrap().is_empty());
    }

    #[test]
    fn what_is_written_is_read_back_also_from_a_later_version() {
        let topics = BTreeSet::from([ByteString::from("a"), ByteString::from("b")]);
        let blob = encode_wish(&topics).unwrap();
        assert_eq!(decode_wish(None, &blob).unwrap().topics, topics);
        let mut later = blob.to_vec();
        later[1] = 99;
        later.extend_from_slice(b"what a later version adds");
        assert_eq!(
            decode_wish(None, &Bytes::from(later)).unwrap().topics,
            topics
        );
        let assignment = Assignment::from([(ByteString::from("a"), vec![1, 2])]);
        let blob = encode_assignment(&assignment).unwrap();
        assert_eq!(decode_assignment(&blob).unwrap().len(), 2);
    }

    #[test]
    fn cut_and_foreign_blobs_are_errors() {
        let whole =
            encode_assignment(&Assignment::from([(ByteString::from("a"), vec![1, 2])])).unwrap();
        for len in 1..whole.len() {
            assert!(decode_assignment(&whole.slice(..len)).is_err(), "{len}");
        }
        let huge = Bytes::from_static(b"\0\0\x7f\xff\xff\xff");
        assert!(decode_wish(None, &huge).is_err());
        let negative = encode_assignment(&Assignment::from([(ByteString::from("a"), vec![-1])]));
        assert!(decode_assignment(&negative.unwrap()).is_err());
    }
}
