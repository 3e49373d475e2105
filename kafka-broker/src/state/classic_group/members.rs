//! The members of a classic group: who is there, who waits, and what they have in common.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use crate::state::classic_group::answer::{JoinedMember, Ticket};

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<ByteString>,
    pub(crate) client_id: ByteString,
    pub(crate) client_host: ByteString,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// The best first.
    pub(crate) protocols: Vec<(ByteString, Bytes)>,
    pub(crate) assignment: Bytes,
    /// A join of this member that is not answered yet.
    pub(crate) joining: Option<Ticket>,
    /// A sync of this member that is not answered yet.
    pub(crate) syncing: Option<Ticket>,
    /// Whether the member has asked for its assignment in this generation.
    pub(crate) synced: bool,
    /// Whether the member has never been in a complete generation.
    pub(crate) is_new: bool,
    /// When silence ends the membership.
    pub(crate) session_ends: Duration,
}

impl Member {
    /// The member's metadata for a protocol; empty if it does not speak it.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|(name, _)| name == protocol)
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    }

    /// Heard of: the session begins anew.
    pub(crate) fn heard(&mut self, now: Duration) {
        self.session_ends = now + self.session_timeout;
    }

    /// Whether silence of this member counts: who waits for us cannot speak. A newcomer that waits
    /// is held to a time of its own, since it may have gone without a word.
    pub(crate) fn may_expire(&self) -> bool {
        self.is_new || (self.joining.is_none() && self.syncing.is_none())
    }
}

/// All members of a group, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    by_id: BTreeMap<ByteString, Member>,
    instances: BTreeMap<ByteString, ByteString>,
}

impl Members {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Member> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ByteString, &Member)> {
        self.by_id.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&ByteString, &mut Member)> {
        self.by_id.iter_mut()
    }

    pub(crate) fn ids(&self) -> Vec<ByteString> {
        self.by_id.keys().cloned().collect()
    }

    /// The member that goes by this instance id.
    pub(crate) fn by_instance(&self, instance_id: &str) -> Option<&ByteString> {
        self.instances.get(instance_id)
    }

    pub(crate) fn insert(&mut self, id: ByteString, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.instances.insert(instance_id.clone(), id.clone());
        }
        self.by_id.insert(id, member);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.by_id.remove(id)?;
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        Some(member)
    }

    /// How many members wait in a join.
    pub(crate) fn joining(&self) -> usize {
        let members = self.by_id.values();
        members.filter(|member| member.joining.is_some()).count()
    }

    /// Whether every member waits in a join.
    pub(crate) fn all_joining(&self) -> bool {
        self.by_id.values().all(|member| member.joining.is_some())
    }

    /// The longest time that a member grants a rebalance.
    pub(crate) fn rebalance_timeout(&self) -> Duration {
        self.by_id
            .values()
            .map(|member| member.rebalance_timeout)
            .max()
            .unwrap_or_default()
    }

    /// Whether every member speaks this protocol.
    pub(crate) fn all_speak(&self, protocol: &str) -> bool {
        self.by_id
            .values()
            .all(|member| member.protocols.iter().any(|(name, _)| name == protocol))
    }

    /// The protocol for the next generation: every member votes for the first of its protocols
    /// that all speak; the most votes win, the lesser name where they are equal.
    pub(crate) fn select_protocol(&self) -> Option<ByteString> {
        let mut votes: BTreeMap<&ByteString, usize> = BTreeMap::new();
        for member in self.by_id.values() {
            let vote = member
                .protocols
                .iter()
                .find(|(name, _)| self.all_speak(name));
            if let Some((name, _)) = vote {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes
            .into_iter()
            .find(|(_, count)| *count == most)
            .map(|(name, _)| name.clone())
    }

    /// Everyone, as the leader is told.
    pub(crate) fn roll(&self, protocol: &str) -> Vec<JoinedMember> {
        self.by_id
            .iter()
            .map(|(id, member)| JoinedMember {
                member_id: id.clone(),
                instance_id: member.instance_id.clone(),
                metadata: member.metadata(protocol),
            })
            .collect()
    }
}
