//! What other clients write with each codec, read by us: batches of librdkafka and of kafka-python as a
//! broker stored them. `tests/clients/golden` makes them anew. (Those of Kafka's own classes are in
//! `tests/codec/golden`.)

use bytes::Bytes;
use kafka_protocol::compression::Decompressor;
use kafka_protocol::record::{Batches, Compression};

#[test]
fn batches_of_other_clients_are_read() {
    let mut seen = Vec::new();
    for line in include_str!("golden/clients.tsv").lines() {
        let [client, codec, hex] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns: {line}");
        };
        let compression = Compression::from_name(codec).unwrap();
        let (mut decompressor, mut buffer) = (Decompressor::new(), Vec::new());
        let mut number = 0;
        for batch in Batches::new(unhex(hex)) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            assert_eq!(batch.compression(), Ok(compression), "{client} {codec}");
            let decoded = batch
                .decompress(&mut decompressor, &mut buffer, 1 << 20)
                .unwrap_or_else(|error| panic!("{client} {codec}: {error}"));
            for record in decoded.records() {
                let record = record.unwrap();
                assert_eq!(record.offset, number);
                assert_eq!(record.timestamp, 1_760_000_000_000 + number * 7);
                let key = (number % 5 > 0).then(|| format!("k{number}"));
                assert_eq!(record.key, key.as_deref().map(str::as_bytes));
                let event = format!("{{\"number\":{number},\"event\":\"click\"}}");
                let value = (number % 10 != 9).then(|| event.repeat(number as usize % 4 + 1));
                assert_eq!(record.value, value.as_deref().map(str::as_bytes));
                let headers: Vec<_> = record
                    .headers
                    .map(|header| (header.key().into_owned(), header.value))
                    .collect();
                let text = number.to_string();
                let expected = [
                    ("n".to_owned(), Some(text.as_bytes())),
                    ("empty".to_owned(), Some(&[][..])),
                ];
                let count = if number % 3 == 0 { 2 } else { 0 };
                assert_eq!(headers, expected[..count], "{client} {codec}");
                number += 1;
            }
            buffer = decoded.into_buffer().unwrap_or_default();
        }
        assert_eq!(number, 40, "{client} {codec}");
        seen.push(format!("{client} {codec}"));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 10, "two clients, each codec: {seen:?}");
}

fn unhex(hex: &str) -> Bytes {
    let digits: Vec<_> = hex
        .bytes()
        .map(|digit| (digit as char).to_digit(16))
        .collect();
    let byte = |pair: &[Option<u32>]| (pair[0].unwrap() * 16 + pair[1].unwrap()) as u8;
    digits.chunks(2).map(byte).collect()
}
