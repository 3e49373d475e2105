//! Fetches against answers of all kinds, told step by step.

use std::collections::BTreeSet;

use bytes::Bytes;
use bytestring::ByteString;
use kafka_protocol::messages::fetch_response::FetchableTopicResponse;

use super::*;
use crate::config::consumer::{OnOutOfRange, Start};
use crate::machine::fetch::delivery::tests::{batch, bytes_of};
use crate::machine::subscription::topics::Topics;
use crate::machine::subscription::{Policy, TopicLeaders, TopicNews};

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn tp(number: i32) -> TopicPartition {
    TopicPartition::new("orders", number)
}

fn limits() -> Limits {
    Limits {
        buffer: 1000,
        max_bytes: 500,
        max_partition_bytes: 400,
        min_bytes: 1,
        max_wait: Duration::from_millis(500),
        isolation: IsolationLevel::ReadUncommitted,
        backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(1)),
    }
}

/// A subscription to partitions led by these nodes, each read from offset 0.
fn reading(nodes: &[i32]) -> Subscription {
    let wishes = (0..nodes.len() as i32).map(|number| (tp(number), Start::Offset(0)));
    let policy = Policy {
        start: Start::Newest,
        out_of_range: OnOutOfRange::Error,
        backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(1)),
        missing_topic: Duration::from_secs(10),
    };
    let mut subscription = Subscription::new(Topics::Manual(wishes.collect()), policy);
    subscription.handle_topics(at(0), led_by(nodes, 5));
    subscription.assign_ungrouped(at(0));
    subscription
}

fn led_by(nodes: &[i32], epoch: i32) -> Vec<TopicNews> {
    let partitions = (0..).zip(nodes.iter().map(|&node| Some(Leader { node, epoch })));
    let leaders = TopicLeaders {
        id: Uuid::from_bytes([7; 16]),
        partitions: partitions.collect(),
    };
    vec![TopicNews {
        name: ByteString::from("orders"),
        outcome: Ok(leaders),
    }]
}

/// An answer as version 13 gives it: by topic id.
fn answer(partitions: Vec<PartitionData>) -> FetchResponse {
    let mut topic = FetchableTopicResponse::default();
    topic.topic_id = Uuid::from_bytes([7; 16]);
    topic.partitions = partitions;
    let mut response = FetchResponse::default();
    response.responses.push(topic);
    response
}

fn data(number: i32, records: Bytes) -> PartitionData {
    let mut data = PartitionData::default();
    data.partition_index = number;
    data.high_watermark = 1000;
    data.records = Some(records);
    data
}

fn failed(number: i32, code: ErrorCode) -> PartitionData {
    let mut data = PartitionData::default();
    data.partition_index = number;
    data.error_code = code.code();
    data.high_watermark = -1;
    data.log_start_offset = -1;
    data
}

fn offsets(plan: &FetchPlan) -> Vec<(i32, i64)> {
    let asked = plan.partitions.iter();
    asked
        .map(|asked| (asked.partition.partition(), asked.offset))
        .collect()
}

#[test]
fn one_fetch_per_leader_and_the_next_one_before_anything_is_decoded() {
    let mut subscription = reading(&[1, 2, 1]);
    let mut fetch = Fetch::new(limits());
    let one = fetch.poll(at(0), &mut subscription).unwrap();
    let two = fetch.poll(at(0), &mut subscription).unwrap();
    assert_eq!((one.node, offsets(&one)), (1, vec![(0, 0), (2, 0)]));
    assert_eq!((two.node, offsets(&two)), (2, vec![(1, 0)]));
    assert_eq!(fetch.poll(at(0), &mut subscription), None);

    let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
    fetch.handle_answer(at(1), 0, &one, Ok(response), &mut subscription);
    // The one that was served goes to the end; nothing was taken yet.
    let next = fetch.poll(at(1), &mut subscription).unwrap();
    assert_eq!(offsets(&next), [(2, 0), (0, 10)]);
    let run = fetch.take(&subscription).unwrap();
    assert_eq!((run.partition.clone(), run.from), (tp(0), 0));
    assert!(fetch.take(&subscription).is_none());
}

