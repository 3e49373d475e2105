//! A running broker: its threads, its beginning and its end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kafka_protocol::Uuid;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{oneshot, watch};

use crate::broker::listener::Listener;
use crate::config::broker::BrokerConfig;
use crate::config::release::Release;
use crate::control::Control;
use crate::control::figures::Figures;
use crate::control::life::{Command, Commands, ControlError, Done, End, Unsynced};
use crate::control::switchboard::Switchboard;
use crate::control_port::ControlPort;
use crate::error::BrokerError;
use crate::handler::registry::{api_subjects, served_apis};
use crate::log::{Disk, Keep, LogDir, LogDirOwner, MemoryDisk, OsDisk};
use crate::plan::{Data, Plan};
use crate::server::threads::{Threads, threads_max};
use crate::server::{self, cleaner::Cleaner, clock::Clock};
use crate::state::catalog::{Catalog, CatalogError};
use crate::state::node::Node;

pub(crate) mod listener;

/// A Kafka broker of one node, running on threads of its own.
///
/// Dropping it ends it: connections are closed, files are given free, temporary data goes. What was
/// acknowledged stays in the data directory, but only [`stop`](Self::stop) closes the logs in order,
/// so that the next start need not verify them.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let broker = kafka_broker::Broker::builder().set("num.partitions", "3").start().await?;
/// println!("clients connect to {}", broker.bootstrap_servers());
/// broker.stop().await?;
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug)]
pub struct Broker {
    listener: Listener,
    other_listeners: Vec<Listener>,
    data_dir: PathBuf,
    switchboard: Arc<Switchboard>,
    control_port: Option<ControlPort>,
    running: Option<Running>,
}

/// The thread of a broker that has not ended.
#[derive(Debug)]
struct Running {
    commands: Commands,
    ended: mpsc::Receiver<()>,
    result: oneshot::Receiver<Result<(), BrokerError>>,
    thread: JoinHandle<()>,
}

/// What the broker's thread tells when it serves.
struct Started {
    listener: Listener,
    other_listeners: Vec<Listener>,
    data_dir: PathBuf,
}

impl Broker {
    /// What clients take for `bootstrap.servers`: the advertised `HOST:PORT`, that of the first listener if there
    /// are several.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        self.listener.bootstrap_servers()
    }

    /// Where the broker listens, with the first listener if there are several.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.listener.local_address()
    }

    /// All places where the broker is reached, in the order of the property `listeners`.
    pub fn listeners(&self) -> impl Iterator<Item = &Listener> {
        std::iter::once(&self.listener).chain(&self.other_listeners)
    }

    /// Where the data lies; of a broker in memory, a path that no file system has.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The number of the node.
    #[must_use]
    pub fn node_id(&self) -> i32 {
        // A broker of one node.
        self.switchboard.brokers.first().copied().unwrap_or(-1)
    }

    /// Where the control port listens, if one was asked for.
    #[must_use]
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control_port.as_ref().map(ControlPort::address)
    }

    /// Faults on demand, and the journal of requests, which begins with the first call.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.switchboard))
    }

    /// Ends the broker in order: what is under way is answered, all logs are made durable and closed. If the disk is
    /// slow the end waits for it, up to five minutes, and the log tells so every five seconds.
    ///
    /// *Cancel safety*: once polled, the broker stops even if the future is dropped.
    ///
    /// # Errors
    ///
    /// If a log cannot be closed; the next start then verifies it.
    pub async fn stop(mut self) -> Result<(), BrokerError> {
        let Some(running) = self.running.take() else {
            return Ok(());
        };
        // A broker that has ended by itself hears nothing, and has left its result.
        let _ = running.commands.send(Command::End(End::Stop));
        running.result.await.unwrap_or(Err(BrokerError::Ended))
    }

    /// Ends the broker as a `kill -9` would: nothing is closed, flushed or written down. What was
    /// written before stays, since the operating system has it.
    pub fn kill(mut self) {
        self.end(End::Kill);
    }

    pub(crate) async fn start(plan: Plan) -> Result<Self, BrokerError> {
        let (tell_started, started) = oneshot::channel();
        let (commands, told) = unbounded_channel();
        let (tell_ended, ended) = mpsc::channel();
        let (tell_result, result) = oneshot::channel();
        let brokers = vec![plan.config.node_id];
        let switchboard = Switchboard::new(brokers, api_subjects(), commands.clone());
        let control_port = match &plan.control_port {
            None => None,
            Some(address) => Some(open_control_port(address, &switchboard)?),
        };
        let of_thread = Arc::clone(&switchboard);
        let thread = std::thread::Builder::new()
            .name("kafka-broker".to_owned())
            .spawn(move || {
                let outcome = live(plan, of_thread, tell_started, told);
                let _ = tell_result.send(outcome);
                let _ = tell_ended.send(());
            })
            .map_err(|source| BrokerError::Runtime { source })?;
        let running = Running {
            commands,
            ended,
            result,
            thread,
        };
        match started.await {
            Ok(started) => Ok(Self {
                listener: started.listener,
                other_listeners: started.other_listeners,
                data_dir: started.data_dir,
                switchboard,
                control_port,
                running: Some(running),
            }),
            // The thread ends at once when it cannot begin, and says why.
            Err(_) => match running.result.await {
                Ok(Err(error)) => Err(error),
                _ => Err(BrokerError::Ended),
            },
        }
    }

    fn end(&mut self, how: End) {
        let Some(running) = self.running.take() else {
            return;
        };
        let _ = running.commands.send(Command::End(how));
        // A broker ends within milliseconds. One that hangs on a disk must not hang its owner.
        if running.ended.recv_timeout(END_WAIT) != Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = running.thread.join();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end(End::Kill);
    }
}

