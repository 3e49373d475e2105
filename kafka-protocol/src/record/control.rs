//! Control records: what brokers write into a log for readers, and applications never see.

use crate::record::encode::{BatchBuilder, BatchOptions};
use crate::record::error::{RecordError, RecordErrorKind};
use crate::record::header::ProducerStamp;

/// What a control record says, from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ControlType {
    /// A transaction is aborted.
    Abort,
    /// A transaction is committed.
    Commit,
    /// A controller became leader of the metadata log.
    LeaderChange,
    /// A metadata snapshot begins.
    SnapshotHeader,
    /// A metadata snapshot ends.
    SnapshotFooter,
    /// The version of the raft protocol.
    KRaftVersion,
    /// The voters of the metadata quorum.
    KRaftVoters,
    /// A type that later releases brought: to be skipped.
    Unknown(i16),
}

impl ControlType {
    /// The type that the key of a control record names.
    ///
    /// # Errors
    ///
    /// [`RecordErrorKind::Control`] if the key is too short or of a negative version. Later versions
    /// of the key are read like the first one.
    pub fn decode(key: Option<&[u8]>) -> Result<Self, RecordError> {
        let Some(&[v0, v1, t0, t1]) = key.and_then(|key| key.first_chunk()) else {
            return Err(control("control key is too short"));
        };
        if i16::from_be_bytes([v0, v1]) < 0 {
            return Err(control("control key of a negative version"));
        }
        Ok(Self::from_code(i16::from_be_bytes([t0, t1])))
    }

    /// The type of this number.
    #[must_use]
    pub const fn from_code(code: i16) -> Self {
        match code {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            unknown => Self::Unknown(unknown),
        }
    }

    /// The number of the type.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(code) => code,
        }
    }

    /// The key of a control record of this type.
    #[must_use]
    pub const fn encode(self) -> [u8; 4] {
        let [v0, v1] = VERSION.to_be_bytes();
        let [t0, t1] = self.code().to_be_bytes();
        [v0, v1, t0, t1]
    }
}

/// The value of the marker that ends a transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndTransactionMarker {
    /// Whether the transaction is committed.
    pub committed: bool,
    /// The epoch of the transaction coordinator that decided it.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The marker with these fields.
    #[must_use]
    pub const fn new(committed: bool, coordinator_epoch: i32) -> Self {
        Self {
            committed,
            coordinator_epoch,
        }
    }

    /// The marker that a control record is; `None` if it is of another type.
    ///
    /// # Errors
    ///
    /// [`RecordErrorKind::Control`] if key or value are too short or of a negative version.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, RecordError> {
        let committed = match ControlType::decode(key)? {
            ControlType::Commit => true,
            ControlType::Abort => false,
            _ => return Ok(None),
        };
        let Some(&[v0, v1, e0, e1, e2, e3]) = value.and_then(|value| value.first_chunk()) else {
            return Err(control("transaction marker is too short"));
        };
        if i16::from_be_bytes([v0, v1]) < 0 {
            return Err(control("transaction marker of a negative version"));
        }
        Ok(Some(Self {
            committed,
            coordinator_epoch: i32::from_be_bytes([e0, e1, e2, e3]),
        }))
    }

    /// The type of the marker, which is its key.
    #[must_use]
    pub const fn control_type(self) -> ControlType {
        if self.committed {
            ControlType::Commit
        } else {
            ControlType::Abort
        }
    }

    /// The value of the control record.
    #[must_use]
    pub const fn encode(self) -> [u8; 6] {
        let [v0, v1] = VERSION.to_be_bytes();
        let [e0, e1, e2, e3] = self.coordinator_epoch.to_be_bytes();
        [v0, v1, e0, e1, e2, e3]
    }

    /// The batch that a partition leader appends: this marker alone, transactional and control,
    /// with the producer whose transaction it ends and no sequence.
    #[must_use]
    pub fn batch(
        self,
        producer_id: i64,
        producer_epoch: i16,
        timestamp: i64,
        options: BatchOptions,
    ) -> Vec<u8> {
        let mut batch = BatchBuilder::new(
            Vec::with_capacity(MARKER_BATCH_LEN),
            options.transactional().control().max_len(usize::MAX),
        );
        let key = self.control_type().encode();
        let value = self.encode();
        let appended = batch.append(timestamp, Some(&key), Some(&value), []);
        debug_assert!(appended.is_ok(), "a marker fits into any batch");
        batch.seal(ProducerStamp {
            producer_id,
            producer_epoch,
            base_sequence: -1,
        })
    }
}

const fn control(reason: &'static str) -> RecordError {
    RecordError::new(0, RecordErrorKind::Control(reason))
}

/// The only version of keys and markers.
const VERSION: i16 = 0;
/// Header, and a record of 17 bytes behind its length.
const MARKER_BATCH_LEN: usize = 61 + 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_batch_comes_back() {
        for committed in [true, false] {
            let marker = EndTransactionMarker::new(committed, 7);
            let bytes = marker.batch(
                4711,
                3,
                1_760_000_000_000,
                BatchOptions::new().base_offset(9),
            );
            assert_eq!(bytes.len(), MARKER_BATCH_LEN);
            let batch = crate::record::Batch::decode(bytes.into()).unwrap();
            batch.verify_crc().unwrap();
            assert_eq!(batch.header().attributes.bits(), 0x30);
            assert_eq!(batch.header().producer_id, 4711);
            assert_eq!(batch.header().producer_epoch, 3);
            assert_eq!(batch.header().base_sequence, -1);
            assert_eq!(batch.header().base_offset, 9);
            let (mut decompressor, mut buffer) = Default::default();
            let mut records = batch.records(&mut decompressor, &mut buffer, 0).unwrap();
            let record = records.next().unwrap().unwrap();
            assert_eq!(
                EndTransactionMarker::decode(record.key, record.value),
                Ok(Some(marker))
            );
            assert!(records.next().is_none());
        }
    }

    #[test]
    fn a_marker_of_a_log_that_stamps_says_whose_time_it_is() {
        let options = BatchOptions::new().log_append_time(5);
        let bytes = EndTransactionMarker::new(true, 7).batch(4711, 3, 4, options);
        let batch = crate::record::Batch::decode(bytes.into()).unwrap();
        assert_eq!(batch.header().attributes.bits(), 0x38);
        assert_eq!(batch.header().max_timestamp, 5);
        let (mut decompressor, mut buffer) = Default::default();
        let mut records = batch.records(&mut decompressor, &mut buffer, 0).unwrap();
        assert_eq!(records.next().unwrap().unwrap().timestamp, 5);
    }

    #[test]
    fn unknown_types_are_told_and_short_ones_refused() {
        for code in -1..9 {
            assert_eq!(ControlType::from_code(code).code(), code);
        }
        assert_eq!(
            ControlType::decode(Some(&[0, 1, 0, 9, 5])),
            Ok(ControlType::Unknown(9))
        );
        assert_eq!(
            EndTransactionMarker::decode(Some(&[0, 0, 0, 9]), None),
            Ok(None)
        );
        for key in [
            None,
            Some([].as_slice()),
            Some(&[0, 0, 0]),
            Some(&[0xff, 0, 0, 0]),
        ] {
            assert!(ControlType::decode(key).is_err());
        }
        for value in [None, Some([0; 5].as_slice()), Some(&[0x80, 0, 0, 0, 0, 0])] {
            assert!(EndTransactionMarker::decode(Some(&[0, 0, 0, 1]), value).is_err());
        }
    }
}
