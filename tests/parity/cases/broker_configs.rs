//! Settings of the broker that are made while it runs. What they are made of here is what no other case looks
//! at, and they are taken back at the end.

use kafka_protocol::messages::alter_configs_request;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{
    AlterConfigsRequest, CreateTopicsRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
};

use kafka_protocol::Uuid;

use crate::conversation::Conversation;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
const OWN: &str = "1";
const ALL: &str = "";

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Change<'a> = (&'a str, i8, Option<&'a str>);
type Setting<'a> = (&'a str, Option<&'a str>);

fn alter(name: &str, changes: &[Change<'_>]) -> IncrementalAlterConfigsRequest {
    let configs = changes.iter().map(|(key, operation, value)| {
        with!(AlterableConfig {
            name: (*key).into(),
            config_operation: *operation,
            value: value.map(Into::into),
        })
    });
    let resource = with!(AlterConfigsResource {
        resource_type: BROKER,
        resource_name: name.into(),
        configs: configs.collect(),
    });
    with!(IncrementalAlterConfigsRequest {
        resources: vec![resource]
    })
}

fn replace(name: &str, configs: &[Setting<'_>]) -> AlterConfigsRequest {
    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let configs = configs.iter().map(|(key, value)| {
        with!(AlterableConfig {
            name: (*key).into(),
            value: value.map(Into::into)
        })
    });
    let resource = with!(AlterConfigsResource {
        resource_type: BROKER,
        resource_name: name.into(),
        configs: configs.collect(),
    });
    with!(AlterConfigsRequest {
        resources: vec![resource]
    })
}

fn describe(kind: i8, name: &str, keys: &[&str]) -> DescribeConfigsRequest {
    let resource = with!(DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: Some(keys.iter().map(|&key| key.into()).collect()),
    });
    with!(DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
    })
}

fn ask_for(talk: &mut Conversation, what: &str, request: &DescribeConfigsRequest) {
    talk.ask_and_hide(what, 4, request, |response| {
        for result in &mut response.results {
            // Set for all brokers by Kafka itself, which has replicas that may lead though they are behind.
            let elr = "min.insync.replicas";
            result.configs.retain(|config| &*config.name != elr);
            result.configs.sort_by(|a, b| a.name.cmp(&b.name));
        }
    });
}

/// Waits until what was set has come to those who answer by way of the metadata.
fn await_value(talk: &mut Conversation, name: &str, key: &str, value: Option<&str>) {
    let request = describe(BROKER, name, &[key]);
    talk.wait_for(key, |talk| {
        let told = talk.prepare(4, &request);
        let config = told.results[0].configs.first();
        let told = config.and_then(|config| config.value.clone());
        (told.as_deref() == value).then_some(())
    });
}

/// What is the same on a node that was set up for tests, whatever it was started with.
const KEYS: &[&str] = &[
    "compression.type",
    "connections.max.idle.ms",
    "group.consumer.session.timeout.ms",
    "log.cleaner.backoff.ms",
    "log.cleaner.min.cleanable.ratio",
    "log.cleanup.policy",
    "log.flush.interval.ms",
    "log.message.timestamp.type",
    "log.preallocate",
    "log.retention.hours",
    "log.retention.minutes",
    "log.retention.ms",
    "log.roll.hours",
    "log.roll.jitter.hours",
    "log.roll.jitter.ms",
    "log.roll.ms",
    "log.segment.bytes",
    "max.connections",
    "max.connections.per.ip",
    "message.max.bytes",
    "num.partitions",
    "offset.metadata.max.bytes",
    "producer.id.expiration.ms",
    "unclean.leader.election.enable",
];

pub(crate) fn asked_for(talk: &mut Conversation) {
    ask_for(talk, "a broker", &describe(BROKER, OWN, KEYS));
    ask_for(talk, "all brokers", &describe(BROKER, ALL, &[]));
    ask_for(talk, "all brokers, by name", &describe(BROKER, ALL, KEYS));
    let written = describe(BROKER, "01", &["log.preallocate"]);
    ask_for(talk, "a broker, otherwise written", &written);
}

