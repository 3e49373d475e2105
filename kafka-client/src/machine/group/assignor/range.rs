//! The range assignor: of each topic every member gets one stretch of neighbouring partitions.

use std::collections::BTreeMap;

use bytestring::ByteString;

use crate::machine::group::assignor::problem::{Assignment, Wish};

/// Shares out partitions as Kafka's `range` does, racks left aside.
///
/// Per topic its members in order, static ones first by instance id, then the others by member id; each
/// gets as many partitions as the division gives, the first ones one more each for the rest.
pub(crate) fn assign(
    members: &BTreeMap<ByteString, Wish>,
    partition_counts: &BTreeMap<ByteString, i32>,
) -> BTreeMap<ByteString, Assignment> {
    let mut order: Vec<(&ByteString, &Wish)> = members.iter().collect();
    order.sort_by_key(|(id, wish)| (wish.instance_id.is_none(), wish.instance_id.clone(), *id));
    let mut assignments: BTreeMap<ByteString, Assignment> = members
        .keys()
        .map(|id| (id.clone(), Assignment::new()))
        .collect();
    for (topic, &count) in partition_counts {
        let readers: Vec<&ByteString> = order
            .iter()
            .filter(|(_, wish)| wish.topics.contains(topic))
            .map(|(id, _)| *id)
            .collect();
        let Ok(reader_count) = i32::try_from(readers.len()) else {
            continue;
        };
        if reader_count == 0 {
            continue;
        }
        let (each, rest) = (count / reader_count, count % reader_count);
        let mut next = 0;
        for (place, id) in (0..).zip(readers) {
            let end = next + each + i32::from(place < rest);
            if let Some(assignment) = assignments.get_mut(id)
                && next < end
            {
                assignment.insert(topic.clone(), (next..end).collect());
            }
            next = end;
        }
    }
    assignments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(instance_id: Option<&str>, topics: &[&str]) -> Wish {
        Wish {
            instance_id: instance_id.map(ByteString::from),
            topics: topics
                .iter()
                .map(|topic| ByteString::from(*topic))
                .collect(),
        }
    }

    fn check(members: &[(&str, Wish)], counts: &[(&str, i32)], expected: &str) {
        let members = members
            .iter()
            .map(|(id, wish)| (ByteString::from(*id), wish.clone()))
            .collect();
        let counts = counts
            .iter()
            .map(|(topic, count)| (ByteString::from(*topic), *count))
            .collect();
        let mut text = String::new();
        for (id, assignment) in assign(&members, &counts) {
            text.push_str(&format!("{id}:"));
            for (topic, partitions) in assignment {
                text.push_str(&format!(" {topic}{partitions:?}"));
            }
            text.push('\n');
        }
        let expected: Vec<&str> = expected.lines().map(str::trim).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_first_members_get_the_rest() {
        let members = [("b", wish(None, &["t", "u"])), ("a", wish(None, &["t"]))];
        check(
            &members,
            &[("t", 3), ("u", 2), ("nobody", 4)],
            "a: t[0, 1]
             b: t[2] u[0, 1]",
        );
    }

    #[test]
    fn more_members_than_partitions_leaves_some_with_nothing() {
        let members = [
            ("a", wish(None, &["t"])),
            ("b", wish(None, &["t"])),
            ("c", wish(None, &["t", "unknown"])),
        ];
        check(
            &members,
            &[("t", 2)],
            "a: t[0]
             b: t[1]
             c:",
        );
    }

    #[test]
    fn static_members_come_first_by_instance_id() {
        let members = [
            ("a", wish(None, &["t"])),
            ("b", wish(Some("2"), &["t"])),
            ("c", wish(Some("1"), &["t"])),
        ];
        check(
            &members,
            &[("t", 5)],
            "a: t[4]
             b: t[2, 3]
             c: t[0, 1]",
        );
    }

    #[test]
    fn every_partition_has_exactly_one_owner() {
        for member_count in 1..6 {
            for partitions in 0..14 {
                let members: BTreeMap<_, _> = (0..member_count)
                    .map(|n| (ByteString::from(format!("m{n}")), wish(None, &["t"])))
                    .collect();
                let counts = BTreeMap::from([(ByteString::from("t"), partitions)]);
                let assigned = assign(&members, &counts);
                let mut all: Vec<i32> = assigned
                    .values()
                    .flat_map(|a| a.values())
                    .flatten()
                    .copied()
                    .collect();
                all.sort_unstable();
                assert_eq!(all, (0..partitions).collect::<Vec<_>>());
                assert_eq!(assigned.len(), members.len());
            }
        }
    }
}