#[test]
fn the_request_names_each_topic_once_and_asks_for_no_session() {
    let mut subscription = reading(&[1, 1]);
    let plan = Fetch::new(limits()).poll(at(0), &mut subscription).unwrap();
    let request = plan.request(13);
    assert_eq!((request.session_id, request.session_epoch), (0, -1));
    assert_eq!(request.topics.len(), 1);
    assert_eq!(request.topics[0].partitions.len(), 2);
    assert_eq!(request.topics[0].partitions[1].current_leader_epoch, 5);
    assert!(!plan.needs_names());
}

#[test]
fn the_buffer_is_a_limit_and_consuming_makes_room() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let mut offset = 0;
    let mut rounds = 0;
    while let Some(plan) = fetch.poll(at(0), &mut subscription) {
        assert!(plan.max_bytes <= 500);
        let records = bytes_of(&[batch(offset, 0), batch(offset + 1, 0)]);
        offset += 2;
        rounds += 1;
        let response = answer(vec![data(0, records)]);
        fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    }
    // Runs of 142 bytes, answers of up to 400: the fifth run leaves no room.
    assert_eq!(rounds, 5);
    let state = fetch.state_of(at(0), &tp(0), (1, offset), 1);
    assert_eq!(state, PartitionState::Buffered);
    let run = fetch.take(&subscription).unwrap();
    assert_eq!(fetch.poll(at(0), &mut subscription), None);
    fetch.handle_consumed(run.size);
    assert!(fetch.poll(at(0), &mut subscription).is_some());
}

#[test]
fn a_batch_larger_than_the_buffer_comes_through() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let mut large = batch(0, 0);
    large.batch_length = 5000;
    let response = answer(vec![data(0, bytes_of(&[large]))]);
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    assert_eq!(fetch.poll(at(0), &mut subscription), None);
    let run = fetch.take(&subscription).unwrap();
    fetch.handle_consumed(run.size);
    assert!(fetch.poll(at(0), &mut subscription).is_some());
}

