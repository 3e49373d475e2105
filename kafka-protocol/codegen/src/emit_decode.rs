//! Reading: one statement per field, in the order of the wire, then the tagged fields. Each reads over
//! the default that is there, so that a field the version lacks needs no code.

use crate::emit_struct::has_tagged_fields;
use crate::lines::Lines;
use crate::model::{Field, Message, Scalar, Struct, Type};
use crate::names;
use crate::versions::{Test, Versions};

/// Writes the function `read` of a struct.
pub(crate) fn read(lines: &mut Lines, message: &Message, one: &Struct) {
    let mut body = lines.inside();
    fields(&mut body, message, one);
    let body = body.into_text();
    let flexible = flexible_line(message, one, &body);
    let r = if body.trim() == "Ok(())" { "_r" } else { "r" };
    let version = version_name(&body, flexible.as_deref());
    lines.open(&format!(
        "fn read(&mut self, {r}: &mut Reader, {version}: i16) -> Result<(), DecodeError> {{"
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
        Test::When(test) if names::occurs("flexible", body) => {
            Some(format!("let flexible = {test};"))
        }
        _ => None,
    }
}

/// The name of the parameter: with an underscore if nothing uses it.
pub(crate) fn version_name(body: &str, flexible: Option<&str>) -> &'static str {
    let uses = |code: &str| names::occurs("version", code);
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

/// The part of the name of a reader's or writer's method that tells the type of an array's elements.
fn plural(element: &Type) -> &'static str {
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

/// The same for a field, whose elements may be of a type of their own.
pub(crate) fn plural_of(field: &Field, element: &Type) -> &'static str {
    if field.is_broker_ids() {
        "broker_ids"
    } else {
        plural(element)
    }
}

/// A field's name in errors.
pub(crate) fn plain_ident(field: &Field) -> &str {
    field.ident.trim_start_matches("r#")
}

pub(crate) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn fields(lines: &mut Lines, message: &Message, one: &Struct) {
    // Neighbours that the same versions have share one test.
    let mut open: Option<String> = None;
    for field in one.untagged() {
        let test = match field.versions.test(one.context) {
            Test::Never => continue,
            Test::Always => None,
            Test::When(test) => Some(test),
        };
        if open != test {
            if open.is_some() {
                lines.close("}");
            }
            if let Some(test) = &test {
                lines.open(&format!("if {test} {{"));
            }
            open = test;
        }
        let flexible = flexible(message, one, Some(field));
        call(lines, field, &flexible, field.versions.and(one.context));
    }
    if open.is_some() {
        lines.close("}");
    }
    let flexible = flexible(message, one, None);
    let tags = one.tagged();
    if tags.is_empty() {
        if has_tagged_fields(message, one) {
            lines.line(&format!(
                "r.unknown_tagged_fields(&mut self.unknown_tagged_fields, {flexible})"
            ));
        } else {
            lines.line("Ok(())");
        }
        return;
    }
    let conditional = flexible != "true";
    if conditional {
        lines.open(&format!("if {flexible} {{"));
    }
    lines.line("let mut tags = TagReader::begin(r)?;");
    lines.open("while let Some(tag) = tags.next(r)? {");
    lines.open("match tag.number {");
    let context = one.context.and(message.flexible);
    let mut guarded = Vec::new();
    for (tag, field) in tags {
        let guard = match tag.versions.test(context) {
            Test::When(test) => {
                guarded.push(tag.number);
                format!(" if {test}")
            }
            _ => String::new(),
        };
        lines.open(&format!("{}{guard} => {{", tag.number));
        tagged(lines, field);
        lines.line(&format!("tag.end(r, \"{}\")?;", plain_ident(field)));
        lines.close("}");
    }
    if !guarded.is_empty() {
        lines.line(&format!("{} => return tag.refuse(),", pattern(&guarded)));
    }
    lines.line("_ => tag.keep(r, &mut self.unknown_tagged_fields)?,");
    lines.close("}");
    lines.close("}");
    if conditional {
        lines.close("}");
    }
    lines.line("Ok(())");
}

/// A pattern of rising numbers, with runs of three and more as ranges.
fn pattern(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|before, after| before + 1 == *after);
    let parts = runs.flat_map(|run| match run {
        [first, _, .., last] => vec![format!("{first}..={last}")],
        few => few.iter().map(u32::to_string).collect(),
    });
    parts.collect::<Vec<_>>().join(" | ")
}

fn tagged(lines: &mut Lines, field: &Field) {
    match &field.kind {
        Type::Struct(_) if field.is_option() => {
            let arguments = [
                format!("&mut self.{}", field.ident),
                quoted(plain_ident(field)),
                "version".to_owned(),
            ];
            lines.call("r.nullable_struct_in_tag", &arguments, "?;");
        }
        _ => call(lines, field, "true", field.versions),
    }
}

/// Reads a field by a method of the reader.
fn call(lines: &mut Lines, field: &Field, flexible: &str, versions: Versions) {
    let name = quoted(plain_ident(field));
    let into = format!("&mut self.{}", field.ident);
    let nullable = field.nullable.test(versions).expression().to_owned();
    let flexible = flexible.to_owned();
    let version = "version".to_owned();
    let prefix = if field.is_option() { "nullable_" } else { "" };
    let (what, arguments) = match &field.kind {
        Type::Scalar(scalar) => {
            let target = format!("self.{}", field.ident);
            lines.assign(&target, &format!("r.{}", singular(*scalar)), &[name], "?;");
            return;
        }
        Type::Struct(_) if field.is_option() => ("struct", vec![into, nullable, name, version]),
        Type::Struct(_) => {
            lines.open(&format!("self.{}", field.ident));
            lines.line(".read(r, version)");
            lines.line(&format!(".map_err(|error| error.within({name}))?;"));
            lines.outdent();
            return;
        }
        kind => {
            let mut arguments = vec![into, flexible];
            if field.is_option() {
                arguments.push(nullable);
            }
            arguments.push(name);
            let what = match kind {
                Type::String => "string",
                Type::Array(element) => plural_of(field, element),
                _ => "bytes",
            };
            if kind.structure().is_some() {
                arguments.push(version);
            }
            (what, arguments)
        }
    };
    lines.call(&format!("r.{prefix}{what}"), &arguments, "?;");
}
