#![no_main]

use kafka_protocol::compression::Compression;

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_protocol_fuzz::decompress(Compression::Zstd, data));