fn open_control_port(
    address: &str,
    switchboard: &Arc<Switchboard>,
) -> Result<ControlPort, BrokerError> {
    let control = Control::new(Arc::clone(switchboard));
    ControlPort::open(address, control).map_err(|source| BrokerError::Listen {
        address: address.to_owned(),
        source,
    })
}

/// What a broker's thread does: one life after the other, until it is told that there is no next one.
fn live(
    plan: Plan,
    switchboard: Arc<Switchboard>,
    tell_started: oneshot::Sender<Started>,
    mut told: UnboundedReceiver<Command>,
) -> Result<(), BrokerError> {
    let mut home = Home::of(plan, switchboard)?;
    // Who has dropped the broker without a word wants it killed.
    let mut end = home.live_once(&mut told, |started| tell_started.send(started).is_ok())?;
    loop {
        let (unsynced, done) = match end {
            Fate::Ended => return Ok(()),
            Fate::Down(unsynced, done) => (unsynced, done),
        };
        tracing::info!(?unsynced, "killed by a fault on demand");
        let lost = home.lose(unsynced);
        let _ = done.send(lost);
        end = loop {
            let Some(done) = lie_down(&mut told) else {
                return Ok(());
            };
            let mut done = Some(done);
            let tell = |started: Started| {
                tracing::info!(
                    "restarted by a fault on demand, at {}",
                    started.listener.local_address()
                );
                done.take().is_some_and(|done| done.send(Ok(())).is_ok())
            };
            match home.live_once(&mut told, tell) {
                Ok(end) => break end,
                Err(error) => {
                    let reason = error.to_string();
                    tracing::error!("the broker does not come back: {reason}");
                    if let Some(done) = done {
                        let _ = done.send(Err(ControlError::Start { reason }));
                    }
                }
            }
        };
    }
}

/// Waits, while the broker is down, for who wants it back; `None` if nobody will.
fn lie_down(told: &mut UnboundedReceiver<Command>) -> Option<Done> {
    loop {
        match told.blocking_recv()? {
            Command::End(_) => return None,
            Command::Restart(done) => return Some(done),
            Command::Kill(_, done) => {
                let _ = done.send(Err(ControlError::IsDown));
            }
            Command::TurnClock(_, _, done) => {
                let _ = done.send(Err(ControlError::IsDown));
            }
            // Who asked hears that nobody answers.
            Command::Measure(_) => {}
        }
    }
}

/// How a life ends.
enum Fate {
    /// There is no next one.
    Ended,
    /// The broker is down, and somebody waits to hear it.
    Down(Unsynced, Done),
}

/// What outlives a broker's lives.
struct Home {
    plan: Plan,
    config: Arc<BrokerConfig>,
    switchboard: Arc<Switchboard>,
    data_dir: PathBuf,
    disk: DataDisk,
    /// Removed at the end.
    _temporary: Option<TempDir>,
}

/// The disk that the data lies on.
#[derive(Clone)]
enum DataDisk {
    Os(OsDisk),
    Memory(MemoryDisk),
}

impl Home {
    fn of(plan: Plan, switchboard: Arc<Switchboard>) -> Result<Self, BrokerError> {
        let (data_dir, disk, temporary) = match &plan.data {
            Data::Directory(path) => (path.clone(), DataDisk::Os(OsDisk::new()), None),
            Data::Temporary => {
                let dir = TempDir::with_prefix("kafka-broker-")
                    .map_err(|source| BrokerError::TemporaryDirectory { source })?;
                let disk = DataDisk::Os(OsDisk::for_temporary_data());
                (dir.path().to_owned(), disk, Some(dir))
            }
            Data::Memory => {
                let disk = plan.memory.clone().unwrap_or_else(MemoryDisk::journaled);
                let disk = DataDisk::Memory(disk);
                (PathBuf::from(MEMORY_DIR), disk, None)
            }
        };
        Ok(Self {
            config: Arc::new(plan.config.clone()),
            plan,
            switchboard,
            data_dir,
            disk,
            _temporary: temporary,
        })
    }

