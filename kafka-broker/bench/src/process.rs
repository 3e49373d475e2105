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
    /// The process that serves, which may be a descendant of the child.
    pid: u32,
    /// Where it serves.
    pub(crate) address: String,
    /// From the start of the process to the first answer.
    pub(crate) started_within: Duration,
}

impl Server {
    /// Starts our broker over a data directory, with more arguments.
    pub(crate) fn start_ours(program: &Path, data: &str, more: &[&str]) -> Result<Self, Failure> {
        let usual = [
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data,
            "--log",
            "warn",
        ];
        Self::start(program, &[&usual[..], more].concat())
    }

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
            pid: server_among(child.id())?,
            child,
        })
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill()?)
    }

    /// Processor time that it has used, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        cpu(self.pid)
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

    /// Files, sockets and the like that it has open.
    pub(crate) fn open_files(&self) -> Result<usize, Failure> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid))?.count())
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

/// The process that serves: of the child and its descendants the one that has worked most. What guards
/// a node, or waits for its end, has hardly worked at all.
fn server_among(child: u32) -> Result<u32, Failure> {
    let mut family = vec![child];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(children(parent)?);
        next += 1;
    }
    // One that is gone by now is not what serves.
    let worked = |pid: &u32| cpu(*pid).unwrap_or_default();
    Ok(family.into_iter().max_by_key(worked).unwrap_or(child))
}

fn children(pid: u32) -> Result<Vec<u32>, Failure> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes come and go: one that is gone is nobody's child.
        if stat(id).is_ok_and(|fields| fields.get(1) == Some(&u64::from(pid))) {
            children.push(id);
        }
    }
    Ok(children)
}

/// Processor time that a process has used, user and system.
fn cpu(pid: u32) -> Result<Duration, Failure> {
    let ticks: u64 = stat(pid)?.iter().skip(11).take(2).sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// The fields behind a process's name, which may hold anything. Those that are no positive number, such
/// as the state, count as 0.
fn stat(pid: u32) -> Result<Vec<u64>, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let number = |field: &str| field.parse().unwrap_or_default();
    Ok(fields.split_whitespace().map(number).collect())
}
