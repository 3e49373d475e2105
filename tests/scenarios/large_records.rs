//! Records that are too large for somebody on their way.

use std::time::Duration;

use kafka_client::admin::NewTopic;
use kafka_client::{ErrorKind, Record};
use kafka_protocol::compression::Compression;

use crate::stories::reading::{Seen, read_all, soon};
use crate::stories::stage::Stage;

/// The client knows before it sends.
pub(crate) async fn a_record_larger_than_a_request_is_refused_at_once(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client
        .producer()
        .batch_bytes(5_000)
        .request_bytes_max(10_000);
    let producer = producer.build().unwrap();
    let large = vec![b'x'; 10_000];
    for round in 0..3 {
        let error = producer.enqueue(Record::to(&topic).value(&large));
        let error = soon("a refusal", error).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RecordTooLarge, "{error}");
        let text = error.to_string();
        // Ten thousand bytes, and what frames them.
        for part in [&topic, "max.request.size", "of 100"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        let record = Record::to(&topic).value("small");
        let written = soon("a send", producer.send(record)).await.unwrap();
        assert_eq!(written.offset, round);
    }
    assert_eq!(read_all(&client, &topic, 3).await.len(), 3);
}

/// The largest that the client takes by default, and the broker too.
pub(crate) async fn a_record_of_nearly_a_megabyte_passes(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let large: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let record = Record::to(&topic).value(&large);
    soon("a send", producer.send(record)).await.unwrap();
    let seen = read_all(&client, &topic, 1).await;
    assert!(
        seen[0].value.as_ref() == Some(&large),
        "the value is another one"
    );
}

/// The broker refuses it; what was sent before, beside and after it goes its way, in order and once.
pub(crate) async fn a_record_that_the_broker_refuses_stops_no_other(stage: Stage) {
    let client = stage.client();
    let topic = NewTopic::new(stage.name("t")).partitions(1);
    let topic = stage
        .topic_with(topic.config("max.message.bytes", "2000"))
        .await;
    // Without a linger every record is a batch of its own, as long as fewer are in flight than may be.
    let producer = client.producer().batch_bytes(1).linger(Duration::ZERO);
    let producer = producer.build().unwrap();
    let large = "x".repeat(5_000);
    let mut expected = Vec::new();
    for round in 0..12 {
        let first = (round * 10).to_string();
        soon("a send", producer.send(Record::to(&topic).value(&first)))
            .await
            .unwrap();
        expected.push(round * 10);
        let mut tickets = Vec::new();
        for place in 1..=4 {
            let small = (round * 10 + place).to_string();
            let is_large = place == round % 4 + 1;
            let record = Record::to(&topic).value(if is_large { &large } else { &small });
            let ticket = soon("room", producer.enqueue(record)).await.unwrap();
            tickets.push((is_large, ticket));
            if !is_large {
                expected.push(round * 10 + place);
            }
        }
        for (is_large, ticket) in tickets {
            let outcome = soon("an acknowledgement", ticket).await;
            if is_large {
                let error = outcome.expect_err("it is too large");
                assert_eq!(error.kind(), ErrorKind::RecordTooLarge, "{error}");
                for part in [&topic, "max.message.bytes", "MESSAGE_TOO_LARGE"] {
                    assert!(error.to_string().contains(part), "{error}");
                }
            } else {
                outcome.unwrap();
            }
        }
    }
    let seen = read_all(&client, &topic, expected.len()).await;
    assert_eq!(seen.iter().map(Seen::number).collect::<Vec<_>>(), expected);
}

/// As before, but with a lingering producer: the large ones share their batches with small ones.
pub(crate) async fn a_refused_record_spares_those_of_its_batch(stage: Stage) {
    const RECORDS: i64 = 400;
    let client = stage.client();
    let topic = NewTopic::new(stage.name("t")).partitions(1);
    let topic = stage
        .topic_with(topic.config("max.message.bytes", "2000"))
        .await;
    for codec in [Compression::None, Compression::Zstd] {
        let producer = client.producer().compression(codec).build().unwrap();
        let mut tickets = Vec::new();
        for number in 0..RECORDS {
            let small = format!("{number:050}");
            // Large for every codec.
            let seeds = std::iter::successors(Some(number as u64 + 1), |seed| {
                Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
            });
            let large: Vec<u8> = seeds.map(|seed| (seed >> 56) as u8).take(5_000).collect();
            let is_large = number % 50 == 7;
            let value = if is_large { &large } else { small.as_bytes() };
            let record = Record::to(&topic).value(value);
            tickets.push((
                is_large,
                soon("room", producer.enqueue(record)).await.unwrap(),
            ));
        }
        for (number, (is_large, ticket)) in tickets.into_iter().enumerate() {
            let outcome = soon("an acknowledgement", ticket).await;
            match outcome {
                Ok(_) => assert!(!is_large, "record {number} is too large"),
                Err(error) if is_large => {
                    assert_eq!(error.kind(), ErrorKind::RecordTooLarge, "{error}");
                }
                Err(error) => panic!("record {number}: {error}"),
            }
        }
    }
    let small: Vec<_> = (0..RECORDS).filter(|number| number % 50 != 7).collect();
    let seen = read_all(&client, &topic, 2 * small.len()).await;
    let numbers: Vec<_> = seen.iter().map(Seen::number).collect();
    assert_eq!(numbers, [&small[..], &small[..]].concat());
}
