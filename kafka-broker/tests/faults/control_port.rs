//! The control port, as programs of other languages use it: plain HTTP over a socket.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kafka_broker::{Broker, BrokerBuilder, ErrorCode};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{HeartbeatRequest, JoinGroupRequest};
use serde_json::{Value, json};

use crate::peer::{Peer, read};
use crate::{create_topic, ends, list, produce};

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

/// What is done is done to Kafka's requests, by each of the words for it.
#[tokio::test]
async fn rules_act_on_what_they_select() {
    let port = Port::open().await;
    let mut peer = port.peer();
    create_topic(&mut peer);
    let refused = ErrorCode::REQUEST_TIMED_OUT.code();
    for (fields, codes) in [
        (json!({"error": "REQUEST_TIMED_OUT"}), [refused, 0, 0]),
        (
            json!({"error_after": "REQUEST_TIMED_OUT", "nth": 2}),
            [0, refused, 0],
        ),
        (
            json!({"error": "REQUEST_TIMED_OUT", "after": 1}),
            [0, refused, refused],
        ),
        (
            json!({"error": "REQUEST_TIMED_OUT", "client_id": "peer", "broker": 1}),
            [refused, 0, 0],
        ),
        (
            json!({"error": "REQUEST_TIMED_OUT", "client_id": "another"}),
            [0, 0, 0],
        ),
        (
            json!({"error": "REQUEST_TIMED_OUT", "partition": 1}),
            [0, 0, 0],
        ),
    ] {
        let mut rule = json!({"name": "r", "api": "Produce", "topic": "t"});
        let fields = fields.as_object().unwrap().clone();
        let is_once = !fields.contains_key("nth") && !fields.contains_key("after");
        rule.as_object_mut().unwrap().extend(fields);
        if is_once {
            rule["times"] = 1.into();
        }
        assert_eq!(port.post("/rules", &rule), (200, json!({})), "{rule}");
        let answered = [(); 3].map(|()| produce(&mut peer, &[0])[0].1);
        assert_eq!(answered, codes, "{rule}");
        let (_, ended) = port.ask("DELETE", "/rules/r", "");
        let fired = codes.iter().filter(|code| **code != 0).count();
        assert_eq!(ended["fired"], fired, "{rule}");
    }
    // Of 18 records 4 were refused before they were written.
    assert_eq!(ends(&mut peer), [14, 0, 0]);
    for (fields, is_closed, written) in [
        (json!({"close": "applied"}), true, 15),
        (json!({"close": "unapplied"}), true, 15),
        (json!({"cut": 3}), true, 16),
        (json!({"drop": "applied"}), false, 17),
        (json!({"stall": "unapplied"}), false, 17),
        (json!({"delay_ms": 300_000}), false, 17),
    ] {
        let mut rule = json!({"name": "r", "api": "Produce", "times": 1});
        let fields = fields.as_object().unwrap().clone();
        rule.as_object_mut().unwrap().extend(fields);
        assert_eq!(port.post("/rules", &rule), (200, json!({})), "{rule}");
        let mut peer = port.peer();
        peer.send(&crate::batch(&[0]), 9);
        if is_closed {
            peer.rest();
        } else {
            assert!(!peer.is_closed(), "{rule}");
        }
        assert_eq!(ends(&mut port.peer()), [written, 0, 0], "{rule}");
        assert_eq!(port.ask("DELETE", "/rules/r", "").1["fired"], 1, "{rule}");
    }
    for fields in [
        json!({"trickle_bytes": 10, "trickle_pause_ms": 5}),
        json!({"wrong_correlation_id": true}),
        json!({"delay_ms": 20}),
    ] {
        let mut rule = json!({"name": "r", "api": "ListOffsets", "topic": "t", "times": 1});
        let fields = fields.as_object().unwrap().clone();
        let is_wrong = fields.contains_key("wrong_correlation_id");
        rule.as_object_mut().unwrap().extend(fields);
        assert_eq!(port.post("/rules", &rule), (200, json!({})), "{rule}");
        let start = Instant::now();
        let number = peer.send(&list(), 6);
        let frame = peer.receive().unwrap();
        let (answered, _) = read::<kafka_protocol::messages::ListOffsetsRequest>(frame, 6);
        assert_eq!(answered != number, is_wrong, "{rule}");
        let is_slow = start.elapsed() >= Duration::from_millis(20);
        assert!(is_slow || is_wrong, "{rule}");
        assert_eq!(port.ask("DELETE", "/rules/r", "").1["fired"], 1, "{rule}");
    }
}