    /// Lets go of what a kill leaves.
    fn lose(&mut self, unsynced: Unsynced) -> Result<(), ControlError> {
        match (unsynced, &self.disk) {
            (Unsynced::Kept, DataDisk::Os(_)) => Ok(()),
            // Locks that were held are not held by the next life.
            (Unsynced::Kept, DataDisk::Memory(disk)) => {
                self.disk = DataDisk::Memory(disk.crash(disk.event_count(), Keep::All));
                Ok(())
            }
            (Unsynced::Lost, DataDisk::Memory(disk)) => {
                self.disk = DataDisk::Memory(disk.crash(disk.event_count(), Keep::Synced));
                Ok(())
            }
            (Unsynced::Lost, DataDisk::Os(_)) => Err(ControlError::KeepsUnsynced),
        }
    }

    /// Lives on threads that are all gone afterwards.
    fn live_once(
        &mut self,
        told: &mut UnboundedReceiver<Command>,
        tell_started: impl FnOnce(Started) -> bool,
    ) -> Result<Fate, BrokerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.plan.worker_threads)
            .max_blocking_threads(threads_max(self.plan.worker_threads))
            .thread_name("kafka-broker-io")
            .enable_all()
            .build()
            .map_err(|source| BrokerError::Runtime { source })?;
        self.serve(runtime, told, tell_started)
    }

    fn serve(
        &mut self,
        runtime: Runtime,
        told: &mut UnboundedReceiver<Command>,
        tell_started: impl FnOnce(Started) -> bool,
    ) -> Result<Fate, BrokerError> {
        let clock = Clock::start();
        // First the port: a broker that cannot be reached should leave the data alone.
        let mut sockets = Vec::new();
        let mut listeners = Vec::new();
        for planned in &mut self.plan.listeners {
            let (socket, listener) = runtime.block_on(Listener::open(planned))?;
            sockets.push(socket);
            listeners.push(listener);
        }
        let mut listeners = listeners.into_iter();
        let listener = listeners.next().ok_or(BrokerError::Ended)?;
        let disk: Arc<dyn Disk> = match self.disk.clone() {
            DataDisk::Os(disk) => Arc::new(disk),
            DataDisk::Memory(disk) => Arc::new(disk),
        };
        let emulated = self.plan.emulated;
        let config = Arc::clone(&self.config);
        let workers = self.plan.worker_threads;
        let (node, catalog) = open(config, emulated, workers, &self.data_dir, disk, clock)?;
        let started = Started {
            listener,
            other_listeners: listeners.collect(),
            data_dir: self.data_dir.clone(),
        };

        let cleaner = Cleaner::start(Arc::clone(&catalog), clock)
            .map_err(|source| BrokerError::Runtime { source })?;
        let (tell_stop, stop) = watch::channel(false);
        let loses = matches!(self.disk, DataDisk::Memory(_));
        let switchboard = Arc::clone(&self.switchboard);
        let how = runtime.block_on(async {
            let threads = Threads::new(workers);
            let served = Arc::clone(&node);
            let server = server::run(served, clock, switchboard, sockets, threads, stop);
            let end = async {
                self.switchboard.set_up(true);
                let how = if tell_started(started) {
                    until_told(told, &node, clock, loses).await
                } else {
                    Told::End(End::Kill)
                };
                self.switchboard.set_up(false);
                // What waits for its turn would have it after the end.
                node.unpackers.end();
                let _ = tell_stop.send(true);
                how
            };
            tokio::join!(server, end).1
        });
        drop(cleaner);
        // What waits for the disk ends first: it still holds what is closed now.
        match how {
            Told::Kill(unsynced, done) => {
                runtime.shutdown_timeout(END_WAIT);
                Ok(Fate::Down(unsynced, done))
            }
            Told::End(End::Kill) => {
                runtime.shutdown_timeout(END_WAIT);
                Ok(Fate::Ended)
            }
            Told::End(End::Stop) => {
                drop(node);
                wait_for_disk(runtime);
                self.close(catalog, clock).map(|()| Fate::Ended)
            }
        }
    }

    /// Closes all logs in order.
    fn close(&self, catalog: Arc<Catalog>, clock: Clock) -> Result<(), BrokerError> {
        let failed = |source| BrokerError::DataDirectory {
            path: self.data_dir.clone(),
            source,
        };
        match Arc::try_unwrap(catalog) {
            Ok(catalog) => catalog.close(clock.now()).map_err(failed),
            Err(_) => Err(BrokerError::DiskBusy {
                path: self.data_dir.clone(),
                waited: DISK_WAIT,
            }),
        }
    }
}

