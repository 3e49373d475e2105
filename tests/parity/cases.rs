//! The cases, each a function that talks to one broker.

mod broker_configs;
mod configs;
mod consume;
mod consumer_groups;
mod defaults;
mod frames;
mod groups;
mod offsets;
mod produce;
mod topics;
mod transactions;

use crate::conversation::Conversation;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) tell: fn(&mut Conversation),
}

macro_rules! cases {
    ($($path:path),* $(,)?) => {
        &[$(Case { name: stringify!($path), tell: $path }),*]
    };
}

/// Cases that change the broker for all topics: nobody else talks with it meanwhile.
pub(crate) const ALONE: &[Case] = cases![
    broker_configs::asked_for,
    broker_configs::followed,
    broker_configs::refused,
];

/// Cases that talk with the broker at the same time.
pub(crate) const CASES: &[Case] = cases![
    configs::asked_for,
    configs::of_groups,
    configs::refused,
    consume::bounds,
    consumer_groups::joined_and_left,
    consumer_groups::refused,
    consume::epochs,
    consume::unknown,
    consume::offsets_by_time,
    consume::named_twice,
    defaults::empty_requests,
    frames::damaged,
    groups::classic,
    groups::refused,
    groups::managed,
    offsets::committed,
    offsets::refused,
    produce::accepted,
    produce::refused,
    produce::idempotent,
    produce::validated,
    produce::held_to_their_head,
    produce::recompressed,
    produce::codecs,
    topics::allowed,
    topics::created,
    topics::refused,
    topics::grown_and_deleted,
    topics::sized,
    transactions::committed_and_aborted,
    transactions::refused,
];
