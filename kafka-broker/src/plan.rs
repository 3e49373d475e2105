//! What a broker is to be: settings that were checked, and where to listen.

use std::path::PathBuf;

use crate::config::broker::BrokerConfig;
use crate::config::release::Release;
use crate::log::MemoryDisk;

/// What a broker needs to start.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) config: BrokerConfig,
    pub(crate) listen: String,
    pub(crate) advertise: Option<(String, u16)>,
    pub(crate) data: Data,
    /// The memory that data in memory lies in; a new one if there is none.
    pub(crate) memory: Option<MemoryDisk>,
    pub(crate) worker_threads: usize,
    pub(crate) emulated: Option<Release>,
    pub(crate) control_port: Option<String>,
}

/// Where the data of a broker lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// In a directory of its own that goes with the broker.
    Temporary,
    /// In this directory.
    Directory(PathBuf),
    /// In memory, where what is not durable can be lost.
    Memory,
}

/// The two parts of `HOST:PORT`; the host of an IPv6 address stands in brackets.
pub(crate) fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(host) => host,
        None if host.contains(':') => return None,
        None => host,
    };
    if host.is_empty() {
        return None;
    }
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(host_and_port("a.b:9"), Some(("a.b".to_owned(), 9)));
        assert_eq!(host_and_port("[::1]:9"), Some(("::1".to_owned(), 9)));
        for bad in ["a", ":9", "a:", "a:65536", "::1:9", "a:b"] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }
}
