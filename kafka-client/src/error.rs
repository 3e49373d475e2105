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
    /// A connection ended while it was needed, or was given up since its answers no longer fitted the requests.
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
        self.0.fmt_within(f, &Context::default())
    }
}

impl Inner {
    /// What `said` has is not said again: an error and its cause are often about the same broker.
    fn fmt_within(&self, f: &mut fmt::Formatter<'_>, said: &Context) -> fmt::Result {
        let Context {
            api,
            broker,
            topic,
            partition,
            group,
        } = &self.context;
        if let Some(api) = api
            && said.api != Some(*api)
        {
            write!(f, "{}: ", api.name())?;
        }
        if let Some(group) = group
            && said.group.as_ref() != Some(group)
        {
            write!(f, "group {group}: ")?;
        }
        match (topic, partition) {
            (topic, partition) if (topic, partition) == (&said.topic, &said.partition) => {}
            (Some(topic), Some(partition)) => write!(f, "{topic}-{partition}: ")?,
            (Some(topic), None) if !names_topic(&self.detail, topic) => {
                write!(f, "topic {topic}: ")?;
            }
            _ => {}
        }
        if let Some(broker) = broker
            && said.broker.as_ref() != Some(broker)
        {
            write!(f, "broker {broker}: ")?;
        }
        f.write_str(&self.detail)?;
        if let ErrorKind::Broker(code) = self.kind {
            match code.name() {
                Some(name) => write!(f, " ({name})")?,
                None => write!(f, " (error code {})", code.code())?,
            }
        }
        let Some(source) = &self.source else {
            return Ok(());
        };
        f.write_str(": ")?;
        match source.downcast_ref::<Error>() {
            Some(source) => source.0.fmt_within(f, &self.context.or(said)),
            None => write!(f, "{source}"),
        }
    }
}

impl Context {
    fn or(&self, other: &Self) -> Self {
        let either = |a: &Option<String>, b: &Option<String>| a.clone().or_else(|| b.clone());
        let places = match self.topic {
            Some(_) => self,
            None => other,
        };
        Self {
            api: self.api.or(other.api),
            broker: either(&self.broker, &other.broker),
            topic: places.topic.clone(),
            partition: places.partition,
            group: either(&self.group, &other.group),
        }
    }
}

/// Whether a broker's message begins with the topic, as in "Topic 'orders' already exists."
fn names_topic(detail: &str, topic: &str) -> bool {
    let named = |quote: &str| {
        let rest = detail
            .strip_prefix("Topic ")
            .or_else(|| detail.strip_prefix("topic "));
        let rest = rest.and_then(|rest| rest.strip_prefix(quote)?.strip_prefix(topic));
        rest.and_then(|rest| rest.strip_prefix(quote))
            .is_some_and(|rest| rest.starts_with(' '))
    };
    named("") || named("'")
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
    fn nothing_is_said_twice() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused");
        let cannot = Error::new(ErrorKind::Connect, "cannot connect").with_broker("a:1");
        let cannot = cannot.with_source(io);
        let late = |broker| {
            let late = Error::new(ErrorKind::Timeout, "not connected in time");
            late.with_broker(broker).with_source(cannot.clone())
        };
        let same = "broker a:1: not connected in time: cannot connect: refused";
        assert_eq!(late("a:1").to_string(), same);
        let other = "broker b:1: not connected in time: broker a:1: cannot connect: refused";
        assert_eq!(late("b:1").to_string(), other);
        let outer = Error::new(ErrorKind::Timeout, "too late").with_broker("a:1");
        let text = outer.with_topic("t").with_source(late("a:1")).to_string();
        assert_eq!(text.matches("a:1").count(), 1, "{text}");

        for (message, expected) in [
            (
                "Topic 'orders' already exists.",
                "Topic 'orders' already exists.",
            ),
            ("topic orders already exists", "topic orders already exists"),
            (
                "topic orders2 is there",
                "topic orders: topic orders2 is there",
            ),
            ("no such topic", "topic orders: no such topic"),
        ] {
            let error = Error::check(36, Some(message)).unwrap_err();
            let text = error.with_topic("orders").to_string();
            assert_eq!(text, format!("{expected} (TOPIC_ALREADY_EXISTS)"));
        }
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
