//! The records of groups in `__consumer_offsets`: committed offsets and the members of a group.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::messages::group_metadata_value::MemberMetadata;
use kafka_protocol::messages::{
    GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue,
};
use kafka_protocol::request::TypedRecord;
use kafka_protocol::wire::Reader;
use kafka_protocol::{DecodeError, EncodeError, Message};

use crate::state::classic_group::{SavedMember, Snapshot};
use crate::state::consumer_group::change::Change;
use crate::state::consumer_group_record::decode_change;
use crate::state::offsets::CommittedOffset;
use crate::state::time::millis;
use crate::state::typed_record::{prefixed, versioned};

/// A record of the topic, its key and value read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum GroupRecord {
    /// A group committed an offset, or it was taken back.
    Offset {
        group: ByteString,
        topic: ByteString,
        partition: i32,
        offset: Option<CommittedOffset>,
    },
    /// A group as it stands, or its end.
    Group {
        group: ByteString,
        snapshot: Option<Snapshot>,
    },
    /// A piece of a consumer group.
    ConsumerGroup { group: ByteString, change: Change },
    /// A record of a kind that this broker has no use for.
    Other(i16),
}

/// A key and a value; no value takes the key's last one back.
pub(crate) type KeyValue = (Bytes, Option<Bytes>);

impl GroupRecord {
    /// Reads a record.
    ///
    /// # Errors
    ///
    /// If key or value is not what the number before it says.
    pub(crate) fn decode(key: Bytes, value: Option<Bytes>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(key);
        let kind = reader.i16("RecordType")?;
        match kind {
            0 | 1 => {
                let key = OffsetCommitKey::decode(&mut reader, KEY_VERSION)?;
                Ok(Self::Offset {
                    group: key.group,
                    topic: key.topic,
                    partition: key.partition,
                    offset: value.map(decode_offset).transpose()?,
                })
            }
            2 => Ok(Self::Group {
                group: GroupMetadataKey::decode(&mut reader, KEY_VERSION)?.group,
                snapshot: value.map(decode_group).transpose()?,
            }),
            kind => Ok(match decode_change(kind, &mut reader, value)? {
                Some((group, change)) => Self::ConsumerGroup { group, change },
                None => Self::Other(kind),
            }),
        }
    }
}

/// The record of a committed offset, or with `None` the one that takes it back.
///
/// # Errors
///
/// If a name is longer than the format can say.
pub(crate) fn offset_record(
    group: &ByteString,
    topic: &ByteString,
    partition: i32,
    offset: Option<&CommittedOffset>,
) -> Result<KeyValue, EncodeError> {
    let mut key = OffsetCommitKey::default();
    key.group = group.clone();
    key.topic = topic.clone();
    key.partition = partition;
    let value = offset.map(|offset| {
        let mut value = OffsetCommitValue::default();
        value.offset = offset.offset;
        value.metadata = offset.metadata.clone();
        value.commit_timestamp = offset.committed_at_ms;
        // Only the old version has room for an expiry, only the new one for the rest.
        if let Some(expires_at_ms) = offset.expires_at_ms {
            value.expire_timestamp = expires_at_ms;
            return prefixed(&value, OFFSET_WITH_EXPIRY, OFFSET_WITH_EXPIRY);
        }
        value.leader_epoch = offset.leader_epoch;
        value.topic_id = offset.topic_id;
        prefixed(&value, OFFSET_VERSION, OFFSET_VERSION)
    });
    Ok((
        prefixed(&key, OffsetCommitKey::TYPE_ID, KEY_VERSION)?,
        value.transpose()?,
    ))
}

/// The record of a group, or with `None` the one that takes it back.
///
/// # Errors
///
/// If a name is longer than the format can say.
pub(crate) fn group_record(
    group: &ByteString,
    snapshot: Option<&Snapshot>,
) -> Result<KeyValue, EncodeError> {
    let mut key = GroupMetadataKey::default();
    key.group = group.clone();
    let value = snapshot.map(|snapshot| {
        let mut value = GroupMetadataValue::default();
        value.protocol_type = snapshot.protocol_type.clone();
        value.generation = snapshot.generation;
        value.protocol = snapshot.protocol.clone();
        value.leader = snapshot.leader.clone();
        value.current_state_timestamp = snapshot.phase_since_ms;
        value.members = snapshot.members.iter().map(encode_member).collect();
        prefixed(&value, GROUP_VERSION, GROUP_VERSION)
    });
    Ok((
        prefixed(&key, GroupMetadataKey::TYPE_ID, KEY_VERSION)?,
        value.transpose()?,
    ))
}

