//! Whatever ends a run.

/// Any error, in words.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Fails with an error code of the protocol, if it is one.
pub(crate) fn check(what: &str, code: i16) -> Result<(), Failure> {
    match kafka_protocol::ErrorCode::from(code) {
        kafka_protocol::ErrorCode::NONE => Ok(()),
        error => Err(format!("{what}: {error}").into()),
    }
}
