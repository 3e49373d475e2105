//! How long members may be silent, and how long they may take.

use std::collections::BTreeMap;
use std::time::Duration;

use bytestring::ByteString;

/// The deadlines of the members of a group, by member.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_member: BTreeMap<ByteString, Deadlines>,
}

/// The deadlines of a member.
#[derive(Clone, Copy, Debug)]
struct Deadlines {
    /// When silence ends the membership.
    session_ends: Duration,
    /// When a member that has not given up what it should is let go.
    revocation_ends: Option<Duration>,
    /// When a member of the classic protocol that has not joined again is let go.
    join_ends: Option<Duration>,
    /// When a member of the classic protocol that has not fetched its assignment is let go.
    sync_ends: Option<Duration>,
}

impl Deadlines {
    fn all(&self) -> impl Iterator<Item = Duration> {
        let more = [self.revocation_ends, self.join_ends, self.sync_ends];
        more.into_iter().flatten().chain([self.session_ends])
    }
}

impl Sessions {
    /// A member was heard of.
    pub(crate) fn heard(&mut self, id: &ByteString, ends: Duration) {
        match self.by_member.get_mut(id) {
            Some(deadlines) => deadlines.session_ends = ends,
            None => {
                let deadlines = Deadlines {
                    session_ends: ends,
                    revocation_ends: None,
                    join_ends: None,
                    sync_ends: None,
                };
                self.by_member.insert(id.clone(), deadlines);
            }
        }
    }

    /// The member must give partitions up in time.
    pub(crate) fn expect_revocation(&mut self, id: &str, ends: Duration) {
        if let Some(deadlines) = self.by_member.get_mut(id) {
            deadlines.revocation_ends = Some(ends);
        }
    }

    /// The member has given up what it should.
    pub(crate) fn handle_revoked(&mut self, id: &str) {
        if let Some(deadlines) = self.by_member.get_mut(id) {
            deadlines.revocation_ends = None;
        }
    }

    /// The member was told to join again, and must do so in time.
    pub(crate) fn expect_join(&mut self, id: &str, ends: Duration) {
        if let Some(deadlines) = self.by_member.get_mut(id) {
            deadlines.join_ends.get_or_insert(ends);
        }
    }

    /// The member has joined again, and must fetch its assignment in time.
    pub(crate) fn expect_sync(&mut self, id: &str, ends: Duration) {
        if let Some(deadlines) = self.by_member.get_mut(id) {
            deadlines.join_ends = None;
            deadlines.sync_ends = Some(ends);
        }
    }

    /// The member has fetched its assignment.
    pub(crate) fn handle_synced(&mut self, id: &str) {
        if let Some(deadlines) = self.by_member.get_mut(id) {
            deadlines.sync_ends = None;
        }
    }

    /// The member speaks the new protocol now, which knows neither joins nor syncs.
    pub(crate) fn handle_upgraded(&mut self, id: &str) {
        if let Some(deadlines) = self.by_member.get_mut(id) {
            deadlines.join_ends = None;
            deadlines.sync_ends = None;
        }
    }

    /// Nothing is expected of who is no member.
    pub(crate) fn retain(&mut self, is_member: impl Fn(&ByteString) -> bool) {
        self.by_member.retain(|id, _| is_member(id));
    }

    /// When the first deadline is.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.by_member.values().flat_map(Deadlines::all).min()
    }

    /// The members that have missed a deadline.
    pub(crate) fn missed(&self, at: Duration) -> Vec<ByteString> {
        let missed = |deadlines: &Deadlines| deadlines.all().any(|ends| ends <= at);
        let members = self.by_member.iter();
        members
            .filter(|(_, deadlines)| missed(deadlines))
            .map(|(id, _)| id.clone())
            .collect()
    }
}
