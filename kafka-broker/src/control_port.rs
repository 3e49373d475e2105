//! The control of a broker for users of other languages, by HTTP and JSON: rules, the journal, kill and restart,
//! stalls, and figures for Prometheus.
//!
//! It has a thread of its own, so that it answers while the broker is down. Whoever reaches it may do anything
//! to the broker: that it listens at an address that others reach is said aloud, and web pages are refused.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::control::Control;
use crate::control_port::routes::answer;

mod figures;
mod reply;
mod routes;
mod rule_json;

/// A control port that is open until it is dropped.
#[derive(Debug)]
pub(crate) struct ControlPort {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ControlPort {
    /// Listens at an address.
    pub(crate) fn open(address: &str, control: Control) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "whoever reaches the control port may do anything to the broker");
        }
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("kafka-broker-control".to_owned())
            .spawn(move || runtime.block_on(serve(listener, control, stopped)))?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ControlPort {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Its tasks are aborted at once, and none of them blocks.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    control: Control,
    mut stopped: oneshot::Receiver<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the control port is not open"),
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                    connections.spawn(talk(stream, control.clone()));
                }
                Ok((_, address)) => tracing::warn!(%address, "the control port is busy"),
                Err(error) => {
                    tracing::warn!(%error, "the control port cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = &mut stopped => break,
        }
    }
    connections.shutdown().await;
}

/// Serves one connection, for a while.
async fn talk(stream: TcpStream, control: Control) {
    let service = service_fn(move |request: Request<Incoming>| {
        let control = control.clone();
        async move { Ok::<Response<Full<Bytes>>, Infallible>(answer(request, &control).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_MAX, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection of the control port ended"),
    }
}

const CONNECTIONS_MAX: usize = 64;
const CONNECTION_MAX: Duration = Duration::from_secs(600);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the head of a request may take.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// How large the head of a request may be.
const HEAD_MAX: usize = 16 * 1024;
