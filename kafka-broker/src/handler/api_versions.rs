//! ApiVersions, versions 0 to 5: what this broker serves. Every version from the future is answered in
//! version 0 with UNSUPPORTED_VERSION and the list, so that the client can try again.
//!
//! Of Kafka's features there are two, whose levels tell clients which protocols to speak: `group.version`,
//! unless the new protocol of consumer groups is switched off, and `transaction.version`.
//!
//! Not here: a client that names a cluster or node id (version 5) is not held to it.

use kafka_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::{ApiKey, ErrorCode};

use crate::handler::call::{Call, Handler, Outcome};

/// ApiVersions.
#[derive(Debug)]
pub(crate) struct ApiVersions;

impl Handler for ApiVersions {
    type Request = ApiVersionsRequest;

    fn handle(call: &Call, request: ApiVersionsRequest) -> Outcome<ApiVersionsResponse> {
        let mut response = ApiVersionsResponse::default();
        response.error_code = check(call, &request).code();
        response.api_keys = call
            .node
            .apis
            .iter()
            .map(|api| {
                let mut row = ApiVersion::default();
                row.api_key = api.key.code();
                row.min_version = api.advertised.min;
                row.max_version = api.advertised.max;
                row
            })
            .collect();
        let features = features(call);
        response.finalized_features = features
            .iter()
            .map(|(name, level)| {
                let mut finalized = FinalizedFeatureKey::default();
                finalized.name = (*name).into();
                finalized.min_version_level = *level;
                finalized.max_version_level = *level;
                finalized
            })
            .collect();
        response.finalized_features_epoch = FEATURES_EPOCH;
        // Clients of older versions take a feature that begins with 0 for an error.
        if call.version >= 4 {
            response.supported_features = features
                .into_iter()
                .map(|(name, level)| {
                    let mut supported = SupportedFeatureKey::default();
                    supported.name = name.into();
                    supported.max_version = level;
                    supported
                })
                .collect();
        }
        if !call.node.has_features {
            response.supported_features.clear();
            response.finalized_features.clear();
            response.finalized_features_epoch = -1;
        }
        Outcome::Ready(response)
    }
}

/// The features with their levels.
fn features(call: &Call) -> Vec<(&'static str, i16)> {
    let groups = (GROUP_VERSION, GROUP_LEVEL);
    let is_served = call.node.serves(ApiKey::ConsumerGroupHeartbeat, 0);
    let groups = is_served.then_some(groups);
    let transactions = (TRANSACTION_VERSION, TRANSACTION_LEVEL);
    groups.into_iter().chain([transactions]).collect()
}

fn check(call: &Call, request: &ApiVersionsRequest) -> ErrorCode {
    if !call.node.serves(ApiKey::ApiVersions, call.version) {
        return ErrorCode::UNSUPPORTED_VERSION;
    }
    let named =
        is_software(&request.client_software_name) && is_software(&request.client_software_version);
    if call.version >= 3 && !named {
        return ErrorCode::INVALID_REQUEST;
    }
    ErrorCode::NONE
}

/// Whether a text is the name or the version of a program: letters and digits, and between them also
/// dots and dashes.
fn is_software(text: &str) -> bool {
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    end(text.bytes().next())
        && end(text.bytes().last())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

const GROUP_VERSION: &str = "group.version";

/// The protocol of consumer groups in which the broker assigns, KIP-848.
const GROUP_LEVEL: i16 = 1;

const TRANSACTION_VERSION: &str = "transaction.version";

/// The second protocol of transactions, KIP-890.
const TRANSACTION_LEVEL: i16 = 2;

/// Clients take in features whose epoch is newer than what they know; here they never change.
const FEATURES_EPOCH: i64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_words() {
        for good in ["librdkafka", "1.2.3-rc1", "a"] {
            assert!(is_software(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "a_b"] {
            assert!(!is_software(bad), "{bad}");
        }
    }
}
