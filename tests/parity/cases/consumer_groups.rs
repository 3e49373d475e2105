//! Groups in which the broker assigns (KIP-848).

use kafka_protocol::Uuid;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::*;

use crate::cases::offsets::commit;
use crate::conversation::Conversation;

/// The first heartbeat of a member that is to be subscribed to a topic.
fn join(group: &str, member: &str, topic: &str) -> ConsumerGroupHeartbeatRequest {
    with!(ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        member_epoch: 0,
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec![topic.into()]),
        server_assignor: None,
        topic_partitions: Some(Vec::new()),
    })
}

/// A heartbeat without news.
fn beat(group: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    with!(ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        member_epoch: epoch,
        rebalance_timeout_ms: -1,
    })
}

fn owns(
    mut request: ConsumerGroupHeartbeatRequest,
    topic: Uuid,
    partitions: &[i32],
) -> ConsumerGroupHeartbeatRequest {
    let owned = with!(TopicPartitions {
        topic_id: topic,
        partitions: partitions.to_vec()
    });
    request.topic_partitions = Some(vec![owned]);
    request
}

/// A member that does as it is told.
struct Member {
    id: &'static str,
    epoch: i32,
    owned: Vec<i32>,
}

impl Member {
    fn joined(talk: &mut Conversation, group: &str, id: &'static str, topic: &str) -> Self {
        let answer = talk.prepare(1, &join(group, id, topic));
        assert_eq!(answer.error_code, 0, "{answer:?}");
        Self {
            id,
            epoch: answer.member_epoch,
            owned: told(&answer).unwrap_or_default(),
        }
    }

    /// Beats once: tells what it owns, and takes what it is told.
    fn beat(&mut self, talk: &mut Conversation, group: &str, topic: Uuid) {
        let request = owns(beat(group, self.id, self.epoch), topic, &self.owned);
        let answer = talk.prepare(1, &request);
        assert_eq!(answer.error_code, 0, "{}: {answer:?}", self.id);
        self.epoch = answer.member_epoch;
        if let Some(owned) = told(&answer) {
            self.owned = owned;
        }
    }
}

/// The partitions of the only topic that an answer assigns, if it assigns any.
fn told(answer: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let topics = &answer.assignment.as_ref()?.topic_partitions;
    Some(
        topics
            .first()
            .map_or_else(Vec::new, |topic| topic.partitions.clone()),
    )
}

/// Lets members beat until each owns this many partitions. A broker may take its time to assign.
fn settle(talk: &mut Conversation, group: &str, topic: Uuid, members: &mut [Member], share: usize) {
    talk.wait_for("a stable group", |talk| {
        for member in &mut *members {
            member.beat(talk, group, topic);
        }
        let epoch = members[0].epoch;
        let settled = |member: &Member| member.owned.len() == share && member.epoch == epoch;
        members.iter().all(settled).then_some(())
    });
}

/// Epochs say how often a group changed, and brokers do several changes at once.
pub(crate) fn hide_epoch(response: &mut ConsumerGroupHeartbeatResponse) {
    response.member_epoch = response.member_epoch.min(1);
}

