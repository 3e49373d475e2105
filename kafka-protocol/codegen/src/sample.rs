//! Random messages as bytes, made from the specs alone and heavy on boundaries.
//!
//! Written to judge the generated code, so it shares nothing with it: it walks the spec and puts each
//! value down as the protocol says.

use std::fmt;

use crate::generate::messages;
use crate::model::{Default, Field, Message, Scalar, Struct, Type};
use crate::schema::Kind;
use crate::schema_dir;

/// Makes messages of all specs. The same seed makes the same messages.
#[derive(Debug)]
pub struct Sampler {
    messages: Vec<Message>,
    random: Random,
}

/// What a sample looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// Null and empty where that is possible, tagged fields left out.
    Sparse,
    /// Each field set, each array with elements, each tagged field there, unknown ones too.
    Full,
    /// As sparse, but each struct has an unknown tagged field, which is empty.
    Tagged,
    /// As sparse, but each tagged field is there with its default, which is legal and no use.
    Defaults,
    /// Anything, boundaries above all.
    Random,
}

/// What a crowd of elements is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Crowd {
    /// The array is all there is.
    Plain,
    /// Each struct has an unknown tagged field too, where it can.
    Tagged,
    /// The arrays around it claim to be full of elements as well, which are not there.
    Claimed,
}

/// A sample: one message body of one version.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Line {
    /// The kind of message: `request`, `response`, `header`, `data` or `record`.
    pub kind: &'static str,
    /// The API key or type number; -1 if there is none.
    pub key: i16,
    /// The name of the message.
    pub name: String,
    /// The version.
    pub version: i16,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Sampler {
    /// A sampler over `schema/`.
    ///
    /// # Errors
    ///
    /// If a spec cannot be read.
    pub fn new(seed: u64) -> Result<Self, String> {
        Ok(Self {
            messages: messages(&schema_dir())?.messages,
            random: Random(seed),
        })
    }

    /// One message of each name and version.
    pub fn round(&mut self, style: Style) -> Vec<Line> {
        let mut lines = Vec::new();
        for message in &self.messages {
            for version in message.valid.lowest..=message.valid.highest {
                let mut writer = Writer {
                    message,
                    version,
                    style,
                    flexible: in_versions(message.flexible, version),
                    random: &mut self.random,
                    bytes: Vec::new(),
                };
                if let Some(root) = message.structs.first() {
                    writer.structure(root);
                }
                let bytes = writer.bytes;
                lines.push(Line {
                    kind: kind(message.kind),
                    key: message.api_key.unwrap_or(-1),
                    name: message.name.clone(),
                    version,
                    bytes,
                });
            }
        }
        lines
    }

    /// For each array in each message and version, and with the path to the array, a message of about
    /// `len` bytes that are nearly all elements of that array, and each as small as it can be: what
    /// takes the most memory for its size.
    pub fn crowded(&mut self, len: usize, crowd: Crowd) -> Vec<(Line, String)> {
        let mut lines = Vec::new();
        for message in &self.messages {
            let Some(root) = message.structs.first() else {
                continue;
            };
            for version in message.valid.lowest..=message.valid.highest {
                for path in arrays(message, root, version) {
                    let mut writer = Writer {
                        message,
                        version,
                        style: match crowd {
                            Crowd::Tagged => Style::Tagged,
                            Crowd::Plain | Crowd::Claimed => Style::Sparse,
                        },
                        flexible: in_versions(message.flexible, version),
                        random: &mut self.random,
                        bytes: Vec::new(),
                    };
                    writer.crowd(root, &path, len, crowd);
                    let line = Line {
                        kind: kind(message.kind),
                        key: message.api_key.unwrap_or(-1),
                        name: message.name.clone(),
                        version,
                        bytes: writer.bytes,
                    };
                    let names: Vec<_> = path.iter().map(|field| field.ident.as_str()).collect();
                    lines.push((line, names.join(".")));
                }
            }
        }
        lines
    }

    /// A number below `bound`, for choices of the caller that belong to the same seed.
    pub fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound)
    }
}

