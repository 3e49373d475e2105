//! Topics made, changed, described and deleted.

use kafka_protocol::Uuid;
use kafka_protocol::messages::consumer_group_describe_response::DescribedGroup;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;

use crate::cases::produce::{fill, produce};
use crate::conversation::Conversation;
use crate::records::batch;

fn new_topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    with!(CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: replicas,
    })
}

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    with!(CreateTopicsRequest {
        topics,
        timeout_ms: 10_000
    })
}

/// Ids and the values of settings are the brokers' own.
fn hide(response: &mut CreateTopicsResponse) {
    for topic in &mut response.topics {
        topic.topic_id = Uuid::from_bytes([u8::from(topic.topic_id != Uuid::ZERO); 16]);
        topic.configs = topic.configs.as_ref().map(|_| Vec::new());
    }
}

pub(crate) fn created(talk: &mut Conversation) {
    for version in 2..=7 {
        let name = talk.name(&format!("v{version}"));
        talk.ask_and_hide("one", version, &create(vec![new_topic(&name, 2, 1)]), hide);
        talk.ask_and_hide(
            "again",
            version,
            &create(vec![new_topic(&name, 2, 1)]),
            hide,
        );
        let mut request = create(vec![new_topic(&talk.name("only-validated"), 2, 1)]);
        request.validate_only = true;
        talk.ask_and_hide("only validated", version, &request, |response| {
            hide(response);
            // Kafka gives an id that nobody will ever see again.
            response.topics[0].topic_id = Uuid::ZERO;
        });
    }
    let name = talk.name("defaults");
    talk.ask_and_hide("defaults", 7, &create(vec![new_topic(&name, -1, -1)]), hide);
    let name = talk.name("assigned");
    let mut topic = new_topic(&name, -1, -1);
    topic.assignments = vec![with!(CreatableReplicaAssignment {
        partition_index: 0,
        broker_ids: [1].into_iter().collect(),
    })];
    talk.ask_and_hide("assigned", 7, &create(vec![topic]), hide);
}

pub(crate) fn refused(talk: &mut Conversation) {
    let long = "x".repeat(250);
    for version in [2, 5, 7] {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "\u{e4}",
            &long,
            "__consumer_offsets",
        ] {
            talk.ask_and_hide(
                &format!("the name {name:?}"),
                version,
                &create(vec![new_topic(name, 1, 1)]),
                hide,
            );
        }
        for (partitions, replicas) in [(0, 1), (-2, 1), (1, 0), (1, -2), (1, 2), (1, 99)] {
            let name = talk.name("never");
            let what = format!("{partitions} partitions of {replicas} replicas");
            talk.ask_and_hide(
                &what,
                version,
                &create(vec![new_topic(&name, partitions, replicas)]),
                hide,
            );
        }
        let name = talk.name("twice");
        let twice = vec![new_topic(&name, 1, 1), new_topic(&name, 1, 1)];
        talk.ask_and_hide("the same twice", version, &create(twice), hide);
        let (one, two) = (talk.name("many"), talk.name("more"));
        let many = vec![new_topic(&one, 10_000, 1), new_topic(&two, -1, 1)];
        let mut many = create(many);
        many.validate_only = true;
        talk.ask_and_hide("10,001 partitions", version, &many, hide);
        for (key, value) in [
            ("retention.ms", Some("soon")),
            ("nobody.knows", Some("1")),
            ("cleanup.policy", Some("burn")),
            ("retention.ms", None),
            ("segment.bytes", Some("1")),
            ("max.message.bytes", Some("-5")),
            ("compression.type", Some("rar")),
            ("min.insync.replicas", Some("0")),
        ] {
            let name = talk.name("never");
            let mut topic = new_topic(&name, 1, 1);
            topic.configs = vec![with!(CreatableTopicConfig {
                name: key.into(),
                value: value.map(Into::into),
            })];
            talk.ask_and_hide(
                &format!("{key}={value:?}"),
                version,
                &create(vec![topic]),
                hide,
            );
        }
        for (what, assignments) in [
            ("a gap in the partitions", vec![(1, vec![1])]),
            ("an unknown broker", vec![(0, vec![9])]),
            ("a broker twice", vec![(0, vec![1, 1])]),
            ("no broker", vec![(0, vec![])]),
            ("a partition twice", vec![(0, vec![1]), (0, vec![1])]),
        ] {
            let name = talk.name("never");
            let mut topic = new_topic(&name, -1, -1);
            let assigned = assignments
                .into_iter()
                .map(|(partition, brokers): (i32, Vec<i32>)| {
                    with!(CreatableReplicaAssignment {
                        partition_index: partition,
                        broker_ids: brokers.into_iter().collect(),
                    })
                });
            topic.assignments = assigned.collect();
            talk.ask_and_hide(what, version, &create(vec![topic]), hide);
        }
    }
    let (_, _) = talk.topic("with.dot", 1, &[]);
    let colliding = talk.name("with_dot");
    talk.ask_and_hide(
        "a name that collides",
        7,
        &create(vec![new_topic(&colliding, 1, 1)]),
        hide,
    );
}

