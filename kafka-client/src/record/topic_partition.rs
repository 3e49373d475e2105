//! The name of a partition.

use std::fmt;

use bytestring::ByteString;

/// A partition of a topic, by name and number.
///
/// Cheap to clone: the name is shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    topic: ByteString,
    partition: i32,
}

impl TopicPartition {
    /// The partition of this number of this topic.
    #[must_use]
    pub fn new(topic: impl Into<ByteString>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The number within the topic, from 0.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The name as messages hold it.
    pub(crate) fn name(&self) -> &ByteString {
        &self.topic
    }
}

impl<T: Into<ByteString>> From<(T, i32)> for TopicPartition {
    fn from((topic, partition): (T, i32)) -> Self {
        Self::new(topic, partition)
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
