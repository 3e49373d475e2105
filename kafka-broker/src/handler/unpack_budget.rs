//! How much one request may have unpacked: a batch of a few hundred bytes may become a hundred megabytes, and a
//! request brings many.

use kafka_protocol::compression::DECOMPRESSED_MAX;

/// What is left for the batches of a request.
#[derive(Debug)]
pub(crate) struct UnpackBudget {
    left: usize,
}

impl UnpackBudget {
    /// For a request that brings this many bytes of batches.
    pub(crate) const fn for_batches(len: usize) -> Self {
        Self {
            left: LEAST.saturating_add(len.saturating_mul(RATIO)),
        }
    }

    /// The most that the next batch may become.
    pub(crate) fn limit(&self) -> usize {
        self.left.min(DECOMPRESSED_MAX)
    }

    /// Notes what a batch has become.
    pub(crate) const fn spend(&mut self, unpacked: usize) {
        self.left = self.left.saturating_sub(unpacked);
    }
}

/// What any request may have unpacked: two batches as large as there are any.
const LEAST: usize = 2 * DECOMPRESSED_MAX;
/// How many bytes each byte of a request may become beyond that. Text in a good codec becomes ten to twenty.
const RATIO: usize = 64;
