//! Settings asked for and changed.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{
    AlterConfigsRequest, ConsumerGroupHeartbeatRequest, DescribeConfigsRequest,
    IncrementalAlterConfigsRequest, ListConfigResourcesRequest, alter_configs_request,
    incremental_alter_configs_request,
};

use crate::cases::consumer_groups::hide_epoch;
use crate::conversation::Conversation;

pub(crate) fn describe(kind: i8, name: &str, keys: &[&str]) -> DescribeConfigsRequest {
    let resource = with!(DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: Some(keys.iter().map(|&key| key.into()).collect()),
    });
    with!(DescribeConfigsRequest {
        resources: vec![resource]
    })
}

/// One change of one setting.
pub(crate) fn change(
    kind: i8,
    name: &str,
    key: &str,
    operation: i8,
    value: Option<&str>,
) -> IncrementalAlterConfigsRequest {
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let config = with!(AlterableConfig {
        name: key.into(),
        config_operation: operation,
        value: value.map(Into::into),
    });
    let resource = with!(AlterConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configs: vec![config],
    });
    with!(IncrementalAlterConfigsRequest {
        resources: vec![resource]
    })
}

/// Asks in all versions. Kafka gives the settings in no order.
pub(crate) fn ask_for(talk: &mut Conversation, what: &str, request: &DescribeConfigsRequest) {
    for version in 1..=4 {
        talk.ask_and_hide(what, version, request, |response| {
            for result in &mut response.results {
                result.configs.sort_by(|a, b| a.name.cmp(&b.name));
            }
        });
    }
}

pub(crate) const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;

/// What is the same whatever a broker's defaults are.
const KEYS: &[&str] = &[
    "cleanup.policy",
    "compression.type",
    "retention.ms",
    "retention.bytes",
    "segment.bytes",
    "max.message.bytes",
    "message.timestamp.type",
    "delete.retention.ms",
    "nobody.knows",
];

pub(crate) fn asked_for(talk: &mut Conversation) {
    let (topic, _) = talk.topic("t", 1, &[("retention.bytes", "1000")]);
    let mut request = describe(TOPIC, &topic, KEYS);
    ask_for(talk, "a topic", &request);
    request.include_synonyms = true;
    let keys = ["cleanup.policy", "retention.bytes", "max.message.bytes"];
    request.resources[0].configuration_keys = Some(keys.map(Into::into).to_vec());
    ask_for(talk, "a topic, with synonyms", &request);
    ask_for(
        talk,
        "an unknown topic",
        &describe(TOPIC, "nobody-made-this", KEYS),
    );
    ask_for(talk, "an illegal topic", &describe(TOPIC, "a/b", KEYS));
    ask_for(talk, "an unknown broker", &describe(BROKER, "77", KEYS));
    ask_for(
        talk,
        "a broker that is no number",
        &describe(BROKER, "one", KEYS),
    );
    ask_for(talk, "a kind that nobody knows", &describe(99, "x", KEYS));
    ask_for(
        talk,
        "a broker",
        &describe(BROKER, "1", &["num.partitions"]),
    );
}

/// What a consumer group can have set for itself.
const GROUP_KEYS: &[&str] = &[
    "consumer.heartbeat.interval.ms",
    "consumer.session.timeout.ms",
    "nobody.knows",
];

