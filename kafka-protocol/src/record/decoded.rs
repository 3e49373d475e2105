//! A batch whose records lie uncompressed in memory: what travels from the fetcher to the reader.

use bytes::Bytes;

use crate::record::error::RecordError;
use crate::record::header::BatchHeader;
use crate::record::read::{IntoRecords, Record, RecordRef, Records};

/// A batch whose records are uncompressed: cheap to clone, sent between tasks, read any number of
/// times.
#[derive(Clone, Debug)]
pub struct DecodedBatch {
    magic: i8,
    header: BatchHeader,
    body: Bytes,
    from_buffer: bool,
}

impl DecodedBatch {
    /// A batch whose records were never compressed and still lie in what was received.
    pub(super) const fn borrowed(header: BatchHeader, body: Bytes) -> Self {
        Self {
            magic: 2,
            header,
            body,
            from_buffer: false,
        }
    }

    /// A batch whose records were decompressed, and rewritten if its magic was another.
    pub(super) fn decompressed(magic: i8, header: BatchHeader, body: Vec<u8>) -> Self {
        Self {
            magic,
            header,
            body: Bytes::from(body),
            from_buffer: true,
        }
    }

    /// A batch rewritten from a message of old that was not compressed.
    pub(super) fn rewritten(magic: i8, header: BatchHeader, body: Vec<u8>) -> Self {
        Self {
            magic,
            header,
            body: Bytes::from(body),
            from_buffer: false,
        }
    }

    /// Its header as it came: length, checksum and codec are those of the batch on the wire. That
    /// of an old message set is made up from what is known of it.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The magic that it came with: 0, 1 or 2.
    #[must_use]
    pub const fn magic(&self) -> i8 {
        self.magic
    }

    /// The uncompressed bytes of its records: what it costs to keep.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Its records, borrowed.
    #[inline]
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.header, &self.body)
    }

    /// Its records, owned. Each keeps the whole batch alive.
    pub fn owned_records(&self) -> impl Iterator<Item = Result<Record, RecordError>> {
        self.records()
            .map(|record| record.map(|record| Record::new(&self.body, &record)))
    }

    /// Its records, owned, by an iterator that needs no batch beside it.
    #[must_use]
    pub fn into_records(self) -> IntoRecords {
        IntoRecords::new(self.header, self.body)
    }

    /// The owned form of a record that [`Self::records`] gave.
    ///
    /// # Panics
    ///
    /// If `record` is not of this batch.
    #[must_use]
    pub fn to_owned_record(&self, record: &RecordRef<'_>) -> Record {
        Record::new(&self.body, record)
    }

    /// Reads all records once, so that no later reading of them fails.
    ///
    /// # Errors
    ///
    /// The first fault in a record.
    pub fn validate(&self) -> Result<(), RecordError> {
        self.records().try_for_each(|record| record.map(|_| ()))
    }

    /// The buffer that the records were decompressed into, to be used again; `None` if there was
    /// none, or somebody still reads from it.
    #[must_use]
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        if !self.from_buffer {
            return None;
        }
        self.body.try_into_mut().ok().map(Vec::from)
    }
}