pub(crate) fn followed(talk: &mut Conversation) {
    let (topic, _) = talk.topic("t", 1, &[("index.interval.bytes", "5")]);
    let group = talk.group("g");
    const INTERVAL: &str = "log.index.interval.bytes";
    const POLICY: &str = "log.cleanup.policy";
    const PAUSE: &str = "group.consumer.assignment.interval.ms";
    let of_broker = [INTERVAL, "log.roll.ms", "log.roll.hours", POLICY];
    let of_topic = [
        "index.interval.bytes",
        "segment.ms",
        "segment.jitter.ms",
        "cleanup.policy",
    ];
    let look = |talk: &mut Conversation, when: &str| {
        let keyed = |what: &str| format!("{what}, {when}");
        ask_for(talk, &keyed("own"), &describe(BROKER, OWN, &of_broker));
        ask_for(talk, &keyed("all"), &describe(BROKER, ALL, &[]));
        ask_for(talk, &keyed("topic"), &describe(TOPIC, &topic, &of_topic));
    };
    look(talk, "before");
    let cluster = [
        (INTERVAL, SET, Some("5000")),
        ("log.roll.ms", SET, Some("70000000")),
    ];
    talk.ask_in_all("set for all", &alter(ALL, &cluster));
    await_value(talk, ALL, "log.roll.ms", Some("70000000"));
    look(talk, "set for all");
    let own = [
        (INTERVAL, SET, Some("6000")),
        ("log.roll.jitter.ms", SET, Some("9")),
        (POLICY, APPEND, Some("compact")),
        (PAUSE, SET, Some("2000")),
    ];
    talk.ask_in_all("set for one", &alter(OWN, &own));
    await_value(talk, OWN, PAUSE, Some("2000"));
    look(talk, "set for one");
    talk.ask_in_all(
        "append again",
        &alter(OWN, &[(POLICY, APPEND, Some("delete,compact"))]),
    );
    talk.ask_in_all(
        "subtract",
        &alter(OWN, &[(POLICY, SUBTRACT, Some("delete"))]),
    );
    await_value(talk, OWN, POLICY, Some("compact"));
    look(talk, "subtracted");
    // The default of Kafka is another one.
    talk.ask_and_hide(
        "a group",
        4,
        &describe(GROUP, &group, &["consumer.assignment.interval.ms"]),
        |response| {
            let config = &mut response.results[0].configs[0];
            config.synonyms.retain(|synonym| synonym.source != 5);
        },
    );
    let topics = with!(CreateTopicsRequest {
        topics: vec![with!(CreatableTopic {
            name: talk.name("new").as_str().into(),
            num_partitions: 1,
            replication_factor: 1,
        })],
        timeout_ms: 10_000,
        validate_only: true,
    });
    talk.ask_and_hide("a topic that would be made", 7, &topics, |response| {
        // Made up, and gone.
        response.topics[0].topic_id = Uuid::ZERO;
        let configs = response.topics[0].configs.as_mut().unwrap();
        configs.retain(|config| of_topic.contains(&&*config.name));
        configs.sort_by(|a, b| a.name.cmp(&b.name));
    });
    let listed = with!(ListConfigResourcesRequest {
        resource_types: vec![BROKER]
    });
    talk.ask("the brokers that are configured", 1, &listed);
    talk.ask_in_all(
        "replace",
        &replace(OWN, &[(INTERVAL, Some("7000")), (PAUSE, Some("3000"))]),
    );
    await_value(talk, OWN, PAUSE, Some("3000"));
    look(talk, "replaced");
    talk.ask_in_all("replace by nothing", &replace(OWN, &[]));
    await_value(talk, OWN, INTERVAL, Some("5000"));
    look(talk, "replaced by nothing");
    let taken_back = [(INTERVAL, DELETE, None), ("log.roll.ms", DELETE, None)];
    talk.ask_in_all("take back", &alter(ALL, &taken_back));
    await_value(talk, ALL, "log.roll.ms", None);
    look(talk, "taken back");
}

