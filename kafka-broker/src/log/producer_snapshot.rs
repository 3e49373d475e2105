//! The file that saves a restart from reading the whole log for the sake of its producers.
//!
//! Layout, big-endian: version 1 (2 bytes), CRC-32C of all that follows it (4), count (4), and per
//! producer 46 bytes: id (8), epoch (2), last sequence (4), last offset (8), last offset less first
//! offset of that batch (4), timestamp (8), coordinator epoch (4), first offset of the open transaction
//! or -1 (8). Only the last batch of a producer is kept.

use std::collections::VecDeque;

use kafka_protocol::record::crc32c;

use crate::log::producer_state::{ProducedBatch, Producer, ProducerState};

/// The content of a snapshot file.
pub(crate) fn encode(state: &ProducerState) -> Vec<u8> {
    let producers = state.producers();
    let mut covered = Vec::with_capacity(4 + producers.len() * ENTRY_LEN);
    covered.extend_from_slice(&(producers.len() as u32).to_be_bytes());
    for (producer_id, producer) in producers {
        let last = producer.batches.back().copied().unwrap_or(NO_BATCH);
        covered.extend_from_slice(&producer_id.to_be_bytes());
        covered.extend_from_slice(&producer.epoch.to_be_bytes());
        covered.extend_from_slice(&last.last_sequence.to_be_bytes());
        covered.extend_from_slice(&last.last_offset.to_be_bytes());
        covered.extend_from_slice(&last.offset_delta.to_be_bytes());
        covered.extend_from_slice(&producer.last_timestamp.to_be_bytes());
        covered.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
        covered.extend_from_slice(&producer.open_since.unwrap_or(-1).to_be_bytes());
    }
    let mut content = Vec::with_capacity(6 + covered.len());
    content.extend_from_slice(&VERSION.to_be_bytes());
    content.extend_from_slice(&crc32c(&covered).to_be_bytes());
    content.extend_from_slice(&covered);
    content
}

/// The state in a snapshot file; `None` if it is torn, damaged or of another version.
pub(crate) fn decode(content: &[u8]) -> Option<ProducerState> {
    let (version, rest) = content.split_first_chunk()?;
    let (crc, covered) = rest.split_first_chunk()?;
    if i16::from_be_bytes(*version) != VERSION || u32::from_be_bytes(*crc) != crc32c(covered) {
        return None;
    }
    let (count, entries) = covered.split_first_chunk()?;
    let (entries, torn) = entries.as_chunks::<ENTRY_LEN>();
    if !torn.is_empty() || u32::from_be_bytes(*count) as usize != entries.len() {
        return None;
    }
    let mut state = ProducerState::default();
    for entry in entries {
        let (producer_id, producer) = decode_entry(entry)?;
        state.restore(producer_id, producer);
    }
    Some(state)
}

fn decode_entry(entry: &[u8]) -> Option<(i64, Producer)> {
    let (producer_id, entry) = entry.split_first_chunk()?;
    let (epoch, entry) = entry.split_first_chunk()?;
    let (last_sequence, entry) = entry.split_first_chunk()?;
    let (last_offset, entry) = entry.split_first_chunk()?;
    let (offset_delta, entry) = entry.split_first_chunk()?;
    let (timestamp, entry) = entry.split_first_chunk()?;
    let (coordinator_epoch, entry) = entry.split_first_chunk()?;
    let (open_since, _) = entry.split_first_chunk()?;
    let timestamp = i64::from_be_bytes(*timestamp);
    let batch = ProducedBatch {
        last_sequence: i32::from_be_bytes(*last_sequence),
        last_offset: i64::from_be_bytes(*last_offset),
        offset_delta: i32::from_be_bytes(*offset_delta),
        timestamp,
    };
    let open_since = i64::from_be_bytes(*open_since);
    let producer = Producer {
        epoch: i16::from_be_bytes(*epoch),
        batches: if batch.last_offset >= 0 {
            VecDeque::from([batch])
        } else {
            VecDeque::new()
        },
        coordinator_epoch: i32::from_be_bytes(*coordinator_epoch),
        last_timestamp: timestamp,
        open_since: (open_since >= 0).then_some(open_since),
    };
    Some((i64::from_be_bytes(*producer_id), producer))
}

const VERSION: i16 = 1;
const ENTRY_LEN: usize = 46;

/// A producer of whom only a marker was seen.
const NO_BATCH: ProducedBatch = ProducedBatch {
    last_sequence: -1,
    last_offset: -1,
    offset_delta: 0,
    timestamp: -1,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::test_batches::header;

    fn state() -> ProducerState {
        let mut state = ProducerState::default();
        for id in [3, 9] {
            let mut header = header(id * 100, 4);
            header.producer_id = id;
            header.producer_epoch = 2;
            header.base_sequence = 0;
            if id == 9 {
                header.attributes = header.attributes.with_transactional();
            }
            state.apply(&header);
        }
        state
    }

    #[test]
    fn a_snapshot_comes_back() {
        let content = encode(&state());
        assert_eq!(content.len(), 10 + 2 * 46);
        assert_eq!(decode(&content), Some(state()));
        assert_eq!(
            decode(&encode(&ProducerState::default())),
            Some(ProducerState::default())
        );
    }

    #[test]
    fn no_flipped_bit_and_no_cut_passes() {
        let content = encode(&state());
        for bit in 0..content.len() * 8 {
            let mut flipped = content.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
        for len in 0..content.len() {
            assert_eq!(decode(&content[..len]), None, "cut to {len}");
        }
    }
}
