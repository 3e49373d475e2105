//! A place where a running broker is reached.

use std::net::SocketAddr;
use std::sync::Arc;

use bytestring::ByteString;
use tokio::net::TcpListener;

use crate::error::BrokerError;
use crate::handler::call::Endpoint;
use crate::plan::address::host_and_port;
use crate::plan::listeners::PlannedListener;
use crate::server::listeners;

/// One of the places where a broker is reached: see `listeners` among the properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    name: String,
    local_address: SocketAddr,
    bootstrap_servers: String,
}

impl Listener {
    /// The name, in capitals; `PLAINTEXT` if the properties name none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the broker listens.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// What clients that come this way take for `bootstrap.servers`: the advertised `HOST:PORT`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Listens where the plan says; and lets the plan say from then on what has come of it, so that a later life of
    /// the broker listens in the same place.
    pub(super) async fn open(
        planned: &mut PlannedListener,
    ) -> Result<(listeners::Listener, Self), BrokerError> {
        let deaf = |source| BrokerError::Listen {
            address: planned.listen.clone(),
            source,
        };
        let socket = TcpListener::bind(&planned.listen).await.map_err(deaf)?;
        let local_address = socket.local_addr().map_err(deaf)?;
        let host = || advertised_host(&planned.listen, local_address);
        let (host, port) = match planned.advertise.clone() {
            Some(advertise) => advertise,
            None => (host(), local_address.port()),
        };
        planned.listen = local_address.to_string();
        planned.advertise = Some((host.clone(), port));
        let listener = Self {
            name: planned.name.clone(),
            local_address,
            bootstrap_servers: match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            },
        };
        let endpoint = Arc::new(Endpoint {
            host: ByteString::from(host),
            port,
        });
        Ok((listeners::Listener { socket, endpoint }, listener))
    }
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
