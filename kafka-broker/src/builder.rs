//! How a broker is asked for.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::broker::Broker;
use crate::config::broker::BrokerConfig;
use crate::config::error::ConfigError;
use crate::config::property::list;
use crate::config::property_file::{Line, parse};
use crate::config::release::Release;
use crate::error::BrokerError;
use crate::log::MemoryDisk;
use crate::plan::address::host_and_port;
use crate::plan::listeners::{PlannedListener, planned};
use crate::plan::{Data, Plan};

/// What a broker is to be. Made by [`Broker::builder`]; nothing happens before
/// [`start`](Self::start).
#[derive(Clone, Debug)]
#[must_use = "nothing happens before start"]
pub struct BrokerBuilder {
    listen: Option<String>,
    advertise: Option<String>,
    data_dir: Option<PathBuf>,
    in_memory: bool,
    memory: Option<MemoryDisk>,
    worker_threads: usize,
    emulated: Option<String>,
    control_port: Option<String>,
    settings: Vec<Setting>,
}

/// Properties that were set, in the order in which they were.
#[derive(Clone, Debug)]
enum Setting {
    /// One.
    Property(String, String),
    /// Those in a file.
    File(PathBuf),
}

impl Broker {
    /// A broker to be configured and started.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }
}

impl BrokerBuilder {
    fn new() -> Self {
        Self {
            listen: None,
            advertise: None,
            data_dir: None,
            in_memory: false,
            memory: None,
            worker_threads: WORKER_THREADS,
            emulated: None,
            control_port: None,
            settings: Vec::new(),
        }
    }

    /// The number of the node, as `node.id`. Default 1.
    pub fn node_id(self, node_id: i32) -> Self {
        self.set("node.id", node_id.to_string())
    }

    /// The address to listen at, `HOST:PORT`; port 0 takes a free one. Default: that of the property `listeners`,
    /// which can name several, and without it `127.0.0.1:0`.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// The address that clients are told, `HOST:PORT`. Default: that of the property `advertised.listeners`, which
    /// says it for each listener, and without it where the broker listens.
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// Where the data lies; made if it is not there. Default: a temporary directory that goes with
    /// the broker.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Keeps the data in memory, on a disk that knows what was made durable: only then can a kill lose the
    /// rest ([`Unsynced::Lost`](crate::control::Unsynced::Lost)). It remembers every write, and so grows with
    /// what is written, deleted or not. Not together with [`data_dir`](Self::data_dir).
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// Keeps the data in this memory, which the caller can let fail, fill up or change under the broker, as disks
    /// do: see [`Fault`](crate::log::Fault). Not together with [`data_dir`](Self::data_dir).
    ///
    /// ```
    /// use kafka_broker::{Broker, log::{Fault, MemoryDisk, Operation}};
    ///
    /// let disk = MemoryDisk::journaled();
    /// let builder = Broker::builder().memory_disk(disk.clone());
    /// // Once it runs, the next sync of this partition fails:
    /// disk.inject(Fault::new(Operation::Sync, std::io::ErrorKind::Other).on("orders-0"));
    /// ```
    pub fn memory_disk(mut self, disk: MemoryDisk) -> Self {
        self.memory = Some(disk);
        self.in_memory()
    }

    /// How many threads serve connections. Default 2.
    pub fn worker_threads(mut self, threads: usize) -> Self {
        self.worker_threads = threads;
        self
    }

    /// Makes the broker look like one of an older release of Kafka, from `"2.1"` on: it serves no API and no
    /// version that came later, and tells of no feature that came later. Versions that Kafka has removed
    /// since do not come back. Default: the newest release.
    pub fn emulate(mut self, release: impl Into<String>) -> Self {
        self.emulated = Some(release.into());
        self
    }

    /// Opens a control port at this address, `HOST:PORT`, for users of other languages: what
    /// [`Control`](crate::control::Control) can do, by HTTP and JSON, and figures for Prometheus. Whoever reaches it
    /// may do anything to the broker: let it be a loopback address unless the broker is alone in a container. Port 0
    /// takes a free one. Default: none.
    pub fn control_port(mut self, address: impl Into<String>) -> Self {
        self.control_port = Some(address.into());
        self
    }

