//! Batches of every magic.

use kafka_protocol::compression::Compression;

use super::Mutation;
use super::compressed::content;
use crate::reference::{self, Cursor, Plain};

/// Changes a `records` field.
pub fn batches(mutation: &mut Mutation, bytes: &mut Vec<u8>) {
    mutation.entries(bytes, Mutation::batch);
    if !mutation.chance(16) {
        repair(bytes);
    }
}

/// Changes an old message set.
pub fn legacy(mutation: &mut Mutation, bytes: &mut Vec<u8>) {
    *bytes = with_old_magic(bytes);
    mutation.entries(bytes, Mutation::message);
    *bytes = with_old_magic(bytes);
    if !mutation.chance(16) {
        repair(bytes);
    }
}

/// The same with each magic byte forced to 0 or 1.
pub fn with_old_magic(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let mut at = 0;
    while let Some(magic) = data.get_mut(at + MAGIC_AT) {
        *magic &= 1;
        let length = length_of(&data[at..]);
        at = at
            .saturating_add(PREFIX_LEN)
            .saturating_add(length as usize);
    }
    data
}

impl Mutation {
    /// Changes one entry by `change`, or which entries there are, or bytes without looking.
    fn entries(&mut self, bytes: &mut Vec<u8>, change: fn(&mut Self, &mut Vec<u8>)) {
        let mut entries = split(bytes);
        if entries.is_empty() || self.chance(6) {
            self.blind(bytes);
            return;
        }
        let place = self.rng.usize(..entries.len());
        match self.rng.u8(..12) {
            0 => {
                let copy = entries[place].clone();
                entries.insert(self.rng.usize(..=entries.len()), copy);
            }
            1 => {
                entries.swap_remove(place);
            }
            2 => {
                self.grow(&mut entries[place]);
                set_length(&mut entries[place]);
            }
            _ => change(self, &mut entries[place]),
        }
        *bytes = entries.concat();
    }

    /// Changes a batch of magic 2; others as old messages.
    fn batch(&mut self, batch: &mut Vec<u8>) {
        let magic = batch.get(MAGIC_AT).copied();
        if magic.is_some_and(|magic| magic < 2) {
            return self.message(batch);
        }
        if batch.len() < HEADER_LEN {
            batch.resize(HEADER_LEN, 0);
        }
        if self.chance(5) {
            let field = self.rng.choice(FIELDS).expect("there are fields");
            self.boundary(&mut batch[field.0..field.0 + field.1]);
            return;
        }
        let codec = Compression::from_code(i16::from(batch[ATTRIBUTES_END - 1] & 7));
        let stored = &batch[HEADER_LEN..];
        let body = codec
            .filter(|_| !stored.is_empty())
            .and_then(|codec| content(codec, stored));
        let Some(mut body) = body else {
            return self.blind(batch);
        };
        if self.chance(3) {
            self.blind(&mut body);
        } else if let Some(count) = self.records(batch, &mut body) {
            batch[COUNT_AT..HEADER_LEN].copy_from_slice(&count.to_be_bytes());
        }
        let codec = if self.chance(4) {
            let codec = self.rng.choice(Compression::ALL).expect("there are some");
            let bits = &mut batch[ATTRIBUTES_END - 1];
            *bits = *bits & !7 | codec.code() as u8;
            codec
        } else {
            codec.unwrap_or_default()
        };
        let stored = self.stream(codec, &body);
        batch.truncate(HEADER_LEN);
        batch.extend(stored);
        set_length(batch);
    }