pub(crate) fn joined_and_left(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 4, &[]);
    let group = talk.group("g");
    let mut members = vec![Member::joined(talk, &group, "one", &topic)];
    settle(talk, &group, id, &mut members, 4);
    talk.ask_and_hide(
        "no news",
        1,
        &beat(&group, "one", members[0].epoch),
        hide_epoch,
    );
    members.push(Member::joined(talk, &group, "two", &topic));
    settle(talk, &group, id, &mut members, 2);
    let one = members[0].epoch;
    let say = |talk: &mut Conversation, what: &str, request: &ConsumerGroupHeartbeatRequest| {
        talk.ask_and_hide(what, 1, request, hide_epoch);
    };
    let hide = |response: &mut ConsumerGroupDescribeResponse| {
        for group in &mut response.groups {
            group.assignment_epoch -= group.group_epoch;
            for member in &mut group.members {
                member.member_epoch -= group.group_epoch;
            }
            group.members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
            group.group_epoch = 0;
        }
    };
    let ask = with!(ConsumerGroupDescribeRequest {
        group_ids: vec![(*group).into()]
    });
    talk.ask_and_hide("described", 1, &ask, hide);
    for version in [5, 6] {
        let ask = with!(DescribeGroupsRequest {
            groups: vec![(*group).into()]
        });
        talk.ask("described as a classic one", version, &ask);
    }
    for version in 2..=10 {
        for (what, member, epoch) in [
            ("a member", "one", one),
            ("a member with an epoch to come", "one", one + 7),
            ("a stranger", "nine", one),
            ("nobody", "", -1),
        ] {
            let mut request = commit(&group, &topic, id, 0, 3);
            request.member_id = member.into();
            request.generation_id_or_member_epoch = epoch;
            talk.ask(&format!("a commit of {what}"), version, &request);
        }
    }
    let delete = with!(DeleteGroupsRequest {
        groups_names: vec![(*group).into()]
    });
    talk.ask("deleted while it has members", 2, &delete);
    let stranger = with!(MemberIdentity {
        member_id: "nine".into()
    });
    let leave = with!(LeaveGroupRequest {
        group_id: (*group).into(),
        members: vec![stranger]
    });
    talk.ask("a classic leave of a stranger", 5, &leave);
    let classic = with!(HeartbeatRequest {
        group_id: (*group).into(),
        generation_id: one,
        member_id: "one".into()
    });
    talk.ask("a classic beat", 4, &classic);
    say(talk, "the first leaves", &beat(&group, "one", -1));
    members.remove(0);
    settle(talk, &group, id, &mut members, 4);
    let two = members[0].epoch;
    say(talk, "the first is unknown", &beat(&group, "one", one));
    say(talk, "the second leaves", &beat(&group, "two", -1));
    say(talk, "it leaves again", &beat(&group, "two", -1));
    say(talk, "it beats again", &beat(&group, "two", two));
    talk.ask("deleted", 2, &delete);
    talk.ask("described when it is gone", 1, &ask);
}

pub(crate) fn refused(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 1, &[]);
    let group = talk.group("g");
    let mut ask = |what: &str, change: &dyn Fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = join(&group, "one", &topic);
        change(&mut request);
        talk.ask_and_hide(what, 1, &request, hide_epoch);
    };
    ask("no group", &|request| request.group_id = "".into());
    ask("no member", &|request| request.member_id = "".into());
    ask("no timeout", &|request| request.rebalance_timeout_ms = -1);
    ask("no subscription", &|request| {
        request.subscribed_topic_names = None;
    });
    ask("no word of what it owns", &|request| {
        request.topic_partitions = None;
    });
    ask("owning something", &|request| {
        *request = owns(request.clone(), id, &[0]);
    });
    ask("an unknown assignor", &|request| {
        request.server_assignor = Some("nobody".into());
    });
    ask("an empty assignor", &|request| {
        request.server_assignor = Some("".into());
    });
    ask("a bad expression", &|request| {
        request.subscribed_topic_regex = Some("(".into());
    });
    ask("an empty instance id", &|request| {
        request.instance_id = Some("".into());
    });
    ask("an empty rack", &|request| {
        request.rack_id = Some("".into());
    });
    ask("an epoch of -3", &|request| request.member_epoch = -3);
    ask("a static leave without a name", &|request| {
        request.member_epoch = -2;
    });
    ask("an unknown member", &|request| request.member_epoch = 5);
    ask("an unknown member that leaves", &|request| {
        request.member_epoch = -1;
    });
    ask("joins", &|_| {});
    ask("an epoch to come", &|request| {
        *request = beat(&request.group_id, "one", 50);
    });
    ask("a stranger in a known group", &|request| {
        *request = beat(&request.group_id, "two", 50);
    });
    ask("a static member", &|request| {
        request.member_id = "fixed".into();
        request.instance_id = Some("name".into());
    });
    ask("another of the same name", &|request| {
        request.member_id = "other".into();
        request.instance_id = Some("name".into());
    });
    ask("a beat of another under the name", &|request| {
        *request = beat(&request.group_id, "other", 50);
        request.instance_id = Some("name".into());
    });
    ask("an unknown name", &|request| {
        *request = beat(&request.group_id, "fixed", 50);
        request.instance_id = Some("nobody".into());
    });
    ask("goes for a while", &|request| {
        *request = beat(&request.group_id, "fixed", -2);
        request.instance_id = Some("name".into());
    });
    ask("its heir", &|request| {
        request.member_id = "heir".into();
        request.instance_id = Some("name".into());
    });
    ask("the one that went", &|request| {
        *request = beat(&request.group_id, "fixed", 50);
        request.instance_id = Some("name".into());
    });
}
