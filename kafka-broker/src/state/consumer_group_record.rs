//! The records of consumer groups in `__consumer_offsets`, one for each piece of a group (KIP-848).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::messages::consumer_group_current_member_assignment_value as current;
use kafka_protocol::messages::consumer_group_member_metadata_value as member;
use kafka_protocol::messages::consumer_group_target_assignment_member_value as target;
use kafka_protocol::messages::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupPartitionMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
};
use kafka_protocol::request::TypedRecord;
use kafka_protocol::wire::Reader;
use kafka_protocol::{DecodeError, EncodeError, Message, Uuid};

use crate::state::consumer_group::change::{
    Change, ClassicMetadata, CurrentAssignment, DatedPartitions, GroupEpoch, MemberMetadata,
    MemberState, Partitions, ResolvedRegex, TargetEpoch,
};
use crate::state::typed_record::{prefixed, versioned};

/// The record of a change.
///
/// # Errors
///
/// If a name is longer than the format can say.
pub(crate) fn encode_change(
    group: &ByteString,
    change: &Change,
) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    match change {
        Change::Epoch(epoch) => {
            let mut key = ConsumerGroupMetadataKey::default();
            key.group_id = group.clone();
            pair(&key, epoch.as_ref().map(epoch_value))
        }
        Change::PartitionMetadata(exists) => {
            let mut key = ConsumerGroupPartitionMetadataKey::default();
            key.group_id = group.clone();
            let value = exists.then(ConsumerGroupPartitionMetadataValue::default);
            pair(&key, value)
        }
        Change::Member { id, metadata } => {
            let mut key = ConsumerGroupMemberMetadataKey::default();
            key.group_id = group.clone();
            key.member_id = id.clone();
            pair(&key, metadata.as_deref().map(member_value))
        }
        Change::TargetEpoch(epoch) => {
            let mut key = ConsumerGroupTargetAssignmentMetadataKey::default();
            key.group_id = group.clone();
            pair(&key, epoch.as_ref().map(target_epoch_value))
        }
        Change::Target { id, partitions } => {
            let mut key = ConsumerGroupTargetAssignmentMemberKey::default();
            key.group_id = group.clone();
            key.member_id = id.clone();
            pair(&key, partitions.as_ref().map(target_value))
        }
        Change::Current { id, assignment } => {
            let mut key = ConsumerGroupCurrentMemberAssignmentKey::default();
            key.group_id = group.clone();
            key.member_id = id.clone();
            pair(&key, assignment.as_ref().map(current_value))
        }
        Change::Regex { pattern, resolved } => {
            let mut key = ConsumerGroupRegularExpressionKey::default();
            key.group_id = group.clone();
            key.regular_expression = pattern.clone();
            pair(&key, resolved.as_ref().map(regex_value))
        }
    }
}

/// Reads the record of a change, its key behind the number of its kind; `None` if that is another kind.
///
/// # Errors
///
/// If key or value is not what the number before it says.
pub(crate) fn decode_change(
    kind: i16,
    key: &mut Reader,
    value: Option<Bytes>,
) -> Result<Option<(ByteString, Change)>, DecodeError> {
    const EPOCH: i16 = ConsumerGroupMetadataKey::TYPE_ID;
    const PARTITIONS: i16 = ConsumerGroupPartitionMetadataKey::TYPE_ID;
    const MEMBER: i16 = ConsumerGroupMemberMetadataKey::TYPE_ID;
    const TARGET_EPOCH: i16 = ConsumerGroupTargetAssignmentMetadataKey::TYPE_ID;
    const TARGET: i16 = ConsumerGroupTargetAssignmentMemberKey::TYPE_ID;
    const CURRENT: i16 = ConsumerGroupCurrentMemberAssignmentKey::TYPE_ID;
    const REGEX: i16 = ConsumerGroupRegularExpressionKey::TYPE_ID;
    Ok(Some(match kind {
        EPOCH => {
            let key = ConsumerGroupMetadataKey::decode(key, KEY_VERSION)?;
            (key.group_id, Change::Epoch(read(value, epoch)?))
        }
        PARTITIONS => {
            let key = ConsumerGroupPartitionMetadataKey::decode(key, KEY_VERSION)?;
            (key.group_id, Change::PartitionMetadata(value.is_some()))
        }
        MEMBER => {
            let key = ConsumerGroupMemberMetadataKey::decode(key, KEY_VERSION)?;
            let metadata = read(value, metadata)?.map(Arc::new);
            let id = key.member_id;
            (key.group_id, Change::Member { id, metadata })
        }
        TARGET_EPOCH => {
            let key = ConsumerGroupTargetAssignmentMetadataKey::decode(key, KEY_VERSION)?;
            (
                key.group_id,
                Change::TargetEpoch(read(value, target_epoch)?),
            )
        }
        TARGET => {
            let key = ConsumerGroupTargetAssignmentMemberKey::decode(key, KEY_VERSION)?;
            let partitions = read(value, target)?;
            let id = key.member_id;
            (key.group_id, Change::Target { id, partitions })
        }
        CURRENT => {
            let key = ConsumerGroupCurrentMemberAssignmentKey::decode(key, KEY_VERSION)?;
            let assignment = read(value, current)?;
            let id = key.member_id;
            (key.group_id, Change::Current { id, assignment })
        }
        REGEX => {
            let key = ConsumerGroupRegularExpressionKey::decode(key, KEY_VERSION)?;
            let resolved = read(value, regex)?;
            let pattern = key.regular_expression;
            (key.group_id, Change::Regex { pattern, resolved })
        }
        _ => return Ok(None),
    }))
}

