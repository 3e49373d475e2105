//! The fixed head of a record batch of magic 2: its layout and nothing about the records behind it.

use std::fmt;

use crate::compression::Compression;

/// Whose clock the timestamps of a batch are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimestampType {
    /// The producer's, record by record.
    #[default]
    CreateTime,
    /// The broker's, one for the whole batch: its maximum timestamp.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// The attributes with these bits.
    #[must_use]
    pub const fn from_bits(bits: i16) -> Self {
        Self(bits)
    }

    /// The bits as they stand in the batch.
    #[must_use]
    pub const fn bits(self) -> i16 {
        self.0
    }

    /// The codec of the records; `None` if the bits name no codec.
    #[must_use]
    pub const fn compression(self) -> Option<Compression> {
        Compression::from_code(self.0 & Self::CODEC)
    }

    /// Whose clock the timestamps are.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds a control record, which applications never see.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is a delete horizon, left by compaction.
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// The same attributes with this codec.
    #[must_use]
    pub const fn with_compression(self, compression: Compression) -> Self {
        Self((self.0 & !Self::CODEC) | compression.code())
    }

    /// The same attributes with timestamps of this type.
    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | Self::LOG_APPEND_TIME),
        }
    }

    /// The same attributes, of a transaction.
    #[must_use]
    pub const fn with_transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }

    /// The same attributes, with the base timestamp as a delete horizon.
    #[must_use]
    pub const fn with_delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }

    /// The same attributes, of a control batch.
    #[must_use]
    pub const fn with_control(self) -> Self {
        Self(self.0 | Self::CONTROL)
    }
}

/// Who wrote a batch, for idempotence; known only when the batch is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStamp {
    /// The producer's id.
    pub producer_id: i64,
    /// The epoch of that id.
    pub producer_epoch: i16,
    /// The sequence of the first record.
    pub base_sequence: i32,
}

impl ProducerStamp {
    /// A batch that nobody numbers.
    pub const NONE: Self = Self {
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
    };
}

impl Default for ProducerStamp {
    fn default() -> Self {
        Self::NONE
    }
}

/// Why bytes are not the head of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// Fewer bytes than a head has.
    Truncated {
        /// How many there are.
        len: usize,
    },
    /// Another magic than 2.
    Magic(i8),
    /// A length smaller than a head without records, or so large that the whole batch would have
    /// 2 GiB or more.
    Length(i32),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { len } => {
                write!(
                    f,
                    "{len} bytes are too few for a batch header of {}",
                    BatchHeader::LEN
                )
            }
            Self::Magic(magic) => write!(f, "batch of magic {magic} where 2 is expected"),
            Self::Length(length) => write!(f, "impossible batch length {length}"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// The fixed head of a batch of magic 2: 61 bytes, big-endian.
///
/// The first 12 bytes (base offset and length) and the leader epoch lie outside the checksum, so that
/// a broker may set them without computing it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; producers send 0, the leader assigns it.
    pub base_offset: i64,
    /// Bytes behind this field: the whole batch less 12.
    pub batch_length: i32,
    /// The epoch of the leader that appended it; -1 from clients.
    pub partition_leader_epoch: i32,
    /// CRC-32C of all bytes from the attributes to the end.
    pub crc: u32,
    /// Codec, timestamp type, transactional, control, and whether the base timestamp is a delete horizon.
    pub attributes: Attributes,
    /// Last offset less base offset; kept by compaction even if that record is gone.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, in milliseconds; the base of all deltas.
    pub base_timestamp: i64,
    /// The highest timestamp; with log-append time that of every record.
    pub max_timestamp: i64,
    /// Who wrote it; -1 without idempotence.
    pub producer_id: i64,
    /// The writer's epoch; -1 without idempotence.
    pub producer_epoch: i16,
    /// Sequence of the first record; -1 without idempotence.
    pub base_sequence: i32,
    /// How many records follow.
    pub record_count: i32,
}

impl BatchHeader {
    /// Bytes of a head.
    pub const LEN: usize = 61;
    /// Where `batch_length` stands.
    pub const LENGTH_AT: usize = 8;
    /// Bytes before the part that `batch_length` counts.
    pub const LENGTH_PREFIX: usize = 12;
    /// Where the part that the checksum covers begins: at the attributes.
    pub const CRC_START: usize = 21;
    /// Where the checksum itself stands.
    pub const CRC_AT: usize = 17;
    /// Where `last_offset_delta` stands.
    pub const LAST_OFFSET_DELTA_AT: usize = 23;
    /// Where `record_count` stands.
    pub const RECORD_COUNT_AT: usize = 57;

