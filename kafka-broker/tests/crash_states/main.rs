//! What a log promises, held against every way in which a disk can be found after a power failure or a
//! kill: scripted workloads run on a disk that remembers each operation, and each of thousands of disks
//! that a crash may have left is opened, recovered and compared with what was acknowledged.

mod check;
mod flips;
mod second_life;
mod workload;

use std::sync::Arc;

use kafka_broker::log::Keep;

use crate::check::{Judge, recover};
use crate::workload::Story;

/// After each event of a story: nothing unsynced survives, all does, each single event is missing, is
/// the only one, is torn, has a hole; and some at random.
///
/// Where an event neither synced nor acknowledged anything, only it is taken apart: what leaves it out was
/// seen before, and the older ones have their turn when there is a promise to break.
fn enumerate(story: &Story) -> usize {
    let mut states = 0;
    for at in story.start..=story.disk.event_count() {
        let mut judge = |keep: Keep| {
            states += 1;
            Judge {
                story,
                at,
                keep,
                again: None,
                is_thorough: states % 5 == 0,
            }
            .check(&story.disk.crash(at, keep));
        };
        let unsynced = story.disk.unsynced(at);
        let newest = at - 1;
        let tells = !unsynced.contains(&newest) || story.is_acknowledged(at);
        judge(Keep::All);
        if tells {
            judge(Keep::Synced);
        }
        for event in unsynced.iter().copied() {
            if !tells && event != newest {
                continue;
            }
            judge(Keep::Without(event));
            judge(Keep::Only(event));
            if let Some(len) = story.disk.written_by(event) {
                for len in [1, len / 2, len - 1] {
                    judge(Keep::Torn { event, len });
                }
                judge(Keep::Holed {
                    event,
                    len: len / 2,
                });
            }
        }
        let draws = if unsynced.len() > 1 { DRAWS } else { 0 };
        for draw in 0..draws {
            judge(Keep::Random(at as u64 * 1000 + draw));
        }
    }
    println!("{}: {states} states", story.name);
    states
}

/// A crash while a crash is being recovered from keeps every promise of the first one.
fn enumerate_twice(story: &Story) -> usize {
    let mut states = 0;
    let step = (story.disk.event_count() / 25).max(1);
    for at in (story.start..=story.disk.event_count()).step_by(step) {
        for first in [Keep::All, Keep::Synced, Keep::Random(at as u64)] {
            let crashed = story.disk.crash(at, first);
            drop(recover(story, &Arc::new(crashed.clone())));
            for again in 0..=crashed.event_count() {
                for keep in [Keep::Synced, Keep::Random(again as u64)] {
                    states += 1;
                    Judge {
                        story,
                        at,
                        keep: first,
                        again: Some((again, keep)),
                        is_thorough: false,
                    }
                    .check(&crashed.crash(again, keep));
                }
            }
        }
    }
    println!("{}: {states} states crashed twice", story.name);
    states
}

fn run(story: &Story, at_least: usize) {
    let states = enumerate(story)
        + enumerate_twice(story)
        + second_life::enumerate(story)
        + flips::enumerate(story, ONE_BIT_IN);
    println!("{}: {states} states in all", story.name);
    assert!(states >= at_least, "{states} states of {}", story.name);
}

/// How many crashes are drawn by lot behind each event.
const DRAWS: u64 = 4;

/// Of so many bits of a file one is turned over.
const ONE_BIT_IN: usize = 61;

#[test]
fn appends_that_are_flushed_now_and_then() {
    run(&workload::appends(), 5000);
}

#[test]
fn appends_that_are_each_flushed() {
    run(&workload::flushed_appends(), 2000);
}

#[test]
fn a_follower_that_is_truncated() {
    run(&workload::truncations(), 4000);
}

#[test]
fn old_segments_that_are_deleted() {
    run(&workload::deletions(), 3000);
}

#[test]
fn producers_and_transactions() {
    run(&workload::transactions(), 4000);
}

#[test]
fn clean_stops_between_crashes() {
    run(&workload::clean_stops(), 2000);
}

/// What was cut off is not looked for behind a hole that compaction has left, so that there is no second
/// life here.
#[test]
fn segments_that_are_compacted() {
    let story = &workload::compactions();
    let states = enumerate(story) + enumerate_twice(story) + flips::enumerate(story, ONE_BIT_IN);
    println!("{}: {states} states in all", story.name);
    assert!(states >= 4000, "{states} states of {}", story.name);
}

/// Without this the rest would prove nothing: a disk that took no write since the partition was made has
/// lost what the log called durable.
#[test]
#[should_panic(expected = "is lost: ")]
fn a_disk_that_keeps_nothing_is_found_out() {
    let story = workload::appends();
    Judge {
        story: &story,
        at: story.disk.event_count(),
        keep: Keep::Synced,
        again: None,
        is_thorough: true,
    }
    .check(&story.disk.crash(story.start, Keep::Synced));
}
