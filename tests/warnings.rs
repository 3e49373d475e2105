//! What the client says in the log, where nothing fails and yet somebody should know.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_broker::Broker;
use kafka_client::admin::NewTopic;
use kafka_client::consumer::Start;
use kafka_client::{Client, Record};

/// A forgotten acknowledgement keeps its partition from being committed, and no call fails.
#[tokio::test]
async fn a_forgotten_acknowledgement_is_told_at_the_close() {
    let log = Log::default();
    let _captured = log.capture();
    let broker = Broker::builder().start().await.unwrap();
    let client = Client::builder().bootstrap_servers(broker.bootstrap_servers());
    let client = client.build().unwrap();
    let admin = client.admin();
    let topic = NewTopic::new("t").partitions(1);
    admin.create_topic(topic).await.unwrap();
    let producer = client.producer().build().unwrap();
    for _ in 0..3 {
        producer.send(Record::to("t").value("v")).await.unwrap();
    }
    for (acknowledged, told) in [
        (
            [true, false, true],
            Some("t-0: 1 records delivered and not acknowledged; the group goes on at offset 1"),
        ),
        ([true, true, true], None),
    ] {
        log.clear();
        let consumer = client
            .consumer()
            .group(if told.is_some() {
                "forgetful"
            } else {
                "careful"
            })
            .subscribe(["t"])
            .start(Start::Oldest)
            .revocation_grace(Duration::from_millis(200))
            .build()
            .unwrap();
        for acknowledges in acknowledged {
            let record = consumer.next().await.unwrap().expect("a record comes");
            if acknowledges {
                record.ack();
            }
        }
        consumer.commit().await.unwrap();
        let patience = Duration::from_secs(10);
        consumer.close_within(patience).await.unwrap();
        let text = log.text();
        match told {
            Some(told) => assert!(text.contains(told), "{text}"),
            None => assert_eq!(text, ""),
        }
    }
}

/// The warnings of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Takes them up from now on, until the guard is dropped.
    fn capture(&self) -> impl Drop {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
            .with_ansi(false)
            .with_writer(move || log.clone());
        tracing_subscriber::util::SubscriberInitExt::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
