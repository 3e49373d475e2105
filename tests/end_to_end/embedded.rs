//! The embedded broker as a cluster for stories.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kafka_broker::control::Control;
use kafka_broker::{Broker, BrokerBuilder, BrokerError};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::stories::{Cluster, Power, Switching};

/// A broker of this process that can be stopped and brought back.
pub(crate) struct Embedded {
    broker: Mutex<Option<Broker>>,
    address: String,
    data_dir: TempDir,
    /// Of one whose data is in memory alone: who asks for it has every request looked at.
    control: Option<Control>,
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
            let broker = loop {
                match builder(&quiet_address(), data_dir.path()).start().await {
                    Err(BrokerError::Listen { .. }) => {}
                    broker => break broker.unwrap(),
                }
            };
            let embedded = Self {
                address: broker.bootstrap_servers().to_owned(),
                broker: Mutex::new(Some(broker)),
                data_dir,
                control: None,
            };
            Arc::new(embedded) as Arc<dyn Cluster>
        })
    }

    /// Starts one whose data is in memory, where it can be lost.
    pub(crate) fn in_memory() -> Arc<dyn Cluster> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let broker = with_short_sessions().in_memory().start().await.unwrap();
            let embedded = Self {
                address: broker.bootstrap_servers().to_owned(),
                control: Some(broker.control()),
                broker: Mutex::new(Some(broker)),
                data_dir: TempDir::with_prefix("kafka-stories-").unwrap(),
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

    fn control(&self) -> Option<Control> {
        self.control.clone()
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
            let broker = builder(&self.address, self.data_dir.path())
                .start()
                .await
                .unwrap();
            *self.broker.lock().await = Some(broker);
        })
    }
}

/// How the brokers of stories are set up.
pub(crate) fn builder(address: &str, data_dir: &Path) -> BrokerBuilder {
    with_short_sessions().listen(address).data_dir(data_dir)
}

fn with_short_sessions() -> BrokerBuilder {
    let session_timeout_min = SESSION_TIMEOUT_MIN.as_millis().to_string();
    Broker::builder().set("group.min.session.timeout.ms", session_timeout_min)
}

/// An address that nobody gets by chance: between two lives of a broker, its port must not go to an outgoing
/// connection, and those take the ports from 32768 on; nor to another broker of this process.
pub(crate) fn quiet_address() -> String {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let next = std::process::id() + TRIED.fetch_add(1, Ordering::Relaxed);
    let port = QUIET_PORTS.start + next % (QUIET_PORTS.end - QUIET_PORTS.start);
    format!("127.0.0.1:{port}")
}

const QUIET_PORTS: std::ops::Range<u32> = 15_000..32_000;

/// Short, so that a dead member is missed soon.
pub(crate) const SESSION_TIMEOUT_MIN: Duration = Duration::from_millis(1_500);
