//! Writes the first inputs of each target into a folder, one folder each: the golden bytes that Kafka's
//! own classes have confirmed, and streams as several writers write them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use kafka_protocol::ApiKey;
use kafka_protocol::compression::{Compression, compress};
use kafka_protocol::frame;
use kafka_protocol::messages::HeartbeatRequest;
use kafka_protocol_fuzz::messages::others;
use kafka_protocol_fuzz::reference;

fn main() -> io::Result<()> {
    let folder = env::args().nth(1).expect("a folder to write to");
    let mut seeds = Seeds::default();
    messages(&mut seeds);
    headers(&mut seeds);
    frames(&mut seeds);
    batches(&mut seeds);
    streams(&mut seeds);
    broken_zstd(&mut seeds);
    seeds.write(Path::new(&folder))
}

/// The inputs of each target.
#[derive(Default)]
struct Seeds(BTreeMap<&'static str, BTreeSet<Vec<u8>>>);

impl Seeds {
    fn add(&mut self, target: &'static str, parts: &[&[u8]]) {
        self.0.entry(target).or_default().insert(parts.concat());
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        for (target, inputs) in &self.0 {
            let folder = folder.join(target);
            fs::create_dir_all(&folder)?;
            for (number, input) in inputs.iter().enumerate() {
                fs::write(folder.join(number.to_string()), input)?;
            }
        }
        Ok(())
    }
}

fn messages(seeds: &mut Seeds) {
    let others = others();
    for line in MESSAGES.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let [kind, key, name, version, hex] = columns[..] else {
            panic!("five columns in {line}");
        };
        let version: u8 = version.parse().expect("a small version");
        let body = unhex(hex);
        let (target, first) = match kind {
            "request" => ("request", key.parse().expect("a key")),
            "response" => ("response", key.parse().expect("a key")),
            _ => {
                let place = others.iter().position(|info| info.name == name);
                ("data", place.expect("it is in the catalog") as u8)
            }
        };
        seeds.add(target, &[&[first, version], &body]);
    }
}

fn headers(seeds: &mut Seeds) {
    for key in (0..=i8::MAX).filter_map(|code| ApiKey::from_code(code.into())) {
        for version in [key.valid_versions().min, key.valid_versions().max] {
            let code = key.code();
            let front = [code.to_be_bytes(), version.to_be_bytes()].concat();
            let of_request = [&front, b"\0\0\0\x09\0\x02me\0".as_slice()].concat();
            seeds.add("header", &[&of_request]);
            seeds.add(
                "header",
                &[&[code as u8, version as u8], b"\0\0\0\x09\x01\x07\x01x"],
            );
        }
    }
}

fn frames(seeds: &mut Seeds) {
    let request = HeartbeatRequest::default();
    let chunks = frame::encode_request(&request, 4, 1, Some("me")).expect("it has no bounds");
    let one = chunks.concat();
    for step in [0, 1, 255] {
        seeds.add("frames", &[&[step], &one]);
        seeds.add("frames", &[&[step], &one, &one, b"\0\0\0\0", &one[..7]]);
    }
    seeds.add("frames", &[&[3], &one, b"\xff\xff\xff\xff"]);
    seeds.add("frames", &[&[3], &one, b"\0\x01\0\x01"]);
}

fn batches(seeds: &mut Seeds) {
    for line in BATCHES.lines() {
        let (hex, _) = line.split_once('\t').expect("two columns");
        let bytes = unhex(hex);
        let (entries, _) = reference::entries(&bytes);
        let target = if entries.iter().any(|entry| entry[16] == 2) {
            "batches"
        } else {
            "legacy"
        };
        seeds.add(target, &[&bytes]);
        for entry in entries {
            let (codec, stream) = match reference::read_message(entry) {
                Some(message) => (message.attributes & 7, message.value.unwrap_or_default()),
                None => (entry[22] & 7, entry[61..].to_vec()),
            };
            if let Some((target, _)) = CODECS.get(usize::from(codec).wrapping_sub(1)) {
                seeds.add(target, &[&stream]);
            } else {
                seeds.add("compress", &[&[codec], &stream]);
            }
        }
    }
}

/// Blocks that the headers alone show to be broken, in a window of 1 KiB: no count of sequences, bytes behind
/// it, too many literals, too few for four streams.
fn broken_zstd(seeds: &mut Seeds) {
    for block in [
        b"\x18abc".as_slice(),
        b"\x18abc\0\0",
        b"\x15\x40a\0",
        b"\x46\0\x03\x80\x10\x01\0\x01\0\x01\0\x02\x03\x02\x03\0",
    ] {
        let header = ((block.len() as u32) << 3 | 0b101).to_le_bytes();
        let frame = b"\x28\xb5\x2f\xfd\0\0";
        seeds.add("zstd", &[frame, &header[..3], block]);
    }
}

/// Text, noise and zeros, by our writers at their levels and by those of others.
fn streams(seeds: &mut Seeds) {
    let mut rng = fastrand::Rng::with_seed(1);
    let noise: Vec<_> = (0..300).map(|_| rng.u8(..)).collect();
    let text: String = (0..400).map(|n| format!("value {} ", n % 37)).collect();
    for content in [
        &[],
        b"a".as_slice(),
        &noise,
        &text.as_bytes()[..900],
        text.as_bytes(),
        &[0; 100_000],
    ] {
        for (target, codec) in CODECS {
            let levels = codec
                .levels()
                .map(|levels| [*levels.start().max(&-7), 3, 9]);
            for level in levels.map_or([None; 3], |levels| levels.map(Some)) {
                let mut stream = Vec::new();
                compress(codec, level, content, &mut stream).expect("a level of the codec");
                seeds.add(target, &[&stream]);
            }
        }
        let mut block = Vec::new();
        compress(Compression::Snappy, None, content, &mut block).expect("any content");
        // Alone, without the framing of its 16 bytes and a length.
        seeds.add("snappy", &[block.get(20..).unwrap_or_default()]);
        for checksum in [
            lz4::ContentChecksum::NoChecksum,
            lz4::ContentChecksum::ChecksumEnabled,
        ] {
            for size in [lz4::BlockSize::Max64KB, lz4::BlockSize::Max4MB] {
                let mut encoder = lz4::EncoderBuilder::new()
                    .checksum(checksum.clone())
                    .block_checksum(lz4::liblz4::BlockChecksum::BlockChecksumEnabled)
                    .block_mode(lz4::BlockMode::Independent)
                    .block_size(size)
                    .build(Vec::new())
                    .expect("known settings");
                encoder.write_all(content).expect("memory");
                let (stream, result) = encoder.finish();
                result.expect("memory");
                seeds.add("lz4", &[&stream]);
            }
        }
        for level in [1, 5, 19] {
            let mut encoder = zstd::Encoder::new(Vec::new(), level).expect("a level");
            encoder.include_checksum(level == 5).expect("a setting");
            encoder.write_all(content).expect("memory");
            seeds.add("zstd", &[&encoder.finish().expect("memory")]);
            seeds.add(
                "zstd",
                &[&zstd::bulk::compress(content, level).expect("memory")],
            );
        }
        for choice in [0, 1, 2, 3, 4, 42, 74, 109] {
            seeds.add(
                "compress",
                &[&[choice], &content[..content.len().min(5000)]],
            );
        }
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex
        .chars()
        .map(|digit| digit.to_digit(16).expect("hex") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

const MESSAGES: &str = include_str!("../../tests/codec/golden/messages.tsv");
const BATCHES: &str = include_str!("../../tests/codec/golden/batches.tsv");
/// In the order of their numbers.
const CODECS: [(&str, Compression); 4] = [
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];
