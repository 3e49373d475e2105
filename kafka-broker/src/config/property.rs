//! What a configuration property is: its name, the kind of its value and the limits it is held to.
//!
//! Knows no particular property; the tables stand in `broker_properties` and `topic_properties`.

use std::fmt;

/// One row of a property table.
#[derive(Debug)]
pub(crate) struct Property {
    /// Kafka's name.
    pub(crate) name: &'static str,
    /// How the value is read, and how DescribeConfigs names its type.
    pub(crate) kind: Kind,
    /// The value that holds when nobody sets one; `None` if there is none.
    pub(crate) default: Option<&'static str>,
    /// What the value must fulfil beyond its kind.
    pub(crate) limit: Limit,
    /// For a topic's property the broker's property that gives its default.
    pub(crate) broker_name: Option<&'static str>,
    /// One sentence for people.
    pub(crate) doc: &'static str,
}

/// How the text of a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Bool,
    /// Any text.
    Text,
    /// A 32-bit number.
    Int,
    /// A 64-bit number.
    Long,
    /// A number with a fraction.
    Double,
    /// Words with commas between them.
    List,
}

impl Kind {
    /// The number of the kind in DescribeConfigs from version 3 on.
    pub(crate) const fn code(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::Text => 2,
            Self::Int => 3,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
        }
    }
}

/// What a value must fulfil beyond its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Nothing more.
    Any,
    /// Not below this number.
    AtLeast(i64),
    /// From the first number to the second, both allowed.
    Between(i64, i64),
    /// From the second number to the third, both allowed, or the first.
    OneOrBetween(i64, i64, i64),
    /// A fraction from 0 to 1.
    Ratio,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of these words.
    SubsetOf(&'static [&'static str]),
}

/// Why a value does not fit its property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueError {
    name: &'static str,
    value: String,
    must: String,
}

impl ValueError {
    /// `value` is none of what the property `name` `must` be.
    pub(crate) fn new(name: &'static str, value: impl fmt::Display, must: String) -> Self {
        let value = value.to_string();
        Self { name, value, must }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid value ")?;
        // As Kafka writes it, but where nothing would stand between two blanks.
        match self.value.trim().is_empty() {
            true => write!(f, "{:?}", self.value)?,
            false => f.write_str(&self.value)?,
        }
        write!(f, " for configuration {}: must be {}", self.name, self.must)
    }
}

impl Property {
    /// Tells whether `value` fits.
    pub(crate) fn check(&self, value: &str) -> Result<(), ValueError> {
        let must = |must: String| ValueError::new(self.name, value, must);
        match self.kind {
            Kind::Bool => parse_bool(value)
                .map(drop)
                .ok_or_else(|| must("true or false".to_owned())),
            Kind::Int => match value.trim().parse::<i32>() {
                Ok(number) => self.check_number(i64::from(number)).map_err(must),
                Err(_) => Err(must("a 32-bit number".to_owned())),
            },
            Kind::Long => match value.trim().parse::<i64>() {
                Ok(number) => self.check_number(number).map_err(must),
                Err(_) => Err(must("a 64-bit number".to_owned())),
            },
            Kind::Double => match value.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => match self.limit {
                    Limit::Ratio if !(0.0..=1.0).contains(&number) => {
                        Err(must("between 0 and 1".to_owned()))
                    }
                    _ => Ok(()),
                },
                _ => Err(must("a number".to_owned())),
            },
            Kind::Text => match self.limit {
                Limit::OneOf(words) if !words.contains(&value.trim()) => {
                    Err(must(format!("one of {}", words.join(", "))))
                }
                _ => Ok(()),
            },
            Kind::List => match self.limit {
                Limit::SubsetOf(words) if !list(value).all(|word| words.contains(&word)) => {
                    Err(must(format!("a list of {}", words.join(", "))))
                }
                _ => Ok(()),
            },
        }
    }

    fn check_number(&self, number: i64) -> Result<(), String> {
        match self.limit {
            Limit::AtLeast(least) if number < least => Err(format!("at least {least}")),
            Limit::Between(least, most) if number < least || number > most => {
                Err(match least == most {
                    true => least.to_string(),
                    false => format!("from {least} to {most}"),
                })
            }
            Limit::OneOrBetween(one, least, most)
                if number != one && (number < least || number > most) =>
            {
                Err(format!("{one}, or from {least} to {most}"))
            }
            _ => Ok(()),
        }
    }
}

