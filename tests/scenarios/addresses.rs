//! Addresses that lead nowhere: each is named, in time, whoever asks.

use std::time::{Duration, Instant};

use kafka_client::admin::NewTopic;
use kafka_client::{Client, Error, ErrorKind, Record};

use crate::stories::reading::{PATIENCE, soon, within};
use crate::stories::silent_peer::SilentPeer;
use crate::stories::stage::Stage;

/// Nobody listens.
pub(crate) async fn nobody_listens(_: Stage) {
    check("127.0.0.1:1", &["refused"]).await;
}

/// The name belongs to nobody.
pub(crate) async fn a_name_does_not_resolve(_: Stage) {
    check("no-such-host.invalid:9092", &[]).await;
}

/// The port speaks HTTP.
pub(crate) async fn a_port_speaks_something_else(_: Stage) {
    let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let peer = SilentPeer::that_says(answer).await;
    let address = peer.address().to_string();
    check(&address, &["HTTP"]).await;
    // That does not pass by itself, and so nobody waits for it to pass.
    let client = Client::builder()
        .bootstrap_servers(&address)
        .build()
        .unwrap();
    let producer = client.producer().build().unwrap();
    let limit = Duration::from_secs(5);
    let errors = [
        within(limit, "ready", client.ready(PATIENCE)).await.err(),
        within(limit, "a send", producer.send(Record::to("t").value("v")))
            .await
            .err(),
        within(
            limit,
            "admin",
            client.admin().create_topic(NewTopic::new("t")),
        )
        .await
        .err(),
        within(limit, "ready again", client.ready(PATIENCE))
            .await
            .err(),
    ];
    for error in errors.map(Option::unwrap) {
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(!error.is_retriable());
        assert!(error.to_string().contains(&address), "{error}");
    }
    // As long as one of them may be a broker it is waited for.
    let mixed = Client::builder()
        .bootstrap_servers(format!("127.0.0.1:1,{address}"))
        .build()
        .unwrap();
    for _ in 0..5 {
        let waited = within(limit, "ready", mixed.ready(Duration::from_millis(200)));
        assert_eq!(waited.await.unwrap_err().kind(), ErrorKind::Timeout);
    }
}

/// The port accepts and says nothing.
pub(crate) async fn a_port_stays_silent(_: Stage) {
    let peer = SilentPeer::new().await;
    let address = peer.address().to_string();
    check(&address, &[]).await;
    // Also while the first attempt is still under way.
    let client = Client::builder()
        .bootstrap_servers(&address)
        .build()
        .unwrap();
    let error = client.ready(Duration::from_millis(300)).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("connecting to {address}")), "{text}");
}

/// The peer closes every connection.
pub(crate) async fn a_port_hangs_up(_: Stage) {
    let peer = SilentPeer::that_says(b"").await;
    check(&peer.address().to_string(), &["closed"]).await;
}

/// One good address is enough, wherever it stands, and the bad ones cost little time.
pub(crate) async fn one_good_address_is_enough(stage: Stage) {
    let silent = SilentPeer::new().await;
    let good = stage.cluster().bootstrap_servers();
    let bad = format!("127.0.0.1:1,no-such-host.invalid:9092,{}", silent.address());
    for servers in [format!("{good},{bad}"), format!("{bad},{good}")] {
        let client = Client::builder()
            .bootstrap_servers(&servers)
            .connection_setup_timeout(Duration::from_secs(1))
            .build()
            .unwrap();
        let limit = Duration::from_secs(10);
        within(limit, &servers, client.ready(limit)).await.unwrap();
    }
}

/// What is no address at all is refused before anything is opened.
pub(crate) async fn what_is_no_address_is_refused(_: Stage) {
    for servers in [
        "",
        "localhost",
        "localhost:",
        ":9092",
        "localhost:0",
        "localhost:99999",
    ] {
        let error = Client::builder()
            .bootstrap_servers(servers)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{servers}: {error}");
        let text = error.to_string();
        assert!(
            text.contains("bootstrap.servers") && text.contains(servers),
            "{text}"
        );
    }
}

/// The error of each face names the address and what happened, within the time that was set.
async fn check(address: &str, parts: &[&str]) {
    let client = Client::builder()
        .bootstrap_servers(address)
        .request_timeout(Duration::from_millis(800))
        .api_timeout(LIMIT)
        .connection_setup_timeout(Duration::from_millis(600))
        .build()
        .unwrap();
    let named = |error: Error| {
        let text = error.to_string();
        for part in [&[address], parts].concat() {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert!(
            error.is_retriable() || error.kind() == ErrorKind::Protocol,
            "{error:?}"
        );
    };
    let start = Instant::now();
    named(
        soon("an error of ready", client.ready(LIMIT))
            .await
            .unwrap_err(),
    );
    named(
        soon("an error of admin", client.admin().list_topics())
            .await
            .unwrap_err(),
    );
    let producer = client
        .producer()
        .max_block(LIMIT)
        .delivery_timeout(LIMIT)
        .build()
        .unwrap();
    let record = Record::to("t").value("v");
    named(
        soon("an error of a producer", producer.send(record))
            .await
            .unwrap_err(),
    );
    let took = start.elapsed();
    assert!(
        took < 3 * LIMIT + Duration::from_secs(2),
        "it took {took:?}"
    );
}

const LIMIT: Duration = Duration::from_millis(1_500);
