//! Fetch, ListOffsets, OffsetForLeaderEpoch.

use kafka_protocol::Uuid;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    FetchRequest, ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest,
};

use crate::cases::produce::fill;
use crate::conversation::Conversation;
use crate::records::TIMESTAMP;

pub(crate) fn fetch(topic: &str, id: Uuid, partition: i32, offset: i64) -> FetchRequest {
    let partition = with!(FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
    });
    let topic = with!(FetchTopic {
        topic: topic.into(),
        topic_id: id,
        partitions: vec![partition],
    });
    with!(FetchRequest {
        max_wait_ms: 0,
        min_bytes: 0,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic],
    })
}

fn filled(talk: &mut Conversation) -> (String, Uuid) {
    let (topic, id) = talk.topic("t", 2, &[]);
    fill(talk, &topic, id, &[&["a", "b"], &["c"], &["d", "e", "f"]]);
    (topic, id)
}

pub(crate) fn bounds(talk: &mut Conversation) {
    let (topic, id) = filled(talk);
    for version in 4..=18 {
        for offset in [0, 1, 3, 5, 6, 7, -1, i64::MAX] {
            let request = fetch(&topic, id, 0, offset);
            talk.ask(&format!("offset {offset}"), version, &request);
        }
        let mut request = fetch(&topic, id, 0, 0);
        request.isolation_level = 1;
        talk.ask("read committed", version, &request);
        talk.ask("an empty partition", version, &fetch(&topic, id, 1, 0));
    }
    for max in [0, 1, 80, 83] {
        let mut request = fetch(&topic, id, 0, 0);
        request.topics[0].partitions[0].partition_max_bytes = max;
        talk.ask(
            &format!("at most {max} bytes of the partition"),
            12,
            &request,
        );
        let mut request = fetch(&topic, id, 0, 0);
        request.max_bytes = max;
        talk.ask(&format!("at most {max} bytes"), 12, &request);
        let mut request = fetch(&topic, id, 0, 0);
        request.min_bytes = max;
        talk.ask(&format!("at least {max} bytes"), 12, &request);
    }
}

pub(crate) fn unknown(talk: &mut Conversation) {
    let (topic, id) = filled(talk);
    for version in 4..=18 {
        talk.ask("an unknown partition", version, &fetch(&topic, id, 9, 0));
        let request = fetch("nobody-made-this", Uuid::from_bytes([7; 16]), 0, 0);
        talk.ask("an unknown topic", version, &request);
        talk.ask("no topic", version, &fetch("", Uuid::ZERO, 0, 0));
    }
    for version in [7, 12, 13] {
        for (session, epoch) in [(7, 1), (7, 0), (0, 5), (7, -1), (-3, 2)] {
            let mut request = fetch(&topic, id, 0, 0);
            (request.session_id, request.session_epoch) = (session, epoch);
            talk.ask_and_hide(
                &format!("session {session}, epoch {epoch}"),
                version,
                &request,
                |response| {
                    response.session_id = i32::from(response.session_id != 0);
                },
            );
        }
    }
    for version in [4, 9, 12] {
        talk.ask("an illegal topic", version, &fetch("a/b", id, 0, 0));
    }
}

pub(crate) fn epochs(talk: &mut Conversation) {
    let (topic, id) = filled(talk);
    for epoch in [-1, 0, 1, -2, 99] {
        let mut request = fetch(&topic, id, 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        for version in [9, 12, 16] {
            talk.ask(&format!("epoch {epoch}"), version, &request);
        }
        let mut request = fetch(&topic, id, 0, 6);
        request.topics[0].partitions[0].last_fetched_epoch = epoch;
        talk.ask(&format!("last fetched epoch {epoch}"), 12, &request);
        for current in [-1, 0, 1] {
            let partition = with!(OffsetForLeaderPartition {
                partition: 0,
                current_leader_epoch: current,
                leader_epoch: epoch,
            });
            let topic = with!(OffsetForLeaderTopic {
                topic: (*topic).into(),
                partitions: vec![partition],
            });
            let request = with!(OffsetForLeaderEpochRequest {
                replica_id: -1,
                topics: vec![topic]
            });
            for version in 2..=4 {
                talk.ask(&format!("epoch {epoch} of {current}"), version, &request);
            }
        }
    }
    let topic = with!(OffsetForLeaderTopic {
        topic: "nobody-made-this".into(),
        partitions: vec![with!(OffsetForLeaderPartition {
            partition: 0,
            leader_epoch: 0
        })],
    });
    let request = with!(OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![topic]
    });
    talk.ask_in_all("an unknown topic", &request);
}

pub(crate) fn offsets_by_time(talk: &mut Conversation) {
    let (topic, _) = filled(talk);
    let mut ask =
        |what: &str, topic: &str, partition: i32, timestamp: i64, epoch: i32, isolation: i8| {
            let partition = with!(ListOffsetsPartition {
                partition_index: partition,
                timestamp,
                current_leader_epoch: epoch,
            });
            let topic = with!(ListOffsetsTopic {
                name: topic.into(),
                partitions: vec![partition]
            });
            let request = with!(ListOffsetsRequest {
                replica_id: -1,
                isolation_level: isolation,
                topics: vec![topic],
            });
            talk.ask_in_all(what, &request);
        };
    for timestamp in [
        -1,
        -2,
        -3,
        -4,
        -5,
        -6,
        -7,
        0,
        TIMESTAMP,
        TIMESTAMP + 1,
        i64::MAX,
    ] {
        ask(
            &format!("timestamp {timestamp}"),
            &topic,
            0,
            timestamp,
            -1,
            0,
        );
        ask(
            &format!("timestamp {timestamp} of an empty partition"),
            &topic,
            1,
            timestamp,
            -1,
            0,
        );
        ask(
            &format!("timestamp {timestamp}, committed"),
            &topic,
            0,
            timestamp,
            -1,
            1,
        );
    }
    ask("an unknown partition", &topic, 9, -1, -1, 0);
    ask("an unknown topic", "nobody-made-this", 0, -1, -1, 0);
    ask("an old epoch", &topic, 0, -1, -2, 0);
    ask("a new epoch", &topic, 0, -1, 5, 0);
}

/// What is named twice in one request.
pub(crate) fn named_twice(talk: &mut Conversation) {
    let (topic, _) = filled(talk);
    let partitions = [0, 1, 0].into_iter().map(|partition_index| {
        with!(ListOffsetsPartition {
            partition_index,
            timestamp: TIMESTAMP
        })
    });
    let request = with!(ListOffsetsRequest {
        topics: vec![with!(ListOffsetsTopic {
            name: topic.as_str().into(),
            partitions: partitions.collect(),
        })],
    });
    for version in [1, 7, 10] {
        talk.ask_and_hide("an offset asked for twice", version, &request, |response| {
            // Kafka answers in no order.
            for topic in &mut response.topics {
                topic.partitions.sort_by_key(|row| row.partition_index);
            }
        });
    }
    let named = || {
        with!(MetadataRequestTopic {
            name: Some("nobody-made-this".into())
        })
    };
    let request = with!(MetadataRequest {
        topics: Some(vec![named(), named()]),
        allow_auto_topic_creation: false,
    });
    talk.ask_and_hide("a topic asked for twice", 12, &request, |response| {
        response.brokers.clear();
        response.cluster_id = None;
        response.controller_id = 0;
    });
}
