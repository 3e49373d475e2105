//! The error codes of the protocol: number, name, meaning, and whether trying again can help.

use std::fmt;

/// A code from the wire. Codes that this release does not know are kept as they are.
///
/// Zero is [`NONE`](Self::NONE): no error.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(i16);

impl ErrorCode {
    /// The code of this number.
    #[must_use]
    pub const fn from_code(code: i16) -> Self {
        Self(code)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self.0
    }

    /// Whether this is no error.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Nothing if this is no error, else the code as an error.
    ///
    /// # Errors
    ///
    /// The code itself, unless it is [`NONE`](Self::NONE).
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }

    /// Kafka's name, such as `NOT_COORDINATOR`; `None` if this release does not know the code.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.facts().map(|facts| facts.name)
    }

    /// What the code says, in a phrase; `None` if this release does not know it.
    #[must_use]
    pub fn meaning(self) -> Option<&'static str> {
        self.facts().map(|facts| facts.meaning)
    }

    /// Whether the same request may succeed later. Not so for unknown codes.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        self.facts()
            .is_some_and(|facts| facts.retry != Retry::Never)
    }

    /// Whether metadata must be asked for again before the request is tried again.
    #[must_use]
    pub fn invalidates_metadata(self) -> bool {
        self.facts()
            .is_some_and(|facts| facts.retry == Retry::AfterMetadata)
    }

    /// Whether the coordinator must be looked for again before the request is tried again.
    #[must_use]
    pub fn invalidates_coordinator(self) -> bool {
        self.facts()
            .is_some_and(|facts| facts.retry == Retry::AfterCoordinator)
    }

    fn facts(self) -> Option<&'static Facts> {
        let row = usize::try_from(i32::from(self.0) - FIRST).ok()?;
        FACTS.get(row)
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.facts() {
            Some(facts) => write!(f, "{} ({}): {}", facts.name, self.0, facts.meaning),
            None => write!(f, "unknown error code {}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "ErrorCode({})", self.0),
        }
    }
}

impl std::error::Error for ErrorCode {}

struct Facts {
    name: &'static str,
    retry: Retry,
    meaning: &'static str,
}

/// Whether the same request may succeed later, and what must be done before.
#[derive(Clone, Copy, PartialEq)]
enum Retry {
    Never,
    Later,
    AfterMetadata,
    AfterCoordinator,
}

/// Makes a constant of each code, and the table. Codes follow each other without gaps.
macro_rules! error_codes {
    ($first:literal: $($name:ident = $code:literal, $retry:ident, $meaning:literal;)*) => {
        impl ErrorCode {
            /// All codes that this release knows, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            $(
                #[doc = concat!($meaning, ".")]
                pub const $name: Self = Self($code);
            )*
        }

        const FIRST: i32 = $first;

        const FACTS: &[Facts] = &[$(
            Facts {
                name: stringify!($name),
                retry: Retry::$retry,
                meaning: $meaning,
            }
        ),*];
    };
}

