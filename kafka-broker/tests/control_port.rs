//! The control port, as programs of other languages use it: plain HTTP over a socket.
#![expect(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use kafka_broker::Broker;
use serde_json::{Value, json};

#[tokio::test]
async fn rules_are_added_listed_and_removed() {
    let port = Port::open().await;
    let rule = json!({
        "name": "a rule", "error": "NOT_COORDINATOR", "api": "Heartbeat", "group": "g", "times": 2,
    });
    assert_eq!(port.post("/rules", &rule), (200, json!({})));
    let mut listed = rule.clone();
    listed["matched"] = 0.into();
    listed["fired"] = 0.into();
    assert_eq!(port.get("/rules"), (200, json!([listed])));
    let (status, refused) = port.post("/rules", &rule);
    assert_eq!(status, 400);
    assert!(refused["error"].as_str().unwrap().contains("holds already"));
    assert_eq!(port.ask("DELETE", "/rules/a%20rule", ""), (200, listed));
    assert_eq!(port.ask("DELETE", "/rules/a%20rule", "").0, 404);
    port.post("/rules", &rule);
    assert_eq!(port.ask("DELETE", "/rules", ""), (200, json!({})));
    assert_eq!(port.get("/rules"), (200, json!([])));
}

#[tokio::test]
async fn the_journal_and_the_figures_tell_what_was_asked() {
    let port = Port::open().await;
    // ApiVersions v0, by a client without a name.
    let mut kafka = TcpStream::connect(port.broker.local_address()).unwrap();
    kafka
        .write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff])
        .unwrap();
    kafka.read_exact(&mut [0; 8]).unwrap();
    let (_, journal) = port.get("/journal");
    assert_eq!(journal.as_array().unwrap().len(), 1);
    assert_eq!(journal[0]["api"], "ApiVersions");
    assert_eq!(journal[0]["outcome"], "answered");
    let (status, figures) = port.text("/metrics");
    assert_eq!(status, 200);
    for line in [
        "kafka_broker_up 1",
        "kafka_broker_requests_total{api=\"ApiVersions\",error=\"NONE\"} 1",
        "kafka_broker_connections 1",
        "kafka_broker_received_bytes_total 14",
        "kafka_broker_groups 0",
    ] {
        assert!(
            figures.lines().any(|one| one == line),
            "{line} is not in\n{figures}"
        );
    }
    assert_eq!(port.ask("DELETE", "/journal", "").0, 200);
    assert_eq!(port.get("/journal"), (200, json!([])));
}

#[tokio::test]
async fn a_broker_is_killed_and_comes_back() {
    let port = Port::open().await;
    assert_eq!(port.get("/ready").0, 200);
    let lost = port.post("/brokers/1/kill", &json!({"unsynced": "lost"}));
    assert_eq!(lost.0, 409);
    assert_eq!(port.post("/brokers/1/restart", &json!({})).0, 409);
    assert_eq!(port.post("/brokers/1/kill", &json!({})), (200, json!({})));
    assert_eq!(port.get("/ready").0, 503);
    assert!(port.text("/metrics").1.contains("kafka_broker_up 0"));
    assert!(TcpStream::connect(port.broker.local_address()).is_err());
    assert_eq!(
        port.post("/brokers/1/restart", &json!({})),
        (200, json!({}))
    );
    assert_eq!(port.get("/ready").0, 200);
    assert!(TcpStream::connect(port.broker.local_address()).is_ok());
    for turn in [
        json!({"turn": "stop"}),
        json!({"advance_ms": 1000}),
        json!({"turn": "resume"}),
    ] {
        assert_eq!(port.post("/groups/g/clock", &turn), (200, json!({})));
    }
    assert_eq!(port.post("/brokers/1/stall", &json!({})).0, 200);
    assert_eq!(port.post("/brokers/1/resume", &json!({})).0, 200);
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_harms_nobody() {
    let port = Port::open().await;
    for (method, path, body, status) in [
        ("GET", "/", "", 404),
        ("GET", "/nothing", "", 404),
        ("PUT", "/rules", "", 405),
        ("POST", "/rules", "{", 400),
        ("POST", "/rules", "[]", 400),
        ("POST", "/rules", r#"{"name":"r","eror":"X"}"#, 400),
        (
            "POST",
            "/rules",
            r#"{"name":"r","cut":1,"api":"Vote"}"#,
            400,
        ),
        ("POST", "/groups/g/clock", "{}", 400),
        ("POST", "/groups/g/clock", r#"{"turn":"back"}"#, 400),
        ("POST", "/brokers/x/kill", "", 400),
        ("POST", "/brokers/2/kill", "", 404),
        ("POST", "/brokers/1/burn", "", 404),
        ("POST", "/brokers/1/kill", r#"{"unsinced":"lost"}"#, 400),
        ("POST", "/brokers/1/kill", r#"{"unsynced":"maybe"}"#, 400),
    ] {
        let (got, answer) = port.ask(method, path, body);
        assert_eq!(got, status, "{method} {path} {body}: {answer}");
        assert!(answer["error"].is_string(), "{method} {path}: {answer}");
    }
    let (_, answer) = port.ask("POST", "/brokers/1/kill", r#"{"unsinced":"lost"}"#);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("did you mean unsynced?")
    );
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(100_000));
    assert_eq!(port.ask("POST", "/rules", &large).0, 413);
    let page = "GET /rules HTTP/1.1\r\nHost: x\r\nOrigin: http://evil\r\nConnection: close\r\n\r\n";
    assert!(port.raw(page.as_bytes()).starts_with("HTTP/1.1 403"));
    // Garbage, and heads without end.
    assert!(
        !port
            .raw(b"\x16\x03\x01\x00\x00\r\n\r\n")
            .starts_with("HTTP/1.1 200")
    );
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(40_000));
    assert!(!port.raw(endless.as_bytes()).starts_with("HTTP/1.1 200"));
    assert_eq!(port.get("/ready").0, 200);
}

#[tokio::test]
async fn only_this_machine_is_let_in() {
    let open = Broker::builder().control_port("0.0.0.0:0").start().await;
    let error = open.unwrap_err().to_string();
    assert!(error.contains("loopback"), "{error}");
    let closed = Broker::builder().start().await.unwrap();
    assert_eq!(closed.control_address(), None);
}

/// A broker with a control port.
struct Port {
    broker: Broker,
    address: SocketAddr,
}

impl Port {
    async fn open() -> Self {
        let broker = Broker::builder().control_port("127.0.0.1:0");
        let broker = broker.start().await.unwrap();
        Self {
            address: broker.control_address().unwrap(),
            broker,
        }
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "")
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask("POST", path, &body.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = self.say(method, path, body);
        (status, serde_json::from_str(&body).unwrap())
    }

    fn text(&self, path: &str) -> (u16, String) {
        self.say("GET", path, "")
    }

    fn say(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let answer = self.raw(request.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        // Who refuses what comes may hang up while it comes.
        let _sent = stream.write_all(request);
        let mut answer = Vec::new();
        let _read = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}
