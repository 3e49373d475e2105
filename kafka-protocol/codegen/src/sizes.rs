//! How small things can be on the wire.

use crate::model::{Field, Message, Struct, Type};
use crate::versions::Versions;

/// The fewest bytes that a struct takes in any version in which it occurs, and at least one.
pub(crate) fn smallest(message: &Message, one: &Struct) -> usize {
    let versions = one.context.and(message.valid);
    (versions.lowest..=versions.highest)
        .map(|version| in_version(message, one, version))
        .min()
        .unwrap_or_default()
        .max(1)
}

fn in_version(message: &Message, one: &Struct, version: i16) -> usize {
    let only = Versions {
        lowest: version,
        highest: version,
    };
    let flexible = message.flexible.holds(only);
    let fields = one
        .untagged()
        .filter(|field| field.versions.holds(only))
        .map(|field| {
            let flexible = field.flexible.map_or(flexible, |it| it.holds(only));
            of_field(message, field, flexible, only)
        })
        .sum::<usize>();
    fields + usize::from(flexible)
}

/// A field at its smallest: empty or null.
fn of_field(message: &Message, field: &Field, flexible: bool, version: Versions) -> usize {
    match &field.kind {
        Type::Scalar(scalar) => scalar.width(),
        Type::Struct(_) if field.nullable.holds(version) => 1,
        Type::Struct(name) => message
            .structs
            .iter()
            .find(|one| one.name == *name)
            .map_or(0, |one| in_version(message, one, version.lowest)),
        _ if flexible => 1,
        Type::String => 2,
        Type::Bytes | Type::Records | Type::Array(_) => 4,
    }
}
