//! All messages of the protocol: requests, responses, headers, and the records of Kafka's own topics.
//!
//! Those that only the nodes of a cluster need are behind the feature `cluster`, and say so.
//!
//! A message is a struct of this module, such as [`MetadataResponse`]; the structs in it lie in the
//! module of its name, such as [`metadata_response`]. Fields are public. Structs may gain fields with
//! a new release of Kafka, so a value is made from its default:
//!
//! ```
//! use kafka_protocol::messages::MetadataRequest;
//! use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
//! use kafka_protocol::Message as _;
//!
//! let mut topic = MetadataRequestTopic::default();
//! topic.name = Some("orders".into());
//! let mut request = MetadataRequest::default();
//! request.topics = Some(vec![topic]);
//!
//! let bytes = request.to_bytes(12)?;
//! assert_eq!(MetadataRequest::from_bytes(bytes, 12)?, request);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

pub use crate::generated::*;
