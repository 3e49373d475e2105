//! Faults on demand, and what was asked of the broker: for tests of clients.
//!
//! A [`Control`] comes from [`Broker::control`](crate::Broker::control). A [`Rule`] says which requests are
//! meant and what is done to them; it holds until its [`RuleGuard`] is dropped. The journal has the requests
//! that came since somebody asked for a `Control`, the last 10,000 of them.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use std::time::Duration;
//! use kafka_broker::control::{Action, Rule, When};
//! use kafka_broker::{ApiKey, Broker};
//!
//! let broker = Broker::builder().start().await?;
//! let control = broker.control();
//! // The first batch is written, and its acknowledgement lost with the connection.
//! let lost = control.add(
//!     Rule::new("lost acknowledgement", Action::Close(When::Applied))
//!         .api(ApiKey::Produce)
//!         .times(1),
//! )?;
//! // Here a service sends, and must not send twice. Then:
//! # async fn service(_: &str) {}
//! service(broker.bootstrap_servers()).await;
//! # if false {
//! lost.wait_fired(1, Duration::from_secs(5)).await?;
//! let again = |entry: &kafka_broker::control::Entry| entry.api == ApiKey::Produce && entry.rules.is_empty();
//! control.wait_for("the second try", Duration::from_secs(5), again).await?;
//! # }
//! assert!(lost.fired() <= 1);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Everything here is made for several brokers: rules may be bound to one by its node id, and whatever is
//! done to a broker names it.

use std::sync::Arc;
use std::time::Duration;

pub(crate) mod figures;
pub(crate) mod journal;
pub(crate) mod life;
pub(crate) mod rule;
pub(crate) mod ruleset;
pub(crate) mod subjects;
pub(crate) mod switchboard;
pub(crate) mod wait_error;

pub use journal::{Entry, Outcome};
pub use life::{ControlError, Unsynced};
pub use rule::{Action, Rule, RuleError, When};
pub use wait_error::WaitError;

use crate::control::figures::Figures;
use crate::control::life::Command;
use crate::control::ruleset::ActiveRule;
use crate::control::switchboard::Switchboard;
use crate::state::group_clocks::ClockTurn;

/// The faults and the journal of a broker. Cheap to clone; the clones are one.
#[derive(Clone, Debug)]
pub struct Control {
    switchboard: Arc<Switchboard>,
}

impl Control {
    pub(crate) fn new(switchboard: Arc<Switchboard>) -> Self {
        switchboard.watch();
        Self { switchboard }
    }

    /// The node ids of the brokers.
    #[must_use]
    pub fn brokers(&self) -> &[i32] {
        &self.switchboard.brokers
    }

