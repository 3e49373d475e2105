//! A transaction over two partitions and a group, and a kill -9 behind each step of it: whatever is
//! found then, it is found everywhere.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytestring::ByteString;
use kafka_protocol::record::{BatchBuilder, BatchHeader, BatchOptions, ProducerStamp};
use kafka_protocol::{ErrorCode, Uuid};

use crate::config::broker::BrokerConfig;
use crate::config::overrides::Overrides;
use crate::log::{AppendOrigin, Keep, LogDir, LogDirOwner, MemoryDisk};
use crate::state::catalog::Catalog;
use crate::state::classic_group::answer::MemberClaim;
use crate::state::node::Node;
use crate::state::offsets::CommittedOffset;
use crate::state::partition::ReadRequest;
use crate::state::time::Now;
use crate::state::topics::NewTopic;
use crate::state::transaction::{Participant, ProducerClaim, Protocol};
use crate::state::transactions::Admission;

const NOW: Now = Now {
    elapsed: Duration::ZERO,
    unix_ms: 1_760_000_000_000,
};
/// When every transaction has timed out.
const LATER: Now = Now {
    elapsed: Duration::from_secs(3600),
    unix_ms: NOW.unix_ms + 3_600_000,
};
const TIMEOUT_MS: i32 = 60_000;

#[test]
fn a_killed_broker_ends_what_was_decided_and_aborts_what_was_not() {
    for protocol in [Protocol::First, Protocol::Second] {
        for commit in [true, false] {
            let disk = MemoryDisk::journaled();
            let node = open(&disk, NOW);
            create_topic(&node);
            let claim = take_over(&node, NOW);
            write(&node, claim, protocol);
            let written = disk.event_count();
            let end = node.transactions.end(NOW, "id", claim, commit, protocol);
            let successor = end.unwrap();
            drop(node);

            let mut committed_at = None;
            for at in 0..=disk.event_count() {
                let place = format!("{protocol:?}, commit {commit}, killed at {at}");
                let node = open(&disk.crash(at, Keep::All), LATER);
                node.transactions.handle_time(LATER);
                let found = check_whole(&node, &place);
                assert!(!found || at > written, "{place}: committed before its end");
                assert!(found || committed_at.is_none(), "{place}: forgotten");
                if found && committed_at.is_none() {
                    committed_at = Some(at);
                }
                check_goes_on(&node, claim, &place);
            }
            assert_eq!(committed_at.is_some(), commit);

            // Once more, without a crash: who was told of its success can go on.
            let node = open(&disk.crash(disk.event_count(), Keep::All), LATER);
            write(&node, successor, protocol);
            let end = node
                .transactions
                .end(LATER, "id", successor, true, protocol);
            end.unwrap();
            assert!(check_whole(&node, "the next transaction"));
        }
    }
}

#[test]
fn an_offset_committed_meanwhile_outlives_the_end_of_a_transaction_and_a_restart() {
    let disk = MemoryDisk::journaled();
    let node = open(&disk, NOW);
    create_topic(&node);
    let claim = take_over(&node, NOW);
    write(&node, claim, Protocol::Second);
    let group = node.groups.find("g").unwrap();
    assert!(group.lock().pending.is_pending("t", 0));
    assert_eq!(group.lock().offsets.get("t", 0), None);
    let simple = node.groups.commit(NOW, &group, &NOBODY, vec![offset(77)]);
    assert_eq!(simple, ErrorCode::NONE);
    let end = node
        .transactions
        .end(NOW, "id", claim, true, Protocol::Second);
    end.unwrap();
    drop((node, group));
    for _ in 0..2 {
        let node = open(&disk, LATER);
        let group = node.groups.find("g").unwrap();
        assert_eq!(group.lock().offsets.get("t", 0).unwrap().offset, 77);
        assert!(group.lock().pending.is_empty());
    }
}

const NOBODY: MemberClaim = MemberClaim {
    member_id: ByteString::new(),
    instance_id: None,
    generation: -1,
};

fn open(disk: &MemoryDisk, now: Now) -> Node {
    fn random() -> [u8; 16] {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        [NEXT.fetch_add(1, Ordering::Relaxed); 16]
    }
    let owner = LogDirOwner {
        cluster_id: None,
        node_id: 1,
        new_directory_id: Uuid([1; 16]),
        new_cluster_id: Uuid([2; 16]),
    };
    let dir = LogDir::open(Arc::new(disk.clone()), Path::new("data"), &owner).unwrap();
    let config = Arc::new(BrokerConfig::new([]).unwrap());
    let catalog = Catalog::open(Arc::clone(&config), dir, random, now).unwrap();
    Node::new(config, Arc::new(catalog), Vec::new(), true, 1, random, now).unwrap()
}

fn create_topic(node: &Node) {
    let topic = NewTopic {
        name: "t".into(),
        id: Uuid([9; 16]),
        partitions: 2,
        overrides: Overrides::new(),
    };
    node.catalog().create_topic(NOW, topic).unwrap();
}

