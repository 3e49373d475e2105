//! Transactions of both protocols.

use kafka_protocol::Uuid;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;

use crate::cases::consume::fetch;
use crate::cases::offsets::fetch_all;
use crate::cases::produce::{fill, produce};
use crate::conversation::Conversation;
use crate::records::batch_in_transaction;

fn init(id: &str, timeout: i32) -> InitProducerIdRequest {
    with!(InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: timeout,
    })
}

fn add(id: &str, producer: (i64, i16), topic: &str, partition: i32) -> AddPartitionsToTxnRequest {
    let topic = with!(AddPartitionsToTxnTopic {
        name: topic.into(),
        partitions: vec![partition]
    });
    with!(AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: id.into(),
        v3_and_below_producer_id: producer.0,
        v3_and_below_producer_epoch: producer.1,
        v3_and_below_topics: vec![topic],
    })
}

fn end(id: &str, producer: (i64, i16), committed: bool) -> EndTxnRequest {
    with!(EndTxnRequest {
        transactional_id: id.into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        committed,
    })
}

fn offsets(
    id: &str,
    group: &str,
    producer: (i64, i16),
    topic: &str,
    offset: i64,
) -> TxnOffsetCommitRequest {
    let partition = with!(TxnOffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset
    });
    let topic = with!(TxnOffsetCommitRequestTopic {
        name: topic.into(),
        partitions: vec![partition]
    });
    with!(TxnOffsetCommitRequest {
        transactional_id: id.into(),
        group_id: group.into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        topics: vec![topic],
    })
}

/// A producer's id and epoch, with names of their own in the transcript.
fn begin(talk: &mut Conversation, id: &str) -> (i64, i16) {
    talk.await_coordinator(id, 1);
    let answer = talk.wait_for(id, |talk| {
        let answer = talk.prepare(4, &init(id, 30_000));
        (answer.error_code == 0).then_some(answer)
    });
    talk.alias(
        format!("producer_id: {}", answer.producer_id),
        "producer_id: ITS OWN",
    );
    (answer.producer_id, answer.producer_epoch)
}

fn send(
    id: &str,
    topic: &str,
    topic_id: Uuid,
    producer: (i64, i16),
    sequence: i32,
) -> ProduceRequest {
    let records = batch_in_transaction(producer.0, producer.1, sequence, &["x"]);
    let mut request = produce(topic, topic_id, 0, Some(records));
    request.transactional_id = Some(id.into());
    request
}

pub(crate) fn committed_and_aborted(talk: &mut Conversation) {
    let (topic, topic_id) = talk.topic("t", 1, &[]);
    let group = talk.group("g");
    let id = talk.name("id");
    let mut sequence = 0;
    fill(talk, &topic, topic_id, &[&["before"]]);
    let producer = begin(talk, &id);
    for committed in [true, false] {
        talk.about(format!("commit {committed}: "));
        talk.ask("adds a partition", 3, &add(&id, producer, &topic, 0));
        talk.ask(
            "writes",
            9,
            &send(&id, &topic, topic_id, producer, sequence),
        );
        sequence += 1;
        talk.ask(
            "adds offsets",
            3,
            &with!(AddOffsetsToTxnRequest {
                transactional_id: (*id).into(),
                producer_id: producer.0,
                producer_epoch: producer.1,
                group_id: (*group).into(),
            }),
        );
        talk.ask(
            "commits offsets",
            3,
            &offsets(&id, &group, producer, &topic, i64::from(sequence)),
        );
        fetch_all(
            talk,
            "offsets while it is open",
            &group,
            &topic,
            topic_id,
            &[0],
        );
        let mut open = fetch(&topic, topic_id, 0, 0);
        open.isolation_level = 1;
        talk.ask_and_hide("read committed while it is open", 12, &open, hide_records);
        talk.ask("ends", 3, &end(&id, producer, committed));
        talk.wait_for("the markers", |talk| {
            let answer = talk.prepare(12, &open);
            let partition = &answer.responses[0].partitions[0];
            (partition.last_stable_offset == partition.high_watermark).then_some(())
        });
        talk.ask_and_hide("read committed", 12, &open, hide_records);
        talk.wait_for("the coordinator", |talk| {
            let ask = with!(DescribeTransactionsRequest {
                transactional_ids: vec![(*id).into()]
            });
            let state = talk.prepare(0, &ask).transaction_states[0]
                .transaction_state
                .to_string();
            state.starts_with("Complete").then_some(())
        });
        talk.ask("ends again", 3, &end(&id, producer, committed));
        talk.ask(
            "ends again, the other way",
            3,
            &end(&id, producer, !committed),
        );
        fetch_all(talk, "offsets after it", &group, &topic, topic_id, &[0]);
    }
    talk.ask_and_hide(
        "described",
        0,
        &with!(DescribeTransactionsRequest {
            transactional_ids: vec![(*id).into(), "nobody".into()]
        }),
        |response| {
            for state in &mut response.transaction_states {
                state.transaction_start_time_ms = i64::from(state.transaction_start_time_ms > 0);
            }
        },
    );
    // The second protocol: partitions add themselves, and each end raises the epoch.
    let id = talk.name("second");
    let mut producer = begin(talk, &id);
    for committed in [true, false] {
        talk.about(format!("second protocol, commit {committed}: "));
        let written = talk.wait_for("the markers before", |talk| {
            let answer = talk.prepare(12, &send(&id, &topic, topic_id, producer, 0));
            let code = answer.responses[0].partition_responses[0].error_code;
            (code != CONCURRENT_TRANSACTIONS).then_some(code)
        });
        assert_eq!(written, 0);
        let ended = talk.ask("ends", 5, &end(&id, producer, committed)).unwrap();
        talk.wait_for("the markers", |talk| {
            let code = talk.prepare(5, &end(&id, producer, committed)).error_code;
            (code != CONCURRENT_TRANSACTIONS).then_some(())
        });
        talk.ask("ends again", 5, &end(&id, producer, committed));
        producer = (ended.producer_id, ended.producer_epoch);
    }
    let mut all = fetch(&topic, topic_id, 0, 0);
    all.isolation_level = 1;
    talk.wait_for("the markers", |talk| {
        let answer = talk.prepare(12, &all);
        let partition = &answer.responses[0].partitions[0];
        (partition.last_stable_offset == partition.high_watermark).then_some(())
    });
    talk.ask_and_hide("read committed at the end", 12, &all, hide_records);
}

