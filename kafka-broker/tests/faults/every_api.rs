//! Every API that the broker serves, in every version: an error on demand stands where clients look for it,
//! and nothing of the request is applied.

use std::collections::BTreeSet;

use kafka_broker::ErrorCode;
use kafka_broker::control::{Action, Control, Rule};
use kafka_protocol::messages::*;
use kafka_protocol::{Request, VersionRange};

use crate::peer::{Peer, read};
use crate::{batch, ends, start};

/// One that no broker of one node gives by itself.
const CODE: ErrorCode = ErrorCode::REASSIGNMENT_IN_PROGRESS;

#[tokio::test]
async fn every_api_answers_an_error_where_it_stands() {
    let (broker, mut peer) = start().await;
    let control = broker.control();
    let versions = peer.ask(&ApiVersionsRequest::default(), 0);
    let mut every = Every {
        control,
        peer: &mut peer,
        served: versions
            .api_keys
            .iter()
            .map(|row| {
                (
                    row.api_key,
                    VersionRange::new(row.min_version, row.max_version),
                )
            })
            .collect(),
        seen: BTreeSet::new(),
    };
    every.records();
    every.topics();
    every.groups();
    every.new_groups();
    every.transactions();
    every.cluster();
    let served: BTreeSet<_> = every.served.iter().map(|(key, _)| *key).collect();
    let missing: Vec<_> = served.difference(&every.seen).collect();
    assert!(missing.is_empty(), "without a sample: {missing:?}");
    assert_eq!(ends(&mut peer), [0, 0, 0], "nothing was written");
}

/// All APIs, one after the other.
struct Every<'a> {
    control: Control,
    peer: &'a mut Peer,
    served: Vec<(i16, VersionRange)>,
    seen: BTreeSet<i16>,
}

