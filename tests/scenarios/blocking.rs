//! The faces for threads: no runtime in sight.

use std::time::Duration;

use kafka_client::admin::NewTopic;
use kafka_client::consumer::{ConsumerEvent, Start};
use kafka_client::{ErrorKind, Record};

use crate::stories::reading::{PATIENCE, produce_numbers, soon, take, within};
use crate::stories::stage::Stage;

/// A topic is made, filled, read by a group, and deleted by a thread.
pub(crate) async fn a_thread_produces_and_consumes(stage: Stage) {
    on_a_thread(move || {
        let client = stage.client_builder().build_blocking().unwrap();
        client.ready(PATIENCE).unwrap();
        let topic = stage.name("t");
        let made = client
            .create_topics([NewTopic::new(&topic).partitions(1)])
            .unwrap();
        assert!(made[0].1.is_ok(), "{made:?}");

        let producer = client.producer(|producer| producer).unwrap();
        let written = producer
            .send(Record::to(&topic).key("k").value("0"))
            .unwrap();
        assert_eq!((written.partition, written.offset), (0, 0));
        let values: Vec<String> = (1..100).map(|number| number.to_string()).collect();
        let record = |value| producer.enqueue(Record::to(&topic).value(value)).unwrap();
        let tickets: Vec<_> = values.iter().map(record).collect();
        producer.flush().unwrap();
        for (offset, ticket) in (1..).zip(tickets) {
            assert_eq!(ticket.wait().unwrap().offset, offset);
        }

        let handle = producer.topic(&topic);
        assert_eq!((handle.name(), handle.ready().unwrap()), (&*topic, 1));
        let values: Vec<String> = (100..200).map(|number| number.to_string()).collect();
        let records: Vec<_> = values.iter().map(Record::of).collect();
        assert_eq!(handle.send_batch(&records).unwrap().wait().unwrap(), 100);
        let ticket = handle.enqueue(Record::of("200")).unwrap();
        assert_eq!(ticket.partition(), 0);
        assert_eq!(ticket.clone().wait().unwrap().offset, 200);
        assert_eq!(ticket.outcome().unwrap().unwrap().offset, 200);
        assert_eq!(handle.send(Record::of("201")).unwrap().offset, 201);

        let group = stage.name("g");
        let member = || {
            client
                .consumer(|c| c.group(&group).subscribe([&topic]).start(Start::Oldest))
                .unwrap()
        };
        let consumer = member();
        let mut events = consumer.events();
        for number in 0..202 {
            let record = consumer
                .next_within(PATIENCE)
                .unwrap()
                .expect("a record comes");
            assert_eq!(record.offset(), number);
            assert_eq!(record.value(), Some(number.to_string().as_bytes()));
            if number < 50 {
                consumer.commit_record(&record).unwrap();
            }
        }
        assert!(matches!(events.next(), Some(Ok(ConsumerEvent::Assigned(all))) if all.len() == 1));
        assert!(events.try_next().is_none());
        assert!(
            consumer
                .next_within(Duration::from_millis(200))
                .unwrap()
                .is_none()
        );
        consumer.close_within(PATIENCE).unwrap();
        assert!(consumer.next().unwrap().is_none(), "it is closed");
        for event in events.by_ref().map(Result::unwrap) {
            let of_close = matches!(
                event,
                ConsumerEvent::Revoking(_) | ConsumerEvent::Revoked(_)
            );
            assert!(of_close, "{event:?}");
        }
        let consumer = member();
        let record = consumer
            .next_within(PATIENCE)
            .unwrap()
            .expect("a record comes");
        assert_eq!(record.offset(), 50);
        consumer.close_within(PATIENCE).unwrap();

        assert_eq!(producer.close_within(PATIENCE).unwrap(), 0);
        let error = producer.send(Record::to(&topic).value("late")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        let deleted = client.delete_topics([&topic]).unwrap();
        assert!(deleted[0].1.is_ok(), "{deleted:?}");
        client.close_within(PATIENCE).unwrap();
    })
    .await;
}

/// With its last handle a member leaves its group, though nothing else keeps its thread alive.
pub(crate) async fn a_dropped_member_leaves_at_once(stage: Stage) {
    let topic = stage.topic("t", 1).await;
    let client = stage.client();
    produce_numbers(&client, &topic, 0, 0..10).await;
    let (group, names) = (stage.name("g"), [topic]);
    let builder = stage.client_builder();
    let (member_group, member_topics) = (group.clone(), names.clone());
    on_a_thread(move || {
        let client = builder.build_blocking().unwrap();
        let member = client
            .consumer(|c| {
                let member = c.group(&member_group).subscribe(member_topics);
                member.start(Start::Oldest)
            })
            .unwrap();
        for _ in 0..5 {
            let record = member.next_within(PATIENCE).unwrap();
            record.expect("a record comes").ack();
        }
        drop(client);
        drop(member);
    })
    .await;

    let next = client.consumer().group(&group).subscribe(names);
    let next = next.start(Start::Oldest).build().unwrap();
    let seen = within(Duration::from_secs(10), "taking over", take(&next, 5)).await;
    assert_eq!(seen[0].number(), 5, "what was acknowledged is committed");
    next.close_within(PATIENCE).await.unwrap();
}

/// Inside async code a blocking call is refused, and dropping its handles does no harm.
pub(crate) async fn async_code_is_not_blocked(stage: Stage) {
    let topic = stage.topic("t", 1).await;
    let client = stage.client_builder().build_blocking().unwrap();
    let producer = client.producer(|producer| producer).unwrap();
    let error = producer.send(Record::to(&topic).value("v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("async"), "{error}");
    drop((producer, client));
}

async fn on_a_thread(tell: impl FnOnce() + Send + 'static) {
    // Not one of the runtime's: those count as async code.
    let (ended, end) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        tell();
        let _ = ended.send(());
    });
    let ended = soon("the thread", end).await;
    if ended.is_err() {
        std::panic::resume_unwind(thread.join().expect_err("it ended without a word"));
    }
}
