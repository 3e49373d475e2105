//! What users send and receive, and how they name where it lies.

pub mod topic_partition;
