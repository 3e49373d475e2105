//! Answers of the control port: JSON, text, and what was wrong.

use std::fmt::Display;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode, header};
use serde_json::{Value, json};

/// An answer.
pub(super) type Reply = Response<Full<Bytes>>;

/// Something as JSON.
pub(super) fn json(value: &Value) -> Reply {
    reply(StatusCode::OK, "application/json", format!("{value}\n"))
}

/// Done, and nothing to say.
pub(super) fn done() -> Reply {
    json(&json!({}))
}

/// A text of this kind.
pub(super) fn text(kind: &'static str, text: String) -> Reply {
    reply(StatusCode::OK, kind, text)
}

/// What was wrong with a request.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    reason: String,
    /// The methods that the path takes.
    allow: Option<&'static str>,
}

/// What was wrong.
pub(super) fn refused(status: StatusCode, reason: impl Display) -> Refused {
    let reason = reason.to_string();
    Refused {
        status,
        reason,
        allow: None,
    }
}

/// The path takes other methods than that of the request.
pub(super) fn other_method(reason: String, allow: &'static str) -> Refused {
    Refused {
        status: StatusCode::METHOD_NOT_ALLOWED,
        reason,
        allow: Some(allow),
    }
}

impl Refused {
    /// As JSON with an `error`.
    pub(super) fn into_reply(self) -> Reply {
        let value = json!({ "error": self.reason });
        let mut reply = reply(self.status, "application/json", format!("{value}\n"));
        if let Some(methods) = self.allow {
            let methods = header::HeaderValue::from_static(methods);
            reply.headers_mut().insert(header::ALLOW, methods);
        }
        reply
    }
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let kind = header::HeaderValue::from_static(kind);
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    reply
}
