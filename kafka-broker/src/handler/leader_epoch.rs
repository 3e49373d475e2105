//! Whether a client knows the leader that it talks to.

use kafka_protocol::ErrorCode;

use crate::state::partition::Partition;

/// Compares the leader epoch that a client believes in; -1 stands for "whatever it is".
pub(crate) fn check_leader_epoch(partition: &Partition, believed: i32) -> Result<(), ErrorCode> {
    if believed == -1 || believed == partition.leader_epoch {
        Ok(())
    } else if believed < partition.leader_epoch {
        Err(ErrorCode::FENCED_LEADER_EPOCH)
    } else {
        Err(ErrorCode::UNKNOWN_LEADER_EPOCH)
    }
}
