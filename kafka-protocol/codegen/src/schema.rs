//! A spec as it stands in a file of `schema/`: Kafka's attributes, less all prose.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A message.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Spec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key: Option<i16>,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) listeners: Vec<String>,
    pub(crate) name: String,
    pub(crate) valid_versions: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flexible_versions: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) latest_version_unstable: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<Field>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) common_structs: Vec<CommonStruct>,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Request,
    Response,
    Header,
    Data,
    Metadata,
    CoordinatorKey,
    CoordinatorValue,
}

/// A field of a message or struct.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Field {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) versions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nullable_versions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tagged_versions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<u32>,
    /// `Some(Value::Null)` if the attribute is there and null, which is not what `"null"` is.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) default: Option<Value>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) ignorable: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) map_key: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entity_type: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) zero_copy: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flexible_versions: Option<String>,
    /// Prose. Read, so that only unknown attributes are errors, and never written.
    #[serde(default, rename = "about", skip_serializing)]
    _about: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<Self>,
}

/// A struct that several fields of a message may have.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommonStruct {
    pub(crate) name: String,
    pub(crate) versions: String,
    #[serde(default, rename = "about", skip_serializing)]
    _about: Option<String>,
    pub(crate) fields: Vec<Field>,
}

/// The release that the specs are of.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    pub(crate) release: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Reads a value that is there, even if it is null.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}
