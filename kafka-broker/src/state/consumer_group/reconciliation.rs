//! One member on its way from what it has to what it shall have (KIP-848): first it gives up, then it
//! gets what the others have given up.

use crate::state::consumer_group::change::{
    CurrentAssignment, DatedPartitions, MemberState, Partitions, TopicIdPartition,
};

/// What a member is to be brought to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The epoch of the target assignment.
    pub(crate) epoch: i32,
    /// What the assignment gives the member, of the topics that it is still subscribed to.
    pub(crate) partitions: &'a Partitions,
}

/// What the member has after this step; the same as before if it must wait.
///
/// `owned` is what the member says that it has, if it says so: whoever is silent may still have all.
pub(crate) fn reconcile(
    current: &CurrentAssignment,
    target: Target<'_>,
    owned: Option<&Partitions>,
    is_held_by_other: impl Fn(&TopicIdPartition) -> bool,
) -> CurrentAssignment {
    let waits =
        current.state == MemberState::UnrevokedPartitions && may_own(owned, &current.revoking);
    if waits || current.is_reconciled_to(target.epoch) {
        return current.clone();
    }
    let (mut assigned, revoking): (DatedPartitions, DatedPartitions) = current
        .assigned
        .iter()
        .map(|(partition, epoch)| (*partition, *epoch))
        .partition(|(partition, _)| target.partitions.contains(partition));
    if !revoking.is_empty() && may_own(owned, &revoking) {
        return CurrentAssignment {
            epoch: current.epoch,
            previous_epoch: current.epoch,
            state: MemberState::UnrevokedPartitions,
            assigned,
            revoking,
        };
    }
    let mut state = MemberState::Stable;
    for partition in target.partitions {
        if assigned.contains_key(partition) {
            continue;
        }
        if is_held_by_other(partition) {
            state = MemberState::UnreleasedPartitions;
        } else {
            assigned.insert(*partition, target.epoch);
        }
    }
    CurrentAssignment {
        epoch: target.epoch,
        previous_epoch: current.epoch,
        state,
        assigned,
        revoking: DatedPartitions::new(),
    }
}

/// What a member has that is no longer subscribed to some topics, whatever the assignment says: those
/// partitions are no longer its own.
pub(crate) fn unsubscribe(
    current: &CurrentAssignment,
    owned: Option<&Partitions>,
    is_subscribed: impl Fn(&TopicIdPartition) -> bool,
) -> CurrentAssignment {
    let (assigned, dropped): (DatedPartitions, DatedPartitions) = current
        .assigned
        .iter()
        .map(|(partition, epoch)| (*partition, *epoch))
        .partition(|(partition, _)| is_subscribed(partition));
    if dropped.is_empty() {
        return current.clone();
    }
    let mut revoking = current.revoking.clone();
    revoking.extend(dropped);
    let mut next = CurrentAssignment {
        previous_epoch: current.epoch,
        assigned,
        ..current.clone()
    };
    if may_own(owned, &revoking) {
        next.state = MemberState::UnrevokedPartitions;
        next.revoking = revoking;
    }
    next
}

fn may_own(owned: Option<&Partitions>, partitions: &DatedPartitions) -> bool {
    owned.is_none_or(|owned| partitions.keys().any(|partition| owned.contains(partition)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::Uuid;

    fn some(indexes: &[i32]) -> Partitions {
        indexes.iter().map(|index| (Uuid::ZERO, *index)).collect()
    }

    fn dated(partitions: &[(i32, i32)]) -> DatedPartitions {
        let partitions = partitions.iter();
        partitions
            .map(|(index, epoch)| ((Uuid::ZERO, *index), *epoch))
            .collect()
    }

    fn stable(epoch: i32, partitions: &[(i32, i32)]) -> CurrentAssignment {
        CurrentAssignment {
            epoch,
            previous_epoch: epoch - 1,
            state: MemberState::Stable,
            assigned: dated(partitions),
            revoking: DatedPartitions::new(),
        }
    }

    #[test]
    fn a_member_gives_up_before_it_gets() {
        let (target, free) = (some(&[1, 2]), |_: &_| false);
        let target = Target {
            epoch: 5,
            partitions: &target,
        };
        let first = reconcile(&stable(4, &[(0, 2), (1, 3)]), target, None, free);
        assert_eq!(first.state, MemberState::UnrevokedPartitions);
        assert_eq!((first.epoch, &first.assigned), (4, &dated(&[(1, 3)])));
        assert_eq!(first.revoking, dated(&[(0, 2)]));
        // No news, and news that it still has it.
        assert_eq!(reconcile(&first, target, None, free), first);
        assert_eq!(reconcile(&first, target, Some(&some(&[0, 1])), free), first);
        let second = reconcile(&first, target, Some(&some(&[1])), free);
        assert_eq!(second.state, MemberState::Stable);
        assert_eq!((second.epoch, second.previous_epoch), (5, 4));
        assert_eq!(second.assigned, dated(&[(1, 3), (2, 5)]));
        assert!(second.revoking.is_empty());
    }

    #[test]
    fn a_member_waits_for_what_others_still_have() {
        let partitions = some(&[0, 1]);
        let target = Target {
            epoch: 5,
            partitions: &partitions,
        };
        let waiting = reconcile(&stable(4, &[]), target, None, |(_, index)| *index == 1);
        assert_eq!(waiting.state, MemberState::UnreleasedPartitions);
        assert_eq!((waiting.epoch, &waiting.assigned), (5, &dated(&[(0, 5)])));
        let done = reconcile(&waiting, target, None, |_| false);
        assert_eq!(done.state, MemberState::Stable);
        assert_eq!(done.assigned, dated(&[(0, 5), (1, 5)]));
    }

    #[test]
    fn topics_that_a_member_no_longer_wants_are_given_up_at_once() {
        let before = stable(4, &[(0, 2), (1, 3)]);
        let next = unsubscribe(&before, None, |(_, index)| *index == 1);
        assert_eq!(next.state, MemberState::UnrevokedPartitions);
        assert_eq!((next.epoch, &next.assigned), (4, &dated(&[(1, 3)])));
        assert_eq!(next.revoking, dated(&[(0, 2)]));
        assert_eq!(unsubscribe(&before, None, |_| true), before);
    }
}
