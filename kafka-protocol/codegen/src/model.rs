//! Messages with everything resolved: types, version ranges, nullability, tags and defaults; and the
//! rules of the grammar checked, so that what writes code need not doubt.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::names;
use crate::schema::{self, Kind, Spec};
use crate::versions::Versions;

/// A message that has at least one version.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: String,
    /// The module its code lies in.
    pub(crate) module: String,
    /// Where its spec lies below `schema/`.
    pub(crate) origin: String,
    pub(crate) kind: Kind,
    pub(crate) api_key: Option<i16>,
    pub(crate) listeners: Vec<String>,
    pub(crate) unstable: bool,
    /// Whether only nodes of a cluster need it: see `between_nodes.rs`.
    pub(crate) between_nodes: bool,
    pub(crate) valid: Versions,
    /// The flexible ones of the valid versions.
    pub(crate) flexible: Versions,
    /// The message itself, then the structs in it, in the order they first occur.
    pub(crate) structs: Vec<Struct>,
}

/// The message itself, or a struct in it.
#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    /// The versions of the message in which it can occur.
    pub(crate) context: Versions,
    pub(crate) fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    /// Kafka's name.
    pub(crate) name: String,
    /// Rust's name.
    pub(crate) ident: String,
    pub(crate) kind: Type,
    /// The versions of the spec, not cut to the valid ones.
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) tag: Option<Tag>,
    pub(crate) default: Default,
    pub(crate) ignorable: bool,
    pub(crate) map_key: bool,
    pub(crate) entity: Option<String>,
    /// The versions in which its length is compact, where they are not those of the message.
    pub(crate) flexible: Option<Versions>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag {
    pub(crate) number: u32,
    pub(crate) versions: Versions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar(Scalar),
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
}

/// The value of a field that a version does not have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Default {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Uuid([u8; 16]),
    String(String),
    /// Empty bytes, an empty array.
    Empty,
    /// A struct of defaults.
    Struct,
}

impl Message {
    /// Resolves a spec; `None` if the message has no version any more.
    pub(crate) fn new(spec: &Spec, origin: String) -> Result<Option<Self>, String> {
        Self::resolve(spec, origin).map_err(|error| format!("{}: {error}", spec.name))
    }

    fn resolve(spec: &Spec, origin: String) -> Result<Option<Self>, String> {
        let valid = Versions::parse(&spec.valid_versions)?;
        if valid.is_empty() {
            return Ok(None);
        }
        let flexible = spec.flexible_versions.as_deref();
        let flexible = Versions::parse(flexible.ok_or("flexibleVersions is missing")?)?;
        if !flexible.is_empty() && flexible.highest != i16::MAX {
            return Err("flexibleVersions has an end".to_owned());
        }
        let mut commons = BTreeMap::new();
        for common in &spec.common_structs {
            let versions = Versions::parse(&common.versions)?;
            let name = names::structure(&common.name);
            commons.insert(name, (versions, common.fields.as_slice()));
        }
        let mut resolver = Resolver {
            flexible,
            commons,
            structs: Vec::new(),
        };
        resolver.add(&spec.name, &spec.fields)?;
        resolver.occurs(&spec.name, valid);
        if (spec.kind == Kind::Request || spec.kind == Kind::Response) && spec.api_key.is_none() {
            return Err("apiKey is missing".to_owned());
        }
        Ok(Some(Self {
            name: spec.name.clone(),
            module: names::module(&spec.name),
            origin,
            kind: spec.kind,
            api_key: spec.api_key,
            listeners: spec.listeners.clone(),
            unstable: spec.latest_version_unstable,
            between_nodes: false,
            valid,
            flexible: flexible.and(valid),
            structs: resolver.structs,
        }))
    }

    /// The first flexible version.
    pub(crate) fn first_flexible(&self) -> Option<i16> {
        (!self.flexible.is_empty()).then_some(self.flexible.lowest)
    }
}

impl Struct {
    /// Its fields without tags, in the order of the wire.
    pub(crate) fn untagged(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.tag.is_none())
    }

    /// Its tagged fields that exist in its context, by ascending tag.
    pub(crate) fn tagged(&self) -> Vec<(Tag, &Field)> {
        let mut tagged: Vec<_> = self
            .fields
            .iter()
            .filter_map(|field| Some((field.tag?, field)))
            .filter(|(tag, _)| !tag.versions.and(self.context).is_empty())
            .collect();
        tagged.sort_by_key(|(tag, _)| tag.number);
        tagged
    }
}

impl Field {
    /// Whether it can be null in some version, and so is an `Option`.
    pub(crate) fn is_option(&self) -> bool {
        self.kind == Type::Records || !self.nullable.is_empty()
    }

