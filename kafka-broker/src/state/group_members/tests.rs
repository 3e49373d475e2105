//! Groups under random clients: members of both protocols join, leave, crash, lose answers and change their
//! minds, topics come, grow and go, saves fail and the broker restarts. Whatever happens, no partition is read by
//! two, and once it is quiet every partition is read by one.
//!
//! A seed makes a run. A failing one prints it, and `KAFKA_BROKER_SIMULATION_SEED` plays it alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::Uuid;
use kafka_protocol::messages::ConsumerProtocolSubscription;
use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition as OwnedTopic;

use super::*;
use crate::state::consumer_group::assignor::Assignor;
use crate::state::consumer_group::change::Partitions;
use crate::state::consumer_group::heartbeat::{LEAVES, WILL_BE_BACK};
use crate::state::consumer_group::ledger::Ledger;
use crate::state::consumer_group::limits::MigrationPolicy;
use crate::state::consumer_protocol::{decode_assignment, decode_subscription, encode_assignment};
use crate::state::group_record::GroupRecord;
use crate::state::typed_record::prefixed;

#[test]
fn partitions_have_one_reader_whatever_happens() {
    if let Ok(seed) = std::env::var("KAFKA_BROKER_SIMULATION_SEED") {
        World::new(seed.parse().expect("a number")).run();
        return;
    }
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..RUNS {
        let run = || {
            let mut world = World::new(seed);
            world.run();
            world.seen
        };
        match std::panic::catch_unwind(run) {
            Ok(counts) => {
                for (what, count) in counts {
                    *seen.entry(what).or_default() += count;
                }
            }
            Err(panic) => {
                eprintln!("KAFKA_BROKER_SIMULATION_SEED={seed} plays this run alone");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // What never happens is not tried.
    for what in MUST_HAPPEN {
        assert!(
            seen.contains_key(what),
            "{what} never happened; seen were {seen:?}"
        );
    }
}

#[test]
fn only_groups_of_consumers_become_consumer_groups_and_only_if_that_is_allowed() {
    let mut world = World::new(0);
    let topics = world.topics.clone();
    let join = |world: &mut World, protocol_type: &str| {
        let request = JoinRequest {
            footprint: 0,
            member_id: ByteString::new(),
            fresh_member_id: "m".into(),
            instance_id: None,
            client_id: "c".into(),
            client_host: "/h".into(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(10),
            protocol_type: protocol_type.into(),
            protocols: vec![("p".into(), Bytes::new())],
            must_know_id: false,
            may_skip_assignment: false,
        };
        let ticket = Ticket(1);
        world.group.handle_join(world.now, &topics, ticket, request);
    };
    let heartbeat = Heartbeat {
        member_id: "new".into(),
        rebalance_timeout_ms: Some(1000),
        topics: Some(["a".into()].into()),
        owned: Some(Partitions::new()),
        ..Heartbeat::default()
    };
    let refused = |world: &mut World| {
        let topics = world.topics.clone();
        let answer = world.group.handle_heartbeat(world.now, &topics, &heartbeat);
        let refusal = answer.unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::GROUP_ID_NOT_FOUND);
        assert_eq!(world.group.type_name(), "classic");
        refusal.to_string()
    };
    join(&mut world, "connect");
    assert!(refused(&mut world).contains("embedded protocol"));

    let mut world = World::new(0);
    join(&mut world, PROTOCOL_TYPE);
    assert!(refused(&mut world).contains("malformed"));

    let mut world = World::new(0);
    let mut consumer = ConsumerGroupLimits::clone(&world.limits.consumer);
    consumer.migration = MigrationPolicy::Downgrade;
    world.limits.consumer = Arc::new(consumer);
    world.group = GroupMembers::new(world.now, world.limits.clone(), world.config);
    join(&mut world, PROTOCOL_TYPE);
    assert!(refused(&mut world).contains("disabled"));
}

/// How many seeds are played.
const RUNS: u64 = 60;

/// What the runs together must have seen.
const MUST_HAPPEN: &[&str] = &[
    "upgrade",
    "downgrade",
    "restart",
    "failed save",
    "fenced",
    "stable",
    "static return",
    "lost answer",
];

/// Random numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn in_hundred(&mut self, chances: u64) -> bool {
        self.next() % 100 < chances
    }
}

/// Topics as the broker has them.
#[derive(Clone, Default)]
struct TestTopics {
    by_name: BTreeMap<ByteString, (Uuid, i32)>,
    version: u64,
    ids: u8,
}

impl TestTopics {
    fn set(&mut self, name: &str, partitions: i32) {
        self.version += 1;
        self.ids += 1;
        let id = Uuid([self.ids; 16]);
        self.by_name
            .entry(name.into())
            .or_insert((id, partitions))
            .1 = partitions;
    }

    fn remove(&mut self, name: &str) {
        self.version += 1;
        self.by_name.remove(name);
    }
}

impl TopicImage for TestTopics {
    fn version(&self) -> u64 {
        self.version
    }

    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        self.by_name.get(name).copied()
    }

    fn name_of(&self, id: Uuid) -> Option<ByteString> {
        let mut topics = self.by_name.iter();
        topics
            .find(|(_, topic)| topic.0 == id)
            .map(|(name, _)| name.clone())
    }

    fn names(&self) -> Box<dyn Iterator<Item = &ByteString> + '_> {
        Box::new(self.by_name.keys())
    }
}

