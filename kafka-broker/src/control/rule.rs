//! Rules: which requests are meant, and what is done to them. Knows neither messages nor sockets.

use std::fmt;
use std::time::Duration;

use kafka_protocol::{ApiKey, ErrorCode};

/// What a broker does to the requests that are meant, instead of or besides answering them.
///
/// ```
/// use std::time::Duration;
/// use kafka_broker::control::{Action, Rule, When};
/// use kafka_broker::{ApiKey, ErrorCode};
///
/// // The second produce request for partition 0 is written, and its answer lost with the connection.
/// let lost = Rule::new("lost acknowledgement", Action::Close(When::Applied))
///     .api(ApiKey::Produce)
///     .topic("orders")
///     .partition(0)
///     .nth(2);
/// // Every heartbeat of one group takes its time.
/// let slow = Rule::new("slow heartbeats", Action::Delay(Duration::from_millis(300)))
///     .api(ApiKey::Heartbeat)
///     .group("billing");
/// // The first five metadata answers know no leader.
/// let election = Rule::new("election", Action::Error(ErrorCode::LEADER_NOT_AVAILABLE))
///     .api(ApiKey::Metadata)
///     .topic("orders")
///     .partition(1)
///     .times(5);
/// # let _ = (lost, slow, election);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(crate) name: String,
    pub(crate) action: Action,
    pub(crate) selection: Selection,
    pub(crate) schedule: Schedule,
}

/// Which requests a rule means; what is not said is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) broker: Option<i32>,
    pub(crate) api: Option<ApiKey>,
    pub(crate) client_id: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
}

/// Which of the requests that are meant a rule acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) nth: Option<u64>,
    pub(crate) after: Option<u64>,
    pub(crate) times: Option<u64>,
}

/// What is done to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It is not applied but answered with this error, which stands where a real one would: on each
    /// partition, topic or group that is meant, or on the answer as a whole if the API knows no parts. The
    /// other parts of the request are served.
    Error(ErrorCode),
    /// As [`Error`](Self::Error), but it is applied first: as when replication times out.
    ErrorAfter(ErrorCode),
    /// It is applied after this time; what comes behind it on its connection waits too.
    Delay(Duration),
    /// It gets no answer. The connection goes on with what comes behind it, so that a client sees a gap.
    Drop(When),
    /// It gets no answer, and its connection is closed.
    Close(When),
    /// It gets no answer, nor does anything else on its connection, which stays open.
    Stall(When),
    /// It is applied; of the answer these many bytes are sent, its length in front included, then the
    /// connection is closed.
    Cut(usize),
    /// It is applied, and the answer sent in pieces of so many bytes, each after this pause.
    Trickle {
        /// The size of a piece.
        bytes: usize,
        /// The time before each.
        pause: Duration,
    },
    /// It is applied; its answer bears the number of no request.
    WrongCorrelationId,
}

/// Whether a request that gets no answer has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It has none, as if it had been lost on its way.
    Unapplied,
    /// It has been applied, as if the answer had been lost.
    Applied,
}

impl Rule {
    /// A rule that does this to every request of every client, until it is told more. The name stands in
    /// the log and in the journal.
    pub fn new(name: impl Into<String>, action: Action) -> Self {
        Self {
            name: name.into(),
            action,
            selection: Selection::default(),
            schedule: Schedule::default(),
        }
    }

    /// Only at the broker of this node id.
    #[must_use]
    pub fn broker(mut self, node_id: i32) -> Self {
        self.selection.broker = Some(node_id);
        self
    }

    /// Only requests of this API.
    #[must_use]
    pub fn api(mut self, api: ApiKey) -> Self {
        self.selection.api = Some(api);
        self
    }

