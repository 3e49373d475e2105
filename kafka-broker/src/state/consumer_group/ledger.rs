//! The lasting part of a consumer group, changed piece by piece.
//!
//! Every change is noted twice: as a record to be saved, and as its opposite, which takes the change back
//! if the record cannot be saved. A restart takes in the same changes, so what is rebuilt from the log is
//! what was there.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytestring::ByteString;

use crate::state::consumer_group::change::{
    Change, CurrentAssignment, GroupEpoch, MemberMetadata, Partitions, ResolvedRegex, TargetEpoch,
    TopicIdPartition,
};

/// The lasting part of a consumer group.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    epoch: Option<GroupEpoch>,
    target_epoch: Option<TargetEpoch>,
    members: BTreeMap<ByteString, Member>,
    targets: BTreeMap<ByteString, Partitions>,
    regexes: BTreeMap<ByteString, ResolvedRegex>,
    has_partition_metadata: bool,
    /// The members of static instances.
    instances: BTreeMap<ByteString, ByteString>,
    /// Who has a partition.
    holders: BTreeMap<TopicIdPartition, ByteString>,
    unsaved: Vec<Change>,
    opposites: Vec<Change>,
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Member {
    pub(crate) metadata: Arc<MemberMetadata>,
    pub(crate) current: CurrentAssignment,
}

impl Member {
    /// Whether the member speaks the classic protocol.
    pub(crate) fn is_classic(&self) -> bool {
        self.metadata.classic.is_some()
    }
}

impl Ledger {
    /// Makes a change that is to be saved.
    pub(crate) fn change(&mut self, change: Change) {
        let opposite = self.apply(change.clone());
        self.unsaved.push(change);
        self.opposites.push(opposite);
    }

    /// Takes in a change that was saved.
    pub(crate) fn restore(&mut self, change: Change) {
        self.apply(change);
    }

