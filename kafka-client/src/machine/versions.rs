//! Which version of each API a broker and we both speak.

use std::collections::BTreeMap;

use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::{ApiKey, VersionRange};

use crate::error::{Error, ErrorKind, Result};

/// What a broker said it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerVersions {
    ranges: BTreeMap<i16, VersionRange>,
}

impl BrokerVersions {
    /// Reads the answer to ApiVersions.
    #[must_use]
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        let ranges = response
            .api_keys
            .iter()
            .map(|api| {
                (
                    api.api_key,
                    VersionRange::new(api.min_version, api.max_version),
                )
            })
            .collect();
        Self { ranges }
    }

    /// The highest version of `key` that lies in `ours` and in the broker's range.
    ///
    /// # Errors
    ///
    /// If the broker does not serve the API, or none of our versions of it.
    pub fn choose(&self, key: ApiKey, ours: VersionRange) -> Result<i16> {
        let detail = match self.ranges.get(&key.code()) {
            None => "not served by the broker".to_owned(),
            Some(theirs) => match ours.newest_common(*theirs) {
                Some(version) => return Ok(version),
                None => format!("the broker serves versions {theirs}, the client {ours}"),
            },
        };
        Err(Error::new(ErrorKind::UnsupportedVersion, detail).with_api(key))
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::api_versions_response::ApiVersion;

    use super::*;

    fn broker(min: i16, max: i16) -> BrokerVersions {
        let mut api = ApiVersion::default();
        api.api_key = ApiKey::Fetch.code();
        api.min_version = min;
        api.max_version = max;
        let mut response = ApiVersionsResponse::default();
        response.api_keys.push(api);
        BrokerVersions::from_response(&response)
    }

    #[test]
    fn the_highest_common_version_wins() {
        let ours = VersionRange::new(4, 13);
        assert_eq!(broker(0, 11).choose(ApiKey::Fetch, ours).unwrap(), 11);
        assert_eq!(broker(4, 99).choose(ApiKey::Fetch, ours).unwrap(), 13);
    }

    #[test]
    fn no_common_version_is_an_error_with_both_ranges() {
        let ours = VersionRange::new(4, 13);
        for (min, max) in [(0, 3), (14, 20), (-5, -1)] {
            let error = broker(min, max).choose(ApiKey::Fetch, ours).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
            assert!(error.to_string().contains(&max.to_string()), "{error}");
        }
        let error = broker(0, 1).choose(ApiKey::Produce, ours).unwrap_err();
        assert!(error.to_string().contains("Produce"));
    }
}
