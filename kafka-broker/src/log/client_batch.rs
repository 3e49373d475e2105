//! The one batch that a client has for a partition, judged by its head and its checksum before anything is done about
//! its records: what is too large or damaged is not worth to be unpacked.

use kafka_protocol::record::BatchHeader;

use crate::log::error::LogError;
use crate::log::sound_batches::{check_sound, split_first};
use crate::log::validation;

/// A whole batch, of which nothing else is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientBatch<'b> {
    bytes: &'b [u8],
    header: BatchHeader,
}

impl<'b> ClientBatch<'b> {
    /// The batch that these bytes are.
    pub(crate) fn of(bytes: &'b [u8]) -> Result<Self, LogError> {
        let (header, _, behind) = split_first(bytes)?;
        if behind.is_empty() {
            return Ok(Self { bytes, header });
        }
        Err(LogError::InvalidRecord {
            reason: "a partition takes one batch per request, and nothing behind it".to_owned(),
        })
    }

    pub(crate) const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Whether it may be appended, as far as its head tells, in the order in which Kafka asks. The log has the last
    /// word, since its limits may have changed when the batch comes to it.
    pub(crate) fn check(&self, max_len: usize) -> Result<(), LogError> {
        validation::check_base_offset(&self.header)?;
        validation::check_size(&self.header, max_len)?;
        check_sound(&self.header, self.bytes)?;
        validation::check_content(&self.header)?;
        validation::check_writer(&self.header)
    }
}
