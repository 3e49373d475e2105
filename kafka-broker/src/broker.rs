//! A running broker: its threads, its beginning and its end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use kafka_protocol::Uuid;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use crate::config::broker::BrokerConfig;
use crate::control::Control;
use crate::control::switchboard::Switchboard;
use crate::error::BrokerError;
use crate::handler::registry::{api_subjects, served_apis};
use crate::log::{LogDir, LogDirOwner, LogError, OsDisk};
use crate::plan::{Plan, host_and_port};
use crate::server::{self, cleaner::Cleaner, clock::Clock};
use crate::state::catalog::{Catalog, CatalogError};
use crate::state::node::{Endpoint, Node};

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
    bootstrap_servers: String,
    local_address: SocketAddr,
    data_dir: PathBuf,
    switchboard: Arc<Switchboard>,
    running: Option<Running>,
}

/// The thread of a broker that has not ended.
#[derive(Debug)]
struct Running {
    end: oneshot::Sender<End>,
    ended: mpsc::Receiver<()>,
    result: oneshot::Receiver<Result<(), BrokerError>>,
    thread: JoinHandle<()>,
}

/// How a broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All logs are closed in order.
    Stop,
    /// Everything is let go as it stands.
    Kill,
}

/// What the broker's thread tells when it serves.
struct Started {
    local_address: SocketAddr,
    bootstrap_servers: String,
    data_dir: PathBuf,
}

impl Broker {
    /// What clients take for `bootstrap.servers`: the advertised `HOST:PORT`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Where the broker listens.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Where the data lies.
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

