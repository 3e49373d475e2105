//! How much memory an input may cost: what the documents of the codec promise, as assertions.

use allocation_counter::measure;

/// Runs `work` on an input of `len` bytes; what it allocates at once must be at most `factor` times
/// that and what a call costs at any rate.
pub fn within<T>(len: usize, factor: usize, work: impl FnOnce() -> T) -> T {
    within_bytes(len.saturating_mul(factor), work)
}

/// Runs `work`, which must allocate at most `most` bytes at once, and what a call costs at any rate.
pub fn within_bytes<T>(most: usize, work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let counted = measure(|| result = Some(work()));
    let most = most as u64 + FIXED;
    let peak = counted.bytes_max;
    assert!(
        peak <= most,
        "{peak} bytes allocated where {most} are allowed"
    );
    result.expect("it was run")
}

/// Runs `work`, which must allocate nothing.
pub fn without_allocation<T>(work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let counted = measure(|| result = Some(work()));
    assert_eq!(counted.count_total, 0, "allocations");
    result.expect("it was run")
}

/// What an error, the default of a message, or an empty vector cost.
const FIXED: u64 = 4096;