    /// Sets a property by Kafka's name, such as `num.partitions`. The last of several values holds; where there is a
    /// method for the same ([`listen`](Self::listen), [`advertise`](Self::advertise), [`data_dir`](Self::data_dir)),
    /// it goes first. A name that the broker does not know is an error at [`start`](Self::start).
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings
            .push(Setting::Property(name.into(), value.into()));
        self
    }

    /// Sets the properties in a file, as Java writes them: `NAME=VALUE` a line, comments after `#`. What is
    /// [set](Self::set) before this gives way to them, what is set after goes before them. The file is read at
    /// [`start`](Self::start), whose error names each line that does not fit.
    pub fn properties_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.push(Setting::File(path.into()));
        self
    }

    /// Starts the broker. It serves when this returns.
    ///
    /// The broker runs on threads of its own, so that it serves whatever the caller's runtime does;
    /// paused time there is not paused here.
    ///
    /// *Cancel safety*: a start that is dropped starts nothing that stays.
    ///
    /// # Errors
    ///
    /// A property or release that is unknown or does not fit, an address that cannot be listened at, a data
    /// directory that cannot be written, belongs to another broker or is in use.
    pub async fn start(self) -> Result<Broker, BrokerError> {
        Broker::start(self.plan()?).await
    }

    fn plan(self) -> Result<Plan, BrokerError> {
        let invalid = |reason: String| BrokerError::Config { reason };
        let mut config = self.config()?;
        let emulated = match &self.emulated {
            None => None,
            Some(name) => Some(Release::named(name).map_err(|error| invalid(error.to_string()))?),
        };
        let advertised = self.advertise.clone();
        let listeners = planned(&config, self.listen.clone(), advertised).map_err(invalid)?;
        if let Some(address) = &self.control_port
            && host_and_port(address).is_none()
        {
            return Err(invalid(format!(
                "invalid address {address} for the control port: must be HOST:PORT"
            )));
        }
        let path = match &self.data_dir {
            Some(path) => Some(path.clone()),
            None => data_dir_of(&config)?,
        };
        let data = match (path, self.in_memory) {
            (Some(path), false) => Data::Directory(path),
            (None, false) => Data::Temporary,
            (None, true) => Data::Memory,
            (Some(path), true) => {
                return Err(invalid(format!(
                    "the data cannot lie both in memory and in {}",
                    path.display()
                )));
            }
        };
        self.describe(&mut config, &listeners);
        Ok(Plan {
            config,
            listeners,
            data,
            memory: self.memory,
            worker_threads: self.worker_threads.max(1),
            emulated,
            control_port: self.control_port,
        })
    }

    /// What was set, property by property.
    fn config(&self) -> Result<BrokerConfig, BrokerError> {
        let mut set = Vec::new();
        for setting in &self.settings {
            match setting {
                Setting::Property(name, value) => set.push((name.clone(), value.clone())),
                Setting::File(path) => set.extend(read_properties(path)?),
            }
        }
        let set = set
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        BrokerConfig::new(set).map_err(|error| BrokerError::Config {
            reason: reason_of(&error),
        })
    }

    /// Lets properties be described as set for which there is a method of its own, and which that has set.
    fn describe(&self, config: &mut BrokerConfig, listeners: &[PlannedListener]) {
        if let ([listener], Some(address)) = (listeners, &self.listen) {
            config.put("listeners", format!("{}://{address}", listener.name));
        }
        if let ([listener], Some(address)) = (listeners, &self.advertise) {
            let told = format!("{}://{address}", listener.name);
            config.put("advertised.listeners", told);
        }
        if let Some(path) = &self.data_dir {
            config.put("log.dirs", path.display().to_string());
        }
    }
}

/// The properties in a file, each of which fits.
fn read_properties(path: &Path) -> Result<Vec<(String, String)>, BrokerError> {
    let failed = |source| BrokerError::PropertiesFile {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > FILE_MAX {
        let reason = format!("it has more than {FILE_MAX} bytes");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, reason)));
    }
    let lines = parse(&text);
    let check = |line: &Line| {
        let checked = BrokerConfig::new([(line.name.as_str(), line.value.as_str())]);
        let error = checked.err()?;
        Some(format!("line {}: {}", line.number, reason_of(&error)))
    };
    let wrong: Vec<_> = lines.iter().filter_map(check).collect();
    if !wrong.is_empty() {
        let wrong = wrong.join("\n  ");
        let reason = format!(
            "these properties in {} do not fit:\n  {wrong}",
            path.display()
        );
        return Err(BrokerError::Config { reason });
    }
    Ok(lines
        .into_iter()
        .map(|line| (line.name, line.value))
        .collect())
}