#[tokio::test]
async fn a_stalled_broker_answers_when_it_is_resumed() {
    let port = Port::open().await;
    let mut peer = port.peer();
    create_topic(&mut peer);
    assert_eq!(port.post("/brokers/1/stall", &json!({})).0, 200);
    peer.send(&list(), 6);
    assert!(!peer.is_closed());
    assert_eq!(port.get("/ready").0, 200);
    assert_eq!(port.post("/brokers/1/resume", &json!({})).0, 200);
    peer.receive().unwrap();
}

#[tokio::test]
async fn a_machine_goes_down_with_what_was_not_durable() {
    let builder = Broker::builder().in_memory();
    let port = Port::of(builder.set("log.flush.interval.messages", "1000000")).await;
    let mut peer = port.peer();
    create_topic(&mut peer);
    assert_eq!(produce(&mut peer, &[0]), [(0, 0)]);
    for (unsynced, left) in [("kept", 1), ("lost", 1)] {
        let body = json!({ "unsynced": unsynced });
        assert_eq!(port.post("/brokers/1/kill", &body), (200, json!({})));
        let back = port.post("/brokers/1/restart", &json!({}));
        assert_eq!(back, (200, json!({})));
        let mut peer = port.peer();
        // What was recovered once is durable.
        assert_eq!(ends(&mut peer), [left, 0, 0], "{unsynced}");
        assert_eq!(produce(&mut peer, &[1]), [(1, 0)]);
    }
    let body = json!({"unsynced": "lost"});
    assert_eq!(port.post("/brokers/1/kill", &body), (200, json!({})));
    assert_eq!(port.post("/brokers/1/restart", &json!({})).0, 200);
    assert_eq!(ends(&mut port.peer())[1], 0);
}

#[tokio::test]
async fn the_clock_of_a_group_is_stopped_and_put_forward() {
    let builder = Broker::builder()
        .set("group.initial.rebalance.delay.ms", "0")
        .set("group.min.session.timeout.ms", "100");
    let port = Port::of(builder).await;
    let mut peer = port.peer();
    let turn = |body: Value| port.post("/groups/g/clock", &body);
    let exists = |exists: bool| (200, json!({ "group_exists": exists }));
    let session = Duration::from_millis(300);
    // Silent for longer than its session: a member as long as the clock stands, and none when it goes on.
    // A clock may be stopped before there is a group.
    assert_eq!(turn(json!({"turn": "stop"})), exists(false));
    let member = join(&mut peer, session);
    std::thread::sleep(session * 3);
    assert!(is_member(&mut peer, &member));
    assert_eq!(turn(json!({"turn": "resume"})), exists(true));
    std::thread::sleep(session * 3);
    assert!(!is_member(&mut peer, &member));
    // Nobody waits for the end of a long one.
    let member = join(&mut peer, Duration::from_secs(300));
    assert_eq!(turn(json!({"advance_ms": 290_000})), exists(true));
    assert!(is_member(&mut peer, &member));
    assert_eq!(turn(json!({"advance_ms": 310_000})), exists(true));
    assert!(!is_member(&mut peer, &member));
}

