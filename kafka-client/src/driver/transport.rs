//! From an address to a pair of byte streams.
//!
//! Plain TCP today. TLS and anything else is one more way to make the two halves of a [`Transport`];
//! nothing above knows the difference.

use std::net::SocketAddr;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::driver::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::time::{Duration, Instant};

/// Both directions of a connection to a broker.
pub(crate) struct Transport {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// A silent peer is probed after this time, so that a vanished host is noticed on an idle connection.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// Connects to `host:port`: resolves the name anew and tries each address in turn, sharing the time until
/// `deadline` among those that are left.
///
/// # Errors
///
/// [`ErrorKind::Connect`], naming the address and the last reason.
pub(crate) async fn connect(host: &str, port: u16, deadline: Instant) -> Result<Transport> {
    let address = format!("{host}:{port}");
    let failed = |detail: String| Error::new(ErrorKind::Connect, detail).with_broker(&*address);
    let resolved = clock::before(deadline, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<SocketAddr> = match resolved {
        Some(Ok(addresses)) => addresses.collect(),
        Some(Err(error)) => {
            return Err(failed("the name does not resolve".into()).with_source(error));
        }
        None => return Err(failed("the name did not resolve in time".into())),
    };
    let mut last = failed("the name resolves to no address".into());
    let count = addresses.len();
    for (tried, address) in addresses.into_iter().enumerate() {
        let left = deadline.saturating_since(clock::now());
        let share = left / u32::try_from(count - tried).unwrap_or(u32::MAX);
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(plain(stream)),
            Ok(Err(error)) => last = failed("cannot connect".into()).with_source(error),
            Err(_) => last = failed(format!("no answer from {address} within {share:.1?}")),
        }
    }
    Err(last)
}

fn plain(stream: TcpStream) -> Transport {
    // Neither is needed for the connection to work; a system that refuses them still gets one.
    let _slower = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
    let _less_watchful = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    let (reader, writer) = stream.into_split();
    Transport {
        reader: Box::new(reader),
        writer: Box::new(writer),
    }
}