    /// Faults on demand, and the journal of requests, which begins with the first call.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.switchboard))
    }

    /// Ends the broker in order: what is under way is answered, all logs are made durable and closed.
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
        let _ = running.end.send(End::Stop);
        running.result.await.unwrap_or(Err(BrokerError::Ended))
    }

    /// Ends the broker as a `kill -9` would: nothing is closed, flushed or written down. What was
    /// written before stays, since the operating system has it.
    pub fn kill(mut self) {
        self.end(End::Kill);
    }

    pub(crate) async fn start(plan: Plan) -> Result<Self, BrokerError> {
        let (tell_started, started) = oneshot::channel();
        let (end, told_to_end) = oneshot::channel();
        let (tell_ended, ended) = mpsc::channel();
        let (tell_result, result) = oneshot::channel();
        let switchboard = Switchboard::new(vec![plan.config.node_id], api_subjects());
        let of_thread = Arc::clone(&switchboard);
        let thread = std::thread::Builder::new()
            .name("kafka-broker".to_owned())
            .spawn(move || {
                let outcome = live(plan, of_thread, tell_started, told_to_end);
                let _ = tell_result.send(outcome);
                let _ = tell_ended.send(());
            })
            .map_err(|source| BrokerError::Runtime { source })?;
        let running = Running {
            end,
            ended,
            result,
            thread,
        };
        match started.await {
            Ok(started) => Ok(Self {
                bootstrap_servers: started.bootstrap_servers,
                local_address: started.local_address,
                data_dir: started.data_dir,
                switchboard,
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
        let _ = running.end.send(how);
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

/// A broker's whole life, on its own thread.
fn live(
    plan: Plan,
    switchboard: Arc<Switchboard>,
    tell_started: oneshot::Sender<Started>,
    told_to_end: oneshot::Receiver<End>,
) -> Result<(), BrokerError> {
    let temporary = match plan.data_dir {
        Some(_) => None,
        None => Some(
            TempDir::with_prefix("kafka-broker-")
                .map_err(|source| BrokerError::TemporaryDirectory { source })?,
        ),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(plan.worker_threads)
        .thread_name("kafka-broker-io")
        .enable_all()
        .build()
        .map_err(|source| BrokerError::Runtime { source })?;
    let (data_dir, disk) = match &temporary {
        Some(dir) => (dir.path().to_owned(), OsDisk::for_temporary_data()),
        None => (plan.data_dir.clone().unwrap_or_default(), OsDisk::new()),
    };
    let result = serve(
        &runtime,
        plan,
        switchboard,
        data_dir,
        disk,
        tell_started,
        told_to_end,
    );
    runtime.shutdown_timeout(END_WAIT);
    result
}

fn serve(
    runtime: &Runtime,
    plan: Plan,
    switchboard: Arc<Switchboard>,
    data_dir: PathBuf,
    disk: OsDisk,
    tell_started: oneshot::Sender<Started>,
    told_to_end: oneshot::Receiver<End>,
) -> Result<(), BrokerError> {
    let clock = Clock::start();
    // First the port: a broker that cannot be reached should leave the data alone.
    let listener = runtime
        .block_on(TcpListener::bind(&plan.listen))
        .map_err(|source| BrokerError::Listen {
            address: plan.listen.clone(),
            source,
        })?;
    let local_address = listener
        .local_addr()
        .map_err(|source| BrokerError::Listen {
            address: plan.listen.clone(),
            source,
        })?;
    let (host, port) = plan.advertise.unwrap_or_else(|| {
        (
            advertised_host(&plan.listen, local_address),
            local_address.port(),
        )
    });
    let (node, catalog) = open(Arc::new(plan.config), &data_dir, disk, clock)?;
    let bootstrap_servers = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    node.set_endpoint(Endpoint {
        host: host.into(),
        port,
    });
    let started = Started {
        local_address,
        bootstrap_servers,
        data_dir: data_dir.clone(),
    };

    let backoff = node.config.cleaner_backoff;
    let cleaner = Cleaner::start(Arc::clone(&catalog), clock, backoff)
        .map_err(|source| BrokerError::Runtime { source })?;
    let (tell_stop, stop) = watch::channel(false);
    let how = runtime.block_on(async {
        let server = server::run(Arc::clone(&node), clock, switchboard, listener, stop);
        let end = async {
            // Who has dropped the broker without a word wants it killed.
            let how = if tell_started.send(started).is_ok() {
                told_to_end.await.unwrap_or(End::Kill)
            } else {
                End::Kill
            };
            let _ = tell_stop.send(true);
            how
        };
        tokio::join!(server, end).1
    });
    drop(cleaner);
    drop(node);
    if how == End::Kill {
        return Ok(());
    }
    let failed = |source| BrokerError::DataDirectory {
        path: data_dir.clone(),
        source,
    };
    match Arc::try_unwrap(catalog) {
        Ok(catalog) => catalog.close(clock.now()).map_err(failed),
        Err(_) => {
            let cause = "a request is still under way".to_owned();
            Err(failed(LogError::Offline { cause }))
        }
    }
}

/// Opens what lies in the data directory.
fn open(
    config: Arc<BrokerConfig>,
    data_dir: &Path,
    disk: OsDisk,
    clock: Clock,
) -> Result<(Arc<Node>, Arc<Catalog>), BrokerError> {
    let path = || data_dir.to_owned();
    let owner = LogDirOwner {
        cluster_id: None,
        node_id: config.node_id,
        new_directory_id: Uuid(random()),
        new_cluster_id: Uuid(random()),
    };
    let dir = LogDir::open(Arc::new(disk), data_dir, &owner).map_err(|source| {
        BrokerError::DataDirectory {
            path: path(),
            source,
        }
    })?;
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
    let catalog = Arc::new(catalog);
    let node =
        Node::new(config, Arc::clone(&catalog), served_apis(), random, now).map_err(|error| {
            BrokerError::Records {
                path: path(),
                reason: error.to_string(),
            }
        })?;
    Ok((Arc::new(node), catalog))
}

/// The host that clients are told: the one that was named, unless it stands for all addresses.
fn advertised_host(listen: &str, local: SocketAddr) -> String {
    if local.ip().is_unspecified() {
        return "localhost".to_owned();
    }
    match host_and_port(listen) {
        Some((host, _)) => host,
        None => local.ip().to_string(),
    }
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

/// How long an owner waits for its broker to end.
const END_WAIT: Duration = Duration::from_secs(5);
