//! The types: structs with public fields, their documentation and their defaults.

use crate::lines::Lines;
use crate::model::{Default, Field, Message, Scalar, Struct, Type};
use crate::schema::Kind;
use crate::versions::Versions;

/// Writes a struct and its defaults.
pub(crate) fn declaration(lines: &mut Lines, message: &Message, one: &Struct, is_message: bool) {
    if is_message {
        lines.doc(&format!("{}.", summary(message)));
    } else {
        lines.doc(&format!(
            "A struct in [`{}`]; versions {}.",
            message.name, one.context
        ));
    }
    let derived = one.fields.iter().all(is_derived);
    let secret = one.fields.iter().any(Field::is_secret);
    lines.line(match (secret, derived) {
        (false, true) => "#[derive(Clone, Debug, Default, PartialEq)]",
        (false, false) => "#[derive(Clone, Debug, PartialEq)]",
        (true, true) => "#[derive(Clone, Default, PartialEq)]",
        (true, false) => "#[derive(Clone, PartialEq)]",
    });
    lines.line("#[non_exhaustive]");
    let tagged = has_tagged_fields(message, one);
    if one.fields.is_empty() && !tagged {
        lines.line(&format!("pub struct {} {{}}", one.name));
        lines.line("");
        return;
    }
    lines.open(&format!("pub struct {} {{", one.name));
    for field in &one.fields {
        lines.doc(&field_doc(field, one.context));
        lines.line(&format!("pub {}: {},", field.ident, field_type(field)));
    }
    if tagged {
        lines.doc(&format!(
            "Tagged fields that this release does not know; versions {}.",
            message.flexible.and(one.context)
        ));
        lines.line("pub unknown_tagged_fields: UnknownTaggedFields,");
    }
    lines.close("}");
    lines.line("");
    if !derived {
        defaults(lines, one, tagged);
    }
    if secret {
        debug(lines, one, tagged);
    }
}

/// Whether a struct has tagged fields in some version, known or not.
pub(crate) fn has_tagged_fields(message: &Message, one: &Struct) -> bool {
    !message.flexible.and(one.context).is_empty()
}

/// What a message is, in a phrase.
pub(crate) fn summary(message: &Message) -> String {
    let key = message.api_key.map_or(String::new(), |key| key.to_string());
    let kind = match message.kind {
        Kind::Request => format!("Request of API key {key}"),
        Kind::Response => format!("Response of API key {key}"),
        Kind::Header => "Header".to_owned(),
        Kind::Data => "Data".to_owned(),
        Kind::Metadata => format!("Record of type {key}"),
        Kind::CoordinatorKey => format!("Key of a coordinator's record of type {key}"),
        Kind::CoordinatorValue => format!("Value of a coordinator's record of type {key}"),
    };
    let flexible = match message.first_flexible() {
        None => "none flexible".to_owned(),
        Some(first) if first == message.valid.lowest => "all flexible".to_owned(),
        Some(first) => format!("flexible from {first}"),
    };
    let unstable = if message.unstable {
        format!("; version {} is not stable yet", message.valid.highest)
    } else {
        String::new()
    };
    let feature = if message.between_nodes {
        "; of the feature `cluster`"
    } else {
        ""
    };
    format!(
        "{kind}: `{}`, versions {}, {flexible}{unstable}{feature}",
        message.name, message.valid
    )
}

