//! How much one request may have unpacked, and where: a batch of a few hundred bytes may become a hundred megabytes,
//! and a request brings many.

use kafka_protocol::compression::DECOMPRESSED_MAX;

use crate::state::unpackers::SMALL_MAX;

/// What is left for the batches of a request.
#[derive(Debug)]
pub(crate) struct UnpackBudget {
    left: usize,
    /// What of it is left on the thread that serves the connection and others, if that is where batches are unpacked
    /// now: no more than takes a moment.
    left_here: Option<usize>,
}

impl UnpackBudget {
    /// For a request that brings this many bytes of batches, on a thread that nobody else waits for.
    pub(crate) const fn for_batches(len: usize) -> Self {
        Self {
            left: LEAST.saturating_add(len.saturating_mul(RATIO)),
            left_here: None,
        }
    }

    /// From now on batches are unpacked where others wait.
    pub(crate) const fn stay_here(&mut self) {
        self.left_here = Some(SMALL_MAX);
    }

    /// From now on batches are unpacked where nobody else waits.
    pub(crate) const fn go_aside(&mut self) {
        self.left_here = None;
    }

    /// Whether batches are unpacked where others wait.
    pub(crate) const fn is_here(&self) -> bool {
        self.left_here.is_some()
    }

    /// Whether the next batch may become more elsewhere.
    pub(crate) fn is_less_here(&self) -> bool {
        self.left_here
            .is_some_and(|here| here < self.left.min(DECOMPRESSED_MAX))
    }

    /// The most that the next batch may become.
    pub(crate) fn limit(&self) -> usize {
        let here = self.left_here.unwrap_or(usize::MAX);
        self.left.min(DECOMPRESSED_MAX).min(here)
    }

    /// Notes what a batch has become.
    pub(crate) const fn spend(&mut self, unpacked: usize) {
        self.left = self.left.saturating_sub(unpacked);
        if let Some(here) = &mut self.left_here {
            *here = here.saturating_sub(unpacked);
        }
    }
}

/// What any request may have unpacked: two batches as large as there are any.
const LEAST: usize = 2 * DECOMPRESSED_MAX;
/// How many bytes each byte of a request may become beyond that. Text in a good codec becomes ten to twenty.
const RATIO: usize = 64;