/// A client, as far as it can be trusted: it reads what it was told it may, until it is told otherwise.
struct Client {
    id: ByteString,
    instance: Option<ByteString>,
    is_classic: bool,
    topics: BTreeSet<ByteString>,
    regex: Option<ByteString>,
    /// What it reads.
    owned: Partitions,
    /// The epoch or the generation; 0 is none.
    epoch: i32,
    stage: Stage,
    /// What it must tell of, because nothing else says that the broker knows.
    must_tell_all: bool,
    tells_owned: bool,
    ticket: Option<Ticket>,
    /// The version of the topics that it has last joined for: in a classic group nobody else looks.
    seen_topics: u64,
}

/// What the leader of a classic group gives a member.
struct Share {
    member_id: ByteString,
    topics: BTreeSet<ByteString>,
    partitions: BTreeSet<(ByteString, i32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Joining,
    Syncing,
    Member,
}

struct World {
    random: Random,
    now: Now,
    topics: TestTopics,
    limits: GroupLimits,
    config: GroupConfig,
    group: GroupMembers,
    log: Vec<KeyValue>,
    clients: Vec<Client>,
    names: u64,
    tickets: u64,
    seen: BTreeMap<&'static str, u64>,
    was_consumer_group: bool,
    epoch: i32,
    may_fail: bool,
}

const GROUP: &str = "g";

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut topics = TestTopics::default();
        topics.set("a", 4);
        topics.set("b", 3);
        let assignors = match random.in_hundred(50) {
            true => vec![Assignor::Uniform, Assignor::Range],
            false => vec![Assignor::Range, Assignor::Uniform],
        };
        let limits = GroupLimits {
            classic: Limits {
                initial_rebalance_delay: Duration::ZERO,
                size_max: 8,
                pending_room: Arc::default(),
            },
            consumer: Arc::new(ConsumerGroupLimits {
                size_max: 8,
                assignors,
                migration: MigrationPolicy::Bidirectional,
                rack: None,
            }),
        };
        let config = GroupConfig {
            assignment_interval: Duration::from_secs(if random.in_hundred(30) { 3 } else { 0 }),
            heartbeat_interval: Duration::from_secs(1),
            session_timeout: Duration::from_secs(20),
        };
        let now = Now::default();
        Self {
            random,
            now,
            topics,
            group: GroupMembers::new(now, limits.clone(), config),
            limits,
            config,
            log: Vec::new(),
            clients: Vec::new(),
            names: 0,
            tickets: 0,
            seen: BTreeMap::new(),
            was_consumer_group: false,
            epoch: 0,
            may_fail: true,
        }
    }

    fn run(&mut self) {
        for _ in 0..3 {
            self.may_fail = true;
            for _ in 0..150 {
                self.chaos();
                self.tick();
            }
            self.may_fail = false;
            self.becomes_stable();
        }
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Something happens, or nothing.
    fn chaos(&mut self) {
        match self.random.below(100) {
            0..12 if self.clients.len() < 6 => self.add_client(),
            12..16 if !self.clients.is_empty() => self.leave(),
            16..20 if !self.clients.is_empty() => {
                // A crash: nobody reads any more, and nobody says so.
                let at = self.random.below(self.clients.len());
                self.clients.remove(at);
            }
            20..24 if !self.clients.is_empty() => {
                let at = self.random.below(self.clients.len());
                let (topics, regex) = self.subscription(self.clients[at].is_classic);
                let client = &mut self.clients[at];
                (client.topics, client.regex) = (topics, regex);
                client.must_tell_all = true;
                if client.is_classic {
                    client.stage = Stage::Joining;
                }
            }
            24 => {
                let partitions = self
                    .topics
                    .find("a")
                    .map_or(2, |(_, count)| count.min(9) + 1);
                self.topics.set("a", partitions);
            }
            25 => match self.topics.find("c") {
                Some(_) => self.topics.remove("c"),
                None => self.topics.set("c", 2),
            },
            26..28 => self.restart(),
            _ => {}
        }
    }

    fn subscription(&mut self, is_classic: bool) -> (BTreeSet<ByteString>, Option<ByteString>) {
        if !is_classic && self.random.in_hundred(25) {
            let pattern = ["[ab]", ".*", "c|a", "none"][self.random.below(4)];
            return (BTreeSet::new(), Some(pattern.into()));
        }
        let mut topics: BTreeSet<ByteString> = [ByteString::from("a")].into();
        for more in ["b", "c"] {
            if self.random.in_hundred(60) {
                topics.insert(more.into());
            }
        }
        (topics, Some(ByteString::new()))
    }

    fn add_client(&mut self) {
        self.names += 1;
        let is_classic = self.random.in_hundred(45);
        let (topics, regex) = self.subscription(is_classic);
        let instance = self.random.in_hundred(30).then(|| {
            let number = self.random.below(3);
            ByteString::from(format!("instance-{number}"))
        });
        let in_use = |client: &Client| instance.is_some() && client.instance == instance;
        if self.clients.iter().any(in_use) {
            return;
        }
        self.clients.push(Client {
            id: match is_classic {
                true => ByteString::new(),
                false => format!("m{}", self.names).into(),
            },
            instance,
            is_classic,
            topics,
            regex,
            owned: Partitions::new(),
            epoch: 0,
            stage: Stage::Joining,
            must_tell_all: true,
            tells_owned: false,
            ticket: None,
            seen_topics: 0,
        });
    }

    fn leave(&mut self) {
        let at = self.random.below(self.clients.len());
        let client = self.clients.remove(at);
        if client.epoch == 0 {
            return;
        }
        let (now, topics) = (self.now, self.topics.clone());
        if client.is_classic {
            // A static member of the classic protocol goes without a word.
            if client.instance.is_none() {
                self.group
                    .handle_classic_leave(now, &topics, &client.id, None);
            }
        } else {
            let leave = Leave {
                member_id: client.id.clone(),
                instance_id: client.instance.clone(),
                will_be_back: client.instance.is_some(),
            };
            let left = self.group.handle_leave(now, &topics, &leave);
            if let Ok(answer) = left {
                assert!(matches!(answer.member_epoch, LEAVES | WILL_BE_BACK));
            }
        }
        self.settle();
    }

    /// A second goes by, and every client does what it must.
    fn tick(&mut self) {
        self.now.elapsed += Duration::from_secs(1);
        self.now.unix_ms += 1000;
        if self
            .group
            .deadline()
            .is_some_and(|at| at <= self.now.elapsed)
        {
            let members = self.ids().len();
            self.group.handle_time(self.now, &self.topics.clone());
            self.settle();
            if self.ids().len() < members {
                self.saw("fenced");
            }
        }
        for at in 0..self.clients.len() {
            if self.random.in_hundred(70) {
                match self.clients[at].is_classic {
                    true => self.speak_classic(at),
                    false => self.speak(at),
                }
                self.check_readers();
            }
        }
    }

    fn ids(&self) -> BTreeSet<ByteString> {
        match self.group.kind() {
            GroupKind::Classic(group) => group.members().map(|(id, _)| id.clone()).collect(),
            GroupKind::Consumer(group) => group.ledger().members().keys().cloned().collect(),
        }
    }

    /// A member of the new protocol sends a heartbeat.
    fn speak(&mut self, at: usize) {
        let client = &self.clients[at];
        let joins = client.epoch == 0;
        let all = client.must_tell_all || joins;
        let heartbeat = Heartbeat {
            member_id: client.id.clone(),
            member_epoch: client.epoch,
            instance_id: client.instance.clone(),
            rack_id: None,
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout_ms: all.then_some(15_000),
            topics: all.then(|| client.topics.clone()),
            regex: all.then(|| client.regex.clone().unwrap_or_default()),
            assignor: None,
            owned: (all || client.tells_owned).then(|| client.owned.clone()),
        };
        let was_static = client.instance.is_some() && joins;
        let before = self.ids();
        let answer = self
            .group
            .handle_heartbeat(self.now, &self.topics.clone(), &heartbeat);
        let saved = self.settle();
        if self.may_fail && self.random.in_hundred(5) {
            self.saw("lost answer");
            self.clients[at].must_tell_all = true;
            return;
        }
        let client = &mut self.clients[at];
        match answer {
            _ if !saved => client.must_tell_all = true,
            Ok(answer) => {
                client.must_tell_all = false;
                client.tells_owned = false;
                client.epoch = answer.member_epoch;
                client.stage = Stage::Member;
                if let Some(assigned) = answer.assignment {
                    client.tells_owned = assigned != client.owned;
                    client.owned = assigned;
                }
                if was_static && !before.contains(&client.id) && before.len() == self.ids().len() {
                    self.saw("static return");
                }
            }
            Err(refusal) => {
                client.must_tell_all = true;
                match refusal.code() {
                    // All is lost, and the member joins again.
                    ErrorCode::FENCED_MEMBER_EPOCH
                    | ErrorCode::UNKNOWN_MEMBER_ID
                    | ErrorCode::FENCED_INSTANCE_ID => {
                        client.owned.clear();
                        client.epoch = 0;
                    }
                    // The group is a classic one again, or has been forgotten: only who joins is let in.
                    ErrorCode::GROUP_ID_NOT_FOUND => {
                        assert!(!joins, "a consumer was not let in");
                        client.owned.clear();
                        client.epoch = 0;
                    }
                    ErrorCode::UNRELEASED_INSTANCE_ID | ErrorCode::GROUP_MAX_SIZE_REACHED => {}
                    other => panic!("{other:?}: {refusal}"),
                }
            }
        }
    }

    /// A member of the classic protocol does what is next.
    fn speak_classic(&mut self, at: usize) {
        if self.clients[at].ticket.is_some() {
            return;
        }
        if self.clients[at].seen_topics != self.topics.version {
            self.clients[at].stage = Stage::Joining;
        }
        match self.clients[at].stage {
            Stage::Joining => self.join(at),
            Stage::Syncing => self.sync(at, Vec::new()),
            Stage::Member => {
                let claim = self.claim(at);
                let error = self.group.handle_classic_heartbeat(self.now, &claim);
                self.settle();
                self.handle_classic_error(at, error);
            }
        }
    }

    fn claim(&self, at: usize) -> MemberClaim {
        let client = &self.clients[at];
        MemberClaim {
            member_id: client.id.clone(),
            instance_id: client.instance.clone(),
            generation: client.epoch,
        }
    }

    fn ticket(&mut self, at: usize) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.clients[at].ticket = Some(ticket);
        ticket
    }

    fn join(&mut self, at: usize) {
        self.names += 1;
        // Who was let go has lost all; its own client may not know that before it has joined again.
        if !self.ids().contains(&self.clients[at].id) {
            self.clients[at].owned.clear();
        }
        let ticket = self.ticket(at);
        self.clients[at].seen_topics = self.topics.version;
        let client = &self.clients[at];
        let mut subscription = ConsumerProtocolSubscription::default();
        subscription.topics = client.topics.iter().cloned().collect();
        for (topic, index) in &client.owned {
            if let Some(name) = self.topics.name_of(*topic) {
                let mut row = OwnedTopic::default();
                row.topic = name;
                row.partitions = vec![*index];
                subscription.owned_partitions.push(row);
            }
        }
        let request = JoinRequest {
            footprint: 0,
            member_id: client.id.clone(),
            fresh_member_id: format!("m{}", self.names).into(),
            instance_id: client.instance.clone(),
            client_id: "c".into(),
            client_host: "/h".into(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(15),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![("keep".into(), prefixed(&subscription, 3, 3).unwrap())],
            must_know_id: true,
            may_skip_assignment: true,
        };
        self.group
            .handle_join(self.now, &self.topics.clone(), ticket, request);
        self.settle();
    }

    fn sync(&mut self, at: usize, assignments: Vec<(ByteString, Bytes)>) {
        let ticket = self.ticket(at);
        let request = SyncRequest {
            member: self.claim(at),
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol: Some("keep".into()),
            assignments,
        };
        self.group
            .handle_sync(self.now, &self.topics.clone(), ticket, request);
        self.settle();
    }

    fn handle_answer(&mut self, ticket: Ticket, answer: Answer) {
        let waits = |client: &Client| client.ticket == Some(ticket);
        let Some(at) = self.clients.iter().position(waits) else {
            return;
        };
        self.clients[at].ticket = None;
        match answer {
            Answer::Join(join) if join.error == ErrorCode::NONE => {
                let client = &mut self.clients[at];
                client.id = join.member_id.clone();
                client.epoch = join.generation;
                client.stage = Stage::Syncing;
                let leads = !join.members.is_empty() && join.leader == join.member_id;
                if leads && !join.skip_assignment {
                    let shares = self.lead(&join);
                    self.sync(at, shares);
                }
            }
            Answer::Join(join) => {
                if join.error == ErrorCode::MEMBER_ID_REQUIRED {
                    self.clients[at].id = join.member_id;
                } else {
                    self.handle_classic_error(at, join.error);
                }
            }
            Answer::Sync(sync) if sync.error == ErrorCode::NONE => {
                let named = decode_assignment(&sync.assignment).unwrap();
                let topics = &self.topics;
                let assigned = named.into_iter();
                let assigned: Partitions = assigned
                    .filter_map(|(name, index)| Some((topics.find(&name)?.0, index)))
                    .collect();
                let client = &mut self.clients[at];
                // Cooperative: what is given up is given up by joining again.
                let gives_up = client.owned.iter().any(|one| !assigned.contains(one));
                client.owned = assigned;
                client.stage = match gives_up {
                    true => Stage::Joining,
                    false => Stage::Member,
                };
            }
            Answer::Sync(sync) => self.handle_classic_error(at, sync.error),
        }
    }

    fn handle_classic_error(&mut self, at: usize, error: ErrorCode) {
        let client = &mut self.clients[at];
        match error {
            ErrorCode::NONE => {}
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                client.stage = Stage::Joining;
            }
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::FENCED_INSTANCE_ID => {
                client.owned.clear();
                client.stage = Stage::Joining;
                if error != ErrorCode::ILLEGAL_GENERATION {
                    client.id = ByteString::new();
                    client.epoch = 0;
                }
            }
            ErrorCode::GROUP_MAX_SIZE_REACHED => {}
            other => panic!("{other:?}"),
        }
    }

    /// The leader of a classic group: everybody keeps what it has, and what nobody has goes to who has least.
    fn lead(&self, join: &JoinAnswer) -> Vec<(ByteString, Bytes)> {
        let mut shares: Vec<Share> = join
            .members
            .iter()
            .map(|member| {
                let wish = decode_subscription(&member.metadata).unwrap();
                let topics: BTreeSet<_> = wish.topics.into_iter().collect();
                let exists = |(name, index): &(ByteString, i32)| {
                    let topic = self.topics.find(name);
                    topics.contains(name) && topic.is_some_and(|(_, count)| *index < count)
                };
                Share {
                    member_id: member.member_id.clone(),
                    partitions: wish.owned.into_iter().filter(exists).collect(),
                    topics,
                }
            })
            .collect();
        // What a member still reads that it no longer wants is free in the next generation.
        let taken: BTreeSet<_> = join
            .members
            .iter()
            .flat_map(|member| decode_subscription(&member.metadata).unwrap().owned)
            .collect();
        for (name, (_, count)) in &self.topics.by_name {
            for index in 0..*count {
                let partition = (name.clone(), index);
                if taken.contains(&partition) {
                    continue;
                }
                let wants = shares
                    .iter_mut()
                    .filter(|share| share.topics.contains(name));
                if let Some(share) = wants.min_by_key(|share| share.partitions.len()) {
                    share.partitions.insert(partition);
                }
            }
        }
        let encode = |share: Share| {
            let assignment = encode_assignment(3, share.partitions).unwrap();
            (share.member_id, assignment)
        };
        shares.into_iter().map(encode).collect()
    }

    /// Saves, or fails to, and hands answers out. False if it failed.
    fn settle(&mut self) -> bool {
        let records = self.group.take_unsaved(&GROUP.into()).unwrap();
        let fails = self.may_fail && !records.is_empty() && self.random.in_hundred(3);
        if fails {
            self.saw("failed save");
            self.group.handle_save_failed();
            // What was is again what is.
            let rebuilt = rebuild(self.now, &self.limits, self.config, &self.log);
            if let (GroupKind::Consumer(is), GroupKind::Consumer(was)) =
                (self.group.kind(), rebuilt.kind())
            {
                assert_eq!(
                    lasting(is.ledger()),
                    lasting(was.ledger()),
                    "taken back by halves"
                );
            }
        } else {
            self.log.extend(records);
            self.group.handle_saved();
            self.check_epochs();
        }
        while let Some((ticket, answer)) = self.group.poll_answer() {
            self.handle_answer(ticket, answer);
        }
        !fails
    }

    fn lasting(&self) -> Option<Lasting> {
        match self.group.kind() {
            GroupKind::Classic(_) => None,
            GroupKind::Consumer(group) => Some(lasting(group.ledger())),
        }
    }

    fn check_epochs(&mut self) {
        let (is_consumer_group, epoch) = match self.group.kind() {
            GroupKind::Classic(group) => (false, group.generation()),
            GroupKind::Consumer(group) => {
                let ledger = group.ledger();
                assert!(
                    ledger.target_epoch().epoch <= ledger.epoch().epoch,
                    "a target of the future"
                );
                for (id, member) in ledger.members() {
                    assert!(
                        member.current.epoch <= ledger.target_epoch().epoch,
                        "{id} is ahead"
                    );
                }
                (true, ledger.epoch().epoch)
            }
        };
        match (self.was_consumer_group, is_consumer_group) {
            (false, true) => self.saw("upgrade"),
            (true, false) => self.saw("downgrade"),
            _ => {}
        }
        // A group of the other protocol that nobody was in begins anew.
        let began_anew = self.was_consumer_group != is_consumer_group && self.ids().len() <= 1;
        assert!(
            epoch >= self.epoch || began_anew,
            "the epoch went back: {} to {epoch}",
            self.epoch
        );
        self.was_consumer_group = is_consumer_group;
        self.epoch = epoch;
    }

    /// No partition is read by two.
    fn check_readers(&self) {
        let mut readers: BTreeMap<TopicIdPartition, &ByteString> = BTreeMap::new();
        // Who is no member any more may not have heard of it yet, and can be told by its next word alone.
        for client in self.clients.iter().filter(|client| self.knows(client)) {
            for partition in &client.owned {
                if let Some(other) = readers.insert(*partition, &client.id) {
                    panic!("{partition:?} is read by {other} and {}", client.id);
                }
            }
        }
        if let GroupKind::Consumer(group) = self.group.kind() {
            let mut holders = BTreeSet::new();
            for (id, member) in group.ledger().members() {
                for partition in member.current.held() {
                    assert!(
                        holders.insert(*partition),
                        "{partition:?} is held twice, by {id} too"
                    );
                }
            }
        }
    }

    fn knows(&self, client: &Client) -> bool {
        match self.group.kind() {
            GroupKind::Classic(group) => group
                .members()
                .any(|(id, _)| *id == client.id && group.generation() == client.epoch),
            GroupKind::Consumer(group) => {
                let member = group.ledger().members().get(&client.id);
                member.is_some_and(|member| member.is_classic() == client.is_classic)
            }
        }
    }

    /// The broker ends and starts again over its log.
    fn restart(&mut self) {
        self.saw("restart");
        let before = self.lasting();
        self.group = rebuild(self.now, &self.limits, self.config, &self.log);
        assert_eq!(self.lasting(), before, "the log tells another story");
        self.group.handle_restored(self.now);
        for client in &mut self.clients {
            if client.ticket.take().is_some() {
                client.stage = Stage::Joining;
            }
        }
        // What could not be saved of a classic group is forgotten.
        if let GroupKind::Classic(group) = self.group.kind() {
            self.epoch = group.generation();
            self.was_consumer_group = false;
        }
    }

    /// Nothing happens any more: everything must come to rest.
    fn becomes_stable(&mut self) {
        for _ in 0..TICKS_TO_REST {
            self.tick();
        }
        let live: BTreeSet<_> = self
            .clients
            .iter()
            .map(|client| client.id.clone())
            .collect();
        if self.clients.is_empty() {
            assert!(self.group.is_empty(), "{:?} are still there", self.ids());
            return;
        }
        assert_eq!(
            self.group.state_name(),
            "Stable",
            "of {} clients",
            live.len()
        );
        assert_eq!(self.ids(), live);
        self.saw("stable");
        let mut read = Partitions::new();
        for client in &self.clients {
            for partition in &client.owned {
                let name = self
                    .topics
                    .name_of(partition.0)
                    .expect("a topic that exists");
                assert!(self.wants(client, &name), "{} reads {name}", client.id);
                assert!(read.insert(*partition), "{partition:?} is read twice");
            }
        }
        for (name, (id, count)) in &self.topics.by_name {
            if self.clients.iter().any(|client| self.wants(client, name)) {
                for index in 0..*count {
                    assert!(read.contains(&(*id, index)), "nobody reads {name}-{index}");
                }
            }
        }
    }

    fn wants(&self, client: &Client, name: &str) -> bool {
        let matches = match client.regex.as_deref() {
            Some("[ab]") => matches!(name, "a" | "b"),
            Some("c|a") => matches!(name, "a" | "c"),
            Some(".*") => true,
            _ => false,
        };
        matches || client.topics.contains(name)
    }
}

/// Longer than every timeout of the simulation, one after the other.
const TICKS_TO_REST: usize = 120;

fn rebuild(now: Now, limits: &GroupLimits, config: GroupConfig, log: &[KeyValue]) -> GroupMembers {
    let mut group = GroupMembers::new(now, limits.clone(), config);
    for (key, value) in log {
        match GroupRecord::decode(key.clone(), value.clone()).unwrap() {
            GroupRecord::Group { snapshot, .. } => group.restore_classic(now, snapshot),
            GroupRecord::ConsumerGroup { change, .. } => group.restore_consumer(now, change),
            other => panic!("{other:?}"),
        }
    }
    group
}

type Lasting = (String, Vec<Option<ByteString>>);

/// All that a restart must bring back.
fn lasting(ledger: &Ledger) -> Lasting {
    let pieces = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        ledger.epoch(),
        ledger.target_epoch(),
        ledger.members(),
        ledger.targets(),
        ledger.regexes(),
    );
    let members = ledger.members().values();
    let held = members.flat_map(|member| member.current.held());
    let holders = held.map(|partition| ledger.holder(partition).cloned());
    (pieces, holders.collect())
}