    /// Changes the records of a body, and gives how many they are then.
    fn records(&mut self, batch: &[u8], body: &mut Vec<u8>) -> Option<u32> {
        let mut header = reference::header(batch)?;
        // Offsets and timestamps are written as they were read: as deltas.
        (header.base_offset, header.base_timestamp, header.attributes) = (0, 0, 0);
        header.last_offset_delta = i32::MAX.into();
        let (mut records, _) = reference::records(&header, body);
        if records.is_empty() || self.chance(8) {
            let place = self.rng.usize(..=records.len());
            records.insert(
                place,
                Plain {
                    offset: place as i64,
                    timestamp: 0,
                    key: None,
                    value: Some(Vec::new()),
                    headers: Vec::new(),
                },
            );
        }
        let place = self.rng.usize(..records.len());
        let record = &mut records[place];
        match self.rng.u8(..10) {
            0 => record.offset = self.number(32),
            1 => record.timestamp = self.number(64),
            2 => self.nullable(&mut record.key),
            3 => self.nullable(&mut record.value),
            4 => {
                let mut header = (b"name".to_vec(), Some(b"value".to_vec()));
                self.nullable(&mut header.1);
                let times = self.times(header.1.as_ref().map_or(0, Vec::len));
                record.headers.extend(std::iter::repeat_n(header, times));
            }
            5 => match self.rng.choice(&mut record.headers) {
                Some((key, value)) if self.rng.bool() => {
                    self.blind(key);
                    self.nullable(value);
                }
                _ => record.headers.clear(),
            },
            6 => {
                records.swap_remove(place);
            }
            7 => {
                let last = self.rng.usize(..records.len());
                records.swap(place, last);
            }
            _ => {
                let copy = record.clone();
                let mut bytes = Vec::new();
                put_record(&mut bytes, &copy);
                let times = self.times(bytes.len());
                records.extend((0..times).map(|more| Plain {
                    offset: copy.offset.wrapping_add(more as i64),
                    ..copy.clone()
                }));
            }
        }
        body.clear();
        for record in &records {
            put_record(body, record);
        }
        Some(records.len() as u32)
    }

    /// Changes an old message, and what is in it if that is a compressed set.
    fn message(&mut self, entry: &mut Vec<u8>) {
        let Some(mut message) = reference::read_message(entry) else {
            return self.blind(entry);
        };
        let codec = Compression::from_code(i16::from(message.attributes & 7));
        match self.rng.u8(..8) {
            0 => message.offset = self.number(64),
            1 => message.timestamp = self.number(64),
            2 => message.magic ^= 1,
            3 => message.attributes ^= 1 << self.rng.u8(..8),
            4 => self.nullable(&mut message.key),
            5 => self.nullable(&mut message.value),
            _ => {
                let codec = codec.unwrap_or_default();
                let stored = message.value.unwrap_or_default();
                let set = match codec {
                    // A plain message becomes the only one of a set.
                    Compression::None => Some(entry.clone()),
                    codec => content(codec, &stored),
                };
                let mut set = set.unwrap_or_default();
                self.entries(&mut set, Self::message);
                if self.chance(3) {
                    self.blind(&mut set);
                }
                if !self.chance(8) {
                    set_magic(&mut set, message.magic);
                }
                repair(&mut set);
                let codec = match codec {
                    Compression::None => self.rng.choice(Compression::ALL).unwrap_or_default(),
                    codec => codec,
                };
                message.attributes = message.attributes & !7 | codec.code() as u8;
                message.value = Some(self.stream(codec, &set));
            }
        }
        *entry = put_message(&message);
    }

    fn nullable(&mut self, field: &mut Option<Vec<u8>>) {
        match field {
            Some(_) if self.chance(4) => *field = None,
            Some(bytes) if self.chance(4) => self.grow(bytes),
            Some(bytes) => self.blind(bytes),
            None => *field = Some(Vec::new()),
        }
    }

    /// How often to repeat something of this length: once as a rule, and never beyond the largest input.
    fn times(&mut self, len: usize) -> usize {
        if self.chance(4) {
            (1 << self.rng.u32(..12)).min(self.max / (len + 8))
        } else {
            1
        }
    }

    /// A number of so many bits, more often than not near a border.
    fn number(&mut self, bits: u32) -> i64 {
        let near = i64::from(self.rng.i8(..));
        let value = match self.rng.u8(..4) {
            0 => near,
            1 => (1_i64 << (bits - 2)).wrapping_mul(2).wrapping_add(near),
            2 => (1_i64 << self.rng.u32(..bits)).wrapping_add(near),
            _ => self.rng.i64(..),
        };
        if bits == 32 {
            i64::from(value as i32)
        } else {
            value
        }
    }

    fn boundary(&mut self, field: &mut [u8]) {
        let value = self.number(64).to_be_bytes();
        let len = field.len();
        field.copy_from_slice(&value[8 - len..]);
        if self.chance(3) {
            field.fill(0xff);
            field[0] = if self.rng.bool() { 0x7f } else { 0x80 };
        }
    }
}

