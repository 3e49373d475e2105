//! The name of one log, and of its directory.

use std::fmt;

use crate::log::error::LogError;

/// A topic and the number of one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    topic: String,
    partition: i32,
}

impl TopicPartition {
    /// # Errors
    ///
    /// [`LogError::IllegalName`] if the topic is not 1 to 249 letters, digits, dots, underscores and
    /// hyphens, or is one of the two names that mean directories, or the number is negative. No other
    /// name can leave the log directory.
    pub fn new(topic: impl Into<String>, partition: i32) -> Result<Self, LogError> {
        let topic = topic.into();
        if is_legal(&topic) && partition >= 0 {
            return Ok(Self { topic, partition });
        }
        Err(LogError::IllegalName { topic, partition })
    }

    /// The name of the topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The number of the partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The name of its directory.
    pub(crate) fn dir_name(&self) -> String {
        self.to_string()
    }

    /// The name that its directory has while it is being removed: the topic is cut so that the whole
    /// name fits into 255 bytes.
    pub(crate) fn deleted_dir_name(&self, unique: &[u8; 16]) -> String {
        use std::fmt::Write;
        let mut end = format!("-{}.", self.partition);
        for byte in unique {
            // Writing to a string cannot fail.
            let _ = write!(end, "{byte:02x}");
        }
        end.push_str(DELETE);
        let room = DIR_NAME_MAX - end.len();
        let topic = self.topic.get(..room).unwrap_or(&self.topic);
        format!("{topic}{end}")
    }

    /// The partition whose directory has this name; `None` if it is none, or on its way out.
    pub(crate) fn of_dir(name: &str) -> Option<Self> {
        if is_deleted_dir(name) {
            return None;
        }
        let (topic, partition) = name.rsplit_once('-')?;
        if !partition.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Self::new(topic, partition.parse().ok()?).ok()
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Whether the directory of this name was given up.
pub(crate) fn is_deleted_dir(name: &str) -> bool {
    name.ends_with(DELETE) && name.contains('.')
}

fn is_legal(topic: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=TOPIC_LEN_MAX).contains(&topic.len())
        && topic.bytes().all(legal)
        && topic != "."
        && topic != ".."
}

const DELETE: &str = "-delete";
const TOPIC_LEN_MAX: usize = 249;
const DIR_NAME_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_name_comes_back() {
        for (topic, partition) in [("orders", 0), ("a-b.c_d", 12), ("x-1", i32::MAX)] {
            let named = TopicPartition::new(topic, partition).unwrap();
            assert_eq!(TopicPartition::of_dir(&named.dir_name()), Some(named));
        }
        for name in [
            "orders",
            "-0",
            "orders-",
            "orders-x",
            "orders-+1",
            "a/b-0",
            "orders-0-future",
        ] {
            assert_eq!(TopicPartition::of_dir(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_would_leave_the_directory_are_refused() {
        for topic in ["", ".", "..", "a/b", "a\\b", "ä", "a b", "a\0"] {
            assert!(TopicPartition::new(topic, 0).is_err(), "{topic:?}");
        }
        assert!(TopicPartition::new("x".repeat(249), 0).is_ok());
        assert!(TopicPartition::new("x".repeat(250), 0).is_err());
        assert!(TopicPartition::new("x", -1).is_err());
    }

    #[test]
    fn a_deleted_directory_fits_and_is_no_partition() {
        let long = TopicPartition::new("x".repeat(249), 7).unwrap();
        let name = long.deleted_dir_name(&[0xab; 16]);
        assert_eq!(name.len(), 255);
        assert!(name.ends_with(&format!("x-7.{}-delete", "ab".repeat(16))));
        assert!(is_deleted_dir(&name));
        assert_eq!(TopicPartition::of_dir(&name), None);
    }
}
