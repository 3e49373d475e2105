//! One record after the other, each looked at when it comes back.

use kafka_client::Record;

use crate::stories::reading::{place, read_all, soon};
use crate::stories::stage::Stage;

/// Key, value, headers with their order and repetitions, and time.
pub(crate) async fn each_record_comes_back_as_it_was_sent(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let headers: &[(&str, Option<&[u8]>)] = &[
        ("trace", Some(b"a")),
        ("trace", Some(b"b")),
        ("empty", Some(b"")),
        ("null", None),
        ("\u{e9}t\u{e9}", Some(&[0, 255, 128])),
    ];
    let binary: Vec<u8> = (0..=255).collect();
    let sent = [
        Record::to(&topic).key("k").value("v").timestamp_ms(1_000),
        Record::to(&topic).value(&binary).timestamp_ms(2_000),
        Record::to(&topic)
            .key(&binary)
            .value("with headers")
            .headers(headers)
            .timestamp_ms(1_500),
    ];
    for (offset, record) in sent.iter().enumerate() {
        let written = soon("a send", producer.send(*record)).await.unwrap();
        assert_eq!(place(&written), (0, offset as i64));
    }

    let seen = read_all(&client, &topic, 3).await;
    let times: Vec<_> = seen.iter().map(|seen| seen.timestamp_ms).collect();
    assert_eq!(times, [1_000, 2_000, 1_500]);
    let keys: Vec<_> = seen.iter().map(|seen| seen.key.clone()).collect();
    assert_eq!(keys, [Some(b"k".to_vec()), None, Some(binary.clone())]);
    let values: Vec<_> = seen.iter().map(|seen| seen.value.clone()).collect();
    assert_eq!(
        values,
        [
            Some(b"v".to_vec()),
            Some(binary),
            Some(b"with headers".to_vec())
        ]
    );
    let owned =
        |(key, value): &(&str, Option<&[u8]>)| ((*key).to_owned(), value.map(<[u8]>::to_vec));
    assert_eq!(
        seen[2].headers,
        headers.iter().map(owned).collect::<Vec<_>>()
    );
    assert!(seen[0].headers.is_empty() && seen[1].headers.is_empty());
}

/// In keys, in values, and in both.
pub(crate) async fn null_and_empty_are_different(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let record = Record::to(&topic);
    let sent = [
        record,
        record.key(""),
        record.value(""),
        record.key("").value(""),
    ];
    for record in sent {
        soon("a send", producer.send(record)).await.unwrap();
    }
    let seen = read_all(&client, &topic, sent.len()).await;
    let seen: Vec<_> = seen
        .into_iter()
        .map(|seen| (seen.key, seen.value))
        .collect();
    let empty = || Some(Vec::new());
    assert_eq!(
        seen,
        [
            (None, None),
            (empty(), None),
            (None, empty()),
            (empty(), empty())
        ]
    );
}