impl Every<'_> {
    /// Asks in each version, and looks for as many errors as there are.
    fn check<R: Request>(&mut self, sample: impl Fn(i16) -> (R, usize)) {
        let code = R::KEY.code();
        let found = self.served.iter().find(|(key, _)| *key == code);
        let (_, range) = found.unwrap_or_else(|| panic!("{} is not served", R::NAME));
        let range = R::KEY.valid_versions().intersection(*range).unwrap();
        self.seen.insert(code);
        for version in range.min..=range.max {
            let rule = Rule::new("every", Action::Error(CODE)).api(R::KEY);
            let guard = self.control.add(rule).unwrap();
            let (request, errors) = sample(version);
            self.peer.send(&request, version);
            let what = format!("{} v{version}", R::NAME);
            let answer = self.peer.receive();
            let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
            let (_, answer) = read::<R>(answer, version);
            let text = format!("{answer:?}");
            let shown = format!("error_code: {}", CODE.code());
            assert_eq!(text.matches(&shown).count(), errors, "{what}: {text}");
            assert_eq!(guard.fired(), 1, "{what}");
            drop(guard);
            // The journal has found it too, and an answer of its own accord has it nowhere.
            let entries = self.control.journal();
            let entry = entries.last().unwrap();
            assert_eq!(entry.errors, [CODE], "{what}: {entry}");
            assert_eq!((entry.api, entry.version), (R::KEY, version));
        }
    }

    fn records(&mut self) {
        self.check(|version| {
            let mut request = batch(&[0, 1]);
            if version >= 13 {
                request.topic_data[0].topic_id = STRANGER;
            }
            (request, 2)
        });
        self.check(|_| {
            let mut topic = fetch_request::FetchTopic::default();
            topic.topic = "t".into();
            topic.topic_id = STRANGER;
            topic.partitions = vec![Default::default(); 2];
            let mut request = FetchRequest::default();
            request.max_wait_ms = 10_000;
            request.min_bytes = 1;
            request.max_bytes = 1_000;
            request.session_epoch = -1;
            request.topics = vec![topic];
            (request, 2)
        });
        self.check(|_| (crate::list(), 3));
        self.check(|_| {
            let mut topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default();
            topic.topic = "t".into();
            topic.partitions = vec![Default::default(); 2];
            let mut request = OffsetForLeaderEpochRequest::default();
            request.topics = vec![topic];
            (request, 2)
        });
        self.check(|_| {
            let mut topic = delete_records_request::DeleteRecordsTopic::default();
            topic.name = "t".into();
            topic.partitions = vec![Default::default(); 2];
            let mut request = DeleteRecordsRequest::default();
            request.topics = vec![topic];
            (request, 2)
        });
    }

    fn topics(&mut self) {
        self.check(|_| {
            let mut topic = metadata_request::MetadataRequestTopic::default();
            topic.name = Some("t".into());
            let mut request = MetadataRequest::default();
            request.topics = Some(vec![topic]);
            (request, 1)
        });
        self.check(|_| (DescribeTopicPartitionsRequest::default(), 1));
        self.check(|_| {
            let mut topic = create_topics_request::CreatableTopic::default();
            topic.name = "fresh".into();
            topic.num_partitions = 1;
            topic.replication_factor = 1;
            let mut request = CreateTopicsRequest::default();
            request.topics = vec![topic];
            (request, 1)
        });
        self.check(|version| {
            let mut request = DeleteTopicsRequest::default();
            if version < 6 {
                request.topic_names = vec!["t".into()];
            } else {
                let mut topic = delete_topics_request::DeleteTopicState::default();
                topic.name = Some("t".into());
                request.topics = vec![topic];
            }
            (request, 1)
        });
        self.check(|_| {
            let mut topic = create_partitions_request::CreatePartitionsTopic::default();
            topic.name = "t".into();
            topic.count = 7;
            let mut request = CreatePartitionsRequest::default();
            request.topics = vec![topic];
            (request, 1)
        });
        self.check(|_| {
            let mut topic = describe_producers_request::TopicRequest::default();
            topic.name = "t".into();
            topic.partition_indexes = vec![0, 1];
            let mut request = DescribeProducersRequest::default();
            request.topics = vec![topic];
            (request, 2)
        });
        self.check(|_| {
            let mut resource = describe_configs_request::DescribeConfigsResource::default();
            resource.resource_type = 2;
            resource.resource_name = "t".into();
            let mut broker = describe_configs_request::DescribeConfigsResource::default();
            broker.resource_type = 4;
            broker.resource_name = "1".into();
            let mut request = DescribeConfigsRequest::default();
            request.resources = vec![resource, broker];
            (request, 2)
        });
        self.check(|_| {
            let mut resource = alter_configs_request::AlterConfigsResource::default();
            resource.resource_type = 2;
            resource.resource_name = "t".into();
            let mut request = AlterConfigsRequest::default();
            request.resources = vec![resource];
            (request, 1)
        });
        self.check(|_| {
            let mut resource = incremental_alter_configs_request::AlterConfigsResource::default();
            resource.resource_type = 2;
            resource.resource_name = "t".into();
            let mut request = IncrementalAlterConfigsRequest::default();
            request.resources = vec![resource];
            (request, 1)
        });
    }

    fn groups(&mut self) {
        self.check(|_| (heartbeat(), 1));
        self.check(|_| {
            let mut request = JoinGroupRequest::default();
            request.group_id = "g".into();
            request.session_timeout_ms = 10_000;
            (request, 1)
        });
        self.check(|_| {
            let mut request = SyncGroupRequest::default();
            request.group_id = "g".into();
            (request, 1)
        });
        self.check(|_| {
            let mut request = LeaveGroupRequest::default();
            request.group_id = "g".into();
            (request, 1)
        });
        self.check(|_| (ListGroupsRequest::default(), 1));
        self.check(|_| {
            let mut request = DescribeGroupsRequest::default();
            request.groups = vec!["g".into(), "h".into()];
            (request, 2)
        });
        self.check(|_| {
            let mut request = DeleteGroupsRequest::default();
            request.groups_names = vec!["g".into(), "h".into()];
            (request, 2)
        });
        self.check(|_| {
            let mut topic = offset_commit_request::OffsetCommitRequestTopic::default();
            topic.name = "t".into();
            topic.topic_id = STRANGER;
            topic.partitions = vec![Default::default(); 2];
            let mut request = OffsetCommitRequest::default();
            request.group_id = "g".into();
            request.topics = vec![topic];
            (request, 2)
        });
        self.check(|version| {
            let mut request = OffsetFetchRequest::default();
            if version < 8 {
                let mut topic = offset_fetch_request::OffsetFetchRequestTopic::default();
                topic.name = "t".into();
                topic.partition_indexes = vec![0, 1];
                request.group_id = "g".into();
                request.topics = Some(vec![topic]);
                // The first version has room in its rows alone.
                return (request, if version < 2 { 2 } else { 1 });
            }
            let mut group = offset_fetch_request::OffsetFetchRequestGroup::default();
            group.group_id = "g".into();
            request.groups = vec![group];
            (request, 1)
        });
    }

    fn new_groups(&mut self) {
        self.check(|_| {
            let mut request = ConsumerGroupHeartbeatRequest::default();
            request.group_id = "g".into();
            (request, 1)
        });
        self.check(|_| {
            let mut request = ConsumerGroupDescribeRequest::default();
            request.group_ids = vec!["g".into(), "h".into()];
            (request, 2)
        });
        self.check(|_| {
            let mut request = OffsetDeleteRequest::default();
            request.group_id = "g".into();
            (request, 1)
        });
    }

    fn transactions(&mut self) {
        self.check(|_| (InitProducerIdRequest::default(), 1));
        self.check(|version| {
            let mut topic = add_partitions_to_txn_request::AddPartitionsToTxnTopic::default();
            topic.name = "t".into();
            topic.partitions = vec![0, 1];
            let mut request = AddPartitionsToTxnRequest::default();
            if version < 4 {
                request.v3_and_below_transactional_id = "x".into();
                request.v3_and_below_topics = vec![topic];
            } else {
                let mut transaction =
                    add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default();
                transaction.transactional_id = "x".into();
                transaction.topics = vec![topic];
                request.transactions = vec![transaction];
            }
            (request, 2)
        });
        self.check(|_| {
            let mut request = AddOffsetsToTxnRequest::default();
            request.transactional_id = "x".into();
            request.group_id = "g".into();
            (request, 1)
        });
        self.check(|_| (EndTxnRequest::default(), 1));
        self.check(|_| {
            let mut topic = write_txn_markers_request::WritableTxnMarkerTopic::default();
            topic.name = "t".into();
            topic.partition_indexes = vec![0, 1];
            let mut marker = write_txn_markers_request::WritableTxnMarker::default();
            marker.topics = vec![topic];
            let mut request = WriteTxnMarkersRequest::default();
            request.markers = vec![marker];
            (request, 2)
        });
        self.check(|_| {
            let mut topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default();
            topic.name = "t".into();
            topic.topic_id = STRANGER;
            topic.partitions = vec![Default::default(); 2];
            let mut request = TxnOffsetCommitRequest::default();
            request.transactional_id = "x".into();
            request.group_id = "g".into();
            request.topics = vec![topic];
            (request, 2)
        });
        self.check(|_| {
            let mut request = DescribeTransactionsRequest::default();
            request.transactional_ids = vec!["x".into(), "y".into()];
            (request, 2)
        });
        self.check(|_| (ListTransactionsRequest::default(), 1));
    }

    fn cluster(&mut self) {
        self.check(|version| {
            let mut request = FindCoordinatorRequest::default();
            if version < 4 {
                request.key = "g".into();
                return (request, 1);
            }
            request.coordinator_keys = vec!["g".into(), "h".into()];
            (request, 2)
        });
        self.check(|_| (DescribeClusterRequest::default(), 1));
        self.check(|_| (ListConfigResourcesRequest::default(), 1));
        self.check(|_| (DescribeLogDirsRequest::default(), 1));
        // The last one: from here on nobody learns what is served.
        self.check(|_| (ApiVersionsRequest::default(), 1));
    }
}

fn heartbeat() -> HeartbeatRequest {
    let mut request = HeartbeatRequest::default();
    request.group_id = "g".into();
    request
}

/// An id that no topic has: what is refused by rule need not be there.
const STRANGER: kafka_protocol::Uuid = kafka_protocol::Uuid([9; 16]);
