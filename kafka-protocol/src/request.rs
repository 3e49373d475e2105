//! What all messages have in common, and what ties a request to its response and its key.

use std::fmt::Debug;

use bytes::Bytes;

use crate::error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
use crate::messages::api_key::ApiKey;
use crate::version::VersionRange;
use crate::wire::{Reader, Writer};

/// A message of the protocol: a request, a response, a header, or a record of one of Kafka's own
/// topics.
pub trait Message: Clone + Debug + Default + PartialEq {
    /// The name in Kafka's specs, such as `FetchRequest`.
    const NAME: &'static str;
    /// The versions that exist.
    const VERSIONS: VersionRange;
    /// The first flexible version, from which on the message has tagged fields; `i16::MAX` if there
    /// is none.
    const FIRST_FLEXIBLE: i16;

    /// Reads the fields of a version that exists, over the defaults of a new message.
    /// [`decode`](Self::decode) is what callers want: it checks the version first and names the
    /// message in errors.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    fn read(&mut self, r: &mut Reader, version: i16) -> Result<(), DecodeError>;

    /// Writes the fields of a version that exists. [`encode`](Self::encode) is what callers want: it
    /// checks the version first and names the message in errors.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    fn write(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Reads a message of this version where the reader stands, and leaves the reader behind it.
    ///
    /// Fields that the version does not have get their defaults. Strings and bytes are slices of the
    /// reader's bytes, which live as long as the last of them.
    ///
    /// # Errors
    ///
    /// If there is no such version, or the bytes are not a message of it.
    fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        r.begin_message(Self::NAME, version);
        let read = if Self::VERSIONS.contains(version) {
            message.read(r, version)
        } else {
            Err(r.error(DecodeErrorKind::UnsupportedVersion, ""))
        };
        match read {
            Ok(()) => Ok(message),
            Err(error) => Err(error.in_message(Self::NAME, version)),
        }
    }

    /// Appends the message in this version.
    ///
    /// # Errors
    ///
    /// If there is no such version, a field is set that the version lacks and that must not be
    /// dropped, a field is null that must not be, something is longer than the protocol can say, or
    /// the unknown tagged fields are not in order. What was written until then stays in the writer, and
    /// its length is the position of the error.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let written = if Self::VERSIONS.contains(version) {
            self.write(w, version)
        } else {
            Err(EncodeError::new(EncodeErrorKind::UnsupportedVersion, ""))
        };
        match written {
            Ok(()) => Ok(()),
            Err(error) => Err(error.in_message(Self::NAME, version).at(w.len())),
        }
    }

    /// Reads a message that is all of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), and if bytes are left over.
    fn from_bytes(bytes: Bytes, version: i16) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let message = Self::decode(&mut r, version)?;
        r.finish()?;
        Ok(message)
    }

    /// The bytes of the message in this version.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    fn to_bytes(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut w = Writer::new();
        self.encode(&mut w, version)?;
        Ok(w.into_bytes())
    }

    /// Whether this version is flexible, that is has tagged fields and compact lengths.
    #[must_use]
    fn is_flexible(version: i16) -> bool {
        version >= Self::FIRST_FLEXIBLE
    }
}

/// A request: a message with an API key, and the response that it gets.
pub trait Request: Message {
    /// The key that tells the broker what is asked.
    const KEY: ApiKey;
    /// What comes back, in the same version.
    type Response: Response;
}

/// A response: a message with the API key of the request that it answers.
pub trait Response: Message {
    /// The key of the request.
    const KEY: ApiKey;
}

/// A record that Kafka keeps in a topic of its own: a coordinator's key or value, a record of the
/// metadata log or of the remote log metadata.
///
/// On disk a number says which of a topic's record types follows; how it is framed differs by topic.
pub trait TypedRecord: Message {
    /// The number of the type, unique within its topic; a coordinator's key and value share it.
    const TYPE_ID: i16;
}

#[cfg(test)]
mod tests {
    use super::Message as _;
    use crate::error::{EncodeError, EncodeErrorKind};
    use crate::frame;
    use crate::messages::metadata_request::MetadataRequestTopic;
    use crate::messages::{FetchRequest, MetadataRequest, SaslAuthenticateRequest};
    use crate::wire::Writer;

    fn metadata(names: [&str; 3]) -> MetadataRequest {
        let topic = |name: &str| MetadataRequestTopic {
            name: Some(name.into()),
            ..MetadataRequestTopic::default()
        };
        MetadataRequest {
            topics: Some(names.map(topic).into()),
            ..MetadataRequest::default()
        }
    }

    #[test]
    fn secrets_do_not_get_into_logs() {
        let request = SaslAuthenticateRequest {
            auth_bytes: "\0user\0hunter2".into(),
            ..SaslAuthenticateRequest::default()
        };
        assert_eq!(
            format!("{request:?}"),
            "SaslAuthenticateRequest { auth_bytes: Secret(13), unknown_tagged_fields: {} }"
        );
    }

    fn told(error: &EncodeError) -> (&str, Option<&str>, Option<i16>, Option<usize>) {
        (
            error.field(),
            error.message(),
            error.version(),
            error.position(),
        )
    }

    #[test]
    fn what_cannot_be_written_is_named_and_the_writer_stands_there() {
        let long = "x".repeat(40_000);
        let request = metadata(["one", "two", &long]);
        for version in [4, 12] {
            let mut w = Writer::new();
            let error = request.encode(&mut w, version).unwrap_err();
            let kind = EncodeErrorKind::StringTooLong { length: 40_000 };
            assert_eq!(error.kind(), kind);
            let written = w.into_bytes();
            let position = written.len();
            let place = (
                "topics[2].name",
                Some("MetadataRequest"),
                Some(version),
                Some(position),
            );
            assert_eq!(told(&error), place);
            // Up to there it is what it would be with a name that fits.
            let whole = metadata(["one", "two", ""]).to_bytes(version).unwrap();
            assert_eq!(written, whole[..position]);
            assert!(position > 10, "{position}");
            // In a frame the size and the header, of 10 or 11 bytes, are counted too.
            let framed = frame::encode_request(&request, version, 1, None).unwrap_err();
            let before = 4 + 10 + usize::from(version >= 9);
            assert_eq!(framed.position(), Some(before + position));
        }
    }

    #[test]
    fn a_version_that_lacks_a_field_or_is_none_is_named_where_it_matters() {
        let mut request = FetchRequest {
            max_wait_ms: 7,
            ..FetchRequest::default()
        };
        request.forgotten_topics_data.push(Default::default());
        let error = request.to_bytes(4).unwrap_err();
        let place = (
            "forgotten_topics_data",
            Some("FetchRequest"),
            Some(4),
            // Behind four integers, a byte, and a count of topics.
            Some(21),
        );
        assert_eq!(told(&error), place);
        let error = request.to_bytes(99).unwrap_err();
        assert_eq!(error.kind(), EncodeErrorKind::UnsupportedVersion);
        assert_eq!(
            error.to_string(),
            "FetchRequest v99: no such version at byte 0"
        );
    }
}
