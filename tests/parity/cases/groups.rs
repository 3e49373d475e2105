//! Classic groups: members that join, sync, beat, commit and leave, and strangers that try.

use bytes::Bytes;
use kafka_protocol::Uuid;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;

use crate::cases::offsets::commit;
use crate::conversation::Conversation;

fn join(group: &str, member: &str, instance: Option<&str>) -> JoinGroupRequest {
    let protocol = with!(JoinGroupRequestProtocol {
        name: "range".into(),
        metadata: Bytes::from_static(b"\0\x01meta"),
    });
    with!(JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id: member.into(),
        group_instance_id: instance.map(Into::into),
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
    })
}

fn sync(group: &str, member: &str, generation: i32) -> SyncGroupRequest {
    let assignment = with!(SyncGroupRequestAssignment {
        member_id: member.into(),
        assignment: Bytes::from_static(b"mine"),
    });
    with!(SyncGroupRequest {
        group_id: group.into(),
        generation_id: generation,
        member_id: member.into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: vec![assignment],
    })
}

fn beat(group: &str, member: &str, generation: i32) -> HeartbeatRequest {
    with!(HeartbeatRequest {
        group_id: group.into(),
        generation_id: generation,
        member_id: member.into(),
    })
}

fn leave(group: &str, members: &[(&str, Option<&str>)]) -> LeaveGroupRequest {
    let members = members.iter().map(|&(member, instance)| {
        with!(MemberIdentity {
            member_id: member.into(),
            group_instance_id: instance.map(Into::into),
        })
    });
    with!(LeaveGroupRequest {
        group_id: group.into(),
        members: members.collect()
    })
}

/// Joins as one member in this version; gives the member's id.
fn join_alone(
    talk: &mut Conversation,
    group: &str,
    version: i16,
    instance: Option<&str>,
) -> String {
    let mut member = String::new();
    if version >= 4 && instance.is_none() {
        let refused = talk.prepare(version, &join(group, "", None));
        member = refused.member_id.to_string();
        talk.alias(&member, &format!("MEMBER {version}"));
    }
    let hide = |response: &mut JoinGroupResponse| {
        response.leader = "LEADER".into();
        response.member_id = "MEMBER".into();
        for member in &mut response.members {
            member.member_id = "MEMBER".into();
        }
    };
    let joined = talk.ask_and_hide("joins", version, &join(group, &member, instance), hide);
    let joined = joined.expect("a group that is joined");
    let member = joined.member_id.to_string();
    assert_eq!(member, &*joined.leader);
    talk.alias(&member, &format!("MEMBER {version}"));
    member
}

fn describe(group: &str) -> DescribeGroupsRequest {
    with!(DescribeGroupsRequest {
        groups: vec![group.into()]
    })
}

pub(crate) fn classic(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 1, &[]);
    for version in 0..=9 {
        talk.about(format!("joined by v{version}: "));
        let group = talk.group(&format!("g{version}"));
        let member = join_alone(talk, &group, version, None);
        talk.ask("a beat before the assignment", 4, &beat(&group, &member, 1));
        talk.ask(
            "a commit before the assignment",
            8,
            &member_commit(&group, &topic, id, &member, 1),
        );
        talk.ask("described before the assignment", 5, &describe(&group));
        talk.ask("syncs", version.min(5), &sync(&group, &member, 1));
        talk.ask("syncs again", version.min(5), &sync(&group, &member, 1));
        talk.ask("a beat", version.min(4), &beat(&group, &member, 1));
        talk.ask(
            "a beat of another generation",
            version.min(4),
            &beat(&group, &member, 2),
        );
        talk.ask(
            "a beat of a stranger",
            version.min(4),
            &beat(&group, "stranger", 1),
        );
        talk.ask("a beat in no group", version.min(4), &beat("", &member, 1));
        talk.ask(
            "a sync of another generation",
            version.min(5),
            &sync(&group, &member, 7),
        );
        talk.ask(
            "a sync of a stranger",
            version.min(5),
            &sync(&group, "stranger", 1),
        );
        for commits in 2..=10 {
            talk.ask(
                "a commit",
                commits,
                &member_commit(&group, &topic, id, &member, 1),
            );
            talk.ask(
                "a commit of another generation",
                commits,
                &member_commit(&group, &topic, id, &member, 0),
            );
            talk.ask(
                "a commit of a stranger",
                commits,
                &member_commit(&group, &topic, id, "stranger", 1),
            );
            talk.ask(
                "a commit of nobody",
                commits,
                &commit(&group, &topic, id, 0, 5),
            );
        }
        talk.ask_in_all("described", &describe(&group));
        let delete = with!(DeleteGroupsRequest {
            groups_names: vec![(*group).into()]
        });
        talk.ask_in_all("deleted while it has members", &delete);
        if version <= 5 {
            let mut request = leave(&group, &[]);
            if version <= 2 {
                request.member_id = (*member).into();
                request.members.clear();
            } else {
                request = leave(&group, &[(&member, None), ("stranger", None)]);
            }
            talk.ask("leaves", version, &request);
        } else {
            talk.ask("leaves", 5, &leave(&group, &[(&member, None)]));
        }
        talk.ask("described when it is empty", 5, &describe(&group));
        talk.ask(
            "a commit into the empty group",
            8,
            &commit(&group, &topic, id, 0, 5),
        );
        talk.ask("a beat after the leave", 4, &beat(&group, &member, 1));
        talk.ask("deleted", 2, &delete);
        talk.ask("deleted again", 2, &delete);
        talk.ask("described when it is gone", 5, &describe(&group));
        talk.ask("described when it is gone, new", 6, &describe(&group));
    }
}

