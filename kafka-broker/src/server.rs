//! The broker on the network: accepts connections, serves them, and keeps the state's clocks.
//!
//! The only floor that names tokio. Every task that is begun is waited for at the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::control::switchboard::Switchboard;
use crate::handler::call::Peer;
use crate::server::addresses::Addresses;
use crate::server::clock::Clock;
use crate::server::connection::{Shared, serve};
use crate::server::listeners::{Listener, Listeners};
use crate::server::threads::Threads;
use crate::state::node::Node;

pub(crate) mod addresses;
pub(crate) mod cleaner;
pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod interference;
pub(crate) mod listeners;
pub(crate) mod output;
pub(crate) mod sink;
pub(crate) mod threads;
pub(crate) mod timers;

/// Serves until `stop` says so, then waits for what is under way.
pub(crate) async fn run(
    node: Arc<Node>,
    clock: Clock,
    switchboard: Arc<Switchboard>,
    listeners: Vec<Listener>,
    threads: Threads,
    mut stop: watch::Receiver<bool>,
) {
    let config = &node.config;
    let shared = Arc::new(Shared {
        node: Arc::clone(&node),
        clock,
        switchboard,
        threads,
        request_max_bytes: config.request_max_bytes,
        idle_max: config.idle_max,
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(timers::turn_groups(Arc::clone(&node), clock));
    tasks.spawn(timers::turn_transactions(Arc::clone(&node), clock));
    tasks.spawn(timers::expire_offsets(Arc::clone(&node), clock));
    tasks.spawn(timers::expire_transactional_ids(Arc::clone(&node), clock));
    tasks.spawn(timers::keep_house(Arc::clone(&node), clock));
    tasks.spawn(timers::flush(Arc::clone(&node), clock));

    let mut connections = JoinSet::new();
    let stop_of_connections = stop.clone();
    let addresses = Addresses::default();
    let live = &node.catalog().live;
    let mut listeners = Listeners::new(listeners);
    loop {
        tokio::select! {
            accepted = listeners.accept() => match accepted {
                Ok((stream, address, endpoint)) if connections.len() < live.get().connections_max => {
                    let per_ip_max = live.get().connections_per_ip_max;
                    let Some(seat) = addresses.take(address.ip(), per_ip_max) else {
                        tracing::warn!(%address, "refused: max.connections.per.ip are there");
                        continue;
                    };
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%address, %error, "cannot set TCP_NODELAY");
                    }
                    let stop = stop_of_connections.clone();
                    let peer = Peer::new(address.ip(), endpoint);
                    let serving = serve(Arc::clone(&shared), stream, peer, address, stop);
                    connections.spawn(async move {
                        serving.await;
                        drop(seat);
                    });
                }
                Ok((_, address, _)) => {
                    tracing::warn!(%address, "refused: max.connections are there");
                }
                Err(error) => {
                    // Out of file descriptors, mostly: they come back as connections end.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    drop(listeners);
    let farewell = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        connections.shutdown().await;
    }
    tasks.shutdown().await;
}

/// How long the last answers may take at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long nobody is accepted after a failure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