pub(crate) fn refused(talk: &mut Conversation) {
    let steps: &[(&str, &str, &[Change<'_>])] = &[
        ("nothing", OWN, &[]),
        (
            "one that is fixed",
            OWN,
            &[("num.partitions", SET, Some("3"))],
        ),
        (
            "one that is fixed, for all",
            ALL,
            &[("num.partitions", SET, Some("3"))],
        ),
        (
            "a fixed one beside another",
            OWN,
            &[
                ("log.preallocate", SET, Some("true")),
                ("num.partitions", SET, Some("3")),
            ],
        ),
        (
            "take back a fixed one",
            OWN,
            &[("num.partitions", DELETE, None)],
        ),
        (
            "take back what is not set",
            OWN,
            &[("log.preallocate", DELETE, None)],
        ),
        (
            "take back what nobody knows",
            OWN,
            &[("nobody.knows", DELETE, None)],
        ),
        (
            "another unit",
            OWN,
            &[("log.retention.hours", SET, Some("3"))],
        ),
        (
            "no number",
            OWN,
            &[("message.max.bytes", SET, Some("many"))],
        ),
        ("too small", OWN, &[("message.max.bytes", SET, Some("-5"))]),
        ("empty", OWN, &[("message.max.bytes", SET, Some(""))]),
        ("null", OWN, &[("message.max.bytes", SET, None)]),
        ("no truth", OWN, &[("log.preallocate", SET, Some("yes"))]),
        (
            "too much",
            OWN,
            &[("log.cleaner.min.cleanable.ratio", SET, Some("1.5"))],
        ),
        (
            "no policy",
            OWN,
            &[("log.cleanup.policy", SET, Some("burn"))],
        ),
        (
            "too long a pause",
            OWN,
            &[("group.consumer.assignment.interval.ms", SET, Some("15001"))],
        ),
        (
            "nobody may come",
            OWN,
            &[("max.connections", SET, Some("0"))],
        ),
        (
            "nobody may come from anywhere",
            OWN,
            &[("max.connections.per.ip", SET, Some("0"))],
        ),
        (
            "a key twice",
            OWN,
            &[
                ("log.preallocate", SET, Some("true")),
                ("log.preallocate", SET, Some("false")),
            ],
        ),
        (
            "append to a number",
            OWN,
            &[("message.max.bytes", APPEND, Some("1"))],
        ),
        (
            "append to what nobody knows",
            OWN,
            &[("nobody.knows", APPEND, Some("1"))],
        ),
        (
            "append to a fixed list",
            OWN,
            &[("group.consumer.assignors", APPEND, Some("range"))],
        ),
        (
            "an unknown operation",
            OWN,
            &[("message.max.bytes", 9, Some("1"))],
        ),
        (
            "another broker",
            "77",
            &[("log.preallocate", SET, Some("true"))],
        ),
        (
            "a broker that is no number",
            "one",
            &[("log.preallocate", SET, Some("true"))],
        ),
        (
            "what is each broker's own",
            ALL,
            &[("listeners", SET, Some("PLAINTEXT://:9092"))],
        ),
        (
            "another address",
            OWN,
            &[("listeners", SET, Some("PLAINTEXT://:9092"))],
        ),
        (
            "another address to tell",
            OWN,
            &[("advertised.listeners", SET, Some("PLAINTEXT://:9092"))],
        ),
    ];
    for (what, name, changes) in steps {
        talk.ask_in_all(what, &alter(name, changes));
    }
    for (what, value) in [("only asked", "true"), ("only asked, wrongly", "yes")] {
        let mut request = alter(OWN, &[("log.preallocate", SET, Some(value))]);
        request.validate_only = true;
        talk.ask_in_all(what, &request);
    }
    let mut twice = alter(OWN, &[("log.preallocate", SET, Some("true"))]);
    twice.resources.push(twice.resources[0].clone());
    talk.ask_in_all("a broker twice", &twice);
    let replaced: &[(&str, &str, &[Setting<'_>])] = &[
        (
            "replace by a fixed one",
            OWN,
            &[("num.partitions", Some("3"))],
        ),
        ("replace by null", OWN, &[("log.preallocate", None)]),
        (
            "replace by no truth",
            OWN,
            &[("log.preallocate", Some("yes"))],
        ),
        (
            "replace another broker's",
            "77",
            &[("log.preallocate", Some("true"))],
        ),
    ];
    for (what, name, configs) in replaced {
        talk.ask_in_all(what, &replace(name, configs));
    }
    ask_for(talk, "after all that", &describe(BROKER, OWN, KEYS));
    ask_for(talk, "all, after all that", &describe(BROKER, ALL, &[]));
}
