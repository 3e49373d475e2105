//! What every role of a client shares: where the cluster is, how long to wait, how much to accept.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// Settings of a client, with Kafka's property names. They are set by the methods of
/// `ClientBuilder`; this is the table of them.
///
/// # Defaults
///
/// | setting | property | default |
/// |---|---|---|
/// | `client_id` | `client.id` | `kafka-rust` |
/// | `request_timeout` | `request.timeout.ms` | 30 s |
/// | `api_timeout` | `default.api.timeout.ms` | 60 s |
/// | `connection_setup_timeout` | `socket.connection.setup.timeout.ms` | 10 s |
/// | `retry_backoff`, `retry_backoff_max` | `retry.backoff.ms`, `retry.backoff.max.ms` | 100 ms, 1 s |
/// | `reconnect_backoff`, `reconnect_backoff_max` | `reconnect.backoff.ms`, `reconnect.backoff.max.ms` | 50 ms, 1 s |
/// | `metadata_max_age` | `metadata.max.age.ms` | 5 min |
/// | `allow_auto_create_topics` | `allow.auto.create.topics` | false (Java: true) |
/// | `response_bytes_max` | none (Java has no limit) | 128 MiB |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    pub(crate) bootstrap_servers: Vec<String>,
    pub(crate) client_id: String,
    pub(crate) request_timeout: Duration,
    pub(crate) api_timeout: Duration,
    pub(crate) connection_setup_timeout: Duration,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) reconnect_backoff: Duration,
    pub(crate) reconnect_backoff_max: Duration,
    pub(crate) metadata_max_age: Duration,
    pub(crate) allow_auto_create_topics: bool,
    pub(crate) response_bytes_max: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: Vec::new(),
            client_id: "kafka-rust".to_owned(),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_secs(60),
            connection_setup_timeout: Duration::from_secs(10),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(5 * 60),
            allow_auto_create_topics: false,
            response_bytes_max: 128 << 20,
        }
    }
}

impl ClientConfig {
    /// Refuses what cannot work, before anything is opened.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.bootstrap_servers.is_empty() {
            return Err(config_error(
                "bootstrap.servers is empty: name at least one HOST:PORT",
            ));
        }
        for server in &self.bootstrap_servers {
            split_address(server)?;
        }
        if self.client_id.len() > i16::MAX as usize {
            return Err(config_error("client.id is longer than 32767 bytes"));
        }
        for (name, value) in [
            ("request.timeout.ms", self.request_timeout),
            ("default.api.timeout.ms", self.api_timeout),
            (
                "socket.connection.setup.timeout.ms",
                self.connection_setup_timeout,
            ),
            ("metadata.max.age.ms", self.metadata_max_age),
            ("retry.backoff.ms", self.retry_backoff),
            ("reconnect.backoff.ms", self.reconnect_backoff),
        ] {
            if value.is_zero() {
                return Err(config_error(format!("{name} must be more than zero")));
            }
        }
        for (name, first, most) in [
            ("retry.backoff", self.retry_backoff, self.retry_backoff_max),
            (
                "reconnect.backoff",
                self.reconnect_backoff,
                self.reconnect_backoff_max,
            ),
        ] {
            if most < first {
                return Err(config_error(format!(
                    "{name}.max.ms must not be less than {name}.ms"
                )));
            }
        }
        if self.response_bytes_max == 0 {
            return Err(config_error("the size of an answer must not be zero"));
        }
        Ok(())
    }
}

/// Splits `HOST:PORT`, with an IPv6 host in brackets.
pub(crate) fn split_address(address: &str) -> Result<(&str, u16)> {
    let malformed = || config_error(format!("bootstrap.servers: {address:?} is not HOST:PORT"));
    let (host, port) = address.trim().rsplit_once(':').ok_or_else(malformed)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(malformed)?,
        // A bare IPv6 address cannot be told from one with a port.
        None if host.contains(':') => return Err(malformed()),
        None => host,
    };
    let port = port.parse().map_err(|_| malformed())?;
    if host.is_empty() || port == 0 {
        return Err(malformed());
    }
    Ok((host, port))
}

pub(crate) fn config_error(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(
            split_address("localhost:9092").unwrap(),
            ("localhost", 9092)
        );
        assert_eq!(split_address("[::1]:9092").unwrap(), ("::1", 9092));
        for bad in [
            "",
            "localhost",
            "localhost:",
            ":9092",
            "a:0",
            "a:70000",
            "::1:9092",
            "[::1:1",
        ] {
            let error = split_address(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(error.to_string().contains(bad));
        }
    }

    #[test]
    fn a_client_needs_an_address_and_time() {
        assert!(ClientConfig::default().validate().is_err());
        let mut config = ClientConfig {
            bootstrap_servers: vec!["a:1".to_owned()],
            ..ClientConfig::default()
        };
        assert!(config.validate().is_ok());
        config.retry_backoff = Duration::from_secs(2);
        let error = config.validate().unwrap_err();
        assert!(error.to_string().contains("retry.backoff.max.ms"));
        config.retry_backoff = Duration::ZERO;
        let error = config.validate().unwrap_err();
        assert!(error.to_string().contains("retry.backoff.ms"));
        config.request_timeout = Duration::ZERO;
        let error = config.validate().unwrap_err();
        assert!(error.to_string().contains("request.timeout.ms"));
    }
}
