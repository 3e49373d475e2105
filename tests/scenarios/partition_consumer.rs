//! Reading chosen partitions, without a group.

use std::collections::BTreeMap;

use kafka_client::Record;

use crate::stories::reading::{read_all, soon};
use crate::stories::stage::Stage;

/// Many records over several partitions, all in flight together.
pub(crate) async fn order_is_kept_in_each_partition(stage: Stage) {
    const PARTITIONS: i32 = 4;
    const RECORDS: usize = 8_000;
    let client = stage.client();
    let topic = stage.topic("t", PARTITIONS).await;
    // Small batches, so that many are under way.
    let producer = client.producer().batch_bytes(1 << 10).build().unwrap();
    let handle = producer.topic(&topic);
    let mut tickets = Vec::with_capacity(RECORDS);
    let mut expected: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for number in 0..RECORDS {
        let partition = (number * 7 % PARTITIONS as usize) as i32;
        let value = format!("record {number}");
        let record = Record::of(&value).partition(partition);
        tickets.push(soon("room", handle.enqueue(record)).await.unwrap());
        expected.entry(partition).or_default().push(value);
    }
    let mut next = BTreeMap::new();
    for ticket in tickets {
        let written = soon("an acknowledgement", ticket).await.unwrap();
        let offset = next.entry(written.partition).or_insert(0);
        assert_eq!(
            written.offset, *offset,
            "in partition {}",
            written.partition
        );
        *offset += 1;
    }

    let seen = read_all(&client, &topic, RECORDS).await;
    let mut values: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for seen in seen {
        let of_partition = values.entry(seen.partition).or_default();
        assert_eq!(seen.offset, of_partition.len() as i64);
        of_partition.push(seen.text().to_owned());
    }
    assert_eq!(values, expected);
}