pub(crate) fn grown_and_deleted(talk: &mut Conversation) {
    let (topic, id) = talk.topic("t", 2, &[]);
    let grow = |name: &str, count: i32, brokers: Option<Vec<Vec<i32>>>| {
        let assignments = brokers.map(|brokers| {
            let assignments = brokers.into_iter().map(|ids| {
                with!(CreatePartitionsAssignment {
                    broker_ids: ids.into_iter().collect()
                })
            });
            assignments.collect()
        });
        let topic = with!(CreatePartitionsTopic {
            name: name.into(),
            count,
            assignments,
        });
        with!(CreatePartitionsRequest {
            topics: vec![topic],
            timeout_ms: 10_000
        })
    };
    talk.ask_in_all("fewer", &grow(&topic, 1, None));
    talk.ask_in_all("as many", &grow(&topic, 2, None));
    talk.ask_in_all("none", &grow(&topic, 0, None));
    talk.ask_in_all("an unknown topic", &grow("nobody-made-this", 3, None));
    talk.ask_in_all("an unknown broker", &grow(&topic, 3, Some(vec![vec![9]])));
    talk.ask_in_all(
        "too many assignments",
        &grow(&topic, 3, Some(vec![vec![1], vec![1]])),
    );
    talk.ask("three", 3, &grow(&topic, 3, None));

    fill(talk, &topic, id, &[&["a", "b"], &["c"]]);
    let cut = |name: &str, partition: i32, offset: i64| {
        let partition = with!(DeleteRecordsPartition {
            partition_index: partition,
            offset
        });
        let topic = with!(DeleteRecordsTopic {
            name: name.into(),
            partitions: vec![partition]
        });
        with!(DeleteRecordsRequest {
            topics: vec![topic],
            timeout_ms: 10_000
        })
    };
    talk.ask_in_all("records above the end", &cut(&topic, 0, 99));
    talk.ask_in_all("records at a negative offset", &cut(&topic, 0, -7));
    talk.ask_in_all("records of an unknown partition", &cut(&topic, 9, 0));
    talk.ask_in_all(
        "records of an unknown topic",
        &cut("nobody-made-this", 0, 0),
    );
    talk.ask("one record", 2, &cut(&topic, 0, 1));
    talk.ask("fewer than are gone", 2, &cut(&topic, 0, 0));
    talk.ask("all records", 2, &cut(&topic, 0, -1));

    let ask = |name: Option<&str>, id: Uuid| {
        let topic = with!(MetadataRequestTopic {
            topic_id: id,
            name: name.map(Into::into)
        });
        with!(MetadataRequest {
            topics: Some(vec![topic]),
            allow_auto_topic_creation: false
        })
    };
    let hide = |response: &mut MetadataResponse| {
        response.cluster_id = None;
    };
    for version in 4..=13 {
        talk.ask_and_hide("known", version, &ask(Some(&topic), Uuid::ZERO), hide);
        talk.ask_and_hide(
            "unknown",
            version,
            &ask(Some("nobody-made-this"), Uuid::ZERO),
            hide,
        );
        talk.ask_and_hide("illegal", version, &ask(Some("a/b"), Uuid::ZERO), hide);
    }
    for version in [12, 13] {
        talk.ask_and_hide("known by id", version, &ask(None, id), hide);
        talk.ask_and_hide(
            "unknown by id",
            version,
            &ask(None, Uuid::from_bytes([9; 16])),
            hide,
        );
    }

    let delete = |names: &[&str]| {
        with!(DeleteTopicsRequest {
            topic_names: names.iter().map(|&name| name.into()).collect(),
            timeout_ms: 10_000,
        })
    };
    talk.ask_in_all("delete an unknown topic", &delete(&["nobody-made-this"]));
    talk.ask_in_all("delete an illegal topic", &delete(&["a/b"]));
    let by = |name: Option<&str>, id: Uuid| {
        let topic = with!(DeleteTopicState {
            name: name.map(Into::into),
            topic_id: id
        });
        with!(DeleteTopicsRequest {
            topics: vec![topic],
            timeout_ms: 10_000
        })
    };
    talk.ask(
        "delete an unknown id",
        6,
        &by(None, Uuid::from_bytes([9; 16])),
    );
    talk.ask("delete by name and id", 6, &by(Some(&topic), id));
    talk.ask("delete nothing", 6, &by(None, Uuid::ZERO));
    talk.ask("delete", 6, &by(None, id));
    talk.ask("delete again", 6, &by(None, id));
    // The controller has deleted it; its leader may learn of that later.
    let late = produce(&topic, id, 0, Some(batch(&["x"]).into()));
    talk.wait_for("the end of the topic", |talk| {
        let answer = talk.prepare(9, &late);
        let partition = &answer.responses[0].partition_responses[0];
        (partition.error_code != 0).then_some(())
    });
    talk.ask("produce to what is gone", 9, &late);
    talk.ask(
        "produce to the id of what is gone",
        13,
        &produce(&topic, id, 0, Some(batch(&["x"]).into())),
    );
}