/// The default of a field as an expression.
pub(crate) fn default_value(field: &Field) -> String {
    let value = match &field.default {
        Default::Null => return "None".to_owned(),
        Default::Bool(value) => value.to_string(),
        Default::Int(value) => integer(*value, &field.kind),
        Default::Float(value) => format!("{value:?}"),
        Default::Uuid(bytes) if *bytes == [0; 16] => "Uuid::ZERO".to_owned(),
        Default::Uuid(bytes) => format!("Uuid::from_bytes({bytes:?})"),
        Default::String(text) if text.is_empty() => "ByteString::new()".to_owned(),
        Default::String(text) => format!("ByteString::from_static({text:?})"),
        Default::Empty if field.kind == Type::Bytes => "Bytes::new()".to_owned(),
        Default::Empty if field.is_broker_ids() => "BrokerIds::new()".to_owned(),
        Default::Empty => "Vec::new()".to_owned(),
        Default::Struct => format!("{}::default()", element_type(&field.kind)),
    };
    if field.is_option() {
        format!("Some({value})")
    } else {
        value
    }
}

/// An expression that is true if a field has not its default.
pub(crate) fn is_set(field: &Field) -> String {
    let name = format!("self.{}", field.ident);
    let is_empty = match &field.default {
        Default::String(text) => text.is_empty(),
        Default::Empty => true,
        _ => false,
    };
    match &field.default {
        Default::Null => format!("{name}.is_some()"),
        Default::Bool(true) => format!("!{name}"),
        Default::Bool(false) => name,
        _ if is_empty && field.is_option() => {
            if field.kind == Type::String {
                format!("{name}.as_deref() != Some(\"\")")
            } else {
                format!("!matches!(&{name}, Some(it) if it.is_empty())")
            }
        }
        _ if is_empty => format!("!{name}.is_empty()"),
        Default::String(text) if field.is_option() => {
            format!("{name}.as_deref() != Some({text:?})")
        }
        Default::String(text) => format!("&*{name} != {text:?}"),
        _ => format!("{name} != {}", default_value(field)),
    }
}

/// The type of a scalar, an element or a struct.
pub(crate) fn element_type(kind: &Type) -> String {
    match kind {
        Type::Scalar(scalar) => scalar_type(*scalar).to_owned(),
        Type::String => "ByteString".to_owned(),
        Type::Bytes | Type::Records => "Bytes".to_owned(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", element_type(element)),
    }
}

fn field_type(field: &Field) -> String {
    let kind = if field.is_broker_ids() {
        "BrokerIds".to_owned()
    } else {
        element_type(&field.kind)
    };
    if field.is_option() {
        format!("Option<{kind}>")
    } else {
        kind
    }
}

fn scalar_type(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "bool",
        Scalar::Int8 => "i8",
        Scalar::Int16 => "i16",
        Scalar::Uint16 => "u16",
        Scalar::Int32 => "i32",
        Scalar::Uint32 => "u32",
        Scalar::Int64 => "i64",
        Scalar::Float64 => "f64",
        Scalar::Uuid => "Uuid",
    }
}

/// An integer as one writes it: the extremes by name, long ones with separators.
fn integer(value: i64, kind: &Type) -> String {
    let name = element_type(kind);
    let (min, max) = match kind {
        Type::Scalar(Scalar::Int32) => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    if value == min {
        return format!("{name}::MIN");
    }
    if value == max {
        return format!("{name}::MAX");
    }
    let digits = value.unsigned_abs().to_string();
    let mut separated = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len() > 4 && (digits.len() - at).is_multiple_of(3) {
            separated.push('_');
        }
        separated.push(digit);
    }
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{separated}")
}

/// Whether a field's default is that of its Rust type.
fn is_derived(field: &Field) -> bool {
    match &field.default {
        Default::Null => true,
        _ if field.is_option() => false,
        Default::Bool(value) => !value,
        Default::Int(value) => *value == 0,
        Default::Float(value) => *value == 0.0,
        Default::Uuid(bytes) => *bytes == [0; 16],
        Default::String(text) => text.is_empty(),
        Default::Empty | Default::Struct => true,
    }
}

fn defaults(lines: &mut Lines, one: &Struct, tagged: bool) {
    lines.open(&format!("impl Default for {} {{", one.name));
    lines.open("fn default() -> Self {");
    lines.open("Self {");
    for field in &one.fields {
        lines.line(&format!("{}: {},", field.ident, default_value(field)));
    }
    if tagged {
        lines.line("unknown_tagged_fields: UnknownTaggedFields::default(),");
    }
    lines.close("}");
    lines.close("}");
    lines.close("}");
    lines.line("");
}