error_codes! {
    -1:
    UNKNOWN_SERVER_ERROR = -1, Never, "the server failed in a way it has no code for";
    NONE = 0, Never, "no error";
    OFFSET_OUT_OF_RANGE = 1, Never, "the offset lies outside of what the partition's log holds";
    CORRUPT_MESSAGE = 2, Later, "the records are damaged, or too large, or lack the key that a compacted topic needs";
    UNKNOWN_TOPIC_OR_PARTITION = 3, AfterMetadata, "the server does not hold this topic or partition";
    INVALID_FETCH_SIZE = 4, Never, "the number of bytes to fetch is not acceptable";
    LEADER_NOT_AVAILABLE = 5, AfterMetadata, "the partition has no leader at the moment";
    NOT_LEADER_OR_FOLLOWER = 6, AfterMetadata, "the broker is not the leader of the partition, nor a replica that may answer";
    REQUEST_TIMED_OUT = 7, Later, "the request was not done within its time limit";
    BROKER_NOT_AVAILABLE = 8, Never, "the broker is not there";
    REPLICA_NOT_AVAILABLE = 9, AfterMetadata, "the broker has no such replica";
    MESSAGE_TOO_LARGE = 10, Never, "the record batch is larger than the server accepts";
    STALE_CONTROLLER_EPOCH = 11, Never, "the controller has been replaced by one of a newer epoch";
    OFFSET_METADATA_TOO_LARGE = 12, Never, "the metadata that goes with a committed offset is too long";
    NETWORK_EXCEPTION = 13, AfterMetadata, "the server went away before it answered";
    COORDINATOR_LOAD_IN_PROGRESS = 14, Later, "the coordinator is still reading its state";
    COORDINATOR_NOT_AVAILABLE = 15, AfterCoordinator, "there is no coordinator at the moment";
    NOT_COORDINATOR = 16, AfterCoordinator, "the broker is not the coordinator of this group or transactional id";
    INVALID_TOPIC_EXCEPTION = 17, Never, "the topic name is not legal, or names an internal topic";
    RECORD_LIST_TOO_LARGE = 18, Never, "the record batch is longer than a segment may be";
    NOT_ENOUGH_REPLICAS = 19, Later, "fewer replicas are in sync than the topic demands, so nothing was written";
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, Later, "the records were written, but to fewer in-sync replicas than the topic demands";
    INVALID_REQUIRED_ACKS = 21, Never, "acks is neither 0, 1 nor -1";
    ILLEGAL_GENERATION = 22, Never, "the generation of the group is another one now";
    INCONSISTENT_GROUP_PROTOCOL = 23, Never, "the member's protocols have nothing in common with those of the group";
    INVALID_GROUP_ID = 24, Never, "the group id is not legal";
    UNKNOWN_MEMBER_ID = 25, Never, "the group has no such member";
    INVALID_SESSION_TIMEOUT = 26, Never, "the session time-out is outside of what the coordinator allows";
    REBALANCE_IN_PROGRESS = 27, Never, "the group is rebalancing, so the member has to join again";
    INVALID_COMMIT_OFFSET_SIZE = 28, Never, "the commit is too large to be stored";
    TOPIC_AUTHORIZATION_FAILED = 29, Never, "the principal may not do this to the topic";
    GROUP_AUTHORIZATION_FAILED = 30, Never, "the principal may not do this to the group";
    CLUSTER_AUTHORIZATION_FAILED = 31, Never, "the principal may not do this to the cluster";
    INVALID_TIMESTAMP = 32, Never, "a record's timestamp is too far from the time of the broker";
    UNSUPPORTED_SASL_MECHANISM = 33, Never, "the broker does not offer this SASL mechanism";
    ILLEGAL_SASL_STATE = 34, Never, "the request does not fit the state of the SASL handshake";
    UNSUPPORTED_VERSION = 35, Never, "the server does not serve this version of the request";
    TOPIC_ALREADY_EXISTS = 36, Never, "a topic of this name exists already";
    INVALID_PARTITIONS = 37, Never, "the number of partitions is not acceptable";
    INVALID_REPLICATION_FACTOR = 38, Never, "the replication factor is below 1 or above the number of brokers";
    INVALID_REPLICA_ASSIGNMENT = 39, Never, "the assignment of replicas is not acceptable";
    INVALID_CONFIG = 40, Never, "a configuration value is not acceptable";
    NOT_CONTROLLER = 41, Later, "the node is not the active controller";
    INVALID_REQUEST = 42, Never, "the request contradicts itself, or does not suit its version";
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, Never, "the format of the partition's records is too old for this request";
    POLICY_VIOLATION = 44, Never, "the request violates a policy of the cluster";
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, Never, "a batch of this producer does not follow the one before it";
    DUPLICATE_SEQUENCE_NUMBER = 46, Never, "the batch has been written already, and is no longer remembered in detail";
    INVALID_PRODUCER_EPOCH = 47, Never, "the producer's epoch is older than the one the server knows";
    INVALID_TXN_STATE = 48, Never, "the transaction is not in a state that allows this";
    INVALID_PRODUCER_ID_MAPPING = 49, Never, "the producer id does not belong to this transactional id";
    INVALID_TRANSACTION_TIMEOUT = 50, Never, "the transaction time-out is larger than the broker allows";
    CONCURRENT_TRANSACTIONS = 51, Later, "another operation of the same transaction is still going on";
    TRANSACTION_COORDINATOR_FENCED = 52, Never, "the transaction coordinator has been replaced by a newer one";
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, Never, "the principal may not use this transactional id";
    SECURITY_DISABLED = 54, Never, "the cluster has no authorizer, or security is turned off";
    OPERATION_NOT_ATTEMPTED = 55, Never, "an earlier part of the same request failed, so this one was not tried";
    KAFKA_STORAGE_ERROR = 56, AfterMetadata, "the disk failed under the partition's log";
    LOG_DIR_NOT_FOUND = 57, Never, "the broker has no such log directory";
    SASL_AUTHENTICATION_FAILED = 58, Never, "the SASL credentials were refused";
    UNKNOWN_PRODUCER_ID = 59, Never, "the server has no state of this producer, whose records may have been deleted";
    REASSIGNMENT_IN_PROGRESS = 60, Never, "the partition is being reassigned already";
    DELEGATION_TOKEN_AUTH_DISABLED = 61, Never, "delegation tokens are turned off on this cluster";
    DELEGATION_TOKEN_NOT_FOUND = 62, Never, "the cluster has no such delegation token";
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, Never, "the principal is neither owner nor renewer of the delegation token";
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, Never, "delegation tokens cannot be asked for over this connection";
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, Never, "the principal may not do this to the delegation token";
    DELEGATION_TOKEN_EXPIRED = 66, Never, "the delegation token has expired";
    INVALID_PRINCIPAL_TYPE = 67, Never, "the type of the principal is not supported";
    NON_EMPTY_GROUP = 68, Never, "the group still has members";
    GROUP_ID_NOT_FOUND = 69, Never, "there is no such group";
    FETCH_SESSION_ID_NOT_FOUND = 70, Later, "the broker has no such fetch session";
    INVALID_FETCH_SESSION_EPOCH = 71, Later, "the epoch of the fetch session is not the expected one";
    LISTENER_NOT_FOUND = 72, AfterMetadata, "the leader has no listener of the name that the client used";
    TOPIC_DELETION_DISABLED = 73, Never, "deleting topics is turned off";
    FENCED_LEADER_EPOCH = 74, AfterMetadata, "the leader epoch in the request is older than that of the broker";
    UNKNOWN_LEADER_EPOCH = 75, Later, "the leader epoch in the request is newer than that of the broker";
    UNSUPPORTED_COMPRESSION_TYPE = 76, Never, "the server cannot use this codec, or the client's version of the request must not";
    STALE_BROKER_EPOCH = 77, Never, "the epoch of the broker is not the current one";
    OFFSET_NOT_AVAILABLE = 78, Later, "the leader cannot tell its end offset yet, because it was just elected";
    MEMBER_ID_REQUIRED = 79, Never, "the member has to join again with the id that it was given";
    PREFERRED_LEADER_NOT_AVAILABLE = 80, AfterMetadata, "the preferred replica cannot become leader";
    GROUP_MAX_SIZE_REACHED = 81, Never, "the group is full";
    FENCED_INSTANCE_ID = 82, Never, "another member with the same instance id has taken its place";
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, AfterMetadata, "no replica can become leader";
    ELECTION_NOT_NEEDED = 84, AfterMetadata, "the partition has the leader it should have";
    NO_REASSIGNMENT_IN_PROGRESS = 85, Never, "the partition is not being reassigned";
    GROUP_SUBSCRIBED_TO_TOPIC = 86, Never, "the group is subscribed to the topic, so its offsets stay";
    INVALID_RECORD = 87, Never, "a record was refused";
    UNSTABLE_OFFSET_COMMIT = 88, Later, "some offsets wait for the end of a transaction";
    THROTTLING_QUOTA_EXCEEDED = 89, Later, "the quota is used up, and the client has to wait";
    PRODUCER_FENCED = 90, Never, "another producer with the same transactional id and a newer epoch has taken its place";
    RESOURCE_NOT_FOUND = 91, Never, "there is no such thing";
    DUPLICATE_RESOURCE = 92, Never, "there is such a thing already";
    UNACCEPTABLE_CREDENTIAL = 93, Never, "the credential does not meet the demands";
    INCONSISTENT_VOTER_SET = 94, Never, "sender and receiver do not agree on who votes";
    INVALID_UPDATE_VERSION = 95, Never, "the version of the feature is not acceptable";
    FEATURE_UPDATE_FAILED = 96, Never, "the features could not be updated";
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, Never, "the principal of a forwarded request could not be read";
    SNAPSHOT_NOT_FOUND = 98, Never, "there is no such snapshot";
    POSITION_OUT_OF_RANGE = 99, Never, "the position lies outside of the snapshot";
    UNKNOWN_TOPIC_ID = 100, AfterMetadata, "the server does not hold a topic of this id";
    DUPLICATE_BROKER_REGISTRATION = 101, Never, "a broker of this id is registered and alive";
    BROKER_ID_NOT_REGISTERED = 102, Never, "no broker of this id is registered";
    INCONSISTENT_TOPIC_ID = 103, AfterMetadata, "the topic id in the request is not that of the topic in the log";
    INCONSISTENT_CLUSTER_ID = 104, Never, "the request is meant for another cluster";
    TRANSACTIONAL_ID_NOT_FOUND = 105, Never, "there is no such transactional id";
    FETCH_SESSION_TOPIC_ID_ERROR = 106, Later, "the fetch session mixes topic names and topic ids";
    INELIGIBLE_REPLICA = 107, Never, "a replica that is not eligible was proposed for the in-sync set";
    NEW_LEADER_ELECTED = 108, Never, "a new leader was elected in the meantime";
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, Never, "the offset lies in tiered storage now";
    FENCED_MEMBER_EPOCH = 110, Never, "the member's epoch is older or newer than the one the coordinator knows";
    UNRELEASED_INSTANCE_ID = 111, Never, "another member holds this instance id and has not left";
    UNSUPPORTED_ASSIGNOR = 112, Never, "the coordinator does not have this assignor, or not all members support it";
    STALE_MEMBER_EPOCH = 113, Never, "the member's epoch is out of date, and it has to heartbeat again";
    MISMATCHED_ENDPOINT_TYPE = 114, Never, "the endpoint is not of the type that the request asks for";
    UNSUPPORTED_ENDPOINT_TYPE = 115, Never, "the server knows no endpoints of this type";
    UNKNOWN_CONTROLLER_ID = 116, Never, "there is no such controller";
    UNKNOWN_SUBSCRIPTION_ID = 117, Never, "the client uses metric subscriptions that are out of date";
    TELEMETRY_TOO_LARGE = 118, Never, "the metrics are larger than the server accepts";
    INVALID_REGISTRATION = 119, Never, "the registration of the controller is not acceptable";
    TRANSACTION_ABORTABLE = 120, Never, "the transaction has to be aborted, after which the producer may go on";
    INVALID_RECORD_STATE = 121, Never, "the record is not in a state that allows this acknowledgement";
    SHARE_SESSION_NOT_FOUND = 122, Later, "the broker has no such share session";
    INVALID_SHARE_SESSION_EPOCH = 123, Later, "the epoch of the share session is not the expected one";
    FENCED_STATE_EPOCH = 124, Never, "the share partition's state belongs to a newer epoch";
    INVALID_VOTER_KEY = 125, Never, "the voter's key is not the expected one";
    DUPLICATE_VOTER = 126, Never, "the voter is in the set already";
    VOTER_NOT_FOUND = 127, Never, "the voter is not in the set";
    INVALID_REGULAR_EXPRESSION = 128, Never, "the regular expression is not acceptable";
    REBOOTSTRAP_REQUIRED = 129, Never, "the client's view of the cluster is out of date, and it has to bootstrap again";
    STREAMS_INVALID_TOPOLOGY = 130, Never, "the topology of the streams group is not acceptable";
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, Never, "the topology epoch is not acceptable";
    STREAMS_TOPOLOGY_FENCED = 132, Never, "the topology epoch is older than that of the group";
    SHARE_SESSION_LIMIT_REACHED = 133, Later, "the broker has as many share sessions as it allows";
    GROUP_DELETION_FAILED = 134, Never, "the group could not be deleted";
    STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED = 135, Never, "the description of the topology could not be stored";
    CONTROLLER_ID_NOT_REGISTERED = 136, Never, "no controller of this id is registered";
}