pub(crate) fn sized(talk: &mut Conversation) {
    let (name, id) = talk.topic("t", 2, &[]);
    fill(talk, &name, id, &[&["a", "b"], &["c"]]);
    let unknown = talk.name("nobody");
    let wanted = |topic: &str, partitions: &[i32]| {
        with!(DescribableLogDirTopic {
            topic: topic.into(),
            partitions: partitions.to_vec()
        })
    };
    for (what, topics) in [
        ("a topic", vec![wanted(&name, &[0, 1])]),
        (
            "a partition that is not there",
            vec![wanted(&name, &[1, 7])],
        ),
        ("a topic that is not there", vec![wanted(&unknown, &[0])]),
        ("no topic", Vec::new()),
    ] {
        let request = with!(DescribeLogDirsRequest {
            topics: Some(topics)
        });
        for version in 1..=5 {
            talk.ask_and_hide(what, version, &request, hide_volume);
        }
    }
}

/// Where the data lies and how much room is there is different for every broker, but told or not.
fn hide_volume(response: &mut DescribeLogDirsResponse) {
    for dir in &mut response.results {
        dir.log_dir = "".into();
        assert!(dir.usable_bytes <= dir.total_bytes, "{dir:?}");
        dir.total_bytes = dir.total_bytes.min(1);
        dir.usable_bytes = dir.usable_bytes.min(1);
        for topic in &mut dir.topics {
            topic.partitions.sort_by_key(|row| row.partition_index);
        }
    }
}

/// Without access control everybody may do everything, and is told so.
pub(crate) fn allowed(talk: &mut Conversation) {
    let (name, _) = talk.topic("t", 1, &[]);
    let group = talk.group("g");
    let wanted = with!(MetadataRequestTopic {
        name: Some((*name).into())
    });
    let unknown = with!(MetadataRequestTopic {
        name: Some(talk.name("nobody").into())
    });
    let mut metadata = with!(MetadataRequest {
        topics: Some(vec![wanted, unknown]),
        allow_auto_topic_creation: false,
        include_topic_authorized_operations: true,
    });
    for version in 8..=13 {
        metadata.include_cluster_authorized_operations = version <= 10;
        talk.ask_and_hide("what may be done", version, &metadata, |response| {
            response.brokers.clear();
            response.cluster_id = None;
            response.topics.sort_by(|a, b| a.name.cmp(&b.name));
        });
    }
    let cluster = with!(DescribeClusterRequest {
        include_cluster_authorized_operations: true,
        endpoint_type: 1,
    });
    for version in 0..=2 {
        talk.ask_and_hide("the cluster", version, &cluster, |response| {
            response.brokers.clear();
            response.cluster_id = "".into();
        });
    }
    let named = |name: &str| with!(TopicRequest { name: name.into() });
    let topics = with!(DescribeTopicPartitionsRequest {
        topics: vec![named(&name), named(&talk.name("nobody"))],
        response_partition_limit: 10,
    });
    talk.ask_and_hide("the topics", 0, &topics, |response| {
        response.topics.sort_by(|a, b| a.name.cmp(&b.name));
    });
    let groups = with!(DescribeGroupsRequest {
        groups: vec![(*group).into()],
        include_authorized_operations: true,
    });
    for version in 3..=6 {
        talk.ask("a classic group that is not there", version, &groups);
    }
    let join = with!(ConsumerGroupHeartbeatRequest {
        group_id: (*group).into(),
        member_id: "m".into(),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec![(*name).into()]),
        topic_partitions: Some(Vec::new()),
    });
    talk.prepare(1, &join);
    let groups = with!(ConsumerGroupDescribeRequest {
        group_ids: vec![(*group).into()],
        include_authorized_operations: true,
    });
    for version in 0..=1 {
        talk.ask_and_hide("a consumer group", version, &groups, |response| {
            let group = &mut response.groups[0];
            assert_eq!(group.error_code, 0, "{group:?}");
            *group = with!(DescribedGroup {
                authorized_operations: group.authorized_operations
            });
        });
    }
}