    /// Whether it is a credential, or what one can be found from: it must not get into a log.
    pub(crate) fn is_secret(&self) -> bool {
        self.kind == Type::Bytes && SECRETS.contains(&self.name.as_str())
    }

    /// Whether it is a list of brokers, which has a type of its own.
    pub(crate) fn is_broker_ids(&self) -> bool {
        matches!(self.kind, Type::Array(_)) && self.entity.as_deref() == Some("brokerId")
    }
}

impl Type {
    /// The struct that it names or is an array of.
    pub(crate) fn structure(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(element) => element.structure(),
            _ => None,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(element) = text.strip_prefix("[]") {
            return match Self::parse(element)? {
                Self::Array(_) | Self::Records => Err(format!("no such type: {text}")),
                element => Ok(Self::Array(Box::new(element))),
            };
        }
        Ok(match text {
            "bool" => Self::Scalar(Scalar::Bool),
            "int8" => Self::Scalar(Scalar::Int8),
            "int16" => Self::Scalar(Scalar::Int16),
            "uint16" => Self::Scalar(Scalar::Uint16),
            "int32" => Self::Scalar(Scalar::Int32),
            "uint32" => Self::Scalar(Scalar::Uint32),
            "int64" => Self::Scalar(Scalar::Int64),
            "float64" => Self::Scalar(Scalar::Float64),
            "uuid" => Self::Scalar(Scalar::Uuid),
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name if name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                Self::Struct(name.to_owned())
            }
            _ => return Err(format!("no such type: {text}")),
        })
    }
}

struct Resolver<'a> {
    flexible: Versions,
    commons: BTreeMap<String, (Versions, &'a [schema::Field])>,
    structs: Vec<Struct>,
}

