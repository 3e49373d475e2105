//! The assignor `range`: the partitions of each topic are cut into as many ranges as there are members,
//! and the first members have one partition more where they do not come out even.

use std::collections::BTreeMap;

use kafka_protocol::Uuid;

use crate::state::consumer_group::assignor::claimant::Claimant;
use crate::state::consumer_group::change::Partitions;

/// What each member shall have.
pub(super) fn assign(claimants: &[Claimant<'_>]) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..claimants.len()).collect();
    // Static members first: their place must not depend on an id that changes with each start.
    order.sort_by_key(|at| {
        let claimant = claimants.get(*at);
        claimant.map(|one| (one.instance_id.is_none(), one.instance_id, one.member_id))
    });
    let mut subscribers: BTreeMap<Uuid, (i32, Vec<usize>)> = BTreeMap::new();
    for at in order {
        for (topic, count) in claimants.get(at).iter().flat_map(|one| &one.topics) {
            let entry = subscribers.entry(*topic).or_default();
            entry.0 = *count;
            entry.1.push(at);
        }
    }
    let mut shares = vec![Partitions::new(); claimants.len()];
    for (topic, (count, members)) in subscribers {
        let count = usize::try_from(count).unwrap_or_default();
        let (each, more) = (count / members.len(), count % members.len());
        let mut partitions = 0..;
        for (nth, at) in members.into_iter().enumerate() {
            let size = each + usize::from(nth < more);
            if let Some(share) = shares.get_mut(at) {
                share.extend(partitions.by_ref().take(size).map(|index| (topic, index)));
            }
        }
    }
    shares
}