/// `Debug` that tells of a secret only how long it is.
fn debug(lines: &mut Lines, one: &Struct, tagged: bool) {
    lines.open(&format!("impl fmt::Debug for {} {{", one.name));
    lines.open("fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {");
    lines.open(&format!("f.debug_struct(\"{}\")", one.name));
    for field in &one.fields {
        let ident = &field.ident;
        let value = if field.is_secret() {
            if field.is_option() {
                format!("&self.{ident}.as_ref().map(Secret::of)")
            } else {
                format!("&Secret::of(&self.{ident})")
            }
        } else {
            format!("&self.{ident}")
        };
        lines.call(".field", &[format!("\"{ident}\""), value], "");
    }
    if tagged {
        lines.line(".field(\"unknown_tagged_fields\", &self.unknown_tagged_fields)");
    }
    lines.line(".finish()");
    lines.outdent();
    lines.close("}");
    lines.close("}");
    lines.line("");
}

/// The facts about a field.
fn field_doc(field: &Field, context: Versions) -> String {
    let mut doc = format!("`{}`: {}", field.name, type_name(&field.kind));
    let versions = field.versions.and(context);
    if versions.is_empty() {
        doc.push_str("; in no version that is left");
    } else if versions == context {
        doc.push_str("; all versions");
    } else {
        doc.push_str(&format!("; versions {versions}"));
    }
    let nullable = field.nullable.and(versions);
    if !nullable.is_empty() && nullable == versions {
        doc.push_str(", nullable");
    } else if !nullable.is_empty() {
        doc.push_str(&format!(", nullable in {nullable}"));
    }
    if let Some(tag) = field.tag {
        doc.push_str(&format!("; tag {}", tag.number));
    }
    doc.push_str(&format!("; default {}", default_text(field)));
    if let Some(entity) = &field.entity {
        doc.push_str(&format!("; entity `{entity}`"));
    }
    if field.map_key {
        doc.push_str("; key of its array");
    }
    if versions != context && field.ignorable {
        doc.push_str("; dropped where a version lacks it");
    }
    if field.is_secret() {
        doc.push_str("; `Debug` tells only how long it is");
    }
    doc.push('.');
    doc
}

fn type_name(kind: &Type) -> String {
    match kind {
        Type::Scalar(scalar) => match scalar {
            Scalar::Bool => "bool",
            Scalar::Int8 => "int8",
            Scalar::Int16 => "int16",
            Scalar::Uint16 => "uint16",
            Scalar::Int32 => "int32",
            Scalar::Uint32 => "uint32",
            Scalar::Int64 => "int64",
            Scalar::Float64 => "float64",
            Scalar::Uuid => "uuid",
        }
        .to_owned(),
        Type::String => "string".to_owned(),
        Type::Bytes => "bytes".to_owned(),
        Type::Records => "records".to_owned(),
        Type::Struct(name) => format!("[`{name}`]"),
        Type::Array(element) => format!("array of {}", type_name(element)),
    }
}

fn default_text(field: &Field) -> String {
    match &field.default {
        Default::Null => "null".to_owned(),
        Default::Bool(value) => value.to_string(),
        Default::Int(value) => value.to_string(),
        Default::Float(value) => value.to_string(),
        Default::Uuid(bytes) if *bytes == [0; 16] => "zero".to_owned(),
        Default::Uuid(bytes) => format!("{bytes:?}"),
        Default::String(text) if text.is_empty() => "empty".to_owned(),
        Default::String(text) => format!("`{text}`"),
        Default::Empty => "empty".to_owned(),
        Default::Struct => "a struct of defaults".to_owned(),
    }
}