/// Lets what was begun on the disk come to its end: a sync of many files may take a while, and the logs cannot be closed
/// before. Says what it waits for.
fn wait_for_disk(runtime: Runtime) {
    let began = Instant::now();
    let (ended, is_ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let say = std::thread::Builder::new().name("kafka-broker-end".to_owned());
        // Without a thread the end is as good, and silent.
        let _ = say.spawn_scoped(scope, move || {
            let mut has_said = false;
            while is_ended.recv_timeout(END_WAIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let waited = began.elapsed().as_secs();
                let most = DISK_WAIT.as_secs();
                tracing::warn!(
                    "the end waits for the disk, for {waited} s now: a write or sync that was begun before is \
                     under way; after {most} s the logs stay as they are"
                );
                has_said = true;
            }
            if has_said {
                tracing::info!("the end has waited {:?} for the disk", began.elapsed());
            }
        });
        runtime.shutdown_timeout(DISK_WAIT);
        drop(ended);
    });
}

/// What a broker that serves was told.
enum Told {
    End(End),
    Kill(Unsynced, Done),
}

/// Waits for a command that ends this life.
async fn until_told(
    told: &mut UnboundedReceiver<Command>,
    node: &Node,
    clock: Clock,
    loses: bool,
) -> Told {
    loop {
        match told.recv().await {
            None => return Told::End(End::Kill),
            Some(Command::End(how)) => return Told::End(how),
            Some(Command::Kill(Unsynced::Lost, done)) if !loses => {
                let _ = done.send(Err(ControlError::KeepsUnsynced));
            }
            Some(Command::Kill(unsynced, done)) => return Told::Kill(unsynced, done),
            Some(Command::Restart(done)) => {
                let _ = done.send(Err(ControlError::IsUp));
            }
            Some(Command::TurnClock(group, turn, done)) => {
                let table = node.topics().table();
                let exists = node.groups.turn_clock(clock.now(), &group, turn, &*table);
                let _ = done.send(Ok(exists));
            }
            Some(Command::Measure(told)) => {
                let mut figures = Figures::default();
                figures.measure(node);
                let _ = told.send(figures);
            }
        }
    }
}

/// Opens what lies in the data directory.
fn open(
    config: Arc<BrokerConfig>,
    emulated: Option<Release>,
    workers: usize,
    data_dir: &Path,
    disk: Arc<dyn Disk>,
    clock: Clock,
) -> Result<(Arc<Node>, Arc<Catalog>), BrokerError> {
    let path = || data_dir.to_owned();
    let owner = LogDirOwner {
        cluster_id: None,
        node_id: config.node_id,
        new_directory_id: Uuid(random()),
        new_cluster_id: Uuid(random()),
    };
    let dir =
        LogDir::open(disk, data_dir, &owner).map_err(|source| BrokerError::DataDirectory {
            path: path(),
            source,
        })?;
    let was_clean = dir.was_clean();
    let began = Instant::now();
    let now = clock.now();
    let catalog =
        Catalog::open(Arc::clone(&config), dir, random, now).map_err(|error| match error {
            CatalogError::Log(source) => BrokerError::DataDirectory {
                path: path(),
                source,
            },
            CatalogError::Metadata(error) => BrokerError::Records {
                path: path(),
                reason: error.to_string(),
            },
        })?;
    let topics = catalog.topics.table().iter().count();
    match was_clean || topics == 0 {
        true => tracing::info!(topics, "the data lies in {}", data_dir.display()),
        false => tracing::info!(
            topics,
            took = ?began.elapsed(),
            "the data lies in {}; its logs were verified, since the last end was not in order",
            data_dir.display()
        ),
    }
    let catalog = Arc::new(catalog);
    let node = Node::new(
        config,
        Arc::clone(&catalog),
        served_apis(emulated),
        emulated.is_none_or(Release::has_features),
        workers,
        random,
        now,
    )
    .map_err(|error| BrokerError::Records {
        path: path(),
        reason: error.to_string(),
    })?;
    Ok((Arc::new(node), catalog))
}

/// Sixteen bytes from the system. Without any, ids are no longer unique, and nothing else matters.
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system gives no randomness");
        std::process::abort();
    }
    bytes
}

/// Where the data lies on the disk in memory.
const MEMORY_DIR: &str = "/memory";

/// How long an owner waits for its broker to end.
const END_WAIT: Duration = Duration::from_secs(5);

/// How long the end waits for the disk, if it is to be one in order.
const DISK_WAIT: Duration = Duration::from_secs(300);