fn epoch_value(epoch: &GroupEpoch) -> ConsumerGroupMetadataValue {
    let mut value = ConsumerGroupMetadataValue::default();
    value.epoch = epoch.epoch;
    value.metadata_hash = epoch.metadata_hash;
    value
}

fn epoch(value: ConsumerGroupMetadataValue) -> GroupEpoch {
    GroupEpoch {
        epoch: value.epoch,
        metadata_hash: value.metadata_hash,
    }
}

fn target_epoch_value(epoch: &TargetEpoch) -> ConsumerGroupTargetAssignmentMetadataValue {
    let mut value = ConsumerGroupTargetAssignmentMetadataValue::default();
    value.assignment_epoch = epoch.epoch;
    value.assignment_timestamp = epoch.assigned_at_ms;
    value
}

fn target_epoch(value: ConsumerGroupTargetAssignmentMetadataValue) -> TargetEpoch {
    TargetEpoch {
        epoch: value.assignment_epoch,
        assigned_at_ms: value.assignment_timestamp,
    }
}

fn member_value(metadata: &MemberMetadata) -> ConsumerGroupMemberMetadataValue {
    let mut value = ConsumerGroupMemberMetadataValue::default();
    value.instance_id = metadata.instance_id.clone();
    value.rack_id = metadata.rack_id.clone();
    value.client_id = metadata.client_id.clone();
    value.client_host = metadata.client_host.clone();
    value.subscribed_topic_names = metadata.topics.iter().cloned().collect();
    value.subscribed_topic_regex = metadata.regex.clone();
    value.rebalance_timeout_ms = metadata.rebalance_timeout_ms;
    value.server_assignor = metadata.assignor.clone();
    value.classic_member_metadata = metadata.classic.as_ref().map(|classic| {
        let mut value = member::ClassicMemberMetadata::default();
        value.session_timeout_ms = classic.session_timeout_ms;
        let protocols = classic.protocols.iter();
        value.supported_protocols = protocols
            .map(|(name, metadata)| {
                let mut protocol = member::ClassicProtocol::default();
                protocol.name = name.clone();
                protocol.metadata = metadata.clone();
                protocol
            })
            .collect();
        value
    });
    value
}

fn metadata(value: ConsumerGroupMemberMetadataValue) -> MemberMetadata {
    MemberMetadata {
        instance_id: value.instance_id,
        rack_id: value.rack_id,
        client_id: value.client_id,
        client_host: value.client_host,
        topics: value.subscribed_topic_names.into_iter().collect(),
        regex: value.subscribed_topic_regex,
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        assignor: value.server_assignor,
        classic: value
            .classic_member_metadata
            .map(|classic| ClassicMetadata {
                session_timeout_ms: classic.session_timeout_ms,
                protocols: classic
                    .supported_protocols
                    .into_iter()
                    .map(|protocol| (protocol.name, protocol.metadata))
                    .collect(),
            }),
    }
}