    /// Whether the broker serves, which one that was killed does not.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.switchboard.is_up()
    }

    /// Counts and sizes as they stand.
    pub(crate) async fn figures(&self) -> Figures {
        self.switchboard.figures().await
    }

    /// Lets a rule hold until the guard is dropped. Of the rules that mean a request all act, in the order in
    /// which they were added.
    ///
    /// Requests that are already being served, such as a fetch that waits for records, are not looked at
    /// again.
    ///
    /// # Errors
    ///
    /// A rule that contradicts itself, means what there is not, or has the name of another one that holds.
    pub fn add(&self, rule: Rule) -> Result<RuleGuard, RuleError> {
        rule.check(&self.switchboard.brokers, &self.switchboard.apis)?;
        let active = self.switchboard.rules.add(rule)?;
        Ok(RuleGuard {
            switchboard: Arc::clone(&self.switchboard),
            active,
            is_kept: false,
        })
    }

    /// The rules that hold, in the order in which they were added.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleStatus> {
        let rules = self.switchboard.rules.list();
        rules.iter().map(RuleStatus::of).collect()
    }

    /// Lets the rule of this name hold no longer, and says how often it fired; `None` if there is none.
    pub fn remove(&self, name: &str) -> Option<RuleStatus> {
        let rules = self.switchboard.rules.list();
        let active = rules.iter().find(|active| active.rule.name == name)?;
        self.switchboard.rules.remove(active);
        Some(RuleStatus::of(active))
    }

    /// The requests that came, from the oldest on.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.switchboard.journal.entries()
    }

    /// Forgets the requests that came. The numbers go on.
    pub fn clear_journal(&self) {
        self.switchboard.journal.clear();
    }

    /// Stops the clock of a group: no session and no rebalance of it times out, however long its members are
    /// silent, until [`resume_group_clock`](Self::resume_group_clock) or the end of the broker. Gives whether there is
    /// such a group: it may come later, and finds its clock stopped.
    ///
    /// *Cancel safety*: once polled, it is done even if the future is dropped.
    ///
    /// # Errors
    ///
    /// If the broker is down.
    pub async fn stop_group_clock(&self, group: &str) -> Result<bool, ControlError> {
        self.turn_group_clock(group, ClockTurn::Stop).await
    }

    /// Lets the clock of a group go on from where it was stopped. Gives whether there is such a group.
    ///
    /// *Cancel safety*: once polled, it is done even if the future is dropped.
    ///
    /// # Errors
    ///
    /// If the broker is down.
    pub async fn resume_group_clock(&self, group: &str) -> Result<bool, ControlError> {
        self.turn_group_clock(group, ClockTurn::Go).await
    }

    /// Puts the clock of a group forward, so that what is due by then is due at once: sessions end, rebalances
    /// go on without who is missing. The time of day that is stored with offsets stays. Gives whether there is such a group.
    ///
    /// *Cancel safety*: once polled, it is done even if the future is dropped.
    ///
    /// # Errors
    ///
    /// If the broker is down.
    pub async fn advance_group_clock(
        &self,
        group: &str,
        by: Duration,
    ) -> Result<bool, ControlError> {
        let by = by.min(CLOCK_STEP_MAX);
        self.turn_group_clock(group, ClockTurn::Forward(by)).await
    }

    async fn turn_group_clock(&self, group: &str, turn: ClockTurn) -> Result<bool, ControlError> {
        // The coordinator of every group, as long as there is one broker.
        let coordinator = self.switchboard.brokers.first().copied();
        let command = |done| Command::TurnClock(group.to_owned(), turn, done);
        let coordinator = coordinator.ok_or(ControlError::Ended)?;
        self.switchboard.command(coordinator, command).await
    }

    /// Waits until the journal has a request like this, which may have come long ago, and gives the first one.
    /// What is waited for is named in the error.
    ///
    /// *Cancel safety*: nothing is lost by dropping it.
    ///
    /// # Errors
    ///
    /// If there is none within `limit`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        mut is_it: impl FnMut(&Entry) -> bool,
    ) -> Result<Entry, WaitError> {
        let journal = &self.switchboard.journal;
        self.switchboard
            .wait(what, limit, || journal.find(&mut is_it))
            .await
    }

    /// Lets a broker accept connections and requests and answer none, until the guard is dropped: then it
    /// serves what has piled up. Its clocks go on.
    ///
    /// # Errors
    ///
    /// If there is no such broker.
    pub fn stall(&self, broker: i32) -> Result<StallGuard, ControlError> {
        self.switchboard.check_broker(broker)?;
        self.switchboard.set_stalled(broker, true);
        Ok(StallGuard {
            switchboard: Arc::clone(&self.switchboard),
            broker,
            is_kept: false,
        })
    }

    /// Ends a stall whose guard was kept.
    ///
    /// # Errors
    ///
    /// If there is no such broker.
    pub fn resume(&self, broker: i32) -> Result<(), ControlError> {
        self.switchboard.check_broker(broker)?;
        self.switchboard.set_stalled(broker, false);
        Ok(())
    }

    /// Kills a broker: its connections break, nobody listens at its port, nothing is closed or flushed. It
    /// stays down until [`restart`](Self::restart).
    ///
    /// *Cancel safety*: once polled, the broker goes down even if the future is dropped.
    ///
    /// # Errors
    ///
    /// If there is no such broker, if it is down already, or if it cannot lose what is not durable: see
    /// [`BrokerBuilder::in_memory`](crate::BrokerBuilder::in_memory).
    pub async fn kill(&self, broker: i32, unsynced: Unsynced) -> Result<(), ControlError> {
        let command = |done| Command::Kill(unsynced, done);
        self.switchboard.command(broker, command).await
    }

    /// Brings a killed broker back, at the same address and with the data that it has left. It serves when this
    /// returns.
    ///
    /// *Cancel safety*: once polled, the broker comes back even if the future is dropped.
    ///
    /// # Errors
    ///
    /// If there is no such broker, if it is up, or if it does not come back, and why.
    pub async fn restart(&self, broker: i32) -> Result<(), ControlError> {
        self.switchboard.command(broker, Command::Restart).await
    }
}

/// A rule that holds as long as this lives.
#[derive(Debug)]
#[must_use = "the rule holds no longer than its guard"]
pub struct RuleGuard {
    switchboard: Arc<Switchboard>,
    active: Arc<ActiveRule>,
    is_kept: bool,
}

impl RuleGuard {
    /// How many requests the rule meant.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.active.matched()
    }

    /// How many requests it did something to.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.active.fired()
    }

    /// Waits until it has done something to so many requests.
    ///
    /// *Cancel safety*: nothing is lost by dropping it.
    ///
    /// # Errors
    ///
    /// If that is not so within `limit`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn wait_fired(&self, times: u64, limit: Duration) -> Result<(), WaitError> {
        let what = format!(
            "time {times} of rule {:?}, which fired {} times,",
            self.active.rule.name,
            self.fired()
        );
        self.switchboard
            .wait(&what, limit, || (self.fired() >= times).then_some(()))
            .await
    }

    /// Lets the rule hold until it is removed by name.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for RuleGuard {
    fn drop(&mut self) {
        if !self.is_kept {
            self.switchboard.rules.remove(&self.active);
        }
    }
}

/// A rule that holds, and what it has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleStatus {
    /// The rule.
    pub rule: Rule,
    /// How many requests it meant.
    pub matched: u64,
    /// How many requests it did something to.
    pub fired: u64,
}

impl RuleStatus {
    fn of(active: &Arc<ActiveRule>) -> Self {
        Self {
            rule: active.rule.clone(),
            matched: active.matched(),
            fired: active.fired(),
        }
    }
}

/// A broker answers nothing as long as this lives.
#[derive(Debug)]
#[must_use = "the stall lasts no longer than its guard"]
pub struct StallGuard {
    switchboard: Arc<Switchboard>,
    broker: i32,
    is_kept: bool,
}

impl StallGuard {
    /// Lets the stall last until [`Control::resume`].
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for StallGuard {
    fn drop(&mut self) {
        if !self.is_kept {
            self.switchboard.set_stalled(self.broker, false);
        }
    }
}

/// No session lasts longer.
const CLOCK_STEP_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