fn encode_member(member: &SavedMember) -> MemberMetadata {
    let mut value = MemberMetadata::default();
    value.member_id = member.member_id.clone();
    value.group_instance_id = member.instance_id.clone();
    value.client_id = member.client_id.clone();
    value.client_host = member.client_host.clone();
    value.rebalance_timeout = i32::try_from(millis(member.rebalance_timeout)).unwrap_or(i32::MAX);
    value.session_timeout = i32::try_from(millis(member.session_timeout)).unwrap_or(i32::MAX);
    value.subscription = member.subscription.clone();
    value.assignment = member.assignment.clone();
    value
}

fn decode_offset(value: Bytes) -> Result<CommittedOffset, DecodeError> {
    let value: OffsetCommitValue = versioned(value)?;
    Ok(CommittedOffset {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata,
        committed_at_ms: value.commit_timestamp,
        expires_at_ms: Some(value.expire_timestamp).filter(|at| *at >= 0),
        topic_id: value.topic_id,
    })
}

fn decode_group(value: Bytes) -> Result<Snapshot, DecodeError> {
    let value: GroupMetadataValue = versioned(value)?;
    let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    let members = value.members.into_iter().map(|member| SavedMember {
        member_id: member.member_id,
        instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        rebalance_timeout: millis(member.rebalance_timeout),
        session_timeout: millis(member.session_timeout),
        subscription: member.subscription,
        assignment: member.assignment,
    });
    Ok(Snapshot {
        generation: value.generation,
        protocol_type: value.protocol_type,
        protocol: value.protocol,
        leader: value.leader,
        phase_since_ms: value.current_state_timestamp,
        members: members.collect(),
    })
}

/// Keys have one version, and the type's number where the version would stand.
const KEY_VERSION: i16 = 0;
const OFFSET_VERSION: i16 = 4;
const OFFSET_WITH_EXPIRY: i16 = 1;
const GROUP_VERSION: i16 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::Uuid;

    #[test]
    fn offsets_come_back_as_they_went() {
        let mut offset = CommittedOffset {
            offset: 42,
            leader_epoch: 7,
            metadata: "m".into(),
            committed_at_ms: 1000,
            expires_at_ms: None,
            topic_id: Uuid([3; 16]),
        };
        let round = |offset: Option<&CommittedOffset>| {
            let record = offset_record(&"g".into(), &"t".into(), 5, offset).unwrap();
            match GroupRecord::decode(record.0, record.1).unwrap() {
                GroupRecord::Offset {
                    group,
                    topic,
                    partition,
                    offset,
                } => {
                    assert_eq!((&*group, &*topic, partition), ("g", "t", 5));
                    offset
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(round(Some(&offset)), Some(offset.clone()));
        assert_eq!(round(None), None);
        offset.expires_at_ms = Some(5000);
        let old = round(Some(&offset)).unwrap();
        assert_eq!(
            (old.offset, old.expires_at_ms, old.leader_epoch),
            (42, Some(5000), -1)
        );
    }

    #[test]
    fn groups_come_back_as_they_went() {
        let snapshot = Snapshot {
            generation: 3,
            protocol_type: "consumer".into(),
            protocol: Some("range".into()),
            leader: Some("a".into()),
            phase_since_ms: 1000,
            members: vec![SavedMember {
                member_id: "a".into(),
                instance_id: Some("i".into()),
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                rebalance_timeout: Duration::from_secs(60),
                session_timeout: Duration::from_secs(10),
                subscription: Bytes::from_static(b"s"),
                assignment: Bytes::from_static(b"x"),
            }],
        };
        let (key, value) = group_record(&"g".into(), Some(&snapshot)).unwrap();
        assert_eq!(key.as_ref(), [0, 2, 0, 1, b'g']);
        let read = GroupRecord::decode(key, value).unwrap();
        assert_eq!(
            read,
            GroupRecord::Group {
                group: "g".into(),
                snapshot: Some(snapshot)
            }
        );
    }

    #[test]
    fn foreign_and_torn_records_are_no_panic() {
        assert_eq!(
            GroupRecord::decode(Bytes::from_static(&[0, 19]), None),
            Ok(GroupRecord::Other(19))
        );
        for len in 0..5 {
            let torn = Bytes::from_static(&[0, 2, 0, 9, b'g']).slice(..len);
            assert!(GroupRecord::decode(torn, None).is_err());
        }
    }
}
