//! Reading: one expression per field, in the order of the wire, then the tagged fields.

use crate::emit_struct::{default_value, has_tagged_fields};
use crate::lines::{IF_WIDTH, Lines, MAX_WIDTH};
use crate::model::{Field, Message, Scalar, Struct, Type};
use crate::versions::{Test, Versions};

/// Writes the function `read` of a struct.
pub(crate) fn read(lines: &mut Lines, message: &Message, one: &Struct) {
    let mut body = lines.inside();
    fields(&mut body, message, one);
    let body = body.into_text();
    let flexible = flexible_line(message, one, &body);
    let r = if body.contains("r.") || body.contains("(r") {
        "r"
    } else {
        "_r"
    };
    let version = version_name(&body, flexible.as_deref());
    lines.open(&format!(
        "fn read({r}: &mut Reader, {version}: i16) -> Result<Self, DecodeError> {{"
    ));
    if let Some(flexible) = flexible {
        lines.line(&flexible);
    }
    lines.append(&body);
    lines.close("}");
}

/// The line that tells whether the version is flexible, if the body asks that of the version.
pub(crate) fn flexible_line(message: &Message, one: &Struct, body: &str) -> Option<String> {
    match message.flexible.test(one.context) {
        Test::When(test)
            if body.contains("flexible,")
                || body.contains("flexible {")
                || body.contains("flexible)") =>
        {
            Some(format!("let flexible = {test};"))
        }
        _ => None,
    }
}

/// The name of the parameter: with an underscore if nothing uses it.
pub(crate) fn version_name(body: &str, flexible: Option<&str>) -> &'static str {
    let uses = |text: &str| {
        text.contains("version ") || text.contains("version,") || text.contains("&version")
    };
    if uses(body) || flexible.is_some_and(uses) {
        "version"
    } else {
        "_version"
    }
}

/// How a field's length is written: a variable if it depends on the version.
pub(crate) fn flexible(message: &Message, one: &Struct, field: Option<&Field>) -> String {
    if let Some(versions) = field.and_then(|field| field.flexible) {
        return versions.test(one.context).expression().to_owned();
    }
    match message.flexible.test(one.context) {
        Test::When(_) => "flexible".to_owned(),
        other => other.expression().to_owned(),
    }
}

/// The part of the name of a reader's or writer's method that tells the type of an array's elements.
pub(crate) fn plural(element: &Type) -> &'static str {
    match element {
        Type::Scalar(Scalar::Bool) => "bools",
        Type::Scalar(Scalar::Int8) => "i8s",
        Type::Scalar(Scalar::Int16) => "i16s",
        Type::Scalar(Scalar::Uint16) => "u16s",
        Type::Scalar(Scalar::Int32) => "i32s",
        Type::Scalar(Scalar::Uint32) => "u32s",
        Type::Scalar(Scalar::Int64) => "i64s",
        Type::Scalar(Scalar::Float64) => "f64s",
        Type::Scalar(Scalar::Uuid) => "uuids",
        Type::String => "strings",
        Type::Bytes | Type::Records => "byte_strings",
        Type::Struct(_) | Type::Array(_) => "structs",
    }
}

fn fields(lines: &mut Lines, message: &Message, one: &Struct) {
    let tags = one.tagged();
    let has_tail = has_tagged_fields(message, one);
    if one.fields.is_empty() && !has_tail {
        lines.line("Ok(Self {})");
        return;
    }
    let name = if tags.is_empty() {
        "Ok(Self {"
    } else {
        "let mut message = Self {"
    };
    lines.open(name);
    for field in &one.fields {
        if field.tag.is_some() {
            lines.line(&format!("{}: {},", field.ident, default_value(field)));
        } else {
            untagged(lines, message, one, field);
        }
    }
    let flexible = flexible(message, one, None);
    if !tags.is_empty() {
        lines.line("unknown_tagged_fields: UnknownTaggedFields::default(),");
        lines.close("};");
        let conditional = flexible != "true";
        if conditional {
            lines.open(&format!("if {flexible} {{"));
        }
        lines.line("let mut tags = TagReader::begin(r)?;");
        lines.open("while let Some(tag) = tags.next(r)? {");
        lines.open("match tag.number {");
        let context = one.context.and(message.flexible);
        for (tag, field) in tags {
            let guard = match tag.versions.test(context) {
                Test::When(test) => format!(" if {test}"),
                _ => String::new(),
            };
            lines.open(&format!("{}{guard} => {{", tag.number));
            tagged(lines, field);
            lines.line(&format!("tag.end(r, \"{}\")?;", plain_ident(field)));
            lines.close("}");
        }
        lines.line("_ => tag.keep(r, &mut message.unknown_tagged_fields)?,");
        lines.close("}");
        lines.close("}");
        if conditional {
            lines.close("}");
        }
        lines.line("Ok(message)");
    } else {
        if has_tail {
            lines.line(&format!(
                "unknown_tagged_fields: r.unknown_tagged_fields({flexible})?,"
            ));
        }
        lines.close("})");
    }
}

