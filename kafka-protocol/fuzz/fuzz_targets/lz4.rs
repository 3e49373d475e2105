#![no_main]

use kafka_protocol::compression::Compression::Lz4;
use kafka_protocol_fuzz::{compression, mutation};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| compression::decompress(Lz4, data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(
        data,
        size,
        max_size,
        seed,
        fuzzer_mutate,
        |mutation, bytes| mutation.compressed(Lz4, bytes),
    )
});
