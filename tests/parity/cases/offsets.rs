//! Offsets committed and fetched, without members.

use kafka_protocol::Uuid;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};

use crate::conversation::Conversation;

pub(crate) fn commit(
    group: &str,
    topic: &str,
    id: Uuid,
    partition: i32,
    offset: i64,
) -> OffsetCommitRequest {
    let partition = with!(OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        committed_metadata: Some("m".into()),
    });
    let topic = with!(OffsetCommitRequestTopic {
        name: topic.into(),
        topic_id: id,
        partitions: vec![partition],
    });
    with!(OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![topic]
    })
}

pub(crate) fn fetch_all(
    talk: &mut Conversation,
    what: &str,
    group: &str,
    topic: &str,
    id: Uuid,
    partitions: &[i32],
) {
    for version in 1..=7 {
        let topic = with!(OffsetFetchRequestTopic {
            name: topic.into(),
            partition_indexes: partitions.to_vec(),
        });
        let mut request = with!(OffsetFetchRequest {
            group_id: group.into(),
            topics: Some(vec![topic])
        });
        talk.ask(what, version, &request);
        if version >= 2 {
            request.topics = None;
            talk.ask(&format!("{what}, all"), version, &request);
        }
    }
    for version in 8..=10 {
        let topic = with!(OffsetFetchRequestTopics {
            name: topic.into(),
            topic_id: id,
            partition_indexes: partitions.to_vec(),
        });
        let group = with!(OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: Some(vec![topic])
        });
        let mut request = with!(OffsetFetchRequest {
            groups: vec![group]
        });
        talk.ask(what, version, &request);
        request.groups[0].topics = None;
        talk.ask(&format!("{what}, all"), version, &request);
    }
}

pub(crate) fn committed(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 3, &[]);
    let group = talk.group("g");
    fetch_all(talk, "before", &group, &topic, id, &[0, 1]);
    for version in 2..=10 {
        talk.ask(
            "a commit",
            version,
            &commit(&group, &topic, id, 0, 10 + i64::from(version)),
        );
    }
    fetch_all(talk, "after", &group, &topic, id, &[0, 1, 9]);
    let unknown = Uuid::from_bytes([9; 16]);
    fetch_all(
        talk,
        "of an unknown topic",
        &group,
        "nobody-made-this",
        unknown,
        &[0],
    );
}

pub(crate) fn refused(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 1, &[]);
    let group = talk.group("g");
    for version in 2..=10 {
        talk.ask("no group", version, &commit("", &topic, id, 0, 1));
        talk.ask(
            "an unknown partition",
            version,
            &commit(&group, &topic, id, 9, 1),
        );
        let unknown = Uuid::from_bytes([9; 16]);
        talk.ask(
            "an unknown topic",
            version,
            &commit(&group, "nobody-made-this", unknown, 0, 1),
        );
        talk.ask(
            "a negative offset",
            version,
            &commit(&group, &topic, id, 0, -5),
        );
        let mut large = commit(&group, &topic, id, 0, 1);
        large.topics[0].partitions[0].committed_metadata = Some("m".repeat(5_000).into());
        talk.ask("metadata of 5,000 bytes", version, &large);
        let mut stranger = commit(&group, &topic, id, 0, 1);
        stranger.generation_id_or_member_epoch = 5;
        stranger.member_id = "stranger".into();
        talk.ask("a stranger", version, &stranger);
        stranger.generation_id_or_member_epoch = -1;
        talk.ask("a stranger without a generation", version, &stranger);
    }
    let delete = |group: &str, topic: &str, partition: i32| {
        let partition = with!(OffsetDeleteRequestPartition {
            partition_index: partition
        });
        let topic = with!(OffsetDeleteRequestTopic {
            name: topic.into(),
            partitions: vec![partition]
        });
        with!(OffsetDeleteRequest {
            group_id: group.into(),
            topics: vec![topic]
        })
    };
    talk.ask("delete", 0, &delete(&group, &topic, 0));
    talk.ask(
        "delete of an unknown partition",
        0,
        &delete(&group, &topic, 9),
    );
    talk.ask(
        "delete of an unknown topic",
        0,
        &delete(&group, "nobody-made-this", 0),
    );
    talk.ask(
        "delete of an unknown group",
        0,
        &delete("nobody", &topic, 0),
    );
    talk.ask("delete of no group", 0, &delete("", &topic, 0));
}
