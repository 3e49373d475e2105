//! How a Java class is run: one command line for the broker and for every tool.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::StartError;

/// A `java` command over all jars of a folder, logging to its standard error.
pub(crate) fn java(jars: &Path, logging: &Path) -> Command {
    let mut command = Command::new("java");
    let mut class_path = OsString::from(jars);
    class_path.push("/*");
    let mut configuration = OsString::from("-Dlog4j2.configurationFile=");
    configuration.push(logging);
    command.arg(configuration).arg("-cp").arg(class_path);
    command
}

/// Writes the logging configuration into `folder`, and returns where it lies. Without one, log4j
/// prints errors only, and a broker that fails to start says nothing useful.
pub(crate) fn write_logging(folder: &Path, level: &str) -> Result<PathBuf, StartError> {
    let path = folder.join("log4j2.properties");
    let text = format!(
        "status = error\n\
         appender.console.type = Console\n\
         appender.console.name = console\n\
         appender.console.target = SYSTEM_ERR\n\
         appender.console.layout.type = PatternLayout\n\
         appender.console.layout.pattern = [%d] %p %m (%c)%n\n\
         rootLogger.level = {level}\n\
         rootLogger.appenderRef.console.ref = console\n"
    );
    // Written once: another process may be reading the file that lies there.
    if fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(path);
    }
    fs::write(&path, text).map_err(StartError::file(&path))?;
    Ok(path)
}