impl<'a> Resolver<'a> {
    /// Adds a struct and all that occur in it.
    fn add(&mut self, name: &str, fields: &'a [schema::Field]) -> Result<(), String> {
        if self.structs.iter().any(|one| one.name == name) {
            return Err(format!("two structs are named {name}"));
        }
        let resolved = fields
            .iter()
            .map(|field| {
                self.field(name, field)
                    .map_err(|error| format!("{name}.{}: {error}", field.name))
            })
            .collect::<Result<Vec<_>, _>>()?;
        check_names(name, &resolved)?;
        check_tags(name, &resolved)?;
        let inner: Vec<_> = resolved
            .iter()
            .map(|field| field.kind.structure().map(str::to_owned))
            .collect();
        self.structs.push(Struct {
            name: name.to_owned(),
            context: Versions::NONE,
            fields: resolved,
        });
        for (field, inner) in fields.iter().zip(inner) {
            let common = inner.as_ref().and_then(|inner| self.commons.get(inner));
            match (inner, common) {
                (None, _) | (Some(_), Some(_)) if !field.fields.is_empty() => {
                    return Err(format!("{name}.{}: fields in the wrong place", field.name));
                }
                (None, _) => {}
                (Some(inner), None) => self.add(&inner, &field.fields)?,
                (Some(inner), Some((_, fields))) => {
                    let fields = *fields;
                    if self.structs.iter().all(|one| one.name != inner) {
                        self.add(&inner, fields)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes that a struct can occur in these versions, and so the structs in it.
    fn occurs(&mut self, name: &str, versions: Versions) {
        let versions = match self.commons.get(name) {
            Some((common, _)) => versions.and(*common),
            None => versions,
        };
        let Some(one) = self.structs.iter_mut().find(|one| one.name == name) else {
            return;
        };
        one.context = one.context.hull(versions);
        let inner: Vec<_> = one
            .fields
            .iter()
            .filter_map(|field| Some((field.kind.structure()?.to_owned(), field.versions)))
            .collect();
        for (name, field_versions) in inner {
            self.occurs(&name, versions.and(field_versions));
        }
    }

    fn field(&self, of: &str, field: &schema::Field) -> Result<Field, String> {
        let kind = Type::parse(&field.kind)?;
        let versions = versions(field)?;
        let optional = |text: &Option<String>| text.as_deref().map(Versions::parse).transpose();
        let nullable = optional(&field.nullable_versions)?.unwrap_or(Versions::NONE);
        let tag = match (field.tag, optional(&field.tagged_versions)?) {
            (None, None) => None,
            (Some(number), Some(tagged)) => {
                if !versions.holds(tagged) || !self.flexible.holds(tagged) {
                    return Err("taggedVersions are not flexible versions of it".to_owned());
                }
                if tagged.highest != i16::MAX || versions != tagged {
                    return Err("it is tagged in some of its versions only".to_owned());
                }
                if !nullable.is_empty() && !nullable.holds(tagged) {
                    return Err("it is nullable in some tagged versions only".to_owned());
                }
                Some(Tag {
                    number,
                    versions: tagged,
                })
            }
            _ => return Err("tag and taggedVersions go together".to_owned()),
        };
        let can_be_null = !matches!(kind, Type::Scalar(_));
        if !can_be_null && !nullable.is_empty() {
            return Err("its type is never null".to_owned());
        }
        if tag.is_some() && (field.map_key || kind == Type::Records) {
            return Err("it cannot be tagged".to_owned());
        }
        let flexible = optional(&field.flexible_versions)?;
        if flexible.is_some_and(|flexible| !self.flexible.holds(flexible))
            || flexible.is_some() && !matches!(kind, Type::String | Type::Bytes)
        {
            return Err("flexibleVersions are not for it".to_owned());
        }
        let unmarked = UNMARKED.iter().find(|it| (it.0, it.1) == (of, &field.name));
        let entity = field
            .entity_type
            .as_deref()
            .or_else(|| unmarked.map(|it| it.2));
        check_entity(entity, &kind)?;
        let default = default(field.default.as_ref(), &kind, versions, nullable)?;
        Ok(Field {
            name: field.name.clone(),
            ident: names::field(&field.name),
            kind,
            versions,
            nullable,
            tag,
            default,
            ignorable: field.ignorable,
            map_key: field.map_key,
            entity: entity.map(str::to_owned),
            flexible,
        })
    }
}

fn versions(field: &schema::Field) -> Result<Versions, String> {
    let text = field.versions.as_ref().or(field.tagged_versions.as_ref());
    Versions::parse(text.ok_or_else(|| format!("{}: versions are missing", field.name))?)
}

fn default(
    given: Option<&Value>,
    kind: &Type,
    versions: Versions,
    nullable: Versions,
) -> Result<Default, String> {
    // A null that is not text says the same as nothing.
    let given = match given {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other @ (Value::Number(_) | Value::Bool(_))) => Some(other.to_string()),
        Some(_) => return Err("its default is no simple value".to_owned()),
    };
    let Some(text) = given else {
        return Ok(match kind {
            Type::Scalar(Scalar::Bool) => Default::Bool(false),
            Type::Scalar(Scalar::Float64) => Default::Float(0.0),
            Type::Scalar(Scalar::Uuid) => Default::Uuid([0; 16]),
            Type::Scalar(_) => Default::Int(0),
            Type::String => Default::String(String::new()),
            Type::Bytes | Type::Array(_) => Default::Empty,
            Type::Records => Default::Null,
            Type::Struct(_) => Default::Struct,
        });
    };
    if text == "null" && !matches!(kind, Type::Scalar(_)) {
        return if nullable.holds(versions) || *kind == Type::Records {
            Ok(Default::Null)
        } else {
            Err("its default is null but it is not always nullable".to_owned())
        };
    }
    let wrong = || format!("its default cannot be {text:?}");
    Ok(match kind {
        Type::Scalar(Scalar::Bool) => Default::Bool(text.parse().map_err(|_| wrong())?),
        Type::Scalar(Scalar::Float64) => Default::Float(text.parse().map_err(|_| wrong())?),
        Type::Scalar(Scalar::Uuid) => Default::Uuid(
            URL_SAFE_NO_PAD
                .decode(&text)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(wrong)?,
        ),
        Type::Scalar(scalar) => {
            let value = match text.strip_prefix("0x") {
                Some(digits) => i64::from_str_radix(digits, 16),
                None => text.parse(),
            };
            let value = value.map_err(|_| wrong())?;
            if !scalar.range().contains(&value) {
                return Err(wrong());
            }
            Default::Int(value)
        }
        Type::String => Default::String(text),
        Type::Bytes | Type::Array(_) if text.is_empty() => Default::Empty,
        Type::Struct(_) if text.is_empty() => Default::Struct,
        _ => return Err(wrong()),
    })
}

impl Scalar {
    /// How many bytes it takes.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Bool | Self::Int8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 => 4,
            Self::Int64 | Self::Float64 => 8,
            Self::Uuid => 16,
        }
    }

    fn range(self) -> std::ops::RangeInclusive<i64> {
        match self {
            Self::Int8 => i64::from(i8::MIN)..=i64::from(i8::MAX),
            Self::Int16 => i64::from(i16::MIN)..=i64::from(i16::MAX),
            Self::Uint16 => 0..=i64::from(u16::MAX),
            Self::Int32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
            Self::Uint32 => 0..=i64::from(u32::MAX),
            _ => i64::MIN..=i64::MAX,
        }
    }
}

fn check_names(name: &str, fields: &[Field]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for field in fields {
        if !seen.insert(&field.ident) || field.ident == "unknown_tagged_fields" {
            return Err(format!("{name}: two fields are named {}", field.ident));
        }
    }
    Ok(())
}

fn check_tags(name: &str, fields: &[Field]) -> Result<(), String> {
    let mut tags: Vec<u32> = fields
        .iter()
        .filter_map(|field| field.tag.map(|tag| tag.number))
        .collect();
    tags.sort_unstable();
    if tags.iter().copied().eq(0..tags.len() as u32) {
        Ok(())
    } else {
        Err(format!(
            "{name}: tags do not go from 0 on without gaps: {tags:?}"
        ))
    }
}

/// Fields of bytes that are credentials, or that credentials can be guessed from: what SASL exchanges, the
/// keys of delegation tokens, what SCRAM keeps of a password, and requests that hold these in turn.
const SECRETS: [&str; 8] = [
    "AuthBytes",
    "Hmac",
    "Salt",
    "SaltedPassword",
    "StoredKey",
    "ServerKey",
    "RequestData",
    "ResponseData",
];

/// Fields that name an entity though their specs do not say so: struct, field, entity.
const UNMARKED: [(&str, &str, &str); 1] = [("PartitionRecord", "Isr", "brokerId")];

fn check_entity(entity: Option<&str>, kind: &Type) -> Result<(), String> {
    let element = match kind {
        Type::Array(element) => element,
        other => other,
    };
    let expected = match entity {
        None => return Ok(()),
        Some("transactionalId" | "groupId" | "topicName") => Type::String,
        Some("producerId") => Type::Scalar(Scalar::Int64),
        Some("brokerId") => Type::Scalar(Scalar::Int32),
        Some(other) => return Err(format!("no such entity type: {other}")),
    };
    if *element == expected {
        Ok(())
    } else {
        Err(format!("its type does not suit entity {entity:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Default, Message};
    use crate::schema::Spec;

    fn message(fields: &str) -> Result<Message, String> {
        let text = format!(
            r#"{{"apiKey":1,"type":"request","name":"X","validVersions":"2-5",
            "flexibleVersions":"3+","fields":[{fields}]}}"#
        );
        let spec: Spec = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(Message::new(&spec, String::new())?.expect("it has versions"))
    }

    fn default(field: &str) -> Result<Default, String> {
        Ok(
            message(&format!(r#"{{"name":"A","versions":"0+",{field}}}"#))?.structs[0].fields[0]
                .default
                .clone(),
        )
    }

    #[test]
    fn a_default_of_null_in_text_is_null_and_a_null_is_none() {
        let field = r#""type":"[]int32","nullableVersions":"0+""#;
        assert_eq!(default(field), Ok(Default::Empty));
        assert_eq!(
            default(&format!(r#"{field},"default":null"#)),
            Ok(Default::Empty)
        );
        assert_eq!(
            default(&format!(r#"{field},"default":"null""#)),
            Ok(Default::Null)
        );
        assert!(default(r#""type":"[]int32","nullableVersions":"3+","default":"null""#).is_err());
        assert_eq!(default(r#""type":"records""#), Ok(Default::Null));
    }

    #[test]
    fn integers_come_as_text_number_or_hex() {
        for given in ["2147483647", "\"2147483647\"", "\"0x7fffffff\""] {
            let field = format!(r#""type":"int32","default":{given}"#);
            assert_eq!(default(&field), Ok(Default::Int(2_147_483_647)));
        }
        assert!(default(r#""type":"int8","default":"128""#).is_err());
        assert!(default(r#""type":"uint16","default":-1"#).is_err());
    }

    #[test]
    fn broken_specs_are_refused() {
        for fields in [
            r#"{"name":"A","type":"int32","versions":"0+","colour":"red"}"#,
            r#"{"name":"A","type":"int32","versions":"0+","nullableVersions":"0+"}"#,
            r#"{"name":"A","type":"[][]int32","versions":"0+"}"#,
            r#"{"name":"A","type":"int128","versions":"0+"}"#,
            r#"{"name":"A","type":"int32","versions":"0+","tag":0}"#,
            r#"{"name":"A","type":"int32","versions":"2+","taggedVersions":"2+","tag":0}"#,
            r#"{"name":"A","type":"int32","versions":"3+","taggedVersions":"3+","tag":1}"#,
            r#"{"name":"A","type":"int32","versions":"0+"},{"name":"a","type":"int8","versions":"0+"}"#,
            r#"{"name":"A","type":"int32","versions":"0+","entityType":"topicName"}"#,
        ] {
            assert!(message(fields).is_err(), "{fields}");
        }
    }

    #[test]
    fn a_struct_lives_in_the_versions_of_its_field() {
        let message = message(
            r#"{"name":"A","type":"[]B","versions":"4+","fields":[
            {"name":"C","type":"int32","versions":"0+"}]}"#,
        )
        .unwrap();
        assert_eq!(message.structs[1].name, "B");
        assert_eq!(message.structs[1].context.to_string(), "4-5");
    }
}
