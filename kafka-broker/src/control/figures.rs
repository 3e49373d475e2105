//! What is counted: connections, bytes, requests by API and error; and what is measured on demand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kafka_protocol::{ApiKey, ErrorCode};

use crate::state::node::Node;

/// Counts that grow as the broker serves.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    open: AtomicU64,
    accepted: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    requests: Mutex<BTreeMap<(&'static str, String), u64>>,
}

impl Counts {
    /// A connection begins, and lasts until the answer is dropped.
    pub(crate) fn connected(self: &Arc<Self>) -> OpenConnection {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection {
            number: self.accepted.fetch_add(1, Ordering::Relaxed) + 1,
            counts: Arc::clone(self),
        }
    }

    /// Bytes have come.
    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes have gone.
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A request was served, with these errors in its answer.
    pub(crate) fn served(&self, api: ApiKey, errors: &[ErrorCode]) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = |error: ErrorCode| {
            let key = (api.name(), name_of(error));
            *requests.entry(key).or_default() += 1;
        };
        if errors.is_empty() {
            count(ErrorCode::NONE);
        }
        for error in errors {
            count(*error);
        }
    }

    /// All counts as they stand.
    pub(crate) fn figures(&self) -> Figures {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        Figures {
            traffic: Traffic {
                connections: self.open.load(Ordering::Relaxed),
                accepted: self.accepted.load(Ordering::Relaxed),
                received: self.received.load(Ordering::Relaxed),
                sent: self.sent.load(Ordering::Relaxed),
            },
            requests: requests.clone(),
            ..Figures::default()
        }
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    /// Its number, counted from 1.
    pub(crate) number: u64,
    counts: Arc<Counts>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The name of an error code, or its number if it has none.
pub(crate) fn name_of(code: ErrorCode) -> String {
    match code.name() {
        Some(name) => name.to_owned(),
        None => code.code().to_string(),
    }
}

/// Figures of one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) traffic: Traffic,
    /// How many requests there were, by API and error.
    pub(crate) requests: BTreeMap<(&'static str, String), u64>,
    pub(crate) logs: Vec<LogFigures>,
    pub(crate) groups: u64,
}

/// Connections and bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) connections: u64,
    pub(crate) accepted: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// The log of one partition.
#[derive(Clone, Debug)]
pub(crate) struct LogFigures {
    topic: String,
    partition: String,
    pub(crate) bytes: u64,
    pub(crate) end_offset: u64,
}

impl LogFigures {
    /// Which it is.
    pub(crate) fn labels(&self) -> [(&'static str, &str); 2] {
        [("topic", &self.topic), ("partition", &self.partition)]
    }
}

impl Figures {
    /// Adds what a broker that is up has.
    pub(crate) fn measure(&mut self, node: &Node) {
        self.groups = node.groups.all().len() as u64;
        let table = node.topics().table();
        for topic in table.iter() {
            for partition in &topic.partitions {
                // One that is offline has no size to tell.
                let (Ok(bytes), Ok(marks)) = (partition.size(), partition.marks()) else {
                    continue;
                };
                self.logs.push(LogFigures {
                    topic: topic.name.to_string(),
                    partition: partition.index.to_string(),
                    bytes,
                    end_offset: u64::try_from(marks.high_watermark).unwrap_or_default(),
                });
            }
        }
    }
}