pub(crate) fn of_groups(talk: &mut Conversation) {
    let group = talk.group("g");
    let unset = talk.name("nobody");
    let mut describe_all = describe(GROUP, &group, GROUP_KEYS);
    describe_all.include_synonyms = true;
    ask_for(talk, "nothing is set", &describe_all);
    ask_for(
        talk,
        "a group without a name",
        &describe(GROUP, "", GROUP_KEYS),
    );
    let (set, delete, append) = (0, 1, 2);
    const SESSION: &str = "consumer.session.timeout.ms";
    const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
    const PAUSE: &str = "consumer.assignment.interval.ms";
    let steps: [(&str, &str, &str, i8, Option<&str>); 21] = [
        ("a session", &group, SESSION, set, Some("50000")),
        ("a heartbeat", &group, HEARTBEAT, set, Some("6000")),
        ("a pause", &group, PAUSE, set, Some("500")),
        ("a short session", &group, SESSION, set, Some("44999")),
        ("a long session", &group, SESSION, set, Some("60001")),
        ("the longest session", &group, SESSION, set, Some("60000")),
        ("a quick heartbeat", &group, HEARTBEAT, set, Some("4999")),
        ("a slow heartbeat", &group, HEARTBEAT, set, Some("15001")),
        ("a long pause", &group, PAUSE, set, Some("15001")),
        ("a negative pause", &group, PAUSE, set, Some("-1")),
        ("no number", &group, SESSION, set, Some("soon")),
        ("no 32-bit number", &group, SESSION, set, Some("3000000000")),
        ("null", &group, SESSION, set, None),
        ("append to a number", &group, SESSION, append, Some("1")),
        ("an unknown one", &group, "nobody.knows", set, Some("1")),
        ("a topic's", &group, "retention.ms", set, Some("1")),
        ("take the pause back", &group, PAUSE, delete, None),
        ("take back what is not set", &group, PAUSE, delete, None),
        (
            "take back an unknown one",
            &group,
            "nobody.knows",
            delete,
            None,
        ),
        (
            "a group that nobody made",
            &unset,
            SESSION,
            set,
            Some("46000"),
        ),
        ("a group without a name", "", SESSION, set, Some("46000")),
    ];
    for (what, group, key, operation, value) in steps {
        talk.ask_in_all(what, &change(GROUP, group, key, operation, value));
    }
    let mut only_asked = change(GROUP, &group, SESSION, set, Some("47000"));
    only_asked.validate_only = true;
    talk.ask_in_all("only asked", &only_asked);
    // What was set goes to those who answer by way of the metadata.
    talk.wait_for("the settings", |talk| {
        let told = talk.prepare(4, &describe(GROUP, &unset, &[SESSION]));
        let configs = told.results[0].configs.first();
        configs
            .is_some_and(|config| config.value.as_deref() == Some("46000"))
            .then_some(())
    });
    ask_for(talk, "after all that", &describe_all);
    ask_for(
        talk,
        "a group that nobody made",
        &describe(GROUP, &unset, GROUP_KEYS),
    );
    let (names, prefix) = ([group.clone(), unset.clone()], talk.name(""));
    let listed = with!(ListConfigResourcesRequest {
        resource_types: vec![GROUP]
    });
    // Other cases have set things for their own groups.
    talk.ask_and_hide("the groups that are configured", 1, &listed, |response| {
        let rows = &mut response.config_resources;
        rows.retain(|row| row.resource_name.starts_with(&*prefix));
        rows.sort_by(|a, b| a.resource_name.cmp(&b.resource_name));
        assert!(
            rows.iter()
                .all(|row| names.contains(&row.resource_name.to_string()))
        );
    });

    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let replace = |key: &str, value: Option<&str>| {
        let config = with!(AlterableConfig {
            name: key.into(),
            value: value.map(Into::into)
        });
        let resource = with!(AlterConfigsResource {
            resource_type: GROUP,
            resource_name: (*group).into(),
            configs: vec![config],
        });
        with!(AlterConfigsRequest {
            resources: vec![resource]
        })
    };
    talk.ask_in_all("replace", &replace(HEARTBEAT, Some("7000")));
    talk.ask_in_all(
        "replace by what is too much",
        &replace(HEARTBEAT, Some("15001")),
    );
    talk.wait_for("the replacement", |talk| {
        let told = talk.prepare(4, &describe(GROUP, &group, &[HEARTBEAT]));
        let configs = told.results[0].configs.first();
        configs
            .is_some_and(|config| config.value.as_deref() == Some("7000"))
            .then_some(())
    });
    ask_for(talk, "after the replacement", &describe_all);
    // The members are told.
    let join = with!(ConsumerGroupHeartbeatRequest {
        group_id: (*group).into(),
        member_id: "m".into(),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec!["nobody-made-this".into()]),
        topic_partitions: Some(Vec::new()),
    });
    talk.ask_and_hide("a member joins", 1, &join, hide_epoch);
}

pub(crate) fn refused(talk: &mut Conversation) {
    let (topic, _) = talk.topic("t", 1, &[]);
    let (set, delete, append, subtract) = (0, 1, 2, 3);
    let mut ask = |what: &str, request: &IncrementalAlterConfigsRequest| {
        talk.ask_in_all(what, request);
    };
    ask(
        "set",
        &change(TOPIC, &topic, "retention.ms", set, Some("5000")),
    );
    ask(
        "set to what is none",
        &change(TOPIC, &topic, "retention.ms", set, Some("soon")),
    );
    ask(
        "set to null",
        &change(TOPIC, &topic, "retention.ms", set, None),
    );
    ask(
        "set an unknown one",
        &change(TOPIC, &topic, "nobody.knows", set, Some("1")),
    );
    ask(
        "delete",
        &change(TOPIC, &topic, "retention.ms", delete, None),
    );
    ask(
        "delete what is not set",
        &change(TOPIC, &topic, "retention.bytes", delete, None),
    );
    ask(
        "delete an unknown one",
        &change(TOPIC, &topic, "nobody.knows", delete, None),
    );
    ask(
        "append to a list",
        &change(TOPIC, &topic, "cleanup.policy", append, Some("compact")),
    );
    ask(
        "append what is there",
        &change(TOPIC, &topic, "cleanup.policy", append, Some("compact")),
    );
    ask(
        "subtract from a list",
        &change(TOPIC, &topic, "cleanup.policy", subtract, Some("compact")),
    );
    ask(
        "append to a number",
        &change(TOPIC, &topic, "retention.ms", append, Some("1")),
    );
    ask(
        "an unknown topic",
        &change(TOPIC, "nobody-made-this", "retention.ms", set, Some("1")),
    );
    ask(
        "a kind that nobody knows",
        &change(99, "x", "retention.ms", set, Some("1")),
    );
    ask(
        "an unknown broker",
        &change(BROKER, "77", "log.retention.ms", set, Some("1")),
    );
    let mut twice = change(TOPIC, &topic, "retention.ms", set, Some("5000"));
    let again = twice.resources[0].configs[0].clone();
    twice.resources[0].configs.push(again);
    ask("a key twice", &twice);
    ask_for(talk, "after all that", &describe(TOPIC, &topic, KEYS));

    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let replace = |name: &str, key: &str, value: Option<&str>| {
        let config = with!(AlterableConfig {
            name: key.into(),
            value: value.map(Into::into)
        });
        let resource = with!(AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: name.into(),
            configs: vec![config],
        });
        with!(AlterConfigsRequest {
            resources: vec![resource]
        })
    };
    talk.ask_in_all("replace", &replace(&topic, "retention.bytes", Some("7")));
    talk.ask_in_all(
        "replace by what is none",
        &replace(&topic, "retention.bytes", Some("many")),
    );
    talk.ask_in_all("replace by null", &replace(&topic, "retention.bytes", None));
    talk.ask_in_all(
        "replace of an unknown topic",
        &replace("nobody-made-this", "retention.bytes", Some("7")),
    );
    ask_for(
        talk,
        "after the replacement",
        &describe(TOPIC, &topic, KEYS),
    );
}
