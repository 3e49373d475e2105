//! The heart of the example `proxy`: what goes over it unchanged, and what does not.

use bytes::Bytes;
use kafka_protocol::header::decode_response_header;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::produce_response::NodeEndpoint;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, DescribeClusterResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse,
    ProduceRequest, ProduceResponse,
};
use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, Message as _, Request, Response, frame};

use crate::link::Link;

#[test]
fn brokers_are_where_the_proxy_says() {
    let mut link = link();
    let mut body = MetadataResponse::default();
    let mut broker = MetadataResponseBroker::default();
    broker.node_id = 3;
    broker.host = "10.0.0.3".into();
    broker.port = 9092;
    body.brokers.push(broker);
    let got = through(&mut link, &MetadataRequest::default(), &body, 12);
    assert_eq!(address(&got.brokers[0].host, got.brokers[0].port), HOST_3);

    let mut body = DescribeClusterResponse::default();
    let mut broker = DescribeClusterBroker::default();
    broker.broker_id = 3;
    broker.host = "10.0.0.3".into();
    body.brokers.push(broker);
    let got = through(&mut link, &DescribeClusterRequest::default(), &body, 1);
    assert_eq!(address(&got.brokers[0].host, got.brokers[0].port), HOST_3);

    let mut body = FindCoordinatorResponse::default();
    body.node_id = 3;
    body.host = "10.0.0.3".into();
    let got = through(&mut link, &FindCoordinatorRequest::default(), &body, 3);
    assert_eq!(address(&got.host, got.port), HOST_3);
    // There is none.
    (body.node_id, body.host) = (-1, "".into());
    let got = through(&mut link, &FindCoordinatorRequest::default(), &body, 3);
    assert_eq!(address(&got.host, got.port), ("", 0));

    let mut body = FindCoordinatorResponse::default();
    for node_id in [3, -1] {
        let mut found = Coordinator::default();
        found.node_id = node_id;
        body.coordinators.push(found);
    }
    let mut request = FindCoordinatorRequest::default();
    request.coordinator_keys = vec!["a".into(), "b".into()];
    let got = through(&mut link, &request, &body, 4);
    let found = &got.coordinators;
    assert_eq!(address(&found[0].host, found[0].port), HOST_3);
    assert_eq!(address(&found[1].host, found[1].port), ("", 0));

    let mut body = ProduceResponse::default();
    let mut node = NodeEndpoint::default();
    node.node_id = 3;
    body.node_endpoints.push(node);
    let got = through(&mut link, &produce(-1), &body, 10);
    let node = &got.node_endpoints[0];
    assert_eq!(address(&node.host, node.port), HOST_3);
}

#[test]
fn what_wants_no_answer_is_not_waited_for() {
    let mut link = link();
    link.request(&request(&produce(0), 9)).unwrap();
    // A version that only old brokers serve: its acknowledgements stand first.
    link.request(&old_produce(0)).unwrap();
    let body = MetadataResponse::default();
    let got = through(&mut link, &MetadataRequest::default(), &body, 12);
    assert_eq!(got, body);
    // With acknowledgements both are.
    link.request(&old_produce(1)).unwrap();
    let answer = Bytes::from_static(b"\0\0\0\x07\0\0\0\0\0\0\0\0");
    let got = strip(link.response(answer.clone()).unwrap());
    assert_eq!(got, answer);
    assert!(link.response(answer).is_err(), "nothing more was asked");
}

#[test]
fn a_broker_that_does_not_know_the_version_answers_in_version_0() {
    let mut link = link();
    link.request(&request(&ApiVersionsRequest::default(), 4))
        .unwrap();
    let mut body = ApiVersionsResponse::default();
    body.error_code = 35;
    body.api_keys.push(api(ApiKey::ApiVersions.code(), 0, 3));
    let told = strip(frame::encode_response(&body, 0, ID).unwrap());
    let got = strip(link.response(told.clone()).unwrap());
    assert_eq!(got, told);
}

