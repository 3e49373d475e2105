//! Which names a topic may have.

use std::fmt;

/// The longest name of a topic, in bytes.
const NAME_MAX: usize = 249;

/// Why a name is no topic's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    /// No letters at all.
    Empty,
    /// `.` or `..`, which are directories.
    Dots,
    /// More than 249 bytes.
    TooLong,
    /// A letter outside of a-z, A-Z, 0-9, `.`, `_` and `-`.
    Letter,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "topic name is invalid: it is empty",
            Self::Dots => "topic name is invalid: it is '.' or '..'",
            Self::TooLong => "topic name is invalid: it is longer than 249 characters",
            Self::Letter => {
                "topic name is invalid: it contains a character other than ASCII alphanumerics, \
                 '.', '_' and '-'"
            }
        })
    }
}

/// Tells whether a topic may have this name.
pub(crate) fn check_topic_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if matches!(name, "." | "..") {
        return Err(NameError::Dots);
    }
    if name.len() > NAME_MAX {
        return Err(NameError::TooLong);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(NameError::Letter)
    }
}

/// Whether two names differ only in dots and underscores, which Kafka's metrics cannot tell apart.
pub(crate) fn names_collide(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'.' { b'_' } else { byte };
    one != other && one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

/// Whether the topic is one that the broker keeps for itself.
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(
        name,
        OFFSETS_TOPIC | TRANSACTIONS_TOPIC | "__share_group_state"
    )
}

/// The topic of committed offsets and groups.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The topic of transactional ids.
pub(crate) const TRANSACTIONS_TOPIC: &str = "__transaction_state";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_kafkas_rules() {
        for good in ["a", "A-b_c.9", "...", &"x".repeat(249)] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        let long = "x".repeat(250);
        for (bad, why) in [
            ("", NameError::Empty),
            (".", NameError::Dots),
            ("..", NameError::Dots),
            (long.as_str(), NameError::TooLong),
            ("a b", NameError::Letter),
            ("a/b", NameError::Letter),
            ("ä", NameError::Letter),
        ] {
            assert_eq!(check_topic_name(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn dots_and_underscores_collide() {
        assert!(names_collide("a.b", "a_b"));
        assert!(!names_collide("a.b", "a.b"));
        assert!(!names_collide("a.b", "a-b"));
    }
}
