//! One node of real Apache Kafka, broker and controller in one, on this machine.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;

use crate::error::{StartError, tail};
use crate::jars::JarSet;
use crate::java;
use crate::process::{self, Guarded};
use crate::properties::{Voters, server_properties};
use crate::readiness;

/// A running node of real Apache Kafka. Dropping it kills the node and removes its data.
///
/// Should this process end without running destructors, the node is killed all the same.
#[derive(Debug)]
pub struct RealKafka {
    jars: PathBuf,
    options: RealKafkaBuilder,
    address: SocketAddr,
    /// Above the folder, so that the node has ended before its data goes.
    process: Option<Guarded>,
    /// Where the partitions lie.
    log_dir: PathBuf,
    /// Properties, log and, unless they lie elsewhere, data of the node; removed on drop.
    folder: TempDir,
}

impl RealKafka {
    /// Starts a node of this release, such as `4.4.0`, with default settings. See
    /// [`RealKafkaBuilder::start`].
    ///
    /// # Errors
    ///
    /// Those of [`RealKafkaBuilder::start`].
    pub fn start(release: &str) -> Result<Self, StartError> {
        Self::builder(release).start()
    }

    /// A node of this release, to be given settings and then started.
    #[must_use]
    pub fn builder(release: &str) -> RealKafkaBuilder {
        RealKafkaBuilder {
            release: release.to_owned(),
            port: None,
            data_dir: None,
            properties: Vec::new(),
            heap: "512m".to_owned(),
            patience: Duration::from_secs(90),
        }
    }

    /// `host:port`, as a client wants it.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.address.to_string()
    }

    /// The folder that holds the partitions, for a tool that reads them.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.log_dir.clone()
    }

    /// What the node has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        process::text_of(&self.folder.path().join(SERVER_LOG))
    }

    /// Asks the node to end and waits for it; after 30 seconds it is killed. The data stays.
    /// Returns whether it ended by itself; a node that does not run has.
    pub fn stop(&mut self) -> bool {
        self.process
            .take()
            .is_none_or(|mut node| node.stop(STOP_PATIENCE))
    }

    /// Kills the node as `kill -9` does. The data stays as it was left.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the node again at the same address and over the same data, and waits until it
    /// serves. A node that still runs is stopped first.
    ///
    /// # Errors
    ///
    /// It ended, or did not serve within its time; also when another process took its port.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.stop();
        self.launch()
    }

    fn launch(&mut self) -> Result<(), StartError> {
        let folder = self.folder.path();
        let logging = java::write_logging(folder, "INFO")?;
        let mut command = java::java(&self.jars, &logging);
        command
            .arg(format!("-Xmx{}", self.options.heap))
            .arg("kafka.Kafka")
            .arg(folder.join(PROPERTIES))
            .current_dir(folder);
        let log = folder.join(SERVER_LOG);
        let mut node = Guarded::spawn(&mut command, "java", &log, folder)?;
        wait_until_it_serves(&mut node, self.address, self.options.patience, &log)?;
        self.process = Some(node);
        Ok(())
    }
}

/// The settings of a node of real Kafka.
#[derive(Clone, Debug)]
pub struct RealKafkaBuilder {
    release: String,
    port: Option<u16>,
    data_dir: Option<PathBuf>,
    properties: Vec<(String, String)>,
    heap: String,
    patience: Duration,
}

