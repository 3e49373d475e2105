//! Fetch sessions (KIP-227) at the port: requests name what has changed, answers what is new.

use kafka_protocol::ErrorCode;
use kafka_protocol::messages::fetch_request::ForgottenTopic;
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use crate::connection::{Connection, batch, broker, fetch};

/// The partitions that an answer tells of, and whether it has batches of each.
fn told(response: &FetchResponse) -> Vec<(i32, bool)> {
    assert_eq!(response.error_code, 0);
    let rows = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions);
    rows.map(|row| {
        assert_eq!(row.error_code, 0);
        let has_batches = row.records.as_ref().is_some_and(|all| !all.is_empty());
        (row.partition_index, has_batches)
    })
    .collect()
}

fn in_session(mut request: FetchRequest, id: i32, epoch: i32) -> FetchRequest {
    request.session_id = id;
    request.session_epoch = epoch;
    request
}

#[tokio::test]
async fn an_incremental_fetch_tells_only_news() {
    let broker = broker(&[]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 3);
    let begin = in_session(fetch("t", &[(0, 0), (1, 0), (2, 0)]), 0, 0);
    let response = connection.ask(&begin, 12);
    assert_eq!(told(&response), [(0, false), (1, false), (2, false)]);
    let id = response.session_id;
    assert!(id > 0);

    let response = connection.ask(&in_session(fetch("t", &[]), id, 1), 12);
    assert_eq!((told(&response), response.session_id), (vec![], id));
    connection.append("t", 1, &batch(10, 0));
    let response = connection.ask(&in_session(fetch("t", &[]), id, 2), 12);
    assert_eq!(told(&response), [(1, true)]);
    // The reader has not said that it went on.
    let response = connection.ask(&in_session(fetch("t", &[]), id, 3), 12);
    assert_eq!(told(&response), [(1, true)]);
    let response = connection.ask(&in_session(fetch("t", &[(1, 1)]), id, 4), 12);
    assert_eq!(told(&response), []);

    // A reader that waits is woken by a partition that it did not name again.
    let mut waiting = in_session(fetch("t", &[]), id, 5);
    waiting.max_wait_ms = 15_000;
    waiting.min_bytes = 1;
    connection.send(&waiting, 12);
    let mut other = Connection::open(&broker);
    other.append("t", 2, &batch(10, 0));
    let response = connection.receive::<FetchRequest>(12);
    assert_eq!(told(&response), [(2, true)]);

    let mut forgotten = ForgottenTopic::default();
    forgotten.topic = "t".into();
    forgotten.partitions = vec![2];
    let mut without = in_session(fetch("t", &[]), id, 6);
    without.forgotten_topics_data.push(forgotten);
    assert_eq!(told(&connection.ask(&without, 12)), []);
}

#[tokio::test]
async fn a_session_that_is_not_there_or_not_so_far_is_refused() {
    let broker = broker(&[("max.incremental.fetch.session.cache.slots", "1")]).await;
    let mut connection = Connection::open(&broker);
    connection.create_topic("t", 1);
    let mut ask = |id, epoch, version| {
        let partitions: &[_] = if epoch <= 0 { &[(0, 0)] } else { &[] };
        let response = connection.ask(&in_session(fetch("t", partitions), id, epoch), version);
        (
            ErrorCode::from_code(response.error_code),
            response.session_id,
        )
    };
    let none = ErrorCode::NONE;
    let (error, id) = ask(0, 0, 12);
    assert_eq!(error, none);
    assert_eq!(ask(id, 2, 12).0, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    assert_eq!(ask(id + 1, 1, 12).0, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(ask(0, 1, 12).0, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    assert_eq!(ask(id, 1, 13).0, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
    assert_eq!(ask(id, 1, 12), (none, id));
    assert_eq!(ask(0, 0, 12), (none, 0), "there is no room for another");
    // To begin anew frees the slot of the session before.
    let (error, again) = ask(id, 0, 12);
    assert!(error == none && again > 0);
    assert_eq!(ask(again, -1, 12), (none, 0));
    assert_eq!(ask(again, 1, 12).0, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}
