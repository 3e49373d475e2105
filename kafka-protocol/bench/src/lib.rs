//! A bench for busy machines: all variants of a comparison in turn, in short slices, and the median
//! of each beside its ratio to the first. Times move from run to run; ratios hardly do.

use std::time::{Duration, Instant};

/// Variants of one piece of work, to be measured against each other.
pub struct Comparison<'a> {
    title: &'a str,
    unit: &'a str,
    units_per_call: f64,
    variants: Vec<Variant<'a>>,
}

struct Variant<'a> {
    name: &'a str,
    call: Box<dyn FnMut() + 'a>,
    slices_ns: Vec<f64>,
    allocations: f64,
}

impl<'a> Comparison<'a> {
    /// A comparison in nanoseconds per `unit`, of which each call of a variant does as many as told.
    #[must_use]
    pub fn new(title: &'a str, unit: &'a str, units_per_call: usize) -> Self {
        Self {
            title,
            unit,
            units_per_call: units_per_call as f64,
            variants: Vec::new(),
        }
    }

    /// Adds a variant; the first one is what the others are compared with.
    #[must_use]
    pub fn with(mut self, name: &'a str, call: impl FnMut() + 'a) -> Self {
        self.variants.push(Variant {
            name,
            call: Box::new(call),
            slices_ns: Vec::with_capacity(ROUNDS),
            allocations: 0.0,
        });
        self
    }

    /// Measures all variants and prints a table.
    #[expect(clippy::print_stdout, reason = "the table is what a bench is for")]
    pub fn run(mut self) {
        for variant in &mut self.variants {
            // The first call warms up and the second is counted.
            (variant.call)();
            let counted = allocation_counter::measure(&mut variant.call);
            variant.allocations = counted.count_total as f64 / self.units_per_call;
        }
        for _ in 0..ROUNDS {
            for variant in &mut self.variants {
                let per_call_ns = slice(&mut variant.call);
                variant.slices_ns.push(per_call_ns / self.units_per_call);
            }
        }
        println!("\n{}", self.title);
        println!(
            "  {:<34} {:>10} {:>10} {:>10} {:>8} {:>12}",
            "variant",
            format!("ns/{}", self.unit),
            "min",
            "max",
            "ratio",
            "allocations"
        );
        let mut first = None;
        for variant in &mut self.variants {
            variant.slices_ns.sort_by(f64::total_cmp);
            let median = at(&variant.slices_ns, ROUNDS / 2);
            let first = *first.get_or_insert(median);
            println!(
                "  {:<34} {median:>10.2} {:>10.2} {:>10.2} {:>8.2} {:>12.3}",
                variant.name,
                at(&variant.slices_ns, 0),
                at(&variant.slices_ns, ROUNDS - 1),
                median / first,
                variant.allocations,
            );
        }
    }
}

impl std::fmt::Debug for Comparison<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparison")
            .field("title", &self.title)
            .field("variants", &self.variants.len())
            .finish_non_exhaustive()
    }
}

/// Bytes that do not compress, the same in every run.
#[must_use]
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(len)
    .collect()
}

/// Nanoseconds per call over one slice.
fn slice(call: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0_u32;
    loop {
        call();
        calls += 1;
        let elapsed = start.elapsed();
        if elapsed >= SLICE {
            return elapsed.as_nanos() as f64 / f64::from(calls);
        }
    }
}

fn at(sorted: &[f64], index: usize) -> f64 {
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

const ROUNDS: usize = 15;
const SLICE: Duration = Duration::from_millis(30);