impl RealKafkaBuilder {
    /// The port to listen on. Default: a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Where the partitions lie; the folder stays when the node is dropped. One that a broker has used before,
    /// whichever it was, is taken over as it is: it must be that of node 1. Default: a temporary folder.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Sets a broker property, such as `message.max.bytes`; it replaces ours of that name.
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((key.into(), value.into()));
        self
    }

    /// The largest heap, as `-Xmx` takes it. Default: `512m`.
    #[must_use]
    pub fn heap(mut self, size: impl Into<String>) -> Self {
        self.heap = size.into();
        self
    }

    /// How long the node may take until it serves. Default: 90 seconds; about three are usual.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Resolves the jars if they are not in the cache, formats a temporary folder, starts the node
    /// and waits until it serves.
    ///
    /// The cache is `$KAFKA_JARS_DIR`, else `kafka-jars` in cargo's target folder.
    ///
    /// # Errors
    ///
    /// `java` or `mvn` is missing, the jars cannot be resolved, or the node ends or does not serve
    /// within its time. The error shows the end of the node's log.
    pub fn start(self) -> Result<RealKafka, StartError> {
        let jars = JarSet::broker(&self.release).resolve()?;
        let mut tries = PORT_TRIES;
        loop {
            tries -= 1;
            match self.start_on_free_ports(&jars) {
                // Between our look for a free port and Kafka's bind somebody may have taken it.
                Err(StartError::Exited { log, .. })
                    if tries > 0 && self.port.is_none() && log.contains(PORT_TAKEN) => {}
                result => return result,
            }
        }
    }

    fn start_on_free_ports(&self, jars: &Path) -> Result<RealKafka, StartError> {
        let [free, controller] = free_ports().map_err(StartError::system("a free port"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.unwrap_or(free)));
        let folder = tempfile::Builder::new()
            .prefix("real-kafka-")
            .tempdir()
            .map_err(StartError::system("a temporary folder"))?;
        let log_dir = match &self.data_dir {
            Some(path) => std::path::absolute(path).map_err(StartError::file(path))?,
            None => folder.path().join(LOG_DIR),
        };
        let is_used = log_dir.join("meta.properties").is_file();
        let voters = match is_used && !was_formatted_by_kafka(&log_dir) {
            true => Voters::Named,
            false => Voters::Written,
        };
        let text = server_properties(
            &address.ip().to_string(),
            address.port(),
            controller,
            &log_dir,
            voters,
            &self.properties,
        );
        let properties = folder.path().join(PROPERTIES);
        fs::write(&properties, text).map_err(StartError::file(&properties))?;
        if !is_used {
            format_storage(jars, folder.path(), &properties)?;
        }
        let mut kafka = RealKafka {
            jars: jars.to_path_buf(),
            options: self.clone(),
            address,
            process: None,
            log_dir,
            folder,
        };
        kafka.launch()?;
        Ok(kafka)
    }
}

/// Whether Kafka's format command has left its snapshot, which names the voters.
fn was_formatted_by_kafka(log_dir: &Path) -> bool {
    let metadata = log_dir.join("__cluster_metadata-0");
    let names = fs::read_dir(metadata).into_iter().flatten().flatten();
    let mut paths = names.map(|entry| entry.path());
    paths.any(|path| path.extension().is_some_and(|kind| kind == "checkpoint"))
}

fn format_storage(jars: &Path, folder: &Path, properties: &Path) -> Result<(), StartError> {
    let logging = java::write_logging(folder, "WARN")?;
    let cluster_id = new_cluster_id().map_err(StartError::system("random bytes"))?;
    let mut command = java::java(jars, &logging);
    command
        // It runs for a second: compiling it well is not worth the time.
        .args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool"])
        .args(["format", "--standalone", "-t", &cluster_id, "-c"])
        .arg(properties);
    let finished = process::run(&mut command, "java", FORMAT_LIMIT)?;
    if finished.status.success() {
        return Ok(());
    }
    let output = tail(
        &format!("{}{}", finished.stdout, finished.stderr),
        SHOWN_LINES,
    );
    Err(StartError::Format { output })
}

/// Sixteen random bytes as Kafka writes a uuid.
fn new_cluster_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    // Kafka's own generator never begins one with a dash: command lines take it for an option.
    if let Some(first) = bytes.first_mut() {
        *first &= 0x7f;
    }
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn wait_until_it_serves(
    node: &mut Guarded,
    address: SocketAddr,
    patience: Duration,
    log: &Path,
) -> Result<(), StartError> {
    let started = Instant::now();
    loop {
        let reason = match readiness::ask(address) {
            Ok(()) => return Ok(()),
            Err(error) => error.to_string(),
        };
        let log_tail = || tail(&process::text_of(log), SHOWN_LINES);
        if let Some(status) = node.ended() {
            return Err(StartError::Exited {
                status,
                log: log_tail(),
            });
        }
        if started.elapsed() >= patience {
            return Err(StartError::NotReady {
                address: address.to_string(),
                waited: patience,
                reason,
                log: log_tail(),
            });
        }
        thread::sleep(READINESS_POLL);
    }
}

/// Two ports that were free a moment ago, and differ: both are held until both are known.
fn free_ports() -> io::Result<[u16; 2]> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

const LOG_DIR: &str = "data";
const PROPERTIES: &str = "server.properties";
const SERVER_LOG: &str = "server.log";
/// What Java says when a port is in use.
const PORT_TAKEN: &str = "Address already in use";
const PORT_TRIES: usize = 3;
const SHOWN_LINES: usize = 30;
const READINESS_POLL: Duration = Duration::from_millis(50);
const FORMAT_LIMIT: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_is_a_uuid_as_kafka_writes_it() {
        let id = new_cluster_id().unwrap();
        assert_eq!(id.len(), 22);
        assert!(!id.starts_with('-'));
        assert_ne!(id, new_cluster_id().unwrap());
    }

    #[test]
    fn free_ports_differ() {
        let [first, second] = free_ports().unwrap();
        assert_ne!(first, second);
    }
}
