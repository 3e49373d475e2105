//! The headers that stand before requests and responses, with their one exception.
//!
//! Which version a header has follows from the API and its version; see
//! [`ApiKey::request_header_version`] and [`ApiKey::response_header_version`].

use crate::api_key::ApiKey;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::messages::{RequestHeader, ResponseHeader};
use crate::request::Message as _;
use crate::wire::Reader;

/// Reads the header of a request, and leaves the reader where the body begins.
///
/// The header of an `ApiVersions` request is read whatever its version is, since a broker must be
/// able to answer clients that are newer than itself.
///
/// # Errors
///
/// If the key is unknown, or the bytes are not a header of it. Whether the version exists is not
/// checked: reading the body does that.
pub fn decode_request_header(r: &mut Reader) -> Result<(ApiKey, RequestHeader), DecodeError> {
    let (key, version) =
        key_and_version(r).map_err(|error| error.in_message(RequestHeader::NAME, 1))?;
    let header = RequestHeader::decode(r, key.request_header_version(version))?;
    Ok((key, header))
}

/// What all versions of a request header begin with. The reader stays where it is.
fn key_and_version(r: &Reader) -> Result<(ApiKey, i16), DecodeError> {
    let mut ahead = r.clone();
    let code = ahead.i16("request_api_key")?;
    let version = ahead.i16("request_api_version")?;
    match ApiKey::from_code(code) {
        Some(key) => Ok((key, version)),
        None => {
            let kind = DecodeErrorKind::UnknownApiKey { key: code };
            Err(r.error(kind, "request_api_key"))
        }
    }
}

/// Reads the header of the response to a request of this key and version, and leaves the reader where
/// the body begins.
///
/// # Errors
///
/// If the bytes are not such a header.
pub fn decode_response_header(
    r: &mut Reader,
    key: ApiKey,
    version: i16,
) -> Result<ResponseHeader, DecodeError> {
    ResponseHeader::decode(r, key.response_header_version(version))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{decode_request_header, decode_response_header};
    use crate::api_key::ApiKey;
    use crate::error::DecodeErrorKind;
    use crate::wire::Reader;

    #[test]
    fn the_client_id_has_a_short_length_in_flexible_headers_too() {
        let bytes = b"\0\x03\0\x0c\0\0\0\x07\0\x02me\0body";
        let mut r = Reader::new(Bytes::from_static(bytes));
        let (key, header) = decode_request_header(&mut r).unwrap();
        assert_eq!(key, ApiKey::Metadata);
        assert_eq!(header.request_api_version, 12);
        assert_eq!(header.correlation_id, 7);
        assert_eq!(header.client_id.as_deref(), Some("me"));
        assert_eq!(r.rest().as_ref(), b"body");
    }

    #[test]
    fn an_api_versions_request_of_the_future_has_a_header() {
        let bytes = b"\0\x12\x7f\xff\0\0\0\x07\xff\xff\0";
        let mut r = Reader::new(Bytes::from_static(bytes));
        let (key, header) = decode_request_header(&mut r).unwrap();
        assert_eq!(key, ApiKey::ApiVersions);
        assert_eq!(header.request_api_version, i16::MAX);
        assert_eq!(header.client_id, None);
    }

    #[test]
    fn an_unknown_key_is_named() {
        for key in [4, 1000, -1] {
            let mut bytes = i16::to_be_bytes(key).to_vec();
            bytes.extend([0; 20]);
            let error = decode_request_header(&mut Reader::new(bytes.into())).unwrap_err();
            assert_eq!(error.kind(), DecodeErrorKind::UnknownApiKey { key });
            let text = error.to_string();
            let expected =
                format!("RequestHeader v1, request_api_key: unknown api key {key} at byte 0");
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn responses_of_api_versions_have_no_tagged_fields_in_the_header() {
        for (key, left) in [(ApiKey::ApiVersions, 2), (ApiKey::Metadata, 1)] {
            let mut r = Reader::new(Bytes::from_static(b"\0\0\0\x09\0\0"));
            let header = decode_response_header(&mut r, key, 9).unwrap();
            assert_eq!(header.correlation_id, 9);
            assert_eq!(r.remaining(), left, "{key}");
        }
    }
}
