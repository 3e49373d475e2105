//! Which bytes of a segment have had their checksums compared since the broker began. It knows no file.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// A range of a segment that was written or checked by this process, so that it may be sent without
/// another look.
///
/// One range, since most readers go from end to end: of two that do not touch, the longer one is kept.
#[derive(Debug, Default)]
pub(crate) struct SoundRange {
    range: Mutex<Range<u64>>,
}

impl SoundRange {
    /// Whether all of these bytes are known to be sound.
    pub(crate) fn covers(&self, wanted: &Range<u64>) -> bool {
        let range = self.range.lock().unwrap_or_else(PoisonError::into_inner);
        range.start <= wanted.start && wanted.end <= range.end
    }

    /// These bytes are sound.
    pub(crate) fn add(&self, more: Range<u64>) {
        let mut range = self.range.lock().unwrap_or_else(PoisonError::into_inner);
        if more.start <= range.end && range.start <= more.end {
            *range = range.start.min(more.start)..range.end.max(more.end);
        } else if more.end - more.start > range.end - range.start {
            *range = more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_joined_and_of_others_the_longer_is_kept() {
        let sound = SoundRange::default();
        assert!(!sound.covers(&(0..1)));
        sound.add(100..200);
        sound.add(200..250);
        assert!(sound.covers(&(100..250)));
        assert!(!sound.covers(&(99..101)) && !sound.covers(&(249..251)));
        sound.add(0..60);
        assert!(!sound.covers(&(0..60)), "shorter");
        sound.add(50..100);
        assert!(sound.covers(&(50..250)));
        sound.add(1000..2000);
        assert!(sound.covers(&(1000..2000)) && !sound.covers(&(100..200)));
    }
}
