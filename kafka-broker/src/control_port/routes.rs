//! Which request of the control port does what.

use std::time::{Duration, UNIX_EPOCH};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::control::figures::name_of;
use crate::control::{Control, ControlError, Entry, RuleStatus, Unsynced};
use crate::control_port::figures::figures;
use crate::control_port::reply::{Refused, Reply, done, json, other_method, refused, text};
use crate::control_port::rule_json::{Fields, parse_rule, rule_to_json};

/// Answers one request.
pub(super) async fn answer(request: Request<Incoming>, control: &Control) -> Reply {
    match route(request, control).await {
        Ok(reply) => reply,
        Err(refusal) => refusal.into_reply(),
    }
}

async fn route(request: Request<Incoming>, control: &Control) -> Result<Reply, Refused> {
    if request.headers().contains_key(header::ORIGIN) {
        return Err(refused(StatusCode::FORBIDDEN, "web pages are not served"));
    }
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let body = body_of(request).await?;
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (&method, segments.as_slice()) {
        (&Method::GET, ["ready"]) => ready(control),
        (&Method::GET, ["metrics"]) => {
            let figures = figures(control).await;
            Ok(text("text/plain; version=0.0.4", figures))
        }
        (&Method::GET, ["rules"]) => {
            let rules = control.rules();
            Ok(json(&rules.iter().map(status_to_json).collect()))
        }
        (&Method::POST, ["rules"]) => add_rule(control, &body),
        (&Method::DELETE, ["rules"]) => {
            for status in control.rules() {
                control.remove(status.rule.name());
            }
            Ok(done())
        }
        (&Method::DELETE, ["rules", name]) => remove_rule(control, name),
        (&Method::GET, ["journal"]) => {
            let entries = control.journal();
            Ok(json(&entries.iter().map(entry_to_json).collect()))
        }
        (&Method::DELETE, ["journal"]) => {
            control.clear_journal();
            Ok(done())
        }
        (&Method::POST, ["brokers", broker, action]) => {
            turn_broker(control, broker, action, &body).await
        }
        (&Method::POST, ["groups", group, "clock"]) => turn_clock(control, group, &body).await,
        (_, segments) => match methods_of(segments) {
            Some(methods) => {
                let reason = format!("{method} is not for {path}, which takes {methods}");
                Err(other_method(reason, methods))
            }
            None => {
                let reason = format!("there is no {path}; there is {PATHS}");
                Err(refused(StatusCode::NOT_FOUND, reason))
            }
        },
    }
}

/// What may be asked of a path; `None` if there is no such path.
fn methods_of(segments: &[&str]) -> Option<&'static str> {
    match segments {
        ["ready" | "metrics"] => Some("GET"),
        ["rules"] => Some("GET, POST, DELETE"),
        ["journal"] => Some("GET, DELETE"),
        ["rules", _] => Some("DELETE"),
        ["brokers", _, _] | ["groups", _, "clock"] => Some("POST"),
        _ => None,
    }
}

async fn body_of(request: Request<Incoming>) -> Result<Vec<u8>, Refused> {
    let body = Limited::new(request.into_body(), BODY_MAX);
    match timeout(BODY_WAIT, body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let reason = format!("the body is larger than {BODY_MAX} bytes");
            Err(refused(StatusCode::PAYLOAD_TOO_LARGE, reason))
        }
        Ok(Err(error)) => {
            let reason = format!("the body breaks off: {error}");
            Err(refused(StatusCode::BAD_REQUEST, reason))
        }
        Err(_) => Err(refused(
            StatusCode::REQUEST_TIMEOUT,
            "the body does not come",
        )),
    }
}

/// The fields of a body; none if there is no body.
fn fields_of(body: &[u8]) -> Result<Map<String, Value>, Refused> {
    let bad = |reason: String| refused(StatusCode::BAD_REQUEST, reason);
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(bad("the body must be a JSON object".to_owned())),
        Err(error) => Err(bad(format!("the body is not JSON: {error}"))),
    }
}

fn ready(control: &Control) -> Result<Reply, Refused> {
    match control.is_up() {
        true => Ok(json(&json!({ "ready": true }))),
        false => Err(refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "the broker is down",
        )),
    }
}

fn add_rule(control: &Control, body: &[u8]) -> Result<Reply, Refused> {
    let rule =
        parse_rule(fields_of(body)?).map_err(|reason| refused(StatusCode::BAD_REQUEST, reason))?;
    let added = control.add(rule);
    let guard = added.map_err(|error| refused(StatusCode::BAD_REQUEST, error))?;
    guard.keep();
    Ok(done())
}

fn remove_rule(control: &Control, name: &str) -> Result<Reply, Refused> {
    let name = percent_decoded(name);
    match control.remove(&name) {
        Some(status) => Ok(json(&status_to_json(&status))),
        None => {
            let reason = format!("there is no rule {name:?}");
            Err(refused(StatusCode::NOT_FOUND, reason))
        }
    }
}