    /// The changes that were made since they were last asked for. They count as saved, unless they are
    /// [taken back](Self::take_back).
    pub(crate) fn take_unsaved(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.unsaved)
    }

    /// What was last asked for is saved.
    pub(crate) fn handle_saved(&mut self) {
        self.opposites.clear();
    }

    /// What was changed since the last save never was.
    pub(crate) fn take_back(&mut self) {
        self.unsaved.clear();
        for opposite in std::mem::take(&mut self.opposites).into_iter().rev() {
            self.apply(opposite);
        }
    }

    /// Changes that take everything away.
    pub(crate) fn tombstones(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for id in self.members.keys() {
            changes.push(Change::Current {
                id: id.clone(),
                assignment: None,
            });
        }
        for id in self.targets.keys() {
            changes.push(Change::Target {
                id: id.clone(),
                partitions: None,
            });
        }
        changes.push(Change::TargetEpoch(None));
        for id in self.members.keys() {
            changes.push(Change::Member {
                id: id.clone(),
                metadata: None,
            });
        }
        for pattern in self.regexes.keys() {
            changes.push(Change::Regex {
                pattern: pattern.clone(),
                resolved: None,
            });
        }
        if self.has_partition_metadata {
            changes.push(Change::PartitionMetadata(false));
        }
        changes.push(Change::Epoch(None));
        changes
    }

    /// Makes a change and tells its opposite.
    fn apply(&mut self, change: Change) -> Change {
        match change {
            Change::Member { id, metadata } => {
                let before = self.set_member(&id, metadata);
                Change::Member {
                    id,
                    metadata: before,
                }
            }
            Change::Epoch(epoch) => Change::Epoch(std::mem::replace(&mut self.epoch, epoch)),
            Change::TargetEpoch(epoch) => {
                Change::TargetEpoch(std::mem::replace(&mut self.target_epoch, epoch))
            }
            Change::Target { id, partitions } => {
                let before = set(&mut self.targets, &id, partitions);
                Change::Target {
                    id,
                    partitions: before,
                }
            }
            Change::Current { id, assignment } => {
                let before = self.set_current(&id, assignment);
                Change::Current {
                    id,
                    assignment: before,
                }
            }
            Change::Regex { pattern, resolved } => {
                let before = set(&mut self.regexes, &pattern, resolved);
                Change::Regex {
                    pattern,
                    resolved: before,
                }
            }
            Change::PartitionMetadata(exists) => {
                let before = std::mem::replace(&mut self.has_partition_metadata, exists);
                Change::PartitionMetadata(before)
            }
        }
    }

    fn set_member(
        &mut self,
        id: &ByteString,
        metadata: Option<Arc<MemberMetadata>>,
    ) -> Option<Arc<MemberMetadata>> {
        let Some(metadata) = metadata else {
            self.release(id);
            let before = self.members.remove(id)?.metadata;
            self.leave_instance(id, &before);
            return Some(before);
        };
        let instance = metadata.instance_id.clone();
        let before = match self.members.get_mut(id) {
            Some(member) => Some(std::mem::replace(&mut member.metadata, metadata)),
            None => {
                let current = CurrentAssignment::default();
                let member = Member { metadata, current };
                self.members.insert(id.clone(), member);
                None
            }
        };
        if let Some(before) = &before {
            self.leave_instance(id, before);
        }
        if let Some(instance) = instance {
            self.instances.insert(instance, id.clone());
        }
        before
    }

    fn leave_instance(&mut self, id: &ByteString, metadata: &MemberMetadata) {
        if let Some(instance) = &metadata.instance_id
            && self.instances.get(instance) == Some(id)
        {
            self.instances.remove(instance);
        }
    }

    fn set_current(
        &mut self,
        id: &ByteString,
        assignment: Option<CurrentAssignment>,
    ) -> Option<CurrentAssignment> {
        self.release(id);
        let Some(assignment) = assignment else {
            let member = self.members.get_mut(id)?;
            return Some(std::mem::take(&mut member.current));
        };
        for partition in assignment.held() {
            self.holders.insert(*partition, id.clone());
        }
        // Compaction may have let the assignment of a member come before the member.
        let member = self.members.entry(id.clone()).or_default();
        Some(std::mem::replace(&mut member.current, assignment))
    }

    /// What a member has is free, unless another has it already.
    fn release(&mut self, id: &ByteString) {
        let Some(member) = self.members.get(id) else {
            return;
        };
        for partition in member.current.held() {
            if self.holders.get(partition) == Some(id) {
                self.holders.remove(partition);
            }
        }
    }
}

/// What is there.
impl Ledger {
    /// The epoch of the group and the topics in it.
    pub(crate) fn epoch(&self) -> GroupEpoch {
        self.epoch.unwrap_or_default()
    }

    /// The epoch that the target assignment is for, and when it was made.
    pub(crate) fn target_epoch(&self) -> TargetEpoch {
        self.target_epoch.unwrap_or_default()
    }

    /// Whether a record of partition metadata is still there.
    pub(crate) fn has_partition_metadata(&self) -> bool {
        self.has_partition_metadata
    }

    /// The members by id.
    pub(crate) fn members(&self) -> &BTreeMap<ByteString, Member> {
        &self.members
    }

    /// What members shall have.
    pub(crate) fn targets(&self) -> &BTreeMap<ByteString, Partitions> {
        &self.targets
    }

    /// What regular expressions stand for.
    pub(crate) fn regexes(&self) -> &BTreeMap<ByteString, ResolvedRegex> {
        &self.regexes
    }

    /// The member that is the static instance of this id.
    pub(crate) fn instance(&self, id: &str) -> Option<&ByteString> {
        self.instances.get(id)
    }

    /// The member that has a partition.
    pub(crate) fn holder(&self, partition: &TopicIdPartition) -> Option<&ByteString> {
        self.holders.get(partition)
    }
}

/// Sets an entry, or takes it away, and tells what was there.
fn set<V>(map: &mut BTreeMap<ByteString, V>, key: &ByteString, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key.clone(), value),
        None => map.remove(key),
    }
}
