//! What the broker does by the clock: it ends sessions, rebalances and transactions, lets old offsets,
//! transactional ids and segments go, and makes logs durable.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::server::clock::Clock;
use crate::state::node::Node;

/// Turns groups whenever their time has come.
pub(crate) async fn turn_groups(node: Arc<Node>, clock: Clock) {
    let sooner = Arc::clone(node.groups.sooner());
    loop {
        let deadline = node.groups.deadline();
        let until = async {
            match deadline {
                Some(at) => sleep_until(clock.at(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = until => on_disk(&node, move |node| {
                node.groups.handle_time(clock.now(), &*node.topics().table());
            })
            .await,
            () = sooner.raised() => {}
        }
    }
}

/// Aborts transactions that take too long.
pub(crate) async fn turn_transactions(node: Arc<Node>, clock: Clock) {
    let sooner = Arc::clone(node.transactions.sooner());
    loop {
        let deadline = node.transactions.deadline();
        let until = async {
            match deadline {
                Some(at) => sleep_until(clock.at(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = until => {
                on_disk(&node, move |node| node.transactions.handle_time(clock.now())).await;
            }
            () = sooner.raised() => {}
        }
    }
}

/// Lets transactional ids go that have expired.
pub(crate) async fn expire_transactional_ids(node: Arc<Node>, clock: Clock) {
    let retention = node.config.transactional_id_expiration;
    every(node.config.transactional_id_check, || {
        on_disk(&node, move |node| {
            node.transactions.expire(clock.now(), retention);
        })
    })
    .await;
}

/// Lets offsets go that have expired.
pub(crate) async fn expire_offsets(node: Arc<Node>, clock: Clock) {
    let retention = node.config.offsets_retention;
    every(node.config.offsets_retention_check, || {
        on_disk(&node, move |node| {
            node.groups.expire(clock.now(), retention);
        })
    })
    .await;
}

/// Lets segments go that are too old or too much, and what was deleted.
pub(crate) async fn keep_house(node: Arc<Node>, clock: Clock) {
    every(node.config.retention_check, || {
        on_disk(&node, move |node| node.catalog().keep_house(clock.now()))
    })
    .await;
}

/// Makes durable what is due.
pub(crate) async fn flush(node: Arc<Node>, clock: Clock) {
    every(FLUSH_CHECK, || {
        on_disk(&node, move |node| node.catalog().flush_due(clock.now()))
    })
    .await;
}

/// Does something again and again, the first time after one period.
async fn every<F: Future<Output = ()>>(period: Duration, mut work: impl FnMut() -> F) {
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        work().await;
    }
}

/// Runs what may wait for the disk where it keeps nobody waiting.
async fn on_disk(node: &Arc<Node>, work: impl FnOnce(&Node) + Send + 'static) {
    let node = Arc::clone(node);
    let done = tokio::task::spawn_blocking(move || work(&node)).await;
    if let Err(error) = done {
        tracing::error!(%error, "work on the disk has failed");
    }
}

/// How often `flush.ms` is looked at.
const FLUSH_CHECK: Duration = Duration::from_secs(1);
