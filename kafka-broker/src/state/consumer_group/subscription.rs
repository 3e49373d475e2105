//! What members are subscribed to: topics by name, and those that a regular expression matches.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use kafka_protocol::{ErrorCode, Uuid};
use regex::bytes::{Regex, RegexBuilder};
use twox_hash::XxHash3_64;

use crate::state::consumer_group::change::{MemberMetadata, ResolvedRegex};
use crate::state::refusal::Refusal;
use crate::state::topic_image::TopicImage;

/// The topics that exist of those a member is subscribed to, with the numbers of their partitions.
pub(crate) fn subscribed_topics(
    metadata: &MemberMetadata,
    regexes: &BTreeMap<ByteString, ResolvedRegex>,
    topics: &dyn TopicImage,
) -> BTreeMap<Uuid, i32> {
    let matched = metadata.pattern().and_then(|pattern| regexes.get(pattern));
    let matched = matched.into_iter().flat_map(|resolved| &resolved.topics);
    let names = metadata.topics.iter().chain(matched);
    names.filter_map(|name| topics.find(name)).collect()
}

/// The pattern as a program, which must match a whole name. The syntax is that of RE2, which this one
/// shares but for Unicode classes: names of topics are ASCII.
///
/// # Errors
///
/// INVALID_REGULAR_EXPRESSION, if it is none, or is or becomes too large.
pub(crate) fn compile(pattern: &str) -> Result<Regex, Refusal> {
    let refused = |reason: String| {
        Refusal::new(
            ErrorCode::INVALID_REGULAR_EXPRESSION,
            format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}"),
        )
    };
    if pattern.len() > PATTERN_MAX {
        return Err(Refusal::new(
            ErrorCode::INVALID_REGULAR_EXPRESSION,
            format!("SubscribedTopicRegex is longer than {PATTERN_MAX} bytes"),
        ));
    }
    // By itself first: a parenthesis too many must not find its fellow in the frame.
    build(pattern).map_err(|error| refused(error.to_string()))?;
    build(&format!("^(?:{pattern})$")).map_err(|error| refused(error.to_string()))
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(PROGRAM_MAX)
        .build()
}

/// The names of the topics that a pattern matches; none, if it is no pattern.
pub(crate) fn resolve(pattern: &str, topics: &dyn TopicImage) -> BTreeSet<ByteString> {
    let Ok(regex) = compile(pattern) else {
        return BTreeSet::new();
    };
    let matches = |name: &&ByteString| regex.is_match(name.as_bytes());
    topics.names().filter(matches).cloned().collect()
}

/// Stands for the topics of these names as they are now, the same number as in Kafka.
pub(crate) fn metadata_hash<'a>(
    names: impl IntoIterator<Item = &'a ByteString>,
    topics: &dyn TopicImage,
    rack: Option<&str>,
) -> i64 {
    let mut hashes = Vec::new();
    // A set of names, and so each once and in order.
    for name in names.into_iter().collect::<BTreeSet<_>>() {
        if let Some((id, partitions)) = topics.find(name) {
            hashes.extend(topic_hash(name, id, partitions, rack).to_le_bytes());
        }
    }
    if hashes.is_empty() {
        return 0;
    }
    XxHash3_64::oneshot(&hashes).cast_signed()
}

fn topic_hash(name: &str, id: Uuid, partitions: i32, rack: Option<&str>) -> u64 {
    let mut bytes = vec![0];
    // Two long integers, each with its least byte first.
    bytes.extend(id.0.iter().take(8).rev());
    bytes.extend(id.0.iter().skip(8).rev());
    put_text(&mut bytes, name);
    bytes.extend(partitions.to_le_bytes());
    for partition in 0..partitions {
        bytes.extend(partition.to_le_bytes());
        if let Some(rack) = rack {
            bytes.extend(utf16_len(rack).to_le_bytes());
            put_text(&mut bytes, rack);
        }
    }
    XxHash3_64::oneshot(&bytes)
}

/// A text as Java has it, and its length behind it.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes.extend(utf16_len(text).to_le_bytes());
}

fn utf16_len(text: &str) -> i32 {
    i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX)
}

/// The longest pattern, in bytes.
const PATTERN_MAX: usize = 4096;

/// The largest program that a pattern may become, in bytes. What a name costs at worst grows with it: a
/// program of this size may take a millisecond for the longest name, one of a megabyte 25.
const PROGRAM_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    struct Topics(BTreeMap<ByteString, (Uuid, i32)>);

    impl TopicImage for Topics {
        fn version(&self) -> u64 {
            1
        }

        fn find(&self, name: &str) -> Option<(Uuid, i32)> {
            self.0.get(name).copied()
        }

        fn name_of(&self, _: Uuid) -> Option<ByteString> {
            None
        }

        fn names(&self) -> Box<dyn Iterator<Item = &ByteString> + '_> {
            Box::new(self.0.keys())
        }
    }

    fn topics() -> Topics {
        let id = |from: u8| Uuid(std::array::from_fn(|at| from + at as u8));
        Topics(BTreeMap::from([
            ("orders".into(), (id(1), 3)),
            ("orders-2".into(), (id(40), 1)),
            ("payments".into(), (id(17), 1)),
        ]))
    }

    /// The numbers were computed by Kafka's own class with hash4j.
    #[test]
    fn topics_have_the_hash_that_kafka_computes() {
        let hash = |names: &[&str], rack| {
            let names: Vec<ByteString> = names.iter().map(|name| (*name).into()).collect();
            metadata_hash(&names, &topics(), rack)
        };
        assert_eq!(
            hash(&["orders", "no-such-topic"], None),
            4469793264692497189
        );
        let two = hash(&["payments", "orders", "orders"], Some("rack-1"));
        assert_eq!(two, -2702727996395309374);
        assert_eq!(hash(&["no-such-topic"], None), 0);
    }

    #[test]
    fn expressions_match_whole_names_and_are_held_to_a_size() {
        let found = |pattern: &str| resolve(pattern, &topics()).into_iter().collect::<Vec<_>>();
        assert_eq!(found("orders"), ["orders"]);
        assert_eq!(found("orders.*"), ["orders", "orders-2"]);
        assert_eq!(found("pay|orders"), ["orders"]);
        assert_eq!(found(r"\w+"), ["orders", "payments"]);
        assert_eq!(
            found("[a-z0-9._-]{1,249}"),
            ["orders", "orders-2", "payments"]
        );
        for bad in [
            "(a",
            "a)(b",
            "*",
            "[z-a]",
            "a{1000}{1000}",
            // Small enough to be compiled, and slow.
            "(?:(?:a?b?){60}){60}c",
            &"a".repeat(PATTERN_MAX + 1),
        ] {
            let refusal = compile(bad).unwrap_err();
            assert_eq!(
                refusal.code(),
                ErrorCode::INVALID_REGULAR_EXPRESSION,
                "{bad}"
            );
            assert!(found(bad).is_empty());
        }
    }
}
