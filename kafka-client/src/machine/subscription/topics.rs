//! What the application asked to read: topics by name, or partitions one by one.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;

use crate::config::consumer::Start;
use crate::error::{Error, ErrorKind};
use crate::machine::topic_name::check_topic_name;
use crate::record::topic_partition::TopicPartition;

/// The wish of the application.
#[derive(Clone, Debug)]
pub(crate) enum Topics {
    /// Topics: shared out by the group, or all of their partitions without one.
    Names(BTreeSet<ByteString>),
    /// Exactly these partitions, each from where the application says; with a group only where there is
    /// no committed offset.
    Manual(BTreeMap<TopicPartition, Start>),
}

impl Topics {
    /// All topics whose leaders must be known.
    pub(crate) fn names(&self) -> BTreeSet<ByteString> {
        match self {
            Self::Names(names) => names.clone(),
            Self::Manual(partitions) => partitions.keys().map(|tp| tp.name().clone()).collect(),
        }
    }

    /// Whether the application asked for anything of this topic.
    pub(crate) fn contains(&self, name: &ByteString) -> bool {
        match self {
            Self::Names(names) => names.contains(name),
            Self::Manual(partitions) => partitions.keys().any(|tp| tp.name() == name),
        }
    }

    /// Refuses names that no cluster accepts, and negative partitions and offsets.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Names(names) => names.iter().try_for_each(|name| check_topic_name(name)),
            Self::Manual(partitions) => partitions.iter().try_for_each(|(tp, start)| {
                check_topic_name(tp.topic())?;
                if tp.partition() < 0 {
                    return Err(Error::new(
                        ErrorKind::InvalidArgument,
                        "a partition's number must not be negative",
                    )
                    .with_partition(tp.topic(), tp.partition()));
                }
                let start = start.validate();
                start.map_err(|error| error.with_partition(tp.topic(), tp.partition()))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_cluster_accepts_are_refused() {
        let names = |name: &str| Topics::Names(BTreeSet::from([ByteString::from(name)]));
        assert!(names("orders.eu-1_x").validate().is_ok());
        let long = "x".repeat(250);
        for bad in ["", ".", "..", "a/b", "ä", "a b", &long] {
            let error = names(bad).validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad}");
        }
        let manual = |partition, start| {
            Topics::Manual(BTreeMap::from([(
                TopicPartition::new("t", partition),
                start,
            )]))
        };
        assert!(manual(0, Start::Oldest).validate().is_ok());
        assert!(manual(-1, Start::Oldest).validate().is_err());
        assert!(manual(0, Start::Offset(-1)).validate().is_err());
        assert!(manual(0, Start::Timestamp(-1)).validate().is_err());
    }
}
