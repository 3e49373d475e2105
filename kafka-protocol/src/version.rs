//! Versions of a message: closed ranges, and the best one that two sides share.

use std::fmt;

/// A closed range of versions, such as 0-13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The lowest version.
    pub min: i16,
    /// The highest version.
    pub max: i16,
}

impl VersionRange {
    /// The range from `min` to `max`, both included; it is empty if `min` is greater than `max`.
    #[must_use]
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether `version` lies in the range.
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether no version lies in the range.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.min > self.max
    }

    /// The versions that lie in both ranges; `None` if there are none.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let both = Self::new(self.min.max(other.min), self.max.min(other.max));
        (!both.is_empty()).then_some(both)
    }

    /// The highest version that lies in both ranges: what two peers should speak.
    #[must_use]
    pub fn newest_common(self, other: Self) -> Option<i16> {
        self.intersection(other).map(|both| both.max)
    }

    /// The versions in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = i16> {
        self.min..=self.max
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{}-{}", self.min, self.max)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::VersionRange;

    #[test]
    fn the_newest_common_version_is_the_lower_of_both_ends() {
        let ours = VersionRange::new(3, 13);
        assert_eq!(ours.newest_common(VersionRange::new(0, 9)), Some(9));
        assert_eq!(ours.newest_common(VersionRange::new(13, 20)), Some(13));
        assert_eq!(ours.newest_common(VersionRange::new(0, 2)), None);
        assert_eq!(ours.newest_common(VersionRange::new(5, 4)), None);
    }

    #[test]
    fn both_ends_belong_to_the_range() {
        let range = VersionRange::new(3, 5);
        assert_eq!(range.iter().collect::<Vec<_>>(), [3, 4, 5]);
        assert!(range.contains(3) && range.contains(5));
        assert!(!range.contains(2) && !range.contains(6));
        assert_eq!(range.to_string(), "3-5");
        assert_eq!(VersionRange::new(4, 4).to_string(), "4");
    }
}