fn target_value(partitions: &Partitions) -> ConsumerGroupTargetAssignmentMemberValue {
    let mut by_topic: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, index) in partitions {
        by_topic.entry(*topic).or_default().push(*index);
    }
    let mut value = ConsumerGroupTargetAssignmentMemberValue::default();
    value.topic_partitions = by_topic
        .into_iter()
        .map(|(topic, partitions)| {
            let mut row = target::TopicPartition::default();
            row.topic_id = topic;
            row.partitions = partitions;
            row
        })
        .collect();
    value
}

fn target(value: ConsumerGroupTargetAssignmentMemberValue) -> Partitions {
    let topics = value.topic_partitions.into_iter();
    let of = |row: target::TopicPartition| {
        let topic = row.topic_id;
        row.partitions.into_iter().map(move |index| (topic, index))
    };
    topics.flat_map(of).collect()
}

fn current_value(assignment: &CurrentAssignment) -> ConsumerGroupCurrentMemberAssignmentValue {
    let mut value = ConsumerGroupCurrentMemberAssignmentValue::default();
    value.member_epoch = assignment.epoch;
    value.previous_member_epoch = assignment.previous_epoch;
    value.state = state_code(assignment.state);
    value.assigned_partitions = dated_rows(&assignment.assigned);
    value.partitions_pending_revocation = dated_rows(&assignment.revoking);
    value
}

fn current(value: ConsumerGroupCurrentMemberAssignmentValue) -> CurrentAssignment {
    CurrentAssignment {
        epoch: value.member_epoch,
        previous_epoch: value.previous_member_epoch,
        state: state(value.state),
        assigned: dated(value.assigned_partitions, value.member_epoch),
        revoking: dated(value.partitions_pending_revocation, value.member_epoch),
    }
}

fn dated_rows(partitions: &DatedPartitions) -> Vec<current::TopicPartitions> {
    let mut by_topic: BTreeMap<Uuid, (Vec<i32>, Vec<i32>)> = BTreeMap::new();
    for ((topic, index), epoch) in partitions {
        let (indexes, epochs) = by_topic.entry(*topic).or_default();
        indexes.push(*index);
        epochs.push(*epoch);
    }
    by_topic
        .into_iter()
        .map(|(topic, (indexes, epochs))| {
            let mut row = current::TopicPartitions::default();
            row.topic_id = topic;
            row.partitions = indexes;
            row.assignment_epochs = Some(epochs);
            row
        })
        .collect()
}

/// Releases before 4.4 told no epochs: no partition was assigned later than the member's own says.
fn dated(rows: Vec<current::TopicPartitions>, member_epoch: i32) -> DatedPartitions {
    let mut partitions = DatedPartitions::new();
    for row in rows {
        let mut epochs = row.assignment_epochs.unwrap_or_default().into_iter();
        for index in row.partitions {
            let epoch = epochs.next().unwrap_or(member_epoch);
            partitions.insert((row.topic_id, index), epoch);
        }
    }
    partitions
}

fn state_code(state: MemberState) -> i8 {
    match state {
        MemberState::Stable => 0,
        MemberState::UnrevokedPartitions => 1,
        MemberState::UnreleasedPartitions => 2,
        MemberState::Unknown => 127,
    }
}

fn state(code: i8) -> MemberState {
    match code {
        0 => MemberState::Stable,
        1 => MemberState::UnrevokedPartitions,
        2 => MemberState::UnreleasedPartitions,
        _ => MemberState::Unknown,
    }
}

fn regex_value(resolved: &ResolvedRegex) -> ConsumerGroupRegularExpressionValue {
    let mut value = ConsumerGroupRegularExpressionValue::default();
    value.topics = resolved.topics.iter().cloned().collect();
    value.version = resolved.version;
    value.timestamp = resolved.resolved_at_ms;
    value
}

fn regex(value: ConsumerGroupRegularExpressionValue) -> ResolvedRegex {
    ResolvedRegex {
        topics: value.topics.into_iter().collect(),
        version: value.version,
        resolved_at_ms: value.timestamp,
    }
}

