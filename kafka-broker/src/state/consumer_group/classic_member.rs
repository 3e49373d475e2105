//! Members of the classic protocol in a consumer group: the epoch of a member is their generation, and
//! there is no leader, since the broker assigns.

use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::ErrorCode;

use crate::state::classic_group::answer::{
    JoinAnswer, JoinRequest, MemberClaim, SyncAnswer, SyncRequest,
};
use crate::state::consumer_group::change::{
    ClassicMetadata, CurrentAssignment, MemberMetadata, MemberState, Partitions,
};
use crate::state::consumer_group::ledger::{Ledger, Member};
use crate::state::consumer_group::roster::{Roster, patience};
use crate::state::consumer_protocol::{
    PROTOCOL_TYPE, Subscription, decode_subscription, encode_assignment,
};
use crate::state::refusal::Refusal;
use crate::state::time::Now;
use crate::state::topic_image::TopicImage;

/// A member joins, or joins again to catch up.
///
/// # Errors
///
/// Kafka's code, and the member id to go with it.
pub(crate) fn join(
    roster: &mut Roster,
    now: Now,
    topics: &dyn TopicImage,
    request: JoinRequest,
) -> Result<JoinAnswer, (ErrorCode, ByteString)> {
    let is_new = request.member_id.is_empty();
    let id = match is_new {
        true => request.fresh_member_id.clone(),
        false => request.member_id.clone(),
    };
    let refuse = |code: ErrorCode| (code, request.member_id.clone());
    let instance_id = request.instance_id.as_ref();
    let room = roster.check_room(&id, instance_id);
    room.map_err(|refusal| refuse(refusal.code()))?;
    if !fits(&roster.ledger, &request) {
        return Err(refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
    }
    if is_new && instance_id.is_none() && request.must_know_id {
        return Err((ErrorCode::MEMBER_ID_REQUIRED, id));
    }
    let best = request.protocols.first().map(|(_, metadata)| metadata);
    let subscription = best.map(decode_subscription).and_then(Result::ok);
    let subscription =
        subscription.ok_or_else(|| refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL))?;
    if let Some(instance_id) = instance_id {
        match roster.ledger.instance(instance_id).cloned() {
            Some(owner) if is_new => roster.replace(&owner, &id),
            None if is_new => {}
            _ => {
                let claimed = roster.claimed(&id, Some(instance_id));
                claimed.map_err(|refusal| refuse(refusal.code()))?;
            }
        }
    }
    let before = roster.ledger.members().get(&id);
    let before = before.map(|member| (*member.metadata).clone());
    let owned = by_id(topics, &subscription.owned);
    let metadata = metadata(&request, subscription, before.unwrap_or_default());
    let patience = patience(&metadata);
    let protocol = metadata.classic.as_ref().map(ClassicMetadata::protocol);
    roster
        .sessions
        .heard(&id, now.elapsed + request.session_timeout);
    let updated = roster.update(now, topics, &id, metadata, Some(&owned));
    updated.map_err(|refusal| refuse(refusal.code()))?;
    roster.sessions.expect_sync(&id, now.elapsed + patience);
    let member = roster
        .member(&id)
        .map_err(|refusal| refuse(refusal.code()))?;
    Ok(JoinAnswer {
        error: ErrorCode::NONE,
        generation: member.current.epoch,
        protocol_type: Some(PROTOCOL_TYPE.into()),
        protocol,
        leader: ByteString::new(),
        member_id: id,
        skip_assignment: false,
        members: Vec::new(),
    })
}

