//! Why real Kafka, or one of its tools, could not be started.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why real Kafka, or one of its tools, could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A program this crate stands on could not be run.
    MissingProgram {
        /// The program as it was called.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder of ours could not be used.
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The jars could not be resolved.
    Jars {
        /// What was asked for, such as `kafka-4.4.0`.
        what: String,
        /// The last lines that maven printed.
        output: String,
    },
    /// The storage of the node could not be formatted.
    Format {
        /// The last lines that Kafka's storage tool printed.
        output: String,
    },
    /// The node ended before it served.
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// The node did not serve within its time.
    NotReady {
        /// Where it should have listened.
        address: String,
        /// How long we waited.
        waited: Duration,
        /// Why the last look found it not ready.
        reason: String,
        /// The last lines of its log.
        log: String,
    },
    /// A program did not end within its time, and was killed.
    TimedOut {
        /// The program, or the class of the tool.
        program: String,
        /// How long we waited.
        waited: Duration,
        /// The last lines that it printed.
        output: String,
    },
    /// The system refused something that is not about one file.
    System {
        /// What we wanted of it.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingProgram { program, source } => {
                write!(f, "cannot run `{program}`: {source}; ")?;
                write!(
                    f,
                    "real Kafka needs java 17 or newer, and mvn to get its jars"
                )
            }
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Jars { what, output } => {
                write!(f, "maven could not resolve the jars of {what}:\n{output}")
            }
            Self::Format { output } => write!(f, "the storage could not be formatted:\n{output}"),
            Self::Exited { status, log } => {
                write!(
                    f,
                    "kafka ended before it served ({status}); its log ends:\n{log}"
                )
            }
            Self::NotReady {
                address,
                waited,
                reason,
                log,
            } => {
                let waited = waited.as_secs();
                write!(
                    f,
                    "kafka did not serve at {address} within {waited} s ({reason}); "
                )?;
                write!(f, "its log ends:\n{log}")
            }
            Self::TimedOut {
                program,
                waited,
                output,
            } => {
                let waited = waited.as_secs();
                write!(
                    f,
                    "`{program}` did not end within {waited} s; it printed:\n{output}"
                )
            }
            Self::System { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::MissingProgram { source, .. }
            | Self::File { source, .. }
            | Self::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl StartError {
    /// For `map_err`: an I/O error together with the file it is about.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// For `map_err`: an I/O error together with what we wanted of the system.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// The last `count` lines of a text: what an error shows of a long log.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(count);
    lines
        .iter()
        .skip(skipped)
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_tail_keeps_the_last_lines_in_order() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a\n", 5), "a");
        assert_eq!(tail("", 5), "");
    }
}
