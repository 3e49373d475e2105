//! The assignor `uniform`: members who could have the same partition differ by at most one, and as little as
//! possible changes hands.
//!
//! Topics with the same subscribers are one class; in a class any subscriber may have any partition. Each
//! keeps what it had, what is free goes to who has least, and then partitions move from who has most to
//! who has least, class by class, for as long as that makes shares more even.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::Uuid;

use crate::state::consumer_group::assignor::claimant::Claimant;
use crate::state::consumer_group::change::{Partitions, TopicIdPartition};

/// What each member shall have.
pub(super) fn assign(claimants: &[Claimant<'_>]) -> Vec<Partitions> {
    let mut loads = vec![0; claimants.len()];
    let mut classes = classes(claimants);
    for class in &mut classes {
        class.keep(claimants, &mut loads);
    }
    // Who can only have little comes first, so that those with a choice can make up for it.
    classes.sort_by_key(|class| class.shares.len());
    for class in &mut classes {
        class.fill(&mut loads);
    }
    for _ in 0..ROUNDS_MAX {
        let mut moved = false;
        for class in &mut classes {
            moved |= class.level(&mut loads);
        }
        if !moved {
            break;
        }
    }
    let mut result = vec![Partitions::new(); claimants.len()];
    for (member, share) in classes.into_iter().flat_map(|class| class.shares) {
        if let Some(partitions) = result.get_mut(member) {
            partitions.extend(share);
        }
    }
    result
}

/// Topics with the same subscribers.
struct Class {
    topics: BTreeMap<Uuid, i32>,
    /// What each subscriber has; the last is the first to go.
    shares: BTreeMap<usize, Vec<TopicIdPartition>>,
    free: Vec<TopicIdPartition>,
}

fn classes(claimants: &[Claimant<'_>]) -> Vec<Class> {
    let mut subscribers: BTreeMap<Uuid, (i32, Vec<usize>)> = BTreeMap::new();
    for (member, claimant) in claimants.iter().enumerate() {
        for (topic, count) in &claimant.topics {
            let entry = subscribers.entry(*topic).or_default();
            entry.0 = *count;
            entry.1.push(member);
        }
    }
    let mut classes: BTreeMap<Vec<usize>, BTreeMap<Uuid, i32>> = BTreeMap::new();
    for (topic, (count, members)) in subscribers {
        classes.entry(members).or_default().insert(topic, count);
    }
    let class = |(members, topics): (Vec<usize>, _)| Class {
        topics,
        shares: members.into_iter().map(|at| (at, Vec::new())).collect(),
        free: Vec::new(),
    };
    classes.into_iter().map(class).collect()
}

impl Class {
    /// Each member keeps what it had.
    fn keep(&mut self, claimants: &[Claimant<'_>], loads: &mut [usize]) {
        let mut taken = BTreeSet::new();
        for (member, share) in &mut self.shares {
            let before = claimants.get(*member).and_then(|claimant| claimant.before);
            for partition in before.into_iter().flatten() {
                let (topic, index) = partition;
                let exists = self.topics.get(topic).is_some_and(|count| index < count);
                if exists && taken.insert(*partition) {
                    share.push(*partition);
                }
            }
            if let Some(load) = loads.get_mut(*member) {
                *load += share.len();
            }
        }
        let all = self.topics.iter();
        let all = all.flat_map(|(topic, count)| (0..*count).map(|index| (*topic, index)));
        self.free = all.filter(|partition| !taken.contains(partition)).collect();
    }

    /// What is free goes to who has least.
    fn fill(&mut self, loads: &mut [usize]) {
        let mut order = self.order(loads);
        for partition in std::mem::take(&mut self.free) {
            let Some((load, member)) = order.pop_first() else {
                return;
            };
            self.give(member, partition, loads);
            order.insert((load + 1, member));
        }
    }

    /// Partitions move from who has most to who has least. Tells whether any did.
    fn level(&mut self, loads: &mut [usize]) -> bool {
        let mut order = self.order(loads);
        let has_some = |(_, member): &(usize, usize)| {
            self.shares
                .get(member)
                .is_some_and(|share| !share.is_empty())
        };
        let mut givers: BTreeSet<_> = order.iter().copied().filter(has_some).collect();
        let mut moved = false;
        while let (Some(most), Some(least)) = (givers.last().copied(), order.first().copied()) {
            if most.0 < least.0 + 2 {
                break;
            }
            let taken = self.shares.get_mut(&most.1).and_then(Vec::pop);
            let Some(partition) = taken else {
                givers.remove(&most);
                continue;
            };
            if let Some(load) = loads.get_mut(most.1) {
                *load -= 1;
            }
            self.give(least.1, partition, loads);
            moved = true;
            for (old, new) in [(most, most.0 - 1), (least, least.0 + 1)] {
                order.remove(&old);
                order.insert((new, old.1));
                givers.remove(&old);
                givers.insert((new, old.1));
            }
        }
        moved
    }

    /// The subscribers by what they have in all.
    fn order(&self, loads: &[usize]) -> BTreeSet<(usize, usize)> {
        let load = |member: &usize| loads.get(*member).copied().unwrap_or_default();
        self.shares
            .keys()
            .map(|member| (load(member), *member))
            .collect()
    }

    fn give(&mut self, member: usize, partition: TopicIdPartition, loads: &mut [usize]) {
        self.shares.entry(member).or_default().push(partition);
        if let Some(load) = loads.get_mut(member) {
            *load += 1;
        }
    }
}

/// How often classes are gone through: each round that moves something makes shares more even, but those of
/// many classes may need more rounds than evenness is worth.
const ROUNDS_MAX: usize = 100;
