//! Who shall have which partition: the assignors that run in the broker.

use crate::state::consumer_group::assignor::claimant::Claimant;
use crate::state::consumer_group::change::Partitions;

pub(crate) mod claimant;
pub(crate) mod range;
pub(crate) mod uniform;

/// An assignor, by Kafka's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assignor {
    /// `uniform`: members who could have the same partition differ by at most one, and as little as possible
    /// changes hands.
    Uniform,
    /// `range`: of each topic every member gets one range.
    Range,
}

impl Assignor {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    /// Kafka's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// What each member shall have, in the order of the members. Each partition of a topic that anybody is
    /// subscribed to goes to one member.
    pub(crate) fn assign(self, claimants: &[Claimant<'_>]) -> Vec<Partitions> {
        match self {
            Self::Uniform => uniform::assign(claimants),
            Self::Range => range::assign(claimants),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytestring::ByteString;
    use kafka_protocol::Uuid;
    use std::collections::BTreeMap;

    fn topic(number: u8) -> Uuid {
        Uuid([number; 16])
    }

    struct Case {
        ids: Vec<ByteString>,
        instances: Vec<Option<ByteString>>,
        topics: Vec<BTreeMap<Uuid, i32>>,
        before: Vec<Partitions>,
    }

    impl Case {
        fn new(wishes: &[&[(u8, i32)]]) -> Self {
            let count = wishes.len();
            let wish = |wish: &&[(u8, i32)]| {
                let topics = wish.iter();
                topics
                    .map(|(number, partitions)| (topic(*number), *partitions))
                    .collect()
            };
            Self {
                ids: (0..count).map(|at| format!("m{at}").into()).collect(),
                instances: vec![None; count],
                topics: wishes.iter().map(wish).collect(),
                before: vec![Partitions::new(); count],
            }
        }

        /// Checks that no partition could go to a member that has two less than the one that has it.
        fn check_even(&self) {
            for share in &self.before {
                for (topic, _) in share {
                    for (other, wants) in self.before.iter().zip(&self.topics) {
                        let is_even = share.len() < other.len() + 2;
                        assert!(is_even || !wants.contains_key(topic), "{:?}", self.before);
                    }
                }
            }
        }

        /// Assigns, and checks that every partition goes to one member that wants it.
        fn assign(&mut self, assignor: Assignor) -> Vec<usize> {
            let claimants: Vec<_> = (0..self.ids.len())
                .map(|at| Claimant {
                    member_id: &self.ids[at],
                    instance_id: self.instances[at].as_ref(),
                    topics: self.topics[at].clone(),
                    before: Some(&self.before[at]),
                })
                .collect();
            let shares = assignor.assign(&claimants);
            let mut all = Partitions::new();
            for (share, wants) in shares.iter().zip(&self.topics) {
                for partition in share {
                    assert!(
                        wants.contains_key(&partition.0),
                        "{partition:?} is not wanted"
                    );
                    assert!(all.insert(*partition), "{partition:?} is given twice");
                }
            }
            let wanted: BTreeMap<_, _> = self.topics.iter().flatten().collect();
            let count: i32 = wanted.values().copied().sum();
            assert_eq!(
                all.len(),
                usize::try_from(count).unwrap(),
                "some are not given"
            );
            self.before = shares;
            self.before.iter().map(Partitions::len).collect()
        }
    }

    #[test]
    fn uniform_is_even_and_moves_little() {
        let wish: &[(u8, i32)] = &[(1, 4), (2, 5)];
        let mut case = Case::new(&[wish, wish]);
        let mut counts = case.assign(Assignor::Uniform);
        counts.sort_unstable();
        assert_eq!(counts, [4, 5]);
        let before = case.before.clone();
        assert_eq!(case.assign(Assignor::Uniform).iter().sum::<usize>(), 9);
        assert_eq!(case.before, before, "nothing has changed");
        let mut grown = Case::new(&[wish, wish, wish]);
        grown.before[..2].clone_from_slice(&before);
        assert_eq!(grown.assign(Assignor::Uniform), [3, 3, 3]);
        for (after, before) in grown.before.iter().zip(&before) {
            assert!(after.is_subset(before), "only the new one gets some");
        }
    }

    #[test]
    fn uniform_is_as_even_as_subscriptions_allow() {
        let mut case = Case::new(&[&[(1, 4)], &[(1, 4), (2, 2)], &[(2, 2), (3, 6)]]);
        assert_eq!(case.assign(Assignor::Uniform), [3, 3, 6]);
        // Who had all gives to who has nothing.
        let mut late = Case::new(&[&[(1, 6), (2, 6)], &[(1, 6)], &[(2, 6)]]);
        late.before[0] = (0..6)
            .flat_map(|index| [(topic(1), index), (topic(2), index)])
            .collect();
        late.assign(Assignor::Uniform);
        late.check_even();
    }

    #[test]
    fn range_cuts_each_topic_by_itself_and_lets_static_members_go_first() {
        let wish: &[(u8, i32)] = &[(1, 5), (2, 3)];
        let mut case = Case::new(&[wish, wish]);
        case.instances[1] = Some("i".into());
        assert_eq!(case.assign(Assignor::Range), [3, 5]);
        let range = |number, indexes: std::ops::Range<i32>| {
            indexes.map(move |index| (topic(number), index))
        };
        let first: Partitions = range(1, 0..3).chain(range(2, 0..2)).collect();
        assert_eq!(case.before[1], first);
    }

    #[test]
    fn whatever_members_want_every_partition_goes_to_one_of_them() {
        let mut number = 1_u32;
        let mut next = |end: u32| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (number >> 16) % end
        };
        for _ in 0..300 {
            let counts: Vec<i32> = (0..4).map(|_| next(7) as i32 + 1).collect();
            let wishes: Vec<Vec<(u8, i32)>> = (0..=next(6))
                .map(|_| {
                    let topics = counts.iter().enumerate();
                    let some = topics.filter(|_| next(3) > 0);
                    some.map(|(at, count)| (at as u8, *count)).collect()
                })
                .collect();
            let wishes: Vec<&[_]> = wishes.iter().map(Vec::as_slice).collect();
            for assignor in [Assignor::Uniform, Assignor::Range] {
                let mut case = Case::new(&wishes);
                case.assign(assignor);
                // What was before may be anything: members have changed their minds.
                case.before.rotate_left(1);
                case.assign(assignor);
                if assignor == Assignor::Uniform {
                    case.check_even();
                }
            }
        }
    }
}
