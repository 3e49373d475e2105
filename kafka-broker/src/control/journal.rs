//! What was asked of a broker, and what became of it: the last so many requests.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use kafka_protocol::{ApiKey, ErrorCode};
use tokio::sync::Notify;

use crate::control::figures::{Counts, name_of};
use crate::control::subjects::Subjects;

/// A request, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its number, counted from 1 over all brokers and connections.
    pub number: u64,
    /// When it was read.
    pub at: SystemTime,
    /// The node id of the broker.
    pub broker: i32,
    /// The number of the connection, counted from 1.
    pub connection: u64,
    /// The API.
    pub api: ApiKey,
    /// The version of the request.
    pub version: i16,
    /// What the client calls itself; empty if it says nothing.
    pub client_id: String,
    /// The topics that it names, with the partitions that it names of each. Those of a fetch session that
    /// it does not name are not here.
    pub topics: Vec<(String, Vec<i32>)>,
    /// The groups that it names.
    pub groups: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The error codes of the answer, each once.
    pub errors: Vec<ErrorCode>,
    /// The names of the rules that acted on it.
    pub rules: Vec<String>,
    /// How long the answer took; zero as long as there is none.
    pub took: Duration,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It waits for its answer.
    Pending,
    /// It was answered.
    Answered,
    /// It was applied, and wants no answer.
    Silent,
    /// A rule has kept the answer back, in whole or in part; or the connection was closed instead, as the
    /// protocol has it for what cannot be answered.
    Withheld,
    /// The connection ended before there was an answer.
    Abandoned,
}

impl Outcome {
    /// Its name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Answered => "answered",
            Self::Silent => "silent",
            Self::Withheld => "withheld",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The journal, which many write and read.
#[derive(Debug)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
    /// Rung at each change.
    pub(crate) changed: Notify,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Inner {
    next: u64,
    entries: VecDeque<Entry>,
}

/// A request that has just been read.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) broker: i32,
    pub(crate) connection: u64,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) client_id: &'a str,
    pub(crate) subjects: &'a Subjects,
    pub(crate) rules: Vec<String>,
}

impl Journal {
    pub(crate) fn new(counts: Arc<Counts>) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                next: 1,
                entries: VecDeque::new(),
            }),
            changed: Notify::new(),
            counts,
        })
    }

    /// Writes a request down. What becomes of it is told by the ticket.
    pub(crate) fn open(self: &Arc<Self>, arrival: Arrival<'_>) -> Ticket {
        let topics = arrival.subjects.topics.iter();
        let groups = arrival.subjects.groups.iter();
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        if inner.entries.len() == ENTRIES_MAX {
            inner.entries.pop_front();
        }
        inner.entries.push_back(Entry {
            number,
            at: SystemTime::now(),
            broker: arrival.broker,
            connection: arrival.connection,
            api: arrival.api,
            version: arrival.version,
            client_id: arrival.client_id.to_owned(),
            topics: topics
                .map(|topic| (topic.name.to_string(), topic.partitions.clone()))
                .collect(),
            groups: groups.map(ToString::to_string).collect(),
            outcome: Outcome::Pending,
            errors: Vec::new(),
            rules: arrival.rules,
            took: Duration::ZERO,
        });
        drop(inner);
        self.changed.notify_waiters();
        Ticket {
            journal: Arc::clone(self),
            number,
            api: arrival.api,
            began: Instant::now(),
            is_open: true,
        }
    }

    /// The requests that it has, from the oldest on.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// The first request of a kind.
    pub(crate) fn find(&self, mut is_it: impl FnMut(&Entry) -> bool) -> Option<Entry> {
        self.lock()
            .entries
            .iter()
            .find(|entry| is_it(entry))
            .cloned()
    }

    /// Forgets all of them; the numbers go on.
    pub(crate) fn clear(&self) {
        self.lock().entries.clear();
    }

    fn settle(&self, number: u64, outcome: Outcome, errors: Vec<ErrorCode>, took: Duration) {
        let mut inner = self.lock();
        let first = inner.entries.front().map(|entry| entry.number);
        // One that was pushed out or cleared away meanwhile is nobody's concern any more.
        let place = first.and_then(|first| number.checked_sub(first));
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| inner.entries.get_mut(place)) {
            entry.outcome = outcome;
            entry.errors = errors;
            entry.took = took;
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open entry of a request. Dropped without a word, the connection has ended.
#[derive(Debug)]
pub(crate) struct Ticket {
    journal: Arc<Journal>,
    number: u64,
    api: ApiKey,
    began: Instant,
    is_open: bool,
}

impl Ticket {
    /// Tells what became of the request.
    pub(crate) fn settle(mut self, outcome: Outcome, errors: Vec<ErrorCode>) {
        self.is_open = false;
        let took = self.began.elapsed();
        self.journal.counts.served(self.api, &errors);
        self.journal.settle(self.number, outcome, errors, took);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_open {
            let took = self.began.elapsed();
            self.journal
                .settle(self.number, Outcome::Abandoned, Vec::new(), took);
        }
    }
}

impl fmt::Display for Entry {
    /// In one line: number, client, API and version, what it is about, and what became of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} ", self.number, self.client_id)?;
        write!(f, "{} v{}", self.api.name(), self.version)?;
        for (topic, partitions) in &self.topics {
            write!(f, " {topic}{partitions:?}")?;
        }
        for group in &self.groups {
            write!(f, " group {group}")?;
        }
        write!(f, ": {}", self.outcome.name())?;
        for error in &self.errors {
            write!(f, " {}", name_of(*error))?;
        }
        if !self.rules.is_empty() {
            write!(f, " by {}", self.rules.join(", "))?;
        }
        Ok(())
    }
}

/// How many requests are remembered.
const ENTRIES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn open(journal: &Arc<Journal>) -> Ticket {
        journal.open(Arrival {
            broker: 1,
            connection: 1,
            api: ApiKey::Fetch,
            version: 12,
            client_id: "c",
            subjects: &Subjects::default(),
            rules: Vec::new(),
        })
    }

    #[test]
    fn entries_are_settled_in_any_order_and_the_oldest_go_first() {
        let journal = Journal::new(Arc::default());
        let first = open(&journal);
        let second = open(&journal);
        second.settle(Outcome::Answered, vec![ErrorCode::NOT_COORDINATOR]);
        let outcomes = |journal: &Journal| {
            let entries = journal.entries();
            entries
                .iter()
                .map(|entry| entry.outcome)
                .collect::<Vec<_>>()
        };
        assert_eq!(outcomes(&journal), [Outcome::Pending, Outcome::Answered]);
        drop(first);
        assert_eq!(outcomes(&journal), [Outcome::Abandoned, Outcome::Answered]);

        let old = open(&journal);
        for _ in 0..ENTRIES_MAX {
            open(&journal).settle(Outcome::Silent, Vec::new());
        }
        old.settle(Outcome::Answered, Vec::new());
        let entries = journal.entries();
        assert_eq!(entries.len(), ENTRIES_MAX);
        assert!(entries.iter().all(|entry| entry.outcome == Outcome::Silent));
        assert_eq!(entries.first().map(|entry| entry.number), Some(4));
        journal.clear();
        assert!(journal.entries().is_empty());
        open(&journal).settle(Outcome::Answered, Vec::new());
        assert_eq!(outcomes(&journal), [Outcome::Answered]);
    }
}
