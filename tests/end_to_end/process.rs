//! The embedded broker in a process of its own, which can be killed as processes are.
//!
//! This very program is that process when it is started with [`SERVE`].

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::embedded::{SESSION_TIMEOUT_MIN, builder, quiet_address};
use crate::stories::{Cluster, Power, Switching};

/// A broker process that can be stopped, killed and brought back.
pub(crate) struct BrokerProcess {
    child: Mutex<Option<Child>>,
    address: String,
    data_dir: TempDir,
}

impl BrokerProcess {
    /// Starts one over temporary data.
    pub(crate) fn start() -> Arc<dyn Cluster> {
        let data_dir = TempDir::with_prefix("kafka-stories-").unwrap();
        let (address, child) = loop {
            let address = quiet_address();
            if let Some(child) = spawn(&address, data_dir.path()) {
                break (address, child);
            }
        };
        Arc::new(Self {
            child: Mutex::new(Some(child)),
            address,
            data_dir,
        })
    }

    async fn take(&self) -> Child {
        let child = self.child.lock().await.take();
        child.expect("the broker runs")
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        if let Some(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Cluster for BrokerProcess {
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

impl Power for BrokerProcess {
    fn stop(&self) -> Switching<'_> {
        Box::pin(async {
            let mut child = self.take().await;
            // The end of its input is its sign to stop.
            drop(child.stdin.take());
            let status = tokio::task::spawn_blocking(move || child.wait()).await;
            let status = status.unwrap().unwrap();
            assert!(status.success(), "the broker ended with {status}");
        })
    }

    fn kill(&self) -> Switching<'_> {
        Box::pin(async {
            let mut child = self.take().await;
            child.kill().unwrap();
            child.wait().unwrap();
        })
    }

    fn start(&self) -> Switching<'_> {
        Box::pin(async {
            let (address, data_dir) = (self.address.clone(), self.data_dir.path().to_owned());
            let child = tokio::task::spawn_blocking(move || spawn(&address, &data_dir)).await;
            *self.child.lock().await = Some(child.unwrap().expect("the broker comes back"));
        })
    }
}

/// Starts the process, and waits until it serves; `None` if it ends before.
fn spawn(address: &str, data_dir: &Path) -> Option<Child> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([SERVE, address])
        .arg(data_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).unwrap();
    if line.trim() == SERVES {
        return Some(child);
    }
    child.wait().unwrap();
    None
}

/// What this program does when it is started as a broker: serves until its input ends.
pub(crate) fn serve(arguments: &[String]) -> ExitCode {
    let [address, data_dir] = arguments else {
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let broker = match builder(address, data_dir.as_ref()).start().await {
            Ok(broker) => broker,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        #[expect(
            clippy::print_stdout,
            reason = "the line that tells that the broker serves"
        )]
        {
            println!("{SERVES}");
        }
        let _end = std::io::stdin().read_to_end(&mut Vec::new());
        broker.stop().await.unwrap();
        ExitCode::SUCCESS
    })
}

/// The argument that makes this program a broker.
pub(crate) const SERVE: &str = "serve-as-a-broker";

const SERVES: &str = "serving";