/// What is wrong, and where to look for what is right.
fn reason_of(error: &ConfigError) -> String {
    match error {
        ConfigError::Unknown { nearest: None, .. } => {
            format!("{error}: docs/properties.md tells what there is")
        }
        _ => error.to_string(),
    }
}

/// The directory that a property names.
fn data_dir_of(config: &BrokerConfig) -> Result<Option<PathBuf>, BrokerError> {
    let given = config.given("log.dirs").or_else(|| config.given("log.dir"));
    let Some(value) = given else {
        return Ok(None);
    };
    let mut paths = list(value);
    match (paths.next(), paths.next()) {
        (Some(path), None) => Ok(Some(PathBuf::from(path))),
        _ => Err(BrokerError::Config {
            reason: format!(
                "invalid value {value} for configuration log.dirs: must be one directory"
            ),
        }),
    }
}

const WORKER_THREADS: usize = 2;

/// How large a file of properties may be, in bytes.
const FILE_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_listeners_and_directories_are_heeded() {
        let plan = BrokerBuilder::new()
            .set("listeners", "PLAINTEXT://127.0.0.1:9092")
            .set("advertised.listeners", "PLAINTEXT://kafka:9092")
            .set("log.dirs", "/data")
            .plan()
            .unwrap();
        let [listener] = &*plan.listeners else {
            panic!("{:?}", plan.listeners);
        };
        assert_eq!(listener.listen, "127.0.0.1:9092");
        assert_eq!(listener.advertise, Some(("kafka".to_owned(), 9092)));
        assert_eq!(plan.data, Data::Directory(PathBuf::from("/data")));
        // What has a word of its own is described as if it were set, and goes first.
        let plan = BrokerBuilder::new()
            .listen("127.0.0.1:0")
            .advertise("kafka:9092")
            .data_dir("/own")
            .set("listeners", "PLAINTEXT://127.0.0.1:9092")
            .set("log.dirs", "/a,/b")
            .plan()
            .unwrap();
        assert_eq!(plan.data, Data::Directory(PathBuf::from("/own")));
        for (name, told) in [
            ("listeners", "PLAINTEXT://127.0.0.1:0"),
            ("advertised.listeners", "PLAINTEXT://kafka:9092"),
            ("log.dirs", "/own"),
        ] {
            assert_eq!(plan.config.given(name), Some(told));
        }
        let both = BrokerBuilder::new().in_memory().data_dir("/data").plan();
        assert!(both.unwrap_err().to_string().contains("/data"));
        let old = BrokerBuilder::new().emulate("1.1").plan();
        assert!(old.unwrap_err().to_string().contains("2.1"));
        for (name, value) in [
            ("listeners", "a:1"),
            ("log.dirs", "/a,/b"),
            ("no.such.thing", "1"),
        ] {
            let error = BrokerBuilder::new().set(name, value).plan().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let unknown = BrokerBuilder::new().set("process.roles", "broker").plan();
        assert_eq!(
            unknown.unwrap_err().to_string(),
            "unknown configuration process.roles: docs/properties.md tells what there is"
        );
        let control = BrokerBuilder::new().control_port("127.0.0.1").plan();
        assert_eq!(
            control.unwrap_err().to_string(),
            "invalid address 127.0.0.1 for the control port: must be HOST:PORT"
        );
    }

    #[test]
    fn a_file_sets_properties_at_its_place_among_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.properties");
        let plan = |text: &str| {
            std::fs::write(&path, text).unwrap();
            BrokerBuilder::new()
                .set("num.partitions", "1")
                .set("listeners", "PLAINTEXT://127.0.0.1:1")
                .properties_file(&path)
                .set("node.id", "3")
                .plan()
        };
        let text = "# of a test\nnum.partitions=2\nnode.id=2\nlisteners=PLAINTEXT://127.0.0.1:2\n";
        let planned = plan(text).unwrap();
        assert_eq!((planned.config.partitions, planned.config.node_id), (2, 3));
        assert_eq!(planned.listeners[0].listen, "127.0.0.1:2");
        let error = plan("num.partitons=2\n\nprocess.roles=broker\nnode.id=1").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "these properties in {} do not fit:\n  line 1: unknown configuration num.partitons (did you mean \
                 num.partitions?)\n  line 3: unknown configuration process.roles: docs/properties.md tells what there is",
                path.display()
            )
        );
        std::fs::remove_file(&path).unwrap();
        let missing = BrokerBuilder::new().properties_file(&path).plan();
        let text = missing.unwrap_err().to_string();
        assert!(
            text.starts_with(&format!("cannot read {}: ", path.display())),
            "{text}"
        );
    }
}
