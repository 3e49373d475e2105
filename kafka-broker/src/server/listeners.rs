//! The sockets that a broker listens at.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};

use crate::handler::call::Endpoint;

/// A socket, and what clients that come by it are told.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) endpoint: Arc<Endpoint>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Listeners {
    all: Vec<Listener>,
    /// Who is asked first: the one behind the last that had a client, so that none keeps the others waiting.
    first: usize,
}

impl Listeners {
    pub(crate) fn new(all: Vec<Listener>) -> Self {
        Self { all, first: 0 }
    }

    /// The next client, and the endpoint that it knows.
    ///
    /// *Cancel safety*: no client is lost.
    pub(crate) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr, Arc<Endpoint>)> {
        poll_fn(|context| {
            let count = self.all.len();
            for at in (self.first..count).chain(0..self.first.min(count)) {
                let Some(listener) = self.all.get(at) else {
                    continue;
                };
                if let Poll::Ready(accepted) = listener.socket.poll_accept(context) {
                    self.first = at + 1;
                    let endpoint = Arc::clone(&listener.endpoint);
                    return Poll::Ready(accepted.map(|(stream, from)| (stream, from, endpoint)));
                }
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[tokio::test]
    async fn every_listener_has_its_turn() {
        let mut all = Vec::new();
        let mut waiting = Vec::new();
        for port in 1..=3 {
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            for _ in 0..4 {
                let address = socket.local_addr().unwrap();
                waiting.push(TcpStream::connect(address).await.unwrap());
            }
            let endpoint = Arc::new(Endpoint {
                host: "h".into(),
                port,
            });
            all.push(Listener { socket, endpoint });
        }
        let mut listeners = Listeners::new(all);
        let mut turns = BTreeMap::<u16, i32>::new();
        for round in 1..=4 {
            for _ in 0..3 {
                let (_, _, endpoint) = listeners.accept().await.unwrap();
                *turns.entry(endpoint.port).or_default() += 1;
            }
            assert_eq!(turns, BTreeMap::from([(1, round), (2, round), (3, round)]));
        }
    }
}
