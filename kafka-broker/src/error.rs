//! Why a broker does not start or does not stop well.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::log::LogError;

/// Why a broker does not start or does not stop well. The text names the address, file or property.
#[derive(Debug)]
#[non_exhaustive]
pub enum BrokerError {
    /// A property is unknown, or its value does not fit.
    Config {
        /// What is wrong with which property.
        reason: String,
    },
    /// The file of properties cannot be read.
    PropertiesFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address cannot be listened at.
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// There is no directory for temporary data.
    TemporaryDirectory {
        /// Why.
        source: io::Error,
    },
    /// The data directory cannot be used.
    DataDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: LogError,
    },
    /// The broker's own records in the data directory make no sense.
    Records {
        /// The directory.
        path: PathBuf,
        /// Which, and why.
        reason: String,
    },
    /// The disk did not come to an end with what was begun before the broker was told to stop, so that the logs are not
    /// closed: the next start verifies them.
    DiskBusy {
        /// The directory.
        path: PathBuf,
        /// For how long it was waited for.
        waited: Duration,
    },
    /// The system gives no threads.
    Runtime {
        /// Why.
        source: io::Error,
    },
    /// The broker has ended by itself.
    Ended,
}

impl fmt::Display for BrokerError {
    /// With all causes, so that nobody has to walk them to learn what to mend.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { reason } => f.write_str(reason)?,
            Self::PropertiesFile { path, .. } => write!(f, "cannot read {}", path.display())?,
            Self::Listen { address, .. } => write!(f, "cannot listen at {address}")?,
            Self::TemporaryDirectory { .. } => {
                f.write_str("cannot make a directory for temporary data")?;
            }
            Self::DataDirectory { path, .. } => {
                write!(f, "cannot use the data directory {}", path.display())?;
            }
            Self::Records { path, reason } => {
                write!(
                    f,
                    "cannot read the broker's records in {}: {reason}",
                    path.display()
                )?;
            }
            Self::DiskBusy { path, waited } => write!(
                f,
                "the logs in {} are not closed: the disk is still at work after {waited:?}",
                path.display()
            )?,
            Self::Runtime { .. } => f.write_str("cannot start the broker's threads")?,
            Self::Ended => f.write_str("the broker has ended by itself")?,
        }
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for BrokerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. }
            | Self::PropertiesFile { source, .. }
            | Self::TemporaryDirectory { source }
            | Self::Runtime { source } => Some(source),
            Self::DataDirectory { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::DiskError;

    #[test]
    fn the_text_has_all_causes_once() {
        let refused = || io::Error::new(io::ErrorKind::PermissionDenied, "not allowed");
        let listen = BrokerError::Listen {
            address: "a:1".to_owned(),
            source: refused(),
        };
        assert_eq!(listen.to_string(), "cannot listen at a:1: not allowed");
        let disk = DiskError::new("create directory", "/d", refused());
        let directory = BrokerError::DataDirectory {
            path: "/d".into(),
            source: LogError::Disk(disk),
        };
        assert_eq!(
            directory.to_string(),
            "cannot use the data directory /d: cannot create directory /d: not allowed"
        );
    }
}
