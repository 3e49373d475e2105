//! The one error of the client.
//!
//! Three families: the world failed (connect, disconnect, timeout), the peer refused or misbehaved
//! (broker code, protocol), the caller misused us (configuration, closed, record too large).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use kafka_protocol::{ApiKey, ErrorCode};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done, with what it was about.
///
/// Cheap to clone: one failed batch fails many records with the same error.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    detail: Cow<'static, str>,
    context: Context,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What an error was about; what is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// The API that was called.
    pub api: Option<ApiKey>,
    /// The broker, by its address.
    pub broker: Option<String>,
    /// The topic.
    pub topic: Option<String>,
    /// The partition.
    pub partition: Option<i32>,
    /// The group.
    pub group: Option<String>,
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is missing, malformed or contradicts another.
    Config,
    /// An argument of a call cannot be right, such as a topic name that no cluster accepts.
    InvalidArgument,
    /// No connection could be made: nobody listens, or the name does not resolve.
    Connect,
    /// A connection ended while it was needed.
    Disconnected,
    /// The peer does not speak Kafka's protocol, or breaks it.
    Protocol,
    /// Something was not done within its time.
    Timeout,
    /// A broker answered with an error code.
    Broker(ErrorCode),
    /// The broker does not serve the API in a version that is needed.
    UnsupportedVersion,
    /// A record is larger than a request or the topic may carry; if a broker said so, its code is in the
    /// [source](std::error::Error::source).
    RecordTooLarge,
    /// The bytes of a batch are damaged: checksum, length or compression.
    CorruptBatch,
    /// The handle was closed before.
    Closed,
    /// The position lies outside the log, and no reset policy says where to go on.
    OffsetOutOfRange,
    /// The producer's identity is lost for good: only a new producer can go on.
    Fenced,
    /// The client broke a rule of its own.
    Internal,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            detail: detail.into(),
            context: Context::default(),
            source: None,
        }))
    }

    /// The broker's code, as an error.
    pub(crate) fn broker(code: ErrorCode, message: Option<&str>) -> Self {
        let detail = match message {
            Some(message) if !message.is_empty() => Cow::Owned(message.to_owned()),
            _ => Cow::Borrowed(
                code.meaning()
                    .unwrap_or("an error this client does not know"),
            ),
        };
        Self::new(ErrorKind::Broker(code), detail)
    }

    /// An error for a code other than `NONE`.
    pub(crate) fn check(code: i16, message: Option<&str>) -> Result<()> {
        match ErrorCode::from(code) {
            ErrorCode::NONE => Ok(()),
            code => Err(Self::broker(code, message)),
        }
    }

    pub(crate) fn with_source(
        self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.changed(|inner| inner.source = Some(Arc::new(source)))
    }

    pub(crate) fn with_api(self, api: ApiKey) -> Self {
        self.changed(|inner| inner.context.api = Some(api))
    }

    pub(crate) fn with_broker(self, broker: impl Into<String>) -> Self {
        let broker = broker.into();
        self.changed(|inner| inner.context.broker = Some(broker))
    }

    pub(crate) fn with_topic(self, topic: impl Into<String>) -> Self {
        let topic = topic.into();
        self.changed(|inner| inner.context.topic = Some(topic))
    }

    pub(crate) fn with_partition(self, topic: impl Into<String>, partition: i32) -> Self {
        let topic = topic.into();
        self.changed(|inner| {
            inner.context.topic = Some(topic);
            inner.context.partition = Some(partition);
        })
    }

    pub(crate) fn with_group(self, group: impl Into<String>) -> Self {
        let group = group.into();
        self.changed(|inner| inner.context.group = Some(group))
    }

    /// Errors are changed while they are made, when nobody else holds them yet.
    fn changed(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What it was about.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// The broker's code, if a broker refused.
    #[must_use]
    pub fn broker_code(&self) -> Option<ErrorCode> {
        match self.0.kind {
            ErrorKind::Broker(code) => Some(code),
            _ => None,
        }
    }

    /// Whether the same call may succeed later, without a change by the caller.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connect | ErrorKind::Disconnected | ErrorKind::Timeout => true,
            ErrorKind::Broker(code) => code.is_retriable(),
            _ => false,
        }
    }

    /// Whether the handle that gave it is of no use any more and a new one is needed.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self.0.kind {
            ErrorKind::Closed | ErrorKind::Fenced => true,
            ErrorKind::Broker(code) => matches!(
                code,
                ErrorCode::PRODUCER_FENCED
                    | ErrorCode::FENCED_INSTANCE_ID
                    | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            ),
            _ => false,
        }
    }

    /// Whether a transaction that met it must be aborted before anything else.
    #[must_use]
    pub fn requires_abort(&self) -> bool {
        self.broker_code() == Some(ErrorCode::TRANSACTION_ABORTABLE)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            detail,
            context,
            source,
        } = &*self.0;
        if let Some(api) = context.api {
            write!(f, "{}: ", api.name())?;
        }
        if let Some(group) = &context.group {
            write!(f, "group {group}: ")?;
        }
        match (&context.topic, context.partition) {
            (Some(topic), Some(partition)) => write!(f, "{topic}-{partition}: ")?,
            (Some(topic), None) => write!(f, "topic {topic}: ")?,
            _ => {}
        }
        if let Some(broker) = &context.broker {
            write!(f, "broker {broker}: ")?;
        }
        f.write_str(detail)?;
        if let ErrorKind::Broker(code) = kind {
            match code.name() {
                Some(name) => write!(f, " ({name})")?,
                None => write!(f, " (error code {})", code.code())?,
            }
        }
        if let Some(source) = source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("text", &format_args!("{self}"))
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_what_it_was_about() {
        let error = Error::broker(ErrorCode::NOT_LEADER_OR_FOLLOWER, None)
            .with_api(ApiKey::Produce)
            .with_partition("orders", 3)
            .with_broker("127.0.0.1:9092");
        let text = error.to_string();
        for part in [
            "Produce",
            "orders-3",
            "127.0.0.1:9092",
            "NOT_LEADER_OR_FOLLOWER",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(error.is_retriable());
        assert!(!error.is_fatal());
    }

    #[test]
    fn a_broker_message_is_shown_and_the_source_kept() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused");
        let error = Error::new(ErrorKind::Connect, "cannot connect").with_source(io);
        assert_eq!(error.to_string(), "cannot connect: refused");
        assert!(std::error::Error::source(&error).is_some());
        let error = Error::check(36, Some("topic orders exists")).unwrap_err();
        assert!(error.to_string().starts_with("topic orders exists"));
        assert!(Error::check(0, None).is_ok());
    }
}
