//! Makes several batches of one that was too large. Knows neither queue nor broker.

use std::borrow::Cow;

use bytes::Bytes;
use kafka_protocol::compression::Decompressor;
use kafka_protocol::record::{Batch, BatchBuilder, BatchOptions, RecordError};

/// The records of a sealed batch in the same order, in batches of at most `piece_bytes` each before compression,
/// except where a single record is larger. Of two records or more it makes two batches or more.
///
/// # Errors
///
/// If the batch cannot be read.
pub fn split(batch: Bytes, piece_bytes: usize) -> Result<Vec<BatchBuilder>, RecordError> {
    let batch = Batch::decode(batch)?;
    let batch = batch.decompress(&mut Decompressor::new(), &mut Vec::new(), usize::MAX)?;
    let piece_bytes = piece_bytes.min(batch.body().len() / 2);
    let mut pieces = Vec::new();
    let mut piece = empty();
    for record in batch.records() {
        let record = record?;
        let headers: Vec<(Cow<'_, str>, _)> = record
            .headers
            .map(|header| (header.key(), header.value))
            .collect();
        let headers = headers.iter().map(|(key, value)| (&**key, *value));
        let (timestamp, key, value) = (record.timestamp, record.key, record.value);
        let len = piece.record_len(timestamp, key, value, headers.clone());
        if piece.count() > 0 && piece.len() + len > piece_bytes {
            pieces.push(std::mem::replace(&mut piece, empty()));
        }
        let appended = piece.append(timestamp, key, value, headers);
        debug_assert!(appended.is_ok(), "it came from a larger batch");
    }
    if piece.count() > 0 {
        pieces.push(piece);
    }
    Ok(pieces)
}

fn empty() -> BatchBuilder {
    BatchBuilder::new(Vec::new(), BatchOptions::new())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::compression::{Compression, Compressor};
    use kafka_protocol::record::{ProducerStamp, RecordRef};

    use super::*;

    type Seen = (i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    fn read(batch: Bytes) -> Vec<Seen> {
        let batch = Batch::decode(batch).unwrap();
        let (mut decompressor, mut buffer) = (Decompressor::new(), Vec::new());
        let records = batch
            .records(&mut decompressor, &mut buffer, 1 << 20)
            .unwrap();
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let seen = |record: RecordRef<'_>| {
            let (key, value) = (owned(record.key), owned(record.value));
            (record.timestamp, key, value, record.headers.count())
        };
        records.map(|record| seen(record.unwrap())).collect()
    }

    #[test]
    fn the_pieces_hold_the_records_in_order() {
        let mut whole = empty();
        for number in 0..10_i64 {
            let value = vec![number as u8; 90];
            let value = (number != 3).then_some(&*value);
            let header = [("h", Some(&b"v"[..]))];
            whole.append(1_000 - number, None, value, header).unwrap();
        }
        let mut compressed = Vec::new();
        let mut compressor = Compressor::new(Compression::Gzip).unwrap();
        let stamp = ProducerStamp::NONE;
        whole
            .seal_compressed(stamp, &mut compressor, &mut compressed)
            .unwrap();
        let whole = Bytes::from(whole.seal(stamp));
        for sealed in [Bytes::from(compressed), whole.clone()] {
            let pieces = split(sealed, 300).unwrap();
            assert!(pieces.len() > 2, "{}", pieces.len());
            let seal = |piece: BatchBuilder| read(Bytes::from(piece.seal(stamp)));
            let seen: Vec<_> = pieces.into_iter().flat_map(seal).collect();
            assert_eq!(seen, read(whole.clone()));
        }
        assert!(split(Bytes::from_static(b"no batch"), 300).is_err());
    }

    #[test]
    fn a_large_record_parts_from_its_neighbours_wherever_it_stands() {
        for large_at in 0..3 {
            let mut whole = empty();
            for number in 0..3 {
                let value = vec![b'x'; if number == large_at { 5_000 } else { 1 }];
                whole.append(0, None, Some(&value), []).unwrap();
            }
            let sealed = Bytes::from(whole.seal(ProducerStamp::NONE));
            let pieces = split(sealed, usize::MAX).unwrap();
            let alone = |piece: &BatchBuilder| piece.count() == 1 && piece.len() > 5_000;
            assert!(pieces.iter().any(alone), "at {large_at}");
        }
    }
}
