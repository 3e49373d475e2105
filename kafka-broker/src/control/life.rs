//! What ends a broker's life and begins the next one.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

use crate::control::figures::Figures;
use crate::state::group_clocks::ClockTurn;

/// What becomes of what was written and not made durable, when a broker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// It stays: the process was killed, and the system still has it.
    Kept,
    /// It is lost: the machine went down. Only a broker whose data is in memory can lose it.
    Lost,
}

/// What a broker's thread is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// End for good.
    End(End),
    /// Be down from now on.
    Kill(Unsynced, Done),
    /// Be there again.
    Restart(Done),
    /// Turn the clock of a group, and tell whether there is one.
    TurnClock(String, ClockTurn, Done<bool>),
    /// Tell what there is.
    Measure(oneshot::Sender<Figures>),
}

/// How a broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All logs are closed in order.
    Stop,
    /// Everything is let go as it stands.
    Kill,
}

/// Who waits for a command to be carried out.
pub(crate) type Done<T = ()> = oneshot::Sender<Result<T, ControlError>>;

/// The way to a broker's thread.
pub(crate) type Commands = mpsc::UnboundedSender<Command>;

/// Why something cannot be done to a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no broker of this node id.
    UnknownBroker {
        /// The node id.
        broker: i32,
    },
    /// The broker is killed already.
    IsDown,
    /// The broker runs.
    IsUp,
    /// The data lies on a disk, which keeps what was written.
    KeepsUnsynced,
    /// The broker does not come back.
    Start {
        /// Why.
        reason: String,
    },
    /// The broker has ended for good.
    Ended,
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownBroker { broker } => write!(f, "there is no broker {broker}"),
            Self::IsDown => f.write_str("the broker is down already"),
            Self::IsUp => f.write_str("the broker is up already"),
            Self::KeepsUnsynced => f.write_str(
                "the broker's data lies on a disk, which keeps what was written; only a broker whose data is \
                 in memory can lose it",
            ),
            Self::Start { reason } => write!(f, "the broker does not come back: {reason}"),
            Self::Ended => f.write_str("the broker has ended for good"),
        }
    }
}

impl std::error::Error for ControlError {}
