//! The embedded broker as a cluster for stories.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kafka_broker::{Broker, BrokerBuilder, BrokerError};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::stories::{Cluster, Power, Switching};

/// A broker of this process that can be stopped and brought back.
pub(crate) struct Embedded {
    broker: Mutex<Option<Broker>>,
    address: String,
    data_dir: TempDir,
}

impl Embedded {
    /// Starts one over temporary data.
    pub(crate) fn start() -> Arc<dyn Cluster> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let data_dir = TempDir::with_prefix("kafka-stories-").unwrap();
            let broker = at_a_quiet_port(|address| builder(address, &data_dir)).await;
            let embedded = Self {
                address: broker.bootstrap_servers().to_owned(),
                broker: Mutex::new(Some(broker)),
                data_dir,
            };
            Arc::new(embedded) as Arc<dyn Cluster>
        })
    }

    async fn take(&self) -> Broker {
        let broker = self.broker.lock().await.take();
        broker.expect("the broker runs")
    }
}

impl Cluster for Embedded {
    fn bootstrap_servers(&self) -> String {
        self.address.clone()
    }

    fn session_timeout_min(&self) -> Duration {
        SESSION_TIMEOUT_MIN
    }

    fn power(&self) -> Option<&dyn Power> {
        Some(self)
    }
}

impl Power for Embedded {
    fn stop(&self) -> Switching<'_> {
        Box::pin(async { self.take().await.stop().await.unwrap() })
    }

    fn kill(&self) -> Switching<'_> {
        Box::pin(async { self.take().await.kill() })
    }

    fn start(&self) -> Switching<'_> {
        Box::pin(async {
            let broker = builder(&self.address, &self.data_dir)
                .start()
                .await
                .unwrap();
            *self.broker.lock().await = Some(broker);
        })
    }
}

/// Starts a broker at a port that nobody gets by chance: between two lives of a broker, its port must not go to
/// an outgoing connection, and those take the ports from 32768 on.
pub(crate) async fn at_a_quiet_port(builder: impl Fn(&str) -> BrokerBuilder) -> Broker {
    let first = std::process::id() % 10_000;
    loop {
        // Each is tried once in this process, so that no broker takes the port of one that is off for a moment.
        let next = first + PORTS_TRIED.fetch_add(1, Ordering::Relaxed);
        let port = QUIET_PORTS.start + next % (QUIET_PORTS.end - QUIET_PORTS.start);
        match builder(&format!("127.0.0.1:{port}")).start().await {
            Err(BrokerError::Listen { .. }) => {}
            broker => return broker.unwrap(),
        }
    }
}

fn builder(address: &str, data_dir: &TempDir) -> BrokerBuilder {
    let session_timeout_min = SESSION_TIMEOUT_MIN.as_millis().to_string();
    Broker::builder()
        .listen(address)
        .data_dir(data_dir.path())
        .set("group.min.session.timeout.ms", session_timeout_min)
}

const QUIET_PORTS: std::ops::Range<u32> = 15_000..32_000;

static PORTS_TRIED: AtomicU32 = AtomicU32::new(0);

/// Short, so that a dead member is missed soon.
const SESSION_TIMEOUT_MIN: Duration = Duration::from_millis(1_500);
