//! Many records at once, and how they are packed.

use kafka_client::Record;
use kafka_client::admin::NewTopic;
use kafka_protocol::compression::Compression;

use crate::stories::reading::{Seen, read_all, soon};
use crate::stories::stage::Stage;

/// Each codec, with records that compress well, badly and not at all.
pub(crate) async fn every_codec_is_read_back(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let mut expected = Vec::new();
    for codec in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let producer = client.producer().compression(codec).build().unwrap();
        let handle = producer.topic(&topic);
        let values: Vec<Vec<u8>> = (0..200).map(|number| value(&codec, number)).collect();
        let records: Vec<_> = values.iter().map(Record::of).collect();
        let ticket = soon("a bulk send", handle.send_batch(&records))
            .await
            .unwrap();
        assert_eq!(
            soon("its acknowledgement", ticket).await.unwrap(),
            values.len()
        );
        expected.extend(values);
    }
    let seen = read_all(&client, &topic, expected.len()).await;
    for (offset, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
        assert_eq!(seen.offset, offset as i64);
        assert_eq!(seen.value.as_ref(), Some(expected), "at offset {offset}");
    }
}

/// Small records that together are more than the topic lets a batch have, while they cannot leave one by one.
pub(crate) async fn small_records_never_add_up_to_too_much(stage: Stage) {
    const RECORDS: i64 = 2_000;
    let client = stage.client();
    let topic = NewTopic::new(stage.name("t")).partitions(1);
    let topic = stage
        .topic_with(topic.config("max.message.bytes", "20000"))
        .await;
    let producer = client.producer().build().unwrap();
    let handle = producer.topic(&topic);
    let values: Vec<_> = (0..RECORDS)
        .map(|number| format!("{number:0100}"))
        .collect();
    let mut tickets = Vec::new();
    for value in &values {
        tickets.push(
            soon("room", handle.enqueue(Record::of(value)))
                .await
                .unwrap(),
        );
    }
    for (number, ticket) in tickets.into_iter().enumerate() {
        let written = soon("an acknowledgement", ticket).await.unwrap();
        assert_eq!(written.offset, number as i64);
    }
    let seen = read_all(&client, &topic, values.len()).await;
    assert_eq!(
        seen.iter().map(Seen::number).collect::<Vec<_>>(),
        (0..RECORDS).collect::<Vec<_>>()
    );
}

/// A bulk send is a future like any other: a task may have it.
pub(crate) async fn a_task_sends_in_bulk(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let handle = client.producer().build().unwrap().topic(&topic);
    let task = tokio::spawn(async move {
        let values: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let records: Vec<_> = values.iter().map(Record::of).collect();
        let ticket = handle.send_batch(&records).await.unwrap();
        ticket.await.unwrap()
    });
    assert_eq!(soon("the task", task).await.unwrap(), 100);
    let seen = read_all(&client, &topic, 100).await;
    assert_eq!(
        seen.iter().map(Seen::number).collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
}

fn value(codec: &Compression, number: usize) -> Vec<u8> {
    let text = format!("{codec:?}-{number}-");
    match number % 3 {
        0 => text.repeat(20).into_bytes(),
        1 => text.into_bytes(),
        // A generator whose high bits look like chance to a compressor.
        _ => std::iter::successors(Some(number as u64 + 1), |seed| {
            Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
        })
        .map(|seed| (seed >> 56) as u8)
        .take(500)
        .collect(),
    }
}
