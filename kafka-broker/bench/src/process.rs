//! A broker as a process: started, measured from outside by what the system counts, and ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kafka_protocol::messages::ApiVersionsRequest;

use crate::connection::Connection;
use crate::failure::Failure;

/// A running broker. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// The process that serves: the child, or the last of its descendants.
    pid: u32,
    /// Where it serves.
    pub(crate) address: String,
    /// From the start of the process to the first answer.
    pub(crate) started_within: Duration,
}

impl Server {
    /// Starts a program that prints `listening on HOST:PORT`.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let Some(address) = line.trim().strip_prefix("listening on ") else {
            let _ = child.kill();
            return Err(format!("{} does not listen", program.display()).into());
        };
        Connection::open(address)?.ask(&ApiVersionsRequest::default(), 0)?;
        let started_within = began.elapsed();
        Ok(Self {
            address: address.to_owned(),
            started_within,
            pid: last_descendant(child.id())?,
            child,
        })
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill()?)
    }

    /// Processor time that it has used, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // Behind the name, which may hold anything: the state, then numbers.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes: u64 = line
            .and_then(|line| line.split_whitespace().next())
            .ok_or("no VmRSS in status")?
            .parse()?;
        Ok(kibibytes * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // In order, so that what guards a node ends it and removes its data.
        if let Some(pid) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// Follows the only or newest child of each process down to the one that serves.
fn last_descendant(pid: u32) -> Result<u32, Failure> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes come and go: one that is gone is nobody's child.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, fields)| {
            let parent = fields.split_whitespace().nth(1)?;
            parent.parse::<u32>().ok()
        });
        if parent == Some(pid) {
            children.push(id);
        }
    }
    match children.iter().max() {
        Some(child) => last_descendant(*child),
        None => Ok(pid),
    }
}