/// The entries that `bytes` are by their lengths; the last of them is what is left.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = PREFIX_LEN
            .saturating_add(length_of(rest) as usize)
            .min(rest.len());
        let (entry, behind) = rest.split_at(len);
        entries.push(entry.to_vec());
        rest = behind;
    }
    entries
}

/// Gives the messages of a set the magic of their wrapper.
fn set_magic(set: &mut Vec<u8>, magic: u8) {
    let mut entries = split(set);
    for entry in &mut entries {
        if let Some(mut message) = reference::read_message(entry) {
            message.magic = magic;
            *entry = put_message(&message);
        }
    }
    *set = entries.concat();
}

/// Puts lengths and checksums right.
fn repair(bytes: &mut [u8]) {
    let mut at = 0;
    while bytes.len() - at > MAGIC_AT {
        let rest = &mut bytes[at..];
        let len = PREFIX_LEN
            .saturating_add(length_of(rest) as usize)
            .min(rest.len());
        let entry = &mut rest[..len.max(MAGIC_AT + 1)];
        if len == entry.len() {
            set_length(entry);
        }
        let (crc, covered) = if entry[MAGIC_AT] == 2 {
            (17, 21)
        } else {
            (12, 16)
        };
        if entry.len() > covered {
            let sum = if entry[MAGIC_AT] == 2 {
                kafka_protocol::record::crc32c(&entry[covered..])
            } else {
                kafka_protocol::record::crc32(&entry[covered..])
            };
            entry[crc..crc + 4].copy_from_slice(&sum.to_be_bytes());
        }
        at += entry.len();
    }
}

fn set_length(entry: &mut [u8]) {
    let length = entry.len() as u32 - PREFIX_LEN as u32;
    entry[8..PREFIX_LEN].copy_from_slice(&length.to_be_bytes());
}

fn length_of(entry: &[u8]) -> u32 {
    let length = Cursor(entry.get(8..).unwrap_or_default()).int(4);
    length.unwrap_or(i64::from(u32::MAX)) as u32
}

fn put_record(body: &mut Vec<u8>, record: &Plain) {
    let mut bytes = vec![0];
    put_varint(&mut bytes, record.timestamp);
    put_varint(&mut bytes, record.offset);
    put_sized(&mut bytes, record.key.as_deref());
    put_sized(&mut bytes, record.value.as_deref());
    put_varint(&mut bytes, record.headers.len() as i64);
    for (key, value) in &record.headers {
        put_sized(&mut bytes, Some(key));
        put_sized(&mut bytes, value.as_deref());
    }
    put_varint(body, bytes.len() as i64);
    body.extend(bytes);
}

fn put_sized(bytes: &mut Vec<u8>, field: Option<&[u8]>) {
    put_varint(bytes, field.map_or(-1, |field| field.len() as i64));
    bytes.extend_from_slice(field.unwrap_or_default());
}

fn put_varint(bytes: &mut Vec<u8>, value: i64) {
    let mut raw = (value << 1 ^ value >> 63) as u64;
    while raw > 127 {
        bytes.push(raw as u8 | 128);
        raw >>= 7;
    }
    bytes.push(raw as u8);
}

fn put_message(message: &reference::Message) -> Vec<u8> {
    let mut entry = message.offset.to_be_bytes().to_vec();
    entry.extend([0; 8]);
    entry.extend([message.magic, message.attributes]);
    if message.magic == 1 {
        entry.extend(message.timestamp.to_be_bytes());
    }
    for field in [&message.key, &message.value] {
        let length = field.as_ref().map_or(-1, |field| field.len() as i32);
        entry.extend(length.to_be_bytes());
        entry.extend(field.as_deref().unwrap_or_default());
    }
    set_length(&mut entry);
    entry
}

/// Where fields of a batch header stand, and how long they are.
const FIELDS: [(usize, usize); 11] = [
    (0, 8),
    (8, 4),
    (12, 4),
    (16, 1),
    (21, 2),
    (23, 4),
    (27, 8),
    (35, 8),
    (43, 8),
    (51, 6),
    (57, 4),
];
const PREFIX_LEN: usize = 12;
const MAGIC_AT: usize = 16;
const ATTRIBUTES_END: usize = 23;
const COUNT_AT: usize = 57;
const HEADER_LEN: usize = 61;
