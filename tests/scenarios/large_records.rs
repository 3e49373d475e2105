//! Records that are too large for somebody on their way.

use kafka_client::admin::NewTopic;
use kafka_client::{ErrorKind, Record};
use kafka_protocol::ErrorCode;

use crate::stories::reading::{read_all, soon};
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
        assert!(
            text.contains(&topic) && text.contains("max.request.size"),
            "{text}"
        );
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
    // Every record is a batch of its own, so that a refusal is of one record.
    let producer = client
        .producer()
        .batch_bytes(1)
        .linger(std::time::Duration::ZERO);
    let producer = producer.build().unwrap();
    let mut tickets = Vec::new();
    for number in 0..30 {
        let small = number.to_string();
        let large = "x".repeat(5_000);
        let value = if is_large(number) { &large } else { &small };
        let record = Record::to(&topic).value(value);
        if number % 10 == 0 {
            // Sends are not only pipelined.
            let outcome = soon("a send", producer.send(record)).await;
            assert_eq!(outcome.is_err(), is_large(number), "{outcome:?}");
        } else {
            tickets.push((
                number,
                soon("room", producer.enqueue(record)).await.unwrap(),
            ));
        }
    }
    for (number, ticket) in tickets {
        let outcome = soon("an acknowledgement", ticket).await;
        if is_large(number) {
            let error = outcome.expect_err("it is too large");
            assert_eq!(
                error.broker_code(),
                Some(ErrorCode::MESSAGE_TOO_LARGE),
                "{error}"
            );
            assert!(error.to_string().contains(&topic), "{error}");
        } else if let Err(error) = outcome {
            // It may have shared its batch with a large one.
            panic!("record {number}: {error}");
        }
    }
    let small: Vec<i64> = (0..30).filter(|number| !is_large(*number)).collect();
    let seen = read_all(&client, &topic, small.len()).await;
    assert_eq!(
        seen.iter().map(|seen| seen.number()).collect::<Vec<_>>(),
        small
    );
}

fn is_large(number: i64) -> bool {
    number % 7 == 3 || number == 20
}
