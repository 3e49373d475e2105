//! What the broker asks before it serves a request, and what a `Control` turns.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::control::figures::{Counts, Figures};
use crate::control::journal::{Arrival, Entry, Journal, Ticket};
use crate::control::life::{Command, Commands, ControlError, Done};
use crate::control::rule::ApiSubjects;
use crate::control::ruleset::{Incoming, Ruleset, Verdict};
use crate::control::wait_error::WaitError;

/// Rules, journal and switches of the brokers of one cluster.
#[derive(Debug)]
pub(crate) struct Switchboard {
    pub(crate) brokers: Vec<i32>,
    pub(crate) apis: Vec<ApiSubjects>,
    pub(crate) rules: Ruleset,
    pub(crate) journal: Arc<Journal>,
    /// Nobody has asked for it: requests are served without a look.
    is_watching: AtomicBool,
    /// The brokers that answer nothing for the time being.
    stalled: watch::Sender<BTreeSet<i32>>,
    /// Whether the broker serves.
    is_up: AtomicBool,
    pub(crate) counts: Arc<Counts>,
    commands: Commands,
}

impl Switchboard {
    pub(crate) fn new(brokers: Vec<i32>, apis: Vec<ApiSubjects>, commands: Commands) -> Arc<Self> {
        let counts = Arc::default();
        Arc::new(Self {
            brokers,
            apis,
            rules: Ruleset::default(),
            journal: Journal::new(Arc::clone(&counts)),
            is_watching: AtomicBool::new(false),
            stalled: watch::Sender::new(BTreeSet::new()),
            is_up: AtomicBool::new(false),
            counts,
            commands,
        })
    }

    /// From now on every request is looked at.
    pub(crate) fn watch(&self) {
        self.is_watching.store(true, Ordering::SeqCst);
    }

    /// Whether requests are looked at.
    pub(crate) fn is_watching(&self) -> bool {
        self.is_watching.load(Ordering::Relaxed)
    }

    /// Says whether the broker serves.
    pub(crate) fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::SeqCst);
    }

    /// Whether the broker serves.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }

    /// What is counted, and what the broker has if it is up.
    pub(crate) async fn figures(&self) -> Figures {
        let (told, measured) = oneshot::channel();
        let figures = self.counts.figures();
        if !self.is_up() || self.commands.send(Command::Measure(told)).is_err() {
            return figures;
        }
        match measured.await {
            Ok(measured) => Figures {
                logs: measured.logs,
                groups: measured.groups,
                ..figures
            },
            Err(_) => figures,
        }
    }

    /// Writes a request down and says what is to be done to it.
    pub(crate) fn judge(
        &self,
        incoming: &Incoming<'_>,
        connection: u64,
        version: i16,
    ) -> (Verdict, Ticket) {
        let verdict = self.rules.judge(incoming);
        let Incoming {
            broker,
            api,
            client_id,
            subjects,
        } = *incoming;
        if !verdict.fired.is_empty() {
            let rules = verdict.fired.join(", ");
            tracing::info!(broker, client_id, api = api.name(), "by rule: {rules}");
        }
        let ticket = self.journal.open(Arrival {
            broker,
            connection,
            api,
            version,
            client_id,
            subjects,
            rules: verdict.fired.clone(),
        });
        (verdict, ticket)
    }

    /// Lets a broker answer nothing, or answer again.
    pub(crate) fn set_stalled(&self, broker: i32, is_stalled: bool) {
        self.stalled.send_modify(|stalled| {
            if is_stalled {
                stalled.insert(broker);
            } else {
                stalled.remove(&broker);
            }
        });
    }

    /// Whether the broker answers nothing for the time being.
    pub(crate) fn is_stalled(&self, broker: i32) -> bool {
        self.stalled.borrow().contains(&broker)
    }

    /// Waits until the broker answers, which it mostly does.
    pub(crate) async fn until_not_stalled(&self, broker: i32) {
        let mut stalled = self.stalled.subscribe();
        // The sender lives as long as this does.
        let _ = stalled.wait_for(|stalled| !stalled.contains(&broker)).await;
    }

    /// Has a command carried out by the broker's thread.
    pub(crate) async fn command<T>(
        &self,
        broker: i32,
        command: impl FnOnce(Done<T>) -> Command,
    ) -> Result<T, ControlError> {
        self.check_broker(broker)?;
        let (done, is_done) = oneshot::channel();
        let sent = self.commands.send(command(done));
        sent.map_err(|_| ControlError::Ended)?;
        is_done.await.unwrap_or(Err(ControlError::Ended))
    }

    /// Refuses a broker that there is not.
    pub(crate) fn check_broker(&self, broker: i32) -> Result<(), ControlError> {
        if self.brokers.contains(&broker) {
            return Ok(());
        }
        Err(ControlError::UnknownBroker { broker })
    }

    /// Waits until a look at the journal or at the counts of a rule finds what is wanted.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, WaitError> {
        let deadline = Instant::now() + limit.min(WAIT_MAX);
        loop {
            let changed = self.journal.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(found) = look() {
                return Ok(found);
            }
            if timeout_at(deadline, changed).await.is_err() {
                return Err(self.late(what, limit));
            }
        }
    }

    fn late(&self, what: &str, limit: Duration) -> WaitError {
        let entries = self.journal.entries();
        let last = entries.iter().rev().take(LAST_SHOWN).map(Entry::to_string);
        WaitError {
            what: what.to_owned(),
            limit,
            last: last.collect(),
        }
    }
}

/// A deadline must lie in a time that clocks can tell.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// How many requests a failed wait shows.
const LAST_SHOWN: usize = 10;
