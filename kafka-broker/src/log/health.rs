//! Whether a log, and the directory that it lies in, can still be trusted. A write or sync that failed leaves
//! unknown what the disk holds, so that the first failure is the last thing that is believed.

use std::sync::{Arc, OnceLock};

use crate::log::error::{DiskError, LogError};

/// The health of a log directory, or of one log in it, which is never better than that of the directory. Clones
/// share it; it only ever gets worse.
#[derive(Clone, Debug, Default)]
pub struct Health {
    failure: Arc<OnceLock<String>>,
    /// That of the directory.
    above: Option<Arc<OnceLock<String>>>,
}

impl Health {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// That of a log in the directory which this one is of: its failures are no other log's.
    #[must_use]
    pub fn of_log(&self) -> Self {
        Self {
            failure: Arc::default(),
            above: Some(Arc::clone(&self.failure)),
        }
    }

    /// The first failure, if there was one: the file and its cause.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        let above = self.above.as_ref().and_then(|above| above.get());
        self.failure.get().or(above).map(String::as_str)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_fails_alone_and_a_directory_with_all_its_logs() {
        let error = |path| DiskError::new("sync", path, std::io::ErrorKind::Other.into());
        let dir = Health::new();
        let (first, second) = (dir.of_log(), dir.of_log());
        let shared = first.clone();
        first.fail(&error("t-0/0.log"));
        assert!(shared.failure().unwrap().contains("t-0/0.log"));
        assert_eq!((second.failure(), dir.failure()), (None, None));
        dir.fail(&error("checkpoint"));
        assert!(second.failure().unwrap().contains("checkpoint"));
        assert!(second.check().is_err());
    }
}
