//! Who must receive a request. Kafka's specs do not say it, so this table is kept by hand; a request
//! that is missing from it is an error of the generator.

use Receiver::{
    AllBrokers, AnyBroker, Connection, Controller, GroupCoordinator, NamedBroker, PartitionLeader,
    ShareCoordinator, TransactionCoordinator, Voters,
};

/// The variants of `Receiver` in `kafka-protocol`, which explains them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Receiver {
    Connection,
    AnyBroker,
    AllBrokers,
    NamedBroker,
    PartitionLeader,
    GroupCoordinator,
    TransactionCoordinator,
    ShareCoordinator,
    Controller,
    Voters,
}

/// The receiver of the API of this name.
pub(crate) fn receiver(api: &str) -> Result<Receiver, String> {
    TABLE
        .iter()
        .find(|(name, _)| *name == api)
        .map(|(_, receiver)| *receiver)
        .ok_or_else(|| format!("{api}: who receives it is not in receivers.rs"))
}

/// Lower ends of ranges that brokers advertise though they serve only the valid ones: librdkafka
/// takes its features from them.
pub(crate) const ADVERTISED_FROM: [(&str, i16); 1] = [("Produce", 0)];

const TABLE: [(&str, Receiver); 91] = [
    ("Produce", PartitionLeader),
    ("Fetch", PartitionLeader),
    ("ListOffsets", PartitionLeader),
    ("Metadata", AnyBroker),
    ("OffsetCommit", GroupCoordinator),
    ("OffsetFetch", GroupCoordinator),
    ("FindCoordinator", AnyBroker),
    ("JoinGroup", GroupCoordinator),
    ("Heartbeat", GroupCoordinator),
    ("LeaveGroup", GroupCoordinator),
    ("SyncGroup", GroupCoordinator),
    ("DescribeGroups", GroupCoordinator),
    ("ListGroups", AllBrokers),
    ("SaslHandshake", Connection),
    ("ApiVersions", Connection),
    ("CreateTopics", Controller),
    ("DeleteTopics", Controller),
    ("DeleteRecords", PartitionLeader),
    ("InitProducerId", TransactionCoordinator),
    ("OffsetForLeaderEpoch", PartitionLeader),
    ("AddPartitionsToTxn", TransactionCoordinator),
    ("AddOffsetsToTxn", TransactionCoordinator),
    ("EndTxn", TransactionCoordinator),
    ("WriteTxnMarkers", PartitionLeader),
    ("TxnOffsetCommit", GroupCoordinator),
    ("DescribeAcls", AnyBroker),
    ("CreateAcls", Controller),
    ("DeleteAcls", Controller),
    ("DescribeConfigs", NamedBroker),
    ("AlterConfigs", NamedBroker),
    ("AlterReplicaLogDirs", NamedBroker),
    ("DescribeLogDirs", NamedBroker),
    ("SaslAuthenticate", Connection),
    ("CreatePartitions", Controller),
    ("CreateDelegationToken", Controller),
    ("RenewDelegationToken", Controller),
    ("ExpireDelegationToken", Controller),
    ("DescribeDelegationToken", AnyBroker),
    ("DeleteGroups", GroupCoordinator),
    ("ElectLeaders", Controller),
    ("IncrementalAlterConfigs", NamedBroker),
    ("AlterPartitionReassignments", Controller),
    ("ListPartitionReassignments", Controller),
    ("OffsetDelete", GroupCoordinator),
    ("DescribeClientQuotas", AnyBroker),
    ("AlterClientQuotas", Controller),
    ("DescribeUserScramCredentials", AnyBroker),
    ("AlterUserScramCredentials", Controller),
    ("Vote", Voters),
    ("BeginQuorumEpoch", Voters),
    ("EndQuorumEpoch", Voters),
    ("DescribeQuorum", Controller),
    ("AlterPartition", Controller),
    ("UpdateFeatures", Controller),
    ("Envelope", Controller),
    ("FetchSnapshot", Controller),
    ("DescribeCluster", AnyBroker),
    ("DescribeProducers", PartitionLeader),
    ("BrokerRegistration", Controller),
    ("BrokerHeartbeat", Controller),
    ("UnregisterBroker", Controller),
    ("DescribeTransactions", TransactionCoordinator),
    ("ListTransactions", AllBrokers),
    ("AllocateProducerIds", Controller),
    ("ConsumerGroupHeartbeat", GroupCoordinator),
    ("ConsumerGroupDescribe", GroupCoordinator),
    ("ControllerRegistration", Controller),
    ("GetTelemetrySubscriptions", AnyBroker),
    ("PushTelemetry", AnyBroker),
    ("AssignReplicasToDirs", Controller),
    ("ListConfigResources", AnyBroker),
    ("DescribeTopicPartitions", AnyBroker),
    ("ShareGroupHeartbeat", GroupCoordinator),
    ("ShareGroupDescribe", GroupCoordinator),
    ("ShareFetch", PartitionLeader),
    ("ShareAcknowledge", PartitionLeader),
    ("AddRaftVoter", Controller),
    ("RemoveRaftVoter", Controller),
    ("UpdateRaftVoter", Controller),
    ("InitializeShareGroupState", ShareCoordinator),
    ("ReadShareGroupState", ShareCoordinator),
    ("WriteShareGroupState", ShareCoordinator),
    ("DeleteShareGroupState", ShareCoordinator),
    ("ReadShareGroupStateSummary", ShareCoordinator),
    ("StreamsGroupHeartbeat", GroupCoordinator),
    ("StreamsGroupDescribe", GroupCoordinator),
    ("DescribeShareGroupOffsets", GroupCoordinator),
    ("AlterShareGroupOffsets", GroupCoordinator),
    ("DeleteShareGroupOffsets", GroupCoordinator),
    ("StreamsGroupTopologyDescriptionUpdate", GroupCoordinator),
    ("UnregisterController", Controller),
];
