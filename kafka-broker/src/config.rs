//! Knobs, with Kafka's names, defaults and limits. Knows neither files nor sockets.

pub(crate) mod broker;
pub(crate) mod broker_properties;
pub(crate) mod codec;
pub(crate) mod effective;
pub(crate) mod error;
pub(crate) mod group;
pub(crate) mod group_properties;
pub(crate) mod overrides;
#[cfg(test)]
mod page;
pub(crate) mod property;
pub(crate) mod property_file;
pub(crate) mod release;
pub(crate) mod topic;
pub(crate) mod topic_properties;
