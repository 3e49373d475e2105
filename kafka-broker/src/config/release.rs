//! The releases of Kafka whose brokers can be emulated, by what they served to clients.
//!
//! The table is asked of each release's own jar by `releases/import`.

use std::fmt;

use kafka_protocol::{ApiKey, VersionRange};

/// A release of Kafka, such as 2.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// Its name.
    name: &'static str,
    /// Its column in the table.
    column: usize,
}

impl Release {
    /// The release of this name; a number of the patch behind it changes nothing.
    pub(crate) fn named(name: &str) -> Result<Self, UnknownRelease> {
        let minor = match name.match_indices('.').nth(1) {
            Some((end, _)) => name.split_at(end).0,
            None => name,
        };
        let found = header().enumerate().find(|(_, known)| *known == minor);
        let (column, name) = found.ok_or_else(|| UnknownRelease {
            name: name.to_owned(),
        })?;
        Ok(Self { name, column })
    }

    /// The versions of an API that its brokers served; none if they did not know it.
    pub(crate) fn versions(self, api: ApiKey) -> Option<VersionRange> {
        let row = rows().find(|row| row.clone().next() == Some(&*api.code().to_string()))?;
        let (oldest, newest) = row.skip(FACTS).nth(self.column)?.split_once('-')?;
        Some(VersionRange::new(
            oldest.parse().ok()?,
            newest.parse().ok()?,
        ))
    }

    /// Whether its brokers tell clients of features such as `transaction.version`.
    pub(crate) fn has_features(self) -> bool {
        self.column >= position("4.0")
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// No release that can be emulated has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownRelease {
    name: String,
}

impl fmt::Display for UnknownRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = header().collect();
        write!(
            f,
            "cannot emulate release {:?}: it must be one of {}",
            self.name,
            known.join(", ")
        )
    }
}

/// The names of the releases, from the oldest on.
fn header() -> impl Iterator<Item = &'static str> {
    let line = TABLE.lines().next().unwrap_or_default();
    line.split('\t').skip(FACTS)
}

fn rows() -> impl Iterator<Item = std::str::Split<'static, char>> {
    TABLE.lines().skip(1).map(|line| line.split('\t'))
}

fn position(name: &str) -> usize {
    header()
        .position(|known| known == name)
        .unwrap_or(usize::MAX)
}

const TABLE: &str = include_str!("releases.tsv");

/// The columns before the first release: key and name.
const FACTS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(release: &str, api: ApiKey) -> Option<(i16, i16)> {
        let range = Release::named(release).unwrap().versions(api)?;
        Some((range.min, range.max))
    }

    #[test]
    fn releases_are_found_by_name() {
        assert_eq!(Release::named("2.8").unwrap().to_string(), "2.8");
        assert_eq!(Release::named("3.9.1").unwrap().to_string(), "3.9");
        for bad in ["", "2", "2.0", "2.9", "4.5", "two", "2.8 "] {
            let error = Release::named(bad).unwrap_err().to_string();
            assert!(
                error.contains("2.1, 2.2") && error.contains("4.4"),
                "{error}"
            );
        }
    }

    /// Facts of Kafka's history: flexible Produce came with KIP-467, topic ids in Fetch with KIP-516, and 4.0
    /// took the oldest versions away.
    #[test]
    fn the_table_has_what_each_release_served() {
        assert_eq!(versions("2.1", ApiKey::Fetch), Some((0, 10)));
        assert_eq!(versions("2.8", ApiKey::Produce), Some((0, 9)));
        assert_eq!(versions("3.0", ApiKey::Fetch), Some((0, 12)));
        assert_eq!(versions("3.1", ApiKey::Fetch), Some((0, 13)));
        assert_eq!(versions("4.0", ApiKey::Fetch), Some((4, 17)));
        assert_eq!(versions("2.8", ApiKey::ConsumerGroupHeartbeat), None);
        assert!(!Release::named("3.9").unwrap().has_features());
        assert!(Release::named("4.0").unwrap().has_features());
    }

    /// Whatever is wrong with the import shows here: a missing column, a wrong key, a version that is unstable.
    #[test]
    fn the_newest_column_is_what_the_specs_say() {
        let mut checked = 0;
        for row in rows() {
            let cells: Vec<_> = row.collect();
            assert_eq!(cells.len(), FACTS + header().count(), "{cells:?}");
            let api = ApiKey::from_code(cells[0].parse().unwrap()).filter(|api| {
                // Those that 4.0 removed are not in the specs any more.
                cells.last() != Some(&"-") && api.valid_versions().max >= 0
            });
            let Some(api) = api else { continue };
            assert_eq!(api.name(), cells[1]);
            let advertised = api.advertised_versions();
            let newest = Release::named("4.4").unwrap().versions(api).unwrap();
            assert_eq!(newest.max, advertised.max, "{}", api.name());
            checked += 1;
        }
        assert!(checked > 70, "{checked}");
    }
}
