//! Requests of transactions.

use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse,
    ListTransactionsRequest, ListTransactionsResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

use crate::control::subjects::{About, Subjects};
use crate::handler::inspect::message::{Inspect, See, topic_by};
use crate::state::topics::TopicTable;

/// A request that is about no topic or group, answered with one code at the top.
macro_rules! inspect_plain {
    ($request:ty, $response:ty) => {
        impl Inspect for $request {
            const REFUSED_AS_A_WHOLE: bool = true;

            fn codes(answer: &mut $response, see: See<'_>) {
                see(About::WHOLE, &mut answer.error_code);
            }
        }
    };
}

inspect_plain!(InitProducerIdRequest, InitProducerIdResponse);
inspect_plain!(EndTxnRequest, EndTxnResponse);
inspect_plain!(ListTransactionsRequest, ListTransactionsResponse);

impl Inspect for AddOffsetsToTxnRequest {
    const GROUPS: bool = true;
    const REFUSED_AS_A_WHOLE: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        subjects.group(&self.group_id);
    }

    fn codes(answer: &mut AddOffsetsToTxnResponse, see: See<'_>) {
        see(About::WHOLE, &mut answer.error_code);
    }
}

impl Inspect for AddPartitionsToTxnRequest {
    const TOPICS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        let of_transactions = self.transactions.iter().flat_map(|one| &one.topics);
        for topic in self.v3_and_below_topics.iter().chain(of_transactions) {
            subjects.topic(&topic.name, topic.partitions.clone());
        }
    }

    fn codes(answer: &mut AddPartitionsToTxnResponse, see: See<'_>) {
        let of_transactions = answer.results_by_transaction.iter_mut();
        let of_transactions = of_transactions.flat_map(|one| &mut one.topic_results);
        let rows = answer.results_by_topic_v3_and_below.iter_mut();
        for topic in rows.chain(of_transactions) {
            let about = About::topic(&topic.name);
            for row in &mut topic.results_by_partition {
                see(
                    about.partition(row.partition_index),
                    &mut row.partition_error_code,
                );
            }
        }
    }
}

impl Inspect for WriteTxnMarkersRequest {
    const TOPICS: bool = true;

    fn subjects(&self, _: i16, _: &TopicTable, subjects: &mut Subjects) {
        for topic in self.markers.iter().flat_map(|marker| &marker.topics) {
            subjects.topic(&topic.name, topic.partition_indexes.clone());
        }
    }

    fn codes(answer: &mut WriteTxnMarkersResponse, see: See<'_>) {
        for topic in answer
            .markers
            .iter_mut()
            .flat_map(|marker| &mut marker.topics)
        {
            let about = About::topic(&topic.name);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}

impl Inspect for TxnOffsetCommitRequest {
    const TOPICS: bool = true;
    const GROUPS: bool = true;

    fn subjects(&self, version: i16, table: &TopicTable, subjects: &mut Subjects) {
        subjects.group(&self.group_id);
        for topic in &self.topics {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|one| one.partition_index).collect();
            let by_id = version >= 6;
            topic_by(
                subjects,
                table,
                by_id,
                &topic.name,
                topic.topic_id,
                partitions,
            );
        }
    }

    fn codes(answer: &mut TxnOffsetCommitResponse, see: See<'_>) {
        for topic in &mut answer.topics {
            let about = About::topic_by(&topic.name, topic.topic_id);
            for row in &mut topic.partitions {
                see(about.partition(row.partition_index), &mut row.error_code);
            }
        }
    }
}

impl Inspect for DescribeTransactionsRequest {
    fn codes(answer: &mut DescribeTransactionsResponse, see: See<'_>) {
        for row in &mut answer.transaction_states {
            see(About::WHOLE, &mut row.error_code);
        }
    }
}
