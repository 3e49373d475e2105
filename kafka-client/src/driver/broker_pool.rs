//! A connection per broker and purpose, opened when it is first needed.
//!
//! A broker answers a connection's requests in their order, and it holds some answers back: a join until the
//! other members have joined, a fetch until there is data. So each consumer has connections of its own for
//! group traffic and for fetches: what one waits for must delay neither produce requests nor another
//! consumer, which may be the very member that the join waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::client::{ClientConfig, split_address};
use crate::driver::clock;
use crate::driver::connection_task::{Connection, ConnectionSettings};
use crate::driver::tasks::Tasks;
use crate::driver::transport;
use crate::error::{Error, ErrorKind, Result};
use crate::machine::backoff::Backoff;
use crate::machine::outages::Outages;
use crate::machine::time::{Duration, Instant};

/// Whom a connection leads to, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// An entry of the bootstrap list, by its position.
    Bootstrap(usize),
    /// A broker, for metadata, produce and admin requests.
    Node(i32),
    /// A broker, for what a consumer says as a member of its group.
    Group(i32, Lane),
    /// A broker, for the fetches of a consumer.
    Fetch(i32, Lane),
}

/// The connections of one consumer, among those of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane(u64);

impl Peer {
    fn lane(self) -> Option<Lane> {
        match self {
            Self::Group(_, lane) | Self::Fetch(_, lane) => Some(lane),
            Self::Bootstrap(_) | Self::Node(_) => None,
        }
    }
}

/// All connections of a client.
#[derive(Debug)]
pub(crate) struct BrokerPool {
    config: Arc<ClientConfig>,
    settings: ConnectionSettings,
    tasks: Arc<Tasks>,
    slots: Mutex<BTreeMap<Peer, Slot>>,
    outages: Mutex<Outages>,
    lanes: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    address: String,
    state: SlotState,
    backoff: Backoff,
    /// Why the last attempt failed; `None` once one succeeded.
    last_failure: Option<Error>,
}

#[derive(Debug)]
enum SlotState {
    /// Not connected; no attempt before the instant.
    Idle { not_before: Instant },
    /// One attempt for all who wait.
    Connecting(watch::Receiver<Option<Result<Connection>>>),
    Connected {
        connection: Connection,
        since: Instant,
    },
}

impl BrokerPool {
    pub(crate) fn new(config: Arc<ClientConfig>, tasks: Arc<Tasks>) -> Self {
        let settings = ConnectionSettings {
            client_id: config.client_id.as_str().into(),
            response_bytes_max: config.response_bytes_max,
        };
        Self {
            config,
            settings,
            tasks,
            slots: Mutex::default(),
            outages: Mutex::default(),
            lanes: AtomicU64::new(0),
        }
    }

    /// A lane without connections yet.
    pub(crate) fn open_lane(&self) -> Lane {
        Lane(self.lanes.fetch_add(1, Ordering::Relaxed))
    }

