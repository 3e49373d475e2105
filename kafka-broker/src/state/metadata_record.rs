//! One record of the metadata log: the number of its type, its version and its body.

use bytes::Bytes;
use kafka_protocol::messages::{
    ConfigRecord, FeatureLevelRecord, PartitionChangeRecord, PartitionRecord, ProducerIdsRecord,
    RemoveTopicRecord, TopicRecord,
};
use kafka_protocol::request::TypedRecord;
use kafka_protocol::wire::{Reader, Writer};
use kafka_protocol::{DecodeError, EncodeError, Message};

/// What the broker writes to the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MetadataRecord {
    /// A topic and its id.
    Topic(TopicRecord),
    /// A partition of a topic.
    Partition(PartitionRecord),
    /// News of a partition.
    PartitionChange(PartitionChangeRecord),
    /// A configuration of a topic or a broker.
    Config(ConfigRecord),
    /// A topic is gone.
    RemoveTopic(RemoveTopicRecord),
    /// From where on producer ids are free.
    ProducerIds(ProducerIdsRecord),
    /// The level of a feature that the cluster has agreed on.
    FeatureLevel(FeatureLevelRecord),
    /// A record that a real controller wrote and this broker has no use for.
    Other(u32),
}

impl MetadataRecord {
    /// Reads the value of a record.
    ///
    /// # Errors
    ///
    /// If the body is not what its number says.
    pub(crate) fn decode(value: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        reader.unsigned_varint("FrameVersion")?;
        let kind = reader.unsigned_varint("RecordType")?;
        let version = i16::try_from(reader.unsigned_varint("Version")?).unwrap_or(i16::MAX);
        let is = |id: i16| u32::try_from(id) == Ok(kind);
        Ok(if is(TopicRecord::TYPE_ID) {
            Self::Topic(TopicRecord::decode(&mut reader, version)?)
        } else if is(PartitionRecord::TYPE_ID) {
            Self::Partition(PartitionRecord::decode(&mut reader, version)?)
        } else if is(PartitionChangeRecord::TYPE_ID) {
            Self::PartitionChange(PartitionChangeRecord::decode(&mut reader, version)?)
        } else if is(ConfigRecord::TYPE_ID) {
            Self::Config(ConfigRecord::decode(&mut reader, version)?)
        } else if is(RemoveTopicRecord::TYPE_ID) {
            Self::RemoveTopic(RemoveTopicRecord::decode(&mut reader, version)?)
        } else if is(ProducerIdsRecord::TYPE_ID) {
            Self::ProducerIds(ProducerIdsRecord::decode(&mut reader, version)?)
        } else if is(FeatureLevelRecord::TYPE_ID) {
            Self::FeatureLevel(FeatureLevelRecord::decode(&mut reader, version)?)
        } else {
            Self::Other(kind)
        })
    }

    /// The value of a record.
    ///
    /// # Errors
    ///
    /// If something in it is longer than the protocol can say.
    pub(crate) fn encode(&self) -> Result<Bytes, EncodeError> {
        match self {
            Self::Topic(record) => encode(record),
            Self::Partition(record) => encode(record),
            Self::PartitionChange(record) => encode(record),
            Self::Config(record) => encode(record),
            Self::RemoveTopic(record) => encode(record),
            Self::ProducerIds(record) => encode(record),
            Self::FeatureLevel(record) => encode(record),
            Self::Other(_) => Ok(Bytes::new()),
        }
    }
}

fn encode<R: TypedRecord>(record: &R) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.unsigned_varint(FRAME_VERSION);
    writer.unsigned_varint(u32::try_from(R::TYPE_ID).unwrap_or_default());
    writer.unsigned_varint(0);
    record.encode(&mut writer, 0)?;
    Ok(writer.into_bytes())
}

/// The version of the frame around each record. All bodies are written in version 0.
const FRAME_VERSION: u32 = 1;