/// The line in the format of the `recode` example.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            key,
            name,
            version,
            bytes,
        } = self;
        write!(f, "{kind}\t{key}\t{name}\t{version}\t")?;
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
        let mut hex = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            hex.push(digit(byte >> 4));
            hex.push(digit(byte & 15));
        }
        f.write_str(&hex)
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "request",
        Kind::Response => "response",
        Kind::Header => "header",
        Kind::Data => "data",
        Kind::Metadata | Kind::CoordinatorKey | Kind::CoordinatorValue => "record",
    }
}

fn in_versions(versions: crate::versions::Versions, version: i16) -> bool {
    versions.lowest <= version && version <= versions.highest
}

struct Writer<'a> {
    message: &'a Message,
    version: i16,
    style: Style,
    flexible: bool,
    random: &'a mut Random,
    bytes: Vec<u8>,
}

/// The ways from a struct down to each array that there is in a version.
fn arrays<'a>(message: &'a Message, one: &'a Struct, version: i16) -> Vec<Vec<&'a Field>> {
    let mut paths = Vec::new();
    for field in &one.fields {
        if !in_versions(field.versions, version) {
            continue;
        }
        if matches!(field.kind, Type::Array(_)) {
            paths.push(vec![field]);
        }
        let inner = message
            .structs
            .iter()
            .find(|inner| Some(inner.name.as_str()) == field.kind.structure());
        for below in inner.map_or(Vec::new(), |inner| arrays(message, inner, version)) {
            paths.push([vec![field], below].concat());
        }
    }
    paths
}

