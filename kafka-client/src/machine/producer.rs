//! The decisions of a producer: which partition, which batch, in which order, how often again.

pub mod partition_queue;
pub mod partitioner;
pub mod split;
