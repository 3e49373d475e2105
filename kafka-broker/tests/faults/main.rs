//! Every kind of fault, seen by a client that looks at bytes.
#![expect(clippy::unwrap_used, reason = "a test ends where it goes wrong")]
#![expect(clippy::indexing_slicing, reason = "a test ends where it goes wrong")]

mod control_port;
mod every_api;
mod peer;

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_broker::control::{
    Action, Control, ControlError, Entry, Outcome, Rule, RuleGuard, Unsynced, When,
};
use kafka_broker::{ApiKey, Broker, ErrorCode};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, HeartbeatRequest, ListOffsetsRequest, MetadataRequest,
    ProduceRequest,
};
use kafka_protocol::record::{BatchBuilder, BatchOptions, ProducerStamp};

use peer::{Peer, read};

const CODE: ErrorCode = ErrorCode::KAFKA_STORAGE_ERROR;

#[tokio::test]
async fn an_error_falls_on_its_partition_alone() {
    let (broker, mut peer) = start().await;
    let control = broker.control();
    let rule = Rule::new("one partition", Action::Error(CODE));
    let rule = rule.api(ApiKey::Produce).topic("t").partition(1);
    let guard = control.add(rule).unwrap();
    let codes = produce(&mut peer, &[0, 1, 2]);
    assert_eq!(codes, [(0, 0), (1, CODE.code()), (2, 0)]);
    // What is not about it is not meant.
    assert_eq!(produce(&mut peer, &[0]), [(0, 0)]);
    assert_eq!((guard.matched(), guard.fired()), (1, 1));
    drop(guard);
    assert_eq!(produce(&mut peer, &[1]), [(1, 0)]);
    assert_eq!(ends(&mut peer), [2, 1, 1]);
    let entries = control.journal();
    let errors: Vec<_> = entries.iter().map(|entry| entry.errors.clone()).collect();
    assert_eq!(errors, [vec![CODE], vec![], vec![], vec![]]);
    let rules: Vec<_> = entries.iter().map(|entry| entry.rules.len()).collect();
    assert_eq!(rules, [1, 0, 0, 0]);
}

#[tokio::test]
async fn an_error_after_the_fact_leaves_its_effect() {
    let (broker, mut peer) = start().await;
    let rule = Rule::new("late", Action::ErrorAfter(ErrorCode::REQUEST_TIMED_OUT));
    let control = broker.control();
    let guard = control.add(rule.topic("t").partition(0)).unwrap();
    let timed_out = ErrorCode::REQUEST_TIMED_OUT.code();
    assert_eq!(produce(&mut peer, &[0, 1]), [(0, timed_out), (1, 0)]);
    drop(guard);
    assert_eq!(ends(&mut peer), [1, 1, 0]);
}

/// Metadata knows topics as a whole, and partitions that nobody named.
#[tokio::test]
async fn an_error_of_a_topic_and_one_of_its_partition_stand_apart() {
    let (broker, mut peer) = start().await;
    let control = broker.control();
    let code = ErrorCode::LEADER_NOT_AVAILABLE;
    for named in [true, false] {
        for (partition, expected) in [(None, "topic"), (Some(2), "partition")] {
            let rule = Rule::new("r", Action::Error(code)).api(ApiKey::Metadata);
            let rule = rule.topic("t");
            let rule = match partition {
                Some(partition) => rule.partition(partition),
                None => rule,
            };
            let _guard = control.add(rule).unwrap();
            let mut request = MetadataRequest::default();
            let mut topic = MetadataRequestTopic::default();
            topic.name = Some("t".into());
            request.topics = named.then(|| vec![topic]);
            let answer = peer.ask(&request, 12);
            let topic = &answer.topics[0];
            let failed: Vec<_> = topic
                .partitions
                .iter()
                .filter(|row| row.error_code == code.code() && row.leader_id == -1)
                .map(|row| row.partition_index)
                .collect();
            match expected {
                "topic" => assert_eq!((topic.error_code, failed), (code.code(), vec![])),
                _ => assert_eq!((topic.error_code, failed), (0, vec![2])),
            }
        }
    }
}

#[tokio::test]
async fn an_answer_is_dropped_and_the_next_one_comes() {
    for (when, applied) in [(When::Unapplied, 0), (When::Applied, 1)] {
        let (broker, mut peer) = start().await;
        let control = broker.control();
        let _guard = add(&control, Action::Drop(when));
        peer.send(&batch(&[0]), 9);
        let next = peer.send(&list(), 6);
        let (number, answer) = read::<ListOffsetsRequest>(peer.receive().unwrap(), 6);
        assert_eq!(number, next);
        assert_eq!(answer.topics[0].partitions[0].offset, applied);
        assert_eq!(outcome_of_produce(&control), Outcome::Withheld);
    }
}

