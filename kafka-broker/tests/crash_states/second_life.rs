//! A log that goes on after a crash and crashes again: what was cut off must not come back behind what was
//! written in its place.

use std::sync::Arc;

use kafka_broker::log::{AppendOrigin, Keep, MemoryDisk};
use kafka_protocol::record::ProducerStamp;

use crate::check::{Told, recover};
use crate::workload::{Batch, NOW, Story, batch, batches_of};

/// One unsynced write after the other is lost, a batch as long as the one that is missing is appended, and
/// the disk crashes behind each event since. Gives how many disks there were.
pub(crate) fn enumerate(story: &Story) -> usize {
    let mut states = 0;
    for step in story.steps.iter().skip(1).step_by(2) {
        for lost in story.disk.unsynced(step.events) {
            if story.disk.written_by(lost).is_none() {
                continue;
            }
            let crashed = Arc::new(story.disk.crash(step.events, Keep::Without(lost)));
            let mut log = recover(story, &crashed);
            let mut batches = batches_of(&log);
            let Some(missing) = step.batches.get(batches.len()) else {
                continue;
            };
            let again = as_long_as(missing);
            let epoch = missing.header.partition_leader_epoch;
            log.append(&again, AppendOrigin::Coordinator, epoch, NOW)
                .unwrap();
            batches = batches_of(&log);
            drop(log);
            let end = crashed.event_count();
            let keeps = [Keep::Synced, Keep::All].into_iter();
            let unsynced = crashed.unsynced(end);
            for keep in keeps.chain(unsynced.into_iter().map(Keep::Without)) {
                states += 1;
                let _told = Told(|| {
                    let (name, at) = (story.name, step.events);
                    format!("{name} at {at} without {lost}, then at {end} keeping {keep:?}")
                });
                check(story, &crashed.crash(end, keep), &batches);
            }
        }
    }
    println!("{}: {states} states of a second life", story.name);
    states
}

fn check(story: &Story, disk: &MemoryDisk, batches: &[Batch]) {
    let found = batches_of(&recover(story, &Arc::new(disk.clone())));
    assert!(batches.starts_with(&found), "what was cut is back");
}

/// A batch that would leave what follows this one where it is.
fn as_long_as(missing: &Batch) -> Vec<u8> {
    (0..50)
        .map(|value| batch(value, NOW + 1, false, ProducerStamp::NONE))
        .find(|batch| batch.len() == missing.bytes.len())
        .unwrap_or_else(|| batch(0, NOW + 1, false, ProducerStamp::NONE))
}
