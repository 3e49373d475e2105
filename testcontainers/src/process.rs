//! A child process that cannot outlive us, and programs that must end within a time.
//!
//! This file knows nothing of Kafka or Java.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::StartError;

/// A long-running child. Dropping it kills the child; so does our own end, of whatever kind.
#[derive(Debug)]
pub(crate) struct Guarded {
    child: Child,
    /// A shell that waits for the end of our pipe and then kills the child. A test that is killed
    /// runs no destructor, and would otherwise leave a broker behind for ever.
    watchdog: Child,
}

impl Guarded {
    /// Starts `command` with its output going to `log`, in a process group of its own: an interrupt
    /// at the terminal is for us, and we decide what becomes of the child. Should we end without
    /// stopping it, it is killed and `leftovers` is removed.
    pub(crate) fn spawn(
        command: &mut Command,
        program: &'static str,
        log: &Path,
        leftovers: &Path,
    ) -> Result<Self, StartError> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(StartError::file(log))?;
        let errors = output.try_clone().map_err(StartError::file(log))?;
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let mut child = start(command, program)?;
        match watch(&child, leftovers) {
            Ok(watchdog) => Ok(Self { child, watchdog }),
            Err(error) => {
                end_now(&mut child);
                Err(error)
            }
        }
    }

    /// How the child ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks the child to end, and kills it when it has not done so within `patience`. Returns
    /// whether it ended by itself.
    pub(crate) fn stop(&mut self, patience: Duration) -> bool {
        if let Some(pid) = pid_of(&self.child) {
            // An error means that it is gone already, which the wait below finds out.
            let _ = kill_process(pid, Signal::TERM);
        }
        let asked = Instant::now();
        while asked.elapsed() < patience {
            if self.ended().is_some() {
                end_now(&mut self.watchdog);
                return true;
            }
            thread::sleep(POLL);
        }
        self.kill();
        false
    }

    /// Kills the child at once, as `kill -9` does, and waits for its end.
    pub(crate) fn kill(&mut self) {
        // The watchdog first: once the child is waited for, its id may belong to somebody else.
        end_now(&mut self.watchdog);
        end_now(&mut self.child);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a program that has ended left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end and returns what it printed; kills it after `limit`.
pub(crate) fn run(
    command: &mut Command,
    program: &'static str,
    limit: Duration,
) -> Result<Finished, StartError> {
    let folder = tempfile::tempdir().map_err(StartError::system("a temporary folder"))?;
    // Files rather than pipes: a full pipe would stop the program while we wait for its end.
    let stdout = folder.path().join("stdout");
    let stderr = folder.path().join("stderr");
    let open = |path: &Path| File::create(path).map_err(StartError::file(path));
    command
        .stdin(Stdio::null())
        .stdout(open(&stdout)?)
        .stderr(open(&stderr)?);
    let mut child = start(command, program)?;
    let started = Instant::now();
    loop {
        let ended = child
            .try_wait()
            .map_err(StartError::system("waiting for a program"))?;
        if let Some(status) = ended {
            return Ok(Finished {
                status,
                stdout: text_of(&stdout),
                stderr: text_of(&stderr),
            });
        }
        if started.elapsed() >= limit {
            end_now(&mut child);
            return Err(StartError::TimedOut {
                program: program.to_owned(),
                waited: limit,
                output: format!("{}{}", text_of(&stdout), text_of(&stderr)),
            });
        }
        thread::sleep(POLL);
    }
}

/// What a log holds by now. A log that cannot be read is an empty one: it is only ever shown.
pub(crate) fn text_of(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn start(command: &mut Command, program: &'static str) -> Result<Child, StartError> {
    command.spawn().map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => {
            StartError::MissingProgram { program, source }
        }
        _ => StartError::System {
            what: "starting a program",
            source,
        },
    })
}

fn watch(child: &Child, leftovers: &Path) -> Result<Child, StartError> {
    let script = r#"cat >/dev/null; kill -9 "$1" 2>/dev/null; sleep 0.2; rm -rf -- "$2""#;
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh", &child.id().to_string()])
        .arg(leftovers)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    start(&mut command, "sh")
}

fn end_now(child: &mut Child) {
    // Both fail only for a child that has ended and been waited for, which is what we want.
    let _: io::Result<()> = child.kill();
    let _ = child.wait();
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// How often we look whether a process has ended.
const POLL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; sleep 30"]);
        let error = run(&mut command, "sh", Duration::from_millis(300)).unwrap_err();
        assert!(error.to_string().contains("begun"), "{error}");
    }

    #[test]
    fn output_and_status_come_back() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let finished = run(&mut command, "sh", Duration::from_secs(10)).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(
            (finished.stdout.as_str(), finished.stderr.as_str()),
            ("out\n", "err\n")
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let mut command = Command::new("no-such-program-here");
        let error = run(&mut command, "java", Duration::from_secs(1)).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot run `java`"),
            "{error}"
        );
    }

    #[test]
    fn stopping_is_asked_for_before_it_is_enforced() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let leftovers = folder.path().join("leftovers");
        let spawn = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            let guarded = Guarded::spawn(&mut command, "sh", &log, &leftovers).unwrap();
            thread::sleep(Duration::from_millis(200));
            guarded
        };
        assert!(spawn("sleep 30").stop(Duration::from_secs(10)));
        let mut deaf = spawn("trap '' TERM; while :; do sleep 0.1; done");
        assert!(!deaf.stop(Duration::from_millis(300)));
        assert!(deaf.ended().is_some());
    }

    #[test]
    fn the_child_and_its_leftovers_go_when_we_go() {
        let folder = tempfile::tempdir().unwrap();
        let leftovers = folder.path().join("leftovers");
        fs::create_dir(&leftovers).unwrap();
        let mut command = Command::new("sleep");
        command.arg("30");
        let log = folder.path().join("log");
        let mut guarded = Guarded::spawn(&mut command, "sleep", &log, &leftovers).unwrap();
        // Our end closes the pipe; closing it alone must be enough.
        drop(guarded.watchdog.stdin.take());
        let begun = Instant::now();
        while guarded.ended().is_none() || leftovers.exists() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "the watchdog slept"
            );
            thread::sleep(POLL);
        }
    }
}