fn take_over(node: &Node, now: Now) -> ProducerClaim {
    let transactions = &node.transactions;
    match transactions.take_over(now, "id", TIMEOUT_MS, None) {
        Ok(claim) => claim,
        // What a client does: the transaction before is aborted by now.
        Err(ErrorCode::CONCURRENT_TRANSACTIONS) => {
            transactions.take_over(now, "id", TIMEOUT_MS, None).unwrap()
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// Records in both partitions, and an offset of a group.
fn write(node: &Node, claim: ProducerClaim, protocol: Protocol) {
    let data: Vec<Participant> = vec![("t".into(), 0), ("t".into(), 1)];
    let home = [node.home_of_group(NOW, "g").unwrap()];
    let admission = match protocol {
        Protocol::First => {
            for partitions in [&data[..], &home] {
                let joined = node.transactions.join(NOW, "id", claim, partitions);
                joined.unwrap();
            }
            Admission::Joined
        }
        Protocol::Second => Admission::Joins,
    };
    let transactions = &node.transactions;
    transactions.write(NOW, "id", claim, &data, admission, |refused| {
        assert!(refused.is_empty(), "{refused:?}");
        for partition in &node.topics().table().by_name("t").unwrap().partitions {
            let mut batch = BatchBuilder::new(Vec::new(), BatchOptions::new().transactional());
            batch.append(NOW.unix_ms, None, Some(b"v"), []).unwrap();
            let mine = partition.active_producers().unwrap();
            let mine = mine
                .iter()
                .find(|one| one.producer_id == claim.producer_id && one.epoch == claim.epoch);
            let batch = batch.seal(ProducerStamp {
                producer_id: claim.producer_id,
                producer_epoch: claim.epoch,
                base_sequence: mine.map_or(-1, |one| one.last_sequence) + 1,
            });
            let appended = partition.append(&batch, AppendOrigin::Client, NOW.unix_ms);
            appended.unwrap();
        }
    });
    let group = node.groups.find_or_create(NOW, &"g".into());
    let committed = transactions.write(NOW, "id", claim, &home, admission, |refused| {
        assert!(refused.is_empty(), "{refused:?}");
        let groups = &node.groups;
        groups.commit_in_transaction(NOW, &group, &NOBODY, claim, vec![offset(5)])
    });
    assert_eq!(committed, ErrorCode::NONE);
}

fn offset(offset: i64) -> (ByteString, i32, CommittedOffset) {
    let committed = CommittedOffset {
        offset,
        leader_epoch: -1,
        metadata: ByteString::new(),
        committed_at_ms: LATER.unix_ms,
        expires_at_ms: None,
        topic_id: Uuid::ZERO,
    };
    ("t".into(), 0, committed)
}

/// Nothing is open, and all places agree. Gives whether a transaction is committed.
fn check_whole(node: &Node, place: &str) -> bool {
    for (id, transaction) in node.transactions.list() {
        assert!(transaction.is_at_rest(), "{place}: {id}: {transaction:?}");
    }
    let table = node.topics().table();
    for topic in table.iter() {
        for partition in &topic.partitions {
            let marks = partition.marks().unwrap();
            let name = (&partition.topic, partition.index);
            assert_eq!(
                marks.last_stable_offset, marks.high_watermark,
                "{place}: {name:?}"
            );
        }
    }
    let committed: Vec<bool> = match table.by_name("t") {
        None => vec![false, false],
        Some(topic) => topic.partitions.iter().map(|one| shows(one)).collect(),
    };
    let group = node.groups.find("g");
    let offset = group.and_then(|group| {
        let state = group.lock();
        assert!(state.pending.is_empty(), "{place}: an offset still waits");
        state.offsets.get("t", 0).map(|found| found.offset)
    });
    assert_eq!(committed[0], committed[1], "{place}: torn");
    assert_eq!(
        committed[0],
        offset.is_some(),
        "{place}: torn from the offset"
    );
    committed[0]
}

/// Whether a reader of committed records sees any.
fn shows(partition: &crate::state::partition::Partition) -> bool {
    let mut offset = 0;
    loop {
        let request = ReadRequest {
            offset,
            max_bytes: 1 << 20,
            at_least_one: true,
            committed: true,
        };
        let found = partition.read(request).unwrap();
        if found.data.is_empty() {
            return false;
        }
        offset = found.data.next_offset;
        let aborted = found.aborted.unwrap();
        let bytes = found.data.load().unwrap();
        let mut rest = &bytes[..];
        while let Ok(header) = BatchHeader::decode(rest) {
            rest = &rest[header.total_len()..];
            let is_aborted = aborted.iter().any(|one| {
                one.producer_id == header.producer_id
                    && (one.first_offset..one.last_offset).contains(&header.base_offset)
            });
            if !header.attributes.is_control() && !is_aborted {
                return true;
            }
        }
    }
}

/// Another producer takes over and commits, and the one before is shut out.
fn check_goes_on(node: &Node, old: ProducerClaim, place: &str) {
    if node.topics().table().by_name("t").is_none() {
        create_topic(node);
    }
    let claim = take_over(node, LATER);
    assert!(
        claim.producer_id != old.producer_id || claim.epoch >= old.epoch,
        "{place}: {claim:?} after {old:?}"
    );
    write(node, claim, Protocol::Second);
    if claim != old {
        let home = node.home_of_group(LATER, "g").unwrap();
        let joined = node.transactions.join(LATER, "id", old, &[home]);
        assert!(joined.is_err(), "{place}: a zombie is let in");
    }
    let end = node
        .transactions
        .end(LATER, "id", claim, true, Protocol::Second);
    end.unwrap();
    assert!(check_whole(node, place));
}