/// Joins the group `g` alone, and gives the member's id.
fn join(peer: &mut Peer, session: Duration) -> String {
    let mut protocol = JoinGroupRequestProtocol::default();
    protocol.name = "range".into();
    let mut request = JoinGroupRequest::default();
    request.group_id = "g".into();
    request.protocol_type = "consumer".into();
    request.session_timeout_ms = i32::try_from(session.as_millis()).unwrap();
    request.rebalance_timeout_ms = 600_000;
    request.protocols = vec![protocol];
    // The last version in which the id is given at once.
    let answer = peer.ask(&request, 3);
    assert_eq!(answer.error_code, 0);
    answer.member_id.to_string()
}

fn is_member(peer: &mut Peer, member: &str) -> bool {
    let mut request = HeartbeatRequest::default();
    request.group_id = "g".into();
    request.member_id = member.into();
    request.generation_id = -1;
    let code = ErrorCode::from(peer.ask(&request, 4).error_code);
    code != ErrorCode::UNKNOWN_MEMBER_ID
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
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_harms_nobody() {
    let port = Port::open().await;
    let long = "x".repeat(100_000);
    for (method, path, body, status, reason) in [
        ("GET", "/", "", 404, "there is /ready, /metrics"),
        ("GET", "/nothing", "", 404, "no /nothing"),
        ("PUT", "/rules", "", 405, "which takes GET, POST, DELETE"),
        ("GET", "/rules/r", "", 405, "which takes DELETE"),
        ("POST", "/rules", "{", 400, "not JSON"),
        ("POST", "/rules", "[]", 400, "must be a JSON object"),
        ("POST", "/rules", &long, 413, "larger than 65536 bytes"),
        (
            "POST",
            "/rules",
            r#"{"name":"r","eror":"X"}"#,
            400,
            "did you mean error?",
        ),
        (
            "POST",
            "/rules",
            r#"{"name":"r","cut":1,"api":"Vote"}"#,
            400,
            "does not serve Vote",
        ),
        ("POST", "/groups/g/clock", "{}", 400, r#"{"turn": "stop"}"#),
        (
            "POST",
            "/groups/g/clock",
            r#"{"turn":"back"}"#,
            400,
            r#"{"turn": "stop"}"#,
        ),
        (
            "POST",
            "/groups//clock",
            r#"{"turn":"stop"}"#,
            400,
            "has no name",
        ),
        ("POST", "/brokers/x/kill", "", 400, "no node id"),
        ("POST", "/brokers/2/kill", "", 404, "no broker 2"),
        ("POST", "/brokers/1/burn", "", 404, "takes kill, restart"),
        (
            "POST",
            "/brokers/1/kill",
            r#"{"unsinced":"lost"}"#,
            400,
            "did you mean unsynced?",
        ),
        (
            "POST",
            "/brokers/1/kill",
            r#"{"unsynced":"maybe"}"#,
            400,
            "kept or lost",
        ),
    ] {
        let (got, answer) = port.ask(method, path, body);
        assert_eq!(got, status, "{method} {path}: {answer}");
        let told = answer["error"].as_str().unwrap_or_default();
        assert!(told.contains(reason), "{method} {path}: {answer}");
    }
    let put = b"PUT /rules HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(port.raw(put).contains("allow: GET, POST, DELETE\r\n"));
    let topc = r#"{"name":"moved","error":"NOT_LEADER_OR_FOLLOWER","topc":"orders"}"#;
    let refused = (
        400,
        json!({"error": "unknown field \"topc\" (did you mean topic?)"}),
    );
    assert_eq!(port.ask("POST", "/rules", topc), refused);
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
async fn it_is_open_where_it_was_asked_for_and_only_then() {
    let builder = Broker::builder().control_port("0.0.0.0:0");
    let open = builder.start().await.unwrap();
    let address = open.control_address().unwrap();
    assert!(address.ip().is_unspecified());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).is_ok());
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
        Self::of(Broker::builder()).await
    }

    async fn of(builder: BrokerBuilder) -> Self {
        let broker = builder.control_port("127.0.0.1:0");
        let broker = broker.start().await.unwrap();
        Self {
            address: broker.control_address().unwrap(),
            broker,
        }
    }

    /// A client of the broker's.
    fn peer(&self) -> Peer {
        Peer::connect(self.broker.local_address())
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
