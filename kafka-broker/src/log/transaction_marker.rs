//! Reading the one record of a control batch: the only records that the log itself looks into.

use bytes::Bytes;
use kafka_protocol::compression::Decompressor;
use kafka_protocol::record::{Batch, BatchHeader, EndTransactionMarker};

use crate::log::producer_state::Marker;

/// The end of a transaction that a control batch marks; `None` if it marks something else or nothing
/// that can be read.
pub(crate) fn decode(header: &BatchHeader, bytes: &[u8]) -> Option<Marker> {
    let batch = Batch::decode(Bytes::copy_from_slice(bytes)).ok()?;
    let mut buffer = Vec::new();
    let mut records = batch
        .records(&mut Decompressor::new(), &mut buffer, MARKER_LEN_MAX)
        .ok()?;
    let record = records.next()?.ok()?;
    let marker = EndTransactionMarker::decode(record.key, record.value).ok()??;
    Some(Marker {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        commit: marker.committed,
        offset: header.last_offset(),
        timestamp: header.max_timestamp,
    })
}

/// More than any control record takes uncompressed.
const MARKER_LEN_MAX: usize = 64 << 10;