    /// Reads the head at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// If there are fewer than 61 bytes, the magic is not 2, or the length is less than a head's.
    /// Neither the checksum nor the presence of the whole batch is checked.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(head) = bytes.first_chunk::<{ Self::LEN }>() else {
            return Err(HeaderError::Truncated { len: bytes.len() });
        };
        let magic = head[16] as i8;
        if magic != 2 {
            return Err(HeaderError::Magic(magic));
        }
        let header = Self {
            base_offset: i64::from_be_bytes(array(head, 0)),
            batch_length: i32::from_be_bytes(array(head, 8)),
            partition_leader_epoch: i32::from_be_bytes(array(head, 12)),
            crc: u32::from_be_bytes(array(head, Self::CRC_AT)),
            attributes: Attributes::from_bits(i16::from_be_bytes(array(head, 21))),
            last_offset_delta: i32::from_be_bytes(array(head, 23)),
            base_timestamp: i64::from_be_bytes(array(head, 27)),
            max_timestamp: i64::from_be_bytes(array(head, 35)),
            producer_id: i64::from_be_bytes(array(head, 43)),
            producer_epoch: i16::from_be_bytes(array(head, 51)),
            base_sequence: i32::from_be_bytes(array(head, 53)),
            record_count: i32::from_be_bytes(array(head, 57)),
        };
        if (header.batch_length as i64) < (Self::LEN - Self::LENGTH_PREFIX) as i64 {
            return Err(HeaderError::Length(header.batch_length));
        }
        Ok(header)
    }

    /// The 61 bytes of this head.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut head = [0; Self::LEN];
        put(&mut head, 0, self.base_offset.to_be_bytes());
        put(&mut head, 8, self.batch_length.to_be_bytes());
        put(&mut head, 12, self.partition_leader_epoch.to_be_bytes());
        head[16] = 2;
        put(&mut head, Self::CRC_AT, self.crc.to_be_bytes());
        put(&mut head, 21, self.attributes.bits().to_be_bytes());
        put(&mut head, 23, self.last_offset_delta.to_be_bytes());
        put(&mut head, 27, self.base_timestamp.to_be_bytes());
        put(&mut head, 35, self.max_timestamp.to_be_bytes());
        put(&mut head, 43, self.producer_id.to_be_bytes());
        put(&mut head, 51, self.producer_epoch.to_be_bytes());
        put(&mut head, 53, self.base_sequence.to_be_bytes());
        put(&mut head, 57, self.record_count.to_be_bytes());
        head
    }

    /// Bytes of the whole batch, this head included. No header that was decoded has fewer than 61; of a
    /// length that is negative, it may be none.
    #[must_use]
    pub const fn total_len(&self) -> usize {
        Self::LENGTH_PREFIX.saturating_add_signed(self.batch_length as isize)
    }

    /// Offset of the last record the batch stands for.
    #[must_use]
    pub const fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(self.last_offset_delta as i64)
    }

    /// The offset behind the batch: where a reader goes on, whatever the batch still holds.
    #[must_use]
    pub const fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }
}

/// The `N` bytes at a position that the layout guarantees to lie inside the head.
#[expect(
    clippy::indexing_slicing,
    reason = "every caller names a field of the layout, which lies inside the 61 bytes"
)]
fn array<const N: usize>(head: &[u8; BatchHeader::LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}

#[expect(
    clippy::indexing_slicing,
    reason = "every caller names a field of the layout, which lies inside the 61 bytes"
)]
fn put<const N: usize>(head: &mut [u8; BatchHeader::LEN], at: usize, bytes: [u8; N]) {
    head[at..at + N].copy_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encode_then_decode_gives_the_same_header() {
        let header = BatchHeader {
            base_offset: 1 << 40,
            batch_length: 4711,
            partition_leader_epoch: 7,
            crc: 0xdead_beef,
            attributes: Attributes::default()
                .with_compression(Compression::Zstd)
                .with_timestamp_type(TimestampType::LogAppendTime)
                .with_transactional(),
            last_offset_delta: 9,
            base_timestamp: -1,
            max_timestamp: 1_760_000_000_000,
            producer_id: 42,
            producer_epoch: 3,
            base_sequence: i32::MAX,
            record_count: 10,
        };
        let bytes = header.encode();
        assert_eq!(BatchHeader::decode(&bytes), Ok(header));
        assert_eq!(header.next_offset(), (1 << 40) + 10);
        for len in 0..BatchHeader::LEN {
            assert_eq!(
                BatchHeader::decode(&bytes[..len]),
                Err(HeaderError::Truncated { len })
            );
        }
    }

    #[test]
    fn a_length_that_cannot_be_has_a_total_all_the_same() {
        let mut header = BatchHeader::decode(&{
            let mut bytes = [0; BatchHeader::LEN];
            bytes[16] = 2;
            bytes[8..12].copy_from_slice(&49_i32.to_be_bytes());
            bytes
        })
        .unwrap();
        for (length, total) in [
            (49, 61),
            (-1, 11),
            (i32::MIN, 0),
            (i32::MAX, (1 << 31) + 11),
        ] {
            header.batch_length = length;
            assert_eq!(header.total_len(), total);
        }
    }

    #[test]
    fn lying_headers_are_refused() {
        let mut bytes = [0; BatchHeader::LEN];
        assert_eq!(BatchHeader::decode(&bytes), Err(HeaderError::Magic(0)));
        bytes[16] = 2;
        assert_eq!(BatchHeader::decode(&bytes), Err(HeaderError::Length(0)));
        bytes[8..12].copy_from_slice(&i32::MIN.to_be_bytes());
        assert_eq!(
            BatchHeader::decode(&bytes),
            Err(HeaderError::Length(i32::MIN))
        );
        bytes[8..12].copy_from_slice(&49_i32.to_be_bytes());
        assert!(BatchHeader::decode(&bytes).is_ok());
    }
}
