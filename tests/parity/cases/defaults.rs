//! Requests without content, in every version: nothing is asked for, or nothing legal.

use kafka_protocol::messages::*;

use crate::conversation::Conversation;

pub(crate) fn empty_requests(talk: &mut Conversation) {
    // Without an acknowledgement there would be no answer.
    talk.ask_in_all("nothing", &with!(ProduceRequest { acks: -1 }));
    macro_rules! ask {
        ($($request:ty),* $(,)?) => {
            $(talk.ask_in_all("nothing", &<$request>::default());)*
        };
    }
    ask!(
        FetchRequest,
        ListOffsetsRequest,
        OffsetCommitRequest,
        OffsetFetchRequest,
        JoinGroupRequest,
        SyncGroupRequest,
        HeartbeatRequest,
        LeaveGroupRequest,
        DescribeGroupsRequest,
        DeleteGroupsRequest,
        OffsetDeleteRequest,
        CreateTopicsRequest,
        DeleteTopicsRequest,
        DeleteRecordsRequest,
        CreatePartitionsRequest,
        OffsetForLeaderEpochRequest,
        AddOffsetsToTxnRequest,
        TxnOffsetCommitRequest,
        EndTxnRequest,
        DescribeConfigsRequest,
        AlterConfigsRequest,
        IncrementalAlterConfigsRequest,
        DescribeProducersRequest,
        DescribeTransactionsRequest,
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupDescribeRequest,
    );
}