pub(crate) fn refused(talk: &mut Conversation) {
    let (topic, topic_id) = talk.topic("t", 1, &[]);
    let group = talk.group("g");
    let id = talk.name("id");
    let (pid, epoch) = begin(talk, &id);
    for version in 0..=5 {
        talk.ask("an empty id", version, &init("", 1_000));
        for timeout in [0, -1, 900_001, i32::MAX] {
            talk.ask(
                &format!("a timeout of {timeout} ms"),
                version,
                &init(&id, timeout),
            );
        }
    }
    for (what, producer_id, producer_epoch) in [
        ("an id without an epoch", pid, -1),
        ("an epoch without an id", -1, 0),
        ("an unknown id", pid + 999, epoch),
        ("a newer epoch", pid, epoch + 5),
    ] {
        let mut request = init(&id, 30_000);
        (request.producer_id, request.producer_epoch) = (producer_id, producer_epoch);
        for version in 3..=5 {
            talk.ask(what, version, &request);
        }
    }
    let strangers = [
        ("an unknown id", "nobody".to_owned(), (pid, epoch)),
        ("another producer", id.clone(), (pid + 999, epoch)),
        ("an older epoch", id.clone(), (pid, epoch - 1)),
        ("a newer epoch", id.clone(), (pid, epoch + 1)),
        ("no id", String::new(), (pid, epoch)),
    ];
    for (what, id, producer) in &strangers {
        if producer.1 < 0 {
            continue;
        }
        for version in 0..=3 {
            talk.ask(
                &format!("add, {what}"),
                version,
                &add(id, *producer, &topic, 0),
            );
        }
        for version in 0..=5 {
            talk.ask(&format!("end, {what}"), version, &end(id, *producer, true));
        }
        for version in 0..=4 {
            let request = with!(AddOffsetsToTxnRequest {
                transactional_id: (**id).into(),
                producer_id: producer.0,
                producer_epoch: producer.1,
                group_id: (*group).into(),
            });
            talk.ask(&format!("add offsets, {what}"), version, &request);
        }
        for version in [9, 11, 12] {
            talk.ask(
                &format!("write, {what}"),
                version,
                &send(id, &topic, topic_id, *producer, 0),
            );
        }
    }
    for version in 0..=5 {
        talk.ask("end of nothing", version, &end(&id, (pid, epoch), true));
    }
    for version in 0..=3 {
        talk.ask(
            "an unknown topic",
            version,
            &add(&id, (pid, epoch), "nobody-made-this", 0),
        );
        talk.ask(
            "an unknown partition",
            version,
            &add(&id, (pid, epoch), &topic, 9),
        );
        talk.ask(
            "offsets of a group that was not added",
            version,
            &offsets(&id, &group, (pid, epoch), &topic, 1),
        );
    }
}

const CONCURRENT_TRANSACTIONS: i16 = 51;

/// Kafka gives no more of what was just ended than it has positions for, so the records say little.
fn hide_records(response: &mut FetchResponse) {
    let partition = &mut response.responses[0].partitions[0];
    partition.records = None;
    partition.aborted_transactions = None;
}
