//! Which topic names no cluster accepts.

use crate::error::{Error, ErrorKind, Result};

/// Refuses a name that no cluster accepts, before anything is sent.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`], naming the rule.
pub(crate) fn check_topic_name(name: &str) -> Result<()> {
    let legal = !name.is_empty()
        && name.len() <= MAX_NAME
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if legal {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!(
            "{name:?} is no legal topic name: 1 to {MAX_NAME} of letters, digits, '.', '_', '-'"
        ),
    ))
}

/// Kafka's limit: a topic's name is part of a folder's name.
const MAX_NAME: usize = 249;