fn member_commit(
    group: &str,
    topic: &str,
    id: Uuid,
    member: &str,
    generation: i32,
) -> OffsetCommitRequest {
    let mut request = commit(group, topic, id, 0, 3);
    request.member_id = member.into();
    request.generation_id_or_member_epoch = generation;
    request
}

pub(crate) fn refused(talk: &mut Conversation) {
    let group = talk.group("g");
    for version in 0..=9 {
        talk.ask("no group", version, &join("", "", None));
        talk.ask("a stranger", version, &join(&group, "stranger", None));
        for timeout in [0, 1, 5_999, 1_800_001, -1, i32::MAX] {
            let mut request = join(&group, "", None);
            request.session_timeout_ms = timeout;
            talk.ask(&format!("a session of {timeout} ms"), version, &request);
        }
        if version >= 4 {
            // Who is asked to come back with an id.
            let hide = |response: &mut JoinGroupResponse| {
                assert!(!response.member_id.is_empty());
                response.member_id = "MADE".into();
            };
            talk.ask_and_hide("nobody yet", version, &join(&group, "", None), hide);
        }
        let mut request = join(&group, "", None);
        request.protocols.clear();
        talk.ask("no protocol", version, &request);
        let mut request = join(&group, "", None);
        request.protocol_type = "".into();
        talk.ask("no protocol type", version, &request);
    }
    talk.ask_in_all("an empty group is unknown to a beat", &beat(&group, "m", 0));
    talk.ask_in_all("an empty group is unknown to a sync", &sync(&group, "m", 0));
    talk.ask(
        "leave of a stranger",
        2,
        &with!(LeaveGroupRequest {
            group_id: (*group).into(),
            member_id: "m".into()
        }),
    );
    talk.ask(
        "leave of strangers",
        5,
        &leave(&group, &[("m", None), ("", Some("i"))]),
    );
    talk.ask_in_all("described", &describe("nobody"));
    talk.ask_in_all(
        "deleted",
        &with!(DeleteGroupsRequest {
            groups_names: vec!["nobody".into()]
        }),
    );

    let static_group = talk.group("static");
    let member = join_alone(talk, &static_group, 9, Some("one"));
    talk.ask(
        "syncs",
        5,
        &with_instance(sync(&static_group, &member, 1), "one"),
    );
    talk.ask("a protocol of another type", 9, &{
        let mut request = join(&static_group, "", None);
        request.protocol_type = "connect".into();
        request
    });
    talk.ask("a protocol that the member has not", 3, &{
        let mut request = join(&static_group, "", None);
        request.protocols[0].name = "sticky".into();
        request
    });
    talk.ask("a sync with another protocol", 5, &{
        let mut request = with_instance(sync(&static_group, &member, 1), "one");
        request.protocol_name = Some("sticky".into());
        request
    });
    talk.ask("a beat under another's name", 4, &{
        let mut request = beat(&static_group, "other", 1);
        request.group_instance_id = Some("one".into());
        request
    });
    talk.ask("a beat under an unknown name", 4, &{
        let mut request = beat(&static_group, &member, 1);
        request.group_instance_id = Some("two".into());
        request
    });
    let again = talk.ask_and_hide(
        "comes back",
        9,
        &join(&static_group, "", Some("one")),
        |response| {
            response.member_id = "MEMBER".into();
            response.leader = "LEADER".into();
            for member in &mut response.members {
                member.member_id = "MEMBER".into();
            }
        },
    );
    let again = again.unwrap().member_id.to_string();
    talk.alias(&again, "MEMBER AGAIN");
    talk.ask("a beat of the one before", 4, &{
        let mut request = beat(&static_group, &member, 1);
        request.group_instance_id = Some("one".into());
        request
    });
    talk.ask(
        "leaves by name",
        5,
        &leave(&static_group, &[("", Some("one")), ("", Some("two"))]),
    );
}

fn with_instance(mut request: SyncGroupRequest, instance: &str) -> SyncGroupRequest {
    request.group_instance_id = Some(instance.into());
    request
}

pub(crate) fn managed(talk: &mut Conversation) {
    let list = with!(ListGroupsRequest {
        states_filter: vec!["NoSuchState".into()]
    });
    talk.ask_in_all("a state that nobody knows", &list);
    let list = with!(ListGroupsRequest {
        types_filter: vec!["NoSuchType".into()]
    });
    talk.ask_in_all("a type that nobody knows", &list);
    talk.await_coordinator("any", 1);
    for (key, kind) in [("", 0), ("", 1), ("g", 2), ("g", 7), ("g", -1)] {
        for version in 0..=3 {
            let request = with!(FindCoordinatorRequest {
                key: key.into(),
                key_type: kind
            });
            if kafka_protocol::Message::to_bytes(&request, version).is_ok() {
                talk.ask(
                    &format!("coordinator of {key:?} of kind {kind}"),
                    version,
                    &request,
                );
            }
        }
        for version in 4..=6 {
            let request = with!(FindCoordinatorRequest {
                coordinator_keys: vec![key.into()],
                key_type: kind
            });
            talk.ask(
                &format!("coordinator of {key:?} of kind {kind}"),
                version,
                &request,
            );
        }
    }
}
