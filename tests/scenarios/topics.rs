//! What an operator does with topics, and what is refused.

use std::time::Duration;

use kafka_client::admin::{Admin, NewTopic};
use kafka_client::{Error, ErrorKind, Record};
use kafka_protocol::ErrorCode;

use crate::stories::reading::{place, produce_numbers, read_all, soon};
use crate::stories::stage::Stage;

/// From its making to its end.
pub(crate) async fn a_topic_is_made_listed_described_and_deleted(stage: Stage) {
    let client = stage.client();
    let admin = client.admin();
    let name = stage.name("t");
    let id = create(&admin, NewTopic::new(&name).partitions(3))
        .await
        .unwrap();

    // A real cluster makes it first and tells its brokers then.
    known(&admin, &name).await;
    let listed = soon("listing", admin.list_topics()).await.unwrap();
    let names: Vec<_> = listed.iter().map(|topic| &topic.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    let of_this: Vec<_> = listed.iter().filter(|topic| topic.name == name).collect();
    assert_eq!(of_this.len(), 1, "{names:?}");
    assert_eq!((of_this[0].partitions, of_this[0].is_internal), (3, false));
    assert_eq!(of_this[0].id, id);

    let mut described = soon("describing", admin.describe_topics([&name]))
        .await
        .unwrap();
    let topic = described.remove(0).1.unwrap();
    assert_eq!((&topic.name, topic.id), (&name, id));
    let indices: Vec<_> = topic
        .partitions
        .iter()
        .map(|partition| partition.index)
        .collect();
    assert_eq!(indices, [0, 1, 2]);
    for partition in &topic.partitions {
        let leader = partition.leader.expect("it has a leader");
        assert!(partition.replicas.contains(&leader), "{partition:?}");
        assert!(
            partition.in_sync_replicas.contains(&leader),
            "{partition:?}"
        );
    }

    delete(&admin, &name).await.unwrap();
    assert_eq!(
        code(&gone(&admin, &name).await),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let listed = soon("listing", admin.list_topics()).await.unwrap();
    assert!(listed.iter().all(|topic| topic.name != name));
}

/// The calls for one topic give its error as their own: nothing is refused inside an `Ok`.
pub(crate) async fn a_refusal_of_one_topic_is_the_error_of_the_call(stage: Stage) {
    let client = stage.client();
    let admin = client.admin();
    let name = stage.name("t");
    let new_topic = || NewTopic::new(&name).partitions(2);
    let id = soon("making", admin.create_topic(new_topic()))
        .await
        .unwrap();
    known(&admin, &name).await;
    let described = soon("describing", admin.describe_topic(&name)).await;
    let described = described.unwrap();
    assert_eq!((described.id, described.partitions.len()), (id, 2));

    let again = soon("making", admin.create_topic(new_topic())).await;
    let again = again.unwrap_err();
    assert_eq!(code(&again), ErrorCode::TOPIC_ALREADY_EXISTS);
    assert_eq!(again.context().topic.as_deref(), Some(&*name), "{again}");

    soon("deleting", admin.delete_topic(&name)).await.unwrap();
    gone(&admin, &name).await;
    let none = soon("describing", admin.describe_topic(&name)).await;
    assert_eq!(
        code(&none.unwrap_err()),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let none = soon("deleting", admin.delete_topic(&name)).await;
    assert_eq!(
        code(&none.unwrap_err()),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

/// It is not made by asking for it, though its producer and its reader still live.
pub(crate) async fn a_deleted_topic_stays_deleted(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    produce_numbers(&client, &topic, 0, 0..3).await;
    let consumer = client
        .consumer()
        .group(stage.name("g"))
        .subscribe([&topic])
        .build()
        .unwrap();
    let _waiting = tokio::time::timeout(Duration::from_millis(200), consumer.next()).await;
    delete(&client.admin(), &topic).await.unwrap();
    let _waiting = tokio::time::timeout(Duration::from_secs(1), consumer.next()).await;
    assert_eq!(
        code(&gone(&client.admin(), &topic).await),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

/// A new topic of an old name begins empty, also for a producer that knew the old one.
pub(crate) async fn a_topic_that_is_made_anew_is_empty(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 2).await;
    let producer = client.producer().build().unwrap();
    let record = Record::to(&topic).partition(1);
    for offset in 0..5 {
        let written = soon("a send", producer.send(record.value("old")))
            .await
            .unwrap();
        assert_eq!(written.offset, offset);
    }
    delete(&client.admin(), &topic).await.unwrap();
    gone(&client.admin(), &topic).await;
    stage.topic("t", 2).await;
    for offset in 0..2 {
        let written = soon("a send", producer.send(record.value("new")))
            .await
            .unwrap();
        assert_eq!(place(&written), (1, offset));
    }
    let seen = read_all(&client, &topic, 2).await;
    assert!(seen.iter().all(|seen| seen.text() == "new"), "{seen:?}");
}

/// A topic that exists, names and numbers that cannot be, properties that are unknown.
pub(crate) async fn what_cannot_be_made_is_refused_by_name(stage: Stage) {
    let admin = stage.client().admin();
    let taken = stage.topic("t", 1).await;
    let fresh = || NewTopic::new(stage.name("never"));
    let too_long = "x".repeat(250);
    for name in ["no blanks", "a/b", "..", "", &too_long] {
        let error = create(&admin, NewTopic::new(name)).await;
        let error = error.expect_err("no topic has such a name");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        let error = soon("describing", admin.describe_topic(name)).await;
        let error = error.expect_err("no topic has such a name");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    for (topic, expected) in [
        (NewTopic::new(&taken), ErrorCode::TOPIC_ALREADY_EXISTS),
        (fresh().partitions(0), ErrorCode::INVALID_PARTITIONS),
        (fresh().partitions(-7), ErrorCode::INVALID_PARTITIONS),
        (
            fresh().replication_factor(0),
            ErrorCode::INVALID_REPLICATION_FACTOR,
        ),
        (
            fresh().replication_factor(99),
            ErrorCode::INVALID_REPLICATION_FACTOR,
        ),
        (
            fresh().config("retention.sm", "1"),
            ErrorCode::INVALID_CONFIG,
        ),
        (
            fresh().config("retention.ms", "soon"),
            ErrorCode::INVALID_CONFIG,
        ),
    ] {
        let error = create(&admin, topic.clone())
            .await
            .expect_err("it cannot be");
        assert_eq!(error.broker_code(), Some(expected), "{topic:?}: {error}");
    }
    assert_eq!(
        code(&gone(&admin, &stage.name("never")).await),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

/// Each of several topics has its own outcome, in the order asked.
pub(crate) async fn one_refusal_does_not_stop_the_others(stage: Stage) {
    let admin = stage.client().admin();
    let taken = stage.topic("taken", 1).await;
    let (one, two) = (stage.name("one"), stage.name("two"));
    let topics = [&one, &taken, &two].map(|name| NewTopic::new(name).partitions(1));
    let outcomes = soon("making topics", admin.create_topics(topics))
        .await
        .unwrap();
    let made: Vec<_> = outcomes
        .iter()
        .map(|(name, made)| (name, made.is_ok()))
        .collect();
    assert_eq!(made, [(&one, true), (&taken, false), (&two, true)]);
    let error = outcomes[1].1.as_ref().unwrap_err();
    assert!(error.to_string().contains(&taken), "{error}");

    let unknown = stage.name("unknown");
    let names = [&one, &unknown, &two];
    let outcomes = soon("deleting", admin.delete_topics(names)).await.unwrap();
    let deleted: Vec<_> = outcomes
        .iter()
        .map(|(name, gone)| (name, gone.is_ok()))
        .collect();
    assert_eq!(deleted, [(&one, true), (&unknown, false), (&two, true)]);
    let error = outcomes[1].1.as_ref().unwrap_err();
    assert_eq!(code(error), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(error.to_string().contains(&unknown), "{error}");
}

/// A producer says which topic there is not, within its time; the next topic is not held up.
pub(crate) async fn a_producer_names_the_topic_there_is_not(stage: Stage) {
    let client = stage.client();
    let known = stage.topic("known", 1).await;
    let unknown = stage.name("unknown");
    let producer = client
        .producer()
        .max_block(Duration::from_secs(2))
        .build()
        .unwrap();
    let sending = {
        let (producer, unknown) = (producer.clone(), unknown.clone());
        tokio::spawn(async move { producer.send(Record::to(&unknown).value("v")).await })
    };
    let record = Record::to(&known).value("v");
    soon("a send beside it", producer.send(record))
        .await
        .unwrap();
    let error = soon("an error", sending).await.unwrap().unwrap_err();
    assert!(error.to_string().contains(&unknown), "{error}");
    assert_eq!(code(&error), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let error = producer.send(Record::to("no blanks").value("v"));
    let error = soon("an error", error).await.unwrap_err();
    assert!(error.to_string().contains("no blanks"), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let error = producer.send(Record::of("v"));
    let error = soon("an error", error).await.unwrap_err();
    assert!(error.to_string().contains("names no topic"), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}

/// A reader says it too, and begins when the topic comes.
pub(crate) async fn a_consumer_names_the_topic_there_is_not(stage: Stage) {
    let client = stage.client();
    for group in [None, Some(stage.name("g"))] {
        let topic = stage.name(if group.is_some() { "later" } else { "alone" });
        let patience = Duration::from_secs(1);
        let consumer = client
            .consumer()
            .subscribe([&topic])
            .missing_topic_patience(patience);
        let consumer = match &group {
            Some(group) => consumer.group(group),
            None => consumer,
        };
        let consumer = consumer
            .start(kafka_client::consumer::Start::Oldest)
            .build()
            .unwrap();
        let error = soon("an error", consumer.next()).await.unwrap_err();
        assert!(error.to_string().contains(&topic), "{error}");
        assert_eq!(code(&error), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

        stage
            .topic(if group.is_some() { "later" } else { "alone" }, 1)
            .await;
        produce_numbers(&client, &topic, 0, 0..1).await;
        let read = async {
            loop {
                match consumer.next().await {
                    Ok(record) => return record.expect("the consumer is open"),
                    Err(error) => assert!(error.to_string().contains(&topic), "{error}"),
                }
            }
        };
        assert_eq!(soon("its first record", read).await.offset(), 0);
    }
    let error = client
        .consumer()
        .subscribe(["no blanks"])
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.to_string().contains("no blanks"), "{error}");
}

async fn create(admin: &Admin, topic: NewTopic) -> Result<kafka_protocol::Uuid, Error> {
    soon("making a topic", admin.create_topics([topic]))
        .await
        .unwrap()
        .remove(0)
        .1
}

async fn delete(admin: &Admin, name: &str) -> Result<(), Error> {
    soon("deleting a topic", admin.delete_topics([name]))
        .await
        .unwrap()
        .remove(0)
        .1
}

/// Waits until all brokers have heard of the topic.
async fn known(admin: &Admin, name: &str) {
    let until_known = async {
        while admin
            .describe_topics([name])
            .await
            .unwrap()
            .remove(0)
            .1
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the topic", until_known).await;
}

/// Waits until the topic is not there, as all brokers have heard; gives the error that says so.
async fn gone(admin: &Admin, name: &str) -> Error {
    let until_gone = async {
        loop {
            let mut described = admin.describe_topics([name]).await.unwrap();
            if let Err(error) = described.remove(0).1 {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the end of a topic", until_gone).await
}

fn code(error: &Error) -> ErrorCode {
    error
        .broker_code()
        .unwrap_or_else(|| panic!("no refusal of a broker: {error}"))
}
