//! What was waited for in vain.

use std::fmt;
use std::time::Duration;

/// Something did not come in time. The text has the last requests that did.
#[derive(Clone, Debug)]
pub struct WaitError {
    pub(crate) what: String,
    pub(crate) limit: Duration,
    /// The newest first.
    pub(crate) last: Vec<String>,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not come within {:?}", self.what, self.limit)?;
        if self.last.is_empty() {
            return f.write_str("; there was no request at all");
        }
        f.write_str("; the last requests:")?;
        for line in self.last.iter().rev() {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for WaitError {}