/// The words of a list value, without the blanks around them and without empty ones.
pub(crate) fn list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// A truth value as Kafka reads it: the two words in any case.
pub(crate) fn parse_bool(value: &str) -> Option<bool> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The name in `names` that is nearest to `wrong`, if it is near enough to be a slip of the pen.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or changed to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row
            .iter_mut()
            .zip(std::iter::once(None).chain(b.bytes().map(Some)))
        {
            let above = *cell;
            *cell = match to {
                None => i + 1,
                Some(to) => (diagonal + usize::from(from != to))
                    .min(above + 1)
                    .min(left + 1),
            };
            left = *cell;
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(kind: Kind, limit: Limit) -> Property {
        Property {
            name: "x",
            kind,
            default: None,
            limit,
            broker_name: None,
            doc: "",
        }
    }

    #[test]
    fn a_value_that_is_empty_is_seen() {
        let int = property(Kind::Int, Limit::Any);
        let text = |value| int.check(value).unwrap_err().to_string();
        let must = "for configuration x: must be a 32-bit number";
        assert_eq!(text(""), format!("invalid value \"\" {must}"));
        assert_eq!(text(" "), format!("invalid value \" \" {must}"));
        assert_eq!(text("a"), format!("invalid value a {must}"));
    }

    #[test]
    fn a_number_that_can_be_no_other_is_told_as_it_is() {
        let one = property(Kind::Int, Limit::Between(1, 1));
        let text = one.check("3").unwrap_err().to_string();
        assert_eq!(text, "invalid value 3 for configuration x: must be 1");
    }

    #[test]
    fn values_are_held_to_kind_and_limit() {
        let cases = [
            (Kind::Bool, Limit::Any, "TRUE", true),
            (Kind::Bool, Limit::Any, "yes", false),
            (Kind::Int, Limit::Between(1, 3), "3", true),
            (Kind::Int, Limit::Between(1, 3), "4", false),
            (Kind::Int, Limit::Any, "3000000000", false),
            (Kind::Int, Limit::OneOrBetween(-1, 1, 9), "-1", true),
            (Kind::Int, Limit::OneOrBetween(-1, 1, 9), "9", true),
            (Kind::Int, Limit::OneOrBetween(-1, 1, 9), "0", false),
            (Kind::Int, Limit::OneOrBetween(-1, 1, 9), "10", false),
            (Kind::Long, Limit::AtLeast(-1), "-1", true),
            (Kind::Long, Limit::AtLeast(-1), "-2", false),
            (Kind::Double, Limit::Ratio, "0.5", true),
            (Kind::Double, Limit::Ratio, "1.5", false),
            (Kind::Double, Limit::Ratio, "NaN", false),
            (Kind::Text, Limit::OneOf(&["a", "b"]), "b", true),
            (Kind::Text, Limit::OneOf(&["a", "b"]), " b ", true),
            (Kind::Text, Limit::OneOf(&["a", "b"]), "c", false),
            (Kind::List, Limit::SubsetOf(&["a", "b"]), "b, a", true),
            (Kind::List, Limit::SubsetOf(&["a", "b"]), "b,c", false),
        ];
        for (kind, limit, value, fits) in cases {
            assert_eq!(
                property(kind, limit).check(value).is_ok(),
                fits,
                "{kind:?} {value}"
            );
        }
    }

    #[test]
    fn slips_of_the_pen_are_recognised() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        let names = ["num.partitions", "node.id"];
        assert_eq!(
            nearest("num.partition", names.into_iter()),
            Some("num.partitions")
        );
        assert_eq!(nearest("something.else", names.into_iter()), None);
    }
}