/// Client and broker may know a version of `ApiVersions` that the proxy does not: it answers as a broker
/// of its own release would, and the client asks again.
#[test]
fn versions_are_not_told_in_a_version_that_is_too_new() {
    let newest = ApiVersionsRequest::VERSIONS.max;
    let mut link = link();
    let front = [18, newest + 1].map(i16::to_be_bytes).concat();
    let asked = [&front, b"\0\0\0\x07\0\x03app\0whatever".as_slice()].concat();
    link.request(&asked.into()).unwrap();
    let told = Bytes::from_static(b"\0\0\0\x07\0\0\x02whatever");
    let mut reader = Reader::new(strip(link.response(told).unwrap()));
    let header = decode_response_header(&mut reader, ApiKey::ApiVersions, 0).unwrap();
    assert_eq!(header.correlation_id, ID);
    let body = ApiVersionsResponse::decode(&mut reader, 0).unwrap();
    reader.finish().unwrap();
    assert_eq!(body.error_code, 35);
    assert_eq!(body.api_keys, [api(ApiKey::ApiVersions.code(), 0, newest)]);
}

#[test]
fn versions_are_cut_to_those_that_the_proxy_reads() {
    let mut body = ApiVersionsResponse::default();
    for (key, min, max) in [
        (ApiKey::Produce.code(), 0, 99),
        (ApiKey::Metadata.code(), 1, 99),
        (ApiKey::Fetch.code(), 50, 60),
        // Read by nobody here, or known to nobody.
        (ApiKey::Heartbeat.code(), 0, 99),
        (9999, 7, 8),
    ] {
        body.api_keys.push(api(key, min, max));
    }
    for version in [0, 3] {
        let got = through(&mut link(), &ApiVersionsRequest::default(), &body, version);
        let got: Vec<_> = got
            .api_keys
            .iter()
            .map(|api| (api.api_key, api.min_version, api.max_version))
            .collect();
        assert_eq!(
            got,
            [
                (0, 0, 13),
                (3, 1, 13),
                (ApiKey::Heartbeat.code(), 0, 99),
                (9999, 7, 8)
            ]
        );
    }
}

#[test]
fn unknown_apis_go_over_it_untouched() {
    let mut link = link();
    let asked = Bytes::from_static(b"\x27\x0f\0\x63\0\0\0\x07anything at all");
    link.request(&asked).unwrap();
    let told = Bytes::from_static(b"\0\0\0\x07whatever it is");
    assert_eq!(strip(link.response(told.clone()).unwrap()), told);
}

#[test]
fn answers_out_of_order_are_refused() {
    let mut link = link();
    link.request(&request(&MetadataRequest::default(), 12))
        .unwrap();
    let other = Bytes::from_static(b"\0\0\0\x08\0");
    assert!(link.response(other).is_err());
    for short in ["", "\0\x03\0\x0c\0\0"] {
        assert!(link.request(&Bytes::from_static(short.as_bytes())).is_err());
    }
}

fn link() -> Link {
    Link::new(|node_id| ("proxy.example", 9000 + node_id))
}

/// What the client gets for what the broker answers.
fn through<R: Request>(
    link: &mut Link,
    asked: &R,
    told: &R::Response,
    version: i16,
) -> R::Response {
    link.request(&request(asked, version)).unwrap();
    let told = strip(frame::encode_response(told, version, ID).unwrap());
    let got = strip(link.response(told).unwrap());
    let mut reader = Reader::new(got);
    let header = decode_response_header(&mut reader, R::Response::KEY, version).unwrap();
    assert_eq!(header.correlation_id, ID);
    let body = R::Response::decode(&mut reader, version).unwrap();
    reader.finish().unwrap();
    body
}

fn request<R: Request>(request: &R, version: i16) -> Bytes {
    strip(frame::encode_request(request, version, ID, Some("app")).unwrap())
}

fn produce(acks: i16) -> ProduceRequest {
    let mut request = ProduceRequest::default();
    request.acks = acks;
    request
}

/// Version 2: no transactional id, and no topics.
fn old_produce(acks: u8) -> Bytes {
    let front = b"\0\0\0\x02\0\0\0\x07\0\x03app\0".as_slice();
    [front, &[acks], b"\0\0\x75\x30\0\0\0\0".as_slice()]
        .concat()
        .into()
}

fn api(key: i16, min: i16, max: i16) -> ApiVersion {
    let mut api = ApiVersion::default();
    (api.api_key, api.min_version, api.max_version) = (key, min, max);
    api
}

/// A frame without its size.
fn strip(chunks: Vec<Bytes>) -> Bytes {
    Bytes::from(chunks.concat()).slice(frame::SIZE_LEN..)
}

fn address(host: &str, port: i32) -> (&str, i32) {
    (host, port)
}

const ID: i32 = 7;
const HOST_3: (&str, i32) = ("proxy.example", 9003);