impl Writer<'_> {
    /// A struct that is as small as can be but for the array at the end of the path.
    fn crowd(&mut self, one: &Struct, path: &[&Field], len: usize, crowd: Crowd) {
        let Some((next, rest)) = path.split_first() else {
            return;
        };
        for field in &one.fields {
            if field.tag.is_none() && in_versions(field.versions, self.version) {
                if std::ptr::eq(field, *next) {
                    self.crowd_field(field, false, rest, len, crowd);
                } else {
                    self.field(field, self.is_flexible(field), false);
                }
            }
        }
        if !self.flexible {
            return;
        }
        let Some(tag) = next.tag else {
            self.tail(one);
            return;
        };
        let payload = self.aside(|writer| writer.crowd_field(next, true, rest, len, crowd));
        self.varint(1);
        self.varint(tag.number);
        self.varint(payload.len() as u32);
        self.bytes.extend(payload);
    }

    fn crowd_field(
        &mut self,
        field: &Field,
        tagged: bool,
        rest: &[&Field],
        len: usize,
        crowd: Crowd,
    ) {
        let flexible = tagged || self.is_flexible(field);
        match &field.kind {
            Type::Array(element) => {
                let smallest = self.aside(|writer| writer.element(element, flexible));
                let count = (len / smallest.len().max(1)).max(1);
                if rest.is_empty() {
                    self.long_len(Some(count), flexible);
                    self.bytes.extend(smallest.repeat(count));
                    return;
                }
                let claimed = if crowd == Crowd::Claimed { count } else { 1 };
                self.long_len(Some(claimed), flexible);
            }
            _ if in_versions(field.nullable, self.version) => self.bytes.push(1),
            _ => {}
        }
        let message = self.message;
        let inner = message
            .structs
            .iter()
            .find(|one| Some(one.name.as_str()) == field.kind.structure());
        if let Some(inner) = inner {
            self.crowd(inner, rest, len, crowd);
        }
    }

    /// Whether a field has compact lengths.
    fn is_flexible(&self, field: &Field) -> bool {
        match field.flexible {
            Some(versions) => in_versions(versions, self.version),
            None => self.flexible,
        }
    }

    fn structure(&mut self, one: &Struct) {
        for field in &one.fields {
            if field.tag.is_none() && in_versions(field.versions, self.version) {
                self.field(field, self.is_flexible(field), false);
            }
        }
        if self.flexible {
            self.tail(one);
        }
    }

    /// The tagged fields: known ones that differ from their default, and unknown ones.
    fn tail(&mut self, one: &Struct) {
        let mut fields: Vec<(u32, Vec<u8>)> = Vec::new();
        let mut known = 0;
        for field in &one.fields {
            let Some(tag) = field.tag else { continue };
            known = known.max(tag.number + 1);
            if in_versions(tag.versions, self.version)
                && let Some(payload) = self.payload(field)
            {
                fields.push((tag.number, payload));
            }
        }
        let unknown = match self.style {
            Style::Sparse | Style::Defaults => 0,
            Style::Tagged => {
                self.varint(1);
                self.varint(known);
                self.varint(0);
                return;
            }
            Style::Full => 1,
            Style::Random if self.random.one_in(8) => 1 + self.random.below(3),
            Style::Random => 0,
        };
        let mut tag = known;
        for _ in 0..unknown {
            tag += match self.random.below(4) {
                0 => 0,
                1 => 1 + self.random.below(200) as u32,
                2 => 128,
                _ => self.random.below(1 << 20) as u32,
            };
            let len = self.len(40);
            fields.push((tag, self.random.bytes(len)));
            tag += 1;
        }
        fields.sort_by_key(|(tag, _)| *tag);
        self.varint(fields.len() as u32);
        for (tag, payload) in fields {
            self.varint(tag);
            self.varint(payload.len() as u32);
            self.bytes.extend(payload);
        }
    }

    /// The content of a tagged field, if one is to be there that differs from its default.
    fn payload(&mut self, field: &Field) -> Option<Vec<u8>> {
        let present = match self.style {
            Style::Sparse | Style::Tagged => false,
            Style::Defaults => return Some(self.aside(|writer| writer.default(field))),
            Style::Full => true,
            Style::Random => self.random.one_in(2),
        };
        if !present {
            return None;
        }
        let default = self.aside(|writer| writer.default(field));
        for _ in 0..20 {
            let payload = self.aside(|writer| writer.field(field, true, true));
            if payload != default {
                return Some(payload);
            }
        }
        None
    }

    /// What `write` writes, apart from the rest.
    fn aside(&mut self, write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let before = std::mem::take(&mut self.bytes);
        write(self);
        std::mem::replace(&mut self.bytes, before)
    }

    fn field(&mut self, field: &Field, flexible: bool, tagged: bool) {
        let nullable = in_versions(field.nullable, self.version);
        let null = nullable
            && match self.style {
                Style::Sparse | Style::Tagged | Style::Defaults => true,
                Style::Full => false,
                Style::Random => self.random.one_in(4),
            };
        match &field.kind {
            Type::Scalar(scalar) => self.scalar(*scalar),
            Type::Struct(name) => {
                match (nullable, tagged) {
                    (true, true) => self.varint(u32::from(!null)),
                    (true, false) => self.bytes.push(if null { 0xff } else { 1 }),
                    (false, _) => {}
                }
                if !null {
                    self.named(name);
                }
            }
            Type::Array(element) if !null => {
                let len = self.len(3);
                self.long_len(Some(len), flexible);
                for _ in 0..len {
                    self.element(element, flexible);
                }
            }
            Type::String if null => self.short_len(None, flexible),
            _ if null => self.long_len(None, flexible),
            kind => self.element(kind, flexible),
        }
    }

    /// A value that is not null.
    fn element(&mut self, kind: &Type, flexible: bool) {
        match kind {
            Type::Scalar(scalar) => self.scalar(*scalar),
            Type::Struct(name) => self.named(name),
            Type::String => {
                let len = self.len(20);
                let text = self.random.text(len);
                self.short_len(Some(text.len()), flexible);
                self.bytes.extend(text.as_bytes());
            }
            Type::Bytes | Type::Records | Type::Array(_) => {
                let len = self.len(40);
                self.long_len(Some(len), flexible);
                let bytes = self.random.bytes(len);
                self.bytes.extend(bytes);
            }
        }
    }

    fn named(&mut self, name: &str) {
        let message = self.message;
        if let Some(one) = message.structs.iter().find(|one| one.name == name) {
            self.structure(one);
        }
    }

    /// The default of a tagged field.
    fn default(&mut self, field: &Field) {
        let nullable = in_versions(field.nullable, self.version);
        match (&field.default, &field.kind) {
            (Default::Null, _) => self.varint(0),
            (Default::Bool(value), _) => self.bytes.push(u8::from(*value)),
            (Default::Int(value), Type::Scalar(scalar)) => {
                let bytes = value.to_be_bytes();
                let (_, low) = bytes.split_at(8 - scalar.width());
                self.bytes.extend(low);
            }
            (Default::Int(_), _) => {}
            (Default::Float(value), _) => self.bytes.extend(value.to_be_bytes()),
            (Default::Uuid(value), _) => self.bytes.extend(value),
            (Default::String(text), _) => {
                self.varint(text.len() as u32 + 1);
                self.bytes.extend(text.as_bytes());
            }
            (Default::Empty, _) => self.varint(1),
            (Default::Struct, kind) => {
                if nullable {
                    self.varint(1);
                }
                let message = self.message;
                let one = message
                    .structs
                    .iter()
                    .find(|one| Some(one.name.as_str()) == kind.structure());
                for field in one.into_iter().flat_map(|one| &one.fields) {
                    if field.tag.is_none() && in_versions(field.versions, self.version) {
                        self.default(field);
                    }
                }
                self.varint(0);
            }
        }
    }

    fn scalar(&mut self, scalar: Scalar) {
        let width = scalar.width();
        let value = match (self.style, scalar) {
            (Style::Defaults, Scalar::Bool) => 0,
            (_, Scalar::Bool) => u128::from(self.random.one_in(2) || self.style == Style::Full),
            (Style::Sparse | Style::Tagged | Style::Defaults, _) => 0,
            (Style::Full, _) => {
                u128::from(self.random.next()) << 64 | u128::from(self.random.next() | 1)
            }
            (Style::Random, _) => self.random.integer(width),
        };
        let bytes = value.to_be_bytes();
        let (_, low) = bytes.split_at(bytes.len() - width);
        self.bytes.extend(low);
    }

    /// A length: small as a rule, now and then at the boundaries of a varint, and small again once
    /// the message is long.
    fn len(&mut self, usual: usize) -> usize {
        match self.style {
            Style::Sparse | Style::Tagged | Style::Defaults => 0,
            Style::Full => 1 + self.random.below(2),
            Style::Random if self.bytes.len() > LONG => self.random.below(2),
            Style::Random if usual > 3 && self.random.one_in(64) => match self.random.below(6) {
                0 => 16_382 + self.random.below(3),
                1 => 32_767,
                _ => 126 + self.random.below(3),
            },
            Style::Random if self.random.one_in(64) => 126 + self.random.below(3),
            Style::Random => self.random.below(usual + 1),
        }
    }

    fn short_len(&mut self, len: Option<usize>, flexible: bool) {
        if flexible {
            self.varint(len.map_or(0, |len| len as u32 + 1));
        } else {
            let len = len.map_or(-1, |len| len as i16);
            self.bytes.extend(len.to_be_bytes());
        }
    }

    fn long_len(&mut self, len: Option<usize>, flexible: bool) {
        if flexible {
            self.varint(len.map_or(0, |len| len as u32 + 1));
        } else {
            let len = len.map_or(-1, |len| len as i32);
            self.bytes.extend(len.to_be_bytes());
        }
    }

    fn varint(&mut self, mut value: u32) {
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                self.bytes.push(low);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }
}

