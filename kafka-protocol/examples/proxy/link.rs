//! What one connection between a client and a broker has to remember, and what is changed on the way.
//! Frames go in and come out; of sockets it knows nothing.

use std::collections::VecDeque;
use std::error::Error;

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiVersionsResponse, DescribeClusterResponse, FetchResponse, FindCoordinatorResponse,
    MetadataResponse, ProduceRequest, ProduceResponse,
};
use kafka_protocol::wire::Reader;
use kafka_protocol::{ApiKey, ErrorCode, Message as _, Response, VersionRange, frame};

/// One client and its broker.
pub(crate) struct Link {
    /// The address that clients are told in place of a broker's, by its number.
    address: fn(i32) -> (&'static str, i32),
    /// What the client waits for, in order.
    awaited: VecDeque<Awaited>,
}

/// A request that will be answered.
struct Awaited {
    /// Not an [`ApiKey`]: both ends may know more of them than this crate.
    api_key: i16,
    version: i16,
    correlation_id: i32,
}

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

impl Link {
    /// A link that nothing has gone over yet.
    pub(crate) fn new(address: fn(i32) -> (&'static str, i32)) -> Self {
        Self {
            address,
            awaited: VecDeque::new(),
        }
    }

    /// A frame of the client, without its size: it goes on as it is, once this has returned.
    pub(crate) fn request(&mut self, frame: &Bytes) -> Result<()> {
        // All request headers begin alike, those of unknown APIs too.
        let mut reader = Reader::new(frame.clone());
        let awaited = Awaited {
            api_key: reader.i16("request_api_key")?,
            version: reader.i16("request_api_version")?,
            correlation_id: reader.i32("correlation_id")?,
        };
        if awaited.api_key != ApiKey::Produce.code() || acks(frame, awaited.version)? != 0 {
            self.awaited.push_back(awaited);
        }
        Ok(())
    }

    /// A frame of the broker, without its size; gives what the client gets, with it.
    pub(crate) fn response(&mut self, frame: Bytes) -> Result<Vec<Bytes>> {
        let awaited = self.awaited.pop_front().ok_or("nothing was asked")?;
        let mut reader = Reader::new(frame.clone());
        // All response headers begin alike too.
        if reader.i32("correlation_id")? != awaited.correlation_id {
            return Err("the broker answers something else".into());
        }
        match ApiKey::from_code(awaited.api_key) {
            Some(ApiKey::ApiVersions) => api_versions(&awaited, frame),
            Some(ApiKey::Metadata) => change(&awaited, frame, |body: &mut MetadataResponse| {
                for broker in &mut body.brokers {
                    let (host, port) = (self.address)(broker.node_id);
                    (broker.host, broker.port) = (host.into(), port);
                }
            }),
            Some(ApiKey::DescribeCluster) => {
                change(&awaited, frame, |body: &mut DescribeClusterResponse| {
                    for broker in &mut body.brokers {
                        let (host, port) = (self.address)(broker.broker_id);
                        (broker.host, broker.port) = (host.into(), port);
                    }
                })
            }
            Some(ApiKey::FindCoordinator) => {
                change(&awaited, frame, |body: &mut FindCoordinatorResponse| {
                    // One of them up to version 3, a list from 4 on; without a coordinator the number
                    // is -1.
                    if body.node_id >= 0 && !body.host.is_empty() {
                        let (host, port) = (self.address)(body.node_id);
                        (body.host, body.port) = (host.into(), port);
                    }
                    for found in &mut body.coordinators {
                        if found.node_id >= 0 {
                            let (host, port) = (self.address)(found.node_id);
                            (found.host, found.port) = (host.into(), port);
                        }
                    }
                })
            }
            // Who leads now, if the client asked the wrong one.
            Some(ApiKey::Produce) if awaited.version >= 10 => {
                change(&awaited, frame, |body: &mut ProduceResponse| {
                    for node in &mut body.node_endpoints {
                        let (host, port) = (self.address)(node.node_id);
                        (node.host, node.port) = (host.into(), port);
                    }
                })
            }
            Some(ApiKey::Fetch) if awaited.version >= 16 => {
                change(&awaited, frame, |body: &mut FetchResponse| {
                    for node in &mut body.node_endpoints {
                        let (host, port) = (self.address)(node.node_id);
                        (node.host, node.port) = (host.into(), port);
                    }
                })
            }
            _ => {
                let size = i32::try_from(frame.len())?;
                Ok(vec![Bytes::copy_from_slice(&size.to_be_bytes()), frame])
            }
        }
    }
}

/// How many acknowledgements a produce request wants; with none it gets no answer.
fn acks(frame: &Bytes, version: i16) -> Result<i16> {
    let mut reader = Reader::new(frame.clone());
    kafka_protocol::header::decode_request_header(&mut reader)?;
    // Brokers advertise versions 0 to 2, of which only old ones serve any. Acks come first there.
    Ok(if version < ProduceRequest::VERSIONS.min {
        reader.i16("acks")?
    } else {
        ProduceRequest::decode(&mut reader, version)?.acks
    })
}

/// Decodes a response, changes it, and encodes it in the same version.
fn change<R: Response>(
    awaited: &Awaited,
    frame: Bytes,
    change: impl FnOnce(&mut R),
) -> Result<Vec<Bytes>> {
    let mut reader = Reader::new(frame);
    kafka_protocol::header::decode_response_header(&mut reader, R::KEY, awaited.version)?;
    let mut body = R::decode(&mut reader, awaited.version)?;
    reader.finish()?;
    change(&mut body);
    let id = awaited.correlation_id;
    Ok(frame::encode_response(&body, awaited.version, id)?)
}

/// Sees to it that client and broker agree on versions that the proxy can read, of all that it reads.
fn api_versions(awaited: &Awaited, frame: Bytes) -> Result<Vec<Bytes>> {
    // The header is that of version 0 in all versions.
    let mut reader = Reader::new(frame);
    kafka_protocol::header::decode_response_header(&mut reader, ApiKey::ApiVersions, 0)?;
    // A broker that does not know the version says so in version 0, which any client can read.
    let refused = reader.clone().i16("error_code")? == ErrorCode::UNSUPPORTED_VERSION.code();
    if !refused && !ApiVersionsResponse::VERSIONS.contains(awaited.version) {
        return refuse(awaited);
    }
    let version = if refused { 0 } else { awaited.version };
    let mut body = ApiVersionsResponse::decode(&mut reader, version)?;
    reader.finish()?;
    body.api_keys.retain_mut(|api| {
        let Some(key) = ApiKey::from_code(api.api_key).filter(|key| READ.contains(key)) else {
            return true;
        };
        let theirs = VersionRange::new(api.min_version, api.max_version);
        let both = theirs.intersection(key.advertised_versions());
        if let Some(both) = both {
            (api.min_version, api.max_version) = (both.min, both.max);
        }
        both.is_some()
    });
    Ok(frame::encode_response(
        &body,
        version,
        awaited.correlation_id,
    )?)
}

/// Answers a question for versions that the broker understood and the proxy does not, as a broker would
/// that does not either: the client asks again in a version that all three know.
fn refuse(awaited: &Awaited) -> Result<Vec<Bytes>> {
    let known = ApiKey::ApiVersions.advertised_versions();
    let mut own = ApiVersion::default();
    own.api_key = ApiKey::ApiVersions.code();
    (own.min_version, own.max_version) = (known.min, known.max);
    let mut body = ApiVersionsResponse::default();
    body.error_code = ErrorCode::UNSUPPORTED_VERSION.code();
    body.api_keys.push(own);
    Ok(frame::encode_response(&body, 0, awaited.correlation_id)?)
}

/// The APIs whose messages the proxy reads.
const READ: [ApiKey; 6] = [
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::Metadata,
    ApiKey::FindCoordinator,
    ApiKey::ApiVersions,
    ApiKey::DescribeCluster,
];
