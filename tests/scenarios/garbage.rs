//! Bytes that are no requests, at the port of the cluster.

use std::time::Duration;

use kafka_client::Record;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stories::reading::{read_all, soon, within};
use crate::stories::stage::Stage;

/// Whoever sends garbage is hung up on; everybody else goes on.
pub(crate) async fn garbage_closes_its_own_connection_alone(stage: Stage) {
    let client = stage.client();
    let topic = stage.topic("t", 1).await;
    let producer = client.producer().build().unwrap();
    let mut bystander = connect(&stage).await;
    let send = async || {
        let record = Record::to(&topic).value("v");
        soon("a send", producer.send(record)).await.unwrap().offset
    };
    assert_eq!(send().await, 0);
    let garbage: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        // A TLS hello.
        &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3],
        // A negative size.
        &[0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4],
        // Two gigabytes to come.
        &[0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4],
        // A key that nobody knows.
        &[0, 0, 0, 8, 0x7f, 0xff, 0, 0, 0, 0, 0, 1],
        // Metadata that ends within its header.
        &[0, 0, 0, 6, 0, 3, 0, 12, 0, 0],
        // Metadata with more topics than bytes.
        &[
            0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff,
        ],
    ];
    for (number, garbage) in garbage.iter().enumerate() {
        let mut stream = connect(&stage).await;
        let mut answer = Vec::new();
        let hung_up = async {
            let _sent = stream.write_all(garbage).await;
            let _read = stream.read_to_end(&mut answer).await;
        };
        let what = format!("hanging up on {garbage:?}");
        within(Duration::from_secs(5), &what, hung_up).await;
        assert_eq!(send().await, number as i64 + 1);
    }
    // A frame that never ends, and a connection that was there before: neither is in the way.
    let mut half = connect(&stage).await;
    half.write_all(&[0, 0, 1, 0, 0]).await.unwrap();
    let versions = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    bystander.write_all(&versions).await.unwrap();
    let mut answer = [0; 8];
    let read = bystander.read_exact(&mut answer);
    within(Duration::from_secs(5), "an answer", read)
        .await
        .unwrap();
    assert_eq!(
        answer[4..],
        [0, 0, 0, 7],
        "the correlation id of the request"
    );
    assert_eq!(send().await, garbage.len() as i64 + 1);
    read_all(&client, &topic, garbage.len() + 2).await;
}

async fn connect(stage: &Stage) -> TcpStream {
    let servers = stage.cluster().bootstrap_servers();
    let address = servers.split(',').next().unwrap_or_default();
    soon("connecting", TcpStream::connect(address))
        .await
        .unwrap()
}