/// From here on a message gets no more long parts.
const LONG: usize = 64 * 1024;

/// SplitMix64: small, seedable, good enough to choose test data.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// UTF-8 of just this many bytes.
    fn text(&mut self, len: usize) -> String {
        let mut text = String::with_capacity(len);
        while text.len() < len {
            let c = match self.below(8) {
                0 => '\u{e9}',
                1 => '\u{20ac}',
                2 => '\u{1f980}',
                3 => '\0',
                _ => char::from(b' ' + self.below(95) as u8),
            };
            if text.len() + c.len_utf8() <= len {
                text.push(c);
            } else {
                text.push('x');
            }
        }
        text
    }

    /// An integer of `width` bytes, often at a boundary.
    fn integer(&mut self, width: usize) -> u128 {
        let bits = 8 * width;
        let any = u128::from(self.next()) << 64 | u128::from(self.next());
        match self.below(8) {
            0 => 0,
            1 => u128::MAX,
            2 => 1 << (bits - 1),
            3 => (1 << (bits - 1)) - 1,
            4 => 1,
            // The bits of a quiet NaN and of an infinity, where that is what they are.
            5 if width == 8 => 0x7ff8_0000_0000_0001,
            6 if width == 8 => 0xfff0_0000_0000_0000,
            5 => any % 256,
            _ => any,
        }
    }
}
