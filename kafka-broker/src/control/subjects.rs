//! What requests and answers are about, and which part of them an injected error is meant for. Knows
//! no message.

use bytestring::ByteString;
use kafka_protocol::{ErrorCode, Uuid};

/// What a request is about, read once from its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subjects {
    /// The topics that it names.
    pub(crate) topics: Vec<TopicSubject>,
    /// Whether it asks for every topic there is.
    pub(crate) every_topic: bool,
    /// The groups that it names.
    pub(crate) groups: Vec<ByteString>,
}

/// A topic that a request names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicSubject {
    /// Its name; that of an id which nobody has is the id itself.
    pub(crate) name: ByteString,
    /// Its id, if the request goes by ids.
    pub(crate) id: Option<Uuid>,
    /// The partitions that are named; none stands for the topic as a whole.
    pub(crate) partitions: Vec<i32>,
}

impl Subjects {
    /// The request names a topic, and maybe partitions of it.
    pub(crate) fn topic(&mut self, name: &ByteString, partitions: Vec<i32>) {
        self.topics.push(TopicSubject {
            name: name.clone(),
            id: None,
            partitions,
        });
    }

    /// The request names a group.
    pub(crate) fn group(&mut self, id: &ByteString) {
        self.groups.push(id.clone());
    }
}

/// What one error code of an answer is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    /// The topic, by name or by id.
    pub(crate) topic: Option<TopicName<'a>>,
    /// One partition of it.
    pub(crate) partition: Option<i32>,
    /// The group, where an answer speaks of several.
    pub(crate) group: Option<&'a str>,
    /// No rule means it.
    is_beyond_rules: bool,
}

/// How an answer names a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicName<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: Uuid,
}

impl<'a> About<'a> {
    /// The whole answer.
    pub(crate) const WHOLE: Self = Self {
        topic: None,
        partition: None,
        group: None,
        is_beyond_rules: false,
    };

    /// Something that is no part of what was asked, such as the state of a session.
    pub(crate) const BEYOND_RULES: Self = Self {
        is_beyond_rules: true,
        ..Self::WHOLE
    };

    /// A topic by its name.
    pub(crate) fn topic(name: &'a str) -> Self {
        Self::topic_by(name, Uuid::ZERO)
    }

    /// A topic by its name, or by its id where the name is empty.
    pub(crate) fn topic_by(name: &'a str, id: Uuid) -> Self {
        Self {
            topic: Some(TopicName { name, id }),
            ..Self::WHOLE
        }
    }

    /// The partition of the topic.
    pub(crate) fn partition(self, index: i32) -> Self {
        Self {
            partition: Some(index),
            ..self
        }
    }

    /// The same, of one of several groups.
    pub(crate) fn in_group(self, id: &'a str) -> Self {
        Self {
            group: Some(id),
            ..self
        }
    }

    /// A group by its id.
    pub(crate) fn group(id: &'a str) -> Self {
        Self {
            group: Some(id),
            ..Self::WHOLE
        }
    }
}

/// The errors that one request is to be answered with, and for which part of it each is meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Vec<Refusal>);

/// An error, and the part that it is meant for; what is not said is not looked at.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) topic: Option<TopicSubject>,
    pub(crate) partition: Option<i32>,
    pub(crate) group: Option<ByteString>,
}

impl Refusals {
    /// One more error; of two for the same part the first holds.
    pub(crate) fn push(&mut self, refusal: Refusal) {
        self.0.push(refusal);
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error for this part.
    pub(crate) fn of(&self, about: About<'_>) -> Option<ErrorCode> {
        let refusal = self.0.iter().find(|refusal| refusal.covers(about));
        refusal.map(|refusal| refusal.code)
    }
}

impl Refusal {
    fn covers(&self, about: About<'_>) -> bool {
        let topic = match (&self.topic, about.topic) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(topic)) if topic.name.is_empty() => wanted.id == Some(topic.id),
            (Some(wanted), Some(topic)) => *wanted.name == *topic.name,
        };
        let partition = self.partition.is_none() || self.partition == about.partition;
        // Which group is meant was settled with the request, unless the answer speaks of several.
        let group = match (&self.group, about.group) {
            (Some(wanted), Some(group)) => **wanted == *group,
            _ => true,
        };
        topic && partition && group && !about.is_beyond_rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_covers_its_part_alone() {
        let topic = TopicSubject {
            name: "t".into(),
            id: Some(Uuid([1; 16])),
            partitions: Vec::new(),
        };
        let refusal = |topic: Option<&TopicSubject>, partition, group: Option<&str>| {
            let mut refusals = Refusals::default();
            refusals.push(Refusal {
                code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                topic: topic.cloned(),
                partition,
                group: group.map(Into::into),
            });
            refusals
        };
        let by_id = About::topic_by("", Uuid([1; 16]));
        let cases = [
            (refusal(None, None, None), About::WHOLE, true),
            (
                refusal(None, None, None),
                About::topic("u").partition(3),
                true,
            ),
            (refusal(Some(&topic), None, None), About::WHOLE, false),
            (refusal(Some(&topic), None, None), About::topic("t"), true),
            (refusal(Some(&topic), None, None), About::topic("u"), false),
            (refusal(Some(&topic), None, None), by_id.partition(1), true),
            (
                refusal(Some(&topic), Some(1), None),
                by_id.partition(1),
                true,
            ),
            (
                refusal(Some(&topic), Some(1), None),
                by_id.partition(2),
                false,
            ),
            // The topic as a whole is not one of its partitions.
            (
                refusal(Some(&topic), Some(1), None),
                About::topic("t"),
                false,
            ),
            (
                refusal(Some(&topic), None, None),
                About::topic_by("", Uuid([2; 16])),
                false,
            ),
            (refusal(None, None, Some("g")), About::group("g"), true),
            (refusal(None, None, Some("g")), About::group("h"), false),
            (refusal(None, None, Some("g")), About::WHOLE, true),
            (refusal(None, None, None), About::BEYOND_RULES, false),
        ];
        for (number, (refusals, about, covered)) in cases.into_iter().enumerate() {
            assert_eq!(refusals.of(about).is_some(), covered, "case {number}");
        }
    }
}