fn untagged(lines: &mut Lines, message: &Message, one: &Struct, field: &Field) {
    let versions = field.versions.and(one.context);
    let call = call(field, &flexible(message, one, Some(field)), versions);
    let (method, arguments) = &call;
    match field.versions.test(one.context) {
        Test::Never => lines.line(&format!("{}: {},", field.ident, default_value(field))),
        Test::Always => {
            let before = format!("{}: r.{method}", field.ident);
            lines.call(&before, arguments, "?,");
        }
        Test::When(test) => {
            let default = default_value(field);
            let joined = arguments.join(", ");
            let line = format!("if {test} {{ r.{method}({joined})? }} else {{ {default} }}");
            let column = lines.column() + field.ident.len() + 2;
            if line.len() <= IF_WIDTH && column + line.len() < MAX_WIDTH {
                lines.line(&format!("{}: {line},", field.ident));
            } else {
                lines.open(&format!("{}: if {test} {{", field.ident));
                lines.call(&format!("r.{method}"), arguments, "?");
                lines.between("} else {");
                lines.line(&default);
                lines.close("},");
            }
        }
    }
}

fn tagged(lines: &mut Lines, field: &Field) {
    let name = plain_ident(field);
    let (method, arguments) = match &field.kind {
        Type::Struct(inner) if field.is_option() => (
            "nullable_nested_in_tag".to_owned(),
            vec![quoted(name), "version".to_owned(), format!("{inner}::read")],
        ),
        _ => call(field, "true", field.versions),
    };
    let target = format!("message.{}", field.ident);
    lines.assign(&target, &format!("r.{method}"), &arguments, "?;");
}

/// The method of the reader that reads a field, and its arguments.
fn call(field: &Field, flexible: &str, versions: Versions) -> (String, Vec<String>) {
    let name = quoted(plain_ident(field));
    let flexible = flexible.to_owned();
    let nullable = field.nullable.test(versions);
    let is_option = field.is_option();
    let (nullable, prefix) = (
        nullable.expression().to_owned(),
        if is_option { "nullable_" } else { "" },
    );
    let mut arguments = Vec::new();
    let method = match &field.kind {
        Type::Scalar(scalar) => {
            arguments.push(name);
            singular(*scalar).to_owned()
        }
        Type::Struct(inner) => {
            if is_option {
                arguments.push(nullable);
            }
            arguments.extend([name, "version".to_owned(), format!("{inner}::read")]);
            format!("{prefix}nested")
        }
        kind => {
            arguments.push(flexible);
            if is_option {
                arguments.push(nullable);
            }
            arguments.push(name);
            let what = match kind {
                Type::String => "string",
                Type::Bytes | Type::Records => "bytes",
                Type::Array(element) => plural(element),
                _ => "",
            };
            if let Type::Array(element) = kind
                && let Type::Struct(inner) = &**element
            {
                arguments.extend(["version".to_owned(), format!("{inner}::read")]);
            }
            format!("{prefix}{what}")
        }
    };
    (method, arguments)
}

/// The name of the method that reads or writes a scalar.
pub(crate) fn singular(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "bool",
        Scalar::Int8 => "i8",
        Scalar::Int16 => "i16",
        Scalar::Uint16 => "u16",
        Scalar::Int32 => "i32",
        Scalar::Uint32 => "u32",
        Scalar::Int64 => "i64",
        Scalar::Float64 => "f64",
        Scalar::Uuid => "uuid",
    }
}

/// A field's name in errors.
pub(crate) fn plain_ident(field: &Field) -> &str {
    field.ident.trim_start_matches("r#")
}

pub(crate) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
