//! Kafka's own command-line tools, as judges of what others wrote and as clients of their own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::error::StartError;
use crate::jars::JarSet;
use crate::java;
use crate::process;

/// The class path of Kafka's command-line tools.
///
/// The release is 4.3.1: the tools of 4.4.0 have not been published. They work against a broker of
/// either release.
#[derive(Clone, Debug)]
pub struct KafkaTools {
    jars: PathBuf,
    limit: Duration,
}

impl KafkaTools {
    /// The release the tools are of.
    pub const RELEASE: &'static str = "4.3.1";

    /// Finds the jars in the cache, or has maven bring them.
    ///
    /// # Errors
    ///
    /// `mvn` is missing, or could not resolve the jars.
    pub fn resolve() -> Result<Self, StartError> {
        let jars = JarSet::tools(Self::RELEASE).resolve()?;
        Ok(Self {
            jars,
            limit: Duration::from_secs(120),
        })
    }

    /// How long a tool may run before it is killed. Default: 120 seconds.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs one tool to its end, such as `org.apache.kafka.tools.DumpLogSegments`. A tool that ends
    /// with a failure is no error here: look at [`ToolOutput::status`].
    ///
    /// # Errors
    ///
    /// `java` is missing, or the tool did not end within its time.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        class: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<ToolOutput, StartError> {
        let folder = tempfile::tempdir().map_err(StartError::system("a temporary folder"))?;
        let logging = java::write_logging(folder.path(), "WARN")?;
        let mut command = self.command_with(class, &logging);
        command.args(arguments);
        let finished = process::run(&mut command, "java", self.limit)?;
        Ok(ToolOutput {
            status: finished.status,
            stdout: finished.stdout,
            stderr: finished.stderr,
        })
    }

    /// A command that runs one tool with whatever input and output the caller gives it.
    ///
    /// # Errors
    ///
    /// The logging configuration could not be written beside the jars.
    pub fn command(&self, class: &str) -> Result<Command, StartError> {
        let logging = java::write_logging(&self.jars, "WARN")?;
        Ok(self.command_with(class, &logging))
    }

    fn command_with(&self, class: &str, logging: &Path) -> Command {
        let mut command = java::java(&self.jars, logging);
        // Most tools live for a second, which good machine code is not worth.
        command.args([
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            class,
        ]);
        command
    }
}

/// What a tool left behind.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about, its log included.
    pub stderr: String,
}