    /// Only requests of clients that call themselves so.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.selection.client_id = Some(client_id.into());
        self
    }

    /// Only what is about this group.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.selection.group = Some(group.into());
        self
    }

    /// Only what is about this topic. Of a request for several topics an error means this one alone;
    /// everything else that can be done to a request is done to all of it.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.selection.topic = Some(topic.into());
        self
    }

    /// Only what is about this partition of [`topic`](Self::topic).
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.selection.partition = Some(partition);
        self
    }

    /// Only the `n`th request that is meant, counted from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.schedule.nth = Some(n);
        self
    }

    /// Not the first `count` requests that are meant.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.schedule.after = Some(count);
        self
    }

    /// At most so many times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.schedule.times = Some(count);
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Refuses what contradicts itself or what no request could ever fulfil.
    pub(crate) fn check(&self, brokers: &[i32], apis: &[ApiSubjects]) -> Result<(), RuleError> {
        let refused = |reason: String| {
            Err(RuleError {
                rule: self.name.clone(),
                reason,
            })
        };
        if self.name.is_empty() || self.name.len() > NAME_MAX {
            return refused(format!("the name must have 1 to {NAME_MAX} bytes"));
        }
        match self.action {
            Action::Error(ErrorCode::NONE) | Action::ErrorAfter(ErrorCode::NONE) => {
                return refused("NONE is no error".to_owned());
            }
            Action::Delay(delay) if delay.is_zero() || delay > DELAY_MAX => {
                return refused(format!("a delay must last up to {DELAY_MAX:?}, but not 0"));
            }
            Action::Trickle { bytes: 0, .. } => {
                return refused("a piece must have at least one byte".to_owned());
            }
            Action::Trickle { pause, .. } if pause > DELAY_MAX => {
                return refused(format!("a pause must last up to {DELAY_MAX:?}"));
            }
            _ => {}
        }
        let Schedule { nth, after, times } = self.schedule;
        if nth.is_some() && (after.is_some() || times.is_some()) {
            return refused("nth already says after how many and how often".to_owned());
        }
        if nth == Some(0) || times == Some(0) {
            return refused("requests are counted from 1".to_owned());
        }
        let Selection {
            broker,
            api,
            group,
            topic,
            partition,
            ..
        } = &self.selection;
        if let Some(broker) = broker
            && !brokers.contains(broker)
        {
            return refused(format!("there is no broker {broker}, only {brokers:?}"));
        }
        if partition.is_some() && topic.is_none() {
            return refused("a partition is one of a topic".to_owned());
        }
        if partition.is_some_and(|partition| partition < 0) {
            return refused("partitions are counted from 0".to_owned());
        }
        let Some(api) = *api else {
            return Ok(());
        };
        let Some(facts) = apis.iter().find(|facts| facts.api == api) else {
            return refused(format!("the broker does not serve {}", api.name()));
        };
        for (selected, known, what) in [
            (topic.is_some(), facts.topics, "topic"),
            (group.is_some(), facts.groups, "group"),
        ] {
            if selected && !known {
                return refused(format!("no {} request names a {what}", api.name()));
            }
        }
        Ok(())
    }
}

/// What requests of an API are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiSubjects {
    pub(crate) api: ApiKey,
    pub(crate) topics: bool,
    pub(crate) groups: bool,
}

/// Why a rule was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    pub(crate) rule: String,
    pub(crate) reason: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {:?} is refused: {}", self.rule, self.reason)
    }
}

impl std::error::Error for RuleError {}

/// No test waits longer for anything.
const DELAY_MAX: Duration = Duration::from_secs(3600);

const NAME_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_by_name() {
        let apis = [
            ApiSubjects {
                api: ApiKey::Produce,
                topics: true,
                groups: false,
            },
            ApiSubjects {
                api: ApiKey::Heartbeat,
                topics: false,
                groups: true,
            },
        ];
        let rule = |action| Rule::new("r", action);
        let error = || rule(Action::Error(ErrorCode::NOT_COORDINATOR));
        let delay = |ms| Action::Delay(Duration::from_millis(ms));
        let trickle = |bytes, seconds| Action::Trickle {
            bytes,
            pause: Duration::from_secs(seconds),
        };
        for (rule, reason) in [
            (Rule::new("", delay(1)), "the name"),
            (Rule::new("r".repeat(201), delay(1)), "the name"),
            (rule(Action::Error(ErrorCode::NONE)), "NONE"),
            (rule(Action::ErrorAfter(ErrorCode::NONE)), "NONE"),
            (rule(delay(0)), "delay"),
            (rule(delay(3_600_001)), "delay"),
            (rule(trickle(0, 0)), "piece"),
            (rule(trickle(1, 3601)), "pause"),
            (error().nth(1).times(1), "nth"),
            (error().nth(1).after(1), "nth"),
            (error().nth(0), "from 1"),
            (error().times(0), "from 1"),
            (error().broker(2), "no broker 2"),
            (error().partition(0), "of a topic"),
            (error().topic("t").partition(-1), "from 0"),
            (error().api(ApiKey::Vote), "does not serve Vote"),
            (
                error().api(ApiKey::Heartbeat).topic("t"),
                "no Heartbeat request names a topic",
            ),
            (
                error().api(ApiKey::Produce).group("g"),
                "no Produce request names a group",
            ),
        ] {
            let refused = rule.check(&[1], &apis).unwrap_err();
            assert!(refused.to_string().contains(reason), "{refused}");
        }
        for rule in [
            error(),
            error().broker(1).api(ApiKey::Produce).topic("t"),
            error().api(ApiKey::Heartbeat).group("g").after(2).times(3),
            error().topic("t").partition(0).nth(1),
            rule(Action::Cut(0)),
        ] {
            assert_eq!(rule.check(&[1], &apis), Ok(()));
        }
    }
}
