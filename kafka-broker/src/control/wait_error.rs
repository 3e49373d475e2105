//! What was waited for in vain.

use std::fmt;
use std::time::Duration;

/// Something did not come in time. The text has the last requests that did.
#[derive(Clone)]
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

/// The text: it is what a test prints that unwraps the error.
impl fmt::Debug for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for WaitError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_unwraps_it_can_read_it() {
        let error = WaitError {
            what: "a fetch".to_owned(),
            limit: Duration::from_secs(2),
            last: vec!["Metadata v12".to_owned(), "ApiVersions v4".to_owned()],
        };
        assert_eq!(
            format!("{error:?}"),
            "a fetch did not come within 2s; the last requests:\n  ApiVersions v4\n  Metadata v12"
        );
    }
}
