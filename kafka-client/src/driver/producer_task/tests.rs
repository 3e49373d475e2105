//! A producer against a peer that does not do what it should.

use std::time::Duration;

use kafka_protocol::ApiKey;

use super::*;
use crate::driver::test_peer::{Habits, TestPeer};
use crate::producer::ProducerBuilder;

async fn within<T>(seconds: u64, what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(seconds), future).await;
    ended.unwrap_or_else(|_| panic!("{what} took more than {seconds} s"))
}

fn producer(peer: &TestPeer) -> ProducerBuilder {
    ProducerBuilder::new(peer.cluster())
}

#[tokio::test]
async fn records_without_acknowledgement_are_bounded_by_the_buffer_too() {
    let habits = Habits {
        deaf_to: Some(ApiKey::Produce),
        ..Habits::default()
    };
    let peer = TestPeer::start(habits).await;
    let producer = producer(&peer)
        .acks(Acks::None)
        .idempotence(false)
        .linger(Duration::ZERO)
        .buffer_bytes(2 << 20)
        .max_block(Duration::from_millis(300))
        .build()
        .unwrap();
    let value = vec![0; 100_000];
    let mut taken = 0;
    let refused = loop {
        match producer.enqueue(Record::to("t").value(&*value)).await {
            Ok(_unawaited) => taken += 1,
            Err(error) => break Some(error),
        }
        if taken == 500 {
            break None;
        }
    };
    let error = refused.expect("50 MB fit into a buffer of 2 MiB");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn records_without_acknowledgement_that_were_never_written_are_no_success() {
    let habits = Habits {
        deaf_to: Some(ApiKey::Produce),
        ..Habits::default()
    };
    let peer = TestPeer::start(habits).await;
    let cluster = peer.cluster();
    let producer = ProducerBuilder::new(cluster.clone())
        .acks(Acks::None)
        .idempotence(false)
        .linger(Duration::ZERO)
        .build()
        .unwrap();
    let value = vec![0; 1_000_000];
    let mut tickets = Vec::new();
    for _ in 0..20 {
        tickets.push(
            producer
                .enqueue(Record::to("t").value(&*value))
                .await
                .unwrap(),
        );
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.close(clock::now() + Duration::from_secs(1)).await;
    let last = tickets.pop().unwrap();
    let fate = within(5, "the fate of a record", last).await;
    assert_eq!(fate.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn who_waits_for_room_is_not_kept_waiting_for_a_linger() {
    let habits = Habits {
        partitions: 9,
        ..Habits::default()
    };
    let peer = TestPeer::start(habits).await;
    let producer = producer(&peer)
        .linger(Duration::from_secs(60))
        .batch_bytes(1 << 19)
        .request_bytes_max(1 << 20)
        .buffer_bytes(1 << 20)
        .build()
        .unwrap();
    within(5, "the topic", producer.topic("t").ready())
        .await
        .unwrap();
    for index in 0..9 {
        // Each small batch holds half of the buffer.
        let room = producer.enqueue(Record::to("t").partition(index).value("v"));
        let _unawaited = within(10, &format!("room in {index}"), room).await.unwrap();
    }
}

#[tokio::test]
async fn partitions_that_are_learnt_of_after_the_end_take_nothing() {
    let peer = TestPeer::start(Habits::default()).await;
    let cluster = peer.cluster();
    let core = Core::new(cluster.clone(), ProducerConfig::default()).unwrap();
    let known = cluster
        .topic(&"t".into(), cluster.api_deadline())
        .await
        .unwrap();
    let topic = core.topic("t");
    core.close(&Error::new(ErrorKind::Closed, "for the test"));
    core.extend(&topic, &known);
    let partition = &topic.partitions().unwrap()[0];
    let appended = core.append(partition, &Record::to("t").value("v"));
    assert!(matches!(appended, Appended::Closed), "{appended:?}");
}

#[tokio::test]
async fn closing_does_not_wait_for_an_identity() {
    let habits = Habits {
        silent_to: Some(ApiKey::InitProducerId),
        ..Habits::default()
    };
    let peer = TestPeer::start(habits).await;
    let producer = producer(&peer).build().unwrap();
    let ticket = producer.enqueue(Record::to("t").value("v")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The record is given up, so that there is nothing left to flush.
    producer
        .core()
        .abandon(&Error::new(ErrorKind::Timeout, "for the test"));
    assert!(ticket.await.is_err());
    let start = clock::now();
    producer.close_within(Duration::from_secs(10)).await;
    let took = clock::now().saturating_since(start);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_without_a_runtime_may_send_once_the_producer_runs() {
    let peer = TestPeer::start(Habits::default()).await;
    let producer = producer(&peer).linger(Duration::ZERO).build().unwrap();
    within(5, "the topic", producer.topic("t").ready())
        .await
        .unwrap();
    let theirs = producer.clone();
    let enqueued = std::thread::spawn(move || {
        let mut enqueue = Box::pin(theirs.enqueue(Record::to("t").value("v")));
        let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
        match enqueue.as_mut().poll(&mut nobody) {
            std::task::Poll::Ready(ticket) => ticket.unwrap(),
            std::task::Poll::Pending => panic!("there is room"),
        }
    });
    let ticket = enqueued.join().unwrap();
    within(5, "the acknowledgement", ticket).await.unwrap();
}

#[tokio::test]
async fn records_hear_of_the_end_of_their_runtime() {
    let peer = TestPeer::start(Habits::default()).await;
    let other = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let producer = producer(&peer)
        .linger(Duration::from_secs(60))
        .build()
        .unwrap();
    let theirs = producer.clone();
    let enqueued = other.spawn(async move { theirs.enqueue(Record::to("t").value("v")).await });
    let ticket = enqueued.await.unwrap().unwrap();
    other.shutdown_background();
    let fate = within(5, "the fate of a record", ticket).await;
    assert_eq!(fate.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_leader_that_hangs_up_is_not_hammered() {
    let habits = Habits {
        partitions: 100,
        hangs_up_on: Some(ApiKey::Produce),
        ..Habits::default()
    };
    let peer = TestPeer::start(habits).await;
    let producer = producer(&peer).idempotence(false).build().unwrap();
    for index in 0..100 {
        let record = Record::to("t").partition(index).value("v");
        let _unawaited = producer.enqueue(record).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = peer.connections.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let connections = peer.connections.load(Ordering::SeqCst) - before;
    assert!(
        connections <= 10,
        "{connections} connections in two seconds"
    );
    // It was only a bad time.
    peer.change(|habits| habits.hangs_up_on = None);
    within(10, "the rest", producer.flush()).await;
}
