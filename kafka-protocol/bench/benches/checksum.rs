//! CRC-32C: ours beside the crates it chooses from, and CRC-32 of old message sets.

use std::hint::black_box;

use crc_fast::CrcAlgorithm;
use kafka_protocol::record::{crc32, crc32c};
use kafka_protocol_bench::{Comparison, noise};

fn main() {
    for len in [100, 1 << 10, 16 << 10, 1 << 20] {
        let bytes = noise(len, 1);
        let fast = || crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, &bytes) as u32;
        assert_eq!(crc32c(&bytes), fast());
        assert_eq!(crc32c(&bytes), ::crc32c::crc32c(&bytes));
        Comparison::of_bytes(&format!("checksum of {len} bytes"), len)
            .with("ours", || {
                black_box(crc32c(black_box(&bytes)));
            })
            .with("crc-fast 1.10", || {
                black_box(crc_fast::checksum(
                    CrcAlgorithm::Crc32Iscsi,
                    black_box(&bytes),
                ));
            })
            .with("crc32c 0.6", || {
                black_box(::crc32c::crc32c(black_box(&bytes)));
            })
            .with("ours, CRC-32 of magic 0 and 1", || {
                black_box(crc32(black_box(&bytes)));
            })
            .run();
    }
}
