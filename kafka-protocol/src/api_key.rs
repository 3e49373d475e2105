//! What is known of each API beside its messages. The keys themselves are generated.

use std::fmt;

pub use crate::messages::api_key::ApiKey;
use crate::version::VersionRange;

/// Which listeners serve an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Listener {
    /// A broker's.
    Broker,
    /// A controller's.
    Controller,
}

/// Who must receive a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Receiver {
    /// The peer of each connection: the request is about the connection itself.
    Connection,
    /// Any broker.
    AnyBroker,
    /// Each broker: every one knows a part of the answer.
    AllBrokers,
    /// The broker that the request is about. `DescribeConfigs`, `AlterConfigs` and
    /// `IncrementalAlterConfigs` go to it only for resources that are a broker, else to any.
    NamedBroker,
    /// The leaders of the partitions in the request, each with its share of them.
    PartitionLeader,
    /// The coordinator of the group.
    GroupCoordinator,
    /// The coordinator of the transactional id. `InitProducerId` without one goes to any broker.
    TransactionCoordinator,
    /// The coordinator of the share group's partition state.
    ShareCoordinator,
    /// The active controller. A request that brokers serve too may go to any broker, which forwards
    /// it.
    Controller,
    /// Each of the other voters of the metadata quorum: a candidate asks them, and a leader tells them.
    Voters,
}

impl ApiKey {
    /// The number in the request header.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The name, such as `Fetch`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The versions of request and response that exist.
    #[must_use]
    pub const fn valid_versions(self) -> VersionRange {
        self.facts().valid
    }

    /// The versions that a broker of this release advertises: those that are stable. Of `Produce` it
    /// advertises versions that it does not serve, because librdkafka looks for them.
    #[must_use]
    pub const fn advertised_versions(self) -> VersionRange {
        self.facts().advertised
    }

    /// Whether the newest valid version may still change.
    #[must_use]
    pub const fn is_newest_version_unstable(self) -> bool {
        self.facts().advertised.max < self.facts().valid.max
    }

    /// The first version with tagged fields and compact lengths; `None` if there is none.
    #[must_use]
    pub const fn first_flexible_version(self) -> Option<i16> {
        match self.facts().first_flexible {
            i16::MAX => None,
            first => Some(first),
        }
    }

    /// The version of the header that stands before a request of this version.
    #[must_use]
    pub const fn request_header_version(self, version: i16) -> i16 {
        if version >= self.facts().first_flexible {
            2
        } else {
            1
        }
    }

    /// The version of the header that stands before a response of this version.
    ///
    /// That of `ApiVersions` never has tagged fields: a client that asks which versions there are
    /// must be able to read the answer of a broker that knows only older ones.
    #[must_use]
    pub const fn response_header_version(self, version: i16) -> i16 {
        match self {
            Self::ApiVersions => 0,
            _ if version >= self.facts().first_flexible => 1,
            _ => 0,
        }
    }

    /// The listeners that serve it.
    #[must_use]
    pub const fn listeners(self) -> &'static [Listener] {
        self.facts().listeners
    }

    /// Who must receive its requests.
    #[must_use]
    pub const fn receiver(self) -> Receiver {
        self.facts().receiver
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A row of the generated table.
pub(crate) struct ApiFacts {
    pub(crate) name: &'static str,
    pub(crate) valid: VersionRange,
    pub(crate) advertised: VersionRange,
    pub(crate) first_flexible: i16,
    pub(crate) listeners: &'static [Listener],
    pub(crate) receiver: Receiver,
}

#[cfg(test)]
mod tests {
    use super::{ApiKey, Receiver};
    use crate::version::VersionRange;

    #[test]
    fn keys_go_to_numbers_and_back() {
        for &key in ApiKey::ALL {
            assert_eq!(ApiKey::from_code(key.code()), Some(key));
        }
        for &(code, _) in ApiKey::REMOVED {
            assert_eq!(ApiKey::from_code(code), None);
        }
        assert_eq!(ApiKey::from_code(-1), None);
        assert_eq!(ApiKey::Fetch.code(), 1);
        assert_eq!(ApiKey::Fetch.to_string(), "Fetch");
        assert_eq!(ApiKey::ALL.len(), 91);
        assert_eq!(ApiKey::REMOVED.len(), 4);
    }

    #[test]
    fn the_quirks_of_what_is_advertised() {
        let unlike: Vec<_> = ApiKey::ALL
            .iter()
            .filter(|key| key.valid_versions() != key.advertised_versions())
            .collect();
        assert_eq!(unlike, [&ApiKey::Produce, &ApiKey::InitProducerId]);
        assert_eq!(
            ApiKey::Produce.advertised_versions(),
            VersionRange::new(0, 13)
        );
        assert_eq!(
            ApiKey::InitProducerId.advertised_versions(),
            VersionRange::new(0, 5)
        );
        assert!(ApiKey::InitProducerId.is_newest_version_unstable());
        assert!(!ApiKey::Produce.is_newest_version_unstable());
    }

    #[test]
    fn headers_follow_the_version_but_for_api_versions() {
        assert_eq!(ApiKey::Metadata.request_header_version(8), 1);
        assert_eq!(ApiKey::Metadata.request_header_version(9), 2);
        assert_eq!(ApiKey::Metadata.response_header_version(8), 0);
        assert_eq!(ApiKey::Metadata.response_header_version(9), 1);
        assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
        assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
        assert_eq!(ApiKey::SaslHandshake.first_flexible_version(), None);
        assert_eq!(ApiKey::Produce.receiver(), Receiver::PartitionLeader);
    }
}
