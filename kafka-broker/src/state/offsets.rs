//! The offsets that a group has committed. Knows neither members nor logs.

use std::collections::BTreeMap;

use bytestring::ByteString;
use kafka_protocol::Uuid;

/// One committed offset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CommittedOffset {
    /// The next record to read.
    pub(crate) offset: i64,
    /// The leader epoch of the last record that was read; -1 if it was not told.
    pub(crate) leader_epoch: i32,
    /// Whatever the committer put beside it.
    pub(crate) metadata: ByteString,
    /// When it was committed.
    pub(crate) committed_at_ms: i64,
    /// When it expires, if the committer chose.
    pub(crate) expires_at_ms: Option<i64>,
    /// The topic it was meant for; zero if that was not told.
    pub(crate) topic_id: Uuid,
}

/// All committed offsets of a group, by topic and partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Offsets {
    topics: BTreeMap<ByteString, BTreeMap<i32, CommittedOffset>>,
}

impl Offsets {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.topics.get(topic)?.get(&partition)
    }

    /// What was committed for the topic that has this name now, if there is one of this id: an offset of an
    /// earlier topic of the name says nothing of the records of this one. A deletion takes such offsets away, but
    /// a commit may be under way meanwhile, and a crash may forget that they were taken away.
    pub(crate) fn get_of(
        &self,
        topic: &str,
        id: Option<Uuid>,
        partition: i32,
    ) -> Option<&CommittedOffset> {
        let found = self.get(topic, partition)?;
        (found.topic_id.is_zero() || Some(found.topic_id) == id).then_some(found)
    }

    pub(crate) fn insert(&mut self, topic: ByteString, partition: i32, offset: CommittedOffset) {
        self.topics
            .entry(topic)
            .or_default()
            .insert(partition, offset);
    }

    pub(crate) fn remove(&mut self, topic: &str, partition: i32) -> Option<CommittedOffset> {
        let partitions = self.topics.get_mut(topic)?;
        let removed = partitions.remove(&partition);
        if partitions.is_empty() {
            self.topics.remove(topic);
        }
        removed
    }

    /// The topics with an offset, each with its partitions.
    pub(crate) fn iter(
        &self,
    ) -> impl Iterator<Item = (&ByteString, &BTreeMap<i32, CommittedOffset>)> {
        self.topics.iter()
    }

    /// The partitions with an offset.
    pub(crate) fn partitions(&self) -> Vec<(ByteString, i32)> {
        self.topics
            .iter()
            .flat_map(|(topic, partitions)| partitions.keys().map(|index| (topic.clone(), *index)))
            .collect()
    }

    /// The partitions whose offsets have expired at `now_ms`, for a group that has been without
    /// members since `empty_since_ms`; while it has members none does.
    pub(crate) fn expired(
        &self,
        now_ms: i64,
        empty_since_ms: Option<i64>,
        retention_ms: i64,
    ) -> Vec<(ByteString, i32)> {
        let Some(empty_since_ms) = empty_since_ms else {
            return Vec::new();
        };
        let is_expired = |offset: &CommittedOffset| match offset.expires_at_ms {
            Some(at) => at <= now_ms,
            None => {
                let from = offset.committed_at_ms.max(empty_since_ms);
                from.saturating_add(retention_ms) <= now_ms
            }
        };
        let expired = |(topic, partitions)| {
            let partitions: &BTreeMap<i32, CommittedOffset> = partitions;
            let topic: &ByteString = topic;
            partitions
                .iter()
                .filter(|(_, offset)| is_expired(offset))
                .map(|(index, _)| (topic.clone(), *index))
                .collect::<Vec<_>>()
        };
        self.topics.iter().flat_map(expired).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(committed_at_ms: i64, expires_at_ms: Option<i64>) -> CommittedOffset {
        CommittedOffset {
            offset: 1,
            leader_epoch: -1,
            metadata: ByteString::new(),
            committed_at_ms,
            expires_at_ms,
            topic_id: Uuid::default(),
        }
    }

    #[test]
    fn offsets_expire_only_without_members_and_by_the_later_of_commit_and_farewell() {
        let mut offsets = Offsets::default();
        offsets.insert("a".into(), 0, at(100, None));
        offsets.insert("a".into(), 1, at(500, None));
        offsets.insert("b".into(), 0, at(500, Some(150)));
        assert!(offsets.expired(1_000_000, None, 1000).is_empty());
        let names = |list: Vec<(ByteString, i32)>| {
            list.into_iter()
                .map(|(topic, index)| format!("{topic}-{index}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(offsets.expired(1199, Some(200), 1000)), ["b-0"]);
        assert_eq!(
            names(offsets.expired(1200, Some(200), 1000)),
            ["a-0", "b-0"]
        );
        assert_eq!(names(offsets.expired(1500, Some(200), 1000)).len(), 3);
    }

    #[test]
    fn an_offset_of_an_earlier_topic_of_the_name_is_none() {
        let (old, new) = (Uuid([1; 16]), Uuid([2; 16]));
        let mut offsets = Offsets::default();
        let mut committed = at(100, None);
        committed.topic_id = old;
        offsets.insert("a".into(), 0, committed);
        assert!(offsets.get_of("a", Some(old), 0).is_some());
        assert!(offsets.get_of("a", Some(new), 0).is_none());
        assert!(offsets.get_of("a", None, 0).is_none());
        offsets.insert("a".into(), 0, at(100, None));
        assert!(
            offsets.get_of("a", Some(new), 0).is_some(),
            "it names no topic"
        );
    }

    #[test]
    fn the_last_partition_takes_its_topic_with_it() {
        let mut offsets = Offsets::default();
        offsets.insert("a".into(), 0, at(1, None));
        assert!(offsets.remove("a", 1).is_none());
        assert!(offsets.remove("a", 0).is_some());
        assert!(offsets.is_empty());
    }
}