fn pair<K: TypedRecord>(
    key: &K,
    value: Option<impl Message>,
) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    let value = value.map(|value| prefixed(&value, VALUE_VERSION, VALUE_VERSION));
    Ok((prefixed(key, K::TYPE_ID, KEY_VERSION)?, value.transpose()?))
}

fn read<V: Message, T>(
    value: Option<Bytes>,
    into: impl FnOnce(V) -> T,
) -> Result<Option<T>, DecodeError> {
    value.map(|value| versioned(value).map(into)).transpose()
}

/// Keys have one version, and the number of the kind where it would stand.
const KEY_VERSION: i16 = 0;

/// Values have one version, and grow by tagged fields alone.
const VALUE_VERSION: i16 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn round(change: &Change) -> (ByteString, Change) {
        let (key, value) = encode_change(&"g".into(), change).unwrap();
        let mut reader = Reader::new(key);
        let kind = reader.i16("RecordType").unwrap();
        decode_change(kind, &mut reader, value).unwrap().unwrap()
    }

    #[test]
    fn every_piece_comes_back_as_it_went() {
        let id = ByteString::from("m");
        let partition = |number: u8, index| (Uuid([number; 16]), index);
        let metadata = MemberMetadata {
            instance_id: Some("i".into()),
            rack_id: Some("r".into()),
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            topics: ["a".into(), "b".into()].into(),
            regex: Some("c.*".into()),
            rebalance_timeout_ms: 300_000,
            assignor: Some("range".into()),
            classic: Some(ClassicMetadata {
                session_timeout_ms: 45_000,
                protocols: vec![("range".into(), Bytes::from_static(b"wish"))],
            }),
        };
        let current = CurrentAssignment {
            epoch: 7,
            previous_epoch: 6,
            state: MemberState::UnrevokedPartitions,
            assigned: [(partition(1, 0), 5), (partition(1, 2), 7)].into(),
            revoking: [(partition(2, 1), 3)].into(),
        };
        for change in [
            Change::Epoch(Some(GroupEpoch {
                epoch: 7,
                metadata_hash: -5,
            })),
            Change::Epoch(None),
            Change::PartitionMetadata(true),
            Change::PartitionMetadata(false),
            Change::Member {
                id: id.clone(),
                metadata: Some(Arc::new(metadata)),
            },
            Change::Member {
                id: id.clone(),
                metadata: None,
            },
            Change::TargetEpoch(Some(TargetEpoch {
                epoch: 7,
                assigned_at_ms: 1000,
            })),
            Change::Target {
                id: id.clone(),
                partitions: Some([partition(1, 0), partition(1, 2), partition(2, 0)].into()),
            },
            Change::Current {
                id: id.clone(),
                assignment: Some(current),
            },
            Change::Current {
                id,
                assignment: None,
            },
            Change::Regex {
                pattern: "c.*".into(),
                resolved: Some(ResolvedRegex {
                    topics: ["c1".into()].into(),
                    version: 9,
                    resolved_at_ms: 1000,
                }),
            },
        ] {
            assert_eq!(round(&change), ("g".into(), change));
        }
    }

    /// Releases before 4.4 knew no epochs of partitions.
    #[test]
    fn partitions_without_epochs_have_that_of_their_member() {
        let mut row = current::TopicPartitions::default();
        row.partitions = vec![3];
        let mut value = ConsumerGroupCurrentMemberAssignmentValue::default();
        value.member_epoch = 4;
        value.assigned_partitions = vec![row];
        assert_eq!(current(value).assigned, [((Uuid::ZERO, 3), 4)].into());
    }

    #[test]
    fn torn_and_foreign_records_are_no_panic() {
        for kind in [3, 4, 5, 6, 7, 8, 16] {
            let torn = Bytes::from_static(&[0, 9, b'g']);
            assert!(decode_change(kind, &mut Reader::new(torn), None).is_err());
            let key = Bytes::from_static(&[0, 1, b'g', 0, 1, b'm']);
            let torn = Some(Bytes::from_static(&[0, 0, 9]));
            let read = decode_change(kind, &mut Reader::new(key), torn);
            assert!(read.is_err() || kind == 4, "{kind}");
        }
        let key = Bytes::new();
        assert_eq!(decode_change(17, &mut Reader::new(key), None), Ok(None));
    }
}