#[cfg(test)]
mod tests {
    use super::{ErrorCode, FACTS, FIRST};

    #[test]
    fn the_table_has_a_row_for_each_code_without_gaps() {
        assert_eq!(ErrorCode::ALL.len(), FACTS.len());
        for (row, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(i32::from(code.code()), FIRST + row as i32, "{code:?}");
        }
        assert_eq!(ErrorCode::ALL.len(), 138);
    }

    #[test]
    fn codes_tell_their_names_and_whether_to_try_again() {
        let code = ErrorCode::from(16);
        assert_eq!(code, ErrorCode::NOT_COORDINATOR);
        assert_eq!(code.name(), Some("NOT_COORDINATOR"));
        assert!(code.is_retriable() && code.invalidates_coordinator());
        assert!(ErrorCode::NOT_LEADER_OR_FOLLOWER.invalidates_metadata());
        assert!(!ErrorCode::REQUEST_TIMED_OUT.invalidates_metadata());
        assert!(ErrorCode::REQUEST_TIMED_OUT.is_retriable());
        assert!(!ErrorCode::TOPIC_ALREADY_EXISTS.is_retriable());
        assert_eq!(
            ErrorCode::INVALID_PARTITIONS.to_string(),
            "INVALID_PARTITIONS (37): the number of partitions is not acceptable"
        );
        assert_eq!(ErrorCode::NONE.ok(), Ok(()));
        assert_eq!(code.ok(), Err(code));
    }

    #[test]
    fn unknown_codes_are_kept() {
        for number in [i16::MIN, -2, 137, i16::MAX] {
            let code = ErrorCode::from_code(number);
            assert_eq!(code.code(), number);
            assert_eq!(code.name(), None);
            assert_eq!(code.meaning(), None);
            assert!(!code.is_retriable());
            assert_eq!(code.to_string(), format!("unknown error code {number}"));
        }
    }
}
