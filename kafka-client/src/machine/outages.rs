//! Which addresses cannot be reached for so long that somebody should hear of it.
//!
//! A broker that restarts is away for a moment, and attempts to connect to it fail many times: neither is worth a
//! warning. That it stays away is, once; and so is that it is back, to whoever has read the first.

use std::collections::BTreeMap;

use crate::machine::time::{Duration, Instant};

/// The addresses that failed since they were last reached.
#[derive(Debug, Default)]
pub(crate) struct Outages(BTreeMap<String, Outage>);

#[derive(Debug)]
struct Outage {
    since: Instant,
    is_told: bool,
}

impl Outages {
    /// An attempt failed. Gives for how long none has succeeded, if this is to be told now.
    pub(crate) fn handle_failure(&mut self, now: Instant, address: &str) -> Option<Duration> {
        let Some(outage) = self.0.get_mut(address) else {
            let (since, is_told) = (now, false);
            let outage = Outage { since, is_told };
            self.0.insert(address.to_owned(), outage);
            return None;
        };
        let lasts = now.saturating_since(outage.since);
        if outage.is_told || lasts < PATIENCE {
            return None;
        }
        outage.is_told = true;
        Some(lasts)
    }

    /// An attempt succeeded. Gives how long the address was out of reach, if that was told.
    pub(crate) fn handle_success(&mut self, now: Instant, address: &str) -> Option<Duration> {
        let outage = self.0.remove(address)?;
        outage.is_told.then(|| now.saturating_since(outage.since))
    }

    /// Nobody wants to reach this address any more.
    pub(crate) fn forget(&mut self, address: &str) {
        self.0.remove(address);
    }
}

/// Longer than a broker takes to restart.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_long_outage_and_its_end_are_told_once() {
        let mut outages = Outages::default();
        assert_eq!(outages.handle_failure(at(5), "a:1"), None);
        assert_eq!(outages.handle_failure(at(14), "a:1"), None);
        assert_eq!(outages.handle_failure(at(14), "b:1"), None);
        let lasts = outages.handle_failure(at(17), "a:1");
        assert_eq!(lasts, Some(Duration::from_secs(12)));
        assert_eq!(outages.handle_failure(at(40), "a:1"), None);
        let lasted = outages.handle_success(at(45), "a:1");
        assert_eq!(lasted, Some(Duration::from_secs(40)));
        assert_eq!(outages.handle_success(at(46), "a:1"), None);
        assert_eq!(outages.handle_failure(at(60), "a:1"), None, "a new one");
    }

    #[test]
    fn a_restart_is_not_told() {
        let mut outages = Outages::default();
        for second in 0..10 {
            assert_eq!(outages.handle_failure(at(second), "a:1"), None);
        }
        assert_eq!(outages.handle_success(at(10), "a:1"), None);
        outages.handle_failure(at(11), "a:1");
        outages.forget("a:1");
        assert_eq!(outages.handle_failure(at(30), "a:1"), None);
    }
}
