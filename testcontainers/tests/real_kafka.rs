//! Real Kafka is started, stopped, killed and judged by its own tools.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kafka_testcontainers::{KafkaTools, RealKafka, StartError};

#[test]
fn a_node_keeps_its_address_and_its_data() {
    let mut kafka = RealKafka::start("4.4.0").unwrap();
    let bootstrap = kafka.bootstrap_servers();
    let tools = KafkaTools::resolve().unwrap();
    let topics = |action: &[&str]| {
        let mut arguments = vec!["--bootstrap-server", &bootstrap];
        arguments.extend(action);
        let output = tools
            .run("org.apache.kafka.tools.TopicCommand", arguments)
            .unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            output.stdout,
            output.stderr
        );
        output.stdout
    };
    topics(&["--create", "--topic", "orders", "--partitions", "3"]);
    let partition: PathBuf = kafka.log_dir().join("orders-2");
    // The broker makes it after the controller has answered.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !partition.is_dir() {
        assert!(
            Instant::now() < deadline,
            "{} is missing",
            partition.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }

    assert!(kafka.stop(), "kafka had to be killed:\n{}", kafka.log());
    assert!(!is_open(&bootstrap));
    kafka.restart().unwrap();
    assert_eq!(kafka.bootstrap_servers(), bootstrap);
    assert!(topics(&["--list"]).contains("orders"));

    kafka.kill();
    assert!(!is_open(&bootstrap));
    kafka.restart().unwrap();
    assert!(topics(&["--list"]).contains("orders"));

    let folder = kafka.log_dir();
    drop(kafka);
    assert!(!is_open(&bootstrap));
    assert!(!folder.exists());
}

#[test]
fn a_node_that_cannot_start_shows_why() {
    let builder = RealKafka::builder("4.4.0").property("log.cleaner.threads", "many");
    match builder.start() {
        Err(StartError::Format { output } | StartError::Exited { log: output, .. }) => {
            assert!(output.contains("log.cleaner.threads"), "{output}");
        }
        other => panic!("expected a failed start, got {other:?}"),
    }
}

#[test]
fn a_release_that_does_not_exist_is_named() {
    let error = RealKafka::start("0.0.0-none").unwrap_err();
    assert!(matches!(error, StartError::Jars { .. }), "{error}");
    assert!(error.to_string().contains("0.0.0"), "{error}");
}

fn is_open(address: &str) -> bool {
    let address: SocketAddr = address.parse().expect("an address and a port");
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}