#[test]
fn a_paused_partition_gives_nothing_and_cannot_starve_the_others() {
    let mut subscription = reading(&[1, 1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let mut large = batch(0, 9);
    large.batch_length = 900;
    let response = answer(vec![data(0, bytes_of(&[large]))]);
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    subscription.set_paused(at(0), &tp(0), true).unwrap();
    assert!(!fetch.has_ready(&subscription));
    assert!(fetch.take(&subscription).is_none());
    // No room for the other one, unless the paused one gives up what it holds.
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    assert_eq!(offsets(&plan), [(1, 0)]);
    subscription.set_paused(at(0), &tp(0), false).unwrap();
    let position = subscription.partition(&tp(0)).unwrap().position().unwrap();
    assert_eq!(position.offset, 0);
}

#[test]
fn a_moved_leader_is_asked_at_once() {
    let mut subscription = reading(&[1, 1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let mut moved = failed(0, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    moved.current_leader.leader_id = 3;
    moved.current_leader.leader_epoch = 6;
    let response = answer(vec![moved, failed(1, ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
    fetch.handle_answer(at(0), 200, &plan, Ok(response), &mut subscription);
    assert!(subscription.poll_metadata_doubt(at(0)));
    // The new leader of one was told; the other one waits for metadata or for a moment.
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    assert_eq!((plan.node, offsets(&plan)), (3, vec![(0, 0)]));
    assert_eq!(fetch.poll(at(0), &mut subscription), None);
    assert_eq!(subscription.poll_deadline(at(0)), Some(at(1)));
    subscription.handle_topics(at(0), led_by(&[3, 2], 6));
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    assert_eq!((plan.node, offsets(&plan)), (2, vec![(1, 0)]));
}

#[test]
fn an_answer_that_comes_late_changes_nothing() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    subscription
        .seek(at(0), &tp(0), Start::Offset(500))
        .unwrap();
    let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    assert!(fetch.take(&subscription).is_none());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    assert_eq!(offsets(&plan), [(0, 500)]);
    // The same answer twice.
    let response = answer(vec![data(0, bytes_of(&[batch(500, 9)]))]);
    fetch.handle_answer(at(0), 0, &plan, Ok(response.clone()), &mut subscription);
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    assert!(fetch.take(&subscription).is_some());
    assert!(fetch.take(&subscription).is_none());
}

#[test]
fn a_seek_drops_what_lies_ready() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    assert!(fetch.has_ready(&subscription));
    subscription.seek(at(0), &tp(0), Start::Offset(3)).unwrap();
    assert!(!fetch.has_ready(&subscription));
    assert!(fetch.take(&subscription).is_none());
    assert_eq!(fetch.buffered, 0);
}

#[test]
fn errors_of_partitions_and_of_nodes_wait_their_time_with_a_name() {
    let mut subscription = reading(&[1, 1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let response = answer(vec![
        failed(0, ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        failed(1, ErrorCode::UNKNOWN_TOPIC_ID),
    ]);
    fetch.handle_answer(at(0), 200, &plan, Ok(response), &mut subscription);
    let error = subscription.poll_error().unwrap();
    assert_eq!(
        error.broker_code(),
        Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
    );
    assert!(subscription.poll_error().is_none());
    assert_eq!(fetch.poll(at(0), &mut subscription), None);
    let plan = fetch.poll(at(1), &mut subscription).unwrap();
    assert_eq!(offsets(&plan), [(1, 0)]);

    let broken = Error::new(ErrorKind::Disconnected, "gone");
    fetch.handle_answer(at(1), 200, &plan, Err(broken), &mut subscription);
    assert_eq!(fetch.poll(at(1), &mut subscription), None);
    assert_eq!(fetch.poll_deadline(at(1)), Some(at(2)));
    let state = fetch.state_of(at(1), &tp(1), (2, 0), 1);
    assert_eq!(state, PartitionState::Broker);
    assert!(fetch.poll(at(2), &mut subscription).is_some());
}

#[test]
fn a_cut_batch_alone_in_an_answer_is_asked_for_first_and_then_named() {
    let mut subscription = reading(&[1, 1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let half = bytes_of(&[batch(0, 9)]).slice(..40);
    let response = answer(vec![
        data(0, bytes_of(&[batch(0, 9)])),
        data(1, half.clone()),
    ]);
    fetch.handle_answer(at(0), 200, &plan, Ok(response), &mut subscription);
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    assert_eq!(offsets(&plan), [(1, 0), (0, 10)]);
    let response = answer(vec![data(1, half)]);
    fetch.handle_answer(at(0), 200, &plan, Ok(response), &mut subscription);
    let partition = subscription.partition(&tp(1)).unwrap();
    let error = partition.last_error.clone().unwrap();
    assert!(error.to_string().contains("fetch.max.bytes"), "{error}");
    assert!(partition.waits_until(at(0)).is_some());
    assert!(subscription.poll_error().is_some());
    assert!(subscription.poll_error().is_none());
}

#[test]
fn revoked_partitions_leave_nothing_behind() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    assert_eq!(subscription.revoke_all(), BTreeSet::from([tp(0)]));
    assert!(fetch.take(&subscription).is_none());
    assert_eq!(fetch.buffered, 0);
}

/// A failure of a partition that tells where its log begins and ends.
fn out_of_range(number: i32, start: i64, end: i64) -> PartitionData {
    let mut data = failed(number, ErrorCode::OFFSET_OUT_OF_RANGE);
    data.log_start_offset = start;
    data.high_watermark = end;
    data
}

fn diverging(number: i32, epoch: i32, end_offset: i64) -> PartitionData {
    let mut data = data(number, Bytes::new());
    data.diverging_epoch.epoch = epoch;
    data.diverging_epoch.end_offset = end_offset;
    data
}

#[test]
fn a_slow_application_reads_from_all_nodes_by_turns() {
    let mut subscription = reading(&[1, 2, 3]);
    let mut fetch = Fetch::new(limits());
    let mut next = [0; 3];
    let mut under_way = VecDeque::new();
    let mut taken = [0; 3];
    for _ in 0..60 {
        while let Some(plan) = fetch.poll(at(0), &mut subscription) {
            under_way.push_back(plan);
        }
        // Whoever was asked answers at once, with as much as it may.
        while let Some(plan) = under_way.pop_front() {
            let number = plan.partitions[0].partition.partition();
            let offset = &mut next[number as usize];
            let mut full = batch(*offset, 0);
            full.batch_length = plan.max_bytes - 12;
            *offset += 1;
            let response = answer(vec![data(number, bytes_of(&[full]))]);
            fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
        }
        // The application takes one run at a time.
        let run = fetch.take(&subscription).unwrap();
        taken[run.partition.partition() as usize] += 1;
        fetch.handle_consumed(run.size);
    }
    assert!(taken.iter().all(|runs| *runs >= 15), "{taken:?}");
}

#[test]
fn answers_that_bring_nothing_are_not_asked_for_in_circles() {
    for answer_of in [
        // Nothing new, said at once; and an answer that leaves the partition out.
        (|| answer(vec![data(0, Bytes::new())])) as fn() -> FetchResponse,
        FetchResponse::default,
    ] {
        let mut subscription = reading(&[1]);
        let mut fetch = Fetch::new(limits());
        let mut fetches = 0;
        for second in 0..30 {
            while let Some(plan) = fetch.poll(at(second), &mut subscription) {
                fetches += 1;
                assert!(fetches < 100, "in circles");
                let response = Ok(answer_of());
                fetch.handle_answer(at(second), 200, &plan, response, &mut subscription);
            }
            assert!(fetch.poll_deadline(at(second)).is_some());
        }
        assert!((25..=30).contains(&fetches), "{fetches}");
    }
    // A broker that waits for data is asked again at once.
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let response = Ok(answer(vec![data(0, Bytes::new())]));
    fetch.handle_answer(at(1), 200, &plan, response, &mut subscription);
    assert!(fetch.poll(at(1), &mut subscription).is_some());
}

#[test]
fn a_broker_may_ask_for_a_pause_but_not_for_ever() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    for (throttle, seconds) in [(3000, 3), (i32::MAX, 30)] {
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        let offset = plan.partitions[0].offset;
        let mut response = answer(vec![data(0, bytes_of(&[batch(offset, 0)]))]);
        response.throttle_time_ms = throttle;
        fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
        assert_eq!(fetch.poll(at(0), &mut subscription), None);
        assert_eq!(fetch.poll_deadline(at(0)), Some(at(seconds)));
        fetch.trouble.clear();
    }
}

#[test]
fn what_was_fetched_is_given_out_before_the_end_is_told() {
    let mut damage = batch(10, 9);
    damage.last_offset_delta = -5;
    for end in [
        out_of_range(0, 500, 900),
        failed(0, ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        diverging(0, 4, 7),
        data(0, bytes_of(&[damage])),
    ] {
        let mut subscription = reading(&[1]);
        let mut fetch = Fetch::new(limits());
        let plan = fetch.poll(at(0), &mut subscription).unwrap();
        let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
        fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
        // It lies ready, is in the application's hands, is consumed.
        let mut run = None;
        for second in 0..3 {
            let plan = fetch.poll(at(second), &mut subscription).unwrap();
            assert_eq!(offsets(&plan), [(0, 10)]);
            let response = Ok(answer(vec![end.clone()]));
            fetch.handle_answer(at(second), 0, &plan, response, &mut subscription);
            match second {
                0 => run = fetch.take(&subscription),
                1 => fetch.handle_consumed(run.as_ref().unwrap().size),
                _ => {}
            }
            let told = subscription.poll_error().is_some();
            assert_eq!(told, second == 2, "{end:?}");
        }
        assert_eq!(fetch.poll(at(9), &mut subscription), None, "stopped");
    }
}

#[test]
fn a_position_out_of_range_is_told_with_what_there_is() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    subscription.seek(at(0), &tp(0), Start::Offset(7)).unwrap();
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let response = Ok(answer(vec![out_of_range(0, 500, 900)]));
    fetch.handle_answer(at(0), 0, &plan, response, &mut subscription);
    let error = subscription.poll_error().unwrap();
    for part in ["7", "500", "900"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // It is stopped until it is sought.
    assert_eq!(fetch.poll(at(99), &mut subscription), None);
    subscription
        .seek(at(99), &tp(0), Start::Offset(500))
        .unwrap();
    assert!(fetch.poll(at(99), &mut subscription).is_some());
}

#[test]
fn a_leader_is_told_what_was_read_last_and_tells_where_its_log_parts() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let asked = plan.request(12).topics[0].partitions[0].clone();
    assert_eq!(asked.last_fetched_epoch, -1, "nothing was read yet");
    let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    let run = fetch.take(&subscription).unwrap();
    fetch.handle_consumed(run.size);
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let epoch_in = |version| plan.request(version).topics[0].partitions[0].last_fetched_epoch;
    assert_eq!((epoch_in(11), epoch_in(12)), (-1, 4));
    let response = Ok(answer(vec![diverging(0, 3, 6)]));
    fetch.handle_answer(at(0), 0, &plan, response, &mut subscription);
    let error = subscription.poll_error().unwrap();
    assert_eq!(error.kind(), ErrorKind::OffsetOutOfRange);
    for part in ["truncated", "6", "10"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_topic_without_an_id_is_fetched_by_name() {
    let mut subscription = reading(&[1]);
    let mut news = led_by(&[1], 5);
    if let Ok(leaders) = &mut news[0].outcome {
        leaders.id = Uuid::default();
    }
    subscription.handle_topics(at(0), news);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    assert!(plan.needs_names());
    let mut response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
    response.responses[0].topic_id = Uuid::default();
    response.responses[0].topic = ByteString::from("orders");
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    assert!(fetch.has_ready(&subscription));
}

#[test]
fn what_will_not_pass_by_itself_is_told_once() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let mut fail = |second, kind, subscription: &mut Subscription| {
        let plan = fetch.poll(at(second), subscription).unwrap();
        let error = Err(Error::new(kind, "no"));
        fetch.handle_answer(at(second), 200, &plan, error, subscription);
        subscription.poll_error().map(|error| error.kind())
    };
    use ErrorKind::{Disconnected, Protocol, UnsupportedVersion};
    assert_eq!(fail(0, Disconnected, &mut subscription), None);
    let told = fail(2, UnsupportedVersion, &mut subscription);
    assert_eq!(told, Some(UnsupportedVersion));
    assert_eq!(fail(4, UnsupportedVersion, &mut subscription), None);
    assert_eq!(fail(6, Protocol, &mut subscription), Some(Protocol));
    assert_eq!(fail(8, Disconnected, &mut subscription), None);
}

#[test]
fn what_lies_ready_of_an_earlier_stint_takes_no_room() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let mut large = batch(0, 9);
    large.batch_length = 5000;
    let response = answer(vec![data(0, bytes_of(&[large]))]);
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    assert_eq!(fetch.poll(at(0), &mut subscription), None);
    // Whoever sought does not have to take anything first.
    subscription.seek(at(0), &tp(0), Start::Offset(3)).unwrap();
    assert!(fetch.poll(at(0), &mut subscription).is_some());
}

#[test]
fn a_resumed_partition_goes_on_without_loss_and_all_paused_asks_nothing() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    subscription.set_paused(at(0), &tp(0), true).unwrap();
    let response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
    fetch.handle_answer(at(0), 0, &plan, Ok(response), &mut subscription);
    assert!(fetch.take(&subscription).is_none());
    assert_eq!(fetch.poll(at(0), &mut subscription), None);
    assert_eq!(fetch.poll_deadline(at(0)), None);
    assert_eq!(subscription.poll_deadline(at(0)), None);
    subscription.set_paused(at(1), &tp(0), false).unwrap();
    subscription.set_paused(at(1), &tp(0), false).unwrap();
    assert_eq!(fetch.take(&subscription).unwrap().from, 0);
    assert_eq!(
        offsets(&fetch.poll(at(1), &mut subscription).unwrap()),
        [(0, 10)]
    );
}

#[test]
fn a_node_that_answers_again_begins_with_short_waits() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(Limits {
        backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        ..limits()
    });
    for round in 0..4 {
        let now = at(round * 10);
        let plan = fetch.poll(now, &mut subscription).unwrap();
        let broken = Error::new(ErrorKind::Disconnected, "gone");
        fetch.handle_answer(now, 200, &plan, Err(broken), &mut subscription);
        let now = at(round * 10 + 1);
        let plan = fetch.poll(now, &mut subscription).unwrap();
        let offset = plan.partitions[0].offset;
        let response = answer(vec![data(0, bytes_of(&[batch(offset, 0)]))]);
        fetch.handle_answer(now, 200, &plan, Ok(response), &mut subscription);
        assert_eq!(fetch.poll_deadline(now), None);
    }
}

#[test]
fn a_refusal_of_the_whole_fetch_is_no_answer() {
    let mut subscription = reading(&[1]);
    let mut fetch = Fetch::new(limits());
    let plan = fetch.poll(at(0), &mut subscription).unwrap();
    let mut response = answer(vec![data(0, bytes_of(&[batch(0, 9)]))]);
    response.error_code = ErrorCode::FETCH_SESSION_ID_NOT_FOUND.code();
    fetch.handle_answer(at(0), 200, &plan, Ok(response), &mut subscription);
    assert!(!fetch.has_ready(&subscription));
    assert_eq!(fetch.poll(at(0), &mut subscription), None);
    assert!(fetch.poll(at(1), &mut subscription).is_some());
}
