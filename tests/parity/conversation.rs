//! A case's talk with one broker, and the transcript of it that is compared.
//!
//! What differs between two healthy brokers by its nature (addresses, ids that are made up, the wording of
//! messages for people) is replaced by names in the transcript.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest,
    OffsetFetchRequest,
};
use kafka_protocol::{Request, Uuid};

use crate::peer::{Answer, Peer};

pub(crate) struct Conversation {
    peer: Peer,
    prefix: String,
    scope: String,
    transcript: String,
    /// What is replaced in the transcript, and by what.
    aliases: Vec<(String, String)>,
}

impl Conversation {
    pub(crate) fn new(bootstrap: &str, case: &str) -> Self {
        let peer = Peer::new(bootstrap);
        let port = format!("port: {}", peer.address().port());
        // The broker may know the names of earlier runs.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let prefix = format!("{}.{:x}", case.replace("::", "."), now.as_millis());
        Self {
            peer,
            scope: String::new(),
            transcript: String::new(),
            aliases: vec![
                (port, "port: PORT".to_owned()),
                (prefix.clone(), "CASE".to_owned()),
            ],
            prefix,
        }
    }

    pub(crate) fn into_transcript(self) -> String {
        self.transcript
    }

    /// A name of this case's own.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}.{what}", self.prefix)
    }

    /// Writes `alias` for `value` from now on.
    pub(crate) fn alias(&mut self, value: impl ToString, alias: &str) {
        self.aliases.push((value.to_string(), alias.to_owned()));
    }

    /// Asks, and writes down what came back.
    pub(crate) fn ask<R: Request>(
        &mut self,
        what: &str,
        version: i16,
        request: &R,
    ) -> Option<R::Response> {
        self.ask_and_hide(what, version, request, |_| {})
    }

    /// Asks, and writes down what came back after `hide` has taken out what cannot be compared.
    pub(crate) fn ask_and_hide<R: Request>(
        &mut self,
        what: &str,
        version: i16,
        request: &R,
        hide: impl FnOnce(&mut R::Response),
    ) -> Option<R::Response> {
        let heading = format!("{}{} v{version}, {what}", self.scope, R::KEY);
        match self.peer.ask(request, version) {
            Answer::Response(response) => {
                let mut shown = response.clone();
                hide(&mut shown);
                self.write(&heading, &shown);
                Some(response)
            }
            Answer::HungUp => {
                self.write(&heading, &"hangs up");
                None
            }
            Answer::Silent => {
                self.write(&heading, &"is silent");
                None
            }
        }
    }

    /// Asks in each version that can say it.
    pub(crate) fn ask_in_all<R: Request>(&mut self, what: &str, request: &R) {
        for version in R::VERSIONS
            .intersection(R::KEY.advertised_versions())
            .unwrap()
            .iter()
        {
            if request.to_bytes(version).is_ok() {
                self.ask(what, version, request);
            }
        }
    }

    /// Asks, and writes nothing down: for what a case stands on.
    pub(crate) fn prepare<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        match self.peer.ask(request, version) {
            Answer::Response(response) => response,
            Answer::HungUp | Answer::Silent => panic!("{} v{version}: no answer", R::KEY),
        }
    }

    /// Sends bytes as they are, and writes down what came of it.
    pub(crate) fn send(&mut self, what: &str, bytes: &[u8]) {
        let answer = match self.peer.exchange(bytes) {
            Answer::Response(_) => "answers",
            Answer::HungUp => "hangs up",
            Answer::Silent => "is silent",
        };
        self.write(what, &answer);
    }

    /// What the headings speak of from now on.
    pub(crate) fn about(&mut self, scope: impl ToString) {
        self.scope = scope.to_string();
    }

    /// Makes a topic, and waits until it is led. Gives its name and its id.
    pub(crate) fn topic(
        &mut self,
        what: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> (String, Uuid) {
        let name = self.name(what);
        // The records of cases are old, and must not go before the case is over.
        let kept = ("retention.ms", "-1");
        let configs = configs.iter().chain([&kept]).map(|(key, value)| {
            with!(CreatableTopicConfig {
                name: (*key).into(),
                value: Some((*value).into())
            })
        });
        let topic = with!(CreatableTopic {
            name: (*name).into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
        });
        let created = self.prepare(
            7,
            &with!(CreateTopicsRequest {
                topics: vec![topic],
                timeout_ms: 10_000
            }),
        );
        assert_eq!(created.topics[0].error_code, 0, "{name}: {created:?}");
        let ask = with!(MetadataRequest {
            topics: Some(vec![with!(MetadataRequestTopic {
                name: Some((*name).into())
            })]),
        });
        let id = self.wait_for(&name, |talk| {
            let known = talk.prepare(12, &ask);
            let topic = &known.topics[0];
            let led = topic
                .partitions
                .iter()
                .all(|partition| partition.leader_id >= 0);
            (topic.error_code == 0 && led && topic.partitions.len() == partitions as usize)
                .then_some(topic.topic_id)
        });
        self.alias(format!("{id:?}"), &format!("ID of {what}"));
        // The controller has told of the leaders; they themselves may learn of it later.
        let ends = (0..partitions).map(|partition| {
            with!(ListOffsetsPartition {
                partition_index: partition,
                timestamp: -1
            })
        });
        let ends = with!(ListOffsetsTopic {
            name: (*name).into(),
            partitions: ends.collect()
        });
        let ends = with!(ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ends]
        });
        self.wait_for(&name, |talk| {
            let found = talk.prepare(7, &ends);
            let led = found.topics[0].partitions.iter();
            led.map(|row| row.error_code)
                .all(|code| code == 0)
                .then_some(())
        });
        (name, id)
    }

    /// A group, when its coordinator serves.
    pub(crate) fn group(&mut self, what: &str) -> String {
        let group = self.name(what);
        self.await_coordinator(&group, 0);
        let ask = with!(OffsetFetchRequest {
            group_id: (*group).into(),
            topics: None
        });
        self.wait_for(&group, |talk| {
            (talk.prepare(7, &ask).error_code == 0).then_some(())
        });
        group
    }

    /// Waits until a coordinator of this type is known for a key.
    pub(crate) fn await_coordinator(&mut self, key: &str, key_type: i8) {
        let ask = with!(FindCoordinatorRequest {
            key: key.into(),
            key_type
        });
        self.wait_for(key, |talk| {
            (talk.prepare(3, &ask).error_code == 0).then_some(())
        });
    }

    /// Waits for what comes by itself.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: waited too long");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn write(&mut self, heading: &str, answer: &dyn Debug) {
        self.transcript.push_str(heading);
        self.transcript.push('\n');
        let mut text = format!("{answer:#?}");
        for (value, alias) in &self.aliases {
            text = text.replace(value, alias);
        }
        // Later releases' fields are none of ours, and the wording of messages is everybody's own.
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let indentation = &line[..line.len() - line.trim_start().len()];
            let field = line.trim_start();
            if field.starts_with("unknown_tagged_fields") {
                if !field.ends_with(',') {
                    let end = format!("{indentation}}}");
                    let _ = lines.by_ref().find(|line| {
                        line.starts_with(&end) || line.starts_with(&format!("{indentation})"))
                    });
                }
                continue;
            }
            if field.contains("message: ") {
                if field.ends_with('(') {
                    let _ = lines.by_ref().nth(1);
                }
                continue;
            }
            self.transcript.push_str(&format!("  {line}\n"));
        }
    }
}
