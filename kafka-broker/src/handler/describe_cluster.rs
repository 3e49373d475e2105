//! DescribeCluster, versions 0 to 2: the cluster's id, controller and brokers.
//!
//! Not here: the endpoints of controllers; the broker is its own.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use crate::handler::authorized_operations::OF_CLUSTER;
use crate::handler::call::{Call, Handler, Outcome};

/// DescribeCluster.
#[derive(Debug)]
pub(crate) struct DescribeCluster;

impl Handler for DescribeCluster {
    type Request = DescribeClusterRequest;

    fn handle(call: &Call, request: DescribeClusterRequest) -> Outcome<DescribeClusterResponse> {
        let mut response = DescribeClusterResponse::default();
        if request.endpoint_type != BROKERS {
            response.error_code = ErrorCode::UNSUPPORTED_ENDPOINT_TYPE.code();
            response.error_message =
                Some("this listener tells the endpoints of brokers only".into());
            return Outcome::Ready(response);
        }
        let endpoint = &call.endpoint;
        let mut broker = DescribeClusterBroker::default();
        broker.broker_id = call.node.config.node_id;
        broker.host = endpoint.host.clone();
        broker.port = i32::from(endpoint.port);
        broker.rack = call.node.config.rack.as_deref().map(Into::into);
        response.endpoint_type = BROKERS;
        response.cluster_id = call.node.cluster_id.clone();
        response.controller_id = call.node.config.node_id;
        response.brokers = vec![broker];
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = OF_CLUSTER;
        }
        Outcome::Ready(response)
    }
}

const BROKERS: i8 = 1;
