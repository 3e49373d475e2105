//! Whether a log directory can still be trusted. A write or sync that failed leaves unknown what the
//! disk holds, so that the first failure is the last thing that is believed.

use std::sync::{Arc, OnceLock};

use crate::log::error::{DiskError, LogError};

/// The health of a log directory and all logs in it. Clones share it; it only ever gets worse.
#[derive(Clone, Debug, Default)]
pub struct Health {
    failure: Arc<OnceLock<String>>,
}

impl Health {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The first failure, if there was one: the file and its cause.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Notes a failure after which nothing may be acknowledged. Only the first one counts.
    pub fn fail(&self, error: &DiskError) {
        self.failure
            .get_or_init(|| match std::error::Error::source(error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            });
    }

    /// # Errors
    ///
    /// [`LogError::Offline`] after a failure.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        match self.failure() {
            None => Ok(()),
            Some(cause) => Err(LogError::Offline {
                cause: cause.to_owned(),
            }),
        }
    }
}