#[tokio::test]
async fn a_connection_is_closed_before_or_after_the_fact() {
    for (when, applied) in [(When::Unapplied, 0), (When::Applied, 1)] {
        let (broker, mut peer) = start().await;
        let control = broker.control();
        let _guard = add(&control, Action::Close(when));
        peer.send(&batch(&[0]), 9);
        assert!(peer.is_closed());
        let mut other = Peer::connect(broker.local_address());
        assert_eq!(ends(&mut other)[0], applied);
        assert_eq!(outcome_of_produce(&control), Outcome::Withheld);
    }
}

#[tokio::test]
async fn a_stalled_connection_says_no_more_and_stays() {
    for (when, applied) in [(When::Unapplied, 0), (When::Applied, 1)] {
        let (broker, mut peer) = start().await;
        let _guard = add(&broker.control(), Action::Stall(when));
        peer.send(&batch(&[0]), 9);
        peer.send(&list(), 6);
        assert!(!peer.is_closed());
        let mut other = Peer::connect(broker.local_address());
        assert_eq!(ends(&mut other)[0], applied);
        assert!(!peer.is_closed());
        // And it is in nobody's way when the broker ends.
        let start = Instant::now();
        broker.stop().await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn a_frame_is_cut() {
    for len in [0, 3, 4, 11] {
        let (broker, mut peer) = start().await;
        let _guard = add(&broker.control(), Action::Cut(len));
        // What came before is whole.
        peer.send(&list(), 6);
        peer.send(&batch(&[0]), 9);
        peer.receive().unwrap();
        assert_eq!(peer.rest().len(), len);
        let mut other = Peer::connect(broker.local_address());
        assert_eq!(ends(&mut other)[0], 1);
    }
}

#[tokio::test]
async fn a_frame_trickles() {
    let (broker, mut peer) = start().await;
    let pause = Duration::from_millis(5);
    let _guard = add(&broker.control(), Action::Trickle { bytes: 10, pause });
    let start = Instant::now();
    let number = peer.send(&batch(&[0]), 9);
    let frame = peer.receive().unwrap();
    let pieces = u32::try_from((frame.len() + 4).div_ceil(10)).unwrap();
    assert!(start.elapsed() >= pause * pieces, "{:?}", start.elapsed());
    assert_eq!(read::<ProduceRequest>(frame, 9).0, number);
}

#[tokio::test]
async fn an_answer_bears_a_wrong_number() {
    let (broker, mut peer) = start().await;
    let _guard = add(&broker.control(), Action::WrongCorrelationId);
    let number = peer.send(&batch(&[0]), 9);
    let frame = peer.receive().unwrap();
    assert_ne!(read::<ProduceRequest>(frame, 9).0, number);
}

#[tokio::test]
async fn a_delay_holds_up_its_connection_alone() {
    let (broker, mut peer) = start().await;
    let delay = Duration::from_millis(300);
    let _guard = add(&broker.control(), Action::Delay(delay));
    let start = Instant::now();
    peer.send(&batch(&[0]), 9);
    let mut other = Peer::connect(broker.local_address());
    assert_eq!(ends(&mut other)[0], 0, "it is not applied yet");
    assert!(start.elapsed() < delay);
    assert_eq!(ends_behind(&mut peer)[0], 1);
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn a_stalled_broker_serves_what_has_piled_up() {
    let (broker, mut peer) = start().await;
    let control = broker.control();
    assert!(control.stall(broker.node_id() + 1).is_err());
    let stall = control.stall(broker.node_id()).unwrap();
    peer.send(&list(), 6);
    assert!(!peer.is_closed());
    let mut late = Peer::connect(broker.local_address());
    late.send(&list(), 6);
    assert!(!late.is_closed());
    drop(stall);
    peer.receive().unwrap();
    late.receive().unwrap();
    control.stall(broker.node_id()).unwrap().keep();
    peer.send(&list(), 6);
    assert!(!peer.is_closed());
    control.resume(broker.node_id()).unwrap();
    peer.receive().unwrap();
}

#[tokio::test]
async fn rules_are_listed_kept_and_removed() {
    let (broker, mut peer) = start().await;
    let control = broker.control();
    add(&control, Action::Error(CODE)).keep();
    assert_eq!(produce(&mut peer, &[0]), [(0, CODE.code())]);
    let rules = control.rules();
    assert_eq!(rules.len(), 1);
    assert_eq!((rules[0].rule.name(), rules[0].fired), ("r", 1));
    assert_eq!(control.remove("r").unwrap().fired, 1);
    assert_eq!(control.remove("r"), None);
    assert_eq!(produce(&mut peer, &[0]), [(0, 0)]);
    let bad = Rule::new("bad", Action::Error(CODE)).api(ApiKey::Heartbeat);
    let error = control.add(bad.topic("t")).unwrap_err().to_string();
    assert!(
        error.contains("no Heartbeat request names a topic"),
        "{error}"
    );
}

#[tokio::test]
async fn a_group_is_meant_by_its_id() {
    let (broker, mut peer) = start().await;
    let control = broker.control();
    let code = ErrorCode::NOT_COORDINATOR;
    let rule = Rule::new("r", Action::Error(code)).group("g");
    let _guard = control.add(rule).unwrap();
    for (group, expected) in [("g", code), ("h", ErrorCode::UNKNOWN_MEMBER_ID)] {
        let mut request = HeartbeatRequest::default();
        request.group_id = group.into();
        assert_eq!(peer.ask(&request, 4).error_code, expected.code());
    }
}

#[tokio::test]
async fn the_journal_is_waited_for_in_time() {
    let (broker, mut peer) = start().await;
    let control = broker.control();
    let is_list = |entry: &Entry| entry.api == ApiKey::ListOffsets;
    let limit = Duration::from_millis(50);
    let error = control
        .wait_for("a list", limit, is_list)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("a list did not come"), "{error}");
    assert!(error.to_string().contains("no request at all"), "{error}");
    let waiting = tokio::spawn({
        let control = control.clone();
        async move {
            let limit = Duration::from_secs(10);
            control.wait_for("a list", limit, is_list).await
        }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    ends(&mut peer);
    let entry = waiting.await.unwrap().unwrap();
    assert_eq!((entry.client_id.as_str(), entry.version), ("peer", 6));
    assert_eq!(entry.topics, [("t".to_owned(), vec![0, 1, 2])]);
    let error = control.wait_for("a fetch", limit, |entry| entry.api == ApiKey::Fetch);
    let error = error.await.unwrap_err().to_string();
    assert!(
        error.contains("\"peer\" ListOffsets v6 t[0, 1, 2]: answered"),
        "{error}"
    );
    control.clear_journal();
    assert!(control.journal().is_empty());
}

/// A broker with the topic `t` of three partitions.
async fn start() -> (Broker, Peer) {
    let broker = Broker::builder().start().await.unwrap();
    let mut peer = Peer::connect(broker.local_address());
    create_topic(&mut peer);
    (broker, peer)
}

fn create_topic(peer: &mut Peer) {
    let mut topic = CreatableTopic::default();
    topic.name = "t".into();
    topic.num_partitions = 3;
    topic.replication_factor = 1;
    let mut request = CreateTopicsRequest::default();
    request.topics = vec![topic];
    assert_eq!(peer.ask(&request, 5).topics[0].error_code, 0);
}

/// A rule that means every produce request.
fn add(control: &Control, action: Action) -> RuleGuard {
    control
        .add(Rule::new("r", action).api(ApiKey::Produce))
        .unwrap()
}

fn outcome_of_produce(control: &Control) -> Outcome {
    let entries = control.journal();
    let is_produce = |entry: &&Entry| entry.api == ApiKey::Produce;
    entries.iter().find(is_produce).unwrap().outcome
}

/// One record for each of these partitions.
pub(crate) fn batch(partitions: &[i32]) -> ProduceRequest {
    let mut builder = BatchBuilder::new(Vec::new(), BatchOptions::new());
    builder.append(1_000, None, Some(b"v"), []).unwrap();
    let records = Bytes::from(builder.seal(ProducerStamp::NONE));
    let mut topic = TopicProduceData::default();
    topic.name = "t".into();
    topic.partition_data = partitions
        .iter()
        .map(|index| {
            let mut row = PartitionProduceData::default();
            row.index = *index;
            row.records = Some(records.clone());
            row
        })
        .collect();
    let mut request = ProduceRequest::default();
    request.acks = -1;
    request.timeout_ms = 1_000;
    request.topic_data = vec![topic];
    request
}

fn produce(peer: &mut Peer, partitions: &[i32]) -> Vec<(i32, i16)> {
    let answer = peer.ask(&batch(partitions), 9);
    let rows = answer.responses[0].partition_responses.iter();
    rows.map(|row| (row.index, row.error_code)).collect()
}

fn list() -> ListOffsetsRequest {
    let mut topic = ListOffsetsTopic::default();
    topic.name = "t".into();
    topic.partitions = [0, 1, 2]
        .map(|index| {
            let mut row = ListOffsetsPartition::default();
            row.partition_index = index;
            row.timestamp = -1;
            row
        })
        .into();
    let mut request = ListOffsetsRequest::default();
    request.replica_id = -1;
    request.topics = vec![topic];
    request
}

/// Where the partitions end.
fn ends(peer: &mut Peer) -> Vec<i64> {
    let answer = peer.ask(&list(), 6);
    let rows = answer.topics[0].partitions.iter();
    rows.map(|row| row.offset).collect()
}

/// Where the partitions end once what was sent before is answered.
fn ends_behind(peer: &mut Peer) -> Vec<i64> {
    peer.receive().unwrap();
    ends(peer)
}

#[tokio::test]
async fn a_killed_broker_comes_back_where_it_was() {
    let (broker, mut peer) = start().await;
    let control = broker.control();
    let id = broker.node_id();
    assert_eq!(control.restart(id).await, Err(ControlError::IsUp));
    let other = ControlError::UnknownBroker { broker: id + 1 };
    assert_eq!(control.kill(id + 1, Unsynced::Kept).await, Err(other));
    let lost = control.kill(id, Unsynced::Lost).await;
    assert_eq!(lost, Err(ControlError::KeepsUnsynced));
    for round in 1..=3 {
        assert_eq!(produce(&mut peer, &[0]), [(0, 0)]);
        control.kill(id, Unsynced::Kept).await.unwrap();
        assert!(peer.is_closed());
        assert!(std::net::TcpStream::connect(broker.local_address()).is_err());
        let down = control.kill(id, Unsynced::Kept).await;
        assert_eq!(down, Err(ControlError::IsDown));
        control.restart(id).await.unwrap();
        peer = Peer::connect(broker.local_address());
        assert_eq!(ends(&mut peer), [round, 0, 0]);
    }
    control.kill(id, Unsynced::Kept).await.unwrap();
    broker.stop().await.unwrap();
    assert_eq!(control.restart(id).await, Err(ControlError::Ended));
}

#[tokio::test]
async fn only_what_is_durable_survives_the_machine() {
    // What is recovered is made durable: each case has a broker of its own.
    for (flush, unsynced, left) in [
        ("1", Unsynced::Lost, 3),
        ("1000000", Unsynced::Lost, 0),
        ("1000000", Unsynced::Kept, 3),
    ] {
        let broker = Broker::builder().in_memory();
        let broker = broker.set("log.flush.interval.messages", flush);
        let broker = broker.start().await.unwrap();
        let mut peer = Peer::connect(broker.local_address());
        create_topic(&mut peer);
        for _ in 0..3 {
            assert_eq!(produce(&mut peer, &[0]), [(0, 0)]);
        }
        let control = broker.control();
        control.kill(1, unsynced).await.unwrap();
        control.restart(1).await.unwrap();
        let mut peer = Peer::connect(broker.local_address());
        assert_eq!(ends(&mut peer), [left, 0, 0], "{flush} {unsynced:?}");
    }
}

/// What 2.8 had is there, what came later is not, and clients of today find out.
#[tokio::test]
async fn an_older_release_is_emulated() {
    for (release, produce, transactions, topics, features) in [
        ("2.1", 7, 1, None, false),
        ("2.8", 9, 3, None, false),
        ("3.9", 11, 4, Some(0), false),
        ("4.0", 12, 5, Some(0), true),
        ("4.4", 13, 5, Some(0), true),
    ] {
        let broker = Broker::builder().emulate(release).start().await.unwrap();
        let mut peer = Peer::connect(broker.local_address());
        let answer = peer.ask(&ApiVersionsRequest::default(), 0);
        let newest = |api: ApiKey| {
            let row = answer.api_keys.iter().find(|row| row.api_key == api.code());
            row.map(|row| row.max_version)
        };
        assert_eq!(newest(ApiKey::Produce), Some(produce), "{release}");
        assert_eq!(newest(ApiKey::EndTxn), Some(transactions), "{release}");
        assert_eq!(newest(ApiKey::DescribeTopicPartitions), topics, "{release}");
        // Of the newest version its broker says no, in words of the first.
        let mut request = ApiVersionsRequest::default();
        request.client_software_name = "peer".into();
        request.client_software_version = "1".into();
        let known = newest(ApiKey::ApiVersions).unwrap();
        if known >= 3 {
            let answer = peer.ask(&request, known);
            assert_eq!(!answer.finalized_features.is_empty(), features, "{release}");
            assert_eq!(answer.finalized_features_epoch >= 0, features, "{release}");
        }
        if known < 5 {
            peer.send(&request, 5);
            let frame = peer.receive().unwrap();
            let (_, answer) = read::<ApiVersionsRequest>(frame, 0);
            assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION.code());
        }
        // And what is not told of is not answered either.
        if produce < 13 {
            peer.send(&batch(&[0]), produce + 1);
            assert!(peer.is_closed(), "{release}");
        }
    }
}
