//! What a broker is to be: settings that were checked, and where to listen.

use std::path::PathBuf;

use crate::config::broker::BrokerConfig;
use crate::config::release::Release;
use crate::log::MemoryDisk;
use crate::plan::listeners::PlannedListener;

pub(crate) mod address;
pub(crate) mod listeners;

/// What a broker needs to start.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) config: BrokerConfig,
    pub(crate) listeners: Vec<PlannedListener>,
    pub(crate) data: Data,
    /// The memory that data in memory lies in; a new one if there is none.
    pub(crate) memory: Option<MemoryDisk>,
    pub(crate) worker_threads: usize,
    pub(crate) emulated: Option<Release>,
    pub(crate) control_port: Option<String>,
}

/// Where the data of a broker lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// In a directory of its own that goes with the broker.
    Temporary,
    /// In this directory.
    Directory(PathBuf),
    /// In memory, where what is not durable can be lost.
    Memory,
}
