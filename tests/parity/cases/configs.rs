//! Settings asked for and changed.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    alter_configs_request, incremental_alter_configs_request,
};

use crate::conversation::Conversation;

fn describe(kind: i8, name: &str, keys: &[&str]) -> DescribeConfigsRequest {
    let resource = with!(DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: Some(keys.iter().map(|&key| key.into()).collect()),
    });
    with!(DescribeConfigsRequest {
        resources: vec![resource]
    })
}

/// Asks in all versions. Kafka gives the settings in no order.
fn ask_for(talk: &mut Conversation, what: &str, request: &DescribeConfigsRequest) {
    for version in 1..=4 {
        talk.ask_and_hide(what, version, request, |response| {
            for result in &mut response.results {
                result.configs.sort_by(|a, b| a.name.cmp(&b.name));
            }
        });
    }
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

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

pub(crate) fn refused(talk: &mut Conversation) {
    let (topic, _) = talk.topic("t", 1, &[]);
    let change = |kind: i8, name: &str, key: &str, operation: i8, value: Option<&str>| {
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
    };
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
