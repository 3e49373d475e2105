//! Ranges of versions as specs write them: `3+`, `0-2`, `7`, `none`.

use std::fmt;

/// A closed range; empty if `lowest` is greater than `highest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) lowest: i16,
    pub(crate) highest: i16,
}

impl Versions {
    pub(crate) const NONE: Self = Self {
        lowest: 0,
        highest: -1,
    };

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let number = |digits: &str| {
            digits
                .parse::<i16>()
                .ok()
                .filter(|number| *number >= 0)
                .ok_or_else(|| format!("not a range of versions: {text:?}"))
        };
        if text == "none" {
            Ok(Self::NONE)
        } else if let Some(lowest) = text.strip_suffix('+') {
            Ok(Self {
                lowest: number(lowest)?,
                highest: i16::MAX,
            })
        } else if let Some((lowest, highest)) = text.split_once('-') {
            Ok(Self {
                lowest: number(lowest)?,
                highest: number(highest)?,
            })
        } else {
            let only = number(text)?;
            Ok(Self {
                lowest: only,
                highest: only,
            })
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.lowest > self.highest
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let both = Self {
            lowest: self.lowest.max(other.lowest),
            highest: self.highest.min(other.highest),
        };
        if both.is_empty() { Self::NONE } else { both }
    }

    /// The smallest range that holds both.
    pub(crate) fn hull(self, other: Self) -> Self {
        if self.is_empty() {
            other
        } else if other.is_empty() {
            self
        } else {
            Self {
                lowest: self.lowest.min(other.lowest),
                highest: self.highest.max(other.highest),
            }
        }
    }

    pub(crate) fn holds(self, other: Self) -> bool {
        other.is_empty() || (self.lowest <= other.lowest && other.highest <= self.highest)
    }

    /// The test of a version that is known to lie in `context`; an answer if all or none pass.
    pub(crate) fn test(self, context: Self) -> Test {
        let inside = self.and(context);
        if inside.is_empty() {
            return Test::Never;
        }
        let from =
            (inside.lowest > context.lowest).then(|| format!("version >= {}", inside.lowest));
        let to =
            (inside.highest < context.highest).then(|| format!("version <= {}", inside.highest));
        match (from, to) {
            (None, None) => Test::Always,
            (Some(test), None) | (None, Some(test)) => Test::When(test),
            (Some(_), Some(_)) if inside.lowest == inside.highest => {
                Test::When(format!("version == {}", inside.lowest))
            }
            (Some(_), Some(_)) => Test::When(format!(
                "({}..={}).contains(&version)",
                inside.lowest, inside.highest
            )),
        }
    }
}

/// Whether a version passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Always,
    Never,
    /// If this expression is true.
    When(String),
}

impl Test {
    /// The test as an expression.
    pub(crate) fn expression(&self) -> &str {
        match self {
            Self::Always => "true",
            Self::Never => "false",
            Self::When(test) => test,
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            f.write_str("none")
        } else if self.highest == i16::MAX {
            write!(f, "{}+", self.lowest)
        } else if self.lowest == self.highest {
            write!(f, "{}", self.lowest)
        } else {
            write!(f, "{}-{}", self.lowest, self.highest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Test, Versions};

    fn versions(text: &str) -> Versions {
        Versions::parse(text).unwrap()
    }

    #[test]
    fn ranges_are_read_as_specs_write_them() {
        for text in ["none", "7", "0-2", "3+"] {
            assert_eq!(versions(text).to_string(), text);
        }
        assert_eq!(versions(" 3+ ").highest, i16::MAX);
        for text in ["", "x", "1-", "-1", "1-2-3", "3++", "99999"] {
            assert!(Versions::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_test_asks_only_what_the_context_leaves_open() {
        let context = versions("3-13");
        assert_eq!(versions("0+").test(context), Test::Always);
        assert_eq!(versions("14+").test(context), Test::Never);
        assert_eq!(versions("9+").test(context).expression(), "version >= 9");
        assert_eq!(versions("0-12").test(context).expression(), "version <= 12");
        assert_eq!(versions("5").test(context).expression(), "version == 5");
        assert_eq!(
            versions("4-6").test(context).expression(),
            "(4..=6).contains(&version)"
        );
        assert_eq!(versions("none").test(context), Test::Never);
    }

    #[test]
    fn hulls_and_intersections() {
        assert_eq!(versions("0-2").hull(versions("5-6")), versions("0-6"));
        assert_eq!(Versions::NONE.hull(versions("5")), versions("5"));
        assert_eq!(versions("0-2").and(versions("5-6")), Versions::NONE);
        assert!(versions("0+").holds(versions("3-4")));
        assert!(!versions("4+").holds(versions("3-4")));
    }
}