    /// Closes the connections of a lane.
    pub(crate) fn close_lane(&self, lane: Lane) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|peer, slot| {
            let stays = peer.lane() != Some(lane);
            if !stays && let SlotState::Connected { connection, .. } = &slot.state {
                connection.fail(&Error::new(ErrorKind::Closed, "the consumer was closed"));
            }
            stays
        });
    }

    /// The connection to `peer`, if there is a live one now.
    pub(crate) fn connected(&self, peer: Peer) -> Option<Connection> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match &slots.get(&peer)?.state {
            SlotState::Connected { connection, .. } if !connection.is_dead() => {
                Some(connection.clone())
            }
            _ => None,
        }
    }

    /// The connection to `peer` at `address`, opened if need be. Callers share one attempt, which goes on if
    /// they stop waiting. After a failure the next attempt waits (`reconnect.backoff.ms`).
    ///
    /// # Errors
    ///
    /// Why the attempt failed, or [`ErrorKind::Timeout`] if `deadline` passes first.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        peer: Peer,
        address: &str,
        deadline: Instant,
    ) -> Result<Connection> {
        let mut attempt = match self.attempt(peer, address)? {
            Attempt::Connected(connection) => return Ok(connection),
            Attempt::Under(attempt) => attempt,
        };
        let ended = clock::before(deadline, attempt.wait_for(Option::is_some)).await;
        match ended {
            Some(Ok(outcome)) => outcome.clone().unwrap_or_else(|| {
                Err(Error::new(
                    ErrorKind::Internal,
                    "an attempt to connect ended without outcome",
                ))
            }),
            Some(Err(_)) => Err(Error::new(ErrorKind::Closed, "the client was closed")),
            None => {
                let error = Error::new(ErrorKind::Timeout, "not connected in time");
                let error = error.with_broker(address);
                Err(match self.last_failure(peer) {
                    Some(failure) => error.with_source(failure),
                    None => error,
                })
            }
        }
    }

    /// The addresses to which attempts are under way, with why those before failed.
    pub(crate) fn attempts(&self) -> Vec<String> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = slots
            .values()
            .filter(|slot| matches!(slot.state, SlotState::Connecting(_)));
        let attempts: BTreeSet<_> = under_way
            .map(|slot| match &slot.last_failure {
                Some(failure) => failure.to_string(),
                None => slot.address.clone(),
            })
            .collect();
        attempts.into_iter().collect()
    }

    /// Why the attempt before this one failed.
    fn last_failure(&self, peer: Peer) -> Option<Error> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&peer)?.last_failure.clone()
    }

    /// The live connection, or the attempt that is under way (started here if there is none).
    fn attempt(self: &Arc<Self>, peer: Peer, address: &str) -> Result<Attempt> {
        let now = clock::now();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(peer).or_insert_with(|| self.slot(address));
        if slot.address != address {
            // The broker moved: what leads to its old address is of no use.
            if let SlotState::Connected { connection, .. } = &slot.state {
                connection.fail(&Error::new(
                    ErrorKind::Disconnected,
                    "the broker has a new address",
                ));
            }
            self.outages().forget(&slot.address);
            *slot = self.slot(address);
        }
        let not_before = match &slot.state {
            SlotState::Connected { connection, .. } if !connection.is_dead() => {
                return Ok(Attempt::Connected(connection.clone()));
            }
            SlotState::Connecting(attempt) => return Ok(Attempt::Under(attempt.clone())),
            SlotState::Connected { since, .. } => {
                // One that accepts and hangs up again has not recovered.
                if now.saturating_since(*since) >= self.config.reconnect_backoff_max {
                    slot.backoff.reset();
                }
                now + slot.backoff.next_wait(clock::random())
            }
            SlotState::Idle { not_before } => *not_before,
        };
        let (done, attempt) = watch::channel(None);
        let (pool, address) = (Arc::clone(self), address.to_owned());
        self.tasks.spawn_until_closed(async move {
            clock::sleep_until(not_before).await;
            let outcome = pool.open(&address).await;
            pool.tell_of_outage(&address, &outcome);
            pool.settle(peer, &address, &outcome);
            done.send_replace(Some(outcome));
        })?;
        slot.state = SlotState::Connecting(attempt.clone());
        Ok(Attempt::Under(attempt))
    }

    fn slot(&self, address: &str) -> Slot {
        Slot {
            address: address.to_owned(),
            state: SlotState::Idle {
                not_before: Instant::ZERO,
            },
            backoff: Backoff::new(
                self.config.reconnect_backoff,
                self.config.reconnect_backoff_max,
            ),
            last_failure: None,
        }
    }

    async fn open(&self, address: &str) -> Result<Connection> {
        let deadline = clock::now() + self.config.connection_setup_timeout;
        let (host, port) = split_address(address)?;
        let transport = transport::connect(host, port, deadline).await?;
        let (address, settings) = (address.to_owned(), self.settings.clone());
        Connection::start(transport, address, settings, &self.tasks, deadline).await
    }

    /// Warns once while a broker stays out of reach, and once it is back.
    fn tell_of_outage(&self, address: &str, outcome: &Result<Connection>) {
        let now = clock::now();
        let seconds = |lasts: Duration| lasts.as_secs();
        match outcome {
            Ok(_) => {
                let lasted = self.outages().handle_success(now, address).map(seconds);
                if let Some(lasted) = lasted {
                    tracing::warn!(address, "reached again after {lasted} s");
                }
            }
            Err(error) => {
                let lasts = self.outages().handle_failure(now, address).map(seconds);
                if let Some(lasts) = lasts {
                    tracing::warn!(address, %error, "not reached for {lasts} s; trying on");
                }
            }
        }
    }

    fn outages(&self) -> MutexGuard<'_, Outages> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, peer: Peer, address: &str, outcome: &Result<Connection>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slots.get_mut(&peer).filter(|slot| slot.address == address) else {
            if let Ok(connection) = outcome {
                let unwanted = Error::new(ErrorKind::Closed, "nobody needs this connection now");
                connection.fail(&unwanted);
            }
            return;
        };
        slot.last_failure = outcome.as_ref().err().cloned();
        slot.state = match outcome {
            Ok(connection) => SlotState::Connected {
                connection: connection.clone(),
                since: clock::now(),
            },
            Err(error) => {
                tracing::debug!(%error, ?peer, "cannot connect");
                let not_before = clock::now() + slot.backoff.next_wait(clock::random());
                SlotState::Idle { not_before }
            }
        };
    }
}

enum Attempt {
    Connected(Connection),
    Under(watch::Receiver<Option<Result<Connection>>>),
}
