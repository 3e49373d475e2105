//! Clients that are too many, too large, too slow or silent: they are let go, and all others are served on.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, DescribeProducersRequest, FetchRequest, OffsetFetchRequest,
};

use crate::connection::{Connection, batch, broker, fetch};

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_until_one_ends() {
    for name in ["max.connections", "max.connections.per.ip"] {
        let broker = broker(&[(name, "3")]).await;
        let mut seats: Vec<_> = (0..3).map(|_| Connection::open(&broker)).collect();
        for seat in &mut seats {
            seat.assert_served();
        }
        Connection::open(&broker).assert_hung_up();
        seats.pop();
        // The broker sees the end of a connection a little later than its client.
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut next = loop {
            let mut next = Connection::open(&broker);
            let refused = next.0.write_all(&[]).is_err() || is_hung_up(&next);
            if !refused {
                break next;
            }
            assert!(Instant::now() < deadline, "{name} stays reached");
        };
        next.assert_served();
        for seat in &mut seats {
            seat.assert_served();
        }
    }
}

/// Whether the broker hangs up within a while.
fn is_hung_up(connection: &Connection) -> bool {
    connection
        .0
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let end = connection.0.peek(&mut [0]);
    connection
        .0
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    match end {
        Ok(_) => true,
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        ),
    }
}

#[tokio::test]
async fn a_request_above_the_limit_ends_its_connection_alone() {
    let broker = broker(&[("socket.request.max.bytes", "100000")]).await;
    let mut bystander = Connection::open(&broker);
    bystander.create_topic("t", 1);
    bystander.append("t", 0, &batch(90_000, 0));
    let mut large = Connection::open(&broker);
    large.0.write_all(&100_001_u32.to_be_bytes()).unwrap();
    large.assert_hung_up();
    // As large as is allowed, and never complete: it holds nobody up.
    let mut half = Connection::open(&broker);
    half.0.write_all(&100_000_u32.to_be_bytes()).unwrap();
    half.0.write_all(&[0; 50_000]).unwrap();
    bystander.assert_served();
}

/// A topic without a name, an id or partitions is 3 bytes of a request, and far more once it was read.
#[tokio::test]
async fn a_request_that_would_take_too_much_memory_ends_its_connection_alone() {
    let broker = broker(&[]).await;
    let mut bystander = Connection::open(&broker);
    let mut group = OffsetFetchRequestGroup::default();
    group.topics = Some(vec![OffsetFetchRequestTopics::default(); 200_000]);
    let mut request = OffsetFetchRequest::default();
    request.groups = vec![group];
    let mut connection = Connection::open(&broker);
    assert_eq!(connection.ask(&request, 9).groups[0].topics.len(), 200_000);
    request.groups.extend_from_within(..);
    connection.send(&request, 9);
    connection.assert_hung_up();
    bystander.assert_served();
}

/// The number of a partition is 4 bytes of a request, and a whole row of the answer.
#[tokio::test]
async fn a_request_whose_answer_would_take_too_much_memory_ends_its_connection_alone() {
    let broker = broker(&[]).await;
    let mut bystander = Connection::open(&broker);
    let mut connection = Connection::open(&broker);
    let mut topic = OffsetFetchRequestTopic::default();
    topic.partition_indexes = (0..400_000).collect();
    let mut request = OffsetFetchRequest::default();
    request.group_id = "g".into();
    request.topics = Some(vec![topic]);
    let answer = connection.ask(&request, 5);
    assert_eq!(answer.topics[0].partitions.len(), 400_000);
    let topics = request.topics.as_mut().unwrap();
    topics[0].partition_indexes = (0..1_000_000).collect();
    connection.send(&request, 5);
    connection.assert_hung_up();

    let mut topic = TopicRequest::default();
    topic.partition_indexes = (0..1_000_000).collect();
    let mut request = DescribeProducersRequest::default();
    request.topics = vec![topic];
    let mut connection = Connection::open(&broker);
    connection.send(&request, 0);
    connection.assert_hung_up();
    bystander.assert_served();
}

#[tokio::test]
async fn silent_connections_are_closed_and_busy_ones_are_not() {
    let broker = broker(&[("connections.max.idle.ms", "400")]).await;
    let silent = Connection::open(&broker);
    let mut half = Connection::open(&broker);
    half.0.write_all(&[0, 0]).unwrap();
    let mut after_a_large_request = Connection::open(&broker);
    after_a_large_request.create_topic("t", 1);
    after_a_large_request.append("t", 0, &batch(500_000, 0));
    let began = Instant::now();
    let mut busy = Connection::open(&broker);
    while began.elapsed() < Duration::from_millis(800) {
        busy.assert_served();
        thread::sleep(Duration::from_millis(100));
    }
    for connection in [silent, half, after_a_large_request] {
        connection.assert_hung_up();
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    busy.assert_served();
}

/// Answers wait in the broker's memory only up to a limit: who does not read is not read from, and after
/// a while is hung up on.
#[tokio::test]
async fn a_reader_that_does_not_read_is_let_go_and_holds_nobody_up() {
    let broker = broker(&[("connections.max.idle.ms", "1500")]).await;
    let mut bystander = Connection::open(&broker);
    bystander.create_topic("t", 1);
    for nth in 0..20 {
        bystander.append("t", 0, &batch(500_000, nth));
    }
    let mut slow = Connection::open(&broker);
    slow.0
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut request = fetch("t", &[(0, 0)]);
    request.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    let frame = kafka_protocol::frame::encode_request(&request, 12, 7, None).unwrap();
    let requests = frame.concat().repeat(1000);
    // Ten gigabytes of answers to a megabyte of requests. In the end they are not even taken.
    let mut taken = 0;
    while taken < 200 && slow.0.write_all(&requests).is_ok() {
        taken += 1;
    }
    assert!(taken < 200, "requests are read without an end");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        bystander.assert_served();
        let other = Connection::open(&broker);
        let mut other = other;
        other.send(&fetch("t", &[(0, 19)]), 12);
        other.receive::<FetchRequest>(12);
        thread::sleep(Duration::from_millis(50));
    }
    // The first answers lie in the buffers of the system; behind them there is the end.
    slow.assert_hung_up();
}

/// A reset would cost a client the answers that it has not read, and have it send again what was done.
#[tokio::test]
async fn a_stop_ends_connections_in_order_whatever_they_have_still_sent() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 1);
    connection.send(&ApiVersionsRequest::default(), 0);
    // Nothing behind it is looked at, and little of it read.
    let mut waiting = fetch("t", &[(0, 0)]);
    waiting.max_wait_ms = 20_000;
    waiting.min_bytes = 1;
    connection.send(&waiting, 11);
    connection.0.write_all(&[0; 500_000]).unwrap();
    thread::sleep(Duration::from_millis(50));
    let client = thread::spawn(move || {
        connection.receive::<ApiVersionsRequest>(0);
        io::copy(&mut connection.0, &mut io::sink())
    });
    broker.stop().await.unwrap();
    let rest = client.join().unwrap();
    assert_eq!(rest.expect("an end, and no reset"), 0);
}
