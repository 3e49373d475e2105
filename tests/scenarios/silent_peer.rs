//! Peers that are no brokers: one that accepts and stays silent, one that says something else.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A listener that takes connections and never answers.
pub(crate) struct SilentPeer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl SilentPeer {
    pub(crate) async fn new() -> Self {
        Self::answering(None).await
    }

    /// One that gives this answer to whatever is said, and closes.
    pub(crate) async fn that_says(answer: &'static [u8]) -> Self {
        Self::answering(Some(answer)).await
    }

    async fn answering(answer: Option<&'static [u8]>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(answer) = answer else {
                    kept.push(stream);
                    continue;
                };
                tokio::spawn(async move {
                    let _heard = stream.read(&mut [0; 1024]).await;
                    let _said = stream.write_all(answer).await;
                });
            }
        });
        Self { address, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SilentPeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