async fn turn_broker(
    control: &Control,
    broker: &str,
    action: &str,
    body: &[u8],
) -> Result<Reply, Refused> {
    let Ok(id) = broker.parse() else {
        let reason = format!("{broker:?} is no node id");
        return Err(refused(StatusCode::BAD_REQUEST, reason));
    };
    let mut fields = Fields::new(fields_of(body)?);
    let bad = |reason: String| refused(StatusCode::BAD_REQUEST, reason);
    let turned = match action {
        "kill" => {
            let unsynced = match fields.text("unsynced").map_err(bad)?.as_deref() {
                None | Some("kept") => Unsynced::Kept,
                Some("lost") => Unsynced::Lost,
                Some(other) => {
                    return Err(bad(format!("unsynced must be kept or lost, not {other:?}")));
                }
            };
            fields.finish(&["unsynced"]).map_err(bad)?;
            control.kill(id, unsynced).await
        }
        "restart" => {
            fields.finish(&[]).map_err(bad)?;
            control.restart(id).await
        }
        "stall" => {
            fields.finish(&[]).map_err(bad)?;
            control.stall(id).map(|guard| guard.keep())
        }
        "resume" => {
            fields.finish(&[]).map_err(bad)?;
            control.resume(id)
        }
        _ => {
            let reason = format!("a broker takes kill, restart, stall and resume, not {action:?}");
            return Err(refused(StatusCode::NOT_FOUND, reason));
        }
    };
    turned.map(|()| done()).map_err(failed)
}

async fn turn_clock(control: &Control, group: &str, body: &[u8]) -> Result<Reply, Refused> {
    let group = percent_decoded(group);
    let bad = |reason: String| refused(StatusCode::BAD_REQUEST, reason);
    let mut fields = Fields::new(fields_of(body)?);
    if group.is_empty() {
        return Err(bad("the group has no name".to_owned()));
    }
    let turn = fields.text("turn").map_err(bad)?;
    let advance = fields.number("advance_ms").map_err(bad)?;
    fields.finish(&["turn", "advance_ms"]).map_err(bad)?;
    let turned = match (turn.as_deref(), advance) {
        (Some("stop"), None) => control.stop_group_clock(&group).await,
        (Some("resume"), None) => control.resume_group_clock(&group).await,
        (None, Some(ms)) => {
            let by = Duration::from_millis(ms);
            control.advance_group_clock(&group, by).await
        }
        _ => return Err(bad(TURNS.to_owned())),
    };
    let told = |exists| json(&json!({ "group_exists": exists }));
    turned.map(told).map_err(failed)
}

fn failed(error: ControlError) -> Refused {
    let status = match error {
        ControlError::UnknownBroker { .. } => StatusCode::NOT_FOUND,
        ControlError::Start { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::CONFLICT,
    };
    refused(status, error)
}

fn status_to_json(status: &RuleStatus) -> Value {
    let mut fields = rule_to_json(&status.rule);
    fields.insert("matched".to_owned(), status.matched.into());
    fields.insert("fired".to_owned(), status.fired.into());
    Value::Object(fields)
}

fn entry_to_json(entry: &Entry) -> Value {
    let at = entry.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let topics = entry.topics.iter();
    let topics =
        topics.map(|(name, partitions)| json!({ "topic": name, "partitions": partitions }));
    json!({
        "number": entry.number,
        "at_ms": u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
        "broker": entry.broker,
        "connection": entry.connection,
        "api": entry.api.name(),
        "version": entry.version,
        "client_id": entry.client_id,
        "topics": topics.collect::<Vec<_>>(),
        "groups": entry.groups,
        "outcome": entry.outcome.name(),
        "errors": entry.errors.iter().map(|code| name_of(*code)).collect::<Vec<_>>(),
        "rules": entry.rules,
        "took_ms": millis(entry.took),
    })
}

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A segment of a path as it was meant; what is no escape stays.
fn percent_decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| {
                after
                    .get(..2)
                    .and_then(|pair| std::str::from_utf8(pair).ok())
            })
            .flatten()
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const PATHS: &str = "/ready, /metrics, /rules, /rules/NAME, /journal, /brokers/ID/{kill,restart,stall,resume}, \
     /groups/NAME/clock";

/// What can be done to the clock of a group.
const TURNS: &str =
    r#"a clock takes one of {"turn": "stop"}, {"turn": "resume"} and {"advance_ms": MILLISECONDS}"#;

/// How large a body may be.
const BODY_MAX: usize = 64 * 1024;

/// How long a body may take.
const BODY_WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_without_noise() {
        for nanos in [300_000, 300_400, 299_600] {
            assert_eq!(
                json!(millis(Duration::from_nanos(nanos))).to_string(),
                "0.3"
            );
        }
        let long = Duration::new(86_400, 1_999_600);
        assert_eq!(json!(millis(long)).to_string(), "86400002.0");
    }

    #[test]
    fn escapes_are_read_and_the_rest_stays() {
        for (escaped, plain) in [
            ("a%20b", "a b"),
            ("a%2", "a%2"),
            ("%zz", "%zz"),
            ("%C3%A4", "ä"),
        ] {
            assert_eq!(percent_decoded(escaped), plain);
        }
    }
}
