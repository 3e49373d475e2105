//! Writing: one statement per field, in the order of the wire, then the tagged fields.

use crate::emit_decode::{
    flexible, flexible_line, plain_ident, plural_of, quoted, singular, version_name,
};
use crate::emit_struct::{has_tagged_fields, is_set};
use crate::lines::Lines;
use crate::model::{Field, Message, Struct, Type};
use crate::versions::{Test, Versions};

/// Writes the function `write` of a struct.
pub(crate) fn write(lines: &mut Lines, message: &Message, one: &Struct) {
    let mut body = lines.inside();
    fields(&mut body, message, one);
    let body = body.into_text();
    let flexible = flexible_line(message, one, &body);
    let w = if body.trim() == "Ok(())" { "_w" } else { "w" };
    let version = version_name(&body, flexible.as_deref());
    lines.open(&format!(
        "fn write(&self, {w}: &mut Writer, {version}: i16) -> Result<(), EncodeError> {{"
    ));
    if let Some(flexible) = flexible {
        lines.line(&flexible);
    }
    lines.append(&body);
    lines.close("}");
}

fn fields(lines: &mut Lines, message: &Message, one: &Struct) {
    for field in one.untagged() {
        untagged(lines, message, one, field);
    }
    let flexible = flexible(message, one, None);
    let tags = one.tagged();
    if tags.is_empty() {
        if has_tagged_fields(message, one) {
            lines.line(&format!(
                "w.unknown_tagged_fields({flexible}, &self.unknown_tagged_fields)"
            ));
        } else {
            lines.line("Ok(())");
        }
        return;
    }
    let conditional = flexible != "true";
    if conditional {
        lines.open("if !flexible {");
        for (_, field) in &tags {
            refuse(lines, field);
        }
        lines.line("return w.unknown_tagged_fields(false, &self.unknown_tagged_fields);");
        lines.close("}");
    }
    lines.line("let mut tags = TagWriter::begin(w, &self.unknown_tagged_fields);");
    let context = one.context.and(message.flexible);
    for (tag, field) in &tags {
        let test = tag.versions.test(context);
        if let Test::When(test) = &test {
            lines.open(&format!("if {test} {{"));
        }
        lines.line(&format!("tags.reach(w, {})?;", tag.number));
        lines.open(&format!("if {} {{", is_set(field)));
        lines.line(&format!("let tag = tags.open(w, {});", tag.number));
        tagged(lines, field);
        lines.line("tag.end(w);");
        lines.close("}");
        if let Test::When(_) = &test {
            if field.ignorable {
                lines.close("}");
            } else {
                lines.between(&format!("}} else if {} {{", is_set(field)));
                not_in_version(lines, field);
                lines.close("}");
            }
        }
    }
    lines.line("tags.end(w)");
}

fn untagged(lines: &mut Lines, message: &Message, one: &Struct, field: &Field) {
    let versions = field.versions.and(one.context);
    match field.versions.test(one.context) {
        Test::Never => refuse(lines, field),
        Test::Always => statement(lines, message, one, field, versions),
        Test::When(test) => {
            lines.open(&format!("if {test} {{"));
            statement(lines, message, one, field, versions);
            if field.ignorable {
                lines.close("}");
            } else {
                lines.between(&format!("}} else if {} {{", is_set(field)));
                not_in_version(lines, field);
                lines.close("}");
            }
        }
    }
}

/// Refuses a field that the version lacks, if it is set and must not be dropped.
fn refuse(lines: &mut Lines, field: &Field) {
    if !field.ignorable {
        lines.open(&format!("if {} {{", is_set(field)));
        not_in_version(lines, field);
        lines.close("}");
    }
}

fn not_in_version(lines: &mut Lines, field: &Field) {
    lines.line(&format!(
        "return not_in_version(\"{}\");",
        plain_ident(field)
    ));
}

fn statement(
    lines: &mut Lines,
    message: &Message,
    one: &Struct,
    field: &Field,
    versions: Versions,
) {
    let flexible = flexible(message, one, Some(field));
    call(lines, field, &flexible, versions);
}

fn tagged(lines: &mut Lines, field: &Field) {
    match &field.kind {
        Type::Struct(_) if field.is_option() => {
            let arguments = [
                format!("self.{}.as_ref()", field.ident),
                quoted(plain_ident(field)),
                "version".to_owned(),
            ];
            lines.call("w.nullable_struct_in_tag", &arguments, "?;");
        }
        _ => call(lines, field, "true", field.versions),
    }
}

/// Writes a field by a method of the writer.
fn call(lines: &mut Lines, field: &Field, flexible: &str, versions: Versions) {
    let name = quoted(plain_ident(field));
    let value = format!("self.{}", field.ident);
    let flexible = flexible.to_owned();
    let nullable = field.nullable.test(versions).expression().to_owned();
    let is_option = field.is_option();
    let (method, arguments) = match &field.kind {
        Type::Scalar(scalar) => {
            lines.line(&format!("w.{}({value});", singular(*scalar)));
            return;
        }
        Type::Struct(_) if is_option => {
            let value = format!("{value}.as_ref()");
            let arguments = vec![nullable, value, name, "version".to_owned()];
            ("nullable_struct".to_owned(), arguments)
        }
        Type::Struct(_) => {
            lines.open(&value);
            lines.line(".write(w, version)");
            lines.line(&format!(".map_err(|error| error.within({name}))?;"));
            lines.outdent();
            return;
        }
        Type::Records => (
            "records".to_owned(),
            vec![flexible, nullable, format!("{value}.as_ref()"), name],
        ),
        kind => {
            let what = match kind {
                Type::String => "string",
                Type::Bytes => "bytes",
                Type::Array(element) => plural_of(field, element),
                _ => "",
            };
            let (method, mut arguments) = if is_option {
                let by = if field.is_broker_ids() {
                    "as_ref"
                } else {
                    "as_deref"
                };
                let value = format!("{value}.{by}()");
                (
                    format!("nullable_{what}"),
                    vec![flexible, nullable, value, name],
                )
            } else {
                (what.to_owned(), vec![flexible, format!("&{value}"), name])
            };
            if kind.structure().is_some() {
                arguments.push("version".to_owned());
            }
            (method, arguments)
        }
    };
    lines.call(&format!("w.{method}"), &arguments, "?;");
}
