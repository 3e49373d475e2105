//! Making a log durable without holding on to it: what is to be synced is gathered under the log's lock,
//! synced without it, and noted under it again. Appends go on in between, and one sync serves all that
//! came before it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::log::disk::{Disk, DiskFile};
use crate::log::error::DiskError;

/// The files whose content makes a log durable up to an offset.
#[derive(Debug)]
#[must_use = "nothing is durable before it has run and the log was told"]
pub struct FlushJob {
    pub(crate) files: Vec<Arc<dyn DiskFile>>,
    pub(crate) dir: Option<(Arc<dyn Disk>, PathBuf)>,
    pub(crate) up_to: i64,
    /// The base offset of the segment that was active.
    pub(crate) closed_up_to: i64,
    pub(crate) versions: FlushVersions,
}

/// What of a log had changed how often when a job was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlushVersions {
    /// Files made, renamed or removed.
    pub(crate) names: u64,
    /// Leader epochs begun or forgotten.
    pub(crate) epochs: u64,
    /// Truncations, after which the offsets of a job mean other records.
    pub(crate) truncations: u64,
}

impl FlushJob {
    /// The job of a log that has no files and ends at `offset`.
    pub(crate) fn nothing(offset: i64) -> Self {
        Self {
            files: Vec::new(),
            dir: None,
            up_to: offset,
            closed_up_to: offset,
            versions: FlushVersions::default(),
        }
    }

    /// The offset up to which all will be durable.
    #[must_use]
    pub fn up_to(&self) -> i64 {
        self.up_to
    }

    /// Syncs. The log must be told of the result by
    /// [`Log::finish_flush`](crate::log::Log::finish_flush), good or bad.
    ///
    /// # Errors
    ///
    /// The first failure, after which the log can no longer be trusted.
    pub fn run(&self) -> Result<(), DiskError> {
        for file in &self.files {
            file.sync()?;
        }
        if let Some((disk, dir)) = &self.dir {
            disk.sync_dir(dir)?;
        }
        Ok(())
    }
}