/// A member fetches its assignment.
///
/// # Errors
///
/// Kafka's code.
pub(crate) fn sync(
    roster: &mut Roster,
    now: Now,
    topics: &dyn TopicImage,
    request: SyncRequest,
) -> Result<SyncAnswer, ErrorCode> {
    let id = request.member.member_id.clone();
    let (member, classic) = claimed(roster, &request.member)?;
    let protocol = classic.protocol();
    let differs = |claimed: &Option<ByteString>, ours: &str| {
        claimed.as_ref().is_some_and(|claimed| *claimed != ours)
    };
    if differs(&request.protocol_type, PROTOCOL_TYPE) || differs(&request.protocol, &protocol) {
        return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    let patience = patience(&member.metadata);
    // Who has to give up first has joined already, and will be told to join again once it is its turn.
    if roster.ledger.epoch().epoch > member.current.epoch
        && member.current.state != MemberState::UnrevokedPartitions
    {
        roster.sessions.expect_join(&id, now.elapsed + patience);
        return Err(ErrorCode::REBALANCE_IN_PROGRESS);
    }
    let session = session(classic);
    let assignment = assignment(topics, classic, &member.current)?;
    roster.sessions.handle_synced(&id);
    roster.sessions.heard(&id, now.elapsed + session);
    Ok(SyncAnswer {
        error: ErrorCode::NONE,
        protocol_type: request.protocol_type,
        protocol: request.protocol,
        assignment,
    })
}

/// A member says that it is there, and learns whether it should join again.
///
/// # Errors
///
/// Kafka's code.
pub(crate) fn heartbeat(
    roster: &mut Roster,
    now: Now,
    claim: &MemberClaim,
) -> Result<(), ErrorCode> {
    let (member, classic) = claimed(roster, claim)?;
    let current = &member.current;
    let must_join = current.epoch < roster.ledger.epoch().epoch
        || match current.state {
            MemberState::Stable | MemberState::Unknown => false,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !waits_for_others(&roster.ledger, claim, current),
        };
    let (session, patience) = (session(classic), patience(&member.metadata));
    roster
        .sessions
        .heard(&claim.member_id, now.elapsed + session);
    if !must_join {
        return Ok(());
    }
    let ends = now.elapsed + patience;
    roster.sessions.expect_join(&claim.member_id, ends);
    Err(ErrorCode::REBALANCE_IN_PROGRESS)
}

/// A member goes, by its id or, if it is a static one, by its instance id alone.
///
/// # Errors
///
/// Kafka's code.
pub(crate) fn leave(
    roster: &mut Roster,
    now: Now,
    topics: &dyn TopicImage,
    member_id: &ByteString,
    instance_id: Option<&ByteString>,
) -> Result<(), ErrorCode> {
    let owner = instance_id.and_then(|instance| roster.ledger.instance(instance).cloned());
    let id = match owner {
        Some(owner) if member_id.is_empty() => owner,
        _ => member_id.clone(),
    };
    let member = roster.claimed(&id, instance_id);
    let member = member.map_err(|refusal| refusal.code())?;
    if !member.is_classic() {
        return Err(ErrorCode::UNKNOWN_MEMBER_ID);
    }
    roster.fence(now, topics, &id);
    Ok(())
}

/// How long a member may be silent.
pub(crate) fn session(classic: &ClassicMetadata) -> Duration {
    Duration::from_millis(u64::try_from(classic.session_timeout_ms).unwrap_or_default())
}

/// What the member has, in the words of its own protocol.
pub(crate) fn assignment(
    topics: &dyn TopicImage,
    classic: &ClassicMetadata,
    current: &CurrentAssignment,
) -> Result<Bytes, ErrorCode> {
    let partitions = current.assigned.keys();
    let named = partitions.filter_map(|(topic, index)| Some((topics.name_of(*topic)?, *index)));
    let best = classic.protocols.first().map(|(_, metadata)| metadata);
    let subscription = best.map(decode_subscription).and_then(Result::ok);
    let version = subscription.map_or(0, |subscription| subscription.version);
    encode_assignment(version, named).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)
}

fn claimed<'a>(
    roster: &'a Roster,
    claim: &MemberClaim,
) -> Result<(&'a Member, &'a ClassicMetadata), ErrorCode> {
    let member = roster.claimed(&claim.member_id, claim.instance_id.as_ref());
    let member = member.map_err(|refusal: Refusal| refusal.code())?;
    let classic = member.metadata.classic.as_ref();
    let classic = classic.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    if member.current.epoch != claim.generation {
        return Err(ErrorCode::ILLEGAL_GENERATION);
    }
    Ok((member, classic))
}

/// Whether one of the protocols of a join is spoken by all members of the classic protocol.
fn fits(ledger: &Ledger, request: &JoinRequest) -> bool {
    let members = ledger.members().values();
    let classic: Vec<_> = members
        .filter_map(|one| one.metadata.classic.as_ref())
        .collect();
    let speaks = |member: &&ClassicMetadata, name: &ByteString| {
        member.protocols.iter().any(|(known, _)| known == name)
    };
    let all_speak = |name: &ByteString| classic.iter().all(|member| speaks(member, name));
    request.protocol_type == PROTOCOL_TYPE
        && request.protocols.iter().any(|(name, _)| all_speak(name))
}

fn metadata(
    request: &JoinRequest,
    subscription: Subscription,
    before: MemberMetadata,
) -> MemberMetadata {
    let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    MemberMetadata {
        instance_id: request.instance_id.clone().or(before.instance_id),
        rack_id: subscription.rack_id.or(before.rack_id),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        topics: subscription.topics.into_iter().collect(),
        regex: Some(ByteString::new()),
        rebalance_timeout_ms: millis(request.rebalance_timeout),
        assignor: before.assignor,
        classic: Some(ClassicMetadata {
            session_timeout_ms: millis(request.session_timeout),
            protocols: request.protocols.clone(),
        }),
    }
}

fn by_id(topics: &dyn TopicImage, named: &[(ByteString, i32)]) -> Partitions {
    let id = |name: &ByteString| topics.find(name).map(|(id, _)| id);
    let named = named.iter();
    named
        .filter_map(|(name, index)| Some((id(name)?, *index)))
        .collect()
}

/// Whether what the member lacks is still with others.
fn waits_for_others(ledger: &Ledger, claim: &MemberClaim, current: &CurrentAssignment) -> bool {
    let target = ledger.targets().get(&claim.member_id);
    let mut lacking = target
        .into_iter()
        .flatten()
        .filter(|partition| !current.assigned.contains_key(*partition));
    lacking.any(|partition| ledger.holder(partition).is_some())
}
