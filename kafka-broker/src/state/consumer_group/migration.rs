//! Groups that change their protocol while members go on: a classic group whose first member comes back
//! speaking the new protocol, and a consumer group whose last such member has gone (KIP-848, migration).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;

use crate::state::classic_group::members::Member as ClassicMember;
use crate::state::classic_group::{SavedMember, Snapshot};
use crate::state::consumer_group::change::{
    Change, ClassicMetadata, CurrentAssignment, DatedPartitions, GroupEpoch, MemberMetadata,
    MemberState, TargetEpoch, TopicIdPartition,
};
use crate::state::consumer_group::classic_member::{assignment, session};
use crate::state::consumer_group::ledger::Ledger;
use crate::state::consumer_group::roster::{Roster, patience};
use crate::state::consumer_protocol::{PROTOCOL_TYPE, decode_assignment, decode_subscription};
use crate::state::time::{Now, millis};
use crate::state::topic_image::TopicImage;

/// Takes over the members of a classic group with what they have. False if one of them says what nobody
/// understands; then nothing is to be kept of it.
pub(crate) fn adopt<'a>(
    roster: &mut Roster,
    now: Now,
    topics: &dyn TopicImage,
    generation: i32,
    members: impl Iterator<Item = (&'a ByteString, &'a ClassicMember)>,
) -> bool {
    roster.ledger.change(Change::Epoch(Some(GroupEpoch {
        epoch: generation,
        metadata_hash: 0,
    })));
    roster.ledger.change(Change::TargetEpoch(Some(TargetEpoch {
        epoch: generation,
        assigned_at_ms: now.unix_ms,
    })));
    for (id, member) in members {
        let Some((metadata, assigned)) = read(member, topics) else {
            return false;
        };
        // A leader may have given a partition to two; here each has one holder.
        let is_free = |partition: &TopicIdPartition| roster.ledger.holder(partition).is_none();
        let assigned = assigned.into_iter().filter(is_free);
        let assigned: DatedPartitions = assigned.map(|one| (one, generation)).collect();
        roster.ledger.change(Change::Member {
            id: id.clone(),
            metadata: Some(Arc::new(metadata)),
        });
        roster.ledger.change(Change::Target {
            id: id.clone(),
            partitions: Some(assigned.keys().copied().collect()),
        });
        roster.ledger.change(Change::Current {
            id: id.clone(),
            assignment: Some(CurrentAssignment {
                epoch: generation,
                previous_epoch: generation,
                state: MemberState::Stable,
                assigned,
                revoking: DatedPartitions::new(),
            }),
        });
        roster
            .sessions
            .heard(id, now.elapsed + member.session_timeout);
    }
    true
}

fn read(
    member: &ClassicMember,
    topics: &dyn TopicImage,
) -> Option<(MemberMetadata, Vec<TopicIdPartition>)> {
    let (_, best) = member.protocols.first()?;
    let subscription = decode_subscription(best).ok()?;
    let named = decode_assignment(&member.assignment).ok()?;
    let assigned = named.into_iter().filter_map(|(name, index)| {
        let (id, partitions) = topics.find(&name)?;
        (0..partitions).contains(&index).then_some((id, index))
    });
    let metadata = MemberMetadata {
        instance_id: member.instance_id.clone(),
        rack_id: subscription.rack_id,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        topics: subscription.topics.into_iter().collect(),
        regex: None,
        rebalance_timeout_ms: milliseconds(member.rebalance_timeout),
        assignor: None,
        classic: Some(ClassicMetadata {
            session_timeout_ms: milliseconds(member.session_timeout),
            protocols: member.protocols.clone(),
        }),
    };
    Some((metadata, assigned.collect()))
}

/// The group as a classic one, whose members all speak the classic protocol; `None` if they have no
/// protocol in common.
pub(crate) fn as_classic(ledger: &Ledger, topics: &dyn TopicImage, now: Now) -> Option<Snapshot> {
    let members = || ledger.members().iter();
    let protocols: Option<Vec<_>> = members()
        .map(|(_, member)| member.metadata.classic.as_ref())
        .collect();
    let protocols = protocols?;
    let speaks = |member: &ClassicMetadata, name: &ByteString| {
        member.protocols.iter().any(|(known, _)| known == name)
    };
    let (protocol, _) = protocols
        .first()?
        .protocols
        .iter()
        .find(|(name, _)| protocols.iter().all(|member| speaks(member, name)))?;
    let saved = members().zip(&protocols).map(|((id, member), classic)| {
        let subscription = classic.protocols.iter().find(|(name, _)| name == protocol);
        SavedMember {
            member_id: id.clone(),
            instance_id: member.metadata.instance_id.clone(),
            client_id: member.metadata.client_id.clone(),
            client_host: member.metadata.client_host.clone(),
            rebalance_timeout: patience(&member.metadata),
            session_timeout: session(classic),
            subscription: subscription.map_or_else(Bytes::new, |(_, bytes)| bytes.clone()),
            assignment: assignment(topics, classic, &member.current).unwrap_or_default(),
        }
    });
    Some(Snapshot {
        generation: ledger.epoch().epoch,
        protocol_type: PROTOCOL_TYPE.into(),
        protocol: Some(protocol.clone()),
        leader: None,
        phase_since_ms: now.unix_ms,
        members: saved.collect(),
    })
}

fn milliseconds(time: Duration) -> i32 {
    i32::try_from(millis(time)).unwrap_or(i32::MAX)
}
