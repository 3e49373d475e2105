//! A broker that is reached in two places tells each client the one that it came by.

use std::net::SocketAddr;

use kafka_broker::control::Unsynced;
use kafka_broker::{Broker, BrokerError};
use kafka_protocol::messages::{DescribeClusterRequest, FindCoordinatorRequest, MetadataRequest};

use crate::connection::Connection;

/// What a client that comes to this address is told, by each API that tells it.
fn told(address: SocketAddr) -> Vec<String> {
    let mut connection = Connection::to(address);
    let metadata = connection.ask(&MetadataRequest::default(), 12);
    let cluster = connection.ask(&DescribeClusterRequest::default(), 1);
    let mut find = FindCoordinatorRequest::default();
    find.coordinator_keys.push("group".into());
    let found = connection.ask(&find, 4);
    let (broker, node) = (&metadata.brokers[0], &cluster.brokers[0]);
    let coordinator = &found.coordinators[0];
    [
        (&broker.host, broker.port),
        (&node.host, node.port),
        (&coordinator.host, coordinator.port),
    ]
    .map(|(host, port)| format!("{host}:{port}"))
    .to_vec()
}

async fn start(advertised: &str) -> Result<Broker, BrokerError> {
    Broker::builder()
        .set("listeners", "INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0")
        .set(
            "listener.security.protocol.map",
            "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
        )
        .set("advertised.listeners", advertised)
        .start()
        .await
}

#[tokio::test]
async fn each_listener_tells_its_own_address_in_every_life() {
    let broker = start("INSIDE://kafka:9092").await.unwrap();
    let listeners: Vec<_> = broker.listeners().cloned().collect();
    let names: Vec<_> = listeners.iter().map(|one| one.name()).collect();
    assert_eq!(names, ["INSIDE", "OUTSIDE"]);
    let [inside, outside] = [0, 1].map(|at| listeners[at].local_address());
    assert_eq!(broker.bootstrap_servers(), "kafka:9092");
    assert_eq!(broker.local_address(), inside);
    assert_eq!(listeners[1].bootstrap_servers(), outside.to_string());
    for _ in 0..2 {
        assert_eq!(told(inside), ["kafka:9092"; 3]);
        assert_eq!(
            told(outside),
            [
                outside.to_string(),
                outside.to_string(),
                outside.to_string()
            ]
        );
        let control = broker.control();
        control
            .kill(broker.node_id(), Unsynced::Kept)
            .await
            .unwrap();
        control.restart(broker.node_id()).await.unwrap();
    }
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_for_nobody_is_refused() {
    let error = start("OTHER://kafka:9092").await.unwrap_err().to_string();
    assert!(error.contains("advertised.listeners"), "{error}");
}
